"""A transformer held still at one input: an affine map of its residual stream.

For one window of L tokens the attention patterns A, the variances in the norms and the activation
ratios phi(z)/z are kept as they were. What is left is affine in the stream X (L x D):

    F(X) = T X + b,    with T_ij (D x D) the block from source token j to token i.

In token-major form an attention sublayer is I + sum_h A_h (x) W_O^h W_V^h diag(gain/rms), a norm is
diag(gain)/rms (less the mean over D where it centres), a feed-forward layer is
W_down diag(ratio) W_up; biases make up b. Products of blocks are products of their T. No LD x LD
matrix is made: T is applied by running the pieces without their biases.

T is not the Jacobian, which also moves A, the variances and the ratios with X.

TensorLens (2026), https://arxiv.org/abs/2601.17958
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import linear


class Piece(Protocol):
    """One frozen part: an affine map of (..., L, n) to (..., L, m); linear unless `biased`."""

    def __call__(self, V: Tensor, *, biased: bool) -> Tensor:
        """Return the image of V."""


Pieces = tuple[Piece, ...]


def run(pieces: Pieces, V: Tensor, *, biased: bool) -> Tensor:
    """Return the image of V (..., L, n) under the pieces, first to last."""
    for piece in pieces:
        V = piece(V, biased=biased)
    return V


@dataclass(frozen=True, eq=False)
class Linear:
    """V W^T + bias at each token."""

    weight: Tensor  # (m, n)
    bias: Tensor | None = None  # (m,)

    def __call__(self, V: Tensor, *, biased: bool) -> Tensor:
        """Return the image of V (..., L, n)."""
        return linear(V, self.weight, self.bias if biased else None)


@dataclass(frozen=True, eq=False)
class Norm:
    """scale_i * gain * V_i + bias: RMSNorm, or LayerNorm where it is `centred`."""

    gain: Tensor  # (D,)
    bias: Tensor | None
    scale: Tensor  # (L, 1), one over the deviation at each token
    centred: bool

    def __call__(self, V: Tensor, *, biased: bool) -> Tensor:
        """Return the image of V (..., L, D)."""
        if self.centred:
            V = V - V.mean(-1, keepdim=True)
        V = V * self.scale * self.gain
        return V + self.bias if biased and self.bias is not None else V


@dataclass(frozen=True, eq=False)
class Scale:
    """An activation, or a gate: each entry times its frozen ratio."""

    ratio: Tensor  # (L, F)

    def __call__(self, V: Tensor, *, biased: bool) -> Tensor:
        """Return the image of V (..., L, F)."""
        return V * self.ratio


@dataclass(frozen=True, eq=False)
class Attention:
    """sum_h A_h V W_V^T W_O^T, where H/G heads in a row share one of G value projections."""

    pattern: Tensor  # (H, L, L); row i says where token i looks
    value: Linear  # D to G * d
    output: Linear  # H * d to D

    def __call__(self, V: Tensor, *, biased: bool) -> Tensor:
        """Return the image of V (..., L, D)."""
        heads, length, _ = self.pattern.shape
        width = self.output.weight.shape[1] // heads
        values = self.value(V, biased=biased)
        values = values.reshape(*values.shape[:-1], -1, width)  # (..., L, G, d)
        groups = values.shape[-2]
        pattern = self.pattern.view(groups, heads // groups, length, length)
        mixed = torch.einsum("ghij,...jgd->...ighd", pattern, values)
        return self.output(mixed.flatten(-3), biased=biased)


@dataclass(frozen=True, eq=False)
class Paths:
    """The sum over several paths; one without pieces is the identity."""

    paths: tuple[Pieces, ...]

    def __call__(self, V: Tensor, *, biased: bool) -> Tensor:
        """Return the image of V (..., L, D)."""
        first, *others = (run(path, V, biased=biased) for path in self.paths)
        return sum(others, first)


def residual(*pieces: Piece) -> Paths:
    """Return V + pieces(V)."""
    return Paths(((), pieces))


@dataclass(frozen=True, eq=False)
class Span:
    """The frozen map of blocks start to stop - 1, with what the real model had at its ends."""

    pieces: Pieces
    X: Tensor  # (L, D), the stream that enters
    Y: Tensor  # (L, D), what the real model made of it
    patterns: tuple[Tensor, ...]  # (H, L, L) of each block

    def apply(self, V: Tensor) -> Tensor:
        """Return T V for V (..., L, D)."""
        return run(self.pieces, V, biased=False)

    def affine(self, V: Tensor) -> Tensor:
        """Return T V + b for V (..., L, D)."""
        return run(self.pieces, V, biased=True)

    def transposed(self, W: Tensor) -> Tensor:
        """Return T^T W for W (..., L, D): what each source entry adds to <W, T V>."""
        with torch.enable_grad():
            V = torch.zeros_like(W).requires_grad_()
            [found] = torch.autograd.grad(self.apply(V), V, W)
        return found

    @cached_property
    def bias(self) -> Tensor:
        """Return b = F(0), (L, D)."""
        return self.affine(torch.zeros_like(self.X))

    @property
    def widest(self) -> int:
        """Return how many entries a token has in the widest layer."""
        return max(self.X.shape[1], *_widths(self.pieces))

    @cached_property
    def incompleteness(self) -> float:
        """Return ||T X + b - Y||_F / ||Y||_F, the share of the real output that F misses."""
        return missed(self.apply(self.X) + self.bias, self.Y)


@dataclass(frozen=True, eq=False)
class Frozen:
    """A model frozen at one window of L tokens."""

    stem: Pieces  # between the sum of the embeddings and the first block
    blocks: tuple[Pieces, ...]
    final: Pieces  # the norm after the last block, if there is one
    head: Pieces  # from the final hidden states to logits; none where there is no head
    streams: tuple[Tensor, ...]  # (L, D): what enters the stem, blocks 1, 2, ..., and `final`
    hidden: Tensor  # (L, D), the real final hidden states
    logits: Tensor | None  # (L, K) real ones; (1, K) of a classifier
    readout: int | None  # the one token that a classifier reads
    patterns: tuple[Tensor, ...]  # (H, L, L) of each block
    causal: bool
    gated: bool  # whether T depends on the gating convention

    def span(self, start: int = 0, stop: int | None = None, *, normed: bool = True) -> Span:
        """Return the map of blocks start to stop - 1 (all by default).

        The first block brings the stem along, the last one the final norm unless `normed` is
        false. Raises ValueError unless 0 <= start < stop <= the number of blocks.
        """
        count = len(self.blocks)
        stop = count if stop is None else stop
        if not 0 <= start < stop <= count:
            raise ValueError(f"expected 0 <= start < stop <= {count} blocks, got {start}, {stop}")
        whole = normed and stop == count
        pieces = sum(self.blocks[start:stop], () if start else self.stem)
        return Span(
            (*pieces, *self.final) if whole else pieces,
            self.streams[start],
            self.hidden if whole else self.streams[stop],
            self.patterns[start:stop],
        )

    def directions(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return w (L, D) and k (L,): logit tokens[i] at token i is w_i . y_i + k_i.

        A classifier has a logit at one token only; the other rows are NaN. Raises ValueError
        where there is no head.
        """
        if not self.head:
            raise ValueError("expected a model with a head, got one that ends in hidden states")
        read = slice(None) if self.readout is None else slice(self.readout, self.readout + 1)
        with torch.enable_grad():
            y = torch.zeros_like(self.hidden).requires_grad_()
            picked = self._picked(y[read], tokens[read], biased=False)
            [found] = torch.autograd.grad(picked.sum(), y)
        constant = self._picked(torch.zeros_like(found[read]), tokens[read], biased=True)
        w, k = torch.full_like(found, torch.nan), found.new_full(found.shape[:1], torch.nan)
        w[read], k[read] = found[read], constant
        return w, k

    def _picked(self, y: Tensor, tokens: Tensor, *, biased: bool) -> Tensor:
        return run(self.head, y, biased=biased).gather(-1, tokens[:, None])[:, 0]


def _widths(pieces: Pieces) -> Iterator[int]:
    for piece in pieces:
        if isinstance(piece, Linear):
            yield len(piece.weight)
        elif isinstance(piece, Attention):
            yield piece.output.weight.shape[1]
        elif isinstance(piece, Paths):
            yield sum(width for path in piece.paths for width in _widths(path))


def missed(found: Tensor, real: Tensor) -> float:
    """Return ||found - real||_F / ||real||_F."""
    return float((found - real).norm() / real.norm())
