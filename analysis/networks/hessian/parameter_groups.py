"""Which parameters one Hessian is taken over: those of one layer, or of several together."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from analysis.networks.blocks import Block
from analysis.networks.errors import NotRunnable
from analysis.networks.opened import OpenedModel

WHOLE = "whole"
CHOSEN = "all chosen matrices"


@dataclass(frozen=True, eq=False)
class Group:
    """Parameters that are varied together."""

    label: str
    tensors: tuple[str, ...]  # the layers' names in the file; () for all parameters of a chain
    blocks: tuple[Block, ...]

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(block.values.numel() for block in self.blocks)


def groups_of(
    model: OpenedModel, network: nn.Module, *, together: bool
) -> tuple[list[Group], str | None]:
    """Return the groups of the chosen layers, and a sentence about layers that have no block.

    Where all layers are chosen, those without a block (interleaved in a fused tensor) are left
    out; raises NotRunnable where nothing remains, or such a layer was chosen by name.
    """
    tensors = {ref.label.layer: ref.label.tensor for ref in model.source.matrices()}
    if together and model.all_layers and model.runs == "chain":
        blocks = [
            Block(name, p, (slice(None),) * p.dim()) for name, p in network.named_parameters()
        ]
        return [Group(WHOLE, (), tuple(blocks))], None
    found, without = {}, []
    for layer in model.layers:
        try:
            found[layer] = model.block(network, layer)
        except NotRunnable as error:
            if not model.all_layers:
                raise
            without.append(str(error))
    if not found:
        raise NotRunnable(without[0] if without else f"{model.name} has no weight matrix")
    said = f"{len(without)} layers are left out: {without[0]}" if without else None
    if together:
        kept = distinct(found.items())
        names = tuple(tensors.get(name, name) for name, _ in kept)
        group = Group(CHOSEN, names, tuple(block for _, block in kept))
        rest = sum(p.numel() for p in network.parameters()) - group.size
        fixed = f"{rest:,} parameters of the model lie outside of the chosen matrices and are held"
        return [group], "; ".join(words for words in (said, rest and f"{fixed} fixed") if words)
    return [Group(k, (tensors.get(k, k),), (block,)) for k, block in found.items()], said


def distinct(found: Iterable[tuple[str, Block]]) -> list[tuple[str, Block]]:
    """Return blocks of which none holds another's entries: a fused whole without its parts."""
    named = list(found)
    wholes = {block.name: name for name, block in named if _is_whole(block)}
    return [(name, block) for name, block in named if wholes.get(block.name, name) == name]


def _is_whole(block: Block) -> bool:
    return block.values.shape == block.parameter.shape
