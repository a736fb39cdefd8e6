"""A trial of an update: the base with a smaller adapter, beside the model with the whole of it.

The network that is measured is that of the file: W + B'A' of its base, with factors as they are
stored and in one pass over W, so that no update is ever in memory beside its weight. What the file
does not hold (a changed norm, embedding or bias) has the base's values. Sizes are the adapter's:

    numbers     Σ k (m + n) now; before Σ r (m + n) of an adapter that is shrunk, Σ m n of the
                matrices that a fine-tuning changed
    bytes       of the adapter's file; before of its old file, or of those matrices
    whole model (base + adapter now) / (base + adapter before), or / base of a fine-tuned model

Updates of layers that are not chosen stay as they are: they are in the file, in its bytes and in
the whole model, and in no share.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis.compress.lora.adapter import adapter_bytes, stored
from analysis.compress.lora.fits import WHOLE, check, chosen
from analysis.compress.lora.merge import add, base_of
from analysis.compress.lora.reduce import Reduced, write_adapter
from analysis.compress.lora.told import LISTED, base_name, is_shrunk, left_out, of_sizes
from analysis.compress.lora.worth import Worth
from analysis.compress.trials.assembling import LayerResult
from analysis.compress.trials.choosing import Choice
from analysis.compress.trials.comparing import Comparison, continuations
from analysis.compress.trials.making import Made
from analysis.compress.trials.measuring import read_evaluation, saved_dtype
from analysis.compress.trials.measuring import settings_of as evaluation_of
from analysis.compress.trials.recording import record
from analysis.compress.trials.stages import Given
from analysis.evaluate.evaluation import evaluate
from analysis.evaluate.flops import linear_flops
from analysis.evaluate.size import model_numbers
from analysis.networks.errors import BadInput
from analysis.registry import Report
from analysis.weights.source import Source

STEPS = 3
MERGED = "merged: same shapes"


@dataclass(frozen=True)
class UpdateResult(LayerResult):
    """What became of one module's update; `error` is ‖W - W'‖/‖W‖ of the whole weight."""

    rank_before: int = 0
    energy: float = 1.0  # share of ‖ΔW‖² that is kept

    @property
    def lost_rank(self) -> float:
        """Return the share of the update's rank that is gone."""
        return 1 - (self.rank or 0) / self.rank_before


@dataclass(frozen=True, eq=False)
class UpdateComparison(Comparison):
    """A smaller adapter beside the whole update; `sizes` has the model's "numbers" too."""

    reduced: Reduced
    worth: Worth | None  # None: the base was not measured

    def _asked(self) -> dict[str, Any]:
        _, params = self.given.spec.parsed()
        same = bool(params.rank) or params.budget == "uniform"
        return super()._asked() | {"allocation": "uniform" if same else "greedy"}

    def _sizes(self) -> dict[str, Any]:
        linear, of_linear = self.made.linear
        now, whole = self.sizes["numbers"], self.sizes["of_numbers"]
        return {
            "kept_linear": linear / of_linear,
            "kept_model": now / whole,
            "linear_numbers": linear,
            "model_numbers": now,
            "of_linear_numbers": of_linear,
            "of_model_numbers": whole,
            "bytes": self.sizes["bytes"],
            "of_bytes": self.sizes["of_bytes"],
        }

    def _speed(self) -> dict[str, Any]:
        return super()._speed() | {"speed_at": MERGED}

    def _described(self) -> dict[str, Any]:
        return {
            **super()._described(),
            "beside": WHOLE[self.given.opened.source.kind],
            "notes": "\n".join(of_sizes(self.given, self.reduced)),
            **(self.worth.columns() if self.worth else {}),
        }

    def _warnings(self) -> list[str]:
        said = [*self.made.warnings, *self.after.warnings]
        if self.sizes["bytes"] > self.sizes["of_bytes"]:
            said.append("The adapter's file is larger than what it stands for.")
        source = self.given.opened.source
        if self.worth is not None:
            said += self.worth.warnings(WHOLE[source.kind], base_name(source))
        return said


