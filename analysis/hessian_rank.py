"""Hessian rank: in how many directions a loss bends, for one weight matrix or for a whole model.

The Hessian of a loss splits into H = H_O + H_F: the outer-product part (Gauss-Newton) and the
functional part, which carries the curvature of the network itself. Its rank is the number of
eigenvalues above rounding; in linear nets it is known from the widths alone and far below the
number p of parameters (`numerics/hessian/linear_net_bound.py`). Elsewhere it is measured.

Up to `exact_limit` parameters the matrix is made and solved in float64. Beyond that it is known by
products with vectors: Lanczos quadrature counts eigenvalues above a share of the largest and gives
their density, Hutchinson's estimator the traces, ARPACK the largest eigenvalues, each from seeded
probes and with its error. The two kinds of rank have different thresholds, so each row also counts
the eigenvalues above one same share of the largest ("significant").

Singh, Bachmann and Hofmann (2021), https://arxiv.org/abs/2106.16225
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from analysis.networks.errors import BadInput
from analysis.networks.hessian.chain_bound import TRANSFORMER, predicted
from analysis.networks.hessian.chain_objective import LOSSES, Chained, of_arrays
from analysis.networks.hessian.objectives import Objective, check_task, of_text
from analysis.networks.hessian.parameter_groups import Group, groups_of
from analysis.networks.hessian.work import predict, run_of, sizes_of
from analysis.networks.inputs import TEXT_OR_DATA, Inputs, text_field
from analysis.networks.opened import OpenedModel
from analysis.numerics.hessian.columns import Circumstances, Measured, Subject
from analysis.numerics.hessian.measures import Probes, Progress, estimated, exact
from analysis.registry import Report, Work, register
from analysis.weights.source import Source


@dataclass(frozen=True)
class Params:
    """Which parameters, which loss on which data, and how what is too large is estimated."""

    scope: str = field(
        default="layers",
        metadata={
            "help": "one Hessian for each chosen layer, or one for all of them together",
            "choices": ("layers", "whole"),
        },
    )
    text: str | None = text_field(TEXT_OR_DATA)
    windows: int = field(
        default=4, metadata={"help": "windows of text, or labelled texts", "min": 1}
    )
    length: int = field(default=64, metadata={"help": "tokens in each window", "min": 2})
    samples: int = field(
        default=200, metadata={"help": "rows of data, for a chain of layers", "min": 1}
    )
    activation: str = field(
        default="linear",
        metadata={
            "help": "what stands between the layers of a chain, whose file does not say",
            "choices": ("linear", "relu", "tanh"),
        },
    )
    loss: str = field(
        default="squared", metadata={"help": "the loss of a chain", "choices": LOSSES}
    )
    exact_limit: int = field(
        default=5000,
        metadata={
            "help": "most parameters for which the whole matrix is made (time grows with the cube)",
            "min": 1,
            "max": 20000,
        },
    )
    tolerance: float = field(
        default=1e-2,
        metadata={
            "help": "share of the largest eigenvalue above which one is significant; the "
            "threshold of estimated ranks",
            "min": 0.0,
            "max": 1.0,
        },
    )
    starts: int = field(
        default=10, metadata={"help": "random starts of Lanczos' method, if estimated", "min": 1}
    )
    steps: int = field(
        default=64, metadata={"help": "steps from each start, if estimated", "min": 2, "max": 2000}
    )
    traces: int = field(
        default=100, metadata={"help": "random probes for the traces, if estimated", "min": 1}
    )
    top: int = field(
        default=10, metadata={"help": "largest eigenvalues to find", "min": 1, "max": 200}
    )
    parts: bool = field(
        default=False,
        metadata={"help": "if estimated, also the ranks of the two parts: three times the work"},
    )
    dtype: str = field(
        default="float64",
        metadata={
            "help": "precision of estimates; exact ranks are always made in float64",
            "choices": ("float64", "float32"),
        },
    )
    seed: int = field(
        default=0, metadata={"help": "seed of probes, masks and Gaussian data", "min": 0}
    )


@dataclass(frozen=True, kw_only=True)
class Row(Circumstances, Measured, Subject):
    """One row per layer, or one for all chosen parameters (the bases' fields in reverse order)."""


MEASURED = [declared.name for declared in dataclasses.fields(Measured)]


def work(source: Source, params: Params, layers: Sequence[str]) -> Work:
    """Predict products, memory and time from the headers.

    Raises NotRunnable for a model without a loss, BadInput for a classifier without labels.
    """
    together = params.scope == "whole"
    itemsize = getattr(torch, params.dtype).itemsize
    run = run_of(source, params.text, (params.windows, params.length), params.samples)
    sizes = sizes_of(source, layers, together=together)
    return predict(run, sizes, params.exact_limit, probes_of(params), itemsize)


@register(title="Hessian rank", view="hessian", unit="model", work=work)
def hessian_rank(
    model: OpenedModel, inputs: Inputs, params: Params, report: Report
) -> Iterator[Row]:
    """Count the directions in which the loss bends, by layer or for the whole model.

    Raises NotRunnable for a model without a loss and BadInput for text, labels or arrays that do
    not do.
    """
    chosen = problem_of(model, inputs, params, getattr(torch, params.dtype))
    small = [group.size <= params.exact_limit for group in chosen.groups]
    wide = chosen
    if params.dtype != "float64" and any(small):
        wide = problem_of(model, inputs, params, torch.float64)
    probes = probes_of(params)
    works = [g.size if s else probes.products for g, s in zip(chosen.groups, small, strict=True)]
    progress = Progress(report, sum(works))
    for i, made in enumerate(small):
        problem = wide if made else chosen
        progress.begin(sum(works[:i]), problem.groups[i].label)
        yield row_of(problem, problem.groups[i], params, progress, made=made)


@dataclass(frozen=True, eq=False)
class Problem:
    """A loss in one precision, what it is varied in, and the chain behind it if it is one."""

    model: OpenedModel
    text: str
    objective: Objective
    chained: Chained | None
    groups: Sequence[Group]
    left_out: str | None


def problem_of(model: OpenedModel, inputs: Inputs, params: Params, dtype: torch.dtype) -> Problem:
    """Return the loss of a model on its data, and the parameters of each Hessian."""
    if model.runs == "chain":
        network = model.network(dtype=dtype, activation=params.activation)
        chained = of_arrays(model, network, inputs, params.loss, params.samples, params.seed)
        objective, text = chained.objective, inputs.name if inputs.text else "seeded Gaussian data"
    else:
        check_task(model.source, inputs.text)
        network, chained, text = model.network(dtype=dtype), None, inputs.name
        size = params.windows, params.length
        objective = of_text(model, network, inputs, size, params.seed)
    groups, left_out = groups_of(model, network, together=params.scope == "whole")
    return Problem(model, text, objective, chained, groups, left_out)


def probes_of(params: Params) -> Probes:
    """Return how what is too large is estimated."""
    return Probes(
        starts=params.starts,
        steps=params.steps,
        traces=params.traces,
        top=params.top,
        tolerance=params.tolerance,
        parts=params.parts,
        seed=params.seed,
    )


def row_of(
    problem: Problem, group: Group, params: Params, progress: Progress, *, made: bool
) -> Row:
    """Measure the Hessian of one group of parameters, as a matrix or by products."""
    products = problem.objective.products(group.blocks)
    if not math.isfinite(products.value):
        raise BadInput(
            f"the loss of {problem.model.name} on {problem.text} is {products.value}: its weights "
            "overflow, or the data are not finite"
        )
    found = (
        exact(products, params.tolerance, params.top, progress)
        if made
        else estimated(products, probes_of(params), progress)
    )
    probe = torch.randn(group.size, generator=torch.Generator().manual_seed(params.seed))
    columns: dict[str, Any] = dict.fromkeys(MEASURED)
    columns |= found | prediction(problem, group, params)
    said = [columns.pop("warning"), problem.left_out]
    return Row(
        layer=group.label,
        method="exact" if made else "estimated",
        parameters=group.size,
        split_residual=products.residual(probe.to(products.like)),
        value=products.value,
        data=problem.objective.words,
        text=problem.text,
        dtype=str(products.like.dtype).removeprefix("torch."),
        seed=params.seed,
        warning="; ".join(words for words in said if words) or None,
        **columns,
    )


def prediction(problem: Problem, group: Group, params: Params) -> dict[str, Any]:
    """Return the columns of the rank that the widths predict."""
    if problem.chained is None:
        return {"bound_label": TRANSFORMER}
    classes = params.loss == "cross entropy"
    ranks, label = predicted(
        problem.model,
        problem.chained,
        group.tensors,
        activation=params.activation,
        classes=classes,
    )
    if ranks is None:
        return {"bound_label": label}
    return {
        "bound": ranks.total,
        "bound_outer": ranks.outer,
        "bound_functional": ranks.functional,
        "bound_label": label,
    }
