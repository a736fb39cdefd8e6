"""A report as a PDF: drawn by matplotlib, with text that can be searched and no browser."""

import datetime
import textwrap
from collections.abc import Iterable

from app.about import markup
from app.plots.figure import Figure
from app.plots.printed import render_matplotlib
from app.plots.printed_words import literal
from app.reports import tables
from app.reports.model import Asked, Fact, Method, Report, Section, Table, Term
from app.reports.printed_page import (
    BODY,
    HEADING,
    INNER,
    LEADING,
    MARGIN,
    SMALL,
    SOFT,
    TITLE,
    Pages,
)
from app.reports.reduced import reduced

MOST_ROWS = 24  # letters are what takes a PDF its time
HIGH = 2.8  # inches of curves
HEAVIER = " "  # room for the thicker letters of a heading
APART, MOST_APART = 2, 6  # letters between columns
LETTER = 0.54  # of the size of a letter: how wide one is on average
NAMES = 1.5  # inches of the left column of a record
LEAST = 4  # letters of a column


def render(report: Report) -> bytes:
    """Return the whole file."""
    pages = Pages(literal(report.title))
    pages.text("Rankscope report", SMALL, colour=SOFT)
    pages.text(report.model, TITLE, weight="bold")
    pages.text(f"Made {tables.moment(report.created)}.", SMALL, colour=SOFT)
    pages.skip(0.1)
    _facts(pages, report.facts)
    for section in report.sections:
        _section(pages, section)
    _heading(pages, "Methods")
    pages.text("What each number is, in words, with its formula and where it was published.")
    for method in report.methods:
        _method(pages, method)
    created = datetime.datetime.fromtimestamp(report.created, datetime.UTC)
    return pages.as_pdf(report.title, created)


def _heading(pages: Pages, words: str, keep: float = 1.2) -> None:
    """Write a heading; `keep` inches of what follows stand on its page."""
    pages.skip(0.3)
    pages.room(keep)
    pages.rule()
    pages.down += 0.12
    pages.text(words, HEADING, weight="bold")
    pages.down += 0.03


def _section(pages: Pages, section: Section) -> None:
    _heading(pages, section.title, HIGH + 1.6 if section.figures else 1.2)
    pages.text(section.sentence)
    _points(pages, "To be read with this", section.warnings)
    _points(pages, "Left out, and why", section.left_out)
    for figure in section.figures:
        _figure(pages, reduced(figure))
    for table in section.tables:
        _table(pages, table)
    if section.facts or section.asked:
        pages.skip(0.12)
        pages.text("Settings and record", BODY, weight="bold", keep=0.3)
        _facts(pages, section.facts)
        _asked(pages, section.asked)


def _points(pages: Pages, title: str, said: Iterable[str]) -> None:
    lines = list(said)
    if lines:
        pages.skip(0.06)
        pages.text(title, SMALL + 1, weight="bold", keep=0.2)
    for words in lines:
        pages.text(f"• {words}", SMALL + 1, indent=0.12)


def _figure(pages: Pages, figure: Figure) -> None:
    high = None if figure.cells is not None else HIGH
    drawn = render_matplotlib(figure, width=INNER, height=high, titled=False)
    pages.skip(0.18)
    pages.room(drawn.get_figheight() + 0.6)
    pages.text(figure.title, BODY + 1, weight="bold")
    pages.drawing(drawn)
    pages.text(figure.caption, SMALL, colour=SOFT)


def _facts(pages: Pages, facts: Iterable[Fact]) -> None:
    for fact in facts:
        pages.room(LEADING * SMALL / 72)
        pages.at(MARGIN, literal(fact.name), SMALL, colour=SOFT)
        pages.text(fact.value, SMALL, indent=NAMES)


def _asked(pages: Pages, asked: Iterable[Asked]) -> None:
    said = ", ".join(f"{one.name} = {one.value}" for one in asked)
    if said:
        pages.room(LEADING * SMALL / 72)
        pages.at(MARGIN, "Parameters", SMALL, colour=SOFT)
        pages.text(said, SMALL, indent=NAMES)


def _table(pages: Pages, table: Table) -> None:
    if not table.shown:
        return
    size = SMALL - 0.8
    rows = tables.rows(table, MOST_ROWS)
    right = [tables.is_right(table, name) for name in table.shown]
    heads = list(table.shown.values())
    words = [max(head.split(), key=len, default="") + HEAVIER for head in heads]
    widths = _widths([words, *rows], int(INNER * 72 / (LETTER * size)))
    pages.skip(0.15)
    pages.text(table.title, BODY, weight="bold", keep=0.5)
    if table.caption:
        pages.text(table.caption, SMALL, colour=SOFT)
    _head(pages, heads, widths, right, size)
    for row in rows:
        page = pages.made[-1]
        pages.room(LEADING * size / 72)
        if pages.made[-1] is not page:
            _head(pages, heads, widths, right, size)
        _row(pages, row, widths, right, size)
    pages.text(tables.extent(table, MOST_ROWS), SMALL, colour=SOFT)


def _widths(lines: list[list[str]], letters: int) -> list[int]:
    """Return the letters of each column: what it needs, or less of the widest where all need more.

    What is left over goes between the columns.
    """
    widths = [max(len(line[i]) for line in lines) + APART for i in range(len(lines[0]))]
    while sum(widths) > letters and max(widths) > LEAST + APART:
        widths[widths.index(max(widths))] -= 1
    more = min(MOST_APART - APART, max(0, (letters - sum(widths)) // len(widths)))
    return [width + more for width in widths]


def _head(
    pages: Pages, heads: list[str], widths: list[int], right: list[bool], size: float
) -> None:
    """Write the headings, each in as many lines as it needs, all ending on one."""
    wrapped = [
        textwrap.wrap(head, max(1, width - APART), break_long_words=False) or [""]
        for head, width in zip(heads, widths, strict=True)
    ]
    most = max(len(lines) for lines in wrapped)
    pages.room((most + 1) * LEADING * size / 72)
    for at in range(most):
        cells = ["" if at < most - len(lines) else lines[at - most] for lines in wrapped]
        _row(pages, cells, widths, right, size, weight="bold")


def _row(
    pages: Pages, cells: list[str], widths: list[int], right: list[bool], size: float,
    weight: str = "normal",
) -> None:  # fmt: skip
    pages.room(LEADING * size / 72)
    unit, across = LETTER * size / 72, MARGIN
    for text, letters, ends in zip(cells, widths, right, strict=True):
        room = letters - APART
        short = text if len(text) <= room else f"{text[: room - 1]}…"
        at = across + room * unit if ends else across
        pages.at(at, literal(short), size, weight=weight, ends=ends)
        across += letters * unit
    pages.down += LEADING * size / 72


def _method(pages: Pages, method: Method) -> None:
    pages.skip(0.15)
    pages.text(method.title, BODY + 1, weight="bold", keep=0.4)
    for words in method.words.split("\n\n"):
        if words.strip():
            pages.text(" ".join(words.split()), SMALL + 0.5)
            pages.down += 0.03
    for text in method.texts:
        for line in markup.as_text(text).split("\n"):
            pages.text(line, SMALL + 0.5, indent=0.12 if line.startswith("•") else 0.0)
            pages.down += 0.03
    for term in method.terms:
        _term(pages, term)


def _term(pages: Pages, term: Term) -> None:
    said = [f"{term.title}: {term.words}"]
    said += [markup.as_text(text) for text in (term.formula, term.paper) if text]
    pages.text(". ".join(said), SMALL - 0.5, indent=0.12)
