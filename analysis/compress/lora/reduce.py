"""LoRA trials: an adapter out of a fine-tuned model, and an adapter of lower rank out of another.

Both answer with two factors per module, ΔW ≈ BA, at one rank for all or at ranks that together hold
no more than a share: of an adapter's own numbers when it is shrunk, of the changed matrices' when
one is extracted; a rule of `budget.py` says which module gets how much of it. Modules that are not
chosen keep all of their update. What a LoRA cannot carry (a changed norm, embedding, bias) is
listed.

Hu et al. (2022), https://arxiv.org/abs/2106.09685
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import torch

from analysis.compress.allocation.allocate import exactly
from analysis.compress.lora.adapter import NothingToWrite as NothingToWrite
from analysis.compress.lora.adapter import write_adapter as write_adapter
from analysis.compress.lora.budget import ranks_within
from analysis.compress.lora.factors import Factors, energies, of_update
from analysis.compress.lora.factors import extract as extract
from analysis.compress.lora.factors import shrink as shrink
from analysis.compress.lora.updates import LayerUpdate, left_out, updates
from analysis.compress.pieces import Statistics
from analysis.numerics.decomposition import EPS
from analysis.registry import AnalysisError
from analysis.weights.source import Source

ByLayer = Mapping[str, Statistics]
NO_FACTORS = "it has no LoRA factors to shrink: extract a LoRA from it instead"


class NoUpdates(AnalysisError):  # noqa: N818  what was found, not a fault
    """A model that is not what a LoRA trial starts from: an adapter, or one with its base."""


@dataclass(frozen=True)
class Row:
    """What became of one module's update."""

    layer: str
    module: str
    rank_before: int  # of the adapter, or min(m, n)
    rank_after: int
    energy: float  # share of ‖ΔW‖² that is kept, of ‖ΔW G^½‖² with statistics
    numbers: int  # that both factors hold
    of_numbers: int  # of its factors before, or of a changed matrix; 0: training left it alone
    chosen: bool  # False: its update stays as it is, whatever the others hold


@dataclass(frozen=True, eq=False)
class Reduced:
    """Factors by module path (B m x k, A k x n, float64), a row per module, what was left out."""

    factors: dict[str, Factors]
    rows: list[Row]
    skipped: list[tuple[str, str]]  # tensor, reason
    numbers_before: int  # those that a share of 1 would hold, of the chosen modules
    conv1d: bool  # modules are GPT-2's Conv1D

    @property
    def numbers(self) -> int:
        """The numbers of all factors, of modules that are not chosen too."""
        return sum(row.numbers for row in self.rows)

    @property
    def numbers_beside(self) -> int:
        """The numbers of modules that are not chosen, now as before."""
        return sum(row.numbers for row in self.rows if not row.chosen)


def shrink_source(
    source: Source,
    rank: int | None = None,
    kept: float | Fraction | None = None,
    statistics: ByLayer | None = None,
    rule: str = "uniform",
    layers: Collection[str] | None = None,
) -> Reduced:
    """Return a LoRA adapter at lower ranks: `rank` at most, or `kept` of its own numbers.

    `rule` (of `budget.RULES`) says how the share is spent. `layers` None are all; updates of others
    stay as they are, and no share is of them. Raises NoUpdates for anything but an adapter, and
    ValueError unless one of the two is given.
    """
    if source.kind != "adapter":
        raise NoUpdates(f"{source.name} is no adapter: give a PEFT folder, or extract a LoRA")
    found = list(updates(source))
    low = [update for update in found if update.matrix.factors() is not None]
    other = [(update.tensor, NO_FACTORS) for update in found if update not in low]
    trial = _Trial(
        low,
        statistics or {},
        lambda update: _rank(update) * sum(update.matrix.shape),
        rule,
        layers,
    )
    return trial.reduced(rank, kept, other + left_out(source))


