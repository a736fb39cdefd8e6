"""Each view's figures in a report are those that its page draws at first, number for number."""

import json

import numpy as np
import pandas as pd
import plotly.io
import pytest
from streamlit.testing.v1 import AppTest

from app.plots.plotly import render_plotly
from app.reports import drawn
from app.shown import Shown
from tests.app import test_activations_plots, test_hessian_plots
from tests.app.test_entanglement_panels import CUT
from tests.app.test_entanglement_plots import attention_rows
from tests.app.test_stable_rank_plots import made
from tests.app.test_tensorlens_panel import DELETED, row

ROWS = {
    "entanglement": pd.DataFrame([CUT]),
    "attention_entanglement": attention_rows().assign(
        octave=0.3,
        octave_low=0.2,
        octave_high=0.4,
        windows=3,
        text="a.txt",
        mask="causal",
        site_order="row|column",
    ),
    "activations": test_activations_plots.ROWS,
    "hessian": pd.DataFrame([test_hessian_plots.exact(layer="a"), test_hessian_plots.estimated()]),
    "stable_rank": made(loss=[None] + [6.0] * 3, gradient_stable_rank=[None] + [3.0] * 3),
    "tensorlens": pd.DataFrame([row(**DELETED), row("0-1"), row("1-2")]),
}
# What the page shows only once it is asked for: bars of a second column.
BEYOND = {"entanglement": 1}


def page(view, rows):
    from app.shown import Shown
    from app.views.parts import permalink
    from app.views.parts.panels import panel

    permalink.begin("analyses")
    panel(view)(Shown(None, {"columns": []}, {"id": "a"}, rows, lambda cell: cell))
    permalink.finish()


def numbers(figure):
    """Return what a drawn figure shows, without its size and colours."""
    read = json.loads(figure.to_json())
    return [{name: trace.get(name) for name in ("x", "y", "z")} for trace in read["data"]]


def of_report(view, rows):
    declared = {"view": view, "columns": []}
    return drawn.figures(Shown(None, declared, {"id": "a"}, rows, lambda cell: cell))


@pytest.mark.parametrize("view", ROWS)
def test_the_numbers_are_the_page_s(view):
    rows = ROWS[view]
    at = AppTest.from_function(page, args=(view, rows), default_timeout=30).run()
    assert not at.exception
    charts = [
        numbers(plotly.io.from_json(chart.proto.spec, skip_invalid=True))
        for chart in at.get("plotly_chart")
    ]
    found = of_report(view, rows)
    assert len(found) >= 2
    there = [numbers(render_plotly(figure)) in charts for figure in found]
    assert there.count(False) <= BEYOND.get(view, 0), [figure.title for figure in found]


@pytest.mark.parametrize("view", ROWS)
def test_nothing_measured_is_no_figure_and_no_fault(view):
    assert of_report(view, ROWS[view].head(0)) == []
    failed = pd.DataFrame({"label": ["a"], "layer": ["a"], "status": ["failed"], "message": ["no"]})
    empty = failed.assign(**dict.fromkeys(("entropy", "rank", "epoch", "share"), np.nan))
    assert of_report(view, empty.assign(input_dimension=np.nan)) == []
