"""The stage behind ASVD's search: the loss with one layer alone compressed, for each of its sizes.

Measured on windows of the calibration text, so that what a trial is measured on chooses nothing.

Yuan et al. (2023), https://arxiv.org/abs/2312.05821
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis.compress.calibration import calibrate as calibration
from analysis.compress.forms import TwoFactor
from analysis.compress.trials.calibrating import settings_of
from analysis.compress.trials.factoring import method_of, read_tensors, write_rows
from analysis.compress.trials.stages import SensitivityRow
from analysis.compress.trials.targets import Target, targets, weight
from analysis.evaluate.nats import next_tokens, score
from analysis.evaluate.non_finite import layers_named
from analysis.networks.errors import NotRunnable
from analysis.networks.opened import OpenedModel
from analysis.numerics.break_even import break_even_rank
from analysis.registry import Report

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
WINDOWS = 8  # of the calibration text: there are layers x 9 measurements


def sensitivity_stage(  # noqa: PLR0913  what a stage is told
    opened: OpenedModel, params: Any, method_full_name: str, factors: Path,
    layers: Sequence[str], folder: Path, report: Report,
) -> Iterator[SensitivityRow]:  # fmt: skip
    """Yield the loss of the model with each layer alone at each share of its parameters.

    Raises NotRunnable for a model that is not causal, NonFiniteLayer for a loss that is not finite.
    """
    if opened.task != "causal":
        raise NotRunnable(
            f"{opened.name} predicts no next token: sensitivity measures losses, so choose another "
            "allocation"
        )
    if method_of(method_full_name)[0].sizes != "ranks":
        raise NotRunnable(f"{method_full_name} has sizes of its own: no ranks are allocated")
    network = opened.network()
    found, _ = targets(opened, network, layers)
    ids = calibration.tokens(opened, settings_of(params))[:WINDOWS]
    rows: list[SensitivityRow] = []
    with layers_named(opened):
        for done, target in enumerate(found):
            report(done, len(found), f"sensitivity of {target.layer}")
            rows += _rows(network, target, read_tensors(factors, target.layer), ids)
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder, rows)
    yield from rows


def _rows(
    network: nn.Module, target: Target, tensors: dict[str, torch.Tensor], ids: torch.Tensor
) -> Iterator[SensitivityRow]:
    """Write W' of each rank over W, measure, and put W back."""
    B, A = tensors[f"{target.layer}.B"], tensors[f"{target.layer}.A"]
    W = weight(network, target)
    own = W.clone()
    ranks = {share: int(share * W.numel() / sum(W.shape)) for share in SHARES}
    for share, rank in ranks.items():
        if not 0 < rank <= break_even_rank(*W.shape):
            continue
        with torch.no_grad():
            W.copy_(TwoFactor(A[:rank], B[:, :rank]).dense())
        loss = score(network, ids, next_tokens(ids)).mean
        yield SensitivityRow(target.layer, share, rank, float(loss))
    with torch.no_grad():
        W.copy_(own)
