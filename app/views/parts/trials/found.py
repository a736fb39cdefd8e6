"""The trials of a model as the page wants them: each with a number, every column there."""

import time
from typing import Any

import pandas as pd

from app import quantities

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
)  # fmt: skip


def of_model(client: Any, model: str) -> pd.DataFrame:
    """Return every trial of a model that ended, the newest first, with a name such as 14.2.

    The first number is the job's; the second counts the job's trials as they ended.
    """
    found: pd.DataFrame = client.store.trials(model)
    lacking = [name for name in READ if name not in found]
    found = found.assign(**dict.fromkeys(lacking))
    found["message"] = found["message"].fillna("")
    order = found.sort_values("finished", kind="stable").groupby("number").cumcount() + 1
    found["trial"] = found["number"].astype(str) + "." + order.reindex(found.index).astype(str)
    return found


def finished(found: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that were measured."""
    return found[found["state"].eq("done") & found["delta"].notna()]


def measured_on(done: pd.DataFrame) -> pd.Series:
    """Return on what each trial was measured: the text, and its windows where they are not one.

    Windows that were drawn with another seed show in the dense model's score.
    """
    text = done["evaluated_on"].fillna("").astype(str)
    tokens = done["counts"].map(lambda counts: 0 if counts is None else sum(counts))
    windows = done["nats"].map(lambda nats: 0 if nats is None else len(nats))
    drawn = pd.Series(
        [
            f"{text}, {window} windows, {quantities.digits(round(token))} tokens, dense {score:.3f}"
            for text, window, token, score in zip(
                text, windows, tokens, done["dense_score"].astype(float), strict=True
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
