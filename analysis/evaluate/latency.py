"""How fast a trial runs beside its dense model, and how much memory it takes.

The two take turns in one process, and change who is first, so that what else the machine does meets
both. Times are medians with the quarters beside them: a few slow runs change neither.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from analysis.evaluate.flops import linear_flops
from analysis.evaluate.memory import peak_bytes
from analysis.evaluate.nats import evaluating
from analysis.evaluate.size import weights_bytes
from analysis.registry import Quiet, Report


@dataclass(frozen=True)
class Pace:
    """One model's forward passes over a batch."""

    latency: float  # seconds of one pass, the median
    low: float  # the first quarter
    high: float  # the third quarter
    tokens_per_second: float  # by the median
    weights_bytes: int  # parameters and buffers in memory
    peak_bytes: int  # weights and the most that tensors of one pass take beside them
    flops: int  # of the chosen linear layers, per token


@dataclass(frozen=True)
class Speed:
    """Both models on the same batch."""

    dense: Pace
    trial: Pace
    speedup: float  # median of the dense latency by the trial's, turn by turn
    batch: int
    length: int
    repeats: int
    device: str
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def speed(
    dense: nn.Module,
    trial: nn.Module,
    ids: Tensor,
    repeats: int = 7,
    modules: Sequence[str] = (),
    report: Report | None = None,
) -> Speed:
    """Time forward passes of both networks over ids (batch, length), by turns.

    `modules` are the paths of the compressed layers, whose operations are counted. One pass of
    each comes before the timed ones. Raises ValueError for no repeats.
    """
    if repeats < 1:
        raise ValueError(f"expected one repeat or more, got {repeats}")
    report = report or Quiet()
    pair = (dense, trial)
    ids = ids.to(next(dense.parameters()).device)
    times: tuple[list[float], list[float]] = ([], [])
    with evaluating(dense), evaluating(trial):
        peaks = [_peak(network, ids) for network in pair]  # warms up as well
        with torch.inference_mode():
            for turn in range(repeats):
                report(turn, repeats, "timed passes")
                for which in (0, 1) if turn % 2 else (1, 0):
                    times[which].append(_seconds(pair[which], ids))
        flops = [linear_flops(network, modules) for network in pair]
    report(repeats, repeats, "timed passes")
    paces = [_pace(times[i], ids.numel(), pair[i], peaks[i], flops[i]) for i in (0, 1)]
    ratios = torch.tensor(times[0], dtype=torch.float64) / torch.tensor(times[1]).double()
    rows, length = ids.shape
    return Speed(
        dense=paces[0],
        trial=paces[1],
        speedup=float(ratios.quantile(0.5)),
        batch=rows,
        length=length,
        repeats=repeats,
        device=str(ids.device),
        threads=torch.get_num_threads(),
    )


def _seconds(network: nn.Module, ids: Tensor) -> float:
    _wait(ids.device)
    start = time.perf_counter()
    network(input_ids=ids)
    _wait(ids.device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak(network: nn.Module, ids: Tensor) -> int:
    return weights_bytes(network) + peak_bytes(lambda: network(input_ids=ids))


def _pace(times: list[float], tokens: int, network: nn.Module, peak: int, flops: int) -> Pace:
    quarters = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    low, middle, high = torch.tensor(times, dtype=torch.float64).quantile(quarters).tolist()
    return Pace(middle, low, high, tokens / middle, weights_bytes(network), peak, flops)
