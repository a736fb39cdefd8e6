"""What the figures of trade-offs show: what is lost, what is predicted, how ranks are set."""

ERROR = r"""
Each layer $W$ ($m \times n$) keeps $k$ directions and loses a share of its energy, in singular
values $\sum_{i>k} \sigma_i^2$. $E$ is the share that is kept: the mean of the layers' own shares,
or of the total over all layers. The curve is $\sqrt{1 - E}$, which for one layer is
$\lVert W - W'\rVert_F / \lVert W \rVert_F$. It says little about accuracy: on a small language
model "91 % of the energy" took the perplexity from 6.5 to 1249.
"""
NATS = r"""
$\Delta\text{loss} \approx \sum_l \langle \mathbb{E}[\partial L/\partial W_l], W_l' - W_l \rangle
+ \frac12 \mathbb{E}_t\Big[\big(\sum_l g_l^T (W_l - W_l')\, x_l\big)^2\Big]$ in nats per predicted
token, over the linear layers $l$. The first term is the slope of the loss on the calibration text,
the second its curvature: the Fisher matrix of all layers together
([Martens 2014](https://arxiv.org/abs/1412.1193)), over tokens $t$ of calibration windows that no
factor was fitted to, with a layer's input $x_l$ and the gradient $g_l$ by its output, for labels
drawn from the model itself. A layer's own number is its slope and its share of the second term:
what it loses alone, and half of what it and each other layer add to each other. The perplexity is
multiplied by $e^{\Delta}$. A large change is beyond what a second-order estimate can say.
"""
RANKS = r"""
- **Greedy**: segments of each layer's upper concave hull of (numbers held, what is kept), the dense
  layer among its points, by gain per number.
- **Uniform**: the same share of every layer's size.
- **Equal energy**: the fewest directions that hold a share $\eta$, one $\eta$ for all layers.
- **WeLore**: one threshold $\tau$ on $(\sigma - \sigma_{min}) / (\sigma_{max} - \sigma_{min})$
  ([Jaiswal et al. 2024](https://arxiv.org/abs/2407.11239)), here solved for the size.

What is left of the size goes direction by direction to the greatest gain per number.

- **Two factors** hold $k(m + n)$ numbers; a layer that they would not make smaller stays dense.
- **Row-interpolative** (pivoting factorisation): $k$ rows of $W'$ and what makes the others of
  them, $k(m + n - k)$ numbers, never more than $mn$, and $k$ row indices of 4 bytes.
"""
TEXTS = (ERROR, NATS, RANKS)
