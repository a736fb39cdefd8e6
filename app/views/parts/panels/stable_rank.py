"""Stable-rank convergence: live curves, the detector's decision, the ranks it would give."""

import pandas as pd
import streamlit as st

from app import quantities
from app.about.stable_rank import ABOUT, ABOUT_RANKS
from app.plots import stable_rank as plots
from app.plots import switch
from app.plots.figure import Figure
from app.shown import Shown
from app.views.parts import chart, permalink, states
from jobs.states import RESUMABLE

SHOWN_FIRST = 4
MOST_LAYERS = 7  # curves that can be told apart
COLUMNS = {
    "layer": ("layer", None, None),
    "shape": ("shape", None, "rows × columns"),
    "first": ("first stable rank", "%.2f", "at the first checkpoint"),
    "now": ("stable rank now", "%.2f", "at the last epoch that was measured"),
    "xi": ("ξ", "%.3f", "full rank over the first stable rank"),
    "rank": ("rank", "%d", "ceil(ξ · stable rank)"),
    "full": ("full rank", "%d", "min(rows, columns)"),
    "entries": ("entries", "%d", "mn, of the whole layer"),
    "parameters": ("factors hold", "%.0f %%", "k(m + n)/mn; above 100 % the layer is smaller"),
    "saves": ("smaller", None, "whether factors hold fewer numbers than the layer"),
    "state": ("state", None, None),
}


def draw(shown: Shown) -> None:
    """Draw the verdict, the curves of chosen layers, and the ranks at the switch."""
    rows = shown.rows
    if "epoch" not in rows or rows["epoch"].notna().sum() == 0:
        states.empty("No checkpoint is measured yet", "Curves appear here, epoch by epoch.")
        return
    rows = rows[rows["epoch"].notna()].assign(layer=rows["layer"].astype(str))
    going = shown.running or shown.job.get("state") in RESUMABLE  # there may be more epochs
    _verdict(rows, running=going)
    _cards(rows, running=going)
    names = plots.layers(rows)
    chosen = permalink.choices(
        "Layers", names, "stable_layers", names[:SHOWN_FIRST], max_selections=MOST_LAYERS,
        placeholder="choose some",
    )  # fmt: skip
    _figures(rows, chosen)
    _ranks(rows)
    _checkpoints(shown)


def _checkpoints(shown: Shown) -> None:
    """Say where a training run has put its checkpoints, for nobody would look there."""
    if shown.declared.get("unit") != "training":
        return
    kept = shown.client.checkpoints(shown.job["id"])
    if kept:
        said = f"Checkpoints are kept in {kept}: add this folder on Models to replay them."
        st.caption(chart.plain(said))


def _verdict(rows: pd.DataFrame, *, running: bool) -> None:
    found = switch.verdict(rows, running=running)
    say = st.success if found.kind == "switched" else st.info
    say(chart.plain(found.words))
    uneven = switch.spacing(rows)
    if uneven:
        st.warning(chart.plain(uneven))


def _cards(rows: pd.DataFrame, *, running: bool) -> None:
    now = rows[rows["epoch"] == rows["epoch"].max()]
    epoch, last = switch.first(now, "model_switch_epoch"), now.iloc[0]
    total = int(last["model_layers"])
    table, kept = switch.ranks(rows), switch.kept(rows)
    decided = quantities.known(epoch)
    cards = [
        (
            "Switch epoch E",
            f"{int(epoch)}" if decided else "not yet" if running else "none",
            f"measured to {last['epoch']:g}",
        ),
        ("Stable layers", f"{total - int(last['model_unstable'])} of {total}", "by their drift"),
        (
            "Mean rank at the switch" if decided else "Mean rank, switched now",
            quantities.percent((table["rank"] / table["full"]).mean()),
            "of full rank",
        ),
        (
            "Parameters of these layers",
            quantities.NOT_KNOWN if kept is None else quantities.percent(kept),
            "factors where they are smaller",
        ),
    ]
    loss = pd.to_numeric(rows["loss"]).dropna() if "loss" in rows else pd.Series(dtype=float)
    if not loss.empty:
        by_epoch = rows.loc[loss.index].sort_values("epoch")["loss"]
        beside = f"from {by_epoch.iloc[0]:.3f}"
        cards.append(("Training loss", f"{by_epoch.iloc[-1]:.3f}", beside))
    chart.cards((*card, "") for card in cards)


def _figures(rows: pd.DataFrame, chosen: list[str]) -> None:
    """Draw what there is: the stable rank beside its drift, the loss beside the gradients'."""
    drawn: list[tuple[str, Figure | None]] = [
        ("stable-rank", plots.over_epochs(rows, chosen)),
        ("drift", plots.drift(rows, chosen)),
        ("loss", plots.loss(rows)),
        ("gradients", plots.gradients(rows, chosen)),
    ]
    there = [(key, figure) for key, figure in drawn if figure is not None]
    for start in range(0, len(there), 2):
        places = st.columns(2, gap="medium")
        for place, (key, figure) in zip(places, there[start : start + 2], strict=False):
            with place:
                chart.heading(figure.title, figure.caption, ABOUT)
                chart.draw(figure, key, height=330)
    if not there and not chosen:
        states.empty("No layer is chosen", "Choose some above to see their curves.")
    st.caption(chart.plain(switch.setting(rows)))


def _ranks(rows: pd.DataFrame) -> None:
    table = switch.ranks(rows)
    if table.empty:
        return
    words = "The rule's ranks: stable rank at that epoch, scaled by what random weights have."
    chart.heading(switch.ranks_title(rows), words, ABOUT_RANKS)
    st.dataframe(
        table.assign(parameters=100 * table["parameters"]),
        hide_index=True,
        placeholder=quantities.NOT_KNOWN,
        height=300,
        column_config={
            name: st.column_config.Column(title, help=about)
            if form is None
            else st.column_config.NumberColumn(title, format=form, help=about)
            for name, (title, form, about) in COLUMNS.items()
        },
    )
    timed = switch.timing(rows)
    if timed:
        st.caption(chart.plain(timed))
