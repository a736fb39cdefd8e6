"""What workers ask of the store, whether it is an object here or an actor elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobs.tasks import Task
from store.errors import StoreError


class StoreRecall:
    """`Recall` over anything with the store's methods."""

    def __init__(self, store: Any, told: Callable[[], object] = lambda: None) -> None:
        self._store = store
        self._told = told  # called after each word of a unit's progress

    def spectrum(self, key: str) -> Any:
        """Return the stored spectrum of a key, or None."""
        from analysis.weights.matrix import Spectrum  # a worker has torch; others never come here

        found = self._store.spectra([key])
        if found.num_rows == 0:
            return None
        row = {name: found.column(name)[0] for name in found.column_names}
        values = row["s"].values.to_numpy(zero_copy_only=False).copy()
        return Spectrum(
            key,
            values,
            row["rows"].as_py(),
            row["cols"].as_py(),
            row["noise_floor"].as_py(),
            row["effective_dtype"].as_py(),
        )

    def known(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the states of those units that are stored and did not fail."""
        found = self._store.known_units(list(keys)).to_pylist()
        return {row["key"]: row["state"] for row in found if row["state"] != "failed"}

    def stored_spectra(self, keys: Sequence[str]) -> set[str]:
        """Return which of the matrix keys have a stored spectrum."""
        return set(self._store.known_spectra(list(keys)).column("key").to_pylist())

    def fingerprints(self, path: str, size: int, mtime_ns: int) -> dict[str, str]:
        """Return the remembered hashes of a file's tensors."""
        found = self._store.recall_tensors(path, size, mtime_ns).to_pylist()
        return {row["tensor"]: row["sha256"] for row in found}

    def trials(self, job: str) -> list[dict[str, Any]]:
        """Return key, bytes, delta of a job's trials, and whether another keeps their weights."""
        rows: list[dict[str, Any]] = self._store.weighed_trials(job).to_pylist()
        return rows

    def starting(self, key: str) -> None:
        """Count one attempt at a unit; a home that cannot be written fails later, and says so."""
        try:
            self._store.count_attempt(key)
        except StoreError:
            return

    def begin(self, task: Task, *, kept: bool) -> None:
        """Have a unit seen while it runs; with `kept` its rows stay when it is stopped."""
        unit = {"key": task.key, "analysis": task.analysis, "kept": kept}
        self._store.begin_live(task.job, task.label, unit)

    def add(
        self,
        key: str,
        said: Mapping[str, Any],
        rows: Any = None,
        arrays: Mapping[str, bytes] | None = None,
    ) -> None:
        """Say how far a unit is, and give the rows (and `.npy` bytes) since the last call."""
        self._store.add_live(key, dict(said), rows, dict(arrays or {}))
        self._told()
