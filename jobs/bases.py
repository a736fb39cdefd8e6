"""The base that an adapter's own configuration names, found before anything of it is opened.

Without torch, in the order in which `analysis.weights.bases` looks for it.
"""

import json
from pathlib import Path

CONFIGURATION = "adapter_config.json"
WEIGHTS = "adapter_model."
BUNDLED = "rankscope/sample"  # the name under which the sample's adapter was saved


def named(path: str) -> Path | None:
    """Return the file or folder on this machine that an adapter at a path names as its base.

    None for what is no adapter, or names the sample, or an id.
    """
    folder = Path(path).expanduser()
    if folder.name.startswith(WEIGHTS):
        folder = folder.parent
    try:
        said = json.loads((folder / CONFIGURATION).read_text())
        name = str(said["base_model_name_or_path"]).strip()
    except (OSError, ValueError, TypeError, KeyError):
        return None  # its opening says what is wrong with it
    if not name or name == BUNDLED:
        return None
    place = Path(name).expanduser()
    places = (folder / place, folder.parent / place.name, place)
    return next((found for found in places if found.exists()), None)
