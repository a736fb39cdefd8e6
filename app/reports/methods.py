"""The methods section: what each number is, in words, with formula and paper.

From what the analyses declare of themselves and of their columns, and from the texts of the pages.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from app import about
from app.about.spectrum import FORMULAS, MARTIN, PAPERS
from app.plots.metric import WEIGHTWATCHER, title_of
from app.reports.model import Method, Term

RAW = re.compile(r"`([^`]*)`|(?<![\w*])\*(\w[^*]*)\*")  # code and emphasis in a docstring


def of_analysis(declared: Mapping[str, Any]) -> Method:
    """Return what an analysis is, and its columns."""
    view = str(declared.get("view", ""))
    words = _bare(str(declared.get("doc") or declared.get("summary") or ""))
    columns = [column for column in declared.get("columns", []) if column.get("help")]
    terms = tuple(_term(column, of_spectrum=view == "spectrum") for column in columns)
    return Method(str(declared["title"]), words, about.texts(view), terms)


def of_tradeoffs() -> Method:
    """Return what the trade-offs are."""
    words = "What keeping a share of the linear layers would cost, from what is stored alone."
    return Method("Rank trade-offs", words, about.texts("tradeoffs"))


def of_compression(methods: Mapping[str, Any], names: Iterable[str]) -> list[Method]:
    """Return the compression methods that trials used; one that is no longer declared, by name."""
    found = []
    for name in dict.fromkeys(full.partition(":")[0].partition(",")[0] for full in names):
        one = methods.get(name)
        if one is None:
            found.append(Method(name, "This method is no longer part of Rankscope."))
            continue
        words = _bare(str(one.get("doc") or one.get("summary") or ""))
        paper = str(one.get("paper") or "")
        if paper and paper not in words:
            words = f"{words}\n\n{paper}"
        found.append(Method(str(one["title"]), words))
    return found


def _bare(text: str) -> str:
    return RAW.sub(lambda found: found[1] or found[2], text)


def _term(column: Mapping[str, Any], *, of_spectrum: bool) -> Term:
    name, unit = str(column["name"]), column.get("unit")
    words = f"{column['help']} ({unit})" if unit else str(column["help"])
    if not of_spectrum:
        return Term(title_of(column), words)
    paper = MARTIN if name in WEIGHTWATCHER else PAPERS.get(name, "")
    return Term(title_of(column), words, FORMULAS.get(name, ""), paper)
