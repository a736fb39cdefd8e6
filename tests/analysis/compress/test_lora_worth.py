"""What an update is worth: its base alone, on the windows on which the whole was measured."""

import json
from dataclasses import replace

import pytest

from analysis.compress.lora.worth import Worth, base_stage
from analysis.compress.trials.measuring import evaluation_stage
from analysis.networks.opened import OpenedModel
from analysis.registry import Quiet
from tests.analysis.compress.test_lora_trial import SHRUNK, Trials
from tests.analysis.compress.test_lora_trial import adapter as adapter

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")


def worth(low, high, gain=None):
    return Worth("loss", 3.0, (low + high) / 2 if gain is None else gain, low, high)


def test_the_base_is_measured_without_any_of_the_update_on_the_same_windows(adapter: Trials):
    folder = adapter.folder / "alone"
    [said] = base_stage(adapter.opened, adapter.params, folder, Quiet())
    bare = OpenedModel(adapter.opened.source.base)
    [expected] = evaluation_stage(bare, adapter.params, adapter.folder / "bare", Quiet())
    assert said.score == expected.score
    row = adapter.row(SHRUNK, base=folder)
    assert row.base_score == expected.score
    # Its sign: positive where the base is worse than the whole update.
    assert row.worth == pytest.approx(expected.score - adapter.dense, abs=1e-9)
    assert row.worth != 0
    assert row.worth_low < row.worth < row.worth_high
    assert (row.beside, "Shares are of the" in row.notes) == ("whole adapter", True)
    assert "Shares are of the" not in row.warnings


def test_a_row_without_a_measured_base_says_nothing_of_it(adapter: Trials):
    row = adapter.row(SHRUNK)
    assert (row.base_score, row.worth, row.worth_low) == (None, None, None)
    assert "no better than" not in row.warnings


def test_one_window_gives_a_worth_without_an_interval(adapter: Trials):
    one = replace(adapter.params, windows=1)
    for stage, name in ((evaluation_stage, "whole"), (base_stage, "alone")):
        list(stage(adapter.opened, one, adapter.folder / name, Quiet()))
    more = {"dense": adapter.folder / "whole", "base": adapter.folder / "alone", "params": one}
    row = adapter.row(SHRUNK, **more)
    assert (row.worth_low, row.worth_high) == (None, None)
    assert json.dumps(row.worth)  # a number, and no NaN
    assert row.worth == pytest.approx(row.base_score - row.dense_score, abs=1e-9)


@pytest.mark.parametrize(
    ("found", "warned"),
    [
        (worth(0.1, 0.3), False),
        (worth(-0.1, 0.3), True),  # not told from nothing
        (worth(-0.3, -0.1), True),
        (worth(float("nan"), float("nan"), 0.2), False),
        (worth(float("nan"), float("nan"), -0.2), True),
    ],
)
def test_a_text_that_does_not_tell_the_update_from_none_is_warned_of(found, warned):
    said = found.warnings("whole adapter", "stories")
    assert bool(said) == warned
    if warned:
        [sentence] = said
        assert f"stories alone: without it the loss changes by {found.gain:+.3f}" in sentence
        assert "nan" not in sentence
