"""Widgets whose values live in the address, so that every view is a link that reload keeps.

Streamlit's own `bind` writes an option's displayed words into the address; here it is the option's
name, so links outlive a change of wording. What equals the default is left out.
"""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

REMEMBERED = "in the address: "


def choice(
    label: str, options: Sequence[str], key: str, *, always: bool = False, **widget: Any
) -> str:
    """Draw a select box over names; the first option is the default.

    `always`: the address names the default too, for what is first today may not be tomorrow.
    """
    _seed(key, lambda raw: raw[-1] if raw[-1] in options else options[0], options[0])
    if st.session_state[key] not in options:  # the options of another model, say
        st.session_state[key] = options[0]
    value = st.selectbox(label, options, key=key, **widget)
    return _record(key, value, [] if value == options[0] and not always else [value])


def choices(
    label: str,
    options: Sequence[str],
    key: str,
    default: Sequence[str] = (),
    draw: Callable[..., Any] = st.multiselect,
    **widget: Any,
) -> list[str]:
    """Draw a widget for several names (`st.multiselect` or `st.pills`)."""
    _seed(key, lambda raw: [] if raw == [NONE] else list(raw), list(default))
    st.session_state[key] = [name for name in st.session_state[key] if name in options]
    if draw is st.pills:
        widget["selection_mode"] = "multi"
    value = list(draw(label, options, key=key, **widget))
    return _record(key, value, [] if value == list(default) else (value or [NONE]))


def switch(label: str, key: str, default: bool = False, **widget: Any) -> bool:
    """Draw a toggle."""
    _seed(key, lambda raw: raw[-1] == "1", default)
    value = st.toggle(label, key=key, **widget)
    return _record(key, value, [] if value == default else [str(int(value))])


def words(label: str, key: str, default: str = "", **widget: Any) -> str:
    """Draw a text field."""
    _seed(key, lambda raw: raw[-1], default)
    value = st.text_input(label, key=key, **widget) or ""
    return _record(key, value, [] if value == default else [value])


def level(label: str, key: str, ends: tuple[float, float], default: float, **widget: Any) -> float:
    """Draw a slider between two ends."""
    _seed(key, lambda raw: _number(raw[-1], ends, default), default)
    value = st.slider(label, *ends, key=key, **widget)
    return _record(key, value, [] if value == default else [f"{value:g}"])


NONE = "none"


def _number(raw: str, ends: tuple[float, float], default: float) -> float:
    try:
        return min(max(float(raw), ends[0]), ends[1])
    except ValueError:
        return default


def _seed(key: str, decode: Callable[[list[str]], Any], default: Any) -> None:
    """Give the widget its value from the address, or what it last had, or the default.

    An address that is not the one written last was typed, or came by the back button: it wins.
    """
    raw = st.query_params.get_all(key)
    remembered = st.session_state.get(REMEMBERED + key)
    if key in st.session_state:
        if remembered is not None and raw != remembered:
            st.session_state[key] = decode(raw) if raw else default
        return
    source = raw or remembered
    st.session_state[key] = decode(source) if source else default


def _record(key: str, value: Any, raw: list[str]) -> Any:
    """Write the value into the address."""
    st.session_state[REMEMBERED + key] = raw
    if st.query_params.get_all(key) != raw:
        if raw:
            st.query_params[key] = raw
        else:
            del st.query_params[key]
    return value
