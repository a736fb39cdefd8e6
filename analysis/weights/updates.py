"""Updates: what a fine-tuning adds to one stored tensor of a base model, as plain data.

Three ways a weight update ΔW comes about:

    difference  tuned - base, two tensors of one shape
    low_rank    s·BA of LoRA's factors, or its transpose where the base stores inputs x outputs
    peft        W' - W, where PEFT itself makes W' from W and the adapter's tensors
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from analysis.weights.header import Stored

VIEW = "delta"

How = Literal["difference", "low_rank", "peft"]
Layer = Literal["linear", "conv1d", "embedding", "conv"]


@dataclass(frozen=True)
class Part:
    """A stored tensor that takes part in an update."""

    file: str
    tensor: str
    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, stored: Stored) -> "Part":
        """Return the part that a header lists."""
        return cls(stored.file, stored.name, stored.dtype, stored.shape)


@dataclass(frozen=True)
class Target:
    """A module that an adapter changes: its path in the adapter, its class and stored shape."""

    path: str
    layer: Layer
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Update:
    """How ΔW of one base tensor comes about; the order of the parts depends on `how`."""

    how: How
    parts: tuple[Part, ...]  # (tuned, base), (B, A) or (base, the adapter's own ...)
    scale: float = 1.0  # of low_rank
    transposed: bool = False  # of low_rank: the base stores (BA)ᵀ
    targets: tuple[Target, ...] = ()  # of peft: this module, then those that share numbers with it
    settings: str = ""  # of peft: the adapter's configuration as JSON

    @property
    def dtype(self) -> str:
        """The stored type of what was trained: of the tuned tensor, B or the adapter's first."""
        return self.parts[1 if self.how == "peft" else 0].dtype

    def content(self) -> list[Any]:
        """Return what the numbers depend on beside the bytes of the parts."""
        parts = [[part.dtype, list(part.shape)] for part in self.parts]
        targets = [asdict(target) for target in self.targets]
        return [self.how, parts, self.scale, self.transposed, targets, self.settings]

    @property
    def files(self) -> tuple[str, ...]:
        """The files that hold the parts, each once."""
        return tuple(dict.fromkeys(part.file for part in self.parts))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Update":
        """Return what `asdict` made, also after a way through JSON."""
        parts = tuple(Part(**{**part, "shape": tuple(part["shape"])}) for part in data["parts"])
        targets = tuple(Target(**{**t, "shape": tuple(t["shape"])}) for t in data["targets"])
        return cls(**{**data, "parts": parts, "targets": targets})


def view_of(word: str) -> str:
    """Return the view of a label whose matrix is the update of what `word` names."""
    return VIEW if word == "whole" else f"{VIEW} {word}"


def is_update(view: str) -> bool:
    """Say whether a label's view is that of an update."""
    return view.split(" ")[0] == VIEW


def of_the_whole(view: str) -> str:
    """Return the view without the word that says it is an update's."""
    return view.removeprefix(VIEW).strip() or "whole" if is_update(view) else view


def sides(shape: tuple[int, ...]) -> str:
    """Return a shape in words: "64 x 32"."""
    return " x ".join(map(str, shape)) or "a single number"


def digest(parts: list[str]) -> str:
    """Return the sha256 of several fingerprints, in order."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
