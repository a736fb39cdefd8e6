"""The columns that a frozen span of blocks fills, each beside what it holds."""

from dataclasses import dataclass, field

from analysis.numerics.columns import note, ratio
from analysis.registry import Array


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What was frozen, and how well the map holds."""

    span: str = field(metadata={"title": "span", "help": "which blocks", "index": True})
    start: int = note("first block", "of the span, counting from 0")
    stop: int = note("stop", "the block after the span's last")
    blocks: int = note("blocks", "of the model")
    text: str = note("text", "where the window comes from")
    window: int = note("window", "its number in the text, counting from 0")
    tokens: str = note("tokens", "the window's tokens, a JSON list")
    gating: str = note(
        "gating", "which path holds a gate's ratio; T depends on it where there is a gate"
    )
    probes: int = note("probes", "of each Frobenius norm")
    seed: int = note("seed", "of probes and random orders")
    dtype: str = note("dtype", "of all runs")
    residual: float = ratio(
        "completeness residual", "‖Σ_j c_ij + b - Y‖/‖Y‖: all cells together against the real model"
    )
    logit_residual: float | None = ratio(
        "logit residual", "the same of the logits; none for a span that ends before them"
    )
    back: float | None = note(
        "largest contribution backwards", "max of ‖c_ij‖ over j > i, 0 for a decoder"
    )


@dataclass(frozen=True, kw_only=True)
class Maps:
    """Row i, column j: from source token j to token i."""

    share: Array = field(
        metadata={
            "title": "signed share",
            "help": "<c_ij, y_i>/‖y_i‖²; a row and its bias sum to 1",
            "kind": "note",
        }
    )
    norm: Array = field(metadata={"title": "norm", "help": "‖c_ij‖", "kind": "note"})
    frobenius: Array | None = field(
        metadata={
            "title": "Frobenius norm",
            "help": "‖T_ij‖_F, estimated by probes",
            "kind": "note",
        }
    )
    frobenius_error: Array | None = field(
        metadata={"title": "standard error", "help": "of the Frobenius norm", "kind": "note"}
    )
    logit: Array | None = field(
        metadata={
            "title": "logit",
            "help": "w_i · c_ij; a row, its bias and constant sum to a logit",
            "kind": "note",
        }
    )
    rollout: Array = field(
        metadata={
            "title": "attention rollout",
            "help": "attention alone, for comparison",
            "kind": "note",
        }
    )
    bias_share: tuple[float, ...] = note("bias share", "<b_i, y_i>/‖y_i‖²")
    bias_norm: tuple[float, ...] = note("bias norm", "‖b_i‖")
    bias_logit: tuple[float, ...] | None = note(
        "bias logit", "w_i · b_i and what the head adds of its own"
    )


@dataclass(frozen=True, kw_only=True)
class Explained:
    """What the logits, and the deletion test, are about."""

    position: int = note("target position", "the token whose output is explained first")
    target: str = note("target", "what is measured at the target position")
    logit_of: str | None = note(
        "explained logits", "the token whose logit is meant at each position, a JSON list"
    )


@dataclass(frozen=True, kw_only=True)
class Deleted:
    """The deletion test, in the first row where it was run; areas in units of the target."""

    deletion_windows: int | None = note("deletion windows", "windows of the deletion test")
    deleted_share: tuple[float, ...] | None = note("deleted", "share of the tokens deleted")
    drop_contributions: tuple[float, ...] | None = note(
        "drop by contribution", "mean drop of the target, largest contribution deleted first"
    )
    drop_rollout: tuple[float, ...] | None = note("drop by rollout", "the same, rollout's order")
    drop_random: tuple[float, ...] | None = note("drop at random", "the same, random orders")
    area_contributions: float | None = note("area by contribution", "mean area under the drop")
    area_rollout: float | None = note("area by rollout", "mean area under the drop")
    area_random: float | None = note("area at random", "mean area under the drop")
    over_random: float | None = note(
        "deletion: contribution over random", "mean difference of the areas, window by window"
    )
    over_random_low: float | None = note("over random, low", "of its paired 95 % interval")
    over_random_high: float | None = note("over random, high", "of its paired 95 % interval")
    over_rollout: float | None = note(
        "deletion: contribution over rollout", "mean difference of the areas, window by window"
    )
    over_rollout_low: float | None = note("over rollout, low", "of its paired 95 % interval")
    over_rollout_high: float | None = note("over rollout, high", "of its paired 95 % interval")
