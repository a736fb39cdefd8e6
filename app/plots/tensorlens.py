"""TensorLens: which token each output comes from, as a map, as shaded text, as deletion curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import numpy as np
import pandas as pd

from app import quantities
from app.plots import colours
from app.plots.figure import Axis, Cells, Figure, Scale, Series

LONGEST = 12  # characters of a token on an axis
SIGNS = (("\n", "⏎"), ("\t", "⇥"), ("\r", "␍"))
OUTLIERS = 0.05  # share of the cells that may lie beyond the colours' ends: the diagonal often does


@dataclass(frozen=True)
class What:
    """One reading of the map: its name, the sentence under it, the column of its bias."""

    name: str
    sentence: str
    bias: str | None
    kind: Literal["sequential", "diverging"]


WHATS = {
    "share": What(
        "signed share",
        "Each row splits a token's final hidden state into what every token and the biases "
        "contribute along it: a row and its bias sum to 1, and what is below 0 points against it.",
        "bias_share",
        "diverging",
    ),
    "norm": What(
        "norm",
        "How long each contribution is, whatever its direction: contributions may cancel.",
        "bias_norm",
        "sequential",
    ),
    "logit": What(
        "logit",
        "What each token adds to the logit that is explained in its row: a row and its bias sum "
        "to that logit.",
        "bias_logit",
        "diverging",
    ),
    "frobenius": What(
        "Frobenius norm",
        "How strong the map between two tokens is, however large the source is: estimated by "
        "random probes.",
        None,
        "sequential",
    ),
    "rollout": What(
        "attention rollout",
        "Where attention alone would carry the tokens, for comparison: it sees neither values nor "
        "feed-forward layers.",
        None,
        "sequential",
    ),
}


def token_map(
    values: np.ndarray, bias: np.ndarray | None, tokens: Sequence[str], what: str, *, causal: bool
) -> Figure:
    """Return a map with a row for each target and a column for each source token, then the bias.

    `values` (L, L), `bias` (L,) or None; `what` is a key of `WHATS`. A causal model's cells above
    the diagonal, which are exactly 0, stay empty.
    """
    said, length = WHATS[what], len(values)
    shown = np.where(np.triu(np.ones_like(values), 1) > 0, np.nan, values) if causal else values
    words = [seen(token) for token in tokens]
    hover = _hover(shown, words, said.name)
    names = words
    if bias is not None:
        gap = np.full((length, 1), np.nan)
        shown = np.hstack([shown, gap, bias[:, None]])
        hover = np.hstack([hover, np.full((length, 1), ""), _of_bias(bias, words, said.name)])
        names = [*words, "", "bias"]
    scale = _scale(shown, said.kind)
    cut = " Colours end where one cell in twenty lies beyond." if _is_cut(scale) else ""
    return Figure(
        title=f"Token by token: {said.name}",
        caption=said.sentence + cut,
        x=Axis("from source token", names=tuple(names)),
        y=Axis("to token", names=tuple(words)),
        cells=Cells(
            shown, np.full(shown.shape, "", object), np.full(shown.shape, "", object), hover, scale
        ),
    )


def seen(token: str) -> str:
    """Return a token so that its spaces and line breaks are seen, shortened for an axis."""
    for sign, mark in SIGNS:
        token = token.replace(sign, mark)
    token = token.replace(" ", "·")
    return (token if len(token) <= LONGEST else f"{token[: LONGEST - 1]}…") or "∅"


def _hover(values: np.ndarray, words: Sequence[str], name: str) -> np.ndarray:
    said = np.full(values.shape, "", object)
    for i, j in np.argwhere(~np.isnan(values)):
        number = quantities.digits(float(values[i, j]))
        said[i, j] = (
            f"from <b>{_plain(words[j])}</b> ({j}) to <b>{_plain(words[i])}</b> ({i})"
            f"<br>{name}: {number}"
        )
    return said


def _plain(word: str) -> str:
    """Return a word that plotly shows as it is; of HTML's entities it knows no quotes."""
    return escape(word, quote=False)


def _of_bias(bias: np.ndarray, words: Sequence[str], name: str) -> np.ndarray:
    return np.array(
        [
            [
                f"from the <b>biases</b> to <b>{_plain(word)}</b> ({i})"
                f"<br>{name}: {quantities.digits(float(value))}"
            ]
            for i, (word, value) in enumerate(zip(words, bias, strict=True))
        ],
        dtype=object,
    )


