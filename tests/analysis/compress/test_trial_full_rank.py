"""At full rank a trial answers as the dense model; with everything kept it is that model."""

import pytest
import torch

from analysis.compress.trials import making
from analysis.compress.trials.choosing import Choice
from analysis.compress.trials.specs import Spec
from tests.analysis.compress.staged import by_hand, full_ranks, logits, ranked, staged

pytestmark = pytest.mark.usefixtures("one_thread")
RANKED = ("svd", "fwsvd", "asvd", "whitened_svd", "two_sided_svd", "welore")


@pytest.fixture(scope="module", params=["llama", "tied", "qwen2", "gpt2", "bert", "half"])
def stages(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return staged(folder, request.param, dtype="float32")


def off(stages, made):
    dense = logits(stages.opened.network())
    return float((logits(made.network) - dense).abs().max() / dense.abs().max())


@pytest.mark.parametrize("form", ["two_factor", "row_interpolative"])
@pytest.mark.parametrize("method", RANKED)
def test_full_ranks_answer_as_the_dense_model(stages, method, form):
    made = stages.made(by_hand(method, full_ranks(stages), form))
    assert len(made.forms) == len(stages.opened.layers)
    assert {type(m).kind for m in made.forms.values()} == {form}
    # The factors are float32: a rounding of 2^-24 at each of a dozen products.
    assert off(stages, made) < 1e-5
    assert all(one.error < 1e-5 for one in made.results)


@pytest.mark.parametrize("method", ["tucker", "mpo"])
def test_the_largest_tensors_answer_as_the_dense_model(stages, method, monkeypatch):
    def largest(offers, held, budget):
        return Choice(options={first: options[-1] for first, options in offers.items()})

    monkeypatch.setattr(making, "choose_options", largest)
    made = stages.made(Spec(method, kept=0.9))
    kinds = {type(form).kind for form in made.forms.values()}
    assert kinds == {"head_tucker" if method == "tucker" else "tensor_train"}
    covered = {"q", "k", "v", "o"} if method == "tucker" else {one.role for one in made.results}
    assert {one.role for one in made.results if not one.dense} == covered
    assert off(stages, made) < 1e-5
    assert "Larger than dense: " in "\n".join(made.warnings)


def test_laser_at_all_of_the_rank_answers_as_the_dense_model(stages):
    made = stages.made(Spec("laser", {"rank_share": "1.0"}))
    assert {type(form).kind for form in made.forms.values()} == {"merged"}
    assert off(stages, made) < 1e-5


@pytest.mark.parametrize("method", ["two_sided_svd", "mpo", "tucker"])
def test_everything_kept_is_the_untouched_model(stages, method):
    more = {"compensation": "svd", "compensation_rank": 1}  # which has nothing to correct
    spec = ranked(method, 1.0, **more) if method in RANKED else Spec(method, kept=1.0)
    made, dense = stages.made(spec), stages.opened.network()
    assert made.forms == {}
    found, expected = made.network.state_dict(), dense.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert torch.equal(logits(made.network), logits(dense))
    assert made.linear[0] == made.linear[1]


def test_a_rank_below_the_full_one_does_not(stages):
    """The bound above is one that a lost direction breaks."""
    ranks = {layer: rank - 1 for layer, rank in full_ranks(stages).items()}
    assert off(stages, stages.made(by_hand("svd", ranks))) > 1e-4
