"""The trade-offs of a model as a section: what every allocation loses, at 60 % in detail."""

from typing import Any

from app import quantities, tradeoffs
from app.plots import tradeoffs as plots
from app.reports.model import Fact, Section, Table
from jobs import calibrated, linear_layers
from jobs.errors import JobError
from jobs.tradeoffs import ALLOCATIONS, FORMS, OBJECTIVES, Tradeoffs

KEY = "tradeoffs"
KEPT = 0.6
ALLOCATION, FORM = next(iter(ALLOCATIONS)), next(iter(FORMS))
SENTENCE = "What any size of the linear layers would hold and lose, from what is stored alone."
HEADINGS = {
    "allocation": "allocation",
    "form": "stored as",
    "nats": "predicted Δloss, nats",
    "error": "relative error",
    "left_dense": "left dense",
    "parameters": "parameters",
    "bytes": "bytes",
}


def section(client: Any, model: str) -> list[Section]:
    """Return the section; none for a model of whose layers nothing is known."""
    if linear_layers.why_not(client.store.labels(model), model):
        return []
    weights = Tradeoffs.load(client.store, model)
    methods = calibrated.methods(client.store, model, weights.layers)
    if not (methods or weights.known.any()):
        return []
    try:
        found = (
            Tradeoffs.load(client.store, model, methods[0], client.array) if methods else weights
        )
        return [_of(found)] if found.objectives else []
    except JobError as error:
        return [Section("Rank trade-offs", SENTENCE, KEY, left_out=(f"{error}.",))]


def _of(found: Tradeoffs) -> Section:
    kept, objective = max(KEPT, found.least), found.objectives[0]
    point = found.at(min(kept, 1.0), ALLOCATION, FORM, objective)
    maps = plots.loss_maps if found.predicts else plots.rank_maps
    rule = f"{ALLOCATIONS[ALLOCATION]} allocation"
    compared = found.compare(min(kept, 1.0), objective)
    compared["allocation"] = compared["allocation"].map(ALLOCATIONS)
    compared["form"] = compared["form"].map(FORMS)
    without = "error" if objective == "expected" else "nats" if not found.predicts else ""
    headings = {name: title for name, title in HEADINGS.items() if name != without}
    facts = {
        "Losses of": found.method or "the weights alone, which says little about accuracy",
        "Counts as lost": OBJECTIVES[objective],
        "In detail": f"{quantities.percent(kept)} of the linear layers' parameters, {rule}",
    }
    return Section(
        title="Rank trade-offs",
        sentence=SENTENCE,
        key=KEY,
        facts=tuple(Fact(name, value) for name, value in facts.items()),
        figures=(
            tradeoffs.curve(found, point, ALLOCATION, FORM, objective),
            *maps(point.layers, rule),
        ),
        tables=(
            Table(f"Every allocation at {quantities.percent(kept)}", "", compared, headings),
            Table("Rank trade-offs by layer", "", point.layers, {}),
        ),
        warnings=tuple(point.warnings),
        left_out=() if found.method else tuple(_dense(name) for name in found.missing),
    )


def _dense(name: str) -> str:
    return f"{name}: no spectrum is stored, so it stays dense"
