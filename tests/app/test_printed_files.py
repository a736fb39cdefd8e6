"""Files of figures: words are drawn as they are, little is enough, threads do not meet."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from app.plots.figure import Axis, Cells, Figure, Mark, Series
from app.plots.printed import as_file, render_matplotlib
from app.plots.printed_words import literal
from tests.app.small_figures import DIVERGING, SEQUENTIAL, X, Y, cells, figure

HOSTILE = ["$x_1$", "_hidden", r"\frac{$", "<b>&amp;", "100 % $", r"a\$b", "a$b$c$", "tab\tline\n"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_files_are_drawn_letter_by_letter(name):
    wanted = name.encode("unicode_escape").decode().replace(r"\\", "\\")
    shown = literal(name)
    # What matplotlib makes of it: no formula, and the escaped signs as they were.
    series = (Series(name, X, Y), Series("other", X, Y))
    drawn = render_matplotlib(
        Figure(name, "", Axis(name), Axis(name), series, (Mark("x", 2.0, name, "fit"),))
    )
    drawn.canvas.draw()
    axes = drawn.axes[0]
    texts = [
        axes.xaxis.label, axes.yaxis.label, axes.texts[0], axes.get_legend().get_texts()[0],
        drawn._suptitle,
    ]  # fmt: skip
    assert {text.get_text() for text in texts} == {shown}
    assert {text._preprocess_math(text.get_text()) for text in texts} == {(wanted, False)}
    named = cells([[0.1, 0.2]], SEQUENTIAL)
    named.cells.text[0, 0] = name
    rows = Figure("", "", Axis(names=(name, "1")), Axis(names=(name,)), cells=named.cells)
    assert as_file(rows, "png").startswith(b"\x89PNG")


def test_a_sign_that_the_font_lacks_is_named_so_that_names_stay_apart():
    assert literal("σ · 中文") == r"σ · \u4e2d\u6587"
    drawn = render_matplotlib(figure(Series("中", X, Y), Series("文", X, Y)))
    drawn.canvas.draw()  # a missing sign would warn, which fails the test
    first, second = drawn.axes[0].get_legend().get_texts()
    assert first.get_text() != second.get_text()


NOTHING = np.empty((0, 0))
LITTLE = [
    figure(),
    figure(x=Axis(log=True), y=Axis(log=True)),
    figure(x=Axis(log=True, low=0.2, high=0.4)),
    figure(Series("a", np.empty(0), np.empty(0)), y=Axis(log=True)),
    figure(Series("a", -X, -Y), x=Axis(log=True), y=Axis(log=True)),
    figure(Series("a", X, np.full(4, np.nan), kind="bars"), x=Axis(names=())),
    figure(Series("a", X[:1], Y[:1]), y=Axis(log=True)),
    Figure("none", "", Axis(), Axis(), cells=Cells(
        NOTHING, *(NOTHING.astype(object) for _ in range(3)), SEQUENTIAL)),
    cells([[np.nan, np.nan]], DIVERGING),
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(LITTLE)))
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_figures_of_next_to_nothing_still_render(place, kind):
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    assert as_file(LITTLE[place], kind, dark=True).startswith(begins)


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_files_made_side_by_side_have_the_bytes_of_those_made_alone(kind):
    shown = [figure(Series(f"{i}", X, i * Y), Series("b", X, Y)) for i in range(4)]
    alone = [as_file(one, kind) for one in shown]
    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(lambda one: as_file(one, kind), shown * 2))
    assert beside == alone * 2
    assert len(set(alone)) == 4


def test_pages_carry_no_matplotlib_and_drawing_keeps_no_figure():
    program = """
import sys
import app.views.parts.chart
assert "matplotlib" not in sys.modules
import app.plots.printed, app.plots.figure
one = app.plots.figure.Figure("", "", app.plots.figure.Axis(), app.plots.figure.Axis())
app.plots.printed.as_file(one, "png")
assert "matplotlib.pyplot" not in sys.modules
"""
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
