"""What the figures of activations show: inputs, outputs, the cache, where a layer acts."""

ABOUT = r"""
A calibration keeps $G = \sum x x^\top / N$ of the inputs $x$ of each linear layer. Its eigenvalues
$\lambda$ are the spectrum of the input, those of $W G W^\top$ the spectrum of the output $W x$,
without its bias. Second moments are not centred: a constant part of the activations counts as a
direction, often as the largest.

- **Effective dimension**: the participation ratio $(\sum\lambda)^2 / \sum\lambda^2$
  ([Recanatesi et al. 2019](https://arxiv.org/abs/1906.00443)).
- **Effective rank**: $\exp$ of the entropy of $\lambda / \sum\lambda$
  ([Roy & Vetterli 2007](https://ieeexplore.ieee.org/document/7098875)).
- **Directions for 95 %, 99 %**: the fewest that hold so much of $\sum\lambda$.

$N$ tokens show at most $N$ directions; below $N/n = 2$ the counts are too low.
"""
OF_CACHE = r"""
For each key/value head $h$ the directions that hold 95 or 99 % of the energy of $W_h x$, which are
the leading eigenvectors of $W_h G W_h^\top$. Keys are taken before any norm and before rotary
position embedding, so that they would be turned when they are read; after it they need more
directions. Bytes: directions times 2 (float16), over keys, values and blocks, for one token
([Saxena et al. 2024](https://arxiv.org/abs/2408.05646)).
"""
OF_ACTS = r"""
$\lVert W V_k \rVert^2 / \lVert W \rVert^2$, where $V_k$ holds the $k$ leading eigenvectors of $G$.
A matrix in random directions has $k/n$. Directions in which the input has no energy have no order,
so the curve says nothing beyond them.
"""
TEXTS = (ABOUT, OF_CACHE, OF_ACTS)
