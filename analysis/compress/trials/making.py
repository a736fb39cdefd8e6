"""The compressed network of a trial, with what each of its layers holds and loses."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from analysis.compress.allocation.objectives import RELIABLE
from analysis.compress.pieces import Piece
from analysis.compress.registry import Method, Option
from analysis.compress.trials.assembling import Assembly, LayerResult, result, statistics_of
from analysis.compress.trials.calibrated_on import Calibrated, calibrated
from analysis.compress.trials.choosing import Budget, Choice, choose_options, choose_ranks
from analysis.compress.trials.compensating import numbers_by_layer, with_room
from analysis.compress.trials.factoring import read_rows, read_tensors, together
from analysis.compress.trials.measuring import saved_dtype
from analysis.compress.trials.names import few
from analysis.compress.trials.predicting import Change, predicted
from analysis.compress.trials.specs import BY_HAND
from analysis.compress.trials.stages import Given, group_name
from analysis.compress.trials.targets import Target, group_of, heads_of, pieces, replace, targets
from analysis.networks.errors import BadInput
from analysis.registry import Report
from analysis.weights.source import Source

STEP = 0.001  # of the size that was asked for
GONE = 0.95  # of a layer's norm
LARGE = 10.0  # |C| of the row-interpolative form beyond which rounding grows


@dataclass(frozen=True, eq=False)
class Made:
    """A compressed network."""

    network: nn.Module
    forms: dict[str, nn.Module]  # by layer
    targets: list[Target]
    results: list[LayerResult]
    choice: Choice
    dtype: torch.dtype  # of the saved file
    fixed: int  # numbers of chosen linear layers that cannot be replaced
    calibrated: Calibrated | None
    warnings: list[str]

    @property
    def linear(self) -> tuple[int, int]:
        """The numbers of the chosen linear layers, now and when dense."""
        now = sum(one.numbers for one in self.results) + self.fixed
        return now, sum(one.of_numbers for one in self.results) + self.fixed

    @property
    def predicted(self) -> float | None:
        """The expected change of loss in nats per token, None where a layer has none."""
        parts = [one.predicted for one in self.results]
        return None if None in parts else float(sum(p for p in parts if p is not None))

    def layer_error(self, name: str) -> float | None:
        """Return the mean square of the layers' relative errors ("whitened", "heldout"), rooted."""
        parts = [getattr(one, name) for one in self.results]
        if not parts or None in parts:
            return None
        return float((sum(part**2 for part in parts) / len(parts)) ** 0.5)


def make(given: Given, report: Report) -> Made:
    """Load the network, choose what each layer gets, and put the forms in their places.

    Raises BadInput for a size that is not reached, NonFiniteLayer for a number beyond the dtype.
    """
    network = given.opened.network()
    found, skipped = targets(given.opened, network, given.opened.layers)
    if not found:
        raise BadInput(f"{given.opened.name} has no layer to compress among those chosen")
    method, params = given.spec.parsed()
    dtype = saved_dtype(given.opened.source, given.params.dtype)
    fixed = _numbers(given.opened.source, [layer for layer, _ in skipped])
    groups = _groups(given, network, found)
    choice = _choice(given, method, params, groups, fixed)
    assembly = Assembly(given.spec, method, params, choice, dtype)
    said = choice.words
    forms: dict[str, nn.Module] = {}
    results: list[LayerResult] = []
    changes: dict[str, Change] = {}
    for done, (name, group) in enumerate(groups.items()):
        report(done, len(groups), f"{given.spec.full_name} of {name}")
        made = {} if untouched(given) else assembly.forms(group, given.factors[name])
        for p in group:
            form, rank = made.get(p.layer), choice.ranks.get(p.layer)
            found_of, does = result(p, form, rank, said.get(p.layer, ""))
            results.append(found_of)
            changes |= {p.layer: does} if does else {}
        forms |= made
    shares = predicted(changes)
    results = [dataclasses.replace(r, predicted=shares.get(r.layer)) for r in results]
    replace(network, forms, found)
    if not untouched(given):
        _round(network, dtype)
    known = calibrated(piece for group in groups.values() for piece in group)
    whole = Made(network, forms, found, results, choice, dtype, fixed, known, [*choice.warnings])
    whole.warnings.extend(_warnings(given, method, whole, skipped))
    return whole


def untouched(given: Given) -> bool:
    """Say whether everything is kept, so that the network stays as it is."""
    return given.spec.kept == 1.0


