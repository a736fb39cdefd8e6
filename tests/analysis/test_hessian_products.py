"""Products with a Hessian and its parts, beside a Hessian that autograd builds in the plain way."""

import pytest
import torch

from analysis.numerics.hessian.exact import dense
from analysis.numerics.hessian.losses import CrossEntropy, Squared
from analysis.numerics.hessian.products import HessianProducts

SHAPES = [(4, 5), (4,), (3, 4)]  # weight, bias, weight


def small_net(seed, loss):
    """Leaves, a function of the flattened parameters, and the loss of a tanh net on 7 rows."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    X = normal(7, 5)
    labels = torch.randint(3, (7,), generator=generator)
    chosen = Squared(normal(7, 3)) if loss == "squared" else CrossEntropy(labels)
    leaves = [normal(*shape).requires_grad_(True) for shape in SHAPES]

    def outputs(W1, b, W2):
        return torch.tanh(X @ W1.T + b) @ W2.T

    return leaves, outputs, chosen


def flattened(outputs, theta):
    pieces = theta.split([20, 4, 12])
    return outputs(*(piece.view(shape) for piece, shape in zip(pieces, SHAPES, strict=True)))


def naive(leaves, outputs, loss):
    """H by autograd of the plain loss, H_O from the whole Jacobian, H_F as a sum over outputs."""
    theta = torch.cat([leaf.detach().reshape(-1) for leaf in leaves])

    def value(t):
        f = flattened(outputs, t)
        if isinstance(loss, Squared):
            return ((f - loss.targets) ** 2).sum(1).mean() / 2
        return -torch.stack(
            [
                torch.log(row.exp()[y] / row.exp().sum())
                for row, y in zip(f, loss.labels, strict=True)
            ]
        ).mean()

    def of_outputs(f):
        if isinstance(loss, Squared):
            return ((f - loss.targets) ** 2).sum(1).mean() / 2
        return torch.nn.functional.nll_loss(f.log_softmax(-1), loss.labels)

    H = torch.autograd.functional.hessian(value, theta)
    f = flattened(outputs, theta)
    J = torch.autograd.functional.jacobian(lambda t: flattened(outputs, t).reshape(-1), theta)
    B = torch.autograd.functional.hessian(of_outputs, f).reshape(21, 21)
    slopes = torch.autograd.functional.jacobian(of_outputs, f).reshape(-1)
    functional = sum(
        slope
        * torch.autograd.functional.hessian(
            lambda t, k=k: flattened(outputs, t).reshape(-1)[k], theta
        )
        for k, slope in enumerate(slopes)
    )
    return H, J.T @ B @ J, functional


@pytest.mark.parametrize("loss", ["squared", "cross entropy"])
@pytest.mark.parametrize("seed", range(3))
def test_the_parts_are_those_of_the_plain_definition(seed, loss):
    leaves, outputs, chosen = small_net(seed, loss)
    products = HessianProducts(outputs(*leaves), leaves, chosen)
    H, outer, functional = naive(leaves, outputs, chosen)
    split = dense(products, lambda: None)
    size = H.abs().max()
    # Sums of a few hundred products in float64, relative to the largest entry.
    assert (split.outer - outer).abs().max() < 1e-13 * size
    assert (split.functional - functional).abs().max() < 1e-13 * size
    assert (split.outer + split.functional - H).abs().max() < 1e-10 * size
    assert (split.outer - split.outer.T).abs().max() < 1e-13 * size
    v = torch.randn(36, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert (products(v) - H @ v).norm() < 1e-10 * (H @ v).norm()
    assert (products.outer(v) - outer @ v).norm() < 1e-10 * (outer @ v).norm()
    assert (products.functional(v) - functional @ v).norm() < 1e-10 * (functional @ v).norm()
    assert products.residual(v) < 1e-10
    assert functional.abs().max() > 0.01 * size  # neither part is negligible here
    assert outer.abs().max() > 0.01 * size


def test_the_loss_is_the_one_that_is_named():
    leaves, outputs, chosen = small_net(0, "cross entropy")
    f = outputs(*leaves).detach()
    by_hand = -sum(row.log_softmax(0)[y] for row, y in zip(f, chosen.labels, strict=True)) / 7
    assert HessianProducts(outputs(*leaves), leaves, chosen).value == pytest.approx(float(by_hand))


def test_each_product_is_counted():
    leaves, outputs, chosen = small_net(0, "squared")
    ticks = []
    dense(HessianProducts(outputs(*leaves), leaves, chosen), lambda: ticks.append(1))
    assert len(ticks) == 36


def test_parameters_without_an_effect_have_no_curvature():
    leaves, outputs, chosen = small_net(1, "squared")
    idle = torch.ones(2, dtype=torch.float64, requires_grad=True)
    both = HessianProducts(outputs(*leaves), [*leaves, idle], chosen)
    v = torch.ones(38, dtype=torch.float64)
    assert torch.equal(both(v)[36:], torch.zeros(2, dtype=torch.float64))
    assert both(v)[:36].norm() > 0
    alone = HessianProducts(outputs(*leaves).detach(), [idle], chosen)
    assert not alone.depends
    assert torch.equal(alone(v[:2]), torch.zeros(2, dtype=torch.float64))
    assert alone.residual(v[:2]) is None
