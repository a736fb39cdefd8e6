"""The eigenvalues of largest size of a symmetric matrix that is known by its products.

Implicitly restarted Lanczos of ARPACK, through scipy; Lehoucq, Sorensen and Yang (1998),
https://doi.org/10.1137/1.9780898719628
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from analysis.numerics.hessian.lanczos import Product

RESTARTS = 100


@dataclass(frozen=True, eq=False)
class Extremes:
    """Signed eigenvalues, descending by size, and whether all that were asked for were found."""

    values: np.ndarray
    converged: bool


def largest(
    product: Product, like: Tensor, size: tuple[int, int], generator: torch.Generator,
    tick: Callable[[], None],
) -> Extremes:  # fmt: skip
    """Return the `count` eigenvalues of largest size, `size` = (p, count), p > 1.

    Fewer than asked for where p or the convergence gives no more, and none for a zero matrix.
    `tick` is called after each product.
    """
    parameters, count = size
    start = torch.randn(parameters, generator=generator, dtype=torch.float64)
    if not product(start.to(like)).any():
        return Extremes(np.zeros(min(count, parameters)), converged=True)

    def times(v: np.ndarray) -> np.ndarray:
        made = product(torch.from_numpy(np.array(v).ravel()).to(like))
        tick()
        return made.cpu().numpy()

    dtype = np.dtype(str(like.dtype).removeprefix("torch."))
    operator = LinearOperator((parameters, parameters), matvec=times, dtype=dtype)
    try:
        found: np.ndarray = eigsh(
            operator,
            k=min(count, parameters - 1),
            which="LM",
            v0=start.numpy().astype(dtype),
            maxiter=RESTARTS,
            return_eigenvectors=False,
        )
        converged = True
    except ArpackNoConvergence as stopped:
        found, converged = np.real(stopped.eigenvalues), False
    return Extremes(found[np.argsort(-np.abs(found), kind="stable")].astype(float), converged)
