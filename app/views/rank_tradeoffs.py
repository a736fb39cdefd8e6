"""Rank trade-offs: what any size would cost, from the stored spectra and with no job."""

import math
from typing import Any

import pandas as pd
import streamlit as st

from app import connection, quantities
from app.plots import tradeoffs as plots
from app.views.parts import chart, permalink, running, states
from jobs import linear_layers
from jobs.tradeoffs import ALLOCATIONS, FORMS, OBJECTIVES, Point, Tradeoffs

LEAST, MIDDLE = 5, 60  # per cent: the slider's end, and where it stands at first
ERROR = r"""
Each layer $W$ ($m \times n$) keeps $k$ singular directions and loses $\sum_{i>k} \sigma_i^2$ of its
energy. $E$ is the share that is kept: the mean of the layers' own shares, or of the total over all
layers. The curve is $\sqrt{1 - E}$, which for one layer is
$\lVert W - W'\rVert_F / \lVert W \rVert_F$. It says little about accuracy: on a small language
model "91 % of the energy" took the perplexity from 6.5 to 1249.
"""
RANKS = r"""
- **Greedy**: segments of each layer's upper concave hull of (numbers held, energy kept), the dense
  layer among its points, by gain per number.
- **Uniform**: the same share of every layer's size.
- **Equal energy**: the fewest directions that hold a share $\eta$, one $\eta$ for all layers.
- **WeLore**: one threshold $\tau$ on $(\sigma - \sigma_{min}) / (\sigma_{max} - \sigma_{min})$
  ([Jaiswal et al. 2024](https://arxiv.org/abs/2407.11239)), here solved for the size.

What is left of the size goes direction by direction to the greatest gain per number.

- **Two factors** hold $k(m + n)$ numbers; a layer that they would not make smaller stays dense.
- **Row-interpolative** (pivoting factorisation): $k$ rows of $W'$ and what makes the others of
  them, $k(m + n - k)$ numbers, never more than $mn$, and $k$ row indices of 4 bytes.
"""
SYMBOLS = {"energy": "η", "welore": "τ"}
COLUMNS = {
    "layer": st.column_config.TextColumn("layer", pinned=True),
    "shape": st.column_config.TextColumn("shape"),
    "rank": st.column_config.NumberColumn("rank"),
    "full": st.column_config.NumberColumn("full rank"),
    "before": st.column_config.NumberColumn("parameters before", format="localized"),
    "after": st.column_config.NumberColumn("after", format="localized"),
    "kept": st.column_config.NumberColumn("size kept", format="%.1f %%"),
    "error": st.column_config.NumberColumn(
        "relative error", format="%.3f", help="‖W - W'‖/‖W‖ of the layer"
    ),
    "reason": st.column_config.TextColumn("reason", width="medium"),
}


def page() -> None:
    """Draw the choices, the numbers, the curve beside the ranks, and the table."""
    client = connection.client()
    models = client.store.models()
    if models.empty:
        states.empty("No model yet", "Add one on **Models**: a folder, a file or a hub id.")
        return
    columns = st.columns([2.4, 2.8, 1.8, 2.1, 2.2])
    with columns[0]:
        model = permalink.choice("Model", list(models["name"]), "model", always=True)
    running.banner(client, model)
    labels = client.store.labels(model)
    refused = linear_layers.why_not(labels, model)
    if refused:
        states.empty("Nothing to trade here", chart.plain(refused))
        return
    found = _loaded(client.store, model, linear_layers.stamp(client.store, model, labels))
    if not found.known.any():
        _no_spectra(client, model)
        return
    _incomplete(client, model, found)
    least = max(LEAST, math.ceil(100 * found.least))
    if least >= 100:
        states.empty("Too few spectra", "Nearly every layer would stay dense for want of one.")
        return
    _draw(found, _chosen(found, columns[1:], least), _left_out(labels))


@st.cache_resource(max_entries=3, show_spinner="Reading the stored spectra")
def _loaded(_store: Any, model: str, mark: str) -> Tradeoffs:
    """Return a model's trade-offs, read anew when `mark`, what is stored, is another."""
    del mark
    return Tradeoffs.load(_store, model)


def _chosen(found: Tradeoffs, columns: list[Any], least: int) -> tuple[Point, str, str, str]:
    """Draw the choices and return the point with its allocation, form and objective."""
    with columns[0]:
        keep = permalink.level(
            "Keep of the linear layers' parameters",
            "keep",
            (float(least), 100.0),
            float(max(MIDDLE, least)),
            step=1.0,
            format="%.0f %%",
        )
    named = (
        ("Allocation", ALLOCATIONS, "allocation"),
        ("Stored as", FORMS, "form"),
        ("Energy", OBJECTIVES, "objective"),
    )
    chosen = []
    for column, (label, options, key) in zip(columns[1:], named, strict=True):
        with column:
            words = options.__getitem__
            chosen.append(permalink.choice(label, list(options), key, format_func=words))
    allocation, form, objective = chosen
    return found.at(keep / 100, *chosen), allocation, form, objective


