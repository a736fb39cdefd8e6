"""Widgets whose values live in the address, so that every view is a link that reload keeps.

Streamlit's own `bind` writes an option's displayed words into the address; here it is the option's
name, so links outlive a change of wording. What equals the default is left out. The page's frame
calls `begin` before the page and `finish` after it: each write is one step of the back button, so
there is one for all widgets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from app.views.parts.chart import plain

HELD = "what the address says"
NONE = "none"


@dataclass
class _Address:
    """What one session knows of its address, by widget key."""

    page: str = ""
    arrived: bool = False  # a widget of this run was not on the page before
    seen_on: dict[str, str] = field(default_factory=dict)  # the page that drew the widget last
    written: dict[str, list[str]] = field(default_factory=dict)  # as the address was last known
    remembered: dict[str, list[str]] = field(default_factory=dict)  # goes along to other pages
    first: dict[str, Any] = field(default_factory=dict)  # the value when the page was opened
    defaults: dict[str, list[Any]] = field(
        default_factory=dict
    )  # the default that was last shown, of widgets for names
    between: dict[str, Any] = field(
        default_factory=dict
    )  # the options or ends that were last shown
    wanted: dict[str, list[str]] = field(default_factory=dict)  # this run's, not written yet
    values: dict[str, Any] = field(default_factory=dict)  # this run's


def begin(page: str) -> None:
    """Start a run of a page."""
    address = _address()
    address.page, address.arrived = page, False
    address.wanted, address.values = {}, {}


def finish() -> None:
    """Write the address once, if this run changed it.

    The back button leads to the bare address that a page was opened with. It is left as it is
    while the page shows what it did then: written anew, nobody could go back beyond it.
    """
    address, params = _address(), st.query_params
    now = {key: params.get_all(key) for key in params}
    as_opened = all(address.first[key] == value for key, value in address.values.items())
    if not now and as_opened and not address.arrived:
        return
    address.written |= address.wanted
    then = {key: raw for key, raw in (now | address.wanted).items() if raw}
    if then != now:
        params.from_dict(then)


def choice(
    label: str, options: Sequence[str], key: str, *, always: bool = False, quiet: bool = False,
    follows: bool = False, **widget: Any,
) -> str:  # fmt: skip
    """Draw a select box over names; the first option is the default.

    `always`: the address names the default too, for what is first today may not be tomorrow. It
    names what is stored, so a link to what is not here says so, unless `quiet`: then the address
    may be about another choice of the same page. `follows`: while nobody chose, the widget stands
    on the first option, whichever that becomes as results come in.
    """
    asked = _seed(key, lambda raw: raw[-1], options[0])
    if follows:
        _follow(key, options[0], asked)
    if st.session_state[key] not in options:  # the options of another model, say
        st.session_state[key] = options[0]
        if always and asked and not quiet:
            st.warning(plain(f"No {key} {asked[-1]} here: showing {options[0]}."))
    value = st.selectbox(label, options, key=key, **widget)
    return _record(key, value, [] if value == options[0] and not always else [value])


def choices(
    label: str,
    options: Sequence[str],
    key: str,
    default: Sequence[str] = (),
    draw: Callable[..., Any] = st.multiselect,
    *,
    always: bool = False,
    **widget: Any,
) -> list[str]:
    """Draw a widget for several names (`st.multiselect` or `st.pills`).

    `always` is as in `choice`. No more names are taken than `max_selections` allows.
    """

    def decode(raw: list[str]) -> list[str]:
        known = [name for name in dict.fromkeys(raw) if name in options]
        return [] if raw == [NONE] else known or list(default)

    asked = _seed(key, decode, list(default))
    if st.session_state[key] == _address().defaults.get(key) != list(default):  # it grows
        st.session_state[key] = list(default)
    _address().defaults[key] = list(default)
    held = [name for name in st.session_state[key] if name in options]
    _put(key, held[: widget.get("max_selections")], tuple(options))
    gone = [name for name in asked if name not in options and asked != [NONE]]
    if always and gone:
        st.warning(plain(f"No {key} {', '.join(gone)} here."))
    if draw is st.pills:
        widget["selection_mode"] = "multi"
    value = list(draw(label, options, key=key, **widget))
    left_out = value == list(default) and not always
    return _record(key, value, [] if left_out else (value or [NONE]))


def switch(label: str, key: str, default: bool = False, **widget: Any) -> bool:
    """Draw a toggle."""
    _seed(key, lambda raw: {"1": True, "0": False}.get(raw[-1], default), default)
    value = st.toggle(label, key=key, **widget)
    return _record(key, value, [] if value == default else [str(int(value))])


def words(label: str, key: str, default: str = "", **widget: Any) -> str:
    """Draw a text field."""
    _seed(key, lambda raw: raw[-1], default)
    value = st.text_input(label, key=key, **widget) or ""
    return _record(key, value, [] if value == default else [value])


def level(label: str, key: str, ends: tuple[float, float], default: float, **widget: Any) -> float:
    """Draw a slider between two ends, which may move as results come in.

    While nobody moves it, it stands on its default. Streamlit would begin anew at the lower end.
    """
    asked = _seed(key, lambda raw: _number(raw[-1], ends, default), default)
    _follow(key, default, asked)
    _put(key, min(max(st.session_state[key], ends[0]), ends[1]), ends)
    value = st.slider(label, *ends, key=key, **widget)
    return _record(key, value, [] if value == default else [f"{value:g}"])


def _follow(key: str, default: Any, asked: list[str]) -> None:
    """Move a widget that nobody asked to stand on its default to what the default is now."""
    address = _address()
    if not asked and [st.session_state[key]] == address.defaults.get(key, [default]) != [default]:
        st.session_state[key] = address.first[key] = default
    address.defaults[key] = [default]


def _put(key: str, value: Any, between: Any) -> None:
    """Give a widget a value, where it has another one or may now have others.

    What is given wins over the hand of a user that has moved on while this run was under way.
    """
    address = _address()
    if st.session_state[key] != value or address.between.get(key) != between:
        st.session_state[key] = value
    address.between[key] = between


def _number(raw: str, ends: tuple[float, float], default: float) -> float:
    try:
        value = float(raw)
    except ValueError:
        return default
    return min(max(value, ends[0]), ends[1]) if value == value else default  # NaN is no level


def _seed(key: str, decode: Callable[[list[str]], Any], default: Any) -> list[str]:
    """Give the widget its value; return what the address asked for in this run, if anything.

    A page that is opened takes what the address says, or what the widget last had on any page.
    Later an address that is not the one last known was typed, or came by the back button: it wins.
    """
    address, raw = _address(), st.query_params.get_all(key)
    opened = address.seen_on.get(key) != address.page
    moved = raw != address.written.get(key, [])
    if not (opened or moved) and key in st.session_state:
        return []
    kept = raw
    if opened or not moved:  # not moved: the widget was not drawn for a while
        kept = raw or address.remembered.get(key, [])
    value = decode(kept) if kept else default
    if opened:
        address.arrived = True
        address.first[key] = default if raw else value
    elif moved and not st.query_params:
        value = address.first[key]
    st.session_state[key] = value
    address.seen_on[key], address.written[key] = address.page, raw
    return raw


def _record(key: str, value: Any, raw: list[str]) -> Any:
    """Keep the value for the address of this run and for other pages."""
    address = _address()
    address.remembered[key] = address.wanted[key] = raw
    address.values[key] = value
    return value


def _address() -> _Address:
    return st.session_state.setdefault(HELD, _Address())
