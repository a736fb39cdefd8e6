"""On the bundled sample, which trials lose less than which: outside of their paired intervals.

Two trials are compared on the same windows of held-out text, each with the other and not with the
dense model: what varies from window to window is mostly the same in both.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import pytest
import torch

from analysis import sample
from analysis.compress.trials.measuring import read_evaluation, settings_of
from analysis.compress.trials.specs import Spec
from analysis.evaluate.evaluation import difference, evaluate
from analysis.trial import Params
from tests.analysis.compress.staged import Staged, ranked

WINDOWS = {"calibration_windows": 64, "calibration_length": 256, "windows": 48, "window": 256}
RELIABLE = 0.3  # nats: what a prediction, and two-sided whitening with it, is good for
MANY = 160  # windows, so that a hundredth of a nat is measured to a tenth of itself
FACTOR = 1.5  # within which a prediction is of what is measured below 0.1 nats
PLAIN = {"bits": "3"}  # asymmetric, a scale for every 64 columns


@dataclass(frozen=True)
class Measured:
    evaluation: object
    predicted: float
    kept: float


class Sweep:
    """Trials of the sample; each is measured once."""

    def __init__(self, folder):
        self.stages = Staged(sample.MODEL, Params(speed=False, **WINDOWS), folder)
        self._found = {}

    @cached_property
    def dense(self):
        return read_evaluation(self.stages.dense())

    @cached_property
    def dense_on_many(self):
        return evaluate(self.stages.opened, self.stages.opened.network(), self._many)

    @property
    def _many(self):
        return replace(settings_of(self.stages.params), windows=MANY)

    def lost_on_many(self, spec):
        """What a trial loses and was predicted to, on more windows than the orderings need."""
        made = self.stages.made(spec)
        found = evaluate(self.stages.opened, made.network, self._many)
        return difference(found, self.dense_on_many)[0], made.predicted

    def trial(self, spec):
        if spec.label not in self._found:
            made = self.stages.made(spec)
            linear, of_linear = made.linear
            found = evaluate(self.stages.opened, made.network, settings_of(self.stages.params))
            self._found[spec.label] = Measured(found, made.predicted, linear / of_linear)
        return self._found[spec.label]

    def lost(self, spec):
        return difference(self.trial(spec).evaluation, self.dense)

    def more(self, worse, better):
        """How many nats per token more one trial loses than another, and the interval's ends."""
        return difference(self.trial(worse).evaluation, self.trial(better).evaluation)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    # Two threads on cores that others use as well wait for each other, and take many times as long.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Sweep(tmp_path_factory.mktemp("sample"))
    torch.set_num_threads(before)


def uniform(method, kept, form="two_factor"):
    return ranked(method, kept, "uniform", form)


def greedy(method, kept, form="two_factor"):
    return ranked(method, kept, "greedy", form)


def rounded(compensation="none", rank=0):
    return Spec("rtn", PLAIN, compensation=compensation, compensation_rank=rank)


@pytest.mark.parametrize("kept", [0.8, 0.6, 0.4])
@pytest.mark.parametrize("other", ["svd", "fwsvd", "asvd"])
def test_whitened_svd_loses_less_than_the_weight_and_diagonal_ones(sweep, other, kept):
    worse, better = uniform(other, kept), uniform("whitened_svd", kept)
    _, low, _ = sweep.more(worse, better)
    assert low > 0
    assert sweep.trial(better).evaluation.perplexity < sweep.trial(worse).evaluation.perplexity


@pytest.mark.parametrize("kept", [0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
def test_greedy_on_the_expected_loss_loses_less_than_uniform(sweep, kept):
    worse, better = uniform("whitened_svd", kept), greedy("whitened_svd", kept)
    assert sweep.stages.made(better).choice.objective == "expected"
    _, low, _ = sweep.more(worse, better)
    assert low > 0


@pytest.mark.parametrize("kept", [0.9, 0.8, 0.7, 0.6, 0.5])
def test_two_sided_whitening_is_no_worse_than_one_sided_while_little_is_lost(sweep, kept):
    one, two = greedy("whitened_svd", kept), greedy("two_sided_svd", kept)
    assert sweep.lost(one)[0] < RELIABLE
    _, low, _ = sweep.more(two, one)
    assert low <= 0


def test_two_sided_whitening_is_better_where_the_two_differ_most(sweep):
    _, low, _ = sweep.more(greedy("whitened_svd", 0.6), greedy("two_sided_svd", 0.6))
    assert low > 0


@pytest.mark.parametrize(
    ("rule", "method", "kept"),
    [(uniform, "whitened_svd", kept) for kept in (0.9, 0.6, 0.4)]
    + [(greedy, "two_sided_svd", kept) for kept in (0.8, 0.6)],
)
def test_the_row_interpolative_form_loses_less_at_equal_parameters(sweep, rule, method, kept):
    two, rows = rule(method, kept), rule(method, kept, "row_interpolative")
    _, low, _ = sweep.more(two, rows)
    assert low > 0
    # One direction of the widest layer is a thousandth of all numbers.
    assert sweep.trial(rows).kept <= sweep.trial(two).kept + 1e-3


def test_eora_gives_back_more_of_what_rounding_to_three_bits_took_than_svd_does(sweep):
    bare, svd, eora = (sweep.trial(rounded(*by)) for by in (("none",), ("svd", 8), ("eora", 8)))
    _, low, _ = sweep.more(rounded(), rounded("svd", 8))
    assert low > 0
    _, low, _ = sweep.more(rounded("svd", 8), rounded("eora", 8))
    assert low > 0
    assert svd.kept == eora.kept > bare.kept


SMALL_SHARE = (
    "rank 8 is 3.1 % of the sample's width, the 30 % were set on a narrower model, and rank 12 "
    "reaches them: rank 8 gives back 27 % in groups of 64, 28 % in those of 32, 22 % by whole rows"
)


@pytest.mark.parametrize(
    "rank", [pytest.param(8, marks=pytest.mark.xfail(strict=True, reason=SMALL_SHARE)), 12]
)
def test_eora_gives_back_almost_a_third_of_what_rounding_to_three_bits_took(sweep, rank):
    bare, eora = (sweep.trial(rounded(*by)).evaluation for by in (("none",), ("eora", rank)))
    gap = bare.perplexity - sweep.dense.perplexity
    assert bare.perplexity - eora.perplexity >= 0.3 * gap


PREDICTED = [
    pytest.param(greedy(method, kept), id=f"{method} {kept}")
    for method in ("whitened_svd", "two_sided_svd")
    for kept in (0.9, 0.8, 0.7, 0.6)
]


@pytest.mark.parametrize("spec", PREDICTED)
def test_what_was_predicted_is_near_what_is_measured_while_that_is_little(sweep, spec):
    measured, predicted = sweep.lost_on_many(spec)
    assert measured < 0.1
    assert measured / FACTOR <= predicted <= measured * FACTOR
