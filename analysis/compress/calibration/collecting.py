"""What the passes of one calibration leave: sums by input and by layer, and a sample of tokens."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from analysis.compress.calibration import texts as calibration_text
from analysis.compress.calibration.passes import NotFiniteError, Recorder
from analysis.compress.calibration.sampled_tokens import SampledTokens
from analysis.compress.calibration.sums import GradientSums, InputSums
from analysis.compress.pieces import NonFiniteLayer, Statistics
from analysis.compress.trials.targets import Target


class Collected:
    """The sums over the windows that were passed so far; `gradient` "none" is for no loss.

    Windows in `held` are held out: they count in `heldout` and in `sample` only.
    """

    def __init__(
        self, network: nn.Module, found: Sequence[Target], held: Collection[int],
        sample: SampledTokens, *, gradient: str, seed: int,
    ) -> None:  # fmt: skip
        self._found, self._held, self._sample = found, set(held), sample
        self._device = next(network.parameters()).device
        self._recorder = Recorder(network, found)
        self._inputs: dict[str, InputSums] = {}
        self._gradients = {
            target.layer: GradientSums(target, gradient, self._device)
            for target in (() if gradient == "none" else found)
        }
        self._drawing = torch.Generator().manual_seed(seed)
        self._predicted = 0

    def window(self, number: int, inputs: Tensor, asked: Tensor | None) -> None:
        """Pass one window (length,); without `asked` only its inputs count."""
        held = number in self._held
        taps = asked is not None and (not held or self._sample.wants(number))
        with self._recorder.attached():
            output = self._recorder.run({"input_ids": inputs[None]}, taps=taps)
            self._add_inputs(held)
            if asked is not None:
                scored = calibration_text.asked(asked)
                if taps:
                    self._add_gradients(number, output, asked.to(self._device), scored)
                else:
                    self._sample.skip(number, int(scored.sum()))

    def statistics(self) -> dict[str, Statistics]:
        """Return the means; layers that read one input get the very same tensors."""
        readers = self._recorder.readers
        for target in self._found:
            self._sums(readers.get(target.module, target.module), target.shape[1])
        means = {path: (sums.tokens, *sums.means()) for path, sums in self._inputs.items()}
        found = {}
        for target in self._found:
            reader = readers.get(target.module, target.module)
            sums = self._gradients.get(target.layer)
            known = Statistics(*means[reader])
            if sums is not None:
                gradient, squared, slope = sums.means(self._predicted)
                sample = self._sample.of(target, reader)
                known = replace(
                    known, gradient=gradient, squared=squared, slope=slope, sample=sample
                )
            found[target.layer] = known
        return found

    def _sums(self, path: str, width: int) -> InputSums:
        if path not in self._inputs:
            self._inputs[path] = InputSums(width, bool(self._held), self._device)
        return self._inputs[path]

    def _add_inputs(self, held: bool) -> None:
        for call in self._recorder.calls:
            if self._recorder.readers[call.module] == call.module:
                self._sums(call.module, call.X.shape[1]).add(call.X, held)

    def _add_gradients(self, number: int, output: Any, asked: Tensor, scored: Tensor) -> None:
        """Differentiate: with labels drawn from the model, and with the true ones if it counts."""
        held, predicted = number in self._held, int(scored.sum())
        logits = output.logits[0][scored]
        if not logits.isfinite().all():
            raise NotFiniteError
        logits = logits if logits.dtype == torch.float64 else logits.float()
        drawn = torch.multinomial(logits.detach().softmax(-1).cpu(), 1, generator=self._drawing)
        by_own = cross_entropy(logits, drawn[:, 0].to(self._device), reduction="sum")
        own, calls = self._by_outputs(by_own, more=not held), self._recorder.calls
        if self._sample.wants(number):
            self._sample.add(number, calls, own, self._recorder.readers, predicted)
        else:
            self._sample.skip(number, predicted)
        if held:
            self._check(own)
            return
        true = self._by_outputs(cross_entropy(logits, asked[scored]))
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
        self._predicted += predicted

    def _check(self, gradients: Sequence[Tensor]) -> None:
        """Raise NonFiniteLayer for the first layer whose output has no finite gradient."""
        for target in self._found:
            for call, g in zip(self._recorder.calls, gradients, strict=True):
                if call.module == target.module and not g.isfinite().all():
                    raise NonFiniteLayer(target.layer, "the gradient of its output")

    def _by_outputs(self, loss: Tensor, more: bool = False) -> list[Tensor]:
        """Return the gradient of each call's output, (N, outputs) float64."""
        taps = [call.tap for call in self._recorder.calls if call.tap is not None]
        found = torch.autograd.grad(loss, taps, retain_graph=more, allow_unused=True)
        return [
            (torch.zeros_like(tap) if g is None else g).reshape(-1, tap.shape[-1]).double()
            for tap, g in zip(taps, found, strict=True)
        ]
