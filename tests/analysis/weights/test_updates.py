"""Updates as data: their words, and their way through JSON."""

import json
from dataclasses import asdict

import pytest

from analysis.weights.matrix import Label
from analysis.weights.outside import why_not_linear
from analysis.weights.updates import Part, Target, Update, is_update, of_the_whole, view_of


@pytest.mark.parametrize(
    ("word", "view"),
    [("whole", "delta"), ("head 2", "delta head 2"), ("part q", "delta part q")],
)
def test_a_view_says_that_it_is_of_an_update(word, view):
    assert view_of(word) == view
    assert of_the_whole(view) == of_the_whole(word) == word
    assert (is_update(view), is_update(word)) == (True, False)


def test_a_head_of_an_update_is_outside_for_the_same_reason():
    words = [
        why_not_linear(Label("blocks.0.q[head 2]", "t", "q", 0, view, "other"))
        for view in ("head 2", "delta head 2")
    ]
    assert words[0] == words[1] == "an attention head, part of a layer that takes part"


def test_it_survives_json():
    parts = (Part("a", "t", "float32", (2, 3)), Part("b", "t", "float16", (3,)))
    target = Target("h.0", "conv1d", (3, 2))
    update = Update("peft", parts, 0.5, True, (target,), "{}")
    assert Update.from_dict(json.loads(json.dumps(asdict(update)))) == update
    assert update.files == ("a", "b")
