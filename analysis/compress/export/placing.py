"""Forms by the path of the module they stand for: which a network has, and putting them back."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from analysis.compress.forms import Form, build


def forms_in(network: nn.Module) -> dict[str, Form]:
    """Return the forms of a network by path; those inside of another are its own business."""
    found: dict[str, Form] = {}
    for path, module in network.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if isinstance(module, Form) and not inside:
            found[path] = module
    return found


def check_in_place(network: nn.Module, forms: Mapping[str, nn.Module]) -> None:
    """Raise ValueError unless exactly these forms stand in the network at their paths."""
    found = forms_in(network)
    wrong = sorted(path for path in forms.keys() | found.keys()
                   if found.get(path) is not forms.get(path))  # fmt: skip
    if wrong:
        raise ValueError(f"expected the forms of the network by path, got another at {wrong}")


# Its source is also written into exported models.
def place(network: nn.Module, specs: Mapping[str, Any]) -> None:
    """Put an empty form in the place of each module that a spec describes, and wire them."""
    for path, spec in specs.items():
        parent, _, leaf = path.rpartition(".")
        setattr(network.get_submodule(parent), leaf, build(spec))
    modules = dict(network.named_modules())
    for module in list(modules.values()):
        if hasattr(module, "wire"):
            module.wire(modules)
