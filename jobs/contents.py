"""What a whole-model unit depends on, as hashes of contents: the key its result is stored under.

A file is hashed once, and the hash remembered for as long as the file has its size and time, so
that a second run reads nothing.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from analysis import weights
from analysis.networks.inputs import Inputs
from analysis.registry import AnalysisError
from analysis.sample import corpus
from jobs.tasks import Recall, Remembered, Whole, digest

WHOLE_FILE = ""  # in the place of a tensor's name
BESIDE = (  # what makes a model of weights
    *("config.json", "adapter_config.json", "tokenizer*", "vocab*", "merges.txt"),
    *("special_tokens_map.json", "added_tokens.json", "*.model"),
)
Hash = Callable[[Path], str]


class NotRemembered(Exception):  # noqa: N818  what is so, and no fault
    """A file that was never hashed, or changed since."""


class Hashes:
    """The hashes of files; `fresh` has those that were not remembered."""

    def __init__(self, recall: Recall) -> None:
        self._recall = recall
        self.fresh: list[Remembered] = []

    def remembered(self, path: Path) -> str:
        """Return the hash of a file without reading it. Raises NotRemembered."""
        state = _state(path)
        known = self._recall.fingerprints(str(path), state[0], state[1])
        if WHOLE_FILE not in known:
            raise NotRemembered(path)
        return known[WHOLE_FILE]

    def read(self, path: Path) -> str:
        """Return the hash of a file, read where it must be. Raises AnalysisError."""
        try:
            return self.remembered(path)
        except NotRemembered:
            size, mtime_ns = _state(path)
            try:
                with path.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise _unreadable(path, error) from error
            self.fresh.append((str(path), size, mtime_ns, WHOLE_FILE, found))
            return found


def inputs(whole: Whole, params: Mapping[str, Any], sha256: Hash) -> dict[str, Any]:
    """Return the parameters that reach the numbers, with contents for the names of files."""
    named = {name: params[name] for name in whole.reads if name in params}
    return {**params, **{name: _text(value, sha256) for name, value in named.items()}}


def contents(whole: Whole, source: Any, sha256: Hash) -> list[Any]:
    """Return what is worked on, for a key: the files of each checkpoint, and the chosen layers.

    A training run works on nothing but the bundled text, whole: it learns from one part of it and
    is measured on another.
    """
    if whole.unit == "training":
        return [digest(corpus.current())]
    opened = [source.at(step.number) for step in source.steps] if whole.unit == "series" else []
    steps = [step.number for step in source.steps] if whole.unit == "series" else []
    hashes = [of_source(each, sha256) for each in opened or [source]]
    return [steps, hashes, whole.all_layers, list(whole.layers)]


def of_source(source: Any, sha256: Hash) -> list[Any]:
    """Return a model's files by name and hash.

    A base's are apart: turned round they are another update.
    """
    base = set(files(source.base)) if source.base else set()
    named = [[path in base, path.name, sha256(path)] for path in files(source)]
    return [source.kind, sorted(named)]


def files(source: Any) -> list[Path]:
    """Return every file that a model and its base are made of: weights, settings, tokenizer."""
    below = files(source.base) if source.base else []
    own = {tensor.file for tensor in source.stored}
    read = {file for ref in source.matrices() for file in weights.files_of(ref)}
    paths = {Path(file) for file in own | read}
    beside = (found for path in paths for word in BESIDE for found in path.parent.glob(word))
    return sorted({*below, *paths, *(path for path in beside if path.is_file())})


def _text(value: Any, sha256: Hash) -> str:
    return Inputs().sha256 if value is None else sha256(Path(value))


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return found.st_size, found.st_mtime_ns


def _unreadable(path: Path, error: OSError) -> AnalysisError:
    return AnalysisError(f"{path} cannot be read ({error.strerror}): check the path")
