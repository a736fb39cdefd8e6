"""What is said of a trial of an update: what its sizes are of, and what no LoRA carries."""

from pathlib import Path

from analysis.compress.lora.fits import chosen
from analysis.compress.lora.reduce import Reduced
from analysis.compress.trials.stages import Given
from analysis.weights import hub
from analysis.weights.source import Source

LISTED = 4  # tensors that are named in a warning


def of_sizes(given: Given, reduced: Reduced) -> list[str]:
    """Return what shares, bytes and the whole model are of, a sentence each."""
    count, name = f"{reduced.numbers_before:,}", base_name(given.opened.source)
    some = "" if chosen(given.opened) is None else "chosen layers of the "
    if is_shrunk(given):
        said = [
            f"Shares are of the {count} numbers of the {some}adapter before it was shrunk, bytes "
            f"of its file; the whole model is {name} and the adapter."
        ]
    else:
        said = [
            f"Shares are of the {count} numbers of the {some}matrices that differ from {name}, "
            f"bytes of these as stored; the whole model is {name} and the adapter, beside {name} "
            "alone."
        ]
    if reduced.numbers_beside:
        said.append(
            f"Layers that were not chosen keep all of their updates: {reduced.numbers_beside:,} "
            "numbers in the adapter and in the whole model, and in no share."
        )
    return said


def left_out(reduced: Reduced) -> list[str]:
    """Return a warning of the changed tensors that the adapter does not hold."""
    if not reduced.skipped:
        return []
    named = "; ".join(f"{tensor} ({why})" for tensor, why in reduced.skipped[:LISTED])
    more = len(reduced.skipped) - LISTED
    rest = f"; and {more} more" if more > 0 else ""
    return [f"No LoRA carries these, which have the base's values: {named}{rest}."]


def is_shrunk(given: Given) -> bool:
    """Say whether a trial is of an adapter's own factors."""
    return given.spec.parsed()[0].updates == ("adapter",)


def base_name(source: Source) -> str:
    """Return what the written adapter calls its base: a hub id, or a folder's name."""
    assert source.base is not None
    origin = source.base.origin
    return origin if hub.looks_like_id(origin) and not Path(origin).exists() else source.base.name
