"""The Hessian of one weight matrix of a trained transformer, as a matrix and from products."""

import numpy as np
import pytest

from analysis.hessian_rank import Params, hessian_rank
from analysis.networks.errors import NotRunnable
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.registry import Quiet
from tests.models.folders import FOLDER, needs

STORIES = FOLDER / "stories260k"
TEXT = FOLDER / "eval" / "tinystories_1to400.txt"
pytestmark = [pytest.mark.models, needs(STORIES.name)]


def key_block(**params):
    """The block of the first layer's keys, 2,048 parameters, on two windows of stories."""
    model = OpenedModel.open(STORIES, layers=["blocks.0.k"])
    chosen = Params(text=str(TEXT), windows=2, length=32, tolerance=1e-3, **params)
    [row] = hessian_rank(model, Inputs(model, str(TEXT)), chosen, Quiet())
    return row


@pytest.fixture(scope="module")
def exact():
    return key_block()


@pytest.fixture(scope="module")
def estimated():
    return key_block(exact_limit=2000)


def test_the_two_methods_look_at_the_same_matrix(exact, estimated):
    assert (exact.method, estimated.method) == ("exact", "estimated")
    assert exact.parameters == estimated.parameters == 2048
    assert exact.value == estimated.value
    assert 1 < exact.value < 3
    assert exact.split_residual < 1e-10


def test_the_largest_eigenvalues_agree(exact, estimated):
    assert estimated.top_eigenvalues == pytest.approx(exact.top_eigenvalues, rel=1e-6)


def test_the_traces_agree_within_three_standard_errors(exact, estimated):
    for name in ("trace", "trace_outer", "trace_functional"):
        apart = abs(getattr(exact, name) - getattr(estimated, name))
        assert apart < 3 * getattr(estimated, f"{name}_se")


def test_the_counts_agree_within_three_standard_errors(exact, estimated):
    above = (np.abs(exact.eigenvalues) > estimated.threshold).sum()
    assert estimated.rank == estimated.significant
    assert above == exact.significant
    assert abs(above - estimated.rank) < 3 * estimated.rank_se < 0.2 * above


def test_float64_resolves_what_float32_does_not(exact):
    assert exact.rank_float32 < exact.rank
    assert "in float32 the rank would come out as" in exact.warning
    assert min(exact.eigenvalues_outer) > -1e-12 * max(exact.eigenvalues_outer)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("all-MiniLM-L6-v2-fp16", "has no head, so it has no loss to differentiate"),
        ("resnet20_cifar10", "nothing says how it runs"),
        ("lenet5_mnist", "nothing says how it runs"),
    ],
)
def test_what_has_no_loss_is_refused_in_a_sentence(name, said):
    model = OpenedModel.open(FOLDER / name)
    with pytest.raises(NotRunnable, match=said):
        list(hessian_rank(model, Inputs(model), Params(), Quiet()))


def test_an_adapter_runs_as_its_base_with_the_update():
    folder = FOLDER / "lora_stories260k_shakespeare"
    text = FOLDER / "eval" / "tinyshakespeare_last10pct.txt"
    values = {}
    for path, base in ((folder, str(STORIES)), (STORIES, None)):
        model = OpenedModel.open(path, layers=["blocks.0.k"], base=base)
        chosen = Params(
            text=str(text), windows=2, length=16, exact_limit=1, starts=1, steps=2, traces=1
        )
        [row] = hessian_rank(model, Inputs(model, str(text)), chosen, Quiet())
        values[path.name] = row.value
    assert values[folder.name] < values[STORIES.name] - 0.5
