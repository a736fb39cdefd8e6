r"""Formulas as the texts here write them (a little of LaTeX), for formats that cannot draw LaTeX.

`\sum_i \sigma_i^2` becomes `Σᵢ σᵢ²` as text and `Σ<sub>i</sub> σ<sub>i</sub><sup>2</sup>` as HTML.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Literal

SIGNS = {
    "sum": "Σ", "sigma": "σ", "lambda": "λ", "Lambda": "Λ", "partial": "∂",
    "ell": "\N{SCRIPT SMALL L}",
    "tau": "τ",
    "alpha": "α", "beta": "β", "xi": "ξ", "Delta": "Δ", "theta": "θ", "eta": "η", "psi": "ψ",
    "varepsilon": "ε", "varphi": "φ", "top": "ᵀ", "ge": " ≥ ", "le": " ≤ ", "times": " × ",
    "approx": " ≈ ", "propto": " ∝ ", "cdot": " · ", "dots": "…", "langle": "⟨", "rangle": "⟩",
    "lVert": "‖", "rVert": "‖", "|": "‖", "lceil": "⌈", "rceil": "⌉", "#": "#", "{": "{",
    "lfloor": "⌊", "rfloor": "⌋",
    "}": "}", ",": " ", "big": "", "Big": "",
}  # fmt: skip
NAMES = ("ln", "log", "exp", "min", "max")  # upright, and apart from what they are applied to
RAISED = str.maketrans("0123456789+-=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ")
LOWERED = str.maketrans("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
# A space after one of the first belongs to its name; elsewhere it is one that is seen.
TOKEN = re.compile(
    r"\\(?:partial|lVert|langle|lceil|lfloor)(?![A-Za-z])\s*|\\[A-Za-z]+|\\.|\s+|.", re.DOTALL
)
HALF = "½"
RELATIONS = "=<>"
TILDE, MINUS, PRIME = "\N{COMBINING TILDE}", "\N{MINUS SIGN}", "\N{PRIME}"
TRANSPOSED = ("T", "ᵀ")


@dataclass(frozen=True)
class Part:
    """A piece of a formula: signs in line, or what is raised or lowered."""

    place: Literal["line", "up", "down"]
    text: str = ""
    inner: tuple["Part", ...] = ()


def as_text(formula: str) -> str:
    """Return a formula in plain signs. Raises ValueError for a command that is not known."""
    return _tidy("".join(_written(part) for part in parsed(formula)))


def as_html(formula: str) -> str:
    """Return a formula as HTML, escaped. Raises ValueError for a command that is not known."""
    return _tidy("".join(_marked(part) for part in parsed(formula)))


def parsed(formula: str) -> tuple[Part, ...]:
    """Return the pieces of a formula."""
    return _sequence(TOKEN.findall(re.sub(r"\s+(?=\\rVert)", "", formula)), closed=False)


def _sequence(tokens: list[str], *, closed: bool) -> tuple[Part, ...]:
    """Take pieces off `tokens`, up to the brace that closes a group."""
    found: list[Part] = []
    while tokens:
        token = tokens.pop(0)
        if token == "}" and closed:
            break
        if token in "^_":
            found.append(Part("up" if token == "^" else "down", inner=_group(tokens)))
        else:
            found.extend(_signs(token, tokens))
    return tuple(found)


def _group(tokens: list[str]) -> tuple[Part, ...]:
    """Take one argument: what stands in braces, or one sign."""
    token = tokens.pop(0)
    return _sequence(tokens, closed=True) if token == "{" else _signs(token, tokens)


def _signs(token: str, tokens: list[str]) -> tuple[Part, ...]:
    """Return what one token stands for, with its arguments taken off `tokens`."""
    if token == "{":
        return _sequence(tokens, closed=True)
    if not token.startswith("\\"):
        spaced = f" {token} " if token in RELATIONS else " " if token.isspace() else token
        return (Part("line", spaced.replace("-", MINUS).replace("'", PRIME)),)
    name = token[1:].strip()
    if name in MADE:
        return MADE[name](tokens)
    if name in NAMES:
        return (Part("line", f" {name} "),)
    if name not in SIGNS:
        raise ValueError(f"expected a command of a formula that is known, got {token!r}")
    return (Part("line", SIGNS[name]),)


def _fraction(tokens: list[str]) -> tuple[Part, ...]:
    above, below = _group(tokens), _group(tokens)
    if [part.text for part in (*above, *below)] == ["1", "2"]:
        return (Part("line", HALF),)
    return (Part("line", "("), *above, Part("line", ")/("), *below, Part("line", ")"))


def _root(tokens: list[str]) -> tuple[Part, ...]:
    return (Part("line", "√("), *_group(tokens), Part("line", ")"))


def _wavy(tokens: list[str]) -> tuple[Part, ...]:
    return (*_group(tokens), Part("line", TILDE))


MADE: dict[str, Callable[[list[str]], tuple[Part, ...]]] = {
    **dict.fromkeys(("frac", "tfrac"), _fraction),
    **dict.fromkeys(("mathrm", "text", "mathbb"), _group),
    "sqrt": _root,
    "tilde": _wavy,
}


def _written(part: Part) -> str:
    if part.place == "line":
        return part.text
    inner = _tidy("".join(_written(each) for each in part.inner))
    if inner in TRANSPOSED:
        return TRANSPOSED[-1]
    plain = inner.replace(MINUS, "-").replace(" ", "")
    moved = plain.translate(RAISED if part.place == "up" else LOWERED)
    if not any(sign in plain for sign in moved):  # every sign has a small one
        return moved
    sign = "^" if part.place == "up" else "_"
    return f"{sign}{inner}" if len(inner) == 1 else f"{sign}({inner})"


def _marked(part: Part) -> str:
    if part.place == "line":
        return escape(part.text)
    inner = "".join(_marked(each) for each in part.inner).strip()
    tag = "sup" if part.place == "up" else "sub"
    return TRANSPOSED[-1] if inner in TRANSPOSED else f"<{tag}>{inner}</{tag}>"


def _tidy(text: str) -> str:
    """Return text with single spaces, and none where brackets or an index follow."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\b(ln|log|exp|min|max) (?=[(₀-₉]|<sub>)", r"\1", text)
    text = re.sub(r"(?<=\S[/|]) (?=[a-z])", "", text)
    return re.sub(r"(?<=[([⟨⌈]) | (?=[)\]⟩⌉,])", "", text)
