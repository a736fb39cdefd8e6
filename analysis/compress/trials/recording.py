"""What a trial's record says: all that it takes to make the same numbers again."""

from dataclasses import asdict
from typing import Any

from analysis.compress.trials.making import Made
from analysis.compress.trials.stages import Given
from analysis.evaluate.evaluation import Evaluation

PER_SWEEP = ("methods", "kept", "allocations", "forms", "ranks", "weights")  # not of one trial


def record(given: Given, made: Made, dense: Evaluation) -> dict[str, Any]:
    """Return what `trial.json` says: settings, ranks, seeds, hashes."""
    linear, of_linear = made.linear
    settings = {k: v for k, v in asdict(given.params).items() if k not in PER_SWEEP}
    return {
        "method": given.spec.full_name,
        "spec": given.spec.to_dict(),
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
        "seeds": {"seed": given.params.seed},
        "hashes": {"evaluation_text": dense.text_sha256},
        "calibrated_on": calibrated_on(given, made),
        **given.record,
    }


def calibrated_on(given: Given, made: Made) -> str:
    """Return the text that calibrated the layers, with its tokens; "" where none did."""
    if "calibrated_on" in given.record:
        return str(given.record["calibrated_on"])
    return made.calibrated.words(given.params.calibrate) if made.calibrated else ""
