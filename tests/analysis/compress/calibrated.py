"""Random inputs and what a calibration would find out about them."""

import torch

from analysis.compress.pieces import Piece, Statistics
from analysis.compress.registry import find


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def inputs(n, tokens, seed=0, outliers=1.0, decay=1.0, draw=0):
    """X (n x N) of correlated channels; three of them `outliers` times as large; two draws of one
    seed have the same covariance."""
    mix = torch.linalg.qr(normal(n, n, seed=seed)).Q
    scale = torch.ones(n, dtype=torch.float64)
    scale[[0, n // 2, n - 1]] = outliers
    powers = torch.logspace(0, -decay, n, dtype=torch.float64)
    return scale[:, None] * (mix * powers) @ normal(n, tokens, seed=1000 + 7 * seed + draw)


def statistics(X, gradients=None, heldout=None, squared=None, gradient="full", slope=None):
    """From inputs (n x N) and output gradients (m x N)."""
    tokens = X.shape[1]
    A = None if gradients is None else gradients @ gradients.T / gradients.shape[1]
    if A is not None and gradient != "full":
        A = A.diagonal().clone() if gradient == "diagonal" else A.diagonal().mean()[None]
    other = None if heldout is None else heldout @ heldout.T / heldout.shape[1]
    return Statistics(tokens, X @ X.T / tokens, X.abs().mean(1), other, A, squared, slope)


def piece(W, found=None, layer="blocks.0.q"):
    return Piece(layer, layer.rpartition(".")[2], 0, W, found)


def norm(matrix):
    return float(torch.linalg.norm(matrix))


def errors(W, B, A, left=None, right=None, ranks=None):
    """‖left (W - B_k A_k) right‖ at each rank, one product at a time."""
    found = []
    for k in range(A.shape[0] + 1) if ranks is None else ranks:
        error = W - B[:, :k] @ A[:k]
        error = error if left is None else left @ error
        found.append(norm(error if right is None else error @ right))
    return found


def tails(M, count, ranks=None):
    """√Σ_{i>k} σᵢ²(M) for k = 0, ..., count."""
    squares = torch.linalg.svdvals(M).square()
    return [float(squares[k:].sum().sqrt()) for k in ranks or range(count + 1)]


def layer(m, n, tokens=400, seed=0, outliers=1.0, **more):
    """A random layer with all that a calibration can find."""
    X, Y = inputs(n, tokens, seed=seed, outliers=outliers), inputs(m, tokens, seed=seed + 50)
    squared = normal(n, seed=seed + 7).square()
    W = normal(m, n, seed=seed + 3)
    return piece(W, statistics(X, Y, inputs(n, tokens, seed=seed, draw=1), squared, **more)), X, Y


def factors(name, given, **settings):
    method = find(name)
    tensors = method.function([given], method.params(**settings))
    assert set(tensors) == {f"{given.layer}.B", f"{given.layer}.A"}
    return tensors[f"{given.layer}.B"], tensors[f"{given.layer}.A"]


def own_weights(name, given):
    """The two sides that each method says it weighs by, as square roots."""
    found, eye = given.statistics, torch.eye(given.W.shape[1], dtype=torch.float64)
    if name in ("svd", "welore"):
        return None, eye
    if name == "fwsvd":
        return None, torch.diag(found.squared.sqrt())
    if name == "asvd":
        return None, torch.diag(found.mean_abs.sqrt())
    left = torch.linalg.cholesky(found.gradient).T if name == "two_sided_svd" else None
    return left, torch.linalg.cholesky(found.gram)
