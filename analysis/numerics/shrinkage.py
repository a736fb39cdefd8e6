"""Second moments of few samples, shrunk so that directions never seen are not taken for empty.

A Gram matrix G = XXᵀ/N of N < n samples says of n - N directions that no input has any part in
them, which is false. Both remedies leave the power of every channel as it was measured and shrink
only the correlations: with D² = diag(G) and C = D⁻¹GD⁻¹,

    G' = D ((1 - ρ) C + ρ I) D.

    ledoit_wolf   ρ = ((1 - 2/n) tr(C²) + n²) / ((N + 1 - 2/n)(tr(C²) - n)), at most 1: Ledoit and
                  Wolf's intensity in the oracle-approximating form, which needs only C and N
    ridge         G + 1e-3 tr(G)/n · I instead, a fixed share of the mean power

A target of one power for all channels would drown the quiet ones where a few are a thousand times
louder, as in the residual streams of transformers.

Ledoit & Wolf (2004), https://doi.org/10.1016/S0047-259X(03)00096-4
Chen, Wiesel, Eldar & Hero (2010), https://arxiv.org/abs/0907.4698
Schäfer & Strimmer (2005), https://doi.org/10.2202/1544-6115.1175 (the target of unequal variances)
"""

import torch
from torch import Tensor

CHOICES = ("auto", "none", "ridge", "ledoit_wolf")
RIDGE = 1e-3
FEW = 2  # samples per channel, below which "auto" shrinks


def shrunk(gram: Tensor, tokens: int, how: str = "auto") -> Tensor:
    """Return G (n x n, a mean over `tokens` samples) after shrinkage, float64.

    "auto" is Ledoit-Wolf where N < 2n and nothing otherwise. Raises ValueError for another word and
    for less than one token.
    """
    if how not in CHOICES:
        raise ValueError(f"expected a shrinkage of {', '.join(CHOICES)}, got {how!r}")
    if tokens < 1:
        raise ValueError(f"expected at least one token, got {tokens}")
    gram = gram.to(torch.float64)
    if how == "ridge":
        mean = gram.trace() / len(gram)
        return gram + RIDGE * mean * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    if how == "none" or (how == "auto" and tokens >= FEW * len(gram)):
        return gram
    intensity = ledoit_wolf_intensity(gram, tokens)
    found = (1 - intensity) * gram
    found.diagonal().add_(intensity * gram.diagonal())
    return found


def ledoit_wolf_intensity(gram: Tensor, tokens: int) -> float:
    """Return ρ in [0, 1] of the correlations C of G; 1 where they look like those of noise."""
    scale = gram.diagonal().sqrt()
    inverse = torch.where(scale > 0, 1 / scale, 0.0)
    size = int((scale > 0).sum())
    squares = (inverse[:, None] * gram * inverse).square().sum().item()  # tr(C²) >= tr(C)²/n = n
    if size < 2:
        return 0.0  # nothing is correlated
    spread = (tokens + 1 - 2 / size) * (squares - size)
    noise = (1 - 2 / size) * squares + size**2
    return 1.0 if noise >= spread else noise / spread
