"""The numbers of one trial, each beside those of the dense model, or of the whole adapter."""

import math
from collections.abc import Mapping
from typing import Any

from app import quantities
from app.plots import trial_words
from app.plots.predicted_against_measured import RELIABLE
from app.views.parts import chart
from app.views.parts.chart import Card

Row = Mapping[str, Any]
OVERFLOW = 700.0  # nats beyond which a perplexity is no float


def draw(row: Row) -> None:
    """Draw a row of cards on size and loss, and one on everything else that was measured."""
    chart.cards(_plain(card) for card in (*_size(row), *_loss(row)))
    chart.cards(_plain(card) for card in (*_quality(row), *_base(row), *_speed(row)))


def _plain(card: Card) -> Card:
    title, value, beside, about = (chart.plain(text) for text in card)
    return title, value, beside, about


def _size(row: Row) -> list[Card]:
    beside = trial_words.beside([row])
    kept = beside.part.removeprefix("the ").capitalize()
    asked = f"asked {quantities.percent(row['nominal'])}" if _known(row, "nominal") else ""
    linear = f"{quantities.count(row['linear_numbers'])} of "
    whole = f"{quantities.count(row['model_numbers'])} of "
    return [
        (
            f"{kept} kept",
            quantities.percent(row["kept_linear"]),
            asked or linear + quantities.count(row["of_linear_numbers"]),
            f"{linear}{quantities.count(row['of_linear_numbers'])} parameters.",
        ),
        (
            "Whole model kept",
            quantities.percent(row["kept_model"]),
            whole + quantities.count(row["of_model_numbers"]),
            "Parameters of the whole model, tied ones once.",
        ),
        (
            "On disk",
            quantities.size(row["bytes"]),
            f"{quantities.size(row['of_bytes'])} {beside.name}",
            "The saved weights with scales and indices, beside the dense ones in the same dtype."
            if beside.is_dense
            else f"The smaller adapter's file, beside {beside.the}.",
        ),
    ]


def _loss(row: Row) -> list[Card]:
    lost = "Spearman lost" if row["metric"] == "spearman" else "Δloss"
    found = [
        (
            lost,
            trial_words.signed(row["delta"]),
            trial_words.interval(row) or "no interval",
            f"Change from {trial_words.beside([row]).the} with its paired 95 % interval; positive "
            "is worse. Nats per token.",
        )
    ]
    if _known(row, "predicted"):
        beside = f"measured {trial_words.signed(row['delta'])}"
        if row["predicted"] > RELIABLE:
            beside = f"not reliable above {RELIABLE:g}"
        words = "From the calibration alone: slope and curvature of the loss, nats per token."
        found.append(("Predicted Δloss", trial_words.signed(row["predicted"]), beside, words))
    return found


def _quality(row: Row) -> list[Card]:
    """Return the measures that were taken, the dense model's or whole adapter's beside each."""
    say, whole = quantities.digits, trial_words.beside([row]).name
    score = ("Spearman", "score", "dense_score", say, "Of cosines with the scores of the pairs.")
    asked = (
        score if row["metric"] == "spearman" else None,
        ("Perplexity", "perplexity", "dense_perplexity", say, "e to the mean loss per token."),
        ("Next token", "accuracy", "dense_accuracy", quantities.percent, "Tokens predicted first."),
        (
            "Multiple choice", "choice_accuracy", "dense_choice_accuracy", quantities.percent,
            "Questions answered by log-likelihood.",
        ),
        (
            "Before recovery", "recovered", "score", lambda value: f"{value:.3f}",
            "Score before the factors were trained; the dense control is drawn below.",
        ),
    )  # fmt: skip
    found = []
    for title, name, other, words, about in filter(None, asked):
        if _known(row, name):
            who = "after" if name == "recovered" else whole
            found.append((title, words(row[name]), f"{who} {words(row[other])}", about))
    return [*found, *_layer_error(row)]


def _base(row: Row) -> list[Card]:
    """Return how the base of an adapter does without it, which says what the adapter is worth."""
    if not _known(row, "base_score"):
        return []
    is_loss = row["metric"] == "loss"
    score = math.exp(min(row["base_score"], OVERFLOW)) if is_loss else row["base_score"]
    what = "Perplexity" if is_loss else "Spearman"
    whole = trial_words.beside([row]).the
    return [
        (
            f"{what}, base alone",
            quantities.digits(score),
            f"Δ {trial_words.signed(row['worth'])} {trial_words.interval(row, 'worth')}".strip(),
            f"{what} of the base without {whole}, on the same windows; Δ is what {whole} is worth "
            "there: how much worse the base is, with its paired 95 % interval.",
        )
    ]


def _layer_error(row: Row) -> list[Card]:
    if not _known(row, "whitened_error"):
        return []
    held = row["heldout_error"]
    if not quantities.known(held):
        return [("Layer error", quantities.digits(row["whitened_error"]), "calibration", "")]
    words = "√(Σ‖(W - W')X‖²/Σ‖WX‖²) on windows left out of the calibration."
    beside = f"{quantities.digits(row['whitened_error'])} calibration"
    return [("Held-out layer error", quantities.digits(held), beside, words)]


def _speed(row: Row) -> list[Card]:
    found = []
    ratio = trial_words.faster(row)
    if ratio is not None:
        beside = f"dense {quantities.digits(row['dense_latency'])} ms: {ratio:.2f}× as fast"
        about = f"Median of one forward pass, interleaved with the dense model. {row['speed_at']}"
        found.append(("Latency", f"{quantities.digits(row['latency'])} ms", beside, about))
    if _known(row, "peak_bytes"):
        beside = f"dense {quantities.size(row['dense_peak_bytes'])}"
        about = "Weights and the measured growth of a forward pass."
        found.append(("Peak memory", quantities.size(row["peak_bytes"]), beside, about))
    return found


def _known(row: Row, name: str) -> bool:
    return quantities.known(row[name])
