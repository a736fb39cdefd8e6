"""Export: a trial's model as one file for download, with all that is needed to load it elsewhere.

Factored is as the trial measured it; merged is an ordinary checkpoint, no smaller; adapter holds
what a compensation corrects, as a PEFT adapter of the compressed model.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from analysis.compress.trials.exporting import export as write
from analysis.networks.opened import OpenedModel
from analysis.registry import register

FORMS = ("factored", "merged", "adapter")


@dataclass(frozen=True)
class Params:
    """Which trial, by the settings of its job and its name there."""

    trial: str = field(default="", metadata={"help": "the key of the trial's unit"})
    name: str = field(default="", metadata={"help": "its name in its job"})
    settings: str = field(default="{}", metadata={"help": "the settings of its job, as JSON"})
    form: str = field(
        default="factored",
        metadata={
            "help": "with its smaller modules, merged to an ordinary checkpoint, or the "
            "compensation as a PEFT adapter",
            "choices": FORMS,
        },
    )


@dataclass(frozen=True)
class Row:
    """One file."""

    form: str
    file: str = field(metadata={"title": "File", "help": "its name"})
    bytes: int


@register(title="Export", view="", unit="stages")
def export(opened: OpenedModel, weights: Path, params: Params, folder: Path) -> Iterator[Row]:
    """Write the model whose factored form lies in `weights` into one file of a folder.

    `opened` is the dense model it was made from.
    """
    path = write(opened, weights, params.form, folder)
    yield Row(params.form, path.name, path.stat().st_size)
