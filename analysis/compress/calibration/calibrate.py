"""Calibration: second moments of what linear layers read, and of the loss's gradients by outputs.

For a layer y = W x, G = Σ x xᵀ / N over the N tokens that it reads, and A = Σ g gᵀ / P over P
predictions, where g = ∂L/∂y of the summed loss with labels drawn from the model's own distribution.
A ⊗ G is then the Kronecker-factored Fisher matrix of W per prediction (Martens & Grosse 2015,
https://arxiv.org/abs/1503.05671): ΔW changes the loss by ½‖A^½ ΔW G^½‖² nats. With the true labels,
the squared gradients of W by sequence are the weights of FWSVD (Hsu et al. 2022,
https://arxiv.org/abs/2207.00112).

A pass reads one window and keeps nothing of it but sums, so memory is that of the sums and of one
window, however many there are.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from analysis.compress.calibration import texts as calibration_text
from analysis.compress.calibration.files import bytes_of, load, plan_groups, save
from analysis.compress.calibration.passes import NotFiniteError, Recorder, frozen
from analysis.compress.calibration.sums import GRADIENTS, GradientSums, InputSums
from analysis.compress.pieces import NonFiniteLayer, Statistics
from analysis.compress.trials.targets import Target
from analysis.evaluate.nats import evaluating
from analysis.evaluate.non_finite import display_name, non_finite
from analysis.networks.errors import BadInput
from analysis.networks.opened import OpenedModel
from analysis.numerics.hessian.full_precision import FullPrecision
from analysis.registry import Quiet, Report

HELD_OUT = 8  # every eighth window

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

    Of 8 windows or more, every eighth is held out: it counts in `heldout` and in nothing else.
    Models without a loss (encoders) have no gradients. The network is left as it was. Raises
    NonFiniteLayer for the first layer whose output, or whose gradient, is NaN or infinite.
    """
    _check(calibration)
    if not found:
        return {}
    inputs, asked = calibration_text.questions(opened, ids, calibration.seed)
    asked = None if calibration.gradient == "none" else asked
    collected = _Collected(network, found, calibration, len(ids) >= HELD_OUT, asked is not None)
    with evaluating(network), frozen(network), _precision(network):
        for i, window in enumerate(inputs.to(_device(network))):
            (report or Quiet())(i, len(ids), "windows")
            held = len(ids) >= HELD_OUT and i % HELD_OUT == HELD_OUT - 1
            try:
                collected.window(window, None if asked is None or held else asked[i], held)
            except NotFiniteError:
                raise _first_not_finite(opened, network, window) from None
    (report or Quiet())(len(ids), len(ids), "windows")
    return collected.statistics()


class _Collected:
    """The sums over the windows that were passed so far."""

    def __init__(
        self,
        network: nn.Module,
        found: Sequence[Target],
        calibration: Calibration,
        heldout: bool,
        loss: bool,
    ) -> None:
        self._found, self._heldout = found, heldout
        self._device = _device(network)
        self._recorder = Recorder(network, found)
        self._inputs: dict[str, InputSums] = {}
        self._gradients = {
            target.layer: GradientSums(target, calibration.gradient, self._device)
            for target in (found if loss else ())
        }
        self._drawing = torch.Generator().manual_seed(calibration.seed)
        self._predicted = 0

    def window(self, inputs: Tensor, asked: Tensor | None, held: bool) -> None:
        """Pass one window (length,); without `asked` only its inputs count."""
        with self._recorder.attached():
            output = self._recorder.run({"input_ids": inputs[None]}, taps=asked is not None)
            self._add_inputs(held)
            if asked is not None:
                self._add_gradients(output, asked.to(self._device))

    def statistics(self) -> dict[str, Statistics]:
        """Return the means; layers that read one input get the very same tensors."""
        readers = self._recorder.readers
        for target in self._found:
            self._sums(readers.get(target.module, target.module), target.shape[1])
        means = {path: (sums.tokens, *sums.means()) for path, sums in self._inputs.items()}
        found = {}
        for target in self._found:
            known = means[readers.get(target.module, target.module)]
            sums = self._gradients.get(target.layer)
            more = (None, None, None) if sums is None else sums.means(self._predicted)
            found[target.layer] = Statistics(*known, *more)
        return found

    def _sums(self, path: str, width: int) -> InputSums:
        if path not in self._inputs:
            self._inputs[path] = InputSums(width, self._heldout, self._device)
        return self._inputs[path]

    def _add_inputs(self, held: bool) -> None:
        for call in self._recorder.calls:
            if self._recorder.readers[call.module] == call.module:
                self._sums(call.module, call.X.shape[1]).add(call.X, held)

    def _add_gradients(self, output: Any, asked: Tensor) -> None:
        """Differentiate twice: with labels drawn from the model, and with the true ones."""
        scored = calibration_text.asked(asked)
        logits = output.logits[0][scored]
        if not logits.isfinite().all():
            raise NotFiniteError
        logits = logits if logits.dtype == torch.float64 else logits.float()
        drawn = torch.multinomial(logits.detach().softmax(-1).cpu(), 1, generator=self._drawing)
        by_own = cross_entropy(logits, drawn[:, 0].to(self._device), reduction="sum")
        by_true = cross_entropy(logits, asked[scored])
        own, true = self._by_outputs(by_own, more=True), self._by_outputs(by_true)
        calls = self._recorder.calls
        D: dict[str, Tensor] = {}
        for call, g in zip(calls, true, strict=True):
            product = g.T @ call.X
            D[call.module] = D[call.module] + product if call.module in D else product
        for target in self._found:
            sums = self._gradients[target.layer]
            for call, g in zip(calls, own, strict=True):
                if call.module == target.module:
                    sums.add(g)
            sums.add_sequence(D.get(target.module))
        self._predicted += int(scored.sum())

    def _by_outputs(self, loss: Tensor, more: bool = False) -> list[Tensor]:
        """Return the gradient of each call's output, (N, outputs) float64."""
        taps = [call.tap for call in self._recorder.calls if call.tap is not None]
        found = torch.autograd.grad(loss, taps, retain_graph=more, allow_unused=True)
        return [
            (torch.zeros_like(tap) if g is None else g).reshape(-1, tap.shape[-1]).double()
            for tap, g in zip(taps, found, strict=True)
        ]


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
