"""Storage forms of each kind, small and in float64, for the tests of forms."""

import torch
from torch import nn

from analysis.compress.forms import (
    Compensated,
    HeadTucker,
    Merged,
    Parts,
    Quantised,
    RowInterpolative,
    TensorTrain,
    TwoFactor,
)


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def codes(rows, cols, bits, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2**bits, (rows, cols), generator=generator, dtype=torch.uint8)


def quantised(rows=12, cols=10, bits=4, group=4, zeros=True, bias=True):
    groups = -(-cols // group) if group else 1
    scale = (normal(rows, groups, seed=3).abs() + 0.5) / 8
    zero = codes(rows, groups, bits, seed=4).double() if zeros else None
    given = normal(rows, seed=5) if bias else None
    return Quantised(codes(rows, cols, bits), scale, zero, bits, group, given)


def tucker_factors(width=10, size=4, slots=4, heads=3, ranks=(5, 3, 2)):
    shapes = [(width, ranks[0]), (size, ranks[1]), (slots, ranks[2]), (heads, *ranks)]
    return [normal(*shape, seed=seed) / 2 for seed, shape in enumerate(shapes)]


def head_tucker(turned=False, slot=1):
    rows = 10 if turned else 12
    return HeadTucker(tucker_factors(), slot, turned, normal(rows, seed=6))


FORMS = {
    "two_factor": lambda: TwoFactor(normal(4, 10), normal(12, 4, seed=1), normal(12, seed=2)),
    "rank 0": lambda: TwoFactor(normal(0, 10), normal(12, 0), normal(12, seed=2)),
    "row_interpolative": lambda: RowInterpolative.of(
        normal(12, 4, seed=1), normal(4, 10), normal(12, seed=2)
    ),
    "rows of all": lambda: RowInterpolative.of(normal(6, 6), normal(6, 10), normal(6)),
    "merged": lambda: Merged(normal(12, 10), normal(12)),
    "tensor_train": lambda: TensorTrain(
        [normal(1, 3, 2, 4), normal(4, 2, 5, 3, seed=1), normal(3, 2, 1, 1, seed=2)], normal(12)
    ),
    "head_tucker": head_tucker,
    "head_tucker, turned": lambda: head_tucker(turned=True),
    "quantised": quantised,
    "quantised, 3 bits": lambda: quantised(bits=3, zeros=False),
    "quantised, rows": lambda: quantised(bits=8, group=0),
    "compensated": lambda: Compensated(quantised(), normal(12, 2), normal(2, 10, seed=1)),
    "compensated layer": lambda: Compensated(
        nn.Linear(10, 12, dtype=torch.float64), normal(12, 2), normal(2, 10, seed=1)
    ),
    "parts": lambda: Parts(
        [
            FORMS["two_factor"](),
            nn.Linear(10, 3, dtype=torch.float64),
            quantised(),
            nn.Linear(10, 2, bias=False, dtype=torch.float64),
        ]
    ),
}
