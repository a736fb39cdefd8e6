"""Jobs of one analysis side by side: what they were asked, and their rows met by layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import layer, quantities
from app.plots import metric
from app.shown import Shown, is_number, of_the_model
from app.views.parts import chart, job_panel, permalink, states
from app.views.parts.comparison import subjects, table
from jobs.comparison import differing, places, rows
from jobs.states import RESUMABLE

ANALYSES_PAGE = "views/analyses.py"
FIRST_COLUMNS = 2
FIRST_DRAWN = {"rank": 0, "ratio": 1, "exponent": 2, "norm": 3, "count": 4}
ELSEWHERE = "stages"  # the unit of what is launched on Compression


def draw(client: Any, place: Any, caption: str) -> None:
    """Ask in a place which jobs are compared, and draw the comparison."""
    declared = client.catalog()["analyses"]
    jobs = _comparable(client.store.jobs(), declared)
    counts = jobs["analysis"].value_counts()
    names = [name for name in counts.index if counts[name] > 1]
    if not names:
        states.empty(
            "No two jobs of one analysis",
            "Launch an analysis twice on **Analyses**, on two models or with other parameters: "
            "then what both found stands here side by side.",
        )
        st.page_link(ANALYSES_PAGE, label="Launch an analysis", icon=":material/query_stats:")
        return
    columns = place.columns([1, 2.4])
    with columns[0]:
        analysis = permalink.choice(
            "Analysis", names, "analysis", quiet=True,
            format_func=lambda name: declared[name]["title"],
        )  # fmt: skip
    own = jobs[jobs["analysis"] == analysis].set_index("id", drop=False)
    with columns[1]:
        words = {str(row["id"]): _words(row) for row in own.to_dict("records")}
        chosen = subjects.pick("Jobs", words, "jobs")
    st.caption(chart.plain(caption))
    if len(chosen) < 2:
        states.empty(*subjects.TOO_FEW)
        return
    asked = [own.loc[job].to_dict() for job in chosen]
    shown = [Shown.of(client, declared[analysis], job) for job in asked]
    facts = [_asked(one.job) | _of_the_model(one) for one in shown]
    subjects.settings(facts, chosen, "every", "settings and numbers of these jobs")
    _rows(client, shown)


def _comparable(jobs: pd.DataFrame, declared: Mapping[str, Any]) -> pd.DataFrame:
    """Return the jobs that may have rows, of analyses that are still here."""
    here = [name for name, one in declared.items() if one["unit"] != ELSEWHERE]
    ended = jobs["state"].isin(("DONE", *RESUMABLE))
    return jobs[jobs["analysis"].isin(here) & ended]


def _words(job: Mapping[str, Any]) -> str:
    return f"{job['model']} · {job['id']}"


def _asked(job: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model": job["model"],
        "layers": job["layers"],
        **differing.flat(layer.params_of(job)),
        "device": job["device"],
        "state": str(job["state"]).lower(),
        "units done": int(job["done"] + job["skipped"]),
        "units failed": int(job["failed"]),
        "launched": quantities.clock(job["created"]),
        "took": job_panel.took(job),
    }


def _of_the_model(shown: Shown) -> dict[str, Any]:
    """Return the numbers that are of the whole model, under their titles."""
    return {
        metric.title_of(shown.columns[name]): float(shown.rows[name].dropna().iloc[0])
        for name in of_the_model(shown.rows, shown.columns)
    }


def _rows(client: Any, jobs: Sequence[Shown]) -> None:
    """Draw the rows of all jobs, met by layer and by what else names them."""
    declared = jobs[0].declared
    found = [_named(one.rows) for one in jobs]
    whole = {name for one in jobs for name in of_the_model(one.rows, one.columns)}
    numeric = {n: column for n, column in _numeric(declared, found).items() if n not in whole}
    if not numeric or any(one.empty for one in found):
        lacking = [str(one.job["id"]) for one in jobs if one.rows.empty]
        why = f"Without results: {', '.join(lacking)}." if lacking else "No number is in all jobs."
        states.empty("No rows to compare", chart.plain(why))
        return
    titles = {name: metric.title_of(column) for name, column in numeric.items()}
    names = permalink.choices(
        "Columns", list(numeric), "compared_columns", list(numeric)[:FIRST_COLUMNS],
        format_func=titles.__getitem__,
    )  # fmt: skip
    if not names:
        states.empty("No column is chosen", "Choose at least one above.")
        return
    by = rows.named_by(found, declared["columns"])
    labels = [client.store.labels(one.job["model"]) for one in jobs]
    placed = [rows.placed(one, known, by) for one, known in zip(found, labels, strict=True)]
    met = places.aligned(placed, subjects.lettered([str(one.job["model"]) for one in jobs]))
    sides = [met.taken(one, at) for at, one in enumerate(placed)]
    shown = [
        table.Column(titles[name], str(numeric[name].get("help", "")), _values(sides, name))
        for name in names
    ]
    table.draw(met, shown, [side["layer"] for side in sides], "Row by row", "rows")


def _named(found: pd.DataFrame) -> pd.DataFrame:
    """Return results whose `layer` says what a row is of, whatever the analysis calls it."""
    return found if "layer" in found else found.assign(layer=found["label"])


def _numeric(
    declared: Mapping[str, Any], found: Sequence[pd.DataFrame]
) -> dict[str, Mapping[str, Any]]:
    """Return the declared columns of numbers that every job has, the kinds asked most first."""
    columns = [
        column
        for column in declared["columns"]
        if column.get("kind") != "note" and all(is_number(rows, column["name"]) for rows in found)
    ]
    columns.sort(key=lambda column: FIRST_DRAWN.get(column.get("kind", ""), len(FIRST_DRAWN)))
    return {column["name"]: column for column in columns}


def _values(sides: Sequence[pd.DataFrame], name: str) -> np.ndarray:
    found = [pd.to_numeric(side[name], errors="coerce").to_numpy(float) for side in sides]
    return np.stack(found, axis=1)
