"""An adapter on the page of compression: its words, its ranks, its base, its form."""

import json

import numpy as np
import pytest

from app.plots import layer_ranks
from tests.app import fake_client, fake_trials
from tests.app.seen import button, figure, titles, words
from tests.app.test_compression_trials import cards, table

PAGE = "compression?model=tuned"
NOTE = "Shares are of the 384 numbers of the adapter before it was shrunk."
SIZES = {0.75: 0.05, 0.5: 0.16, 0.25: 0.62}  # what each size loses
NOT_ASKED = (
    "calibrate", "trial.ranks", "trial.objective", "trial.gradient", "trial.calibration_windows",
    "trial.calibration_length", "trial.compensation", "trial.compensation_rank",
    "trial.recovery_steps", "trial.recovery_lr", "trial.recovery_layers", "trial.speed",
)  # fmt: skip
WIDGETS = ("selectbox", "text_input", "number_input", "checkbox", "multiselect", "text_area")


def layers(kept):
    """Return the layers of an adapter of rank 4, as a trial's JSON has them."""
    rank = int(4 * kept)
    return [
        {"layer": f"blocks.{block}.q", "role": "q", "block": block, "rows": 64, "cols": 64,
         "rank": rank, "dense": False, "words": f"rank {rank} of 4, 98.0% of its energy",
         "numbers": rank * 128, "of_numbers": 4 * 128, "error": 0.1, "rank_before": 4,
         "energy": 0.98}
        for block in range(2)
    ]  # fmt: skip


def row(kept, **more):
    none = dict.fromkeys(
        ("latency", "dense_latency", "peak_bytes", "dense_peak_bytes", "predicted",
         "whitened_error", "heldout_error")
    )  # fmt: skip
    own = {
        "allocation": "uniform", "form": "", "objective": "relative", "calibrated_on": "",
        "speed_at": "merged: same shapes", "beside": "whole adapter", "notes": NOTE,
        "base_score": fake_trials.DENSE + 0.25, "worth": 0.25, "worth_low": 0.2,
        "worth_high": 0.3, "layers": json.dumps(layers(kept)),
    }  # fmt: skip
    return fake_trials.row("lora_shrink", kept, SIZES[kept], **{**none, **own, **more})


@pytest.fixture
def adapter(offered, monkeypatch):
    """A client of an adapter of which there is no trial yet."""
    made = fake_client.model_row
    monkeypatch.setattr(fake_client, "model_row", lambda *given: made(*given) | {"kind": "adapter"})
    fake_client.add_profile(offered.own, "tuned")
    return offered


@pytest.fixture
def shrunk(adapter):
    """The same with a sweep of three sizes, the smallest of which ended first."""
    names = {kept: f"lora_shrink, {100 * kept:g} %" for kept in SIZES}
    job = fake_client.add_job(adapter.own, "tuned", "trial", labels=list(names.values()))
    adapter.keys = {
        kept: fake_trials.add_trial(adapter, job, row(kept), names[kept])
        for kept in reversed(SIZES)
    }
    adapter.own.set_job(job, "DONE")
    return adapter


def test_the_open_trial_stands_beside_the_whole_adapter_and_its_base(shrunk, opened):
    at = opened(shrunk, f"{PAGE}&trial={shrunk.keys[0.5]}")
    assert not at.exception
    shown = cards(at)
    assert shown["Adapter kept"] == ("50 %", "asked 50 %")
    assert shown["On disk"][1].endswith(" whole adapter")
    assert shown["Perplexity"][1] == "whole adapter 6.05"
    assert shown["Perplexity, base alone"] == (
        f"{np.exp(fake_trials.DENSE + 0.25):.2f}", "Δ +0.250 [+0.200, +0.300]",
    )  # fmt: skip
    assert not {"Linear layers kept", "Latency"} & set(shown)
    told = [*(card.help for card in at.metric), *(text.value for text in at.caption)]
    assert not [text for text in told if "dense" in text.lower()]
    assert "No calibration; measured on" in words(at)
    assert "Whole adapter" in [caption.value for caption in at.caption]


