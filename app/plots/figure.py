"""What a plot is, before anything draws it: arrays, axes with units, one sentence.

A plot function returns a `Figure`; a renderer draws it. Tests assert the numbers here, and a report
can draw the same record with another renderer.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

# What a line stands for; colour and stroke follow from it (plots/colours.py).
Role = Literal[
    "layer", "shuffled", "noise", "edge", "energy", "optimal", "welore", "floor", "fit", "other",
    "control", "front",
]  # fmt: skip
MOST_POINTS = 256


@dataclass(frozen=True)
class Axis:
    """One axis: its words with the unit, and names in place of numbers where it has categories.

    `ticks` are places with words, where there are more names than can be read.
    """

    title: str = ""
    log: bool = False
    names: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    whole: bool = False
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Series:
    """One curve, row of bars, histogram, cloud of points, or band.

    `steps`: `x` are n+1 edges of n bins. `band`: the area from `y` up to `upper`. `points`,
    `joined` ones and `bars` have whiskers from `lower` to `upper` where these are given. Points and
    bars may say what they are (`hover`), points what a click on them opens (`names`).
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    role: Role = "layer"
    kind: Literal["line", "bars", "steps", "points", "joined", "band"] = "line"
    upper: np.ndarray | None = None
    lower: np.ndarray | None = None
    hover: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """A straight line across the plot at one value of one axis, with its words."""

    axis: Literal["x", "y"]
    at: float
    text: str
    role: Role


@dataclass(frozen=True)
class Scale:
    """How values become colours: from pale to deep, or two ways from a middle.

    `log2`: what is coloured, from `low` to `high`, is the values' logarithm.
    """

    kind: Literal["sequential", "diverging"]
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()
    log2: bool = False


@dataclass(frozen=True, eq=False)
class Cells:
    """A map of cells: `colour` is NaN where there is nothing to colour; row 0 is the top one."""

    colour: np.ndarray  # (rows, columns)
    text: np.ndarray  # what is written in each cell
    names: np.ndarray  # the layer a click on the cell opens, "" for no layer
    hover: np.ndarray
    scale: Scale


@dataclass(frozen=True, eq=False)
class Figure:
    """Everything a renderer needs, and the sentence that says what is seen."""

    title: str
    caption: str
    x: Axis
    y: Axis
    series: tuple[Series, ...] = ()
    marks: tuple[Mark, ...] = ()
    cells: Cells | None = None
    words: Literal["top", "bottom"] = "top"  # where upright lines have room for theirs


def thin(length: int, most: int = MOST_POINTS) -> np.ndarray:
    """Return at most `most` positions out of `length`, log-spaced, with the first and the last."""
    if length <= most:
        return np.arange(length)
    spaced = np.geomspace(1, length, most).round().astype(int) - 1
    return np.unique(spaced)
