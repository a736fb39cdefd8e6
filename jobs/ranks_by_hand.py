"""Ranks as they are written: `blocks.0.q=12, blocks.*.up=40, blocks.1.k=dense`."""

from collections.abc import Mapping, Sequence

from jobs import layers, suggest
from jobs.errors import JobError

DENSE = "dense"


def changed(ranks: Mapping[str, int], text: str, names: Sequence[str]) -> dict[str, int]:
    """Return the ranks with what the text sets; a later pattern goes before an earlier one.

    Raises JobError for a pattern that means none of the names, and for what is no rank.
    """
    found = dict(ranks)
    for word in layers.split(text):
        pattern, sign, value = (part.strip() for part in word.rpartition("="))
        if not sign or not (value == DENSE or value.isdecimal()):
            raise JobError(
                f"ranks by hand: {word!r} sets no rank: write blocks.0.q=12, blocks.*.up=40, or "
                f"blocks.1.k={DENSE}"
            )
        meant = [name for name in names if layers.matches(name, pattern)]
        if not meant:
            raise suggest.unknown("layer", pattern, names)
        for name in meant:
            found.pop(name, None)
            found |= {} if value == DENSE else {name: int(value)}
    return {name: found[name] for name in names if name in found}
