"""The page of models: what is there, what is inside, adding one."""

import pandas as pd

from jobs.errors import JobError
from tests.app import fake_client
from tests.app.seen import button, words


def header(name="found"):
    layers = [("blocks.0.q", "q", 0, (8, 8))]
    tensors = fake_client.tensor_table(layers).to_pandas()
    return {"header": fake_client.model_row(name, 1), "tensors": tensors}


def test_models_are_listed_with_what_has_been_run(planted, opened):
    at = opened(planted, "models")
    assert not at.exception
    table = at.dataframe[0].value
    assert table["model"].tolist() == ["tiny", "other"]
    assert table["parameters"].tolist() == ["4.9 M", "4.9 M"]
    assert table["run on it"].tolist() == ["spectrum", "spectrum"]


def test_a_header_shows_shapes_flops_and_what_is_skipped(planted, opened):
    at = opened(planted, "models?model=other")
    cards = {card.label: card.value for card in at.metric}
    assert cards["FLOPs per token"] == "not known"
    assert cards["Matrices"] == "9"
    assert "Skipped: 1 one-dimensional (a norm or a bias)" in words(at)


def test_words_from_a_models_files_are_not_read_as_markdown(planted, opened):
    hostile = "![x](https://evil.example/p.png)"
    [row] = planted.own.model("other").to_pylist()
    kept = {name: row[name] for name in fake_client.model_row("other", 1)}
    planted.own.add_model(kept | {"architecture": hostile}, planted.own.tensors("other"))
    at = opened(planted, "models?model=other")
    assert not at.exception
    shown = [text for card in at.metric for text in (card.value, card.delta)]
    assert any("evil" in text for text in shown)
    assert not any(hostile in text for text in shown)


def test_an_empty_home_says_how_to_begin(empty, opened):
    at = opened(empty, "models")
    assert "No model yet" in words(at)
    assert at.text_input(key="path")


def test_a_bad_path_is_a_sentence_on_the_page(planted, opened):
    at = opened(planted, "models")
    at.text_input(key="path").set_value("/nowhere")
    button(at, "Look inside").click().run()
    assert at.error[0].value.replace("\\", "") == "/nowhere does not exist: check the path"


def test_a_refusal_shows_its_command_as_code_and_a_name_as_it_is(planted, opened, monkeypatch):
    said = {"text": "/a*b lies outside: use `python -m jobs models add`"}

    def refuse(*_args, **_kwargs):
        raise JobError(said["text"])

    monkeypatch.setattr(type(planted), "inspect", refuse)
    at = opened(planted, "models")
    at.text_input(key="path").set_value("/a*b")
    button(at, "Look inside").click().run()
    assert at.error[0].value == "/a\\*b lies outside\\: use `python -m jobs models add`"
    said["text"] = "/a`b does not exist"
    button(at, "Look inside").click().run()
    assert at.error[0].value == "/a\\`b does not exist"


def test_a_model_leads_to_its_compression(planted, opened):
    at = opened(planted, "models?model=other")
    button(at, "Compress it").click().run()
    assert not at.exception
    assert at.selectbox(key="model").value == "other"
    assert at.selectbox(key="trial").value == ""


def test_a_model_shows_its_header_before_it_is_added(fresh, opened, monkeypatch):
    added = []
    monkeypatch.setattr(type(fresh), "inspect", lambda *_a, **_k: header())

    def add(self, path, name, *, base, restrict_to_roots):
        added.append((path, name, base, restrict_to_roots))
        row = fake_client.model_row(name, 1)
        self.own.add_model(row, fake_client.tensor_table([("blocks.0.q", "q", 0, (8, 8))]))
        return name

    monkeypatch.setattr(type(fresh), "add_model", add, raising=False)
    at = opened(fresh, "models")
    at.text_input(key="path").set_value("models/found")
    at.text_input(key="base").set_value(" models/base ")
    button(at, "Look inside").click().run()
    assert "found" in words(at)
    assert added == []
    button(at, "Add this model").click().run()
    assert added == [("models/found", "found", "models/base", True)]
    assert at.selectbox(key="model").value == "found"


