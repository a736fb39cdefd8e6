"""What a report would say, section by section, before it is made."""

import streamlit as st

from app.reports.model import Report, Section
from app.reports.names import counted
from app.views.parts import chart


def draw(report: Report) -> None:
    """Draw the contents: figures with captions, tables with sizes, what is left out and why."""
    figures, tables = len(list(report.figures())), len(list(report.tables()))
    methods = ", ".join(method.title for method in report.methods)
    chart.heading(
        "Contents",
        f"{counted(figures, 'figure')} and {counted(tables, 'table')}. Methods: {methods}.",
    )
    for section in report.sections:
        with st.expander(f"{chart.plain(section.title)} · {_counted(section)}"):
            _section(section)


def _counted(section: Section) -> str:
    parts = {"figure": section.figures, "table": section.tables, "warning": section.warnings}
    words = [counted(len(held), word) for word, held in parts.items() if held]
    words += [f"{len(section.left_out)} left out"] if section.left_out else []
    return ", ".join(words) or "nothing to draw"


def _section(section: Section) -> None:
    st.markdown(chart.plain(section.sentence))
    for warning in section.warnings:
        st.warning(chart.plain(warning), icon=":material/warning:")
    lines = [
        f"- **{chart.plain(figure.title)}**: {chart.plain(figure.caption)}"
        for figure in section.figures
    ]
    lines += [
        f"- **{chart.plain(table.title)}**: {counted(len(table.frame), 'row')}, "
        f"{counted(len(table.frame.columns), 'column')}"
        for table in section.tables
    ]
    lines += [f"- Left out: {chart.plain(said)}" for said in section.left_out]
    st.markdown("\n".join(lines))
    for fact in section.facts:
        st.caption(chart.plain(f"{fact.name}: {fact.value}"))
