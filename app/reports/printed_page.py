"""Pages of paper that fill from top to bottom: lines of text, tables and drawings, no browser."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from matplotlib.artist import Artist
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure as Drawing

from app.plots.printed_style import Style
from app.plots.printed_words import wrapped

WIDTH, HEIGHT = 8.27, 11.69  # inches: A4
MARGIN, FOOT = 0.75, 0.5
INNER = WIDTH - 2 * MARGIN
DOTS = 72  # of a PDF, per inch: what matplotlib measures letters by
LEADING = 1.32
BODY, SMALL, HEADING, TITLE = 9.0, 7.5, 13.0, 20.0
STYLE = Style(dark=False)
SOFT = "#59636e"


class _Placed(Artist):
    """A drawing of its own, drawn as a part of a page where it was moved to."""

    def __init__(self, drawing: Drawing) -> None:
        super().__init__()
        self._drawing = drawing

    def draw(self, renderer: Any) -> None:
        """Draw it with the page's own pen."""
        self._drawing.draw(renderer)


@dataclass
class Pages:
    """The pages so far; `down` is how many inches of the last one are taken."""

    foot: str
    made: list[Drawing] = field(default_factory=list)
    down: float = HEIGHT

    def room(self, inches: float) -> None:
        """Begin a page where the last one has less room than this."""
        if self.down + inches > HEIGHT - MARGIN - FOOT or not self.made:
            self.made.append(Drawing(figsize=(WIDTH, HEIGHT), dpi=DOTS, facecolor="white"))
            self.down = MARGIN

    def skip(self, inches: float) -> None:
        """Leave some room, if the page has not just begun."""
        self.down += inches if self.down > MARGIN else 0.0

    def text(
        self, words: str, size: float = BODY, *, colour: str = "", weight: str = "normal",
        indent: float = 0.0, keep: float = 0.0,
    ) -> None:  # fmt: skip
        """Write a paragraph; `keep` inches must follow it on its page."""
        lines = wrapped(words, INNER - indent, size) or [""]
        high = LEADING * size / 72
        self.room(min(high * len(lines) + keep, HEIGHT - 2 * MARGIN - FOOT))
        for line in lines:
            self.room(high)
            self.at(MARGIN + indent, line, size, colour=colour, weight=weight)
            self.down += high

    def at(
        self, across: float, line: str, size: float, *, colour: str = "", weight: str = "normal",
        ends: bool = False,
    ) -> None:  # fmt: skip
        """Write one line, wrapped by the caller, at so many inches from the left."""
        self.made[-1].text(
            across / WIDTH, 1 - self.down / HEIGHT, line, size=size, weight=weight,
            color=colour or STYLE.words, ha="right" if ends else "left", va="top",
        )  # fmt: skip

    def drawing(self, drawing: Drawing) -> None:
        """Place a drawing; it keeps its size and its letters stay letters."""
        drawing.set_dpi(DOTS)
        drawing.draw_without_rendering()  # its own layout, once
        drawing.set_layout_engine("none")
        wide, high = drawing.get_size_inches()
        self.room(high)
        low = HEIGHT - self.down - high
        drawing.bbox_inches.p0, drawing.bbox_inches.p1 = (MARGIN, low), (MARGIN + wide, low + high)
        self.made[-1].add_artist(_Placed(drawing))
        self.down += high

    def rule(self) -> None:
        """Draw a line across."""
        self.line(MARGIN, WIDTH - MARGIN)

    def line(self, start: float, end: float) -> None:
        """Draw a thin line from one place across to another."""
        y = 1 - self.down / HEIGHT
        page = self.made[-1]
        page.add_artist(_thin([start / WIDTH, end / WIDTH], [y, y], page))

    def as_pdf(self, title: str, created: Any) -> bytes:
        """Return the file, each page numbered at its foot."""
        held = BytesIO()
        with PdfPages(held, metadata={"Title": title, "CreationDate": created}) as pages:
            for number, page in enumerate(self.made, start=1):
                foot = 1 - (HEIGHT - FOOT) / HEIGHT
                shared = {"size": SMALL, "color": SOFT, "va": "bottom"}
                page.text(MARGIN / WIDTH, foot, self.foot, ha="left", **shared)
                said = f"{number} of {len(self.made)}"
                page.text(1 - MARGIN / WIDTH, foot, said, ha="right", **shared)
                pages.savefig(page)
        return held.getvalue()


def _thin(x: Sequence[float], y: Sequence[float], page: Drawing) -> Artist:
    from matplotlib.lines import Line2D

    return Line2D(x, y, color=STYLE.grid, linewidth=0.7, transform=page.transFigure)
