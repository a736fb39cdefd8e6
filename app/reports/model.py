"""What a report says, before any format does: facts, sections with figures and tables, methods."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import pandas as pd

from app.plots.figure import Figure
from app.reports.names import slug


@dataclass(frozen=True)
class Fact:
    """One line of a record: what it is, and what it was."""

    name: str
    value: str


@dataclass(frozen=True)
class Asked:
    """One parameter, what it was, and what it is."""

    name: str
    value: str
    help: str


@dataclass(frozen=True, eq=False)
class Table:
    """A table with everything in it, and what of it is shown where a person reads.

    `shown` are the frame's columns in order, under their headings.
    """

    title: str
    caption: str
    frame: pd.DataFrame
    shown: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Section:
    """One job, or one view of the model: what was asked, what came of it, what is left out."""

    title: str
    sentence: str
    key: str  # what names it in an address: a job's id, or the view's name
    facts: tuple[Fact, ...] = ()
    asked: tuple[Asked, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Term:
    """What one number is, in words."""

    title: str
    words: str
    formula: str = ""  # markdown, as the texts in `app/about` are
    paper: str = ""


@dataclass(frozen=True)
class Method:
    """What an analysis does and what its numbers are.

    `words` is plain text, `texts` are markdown.
    """

    title: str
    words: str
    texts: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()


@dataclass(frozen=True, eq=False)
class Report:
    """All that any format shows."""

    title: str
    model: str
    created: float  # seconds since 1970
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]
    methods: tuple[Method, ...] = field(default=())

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield every figure with a name that no other has: `03-welore-rank-reduction`."""
        number = 0
        for section in self.sections:
            for figure in section.figures:
                number += 1
                yield f"{number:02d}-{slug(figure.title)}", figure

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Yield every table with a name that no other has."""
        number = 0
        for section in self.sections:
            for table in section.tables:
                number += 1
                yield f"{number:02d}-{slug(table.title)}", table

    def without(self, names: Collection[str]) -> Self:
        """Return the report without the figures of these `figure_names`."""
        return replace(
            self,
            sections=tuple(
                replace(
                    section,
                    figures=tuple(
                        figure
                        for name, figure in zip(figure_names(section), section.figures, strict=True)
                        if name not in names
                    ),
                )
                for section in self.sections
            ),
        )


def figure_names(section: Section) -> list[str]:
    """Return what names each figure of a section in an address: its place there, and its title."""
    return [
        f"{section.key}-{place}-{slug(figure.title, 40)}"
        for place, figure in enumerate(section.figures, start=1)
    ]
