"""A report as one HTML file: it opens with no network, in light and dark, and without JavaScript.

plotly.js is inlined once. The page's own policy lets only its two scripts run, by their hashes, and
nothing load: what a name or a message holds is text, and would stay text if it were not escaped.
"""

import base64
import functools
import hashlib
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from plotly.offline import get_plotlyjs

from app.about import markup
from app.plots.figure import Figure
from app.reports import interactive, tables
from app.reports.model import Asked, Fact, Method, Report, Section, Table, Term
from app.reports.names import counted

ASSETS = Path(__file__).parent / "assets"
MOST_ROWS = 300
LONG, LONG_CELL = 40, " class='long'"  # letters of a cell that stay in one line
POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; base-uri 'none'; form-action 'none'"
)


def render(report: Report) -> bytes:
    """Return the whole file."""
    library, own = _scripts()
    policy = POLICY.format(scripts=" ".join(_hash(script) for script in (library, own)))
    figures = list(report.figures())
    names = {id(figure): name for name, figure in figures}
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{escape(report.title)}</title>",
        f"<style>{(ASSETS / 'report.css').read_text()}</style></head><body><main>",
        *_head(report),
        *(line for section in report.sections for line in _section(section, names)),
        *_methods(report.methods),
        "</main>",
        *(f'<script type="application/json" id="data-{name}">{interactive.as_json(figure)}</script>'
          for name, figure in figures),
        f"<script>{library}</script>" if figures else "",
        f"<script>{own}</script></body></html>",
    ]  # fmt: skip
    return "\n".join(parts).encode()


@functools.cache
def _scripts() -> tuple[str, str]:
    return get_plotlyjs(), (ASSETS / "report.js").read_text()


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _head(report: Report) -> Iterator[str]:
    yield f"<header><p class='mark'>Rankscope report</p><h1>{escape(report.model)}</h1>"
    yield f"<p>Made {escape(tables.moment(report.created))}.</p>"
    yield _facts(report.facts)
    yield "</header><nav aria-label='Contents'><ul>"
    for section in report.sections:
        words = counted(len(section.figures), "figure") if section.figures else ""
        beside = f" <small>{words}</small>" if words else ""
        yield f'<li><a href="#{escape(section.key)}">{escape(section.title)}</a>{beside}</li>'
    yield '<li><a href="#methods">Methods</a></li></ul></nav>'
    yield "<noscript><p class='note'>Figures are drawn by JavaScript, which is off here: titles, "
    yield "captions and tables are all there.</p></noscript>"


def _section(section: Section, names: dict[int, str]) -> Iterator[str]:
    yield f'<section id="{escape(section.key)}"><h2>{escape(section.title)}</h2>'
    yield f"<p>{escape(section.sentence)}</p>"
    for kind, said in (("warning", section.warnings), ("note", section.left_out)):
        title = "To be read with this" if kind == "warning" else "Left out, and why"
        if said:
            points = "".join(f"<li>{escape(words)}</li>" for words in said)
            yield f"<div class='{kind}'><strong>{title}</strong><ul>{points}</ul></div>"
    if section.figures:
        yield "<div class='figures'>"
        for figure in section.figures:
            yield _figure(figure, names[id(figure)])
        yield "</div>"
    for table in section.tables:
        yield from _table(table)
    if section.facts or section.asked:
        yield "<details><summary>Settings and record</summary>"
        yield f"{_facts(section.facts)}{_asked(section.asked)}</details>"
    yield "</section>"


def _figure(figure: Figure, name: str) -> str:
    wide = " class='wide'" if figure.cells is not None else ""
    return (
        f"<figure{wide}><h3>{escape(figure.title)}</h3>"
        f"<div class='drawing' id='{name}' role='img' aria-label='{escape(figure.title)}'></div>"
        f"<figcaption>{escape(interactive.reduced(figure).caption)}</figcaption></figure>"
    )


def _facts(facts: Iterable[Fact]) -> str:
    lines = "".join(f"<dt>{escape(f.name)}</dt><dd>{escape(f.value)}</dd>" for f in facts)
    return f"<dl>{lines}</dl>" if lines else ""


def _asked(asked: Iterable[Asked]) -> str:
    lines = "".join(
        f"<tr><td><code>{escape(one.name)}</code></td>{_cell(one.value, '')}"
        f"{_cell(one.help, '')}</tr>"
        for one in asked
    )
    if not lines:
        return ""
    heads = "<tr><th>parameter</th><th>value</th><th>what it is</th></tr>"
    return f"<div class='table'><table><thead>{heads}</thead><tbody>{lines}</tbody></table></div>"


def _table(table: Table) -> Iterator[str]:
    if not table.shown:
        return
    right = [" class='number'" if tables.is_right(table, name) else "" for name in table.shown]
    heads = "".join(
        f"<th scope='col'{css}>{escape(title)}</th>"
        for title, css in zip(table.shown.values(), right, strict=True)
    )
    lines = "".join(
        "<tr>" + "".join(_cell(cell, css) for cell, css in zip(row, right, strict=True)) + "</tr>"
        for row in tables.rows(table, MOST_ROWS)
    )
    yield f"<h3>{escape(table.title)}</h3>"
    if table.caption:
        yield f"<p class='caption'>{escape(table.caption)}</p>"
    yield f"<div class='table' tabindex='0' role='region' aria-label='{escape(table.title)}'>"
    yield f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    yield f"<p class='caption'>{escape(tables.extent(table, MOST_ROWS))}</p>"


def _cell(text: str, css: str) -> str:
    return f"<td{css if len(text) <= LONG else LONG_CELL}>{escape(text)}</td>"


def _methods(methods: Iterable[Method]) -> Iterator[str]:
    yield '<section id="methods"><h2>Methods</h2>'
    yield "<p>What each number is, in words, with its formula and where it was published.</p>"
    for method in methods:
        yield f"<article><h3>{escape(method.title)}</h3>"
        yield from (
            f"<p>{markup.linked(' '.join(words.split()))}</p>"
            for words in method.words.split("\n\n")
            if words.strip()
        )
        yield from (markup.as_html(text) for text in method.texts)
        yield from _terms(method.terms)
        yield "</article>"
    yield "</section>"


def _terms(terms: Iterable[Term]) -> Iterator[str]:
    lines = "".join(
        f"<dt>{escape(term.title)}</dt><dd>{escape(term.words)}"
        f"{_inline(term.formula)}{_inline(term.paper)}</dd>"
        for term in terms
    )
    if lines:
        yield f"<details><summary>Every column of its table</summary><dl>{lines}</dl></details>"


def _inline(text: str) -> str:
    if not text:
        return ""
    return ". " + markup.as_html(text).removeprefix("<p>").removesuffix("</p>")
