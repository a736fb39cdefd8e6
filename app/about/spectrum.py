"""What the figures of a spectrum show, and by name what its numbers are: formulas and papers."""

DECAY = r"""
$W = U\,\mathrm{diag}(\sigma_1 \ge \sigma_2 \ge \dots)\,V^\top$: each $\sigma_i$ is how strongly the
matrix acts along one pair of directions.

- **Marchenko-Pastur edge**: the largest value that noise of this shape and strength would show,
  $\sigma_+^2 = s^2 (1 + \sqrt{\beta})^2$ with $\beta = \min(m,n)/\max(m,n)$
  ([Marchenko & Pastur 1967](https://doi.org/10.1070/SM1967v001n04ABEH001994)).
- **Shuffled entries**: the same entries in random places.
- **Energy threshold**: the least $k$ with $\sum_{i \le k} \sigma_i^2 \ge \tau \sum_i \sigma_i^2$.
- **Gavish-Donoho cut**: the best hard threshold under white noise
  ([Gavish & Donoho 2014](https://arxiv.org/abs/1305.5870)).
- **WeLore cut**: what the newest WeLore classification keeps of this layer
  ([Jaiswal et al. 2024](https://arxiv.org/abs/2407.11239)).
- **Rounding floor**: what rounding to the stored precision alone would add. Values below it say
  nothing about the weights.
"""
DENSITY = r"""
The density of the eigenvalues $\lambda = \sigma^2$ of $W^\top W$, in bins of equal width on the log
axis. The power law is $p(\lambda) \propto \lambda^{-\alpha}$ above $x_{\min}$
([Martin & Mahoney 2021](https://arxiv.org/abs/1810.01075)); the noise is Marchenko and Pastur's
density with its edge from the median eigenvalue.
"""
TAIL = r"""
$P(\Lambda \ge \lambda)$, the share of the eigenvalues at or above each value. A power law is the
straight line $\propto \lambda^{1-\alpha}$; $x_{\min}$ minimises the Kolmogorov-Smirnov distance
([Clauset, Shalizi & Newman 2009](https://arxiv.org/abs/0706.1062)).
"""
ROY = "[Roy & Vetterli 2007](https://ieeexplore.ieee.org/document/7098875)"
RUDELSON = "[Rudelson & Vershynin 2007](https://arxiv.org/abs/math/0503442)"
MARTIN = "[Martin & Mahoney 2021](https://arxiv.org/abs/1810.01075)"
CLAUSET = "[Clauset, Shalizi & Newman 2009](https://arxiv.org/abs/0706.1062)"
GAVISH = "[Gavish & Donoho 2014](https://arxiv.org/abs/1305.5870)"
JAISWAL = "[Jaiswal et al. 2024](https://arxiv.org/abs/2407.11239)"
FORMULAS = {
    "effective_rank_sigma": r"$\exp(-\sum_i p_i \ln p_i)$ with $p_i = \sigma_i / \sum_j \sigma_j$",
    "effective_rank_energy": r"$\exp(-\sum_i p_i \ln p_i)$ with $p_i=\sigma_i^2/\sum_j \sigma_j^2$",
    "stable_rank": r"$\sum_i \sigma_i^2 / \sigma_1^2$",
    "participation_ratio": r"$(\sum_i \sigma_i^2)^2 / \sum_i \sigma_i^4$",
    "nuclear_rank": r"$\sum_i \sigma_i / \sigma_1$",
    "k90": r"the least $k$ with $\sum_{i \le k} \sigma_i^2 \ge 0.90 \sum_i \sigma_i^2$",
    "k95": r"the least $k$ with $\sum_{i \le k} \sigma_i^2 \ge 0.95 \sum_i \sigma_i^2$",
    "k99": r"the least $k$ with $\sum_{i \le k} \sigma_i^2 \ge 0.99 \sum_i \sigma_i^2$",
    "alpha": r"$p(\lambda) \propto \lambda^{-\alpha}$ for $\lambda \ge x_{\min}$",
}
PAPERS = {
    "effective_rank_sigma": ROY,
    "effective_rank_energy": ROY,
    "stable_rank": RUDELSON,
    "gavish_donoho_rank": GAVISH,
    "alpha": f"{MARTIN}, {CLAUSET}",
    "alpha_ks": CLAUSET,
    "alpha_p_value": CLAUSET,
}
TEXTS = (DECAY, DENSITY, TAIL)
