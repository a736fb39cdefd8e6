"""The linear layers that were chosen of a model, by the block that they are in; from headers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from analysis.compress.calibration.calibrate import bytes_of, plan_groups
from analysis.compress.trials.stages import group_name
from analysis.compress.trials.targets import Target
from jobs.errors import JobError

FLOAT32 = 4
Block = int | None


@dataclass(frozen=True)
class Groups:
    """The matrices of each block; those in no block are the group "outside"."""

    refs: dict[Block, list[Any]]

    @classmethod
    def of(cls, refs: Sequence[Any], model: str) -> "Groups":
        """Group those refs that are of linear layers. Raises JobError where there is none."""
        found: dict[Block, list[Any]] = {}
        for ref in refs:
            if ref.label.kind == "linear":
                found.setdefault(ref.label.block, []).append(ref)
        if not found:
            raise JobError(f"{model} has no linear layer among those chosen: choose others")
        return cls(found)

    @cached_property
    def layers(self) -> list[str]:
        """Return the names of all layers."""
        return [ref.label.layer for refs in self.refs.values() for ref in refs]

    @property
    def named(self) -> dict[str, list[Any]]:
        """Return the matrices by the name of their group."""
        return {group_name(block): refs for block, refs in self.refs.items()}

    def runs(self, gradient: str) -> list[list[Block]]:
        """Return the blocks that are calibrated together."""
        return plan_groups(self._targets(self.refs), gradient=gradient)

    def of_run(self, run: Sequence[Block]) -> list[Any]:
        """Return the matrices of some blocks."""
        return [ref for block in run for ref in self.refs[block]]

    def statistics_bytes(self, gradient: str, sampled: int) -> int:
        """Return what the statistics of all groups take, with a sample of so many tokens."""
        return bytes_of(self._targets(self.refs), gradient, sampled=sampled)

    def largest_run(self, gradient: str, sampled: int) -> int:
        """Return what the statistics of the largest run take."""
        runs = map(self._targets, self.runs(gradient))
        return max(bytes_of(run, gradient, sampled=sampled) for run in runs)

    def factor_bytes(self) -> int:
        """Return what the factors of one method take: K(m + n) numbers of each matrix."""
        shapes = (ref.shape for refs in self.refs.values() for ref in refs)
        return int(FLOAT32 * sum(min(m, n) * (m + n) for m, n in shapes))

    def _targets(self, run: Any) -> list[Target]:
        return [_target(ref) for block in run for ref in self.refs[block]]


def run_name(run: Sequence[Block]) -> str:
    """Return which blocks a run is of: "blocks 0 to 3", "block 5 and outside"."""
    numbers = [block for block in run if block is not None]
    words = []
    if len(numbers) == 1:
        words.append(f"block {numbers[0]}")
    elif numbers:
        words.append(f"blocks {numbers[0]} to {numbers[-1]}")
    if None in run:
        words.append("what is outside of blocks")
    return " and ".join(words)


def _target(ref: Any) -> Target:
    module = ref.tensor.removesuffix(".weight")
    label = ref.label
    return Target(label.layer, module, None, ref.shape, label.block, label.module, conv1d=False)
