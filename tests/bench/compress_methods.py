"""How long each compression method takes: its decomposition, for every size at once, and one trial.

On the sample, and on matrices of a Llama block of width 2048 and 5632, random with decaying spectra
and with made-up statistics: the one that leads back from the feed-forward, and for Tucker attention
(32 heads, 4 of keys and values). On the sample the methods take turns and ratios to plain SVD are
medians over the rounds; the block is run once. WeLore's decomposition is that of SVD. A trial
chooses ranks, puts the modules in place and measures the loss. Nothing is asserted.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from analysis import sample
from analysis.compress.calibration import calibrate as calibration
from analysis.compress.pieces import Statistics
from analysis.compress.registry import scan
from analysis.compress.trials.factoring import factor_stage
from analysis.compress.trials.specs import Spec, expand
from analysis.compress.trials.stages import STATISTICS
from analysis.compress.trials.targets import heads_of
from analysis.networks.opened import OpenedModel
from analysis.registry import Quiet
from analysis.trial import Params
from tests.analysis.compress.staged import Staged
from tests.machine import machine

ROUNDS = 3  # on the sample
KEPT = 0.8
SHORT = {"windows": 4, "window": 64, "speed": False}  # the loss of 256 tokens
LLAMA = {
    "hidden_size": 2048, "intermediate_size": 5632, "num_attention_heads": 32,
    "num_key_value_heads": 4, "num_hidden_layers": 1, "vocab_size": 256,
}  # fmt: skip
ATTENTION = ("q", "k", "v", "o")
SETTINGS = {"two_sided_svd": ("", "gradient=diagonal")}  # beside the default


def main() -> None:
    """Print both tables."""
    torch.manual_seed(0)
    logging.disable_progress_bar()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        on_sample(Path(folder) / "sample")
        on_block(Path(folder) / "block")


def on_sample(folder: Path) -> None:
    """Print the seconds for all linear layers of the sample, and how many times those of SVD."""
    stages = Staged(sample.MODEL, Params(calibration_windows=8, **SHORT), folder)
    began = time.perf_counter()
    stages.statistics()
    print(
        f"\nthe sample, {len(stages.opened.layers)} linear layers; calibration on 8 windows of 256 "
        f"tokens, with the whole covariance of gradients: {time.perf_counter() - began:.1f} s"
    )
    specs = methods()
    rounds = [
        {name: factoring(stages, name, folder / f"{turn}") for name in specs}
        for turn in range(ROUNDS)
    ]
    print(f"{'':32}{'factoring':>12}{'to SVD':>9}{'one trial':>12}")
    for name, spec in specs.items():
        seconds = statistics.median(times[name] for times in rounds)
        ratio = statistics.median(times[name] / times["svd"] for times in rounds)
        print(f"{name:32}{seconds:>10.2f} s{ratio:>9.2f}{trial(stages, spec):>10.2f} s")
    for name, method in scan()[0].items():
        if "adapter" in method.updates:
            print(f"{name + ', its adapter':32}{update(method):>10.2f} s")


def on_block(folder: Path) -> None:
    """Print the seconds for the block's layers."""
    model, known = made_up(folder)
    print(f"\na block of width {LLAMA['hidden_size']}; matrices' names, rows x columns")
    print(f"{'':32}{'factoring':>12}{'one trial':>12}")
    for name, spec in methods().items():
        if spec.method == "welore":
            continue
        roles = ATTENTION if spec.method == "tucker" else ("down",)
        stages = staged(folder / name.replace(":", " "), model, known, roles)
        shapes = [
            f"{r.label.module} {r.shape[0]} x {r.shape[1]}" for r in stages.groups()["block 0"]
        ]
        seconds = factoring(stages, name, stages.folder)
        print(f"{name:32}{seconds:>10.2f} s{trial(stages, spec):>10.2f} s  {', '.join(shapes)}")


def methods() -> dict[str, Spec]:
    """Return a trial of each method that compresses whole models, by its full name."""
    names = [
        ":".join(word for word in (name, more) if word)
        for name, method in scan()[0].items()
        for more in SETTINGS.get(name, ("",))
        if method.sizes != "update"
    ]
    specs = [expand(Params(methods=name, kept=str(KEPT)))[0] for name in names]
    return {spec.full_name: spec for spec in specs}


def factoring(stages: Staged, name: str, folder: Path) -> float:
    """Return the seconds of a method's decompositions, from reading matrices to keeping factors.

    They stay where a trial looks for them.
    """
    known, heads = stages.statistics(), heads_of(stages.opened)
    began = time.perf_counter()
    for group, refs in stages.groups().items():
        place = folder / f"{name} {group}".replace(":", " ")
        list(factor_stage(refs, name, known[group], heads, place, Quiet()))
        stages._done[f"{name} {group}"] = place
    return time.perf_counter() - began


def trial(stages: Staged, spec: Spec) -> float:
    """Return the seconds of one trial whose factors are there."""
    stages.dense()
    began = time.perf_counter()
    stages.row(spec)
    return time.perf_counter() - began


def update(method) -> float:
    """Return the seconds of a method that works on what training added."""
    source = OpenedModel.open(sample.ADAPTER, base=str(sample.MODEL)).source
    began = time.perf_counter()
    method.function(source, method.params(), 0.5)
    return time.perf_counter() - began


def made_up(folder: Path) -> tuple[Path, Path]:
    """Write a model of one block, and statistics in the place of its calibration."""
    network = LlamaForCausalLM(LlamaConfig(**LLAMA)).to(torch.float16)
    with torch.no_grad():
        for parameter in network.model.layers.parameters():
            if parameter.ndim == 2:
                parameter.copy_(decaying(*parameter.shape))
    network.save_pretrained(folder / "model")
    np.save(folder / "ids.npy", torch.randint(LLAMA["vocab_size"], (1024,)).numpy())
    kept = folder / "statistics"
    kept.mkdir()
    refs = OpenedModel.open(folder / "model").source.matrices()
    found = {r.label.layer: moments(*r.shape) for r in refs if r.label.block == 0}
    calibration.save(kept / STATISTICS, found)
    return folder / "model", kept


def staged(folder: Path, model: Path, known: Path, roles: Sequence[str]) -> Staged:
    """Return the stages of some of the block's matrices."""
    text = str(model.parent / "ids.npy")
    params = Params(calibrate=text, evaluate=text, **SHORT)
    stages = Staged(model, params, folder, [f"blocks.0.{role}" for role in roles])
    stages._done["statistics"] = known
    return stages


def moments(m: int, n: int) -> Statistics:
    """Return what a calibration on 2n tokens could have found of a matrix (m x n)."""
    G = covariance(n)
    return Statistics(
        tokens=2 * n, gram=G, mean_abs=G.diagonal().sqrt(),
        gradient=1e-6 * covariance(m), squared=G.diagonal().clone(),
    )  # fmt: skip


def covariance(width: int, common: int = 256) -> Tensor:
    """Return that of directions in common and of noise, where channel i has variance about 1/i."""
    scale = torch.arange(1, width + 1) ** -0.5
    V = torch.randn(width, common) * scale[:, None]
    return (V @ V.T / common + torch.diag(scale.square() / 2)).double()


def decaying(rows: int, cols: int) -> Tensor:
    """Return a random matrix whose singular values fall about as i^-½."""
    rank = min(rows, cols)
    scale = torch.arange(1, rank + 1) ** -0.5
    return (torch.randn(rows, rank) * scale) @ torch.randn(rank, cols) / (rows * cols) ** 0.5


if __name__ == "__main__":
    main()
