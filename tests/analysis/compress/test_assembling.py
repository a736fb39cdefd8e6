"""Forms in the places of layers, and what each layer then loses."""

from dataclasses import replace

import pytest
import torch

from analysis.compress.calibration import calibrate as calibration
from analysis.compress.forms import Compensated, RowInterpolative, TwoFactor
from analysis.compress.pieces import NonFiniteLayer
from analysis.compress.registry import find
from analysis.compress.trials import predicting
from analysis.compress.trials.assembling import Assembly, result
from analysis.compress.trials.choosing import Choice
from analysis.compress.trials.factoring import _keep, factor_stage, read_tensors
from analysis.compress.trials.specs import Spec
from analysis.compress.trials.stages import STATISTICS
from analysis.compress.trials.targets import weight
from analysis.registry import Quiet
from tests.analysis.compress.calibrated import layer, norm, normal, piece
from tests.analysis.compress.staged import ranked, staged

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """84 tokens for 24 inputs: as many as a Gram matrix needs to be taken as it is."""
    return staged(tmp_path_factory.mktemp("model"), "tied")


def by_layer(stages, spec, name):
    return {one.layer: getattr(one, name) for one in stages.made(spec).results}


@pytest.mark.parametrize("bits", ["3", "4"])
def test_a_correction_helps_and_the_whitened_one_most(stages, bits):
    """Layer by layer, on the inputs of the calibration: the whitened one is the best there is."""
    rounded = Spec("rtn", {"bits": bits})
    plain = replace(rounded, compensation="svd", compensation_rank=3)
    eora = replace(rounded, compensation="eora", compensation_rank=3)
    bare, svd, best = (by_layer(stages, one, "whitened") for one in (rounded, plain, eora))
    assert all(best[name] < svd[name] * (1 + 1e-6) for name in bare)
    assert all(best[name] < bare[name] for name in bare)
    assert sum(svd.values()) < sum(bare.values())
    bare, svd, best = (by_layer(stages, one, "error") for one in (rounded, plain, eora))
    assert all(svd[name] <= best[name] * (1 + 1e-6) for name in bare)
    assert all(svd[name] < bare[name] for name in bare)


def test_each_method_is_the_best_at_what_it_minimises(stages):
    ranks = {"blocks.0.up": 4, "blocks.1.q": 3}
    found = {
        name: stages.made(Spec(name, allocation="by_hand", form="two_factor", ranks=ranks))
        for name in ("svd", "whitened_svd", "two_sided_svd", "asvd", "fwsvd")
    }
    errors = {name: losses(stages, made) for name, made in found.items()}
    columns = {"svd": "error", "whitened_svd": "whitened", "two_sided_svd": "factored"}
    for best, column in columns.items():
        for name in found:
            for name_of in ranks:
                # A full left side is inverted with a ridge, and factors are float32.
                least = errors[best][name_of][column] * (1 - 1e-5)
                assert errors[name][name_of][column] >= least, name


def losses(stages, made):
    """What the layers that were replaced lose, by the measures that the methods minimise."""
    found = {}
    dense, known = (
        stages.opened.network(),
        calibration.load(next(iter(stages.statistics().values())) / STATISTICS),
    )
    for target in made.targets:
        if target.layer in made.forms:
            form = made.forms[target.layer]
            lost = weight(dense, target).double() - form.dense().detach().double()
            G = known[target.layer].gram
            found[target.layer] = {
                "error": float(lost.square().sum()),
                "whitened": float((lost @ G * lost).sum()),
                "factored": predicting.factored(lost, known[target.layer]),
            }
    return found


def test_a_rank_with_its_correction_that_saves_nothing_stays_dense(stages):
    """Rank 7 of 16 x 16 holds 224 of 256 numbers; two more directions of a correction hold 64."""
    made = stages.made(ranked("svd", 0.97, "uniform", compensation="svd", compensation_rank=2))
    assert all(one.numbers <= one.of_numbers for one in made.results)
    assert made.linear[0] <= 0.97 * made.linear[1]
    assert not any("Larger" in said for said in made.warnings)


def assembly(spec, choice, dtype=torch.float32):
    method = find(spec.method)
    return Assembly(spec, method, method.params(), choice, dtype)


def factored(tmp_path, pieces, method="svd"):
    """Factors as the stage keeps them, of pieces that are no file's."""
    _keep(tmp_path, {
        f"{one.layer}|{name}": tensor
        for one in pieces
        for name, tensor in find(method).function([one], find(method).params()).items()
    }, [])  # fmt: skip
    return tmp_path


