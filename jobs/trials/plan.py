"""The plans of jobs whose units build on each other's files: trials, activations, exports."""

import json
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from analysis import registry
from analysis.compress.trials.specs import SENSITIVITY, Spec, expand
from jobs import contents, prediction
from jobs.errors import JobError
from jobs.header import labels
from jobs.tasks import Plan, Recall, Request, Task, digest
from jobs.trials import durations, fits, reuse, sizes
from jobs.trials.draft import Draft
from jobs.trials.groups import Groups
from jobs.trials.settings import Settings

BY_INPUTS = "whitened_svd"  # the methods whose losses a calibration is for
BY_LOSS = "two_sided_svd"


def make(request: Request, source: Any, refs: Sequence[Any], recall: Recall) -> Plan:
    """Return the stages of a job, each with its key; every file that they depend on is hashed.

    Raises AnalysisError and JobError for what cannot work, or not in what is free.
    """
    asked = Asked(request, source, refs)
    asked.check()
    work = sizes.work(asked)
    prediction.check(work, asked.what)
    sizes.check_disk(asked, Path(request.home))
    hashes = contents.Hashes(recall)
    planned = reuse.recognised(_tasks(asked, hashes), recall, Path(request.home))
    return Plan(
        tasks=planned,
        labels=labels(refs),
        details={},
        skipped=[],
        at_once=prediction.at_once(work),
        remember=hashes.fresh,
    )


def predict(request: Request, source: Any, refs: Sequence[Any]) -> dict[str, Any]:
    """Return what a job would take: words, bytes, seconds, refused. Raises what `make` does."""
    asked = Asked(request, source, refs)
    asked.check()
    sizes.check_disk(asked, Path(request.home))
    work = sizes.work(asked)
    words = f"{work.words}; what is stored is not run again" if request.times else work.words
    work = replace(work, words=words, seconds=durations.of(asked, request.times))
    return prediction.say(work, asked.what, asked.groups.layers)


def _tasks(asked: "Asked", hashes: contents.Hashes) -> list[Task]:
    source, request = asked.source, asked.request
    settings = Settings(asked.params, _reads(asked.of), hashes.read)
    content = digest(contents.of_source(source, hashes.read))
    draft = Draft(request, asked.of, asked.params, settings, asked.groups, content)
    PLANS[request.analysis["name"]](draft, asked)
    return draft.tasks


class Asked:
    """What a request means: trials, and how they are calibrated."""

    def __init__(self, request: Request, source: Any, refs: Sequence[Any]) -> None:
        name = request.analysis["name"]
        fits.check_model(source, name)
        self.source = source
        self.request = request
        self.groups = Groups.of(refs, source.name)
        self.params = dict(request.params)
        self.of = name
        if name == "export":
            self.of, self.params = "trial", json.loads(request.params["settings"])
        self.given = registry.find(self.of).params(**self.params)
        self.specs = expand(self.given) if self.of == "trial" else []
        fits.check_updates(source, self.groups.layers, self.specs, self.given)
        self.calibrated = not self.specs or fits.calibrates(source, self.specs, self.given)
        fits.check_methods(source, self.specs, self.given.gradient)
        self.unreached = fits.unreached(source, self.specs, list(self.groups.refs.values()))

    @property
    def what(self) -> str:
        """Return what is asked for, as messages say it."""
        return f"{self.request.analysis['name']} of {self.source.name}"

    @property
    def of_updates(self) -> bool:
        """Say whether trials are of what changes another model."""
        return any(map(fits.of_update, self.specs))

    @property
    def whole(self) -> str:
        """Return what trials are measured beside, as the stage that measures it is called."""
        return fits.WHOLE[self.source.kind] if self.of_updates else "dense model"

    @property
    def methods(self) -> dict[str, int]:
        """Return the methods by which layers are decomposed, with their versions."""
        if self.specs:
            ranked = [spec for spec in self.specs if not fits.of_update(spec)]
            return {spec.full_name: spec.parsed()[0].version for spec in ranked}
        by_loss = self.given.gradient != "none" and fits.has_loss(self.source)
        names = [BY_INPUTS, *([BY_LOSS] if by_loss else [])]
        return {name: Spec(name).parsed()[0].version for name in names}

    def check(self) -> None:
        """Raise what reading the texts would raise."""
        fits.check_texts(self.source, self.given, calibrated=self.calibrated)


def _trials(draft: Draft, asked: Asked, chosen: str = "") -> list[Task]:
    """Add the stages of all trials, or of the one with a label."""
    specs = [spec for spec in asked.specs if not chosen or spec.label == chosen]
    if not specs:
        labels = ", ".join(spec.label for spec in asked.specs)
        raise JobError(f"no trial of these settings is called {chosen!r}: there are {labels}")
    before = _common(draft, asked)
    versions, factored = asked.methods, dict[str, dict[str, Task]]()
    for name in dict.fromkeys(s.full_name for s in specs if s.full_name in versions):
        factored[name] = draft.factors(name, versions[name], before.get("calibrated", {}))
    slow = dict.fromkeys(s.full_name for s in specs if s.allocation == SENSITIVITY)
    tried = {name: draft.sensitivities(name, factored[name]) for name in slow}
    saves = bool(chosen) or asked.given.weights != "none"
    return [
        draft.trial(
            spec,
            {
                **before,
                "factors": factored.get(spec.full_name, {}),
                "sensitivity": tried.get(spec.full_name, {}),
            },
            saves=saves,
        )
        for spec in specs
    ]


def _common(draft: Draft, asked: Asked) -> dict[str, Any]:
    before: dict[str, Any] = {"dense": draft.evaluation(asked.whole)}
    if asked.of_updates:
        before["alone"] = draft.base()
    if asked.calibrated:
        before["calibrated"] = draft.calibrations()
    if asked.given.recovery_steps:
        before["control"] = draft.control()
    return before


def _sweep(draft: Draft, asked: Asked) -> None:
    made = _trials(draft, asked)
    if asked.given.weights == "best":
        draft.keep_best(made)


def _activations(draft: Draft, asked: Asked) -> None:
    calibrated = draft.calibrations()
    for method, version in asked.methods.items():
        draft.factors(method, version, calibrated)
    own = draft.settings.some([f.name for f in fields(asked.given)])
    draft.last("activations", own, {"calibrated": calibrated})


def _export(draft: Draft, asked: Asked) -> None:
    wanted = asked.request.params
    [trial] = _trials(draft, asked, wanted["name"])
    if trial.key != wanted["trial"]:
        raise JobError(
            f"{asked.source.name}, or a text that {wanted['name']} was made with, has changed "
            "since: run the trial again"
        )
    label = f"export of {trial.label}, {wanted['form']}"
    draft.last("export", {"form": wanted["form"]}, {"trial": trial}, label)


PLANS: dict[str, Callable[[Draft, Asked], None]] = {
    "trial": _sweep,
    "activations": _activations,
    "export": _export,
}


def _reads(analysis: str) -> list[str]:
    """Return the parameters of an analysis that name a text."""
    found = fields(registry.find(analysis).params)
    return [field.name for field in found if field.metadata.get("reads")]
