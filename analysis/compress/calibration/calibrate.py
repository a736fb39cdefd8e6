"""Calibration: second moments of what linear layers read, and of the loss's gradients by outputs.

For a layer y = W x, G = Σ x xᵀ / N over the N tokens that it reads, and A = Σ g gᵀ / P over P
predictions, where g = ∂L/∂y of the summed loss with labels drawn from the model's own distribution.
A ⊗ G is then the Kronecker-factored Fisher matrix of W per prediction (Martens & Grosse 2015,
https://arxiv.org/abs/1503.05671): ΔW changes the loss by ½‖A^½ ΔW G^½‖² nats. Of some tokens x and
g themselves are kept: see `sampled_tokens`. With the true labels, the squared gradients of W by
sequence are the weights of FWSVD (Hsu et al. 2022, https://arxiv.org/abs/2207.00112).

A pass reads one window and keeps nothing of it but sums, so memory is that of the sums and of one
window, however many there are.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from analysis.compress.calibration import texts as calibration_text
from analysis.compress.calibration.collecting import Collected
from analysis.compress.calibration.files import bytes_of, load, plan_groups, save
from analysis.compress.calibration.passes import NotFiniteError, frozen
from analysis.compress.calibration.sampled_tokens import SampledTokens, held_out
from analysis.compress.calibration.sums import GRADIENTS
from analysis.compress.pieces import NonFiniteLayer, Statistics
from analysis.compress.trials.targets import Target
from analysis.evaluate.nats import evaluating
from analysis.evaluate.non_finite import display_name, non_finite
from analysis.networks.errors import BadInput
from analysis.networks.opened import OpenedModel
from analysis.numerics.hessian.full_precision import FullPrecision
from analysis.registry import Quiet, Report

__all__ = [
    "Calibration",
    "bytes_of",
    "calibrate",
    "fingerprint",
    "load",
    "plan_groups",
    "save",
    "tokens",
]


@dataclass(frozen=True)
class Calibration:
    """How layers are calibrated; see `calibration_text` for the texts."""

    text: str | None = None  # None: the bundled calibration text
    windows: int = 64
    length: int | None = None  # None: 256 tokens, or all positions of a model that has fewer
    gradient: str = "full"  # what is kept of A: "none", "scalar", "diagonal" or "full"
    seed: int = 0


def tokens(opened: OpenedModel, calibration: Calibration) -> Tensor:
    """Return the windows of a calibration, (windows, length) int64. Loads no network.

    Raises BadInput and NotRunnable.
    """
    _check(calibration)
    ids = calibration_text.windows(
        opened, calibration.text, calibration.windows, calibration.length, calibration.seed
    )
    predicts = opened.task == "causal" and calibration.gradient != "none"
    if predicts and ids.shape[1] < 2:
        raise BadInput("windows of 1 token predict nothing: ask for at least 2 tokens")
    return ids


def fingerprint(ids: Tensor) -> str:
    """Return a hash of the windows."""
    return hashlib.sha256(f"{tuple(ids.shape)}".encode() + ids.numpy().tobytes()).hexdigest()


def calibrate(
    opened: OpenedModel,
    network: nn.Module,
    found: Sequence[Target],
    ids: Tensor,
    calibration: Calibration,
    report: Report | None = None,
) -> dict[str, Statistics]:
    """Return by layer what the windows `ids` say about some targets, which share the memory.

    Of 8 windows or more, every eighth is held out: it counts in `heldout` and `sample` only.
    Models without a loss (encoders) have no gradients. The network is left as it was. Raises
    NonFiniteLayer for the first layer whose output, or whose gradient, is NaN or infinite.
    """
    _check(calibration)
    if not found:
        return {}
    inputs, asked = calibration_text.questions(opened, ids, calibration.seed)
    asked = None if calibration.gradient == "none" else asked
    collected = _collected(network, found, ids, calibration, loss=asked is not None)
    with evaluating(network), frozen(network), _precision(network):
        for i, window in enumerate(inputs.to(_device(network))):
            (report or Quiet())(i, len(ids), "windows")
            try:
                collected.window(i, window, None if asked is None else asked[i])
            except NotFiniteError:
                raise _first_not_finite(opened, network, window) from None
    (report or Quiet())(len(ids), len(ids), "windows")
    return collected.statistics()


def _collected(
    network: nn.Module,
    found: Sequence[Target],
    ids: Tensor,
    calibration: Calibration,
    *,
    loss: bool,
) -> Collected:
    held = held_out(len(ids))
    windows = (held or range(len(ids))) if loss else ()
    # Whatever else differs, tokens and labels are the same where windows and seed are.
    name = hashlib.sha256(f"{fingerprint(ids)}{calibration.seed}".encode()).hexdigest()
    sample = SampledTokens(name, found, windows, ids.shape[1], calibration.seed)
    gradient = calibration.gradient if loss else "none"
    return Collected(network, found, held, sample, gradient=gradient, seed=calibration.seed)


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _first_not_finite(opened: OpenedModel, network: nn.Module, window: Tensor) -> NonFiniteLayer:
    """Return the error that names the first layer whose output is not finite."""
    found = non_finite(network, lambda: network(input_ids=window[None]))
    return NonFiniteLayer(display_name(opened, found.layer), found.what)


def _check(calibration: Calibration) -> None:
    if calibration.gradient not in GRADIENTS:
        known = ", ".join(GRADIENTS)
        raise ValueError(f"expected a gradient of {known}, got {calibration.gradient!r}")


@contextmanager
def _precision(network: nn.Module) -> Iterator[None]:
    """Run a float64 network in float64 throughout, any other as it is."""
    wide = next(network.parameters()).dtype == torch.float64
    with FullPrecision() if wide else nullcontext():
        yield
