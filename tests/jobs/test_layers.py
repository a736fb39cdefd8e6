import pytest

from jobs import layers
from jobs.errors import JobError

NAMES = ["embed", "blocks.0.q", "blocks.1.q", "blocks.1.q[head 2]", "conv1[slice 0,1]"]


@pytest.mark.parametrize(
    ("patterns", "meant"),
    [
        ("*", NAMES),
        ("blocks.*.q", ["blocks.0.q", "blocks.1.q"]),
        ("blocks.*.q*", ["blocks.0.q", "blocks.1.q", "blocks.1.q[head 2]"]),
        ("embed, blocks.1.q", ["embed", "blocks.1.q"]),
        ("blocks.1.q[head 2]", ["blocks.1.q[head 2]"]),
        ("conv1[slice 0,1]", ["conv1[slice 0,1]"]),
        ("conv?[slice *]", ["conv1[slice 0,1]"]),
        ("blocks.[1-3].q", ["blocks.1.q"]),
    ],
)
def test_a_pattern_means_names_and_globs(patterns: str, meant: list[str]) -> None:
    assert [name for name in NAMES if layers.matches(name, patterns)] == meant
    layers.check(patterns, NAMES)


def test_a_pattern_that_means_nothing_gets_the_nearest_name() -> None:
    with pytest.raises(JobError, match=r"unknown layer 'blocks.0.p': did you mean 'blocks.0.q'"):
        layers.check("embed,blocks.0.p", NAMES)
    with pytest.raises(JobError, match="names no layer"):
        layers.check(" ", NAMES)


def test_the_patterns_of_a_model_match_its_layers() -> None:
    short = layers.patterns_of(NAMES[:3])
    assert short == ["embed", "blocks.*.q"]
    assert all(layers.matches(name, ",".join(short)) for name in NAMES[:3])
