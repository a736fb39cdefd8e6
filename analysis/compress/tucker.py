"""TensorLLM: attention's four matrices as one tensor by head, in Tucker form.

For each head, T_j (d x d_h x 4) holds the transposed rows of q, k and v and the columns of o, and

    T_j ≈ core_j x1 U1 (d x R1) x2 U2 (d_h x R2) x3 U3 (4 x R3)

with factors that all h heads share: dR1 + d_hR2 + 4R3 + hR1R2R3 numbers. Where there are fewer
key/value heads than query heads there are two tensors (d x d_h x 2): q and o by query head, k and v
by key/value head. At full ranks the form is exact and larger than dense.

The four matrices of a block have norms of their own, and of the tensor as it stands the small ones
are what is dropped. So what is decomposed is T of slots c_s W_s, all of one norm, with the c_s that
leave Σ‖W_s‖² of the block as it is. Row s of U3 is then divided by c_s: the form is that of the W_s
and holds as many numbers. With `scale` "none", c = 1.

The factors are HOSVD's: of a whole decomposition the leading block of ranks (R1, R2, R3) loses just
the energy of the core outside of it. With tail_i what R_i directions of T's i-th unfolding leave,

    max_i ‖tail_i‖² <= ‖T - T'‖² <= Σ_i ‖tail_i‖² <= 3 · the least there is
    ‖T - T'‖² = Σ_s c_s² ‖W_s - W'_s‖²

so what is bounded, and what ranks are chosen by, is Σ_s ‖W_s - W'_s‖²/‖W_s‖², in units of the mean
‖W_s‖² of the block; with `scale` "none" it is Σ_s ‖W_s - W'_s‖². Iterations of HOOI bring T' nearer
to T. It needs healing, training after it.

Gu, Zhou, Iacovides & Mandic (2025), https://arxiv.org/abs/2501.15674
De Lathauwer, De Moor & Vandewalle (2000), https://doi.org/10.1137/S0895479896305696
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from tensorly.decomposition import partial_tucker
from torch import Tensor, nn

from analysis.compress.forms import HeadTucker
from analysis.compress.pieces import Heads, NonFiniteLayer, Piece
from analysis.compress.registry import Option, register
from analysis.numerics.tucker_sizes import Size, both, core_sizes, offered

Stack = dict[str, Piece]  # the matrices of one tensor by role, in the order of its slots
NAMES = ("U1", "U2", "U3", "core")
MODES = [1, 2, 3]  # of a tensor (h x d x d_h x S); the heads stay as they are


@dataclass(frozen=True)
class Params:
    """How long the factors are refined, and what of."""

    iterations: int = field(
        default=0,
        metadata={
            "help": "iterations of HOOI; 0 for HOSVD, whose error is known beforehand",
            "min": 0,
            "max": 1000,
        },
    )
    scale: str = field(
        default="unit",
        metadata={
            "help": "q, k, v and o brought to one norm before they are decomposed, so that the "
            "small ones count as much (unit), or as they are (none)",
            "choices": ("unit", "none"),
        },
    )


def stacks(pieces: Sequence[Piece]) -> list[Stack]:
    """Return the tensors that a block's attention makes, none where its matrices make none.

    That is where one of q, k, v and o is missing or there twice, or has no shape of its heads.
    """
    by_role = {piece.role: piece for piece in pieces if piece.role in ("q", "k", "v", "o")}
    several = sum(piece.role in by_role for piece in pieces) > len(by_role)
    heads = next((piece.heads for piece in by_role.values()), None)
    if several or len(by_role) < 4 or heads is None or not _fit(by_role, heads):
        return []
    if heads.query == heads.key_value:
        return [{role: by_role[role] for role in ("q", "k", "v", "o")}]
    return [{role: by_role[role] for role in roles} for roles in (("q", "o"), ("k", "v"))]


def stacked(stack: Stack) -> np.ndarray:
    """Return the tensor (h x d x d_h x S) in float64."""
    heads = next(iter(stack.values())).heads
    assert heads is not None
    slices = []
    for role, piece in stack.items():
        W = piece.W.detach().double().cpu()
        rows = W.T if role == "o" else W
        slices.append(rows.reshape(-1, heads.size, rows.shape[1]).transpose(1, 2))
    found: np.ndarray = torch.stack(slices, dim=-1).numpy()
    return found


def options(pieces: Sequence[Piece], tensors: dict[str, Tensor], _: Params) -> list[Option]:
    """Return the best ranks for each size, [] where the block makes no tensor."""
    found = stacks(pieces)
    if not found:
        return []
    sizes = [core_sizes(_tensors(stack, tensors)) for stack in found]
    whole = sizes[0] if len(sizes) == 1 else both(*sizes)
    dense = sum(piece.W.numel() for stack in found for piece in stack.values())
    return [_option(size, found, dense) for size in offered(whole, dense)]


def least(pieces: Sequence[Piece], _: Params) -> tuple[int, int] | None:
    """Return what ranks of one hold, d + d_h + S + h of each tensor, and the dense matrices.

    None where the block makes no tensor.
    """
    found = stacks(pieces)
    if not found:
        return None
    numbers = 0
    for stack in found:
        role, piece = next(iter(stack.items()))
        assert piece.heads is not None
        heads = piece.heads.query if role == "q" else piece.heads.key_value
        numbers += piece.W.shape[1] + piece.heads.size + len(stack) + heads
    return numbers, sum(piece.W.numel() for stack in found for piece in stack.values())


def build(
    pieces: Sequence[Piece], tensors: dict[str, Tensor], option: Option, params: Params
) -> dict[str, nn.Module]:
    """Return q, k, v and o; the first of each tensor owns what they share."""
    forms: dict[str, nn.Module] = {}
    for at, (stack, c) in enumerate(_scaled(pieces, params)):
        ranks = option.values[3 * at : 3 * at + 3]
        given = cut(_tensors(stack, tensors), ranks)
        if params.iterations:
            start = _with_rows(given, c)
            given = _with_rows(refined(stacked(stack) * c, start, params.iterations), 1 / c)
        dtype = next(iter(stack.values())).W.dtype
        factors: list[Tensor] | HeadTucker
        factors = [torch.from_numpy(np.ascontiguousarray(part)).to(dtype) for part in given]
        for slot, (role, piece) in enumerate(stack.items()):
            form = HeadTucker(factors, slot, turned=role == "o")
            forms[piece.layer] = form
            factors = form if isinstance(factors, list) else factors
    return forms


@register(
    title="TensorLLM, needs healing",
    paper="https://arxiv.org/abs/2501.15674",
    sizes="own",
    scope="block",
    version=2,
    options=options,
    build=build,
    least=least,
)
def tucker(pieces: Sequence[Piece], params: Params) -> dict[str, Tensor]:
    """Return the whole HOSVD of each tensor under its first layer, "{layer}.U1" to "{layer}.core".

    U3 has the scales of the matrices in its rows, the core those of what was decomposed. Nothing
    for a block that makes no tensor. Raises NonFiniteLayer for a matrix that holds NaN or infinity.
    """
    for piece in (piece for stack in stacks(pieces) for piece in stack.values()):
        if not piece.W.isfinite().all():
            raise NonFiniteLayer(piece.layer, "its weight")
    found: dict[str, Tensor] = {}
    for stack, c in _scaled(pieces, params):
        first = next(iter(stack.values())).layer
        parts = zip(NAMES, _with_rows(hosvd(stacked(stack) * c), 1 / c), strict=True)
        found |= {f"{first}.{name}": torch.from_numpy(np.ascontiguousarray(p)) for name, p in parts}
    return found


def hosvd(T: np.ndarray) -> list[np.ndarray]:
    """Return U1, U2, U3 and core of full ranks of T (h x d x d_h x S); the U are orthonormal."""
    full = [min(T.shape[mode], T.size // T.shape[mode]) for mode in MODES]
    (core, factors), _ = partial_tucker(T, full, modes=MODES, n_iter_max=0, svd=_left_vectors)
    return [*factors, core]


def cut(parts: Sequence[np.ndarray], ranks: Sequence[int]) -> list[np.ndarray]:
    """Return the leading block of a whole decomposition."""
    R1, R2, R3 = ranks
    U1, U2, U3, core = parts
    return [U1[:, :R1], U2[:, :R2], U3[:, :R3], core[:, :R1, :R2, :R3]]


def refined(T: np.ndarray, parts: list[np.ndarray], iterations: int) -> list[np.ndarray]:
    """Return the parts after HOOI on T, or as they are where that is no better."""
    *factors, core = parts
    ranks = list(core.shape[1:])
    most = [core.size // rank for rank in ranks]
    if any(rank > limit for rank, limit in zip(ranks, most, strict=True)) or not core.any():
        return parts  # more directions than the other modes can tell apart
    start = (core, list(factors))
    (better, found), _ = partial_tucker(
        T, ranks, modes=MODES, init=start, n_iter_max=iterations, tol=1e-9
    )
    # Orthonormal factors keep the energy of the core.
    return [*found, better] if np.linalg.norm(better) > np.linalg.norm(core) else parts


def _scaled(pieces: Sequence[Piece], params: Params) -> list[tuple[Stack, np.ndarray]]:
    """Return each tensor's matrices with the c (S,) of their slots; 1 for a matrix of zeros."""
    found = stacks(pieces)
    norms = [np.array([float(p.W.double().norm()) for p in stack.values()]) for stack in found]
    used = np.array([norm for own in norms for norm in own if norm > 0])
    if params.scale == "none" or not used.size:
        return [(stack, np.ones(len(stack))) for stack in found]
    common = np.sqrt(np.square(used).mean())
    scales = [common / np.where(own > 0, own, common) for own in norms]
    return list(zip(found, scales, strict=True))


