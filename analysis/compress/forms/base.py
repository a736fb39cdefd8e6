"""What every storage form of a linear layer y = W' x + b has in common.

The source of this folder is also written into exported models, one file after another with `base`
first, so its modules import nothing but torch, the standard library and one another.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

KINDS: dict[str, type["Form"]] = {}


class Form(nn.Module):
    """A linear layer from `in_features` n to `out_features` m whose W' is kept in another form.

    Parameters are numbers of the layer, buffers are the rest, but for the buffers that `packed`
    names: those hold numbers in fewer bits. A bias is the original's and counts nowhere.
    """

    kind: ClassVar[str]
    packed: ClassVar[tuple[str, ...]] = ()

    in_features: int
    out_features: int
    bias: nn.Parameter | None

    def __init_subclass__(cls, **more: Any) -> None:
        """Enrol the form in `KINDS`."""
        super().__init_subclass__(**more)
        KINDS[cls.kind] = cls

    def __init__(self, out_features: int, in_features: int, bias: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = out_features, in_features
        self.register_parameter("bias", None if bias is None else own(bias))

    def forward(self, x: Tensor) -> Tensor:
        """Return W' x + b over the last dimension of x."""
        raise NotImplementedError

    def dense(self) -> Tensor:
        """Return W' (m x n)."""
        raise NotImplementedError

    def details(self) -> dict[str, Any]:
        """Return what `from_spec` must know beside the shape of W', in words of JSON."""
        raise NotImplementedError

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "Form":
        """Return a module of zeros with the same tensors as the one that gave the spec."""
        raise NotImplementedError

    def spec(self) -> dict[str, Any]:
        """Return what `build` makes a module of the same tensors from."""
        return {
            "kind": self.kind,
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.bias is not None,
            **self.details(),
        }

    def coded(self) -> int:
        """Return how many numbers the packed buffers hold."""
        return 0

    def numbers(self) -> int:
        """Return how many numbers make W'; a bias does not."""
        held = sum(p.numel() for name, p in self.named_parameters() if not is_bias(name))
        return held + sum(m.coded() for m in self.modules() if isinstance(m, Form))

    def index_bytes(self) -> int:
        """Return the bytes of what is kept beside the numbers: indices, scales, zeros."""
        return sum(
            buffer.numel() * buffer.element_size()
            for module in self.modules()
            for name, buffer in module.named_buffers(recurse=False)
            if name not in getattr(module, "packed", ())
        )

    def stored_bytes(self, dtype: torch.dtype) -> int:
        """Return the bytes of all but biases: parameters in `dtype`, buffers as they are."""
        parameters = {name for name, _ in self.named_parameters()}
        return sum(
            tensor.numel() * (dtype.itemsize if name in parameters else tensor.element_size())
            for name, tensor in self.state_dict().items()
            if not is_bias(name)
        )

    def stored_as(self, dtype: torch.dtype) -> "Form":
        """Round the parameters to what `dtype` can hold, and go on computing in their own."""
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(parameter.to(dtype))
        return self

    def wire(self, modules: dict[str, nn.Module]) -> None:
        """Let forms inside of this one find, by path, those whose tensors they share."""
        for module in self.modules():
            if isinstance(module, Form) and module is not self:
                module.wire(modules)

    def shifted(self, y: Tensor) -> Tensor:
        """Return y + b."""
        return y if self.bias is None else y + self.bias


def own(tensor: Tensor) -> nn.Parameter:
    """Return a parameter of the same values, which shares no memory."""
    return nn.Parameter(tensor.detach().clone(memory_format=torch.contiguous_format))


def is_bias(name: str) -> bool:
    """Return whether a key of a state dict is that of a bias."""
    return name.rpartition(".")[2] == "bias"


def empty_bias(spec: dict[str, Any]) -> Tensor | None:
    """Return zeros (m,) where the spec has a bias."""
    return torch.zeros(spec["out_features"]) if spec["bias"] else None


def describe(module: nn.Module) -> dict[str, Any]:
    """Return the spec of a form or of an ordinary linear layer. Raises ValueError for others."""
    if isinstance(module, Form):
        return module.spec()
    if isinstance(module, nn.Linear):
        shape = {"in_features": module.in_features, "out_features": module.out_features}
        return {"kind": "linear", **shape, "bias": module.bias is not None}
    raise ValueError(f"expected a form or a linear layer, got {type(module).__name__}")


def dense_matrix(module: nn.Module) -> Tensor:
    """Return W' of a form, or the weight of an ordinary linear layer."""
    if isinstance(module, Form):
        return module.dense()
    weight: Tensor = module.get_parameter("weight")
    return weight


def build(spec: dict[str, Any]) -> nn.Module:
    """Return a module of the spec's tensors, to be loaded. Raises ValueError for unknown kinds."""
    kind = spec["kind"]
    if kind == "linear":
        # Made on no device, since `Linear` draws random numbers on any other.
        size = spec["in_features"], spec["out_features"], spec["bias"]
        return nn.Linear(*size, device="meta").to_empty(device=torch.get_default_device())
    if kind not in KINDS:
        raise ValueError(f"expected a form of {', '.join(sorted(KINDS))}, got {kind!r}")
    return KINDS[kind].from_spec(spec)
