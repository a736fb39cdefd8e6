"""A sample of tokens, the same in every layer: what each layer reads there, and its gradients.

Sums over tokens cannot tell how changes of several layers act together, tokens can:

    Δloss ≈ ½ E_t[(Σ_l g_l(t)ᵀ ΔW_l x_l(t))²]   nats per predicted token,

with labels drawn from the model's own distribution (the Fisher matrix of all layers, token by
token, not factored). Tokens come from the windows that are held out where there are some: factors
that were fitted to a token's input leave less of it than of another's.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from analysis.compress.calibration.passes import Call
from analysis.compress.pieces import TokenSample
from analysis.compress.trials.targets import Target

TOKENS = 2048
HELD_OUT = 8  # every eighth window, where there are as many


def held_out(windows: int) -> list[int]:
    """Return which windows of a calibration are held out: none of fewer than 8."""
    return list(range(HELD_OUT - 1, windows, HELD_OUT))


def sample_size(windows: int, length: int) -> int:
    """Return how many tokens the sample of a calibration has."""
    return min(TOKENS, (len(held_out(windows)) or windows) * length)


class SampledTokens:
    """Tokens drawn from some windows, without replacement, and what was noted of them."""

    def __init__(
        self, name: str, found: Sequence[Target], windows: Sequence[int], length: int, seed: int
    ) -> None:
        self._name, self._found, self._length = name, found, length
        drawing = torch.Generator().manual_seed(seed)
        drawn = torch.randperm(len(windows) * length, generator=drawing)[:TOKENS].sort().values
        self._positions = {
            window: drawn[drawn // length == i] % length for i, window in enumerate(windows)
        }
        self._tokens = len(windows) * length
        self._predicted = 0
        self._inputs: dict[str, list[Tensor] | None] = {}  # by module that owns the input
        self._gradients: dict[str, list[Tensor] | None] = {}  # by layer

    def wants(self, window: int) -> bool:
        """Say whether a token of this window is in the sample."""
        return len(self._positions.get(window, ())) > 0

    def skip(self, window: int, predicted: int) -> None:
        """Count the predictions of a window of which no token is in the sample."""
        if window in self._positions:
            self._predicted += predicted

    def add(
        self, window: int, calls: Sequence[Call], gradients: Sequence[Tensor],
        readers: Mapping[str, str], predicted: int,
    ) -> None:  # fmt: skip
        """Note the calls of one window, with the gradient of each call's output (N, outputs).

        A module that does not read one row for each token, in every window as often, has no sample:
        which of its rows is which token's (an expert's, a pooler's) is not known.
        """
        at = self._positions[window]
        self._predicted += predicted
        by_module: dict[str, list[tuple[Call, Tensor]]] = {}
        for call, g in zip(calls, gradients, strict=True):
            by_module.setdefault(call.module, []).append((call, g))
        for module in {target.module for target in self._found}:
            seen = by_module.get(module, [])
            if readers.get(module, module) == module:
                self._note(self._inputs, module, [call.X for call, _ in seen], at)
        for target in self._found:
            seen = by_module.get(target.module, [])
            rows = slice(None) if target.rows is None else slice(*target.rows)
            self._note(self._gradients, target.layer, [g[:, rows] for _, g in seen], at)

    def of(self, target: Target, reader: str) -> TokenSample | None:
        """Return the sample of one layer; layers of one input get the very same tensor of it."""
        X, g = _whole(self._inputs, reader), _whole(self._gradients, target.layer)
        if X is None or g is None or X.shape[0] != g.shape[0]:
            return None
        scale = (self._tokens / max(self._predicted, 1)) ** 0.5
        return TokenSample(self._name, X, g * scale)

    def _note(
        self, held: dict[str, list[Tensor] | None], name: str, calls: list[Tensor], at: Tensor
    ) -> None:
        known = held.setdefault(name, [])
        if known is None:
            return
        as_before = not known or known[0].shape[0] == len(calls)
        if not calls or not as_before or any(len(rows) != self._length for rows in calls):
            held[name] = None
            return
        here = at.to(calls[0].device)
        known.append(torch.stack([rows[here].float().cpu() for rows in calls]))


def _whole(held: dict[str, list[Tensor] | None], name: str) -> Tensor | None:
    """Return what was noted as one tensor (calls, tokens, width), the same one at each call."""
    parts = held.get(name)
    if not parts:
        return None
    if len(parts) > 1 or parts[0].dtype != torch.float32:
        # A network in float64 is run where nothing is narrowed.
        parts[:] = [torch.cat(parts, dim=1).float()]
    return parts[0]
