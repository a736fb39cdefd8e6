import pytest

from jobs.errors import JobError
from jobs.ranks_by_hand import changed

NAMES = ["blocks.0.q", "blocks.0.up", "blocks.1.q", "conv[slice 0,1]"]


def test_what_is_written_stands_before_what_was_there():
    ranks = {"blocks.0.q": 3, "blocks.1.q": 4}
    assert changed(ranks, "", NAMES) == ranks
    assert changed(ranks, "blocks.0.q=12", NAMES) == {"blocks.0.q": 12, "blocks.1.q": 4}
    assert changed(ranks, "blocks.0.up = 1", NAMES) == {**ranks, "blocks.0.up": 1}
    assert changed(ranks, "blocks.*.q=dense", NAMES) == {}
    assert changed(ranks, "blocks.*.q=7, blocks.1.q=0", NAMES) == {"blocks.0.q": 7, "blocks.1.q": 0}
    assert changed({}, "conv[slice 0,1]=2", NAMES) == {"conv[slice 0,1]": 2}
    assert ranks == {"blocks.0.q": 3, "blocks.1.q": 4}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("blocks.0.q", "'blocks.0.q' sets no rank: write blocks.0.q=12"),
        ("blocks.0.q=-1", "sets no rank"),
        ("blocks.0.q=half", "sets no rank"),
        ("blocks.7.up=2", "unknown layer 'blocks.7.up': did you mean 'blocks.0.up'"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(text, words):
    with pytest.raises(JobError, match=words):
        changed({}, text, NAMES)
