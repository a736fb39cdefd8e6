"""Trials of one model side by side: asked, measured, their paired difference, ranks by layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app import quantities
from app import trials as found
from app.about import comparison as about
from app.plots import layer_ranks, trial_words
from app.views.parts import chart, permalink, states
from app.views.parts.comparison import subjects, table
from app.views.parts.comparison.subjects import LETTERS
from jobs.comparison import paired, places

COMPRESSION_PAGE = "views/compression.py"
SEED = 0  # of the bootstrap: the same address shows the same interval
MEASURED_BY = {"loss": "loss, nats per token", "spearman": "Spearman's ρ"}
BY_LAYER = {
    "rank": ("Rank", "singular directions that the layer keeps; a dense layer has none of its own"),
    "kept": ("Kept", "share of the layer's own parameters, in per cent"),
    "error": ("Error of the weights", "‖W - W'‖/‖W‖"),
    "whitened": ("Error of the output", "‖(W - W')X‖/‖WX‖ on the calibration text"),
    "heldout": ("Held-out error", "the same on windows left out of it"),
    "predicted": ("Predicted Δloss", "nats per token"),
}


def draw(client: Any, place: Any, caption: str) -> None:
    """Ask in a place which trials are compared, and draw the comparison."""
    columns = place.columns([1, 2.4])
    models = list(client.store.models()["name"])
    with columns[0]:
        model = permalink.choice("Model", models, "model", always=True)
    done = found.finished(found.of_model(client, model))
    if len(done) < 2:
        have = "has one trial" if len(done) else "has no trial"
        states.empty(
            "No two trials to compare",
            f"{chart.plain(model)} {have}. Launch a sweep on **Compression**, two methods say: "
            "then they stand here side by side.",
        )
        st.page_link(
            COMPRESSION_PAGE, label="Launch trials", icon=":material/compress:",
            query_params={"model": model},
        )  # fmt: skip
        return
    with columns[1]:
        chosen = subjects.pick("Trials", found.names(done), "trials")
    st.caption(chart.plain(caption))
    if len(chosen) < 2:
        states.empty(*subjects.TOO_FEW)
        return
    by_key = done.set_index("unit", drop=False)
    _compared([by_key.loc[key].to_dict() for key in chosen])


def _compared(rows: Sequence[Mapping[str, Any]]) -> None:
    _warnings(rows)
    _cards(rows)
    _paired(rows)
    names = [str(row["trial"]) for row in rows]
    subjects.settings([_asked(row) for row in rows], names, "every", "settings of these trials")
    _measured(rows, names)
    _layers(rows)


def _warnings(rows: Sequence[Mapping[str, Any]]) -> None:
    """Say where losses are not of the same text, and where methods saw different ones."""
    measured = found.measured_on(pd.DataFrame(list(rows)))
    _of_several(
        "These trials were measured on different texts or windows: their losses and perplexities "
        "cannot be compared. Evaluate them on one text to compare them.",
        list(measured),
    )
    _of_several(
        "These trials were calibrated on different texts: a part of their difference is the text's "
        "and not the method's.",
        [str(row["calibrated_on"] or "") for row in rows],
    )


def _of_several(sentence: str, texts: Sequence[str]) -> None:
    """Warn where there are several texts, and say whose each is; "" is a trial that needed none."""
    letters: dict[str, list[str]] = {}
    for letter, text in zip(LETTERS, texts, strict=False):
        if text:
            letters.setdefault(text, []).append(letter)
    if len(letters) > 1:
        st.warning(sentence, icon=":material/warning:")
        for text, those in letters.items():
            st.caption(chart.plain(f"{', '.join(those)}: {text}"))


def _cards(rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw a card for each trial: what it lost, with its interval and its size."""
    cards = []
    for letter, row in zip(LETTERS, rows, strict=False):
        lost = "Spearman lost" if row["metric"] == "spearman" else "Δloss from dense"
        beside = f"{trial_words.interval(row)} · {quantities.size(row['bytes'])}".strip(" ·")
        title = f"{letter} · {row['trial']} · {row['label']}"
        about_card = f"{lost} with its paired 95 % interval, and bytes of the saved weights."
        cards.append(
            (chart.plain(title), trial_words.signed(row["delta"]), chart.plain(beside), about_card)
        )
    chart.cards(cards)


