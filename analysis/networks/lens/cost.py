"""What freezing a window and testing it costs, from headers alone."""

from collections.abc import Mapping
from typing import Any

from analysis.networks.lens.contributions import ENTRIES, at_once
from analysis.networks.lens.deletion import RUNS_OF_A_WINDOW
from analysis.registry import Work
from analysis.weights.source import Source

RATE = 4e10  # operations a second of one core here, for the prediction only
LIVE, LIVE_TESTED = 6, 3  # tensors of the widest layer that are held at once, frozen and real
PROGRAM = 48 << 20  # the model's classes, which are imported with it


def cost(source: Source, length: int, runs: int, deep: int, windows: int, probes: int) -> Work:
    """Return the work of `runs` runs of a window through `deep` blocks, and of the deletion test.

    A token pass is one token through all blocks; its operations are twice the entries of the
    blocks' matrices. Held at once are the file, the network in float32, a batch's widest layers.
    """
    read = source.run
    entries = sum(m * n for m, n in _of_blocks(read))
    tested = windows * RUNS_OF_A_WINDOW
    passes = length * (runs * deep / read.blocks + tested)
    words = f"{length} x {length} tokens, {probes} probes"
    words += f", {windows} windows of the deletion test" if windows else ""
    widest = _widest(read.config)
    live = LIVE * at_once(length, widest) * length * widest
    live = max(live, LIVE_TESTED * ENTRIES) if windows else live
    return Work(
        f"{words}: {round(passes):,} token passes",
        bytes=PROGRAM + source.run_bytes + 4 * (source.run_parameters + live),
        seconds=2 * entries * passes / RATE,
        cure="take a smaller model, fewer probes, or a shorter window",
    )


def _of_blocks(source: Source) -> list[tuple[int, int]]:
    matrices = source.matrices()
    return [r.shape for r in matrices if r.label.block is not None and r.label.kind == "linear"]


def _widest(config: Mapping[str, Any]) -> int:
    """Return the entries of a token in the widest layer of a block."""
    width = int(config.get("hidden_size") or config["n_embd"])
    inner = config.get("intermediate_size") or config.get("n_inner") or 4 * width
    return max(width, int(inner))
