"""One stage, run by a worker: its function, what it is given, and the files that it leaves."""

import dataclasses
import datetime
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from analysis import registry, weights
from jobs import measuring
from jobs.live import Live
from jobs.tasks import Outcome, Recall, Stage, Task
from jobs.trials import folders, keeping


def run(task: Task, recall: Recall) -> Outcome:
    """Return what became of a stage. Raises AnalysisError for what cannot be opened."""
    stage = task.stage
    assert stage is not None
    if stage.kind == keeping.KIND:
        return keeping.run(task, recall)
    whole = not stage.wants or folders.complete(Path(task.home), stage.kind, task.key)
    if whole and task.key in recall.known([task.key]):
        return Outcome("known", key=task.key)
    recall.starting(task.key)
    recall.begin(task, kept=False)
    with Live(task, recall) as live:
        call = Call(task, stage, live)
        outcome = measuring.measured(task, list(stage.inputs), lambda: FUNCTIONS[stage.kind](call))
    return dataclasses.replace(outcome, files=call.files(outcome))


class Call:
    """What the function of a stage is called with, each part made when it is asked for."""

    def __init__(self, task: Task, stage: Stage, report: Live) -> None:
        self.task = task
        self.data = stage.data
        self.report = report
        self.of = stage.of
        self.home = Path(task.home)
        self._kind = stage.kind

    @cached_property
    def opened(self) -> Any:
        """The model, with the layers that were chosen."""
        from analysis.networks.opened import OpenedModel

        source = weights.open_model(
            self.data["path"], base=self.data["base"], allow_pickle=self.data["allow_pickle"]
        )
        return OpenedModel(source, tuple(self.data["layers"]), all_layers=False)

    @cached_property
    def params(self) -> Any:
        """The parameters of the job's trials."""
        return registry.find(self.of).params(**self.task.params)

    @property
    def folder(self) -> Path:
        """Where the stage keeps its files."""
        return folders.of(self.home, self._kind, self.task.key)

    def folder_of(self, kind: str, key: str | None) -> Path | None:
        """Return the folder of an earlier stage, which is used by that; None for none."""
        return folders.use(folders.of(self.home, kind, key)) if key else None

    def folders_of(self, kind: str, keys: Mapping[str, str]) -> dict[str, Path]:
        """Return the folders of earlier stages by group."""
        return {group: folders.use(folders.of(self.home, kind, key)) for group, key in keys.items()}

    def files(self, outcome: Outcome) -> Any:
        """Return what is to be listed of the files that a stage left."""
        kept = self._kind in folders.KEPT_IN and outcome.state == "done"
        return folders.listed(self.home, self._kind, self.task.key) if kept else None


def _calibrate(call: Call) -> Iterable[Any]:
    from analysis.compress.trials.calibrating import calibrate_stage

    layers = call.data["layers"]
    return calibrate_stage(call.opened, call.params, layers, call.folder, call.report)


def _factors(call: Call) -> Iterable[Any]:
    from analysis.compress.trials.factoring import factor_stage
    from analysis.compress.trials.targets import heads_of

    refs = [weights.MatrixRef.from_dict(ref) for ref in call.data["refs"]]
    statistics = call.folder_of("calibrate", call.data["statistics"])
    heads = heads_of(call.opened)
    return factor_stage(refs, call.data["method"], statistics, heads, call.folder, call.report)


def _evaluation(call: Call) -> Iterable[Any]:
    from analysis.compress.lora.worth import base_stage
    from analysis.compress.trials.measuring import evaluation_stage

    stage = base_stage if call.data.get("alone") else evaluation_stage
    return stage(call.opened, call.params, call.folder, call.report)


def _control(call: Call) -> Iterable[Any]:
    from analysis.compress.trials.measuring import control_stage

    return control_stage(call.opened, call.params, call.folder, call.report)


def _sensitivity(call: Call) -> Iterable[Any]:
    from analysis.compress.trials.sensitivity import sensitivity_stage

    factors = call.folder_of("factors", call.data["factors"])
    assert factors is not None
    method, layers = call.data["method"], call.data["layers"]
    return sensitivity_stage(
        call.opened, call.params, method, factors, layers, call.folder, call.report
    )


def _given(call: Call, spec: Any, **more: Any) -> Any:
    """Return what a function of unit "stages" is called with."""
    from analysis.compress.trials.stages import Given

    data = call.data
    return Given(
        opened=call.opened,
        spec=spec,
        params=call.params,
        factors=call.folders_of("factors", data.get("factors", {})),
        statistics=call.folders_of("calibrate", data.get("calibrated", {})),
        dense=call.folder_of("evaluation", data.get("dense")) or Path(),
        record=_record(call.task),
        **more,
    )


def _trial(call: Call) -> Iterator[Any]:
    """Yield the row of a trial; its weights are there whole, or not at all."""
    from analysis.compress.trials.specs import Spec

    final = call.folder / folders.WEIGHTS
    draft = final.with_name(f".{folders.WEIGHTS}")
    shutil.rmtree(draft, ignore_errors=True)
    saves = call.data["weights"]
    if saves:
        draft.parent.mkdir(parents=True, exist_ok=True)
    given = _given(
        call,
        Spec.from_dict(call.data["spec"]),
        control=call.folder_of("control", call.data.get("control")),
        base=call.folder_of("evaluation", call.data.get("alone")),
        sensitivity=call.folders_of("sensitivity", call.data.get("sensitivity", {})),
        weights=draft if saves else None,
    )
    try:
        yield from registry.find(call.of).function(given, call.report)
        if saves:
            folders.remove(final)
            draft.replace(final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _activations(call: Call) -> Iterable[Any]:
    from analysis.compress.trials.specs import Spec

    found: Iterable[Any] = registry.find(call.of).function(_given(call, Spec("")), call.report)
    return found


def _export(call: Call) -> Iterable[Any]:
    trial = call.folder_of("trial", call.data["trial"])
    assert trial is not None
    analysis = registry.find("export")
    params = analysis.params(**call.data["params"])
    saved = trial / folders.WEIGHTS
    found: Iterable[Any] = analysis.function(call.opened, saved, params, call.folder)
    return found


FUNCTIONS: dict[str, Callable[[Call], Iterable[Any]]] = {
    "calibrate": _calibrate,
    "factors": _factors,
    "evaluation": _evaluation,
    "control": _control,
    "sensitivity": _sensitivity,
    "trial": _trial,
    "activations": _activations,
    "export": _export,
}


def _record(task: Task) -> dict[str, Any]:
    """Return what `trial.json` says of how a trial came to be, beside what the trial knows."""
    stage = task.stage
    assert stage is not None
    return {
        "model": task.model,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "unit": task.key,
        "made_of": list(stage.inputs),
        "texts": dict(stage.data.get("texts", {})),
    }
