"""Which layers a pattern means: globs over the names that `models list` prints."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from jobs import suggest
from jobs.errors import JobError

ALL = "*"


def matches(layer: str, patterns: str) -> bool:
    """Say whether a layer is one of the comma-separated names or globs.

    Brackets are read in both ways: as part of a name (`conv1[slice *]`), and as a glob's set of
    characters (`blocks.[0-3].q`). A comma inside brackets belongs to the name.
    """
    return any(
        fnmatchcase(layer, pattern) or fnmatchcase(layer, pattern.replace("[", "[[]"))
        for pattern in split(patterns)
    )


def split(patterns: str) -> list[str]:
    """Return the patterns of a comma-separated list."""
    parts, depth = [""], 0
    for letter in patterns:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def check(patterns: str, known: Iterable[str]) -> None:
    """Raise JobError for a pattern that no known layer matches, with the nearest name."""
    names = list(known)
    if not names:
        raise JobError(
            "the model has no weight matrix to analyse: `models list MODEL` says why each of its "
            "tensors is skipped"
        )
    if not split(patterns):
        raise JobError(f"--layers {patterns!r} names no layer: leave it out for all layers")
    for pattern in split(patterns):
        if not any(matches(name, pattern) for name in names):
            raise suggest.unknown("layer", pattern, names, "see `models list MODEL`")


def patterns_of(names: Sequence[str]) -> list[str]:
    """Return a model's layers as few globs, its block numbers replaced: blocks.*.q, embed, ..."""
    short = (
        ".".join("*" if part.isdigit() else part for part in name.split(".")) for name in names
    )
    return list(dict.fromkeys(short))
