"""What a compression job takes: words, memory, and the working files that it leaves."""

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.compress.calibration.sampled_tokens import sample_size
from analysis.networks.positions import positions
from analysis.registry import AnalysisError, Work
from jobs import text
from jobs.trials import unsized

if TYPE_CHECKING:
    from jobs.trials.plan import Asked

FLOAT32 = 4
LENGTH = 256  # tokens of a window where none is given, or all positions
NETWORKS = 3  # dense and compressed, and the copy that one of them is made of
CURE = "choose fewer layers with --layers, or keep less of the gradients with gradient=diagonal"


class DiskFull(AnalysisError):  # noqa: N818  what was found, no fault of the program
    """A job would leave more files than the disk has room for."""


def work(asked: "Asked") -> Work:
    """Return the words, and the memory that one stage takes at most."""
    files = text.size(working_bytes(asked))
    failing = [f"{label} will fail: {why}" for label, why in asked.unreached.items()]
    said = [_calibration(asked), _grid(asked), *_unsized(asked), f"{files} of working files"]
    said += failing
    return Work("; ".join(word for word in said if word), _memory(asked), cure=CURE)


def working_bytes(asked: "Asked") -> int:
    """Return the bytes of statistics and factors."""
    statistics = 0
    if asked.calibrated:
        statistics = asked.groups.statistics_bytes(asked.given.gradient, _sampled(asked))
    return statistics + len(asked.methods) * asked.groups.factor_bytes()


def check_disk(asked: "Asked", home: Path) -> None:
    """Raise DiskFull where the working files do not fit on the disk of the home."""
    needed, free = working_bytes(asked), shutil.disk_usage(home).free
    if needed > free:
        raise DiskFull(
            f"{asked.what} leaves {text.size(needed)} "
            f"of working files and {text.size(free)} are free on the disk of {home}: free some "
            "with `python -m jobs disk --free-all-working`, or choose fewer layers"
        )


def _calibration(asked: "Asked") -> str:
    if not asked.calibrated:
        return "no calibration"
    blocks = [block for block in asked.groups.refs if block is not None]
    what = f"{len(blocks)} blocks" if len(blocks) != 1 else "1 block"
    what = what if blocks else f"{len(asked.groups.layers)} layers"
    windows, length = asked.given.calibration_windows, _length(asked)
    return f"{what} calibrated on {windows} windows of {length} tokens"


def _length(asked: "Asked") -> int:
    """Return the tokens of one calibration window."""
    most = min(LENGTH, positions(asked.source.config) or LENGTH)
    return int(asked.given.calibration_length or most)


def _sampled(asked: "Asked") -> int:
    """Return of how many tokens a calibration keeps what layers read, at most."""
    return sample_size(asked.given.calibration_windows, _length(asked))


def _grid(asked: "Asked") -> str:
    specs = asked.specs
    if not specs:
        return f"factors of {' and '.join(asked.methods)}"
    kinds: list[tuple[str, set[Any]]] = [
        ("method", {spec.full_name for spec in specs}),
        ("size", {spec.kept for spec in specs} - {None}),
        ("allocation", {spec.allocation for spec in specs} - {""}),
        ("form", {spec.form for spec in specs} - {""}),
    ]
    shown = [(word, len(found)) for word, found in kinds if len(found) > 1 or word == "method"]
    if kinds[1][1]:
        shown = [*shown[:1], ("size", len(kinds[1][1])), *[s for s in shown[1:] if s[0] != "size"]]
    words = " x ".join(f"{count} {word}{'s' if count > 1 else ''}" for word, count in shown)
    whole = math.prod(count for _, count in shown) == len(specs)
    return words if whole else f"{words}, {len(specs)} trials"


def _unsized(asked: "Asked") -> list[str]:
    """Return what sets the sizes of those trials that no share does."""
    found = []
    for spec in asked.specs:
        if spec.ranks:
            found.append(unsized.BY_HAND)
        elif spec.kept is None:
            found.append(unsized.sentence(spec.full_name, spec.parsed()[0].sized_by))
    return list(dict.fromkeys(found))


def _memory(asked: "Asked") -> int:
    """Return what the largest stage takes: a trial's networks, or a run's statistics twice."""
    network = FLOAT32 * asked.source.run_parameters
    largest = 0
    if asked.calibrated:
        largest = asked.groups.largest_run(asked.given.gradient, _sampled(asked))
    trial = NETWORKS * network if asked.specs else 0
    return int(max(trial, network + 2 * largest))
