"""Attention's matrices as one tensor by head, in Tucker form with factors that all heads share."""

from typing import Any

import torch
from torch import Tensor, nn

from analysis.compress.forms.base import Form, empty_bias, own


class HeadTucker(Form):
    """One matrix of the S that stand in the tensor of h heads.

    T_j (d x d_h x S) = core_j x1 U1 (d x R1) x2 U2 (d_h x R2) x3 U3 (S x R3), j of h. Slot s of
    T_j is the transposed rows of head j in W' (h d_h x d), or its columns where the matrix is
    `turned` (d x h d_h), as the output projection is.

    One of the S matrices owns the tensors; the others look them up in it and hold a bias at most.
    """

    kind = "head_tucker"

    def __init__(
        self,
        factors: "list[Tensor] | HeadTucker",  # U1, U2, U3, core (h x R1 x R2 x R3), or owner
        slot: int,
        turned: bool = False,
        bias: Tensor | None = None,
    ) -> None:
        owner = factors if isinstance(factors, HeadTucker) else None
        U1, U2, U3, core = factors.factors() if isinstance(factors, HeadTucker) else factors
        shapes = (U1.shape[1], U2.shape[1], U3.shape[1])
        if tuple(core.shape[1:]) != shapes or not 0 <= slot < len(U3):
            raise ValueError(f"expected a core of ranks {shapes}, got {tuple(core.shape)}")
        inner = len(core) * len(U2)
        super().__init__(*((len(U1), inner) if turned else (inner, len(U1))), bias)
        self.slot, self.turned, self.slots = slot, turned, len(U3)
        self.heads, self.ranks = len(core), list(core.shape[1:])
        self.owner: str | None = "" if owner else None  # its path, once `wire` has told it
        # In a tuple, so that the owner's tensors are not this module's as well.
        self._lender: tuple[HeadTucker, ...] = (owner,) if owner else ()
        if owner is None:
            self.U1, self.U2, self.U3, self.core = own(U1), own(U2), own(U3), own(core)

    def factors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return U1, U2, U3 and core, the owner's. Raises ValueError before they are wired."""
        if self.owner is None:
            return self.U1, self.U2, self.U3, self.core
        if not self._lender:
            raise ValueError(f"expected the tensors of {self.owner!r}, got a form not yet wired")
        return self._lender[0].factors()

    def wire(self, modules: dict[str, nn.Module]) -> None:
        """Find the owner among modules by path, and remember its path (the first of several).

        Raises ValueError where it is not there.
        """
        if self.owner is None:
            return
        if self._lender:
            paths = (path for path, found in modules.items() if found is self._lender[0])
            self.owner = next(paths, self.owner)
        found = modules.get(self.owner)
        if not isinstance(found, HeadTucker):
            raise ValueError(f"expected the owner of shared tensors at {self.owner!r}, got none")
        self._lender = (found,)

    def forward(self, x: Tensor) -> Tensor:
        """Pass x through one factor after another: W' is never formed."""
        U1, U2, _, _ = self.factors()
        mixed = self._mixed()  # (h, R1, R2)
        R1, R2 = mixed.shape[1:]
        if self.turned:
            inner = x.reshape(*x.shape[:-1], self.heads, len(U2)) @ U2  # (..., h, R2)
            joined = mixed.transpose(1, 2).reshape(-1, R1)
            return self.shifted((inner.flatten(-2) @ joined) @ U1.T)
        joined = mixed.transpose(0, 1).reshape(R1, -1)
        inner = (x @ U1) @ joined
        outer = inner.reshape(*x.shape[:-1], self.heads, R2) @ U2.T
        return self.shifted(outer.flatten(-2))

    def dense(self) -> Tensor:
        """Return W'."""
        U1, U2, _, _ = self.factors()
        W = (U2 @ self._mixed().transpose(1, 2) @ U1.T).flatten(0, 1)  # (h d_h, d)
        return W.T if self.turned else W

    def _mixed(self) -> Tensor:
        """Return Σ_r core[..., r] U3[slot, r] (h x R1 x R2)."""
        _, _, U3, core = self.factors()
        return core @ U3[self.slot]

    def details(self) -> dict[str, Any]:
        """Return ranks, heads, the place in the tensor and the path of the owner."""
        return {
            "ranks": self.ranks,
            "heads": self.heads,
            "slot": self.slot,
            "slots": self.slots,
            "turned": self.turned,
            "owner": self.owner,
        }

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "HeadTucker":
        """Return tensors of zeros, or none at all where they are another's."""
        R1, R2, R3 = spec["ranks"]
        sides = (spec["out_features"], spec["in_features"])
        width, inner = sides if spec["turned"] else sides[::-1]
        size = inner // spec["heads"]
        shapes = [(width, R1), (size, R2), (spec["slots"], R3), (spec["heads"], R1, R2, R3)]
        given = spec["slot"], spec["turned"], empty_bias(spec)
        if spec["owner"] is None:
            return cls([torch.zeros(shape) for shape in shapes], *given)
        form = cls(cls([torch.empty(shape, device="meta") for shape in shapes], 0), *given)
        form.owner, form._lender = spec["owner"], ()
        return form
