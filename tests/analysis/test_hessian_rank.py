"""Exact Hessian ranks of small nets: the published ones, the predicted ones, and where they end."""

import numpy as np
import pytest
import torch

from analysis.networks.errors import BadInput
from analysis.numerics.hessian import measures as hessian_measures
from analysis.numerics.hessian.exact import eigenvalues
from analysis.registry import AnalysisError
from tests.analysis.chains import conv_shapes, dense_shapes, measured, saved_chain, whole

# widths, parameters, ranks of H_O, H_F and H
FULLY_CONNECTED = [
    ((25, 5, 10, 10), 275, (150, 175, 250)),
    ((5, 4, 3), 32, (15, 24, 30)),
    ((4, 8, 2), 48, (8, 32, 36)),
    ((6, 10, 1), 70, (6, 20, 25)),
    ((6, 4, 4, 3), 52, (18, 39, 48)),
    ((10, 6, 6, 6, 4), 156, (40, 112, 136)),
]
# channels, length, width, kernel, outputs: parameters, ranks of H_O, H_F and H
CONVOLUTION_AND_LINEAR = [
    ((1, 6, 5, 3, 1), 35, (6, 30, 33)),
    ((2, 7, 6, 2, 1), 60, (14, 48, 56)),
    ((3, 5, 9, 2, 2), 126, (30, 108, 120)),
    ((1, 8, 4, 3, 2), 60, (16, 24, 39)),
    ((2, 10, 8, 2, 3), 248, (60, 64, 120)),
    ((3, 7, 7, 2, 3), 168, (63, 84, 138)),
]


def ranks(row):
    return row.rank_outer, row.rank_functional, row.rank


def bounds(row):
    return row.bound_outer, row.bound_functional, row.bound


@pytest.mark.parametrize(("widths", "parameters", "expected"), FULLY_CONNECTED)
@pytest.mark.parametrize("seed", range(2))
def test_ranks_of_linear_nets(tmp_path, widths, parameters, expected, seed):
    row = whole(saved_chain(tmp_path, dense_shapes(*widths), seed=seed), seed=seed)
    assert (row.method, row.parameters, row.dtype) == ("exact", parameters, "float64")
    assert ranks(row) == bounds(row) == expected
    assert row.bound_label == "bound of this linear net"
    assert row.split_residual < 1e-10


def test_inputs_of_rank_three(tmp_path):
    generator = np.random.default_rng(0)
    X = generator.standard_normal((60, 3)) @ generator.standard_normal((3, 10))
    np.savez(tmp_path / "data.npz", X=X, Y=generator.standard_normal((60, 4)))
    path = saved_chain(tmp_path, dense_shapes(10, 6, 6, 4))
    row = whole(path, text=tmp_path / "data.npz")
    assert row.parameters == 120
    assert ranks(row) == bounds(row) == (12, 63, 66)
    assert row.data == "60 rows of data.npz"


def test_cross_entropy_counts_one_output_less(tmp_path):
    row = whole(saved_chain(tmp_path, dense_shapes(8, 6, 5)), loss="cross entropy")
    assert row.parameters == 78
    assert ranks(row) == bounds(row) == (32, 48, 64)


@pytest.mark.parametrize(
    ("m", "k1", "k2", "expected"), [(3, 2, 5, 17), (4, 3, 4, 27), (6, 3, 4, 39), (5, 2, 3, 22)]
)
def test_ranks_of_two_linear_convolutions(tmp_path, m, k1, k2, expected):
    row = whole(saved_chain(tmp_path, [(m, 1, k1), (1, m, k2)]))
    assert ranks(row) == bounds(row) == (k1 + k2 - 1, 2 * m * min(k1, k2), expected)
    assert row.bound_label == "rank of generic linear conv nets of these sizes"


@pytest.mark.parametrize(("sizes", "parameters", "expected"), CONVOLUTION_AND_LINEAR)
def test_ranks_of_a_linear_convolution_and_a_linear_layer(tmp_path, sizes, parameters, expected):
    row = whole(saved_chain(tmp_path, conv_shapes(*sizes)))
    assert row.parameters == parameters
    assert ranks(row) == bounds(row) == expected


@pytest.mark.parametrize("m", [3, 4, 5, 6])
def test_the_rank_grows_with_the_width_and_the_parameters_with_its_square(tmp_path, m):
    row = whole(saved_chain(tmp_path, [(m, 1, 3), (m, m, 3), (2, m * 6)]))
    assert (row.parameters, row.rank) == (3 * m**2 + 15 * m, 16 * m + 18)
    assert row.bound is None
    assert row.bound_label == "no bound is known for this conv net"


def test_one_channel_is_too_few_for_the_identity(tmp_path):
    row = whole(saved_chain(tmp_path, conv_shapes(1, 8, 1, 3, 2)))
    assert row.rank_outer == 14
    assert row.bound is None


