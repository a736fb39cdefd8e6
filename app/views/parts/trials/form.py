"""The form that launches a trial or a sweep: methods, sizes, texts, everything else on demand."""

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from app import forms
from app.views.parts import chart, launch, permalink, states
from app.views.parts.trials import carried, methods
from jobs.states import DEVICES

SIZES = "0.9, 0.8, 0.6"
ALLOCATIONS = {
    "greedy": "greedy", "uniform": "uniform", "energy": "equal energy", "welore": "WeLore",
    "sensitivity": "sensitivity search",
}  # fmt: skip
FORMS = {"two_factor": "two factors", "row_interpolative": "row-interpolative"}
NEEDED = {
    "methods": "a method", "kept": "a size", "allocations": "an allocation",
    "forms": "how it is stored",
}  # fmt: skip
OWN_WIDGETS = ("methods", "kept", "allocations", "forms", "calibrate", "evaluate", "ranks")
# What an adapter's trial has no use for: it stays an adapter, and runs as fast as the whole one.
NOT_OF_UPDATES = (
    "calibrate", "ranks", "objective", "gradient", "calibration_windows", "calibration_length",
    "compensation", "compensation_rank", "recovery_steps", "recovery_lr", "recovery_layers",
    "speed",
)  # fmt: skip
GROUPS = {
    "Ranks and calibration": ("objective", "gradient", "calibration_windows", "calibration_length"),
    "Evaluation": ("preset", "windows", "window", "first", "choice", "pairs", "speed"),
    "Compensation and recovery": (
        "compensation", "compensation_rank", "recovery_steps", "recovery_lr", "recovery_layers",
    ),
    "What is kept": ("dtype", "weights", "seed"),
}  # fmt: skip


def draw(client: Any, catalog: Mapping[str, Any], model: str, kind: str) -> None:
    """Draw the form, what the launch would take, and the button; `kind` is the model's."""
    declared = catalog["analyses"].get("trial")
    known = methods.fitting(methods.known(catalog), kind)
    if declared is None or not known:
        states.empty("No trial can be launched", "analysis/trial.py could not be read.")
        return
    if not client.can_run:
        st.info("This server is browse only: restart it without `--no-ray` to launch trials.")
        return
    fields = {field["name"]: field for field in declared["params"]}
    if any(methods.is_update(known, name) for name in known):
        fields = {name: one for name, one in fields.items() if name not in NOT_OF_UPDATES}
    params, layers, device = _asked(fields, known, kind)
    lacking = [words for name, words in NEEDED.items() if not params[name].strip()]
    if lacking:
        listed = " and ".join(lacking)
        st.caption(f"Choose {listed}: then this says what the sweep would take.")
        return
    launch.offer(client, declared, model, params, layers, device)


def _asked(
    fields: Mapping[str, Mapping[str, Any]], known: methods.Methods, kind: str
) -> tuple[dict[str, Any], str, str]:
    """Draw every widget; return the parameters, the pattern of layers and the device."""
    top = st.columns([2.6, 1.4, 3.2])
    with top[0]:
        first = methods.first(known, kind, str(fields["methods"].get("default")))
        chosen = methods.choose(known, [first])
    with top[2]:
        stored_as = _stored_as(fields, known, chosen)
    texts = _texts(fields)
    layers, device = _where()
    with st.expander("More settings"):
        ranks = _by_hand() if "ranks" in fields else ""
        with st.container():  # what is below stays in its place when methods are chosen
            written = methods.settings(known, chosen)
        others = _others(fields)
    with top[1]:  # last, for a method's settings may say its size
        kept = _kept(fields, known, written)
    params = {"methods": ", ".join(written), "kept": kept, **stored_as, **texts, **others}
    if ranks:
        params["ranks"] = ranks
        st.info(chart.plain(_ranks_words(ranks)))
    return params, layers, device


