"""What a page shows when there is nothing to draw: it says why and what to do next."""

from collections.abc import Mapping

import streamlit as st

from app.views.parts.chart import plain

CODE = "`"
LENGTH = 200  # of a message that is shown where it happened; logs hold the whole


def empty(title: str, advice: str) -> None:
    """Say that there is nothing yet, and what to do."""
    with st.container(border=True):
        st.subheader(plain(title), anchor=False)
        st.markdown(advice)


def short(sentence: str, length: int = LENGTH) -> str:
    """Return a sentence that lists hundreds of names without most of them."""
    if len(sentence) <= length:
        return sentence
    return f"{sentence[:length].rpartition(' ')[0] or sentence[:length]} …"


def failed(sentence: str) -> None:
    """Show what went wrong, as the one sentence it was raised with."""
    st.error(_with_code(sentence), icon=":material/error:")


def _with_code(sentence: str) -> str:
    """Return a sentence as markdown: what stands between backticks as code, the rest as it is."""
    parts = sentence.split(CODE)
    if len(parts) % 2 == 0:  # one stands alone: it belongs to a name
        return plain(sentence)
    return "".join(
        f"{CODE}{part}{CODE}" if at % 2 and part.strip() else plain(part)
        for at, part in enumerate(parts)
    )


def broken(files: Mapping[str, str]) -> None:
    """List the analysis files that could not be imported: they hide no other."""
    for name, error in files.items():
        st.warning(
            f"analysis/{plain(name)}.py could not be imported and is left out: {plain(error)}",
            icon=":material/warning:",
        )