def test_other_nets_may_exceed_what_linear_ones_cannot(tmp_path):
    path = saved_chain(tmp_path, dense_shapes(6, 8, 4))
    row = whole(path, activation="tanh")
    assert (row.parameters, row.rank, row.bound) == (80, 80, 72)
    assert row.bound_label == "linear-net bound: this net has tanh, and may exceed it"
    linear = whole(path, activation="linear")
    assert linear.rank == linear.bound == 72
    assert "linear-net bound" in whole(path, activation="relu").bound_label


def test_biases_exceed_it_too(tmp_path):
    row = whole(saved_chain(tmp_path, dense_shapes(6, 5, 4), biases=True))
    assert (row.rank, row.bound) == (56, 48)
    assert row.bound_label == "linear-net bound: this net has biases, and may exceed it"
    both = whole(saved_chain(tmp_path, dense_shapes(6, 5, 4), biases=True), activation="relu")
    assert both.bound_label == "linear-net bound: this net has relu and biases, and may exceed it"


def test_the_gap_tells_the_rank_from_rounding(tmp_path):
    row = whole(saved_chain(tmp_path, dense_shapes(25, 5, 10, 10)))
    values = np.abs(row.eigenvalues)
    assert row.rank == (values > row.threshold).sum() == 250
    assert row.threshold == pytest.approx(values[0] * 275 * np.finfo(float).eps, rel=1e-12)
    assert (row.last_counted, row.first_not_counted) == (values[249], values[250])
    assert row.gap == pytest.approx(values[249] / values[250])
    assert row.gap > 1e9
    assert row.significant == (values > 1e-2 * values[0]).sum() < 250
    assert row.negative == (np.array(row.eigenvalues) < -row.threshold).sum() > 0


@pytest.mark.parametrize("seed", range(3))
def test_float32_loses_a_rank_that_is_below_its_rounding(tmp_path, seed):
    """The second input is 1e-4 of the first, so its curvature is 1e-8: under 12 x 2^-23."""
    generator = np.random.default_rng(seed)
    X = generator.standard_normal((40, 2)) * (1.0, 1e-4)
    np.savez(tmp_path / "data.npz", X=X, Y=generator.standard_normal((40, 3)))
    path = saved_chain(tmp_path, dense_shapes(2, 3), seed=seed)
    row = whole(path, text=tmp_path / "data.npz")
    assert (row.rank, row.rank_float32) == (6, 3)
    assert row.warning.startswith("in float32 the rank would come out as 3, not 6")
    X[:, 1] *= 1e4
    np.savez(tmp_path / "data.npz", X=X, Y=generator.standard_normal((40, 3)))
    row = whole(path, text=tmp_path / "data.npz")
    assert (row.rank, row.rank_float32, row.warning) == (6, 6, None)


@pytest.mark.parametrize(("widths", "mirrored"), [((5, 4, 3), True), ((6, 4, 4, 3), False)])
def test_the_functional_part_of_two_layers_has_a_mirrored_spectrum(tmp_path, widths, mirrored):
    row = whole(saved_chain(tmp_path, dense_shapes(*widths)))
    values = np.sort(row.eigenvalues_functional)
    departure = np.abs(values + values[::-1]).max() / np.abs(values).max()
    assert departure < 1e-12 if mirrored else departure > 0.01


def test_the_outer_part_has_no_negative_eigenvalue(tmp_path):
    row = whole(saved_chain(tmp_path, dense_shapes(6, 4, 4, 3)), activation="tanh")
    assert min(row.eigenvalues_outer) > -1e-13 * max(row.eigenvalues_outer)
    assert row.trace == pytest.approx(row.trace_outer + row.trace_functional)
    assert row.trace == pytest.approx(sum(row.eigenvalues))


@pytest.mark.parametrize("loss", ["squared", "cross entropy"])
def test_the_block_of_one_layer_is_a_product_of_two_ranks(tmp_path, loss):
    path = saved_chain(tmp_path, dense_shapes(7, 5, 3, 6))
    rows = measured(path, loss=loss)
    assert [row.layer for row in rows] == ["fc0", "fc1", "fc2"]
    for row in rows:
        assert ranks(row) == bounds(row)
        assert row.rank_functional == 0
    outputs = 6 - (loss == "cross entropy")
    assert [row.rank for row in rows] == [7 * 3, 5 * 3, 3 * outputs]


def test_blocks_are_the_diagonal_of_the_whole(tmp_path):
    path = saved_chain(tmp_path, dense_shapes(4, 3, 2), biases=True)
    blocks = measured(path, activation="tanh")
    assert [row.parameters for row in blocks] == [12, 6]
    [joint] = measured(path, activation="tanh", layers=["fc0", "fc1"], scope="whole")
    assert joint.parameters == 18
    assert joint.trace == pytest.approx(sum(row.trace for row in blocks))
    everything = whole(path, activation="tanh")
    assert everything.parameters == 23
    assert everything.trace > joint.trace_outer