def compare_update(given: Given, report: Report) -> UpdateComparison:
    """Reduce the update of an adapter or a fine-tuned model, measure what is left, and save it.

    Raises BadInput for what no update is reduced to, NonFiniteLayer where a value is not finite.
    """
    opened, params = given.opened, given.params
    check(opened, given.spec, params)
    dense = read_evaluation(given.dense)
    report(0, STEPS, given.spec.full_name)
    dtype = _dtype(opened.source, params.dtype)
    reduced = _reduced(given, dtype)
    network = base_of(opened).network()
    base_numbers = model_numbers(network)
    add(network, reduced.factors)
    whole = opened.network()
    made = _made(given, reduced, network, whole, dtype)
    report(1, STEPS, "measuring the base with the smaller update")
    after = evaluate(opened, network, evaluation_of(params))
    texts = continuations(opened, params.evaluate, whole, made)
    if given.weights is not None:
        report(2, STEPS, "saving")
        said = record(given, made, dense) | {"base": base_name(opened.source)}
        write_adapter(
            given.weights, reduced.factors, base_name(opened.source), said,
            conv1d=reduced.conv1d, dtype=dtype,
        )  # fmt: skip
    sizes = _sizes(given, reduced, made, base_numbers)
    worth = Worth.of(given.base, dense, params.seed) if given.base is not None else None
    return UpdateComparison(
        given, made, dense, after, after, (), sizes, None, texts, reduced, worth
    )


def _reduced(given: Given, dtype: torch.dtype) -> Reduced:
    """Return the update at its new ranks, with the factors that the file holds."""
    method, params = given.spec.parsed()
    kept = given.spec.kept
    layers = chosen(given.opened)
    found: Reduced = method.function(given.opened.source, params, kept, layers)
    name = given.opened.name if layers is None else f"the chosen layers of {given.opened.name}"
    if not found.numbers_before:
        reasons = "; ".join(f"{tensor}: {why}" for tensor, why in found.skipped[:LISTED])
        raise BadInput(f"{method.name} takes no update of {name} ({reasons or 'all zero'})")
    if not any(row.rank_after for row in found.rows if row.chosen):
        share = "" if kept is None else f"{kept:.3%} of "
        raise BadInput(
            f"{share}the {found.numbers_before:,} numbers of {name} hold no direction of any "
            "update: keep more of them"
        )
    rounded = {
        path: (stored(path, B, dtype), stored(path, A, dtype))
        for path, (B, A) in found.factors.items()
    }
    return replace(found, factors=rounded)


def _made(
    given: Given, reduced: Reduced, network: nn.Module, whole: nn.Module, dtype: torch.dtype
) -> Made:
    """Return the network with what each changed module keeps, as any trial's."""
    labels = {ref.label.layer: (ref.label, ref.shape) for ref in given.opened.source.matrices()}
    results: list[LayerResult] = []
    for row in reduced.rows:
        if not (row.chosen and row.of_numbers):
            continue
        label, (m, n) = labels[row.layer]
        results.append(
            UpdateResult(
                row.layer, label.module, label.block, m, n, row.rank_after, False,
                f"rank {row.rank_after} of {row.rank_before}, {row.energy:.1%} of its energy",
                row.numbers, row.of_numbers, _lost(row.module, network, whole),
                rank_before=row.rank_before, energy=row.energy,
            )
        )  # fmt: skip
    _, params = given.spec.parsed()
    # What is left of a uniform budget goes by each module's own energy too.
    counted = "" if params.rank else {"uniform": "relative"}.get(params.budget, params.budget)
    choice, said = Choice(objective=counted), left_out(reduced)
    return Made(network, {}, [], results, choice, dtype, 0, None, said)


def _lost(path: str, network: nn.Module, whole: nn.Module) -> float:
    both = (one.get_submodule(path).get_parameter("weight") for one in (whole, network))
    W, own = (weight.detach().double() for weight in both)
    lost, norm = float((W - own).norm()), float(W.norm())
    return lost / norm if norm else 0.0


def _sizes(given: Given, reduced: Reduced, made: Made, base: int) -> dict[str, int]:
    source = given.opened.source
    flops = linear_flops(made.network, sorted({row.module for row in reduced.rows if row.chosen}))
    before, of_numbers = sum(row.of_numbers for row in reduced.rows), base
    if is_shrunk(given):
        of_numbers = base + before
        of_bytes = sum(Path(file).stat().st_size for file in {t.file for t in source.stored})
    else:
        of_bytes = before * saved_dtype(source, "stored").itemsize
    return {
        "numbers": base + reduced.numbers,
        "of_numbers": of_numbers,
        "bytes": adapter_bytes(reduced.factors, made.dtype),
        "of_bytes": of_bytes,
        "flops": flops,
        "of_flops": flops,
    }


def _dtype(source: Source, asked: str) -> torch.dtype:
    """Return the dtype of the adapter's file: float32, or that of what training left."""
    found = getattr(torch, source.dtype, torch.float32)
    own = asked == "stored" and found.is_floating_point
    return found if own else torch.float32
