"""What becomes of a literal `<|endoftext|>` that stands in a text which is not split at it.

Tokenizers read the words of a special token as that token: of one that has it, the text then holds
separators of documents that no preset set. One without it splits the marker into ordinary tokens,
which are read and predicted as if someone had written them.
"""

from collections.abc import Sequence
from typing import Any

from analysis.evaluate.documents import MARKER


def left_in(tokenizer: Any, parts: Sequence[str], name: str, preset: str) -> list[str]:
    """Return the sentence for markers that are still in what is tokenised, [] where none is."""
    count = sum(part.count(MARKER) for part in parts)
    if not count:
        return []
    times = "once" if count == 1 else f"{count:,} times"
    return [
        f'{name} holds {MARKER} {times}, where preset "{preset}" does not split: '
        f"{_read(tokenizer)}. {_cure(name)}"
    ]


def _read(tokenizer: Any) -> str:
    """Return what a tokenizer makes of the marker, in words."""
    # Between letters, for some tokenizers read the beginning of a text otherwise.
    within = tokenizer(f"a{MARKER}a", add_special_tokens=False, verbose=False)["input_ids"]
    own = tokenizer.convert_tokens_to_ids(MARKER)
    if own in within and own != tokenizer.unk_token_id:
        return (
            f"the tokenizer reads it as one token, its separator of documents (id {own}), which "
            "windows hold where it stands and which is predicted like any other"
        )
    alone = tokenizer(MARKER, add_special_tokens=False, verbose=False)["input_ids"]
    pieces = " ".join(tokenizer.convert_ids_to_tokens(alone))
    return (
        f"the tokenizer has no such token and reads it as {pieces}, which is predicted as if it "
        "were words of the text"
    )


def _cure(name: str) -> str:
    if name.lower().endswith(".jsonl"):
        return "Write what stands between them as documents on lines of their own."
    return 'Choose preset "bos-per-document", which reads what stands between them one by one.'
