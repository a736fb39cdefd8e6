"""The trials of a model as pages and reports want them: each with a number, every column there."""

import time
from typing import Any

import pandas as pd

from app import quantities
from app.plots import trial_words

# What this page reads of a trial; a store that has no finished one yet lacks these columns.
READ = (
    "method", "nominal", "allocation", "form", "objective", "compensation", "kept_linear",
    "kept_model", "linear_numbers", "model_numbers", "of_linear_numbers", "of_model_numbers",
    "bytes", "of_bytes", "metric", "score", "dense_score", "delta", "delta_low", "delta_high",
    "predicted", "perplexity", "dense_perplexity", "bits_per_byte", "accuracy", "dense_accuracy",
    "choice_accuracy", "dense_choice_accuracy", "recovered", "control", "whitened_error",
    "heldout_error", "latency", "dense_latency", "tokens_per_second", "dense_tokens_per_second",
    "speed_at", "flops", "dense_flops", "peak_bytes", "dense_peak_bytes", "calibrated_on",
    "evaluated_on", "warnings", "layers", "nats", "dense_nats", "counts", "losses",
    "control_losses", "prompt", "sample", "dense_sample", "record",
    "beside", "notes", "base_score", "worth", "worth_low", "worth_high",
)  # fmt: skip


def of_model(client: Any, model: str) -> pd.DataFrame:
    """Return every trial of a model that ended, the newest job's first, with a name such as 14.2.

    The first number is the job's; the second counts the trials that it was asked for.
    """
    found: pd.DataFrame = client.store.trials(model)
    lacking = [name for name in READ if name not in found]
    found = found.assign(**dict.fromkeys(lacking))
    found = found.fillna({"message": "", "notes": "", "beside": "dense"})  # a row of before
    found["trial"] = found["number"].astype(str) + "." + found["place"].astype(str)
    return found


def finished(found: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that were measured."""
    return found[found["state"].eq("done") & found["delta"].notna()]


def measured_on(done: pd.DataFrame) -> pd.Series:
    """Return on what each trial was measured: the text, and its windows where they are not one.

    Windows that were drawn with another seed show in the score of the dense model, or adapter.
    """
    text = done["evaluated_on"].fillna("").astype(str)
    tokens = done["counts"].map(lambda counts: 0 if counts is None else sum(counts))
    windows = done["nats"].map(lambda nats: 0 if nats is None else len(nats))
    drawn = pd.Series(
        [
            f"{text}, {window} windows, {quantities.digits(round(token))} tokens, "
            f"{trial_words.beside([{'beside': whole}]).name} {score:.3f}"
            for text, window, token, score, whole in zip(
                text,
                windows,
                tokens,
                done["dense_score"].astype(float),
                done["beside"],
                strict=True,
            )
        ],
        index=done.index,
    )
    several = drawn.groupby(text).transform("nunique") > 1
    return text.where(~several, drawn)


def names(found: pd.DataFrame) -> dict[str, str]:
    """Return each trial's words in a list, by its key."""
    return {
        str(row["unit"]): f"{row['trial']} · {row['label']}" for row in found.to_dict("records")
    }


def when(finished: Any) -> str:
    """Return how long ago something ended."""
    if not quantities.known(finished):
        return quantities.NOT_KNOWN
    return quantities.ago(max(time.time() - finished, 0.0))


def summary(done: pd.DataFrame) -> pd.DataFrame:
    """Return what is read of each finished trial, a row for each; shares are in per cent."""
    rows: list[Any] = done.to_dict("records")
    return pd.DataFrame({
        "trial": done["trial"],
        "method": trial_words.line_names(rows),
        "asked": 100 * _numbers(done, "nominal"),
        "linears": 100 * _numbers(done, "kept_linear"),
        "model": 100 * _numbers(done, "kept_model"),
        "bytes": [quantities.size(row["bytes"]) for row in rows],
        "Δloss": _numbers(done, "delta"),
        "95 %": [trial_words.interval(row) or None for row in rows],
        "predicted": _numbers(done, "predicted"),
        "perplexity": _numbers(done, "perplexity"),
        "error": _numbers(done, "heldout_error"),
        "speed": pd.Series([trial_words.faster(row) for row in rows], done.index, dtype=float),
    })  # fmt: skip


def _numbers(done: pd.DataFrame, name: str) -> pd.Series:
    return pd.to_numeric(done[name], errors="coerce")
