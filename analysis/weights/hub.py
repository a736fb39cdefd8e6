"""Models by hub id: from the local cache when they are there, else downloaded."""

import json
import re
from pathlib import Path

from analysis.weights.folders import PICKLES, weight_files
from analysis.weights.header import BadModel

ID = re.compile(r"^[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?$")
WANTED = ["*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json"]
WANTED += ["adapter_config.json"]
TOKENIZER = ["tokenizer*", "vocab.*", "merges.txt", "special_tokens_map.json", "*.model"]
PICKLED = ["pytorch_model*.bin", "pytorch_model.bin.index.json", "adapter_model.bin"]
UNWANTED = ["*/*", "consolidated*", "*.fp16.*"]  # other formats and second copies


def looks_like_id(text: str) -> bool:
    """Say whether a text can be a hub id: `name` or `owner/name`."""
    weights = text.endswith((".safetensors", ".json", *PICKLES))
    return bool(ID.match(text)) and ".." not in text and "--" not in text and not weights


def fetch(name: str, *, allow_pickle: bool = False) -> Path:
    """Return the folder of a model's snapshot, downloading it with a progress bar if need be.

    The cache answers first, so that a model once opened works without a network. Raises BadModel
    when the model is in neither place or the hub cannot be reached.
    """
    return cached(name) or _downloaded(name, allow_pickle)


def cached(name: str) -> Path | None:
    """Return the folder of a model's snapshot in the local cache, None where it is not whole."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(str(snapshot_download(name, local_files_only=True)))
    except (OSError, ValueError):
        return None
    return folder if _is_whole(folder) else None


def _is_whole(folder: Path) -> bool:
    """Say whether a snapshot has its weights: other tools cache a configuration alone."""
    for index in folder.glob("*.safetensors.index.json"):
        return all((folder / shard).is_file() for shard in _shards(index))
    wanted = ("*.safetensors", "pytorch_model*.bin", "adapter_model.bin")
    return any(any(folder.glob(name)) for name in wanted)


def _shards(index: Path) -> list[str]:
    try:
        shards = list(json.loads(index.read_bytes()).get("weight_map", {}).values())
    except (OSError, ValueError, AttributeError, RecursionError):
        shards = [None]
    if not all(isinstance(shard, str) for shard in shards):
        # The hub's cache would link a deleted file to the same bytes again.
        raise BadModel(
            f"{index} is no index of shards: delete {index.parents[2]} and open the model again"
        )
    return shards


def _downloaded(name: str, allow_pickle: bool) -> Path:
    from huggingface_hub import errors as hub
    from huggingface_hub import snapshot_download

    wanted = [*WANTED, *TOKENIZER, *(PICKLED if allow_pickle else [])]
    try:
        found = snapshot_download(name, allow_patterns=wanted, ignore_patterns=UNWANTED)
    except hub.GatedRepoError:
        raise BadModel(
            f"{name} is gated: accept its terms on its hub page, then log in with `hf auth login`"
        ) from None
    except hub.RepositoryNotFoundError:
        raise BadModel(
            f"{name} is neither a path nor a model on the hub: check its spelling, or log in with "
            "`hf auth login` if it is private"
        ) from None
    except (OSError, ValueError) as error:
        raise BadModel(
            f"{name} is neither a path nor a model in the hub's local cache, and the hub cannot be "
            f"reached ({type(error).__name__}): check the path, or connect and try again"
        ) from None
    folder = Path(str(found))
    if not weight_files(folder):
        raise BadModel(
            f"{name} has no safetensors weights on the hub or in its local cache: connect if it is "
            "half downloaded, or allow its pickles with --allow-pickle"
        )
    return folder