@pytest.mark.parametrize(("form", "kind"), [("two_factor", TwoFactor),
                                            ("row_interpolative", RowInterpolative)])  # fmt: skip
def test_a_form_of_some_rank_is_the_best_of_that_rank(tmp_path, form, kind):
    given, _, _ = layer(9, 6)
    other = piece(normal(5, 6), layer="blocks.0.k")
    spec = Spec("svd", kept=0.5, allocation="greedy", form=form)
    made = assembly(spec, Choice({given.layer: 3, other.layer: None})).forms(
        [given, other], factored(tmp_path, [given, other])
    )
    assert list(made) == [given.layer]
    assert type(made[given.layer]) is kind
    lost = given.W - made[given.layer].dense().detach().double()
    assert result(given, made[given.layer], 3)[0].lost_rank == 0.5
    tail = torch.linalg.svdvals(given.W)[3:]
    assert norm(lost) == pytest.approx(norm(tail), rel=1e-6)


def test_nothing_of_a_layer_may_be_left(tmp_path):
    given, _, _ = layer(9, 6)
    spec = Spec("svd", kept=0.5, allocation="greedy", form="two_factor")
    made = assembly(spec, Choice({given.layer: 0})).forms([given], factored(tmp_path, [given]))
    found, _ = result(given, made[given.layer], 0)
    assert (found.numbers, found.error, found.whitened, found.lost_rank) == (0, 1.0, 1.0, 1.0)
    assert not made[given.layer](torch.ones(2, 6)).any()


def test_errors_are_of_what_the_file_holds(tmp_path):
    given, _, _ = layer(9, 6)
    spec = Spec("svd", kept=0.5, allocation="greedy", form="two_factor")
    choice, folder = Choice({given.layer: 6}), factored(tmp_path, [given])
    spec = replace(spec, allocation="by_hand")  # two factors of full rank hold more than dense
    wide = assembly(spec, choice).forms([given], folder)[given.layer]
    half = assembly(spec, choice, torch.float16).forms([given], folder)[given.layer]
    assert result(given, wide, 6)[0].error < 1e-6
    assert 1e-5 < result(given, half, 6)[0].error < 1e-3


def test_a_correction_sees_what_rounding_left(tmp_path):
    """Of factors in float16 it corrects what those lose, not what they would lose in float64."""
    given, _, _ = layer(9, 6)
    spec = Spec("svd", kept=0.5, allocation="greedy", form="two_factor",
                compensation="svd", compensation_rank=6)  # fmt: skip
    folder = factored(tmp_path, [replace(given, W=1000 * given.W)])
    given = replace(given, W=1000 * given.W)
    choice = Choice({given.layer: 2})
    by_hand = replace(spec, allocation="by_hand")  # else it holds too much
    form = assembly(by_hand, choice, torch.bfloat16).forms([given], folder)[given.layer]
    assert isinstance(form, Compensated)
    assert assembly(spec, choice, torch.bfloat16).forms([given], folder) == {}
    rest = given.W - form.form.dense().detach().double()
    # What is left is the rounding of the correction alone: 2^-8 of it.
    assert norm(rest - (form.B @ form.A).detach().double()) < 2**-7 * norm(rest)


def test_a_value_beyond_the_dtype_names_the_layer(tmp_path):
    given, _, _ = layer(9, 6)
    given = replace(given, W=1e6 * given.W)
    spec = Spec("svd", kept=0.5, allocation="greedy", form="two_factor")
    made = assembly(spec, Choice({given.layer: 3}), torch.float16)
    with pytest.raises(NonFiniteLayer, match=r"blocks\.0\.q: its form in torch\.float16"):
        made.forms([given], factored(tmp_path, [given]))


def test_a_layer_that_stays_dense_loses_nothing():
    given, _, _ = layer(5, 7)
    found, change = result(given, None, None)
    assert (change.slope, change.curvature, change.z) == (0.0, 0.0, None)
    assert (found.dense, found.numbers, found.of_numbers) == (True, 35, 35)
    assert found.error == found.whitened == found.heldout == found.predicted == 0.0
    bare, change = result(replace(given, statistics=None), None, None)
    assert change is None
    assert bare.whitened is bare.heldout is bare.predicted is None


def test_factors_are_read_by_what_was_seen_together(stages, tmp_path):
    refs = stages.groups()["block 0"]
    list(factor_stage(refs, "svd", None, None, tmp_path, Quiet()))
    found = read_tensors(tmp_path, "blocks.0.q")
    assert sorted(found) == ["blocks.0.q.A", "blocks.0.q.B"]
    assert found["blocks.0.q.A"].dtype == torch.float32
    assert read_tensors(tmp_path, "blocks.0") == {}