def _round(network: nn.Module, dtype: torch.dtype) -> None:
    """Round all else to what the file can hold too: norms may be kept wider than most."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.to(dtype))


def _groups(given: Given, network: nn.Module, found: Sequence[Target]) -> dict[str, list[Piece]]:
    """Return the pieces of each group, with their statistics."""
    by_group: dict[str, list[Target]] = {}
    for target in found:
        by_group.setdefault(group_of(target), []).append(target)
    heads = heads_of(given.opened)
    return {
        name: pieces(
            network,
            members,
            statistics_of(given.statistics, name, [target.layer for target in members]),
            heads,
        )
        for name, members in by_group.items()
    }


def _choice(
    given: Given, method: Method, params: Any, groups: Mapping[str, list[Piece]], fixed: int
) -> Choice:
    if untouched(given):
        return Choice()
    every = [piece for group in groups.values() for piece in group]
    if method.sizes == "own":
        choose = partial(_own, given, method, params, groups)
    else:
        layers = {piece.layer for piece in every}
        rows = [row for name in groups for row in read_rows(given.factors[name])]
        rows = [row for row in rows if row["layer"] in layers]
        tried = [row for folder in given.sensitivity.values() for row in read_rows(folder)]
        choose = partial(choose_ranks, given.spec, params, rows, sensitivity=tried)
    if given.spec.kept is None or given.spec.allocation == BY_HAND:
        return choose(budget=None)
    total = fixed + sum(piece.W.numel() for piece in every)
    shapes = {piece.layer: (piece.W.shape[0], piece.W.shape[1]) for piece in every}
    return with_room(
        lambda budget: choose(budget=budget),
        Budget(given.spec.kept, total, fixed),
        numbers_by_layer(given.spec, shapes),
    )


def _own(
    given: Given, method: Method, params: Any, groups: Mapping[str, list[Piece]],
    budget: Budget | None,
) -> Choice:  # fmt: skip
    """Return the sizes of a method that knows its own."""
    assert method.options is not None
    offers: dict[str, list[Option]] = {}
    held: dict[str, int] = {}
    left_over = 0
    for name, group in groups.items():
        for seen in together(method, group):
            first = seen[0].layer
            options = method.options(seen, read_tensors(given.factors[name], first), params)
            every = sum(piece.W.numel() for piece in seen)
            if options:
                offers[first], held[first] = list(options), options[0].of_numbers or every
            left_over += every - held.get(first, 0)
    if not offers:
        raise BadInput(
            f"{method.title} fits none of the chosen layers: it needs the query, key, value and "
            "output matrices of a block together" if method.scope == "block" else
            f"{method.title} fits none of the chosen layers"
        )  # fmt: skip
    if budget is None:
        return Choice(options={first: options[0] for first, options in offers.items()})
    return choose_options(offers, held, dataclasses.replace(budget, fixed=budget.fixed + left_over))


def _grown(method: Method, made: Made) -> list[str]:
    """Return what is larger than dense, in numbers and in bytes: layers, or blocks that share."""
    numbers: Counter[str] = Counter()
    stored: Counter[str] = Counter()
    for one in made.results:
        if one.dense:
            continue
        name = one.layer if method.scope == "matrix" else group_name(one.block)
        form: Any = made.forms[one.layer]
        numbers[name] += one.numbers - one.of_numbers
        stored[name] += form.stored_bytes(made.dtype) - one.of_numbers * made.dtype.itemsize
    return [name for name, more in numbers.items() if more > 0 and stored[name] > 0]


def _nearest(given: Given, method: Method, made: Made) -> list[str]:
    """Return which size stands for the one that was asked for, where sizes are far apart."""
    linear, of_linear = made.linear
    kept = given.spec.kept
    steps = method.sizes == "own" or made.choice.coarse
    if kept is None or not steps or kept - linear / of_linear < STEP:
        return []
    return [
        f"{linear / of_linear:.1%} is the nearest size below the {kept:.1%} that was asked for: "
        "the sizes that the method reaches are some way apart."
    ]


def _numbers(source: Source, layers: Sequence[str]) -> int:
    shapes = {ref.label.layer: ref.shape for ref in source.matrices()}
    return sum(shapes[layer][0] * shapes[layer][1] for layer in layers)


def _warnings(
    given: Given, method: Method, made: Made, skipped: Sequence[tuple[str, str]]
) -> list[str]:
    results = made.results
    said = [f"{layer} stays dense: {reason}." for layer, reason in skipped]
    said += made.calibrated.warnings() if made.calibrated else []
    said += _nearest(given, method, made)
    grown = _grown(method, made)
    if grown:
        said.append(f"Larger than dense: {few(grown)}.")
    rough = [one.layer for one in results if (one.largest or 0) > LARGE]
    if rough:
        said.append(
            f"Row-interpolative coefficients above {LARGE:g}, so rounding grows: {few(rough)}."
        )
    gone = [one.layer for one in results if one.error > GONE and one.rank != 0]
    if gone:
        said.append(f"Next to nothing is left of {few(gone)}.")
    texts = given.record.get("texts", {})
    if made.calibrated and texts.get("calibrate") == texts.get("evaluate") is not None:
        said.append(
            "Calibrated on the text that it is measured on: on other text it will lose more."
        )
    if (made.predicted or 0) > RELIABLE:
        said.append(f"The predicted change of loss is not reliable above {RELIABLE:g} nats.")
    if method.merged:
        said.append("The result is dense again: an intervention, not a saving.")
    return said
