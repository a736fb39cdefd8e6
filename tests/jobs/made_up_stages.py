"""Stages made up for a test: each notes that it ran, leaves its files, and gives a row."""

from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from analysis.registry import AnalysisError
from jobs.trials import fits, folders, stages

NEUTRAL = {"str": "", "int": 0, "float": 0.0, "bool": False, "floats": (), "array": None}


class MadeUp:
    """What ran, by kind and label; what fails; the bytes and the change of loss of each trial."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []
        self.threads: dict[str, int] = {}
        self.fails: set[str] = set()
        self.interrupts: set[str] = set()
        self.results: dict[str, tuple[int, float]] = {}
        self.weight = 10  # bytes of each working file

    def kinds(self) -> dict[str, int]:
        return dict(Counter(kind for kind, _ in self.ran))

    def labels(self) -> list[str]:
        return [label for _, label in self.ran]

    def __call__(self, call: Any) -> Iterator[Any]:
        kind, label = call.task.analysis, call.task.label
        self.ran.append((kind, label))
        self.threads[label] = call.task.threads
        if label in self.interrupts:
            self.interrupts.discard(label)
            raise KeyboardInterrupt
        if label in self.fails:
            raise AnalysisError(f"{label}: its weight holds NaN or infinity")
        self._read(call)
        self._write(call, kind)
        yield self._row(call, label)

    def _read(self, call: Any) -> None:
        """Have what a stage reads be there."""
        data = call.data
        for kind in ("calibrate", "factors", "sensitivity"):
            of = {"calibrate": "calibrated"}.get(kind, kind)
            found = data.get(of, {})
            for key in found.values() if isinstance(found, dict) else [found]:
                assert folders.complete(call.home, kind, key)
        if data.get("statistics"):
            assert folders.complete(call.home, "calibrate", data["statistics"])
        if data.get("trial"):
            assert folders.complete(call.home, "trial", data["trial"])

    def _write(self, call: Any, kind: str) -> None:
        if kind == "trial" and not call.data["weights"]:
            return
        for name in folders.FILES.get(kind, ()):
            path = call.folder / name.replace("*", "model")
            if name == folders.WEIGHTS:
                path.mkdir(parents=True)
                path /= "model.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * self.weight)

    def _row(self, call: Any, label: str) -> Any:
        row = {column["name"]: NEUTRAL[column["type"]] for column in call.task.columns}
        if label in self.results:
            row["bytes"], row["delta"] = self.results[label]
        return SimpleNamespace(**row)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    """Put made-up stages in the place of all others, and read no text."""
    found = MadeUp()
    monkeypatch.setattr(stages, "FUNCTIONS", dict.fromkeys(stages.FUNCTIONS, found))
    monkeypatch.setattr(fits, "check_texts", lambda *_, **__: None)
    return found