def test_what_sizes_are_of_is_a_caption_and_no_warning(shrunk, opened):
    at = opened(shrunk, f"{PAGE}&trial={shrunk.keys[0.5]}")
    assert NOTE in [caption.value for caption in at.caption]
    assert not at.warning


def test_ranks_are_shares_of_the_adapters_own(shrunk, opened):
    at = opened(shrunk, f"{PAGE}&trial={shrunk.keys[0.25]}")
    written = figure(at, "layers-0").data[-1]
    assert list(written.text) == ["25 %", "25 %"]  # rank 1 of 4, and not of 64
    assert "rank 1 of 4, 98.0% of its energy" in written.hovertext[0]
    [drawn] = layer_ranks.maps(layer_ranks.read(json.dumps(layers(0.25))), "rank")
    np.testing.assert_array_equal(drawn.cells.colour, [[0.25, 0.25]])
    assert "Share of its own rank that each layer's update keeps." in words(at)


def test_a_sweep_is_listed_in_the_order_asked_in_an_adapters_words(shrunk, opened):
    at = opened(shrunk, PAGE)
    assert not at.exception
    shown = table(at, "trials")
    assert shown["trial"].str.partition(".")[2].tolist() == ["1", "2", "3"]
    assert shown["asked"].tolist() == [75.0, 50.0, 25.0]
    assert shown["adapter"].tolist() == [75.0, 50.0, 25.0]
    # Nothing of an adapter is predicted, calibrated or timed.
    assert not {"linears", "predicted", "error", "speed"} & set(shown)
    names = [trace.name for trace in figure(at, "accuracy").data]
    assert names == ["Pareto front", "lora_shrink", "whole adapter"]
    assert "dashed: the whole adapter. No calibration; measured on" in words(at)
    assert at.selectbox(key="accuracy_by").options[0] == "Δloss from the whole adapter"
    assert at.selectbox(key="size_by").options[-1] == "parameters kept of the adapter"


def test_the_form_asks_an_adapter_for_nothing_that_has_no_meaning_there(adapter, opened):
    at = opened(adapter, PAGE)
    assert not at.exception
    keys = {widget.key for kind in WIDGETS for widget in at.get(kind)}
    assert not set(NOT_ASKED) & keys
    assert {"evaluate", "trial.windows", "trial.dtype", "trial.lora_shrink.rank"} <= keys
    assert "Calibrate on" not in words(at)
    assert "**Ranks and calibration**" not in [text.value for text in at.markdown]
    assert "merged into its base it runs as fast as the whole one" in words(at)
    button(at, "Launch").click().run()
    assert set(adapter.calls[0][3]) == {"methods", "kept", "allocations", "forms"}


def test_ranks_that_another_page_left_are_not_launched_on_an_adapter(adapter, opened):
    at = opened(adapter, "rank_tradeoffs?model=tiny")
    at.session_state["trial.ranks"] = '{"blocks.0.q": 12}'
    at.query_params["model"] = "tuned"
    at.switch_page("views/compression.py").run()
    assert at.selectbox(key="model").value == "tuned"
    button(at, "Launch").click().run()
    assert "ranks" not in adapter.calls[0][3]


def test_a_trial_that_the_whole_adapter_beats_leaves_no_front_to_draw(adapter, opened):
    job = fake_client.add_job(adapter.own, "tuned", "trial", labels=["a"])
    larger = row(0.5, bytes=2 * fake_trials.DENSE_BYTES)
    fake_trials.add_trial(adapter, job, larger, "lora_shrink, 50 %")
    at = opened(adapter, PAGE)
    assert titles(at)[0] == "Accuracy against size"
    assert [t.name for t in figure(at, "accuracy").data] == ["lora_shrink", "whole adapter"]
    assert "Pareto front" not in " ".join(text.value for text in at.caption)
