"""What is measured of one Hessian: exactly, or by probes where it is too large."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from analysis.numerics.hessian.exact import Eigenvalues, dense, eigenvalues
from analysis.numerics.hessian.extreme_eigenvalues import largest
from analysis.numerics.hessian.hutchinson import hutchinson
from analysis.numerics.hessian.lanczos import Quadrature
from analysis.numerics.hessian.lanczos_quadrature import Count, count_above, quadratures, smoothed
from analysis.numerics.hessian.products import HessianProducts

Tick = Callable[[], None]
Report = Callable[[int, int, str], None]
MOST_KEPT = 65536  # numbers in one cell of a table
CLEAR = 1e3  # gap of a rank that no choice of threshold would change; exact nets show 1e9 and more
WIDE = 0.2  # share of all directions that a useful interval does not exceed
NO_EFFECT = "the loss does not depend on these parameters"


@dataclass(frozen=True)
class Probes:
    """How a Hessian is estimated."""

    starts: int  # of Lanczos' method
    steps: int
    traces: int  # probes of Hutchinson's estimator
    top: int  # eigenvalues of largest size
    tolerance: float  # share of the largest below which an eigenvalue is not counted
    parts: bool  # also count those of H_O and H_F
    seed: int

    @property
    def products(self) -> int:
        """About how many products that takes; ARPACK restarts a few times."""
        return self.traces + self.starts * self.steps * (3 if self.parts else 1) + 6 * self.top + 20


class Progress:
    """Counts products, and says to a report where the work is."""

    def __init__(self, report: Report, total: int) -> None:
        self._report, self._total, self._done, self._words = report, total, 0, ""

    def begin(self, done: int, words: str) -> None:
        """Start the next part of the work, whatever the last one took."""
        self._done, self._words = done - 1, words
        self()

    def __call__(self) -> None:
        """Count one product; those that were not foreseen do not go beyond the total."""
        self._done = min(self._done + 1, self._total)
        self._report(self._done, self._total, self._words)


def exact(products: HessianProducts, tolerance: float, top: int, tick: Tick) -> dict[str, Any]:
    """Return the columns of a Hessian whose matrix is made; `tick` is called for each product."""
    split = dense(products, tick)
    total = split.outer + split.functional
    found = eigenvalues(total)
    coarse = eigenvalues(total.float())
    del total
    parts = eigenvalues(split.outer), eigenvalues(split.functional)
    return {
        **_ranks(found),
        **_parts(*parts),
        "rank_float32": coarse.rank,
        "significant": float(found.above(tolerance)),
        "significant_se": 0.0,
        "significant_share": found.above(tolerance) / products.size,
        "significant_threshold": tolerance * abs(float(found.values[0])),
        "trace": float(found.values.sum()),
        "trace_outer": float(split.outer.trace()),
        "trace_functional": float(split.functional.trace()),
        "trace_se": 0.0,
        "trace_outer_se": 0.0,
        "trace_functional_se": 0.0,
        "top_eigenvalues": _kept(found.values[:top]),
        "warning": _exact_warning(found, coarse) if products.depends else NO_EFFECT,
    }


def _ranks(found: Eigenvalues) -> dict[str, Any]:
    return {
        "rank": float(found.rank),
        "rank_se": 0.0,
        "rank_low": float(found.rank),
        "rank_high": float(found.rank),
        "rank_share": found.rank / len(found.values),
        "threshold": found.threshold,
        "negative": int((found.values < -found.threshold).sum()),
        "gap": found.gap,
        "last_counted": found.last,
        "first_not_counted": found.next,
        "eigenvalues": _kept(found.values),
    }


def _parts(outer: Eigenvalues, functional: Eigenvalues) -> dict[str, Any]:
    return {
        "rank_outer": float(outer.rank),
        "rank_functional": float(functional.rank),
        "eigenvalues_outer": _kept(outer.values),
        "eigenvalues_functional": _kept(functional.values),
    }


def _exact_warning(found: Eigenvalues, coarse: Eigenvalues) -> str | None:
    said = []
    if found.gap is not None and found.gap < CLEAR:
        said.append(
            f"there is no clear gap (the last eigenvalue counted is {found.gap:.2g} times the next "
            "one): the rank depends on where the threshold lies"
        )
    if found.rank != coarse.rank:
        said.append(_coarse(found, coarse))
    return "; ".join(said) or None


def _coarse(found: Eigenvalues, coarse: Eigenvalues) -> str:
    return (
        f"in float32 the rank would come out as {coarse.rank}, not {found.rank}: its rounding "
        f"hides what is below {coarse.threshold:.2g}"
    )


def estimated(products: HessianProducts, probes: Probes, tick: Tick) -> dict[str, Any]:
    """Return the columns of a Hessian that is known by products; `tick` is called for each."""
    generator = torch.Generator().manual_seed(probes.seed)
    size, like = products.size, products.like
    traces = hutchinson(products.parts, like, (size, probes.traces), generator, tick)
    top = largest(products, like, (size, probes.top), generator, tick)
    lanczos = (size, probes.starts, probes.steps)
    found = quadratures(products, like, lanczos, generator, tick)
    # A quadrature's outermost nodes lie inside the spectrum, so either may see further.
    reach = max(abs(end) for q in found for end in (q.nodes[0], q.nodes[-1]))
    reach = float(max(reach, abs(top.values).max(initial=0.0)))
    counted = count_above(found, size, probes.tolerance * reach)
    columns: dict[str, Any] = {
        **_counted(counted, size),
        "threshold": probes.tolerance * reach,
        "significant": counted.mean,
        "significant_se": counted.se,
        "significant_share": counted.mean / size,
        "significant_threshold": probes.tolerance * reach,
        "top_eigenvalues": _kept(top.values),
        **(_density(found) if reach else {}),
        "warning": _estimate_warning(products, counted, converged=top.converged),
    }
    for name, trace in zip(("", "_outer", "_functional"), traces, strict=True):
        columns |= {f"trace{name}": trace.mean, f"trace{name}_se": trace.se}
    for name in ("outer", "functional") if probes.parts else ():
        part = quadratures(getattr(products, name), like, lanczos, generator, tick)
        columns[f"rank_{name}"] = _count_of_part(part, size, probes.tolerance)
    return columns


def _density(found: Sequence[Quadrature]) -> dict[str, Any]:
    drawn = smoothed(found)
    return {
        "density_grid": _kept(drawn.grid),
        "density": _kept(drawn.values),
        "density_se": _kept(drawn.errors) if len(found) > 1 else None,
    }


def _count_of_part(found: Sequence[Quadrature], size: int, tolerance: float) -> float:
    """Return the count of one part, above the tolerance's share of its own largest node."""
    reach = max(abs(end) for q in found for end in (q.nodes[0], q.nodes[-1]))
    return count_above(found, size, tolerance * reach).mean


def _counted(found: Count, size: int) -> dict[str, Any]:
    return {
        "rank": found.mean,
        "rank_se": found.se,
        "rank_low": found.low,
        "rank_high": found.high,
        "rank_share": found.mean / size,
    }


def _estimate_warning(products: HessianProducts, counted: Count, *, converged: bool) -> str | None:
    if not products.depends:
        return NO_EFFECT
    said = []
    low, high = counted.low, counted.high
    if low is not None and high is not None and high - low > WIDE * products.size:
        said.append(
            f"the rank is anything from {low:.0f} to {high:.0f}: raise the steps, the starts or "
            "the tolerance"
        )
    if not converged:
        said.append("ARPACK found fewer of the largest eigenvalues than asked for")
    return "; ".join(said) or None


def _kept(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values[:MOST_KEPT])