def _scale(values: np.ndarray, kind: Literal["sequential", "diverging"]) -> Scale:
    """Return colours up to the largest value but the last twentieth (of 20 cells or more)."""
    sizes = np.sort(np.abs(values[np.isfinite(values)]))
    reach = float(sizes[-1 - int(OUTLIERS * len(sizes))]) if len(sizes) else 0.0
    reach = reach or float(sizes.max(initial=0.0)) or 1.0
    end = quantities.digits(reach)
    over = "≥ " if len(sizes) and sizes[-1] > reach else ""
    under = "≤ " if over else ""
    low = -reach if kind == "diverging" else 0.0
    first = (low, f"{under}-{end}") if low else (0.0, "0")
    middle = ((0.0, "0"),) if low else ()
    return Scale(kind, low, reach, (first, *middle, (reach, f"{over}{end}")))


def _is_cut(scale: Scale) -> bool:
    return scale.ticks[-1][1].startswith("≥")


def shaded_text(tokens: Sequence[str], values: np.ndarray, target: int, *, dark: bool) -> str:
    """Return the text as HTML, each token shaded by its value, the target outlined.

    Values run from the negative colour to the positive one; the strongest of the other tokens takes
    the full colour, for the target's own is often far ahead.
    """
    steps = colours.steps("diverging", dark=dark)
    sizes = np.nan_to_num(np.abs(values))
    reach = float(np.delete(sizes, target).max(initial=0.0)) or float(sizes.max()) or 1.0
    around = colours.colour("fit", dark=dark)
    spans = []
    for at, (token, value) in enumerate(zip(tokens, values, strict=True)):
        share = 0.5 if np.isnan(value) else 0.5 + float(np.clip(value / reach, -1, 1)) / 2
        ink = colours.ink_at(steps, share)
        frame = f"outline:3px solid {around};" if at == target else ""
        words = escape(token.strip("\n")) or "⏎"
        spans.append(
            f'<span title="{at}: {quantities.digits(float(value))}" '
            f'style="background:{colours.mixed(steps, share)};color:{ink};{frame}'
            f'padding:1px;margin:0 1px;border-radius:3px;white-space:pre-wrap">{words}</span>'
            + ("<br>" if "\n" in token else "")
        )
    return f'<div style="line-height:1.9;overflow-wrap:anywhere">{"".join(spans)}</div>'


CURVES: tuple[tuple[str, str, Any], ...] = (
    ("drop_contributions", "by contribution", "layer"),
    ("drop_rollout", "by attention rollout", "fit"),
    ("drop_random", "at random", "noise"),
)


def deletion(row: Mapping[str, Any]) -> Figure:
    """Return how far the target falls as tokens are deleted, by the order of deletion."""
    shares = np.asarray(row["deleted_share"], float)
    return Figure(
        title="Deletion test",
        caption="How far the real model's target falls when tokens are deleted in this order, mean "
        f"over {int(row['deletion_windows'])} windows: the sooner, the better the order. "
        + _verdicts(row),
        x=Axis("share of the tokens deleted", low=0.0, high=1.0),
        y=Axis("drop of the target"),
        series=tuple(
            Series(name, shares, np.asarray(row[column], float), role)
            for column, name, role in CURVES
        ),
    )


def _verdicts(row: Mapping[str, Any]) -> str:
    """Say which order's area is larger, as far as the paired 95 % intervals tell."""
    if not (quantities.known(row["over_random_low"]) and quantities.known(row["over_rollout_low"])):
        return "One window gives no interval."
    said = " and ".join(
        _verdict(*(float(row[f"{column}{end}"]) for end in ("", "_low", "_high")), than)
        for column, than in (("over_random", "random orders"), ("over_rollout", "rollout"))
    )
    return f"By the area under its curve, contribution is {said} (paired 95 % intervals)."


def _verdict(mean: float, low: float, high: float, than: str) -> str:
    if low > 0:
        return f"ahead of {than} by {_interval(mean, low, high)}"
    if high < 0:
        return f"behind {than} by {_interval(-mean, -high, -low)}"
    return f"not told apart from {than}: {_interval(mean, low, high)}"


def _interval(mean: float, low: float, high: float) -> str:
    return f"{quantities.digits(mean)} ({quantities.digits(low)} to {quantities.digits(high)})"


def by_span(rows: pd.DataFrame, shares: Sequence[np.ndarray]) -> Figure:
    """Return, for each span, what comes from a token itself, from other tokens, from biases."""
    own = np.array([np.diag(share).mean() for share in shares])
    bias = np.array([np.mean(cell) for cell in rows["bias_share"]])
    all_tokens = np.array([share.sum(1).mean() for share in shares])
    at = np.arange(len(rows), dtype=float)
    return Figure(
        title="Where the stream comes from, span by span",
        caption="Mean signed share of a token's output that comes from its own input, from other "
        "tokens, and from biases; the three sum to 1.",
        x=Axis("span", names=tuple(rows["span"].astype(str))),
        y=Axis("signed share"),
        series=(
            Series("the token itself", at, own),
            Series("other tokens", at, all_tokens - own, "fit"),
            Series("biases", at, bias, "noise"),
        ),
    )
