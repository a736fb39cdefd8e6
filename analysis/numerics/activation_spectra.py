"""Spectra of what a linear layer reads and of what it gives, from its weights and second moments.

With G = Σ x xᵀ / N = V diag(λ) Vᵀ over the N inputs of a layer y = W x, the second moment of y is
W G Wᵀ, whose eigenvalues are the squared singular values of W V diag(√λ). Everything here is a
function of λ and P = W V. Second moments are not centred: a constant part of the activations counts
as a direction of its own, and often as the largest.

Recanatesi et al. (2019), https://arxiv.org/abs/1906.00443 (participation ratio as dimension)
Roy & Vetterli (2007), https://ieeexplore.ieee.org/document/7098875 (effective rank)
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analysis.numerics.activation_columns import MOST_POSITIONS, Acts, Inputs, Outputs, empty
from analysis.numerics.ranks import effective_rank, energy_rank

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Moments:
    """The eigenvalues λ of G, (n,) descending, and its eigenvectors as columns of V, (n, n)."""

    values: np.ndarray
    V: Tensor


def moments(G: Tensor) -> Moments:
    """Return the eigenvalues and eigenvectors of a positive semidefinite G (n, n), in float64.

    What rounding alone would leave, n ε λ₁, is 0.
    """
    values, V = torch.linalg.eigh(G.to(torch.float64))
    return Moments(_cleared(values.flip(0).numpy()), V.flip(1))


def through(W: Tensor, found: Moments) -> Tensor:
    """Return P = W V, (m, n): row by row the outputs for each eigenvector of the input."""
    return W.to(found.V) @ found.V


def output_values(P: Tensor, values: np.ndarray) -> np.ndarray:
    """Return the min(m, n) leading eigenvalues of P diag(λ) Pᵀ, which are those of W G Wᵀ.

    From the smaller of the two products of M = P diag(√λ), so m x m is made for m <= n only.
    """
    M = P * torch.from_numpy(np.sqrt(values))
    smaller = M @ M.T if len(M) <= M.shape[1] else M.T @ M
    return _cleared(torch.linalg.eigvalsh(smaller).flip(0).numpy())


def of_inputs(values: np.ndarray, *, whole: bool) -> Inputs:
    """Return the columns of an input; its spectrum only for a whole layer."""
    return Inputs(
        input_dimension=participation_ratio(values),
        input_effective_rank=effective_rank(values),
        input_95=directions(values, 0.95),
        input_99=directions(values, 0.99),
        input_values=tuple(values.tolist()) if whole else None,
    )


def of_outputs(values: np.ndarray) -> Outputs:
    """Return the columns of an output; of one that is always 0 they are null."""
    if not values.any():
        return Outputs(**empty(Outputs))
    return Outputs(
        output_dimension=participation_ratio(values),
        output_effective_rank=effective_rank(values),
        output_95=directions(values, 0.95),
        output_99=directions(values, 0.99),
        output_values=tuple(values.tolist()),
    )


def of_acts(P: Tensor, values: np.ndarray) -> Acts:
    """Return the columns about where W acts; of W = 0 they are null."""
    energy = P.square().sum(0).numpy()
    if not energy.any():
        return Acts(**empty(Acts))
    share = np.minimum(np.cumsum(energy) / energy.sum(), 1.0)
    at, inside = positions(len(share)), directions(values, 0.95)
    return Acts(
        acts_at=tuple(at.astype(float).tolist()),
        acts=tuple(share[at - 1].tolist()),
        acts_95=float(share[inside - 1]),
        acts_95_chance=inside / len(share),
    )


def participation_ratio(values: np.ndarray) -> float:
    """Return (Σλ)²/Σλ²: n for n equal values, 1 for a single one."""
    shares = values / values.sum()
    return float(1 / np.square(shares).sum())


def directions(values: np.ndarray, share: float) -> int:
    """Return the least k with Σ_{i<=k} λᵢ >= share · Σλ."""
    return energy_rank(np.sqrt(values), share)


def positions(n: int) -> np.ndarray:
    """Return at most 128 whole numbers from 1 to n, half of them even in their logarithms."""
    if n <= MOST_POSITIONS:
        return np.arange(1, n + 1)
    half = MOST_POSITIONS // 2
    spaced = np.concatenate([np.geomspace(1, n, half), np.linspace(1, n, half)])
    return np.unique(spaced.round().astype(int))


def _cleared(values: np.ndarray) -> np.ndarray:
    floor = len(values) * EPS * max(float(values[0]), 0.0)
    return np.where(values > floor, values, 0.0)
