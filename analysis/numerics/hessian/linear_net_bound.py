"""The rank that the Hessian of a linear net has for almost all weights and data.

Fully connected, f(x) = W_L ... W_1 x without biases, hidden widths m_1 ... m_{L-1}, r the rank of
Σ x xᵀ, K outputs (K - 1 under softmax cross-entropy), q = min(r, K, m_l), s = min(r, K), M = Σ m_l:

    rank H_O = q(r + K - q),   rank H_F = 2qM + 2qs - Lq²,   rank H = 2qM - Lq² + q(r + K),

upper bounds that were met in every case computed. Singh, Bachmann and Hofmann (2021),
https://arxiv.org/abs/2106.16225. The Hessian of one layer's weights alone is H_O, of rank
min(r, m_1 ... m_{l-1}) · min(m_l ... m_{L-1}, K): f is linear in W_l.

Convolutional in one dimension (stride 1, no padding): identities for two families, found by
counting and checked numerically; bounds of such nets are the subject of Singh, Hofmann and
Schölkopf (2023), https://arxiv.org/abs/2305.09088.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ranks:
    """Ranks of H, H_O and H_F."""

    total: int
    outer: int
    functional: int


def fully_connected(widths: Sequence[int], r: int) -> Ranks:
    """Return the three ranks of a net of `widths` = (inputs, m_1, ..., m_{L-1}, K)."""
    *hidden, K = widths[1:]
    layers, M = len(hidden) + 1, sum(hidden)
    q, s = min(r, K, *hidden), min(r, K)
    functional = 2 * q * M + 2 * q * s - layers * q * q if hidden else 0
    total = 2 * q * M - layers * q * q + q * (r + K)
    return Ranks(total, q * (r + K - q), functional)


def one_layer(widths: Sequence[int], r: int, layer: int) -> Ranks:
    """Return the ranks of the block of one layer's weights, `layer` from 0."""
    before, after = [r, *widths[1 : layer + 1]], widths[layer + 1 :]
    rank = min(before) * min(after)
    return Ranks(rank, rank, 0)


def two_convolutions(m: int, k1: int, k2: int) -> Ranks:
    """Return the ranks of 1 → m → 1 channels with kernels of k1 and k2 positions."""
    short, apart = min(k1, k2), abs(k2 - k1)
    total = 2 * m * short + min(k1 + k2 - 2, apart * min(m, short))
    return Ranks(total, k1 + k2 - 1, 2 * m * short)


def convolution_and_linear(inputs: tuple[int, int], m: int, k: int, K: int) -> Ranks | None:
    """Return the ranks of one convolution to m channels and a linear layer to K outputs.

    `inputs` are (channels c, length d). None where no identity is known: ck > K(d - k + 1), or too
    few channels m for H_O to have its generic rank cKd.
    """
    c, d = inputs
    seen, read = c * k, K * (d - k + 1)
    if seen > read or m < seen:
        return None
    total = 2 * m * seen + min(c * K * d - c * c, (read - seen) * min(m, seen))
    return Ranks(total, c * K * d, 2 * m * seen)
