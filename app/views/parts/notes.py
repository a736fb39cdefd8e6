"""Words of the rank profile: number cards, formulas and papers, the sentence about a fit."""

from collections.abc import Mapping
from typing import Any

from app import quantities
from app.about.spectrum import FORMULAS, JAISWAL, MARTIN, PAPERS
from app.plots.metric import WEIGHTWATCHER, Metric
from app.views.parts.chart import Card, plain


def about(metric: Metric) -> str:
    """Return what a metric is, as markdown: its title, its declared words, formula and paper."""
    said = [f"**{plain(metric.title)}**"]
    if metric.help:
        said.append(plain(metric.help))
    if metric.name in FORMULAS:
        said.append(FORMULAS[metric.name])
    paper = PAPERS.get(metric.name, "")
    if metric.name.startswith("welore_"):
        paper = JAISWAL
    elif metric.name in WEIGHTWATCHER:
        paper = MARTIN
    return "\n\n".join([*said, paper] if paper else said)


def cards(row: Mapping[str, Any], full: int) -> list[Card | None]:
    """Return title, value, what stands beside it and help, for the numbers a layer has."""
    ranks = (
        ("Stable rank", "stable_rank", "Energy of all directions over that of the strongest"),
        ("Effective rank", "effective_rank_sigma", "Exp of the entropy of the singular values"),
        ("Energy rank k95", "k95", "Fewest directions with 95 % of the energy"),
    )
    found: list[Card | None] = [_rank(row, full, *rank) for rank in ranks]
    return [*found, _alpha(row), _welore(row), _break_even(row, full)]


def _rank(row: Mapping[str, Any], full: int, title: str, name: str, words: str) -> Card | None:
    if not quantities.known(row.get(name)):
        return None
    if quantities.known(row.get(f"{name}_vs_noise")):
        words += f"; {row[name + '_vs_noise']:.2f} of what noise of this shape has"
    return title, quantities.digits(row[name]), f"of {full}", f"{words}."


def _alpha(row: Mapping[str, Any]) -> Card | None:
    words = "Exponent of the power law fitted to the tail of the eigenvalues."
    title = "Power-law \N{GREEK SMALL LETTER ALPHA}"
    if not quantities.known(row.get("alpha")):
        return (title, quantities.NOT_KNOWN, "no fit", words) if "alpha" in row else None
    beside = f"KS {quantities.digits(row.get('alpha_ks'))}"
    return title, quantities.digits(row["alpha"]), beside, words


def _welore(row: Mapping[str, Any]) -> Card | None:
    if not isinstance(row.get("welore_classification"), str):
        return None
    words = (
        "LRC layers are kept as two factors, N-LRC layers dense. A cut of rank is none of size: "
        "size is the numbers in both factors over those in the matrix."
    )
    if row.get("welore_reason"):
        words += f" This one {row['welore_reason']}."
    return "WeLore", row["welore_classification"], _welore_size(row), words


def _welore_size(row: Mapping[str, Any]) -> str:
    """Return what becomes of the layer's size: only an LRC layer is cut."""
    if row["welore_classification"] == "excluded":
        return "takes no part"
    parameters = row.get("welore_nominal_parameters")
    share = quantities.NOT_KNOWN
    if quantities.known(parameters):
        share = quantities.percent(parameters / (row["rows"] * row["cols"]))
    if row["welore_classification"] == "N-LRC":
        return f"kept dense; factoring would take {share}"
    return f"{quantities.percent(row.get('welore_reduction'))} rank cut = {share} size"


def _break_even(row: Mapping[str, Any], full: int) -> Card | None:
    if not quantities.known(row.get("break_even_rank")):
        return None
    share = f"{quantities.percent(row['break_even_rank'] / full)} of full"
    words = "Two factors of a higher rank hold more numbers than the matrix: mn / (m + n)."
    return "Break-even rank", quantities.digits(int(row["break_even_rank"])), share, words


def fit_sentence(row: Mapping[str, Any]) -> str:
    """Return how the power-law fit stands, or why there is none."""
    if not quantities.known(row.get("alpha")):
        return f"No power law is fitted: {row.get('alpha_reason') or 'no reason is stored'}."
    distance, points = row.get("alpha_ks"), row.get("alpha_points")
    said = (
        f"Power law fitted to {quantities.digits(points)} eigenvalues from "
        f"{quantities.digits(row.get('alpha_xmin'))} on, KS distance {quantities.digits(distance)}"
    )
    if quantities.known(row.get("alpha_p_value")):
        return f"{said}, p-value {quantities.digits(row['alpha_p_value'])}."
    reason = row.get("alpha_p_reason")
    return f"{said}; no p-value: {reason}." if reason else f"{said}."
