"""Compression methods: which to try, with which settings, and where each is described."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app import forms
from app.views.parts import chart, permalink
from jobs.trials import unsized as sizes_of

Methods = Mapping[str, Mapping[str, Any]]


def known(catalog: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the catalogue's methods by name."""
    found = catalog.get("methods") or {}
    listed = found.values() if isinstance(found, Mapping) else found
    return {str(method["name"]): method for method in listed}


def fitting(methods: Methods, kind: str) -> dict[str, Mapping[str, Any]]:
    """Return the methods for a kind of model: those for updates, or for whole models."""
    updates = {name: one.get("updates") or () for name, one in methods.items()}
    of_update = any(kind in kinds for kinds in updates.values())
    fits = {n for n, kinds in updates.items() if (kind in kinds if of_update else not kinds)}
    return {name: one for name, one in methods.items() if name in fits}


def first(methods: Methods, kind: str, declared: str) -> str:
    """Return the method to begin with: the declared one, or one made for a kind of update."""
    own = [name for name, one in methods.items() if list(one.get("updates") or ())[:1] == [kind]]
    return own[0] if own else declared


def is_update(methods: Methods, full_name: str) -> bool:
    """Say whether a trial's method reduces an update."""
    return bool(methods.get(full_name.partition(":")[0], {}).get("updates"))


def has_ranks(methods: Methods, name: str) -> bool:
    """Say whether a method's layers get ranks, which are allocated and stored in a form."""
    return str(methods[name].get("sizes", "ranks")) == "ranks"


def unsized(methods: Methods, written: list[str]) -> list[str]:
    """Return a sentence for each method, as it is written, that takes no share to keep."""
    return sizes_of.sentences(methods, written)


def choose(methods: Methods, default: list[str]) -> list[str]:
    """Ask for methods; return their names."""
    first = [name for name in default if name in methods]
    return permalink.choices(
        "Methods", list(methods), "methods", first,
        format_func=lambda name: str(methods[name]["title"]), placeholder="choose some",
    )  # fmt: skip


def settings(methods: Methods, chosen: list[str]) -> list[str]:
    """Draw the settings of the chosen methods; return each as it is written: `rtn:bits=4`."""
    written = []
    for name in chosen:
        fields = list(methods[name].get("params") or ())
        values: dict[str, Any] = {}
        if fields:
            st.markdown(f"**{chart.plain(methods[name]['title'])}**")
            values = forms.parameters(fields, f"trial.{name}")
        written.append(spelled(name, fields, values))
    return written


def spelled(name: str, fields: list[Mapping[str, Any]], values: Mapping[str, Any]) -> str:
    """Return a method with the settings that are not its defaults."""
    defaults = {field["name"]: field.get("default") for field in fields}
    given = [f"{key}={value}" for key, value in values.items() if value != defaults.get(key)]
    return ":".join([name, *given])


def about(methods: Methods, names: list[str] | None = None) -> str:
    """Return the methods with their papers, as markdown."""
    lines = [
        f"- **{chart.plain(method['title'])}** {chart.plain(_needs(method))}{_paper(method)}"
        for name, method in methods.items()
        if names is None or name in names
    ]
    return "\n".join(lines)


def paper_of(methods: Methods, full_name: str) -> str:
    """Return what a trial's method is, with its paper; "" for a method that is gone."""
    name = str(full_name).partition(":")[0]
    return about(methods, [name]) if name in methods else ""


def _needs(method: Mapping[str, Any]) -> str:
    words = {"gram": "inputs", "gradient": "output gradients", "squared": "squared gradients"}
    needed = [words.get(need, need) for need in method.get("needs") or ()]
    said = f"needs {', '.join(needed)} of a calibration" if needed else "needs no text"
    return f"({said})" if method.get("sized", True) else f"({said}; takes no size)"


def _paper(method: Mapping[str, Any]) -> str:
    paper = str(method.get("paper") or "")
    if paper.startswith("https://"):
        return f" [{chart.plain(paper.removeprefix('https://'))}]({paper})"
    return f" {chart.plain(paper)}" if paper else ""
