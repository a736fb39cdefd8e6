"""The columns that a Hessian's measures fill; what a method does not give stays empty."""

from dataclasses import dataclass, field

from analysis.numerics.columns import count, norm, note, ratio


@dataclass(frozen=True, kw_only=True)
class Lists:
    """Eigenvalues where the matrix is made, their density where it is not."""

    top_eigenvalues: tuple[float, ...] = note("largest eigenvalues", "by size, with their signs")
    eigenvalues: tuple[float, ...] | None = note("eigenvalues", "of H, by size; only if exact")
    eigenvalues_outer: tuple[float, ...] | None = note("eigenvalues of H_O", "by size")
    eigenvalues_functional: tuple[float, ...] | None = note("eigenvalues of H_F", "by size")
    density_grid: tuple[float, ...] | None = note("density at", "eigenvalues; only if estimated")
    density: tuple[float, ...] | None = note("density", "of the eigenvalues, smoothed")
    density_se: tuple[float, ...] | None = note(
        "standard error of the density", "over the random starts"
    )


@dataclass(frozen=True, kw_only=True)
class Traces:
    """Traces of the Hessian and of its two parts, with standard errors (0 if exact)."""

    trace: float = norm("trace", "Σ λ")
    trace_se: float | None = norm("± trace", "its standard error over the probes; 0 if exact")
    trace_outer: float = norm("trace of H_O", "Σ λ of the outer-product part")
    trace_outer_se: float | None = norm("± trace of H_O", "its standard error; 0 if exact")
    trace_functional: float = norm("trace of H_F", "Σ λ of the functional part")
    trace_functional_se: float | None = norm("± trace of H_F", "its standard error; 0 if exact")


@dataclass(frozen=True, kw_only=True)
class Significant:
    """Eigenvalues above one share of the largest, by which both methods can be compared."""

    significant: float = count("significant", "eigenvalues above the tolerance times |λ|_max")
    significant_se: float | None = norm("± significant", "its standard error; 0 if exact")
    significant_share: float = ratio("significant / p", "of all directions")
    significant_threshold: float = norm("significant above", "the tolerance times |λ|_max")
    negative: int | None = count("negative", "eigenvalues below minus the threshold; if exact")


@dataclass(frozen=True, kw_only=True)
class Gap:
    """What tells the rank from rounding, where the matrix is made."""

    gap: float | None = norm("gap", "|λ_r| / |λ_r+1|; empty at full rank")
    last_counted: float | None = norm("|λ_r|", "the smallest eigenvalue that counts")
    first_not_counted: float | None = norm("|λ_r+1|", "the largest that does not")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The rank that the widths of a linear net predict."""

    bound: int | None = count("predicted rank", "from the widths of the net")
    bound_outer: int | None = count("predicted rank of H_O", "from the widths of the net")
    bound_functional: int | None = count("predicted rank of H_F", "from the widths of the net")
    bound_label: str = note("prediction", "what the predicted rank is, and for which nets it holds")


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Ranks of the Hessian and of its two parts."""

    rank: float = count("rank", "eigenvalues with |λ| above the threshold")
    rank_se: float | None = norm("± rank", "its standard error over the starts; 0 if exact")
    rank_low: float | None = count(
        "rank, lower end", "of its interval over starts and the later half of steps"
    )
    rank_high: float | None = count(
        "rank, upper end", "of its interval over starts and the later half of steps"
    )
    rank_share: float = ratio("rank / p", "share of the directions in which the loss bends")
    threshold: float = norm(
        "threshold", "|λ|_max p eps if exact, the tolerance times |λ|_max if estimated"
    )
    rank_outer: float | None = count("rank of H_O", "of the outer-product part")
    rank_functional: float | None = count("rank of H_F", "of the functional part")
    rank_float32: int | None = count("rank in float32", "of the same matrix, if exact")


@dataclass(frozen=True, kw_only=True)
class Measured(Lists, Traces, Significant, Gap, Prediction, Ranks):
    """All of them (the bases' fields in reverse order)."""


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What the numbers were measured on."""

    split_residual: float | None = norm(
        "residual of the split", "‖Hv - H_O v - H_F v‖/‖Hv‖ for one random v, H by autograd alone"
    )
    value: float = norm("loss", "its value on the data")
    data: str = note("data", "what the loss is taken over")
    text: str = note("text", "where the data come from")
    dtype: str = note("dtype", "in which the products were made")
    seed: int = note("seed", "of the probes, masks and Gaussian data")
    warning: str | None = note("warning", "what to know before reading the numbers")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Which Hessian it is."""

    layer: str = field(
        metadata={"title": "layer", "help": "its name in the model, or `whole`", "index": True}
    )
    method: str = note("method", "exact: from the matrix; estimated: from products with probes")
    parameters: int = count("parameters", "p, the size of the Hessian")
