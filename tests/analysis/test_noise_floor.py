"""Rounding is told from structure: the named cases, each with matrices of known rank."""

import math

import numpy as np
import pytest
import torch

from analysis.numerics.noise_floor import SAFETY, noise_floor, rounding, ulp_
from analysis.numerics.row_blocks import InMemory
from analysis.weights.matrix import Label, Matrix
from tests.matrices import gauss, rank_sixteen, reference

FORMATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
SEEDS = (3, 4, 5)


class Difference:
    """tuned - base, as rows that name the two matrices whose rounding adds."""

    def __init__(self, tuned, base):
        self.rounded = [InMemory(tuned), InMemory(base)]
        self.shape, self.dtype = tuple(tuned.shape), torch.float32

    def rows(self, start, stop):
        tuned, base = self.rounded
        return tuned.rows(start, stop).float() - base.rows(start, stop).float()


def spectrum_of(matrix):
    return Matrix.of(matrix).spectrum()


def numerical_rank(found):
    return int((found.values > found.noise_floor).sum())


def low_rank(rows, cols, rank, seed):
    generator = np.random.default_rng(seed)
    return generator.standard_normal((rows, rank)) @ generator.standard_normal((rank, cols))


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("seed", SEEDS)
def test_rank_sixteen_and_full_rank_in_every_storage(dtype, seed):
    low = spectrum_of(torch.from_numpy(rank_sixteen(seed)).to(dtype))
    full = spectrum_of(torch.from_numpy(gauss(seed)).to(dtype))
    assert (numerical_rank(low), numerical_rank(full)) == (16, 256)
    assert low.effective_dtype == full.effective_dtype == str(dtype).removeprefix("torch.")


@pytest.mark.parametrize("scale", [1e-4, 1e-5])
@pytest.mark.parametrize("seed", SEEDS)
def test_small_fp16_values_reach_into_the_subnormals(scale, seed):
    matrix = (torch.from_numpy(rank_sixteen(seed)).float() * scale).half()
    assert numerical_rank(spectrum_of(matrix)) == 16


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("seed", SEEDS)
def test_half_values_in_a_wider_file_keep_their_own_rounding(dtype, seed):
    half = torch.from_numpy(rank_sixteen(seed)).to(dtype)
    for wider in (torch.float32, torch.float64):
        found = spectrum_of(half.to(wider))
        assert numerical_rank(found) == 16
        assert found.effective_dtype == str(dtype).removeprefix("torch.")
        assert found.noise_floor == pytest.approx(spectrum_of(half).noise_floor)


@pytest.mark.parametrize(
    ("rows", "cols", "rank"),
    [(512, 256, 16), (4096, 1024, 16), (512, 256, 64), (1024, 768, 128), (1024, 1024, 512)],
)
def test_a_product_computed_in_float32(rows, cols, rank):
    generator = np.random.default_rng(3)
    left = generator.standard_normal((rows, rank), dtype=np.float32)
    right = generator.standard_normal((rank, cols), dtype=np.float32)
    for product in (
        torch.from_numpy(left @ right),
        torch.from_numpy(left) @ torch.from_numpy(right),
    ):
        assert numerical_rank(spectrum_of(product)) == rank


@pytest.mark.parametrize(("rows", "cols"), [(512, 256), (1024, 1024)])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_lora_merged_in_bfloat16(rows, cols, seed):
    base = torch.from_numpy(gauss(seed, rows, cols)).bfloat16()
    update = torch.from_numpy(low_rank(rows, cols, 8, seed + 100))
    update *= 0.1 * torch.linalg.matrix_norm(base.double()) / torch.linalg.matrix_norm(update)
    tuned = (base.double() + update).bfloat16()
    difference = Difference(tuned, base)
    found = Matrix(difference, Label("w", "w", "w", None, "delta"), "key").spectrum()
    assert numerical_rank(found) == 8
    assert found.effective_dtype == "bfloat16"


def test_the_errors_of_both_checkpoints_add():
    base = torch.from_numpy(gauss(0)).bfloat16()
    both = Matrix(Difference(-base, base), Label("w", "w", "w", None), "key").spectrum()
    assert both.noise_floor == pytest.approx(math.sqrt(2) * spectrum_of(base).noise_floor)


def test_a_difference_of_equal_checkpoints_is_all_below_its_floor():
    base = torch.from_numpy(gauss(0)).bfloat16()
    found = Matrix(Difference(base, base), Label("w", "w", "w", None), "key").spectrum()
    assert numerical_rank(found) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_ulp_is_the_distance_to_the_next_value(dtype):
    values = torch.tensor([0.0, 1.0, 1.5, -3.0, 0.1, 2e-5, 3e-7, 1000.0]).to(dtype)
    facts = torch.finfo(dtype)
    step = facts.smallest_normal * facts.eps
    expected = [
        max(2.0 ** (math.frexp(v)[1] - 1) * facts.eps, step) if v else step
        for v in values.double().tolist()
    ]
    assert ulp_(values.double(), dtype).tolist() == expected


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("seed", range(3))
def test_the_expected_error_is_the_actual_one(dtype, seed):
    exact = torch.from_numpy(gauss(seed))
    error = exact.to(dtype).double() - exact
    found = rounding([exact.to(dtype)])
    actual = SAFETY[found.dtype] ** 2 * error.square()
    assert found.rows.square().sum().item() == pytest.approx(actual.sum().item(), rel=0.05)
    assert found.columns.norm().item() == pytest.approx(found.rows.norm().item())


def test_the_floor_is_never_below_the_resolution_of_float64():
    found = spectrum_of(reference("rank16", torch.float64))
    assert found.noise_floor >= found.values[0] * 512 * np.finfo(np.float64).eps


@pytest.mark.parametrize("scale", [2.0**-900, 2.0**-530, 2.0**530, 2.0**900])
def test_the_floor_grows_with_the_scale_whatever_its_square(scale):
    matrix = torch.from_numpy(gauss(0))
    assert rounding([matrix * scale]).norm / scale == pytest.approx(rounding([matrix]).norm)
    parts = [rounding([matrix * scale])] * 2
    doubled = noise_floor(parts, 0.0, (512, 256))
    assert doubled / scale == pytest.approx(math.sqrt(2) * rounding([matrix]).norm)


@pytest.mark.parametrize("parts", [1, 3, 512])
def test_blocks_change_nothing(parts):
    matrix = reference("spiked", torch.float16)
    whole, split = rounding([matrix]), rounding(matrix.chunk(parts))
    assert split.norm == pytest.approx(whole.norm, rel=1e-12)
    assert split.dtype == whole.dtype
