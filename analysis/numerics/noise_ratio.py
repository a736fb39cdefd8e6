"""Measures relative to a random matrix of the same shape.

A share of full rank mostly shows the shape: Gaussian noise of 384 x 384 has an effective rank of
80 %, of 1536 x 384 of 97 %. Here 1 means "as noise of this shape".
"""

from dataclasses import dataclass, fields

from analysis.numerics.columns import ratio
from analysis.numerics.ranks import Ranks

SUFFIX = "_vs_noise"
NORMS = ("sigma_max_vs_noise", "nuclear_norm_vs_noise")


@dataclass(frozen=True, kw_only=True)
class NoiseRatios:
    """`<measure>_vs_noise` = measure / the same of seeded Gaussian noise of this shape."""

    effective_rank_sigma_vs_noise: float = ratio("effective rank (σ) / noise", "1: as noise")
    effective_rank_energy_vs_noise: float = ratio("effective rank (σ²) / noise", "1: as noise")
    stable_rank_vs_noise: float = ratio("stable rank / noise", "1: as noise of this shape")
    participation_ratio_vs_noise: float = ratio("participation ratio / noise", "1: as noise")
    nuclear_rank_vs_noise: float = ratio("nuclear rank / noise", "1: as noise of this shape")
    k90_vs_noise: float = ratio("k90 / noise", "1: as noise of this shape")
    k95_vs_noise: float = ratio("k95 / noise", "1: as noise of this shape")
    k99_vs_noise: float = ratio("k99 / noise", "1: as noise of this shape")
    numerical_rank_vs_noise: float = ratio(
        "numerical rank / noise", "noise has full rank, so this is the share of full rank"
    )
    sigma_max_vs_noise: float = ratio("σ₁ / noise", "noise scaled to the same Frobenius norm")
    nuclear_norm_vs_noise: float = ratio(
        "nuclear norm / noise", "noise scaled to the same Frobenius norm"
    )


def noise_ratios(own: Ranks, noise: Ranks) -> NoiseRatios:
    """Divide each measure by that of the noise; norms after scaling both to Frobenius norm 1."""
    ratios: dict[str, float] = {}
    for declared in fields(NoiseRatios):
        name = declared.name.removesuffix(SUFFIX)
        value, reference = getattr(own, name), getattr(noise, name)
        if declared.name in NORMS:
            value, reference = value / own.frobenius_norm, reference / noise.frobenius_norm
        ratios[declared.name] = value / reference
    return NoiseRatios(**ratios)