def _with_rows(parts: Sequence[np.ndarray], c: np.ndarray) -> list[np.ndarray]:
    """Return the parts of the tensor whose slots are c times as large: U3 alone has the slots."""
    U1, U2, U3, core = parts
    return [U1, U2, U3 * c[:, None], core]


def _left_vectors(
    M: np.ndarray, n_eigenvecs: int, **_: object
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the leading left singular vectors of a wide matrix, by the eigenvectors of M Mᵀ.

    Right ones are not asked for: they would be as large as M, and d times as slow.
    """
    values, vectors = np.linalg.eigh(M @ M.T)
    U = vectors[:, ::-1][:, :n_eigenvecs]
    s = np.sqrt(values[::-1][:n_eigenvecs].clip(min=0))
    return U, s, np.ones((n_eigenvecs, 1))


def _fit(by_role: dict[str, Piece], heads: Heads) -> bool:
    width = by_role["q"].W.shape[1]
    query, key_value = heads.query * heads.size, heads.key_value * heads.size
    expected = {
        "q": (query, width), "k": (key_value, width), "v": (key_value, width), "o": (width, query)
    }  # fmt: skip
    return all(tuple(piece.W.shape) == expected[role] for role, piece in by_role.items())


def _tensors(stack: Stack, tensors: dict[str, Tensor]) -> list[np.ndarray]:
    first = next(iter(stack.values())).layer
    return [tensors[f"{first}.{name}"].detach().double().numpy() for name in NAMES]


def _option(size: Size, found: Sequence[Stack], dense: int) -> Option:
    triples = [size.ranks[at : at + 3] for at in range(0, len(size.ranks), 3)]
    words = [", ".join(map(str, triple)) for triple in triples]
    if len(found) > 1:
        words = [f"{w} ({' and '.join(s)})" for w, s in zip(words, found, strict=True)]
    said = f"ranks {'; '.join(words)}" + (", larger than dense" if size.numbers > dense else "")
    return Option(size.numbers, 0, size.lost, size.ranks, said, dense)
