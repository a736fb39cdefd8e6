"""A trial's model to take away: each form is written by a job, once, and then kept."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import streamlit as st

from app import quantities
from app.views.parts import chart, running, states
from jobs.errors import JobError

FORMS = {
    "factored": "as small as measured; this project loads it, transformers with trust_remote_code",
    "merged": "an ordinary checkpoint of the dense size, for any runtime",
    "adapter": "the compensation alone, as a PEFT adapter on the compressed base",
}
OF_UPDATES = {
    "adapter": "a PEFT adapter of the same base",
    "merged": "the base with the adapter added to it, an ordinary checkpoint for any runtime",
}


def draw(client: Any, row: Mapping[str, Any], *, is_update: bool = False) -> None:
    """Offer every form that the trial has, and list what has been written and where."""
    chart.heading("Download", "The compressed model as files; each form is written when asked for.")
    compensated = str(row["compensation"] or "none") != "none"
    written = []
    ordinary = {name: words for name, words in FORMS.items() if name != "adapter" or compensated}
    for form, words in (OF_UPDATES if is_update else ordinary).items():
        path = client.exported(row["unit"], form)
        if path is not None:
            written.append((form, path))
        _form(client, str(row["unit"]), form, words, path)
    for form, path in written:
        st.caption(chart.plain(f"{form}: {path} · {quantities.size(path.stat().st_size)}"))


def _busy(client: Any, trial: str, form: str) -> bool:
    """Return whether a job is writing this already."""
    jobs = running.active(client.store.jobs())
    asked = jobs.loc[jobs["analysis"] == "export", "params"].fillna("{}").map(json.loads)
    return any((given.get("trial"), given.get("form")) == (trial, form) for given in asked)


def _form(client: Any, trial: str, form: str, words: str, path: Path | None) -> None:
    button, said = st.columns([1, 3.4], vertical_alignment="center")
    said.caption(chart.plain(f"{form[0].upper()}{form[1:]}: {words}."))
    if path is not None:
        button.download_button(
            f"Download {form}",
            _opener(path),
            file_name=path.name,
            mime="application/zip",
            on_click="ignore",
            key=f"download-{form}",
            width="stretch",
        )
        return
    busy = _busy(client, trial, form)
    label = f"Writing {form}" if busy else f"Prepare {form}"
    off = busy or not client.can_run
    if button.button(label, key=f"prepare-{form}", disabled=off, width="stretch"):
        try:
            client.export(trial, form)
        except JobError as error:
            states.failed(str(error))
            return
        st.rerun()


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    """Return what opens the file when the button is clicked, not when the page is drawn."""
    return lambda: path.open("rb")
