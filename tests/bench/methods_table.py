"""The README's table of compression methods, with what each comes to on the bundled sample.

Without arguments it prints the table; `--write` (`make methods-table`) puts it into the README,
between the lines that mark its place. Every trial is a row of `analysis/trial.py` over the same
windows. LASER is of one layer, and updates are of the sample's adapter, on the text of that.
"""

import argparse
import re
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
from analysis import sample
from analysis.compress.registry import find
from analysis.compress.trials.measuring import evaluation_stage
from analysis.compress.trials.specs import Spec, expand
from analysis.compress.trials.stages import Given
from analysis.networks.opened import OpenedModel
from analysis.registry import Quiet
from analysis.trial import Params, Row, trial
from tests.analysis.compress.staged import Staged, ranked
from tests.machine import machine

README = Path(__file__).parents[2] / "README.md"
TABLE = re.compile(r"(<!-- methods:.*?-->\n).*?(<!-- /methods -->)", re.DOTALL)
SETTINGS = {"speed": False, "windows": 64, "window": 256, "calibration_windows": 64}
KEPT = (0.8, 0.6, 0.4)
LASER_LAYER = "blocks.5.up"
HEAD = ("method", "sizes", "kept", "bytes", "Δloss, nats", "predicted", "perplexity", "seconds")


def specs() -> Iterator[Spec]:
    """Yield the trials of the sample's linear layers, in the table's order."""
    for method in ("svd", "fwsvd", "asvd", "whitened_svd"):
        yield from (ranked(method, kept, "uniform") for kept in KEPT)
    yield from expand(Params(methods="welore", kept=", ".join(map(str, KEPT))))
    for method in ("whitened_svd", "two_sided_svd"):
        yield from (ranked(method, kept) for kept in KEPT)
    yield from (ranked("two_sided_svd", kept, form="row_interpolative") for kept in KEPT)
    yield from (Spec("rtn", {"bits": str(bits)}) for bits in (8, 4, 3))
    yield Spec("rtn", {"bits": "3"}, compensation="eora", compensation_rank=8)
    yield Spec("tucker", kept=0.9)
    yield from (Spec("mpo", kept=kept) for kept in KEPT[:2])


def measured(folder: Path, spec: Spec, stages: Staged) -> tuple[Row, float]:
    """Return the row of a trial, and the seconds that it took with its method's decompositions."""
    stages.dense(), stages.statistics()
    began = time.process_time()
    # Decomposed again for each size, so that every row's seconds are those of a trial by itself.
    place = folder / f"{time.monotonic_ns()}"
    own = Staged(sample.MODEL, stages.params, place, stages.opened.layers)
    own._done = {name: stages._done[name] for name in ("dense", "statistics")}
    return own.row(spec), time.process_time() - began


def rows(folder: Path) -> Iterator[tuple[Spec, Row, float, str]]:
    """Yield each trial with its row, its seconds, and what it is of if that is not all layers."""
    stages = Staged(sample.MODEL, Params(**SETTINGS), folder / "all")
    for spec in specs():
        yield spec, *measured(folder, spec, stages), ""
    one = Staged(sample.MODEL, stages.params, folder / "one", [LASER_LAYER])
    one._done = {name: stages._done[name] for name in ("dense", "statistics")}
    yield Spec("laser"), *measured(folder, Spec("laser"), one), f" of `{LASER_LAYER}`"
    for method in ("lora_shrink", "lora_extract"):
        spec = Spec(method, {"rank": "4"})
        yield spec, *update(folder / method, spec), " of the sample's adapter"


def update(folder: Path, spec: Spec) -> tuple[Row, float]:
    """Return the row of the adapter at half its rank, measured on help topics, and its seconds."""
    folder.mkdir()
    topics = folder / "topics.txt"
    topics.write_text(sample.topics("heldout"), encoding="utf-8")
    params = Params(evaluate=str(topics), **SETTINGS)
    opened = OpenedModel.open(sample.ADAPTER, base=str(sample.MODEL))
    list(evaluation_stage(opened, params, folder / "dense", Quiet()))
    began = time.process_time()
    [row] = trial(Given(opened, spec, params, {}, {}, folder / "dense"), Quiet())
    return row, time.process_time() - began


def cells(spec: Spec, row: Row, seconds: float, of: str) -> list[str]:
    """Return a trial's cells."""
    settings = "".join(f", {k} {v}" for k, v in spec.settings.items())
    by = "" if spec.compensation == "none" else f", + {row.compensation}"
    sizes = " ".join(word.replace("_", " ") for word in (row.allocation, row.form) if word)
    return [
        f"{find(spec.method).title} (`{spec.method}`{settings}{by}){of}",
        sizes or "its own",
        f"{row.kept_linear:.1%}",
        f"{row.bytes / row.of_bytes:.1%}",
        f"{row.delta:+.4f} [{row.delta_low:+.4f}, {row.delta_high:+.4f}]",
        "" if row.predicted is None else f"{row.predicted:+.4f}",
        f"{row.perplexity:.3f}",
        f"{seconds:.1f}",
    ]


def table(lines: list[list[str]]) -> str:
    """Return Markdown."""
    rule = ["---", "---", *["--:"] * (len(HEAD) - 2)]
    return "".join(f"| {' | '.join(line)} |\n" for line in [list(HEAD), rule, *lines])


def note(row: Row) -> str:
    """Return the sentences above the table, from a trial of all layers."""
    evaluated, calibrated = row.evaluated_on.rstrip("."), row.calibrated_on.rstrip(".")
    said = (
        f"On the bundled sample, whose own perplexity is {row.dense_perplexity:.3f}. "
        f"Measured on {evaluated}; calibrated on {calibrated}. Kept is the share of the linear "
        "layers' parameters, bytes that of the whole file; the loss is the saved model's, with a "
        "paired 95 % interval; seconds are of the processor, for decomposition and trial "
        f"together, on {machine()}."
    )
    return textwrap.fill(said, 100, break_on_hyphens=False) + "\n\n"


def written(readme: str, text: str) -> str:
    """Return the README with the table in its place."""
    return TABLE.sub(lambda found: found[1] + text + found[2], readme)


def main(arguments: Any) -> None:
    """Print each trial when it is done, and write the table where that is asked for."""
    torch.manual_seed(0)
    lines, said = [], ""
    with tempfile.TemporaryDirectory() as folder:
        for spec, row, seconds, of in rows(Path(folder)):
            said = said or note(row)
            lines.append(cells(spec, row, seconds, of))
            print(" | ".join(lines[-1]), flush=True)
    print(said)
    if arguments.write:
        README.write_text(written(README.read_text(), said + table(lines)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the table into the README")
    main(parser.parse_args())