def _paired(rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw how the first trial's loss differs from each other's on the same windows."""
    told: list[tuple[str, paired.Difference]] = []
    refused: dict[str, list[str]] = {}
    for letter, row in list(zip(LETTERS, rows, strict=False))[1:]:
        why = paired.why_not(rows[0], row)
        if why:
            refused.setdefault(why, []).append(letter)
        else:
            told.append((letter, paired.of_trials(rows[0], row, SEED)))
    if told:
        chart.heading(
            "Paired difference of loss",
            "Positive: A loses more. Both were measured on the same windows, so the text's own "
            "spread cancels.",
            about.PAIRED,
        )
        chart.cards([_difference(letter, apart) for letter, apart in told])
    for why, letters in refused.items():
        st.caption(chart.plain(f"A is not paired with {' or '.join(letters)}: {why}."))


def _difference(letter: str, apart: paired.Difference) -> chart.Card:
    beside = "one window: no interval"
    if quantities.known(apart.low):
        ends = f"[{trial_words.signed(apart.low)}, {trial_words.signed(apart.high)}]"
        sure = "holds 0" if apart.low <= 0 <= apart.high else "does not hold 0"
        beside = chart.plain(f"{ends} {sure}")
    title = f"A minus {letter}"
    return title, trial_words.signed(apart.mean), beside, "nats per token, with its 95 % interval"


def _asked(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "method": row["method"],
        "asked to keep": quantities.percent(row["nominal"]),
        "allocation": row["allocation"],
        "form": row["form"],
        "objective": row["objective"],
        "compensation": row["compensation"],
        "recovery": "yes" if quantities.known(row["recovered"]) else "no",
        "calibrated on": row["calibrated_on"],
        "evaluated on": row["evaluated_on"],
        "speed measured at": row["speed_at"],
    }


def _measured(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Draw what came out of each trial, a row for each number that some trial has."""
    outcomes = [_outcome(row) for row in rows]
    there = [key for key in outcomes[0] if any(o[key] != quantities.NOT_KNOWN for o in outcomes)]
    chart.heading("What came out", "Every number beside that of the other trials.")
    shown = pd.DataFrame(
        [[key, *(outcome[key] for outcome in outcomes)] for key in there],
        columns=pd.Index(["", *subjects.lettered(names)]),
    )
    st.dataframe(
        shown,
        hide_index=True,
        height=subjects.height(len(shown), most=len(shown)),
        column_config=subjects.columns(list(shown)),
        alt="What came out of each trial, side by side",
    )


def _outcome(row: Mapping[str, Any]) -> dict[str, str]:
    say = quantities.digits
    faster = trial_words.faster(row)
    return {
        "measured by": MEASURED_BY.get(str(row["metric"]), str(row["metric"])),
        "lost from dense": trial_words.signed(row["delta"]),
        "95 % interval": trial_words.interval(row) or quantities.NOT_KNOWN,
        "predicted Δloss": trial_words.signed(row["predicted"]),
        "perplexity": say(row["perplexity"]),
        "next-token accuracy": quantities.percent(row["accuracy"]),
        "choice accuracy": quantities.percent(row["choice_accuracy"]),
        "linear layers kept": quantities.percent(row["kept_linear"]),
        "whole model kept": quantities.percent(row["kept_model"]),
        "bytes": quantities.size(row["bytes"]),
        "held-out layer error": say(row["heldout_error"]),
        "latency, ms": say(row["latency"]),
        "speed": f"{faster:.2f}× dense" if faster is not None else quantities.NOT_KNOWN,
        "peak memory": quantities.size(row["peak_bytes"]),
        "before recovery": say(row["recovered"]),
    }


def _layers(rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw what each trial made of every layer, met by block and module."""
    sides = [layer_ranks.read(str(row["layers"] or "[]")) for row in rows]
    if any(side.empty for side in sides):
        return
    sides = [side.assign(kept=100 * side["numbers"] / side["of_numbers"]) for side in sides]
    met = places.aligned(sides, subjects.lettered([str(row["trial"]) for row in rows]))
    offered = [name for name in BY_LAYER if any(side[name].notna().any() for side in sides)]
    name = permalink.choice(
        "Of each layer",
        offered,
        "of_layer",
        format_func=lambda name: f"{BY_LAYER[name][0]}: {BY_LAYER[name][1]}",
    )
    taken = [met.taken(side, at) for at, side in enumerate(sides)]
    title, words = BY_LAYER[name]
    values = pd.concat([pd.to_numeric(side[name], errors="coerce") for side in taken], axis=1)
    column = table.Column(title, words, values.to_numpy(float))
    table.draw(met, [column], [side["layer"] for side in taken], "Layer by layer", "layers")
