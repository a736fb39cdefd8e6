"""What printed figures look like: sizes in points, colours of a light page or a dark one."""

from dataclasses import dataclass

from app.plots import colours

TITLE, WRITTEN, SMALL, SMALLEST = 9.5, 8.0, 7.0, 5.5
POINTS = 0.75  # of a pixel of the page
DASHES = {
    "solid": "-",
    "dash": (0, (5, 2.5)),
    "dot": (0, (1, 1.8)),
    "dashdot": (0, (5, 2, 1, 2)),
    "longdash": (0, (8, 3)),
}


@dataclass(frozen=True)
class Style:
    """The colours of a page."""

    dark: bool

    @property
    def page(self) -> str:
        """Return the colour behind everything."""
        return colours.PAGE_DARK if self.dark else colours.PAGE

    @property
    def words(self) -> str:
        """Return the colour of titles and numbers."""
        return colours.WORDS_DARK if self.dark else colours.WORDS

    @property
    def grid(self) -> str:
        """Return the colour of the lines behind the data."""
        return colours.GRID_DARK if self.dark else colours.GRID
