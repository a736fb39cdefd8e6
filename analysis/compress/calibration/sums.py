"""What calibration passes add up, in float64: of each distinct input, and of each layer."""

import torch
from torch import Tensor

from analysis.compress.pieces import NonFiniteLayer
from analysis.compress.trials.targets import Target

GRADIENTS = ("none", "scalar", "diagonal", "full")


class InputSums:
    """Of one input x (n,): Σ x xᵀ and Σ |x|, and Σ x xᵀ of the windows that are held out."""

    def __init__(self, width: int, heldout: bool, device: torch.device) -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        self.tokens = self.heldout_tokens = 0
        self._gram, self._abs = zeros(width, width), zeros(width)
        self._heldout = zeros(width, width) if heldout else None

    def add(self, X: Tensor, held: bool) -> None:
        """Add the rows of X (N, n)."""
        if held and self._heldout is not None:
            self._heldout.addmm_(X.T, X)
            self.heldout_tokens += len(X)
            return
        self._gram.addmm_(X.T, X)
        self._abs += X.abs().sum(0)
        self.tokens += len(X)

    def means(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the means over tokens on the CPU: gram, mean_abs, heldout. The sums are gone."""
        # In place: the sums may be most of the memory. An expert may have seen no token at all.
        gram = self._gram.div_(max(self.tokens, 1)).cpu()
        mean_abs = self._abs.div_(max(self.tokens, 1)).cpu()
        if self._heldout is None:
            return gram, mean_abs, None
        return gram, mean_abs, self._heldout.div_(max(self.heldout_tokens, 1)).cpu()


class GradientSums:
    """Of one layer: Σ g gᵀ or its diagonal; over sequences Σ_i (∂L/∂W_ij)² and Σ ∂L/∂W."""

    def __init__(self, target: Target, kind: str, device: torch.device) -> None:
        m, n = target.shape
        self._target, self._kind, self._sequences = target, kind, 0
        shape = (m, m) if kind == "full" else (m,)
        self._covariance = torch.zeros(shape, dtype=torch.float64, device=device)
        self._squared = torch.zeros(n, dtype=torch.float64, device=device)
        self._slope = torch.zeros((m, n), dtype=torch.float64, device=device)

    def add(self, g: Tensor) -> None:
        """Add the rows of g (N, outputs of the module). Raises NonFiniteLayer."""
        g = g if self._target.rows is None else g[:, slice(*self._target.rows)]
        if not g.isfinite().all():
            raise NonFiniteLayer(self._target.layer, "the gradient of its output")
        if self._kind == "full":
            self._covariance.addmm_(g.T, g)
        else:
            self._covariance += g.square().sum(0)

    def add_sequence(self, D: Tensor | None) -> None:
        """Add one sequence's ∂L/∂W of the module (outputs of the module, n).

        None is zero: no token of the sequence came to this module, an expert.
        """
        self._sequences += 1
        if D is not None:
            rows = D if self._target.rows is None else D[slice(*self._target.rows)]
            self._squared += rows.square().sum(0)
            self._slope += rows

    def means(self, predicted: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return `gradient`, `squared`, `slope` of `Statistics` on the CPU; the sums are gone."""
        covariance = self._covariance.div_(max(predicted, 1)).cpu()
        squared = self._squared.div_(max(self._sequences, 1)).cpu()
        slope = self._slope.div_(max(self._sequences, 1)).float().cpu()
        if self._kind == "scalar":
            covariance = covariance.mean(0, keepdim=True)
        return covariance, squared, slope
