"""Entropies of normalised squared singular values, in nats, and what they are held against.

A bipartite state ψ, written as a matrix with singular values s, has Schmidt weights p = s²/Σs² and
the von Neumann entropy S = -Σ p ln p. Three references:

    maximum      ln min(D_L, D_R)
    rank bound   min(ln D_L, ln D_R, ln r + |ln(D_L/m)|)    an m x n matrix of rank r, any cut
    Page value   Σ_{k=B+1}^{AB} 1/k - (A-1)/(2B)            mean over random states, A <= B

Page (1993), https://arxiv.org/abs/gr-qc/9305007
Foong & Kanno (1994), https://doi.org/10.1103/PhysRevLett.72.1148 (proof of the sum)
"""

import math

import numpy as np
import torch
from scipy.special import digamma
from torch import Tensor


def entropy(weights: Tensor) -> Tensor:
    """Return -Σ p ln p in nats over the last axis, with p = weights/Σweights.

    Weights below zero are the rounding of an eigensolver and count as zero. NaN where all are zero.
    """
    positive = weights.double().clamp(min=0.0)
    found: Tensor = torch.special.entr(positive / positive.sum(-1, keepdim=True)).sum(-1)
    return found


def maximum(left: int, right: int) -> float:
    """Return ln min(D_L, D_R)."""
    return math.log(min(left, right))


def rank_bound(left: int, right: int, rows: int, rank: int) -> float:
    """Return the most entropy a rank-r matrix with m = `rows` rows can have at one cut.

    A cut at D_L < m regroups each of the r Schmidt pairs of the row|column cut into m/D_L at most.
    """
    return min(maximum(left, right), math.log(rank) + abs(math.log(left / rows)))


def page_value(left: int, right: int) -> float:
    """Return the mean entropy of a random pure state (complex, Haar) of D_L x D_R."""
    small, large = sorted((left, right))
    harmonic = float(digamma(small * large + 1) - digamma(large + 1))
    return harmonic - (small - 1) / (2 * large)


def uniform_causal_entropy(length: int) -> float:
    """Return the entropy of causal attention that looks at all tokens before it alike.

    A is T x T with A_ij = 1/i for j <= i: the least structure that a causal mask leaves.
    """
    A = np.tril(np.ones((length, length))) / np.arange(1, length + 1)[:, None]
    return float(entropy(torch.linalg.svdvals(torch.from_numpy(A)).square()))


def gaussian_logits_estimate(length: int, logit_deviation: float) -> float:
    """Return h(q) + (1-q)(ln T - 1/2), q = exp(-σ²): softmax of σ·N(0, 1) logits without a mask.

    An estimate: the leading Schmidt weight q is the uniform part of the rows, the rest is taken as
    a random T x T matrix (ln T - 1/2, Page's value of a square). Exact for T to infinity only;
    h(q) = -q ln q - (1-q) ln(1-q).
    """
    q = math.exp(-(logit_deviation**2))
    if q == 1.0:
        return 0.0
    mixing = -(1 - q) * math.log1p(-q) - (q * math.log(q) if q > 0 else 0.0)
    return mixing + (1 - q) * (math.log(length) - 0.5)
