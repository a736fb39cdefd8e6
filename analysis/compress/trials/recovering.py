"""Training what a trial factored, with the batches that its dense control gets."""

from torch import nn

from analysis.compress.calibration import calibrate as calibration
from analysis.compress.forms.base import is_bias
from analysis.compress.trials.calibrating import settings_of
from analysis.compress.trials.making import Made
from analysis.compress.trials.measuring import mask_of
from analysis.compress.trials.stages import Given
from analysis.evaluate.recovery import recover
from analysis.registry import Report

LOW_RANK = 0.5  # share of its rank that a layer has lost where WeLore calls it low-rank


def recovered(given: Given, made: Made, report: Report) -> tuple[float, ...]:
    """Train the factors, round them to the dtype of the file, and return the losses by step."""
    params = given.params
    only = _trained(given, made)
    if not params.recovery_steps or not only:
        return ()
    ids = calibration.tokens(given.opened, settings_of(params))
    losses = recover(
        made.network, made.forms, ids, params.recovery_steps, params.recovery_lr, only=only,
        seed=params.seed, mask_id=mask_of(given.opened), report=report,
    )  # fmt: skip
    for form in made.forms.values():
        form.stored_as(made.dtype)  # type: ignore[operator]
    return tuple(losses)


def _trained(given: Given, made: Made) -> list[str]:
    """Return the layers that recovery trains: with factors, and for LRC those of low rank."""
    low = [
        one.layer
        for one in made.results
        if given.params.recovery_layers == "all" or one.lost_rank >= _cutoff(given)
    ]
    return [name for name in low if name in made.forms and _has_factors(made.forms[name])]


def _has_factors(form: nn.Module) -> bool:
    return any(p.is_floating_point() and not is_bias(name) for name, p in form.named_parameters())


def _cutoff(given: Given) -> float:
    """Return the share of its rank that a low-rank layer has lost, by WeLore."""
    own = getattr(given.spec.parsed()[1], "cutoff", None)
    return LOW_RANK if own is None else float(own)
