"""The stage that calibrates the layers of a few blocks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from analysis.compress.calibration import calibrate as calibration
from analysis.compress.pieces import Statistics
from analysis.compress.trials.stages import STATISTICS, CalibrationRow
from analysis.compress.trials.targets import targets
from analysis.networks.opened import OpenedModel
from analysis.registry import Report


def settings_of(params: Any) -> calibration.Calibration:
    """Return how a job's settings say to calibrate."""
    return calibration.Calibration(
        text=params.calibrate,
        windows=params.calibration_windows,
        length=params.calibration_length,
        gradient=params.gradient,
        seed=params.seed,
    )


def calibrate_stage(
    opened: OpenedModel, params: Any, layers: Sequence[str], folder: Path, report: Report
) -> Iterator[CalibrationRow]:
    """Yield a row per layer, and keep the statistics of all of them in `folder`.

    Raises NonFiniteLayer, BadInput for the text, and NotRunnable.
    """
    settings = settings_of(params)
    ids = calibration.tokens(opened, settings)
    network = opened.network()
    found, _ = targets(opened, network, layers)
    known = calibration.calibrate(opened, network, found, ids, settings, report)
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{STATISTICS}"
    calibration.save(draft, known)
    draft.replace(folder / STATISTICS)
    for target in found:
        yield _row(target.layer, known[target.layer])


def _row(layer: str, known: Statistics) -> CalibrationRow:
    width = known.gram.shape[0]
    return CalibrationRow(layer, known.tokens, width, known.tokens / width, kind_of(known))


def kind_of(known: Statistics) -> str:
    """Return how the gradients' covariance is kept: "full", "diagonal", "scalar" or "none"."""
    if known.gradient is None:
        return "none"
    if known.gradient.ndim == 2:
        return "full"
    return "scalar" if known.gradient.numel() == 1 else "diagonal"
