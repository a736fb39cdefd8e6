"""The deletion test: whether an order of source tokens puts those first that matter.

For each window of L tokens the target is one token's largest logit; without a head it is the final
hidden state y itself, measured as <y', y>/||y||^2. Source tokens are deleted from the *real* model,
the most important first: a deleted token's embedding becomes the mean of the embedding table, its
position stays. With s(k) the target after k deletions out of the n tokens that can reach it, the
drop is s(0) - s(k), and an order's area is the integral of the drop over k/n from 0 to 1
(trapezoids at most `STEPS` wide). Every order starts at 0 and ends at the same drop, so a larger
area means that what matters was deleted earlier.

Orders: by contribution w . c_ij to the target, largest first; by attention rollout; at random.
The area is that of Samek et al. (2017), https://arxiv.org/abs/1509.06321, with a drop of the
target itself; TensorLens (2026), https://arxiv.org/abs/2601.17958, perturbs tokens likewise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from analysis.networks.lens.contributions import ENTRIES
from analysis.networks.lens.freezing import freeze
from analysis.networks.lens.frozen import Frozen
from analysis.numerics.attention_rollout import attention_rollout

STEPS = 16  # points of a curve, beside the undeleted one
RANDOM_ORDERS = 4  # averaged in each window
RUNS_OF_A_WINDOW = (2 + RANDOM_ORDERS) * (STEPS + 1)  # at most


@dataclass(frozen=True, eq=False)
class Deletion:
    """Drops of the target in each window, (windows, points), by the order of deletion."""

    shares: Tensor  # (points,), k/n
    contributions: Tensor
    rollout: Tensor
    random: Tensor  # mean over the random orders

    def area(self, drops: Tensor) -> Tensor:
        """Return the area under each window's curve, (windows,)."""
        return torch.trapezoid(drops, self.shares, dim=-1)


@dataclass(frozen=True, eq=False)
class Target:
    """What is measured at one token: a logit, or its hidden state along what it was."""

    position: int
    token: int | None  # None: no head
    w: Tensor  # (D,), the direction of final hidden states that it is linear in


def deletion(
    network: Any, windows: Tensor, position: int | None, gating: str, seed: int,
    say: Callable[[int], None] = lambda done: None,
) -> Deletion:  # fmt: skip
    """Delete tokens of each window (W, L) and measure the target at `position` (None: the last).

    `say` is told of each finished window. Needs what `freeze` needs.
    """
    generator = torch.Generator().manual_seed(seed)
    measured = []
    for done, ids in enumerate(windows, start=1):
        frozen = freeze(network, ids, gating)
        target = target_of(frozen, position)
        orders = _orders(frozen, target, generator)
        measured.append(_drops(network, ids, target, orders))
        say(done)
    drops = torch.stack(measured)  # (W, orders, points)
    counts = _counts(_reaching(frozen, target.position)).double()
    return Deletion(counts / counts[-1], drops[:, 0], drops[:, 1], drops[:, 2:].mean(1))


def target_of(frozen: Frozen, position: int | None = None, token: int | None = None) -> Target:
    """Return the target at a position (None: the last one, or the one a classifier reads).

    `token` None: the model's own prediction there.
    """
    place = len(frozen.hidden) - 1 if position is None else position
    place = place if frozen.readout is None else frozen.readout
    if frozen.logits is None:
        y = frozen.hidden[place]
        return Target(place, None, y / y.square().sum())
    row = frozen.logits[0 if frozen.readout is not None else place]
    chosen = int(row.argmax()) if token is None else token
    w, _ = frozen.directions(torch.full((len(frozen.hidden),), chosen, device=row.device))
    return Target(place, chosen, w[place])


def contributed(frozen: Frozen, target: Target) -> Tensor:
    """Return w . c_j for each source token of the whole model, (L,): one transposed run."""
    span = frozen.span()
    seen = torch.zeros_like(frozen.hidden)
    seen[target.position] = target.w
    return (span.transposed(seen) * span.X).sum(-1)


def _reaching(frozen: Frozen, position: int) -> int:
    """Return how many tokens, counted from the first, can reach the target."""
    return position + 1 if frozen.causal else len(frozen.hidden)


def _orders(frozen: Frozen, target: Target, generator: torch.Generator) -> Tensor:
    """Return the orders of deletion, most important first, (2 + RANDOM_ORDERS, n)."""
    count = _reaching(frozen, target.position)
    rolled = attention_rollout(frozen.patterns)[target.position]
    by_score = [scores.cpu()[:count].argsort(descending=True, stable=True)
                for scores in (contributed(frozen, target), rolled)]  # fmt: skip
    shuffled = [torch.randperm(count, generator=generator) for _ in range(RANDOM_ORDERS)]
    return torch.stack([*by_score, *shuffled])


def _counts(reaching: int) -> Tensor:
    """Return how many tokens are deleted at each point, from 0 to all."""
    return torch.linspace(0, reaching, min(reaching, STEPS) + 1).round().long()


def _drops(network: Any, ids: Tensor, target: Target, orders: Tensor) -> Tensor:
    """Return s(0) - s(k) for each order and point, (orders, points)."""
    table = network.get_input_embeddings()
    with torch.no_grad():
        whole, mean = table(ids), table.weight.mean(0)
        variants = torch.stack(
            [
                whole.index_fill(0, order[:count].to(ids.device), 0.0)
                + mean * _indicator(order[:count], len(ids)).to(whole)
                for order in orders
                for count in _counts(orders.shape[1])
            ]
        )
        scores = _scores(network, variants, target).view(len(orders), -1)
    return scores[:, :1] - scores


def _indicator(deleted: Tensor, length: int) -> Tensor:
    return torch.zeros(length).index_fill(0, deleted, 1.0)[:, None]


def _scores(network: Any, variants: Tensor, target: Target) -> Tensor:
    """Return the target for each variant of the window's embeddings (N, L, D), float64, (N,)."""
    widest = max(variants.shape[-1] * 4, network.config.vocab_size)
    size = max(1, ENTRIES // (variants.shape[1] * widest))
    return torch.cat([_measured(network, chunk, target) for chunk in torch.split(variants, size)])


def _measured(network: Any, variants: Tensor, target: Target) -> Tensor:
    output = network(inputs_embeds=variants, use_cache=False)
    if target.token is None:
        found: Tensor = output.last_hidden_state[:, target.position] @ target.w
    else:
        logits = output.get("prediction_logits", output.get("logits"))
        at = logits if logits.dim() == 2 else logits[:, target.position]
        found = at[:, target.token]
    return found.double().cpu()
