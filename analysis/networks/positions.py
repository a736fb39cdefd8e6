"""How many positions a model has, by its configuration."""

from collections.abc import Mapping
from typing import Any

from analysis.networks.errors import BadInput
from analysis.weights.source import Source

PADDED = ("roberta", "xlm-roberta", "camembert")  # count from pad_token_id + 1
NAMES = ("max_position_embeddings", "n_positions")


def positions(config: Mapping[str, Any]) -> int | None:
    """Return how many positions a model has, or None where any number does."""
    text = config.get("text_config") or config
    found = next((text[name] for name in NAMES if text.get(name)), None)
    if found is None:
        return None
    padding = text.get("pad_token_id", 1)  # theirs, where the file is silent
    shift = (padding or 0) + 1 if text.get("model_type") in PADDED else 0
    return int(found) - shift


def check_length(source: Source, length: int, config: Mapping[str, Any] | None = None) -> None:
    """Raise BadInput for windows longer than the positions of a model (None: by its header)."""
    most = positions(source.run.config if config is None else config)
    if most is not None and length > most:
        raise BadInput(
            f"{source.name} has {most} positions, and windows of {length} tokens are asked for: "
            f"ask for at most {most}"
        )
