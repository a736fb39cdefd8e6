"""A form made from an analysis' declared parameters: their types, bounds, defaults and help."""

from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st

COLUMNS = 3
MANY, FIRST = 9, 6  # of more parameters than many, the first are seen at once
NOT_SET = "not set"
BUNDLED = "not set: the bundled text"


def parameters(declared: Iterable[Mapping[str, Any]], prefix: str) -> dict[str, Any]:
    """Draw one widget per declared parameter; return what was chosen, without what is not set.

    Of a long list the first are seen at once, in the order of the declaration.
    """
    fields = list(declared)
    if not fields:
        st.caption("This analysis has no parameters.")
        return {}
    seen = len(fields) if len(fields) <= MANY else FIRST
    chosen = _grid(fields[:seen], prefix)
    if fields[seen:]:
        with st.expander(f"{len(fields) - seen} more settings"):
            chosen |= _grid(fields[seen:], prefix)
    return {name: value for name, value in chosen.items() if value is not None}


def _grid(fields: list[Mapping[str, Any]], prefix: str) -> dict[str, Any]:
    columns = st.columns(COLUMNS)
    chosen = {}
    for position, field in enumerate(fields):
        with columns[position % COLUMNS]:
            chosen[field["name"]] = _widget(field, f"{prefix}.{field['name']}")
    return chosen


def _widget(field: Mapping[str, Any], key: str) -> Any:
    """Draw the widget that fits the field's type."""
    label = _sentence(field.get("title") or str(field["name"]).replace("_", " ")).rstrip(".")
    help_text = _help(field)
    default = field.get("default")
    if field.get("choices"):
        options = list(field["choices"])
        place = options.index(default) if default in options else 0
        return st.selectbox(label, options, index=place, key=key, help=help_text)
    if field["type"] == "bool":
        return st.checkbox(label, value=bool(default), key=key, help=help_text)
    if field["type"] in ("int", "float"):
        return _number(field, label, key, help_text)
    text = ", ".join(map(str, default)) if isinstance(default, tuple | list) else default
    hint = BUNDLED if field.get("reads") else NOT_SET
    typed = st.text_input(label, value=text or "", key=key, help=help_text, placeholder=hint)
    return typed.strip() or None


def _number(field: Mapping[str, Any], label: str, key: str, help_text: str) -> Any:
    kind = int if field["type"] == "int" else float

    def bound(name: str) -> Any:
        return None if field.get(name) is None else kind(field[name])

    return st.number_input(
        label,
        min_value=bound("min"),
        max_value=bound("max"),
        value=bound("default"),
        step=1 if kind is int else 0.01,
        format="%d" if kind is int else "%g",
        key=key,
        help=help_text,
        placeholder=NOT_SET,
    )


def _help(field: Mapping[str, Any]) -> str:
    """Return the declared help, with the bounds in words."""
    low, high = field.get("min"), field.get("max")
    bounds = {
        (True, True): f"Between {low:g} and {high:g}." if None not in (low, high) else "",
        (True, False): f"At least {low:g}." if low is not None else "",
        (False, True): f"At most {high:g}." if high is not None else "",
    }.get((low is not None, high is not None), "")
    return " ".join(part for part in (_sentence(field.get("help", "")), bounds) if part)


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
