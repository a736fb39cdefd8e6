"""What the figures of a Hessian show: its two parts, its rank exact or estimated."""

ABOUT = r"""
The Hessian $H = \partial^2 L/\partial\theta^2$ says how the loss bends in each direction of the
chosen parameters. With the outputs $f$ and their Jacobian $J$ it is the sum of

- the **outer-product part** $H_O = J^\top (\partial^2 L/\partial f^2) J$ (Gauss-Newton), which
  never bends downwards, and
- the **functional part**
  $H_F = \sum_k (\partial L/\partial f_k)\, \partial^2 f_k/\partial\theta^2$, the curvature of
  the network itself, which vanishes where the data are fitted.

**Exact**: the matrix is made, and its rank in float64 is
$\#\{|\lambda| > |\lambda|_{\max}\, p\, \varepsilon\}$. A rank is real where a *gap* of many
decades lies behind it. Without a gap it only says what float64 can resolve.

**Estimated**: [Lanczos quadrature](https://doi.org/10.1137/16M1104974) from random starts counts
the eigenvalues above a share of the largest. The interval covers the choice of starts, at 95 %, and
how the count moved over the second half of the steps. Where no node of the quadrature lies below
the threshold, its lower end leaves out the two nodes around zero, for they may stand for what does.

**Prediction**: for a fully connected linear net without biases the rank follows from the widths
([Singh et al. 2021](https://arxiv.org/abs/2106.16225)); other nets may exceed this *linear-net
bound*.

A low rank says that most directions leave this loss on this data unchanged to second order. It
does not say that the weights themselves have low rank, nor that they can be removed.
"""
TEXTS = (ABOUT,)
