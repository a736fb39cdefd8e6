"""Models: what is registered, what is inside, and how to add one."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import connection, quantities
from app.views.parts import chart, permalink, running, states
from jobs.errors import JobError

INSPECTED = "inspected model"
LETTER = 8  # pixels in a table, or less
PROFILE_PAGE, ANALYSES_PAGE = "views/rank_profile.py", "views/analyses.py"
COMPRESSION_PAGE = "views/compression.py"


def page() -> None:
    """Draw the models, the header of one, and the form that adds another."""
    client = connection.client()
    models = client.store.models()
    chart.heading("Models", "Every model opened here, and what has been run on it.")
    running.banner(client)
    if models.empty:
        states.empty("No model yet", "Add one below: a folder, a weights file or a hub id.")
    else:
        _list(models, client.store.jobs())
    _add(client)
    if not models.empty:
        _inside(client, models)


def _list(models: pd.DataFrame, jobs: pd.DataFrame) -> None:
    names = list(models["name"])

    def picked() -> None:
        rows = st.session_state["models"]["selection"]["rows"]
        if rows:
            st.session_state["model"] = names[rows[0]]

    st.dataframe(
        pd.DataFrame({
            "model": models["name"],
            "architecture": models["architecture"],
            "parameters": [quantities.count(n) for n in models["parameters"]],
            "blocks": models["blocks"].astype("Int64").replace(0, pd.NA),  # a conv net has none
            "dtype": models["dtype"],
            "on disk": [quantities.size(n) for n in models["bytes"]],
            "run on it": [_run_words(jobs[jobs["model"] == name]) for name in names],
            "from": models["origin"],
        }),
        key="models",
        hide_index=True,
        column_config={"model": _uncut(models["name"])},
        on_select=picked,
        selection_mode="single-row",
        placeholder=quantities.NOT_KNOWN,
        alt="The registered models",
    )  # fmt: skip


def _uncut(texts: pd.Series) -> Any:
    """Return a column wide enough for its longest text."""
    longest = int(texts.fillna("").str.len().max()) if len(texts) else 0
    return st.column_config.Column(width=min(max(LETTER * longest + 24, 80), 560))


def _run_words(jobs: pd.DataFrame) -> str:
    """Return which analyses have finished, run, or failed last, in words."""
    newest = jobs.drop_duplicates("analysis")  # the store lists the newest first
    words = [
        row["analysis"] if row["state"] == "DONE" else f"{row['analysis']} ({row['state'].lower()})"
        for row in newest.to_dict("records")
    ]
    return ", ".join(words) or "nothing yet"


def _inside(client: Any, models: pd.DataFrame) -> None:
    """Draw the header of the chosen model, from what was read without its weights."""
    name = permalink.choice("Look inside", list(models["name"]), "model", always=True)
    row = models[models["name"] == name].iloc[0].to_dict()
    _header(row, client.store.tensors(name))
    with st.container(horizontal=True):
        if st.button("Open its rank profile", type="primary", icon=":material/grid_view:"):
            st.switch_page(PROFILE_PAGE, query_params={"model": name})
        if st.button("Launch an analysis", icon=":material/play_arrow:"):
            st.switch_page(ANALYSES_PAGE, query_params={"model": name})
        if st.button("Compress it", icon=":material/compress:"):
            st.switch_page(COMPRESSION_PAGE, query_params={"model": name})


def _header(row: Mapping[str, Any], tensors: pd.DataFrame) -> None:
    """Draw what a header tells: the numbers, every tensor, and why some are skipped."""
    skipped = tensors[tensors["state"] == "skipped"]
    cards = (
        ("Parameters", quantities.count(row["parameters"]), str(row["architecture"])),
        ("Blocks", quantities.digits(row["blocks"] or None), f"{len(tensors)} tensors"),
        ("Matrices", str(_matrices(tensors)), f"{len(skipped)} tensors skipped"),
        ("On disk", quantities.size(row["bytes"]), str(row["dtype"])),
        ("FLOPs per token", _flops(row.get("flops")), "forward pass"),
    )
    for column, (title, value, beside) in zip(st.columns(len(cards)), cards, strict=True):
        words = (title, chart.plain(value), chart.plain(beside))  # config.json may say anything
        column.metric(*words, border=True, delta_color="off", delta_arrow="off")
    for line in _remarks(row):
        st.caption(chart.plain(line))
    reasons = skipped["reason"].value_counts()
    if len(reasons):
        listed = "; ".join(f"{count} {reason}" for reason, count in reasons.items())
        st.caption(chart.plain(f"Skipped: {listed}."))
    st.dataframe(
        pd.DataFrame({
            "tensor": tensors["name"],
            "shape": [quantities.shape(sizes) for sizes in tensors["shape"]],
            "parameters": tensors["parameters"],
            "dtype": tensors["dtype"],
            "layer": tensors["layer"],
            "state": tensors["state"],
            "reason": tensors["reason"],
        }),
        hide_index=True,
        column_config={"reason": _uncut(tensors["reason"])},
        height=260,
        placeholder="",
        alt="Every tensor of the model",
    )  # fmt: skip


def _remarks(row: Mapping[str, Any]) -> list[str]:
    """Return what else is known: notes, and the steps of a series of checkpoints."""
    said = [str(row["notes"])] if _is_text(row.get("notes")) else []
    if _is_text(row.get("base")):
        said.append(f"An update of {row['base']}: its matrices are what was added to it.")
    steps = [number for number, _ in json.loads(row.get("steps") or "[]")]
    if steps:
        count = f"{len(steps)} checkpoints, steps {min(steps)} to {max(steps)}"
        said.append(f"{count}: the newest is the one that is analysed.")
    return said


def _matrices(tensors: pd.DataFrame) -> int:
    """Return how many layers are matrices; an adapter stores two tensors for each."""
    return int(tensors.loc[tensors["state"] == "matrix", "layer"].nunique())


def _is_text(value: Any) -> bool:
    """Return whether there are words; what is missing in a table is NaN, which is true."""
    return isinstance(value, str) and bool(value)


def _flops(text: Any) -> str:
    if not _is_text(text):
        return "not known"
    try:
        return quantities.count(float(text))
    except ValueError:
        return text


def _add(client: Any) -> None:
    """Draw the form that opens a model: its header first, its weights never."""
    chart.heading(
        "Add a model",
        "A folder in Hugging Face layout, a folder of checkpoints, an adapter, a weights file, or "
        "a hub id. With a base, the model is read as its difference from it. Only the header is "
        "read.",
    )
    if not client.can_run:
        st.info("This server is browse only: add models with `python -m jobs models add PATH`.")
        return
    with st.form("add", border=False):  # so that Enter looks inside, too
        path, base, button = st.columns([4, 3, 1], vertical_alignment="bottom")
        typed = path.text_input("Path or hub id", key="path", placeholder="models/my-model").strip()
        based = base.text_input(
            "Base model (optional)", key="base", placeholder="models/my-base",
            help="What an adapter belongs to, where its own configuration does not say; or what a "
            "fine-tuned model was tuned from, to analyse the difference of the two.",
        ).strip()  # fmt: skip
        looked = button.form_submit_button("Look inside", width="stretch")
    if looked:
        empty = {"error": "Nothing is typed: give a folder, a weights file or a hub id."}
        st.session_state[INSPECTED] = _inspect(client, typed, based or None) if typed else empty
    found = st.session_state.get(INSPECTED)
    if not found:
        return
    if found["error"]:
        states.failed(found["error"])
        return
    _offer(client, found)


def _inspect(client: Any, path: str, base: str | None) -> dict[str, Any]:
    asked = {"path": path, "base": base}
    try:
        return {**asked, "error": "", **client.inspect(path, base=base)}
    except JobError as error:
        return {**asked, "error": str(error)}


def _offer(client: Any, found: Mapping[str, Any]) -> None:
    """Show an inspected header and add the model on request."""
    header = found["header"]
    with st.container(border=True):
        st.subheader(chart.plain(str(header["name"])), anchor=False)
        _header(header, found["tensors"])
        name, button = st.columns([3, 1], vertical_alignment="bottom")
        wanted = name.text_input("Name it", value=str(header["name"]))
        if button.button("Add this model", type="primary", width="stretch"):
            try:
                added = client.add_model(
                    found["path"], wanted or None, base=found["base"], restrict_to_roots=True
                )
            except JobError as error:
                states.failed(str(error))
                return
            st.session_state.pop(INSPECTED)
            st.query_params["model"] = added
            st.rerun()


page()
