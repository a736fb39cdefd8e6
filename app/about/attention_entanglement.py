"""What the figures of attention's entanglement show: entropy against length."""

ABOUT = r"""
The attention matrix $A$ ($T \times T$) of one head on one window of text is read as a state of
looking and looked-at tokens: with its singular values $s$ and $p = s^2 / \sum s^2$,
$S = -\sum p \ln p$ ([Chen et al. 2026](https://arxiv.org/abs/2601.06788)). The windows are nested:
shorter ones are the beginnings of the longest. Slopes are least squares over $\log_2 T$; intervals
are 95 % bootstraps over windows, the same resamples for every head.

- **Maximum** $\ln T$: each token looks at one of its own.
- **Uniform attention** under the same mask: all visible tokens alike. With a causal mask it grows
  too, by less with every octave; without a mask it is 0.
- **Estimate for Gaussian logits**: $h(q) + (1-q)(\ln T - \tfrac12)$ with $q = e^{-\sigma^2}$, for
  independent logits of the measured spread $\sigma$ and no mask. An estimate, not a fit.

A slope says how the number of independent patterns grows with the text, not whether they are
useful; and it holds for these lengths only.
"""
TEXTS = (ABOUT,)
