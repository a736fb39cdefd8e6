"""Checkpoints of one training run: subfolders or files whose name ends in a number."""

import re
from dataclasses import dataclass
from pathlib import Path

from analysis.weights.files import SHARD
from analysis.weights.folders import weight_files

# "500", "step_00500", "epoch-03", and without a separator only after a word that means a step, so
# that "resnet20" is a model and no checkpoint.
NUMBERED = re.compile(
    r"(?:^|[-_.=]|step|epoch|iter|iteration|checkpoint|ckpt)(\d+)$", flags=re.IGNORECASE
)


@dataclass(frozen=True)
class Step:
    """One checkpoint of a series."""

    number: int
    path: Path


def steps_in(folder: Path) -> tuple[list[Step], list[str]]:
    """Return the checkpoints of a folder by number, and what was left out and why."""
    numbered: dict[int, Step] = {}
    notes = []
    for path in sorted(folder.iterdir()):
        match = NUMBERED.search(path.name if path.is_dir() else path.stem)
        if match is None or not (path.is_dir() or path in weight_files(folder)):
            continue
        if path.is_dir() and not weight_files(path):
            notes.append(f"{path.name} holds no weights: left out of the series")
        elif SHARD.search(path.stem) is None:
            numbered.setdefault(int(match[1]), Step(int(match[1]), path))
            if numbered[int(match[1])].path != path:
                other = numbered[int(match[1])].path.name
                notes.append(f"{path.name} has the number of {other}: left out of the series")
    return [numbered[number] for number in sorted(numbered)], notes
