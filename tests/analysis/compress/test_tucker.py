"""Attention as a tensor by head: Tucker within its bounds, shared factors counted once."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import tensorly
import torch

from analysis.compress.pieces import Heads, NonFiniteLayer, Piece
from analysis.compress.registry import find
from analysis.compress.tucker import (
    Params,
    build,
    cut,
    hosvd,
    options,
    refined,
    stacked,
    stacks,
    tucker,
)
from analysis.numerics.tucker_sizes import core_sizes, lost_energy

MULTI, GROUPED = Heads(3, 3, 4), Heads(4, 2, 3)


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def attention(heads=MULTI, width=10, dtype=torch.float64, decay=0.75):
    """The four pieces of a block, with directions of the width that matter less and less."""
    weight = decay ** torch.arange(width, dtype=torch.float64)
    query, key_value = heads.query * heads.size, heads.key_value * heads.size
    shapes = {"q": query, "k": key_value, "v": key_value, "o": query}
    found = []
    for seed, (role, rows) in enumerate(shapes.items()):
        W = normal(rows, width, seed=seed) * weight
        W = (W.T if role == "o" else W).contiguous().to(dtype)
        found.append(Piece(f"blocks.0.{role}", role, 0, W, None, heads))
    return found


def tensor(heads=3, width=10, size=4, slots=4, seed=0):
    T = normal(heads, width, size, slots, seed=seed)
    return (T * 0.7 ** torch.arange(width, dtype=torch.float64)[:, None, None]).numpy()


def expanded(parts):
    U1, U2, U3, core = parts
    return np.einsum("habc,da,sb,mc->hdsm", core, U1, U2, U3)


def tails(T, ranks):
    """‖what R_i directions of the i-th unfolding leave‖²."""
    found = []
    for mode, rank in enumerate(ranks, start=1):
        M = np.moveaxis(T, mode, 0).reshape(T.shape[mode], -1)
        found.append(np.square(np.linalg.svd(M, compute_uv=False)[rank:]).sum())
    return found


def made(pieces, params=None):
    params = params or Params()
    tensors = tucker(pieces, params)
    return options(pieces, tensors, params), lambda o: build(pieces, tensors, o, params)


def error(pieces, forms, scale="none"):
    """Σ ‖W - W'‖², of matrices that are brought to one norm where the scale is "unit"."""
    lost = [(p.W.double() - forms[p.layer].dense().double()).square().sum() for p in pieces]
    if scale == "none":
        return sum(lost)
    own = [p.W.double().square().sum() for p in pieces]
    return sum(a / b for a, b in zip(lost, own, strict=True)) * sum(own) / len(own)


def louder(pieces, factors=(1000.0, 1.0, 0.001, 30.0)):
    """The same matrices at other norms."""
    return [replace(p, W=a * p.W) for p, a in zip(pieces, factors, strict=True)]


# One tensor

