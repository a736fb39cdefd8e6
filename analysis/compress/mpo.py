"""CompactifAI: a matrix as a matrix product operator (tensor train), cut at one bond dimension χ.

W (m x n) becomes a tensor (o_1 ... o_S) x (i_1 ... i_S), m = Π o, n = Π i, both as balanced as the
integers allow. TT-SVD splits it into cores G_s (χ_{s-1} x o_s x i_s x χ_s) by one SVD after another
of what the cores before it leave, each cut to χ. With t_s the energy that cut s drops,

    ‖W - W'‖² = Σ_s t_s,   max_s ‖tail_s‖² <= ‖W - W'‖² <= Σ_s ‖tail_s‖²

where ‖tail_s‖² is what χ directions of the whole tensor's s-th unfolding leave. At full χ the cores
hold W exactly, and more numbers than W. A trained matrix is barely nearer to this form than noise
is: it needs healing, training after it.

Tomut et al. (2024), https://arxiv.org/abs/2401.14109
Oseledets (2011), https://doi.org/10.1137/090752286
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from tensorly.decomposition import tensor_train, tensor_train_matrix
from torch import Tensor, nn

from analysis.compress.forms import TensorTrain
from analysis.compress.pieces import NonFiniteLayer, Piece
from analysis.compress.registry import Option, register

LADDER = 64  # bonds that are offered


@dataclass(frozen=True)
class Params:
    """How many cores there are."""

    sites: int = field(default=2, metadata={"help": "cores of a matrix", "choices": (2, 3)})


def factorised(number: int, sites: int) -> tuple[int, ...]:
    """Return the ascending factors of a number, as many as there are sites, of smallest sum."""
    if sites == 1:
        return (number,)
    least = [
        (first, *factorised(number // first, sites - 1))
        for first in range(1, int(number ** (1 / sites) + 1e-9) + 1)
        if number % first == 0
    ]
    return min((found for found in least if found[0] <= found[1]), key=sum)


def options(pieces: Sequence[Piece], tensors: dict[str, Tensor], _: Params) -> list[Option]:
    """Return the bonds from 1 to the full one, at most 64 of them, with their errors."""
    [piece] = pieces
    cores = _cores(piece, tensors)
    dense = piece.W.numel()
    full = max(core.shape[-1] for core in cores)
    sizes = {chi: _numbers(cores, chi) for chi in range(1, full + 1)}
    ladder = _ladder(sizes, dense)
    lost = _lost(cores, ladder)
    return [
        Option(sizes[chi], 0, error, (chi,), _words(chi, sizes[chi] > dense))
        for chi, error in zip(ladder, lost, strict=True)
    ]


def least(pieces: Sequence[Piece], params: Params) -> tuple[int, int]:
    """Return what the cores hold at bond 1, Σ_s o_s i_s, and what the dense layer holds."""
    [piece] = pieces
    rows, cols = (factorised(side, params.sites) for side in piece.W.shape)
    return sum(o * i for o, i in zip(rows, cols, strict=True)), piece.W.numel()


def build(
    pieces: Sequence[Piece], tensors: dict[str, Tensor], option: Option, _: Params
) -> dict[str, nn.Module]:
    """Return the train of the option's bond."""
    [piece] = pieces
    cores = truncated(_cores(piece, tensors), option.values[0])
    made = [torch.from_numpy(core).to(piece.W.dtype) for core in cores]
    return {piece.layer: TensorTrain(made)}


@register(
    title="MPO (CompactifAI), needs healing",
    paper="https://arxiv.org/abs/2401.14109",
    sizes="own",
    options=options,
    build=build,
    least=least,
)
def mpo(pieces: Sequence[Piece], params: Params) -> dict[str, Tensor]:
    """Return "{layer}.core1", ..., the full train of each piece; all but the last are orthonormal.

    Raises NonFiniteLayer for a layer whose matrix holds NaN or infinity.
    """
    found: dict[str, Tensor] = {}
    for piece in pieces:
        if not piece.W.isfinite().all():
            raise NonFiniteLayer(piece.layer, "its weight")
        rows, cols = (factorised(side, params.sites) for side in piece.W.shape)
        T = piece.W.detach().double().cpu().numpy().reshape(*rows, *cols)
        bonds = [1, *_full(rows, cols), 1]
        for site, core in enumerate(tensor_train_matrix(T, bonds).factors, start=1):
            found[f"{piece.layer}.core{site}"] = torch.from_numpy(np.ascontiguousarray(core))
    return found


