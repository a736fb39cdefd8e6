"""What a home keeps in files, as clients see it: arrays, checkpoints, weights, exports."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs import checkpoints, disk
from jobs.errors import JobError
from jobs.models import Models
from jobs.proxy import plain_errors
from jobs.trials import folders


class Kept(Models):
    """The files of one home."""

    home: Path

    def array(self, cell: str) -> npt.NDArray[Any]:
        """Return the array that a cell of a result's array column describes."""
        path = self.home / json.loads(cell)["path"]
        try:
            found: npt.NDArray[Any] = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise JobError(f"{path} cannot be read ({error}): run the job again") from error
        return found

    def checkpoints(self, job: str) -> Path | None:
        """Return the folder of a training job's checkpoints by its id, None where it has none."""
        keys = self.store.units(job)["unit"].dropna()
        found = [key for key in keys if checkpoints.found(self.home, key)]
        return checkpoints.folder(self.home, found[0]) if found else None

    def weights(self, trial: str) -> Path | None:
        """Return the folder of a trial's saved model by its unit's key, None where none is kept."""
        return next(folders.of(self.home, "trial", trial).glob(folders.WEIGHTS), None)

    def exported(self, trial: str, form: str) -> Path | None:
        """Return the file of one form of a trial's model, None where it was not written yet."""
        for unit in self.store.exports(trial, form)["unit"]:
            for path in sorted(folders.of(self.home, "export", unit).glob("*.zip")):
                return path
        return None

    def disk(self) -> pd.DataFrame:
        """Return what compression keeps: what, key, label, bytes, used (seconds since 1970), trial.

        `trial` is the key of the one that an export is of.
        """
        found = disk.usage(self.home)
        named = self.store.named_units(list(found["key"])).to_dict("records")
        keys = {row["unit"][: folders.BEGINNING]: row for row in named}
        for place, key in enumerate(found["key"]):
            if key in keys:
                row = keys[key]
                found.loc[place, ["key", "label"]] = row["unit"], f"{row['model']}: {row['label']}"
                if found.loc[place, "what"] == disk.WHAT[folders.EXPORTS]:
                    found.loc[place, "trial"] = json.loads(row["params"])["trial"]
        return found

    def free_disk(self, keys: Sequence[str] | None = None) -> int:
        """Delete what is kept under some keys, or all working files; return the bytes freed.

        With a trial's weights goes what was exported of them. What is deleted is made again when a
        job needs it. Raises JobError for what a job reads.
        """
        active = self.store.active_units()
        every = None if keys is None else disk.with_exports(self.disk(), keys)
        idle = disk.idle(self.home, active) if every is None else every
        freed = disk.free(self.home, idle, active)
        with plain_errors():
            self._engine.store.drop_artifacts(list(every or ()))
        return freed
