"""Which parameters reach the numbers of which stage, with contents for the names of texts."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis import sample
from jobs.contents import Hash
from jobs.home import is_hub

WINDOWS = ("calibrate", "calibration_windows", "calibration_length", "seed")
CALIBRATION = (*WINDOWS, "gradient")
EVALUATION = ("evaluate", "preset", "windows", "window", "first", "choice", "pairs", "seed")
RECOVERY = ("recovery_steps", "recovery_lr")
TRIAL = ("dtype", "speed", "seed")
BUNDLED = {"calibrate": "calibration", "evaluate": "heldout"}  # parts of the sample's text
# Raised when the same input would give other numbers; a trial's own is its analysis' version.
VERSIONS = {"calibrate": 3, "factors": 3, "evaluation": 1, "control": 1, "sensitivity": 1}


class Settings:
    """The parameters of a job, with what its texts hold in the place of their names."""

    def __init__(self, params: Mapping[str, Any], reads: Sequence[str], sha256: Hash) -> None:
        self._held = dict(params)
        self._reads = reads
        for name in reads:
            if name in params:
                self._held[name] = _content(name, params[name], sha256)

    def some(self, names: Sequence[str]) -> dict[str, Any]:
        """Return those of these parameters that the job has."""
        return {name: self._held[name] for name in names if name in self._held}

    def texts(self) -> dict[str, Any]:
        """Return the hash of each text that is read, or a dataset's name."""
        return {name: held for name, held in self.some(self._reads).items() if held is not None}

    def of_control(self) -> dict[str, Any]:
        """Return what the dense control depends on."""
        return self.some([*EVALUATION, *WINDOWS, *RECOVERY])

    def of_trial(self) -> dict[str, Any]:
        """Return what a trial depends on beside its stages: training only where there is some."""
        trained = self._held.get("recovery_steps")
        return self.some([*TRIAL, *([*WINDOWS, *RECOVERY, "recovery_layers"] if trained else ())])


def _content(name: str, value: str | None, sha256: Hash) -> str | None:
    if value is None:
        part = BUNDLED.get(name)
        return part and hashlib.sha256(sample.text(part).encode()).hexdigest()
    return value if is_hub(value) else sha256(Path(value))
