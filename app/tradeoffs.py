"""What every allocation loses at every size, as the page of trade-offs and reports draw it."""

from app.plots import tradeoffs as plots
from app.plots.figure import Figure
from jobs.tradeoff_words import RELIABLE
from jobs.tradeoffs import ALLOCATIONS, Point, Tradeoffs


def curve(found: Tradeoffs, point: Point, allocation: str, form: str, objective: str) -> Figure:
    """Return the predicted change of loss against the size where it is known, or else the error."""
    curves = {title: found.curve(name, form, objective) for name, title in ALLOCATIONS.items()}
    if found.predicts:
        here = point.parameters / point.of_parameters
        return plots.losses_by_size(curves, (here, point.nats or 0.0), RELIABLE)
    noise = found.curve(allocation, form, objective, noise=True) if found.has_noise else None
    words = "whitened error" if objective == "whitened" else "relative error"
    return plots.errors_by_size(curves, noise, (point.kept, point.error), f"{words} √(1 - E)")
