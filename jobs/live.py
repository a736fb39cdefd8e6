"""What a long unit says while it runs: its progress, and its rows as they come.

The analysis calls; a thread of its own writes to the store about twice a second, so that neither
waits for the other.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from jobs import rows
from jobs.errors import JobError
from jobs.tasks import Recall, Task
from store.errors import StoreError

EVERY = 0.5  # seconds between two writes


class Live:
    """The `Report` that an analysis is given, and the stream of its rows where it is to be seen."""

    def __init__(
        self, task: Task, recall: Recall, *, folder: Path | None = None, streams: bool = False
    ) -> None:
        self.folder = folder
        self._task = task
        self._recall = recall
        self._streams = streams
        self._said: dict[str, Any] = {"done": 0, "total": 0, "words": ""}
        self._rows: list[Any] = []
        self._written: tuple[Mapping[str, Any], int] = ({}, 0)  # what was said, how many rows
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write_now_and_then, daemon=True)

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Take note of how far the analysis is."""
        self._said = {"done": int(done), "total": int(total), "words": str(words)}

    def streamed(self, found: Iterable[Any]) -> Iterator[Any]:
        """Pass rows on as they come."""
        for row in found:
            if self._streams:
                self._rows.append(row)
            yield row

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the writing; what is stopped in the middle writes its last rows."""
        self._over.set()
        self._thread.join()
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._write()

    def _write_now_and_then(self) -> None:
        while not self._over.wait(EVERY):
            self._write()

    def _write(self) -> None:
        said, count = self._said, len(self._rows)
        start = self._written[1]
        if (said, count) == self._written:
            return
        try:
            batch, arrays = self._batch(start, count)
            self._recall.add(self._task.key, said, batch, arrays)
        except (JobError, StoreError):
            return  # tried again at the next turn; and the end of the unit stores the whole
        except (ValueError, TypeError):
            # A row that does not fit its declaration: at its end the unit fails by the same.
            self._streams, self._rows = False, self._rows[:start]
            return
        self._written = (said, count)

    def _batch(self, start: int, stop: int) -> tuple[pa.Table | None, dict[str, bytes]]:
        if stop == start:
            return None, {}
        batch, arrays = rows.table(self._rows[start:stop], self._task.columns)
        numbers = pa.array(range(start, stop), pa.int64())
        return batch.append_column("row", numbers), arrays
