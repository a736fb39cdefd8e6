"""How many singular directions a matrix uses: every rank that is a function of σ alone.

λ = σ², sums over all min(m, n) values. All ranks are invariant under W -> cW.

Roy & Vetterli (2007), https://ieeexplore.ieee.org/document/7098875 (effective rank)
Rudelson & Vershynin (2007), https://arxiv.org/abs/math/0503442 (stable rank)
"""

from dataclasses import dataclass

import numpy as np

from analysis.numerics.break_even import break_even_rank
from analysis.numerics.columns import norm, note, rank, ratio
from analysis.numerics.decomposition import EPS

TIE = 1e-12  # of the total: an energy this close to a threshold has reached it


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Columns that depend on the singular values, the shape and the noise floor only."""

    effective_rank_sigma: float = rank(
        "effective rank (σ)", "exp of the entropy of σ/Σσ (Roy and Vetterli)"
    )
    effective_rank_energy: float = rank(
        "effective rank (σ²)",
        "exp of the entropy of σ²/Σσ²: exp of the entanglement entropy at the row|column cut",
    )
    stable_rank: float = rank("stable rank", "Σσ²/σ₁²: insensitive to a long small tail")
    participation_ratio: float = rank("participation ratio", "(Σσ²)²/Σσ⁴")
    nuclear_rank: float = rank("nuclear rank", "Σσ/σ₁")
    k90: int = rank("k90", "singular values that hold 90 % of the energy Σσ²")
    k95: int = rank("k95", "singular values that hold 95 % of the energy Σσ²")
    k99: int = rank("k99", "singular values that hold 99 % of the energy Σσ²")
    numerical_rank: int = rank(
        "numerical rank",
        "singular values above the noise floor of the stored digits; one entry outside a format "
        "makes the floor that of the wider one, which can count the rounding of all the others",
    )
    noise_floor: float = norm(
        "noise floor", "largest singular value that the rounding of the stored digits explains"
    )
    gap: float | None = ratio(
        "gap at the numerical rank",
        "σ_r/σ_(r+1), with σ_(r+1) at least float64's resolution; null at full numerical rank",
    )
    break_even_rank: int = note(
        "break-even rank", "largest k with k(m+n) <= mn: above it two factors hold more than W"
    )
    sigma_max: float = norm("σ₁", "largest singular value: the spectral norm")
    sigma_min: float = norm("smallest σ", "smallest singular value")
    frobenius_norm: float = norm("Frobenius norm", "√Σσ²")
    nuclear_norm: float = norm("nuclear norm", "Σσ")


def ranks(
    values: np.ndarray, shape: tuple[int, int], noise_floor: float, *, signal_only: bool = False
) -> Ranks:
    """Measure descending singular values of a matrix of this shape.

    With `signal_only` values at or below the noise floor count as zero in every sum. Raises
    ValueError when nothing is left.
    """
    used = np.where(values > noise_floor, values, 0.0) if signal_only else values
    if not used.size or used[0] <= 0:
        raise ValueError("expected at least one positive singular value, got none")
    s = used / used[0]
    energy = s * s
    return Ranks(
        effective_rank_sigma=effective_rank(s),
        effective_rank_energy=effective_rank(energy),
        stable_rank=float(energy.sum()),
        participation_ratio=float(energy.sum() ** 2 / (energy * energy).sum()),
        nuclear_rank=float(s.sum()),
        k90=energy_rank(s, 0.90),
        k95=energy_rank(s, 0.95),
        k99=energy_rank(s, 0.99),
        numerical_rank=int((values > noise_floor).sum()),
        noise_floor=noise_floor,
        gap=gap(values, noise_floor, max(shape)),
        break_even_rank=break_even_rank(*shape),
        sigma_max=float(used[0]),
        sigma_min=float(used[-1]),
        frobenius_norm=float(used[0] * np.sqrt(energy.sum())),
        nuclear_norm=float(used[0] * s.sum()),
    )


def entropy(weights: np.ndarray) -> float:
    """Return -Σ p ln p in nats, p = weights/Σ, with 0 ln 0 = 0."""
    p = weights[weights > 0] / weights.sum()
    return float(-(p * np.log(p)).sum())


def effective_rank(weights: np.ndarray) -> float:
    """Return exp of the entropy of weights/Σ: n for n equal weights, 1 for a single one."""
    return float(np.exp(entropy(weights)))


def energy_rank(values: np.ndarray, share: float) -> int:
    """Return the least k with Σ_{i<=k} σᵢ² >= share · Σσ²."""
    cumulative = np.cumsum(values * values)
    return int(np.searchsorted(cumulative, (share - TIE) * cumulative[-1])) + 1


def gap(values: np.ndarray, noise_floor: float, longest: int) -> float | None:
    """Return σ_r/σ_{r+1} at the numerical rank r, or None where one of the two does not exist."""
    r = int((values > noise_floor).sum())
    if r in (0, len(values)):
        return None
    s = values / values[0]
    return float(s[r - 1] / max(s[r], longest * EPS))
