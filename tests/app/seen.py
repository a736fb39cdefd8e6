"""What is seen on a page that a test has run: its words, titles, buttons and figures."""

import base64

import numpy as np
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


def numbers(drawn):
    """Return the numbers of a drawn plotly figure, which come as bytes in base 64."""
    if not isinstance(drawn, dict):
        return np.asarray(drawn, float)
    found = np.frombuffer(base64.b64decode(drawn["bdata"]), drawn["dtype"]).astype(float)
    shape = drawn.get("shape")
    return found.reshape([int(size) for size in shape.split(",")]) if shape else found