def extract_source(
    source: Source,
    rank: int | None = None,
    kept: float | Fraction | None = None,
    statistics: ByLayer | None = None,
    rule: str = "uniform",
    layers: Collection[str] | None = None,
) -> Reduced:
    """Return a LoRA of what a fine-tuned model, or any adapter, adds to its base.

    `kept` is a share of the numbers of the matrices that it changes; `rule` and `layers` are as in
    `shrink_source`. Raises NoUpdates for a model without a base, and ValueError unless one of
    `rank` and `kept` is given.
    """
    if source.base is None:
        raise NoUpdates(f"{source.name} stands alone: give the base of it with --base MODEL")
    trial = _Trial(
        list(updates(source)),
        statistics or {},
        lambda update: math.prod(update.matrix.shape) if trial.changed(update) else 0,
        rule,
        layers,
    )
    return trial.reduced(rank, kept, left_out(source))


@dataclass(frozen=True, eq=False)
class _Trial:
    """The updates of one model; a matrix is in memory only while its own factors are made."""

    updates: list[LayerUpdate]
    statistics: ByLayer
    before: Callable[[LayerUpdate], int]  # the numbers of one module that a share of 1 would hold
    rule: str
    layers: Collection[str] | None
    _spectra: dict[str, np.ndarray] = field(default_factory=dict)

    def changed(self, update: LayerUpdate) -> bool:
        return bool(self._spectrum(update).any())

    def reduced(
        self,
        rank: int | None,
        kept: float | Fraction | None,
        skipped: list[tuple[str, str]],
    ) -> Reduced:
        chosen = [update for update in self.updates if self._chosen(update)]
        whole = sum(self.before(update) for update in chosen)
        budget = None if kept is None else int(exactly(kept) * whole)
        ranks = dict(zip(chosen, self._ranks(chosen, rank, budget), strict=True))
        pairs = [(update, ranks.get(update, self._directions(update))) for update in self.updates]
        return Reduced(
            {update.module: self._factors(update, k) for update, k in pairs if k},
            [self._row(update, k) for update, k in pairs],
            skipped,
            whole,
            any(update.conv1d for update in self.updates),
        )

    def _chosen(self, update: LayerUpdate) -> bool:
        return self.layers is None or update.layer in self.layers

    def _directions(self, update: LayerUpdate) -> int:
        """Return the rank at which an update is itself."""
        return int((self._spectrum(update) > 0).sum())

    def _ranks(
        self, chosen: Sequence[LayerUpdate], rank: int | None, budget: int | None
    ) -> list[int]:
        if (rank is None) == (budget is None):
            raise ValueError("expected either a rank or a share, got both or neither")
        if rank is not None and rank < 1:
            raise ValueError(f"expected a rank of at least 1, got {rank}")
        if budget is None:
            return [min(rank or 0, self._directions(update)) for update in chosen]
        spectra = [self._spectrum(update) for update in chosen]
        return ranks_within(budget, spectra, [sum(u.matrix.shape) for u in chosen], self.rule)

    def _row(self, update: LayerUpdate, rank: int) -> Row:
        spectrum = self._spectrum(update)
        total = float(spectrum.sum())
        share = float(spectrum[:rank].sum()) / total if total else 1.0
        numbers = rank * sum(update.matrix.shape)
        place = (update.layer, update.module)
        sizes = (numbers, self.before(update))
        return Row(*place, _rank(update), rank, share, *sizes, self._chosen(update))

    def _spectrum(self, update: LayerUpdate) -> np.ndarray:
        """Return σ² of an update, descending; what float64 cannot tell from zero is zero."""
        if update.module not in self._spectra:
            values = update.matrix.singular_values()  # which also finds NaN and infinity
            found = values.square()
            if update.layer in self.statistics:
                found = energies(*self._all_factors(update), self.statistics[update.layer])
            least = (max(update.matrix.shape) * EPS) ** 2 * found.max()
            self._spectra[update.module] = torch.where(found > least, found, 0.0).numpy()
        return self._spectra[update.module]

    def _factors(self, update: LayerUpdate, rank: int) -> Factors:
        B, A = self._all_factors(update)
        return B[:, :rank].clone(), A[:rank].clone()

    def _all_factors(self, update: LayerUpdate) -> Factors:
        statistics = self.statistics.get(update.layer)
        stored = update.matrix.factors()
        if stored is None:
            return of_update(update.matrix.dense(), statistics)
        return shrink(*stored, statistics)


def _rank(update: LayerUpdate) -> int:
    stored = update.matrix.factors()
    return min(update.matrix.shape) if stored is None else stored[1].shape[0]
