"""Why a tensor is not analysed as a matrix: one sentence for each that is left out."""

from collections.abc import Mapping, Sequence

from analysis.weights.facts import Facts
from analysis.weights.header import Stored
from analysis.weights.names import Name
from analysis.weights.pieces import is_readable, is_table

BITS = {"float8_": 8, "float6_": 6, "float4_": 4, "int8": 8, "uint8": 8}
SCALES = (".scale", ".scales", "_scale", "_scale_inv", ".scale_inv", ".SCB", ".absmax", "_scales")
HAS_HEAD = ("ForCausalLM", "LMHeadModel", "ForMaskedLM", "ForPreTraining")
NO_KERNEL = ": no name, bias or batch norm says it is a convolution"
SHARED_TABLES = {"shared.weight", "model.shared.weight"}


def reasons(tensors: Sequence[Stored], names: Mapping[str, Name], facts: Facts) -> dict[str, str]:
    """Return, by name, why each tensor that is no matrix is skipped."""
    tied = tied_to(tensors, names, facts)
    scales = _scales({tensor.name: tensor for tensor in tensors})
    known = {scale: f"the scale of {weight}" for weight, scale in scales.items()}
    for name, first in tied.items():
        known[name] = f"tied to {first}: the same matrix, listed once"
    found = {t.name: known.get(t.name) or _reason(t, names[t.name], scales) for t in tensors}
    return {name: reason for name, reason in found.items() if reason}


def tied_to(tensors: Sequence[Stored], names: Mapping[str, Name], facts: Facts) -> dict[str, str]:
    """Return, by name, the earlier tensor that a tied one repeats.

    A configuration that ties its embeddings makes the head (and the tables of an encoder and a
    decoder) one matrix with the embedding, whatever copies the file holds.
    """
    tied = {tensor.name: tensor.same_as for tensor in tensors if tensor.same_as}
    tables = [t for t in tensors if names[t.name].module in {"embed", "head"} and not t.same_as]
    tables.sort(key=lambda t: (names[t.name].module != "embed", t.name not in SHARED_TABLES))
    if not tables or names[tables[0].name].module != "embed":
        return tied
    first = tables[0]
    for other in tables[1:]:
        same_table = names[other.name].module == "embed" and first.name in SHARED_TABLES
        if (facts.tied or same_table) and other.shape == first.shape:
            tied[other.name] = first.name
    return tied


def is_head_too(facts: Facts) -> bool:
    """Say whether a model without a head of its own uses its embedding for one."""
    return facts.tied and facts.architecture.endswith(HAS_HEAD)


def _reason(tensor: Stored, name: Name, scales: Mapping[str, str]) -> str:
    if tensor.parameters == 0:
        return "empty (0 entries)"
    return _type_reason(tensor, scales) or _shape_reason(tensor, name)


def _type_reason(tensor: Stored, scales: Mapping[str, str]) -> str:
    bits = _bits(tensor)
    if bits and tensor.name in scales:
        return f"{bits}-bit ({tensor.dtype}) with its scale in {scales[tensor.name]}: not supported"
    if bits:
        return f"{bits}-bit ({tensor.dtype}) without a scale: its values are not known"
    if tensor.dtype == "bool":
        return "boolean: a mask, not a weight"
    if "int" in tensor.dtype:
        return f"integers ({tensor.dtype}): a counter, positions or packed values"
    return "complex numbers: not supported" if "complex" in tensor.dtype else ""


def _bits(tensor: Stored) -> int:
    """Return the bits of an entry of a quantised type, 0 for any other type."""
    return next((bits for start, bits in BITS.items() if tensor.dtype.startswith(start)), 0)


def _shape_reason(tensor: Stored, name: Name) -> str:
    if not tensor.shape:
        return "a single number"
    if len(tensor.shape) == 1:
        return "one-dimensional (a norm or a bias)"
    if tensor.name.endswith((".bias", "_bias")):
        return "a bias or a mask, not a weight"
    if len(tensor.shape) > 2 and not is_readable(tensor, name):
        return "3-dimensional with unknown meaning" + NO_KERNEL
    return "1 x n: its only singular value is its norm" if _is_line(tensor, name) else ""


def _is_line(tensor: Stored, name: Name) -> bool:
    if is_table(tensor, name):
        return min(tensor.shape[1:]) == 1
    if len(tensor.shape) == 2:
        return min(tensor.shape) == 1
    return tensor.shape[0] == 1 or tensor.parameters == tensor.shape[0]


def _scales(tensors: Mapping[str, Stored]) -> dict[str, str]:
    """Return the scale tensor of each 8-bit weight that has one beside it."""
    found: dict[str, str] = {}
    for name, tensor in tensors.items():
        if tensor.dtype.startswith(tuple(BITS)) or name.endswith(".qweight"):
            stems = [name, *(name.removesuffix(end) for end in (".weight", "_blocks", ".qweight"))]
            scale = next((s + e for s in stems for e in SCALES if s + e in tensors), "")
            found |= {name: scale} if scale else {}
    return found
