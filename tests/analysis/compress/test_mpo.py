"""Matrix product operators: TT-SVD within its bounds, counted as its cores are."""

import itertools
import math

import pytest
import torch

from analysis.compress.mpo import Params, build, factorised, mpo, options
from analysis.compress.pieces import NonFiniteLayer, Piece
from analysis.compress.registry import find

CASES = [((12, 20), 2), ((24, 16), 2), ((64, 128), 3), ((24, 30), 3), ((7, 12), 2), ((7, 12), 3)]


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def piece(W):
    return Piece("blocks.0.up", "up", 0, W)


def made(W, sites):
    one, params = [piece(W)], Params(sites)
    tensors = mpo(one, params)
    found = options(one, tensors, params)
    return found, lambda option: build(one, tensors, option, params)["blocks.0.up"]


def unfoldings(W, sites):
    """The matrix (o_1 i_1 ... o_s i_s) x (the rest) at each cut."""
    rows, cols = factorised(W.shape[0], sites), factorised(W.shape[1], sites)
    order = [axis for site in range(sites) for axis in (site, sites + site)]
    T = W.reshape(*rows, *cols).permute(order)
    sides = [o * i for o, i in zip(rows, cols, strict=True)]
    return [T.reshape(math.prod(sides[:cut]), -1) for cut in range(1, sites)]


def tails(W, sites, chi):
    return [torch.linalg.svdvals(M)[chi:].square().sum().item() for M in unfoldings(W, sites)]


@pytest.mark.parametrize("number", range(1, 200))
@pytest.mark.parametrize("sites", [2, 3])
def test_factors_are_as_balanced_as_integers_allow(number, sites):
    found = factorised(number, sites)
    assert math.prod(found) == number
    assert list(found) == sorted(found)
    divisors = [d for d in range(1, number + 1) if number % d == 0]
    if sites == 2:
        sums = [d + number // d for d in divisors]
    else:
        sums = [
            a + b + number // (a * b) for a in divisors for b in divisors if number % (a * b) == 0
        ]
    assert sum(found) == min(sums)


@pytest.mark.parametrize(("shape", "sites"), CASES)
def test_the_error_lies_within_its_bounds_and_is_that_of_the_module(shape, sites):
    W = normal(*shape)
    found, make = made(W, sites)
    scale = W.square().sum().item()
    for option in (*found[:-1:3], found[-1]):
        [chi] = option.values
        error = (W - make(option).dense()).square().sum().item()
        assert option.error == pytest.approx(error, rel=1e-9, abs=1e-12 * scale)
        tail = tails(W, sites, chi)
        assert max(tail) - 1e-12 * scale <= error <= sum(tail) + 1e-12 * scale
    errors = [option.error for option in found]
    assert all(a >= b - 1e-12 * scale for a, b in itertools.pairwise(errors))
    assert errors[0] > 0.3 * scale


@pytest.mark.parametrize("seed", range(3))
def test_two_cores_are_the_best_of_their_bond(seed):
    W = normal(12, 20, seed=seed)
    for option in made(W, 2)[0]:
        [tail] = tails(W, 2, option.values[0])
        assert option.error == pytest.approx(tail, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("shape", "sites"), CASES)
def test_the_full_bond_is_exact_and_counted_as_it_is(shape, sites):
    W = normal(*shape)
    found, make = made(W, sites)
    form = make(found[-1])
    assert found[-1].error <= 1e-24 * W.square().sum()
    assert (form.dense() - W).norm() <= 1e-10 * W.norm()
    x = normal(5, shape[1], seed=1)
    assert (form(x) - x @ W.T).norm() <= 1e-10 * (x @ W.T).norm()
    for option in found:
        form = make(option)
        assert option.numbers == form.numbers() == sum(t.numel() for t in form.parameters())
        assert option.bytes == form.index_bytes() == 0
        assert ("larger than dense" in option.words) == (option.numbers > W.numel())
    numbers = [option.numbers for option in found]
    assert numbers == sorted(set(numbers))


def test_three_cores_at_the_full_bond_hold_9472_numbers_of_8192():
    found, _ = made(normal(64, 128), 3)
    assert found[-1].numbers == 9472
    assert found[-1].words == "bond 32, larger than dense"


def test_a_planted_bond_is_found():
    """A Kronecker product is a train of bond 1, and a sum of two has bond 2."""
    first = torch.kron(normal(3, 4), normal(4, 5, seed=1))
    both = first + torch.kron(normal(3, 4, seed=2), normal(4, 5, seed=3))
    assert made(first, 2)[0][0].error <= 1e-24 * first.square().sum()
    assert made(both, 2)[0][0].error > 0.01 * both.square().sum()
    assert made(both, 2)[0][1].error <= 1e-24 * both.square().sum()


def test_many_bonds_are_thinned_below_the_dense_size():
    W = normal(144, 144)
    found, make = made(W, 2)
    assert len(found) <= 64
    assert [option.values[0] for option in found[:3]] == [1, 2, 3]
    assert found[-1].values == (144,)
    assert all(option.numbers < W.numel() for option in found[:-1])
    assert found[-2].values == (71,)  # 71 · (144 + 144) is the most below 144²
    assert make(found[9]).numbers() == found[9].numbers


def test_no_core_shares_memory_with_what_was_found():
    W = normal(12, 20)
    one = [piece(W)]
    tensors = mpo(one, Params())
    kept = {name: tensor.clone() for name, tensor in tensors.items()}
    found = options(one, tensors, Params())
    build(one, tensors, found[-1], Params())["blocks.0.up"].stored_as(torch.bfloat16)
    assert all(torch.equal(kept[name], tensors[name]) for name in kept)


def test_modules_have_the_dtype_of_the_layer_and_factors_may_be_kept_in_float32():
    W = normal(12, 20).float()
    one = [piece(W)]
    tensors = {name: tensor.float() for name, tensor in mpo(one, Params(3)).items()}
    found = options(one, tensors, Params(3))
    form = build(one, tensors, found[-1], Params(3))["blocks.0.up"]
    assert form.dense().dtype == torch.float32
    assert (form.dense() - W).norm() <= 1e-6 * W.norm()


def test_a_zero_matrix_stays_zero():
    found, make = made(torch.zeros(12, 20, dtype=torch.float64), 3)
    assert found[0].error == 0
    assert make(found[0]).dense().abs().sum() == 0


def test_a_weight_that_is_no_number_names_its_layer():
    W = normal(4, 4)
    W[0, 0] = float("nan")
    with pytest.raises(NonFiniteLayer, match=r"blocks\.0\.up: its weight holds NaN"):
        mpo([piece(W)], Params())


def test_it_says_that_it_needs_healing():
    method = find("mpo")
    assert (method.sizes, method.scope) == ("own", "matrix")
    assert "needs healing" in method.title
