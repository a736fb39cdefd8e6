"""What the replay of checkpoints and the live training run both say of a layer at an epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from analysis.numerics.columns import count, note
from analysis.numerics.switch import Detector, Reading, Settings, scale, scaled_rank


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The detector's parameters, repeated in each row."""

    ema_window: int = note("window", "epochs w of the smoothed average")
    tail: int = note("tail", "epochs over which the drift is averaged")
    base_threshold: float = note("base threshold", "while more than `few` layers are unstable")
    relative_threshold: float | None = note(
        "relative threshold", "where the drift is a share of the smoothed stable rank"
    )
    scaling: float = note("scaling", "factor on the threshold when few layers are left")
    few: int = note("few", "unstable layers left from which the factor holds")
    last: int = note("last", "unstable layers left from which twice the factor holds")
    integer: bool = note("whole numbers", "decided on whole stable ranks, as published")
    floor: float = note("floor", "least rank as a share of full rank")
    leading: int = note("leading", "first layers that stay at full rank")


@dataclass(frozen=True, kw_only=True)
class Tracked(Chosen):
    """One row per layer and checkpoint; `model_*` are of all layers that have a say."""

    layer: str = field(metadata={"title": "layer", "help": "its name in the model", "index": True})
    step: int = note("step", "optimizer steps before this measurement")
    epoch: float = note("epoch", "counted from 0; a fraction lies between two epochs")
    rows: int = note("rows", "rows of the matrix")
    cols: int = note("columns", "columns of the matrix")
    stable_rank: float | None = count("stable rank", "|W|_F²/σ₁²")
    smoothed: float | None = count("smoothed", "moving average of what the rule counts with")
    drift: float | None = count("drift", "mean |gradient| of the smoothed tail, an epoch")
    threshold: float | None = count(
        "threshold", "largest drift that was stable at this epoch; none once all are"
    )
    stable_since: int | None = count("stable since", "epoch at which the layer became stable")
    scale: float | None = count("ξ", "full rank/stable rank of the first checkpoint")
    rank: int | None = count("rank now", "ceil(ξ · stable rank): what it would get at this epoch")
    switch_rank: int | None = count("rank at the switch", "of the weights that E was decided on")
    state: str = note(
        "state", "too few checkpoints, not converged, stable, no say, between epochs, not measured"
    )
    reason: str | None = note("reason", "why the layer has no value, or no say")
    model_switch_epoch: int | None = count(
        "switch epoch E", "first epoch after all layers that have a say were stable"
    )
    model_layers: int = count("layers with a say", "linear layers and convolutions")
    model_unstable: int = count("unstable layers", "with a say and not stable yet")


@dataclass(frozen=True)
class Measured:
    """One layer of one checkpoint; `reason` says why there is no stable rank."""

    layer: str
    shape: tuple[int, int]
    stable_rank: float | None
    reason: str = ""


class Tracker:
    """Turns the measured layers of one epoch after another into rows.

    `silent` maps each layer, in the model's order, to why it has no say in the switch, or to "".
    """

    def __init__(self, settings: Settings, silent: Mapping[str, str]) -> None:
        self._settings = settings
        self._silent = _without_leading(silent, settings.leading)
        self._voters = [name for name, reason in self._silent.items() if not reason]
        self._detector = Detector(self._voters, settings)
        self._first: dict[str, float] = {}
        self._ranks: dict[str, int] = {}  # at the last epoch that measured the layer
        self._switch_ranks: dict[str, int] = {}
        chosen = {f.name: getattr(settings, f.name) for f in fields(Settings)}
        self._chosen = {"base_threshold": chosen.pop("threshold"), **chosen}

    def epoch(self, step: int, epoch: float, layers: Sequence[Measured]) -> list[dict[str, Any]]:
        """Return the values of `Tracked` for the layers of one checkpoint.

        One at a fraction of an epoch is measured, and not counted.
        """
        readings: dict[str, Reading] = {}
        if float(epoch).is_integer():
            counted = {
                m.layer: m.stable_rank
                for m in layers
                if m.stable_rank is not None and m.layer in self._voters
            }
            readings = self._detector.epoch(counted)
            self._first = counted | self._first
        found = [self._row(m, readings.get(m.layer)) for m in layers]
        if not self._switch_ranks:
            self._ranks |= {row["layer"]: row["rank"] for row in found if row["rank"] is not None}
            self._switch_ranks = {} if self._detector.switch_epoch is None else self._ranks
        common = {"step": step, "epoch": float(epoch), **self._chosen, **self._model()}
        return [
            {**common, **row, "switch_rank": self._switch_ranks.get(row["layer"])} for row in found
        ]

    def _model(self) -> dict[str, int | None]:
        return {
            "model_switch_epoch": self._detector.switch_epoch,
            "model_layers": len(self._voters),
            "model_unstable": self._detector.unstable,
        }

    def _row(self, measured: Measured, reading: Reading | None) -> dict[str, Any]:
        name, full = measured.layer, min(measured.shape)
        first, now = self._first.get(name), measured.stable_rank
        rank = None
        if first is not None and now is not None:
            rank = scaled_rank(now, first, full, self._settings)
        return {
            "layer": name,
            "rows": measured.shape[0],
            "cols": measured.shape[1],
            "stable_rank": now,
            "smoothed": reading.smoothed if reading else None,
            "drift": reading.drift if reading else None,
            "threshold": reading.threshold if reading else None,
            "stable_since": self._detector.since.get(name),
            "scale": None if first is None else scale(first, full, self._settings),
            "rank": rank,
            "state": self._state(measured, reading),
            "reason": measured.reason or self._silent.get(name) or None,
        }

    def _state(self, measured: Measured, reading: Reading | None) -> str:
        if measured.stable_rank is None:
            return "not measured"
        if self._silent.get(measured.layer):
            return "no say"
        if reading is None:
            return "between epochs"
        if reading.stable:
            return "stable"
        return "too few checkpoints" if reading.drift is None else "not converged"


def _without_leading(silent: Mapping[str, str], leading: int) -> dict[str, str]:
    """Silence the first layers that have a say."""
    first = [name for name, reason in silent.items() if not reason][:leading]
    words = f"one of the first {leading} layers, which stay at full rank"
    return {name: words if name in first else reason for name, reason in silent.items()}
