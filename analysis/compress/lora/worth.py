"""What an update is worth on a text: its base alone, measured on the windows of the whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from analysis.compress.lora.merge import base_of
from analysis.compress.trials.measuring import evaluation_stage, read_evaluation
from analysis.compress.trials.stages import EvaluationRow
from analysis.evaluate.evaluation import Evaluation, difference
from analysis.networks.opened import OpenedModel
from analysis.registry import Report


def base_stage(
    opened: OpenedModel, params: Any, folder: Path, report: Report
) -> Iterator[EvaluationRow]:
    """Yield what the base of an update comes to without it, and keep all of it in `folder`.

    Texts are read as the updated model reads them: the windows are the same.
    """
    return evaluation_stage(opened, params, folder, report, base_of(opened).network())


@dataclass(frozen=True)
class Worth:
    """The score of the base alone, and how much worse that is than with the whole update."""

    metric: str
    score: float
    gain: float  # nats per token, or Spearman's ρ; NaN ends: one window gives no interval
    low: float
    high: float

    @classmethod
    def of(cls, folder: Path, whole: Evaluation, seed: int) -> Self:
        """Return what `base_stage` left in a folder, beside the model with the whole update."""
        base = read_evaluation(folder)
        return cls(base.metric, base.score, *difference(base, whole, seed))

    def columns(self) -> dict[str, Any]:
        """Return what the row says of it."""
        ends = {"worth_low": self.low, "worth_high": self.high}
        known = {name: None if end != end else end for name, end in ends.items()}
        return {"base_score": self.score, "worth": self.gain, **known}

    def warnings(self, whole: str, base: str) -> list[str]:
        """Return a sentence where the text does not tell the whole update from none."""
        if self.gain > 0 and not self.low <= 0:
            return []
        ends = "" if self.low != self.low else f" [{self.low:+.3f}, {self.high:+.3f}]"
        change, unit = ("the loss changes", " nats per token")
        if self.metric != "loss":
            change, unit = "Spearman's ρ falls", ""
        return [
            f"On this text the {whole} is no better than {base} alone: without it {change} by "
            f"{self.gain:+.3f}{ends}{unit}. So what a trial loses here says little: measure on a "
            "text like the one that it was trained on."
        ]
