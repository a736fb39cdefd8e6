"""How long a compression job takes: by what its stages count, at the pace of earlier ones.

A stage takes EACH seconds and its operations at RATE. Where the model had stages of the same kind
before, that is multiplied by how much longer than this those took; and the sum over all stages by
how much of the sum their jobs took, which run some of them side by side.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.compress.trials.specs import SENSITIVITY
from analysis.networks.positions import positions
from jobs.trials.draft import BASE
from jobs.trials.groups import run_name

if TYPE_CHECKING:
    from jobs.trials.plan import Asked

RATE = 4e10  # operations a second of one core here, for the prediction only
EACH = 0.5  # seconds to open a model, and to write what is kept
LENGTH = 256  # tokens of a window where none is given, or all positions
FORWARD, BACKWARD = 2, 2  # operations per parameter and token: inputs' gradients alone
TRAINING = 6
MOMENTS = 8  # per entry and token of a second moment in float64, which is slower
DECOMPOSED = 60  # operations per m n min(m, n) of a decomposition in float64
ERRORS = 12  # operations per m n (m + n) of what a layer loses
BATCH = 8  # windows of a training step
SHARES, SENSITIVE = 9, 8  # losses with one layer alone, each of so many windows
NEWEST = 8  # earlier stages that a pace is taken from


@dataclass(frozen=True)
class Planned:
    """One stage to come: the operations it counts, None where these are not known."""

    kind: str
    label: str
    operations: float | None

    @property
    def seconds(self) -> float | None:
        """Return how long that is at RATE."""
        return None if self.operations is None else EACH + self.operations / RATE


def of(asked: "Asked", times: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the seconds of a job of which nothing is stored, None where they are not known.

    `times` has the earlier stages of the model: job, its params and what it took, analysis, label
    and seconds, the newest first.
    """
    then = _Then(asked, times)
    found = [then.seconds(stage) for stage in planned(asked, vars(asked.given))]
    known = [seconds for seconds in found if seconds is not None]
    return then.side_by_side * sum(known) if len(known) == len(found) else None


def planned(asked: "Asked", settings: Mapping[str, Any]) -> Iterator[Planned]:
    """Give the stages of a job under some settings, which may be those of an earlier one."""
    counts = _Counts(asked, settings)
    if asked.specs:
        yield Planned("evaluation", asked.whole, counts.evaluation)
    if asked.of_updates:
        yield Planned("evaluation", BASE, counts.evaluation)
    if asked.calibrated:
        for run in asked.groups.runs(asked.given.gradient):
            label = f"calibration of {run_name(run)}"
            yield Planned("calibrate", label, counts.calibration(asked.groups.of_run(run)))
    if settings.get("recovery_steps") and asked.specs:
        yield Planned("control", "dense model, trained", counts.trained)
    yield from _by_group(asked, counts)
    for spec in asked.specs:
        yield Planned("trial", spec.label, counts.trial)


def _by_group(asked: "Asked", counts: "_Counts") -> Iterator[Planned]:
    """Give the decompositions of each block, and what is tried with them."""
    slow = {spec.full_name for spec in asked.specs if spec.allocation == SENSITIVITY}
    for method in asked.methods:
        for group, refs in asked.groups.named.items():
            yield Planned("factors", f"factors of {method}, {group}", counts.factors(refs))
            if method in slow:
                label = f"sensitivity of {method}, {group}"
                yield Planned("sensitivity", label, counts.sensitivity(refs))


class _Counts:
    """The operations of each kind of stage under some settings."""

    def __init__(self, asked: "Asked", settings: Mapping[str, Any]) -> None:
        self._all = asked.source.run_parameters
        self._layers = [ref.shape for refs in asked.groups.refs.values() for ref in refs]
        self._settings = settings
        self._longest = min(LENGTH, positions(asked.source.config) or LENGTH)

    @property
    def evaluation(self) -> float | None:
        """A pass over the windows; None where only the text tells how many there are."""
        windows = self._settings.get("windows")
        if not windows or self._settings.get("pairs"):
            return None
        return float(
            FORWARD * self._all * windows * (self._settings.get("window") or self._longest)
        )

    @property
    def trained(self) -> float | None:
        """The steps of a training, and a measurement after them."""
        steps = self._settings.get("recovery_steps") or 0
        measured = self.evaluation
        return (
            None
            if measured is None
            else measured + TRAINING * self._all * BATCH * steps * self._length
        )

    @property
    def trial(self) -> float | None:
        """A trial: its training and measurement, and what each layer loses."""
        lost = ERRORS * sum(m * n * (m + n) for m, n in self._layers)
        return None if self.trained is None else self.trained + lost

    def calibration(self, refs: Sequence[Any]) -> float:
        """Count passes there and back, with the second moments of these layers."""
        moments = MOMENTS * sum(m * m + n * n for m, n in (ref.shape for ref in refs))
        tokens = self._settings.get("calibration_windows", 0) * self._length
        return float(tokens * ((FORWARD + BACKWARD) * self._all + moments))

    def factors(self, refs: Sequence[Any]) -> float:
        """Count a decomposition of each layer."""
        return float(DECOMPOSED * sum(m * n * min(m, n) for m, n in (ref.shape for ref in refs)))

    def sensitivity(self, refs: Sequence[Any]) -> float:
        """Count a pass for each layer at each share."""
        return float(len(refs) * SHARES * SENSITIVE * self._length * FORWARD * self._all)

    @property
    def _length(self) -> int:
        return int(self._settings.get("calibration_length") or self._longest)


class _Then:
    """What earlier stages of a model took, beside what they count."""

    def __init__(self, asked: "Asked", times: Sequence[Mapping[str, Any]]) -> None:
        self._times = times
        self._counted = {
            params: _by_label(planned(asked, json.loads(params)))
            for params in {str(row["params"]) for row in times}
        }

    @property
    def side_by_side(self) -> float:
        """The time of jobs over the sum of their stages' times; 1 where there were none."""
        spent = sum(row["seconds"] for row in self._times)
        took = {row["job"]: row["took"] for row in self._times}
        return sum(took.values()) / spent if spent else 1.0

    def seconds(self, stage: Planned) -> float | None:
        """Return what a stage takes: as its count says, at the pace of what is most like it."""
        if stage.seconds is None:
            return self._as_before(stage)
        paces = [
            row["seconds"] / then
            for row in self._like(stage)
            if (then := self._then(stage, row)) is not None
        ]
        return stage.seconds * (sum(paces) / len(paces) if paces else 1.0)

    def _like(self, stage: Planned) -> list[Mapping[str, Any]]:
        """Return the newest stages of its kind: by its label, else by its method, else any."""
        alike = [row for row in self._times if row["analysis"] == stage.kind]
        own = [row for row in alike if row["label"] == stage.label]
        method = stage.label.partition(",")[0]
        by_method = [row for row in alike if row["label"].partition(",")[0] == method]
        return (own or by_method or alike)[:NEWEST]

    def _then(self, stage: Planned, row: Mapping[str, Any]) -> float | None:
        found = self._counted[str(row["params"])].get((stage.kind, stage.label))
        return None if found is None else found.seconds

    def _as_before(self, stage: Planned) -> float | None:
        """Return the mean of such stages that read the same text, for their count is not known."""
        found = [row["seconds"] for row in self._like(stage) if self._then(stage, row) is None]
        return sum(found) / len(found) if found else None


def _by_label(stages: Iterator[Planned]) -> dict[tuple[str, str], Planned]:
    return {(stage.kind, stage.label): stage for stage in stages}
