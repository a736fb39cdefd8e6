"""What the files of a folder are, by their names: weights, an adapter, the base that one names.

Standard library alone: the page process asks here what a path would open.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ADAPTER = "adapter_model"
PICKLES = {".pt", ".pth", ".th", ".bin", ".ckpt"}
SAMPLE = "rankscope/sample"  # the bundled model, under which its adapter was saved
# What trainers write beside the weights.
NOT_WEIGHTS = re.compile(r"^(training_args|optimizer|scheduler|scaler|rng_state.*)\.(bin|pt|pth)$")


def weight_files(folder: Path, suffixes: set[str] | None = None) -> list[Path]:
    """Return the files of a folder that can hold weights, by name."""
    wanted = suffixes or {".safetensors", *PICKLES}
    found = (p for p in folder.iterdir() if p.suffix in wanted and not NOT_WEIGHTS.match(p.name))
    return sorted(p for p in found if p.is_file() or p.is_symlink())


def is_adapter(folder: Path) -> bool:
    """Say whether a folder holds a PEFT adapter."""
    return (folder / "adapter_config.json").is_file() or any(folder.glob(f"{ADAPTER}.*"))


def name_of_base(config: Mapping[str, Any]) -> str:
    """Return what an adapter's configuration calls its base, "" where it does not say."""
    return str(config.get("base_model_name_or_path") or "").strip()


def path_of_base(folder: Path, named: str) -> Path | None:
    """Return the path that such a name means: from the adapter's folder, beside it, from here."""
    path = Path(named).expanduser()
    for place in (folder / path, folder.parent / path.name, path):
        if place.is_file() or (place.is_dir() and _holds_model(place) and place != folder):
            return place
    return None


def _holds_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() or bool(weight_files(folder))
