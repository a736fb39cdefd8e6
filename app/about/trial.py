"""What the figures of compression trials show: size, loss, prediction, layers, recovery."""

ABOUT_SIZE = r"""
**Δloss** is the mean change of the loss from the dense model in nats per token, on the very same
windows, with a paired 95 % bootstrap interval over them; perplexity is $e^{\text{loss}}$. **Size**
counts each saved tensor once: bytes with scales and indices, parameters of the whole model (tied
ones once), or the share of the chosen linear layers' parameters. Of an adapter that is made smaller
all of it stands in the place of the dense model: the base with the whole adapter, its file, its
numbers.

The **Pareto front** joins the trials that no smaller one equals: in the order of size, a trial is
on it if it loses less than every trial before it on the front, by more than the paired interval of
the difference of the two. Of two whose sizes are within half a percent the better stays.
"""
ABOUT_PREDICTED = r"""
$\Delta\text{loss} \approx \sum_\ell \langle \mathbb{E}[\partial L/\partial W_\ell],
W'_\ell - W_\ell \rangle + \tfrac12 \mathbb{E}_t\big[\big(\sum_\ell g_\ell^T (W_\ell - W'_\ell)\,
x_\ell\big)^2\big]$: the slope of the loss on the calibration text, and its curvature along all
changes together, by the Fisher matrix ([Martens 2014](https://arxiv.org/abs/1412.1193)) over tokens
$t$ of calibration windows that no factor was fitted to. It is of second order: above 0.3 nats it is
not reliable.
"""
ABOUT_LAYERS = r"""
The error of a layer's output is $\lVert (W - W')X \rVert_F / \lVert W X \rVert_F$ over the
calibration text; held-out windows are every eighth of it, which no method saw. A low-rank layer of
two factors holds $k(m+n)$ numbers, a row-interpolative one $k(m+n-k)$, a dense one $mn$.
"""
ABOUT_RECOVERY = (
    "The factors were trained for as many steps as the dense control, on the same batches. A loss "
    "that falls in both says that the model learns the text, not that the compression is undone."
)
TEXTS = (ABOUT_SIZE, ABOUT_PREDICTED, ABOUT_LAYERS, ABOUT_RECOVERY)
