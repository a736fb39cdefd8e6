"""A figure on a page: its title, the sentence that says what is seen, the drawing."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from app.plots.figure import Figure
from app.plots.plotly import render_plotly
from app.views.parts import figure_menu

Card = tuple[str, str, str, str]  # title, value, what stands beside it, help: all markdown
BARE = {"displayModeBar": False, "scrollZoom": False}


def dark() -> bool:
    """Return whether this browser shows the dark theme."""
    return st.context.theme.type == "dark"


def heading(title: str, caption: str, more: str = "") -> None:
    """Write a title with its sentence; `more` (formula, paper) opens on demand."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(plain(title), anchor=False, width="content")
        if more:
            with st.popover("", icon=":material/info:", type="tertiary", help="What this is"):
                st.markdown(more)
    if caption:
        st.caption(plain(caption))


def cards(found: Iterable[Card], width: int | None = None) -> None:
    """Draw headline numbers in a row that wraps and is filled, or each of a width (pixels)."""
    filling: dict[str, Any] = {"width": "stretch", "height": "stretch"}
    size = filling if width is None else {"width": width}
    with st.container(horizontal=True):
        for title, value, beside, about in found:
            st.metric(
                title, value, beside or None, help=about or None, border=True,
                delta_color="off", delta_arrow="off", **size,
            )  # fmt: skip


def draw(figure: Figure, key: str, *, height: int = 380) -> None:
    """Draw a figure without its title."""
    with _beside_menu(figure, key):
        st.plotly_chart(
            render_plotly(figure, dark=dark(), height=height),
            key=key,
            config=BARE,
            alt=f"{figure.title}. {figure.caption}",
        )


def draw_map(
    figure: Figure, key: str, selected: Collection[str], opened: Callable[[list[str]], None]
) -> None:
    """Draw a map of cells; a click calls `opened` with the names under the pointer."""

    def clicked() -> None:
        points = st.session_state[key]["selection"]["points"]
        names = [_name(point.get("customdata")) for point in points]
        if any(names):
            opened([name for name in names if name])

    with _beside_menu(figure, key):
        st.plotly_chart(
            render_plotly(figure, dark=dark(), selected=selected),
            key=key,
            on_select=clicked,
            selection_mode="points",
            config=BARE,
            alt=f"{figure.title}. {figure.caption}",
        )


@contextmanager
def _beside_menu(figure: Figure, key: str) -> Iterator[None]:
    """Stand what is drawn within beside the menu of its files."""
    with st.container(horizontal=True, gap=None):
        yield
        figure_menu.draw(figure, key, dark=dark())


def _name(customdata: Any) -> str:
    return customdata[0] if isinstance(customdata, list) and customdata else ""


def plain(text: str) -> str:
    """Return text that markdown and colour directives leave as it is (names come from files)."""
    for sign in ("\\", "`", "*", "_", "[", "]", "$", "<", ":", "~", "#"):
        text = text.replace(sign, "\\" + sign)
    return text
