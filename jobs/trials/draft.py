"""The stages of a job as they are planned: tasks with keys by content, and what each waits for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from analysis.compress.trials.specs import SENSITIVITY, Spec
from analysis.compress.trials.stages import group_name
from jobs.tasks import Request, Stage, Task, unit_key
from jobs.trials import groups
from jobs.trials import settings as settings_of
from jobs.trials.groups import Groups
from jobs.trials.settings import Settings

Tasks = Mapping[str, Task]  # by group
BASE = "base alone"


@dataclass(frozen=True, eq=False)
class Draft:
    """One job's stages, in an order in which each comes after those that it needs."""

    request: Request
    of: str  # the analysis whose parameters the stages are given
    params: Mapping[str, Any]
    settings: Settings
    groups: Groups
    content: str  # of the model's files
    tasks: list[Task] = field(default_factory=list)

    def calibrations(self) -> dict[str, Task]:
        """Add the calibrations, of a few blocks each."""
        found: dict[str, Task] = {}
        own = self.settings.some(settings_of.CALIBRATION)
        for run in self.groups.runs(self.params["gradient"]):
            layers = _names(self.groups.of_run(run))
            label = f"calibration of {groups.run_name(run)}"
            task = self._add("calibrate", label, own, [layers], {"layers": layers})
            found |= {group_name(block): task for block in run}
        return found

    def factors(self, method: str, version: int, calibrated: Tasks) -> dict[str, Task]:
        """Add one method's decompositions of every group, for all sizes at once."""
        found = {}
        for group, refs in self.groups.named.items():
            before = [calibrated[group]] if group in calibrated else []
            found[group] = self._add(
                "factors",
                f"factors of {method}, {group}",
                {"method": method, "method_version": version},
                [_names(refs)],
                {
                    "method": method,
                    "refs": [ref.to_dict() for ref in refs],
                    "statistics": before[0].key if before else None,
                },
                before,
            )
        return found

    def evaluation(self, whole: str) -> Task:
        """Add the measurement of the model that trials stand beside, which `whole` names."""
        own = self.settings.some(settings_of.EVALUATION)
        return self._add("evaluation", whole, own, [], {})

    def base(self) -> Task:
        """Add the measurement of an update's base without it."""
        own = self.settings.some(settings_of.EVALUATION)
        return self._add("evaluation", BASE, own, [BASE], {"alone": True})

    def control(self) -> Task:
        """Add the dense model that is trained for as many steps as a trial is."""
        own, layers = self.settings.of_control(), self.groups.layers
        return self._add("control", "dense model, trained", own, [layers], {})

    def sensitivities(self, method: str, factors: Tasks) -> dict[str, Task]:
        """Add the losses with one layer alone compressed, by a method's factors."""
        own = self.settings.some(settings_of.WINDOWS)
        return {
            group: self._add(
                "sensitivity",
                f"sensitivity of {method}, {group}",
                own,
                [],
                {
                    "method": method,
                    "layers": _names(self.groups.named[group]),
                    "factors": task.key,
                },
                [task],
            )
            for group, task in factors.items()
        }

    def trial(self, spec: Spec, before: Mapping[str, Any], *, saves: bool) -> Task:
        """Add a trial; `before` has its stages by name: tasks, or tasks by group."""
        parts = {name: part for name, part in before.items() if part}
        if spec.allocation != SENSITIVITY:
            parts.pop("sensitivity", None)
        # With factors, these have it in their keys.
        version = {} if "factors" in parts else {"method_version": spec.parsed()[0].version}
        return self._add(
            "trial",
            spec.label,
            {"spec": spec.to_dict(), **self.settings.of_trial(), **version},
            [self.groups.layers],
            {
                "spec": spec.to_dict(),
                "weights": saves,
                "texts": self.settings.texts(),
                **{name: _keys(part) for name, part in parts.items()},
            },
            [task for part in parts.values() for task in _tasks(part)],
            wants=saves and self.params["weights"] == "all",
        )

    def last(
        self, kind: str, own: Mapping[str, Any], before: Mapping[str, Any], label: str = ""
    ) -> Task:
        """Add the stage that a job is made for, of the job's own analysis, whose files are kept."""
        analysis = self.request.analysis
        return self._add(
            kind,
            label or kind,
            own,
            [self.groups.layers],
            {"params": dict(self.request.params), **{n: _keys(p) for n, p in before.items()}},
            [task for part in before.values() for task in _tasks(part)],
            analysis,
            wants=True,
        )

    def keep_best(self, trials: Sequence[Task]) -> None:
        """Add the end of a sweep, which deletes the weights of beaten trials."""
        after = tuple(task.label for task in trials)
        stage = Stage("keep", self.of, {}, [], after, needs_all=False)
        self.tasks.append(Task("keep the best weights", "keep", 1, {}, {}, [], stage=stage))

    def _add(  # noqa: PLR0913  what a unit is made of
        self,
        kind: str,
        label: str,
        own: Mapping[str, Any],
        inputs: Sequence[Any],
        data: Mapping[str, Any],
        before: Sequence[Task] = (),
        declared: Mapping[str, Any] | None = None,
        *,
        wants: bool = False,
    ) -> Task:
        declared = declared or self.request.stages[kind]
        unique = list({task.label: task for task in before}.values())
        made_of = [self.content, *inputs, [task.key for task in unique]]
        after = tuple(task.label for task in unique)
        stage = Stage(kind, self.of, {**self._model(), **data}, made_of, after, wants=wants)
        task = Task(
            label=label,
            analysis=kind,
            version=declared.get("version") or settings_of.VERSIONS[kind],
            params=self.params,
            inputs=own,
            columns=declared["columns"],
            stage=stage,
        )
        task = _with_key(task)
        self.tasks.append(task)
        return task

    def _model(self) -> dict[str, Any]:
        return {
            "path": self.request.path,
            "base": self.request.base,
            "allow_pickle": self.request.allow_pickle,
            "layers": self.groups.layers,
        }


def _with_key(task: Task) -> Task:
    assert task.stage is not None
    return replace(task, key=unit_key(task, task.stage.inputs))


def _names(refs: Sequence[Any]) -> list[str]:
    return [ref.label.layer for ref in refs]


def _tasks(part: Any) -> list[Task]:
    return [part] if isinstance(part, Task) else list(part.values())


def _keys(part: Any) -> Any:
    if isinstance(part, Task):
        return part.key
    return {group: task.key for group, task in part.items()}
