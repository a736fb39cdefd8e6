"""What a trial's record says: all that it takes to make the same numbers again."""

from dataclasses import asdict
from typing import Any

from analysis.compress.calibration.texts import opening
from analysis.compress.trials.making import Made
from analysis.compress.trials.stages import Given
from analysis.evaluate.evaluation import Evaluation

PER_SWEEP = ("methods", "kept", "allocations", "forms", "ranks", "weights")  # not of one trial
IN_SPEC = ("objective", "compensation", "compensation_rank")


def record(given: Given, made: Made, dense: Evaluation) -> dict[str, Any]:
    """Return what `trial.json` says, each thing once.

    `settings` are those of the sweep that every trial of it shares, with the names of texts and the
    seed; `texts` has the hash of each text that was read.
    """
    linear, of_linear = made.linear
    settings = {k: v for k, v in asdict(given.params).items() if k not in (*PER_SWEEP, *IN_SPEC)}
    return {
        "method": given.spec.full_name,
        "spec": given.spec.to_dict(),
        "method_settings": asdict(given.spec.parsed()[1]),
        "settings": settings,
        "nominal": given.spec.kept,
        "kept_linears": linear / of_linear,
        "ranks": {
            one.layer: one.words if one.rank is None else one.rank
            for one in made.results
            if not one.dense
        },
        "objective": made.choice.objective,
        "threshold": made.choice.threshold,
        "dtype": str(made.dtype).removeprefix("torch."),
        "calibrated_on": calibrated_on(given, made),
        **given.record,
        "texts": _texts(given, made, dense),
    }


def _texts(given: Given, made: Made, dense: Evaluation) -> dict[str, str]:
    """Return the hash of each text, or a dataset's name, by the setting that names it."""
    told = dict(given.record.get("texts", {}))
    if not calibrated_on(given, made):
        told.pop("calibrate", None)
    return told | {"pairs" if given.params.pairs else "evaluate": dense.text_sha256}


def calibrated_on(given: Given, made: Made) -> str:
    """Return the text that calibrated the layers, with its tokens and what opens its documents.

    "" where none did.
    """
    if "calibrated_on" in given.record:
        return str(given.record["calibrated_on"])
    if made.calibrated is None:
        return ""
    text = given.params.calibrate
    said = (made.calibrated.words(text), opening(given.opened, text))
    return ", ".join(words for words in said if words)