def truncated(cores: Sequence[np.ndarray], chi: int) -> list[np.ndarray]:
    """Return the TT-SVD of bonds up to χ of the matrix whose full, orthonormal train this is."""
    first, rest = cores[0][..., :chi], _rest(cores, chi)
    bond, *sides = rest.shape  # χ, then o i of each further site
    shapes = [core.shape[1:3] for core in cores[1:]]
    joined = rest.reshape(bond * sides[0], *sides[1:])
    inner = [1, *[chi] * (joined.ndim - 1), 1]
    made = [joined[None]] if joined.ndim == 1 else tensor_train(joined, inner).factors
    ends = [bond, *(core.shape[-1] for core in made[:-1]), 1]
    bonds = zip(ends[:-1], shapes, ends[1:], strict=True)
    return [first] + [
        core.reshape(left, *shape, right)
        for core, (left, shape, right) in zip(made, bonds, strict=True)
    ]


def _rest(cores: Sequence[np.ndarray], chi: int) -> np.ndarray:
    """Return what the first core leaves, (χ, o_2 i_2, ..., o_S i_S)."""
    rest = cores[1][:chi].reshape(min(chi, len(cores[1])), -1, cores[1].shape[3])
    for core in cores[2:]:
        rest = np.tensordot(rest, core.reshape(len(core), -1, core.shape[3]), 1)
    return rest[..., 0]


def _lost(cores: Sequence[np.ndarray], ladder: Sequence[int]) -> list[float]:
    """Return ‖W - W'‖² at each bond of the ladder, ascending: the energy of both cuts."""
    rest = _rest(cores, len(cores[1]))
    energy = np.square(rest).reshape(len(rest), -1).sum(1)
    tail = np.append(np.cumsum(energy[::-1])[::-1], 0.0)
    first = [float(tail[min(chi, len(rest))]) for chi in ladder]
    if rest.ndim == 2:
        return first
    return [a + b for a, b in zip(first, _lost_second(rest, ladder), strict=True)]


def _lost_second(rest: np.ndarray, ladder: Sequence[int]) -> list[float]:
    """Return what the second of two cuts drops: the eigenvalues beyond χ of a growing Gram."""
    gram = np.zeros((rest.shape[2], rest.shape[2]))
    found, done = [], 0
    for chi in ladder:
        more = rest[done:chi].reshape(-1, rest.shape[2])
        gram += more.T @ more
        done = min(chi, len(rest))
        # There are no more directions than rows; other eigenvalues are rounding.
        beyond = np.linalg.eigvalsh(gram)[::-1][chi : done * rest.shape[1]]
        found.append(float(beyond.clip(min=0).sum()))
    return found


def _ladder(sizes: dict[int, int], dense: int) -> list[int]:
    """Return all bonds where they are few, else some that are smaller than dense, and the full."""
    full = max(sizes)
    if full <= LADDER:
        return sorted(sizes)
    last = max((chi for chi, numbers in sizes.items() if numbers < dense), default=1)
    steps = np.geomspace(1, last, LADDER - 1).round().astype(int)
    return sorted({*steps.tolist(), full})


def _numbers(cores: Sequence[np.ndarray], chi: int) -> int:
    """Return what the cores hold once they are cut to χ."""
    sides = [math.prod(core.shape[1:3]) for core in cores]
    held, bond = 0, 1
    for site, side in enumerate(sides):
        right = min(chi, bond * side, math.prod(sides[site + 1 :]))
        held, bond = held + bond * side * right, right
    return held


def _full(rows: Sequence[int], cols: Sequence[int]) -> list[int]:
    sides = [o * i for o, i in zip(rows, cols, strict=True)]
    cuts = range(1, len(sides))
    return [min(math.prod(sides[:cut]), math.prod(sides[cut:])) for cut in cuts]


def _cores(piece: Piece, tensors: dict[str, Tensor]) -> list[np.ndarray]:
    lead = f"{piece.layer}.core"
    names = sorted(name for name in tensors if name.startswith(lead))
    return [tensors[name].detach().double().numpy() for name in names]


def _words(chi: int, larger: bool) -> str:
    return f"bond {chi}, larger than dense" if larger else f"bond {chi}"
