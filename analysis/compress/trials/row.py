"""The columns of a compression trial."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One trial. Lists of windows and layers are parallel to each other."""

    method: str = field(metadata={"title": "Method", "help": "with its settings"})
    nominal: float | None = field(
        metadata={"title": "Kept (asked)", "help": "share of the linear layers' parameters"}
    )
    allocation: str = field(metadata={"title": "Allocation", "help": "how ranks were chosen"})
    form: str = field(metadata={"title": "Form", "help": "how low-rank layers are stored"})
    objective: str = field(metadata={"title": "Objective", "help": "what the allocation minimised"})
    compensation: str = field(metadata={"title": "Compensation", "help": "with its rank, or none"})
    kept_linear: float = field(
        metadata={"title": "Kept (linears)", "help": "parameters of the chosen linear layers"}
    )
    kept_model: float = field(
        metadata={"title": "Kept (model)", "help": "parameters of the whole model, tied ones once"}
    )
    linear_numbers: int = field(metadata={"title": "Linear parameters"})
    model_numbers: int = field(metadata={"title": "Parameters"})
    of_linear_numbers: int = field(metadata={"title": "Dense linear parameters"})
    of_model_numbers: int = field(metadata={"title": "Dense parameters"})
    bytes: int = field(
        metadata={"title": "Bytes", "help": "of the saved weights, with scales and indices"}
    )
    of_bytes: int = field(metadata={"title": "Dense bytes", "help": "saved in the same dtype"})
    metric: str = field(metadata={"title": "Metric", "help": "loss in nats per token, or Spearman"})
    score: float = field(metadata={"title": "Score"})
    dense_score: float = field(metadata={"title": "Dense score"})
    delta: float = field(
        metadata={"title": "Δloss", "help": "change from dense, positive is worse (nats per token)"}
    )
    delta_low: float | None = field(metadata={"title": "Δ low", "help": "paired 95 % interval"})
    delta_high: float | None = field(metadata={"title": "Δ high", "help": "paired 95 % interval"})
    predicted: float | None = field(
        metadata={
            "title": "Predicted Δloss",
            "help": "slope and curvature of the loss on the calibration text, of all layers "
            "together: Σ<E[∂L/∂W],W'-W> + ½E[(Σ gᵀ(W-W')x)²], in nats per token, before any "
            "recovery; not reliable above 0.3",
        }
    )
    perplexity: float | None = field(metadata={"title": "Perplexity"})
    dense_perplexity: float | None = field(metadata={"title": "Dense perplexity"})
    bits_per_byte: float | None = field(metadata={"title": "Bits per byte"})
    accuracy: float | None = field(
        metadata={"title": "Next-token accuracy", "help": "share of tokens predicted first"}
    )
    dense_accuracy: float | None = field(metadata={"title": "Dense accuracy"})
    choice_accuracy: float | None = field(
        metadata={"title": "Choice accuracy", "help": "multiple choice by log-likelihood"}
    )
    dense_choice_accuracy: float | None = field(metadata={"title": "Dense choice accuracy"})
    recovered: float | None = field(
        metadata={"title": "Score before recovery", "help": "of the same trial without training"}
    )
    control: float | None = field(
        metadata={
            "title": "Dense control",
            "help": "score of the dense model after as many steps of training",
        }
    )
    whitened_error: float | None = field(
        metadata={
            "title": "Layer error",
            "help": "‖(W-W')X‖/‖WX‖ on the calibration text, root mean square over the layers; "
            "before any recovery",
        }
    )
    heldout_error: float | None = field(
        metadata={"title": "Held-out layer error", "help": "the same on windows left out of it"}
    )
    latency: float | None = field(
        metadata={"title": "Latency, ms", "help": "median of one forward pass"}
    )
    dense_latency: float | None = field(metadata={"title": "Dense latency, ms"})
    tokens_per_second: float | None = field(metadata={"title": "Tokens per second"})
    dense_tokens_per_second: float | None = field(metadata={"title": "Dense tokens per second"})
    speed_at: str = field(metadata={"title": "Speed at", "help": "batch, length, threads, repeats"})
    flops: float = field(metadata={"title": "FLOPs", "help": "of the linear layers, per token"})
    dense_flops: float = field(metadata={"title": "Dense FLOPs"})
    peak_bytes: int | None = field(
        metadata={"title": "Peak memory", "help": "weights and the measured growth of a pass"}
    )
    dense_peak_bytes: int | None = field(metadata={"title": "Dense peak memory"})
    calibrated_on: str = field(
        metadata={"title": "Calibrated on", "help": "text, tokens N, and N/n for the widest input"}
    )
    evaluated_on: str = field(metadata={"title": "Evaluated on", "help": "text and protocol"})
    warnings: str = field(metadata={"title": "Warnings", "help": "one a line"})
    layers: str = field(
        metadata={
            "title": "Layers",
            "help": "JSON list: layer, rank, dense, numbers, of_numbers, error, predicted, ...",
        }
    )
    nats: tuple[float, ...] = field(
        metadata={"title": "Nats by window", "help": "or cosines by pair"}
    )
    dense_nats: tuple[float, ...] = field(metadata={"title": "Dense nats by window"})
    counts: tuple[float, ...] = field(metadata={"title": "Tokens by window"})
    losses: tuple[float, ...] = field(
        metadata={"title": "Recovery losses", "help": "by step; empty without recovery"}
    )
    control_losses: tuple[float, ...] = field(metadata={"title": "Control losses"})
    prompt: str = field(metadata={"title": "Prompt"})
    sample: str = field(metadata={"title": "Sample", "help": "greedy continuation of the prompt"})
    dense_sample: str = field(metadata={"title": "Dense sample"})
    record: str = field(
        metadata={"title": "Record", "help": "JSON as in trial.json: settings, hashes, versions"}
    )
    beside: str = field(
        default="dense",
        metadata={
            "title": "Beside",
            "help": "what it is measured beside: dense, or a whole adapter or update that was made "
            "smaller; `dense_` and `of_` columns are of that",
        },
    )
    notes: str = field(
        default="", metadata={"title": "Notes", "help": "what sizes are of, one a line"}
    )
    base_score: float | None = field(
        default=None,
        metadata={"title": "Score of the base", "help": "without any of an update, same windows"},
    )
    worth: float | None = field(
        default=None,
        metadata={
            "title": "Worth of the update",
            "help": "by how much the base alone is worse than the whole (nats per token)",
        },
    )
    worth_low: float | None = field(
        default=None, metadata={"title": "Worth low", "help": "paired 95 % interval"}
    )
    worth_high: float | None = field(
        default=None, metadata={"title": "Worth high", "help": "paired 95 % interval"}
    )
