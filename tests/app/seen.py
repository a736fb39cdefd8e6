"""What is seen on a page that a test has run: its words, titles, buttons and figures."""

import plotly.io

KINDS = ("caption", "markdown", "info", "success", "warning", "error", "subheader")


def words(at):
    """Return everything that is written, without the signs that keep markdown from reading it."""
    return " ".join(e.value for kind in KINDS for e in getattr(at, kind)).replace("\\", "")


def titles(at):
    return [title.value.replace("\\", "") for title in at.subheader]


def button(at, label):
    [found] = [b for b in at.button if b.label == label]
    return found


def figure(at, key):
    """Return a drawn plotly figure by the key of its widget."""
    [chart] = [c for c in at.get("plotly_chart") if c.proto.id.endswith(f"-{key}")]
    return plotly.io.from_json(chart.proto.spec, skip_invalid=True)
