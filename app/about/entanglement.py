"""What the figures of entanglement show: a cut, its bounds and its controls."""

ABOUT = r"""
The sizes of an $m \times n$ matrix are split into primes, ascending, the rows' first:
$\psi = \mathrm{vec}(W)/\lVert W\rVert_F$ is read as the state of a chain of sites. A cut after
$\ell$ sites has the singular values $s$ of $W$ reshaped to $D_L \times D_R$ and the entropy
$S(\ell) = -\sum_i p_i \ln p_i$ with $p = s^2$
([Chen et al. 2026](https://arxiv.org/abs/2601.06788)).

- **Maximum** $\ln\min(D_L, D_R)$; **rank bound**
  $\min(\ln D_L, \ln D_R, \ln r + |\ln(D_L/m)|)$ for a matrix of rank $r$.
- **Page value**: the mean over random states, which Gaussian noise shows
  ([Page 1993](https://arxiv.org/abs/gr-qc/9305007)).
- **Controls**, lowest to highest of the seeded draws: the same singular values between random
  orthogonal matrices; and the same matrix with its rows and columns in random orders.

**What a valley shows.** Every rectangular matrix dips at the row|column cut, pure noise as well,
and a matrix of low rank dips as deep as its rank bound. So a valley alone is the shape and the
spectrum. The *deficit*, Page's value minus $S$ at row|column, takes the shape away.

**What the other cuts show.** Only the row|column cut does not depend on the basis. The others
depend on the order of rows and columns, which for the hidden units of a feed-forward layer is
arbitrary. Structure there is what leaves the band of the same singular values.
"""
TEXTS = (ABOUT,)
