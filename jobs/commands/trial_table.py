"""The trials of a job as lines: what each keeps and loses, beside the texts that say so."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from jobs import text
from jobs.trials import unsized

SHOWN = ("done", "zero")


def lines(found: pd.DataFrame, methods: Mapping[str, Any] | None = None) -> list[str]:
    """Return the table of a job's trials, then what it was measured on, warnings and failures.

    `methods`, as they are declared, tell what sets a size that no share does.
    """
    done = found[found["status"].isin(SHOWN)]
    said = [*_table(done), *_beside(done), *_warnings(done)] if len(done) else []
    said += [text.plain(line) for line in unsized.of_trials(methods or {}, done.to_dict("records"))]
    failed = found[found["status"] == "failed"]
    return said + [text.plain(f"failed: {row.label}: {row.message}") for row in failed.itertuples()]


def _table(done: pd.DataFrame) -> list[str]:
    rows = [_row(row) for row in done.to_dict("records")]
    return [text.table(pd.DataFrame(rows)), _dense(done.iloc[0].to_dict())]


def _row(row: Mapping[Any, Any]) -> dict[str, str]:
    """Return one trial's cells; the loss with its paired interval, the speed-up over dense."""
    names = ("method", "allocation", "form")
    words = (str(row[name]).replace("_", " ") for name in names if row[name])
    more = "" if row["compensation"] in ("", "none") else f" + {row['compensation']}"
    return {
        "method": ", ".join(words) + more,
        "asked": _share(row["nominal"]),
        "kept (linears)": _share(row["kept_linear"]),
        "kept (model)": _share(row["kept_model"]),
        "size": text.size(row["bytes"]),
        _loss(row): _signed(row["delta"]) + _interval(row),
        "predicted": _signed(row["predicted"]),
        _score(row): text.number(_quality(row, "")),
        "speed": _speed(row["latency"], row["dense_latency"]),
    }


def _dense(row: Mapping[Any, Any]) -> str:
    score = text.number(_quality(row, "dense_"))
    return f"dense: {text.size(row['of_bytes'])}, {_score(row)} {score}"


def _beside(done: pd.DataFrame) -> list[str]:
    said = {"calibrated_on": "calibrated on", "evaluated_on": "evaluated on"}
    return [
        text.plain(f"{words}: {value}")
        for name, words in said.items()
        for value in dict.fromkeys(value for value in done[name] if value)
    ]


def _warnings(done: pd.DataFrame) -> list[str]:
    """Return each warning once, with the trials that it is of."""
    found: dict[str, list[str]] = {}
    for row in done.to_dict("records"):
        for line in str(row["warnings"] or "").splitlines():
            found.setdefault(line, []).append(row["label"])
    return [
        text.plain(f"warning: {line}" + ("" if len(of) == len(done) else f" ({'; '.join(of)})"))
        for line, of in found.items()
    ]


def _loss(row: Mapping[Any, Any]) -> str:
    return "Δloss" if row["metric"] == "loss" else f"Δ{row['metric']}"


def _score(row: Mapping[Any, Any]) -> str:
    return "perplexity" if row["metric"] == "loss" else str(row["metric"])


def _quality(row: Mapping[Any, Any], of: str) -> Any:
    return row[f"{of}perplexity"] if row["metric"] == "loss" else row[f"{of}score"]


def _share(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:.1%}"


def _signed(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:+.4f}"


def _interval(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["delta_low"]) or pd.isna(row["delta_high"]):
        return ""
    return f" [{row['delta_low']:+.4f}, {row['delta_high']:+.4f}]"


def _speed(own: Any, dense: Any) -> str:
    """Return how many times as fast as the dense model, by the latency of a pass."""
    return "" if pd.isna(own) or pd.isna(dense) or not own else f"{dense / own:.2f}x as fast"
