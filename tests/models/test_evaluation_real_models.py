"""Real models measured under the protocol that their published numbers state."""

import pytest

from analysis.evaluate.evaluation import Settings, difference, evaluate
from analysis.networks.opened import OpenedModel
from tests.models.folders import FOLDER, needs

STORIES = FOLDER / "stories260k"
ADAPTER = FOLDER / "lora_stories260k_shakespeare"
MINILM = FOLDER / "all-MiniLM-L6-v2-fp16"
TINY = ("tinystories_1to400.txt", "bos-per-document")
WIKI = ("wikitext2_valid_first400k.txt", "stream")
PLAYS = ("tinyshakespeare_last10pct.txt", "stream")
pytestmark = [pytest.mark.models, needs(STORIES.name, "eval")]


def measured(opened, text, preset, **more):
    settings = {"window": 256, "windows": 40, "first": True} | more
    given = Settings(text=str(FOLDER / "eval" / text), preset=preset, **settings)
    return evaluate(opened, opened.network(), given)


# Half a unit of the last digit that is published.
@pytest.mark.parametrize(
    ("read", "perplexity", "digit"),
    [(TINY, 3.7152, 5e-5), (WIKI, 200.83, 5e-3), (PLAYS, 131.79, 5e-3)],
    ids=["stories", "wikitext", "plays"],
)
def test_stories(read, perplexity, digit):
    found = measured(OpenedModel.open(STORIES), *read)
    assert found.perplexity == pytest.approx(perplexity, abs=1.2 * digit)
    assert found.counts == (255,) * 40


@needs(ADAPTER.name)
@pytest.mark.parametrize(("read", "perplexity"), [(PLAYS, 16.417), (TINY, 19.330)])
def test_an_adapter(read, perplexity):
    found = measured(OpenedModel.open(ADAPTER, base=str(STORIES)), *read)
    # Merged into its base here: rounding moves the last digit.
    assert found.perplexity == pytest.approx(perplexity, abs=1e-3)


def test_the_first_windows_are_easier_than_a_sample():
    opened = OpenedModel.open(STORIES)
    whole = measured(opened, *TINY, windows=0, first=False)
    assert whole.perplexity == pytest.approx(4.845, rel=0.008)
    sampled = measured(opened, *TINY, windows=160, first=False)
    # Four standard errors of 160 windows, at 4.4 % for the 95 % of 40.
    assert sampled.perplexity == pytest.approx(whole.perplexity, rel=4 * 0.044 / 2 / 2)
    assert measured(opened, *TINY).perplexity < 0.85 * whole.perplexity


@needs(ADAPTER.name)
def test_the_adapter_is_worse_at_stories_outside_of_its_interval():
    dense = measured(OpenedModel.open(STORIES), *TINY)
    trial = measured(OpenedModel.open(ADAPTER, base=str(STORIES)), *TINY)
    value, low, high = difference(trial, dense)
    assert value == pytest.approx(trial.score - dense.score)
    assert 1 < low < value < high < 2.5


@needs(MINILM.name)
def test_sentence_pairs():
    opened = OpenedModel.open(MINILM)
    given = Settings(pairs=str(FOLDER / "eval" / "stsb-en-dev.csv"))
    found = evaluate(opened, opened.network(), given)
    assert len(found.parts) == 1500
    assert found.score == pytest.approx(0.86717, abs=1e-5)