def _left_out(labels: pd.DataFrame) -> str:
    """Return which matrices take no part, for they are not linear layers."""
    others = labels[labels["kind"] != "linear"]
    if others.empty:
        return ""
    counts = others.drop_duplicates("layer")["kind"].fillna("other").value_counts()
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return f" Left whole, for only linear layers are traded: {kinds}."


def _draw(found: Tradeoffs, asked: tuple[Point, str, str, str], left_out: str) -> None:
    point, allocation, form, objective = asked
    _cards(point, allocation, form)
    for sentence in point.warnings:
        st.warning(chart.plain(states.short(sentence)), icon=":material/warning:")
    left, right = st.columns([1.15, 1], gap="medium")
    with left:
        _curve(found, point, allocation, form, objective)
    with right:
        maps = plots.rank_maps(point.layers, ALLOCATIONS[allocation])
        chart.heading(maps[0].title, maps[0].caption, RANKS)
        for position, figure in enumerate(maps):
            chart.draw_map(figure, f"ranks-{position}", (), lambda _: None)
    _comparison(found, point, objective)
    _table(point.layers, left_out)


def _cards(point: Point, allocation: str, form: str) -> None:
    share = quantities.percent
    of_linear = quantities.count(point.of_parameters)
    of_model = quantities.count(point.of_model_parameters)
    whole = share(point.model_parameters / point.of_model_parameters)
    rule = f"in {FORMS[form]}" if form == "two_factor" else FORMS[form]
    if point.threshold is not None:
        rule = f"one {SYMBOLS[allocation]} for all: {quantities.digits(point.threshold)}"
    cards = (
        (
            "Linear layers",
            quantities.count(point.parameters),
            f"{share(point.parameters / point.of_parameters)} of {of_linear}",
        ),
        ("Whole model", quantities.count(point.model_parameters), f"{whole} of {of_model}"),
        ("Relative error", quantities.digits(point.error), f"{share(point.energy)} energy kept"),
        ("Left dense", f"{point.left_dense} of {len(point.layers)}", rule),
        ("On disk", quantities.size(point.bytes), f"{quantities.size(point.of_bytes)} dense"),
    )
    chart.cards((*card, "") for card in cards)


def _curve(found: Tradeoffs, point: Point, allocation: str, form: str, objective: str) -> None:
    curves = {title: found.curve(name, form, objective) for name, title in ALLOCATIONS.items()}
    noise = found.curve(allocation, form, objective, noise=True) if found.has_noise else None
    figure = plots.errors_by_size(curves, noise, (point.kept, point.error))
    said = figure.caption if found.has_noise else f"{figure.caption} No noise is stored."
    chart.heading(figure.title, said, ERROR)
    chart.draw(figure, "errors")


def _comparison(found: Tradeoffs, point: Point, objective: str) -> None:
    """Draw every allocation in both forms at this size."""
    chart.heading(
        f"Every allocation at {quantities.percent(point.kept)}",
        "The same size in both storage forms: which loses least, and how many layers stay dense.",
    )
    rows = found.compare(point.kept, objective)
    st.dataframe(
        pd.DataFrame({
            "allocation": rows["allocation"].map(ALLOCATIONS),
            "stored as": rows["form"].map(FORMS),
            "relative error": rows["error"],
            "energy kept": 100 * (1 - rows["error"] ** 2),
            "left dense": rows["left_dense"],
            "parameters": rows["parameters"],
            "on disk": [quantities.size(size) for size in rows["bytes"]],
        }),
        hide_index=True,
        column_config={
            "relative error": st.column_config.NumberColumn(format="%.3f"),
            "energy kept": st.column_config.NumberColumn(format="%.1f %%"),
            "parameters": st.column_config.NumberColumn(format="localized"),
        },
        alt="Every allocation in both storage forms",
    )  # fmt: skip


def _table(layers: pd.DataFrame, left_out: str) -> None:
    words = f"What each keeps at this point; click a heading to sort.{left_out}"
    chart.heading("All linear layers", words)
    shape = [quantities.shape(s) for s in zip(layers["rows"], layers["cols"], strict=True)]
    table = layers.assign(shape=shape, kept=100 * layers["after"] / layers["before"])
    st.dataframe(
        table[list(COLUMNS)],
        hide_index=True,
        column_config=COLUMNS,
        placeholder=quantities.NOT_KNOWN,
        height=min(36 * (len(table) + 1), 430),
        alt="Every linear layer with its rank, parameters and error",
    )


def _no_spectra(client: Any, model: str) -> None:
    if not running.active(client.store.jobs(), model).empty:
        states.empty("The first spectra are on their way", "The page fills as layers finish.")
        return
    states.empty(
        f"No spectra of {model} yet",
        "Each weight matrix is decomposed once; every size is then read from that.",
    )
    _compute(client, model, "Compute the spectra")


def _incomplete(client: Any, model: str, found: Tradeoffs) -> None:
    """Offer the spectra that are missing, unless a job is at work on them."""
    if found.missing and running.active(client.store.jobs(), model).empty:
        _compute(client, model, "Compute the missing spectra")


def _compute(client: Any, model: str, words: str) -> None:
    if client.can_run and st.button(words, type="primary"):
        client.submit(model, "spectrum", {}, restrict_to_roots=True)
        st.rerun()


page()