TRIPLES = [(1, 1, 1), (3, 2, 2), (5, 3, 2), (7, 4, 1), (9, 4, 3), (10, 4, 4)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ranks", TRIPLES)
def test_hosvd_lies_within_its_bounds_and_hooi_beneath_it(ranks, seed):
    T = tensor(seed=seed)
    scale = np.square(T).sum()
    first = cut(hosvd(T), ranks)
    better = refined(T, first, 50)
    lost = np.square(T - expanded(first)).sum()
    least = np.square(T - expanded(better)).sum()
    tail = tails(T, ranks)
    assert max(tail) - 1e-12 * scale <= lost <= sum(tail) + 1e-12 * scale
    assert max(tail) - 1e-12 * scale <= least <= lost + 1e-12 * scale
    assert lost <= 3 * least + 1e-12 * scale  # √3 of the best in norm
    for parts in (first, better):
        for U in parts[:3]:
            np.testing.assert_allclose(U.T @ U, np.eye(U.shape[1]), atol=1e-12)
        assert np.square(T).sum() - np.square(parts[3]).sum() == pytest.approx(
            np.square(T - expanded(parts)).sum(), abs=1e-11 * scale
        )


def test_hooi_gains_something():
    T = tensor()
    first = cut(hosvd(T), (3, 2, 2))
    lost, least = (np.square(T - expanded(p)).sum() for p in (first, refined(T, first, 50)))
    assert least < 0.999 * lost


def test_hosvd_is_that_of_the_singular_vectors():
    T = tensor()
    for mode, U in enumerate(hosvd(T)[:3], start=1):
        M = np.moveaxis(T, mode, 0).reshape(T.shape[mode], -1)
        expected = np.linalg.svd(M)[0][:, : U.shape[1]]
        np.testing.assert_allclose(np.abs(expected.T @ U), np.eye(U.shape[1]), atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_what_ranks_lose_is_the_core_outside_of_them(seed):
    T = tensor(seed=seed)
    parts = hosvd(T)
    found = lost_energy(parts[3])
    for ranks in itertools.product((1, 4, 10), (1, 3, 4), (1, 2, 4)):
        expected = np.square(T - expanded(cut(parts, ranks))).sum()
        assert found[tuple(r - 1 for r in ranks)] == pytest.approx(
            expected, rel=1e-9, abs=1e-24 * np.square(T).sum()
        )
    assert found[-1, -1, -1] == 0


def test_sizes_are_those_that_none_beats():
    parts = hosvd(tensor())
    lost = lost_energy(parts[3])
    every = {}
    for R1, R2, R3 in itertools.product(range(1, 11), range(1, 5), range(1, 5)):
        every[R1, R2, R3] = (
            10 * R1 + 4 * R2 + 4 * R3 + 3 * R1 * R2 * R3,
            lost[R1 - 1, R2 - 1, R3 - 1],
        )
    expected = {
        ranks
        for ranks, (held, gone) in every.items()
        if not any((h <= held and g < gone) or (h < held and g <= gone) for h, g in every.values())
    }
    found = core_sizes(parts)
    assert {size.ranks for size in found} == expected
    assert all((size.numbers, size.lost) == every[size.ranks] for size in found)
    assert [s.numbers for s in found] == sorted(s.numbers for s in found)


# Matrices


def test_a_tensor_holds_each_head_of_each_matrix():
    pieces = attention()
    q, k, v, o = (piece.W for piece in pieces)
    T = stacked(stacks(pieces)[0])
    assert T.shape == (3, 10, 4, 4)
    for head in range(3):
        rows = slice(4 * head, 4 * head + 4)
        for slot, W in enumerate((q[rows].T, k[rows].T, v[rows].T, o[:, rows])):
            np.testing.assert_array_equal(T[head, :, :, slot], W.numpy())


def test_fewer_key_value_heads_make_two_tensors():
    pieces = attention(GROUPED)
    found = stacks(pieces)
    assert [list(stack) for stack in found] == [["q", "o"], ["k", "v"]]
    assert [stacked(stack).shape for stack in found] == [(4, 10, 3, 2), (2, 10, 3, 2)]


@pytest.mark.parametrize("scale", ["unit", "none"])
@pytest.mark.parametrize("iterations", [0, 20])
@pytest.mark.parametrize("heads", [MULTI, GROUPED])
def test_an_option_is_what_the_modules_hold_and_lose(heads, iterations, scale):
    pieces = louder(attention(heads), (10.0, 1.0, 0.1, 3.0))
    found, make = made(pieces, Params(iterations, scale))
    dense = sum(piece.W.numel() for piece in pieces)
    whole = sum(piece.W.square().sum() for piece in pieces).item()
    assert 8 < len(found) <= 64
    for option in (found[0], *found[1:-1:6], found[-2], found[-1]):
        forms = make(option)
        held = sum(
            t.numel() for form in forms.values() for t in form.state_dict().values()
        )  # the shared ones are in one module alone
        assert option.numbers == held == sum(form.numbers() for form in forms.values())
        lost = error(pieces, forms, scale).item()
        if iterations:
            assert lost <= option.error + 1e-12 * whole
        else:
            assert lost == pytest.approx(option.error, rel=1e-9, abs=1e-20 * whole)
        assert ("larger than dense" in option.words) == (option.numbers > dense)
        assert option.of_numbers == dense
    numbers, errors = [o.numbers for o in found], [o.error for o in found]
    assert numbers == sorted(set(numbers))
    assert errors == sorted(errors, reverse=True)
    assert all(n < dense for n in numbers[:-1])


@pytest.mark.parametrize("heads", [MULTI, GROUPED])
def test_full_ranks_are_exact_and_larger_than_dense(heads):
    pieces = attention(heads)
    found, make = made(pieces)
    forms = make(found[-1])
    assert found[-1].error == 0
    assert found[-1].numbers > sum(piece.W.numel() for piece in pieces)
    assert found[-1].words.endswith(", larger than dense")
    for piece in pieces:
        form, x = forms[piece.layer], normal(5, piece.W.shape[1], seed=9)
        assert (form.dense() - piece.W).norm() <= 1e-10 * piece.W.norm()
        assert (form(x) - x @ piece.W.T).norm() <= 1e-10 * (x @ piece.W.T).norm()


def test_twelve_heads_of_768_would_hold_a_quarter_more_than_dense():
    """dR1 + d_hR2 + 4R3 + hR1R2R3 at full ranks, over 4d²."""
    parts = [np.empty((768, 768)), np.empty((64, 64)), np.empty((4, 4)), np.zeros((12, 768, 64, 4))]
    full = core_sizes(parts)[-1]
    assert full.ranks == (768, 64, 4)
    assert full.numbers / (4 * 768 * 768) == pytest.approx(1.25, abs=0.003)


def test_words_say_which_ranks_are_whose():
    [first, *_] = made(attention())[0]
    assert first.words == "ranks 1, 1, 1"
    [first, *_] = made(attention(GROUPED))[0]
    assert first.words == "ranks 1, 1, 1 (q and o); 1, 1, 1 (k and v)"


def test_planted_ranks_are_found():
    """Four matrices of one tensor of ranks 2, 2, 2 need no more."""
    U1, U2, U3, core = normal(10, 2), normal(4, 2, seed=1), normal(4, 2, seed=2), normal(3, 2, 2, 2)
    T = torch.einsum("habc,da,sb,mc->hdsm", core, U1, U2, U3)
    pieces = []
    for slot, piece in enumerate(attention()):
        rows = T[..., slot].transpose(1, 2).reshape(12, 10)
        W = rows.T.contiguous() if piece.role == "o" else rows
        pieces.append(Piece(piece.layer, piece.role, 0, W, None, MULTI))
    found, make = made(pieces)
    exact = next(o for o in found if o.error <= 1e-20 * float(T.square().sum()))
    assert exact.values == (2, 2, 2)
    assert error(pieces, make(exact)) <= 1e-20 * T.square().sum()


def test_a_matrix_of_one_dtype_gives_modules_of_it_from_tensors_in_float32():
    pieces = attention(dtype=torch.float32)
    tensors = {name: t.float() for name, t in tucker(pieces, Params()).items()}
    found = options(pieces, tensors, Params())
    forms = build(pieces, tensors, found[-1], Params())
    for piece in pieces:
        W = forms[piece.layer].dense()
        assert W.dtype == torch.float32
        assert (W - piece.W).norm() <= 1e-5 * piece.W.norm()


@pytest.mark.parametrize("missing", ["q", "k", "v", "o"])
def test_a_block_without_one_of_the_four_stays_dense(missing):
    pieces = [piece for piece in attention() if piece.role != missing]
    assert tucker(pieces, Params()) == {}
    assert options(pieces, {}, Params()) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda p: [*p, Piece("blocks.0.cross.q", "q", 0, p[0].W, None, MULTI)],
        lambda p: [Piece(x.layer, x.role, 0, x.W, None, None) for x in p],
        lambda p: [Piece(x.layer, x.role, 0, x.W, None, Heads(3, 3, 5)) for x in p],
        lambda p: [Piece(x.layer, x.role, 0, x.W, None, Heads(3, 1, 4)) for x in p],
        lambda p: [*p[:3], Piece("blocks.0.o", "o", 0, p[3].W.T, None, MULTI)],
        lambda p: [],
    ],
)
def test_matrices_that_make_no_tensor_stay_dense(change):
    pieces = change(attention())
    assert stacks(pieces) == []
    assert options(pieces, tucker(pieces, Params()), Params()) == []


