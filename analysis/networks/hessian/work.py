"""What a Hessian takes: products, memory and time, predicted from the headers of a model.

The constants were measured on the CPU (Llama of 0.26 M parameters, chains of up to 5,000) and are
rounded up; they say whether to launch, not when it ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.networks import chain
from analysis.networks.hessian.objectives import check_task
from analysis.networks.inputs import Inputs, check_text
from analysis.networks.opened import OpenedModel
from analysis.networks.positions import check_length
from analysis.networks.transformer import task_of
from analysis.numerics.hessian.measures import Probes
from analysis.registry import Work
from analysis.weights.source import Source

FLOAT64 = 8
KEPT = 75  # numbers of each hidden entry that a graph with a second derivative holds
KEPT_SCORES = 14  # of each attention score
KEPT_LOGITS = 16  # of each output
EACH = 1.5e-3  # seconds of a product, however small
PER_NUMBER = 3e-9  # seconds of a product for each number of the graph
PER_WEIGHT = 1.6e-10  # seconds of a product for each parameter and token
PER_CUBE = 1.2e-10  # seconds of `eigvalsh` over p cubed: 15 s at p = 5,000
SOLVED = 4  # H, H_O and H_F, and H in float32
MATRICES = 6  # of p x p that are alive at once, the solver's own included


@dataclass(frozen=True)
class Run:
    """One pass of a model over its data."""

    words: str
    parameters: int
    positions: int  # tokens, or rows of data
    numbers: int  # that its graph holds
    cure: str  # what makes it hold fewer


def run_of(source: Source, text: str | None, size: tuple[int, int], samples: int) -> Run:
    """Return what one pass takes; `size` = (windows, tokens).

    Raises NotRunnable or BadInput for what has no loss, and for a text that does not do.
    """
    if not source.config:
        layers = chain.layers_of(source)
        widths = sum(layer.weight.shape[0] for layer in layers)
        length = (chain.input_shape(layers) or (1, 64))[-1] if layers[0].is_conv else 1
        words = f"{samples} rows of data"
        return Run(
            words, source.parameters, samples, 10 * samples * widths * length, "fewer samples"
        )
    check_task(source, text)
    windows, length = size
    if task_of(source) == "classifier":
        check_length(source, length)
        Inputs(OpenedModel(source), text).labelled(windows, length)
    else:
        check_text(source, text, windows, length)
    tokens = windows * length
    numbers = tokens * _per_token(source, length)
    words = f"{windows} x {length} tokens"
    return Run(words, source.run_parameters, tokens, numbers, "fewer windows or shorter ones")


def _per_token(source: Source, length: int) -> int:
    facts = source.facts
    hidden, heads = facts.hidden or 0, facts.heads or 0
    vocabulary = int(facts.raw.get("vocab_size", 0))
    each = KEPT * hidden + KEPT_SCORES * heads * length
    return int(max(source.blocks, 1) * each + KEPT_LOGITS * vocabulary)


def sizes_of(source: Source, layers: Sequence[str], *, together: bool) -> list[int]:
    """Return the number of parameters of each Hessian."""
    chosen = set(layers)
    refs = [ref for ref in source.matrices() if ref.label.layer in chosen]
    if not together:
        return [ref.shape[0] * ref.shape[1] for ref in refs]
    if not source.config and len(refs) == len(source.matrices()):
        return [source.parameters]
    whole = {t.name: t.parameters for t in source.stored}
    sums: dict[str, int] = {}
    for ref in refs:  # a fused whole and its parts are the same entries
        more = sums.get(ref.tensor, 0) + ref.shape[0] * ref.shape[1]
        sums[ref.tensor] = min(more, whole.get(ref.tensor, more))
    return [sum(sums.values())]


def predict(run: Run, sizes: Sequence[int], limit: int, probes: Probes, itemsize: int) -> Work:
    """Return the work of one Hessian of each size, made up to `limit` and estimated beyond."""
    made = [p for p in sizes if p <= limit]
    guessed = [p for p in sizes if p > limit]
    products = sum(made) + len(guessed) * probes.products
    each = EACH + PER_NUMBER * run.numbers + PER_WEIGHT * run.parameters * run.positions
    seconds = products * each + SOLVED * PER_CUBE * sum(p**3 for p in made)
    width = FLOAT64 if made else itemsize
    memory = (2 * run.parameters + run.numbers) * width
    matrices = MATRICES * FLOAT64 * max(made, default=0) ** 2
    basis = (probes.steps + 2 * probes.top + 4) * itemsize * max(guessed, default=0)
    return Work(
        f"{_blocks(made, guessed, limit)}: {products:,} Hessian products on {run.words}",
        memory + max(matrices, basis),
        seconds,
        _cure(matrices, basis, memory, run.cure),
    )


def _blocks(made: Sequence[int], guessed: Sequence[int], limit: int) -> str:
    said = []
    if made:
        said.append(f"{len(made)} exact (up to {max(made):,} parameters)")
    if guessed:
        said.append(f"{len(guessed)} estimated (above {limit:,} parameters)")
    return " and ".join(said) or "nothing"


def _cure(matrices: int, basis: int, memory: int, run: str) -> str:
    largest = max(matrices, basis, memory)
    if largest == matrices:
        return "lower exact_limit"
    return f"choose {run}" if largest == memory else "choose fewer steps"
