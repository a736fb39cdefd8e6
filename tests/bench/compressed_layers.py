"""How much faster a compressed layer is than the dense one, beside its share of the parameters.

Layers of random numbers, since speed depends on shapes alone. The dense layer and all its forms
take turns, each round in another order, so that what else the machine does meets all of them; the
speed-up is the median over the rounds of dense time by the form's. Tucker over heads is of the
attention of a block of the same width, its four matrices together. Nothing is asserted.
"""

import math
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))
from analysis.compress.forms import HeadTucker, Quantised, RowInterpolative, TensorTrain, TwoFactor
from analysis.compress.mpo import factorised
from analysis.compress.rtn import Params, rounded
from analysis.compress.trials.choosing import numbers_of
from tests.machine import machine

SHAPES = ((2048, 5632, 64), (688, 256, 32))  # m, n, and the width of a head
KEPT = (0.9, 0.8, 0.6, 0.4)
BITS = (8, 4, 3)
TOKENS = (1, 64)
LEAST_SECONDS = 0.02  # of one timing: shorter layers run several times in it


def main(rounds: int = 7) -> None:
    """Print one table per layer."""
    print(machine())
    for rows, cols, head in SHAPES:
        width = min(rows, cols)
        layer = nn.Linear(cols, rows, bias=False)
        print(f"\n{rows} x {cols}, float32")
        table([layer], forms_of(layer), rounds)
        print(f"\nattention of width {width}, {width // head} heads, float32")
        table([nn.Linear(width, width, bias=False) for _ in range(4)], tucker(width, head), rounds)


def table(dense: list[nn.Linear], forms: dict[str, list[nn.Module]], rounds: int) -> None:
    """Print what each form holds, and its speed-up at each number of tokens."""
    heads = "".join(f"  {f'{tokens} tokens':>12}" for tokens in TOKENS)
    print(f"{'':28}{'parameters':>12}  {'bytes, fp16':>12}{heads}")
    times = {tokens: speedups(dense, forms, tokens, rounds) for tokens in TOKENS}
    numbers = sum(layer.weight.numel() for layer in dense)
    for name, layers in forms.items():
        held = sum(layer.numbers() for layer in layers) / numbers
        stored = sum(layer.stored_bytes(torch.float16) for layer in layers) / numbers / 2
        found = "".join(f"  {times[tokens][name]:>11.3g}x" for tokens in TOKENS)
        print(f"{name:28}{held:>12.3f}  {stored:>12.3f}{found}")


@torch.inference_mode()
def speedups(
    dense: list[nn.Linear], forms: dict[str, list[nn.Module]], tokens: int, rounds: int
) -> dict[str, float]:
    """Return the median of the dense time by each form's."""
    x = torch.randn(1, tokens, dense[0].in_features)
    turns: list[tuple[str, list[nn.Module]]] = [("dense", list(dense)), *forms.items()]
    repeats = {name: math.ceil(LEAST_SECONDS / seconds(layers, x, 2)) for name, layers in turns}
    times: dict[str, list[float]] = {name: [] for name, _ in turns}
    for turn in range(rounds):
        at = turn * len(turns) // rounds
        for name, layers in turns[at:] + turns[:at]:
            times[name].append(seconds(layers, x, repeats[name]))
    return {
        name: statistics.median(a / b for a, b in zip(times["dense"], times[name], strict=True))
        for name in forms
    }


def seconds(layers: list[nn.Module], x: Tensor, repeats: int) -> float:
    """Return the seconds of one pass through the layers, of several."""
    began = time.perf_counter()
    for _ in range(repeats):
        for layer in layers:
            layer(x)
    return (time.perf_counter() - began) / repeats


def forms_of(layer: nn.Linear) -> dict[str, list[nn.Module]]:
    """Return the forms at each size, by name."""
    W = layer.weight.detach()
    found: dict[str, list[nn.Module]] = {}
    for make in (two_factor, row_interpolative, tensor_train):
        for kept in KEPT:
            found[f"{make.__name__.replace('_', ' ')}, {kept:.0%}"] = [make(*W.shape, kept)]
    for bits in BITS:
        codes, scale, zero = rounded(W, Params(bits=bits))
        found[f"round to nearest, {bits} bits"] = [Quantised(codes, scale, zero, bits, 64)]
    return found


def two_factor(rows: int, cols: int, kept: float) -> TwoFactor:
    """Return k(m + n) numbers."""
    rank = int(kept * rows * cols / (rows + cols))
    return TwoFactor(torch.randn(rank, cols), torch.randn(rows, rank))


def row_interpolative(rows: int, cols: int, kept: float) -> RowInterpolative:
    """Return k(m + n - k) numbers."""
    held = [numbers_of(rows, cols, k, "row_interpolative") for k in range(min(rows, cols))]
    rank = max(k for k, numbers in enumerate(held) if numbers <= kept * rows * cols)
    C = torch.randn(rows - rank, rank) / rank
    return RowInterpolative(torch.randn(rank, cols), C, torch.randperm(rows)[:rank].sort()[0])


def tensor_train(rows: int, cols: int, kept: float) -> TensorTrain:
    """Return two cores, χ(o1 i1 + o2 i2) numbers."""
    outputs, inputs = factorised(rows, 2), factorised(cols, 2)
    sides = [o * i for o, i in zip(outputs, inputs, strict=True)]
    bond = int(kept * rows * cols / sum(sides))
    bonds = (1, bond, 1)
    cores = [torch.randn(bonds[s], outputs[s], inputs[s], bonds[s + 1]) for s in (0, 1)]
    return TensorTrain(cores)


def tucker(width: int, head: int) -> dict[str, list[nn.Module]]:
    """Return q, k, v and o at each size: what is cut is the directions of the model's width."""
    found: dict[str, list[nn.Module]] = {}
    heads = width // head
    for kept in KEPT:
        fixed = head * head + 16  # the other two factors, which stay whole
        rank = int((4 * kept * width**2 - fixed) / (width + heads * head * 4))
        parts = [
            torch.randn(width, rank), torch.eye(head), torch.eye(4),
            torch.randn(heads, rank, head, 4) / rank,
        ]  # fmt: skip
        first = HeadTucker(parts, 0, turned=False)
        others = [HeadTucker(first, slot, turned=slot == 3) for slot in (1, 2, 3)]
        found[f"Tucker over heads, {kept:.0%}"] = [first, *others]
    return found


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
