"""What a trial made of each layer: maps of what is kept, bars of what is lost."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from app import quantities
from app.plots import grid
from app.plots.figure import MOST_POINTS, Axis, Figure, Scale, Series
from app.plots.metric import Metric

RANK = Metric("rank", "Rank", "singular directions that the layer keeps", "rank")
SIZE = Metric("kept", "Parameters kept", "share of the layer's own parameters", "ratio")
TICKS = tuple((share, quantities.percent(share)) for share in np.linspace(0, 1, 5))
COLOURED = {"rank": "rank", "kept": "parameters kept"}
OUTPUT = {"whitened": "calibration", "heldout": "held out"}
FEW = 16  # layers whose names can be read below their bars
FIELDS = ("layer", "role", "block", "rows", "cols", "rank", "rank_before", "dense", "words",
          "numbers", "of_numbers", "error", "whitened", "heldout", "predicted")  # fmt: skip
SAID = {
    "error": "error of the weights",
    "whitened": "of the output",
    "heldout": "held out",
    "predicted": "predicted nats",
}


def read(text: str) -> pd.DataFrame:
    """Return a trial's layers from its JSON, as the maps want them."""
    found = pd.DataFrame(json.loads(text or "[]"), columns=list(FIELDS))
    return found.assign(module=found["role"], view="whole", kind="linear")


def maps(layers: pd.DataFrame, what: str) -> list[Figure]:
    """Return blocks by modules and the layers outside them, coloured by a key of COLOURED.

    `layers` comes from `read`.
    """
    frame = layers.assign(
        rank=layers["rank"].astype("Float64"),
        kept=layers["numbers"] / layers["of_numbers"],
        status="done",
        message="",
    )
    metric, scale = (RANK, "full") if what == "rank" else (SIZE, "absolute")
    table = grid.prepared(frame, metric, scale)
    of_update = bool(frame["rank_before"].notna().any())  # which had a rank of its own
    if what == "rank" and of_update:
        share = frame["rank"].astype(float) / frame["rank_before"].astype(float)
        table["value"], table["text"] = share, [quantities.percent(value) for value in share]
    if what == "kept":
        table["text"] = [quantities.percent(value) for value in table["value"]]
    # Ranks are known where a method has them; a dense layer keeps all of its own.
    table["text"] = np.where(frame["dense"].astype(bool), "dense", table["text"])
    if what == "rank":
        table["value"] = np.where(frame["dense"].astype(bool), 1.0, table["value"])
    table["hover"] = [_hover(row) for row in frame.to_dict("records")]
    words = {
        ("rank", False): "Share of full rank that each layer keeps.",
        ("kept", False): "Share of its own parameters that each layer holds.",
        ("rank", True): "Share of its own rank that each layer's update keeps.",
        ("kept", True): "Share of its own parameters that each layer's update holds.",
    }[what, of_update]
    words += " Deeper blue: more is kept."
    return grid.maps(table, metric, scale, Scale("sequential", 0.0, 1.0, TICKS), words)


def ranked(layers: pd.DataFrame) -> list[str]:
    """Return the keys of COLOURED that these layers can be coloured by, the default first."""
    return list(COLOURED) if layers["rank"].notna().any() else ["kept"]


def errors(layers: pd.DataFrame) -> Figure | None:
    """Return bars of each layer's relative error: of its output where that was calibrated.

    The error on held-out windows stands beside it; without a calibration it is that of the weights.
    """
    known = [name for name in OUTPUT if layers[name].notna().any()]
    if not known:
        if layers["error"].isna().all():
            return None
        words = "‖W - W'‖/‖W‖ of each layer: weights only, this says little about accuracy."
        return _bars(layers, {"error": "weights"}, "Error by layer", words, "relative error")
    words = "‖(W - W')X‖/‖WX‖ of each layer on the calibration text"
    if len(known) > 1:
        words += " and on windows left out of it: where these are worse, it was too small"
    named = {name: OUTPUT[name] for name in known}
    return _bars(layers, named, "Error by layer", f"{words}.", "relative error")


def predicted(layers: pd.DataFrame) -> Figure | None:
    """Return bars of the loss that is predicted of each layer, None without predictions."""
    if layers["predicted"].isna().all():
        return None
    words = (
        "What each layer adds to the predicted change of loss, alone and with the others: the sum "
        "is the trial's."
    )
    named = {"predicted": "predicted"}
    return _bars(layers, named, "Predicted loss by layer", words, "nats per token")


def _bars(
    layers: pd.DataFrame, columns: Mapping[str, str], title: str, words: str, unit: str
) -> Figure:
    shown = layers.head(MOST_POINTS)
    left = f" The first {MOST_POINTS} are drawn." if len(layers) > MOST_POINTS else ""
    return Figure(
        title=title,
        caption=words + left,
        x=Axis("layer", names=tuple(shown["layer"].astype(str)), ticks=_blocks(shown)),
        y=Axis(unit),
        series=tuple(
            Series(
                name,
                np.arange(len(shown), dtype=float),
                pd.to_numeric(shown[column], errors="coerce").to_numpy(float),
                "edge" if column == "heldout" else "layer",
                "bars",
                hover=tuple(
                    f"{escape(str(layer))}: {quantities.digits(value)} {escape(name)}"
                    for layer, value in zip(shown["layer"], shown[column], strict=True)
                ),
            )
            for column, name in columns.items()
        ),
    )


def _blocks(shown: pd.DataFrame) -> tuple[tuple[float, str], ...]:
    """Return where each block begins; nothing where every layer can be named."""
    if len(shown) <= FEW:
        return ()
    names = [
        f"block {int(block)}" if quantities.known(block) else str(layer)
        for block, layer in zip(shown["block"], shown["layer"], strict=True)
    ]
    return tuple((float(names.index(name)), name) for name in dict.fromkeys(names))


def _hover(row: Mapping[str, Any]) -> str:
    said = [f"<b>{escape(str(row['layer']))}</b>", quantities.shape((row["rows"], row["cols"]))]
    if bool(row["dense"]):
        said.append("left dense")
    elif quantities.known(row["rank_before"]):
        said.append(escape(str(row["words"])))  # with the rank before
    elif quantities.known(row["rank"]):
        full = min(row["rows"], row["cols"])
        said.append(f"rank {int(row['rank'])} of {int(full)}")
    else:
        said.append(escape(str(row["words"])))
    said.append(
        f"parameters {quantities.count(row['of_numbers'])} → {quantities.count(row['numbers'])}"
    )
    for name, words in SAID.items():
        if quantities.known(row[name]):
            said.append(f"{words} {quantities.digits(row[name])}")
    return "<br>".join(said)
