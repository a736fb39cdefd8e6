"""Run a float64 network in float64 throughout.

Transformers' classes compute norms, softmax and rotations in float32 whatever their weights are,
and round each result to 24 bits: a Hessian made from them has rounding noise of 1e-7 of its largest
eigenvalue, and full numerical rank. Under this mode each request for float32 is one for float64.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class FullPrecision(TorchFunctionMode):
    """A context in which `x.float()`, `x.to(torch.float32)` and the like give float64."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch with float64 in the place of float32."""
        if func is torch.Tensor.float:
            return args[0].double()
        wide = {name: _wide(value) for name, value in (kwargs or {}).items()}
        return func(*(_wide(value) for value in args), **wide)


def _wide(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value
