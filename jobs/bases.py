"""The base that an adapter's own configuration names, found before anything of it is opened."""

import json
from pathlib import Path

from analysis.weights.folders import ADAPTER, SAMPLE, name_of_base, path_of_base


def named(path: str) -> Path | None:
    """Return the file or folder on this machine that an adapter at a path names as its base.

    None for what is no adapter, or names the sample, or an id.
    """
    folder = Path(path).expanduser()
    if folder.name.startswith(f"{ADAPTER}."):
        folder = folder.parent
    try:
        name = name_of_base(json.loads((folder / "adapter_config.json").read_bytes()))
        return path_of_base(folder, name) if name and name != SAMPLE else None
    except (OSError, ValueError, AttributeError):
        return None  # its opening says what is wrong with it
