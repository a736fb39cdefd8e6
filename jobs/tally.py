"""How far a job is: what became of its units, counted, and the end of the job in words."""

import time
from collections import Counter
from typing import Any

PROGRESS = 0.5  # seconds between two writes of a job's counts


class Tally:
    """The counts of one job."""

    def __init__(self, job: str, store: Any) -> None:
        self.total = 0
        self._job = job
        self._store = store
        self._counts: Counter[str] = Counter()
        self._written = 0.0

    def add(self, state: str, *, reused: bool) -> None:
        """Count a unit that ended."""
        self._counts["reused" if reused else state] += 1

    def is_due(self) -> bool:
        """Say whether the counts were last written a while ago."""
        return time.monotonic() - self._written >= PROGRESS

    def write(self) -> None:
        """Write the counts into the store."""
        self._written = time.monotonic()
        done = self._counts["done"] + self._counts["zero"]
        failed, reused = self._counts["failed"], self._counts["reused"]
        self._store.set_progress(self._job, done, failed, reused, self.total)

    def verdict(self, stopped: str | None) -> tuple[str, str]:
        """Return the state that the job ends in, and why; `stopped` is what it was told."""
        failed, total = self._counts["failed"], self.total
        ended = sum(self._counts[name] for name in ("done", "zero", "failed", "reused"))
        if ended < total:
            # Without being told to, a task stops only when Ray is told so by someone else.
            state = stopped or "INTERRUPTED"
            word = "cancelled" if state == "CANCELLED" else "interrupted"
            if total == 1:
                return state, f"{word} before its end; resume goes on from what it kept"
            return state, f"{word} after {ended} of {total} units; resume continues there"
        if failed:
            return "FAILED", f"{failed} of {total} units failed; the others' results are kept"
        return "DONE", ""
