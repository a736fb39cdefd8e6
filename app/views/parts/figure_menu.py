"""What a figure can be taken away as: a picture, a drawing, its numbers; made when asked for."""

import re
import unicodedata
from collections.abc import Callable
from functools import partial

import streamlit as st

from app.plots import data
from app.plots.figure import Figure

LONGEST = 100  # letters of a file's name


def draw(figure: Figure, key: str, *, dark: bool) -> None:
    """Draw a quiet button that opens the list of files; `key` is the figure's own."""
    name = file_name(str(st.session_state.get("model") or "rankscope"), figure.title)
    with (
        st.popover("", icon=":material/download:", type="tertiary", help="Download this figure"),
        st.container(horizontal=True),
    ):
        for label, ending, mime, made in (
            ("PNG", "png", "image/png", partial(_printed, figure, "png", dark)),
            ("SVG", "svg", "image/svg+xml", partial(_printed, figure, "svg", dark)),
            ("Numbers (CSV)", "csv", "text/csv", partial(data.as_csv, figure)),
        ):
            _offer(label, f"{name}.{ending}", mime, made, f"{key}-{ending}")


def file_name(*words: str) -> str:
    """Return words as a file's name that every system takes: letters, digits, dots, dashes."""
    letters = unicodedata.normalize("NFKD", "-".join(words)).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^a-z0-9.]+", "-", letters.lower())
    return re.sub(r"\.{2,}", ".", safe)[:LONGEST].strip("-.") or "figure"


def _offer(label: str, name: str, mime: str, made: Callable[[], bytes], key: str) -> None:
    st.download_button(label, made, name, mime, key, on_click="ignore")


def _printed(figure: Figure, kind: str, dark: bool) -> bytes:
    # Imported when a picture is asked for: pages are served without matplotlib.
    from app.plots.printed import as_file

    return as_file(figure, kind, dark=dark)