def test_a_dead_net_bends_nowhere(tmp_path):
    X = -np.ones((5, 4))
    np.savez(tmp_path / "data.npz", X=X, Y=np.ones((5, 2)))
    shapes = dense_shapes(4, 3, 2)
    path = tmp_path / "dead.safetensors"
    from safetensors.torch import save_file

    made = {f"fc{i}.weight": torch.ones(*shape) for i, shape in enumerate(shapes)}
    save_file(made, path)
    for limit in (5000, 1):
        [first, _] = measured(
            path, text=tmp_path / "data.npz", activation="relu", exact_limit=limit
        )
        assert (first.rank, first.trace, first.threshold, first.gap) == (0, 0, 0, None)
        assert first.split_residual is None


def test_same_seed_same_row(tmp_path):
    path = saved_chain(tmp_path, dense_shapes(6, 10, 1))
    for limit in (5000, 10):
        assert whole(path, exact_limit=limit, seed=3) == whole(path, exact_limit=limit, seed=3)
        assert whole(path, exact_limit=limit, seed=3) != whole(path, exact_limit=limit, seed=4)


@pytest.mark.parametrize(
    ("X", "Y", "loss", "said"),
    [
        ((9, 5), (9, 3), "squared", "reads rows of 4"),
        ((9, 4), (9, 2), "squared", "a target for each output"),
        ((9, 4), (9, 3), "cross entropy", "one whole number below 3"),
    ],
)
def test_arrays_that_do_not_fit_are_a_sentence(tmp_path, X, Y, loss, said):
    np.savez(tmp_path / "data.npz", X=np.ones(X), Y=np.full(Y, 0.5))
    path = saved_chain(tmp_path, dense_shapes(4, 3))
    with pytest.raises(BadInput, match=said):
        whole(path, text=tmp_path / "data.npz", loss=loss)


def test_labels_that_are_no_classes_are_a_sentence(tmp_path):
    np.savez(tmp_path / "data.npz", X=np.ones((9, 4)), Y=np.full(9, 3))
    path = saved_chain(tmp_path, dense_shapes(4, 3))
    with pytest.raises(BadInput, match="one whole number below 3"):
        whole(path, text=tmp_path / "data.npz", loss="cross entropy")
    convolutions = saved_chain(tmp_path, [(3, 1, 2), (1, 3, 2)])
    with pytest.raises(BadInput, match="which are no classes: choose the squared loss"):
        whole(convolutions, loss="cross entropy")


def test_numbers_that_overflow_are_a_sentence(tmp_path):
    np.savez(tmp_path / "data.npz", X=np.full((3, 4), np.inf), Y=np.ones((3, 3)))
    with pytest.raises(AnalysisError, match=r"the loss of chain.* is (nan|inf)"):
        whole(saved_chain(tmp_path, dense_shapes(4, 3)), text=tmp_path / "data.npz")


def test_progress_counts_products_and_names_the_layer(tmp_path):
    said = []

    class Report:
        folder = None

        def __call__(self, done, total, words=""):
            said.append((done, total, words))

    measured(saved_chain(tmp_path, dense_shapes(4, 3, 2)), report=Report())
    assert said[0] == (0, 18, "fc0")
    assert said[-1] == (18, 18, "fc1")
    assert [done for done, *_ in said] == sorted(done for done, *_ in said)


def test_names_with_dots_are_layers_too(tmp_path):
    from safetensors.torch import save_file

    save_file({f"net.{i}.weight": torch.rand(3, 3) for i in (0, 2)}, tmp_path / "net.safetensors")
    rows = measured(tmp_path / "net.safetensors")
    assert [row.layer for row in rows] == ["net.0", "net.2"]
    assert rows[0].rank == rows[0].bound == 9


def test_kernels_are_layers_too(tmp_path):
    """The head reads 36 features of 14 inputs: 14 directions for each of its two outputs."""
    rows = measured(saved_chain(tmp_path, conv_shapes(2, 7, 6, 2, 2)))
    assert [row.layer for row in rows] == ["conv0[flattened]", "fc1"]
    assert [row.parameters for row in rows] == [24, 72]
    assert [row.rank for row in rows] == [24, 28]
    assert {row.bound_label for row in rows} == {"no bound is known for this conv net"}


def test_a_rank_without_a_clear_gap_is_warned_of():
    steady = torch.diag(torch.tensor([1.0, 0.9, 0.8, 1e-17], dtype=torch.float64))
    assert hessian_measures._exact_warning(eigenvalues(steady), eigenvalues(steady)) is None
    falling = torch.diag(10.0 ** -torch.arange(0, 20, dtype=torch.float64))
    said = hessian_measures._exact_warning(eigenvalues(falling), eigenvalues(falling))
    assert "no clear gap" in said
    assert "10 times the next" in said
