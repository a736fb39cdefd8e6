"""The markdown of these texts as pieces: paragraphs and points, bold, slanted, links, formulas."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Literal

from app.about import formula

PIECE = re.compile(
    r"\$(?P<formula>[^$]+)\$"
    r"|\*\*(?P<bold>(?:\\.|[^*])+)\*\*"
    r"|(?<![\w*])\*(?P<slanted>[^*\s][^*]*)\*(?!\w)"
    r"|\[(?P<words>(?:\\.|[^\]])+)\]\((?P<address>[^)]+)\)"
)
ESCAPED = re.compile(r"\\([\\`*_\[\]$<:~#])")
LINK = re.compile(r"https?://[^\s,)]+[^\s,.)]")


@dataclass(frozen=True)
class Piece:
    """Some words of one kind; a link has an address."""

    kind: Literal["text", "bold", "slanted", "link", "formula"]
    text: str
    address: str = ""


@dataclass(frozen=True)
class Block:
    """A paragraph, or one point of a list."""

    point: bool
    pieces: tuple[Piece, ...]


def blocks(text: str) -> list[Block]:
    """Return the paragraphs and points of a text."""
    found = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        for part in re.split(r"\n(?=- )", paragraph):
            point = part.startswith("- ")
            words = re.sub(r"\s*\n\s*", " ", part.removeprefix("- "))
            found.append(Block(point, tuple(_pieces(words))))
    return found


def as_text(text: str) -> str:
    """Return a text without signs of markdown; a link's address follows it in brackets."""
    return "\n".join(
        ("• " if block.point else "") + "".join(_plain(piece) for piece in block.pieces)
        for block in blocks(text)
    )


def as_html(text: str) -> str:
    """Return a text as HTML, escaped; links are links and load nothing."""
    found, inside = [], False
    for block in blocks(text):
        if block.point != inside:
            found.append("<ul>" if block.point else "</ul>")
            inside = block.point
        tag = "li" if block.point else "p"
        found.append(f"<{tag}>{''.join(_marked(piece) for piece in block.pieces)}</{tag}>")
    return "\n".join([*found, "</ul>"] if inside else found)


def linked(text: str) -> str:
    """Return plain text as HTML, escaped, in which addresses are links."""
    ends = [0, *(at for found in LINK.finditer(text) for at in found.span()), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(ends)]
    return "".join(
        _anchor(piece, piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces)
    )


def _pieces(words: str) -> Iterator[Piece]:
    at = 0
    for found in PIECE.finditer(words):
        if found.start() > at:
            yield Piece("text", _unescaped(words[at : found.start()]))
        at = found.end()
        if found["formula"]:
            yield Piece("formula", found["formula"])
        elif found["address"]:
            yield Piece("link", _unescaped(found["words"]), found["address"])
        else:
            kind: Literal["bold", "slanted"] = "bold" if found["bold"] else "slanted"
            yield Piece(kind, _unescaped(found["bold"] or found["slanted"]))
    if at < len(words):
        yield Piece("text", _unescaped(words[at:]))


def _unescaped(text: str) -> str:
    return ESCAPED.sub(r"\1", text)


def _plain(piece: Piece) -> str:
    if piece.kind == "formula":
        return formula.as_text(piece.text)
    return f"{piece.text} ({piece.address})" if piece.kind == "link" else piece.text


def _marked(piece: Piece) -> str:
    if piece.kind == "formula":
        return f'<span class="formula">{formula.as_html(piece.text)}</span>'
    if piece.kind == "link":
        return _anchor(piece.address, piece.text)
    tag = {"bold": "strong", "slanted": "em"}.get(piece.kind)
    return f"<{tag}>{escape(piece.text)}</{tag}>" if tag else escape(piece.text)


def _anchor(address: str, words: str) -> str:
    return f'<a href="{escape(address)}" rel="noreferrer noopener">{escape(words)}</a>'
