"""A report as Markdown: tables and captions alone, with pictures where they lie beside it."""

import re
from collections.abc import Iterable, Iterator

from app.reports import tables
from app.reports.model import Asked, Fact, Method, Report, Section, Table, Term

MOST_ROWS = 60
SIGNS = re.compile(r"([\\`*_{}\[\]<>#|$~!])")


def render(report: Report, pictures: str = "") -> bytes:
    """Return the text; `pictures` is the folder of the PNGs, "" where there are none."""
    names = {id(figure): name for name, figure in report.figures()}
    lines = [f"# {plain(report.title)}", "", f"Made {tables.moment(report.created)}.", ""]
    lines += [*_facts(report.facts), ""]
    for section in report.sections:
        lines += _section(section, names, pictures)
    lines += ["## Methods", "", "What each number is, in words, with its formula and paper.", ""]
    for method in report.methods:
        lines += _method(method)
    return ("\n".join(lines).rstrip() + "\n").encode()


def plain(text: str) -> str:
    """Return text that Markdown, and the HTML within it, leaves as it is, in one line."""
    return SIGNS.sub(r"\\\1", " ".join(str(text).split()))


def _section(section: Section, names: dict[int, str], pictures: str) -> Iterator[str]:
    yield from (f"## {plain(section.title)}", "", plain(section.sentence), "")
    for title, said in (
        ("To be read with this", section.warnings),
        ("Left out, and why", section.left_out),
    ):
        if said:
            yield from (f"**{title}**", "", *(f"- {plain(words)}" for words in said), "")
    for figure in section.figures:
        yield from (f"### {plain(figure.title)}", "")
        if pictures:
            path = f"{pictures}/{names[id(figure)]}.png"
            yield from (f"![{plain(figure.title)}]({path})", "")
        yield from (plain(figure.caption), "")
    for table in section.tables:
        yield from _table(table)
    yield from _facts(section.facts)
    yield from _asked(section.asked)
    yield ""


def _facts(facts: Iterable[Fact]) -> Iterator[str]:
    return (f"- {plain(fact.name)}: {plain(fact.value)}" for fact in facts)


def _asked(asked: Iterable[Asked]) -> Iterator[str]:
    return (f"- Parameter {plain(a.name)} = {plain(a.value)}: {plain(a.help)}" for a in asked)


def _table(table: Table) -> Iterator[str]:
    if not table.shown:
        return
    yield from (f"### {plain(table.title)}", "")
    if table.caption:
        yield from (plain(table.caption), "")
    yield _line(table.shown.values())
    aligned = ["---:" if tables.is_right(table, name) else "---" for name in table.shown]
    yield f"| {' | '.join(aligned)} |"
    yield from (_line(row) for row in tables.rows(table, MOST_ROWS))
    yield from ("", plain(tables.extent(table, MOST_ROWS)), "")


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(plain(cell) for cell in cells)} |"


def _method(method: Method) -> Iterator[str]:
    yield from (f"### {plain(method.title)}", "")
    for words in method.words.split("\n\n"):
        if words.strip():
            yield from (plain(words), "")
    for text in method.texts:
        yield from (text.strip(), "")
    yield from (_term(term) for term in method.terms)
    yield ""


def _term(term: Term) -> str:
    more = "".join(f". {text}" for text in (term.formula, term.paper) if text)
    return f"- **{plain(term.title)}**: {plain(term.words)}{more}"
