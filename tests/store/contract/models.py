"""Models, tensors, labels and hashes come back as they went in."""

import pyarrow as pa
import pytest

from store import StoreError
from tests.store import examples

HOSTILE = [
    'O\'Brien "quoted"',
    "größe/层/🦙",
    "x'); drop table unit; --",
    "$model ? {columns} %s",
    "line\nbreak\ttab",
]


class ModelsContract:
    def test_an_empty_store_answers_every_list(self, fresh_store):
        assert fresh_store.models().num_rows == 0
        assert fresh_store.jobs().num_rows == 0
        assert fresh_store.profile("tiny").num_rows == 0
        assert fresh_store.units("none").num_rows == 0
        assert fresh_store.decays([]).num_rows == 0

    def test_a_model_comes_back_as_given(self, fresh_store):
        fresh_store.add_model(examples.model(), examples.tensors())
        [found] = fresh_store.model("tiny").to_pylist()
        added = found.pop("added")
        assert found == examples.model()
        assert added > 0
        assert fresh_store.models().num_rows == 1
        assert fresh_store.tensors("tiny").to_pylist() == examples.tensors().to_pylist()

    def test_adding_it_again_updates_it(self, fresh_store):
        fresh_store.add_model(examples.model(), examples.tensors())
        fresh_store.add_model(examples.model(parameters=7), examples.tensors(["embed"]))
        [found] = fresh_store.models().to_pylist()
        assert found["parameters"] == 7
        assert fresh_store.tensors("tiny").num_rows == 1

    def test_a_name_that_belongs_to_another_path_is_refused(self, fresh_store):
        fresh_store.add_model(examples.model(), examples.tensors())
        with pytest.raises(StoreError, match=r"'tiny' belongs to /models/tiny.*another name"):
            fresh_store.add_model(examples.model(path="/elsewhere"), examples.tensors())

    def test_the_same_files_against_another_base_are_another_model(self, fresh_store):
        fresh_store.add_model(examples.model(), examples.tensors())
        pair = examples.model(base="/models/base")
        with pytest.raises(StoreError, match=r"give /models/tiny against /models/base another"):
            fresh_store.add_model(pair, examples.tensors())
        fresh_store.add_model({**pair, "name": "update"}, examples.tensors())
        fresh_store.add_model({**pair, "name": "update"}, examples.tensors())
        assert fresh_store.models()["base"].to_pylist() == [None, "/models/base"]

    def test_a_removed_model_leaves_nothing_to_its_successor(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)
        fresh_store.add_model(examples.model(), examples.tensors())
        examples.run_job(fresh_store, "a", {"embed": ("u", "done", 2.0)})
        fresh_store.set_job("a", "DONE")
        fresh_store.remove_model("tiny")
        fresh_store.add_model(examples.model(path="/other"), examples.tensors())
        assert fresh_store.profile("tiny").num_rows == 0
        assert fresh_store.job("a").to_pylist()[0]["model"] == "tiny (removed)"

    def test_a_model_with_an_active_job_stays(self, fresh_store):
        fresh_store.add_model(examples.model(), examples.tensors())
        fresh_store.create_job(examples.job("a"))
        with pytest.raises(StoreError, match="job a of 'tiny' is active: cancel it"):
            fresh_store.remove_model("tiny")
        with pytest.raises(StoreError, match="no model is named 'big'"):
            fresh_store.remove_model("big")

    def test_views_of_one_tensor_stay_together_whenever_they_were_added(self, fresh_store):
        fresh_store.add_labels("tiny", examples.labels(["q", "v"]))
        fresh_store.add_labels("tiny", examples.labels(["v", "q"]))
        fresh_store.link_matrix("tiny", "q", "key of q")
        heads = examples.labels(["q", "q[head 0]"], tensor="q.weight")
        fresh_store.add_labels("tiny", heads)
        found = fresh_store.labels("tiny").to_pylist()
        assert [row["layer"] for row in found] == ["q", "q[head 0]", "v"]
        assert found[0]["matrix_key"] == "key of q"

    def test_adding_a_model_again_keeps_what_is_the_same(self, fresh_store):
        known(fresh_store)
        fresh_store.add_model(examples.model(), examples.tensors(["q", "v"]))
        fresh_store.add_labels("tiny", examples.labels(["q", "v"]))
        assert linked(fresh_store) == {"q": "key q", "q[head 0]": "key q[head 0]", "v": "key v"}

    def test_labels_go_with_their_tensor(self, fresh_store):
        known(fresh_store)
        fresh_store.add_model(examples.model(), examples.tensors(["v", "o"]))
        assert linked(fresh_store) == {"v": "key v"}

    def test_labels_go_when_their_tensor_is_skipped_now(self, fresh_store):
        known(fresh_store)
        fresh_store.add_model(examples.model(), examples.tensors(["q", "v"], state="skipped"))
        assert linked(fresh_store) == {}

    @pytest.mark.parametrize("shape", [(40, 30), (4, 8), (8, 2, 2), (32,)])
    def test_labels_of_another_shape_start_afresh(self, fresh_store, shape):
        known(fresh_store)
        changed = examples.tensors(["q"], shape).to_pylist()
        same = examples.tensors(["v"]).to_pylist()
        fresh_store.add_model(examples.model(), pa.Table.from_pylist([*changed, *same]))
        assert linked(fresh_store) == {"v": "key v"}
        fresh_store.add_labels("tiny", examples.labels(["q"], shape=(9, 9)))
        fresh_store.add_labels("tiny", examples.labels(["v"]))
        # Its new label has the tensor's old place.
        assert list(linked(fresh_store).items()) == [("q", None), ("v", "key v")]

    def test_labels_of_another_type_are_unlinked(self, fresh_store):
        known(fresh_store)
        tensors = examples.tensors(["q", "v"], dtype="float32")
        fresh_store.add_model(examples.model(), tensors)
        assert linked(fresh_store) == {"q": None, "q[head 0]": None, "v": None}
        assert set(fresh_store.labels("tiny")["dtype"].to_pylist()) == {"float32"}

    def test_a_job_on_a_replaced_file_keeps_no_old_links(self, fresh_store):
        known(fresh_store)
        fresh_store.add_labels("tiny", examples.labels(["q"], shape=(40, 30)))
        assert linked(fresh_store) == {"q": None, "v": "key v"}
        fresh_store.add_labels("tiny", examples.labels(["v"], dtype="float32"))
        assert linked(fresh_store) == {"q": None, "v": None}

    def test_a_job_on_a_file_of_another_type_unlinks_every_view(self, fresh_store):
        known(fresh_store)
        fresh_store.add_labels("tiny", examples.labels(["q"], dtype="float32"))
        assert linked(fresh_store) == {"q": None, "q[head 0]": None, "v": "key v"}
        types = fresh_store.labels("tiny")["dtype"].to_pylist()
        assert types == ["float32", "float32", "float16"]

    def test_what_a_job_read_before_the_model_was_added_again_stays(self, fresh_store):
        known(fresh_store)
        fresh_store.add_labels("tiny", examples.labels(["q"], shape=(40, 30)))
        fresh_store.link_matrix("tiny", "q", "new")
        fresh_store.add_model(examples.model(), examples.tensors(["q"], (40, 30)))
        assert linked(fresh_store) == {"q": "new"}

    def test_a_job_of_some_views_keeps_the_labels_of_others(self, fresh_store):
        known(fresh_store)
        fresh_store.add_labels("tiny", examples.labels(["q"]))
        assert linked(fresh_store) == {"q": "key q", "q[head 0]": "key q[head 0]", "v": "key v"}

    def test_other_models_keep_their_labels(self, fresh_store):
        known(fresh_store)
        fresh_store.add_model(examples.model("other"), examples.tensors(["q"], (40, 30)))
        fresh_store.add_labels("other", examples.labels(["q"], shape=(40, 30)))
        assert linked(fresh_store)["q"] == "key q"

    def test_hashes_hold_for_one_state_of_a_file(self, fresh_store):
        fresh_store.remember_tensor("/m", 10, 5, "w", "old")
        fresh_store.remember_tensor("/m", 11, 6, "w", "new")
        fresh_store.remember_tensor("/m", 11, 6, "b", "other")
        assert fresh_store.recall_tensors("/m", 10, 5).num_rows == 0
        assert fresh_store.recall_tensors("/m", 11, 6).to_pylist() == [
            {"tensor": "b", "sha256": "other"},
            {"tensor": "w", "sha256": "new"},
        ]

    @pytest.mark.parametrize("text", HOSTILE)
    def test_any_text_comes_back_as_it_went_in(self, fresh_store, text):
        fresh_store.declare(examples.SPECTRUM)
        fresh_store.add_model(examples.model(text), examples.tensors([text]))
        fresh_store.add_labels(text, examples.labels([text]))
        examples.run_job(fresh_store, text, {text: (text, "failed", text)}, model=text)
        fresh_store.log(text, text, "info", text)
        examples.keep(fresh_store, {text: [1.0]})
        assert fresh_store.models()["name"].to_pylist() == [text]
        [profiled] = fresh_store.profile(text).to_pylist()
        assert [profiled[name] for name in ("layer", "job", "message")] == [text] * 3
        assert fresh_store.results(text)["label"].to_pylist() == [text]
        assert fresh_store.log_lines(text)["text"].to_pylist() == [text]
        assert fresh_store.decays([text])["key"].to_pylist() == [text]


def known(store):
    """Add a model of q, with a head, and v, and link all three."""
    store.add_model(examples.model(), examples.tensors(["q", "v"]))
    store.add_labels("tiny", examples.labels(["q", "v"]))
    head = examples.labels(["q[head 0]"], tensor="q.weight", shape=(4, 4), view="head 0")
    store.add_labels("tiny", head)
    for layer in ("q", "q[head 0]", "v"):
        store.link_matrix("tiny", layer, f"key {layer}")


def linked(store):
    """Return the matrix key of each layer, in order."""
    return {row["layer"]: row["matrix_key"] for row in store.labels("tiny").to_pylist()}
