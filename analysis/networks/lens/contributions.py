"""What each source token contributes to each token of a frozen span.

c_ij = T_ij X_j is exact and additive: sum_j c_ij + b_i = y_i. It takes one run of the frozen pieces
per source token. ||T_ij||_F, which does not depend on how large X_j is, is estimated by Gaussian
probes: E ||T_ij z||^2 = ||T_ij||_F^2 (Hutchinson 1990, https://doi.org/10.1080/03610919008812866).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.networks.lens.frozen import Span

ENTRIES = 1 << 24  # numbers in the widest layer of one run: 64 MiB in float32
Say = Callable[[int], None]  # is told how many source tokens a run carried


@dataclass(frozen=True, eq=False)
class Contributions:
    """Row i, column j: from source token j to token i, float64."""

    norm: Tensor  # (L, L), ||c_ij||
    share: Tensor  # (L, L), <c_ij, y_i> / ||y_i||^2
    along: Tensor | None  # (L, L), w_i . c_ij
    bias_norm: Tensor  # (L,), ||b_i||
    bias_share: Tensor  # (L,), <b_i, y_i> / ||y_i||^2; a row of `share` and this sum to 1
    bias_along: Tensor | None  # (L,), w_i . b_i
    total: Tensor  # (L, D), sum_j c_ij + b_i: what all cells of a map stand for together


def contributions(span: Span, w: Tensor | None, say: Say = lambda done: None) -> Contributions:
    """Return what the source tokens contribute, and the bias; `w` (L, D) are directions."""
    length = len(span.X)
    y = span.Y.double() / span.Y.double().square().sum(-1, keepdim=True)
    along = None if w is None else w.double()
    total = span.bias.double().clone()
    norm, share, towards = (span.X.new_zeros(length, length, dtype=torch.float64) for _ in range(3))
    for sources in _batches(span):
        c = span.apply(alone(span.X[sources], sources, length)).double()  # (B, L, D)
        total += c.sum(0)
        norm[:, sources] = c.norm(dim=-1).T
        share[:, sources] = (c * y).sum(-1).T
        if along is not None:
            towards[:, sources] = (c * along).sum(-1).T
        say(len(sources))
    b = span.bias.double()
    return Contributions(
        norm,
        share,
        None if along is None else towards,
        b.norm(dim=-1),
        (b * y).sum(-1),
        None if along is None else (b * along).sum(-1),
        total,
    )


def frobenius(
    span: Span, probes: int, seed: int, say: Say = lambda done: None
) -> tuple[Tensor, Tensor]:
    """Return the estimates of ||T_ij||_F (L, L) and their standard errors, float64.

    With m probes q_k = ||T_ij z_k||^2, z_k ~ N(0, I_D), the norm is sqrt(mean q), and its standard
    error half that of the mean over it: sd(q) / (2 sqrt(m mean q)); NaN for a single probe, 0 where
    T_ij is 0.
    """
    length, width = span.X.shape
    generator = torch.Generator().manual_seed(seed)
    total, squares = (span.X.new_zeros(length, length, dtype=torch.float64) for _ in range(2))
    for _ in range(probes):
        z = torch.randn(length, width, generator=generator, dtype=torch.float64).to(span.X)
        for sources in _batches(span):
            image = span.apply(alone(z[sources], sources, length)).double()
            q = image.square().sum(-1).T
            total[:, sources] += q
            squares[:, sources] += q.square()
            say(len(sources))
    mean = total / probes
    spread = (squares / probes - mean.square()).clamp(min=0) / (probes - 1 or torch.nan)
    error = torch.where(mean > 0, spread.sqrt() / (2 * mean.sqrt()), 0.0)
    return mean.sqrt(), error


def alone(rows: Tensor, sources: Tensor, length: int) -> Tensor:
    """Return (B, L, D) streams, each zero but for one source token's row (B, D)."""
    streams = rows.new_zeros(len(sources), length, rows.shape[-1])
    streams[torch.arange(len(sources)), sources] = rows
    return streams


def at_once(length: int, widest: int) -> int:
    """Return how many source tokens run at once, by the entries of a token's widest layer."""
    return max(1, min(length, ENTRIES // (length * widest)))


def _batches(span: Span) -> tuple[Tensor, ...]:
    length = len(span.X)
    return torch.split(torch.arange(length), at_once(length, span.widest))
