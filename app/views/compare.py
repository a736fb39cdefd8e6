"""Compare: models, analyses or trials side by side, and only what differs."""

import streamlit as st

from app import connection
from app.views.parts import permalink, states
from app.views.parts.comparison import analyses, models, trials

KINDS = {
    "models": (
        "Models",
        models.draw,
        "Where the weights of one model have more or less of a rank than another's, layer by "
        "layer. The first that is chosen is A, and differences are from it.",
    ),
    "analyses": (
        "Analyses",
        analyses.draw,
        "What several jobs of one analysis were asked and what they found, row by row. The first "
        "that is chosen is A, and differences are from it.",
    ),
    "trials": (
        "Compression trials",
        trials.draw,
        "What trials of one model were asked, what they lost and what they hold. The first that "
        "is chosen is A, and differences are from it.",
    ),
}


def page() -> None:
    """Ask what is compared, and draw it."""
    client = connection.client()
    if client.store.models().empty:
        states.empty("No model yet", "Add one on **Models**: a folder, a file or a hub id.")
        return
    left, right = st.columns([1, 3.6])
    with left:
        kind = permalink.choice(
            "Compare", list(KINDS), "kind", format_func=lambda kind: KINDS[kind][0]
        )
    _, draw, caption = KINDS[kind]
    draw(client, right, caption)


page()