def test_a_name_that_is_taken_is_a_sentence(fresh, opened, monkeypatch):
    def taken(*_args, **_kwargs):
        raise JobError("the name 'tiny' belongs to /models/tiny")

    monkeypatch.setattr(type(fresh), "inspect", lambda *_a, **_k: header("tiny"))
    monkeypatch.setattr(type(fresh), "add_model", taken, raising=False)
    at = opened(fresh, "models")
    at.text_input(key="path").set_value("models/found")
    button(at, "Look inside").click().run()
    button(at, "Add this model").click().run()
    assert "belongs to" in at.error[0].value


def test_a_browse_only_server_says_how_models_are_added(planted, opened, monkeypatch):
    monkeypatch.setattr(planted, "can_run", False)
    at = opened(planted, "models")
    assert "browse only" in words(at)
    assert [b for b in at.button if b.label == "Look inside"] == []


def test_parameters_of_any_size_are_sorted_as_numbers(planted, opened):
    tensors = opened(planted, "models?model=tiny").dataframe[1].value
    assert pd.api.types.is_integer_dtype(tensors["parameters"])


def test_a_series_says_which_checkpoint_is_analysed(fresh, opened):
    steps = '[[0, "a"], [3000, "b"]]'
    row = fake_client.model_row("series", 1) | {"steps": steps}
    layers = [("blocks.0.q", "q", 0, (8, 8))]
    fresh.own.add_model(row, fake_client.tensor_table(layers))
    at = opened(fresh, "models?model=series")
    assert "2 checkpoints, steps 0 to 3000" in words(at)


def test_looking_inside_nothing_says_what_to_type(planted, opened):
    at = opened(planted, "models")
    button(at, "Look inside").click().run()
    assert "Nothing is typed" in at.error[0].value


def test_what_is_found_stands_above_the_header_of_the_chosen_model(planted, opened, monkeypatch):
    monkeypatch.setattr(type(planted), "inspect", lambda *_a, **_k: header())
    at = opened(planted, "models?model=tiny")
    at.text_input(key="path").set_value("models/found")
    button(at, "Look inside").click().run()
    assert [len(table.value) for table in at.dataframe] == [2, 2, 10]


def test_a_model_without_blocks_has_a_dash_for_them(fresh, opened):
    row = fake_client.model_row("net", 1) | {"blocks": 0}
    fresh.own.add_model(row, fake_client.tensor_table([("conv1", "conv1", None, (8, 8))]))
    at = opened(fresh, "models?model=net")
    assert not at.exception
    assert at.dataframe[0].value["blocks"].isna().tolist() == [False, True]
    assert {card.label: card.value for card in at.metric}["Blocks"] == "—"


def test_only_an_update_names_its_base(fresh, opened):
    assert "An update of" not in words(opened(fresh, "models?model=tiny"))
    layers = [("blocks.0.q", "q", 0, (8, 8))]
    tuned = fake_client.model_row("tuned", 1) | {"kind": "delta", "base": "/models/base"}
    fresh.own.add_model(tuned, fake_client.tensor_table(layers))
    assert "An update of /models/base" in words(opened(fresh, "models?model=tuned"))
    assert "An update of" not in words(opened(fresh, "models?model=tiny"))


def test_two_stored_factors_are_one_matrix(fresh, opened):
    factors = fake_client.tensor_table(
        [("blocks.0.q", "q", 0, (8, 2)), ("blocks.0.q", "q", 0, (2, 8))]
    )
    fresh.own.add_model(fake_client.model_row("lora", 1), factors)
    at = opened(fresh, "models?model=lora")
    assert next(card.value for card in at.metric if card.label == "Matrices") == "1"
