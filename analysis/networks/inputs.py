"""What a model is run on: windows of text, labelled texts, or arrays.

Causal models read one stream of tokens, opened by one beginning-of-text token where the tokenizer
has one; it is cut into windows that do not overlap. Encoders read each window between the
tokenizer's own opening and closing tokens.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.networks.errors import BadInput
from analysis.networks.labelled import Labelled, is_table, labelled, no_labels
from analysis.networks.opened import OpenedModel
from analysis.networks.positions import check_length
from analysis.networks.transformer import Task
from analysis.weights.source import Source

BUNDLED = "bundled held-out text"
TEXT = f"a text file (or .npy of token ids); none: the {BUNDLED}"
TEXT_OR_DATA = (
    "a text file, .npy of token ids, table of labelled texts (classifiers), or .npz with X and Y "
    f"(chains of layers); none: the {BUNDLED}, or seeded Gaussian inputs for a chain"
)
LONG_TOKEN = 32  # characters: a prefix of this many for each token is enough to cut from
SPACE = "\u2581"  # how SentencePiece writes the space before a word


def text_field(words: str = TEXT) -> Any:
    """Declare the parameter that names what `Inputs` reads, in words that say what it may be."""
    return field(default=None, metadata={"help": words, "reads": "text"})


@dataclass(frozen=True)
class Inputs:
    """The text that a parameter names (None: the bundled one), as its model reads it."""

    model: OpenedModel | None = None
    text: str | None = None

    @property
    def name(self) -> str:
        """The file's name, or the bundled text's."""
        return Path(self.text).name if self.text else BUNDLED

    @cached_property
    def sha256(self) -> str:
        """The hash of the content, whatever its name."""
        return hashlib.sha256(self._bytes).hexdigest()

    @cached_property
    def _bytes(self) -> bytes:
        if not self.text:
            from analysis import sample

            return sample.text("heldout").encode()
        with self._read() as path:
            return path.read_bytes()

    @property
    def _words(self) -> str:
        return self._beginning(None)

    def _beginning(self, characters: int | None) -> str:
        """Return the first characters of the text (None: all), of a long file without the rest."""
        with self._read() as path:
            if not self.text:
                return self._bytes.decode()[:characters]
            with path.open(encoding="utf-8", newline="") as file:
                found = file.read(characters)
        if not found.strip():
            raise BadInput(f"{self.name} is empty: give a text with words in it")
        return found

    @contextmanager
    def _read(self) -> Iterator[Path]:
        """Give the path, and say in a sentence why it cannot be read."""
        path = Path(self.text or "").expanduser()
        try:
            yield path
        except OSError as error:
            raise BadInput(
                f"the text {path} cannot be read ({error.strerror}): check the path"
            ) from None
        except UnicodeDecodeError:
            raise BadInput(
                f"{self.name} is no UTF-8 text: convert it, or give token ids as .npy"
            ) from None

    def tokens(self, most: int | None = None) -> Tensor:
        """Return the ids of the text, (N,) int64, or the first `most` of them.

        Raises BadInput for an empty or unreadable text, and for ids outside the vocabulary;
        NotRunnable when the model has no tokenizer.
        """
        if self._is("npy"):
            return self._ids()[:most]
        tokenizer = self._opened.tokenizer()
        bos = [] if _encloses(tokenizer, self._opened.task) else _opening(tokenizer)
        prefix = None if most is None else LONG_TOKEN * (most + 1)
        words = self._beginning(prefix)
        found = tokenizer(words, add_special_tokens=False, verbose=False)["input_ids"]
        ids = torch.tensor([*bos, *found], dtype=torch.int64)
        if most is not None and len(ids) < most and len(words) == prefix:
            return self.tokens()[:most]
        return ids[:most]

    def windows(self, count: int, length: int) -> Tensor:
        """Return the text's first windows, (count, length) int64.

        Raises BadInput when the text is too short or a window longer than the model's positions.
        """
        self._check(length)
        before, after = self._ends()
        inner = length - len(before) - len(after)
        if count < 1 or inner < 1:
            raise BadInput(
                f"{count} windows of {length} tokens hold nothing: ask for at least one window of "
                f"{len(before) + len(after) + 1} tokens"
            )
        ids = self.tokens(count * inner)
        if len(ids) < count * inner:
            raise BadInput(
                f"{self.name} has {len(ids)} tokens for {self._opened.name}, and {count} windows "
                f"of {length} need {count * inner}: give a longer text, or fewer or shorter windows"
            )
        cut = ids.view(count, inner)
        ends = [torch.tensor(side, dtype=torch.int64).expand(count, -1) for side in (before, after)]
        return torch.cat([ends[0], cut, ends[1]], dim=1)

    def labelled(self, count: int, length: int) -> Labelled:
        """Return the first texts of a table with the columns `text` and `label`.

        Raises BadInput for anything but a .csv, .tsv or .jsonl with both, and for unknown labels.
        """
        self._check(length)
        if not (self.text and is_table(self.name)):
            raise no_labels(self._opened, self.name)
        return labelled(self._opened, self._words, self.name, count, length)

    def words(self, ids: Sequence[int] | Tensor) -> list[str]:
        """Return one readable string a token; the number itself where there is no tokenizer."""
        plain = [int(i) for i in ids]
        if self._is("npy"):
            return [str(i) for i in plain]
        tokenizer = self._opened.tokenizer()
        pieces = tokenizer.convert_ids_to_tokens(plain)
        return [_readable(tokenizer.decode([i]), p) for i, p in zip(plain, pieces, strict=True)]

    def arrays(self) -> tuple[Tensor, Tensor] | None:
        """Return X and Y of an .npz file as float64, or None when no file was given.

        Raises BadInput for a file that does not hold both, with as many rows each.
        """
        if not self.text:
            return None
        try:
            with np.load(io.BytesIO(self._bytes), allow_pickle=False) as held:
                X, Y = held["X"], held["Y"]
        except (ValueError, KeyError, OSError, TypeError):
            raise BadInput(
                f"{self.name} holds no arrays X and Y: give an .npz file with both"
            ) from None
        if len(X) != len(Y) or not len(X):
            raise BadInput(f"{self.name} has {len(X)} rows of X and {len(Y)} of Y: give as many")
        return torch.from_numpy(np.asarray(X, np.float64)), torch.from_numpy(
            np.asarray(Y, np.float64)
        )

    @property
    def _opened(self) -> OpenedModel:
        if self.model is None:
            raise BadInput("there is no model to read the text: open one first")
        return self.model

    def _is(self, suffix: str) -> bool:
        return bool(self.text) and str(self.text).lower().endswith(f".{suffix}")

    def _ids(self) -> Tensor:
        try:
            held = np.load(io.BytesIO(self._bytes), allow_pickle=False)
        except (ValueError, OSError):
            raise BadInput(f"{self.name} is no .npy array: write it with numpy.save") from None
        if held.ndim != 1 or held.dtype.kind not in "iu" or not held.size:
            raise BadInput(
                f"{self.name} holds {held.dtype} of shape {held.shape}: "
                "expected one row of token ids"
            )
        vocabulary = int(getattr(self._opened.config, "vocab_size", 0))
        if held.min() < 0 or (vocabulary and held.max() >= vocabulary):
            raise BadInput(
                f"{self.name} has the token id {held.max() if held.min() >= 0 else held.min()}, "
                f"outside of the model's {vocabulary}: tokenise the text with its own tokenizer"
            )
        return torch.from_numpy(held.astype(np.int64))

    def _ends(self) -> tuple[list[int], list[int]]:
        """Return the tokens that open and close each window."""
        if self._is("npy"):
            return [], []
        tokenizer = self._opened.tokenizer()
        if not _encloses(tokenizer, self._opened.task):
            return [], []
        return [tokenizer.cls_token_id], [tokenizer.sep_token_id]

    def _check(self, length: int) -> None:
        check_length(self._opened.source, length, self._opened.config.to_dict())


def check_text(source: Source, text: str | None, count: int, length: int) -> None:
    """Raise what reading `count` windows of `length` tokens would raise, before a model is loaded.

    BadInput or NotRunnable: too long a window, an unreadable or too short text, no tokenizer.
    """
    check_length(source, length)
    Inputs(OpenedModel(source), text).windows(count, length)


def _readable(word: str, piece: str) -> str:
    """Return a decoded token with the space before it, which decoders drop from a lone token."""
    return f" {word}" if piece.startswith(SPACE) and not word.startswith(" ") else word


def _encloses(tokenizer: Any, task: Task) -> bool:
    both = tokenizer.cls_token_id is not None and tokenizer.sep_token_id is not None
    return task != "causal" and both


def _opening(tokenizer: Any) -> list[int]:
    return [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
