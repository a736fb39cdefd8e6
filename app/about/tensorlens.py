"""What the figures of TensorLens show: the map of one window, and the deletion test."""

ABOUT = r"""
Attention patterns, the variances in the norms and the activation ratios $\varphi(z)/z$ are frozen
as this window has them. The model is then affine in its residual stream,
$y_i = \sum_j T_{ij} x_j + b_i$, and $c_{ij} = T_{ij} x_j$ is what source token $j$ contributes to
token $i$: exact, and additive with the biases
([TensorLens 2026](https://arxiv.org/abs/2601.17958)).

*Signed share* $\langle c_{ij}, y_i\rangle / \lVert y_i\rVert^2$; *norm* $\lVert c_{ij}\rVert$;
*logit* $w_i \cdot c_{ij}$ with $w_i$ the direction of the explained logit; *Frobenius norm*
$\lVert T_{ij}\rVert_F$, which leaves out how large $x_j$ is.

The map splits what the model did on this window. It does not say what the model would do if a
token were another one, for attention itself would change: $T$ is not the derivative. Where a gate
multiplies two functions of the stream, $T$ depends on which of them is taken as the ratio, and
another convention gives other numbers for the same output.
"""
ABOUT_DELETION = """
For each window the target is one token's largest logit (without a head, its final hidden state
along itself). Source tokens are deleted from the real model in an order, the most important first:
the embedding becomes the mean of the embedding table. The area under the drop is compared window by
window; intervals are 95 % of a paired bootstrap over the windows. Rollout is
[Abnar & Zuidema 2020](https://arxiv.org/abs/2005.00928).
"""
TEXTS = (ABOUT, ABOUT_DELETION)
