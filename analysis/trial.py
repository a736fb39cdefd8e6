"""Compression trial: a model with fewer numbers, what it loses, and how sure that is.

A trial chooses ranks (or a size of the method's own) for the chosen linear layers, puts modules
that hold the smaller form in their place, rounds them to the dtype in which they are saved, and
measures the model on the same windows as the dense one. Parameters, bytes and the change of loss
are those of the model as saved. The formulas are in the methods' files, `analysis/compress/`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from analysis.compress.lora.trial import compare_update
from analysis.compress.trials.comparing import Comparison, compare
from analysis.compress.trials.making import make
from analysis.compress.trials.row import Row
from analysis.compress.trials.specs import COMPENSATIONS
from analysis.compress.trials.stages import Given
from analysis.registry import Report, register

OBJECTIVES = ("auto", "expected", "whitened", "relative", "total")


@dataclass(frozen=True)
class Params:
    """A sweep: every method at every size, by every allocation, in every storage form."""

    methods: str = field(
        default="two_sided_svd",
        metadata={"help": "compression methods, with their settings: svd, rtn:bits=4"},
    )
    kept: str = field(
        default="0.8",
        metadata={"help": "shares of the chosen linear layers' parameters to keep: 0.9, 0.8"},
    )
    allocations: str = field(
        default="greedy",
        metadata={"help": "how ranks are chosen: greedy, uniform, energy, welore, sensitivity"},
    )
    forms: str = field(
        default="two_factor",
        metadata={"help": "how a low-rank layer is stored: two_factor, row_interpolative"},
    )
    calibrate: str | None = field(
        default=None,
        metadata={
            "help": "text to calibrate on (.txt, .jsonl, token ids as .npy, or hf:NAME of a hub "
            "dataset); not set: the bundled calibration text",
            "reads": True,
        },
    )
    evaluate: str | None = field(
        default=None,
        metadata={
            "help": "text to measure the loss on (.txt, .jsonl, or token ids as .npy); not set: "
            "the bundled held-out text",
            "reads": True,
        },
    )
    ranks: str | None = field(
        default=None,
        metadata={"help": 'ranks by hand, as JSON: {"blocks.0.q": 12}; other layers stay dense'},
    )
    objective: str = field(
        default="auto",
        metadata={
            "help": "what allocations count as lost: expected (the loss by its curvature alone, "
            "without the slope), whitened error or energy relative to the layer's own, total "
            "energy; auto: the first that is known",
            "choices": OBJECTIVES,
        },
    )
    gradient: str = field(
        default="full",
        metadata={
            "help": "how the covariance of output gradients is kept, for expected loss (none: no "
            "backward pass, no predicted loss)",
            "choices": ("full", "diagonal", "scalar", "none"),
        },
    )
    calibration_windows: int = field(
        default=64, metadata={"help": "windows of text to calibrate on", "min": 1}
    )
    calibration_length: int | None = field(
        default=None,
        metadata={"help": "tokens in each; not set: up to 256", "min": 2},
    )
    preset: str = field(
        default="stream",
        metadata={
            "help": "how the evaluation text is read: one stream, documents joined by blank lines, "
            "or one beginning-of-text token for each document",
            "choices": ("stream", "wikitext", "bos-per-document"),
        },
    )
    windows: int = field(
        default=64,
        metadata={"help": "windows to measure on, drawn from the whole text; 0: all", "min": 0},
    )
    window: int | None = field(
        default=None, metadata={"help": "tokens in each; not set: up to 256", "min": 2}
    )
    first: bool = field(
        default=False,
        metadata={"help": "the first windows instead of drawn ones, to repeat a published figure"},
    )
    choice: str | None = field(
        default=None,
        metadata={
            "help": "multiple-choice questions (.jsonl with question, choices, answer)",
            "reads": True,
        },
    )
    pairs: str | None = field(
        default=None,
        metadata={
            "help": "sentence pairs with scores (.csv, .tsv, .jsonl), for embedding models",
            "reads": True,
        },
    )
    compensation: str = field(
        default="none",
        metadata={
            "help": "a low-rank correction of what the method left, whitened (eora) or plain (svd)",
            "choices": COMPENSATIONS,
        },
    )
    compensation_rank: int = field(default=32, metadata={"help": "its rank", "min": 1})
    recovery_steps: int = field(
        default=0,
        metadata={"help": "steps of training the factors; the dense model gets as many", "min": 0},
    )
    recovery_lr: float = field(
        default=1e-4, metadata={"help": "learning rate of the recovery", "min": 0.0}
    )
    recovery_layers: str = field(
        default="all",
        metadata={
            "help": "which factors are trained: all, or those of low-rank layers (WeLore's LRC)",
            "choices": ("all", "lrc"),
        },
    )
    dtype: str = field(
        default="stored",
        metadata={
            "help": "dtype in which the result is saved, to which it is rounded before it is "
            "measured: the model's own, or float32",
            "choices": ("stored", "float32"),
        },
    )
    weights: str = field(
        default="best",
        metadata={
            "help": "which trials' weights stay on disk: those that no other of the job beats in "
            "both size and loss, all, or none; the others are made again when asked for",
            "choices": ("none", "best", "all"),
        },
    )
    speed: bool = field(
        default=True, metadata={"help": "measure latency beside the dense model, interleaved"}
    )
    seed: int = field(default=0, metadata={"help": "seed of every draw", "min": 0})


@register(title="Compression trial", view="trial", unit="stages")
def trial(given: Given, report: Report) -> Iterator[Row]:
    """Yield the row of one trial, and save its model where `given.weights` says.

    Raises BadInput for a size that is not reached, and NonFiniteLayer naming the layer where a
    weight, an activation or a loss is not finite.
    """
    found: Comparison
    if given.spec.parsed()[0].sizes == "update":
        found = compare_update(given, report)
    else:
        found = compare(given, make(given, report), report)
    yield Row(**found.columns())
