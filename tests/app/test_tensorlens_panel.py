"""The view over planted rows: what it says of few rows, of unknown values, of odd tokens."""

import json

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.app.seen import titles, words

TOKENS = ["<s>", " *bold*", "$x$\n", "`", "[a](b)"]
SHARE = np.tril(np.full((5, 5), 0.1)) + np.eye(5) * 0.2
DELETED = {
    "deletion_windows": 50, "deleted_share": [0.0, 0.5, 1.0], "drop_contributions": [0.0, 3.0, 4.0],
    "drop_rollout": [0.0, 2.0, 4.0], "drop_random": [0.0, 1.0, 4.0], "over_random": 1.0,
    "over_random_low": 0.5, "over_random_high": 1.5, "over_rollout": 0.5,
    "over_rollout_low": -0.1, "over_rollout_high": 1.1,
}  # fmt: skip
NOT_RUN = dict.fromkeys(DELETED)


def row(span="whole model", **settings):
    arrays = {"share": SHARE, "norm": SHARE, "logit": SHARE, "frobenius": SHARE,
              "frobenius_error": SHARE / 10, "rollout": SHARE}  # fmt: skip
    return {
        "span": span, "start": 0, "stop": 2, "blocks": 2, "text": "my_*text*.txt", "window": 0,
        "tokens": json.dumps(TOKENS), "gating": "up", "probes": 8, "seed": 0, "dtype": "float32",
        "residual": 4e-7, "logit_residual": 3e-7, "back": 0.0, "position": 4,
        "target": "the logit of 'a'", "logit_of": json.dumps(TOKENS), "status": "done",
        "bias_share": [0.1] * 5, "bias_norm": [0.1] * 5, "bias_logit": [0.1] * 5,
        **arrays, **NOT_RUN, **settings,
    }  # fmt: skip


def page(rows):
    from app.shown import Shown
    from app.views.parts.panels import tensorlens

    tensorlens.draw(Shown(None, {}, {"id": "j"}, rows, lambda cell: cell))


def drawn(*rows):
    table = pd.DataFrame(list(rows)) if rows else pd.DataFrame({"share": []})
    at = AppTest.from_function(page, args=(table,), default_timeout=30).run()
    assert not at.exception
    return at


def card(at, label):
    [found] = [metric for metric in at.metric if metric.label == label]
    return found.value.replace("\\", "")


def test_one_row_with_the_deletion_test():
    at = drawn(row(**DELETED))
    assert card(at, "Residual") == "4.00e-07"
    assert card(at, "Over random") == "1"
    assert [m.delta for m in at.metric if m.label == "Over random"] == ["0.500 to 1.50"]
    assert titles(at) == [
        "Token by token: signed share",
        "The text",
        "Deletion test",
    ]
    assert "my_*text*.txt, window 0, float32. At token 4: the logit of 'a'." in words(at)
    assert at.selectbox(key="lens_target").value == "4"


def test_every_reading_can_be_chosen():
    at = drawn(row())
    assert card(at, "Over random") == "—"
    options = at.selectbox(key="lens_what").options
    assert options == ["signed share", "norm", "logit", "Frobenius norm", "attention rollout"]
    for what in ("norm", "logit", "frobenius", "rollout"):
        at.selectbox(key="lens_what").set_value(what).run()
        assert not at.exception
    at.selectbox(key="lens_what").set_value("frobenius").run()
    assert "8 probes: the median standard error is 10 % of a norm" in words(at)
    at.selectbox(key="lens_what").set_value("logit").run()
    at.selectbox(key="lens_target").set_value("1").run()
    assert "The logit is that of “·*bold*”" in words(at)


def test_an_encoder_without_a_head_and_without_probes():
    bare = {"logit": None, "frobenius": None, "frobenius_error": None, "logit_of": None,
            "logit_residual": None, "bias_logit": None, "back": None}  # fmt: skip
    at = drawn(row(**bare))
    assert at.selectbox(key="lens_what").options == ["signed share", "norm", "attention rollout"]
    assert card(at, "Logit residual") == "—"


def test_a_logit_that_is_not_there():
    at = drawn(row(logit=np.full((5, 5), np.nan), bias_logit=[np.nan] * 5))
    at.selectbox(key="lens_what").set_value("logit").run()
    assert not at.exception
    assert "no logit at the outlined token" in words(at)


def test_spans_are_chosen_and_compared():
    at = drawn(row(**DELETED), row("block 0", start=0, stop=1), row("block 1", logit=None))
    assert at.selectbox(key="lens_span").options == ["whole model", "block 0", "block 1"]
    at.selectbox(key="lens_span").set_value("block 1").run()
    assert not at.exception
    assert "logit" not in at.selectbox(key="lens_what").options
    assert "Where the stream comes from, span by span" in titles(at)
    assert "Deletion test" in titles(at)


@pytest.mark.parametrize("rows", [[], [row(share=None, status="failed")]])
def test_without_a_row_it_says_what_comes(rows):
    assert "No map yet" in words(drawn(*rows))
