"""Putting smaller forms in the places of a network's layers, and what each layer then loses.

What is lost is computed from the very numbers that are saved: W' is the form after rounding to the
dtype of the file, with its compensation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from analysis.compress.calibration import calibrate as calibration
from analysis.compress.eora import compensate, compensate_plain
from analysis.compress.forms import Compensated, RowInterpolative, TwoFactor
from analysis.compress.pieces import NonFiniteLayer, Piece, Statistics
from analysis.compress.registry import Method
from analysis.compress.trials.choosing import Choice
from analysis.compress.trials.factoring import read_tensors, together
from analysis.compress.trials.predicting import Change, change
from analysis.compress.trials.specs import BY_HAND, Spec
from analysis.compress.trials.stages import STATISTICS
from analysis.networks.errors import BadInput


@dataclass(frozen=True)
class LayerResult:
    """What became of one layer. Errors are relative to the layer's own; `predicted` in nats."""

    layer: str
    role: str
    block: int | None
    rows: int
    cols: int
    rank: int | None  # None: dense, or a form without one rank
    dense: bool
    words: str  # the form in words, "rank 96, two factors"
    numbers: int
    of_numbers: int
    error: float  # ‖W - W'‖/‖W‖
    whitened: float | None = None  # ‖(W - W')X‖/‖WX‖ on the calibration text
    heldout: float | None = None  # the same on windows left out of it
    predicted: float | None = None  # <E[∂L/∂W], W' - W>, and the layer's share of the curvature
    curvature: float | None = None  # ½E[z²] of the layer alone; see `predicting`
    largest: float | None = None  # max |C| of a row-interpolative form

    @property
    def lost_rank(self) -> float:
        """Return the share of its rank that the layer lost; 0 where its form has no one rank."""
        return 0.0 if self.rank is None else 1 - self.rank / min(self.rows, self.cols)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Assembly:
    """How layers are made: the trial, its method, its choice, and the dtype of the file."""

    spec: Spec
    method: Method
    params: Any
    choice: Choice
    dtype: torch.dtype

    def forms(self, pieces: Sequence[Piece], factors: Path) -> dict[str, nn.Module]:
        """Return the new modules of one group by layer; layers that stay dense have none.

        Raises NonFiniteLayer where a number is beyond the dtype of the file.
        """
        made: dict[str, nn.Module] = {}
        for group in together(self.method, pieces):
            tensors = read_tensors(factors, group[0].layer)
            if self.method.sizes == "ranks":
                made |= self._ranked(group, tensors)
            elif option := self.choice.options.get(group[0].layer):
                assert self.method.build is not None
                made |= self.method.build(group, tensors, option, self.params)
        by_layer = {piece.layer: piece for piece in pieces}
        done = {layer: self._finished(by_layer[layer], form) for layer, form in made.items()}
        return {layer: form for layer, form in done.items() if self._saves(form)}

    def _saves(self, form: Any) -> bool:
        """Say whether a form is worth its place: a rank with its compensation may hold too much."""
        if self.method.sizes == "own" or self.spec.allocation == BY_HAND:
            return True
        return bool(form.numbers() <= form.out_features * form.in_features)

    def _ranked(
        self, group: Sequence[Piece], tensors: Mapping[str, Tensor]
    ) -> dict[str, nn.Module]:
        made: dict[str, nn.Module] = {}
        for piece in group:
            rank = self.choice.ranks.get(piece.layer)
            if rank is None:
                continue
            B = tensors[f"{piece.layer}.B"][:, :rank].double()
            A = tensors[f"{piece.layer}.A"][:rank].double()
            two = self.spec.form == "two_factor"
            form: nn.Module = TwoFactor(A, B) if two else RowInterpolative.of(B, A)
            made[piece.layer] = form
        return made

    def _finished(self, piece: Piece, form: Any) -> nn.Module:
        if self.spec.compensation != "none":
            form = self._compensated(piece, form)
        form = form.to(torch.float32).stored_as(self.dtype)
        if not all(value.isfinite().all() for value in form.state_dict().values()):
            raise NonFiniteLayer(piece.layer, f"its form in {self.dtype}")
        assert isinstance(form, nn.Module)
        return form

    def _compensated(self, piece: Piece, form: Any) -> nn.Module:
        rest = piece.W.double() - form.to(torch.float32).stored_as(self.dtype).dense().double()
        rank = min(self.spec.compensation_rank, *rest.shape)
        if self.spec.compensation == "svd":
            B, A = compensate_plain(rest, rank)
        elif piece.statistics is None:
            raise BadInput(
                f"{piece.layer} was not calibrated, and eora needs that: calibrate, or "
                "compensate by svd"
            )
        else:
            B, A = compensate(rest, piece.statistics, rank)
        return Compensated(form, B.float(), A.float())


def statistics_of(
    folders: Mapping[str, Path], group: str, layers: Sequence[str]
) -> dict[str, Statistics]:
    """Return the statistics of a group's layers, {} where nothing was calibrated."""
    folder = folders.get(group)
    return {} if folder is None else calibration.load(folder / STATISTICS, list(layers))


def result(
    piece: Piece, form: Any, rank: int | None, said: str = ""
) -> tuple[LayerResult, Change | None]:
    """Return what became of a layer, and what that does to the loss; its `predicted` is alone.

    `form` None: it stays dense. `said`: its size in words.
    """
    m, n = piece.W.shape
    place = (piece.layer, piece.role, piece.block, m, n)
    known = piece.statistics
    if form is None:
        none = (0.0 if known else None, 0.0 if known and known.heldout is not None else None)
        made = None if known is None or known.gradient is None else Change(0.0, 0.0)
        nats = None if made is None else 0.0
        return LayerResult(*place, None, True, "dense", m * n, m * n, 0.0, *none, nats, nats), made
    W, lost = piece.W.double(), piece.W.double() - form.dense().detach().double()
    made = change(lost, known)
    found = LayerResult(
        *place,
        rank,
        False,
        _words(form, f"rank {rank}" if rank is not None else said),
        form.numbers(),
        m * n,
        _share(lost.square().sum(), W.square().sum()),
        None if known is None else _seen(lost, W, known.gram),
        None if known is None or known.heldout is None else _seen(lost, W, known.heldout),
        None if made is None else made.slope + made.curvature,
        None if made is None else made.curvature,
        form.largest() if isinstance(form, RowInterpolative) else None,
    )
    return found, made


def _seen(lost: Tensor, W: Tensor, G: Tensor) -> float:
    return _share((lost @ G * lost).sum(), (W @ G * W).sum())


def _share(part: Tensor, whole: Tensor) -> float:
    return float((part.clamp(min=0) / whole).sqrt()) if whole > 0 else 0.0


def _words(form: Any, size: str) -> str:
    kind = str(form.kind).replace("_", " ")
    return f"{size}, {kind}" if size else kind
