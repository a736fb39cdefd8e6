"""What the figures of a training run show: the detector of the switch, and its ranks."""

ABOUT = r"""
The stable rank $\|W\|_F^2 / \sigma_1^2$ counts the directions that carry a weight's energy, with
little regard for a long small tail. With the published rule
([Cuttlefish, Wang et al. 2023](https://arxiv.org/abs/2305.02538)) each layer's series is smoothed,
$\mathrm{ema}_t = a\,\mathrm{sr}_t + (1-a)\,\mathrm{ema}_{t-1}$ with $a = 2/(w+1)$; the layer is
stable once the mean $|\mathrm{gradient}|$ of the last smoothed values is at most the threshold; and
training could go on with factors at epoch $E$, the first after all layers were stable.

A steady stable rank says that the spectrum's shape has settled. It does not say that training has
converged, nor that factors of this rank cost no accuracy. The decision depends on what one epoch
is: a slower clock drifts more per epoch. A learning rate that falls settles everything.
"""
ABOUT_RANKS = r"""
$\min(r, \lceil \xi\,\mathrm{sr} \rceil)$ with $\xi = r / \mathrm{sr}_0$: full rank over the stable
rank of the first checkpoint, so that random weights keep full rank. Where the first checkpoint is
not the initial one, $\xi$ is not that of random weights, and the ranks are too large or too small
by as much. Factors of rank $k$ hold $k(m+n)$ numbers in place of $mn$.
"""
TEXTS = (ABOUT, ABOUT_RANKS)
