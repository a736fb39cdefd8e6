"""What one trial is, and the trials that a sweep's settings mean.

Words as a user gives them: methods `svd, rtn:bits=4:group=32`, sizes `0.9, 0.8` or `90 %`, rules
and storage forms by name. Every combination that means something is one `Spec`; a method with sizes
of its own, or of an update, takes no allocation and no form; one that knows no share, or is given a
rank, takes no size. Torch-free.
"""

import json
import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from analysis.compress.registry import Method, find, parse
from analysis.registry import AnalysisError

# How ranks are chosen, beyond the rules of `allocation/allocate.py`.
SENSITIVITY, BY_HAND = "sensitivity", "by_hand"
ALLOCATIONS = ("greedy", "uniform", "energy", "welore", SENSITIVITY, BY_HAND)
FORMS = ("two_factor", "row_interpolative")
COMPENSATIONS = ("none", "eora", "svd")


@dataclass(frozen=True)
class Spec:
    """One trial: everything that says which numbers the layers hold."""

    method: str
    settings: dict[str, str] = field(default_factory=dict)
    kept: float | None = None  # share of the chosen linear layers' parameters; None: own size
    allocation: str = ""
    form: str = ""
    objective: str = "auto"
    ranks: dict[str, int] = field(default_factory=dict)  # by hand
    compensation: str = "none"
    compensation_rank: int = 0

    @property
    def full_name(self) -> str:
        """Return the method with its settings, as it is written: `rtn:bits=4`."""
        return ":".join([self.method, *(f"{k}={v}" for k, v in sorted(self.settings.items()))])

    @property
    def label(self) -> str:
        """Return the trial's name among those of its job."""
        extra = "" if self.compensation == "none" else self.compensation
        words = (
            self.full_name,
            "" if self.kept is None else f"{100 * self.kept:g} %",
            self.allocation.replace("_", " "),
            self.form.replace("_", " "),
            f"+ {extra} rank {self.compensation_rank}" if extra else "",
        )
        return ", ".join(word for word in words if word)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Spec":
        """Return what `to_dict` wrote."""
        return cls(**data)

    def parsed(self) -> tuple[Method, Any]:
        """Return the method and its `Params`. Raises AnalysisError."""
        method = find(self.method)
        return method, parse(method, self.settings)


def expand(params: Any) -> list[Spec]:
    """Return the trials that the settings of `analysis/trial.py` mean, each once, in order.

    Raises AnalysisError naming the word that is not understood.
    """
    sizes = shares(params.kept)
    ranks = _ranks(params.ranks)
    rules = [BY_HAND] if ranks else _known(params.allocations, ALLOCATIONS, "an allocation")
    if BY_HAND in rules and not ranks:
        raise AnalysisError("allocation by_hand needs ranks: give them as {layer: rank}")
    forms = _known(params.forms, FORMS, "a storage form")
    grid = _Grid(sizes, rules, forms, params.objective, ranks)
    more = {
        "compensation": params.compensation,
        "compensation_rank": params.compensation_rank if params.compensation != "none" else 0,
    }
    found: dict[str, Spec] = {}
    for name, settings in _methods(params.methods):
        method = find(name)
        given = parse(method, settings)
        own = Spec(name, settings, **more)
        for spec in _of_method(method, own, grid) if _sized(method, given) else [own]:
            found.setdefault(json.dumps(spec.to_dict(), sort_keys=True), spec)
    return list(found.values())


def shares(text: str) -> list[float]:
    """Return the sizes in `0.9, 80 %, 0.6`, descending. Raises AnalysisError outside (0, 1]."""
    found = set()
    for word in _words(text):
        number = word.removesuffix("%").strip()
        try:
            value = float(number) / (100 if word.endswith("%") else 1)
        except ValueError:
            value = float("nan")
        if not 0 < round(value, 6) <= 1:
            raise AnalysisError(
                f"kept {word!r}: expected shares of the parameters above 0 and up to 1, such as "
                "0.9, 0.8"
            )
        found.add(round(value, 6))
    if not found:
        raise AnalysisError("no size was given: give the share to keep, such as 0.8")
    return sorted(found, reverse=True)


@dataclass(frozen=True)
class _Grid:
    """What a sweep runs over beside its methods."""

    sizes: list[float]
    rules: list[str]
    forms: list[str]
    objective: str
    ranks: dict[str, int]


def _sized(method: Method, given: Any) -> bool:
    """Say whether a share to keep means something: no setting says the size."""
    return method.sized and not (method.sized_by and getattr(given, method.sized_by))


def _of_method(method: Method, own: Spec, grid: _Grid) -> list[Spec]:
    if method.sizes != "ranks":
        return [replace(own, kept=kept) for kept in grid.sizes]
    if grid.ranks:
        hand = replace(own, allocation=BY_HAND, ranks=grid.ranks)
        return [replace(hand, form=form) for form in grid.forms]
    # WeLore is a rule as well as a factoring: it comes with its own.
    rules = ["welore"] if method.name == "welore" else grid.rules
    ranked = replace(own, objective=grid.objective)
    return [
        replace(ranked, allocation=rule, form=form, kept=kept)
        for rule in rules
        for form in grid.forms
        for kept in grid.sizes
    ]


def _methods(text: str) -> list[tuple[str, dict[str, str]]]:
    found = []
    for word in _words(text):
        name, *settings = (part.strip() for part in word.split(":"))
        pairs = [setting.partition("=") for setting in settings]
        for key, sign, value in pairs:
            if not (key and sign and value):
                raise AnalysisError(f"method {word!r}: expected settings such as rtn:bits=4")
        found.append((name, {key.strip(): value.strip() for key, _, value in pairs}))
    if not found:
        raise AnalysisError("no method was given: give one, such as svd")
    return found


def _known(text: str, known: Sequence[str], what: str) -> list[str]:
    words = [word.replace("-", "_").replace(" ", "_") for word in _words(text)]
    for word in words:
        if word not in known:
            raise AnalysisError(f"{word!r} is not {what}: choose of {', '.join(known)}")
    if not words:
        raise AnalysisError(f"give {what}: {', '.join(known)}")
    return list(dict.fromkeys(words))


def _ranks(text: str | None) -> dict[str, int]:
    if not text:
        return {}
    try:
        found = json.loads(text)
        ranks = {str(layer): operator.index(rank) for layer, rank in found.items()}
    except (ValueError, AttributeError, TypeError):
        raise AnalysisError(
            'ranks: expected JSON of layers and ranks, such as {"blocks.0.q": 12}'
        ) from None
    if any(rank < 0 for rank in ranks.values()):
        raise AnalysisError("ranks: expected none below 0")
    return ranks


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
