"""When stable ranks stop drifting during training, and the rank each layer is then given.

At each epoch e, for each layer that is not stable yet: sr_e joins its series; from e = w on, the
series is smoothed (ema_t = a sr_t + (1 - a) ema_{t-1}, a = 2/(w + 1), ema_0 = sr_0), and the layer
is stable, for good, once the mean |gradient| of the last `tail` smoothed values is at most the
threshold. When all are stable, training switches to factors at epoch E = e + 1, of rank
min(r, ceil(sr r/sr_0)) for a layer of full rank r.

Wang et al. (2023), Cuttlefish, https://arxiv.org/abs/2305.02538
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Settings:
    """The detector's parameters; the defaults are those published for CIFAR-10."""

    ema_window: int = field(
        default=15,
        metadata={
            "title": "Window w",
            "help": "epochs w of the smoothed average, which needs w + 1 points",
            "min": 1,
        },
    )
    tail: int = field(
        default=11,
        metadata={"title": "Tail", "help": "epochs over which the drift is averaged", "min": 1},
    )
    threshold: float = field(
        default=0.1,
        metadata={
            "title": "Threshold",
            "help": "largest drift of a stable layer, in stable rank an epoch",
            "min": 0.0,
        },
    )
    relative_threshold: float | None = field(
        default=None,
        metadata={
            "title": "Relative threshold",
            "help": "instead of it: largest drift as a share of the smoothed stable rank, "
            "0.002 say, which does not depend on a layer's width",
            "min": 0.0,
        },
    )
    scaling: float = field(
        default=2.5,
        metadata={
            "title": "Scaling",
            "help": "factor on the threshold when few layers are left",
            "min": 0.0,
        },
    )
    few: int = field(
        default=2,
        metadata={
            "title": "Few layers left",
            "help": "unstable layers left from which the factor holds",
            "min": 0,
        },
    )
    last: int = field(
        default=1,
        metadata={
            "title": "Last layers left",
            "help": "unstable layers left from which twice the factor holds",
            "min": 0,
        },
    )
    integer: bool = field(
        default=True,
        metadata={
            "title": "Whole stable ranks",
            "help": "decide on whole stable ranks, as published (hides a drift below 1)",
        },
    )
    floor: float = field(
        default=0.0,
        metadata={
            "title": "Least share of rank",
            "help": "least rank as a share of full rank (DeiT: 0.5, ResNet on ImageNet: 0.2)",
            "min": 0.0,
            "max": 1.0,
        },
    )
    leading: int = field(
        default=0,
        metadata={
            "title": "Leading layers K",
            "help": "first layers K that stay at full rank and have no say",
            "min": 0,
        },
    )


@dataclass(frozen=True)
class Reading:
    """What the detector knows of one layer after an epoch."""

    smoothed: float
    drift: float | None  # None: fewer than w + 1 points
    threshold: float | None  # None: every layer was stable before
    stable: bool


class Detector:
    """Follows the stable ranks of several layers, one epoch after another."""

    def __init__(self, layers: Iterable[str], settings: Settings) -> None:
        self.since: dict[str, int] = {}  # stable layers, and the epoch that made them so
        self.switch_epoch: int | None = None
        self._settings = settings
        self._smoothed: dict[str, list[float]] = {layer: [] for layer in layers}
        self._next = 0

    @property
    def unstable(self) -> int:
        """Layers that are not stable yet."""
        return len(self._smoothed) - len(self.since)

    def epoch(self, stable_ranks: Mapping[str, float]) -> dict[str, Reading]:
        """Take the next epoch's stable ranks; a layer that is not among them gains no point.

        The threshold is that of the epoch's start for all layers: one that becomes stable loosens
        it for the others from the next epoch on.
        """
        e, threshold = self._next, self._threshold()
        found = {name: self._read(name, sr, threshold) for name, sr in stable_ranks.items()}
        for name, reading in found.items():
            if reading.stable:
                self.since.setdefault(name, e)
        if self._smoothed and self.unstable == 0 and self.switch_epoch is None:
            self.switch_epoch = e + 1
        self._next += 1
        return found

    def _threshold(self) -> float | None:
        if self.unstable == 0:
            return None
        chosen = self._settings
        relative = chosen.relative_threshold
        base = chosen.threshold if relative is None else relative
        if self.unstable <= chosen.last:
            return base * 2 * chosen.scaling
        return base * chosen.scaling if self.unstable <= chosen.few else base

    def _read(self, name: str, stable_rank: float, threshold: float | None) -> Reading:
        value, smoothed = counted(stable_rank, self._settings), self._smoothed[name]
        share = 2 / (self._settings.ema_window + 1)
        smoothed.append(share * value + (1 - share) * smoothed[-1] if smoothed else float(value))
        drift = self._drift(smoothed)
        steady = drift is not None and threshold is not None and drift <= threshold
        return Reading(smoothed[-1], drift, threshold, steady or name in self.since)

    def _drift(self, smoothed: list[float]) -> float | None:
        if len(smoothed) <= self._settings.ema_window:
            return None
        tail = self._settings.tail
        # One value more than the tail, so that its first gradient is a central one.
        drift = float(np.abs(np.gradient(smoothed[-tail - 1 :]))[-tail:].mean())
        return drift if self._settings.relative_threshold is None else drift / smoothed[-1]


def counted(stable_rank: float, settings: Settings) -> float:
    """Return what the rule counts with: the whole part, or the stable rank itself."""
    return int(stable_rank) if settings.integer else stable_rank


def scale(initial: float, full_rank: int, settings: Settings) -> float:
    """Return ξ = full rank/sr₀: how far the stable rank of random weights is below their rank."""
    return full_rank / counted(initial, settings)


def scaled_rank(stable_rank: float, initial: float, full_rank: int, settings: Settings) -> int:
    """Return min(r, ceil(ξ sr)) of a layer of full rank r, at least the floor's share of r.

    `initial` is the layer's stable rank before training; it is at least 1.
    """
    now, first = counted(stable_rank, settings), counted(initial, settings)
    # Multiplied before it is divided: ξ sr may come out above a whole number that it is.
    scaled = math.ceil(now * full_rank / first)
    return min(full_rank, max(scaled, math.ceil(settings.floor * full_rank)))
