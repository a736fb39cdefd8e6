"""What WeLore's figures show: the threshold, the two classes, the two counts of parameters."""

ABOUT = r"""
$\tilde\sigma = (\sigma - \sigma_{\min}) / (\sigma_{\max} - \sigma_{\min})$ in each layer; a
direction is pruned where $\tilde\sigma < \tau$, with one $\tau$ for the whole model. A layer that
loses at least the cutoff of its rank is a low-rank component (**LRC**) and is factored, unless its
factors would hold more numbers than the layer; the others (**N-LRC**) stay dense
([Jaiswal et al. 2024](https://arxiv.org/abs/2407.11239)).

*Nominal* numbers factor every layer at its rank, as the published code does by default; *applied*
ones come after cutoff and guard. A rank cut is no cut in parameters: factors of a square layer are
smaller than the layer only below half of its rank.
"""
TEXTS = (ABOUT,)
