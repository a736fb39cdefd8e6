"""Reports: what was measured of a model as one file to send, and the reports made before."""

import dataclasses
import time
from typing import Any

import streamlit as st

from app import connection
from app.reports import build, formats, kept
from app.reports.build import Wanted
from app.reports.model import Report
from app.views.parts import chart, permalink, states
from app.views.parts.reports import choices, earlier, preview
from jobs.errors import JobError

MADE = "report just made"
SEEN = (
    "What was measured of a model as one file: figures, tables, settings, versions, and what each "
    "number means."
)


def page() -> None:
    """Draw the choices, the contents they give, and the reports of this home."""
    client = connection.client()
    models = client.store.models()
    if models.empty:
        states.empty("No model yet", "Add one on **Models**: a folder, a file or a hub id.")
        return
    chart.heading("Reports", SEEN)
    left, right = st.columns([2.4, 1.6], vertical_alignment="bottom")
    with left:
        model = permalink.choice("Model", list(models["name"]), "model", always=True)
    with right:
        form = permalink.choice(
            "Format", list(formats.FORMATS), "format", format_func=formats.FORMATS.__getitem__
        )
    jobs = build.of_model(client, model)
    if jobs.empty:
        states.empty("Nothing to report yet", "A job of this model has to finish first.")
    else:
        _new(client, model, form, choices.wanted(client, model, jobs))
    earlier.draw(client.home)


def _new(client: Any, model: str, form: str, wanted: Wanted) -> None:
    """Draw what the report would say, and the button that makes it."""
    if not (wanted.jobs or wanted.tradeoffs):
        states.empty("Nothing is chosen", "Choose a job, or the trade-offs.")
        return
    ended = build.of_model(client, model)[["id", "state", "finished"]].to_json()
    try:
        made = _built(client, str(client.home), model, wanted, ended)
    except JobError as error:
        states.failed(str(error))
        return
    shown = made.without(choices.left_out(made))
    with st.container(horizontal=True, vertical_alignment="center"):
        asked = st.button("Make the report", type="primary", icon=":material/description:")
        place = st.container()
    if asked:
        with st.spinner("Drawing the report"):
            _make(client, shown, form)
    with place:
        earlier.just_made(client.home, st.session_state.get(MADE, ""))
    preview.draw(shown)


@st.cache_resource(max_entries=4, show_spinner="Reading what is stored")
def _built(_client: Any, home: str, model: str, wanted: Wanted, ended: str) -> Report:
    """Return the report, read anew when `ended`, the jobs that there are, is another."""
    del home, ended
    return build.report(_client, model, wanted)


def _make(client: Any, report: Report, form: str) -> None:
    """Write the report into the home, or say why it cannot be."""
    now = dataclasses.replace(report, created=time.time())
    content = formats.write(now, form)
    try:
        st.session_state[MADE] = kept.keep(client.home, now, form, content).id
    except OSError as error:
        states.failed(f"The report cannot be kept ({error.strerror}): free some space, try again.")


page()
