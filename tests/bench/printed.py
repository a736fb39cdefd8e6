"""How long figures take to print: one of each kind, and ten to one PDF.

Nothing is asserted. The map is the largest that a report holds, 128 by 128 cells; a curve has the
most points that any has.
"""

import statistics
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from matplotlib.backends.backend_pdf import PdfPages

from app.plots import data
from app.plots.figure import MOST_POINTS, Axis, Cells, Figure, Mark, Scale, Series
from app.plots.printed import as_file, render_matplotlib

ROUNDS, CELLS, FIGURES = 7, 128, 10


def main() -> None:
    """Print milliseconds of each kind of figure and file, and seconds of the PDF."""
    kinds = {"curves": curves(), "bars": bars(), "map": large_map()}
    for name, figure in kinds.items():
        files = {kind: lambda k=kind, f=figure: as_file(f, k) for kind in ("png", "svg", "pdf")}
        files["csv"] = lambda f=figure: data.as_csv(f)
        for kind, made in files.items():
            made()  # the first one reads the font
            times = [timed(made) for _ in range(ROUNDS)]
            said = f"{statistics.median(times):6.0f} ms (longest {max(times):.0f})"
            print(f"{name:7} {kind} {said}, {len(made()) / 1000:.0f} kB")
    shown = [list(kinds.values())[place % len(kinds)] for place in range(FIGURES)]
    print(f"{FIGURES} figures to one PDF: {timed(lambda: to_one_pdf(shown)) / 1000:.1f} s")


def to_one_pdf(figures) -> None:
    """Write each figure on a page of its own."""
    with PdfPages(BytesIO()) as pages:
        for figure in figures:
            pages.savefig(render_matplotlib(figure))


def curves() -> Figure:
    """Return six decays with marks and a band."""
    x = np.arange(1.0, MOST_POINTS + 1)
    series = [Series(f"blocks.{i}.q", x, np.exp(-x / (20 + 9 * i))) for i in range(6)]
    band = Series("noise", x, np.exp(-x / 30), "control", "band", upper=np.exp(-x / 40))
    marks = tuple(Mark("x", 20.0 * i, f"k{i} = {20 * i}", "energy") for i in (1, 2, 3))
    return Figure("Decays", "", Axis("index"), Axis("value", log=True), (band, *series), marks)


def bars() -> Figure:
    """Return two rows of bars with whiskers over as many layers as are drawn."""
    x = np.arange(float(MOST_POINTS))
    names = tuple(f"blocks.{i}.q" for i in range(MOST_POINTS))
    series = tuple(
        Series(name, x, np.cos(x + i), kind="bars", lower=np.cos(x + i) - 0.1, upper=np.sin(x) + 2)
        for i, name in enumerate(("calibration", "held out"))
    )
    return Figure("Error by layer", "", Axis("layer", names=names), Axis("error"), series)


def large_map() -> Figure:
    """Return the largest map of a report."""
    values = np.random.default_rng(0).standard_normal((CELLS, CELLS))
    none = np.full(values.shape, "", object)
    names = tuple(f"token {i}" for i in range(CELLS))
    shown = Cells(values, none, none, none, Scale("diverging", -2.0, 2.0, ((0.0, "0"),)))
    return Figure("Token by token", "", Axis("from", names=names), Axis("to", names=names),
                  cells=shown)  # fmt: skip


def timed(action) -> float:
    """Return the milliseconds of one call."""
    began = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
