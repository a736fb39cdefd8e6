"""What keeps a model or its settings from being compressed, said before anything runs."""

from collections.abc import Sequence
from typing import Any

from analysis.compress.calibration import calibrate as calibration
from analysis.compress.lora import fits as lora_fits
from analysis.compress.trials import calibrating, measuring, reach
from analysis.compress.trials.specs import Spec
from analysis.compress.trials.targets import heads_of
from analysis.evaluate import evaluation
from analysis.networks.errors import BadInput
from analysis.networks.opened import OpenedModel
from analysis.networks.transformer import Task, task_of
from jobs.errors import JobError

LOSS: tuple[Task, ...] = ("causal", "masked")  # heads that have one
OF_UPDATES = ("trial", "export")  # what may be asked for of an adapter, or of a pair
SUBJECTS = {"trial": "a trial is", "export": "a trial is", "activations": "a calibration is"}
BY_LOSS = ("gradient", "squared")  # what a method may need, that only a backward pass gives
STATISTICS = ("gram", *BY_LOSS)
WHOLE = lora_fits.WHOLE


def check_model(source: Any, what: str) -> None:
    """Raise JobError for a model that no trial is made of, with what to choose instead."""
    if source.steps:
        raise JobError(
            f"{source.name} is a series of checkpoints, and {SUBJECTS[what]} of one: add "
            "the folder of one checkpoint as a model, and choose that"
        )
    if source.base is not None and what not in OF_UPDATES:
        raise JobError(
            f"{source.name} holds what changes another model: {what} are of the layers of a whole "
            "one. Choose its base, or the model with the changes merged in"
        )
    if not source.config:
        raise JobError(
            f"{source.name} is a {source.architecture} without a config.json: {SUBJECTS[what]} of "
            "a transformers model, which is run on text, so there is none of it yet"
        )


def check_updates(source: Any, layers: Sequence[str], specs: Sequence[Spec], params: Any) -> None:
    """Raise BadInput where a method is not for a whole model, or for what changes one."""
    for spec in specs:
        if of_update(spec):
            opened = OpenedModel(source, tuple(layers), all_layers=False)
            lora_fits.check(opened, spec, params)
        else:
            lora_fits.check_kind(source, spec)


def of_update(spec: Spec) -> bool:
    """Say whether a trial is of an update: it has no calibration, and no factors of its layers."""
    return bool(spec.parsed()[0].sizes == "update")


def check_methods(source: Any, specs: Sequence[Spec], gradient: str) -> None:
    """Raise JobError where a method needs gradients that there are not."""
    for spec in specs:
        method, _ = spec.parsed()
        needed = [need for need in method.needs if need in BY_LOSS]
        if needed and not has_loss(source):
            raise JobError(
                f"{spec.method} needs the gradient of a loss, and {source.name} has no head that "
                "gives one: choose a method without, such as whitened_svd"
            )
        if needed and gradient == "none":
            raise JobError(
                f"{spec.method} needs gradients: set gradient to full, diagonal or scalar, or "
                "choose a method without, such as whitened_svd"
            )


def unreached(
    source: Any, specs: Sequence[Spec], groups: Sequence[Sequence[Any]]
) -> dict[str, str]:
    """Return what trials cannot be made, by label, as the shapes of the chosen layers tell.

    `groups` has the matrices by block. Raises BadInput where that is all of them.
    """
    heads = heads_of(OpenedModel(source))
    found = {}
    for spec in specs:
        try:
            reach.check(spec, groups, heads)
        except BadInput as error:
            found[spec.label] = str(error)
    if found and len(found) == len(specs):
        raise BadInput("; ".join(dict.fromkeys(found.values())))
    return found


def has_loss(source: Any) -> bool:
    """Say whether a model has a head whose loss has a gradient."""
    return task_of(source) in LOSS


def calibrates(source: Any, specs: Sequence[Spec], params: Any) -> bool:
    """Say whether a job has a calibration.

    Where a method or a compensation needs one, and where its losses can be predicted by it.
    """
    if all(of_update(spec) for spec in specs):
        return False
    needed = any(need in STATISTICS for spec in specs for need in spec.parsed()[0].needs)
    if needed or params.compensation != "none" or params.objective in ("expected", "whitened"):
        return True
    return bool(params.objective == "auto" and params.gradient != "none" and has_loss(source))


def check_texts(source: Any, params: Any, *, calibrated: bool) -> None:
    """Raise what reading the texts would raise: AnalysisError with a sentence."""
    if hasattr(params, "evaluate"):
        evaluation.check(source, measuring.settings_of(params))
    if calibrated:
        calibration.tokens(OpenedModel(source), calibrating.settings_of(params))
