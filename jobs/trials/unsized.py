"""What takes no share to keep, and what sets its size instead: said wherever a share is given.

Methods are as the catalogue declares them; nothing here imports torch.
"""

from collections.abc import Iterable, Mapping
from typing import Any

BY_HAND = "ranks by hand take no share to keep: they set the size of each layer"


def setting(methods: Mapping[str, Mapping[str, Any]], full_name: str) -> str:
    """Return the setting that says a method's size in the place of a share, "" where a share does.

    `full_name` is as it is written, such as "rtn:bits=4". One that is not declared has none.
    """
    name, *given = (part.strip() for part in full_name.split(":"))
    declared = methods.get(name, {})
    by = str(declared.get("sized_by") or "")
    if not declared.get("sized", True):
        return by
    # A method of updates takes a share where its rank is 0, as it is by default.
    values = {key.strip(): value.strip() for key, _, value in (one.partition("=") for one in given)}
    return by if values.get(by, "0").strip("0") else ""


def sentence(full_name: str, by: str) -> str:
    """Return what sets the size of a method."""
    return f"{full_name} takes no share to keep: {by} sets its size"


def sentences(methods: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> list[str]:
    """Return the sentence of each of these methods that takes no share, once."""
    found = ((name, setting(methods, name)) for name in names)
    return list(dict.fromkeys(sentence(name, by) for name, by in found if by))


def of_trials(
    methods: Mapping[str, Mapping[str, Any]], trials: Iterable[Mapping[Any, Any]]
) -> list[str]:
    """Return what set the sizes of trials (method, allocation) for which no share was asked."""
    rows = list(trials)
    by_hand = any(row["allocation"] == "by_hand" for row in rows)
    return [
        *sentences(methods, (str(row["method"]) for row in rows)),
        *([BY_HAND] if by_hand else []),
    ]