def test_other_layers_of_the_block_stay_dense():
    up = Piece("blocks.0.up", "up", 0, normal(30, 10), None, MULTI)
    pieces = [up, *attention()]
    found, make = made(pieces)
    assert found == made(attention())[0]
    assert set(make(found[0])) == {f"blocks.0.{role}" for role in "qkvo"}


def test_a_weight_that_is_no_number_names_its_layer():
    pieces = attention()
    pieces[2].W[0, 0] = float("inf")
    with pytest.raises(NonFiniteLayer, match=r"blocks\.0\.v: its weight holds NaN or infinity"):
        tucker(pieces, Params())


@pytest.mark.parametrize("iterations", [0, 5])
def test_zero_matrices_stay_zero(iterations):
    pieces = [Piece(p.layer, p.role, 0, p.W * 0, None, MULTI) for p in attention()]
    found, make = made(pieces, Params(iterations))
    assert found[0].error == 0
    assert error(pieces, make(found[0])) == 0


def test_tensorly_keeps_its_backend_and_numpy_its_random_state():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    found, make = made(attention(), Params(5))
    make(found[len(found) // 2])
    assert tensorly.get_backend() == "numpy"
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_it_says_that_it_needs_healing():
    method = find("tucker")
    assert (method.sizes, method.scope) == ("own", "block")
    assert "needs healing" in method.title
