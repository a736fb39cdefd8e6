"""Planted compression trials: a sweep of two methods over three sizes, with windows that agree."""

import hashlib
import json

import numpy as np
import pyarrow as pa

from analysis.catalogue import _declaration
from analysis.registry import find
from tests.app import fake_client

TRIAL = _declaration(find("trial"))
METHODS = {
    "lora_shrink": {
        "name": "lora_shrink", "title": "LoRA, shrunk", "paper": "", "sizes": "update",
        "needs": [], "sized": True, "sized_by": "rank", "updates": ["adapter"],
        "params": [
            {"name": "rank", "type": "int", "optional": False, "default": 0, "min": 0},
        ],
    },
    "svd": {
        "name": "svd", "title": "SVD", "paper": "https://doi.org/10.1007/BF02288367",
        "params": [], "sizes": "ranks", "needs": [], "sized": True,
    },
    "two_sided_svd": {
        "name": "two_sided_svd", "title": "Two-sided SVD", "paper": "", "params": [],
        "sizes": "ranks", "needs": ["gram", "gradient"], "sized": True,
    },
    "whitened_svd": {
        "name": "whitened_svd", "title": "Whitened SVD", "paper": "https://arxiv.org/abs/2403.07378",
        "params": [], "sizes": "ranks", "needs": ["gram"], "sized": True,
    },
    "rtn": {
        "name": "rtn", "title": "Round to nearest", "paper": "", "sizes": "own", "needs": [],
        "sized": False, "sized_by": "bits",
        "params": [
            {"name": "bits", "type": "int", "optional": False, "default": 4,
             "choices": [8, 4, 3], "help": "bits of a weight"},
            {"name": "group", "type": "int", "optional": False, "default": 64, "min": 1},
        ],
    },
}  # fmt: skip
WINDOWS, TOKENS, DENSE_BYTES, DENSE_LINEAR, DENSE_NUMBERS = (
    16,
    255.0,
    9_800_000,
    4_000_000,
    4_900_000,
)
# (method, size): what it loses in nats per token, which falls with the size.
LOST = {
    ("svd", 0.9): 0.05, ("svd", 0.8): 0.16, ("svd", 0.6): 0.62,
    ("whitened_svd", 0.9): 0.02, ("whitened_svd", 0.8): 0.06, ("whitened_svd", 0.6): 0.31,
}  # fmt: skip
DENSE = 1.8
EVALUATED = "the bundled held-out text, 16 windows of 256 tokens, one stream"


def with_trials(client, model="tiny"):
    """Give a fake client the methods, and a model the finished sweep."""
    offer(client)
    job = fake_client.add_job(client.own, model, "trial", labels=[label(m, k) for m, k in LOST])
    for (method, kept), lost in LOST.items():
        add_trial(client, job, row(method, kept, lost), label(method, kept))
    client.own.set_job(job, "DONE")
    client.own.set_progress(job, len(LOST), 0, 0, len(LOST))
    return job


def offer(client):
    """Give a fake client the declared trial and the methods."""
    client.analyses["trial"] = TRIAL
    client.methods = METHODS
    client.own.declare(TRIAL)


def label(method, kept):
    return f"{method}, {100 * kept:g} %, greedy, two factor"


def key_of(text):
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def add_trial(client, job, values, name, *, state="done", message=""):
    """Store one trial of a job, finished or failed; return its key."""
    key = key_of(f"{job}{name}")
    unit = {
        "key": key, "analysis": "trial", "version": 1, "params": "{}", "inputs": "[]",
        "state": state, "message": message, "seconds": 3.0, "device": "cpu", "versions": "{}",
    }  # fmt: skip
    rows = pa.Table.from_pylist([values]) if state == "done" else None
    client.own.finish_unit(unit, rows, None, None)
    client.own.link_unit(job, name, key, state)
    return key


def windows(lost, seed=0):
    """Return nats by window of a trial and of the dense model, whose difference hardly varies."""
    text = np.random.default_rng(7).normal(0, 0.3, WINDOWS)
    own = np.random.default_rng(seed).normal(0, 0.01, WINDOWS)
    dense = TOKENS * (DENSE + text)
    return (dense + TOKENS * (lost + own - own.mean())).tolist(), dense.tolist()


def row(method, kept, lost, **more):
    """Return a trial's row with every declared column."""
    nats, dense_nats = windows(lost, seed=int(100 * kept) + len(method))
    numbers = round(kept * DENSE_LINEAR)
    held = (DENSE_NUMBERS - DENSE_LINEAR + numbers) / DENSE_NUMBERS
    found = {
        "method": method, "nominal": kept, "allocation": "greedy", "form": "two_factor",
        "objective": "expected", "compensation": "none", "kept_linear": kept, "kept_model": held,
        "linear_numbers": numbers, "model_numbers": DENSE_NUMBERS - DENSE_LINEAR + numbers,
        "of_linear_numbers": DENSE_LINEAR, "of_model_numbers": DENSE_NUMBERS,
        "bytes": round(held * DENSE_BYTES), "of_bytes": DENSE_BYTES, "metric": "loss",
        "score": DENSE + lost, "dense_score": DENSE, "delta": lost, "delta_low": lost - 0.006,
        "delta_high": lost + 0.006, "predicted": 0.9 * lost, "perplexity": np.exp(DENSE + lost),
        "dense_perplexity": np.exp(DENSE), "bits_per_byte": 1.1 + lost, "accuracy": 0.6 - lost / 5,
        "dense_accuracy": 0.6, "choice_accuracy": None, "dense_choice_accuracy": None,
        "recovered": None, "control": None, "whitened_error": 0.1 + lost, "heldout_error":
        0.12 + lost, "latency": 10 * (0.4 + 0.6 * kept), "dense_latency": 10.0,
        "tokens_per_second": 25_600.0, "dense_tokens_per_second": 20_000.0,
        "speed_at": "batch 1, 256 tokens, 2 threads, 20 repeats", "flops": 2e6 * kept,
        "dense_flops": 2e6, "peak_bytes": 21_000_000, "dense_peak_bytes": 24_000_000,
        "calibrated_on": (
            "the bundled calibration text, 16 384 tokens, N/n = 102 for the widest input"
        ),
        "evaluated_on": EVALUATED, "warnings": "", "layers": json.dumps(layers(kept, lost)),
        "nats": nats, "dense_nats": dense_nats, "counts": [TOKENS] * WINDOWS, "losses": [],
        "control_losses": [], "prompt": "def mean(", "sample": "values):\n    return total",
        "dense_sample": "values):\n    return sum(values) / len(values)",
        "record": json.dumps({"spec": {"method": method, "kept": kept}, "seed": 0}),
    }  # fmt: skip
    return found | more


def layers(kept, lost):
    """Return the layers of a trial as their JSON holds them; the first stays dense."""
    found = []
    for block in range(2):
        for role, (rows, cols) in fake_client.MODULES.items():
            dense = block == 0 and role == "q"
            rank = None if dense else int(kept * rows * cols / (rows + cols))
            numbers = rows * cols if dense else rank * (rows + cols)
            found.append({
                "layer": f"blocks.{block}.{role}", "role": role, "block": block, "rows": rows,
                "cols": cols, "rank": rank, "dense": dense,
                "words": "dense" if dense else f"rank {rank}, two factor", "numbers": numbers,
                "of_numbers": rows * cols, "error": 0.0 if dense else 0.2 + lost,
                "whitened": 0.0 if dense else 0.1 + lost, "heldout": 0.0 if dense else 0.12 + lost,
                "predicted": 0.0 if dense else 0.9 * lost / 7, "largest": None,
            })  # fmt: skip
    return found