def _kept(
    fields: Mapping[str, Mapping[str, Any]], known: methods.Methods, written: list[str]
) -> str:
    """Ask for the sizes, unless every method that is chosen has a setting that says its own."""
    unsized = methods.unsized(known, written)
    off = bool(unsized) and len(unsized) == len(written)
    is_update = any(methods.is_update(known, name) for name in written)
    whole = (
        "the adapter's numbers, or of those of the matrices that training changed"
        if is_update
        else "the chosen linear layers' parameters"
    )
    kept = permalink.words(
        "Sizes to keep", "kept", SIZES, disabled=off,
        help=f"Shares of {whole}: each is a trial of each method.",
    )  # fmt: skip
    if not off:
        return kept
    st.caption(chart.plain(f"{'; '.join(unsized)}. See More settings."))
    return str(fields["kept"].get("default"))


def _stored_as(
    fields: Mapping[str, Mapping[str, Any]], known: methods.Methods, chosen: list[str]
) -> dict[str, str]:
    """Ask how ranks are chosen and stored, where a method that is chosen has ranks to choose."""
    boxes = {"allocations": ("Allocations", ALLOCATIONS), "forms": ("Stored as", FORMS)}
    if chosen and not any(methods.has_ranks(known, name) for name in chosen):
        st.caption(
            "An adapter stays an adapter: there is nothing to allocate, to calibrate or to train, "
            "and merged into its base it runs as fast as the whole one."
            if any(methods.is_update(known, name) for name in chosen)
            else "Allocations and forms of storage are for low-rank layers: these methods have "
            "sizes and a form of their own."
        )
        return {key: str(fields[key].get("default")) for key in boxes}
    found = {}
    for place, (key, (label, words)) in zip(st.columns(2), boxes.items(), strict=True):
        found[key] = ", ".join(_several(place, label, words, key, fields))
    return found


def _several(
    place: Any, label: str, words: Mapping[str, str], key: str, fields: Mapping[str, Any]
) -> list[str]:
    with place:
        return permalink.choices(
            label, list(words), key, [str(fields[key].get("default"))],
            format_func=words.__getitem__,
        )  # fmt: skip


def _texts(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Ask for the texts, side by side, each with what it is when none is named."""
    named = {"calibrate": "Calibrate on", "evaluate": "Measure on"}
    found = {}
    named = {key: label for key, label in named.items() if key in fields}
    for place, (key, label) in zip(st.columns(len(named)), named.items(), strict=True):
        with place:
            about = str(fields[key].get("help", ""))
            text = permalink.words(label, key, placeholder=forms.BUNDLED, help=chart.plain(about))
            default = about.partition("not set: ")[2].rstrip(".") or "the bundled text"
            st.caption(chart.plain(text.strip() or f"Not set: {default}."))
            if text.strip():
                found[key] = text.strip()
    return found


def _where() -> tuple[str, str]:
    left, right = st.columns([3, 1])
    with left:
        layers = permalink.words(
            "Layers", "glob", "*",
            help="Names with * and ?, such as blocks.3.*; several by commas. The others stay as "
            "they are and count in the whole model only.",
        )  # fmt: skip
    with right:
        device = permalink.choice("Device", list(DEVICES), "device")
    return layers or "*", device


def _by_hand() -> str:
    """Ask for ranks by layer; they may have come from another page."""
    return st.text_area(
        "Ranks by hand", key=carried.RANKS, height=68, placeholder='{"blocks.0.q": 12}',
        help="JSON of layers and ranks: layers that are not named stay dense. With it, sizes and "
        "allocations do not apply.",
    ).strip()  # fmt: skip


def _ranks_words(text: str) -> str:
    try:
        count = len(json.loads(text))
    except (ValueError, TypeError):
        return "The ranks by hand are no JSON of layers and ranks."
    return (
        f"Ranks by hand for {count} layers, the others stay dense: sizes and allocations do not "
        "apply. Empty them under More settings to choose a size."
    )


def _others(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Draw the settings that have no widget of their own; return those that are not defaults."""
    grouped = {name for names in GROUPS.values() for name in names}
    rest = tuple(name for name in fields if name not in {*grouped, *OWN_WIDGETS})
    found: dict[str, Any] = {}
    for title, names in {**GROUPS, "Others": rest}.items():
        # None of these is a text that comes with this program.
        shown = [{**fields[name], "reads": False} for name in names if name in fields]
        if shown:
            st.markdown(f"**{title}**")
            found |= forms.parameters(shown, "trial")
    return {name: value for name, value in found.items() if value != fields[name]["default"]}
