"""Loading a factored export by this package's own forms: no code of the folder runs."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis.compress.export import remote
from analysis.compress.export.factored import VERSION
from analysis.compress.export.placing import place
from analysis.compress.export.tensors import FILE
from analysis.networks.transformer import hushed
from analysis.weights.facts import read_config
from analysis.weights.header import BadModel

KEY = "rankscope"
OWN = {"model_type", "auto_map", "architectures", KEY}  # what the export changed


def is_factored(folder: str | Path) -> bool:
    """Say whether a folder holds a factored export."""
    return KEY in read_config(Path(folder))


def load(folder: str | Path, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return the network of a factored export in evaluation mode, its forms in place.

    Raises BadModel for any other folder, for one that a later version wrote, and where the file
    lacks tensors or has others.
    """
    config = _checked(Path(folder))
    chosen = _class(config[KEY]["base_architecture"], folder)
    try:
        with hushed():
            network, said = chosen.from_pretrained(
                folder,
                config=_dense_config(config),
                dtype=dtype,
                attn_implementation="eager",
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadModel(f"{folder} cannot be loaded ({line}): copy or export it again") from None
    odd = sorted(said["missing_keys"] | said["unexpected_keys"])
    if odd:
        raise BadModel(
            f"{folder}/{FILE} does not fit its config.json ({odd[0]}, ...): export it again"
        )
    network.config.use_cache = False
    loaded: nn.Module = network.to(dtype=dtype).eval()
    return loaded


def _checked(folder: Path) -> dict[str, Any]:
    config = read_config(folder)
    found = config.get(KEY)
    if not isinstance(found, dict) or not {"forms", "base_architecture"} <= found.keys():
        raise BadModel(f"{folder} is no factored export of rankscope: open it as a plain model")
    if found.get("version") != VERSION:
        raise BadModel(
            f"{folder} has version {found.get('version')} of the layout and this program reads "
            f"{VERSION}: install the rankscope that wrote it"
        )
    return config


def _dense_config(config: dict[str, Any]) -> Any:
    """Return the configuration of the dense model, with the forms beside it."""
    from transformers import AutoConfig

    plain = json.loads(json.dumps({k: v for k, v in config.items() if k not in OWN}))
    return AutoConfig.for_model(config[KEY]["base_model_type"], **plain, **{KEY: config[KEY]})


def _class(architecture: str, folder: str | Path) -> Any:
    import transformers

    base: Any = getattr(transformers, architecture, None)
    if base is None:
        raise BadModel(f"{folder} is a {architecture}, which this transformers does not know")

    def __init__(self: Any, config: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        base.__init__(self, config, *args, **kwargs)
        place(self, getattr(config, KEY)["forms"])

    return type(remote.class_name(architecture), (base,), {"__init__": __init__})
