"""Which sizes no trial can be of, known from the shapes of the chosen layers before anything runs.

What is computed is a bound from below: a layer that turns out to have no place in the network stays
dense, and then the least is larger.
"""

from collections.abc import Sequence
from typing import Any

import torch

from analysis.compress.pieces import Heads, Piece
from analysis.compress.registry import Method
from analysis.compress.trials.choosing import ALWAYS_HELD, SMALLEST, Budget
from analysis.compress.trials.compensating import numbers_by_layer
from analysis.compress.trials.factoring import together
from analysis.compress.trials.names import FITS_NONE
from analysis.compress.trials.specs import BY_HAND, Spec
from analysis.networks.errors import BadInput
from analysis.weights.refs import MatrixRef


def check(spec: Spec, groups: Sequence[Sequence[MatrixRef]], heads: Heads | None) -> None:
    """Raise BadInput, as the trial itself would, where its size is below the least there is.

    `groups` has the chosen matrices by block.
    """
    method, params = spec.parsed()
    if spec.kept == 1.0 or method.sizes == "update":
        return
    seen = [s for group in groups for s in together(method, [_piece(r, heads) for r in group])]
    shapes = {
        piece.layer: (piece.W.shape[0], piece.W.shape[1]) for pieces in seen for piece in pieces
    }
    total = sum(rows * cols for rows, cols in shapes.values())
    found = _least(method, params, seen) if method.least is not None else (0, 0)
    if found is None:
        raise fits_none(method)
    if spec.kept is None or spec.allocation == BY_HAND:
        return
    least, left_over = found
    reserved = sum(numbers_by_layer(spec, shapes).values())
    budget = Budget(spec.kept, total, left_over, reserved)
    if method.sizes == "ranks" and budget.left <= 0:
        raise budget.refuse(1, ALWAYS_HELD)
    if least > budget.left:
        raise budget.refuse(least, SMALLEST)


def fits_none(method: Method) -> BadInput:
    """Return the sentence for a method that has no size for any of the chosen layers."""
    needed = ": it needs the query, key, value and output matrices of a block together"
    return BadInput(f"{method.title} {FITS_NONE}{needed if method.scope == 'block' else ''}")


def _least(method: Method, params: Any, seen: Sequence[Sequence[Piece]]) -> tuple[int, int] | None:
    """Return the least that the covered layers hold, and what is left over; None: it covers none.

    A group whose smallest size holds no less than it does stays dense.
    """
    assert method.least is not None
    least, left_over, fits = 0, 0, False
    for pieces in seen:
        every = sum(piece.W.numel() for piece in pieces)
        found = method.least(pieces, params)
        fits = fits or found is not None
        numbers, covered = found or (0, 0)
        least += min(numbers, covered)
        left_over += every - covered
    return (least, left_over) if fits else None


def _piece(ref: MatrixRef, heads: Heads | None) -> Piece:
    """Return a matrix of its shape alone: nothing is read."""
    W = torch.empty(ref.shape, device="meta")
    return Piece(ref.label.layer, ref.label.module, ref.label.block, W, None, heads)
