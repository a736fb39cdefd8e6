"""The trials of a job as lines: what each keeps and loses, beside the texts that say so."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from jobs import text
from jobs.trials import unsized

SHOWN = ("done", "zero")
OVERFLOW = 700.0  # nats beyond which a perplexity is no float


def lines(found: pd.DataFrame, methods: Mapping[str, Any] | None = None) -> list[str]:
    """Return the table of a job's trials, then what it was measured on, warnings and failures.

    `methods`, as they are declared, tell what sets a size that no share does.
    """
    done = found[found["status"].isin(SHOWN)]
    said = [*_table(done), *_beside(done), *_said(done)] if len(done) else []
    said += [text.plain(line) for line in unsized.of_trials(methods or {}, done.to_dict("records"))]
    failed = found[found["status"] == "failed"]
    return said + [text.plain(f"failed: {row.label}: {row.message}") for row in failed.itertuples()]


def _table(done: pd.DataFrame) -> list[str]:
    rows = [_row(row) for row in done.to_dict("records")]
    first = done.iloc[0].to_dict()
    return [text.table(pd.DataFrame(rows)), _dense(first), *_base(first)]


def _row(row: Mapping[Any, Any]) -> dict[str, str]:
    """Return one trial's cells; the loss with its paired interval, the speed-up over dense."""
    names = ("method", "allocation", "form")
    words = (str(row[name]).replace("_", " ") for name in names if row[name])
    more = "" if row["compensation"] in ("", "none") else f" + {row['compensation']}"
    return {
        "method": ", ".join(words) + more,
        "asked": _share(row["nominal"]),
        f"kept ({_whole(row).removeprefix('whole ').replace('dense', 'linears')})": _share(
            row["kept_linear"]
        ),
        "kept (model)": _share(row["kept_model"]),
        "size": text.size(row["bytes"]),
        _loss(row): _signed(row["delta"]) + _interval(row),
        "predicted": _signed(row["predicted"]),
        _score(row): text.number(_quality(row, "")),
        "speed": _speed(row["latency"], row["dense_latency"]),
    }


def _dense(row: Mapping[Any, Any]) -> str:
    score = text.number(_quality(row, "dense_"))
    return f"{_whole(row)}: {text.size(row['of_bytes'])}, {_score(row)} {score}"


def _base(row: Mapping[Any, Any]) -> list[str]:
    """Return what an update's base comes to without it."""
    score = row.get("base_score")
    if score is None or pd.isna(score):
        return []
    found = math.exp(min(score, OVERFLOW)) if row["metric"] == "loss" else score
    lost = f"{_loss(row)} {_signed(row['worth'])}{_interval(row, 'worth')} from the {_whole(row)}"
    return [f"base alone: {_score(row)} {text.number(found)}, {lost}"]


def _whole(row: Mapping[Any, Any]) -> str:
    """Return what a trial was measured beside: "dense", "whole adapter" or "whole update"."""
    return _words(row, "beside") or "dense"


def _beside(done: pd.DataFrame) -> list[str]:
    said = {"calibrated_on": "calibrated on", "evaluated_on": "evaluated on"}
    return [
        text.plain(f"{words}: {value}")
        for name, words in said.items()
        for value in dict.fromkeys(value for value in done[name] if value)
    ]


def _said(done: pd.DataFrame) -> list[str]:
    """Return each note and each warning once, with the trials that it is of."""
    found: dict[str, list[str]] = {}
    for row in done.to_dict("records"):
        for kind in ("notes", "warnings"):
            for line in _words(row, kind).splitlines():
                found.setdefault(f"{kind.removesuffix('s')}: {line}", []).append(row["label"])
    return [
        text.plain(line + ("" if len(of) == len(done) else f" ({'; '.join(of)})"))
        for line, of in found.items()
    ]


def _loss(row: Mapping[Any, Any]) -> str:
    return "Δloss" if row["metric"] == "loss" else f"Δ{row['metric']}"


def _score(row: Mapping[Any, Any]) -> str:
    return "perplexity" if row["metric"] == "loss" else str(row["metric"])


def _quality(row: Mapping[Any, Any], of: str) -> Any:
    return row[f"{of}perplexity"] if row["metric"] == "loss" else row[f"{of}score"]


def _words(row: Mapping[Any, Any], name: str) -> str:
    """Return a text of a row; what an older row lacks is NaN in a table."""
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _share(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:.1%}"


def _signed(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:+.4f}"


def _interval(row: Mapping[Any, Any], of: str = "delta") -> str:
    low, high = row[f"{of}_low"], row[f"{of}_high"]
    return "" if pd.isna(low) or pd.isna(high) else f" [{low:+.4f}, {high:+.4f}]"


def _speed(own: Any, dense: Any) -> str:
    """Return how many times as fast as the dense model, by the latency of a pass."""
    return "" if pd.isna(own) or pd.isna(dense) or not own else f"{dense / own:.2f}x as fast"
