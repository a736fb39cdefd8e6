"""The documents of a text: lines of a .jsonl, or what stands between end-of-text markers."""

import json

from analysis.networks.errors import BadInput

MARKER = "<|endoftext|>"
JOINED = {"stream": "\n", "wikitext": "\n\n"}  # how documents become one text
PRESETS = {
    "stream": "the whole text as it stands, opened once",
    "wikitext": "documents joined by blank lines, opened once",
    "bos-per-document": "documents without the space around them, each opened",
}


def documents(text: str, name: str, preset: str) -> list[str]:
    """Return what is tokenised one by one under a preset: one text, or each document.

    Documents are the field "text" of each line of a .jsonl file, else the parts of the text
    between `MARKER`s; a text without them is one document. Raises BadInput for an unknown preset,
    a .jsonl line without the field, and where nothing is left.
    """
    if preset not in PRESETS:
        raise BadInput(f"there is no preset {preset!r}: choose one of {', '.join(PRESETS)}")
    by_lines = name.lower().endswith(".jsonl")
    if preset == "stream" and not by_lines:
        return [text]
    parts = _of_lines(text, name) if by_lines else text.split(MARKER)
    if preset == "bos-per-document":
        parts = [part.strip() for part in parts]
    parts = [part for part in parts if part.strip()]
    if not parts:
        raise BadInput(f"{name} has no document with words in it: give another text")
    return [JOINED[preset].join(parts)] if preset in JOINED else parts


def _of_lines(text: str, name: str) -> list[str]:
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    return [_text(line, f"line {n} of {name}") for n, line in lines]


def _text(line: str, where: str) -> str:
    try:
        found = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, str):
        raise BadInput(f'{where} holds no {{"text": "..."}}: write one such document a line')
    # JSON can hold halves of a surrogate pair, which no tokenizer reads.
    return found.encode("utf-8", "replace").decode()
