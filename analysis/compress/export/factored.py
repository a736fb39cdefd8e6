"""Export as factors: each layer in its own form, the file as small as the forms are.

The folder loads with `AutoModel...from_pretrained(folder, trust_remote_code=True)`, whose code is
in the folder, and without it by `analysis.compress.export.loading`. Plain transformers refuses it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis.compress.export import folder as beside
from analysis.compress.export import remote, tensors
from analysis.compress.export.placing import check_in_place
from analysis.compress.export.record import write_record
from analysis.compress.forms import Form
from analysis.networks import transformer
from analysis.weights.source import Source

VERSION = 1  # of the layout


def write_factored(
    folder: Path,
    source: Source,
    network: nn.Module,
    forms: Mapping[str, Form],
    dtype: torch.dtype,
    record: Mapping[str, Any],
) -> None:
    """Write a network that has the forms in place, by path, with its parameters in `dtype`.

    Raises NonFiniteLayer for what `dtype` cannot hold, NotRunnable where the network is none of
    transformers', NotEmpty for a folder in use, ValueError for forms that are not in place.
    """
    check_in_place(network, forms)
    base = beside.check_class(network)
    stored = tensors.checked(tensors.held(network), dtype)
    specs = {path: form.spec() for path, form in forms.items()}
    auto = transformer.CLASSES[transformer.task_of(source)]
    config = beside.config_for(source, network, dtype)
    beside.prepared(folder, source)
    beside.write_config(folder, _config(config, auto, specs))
    (folder / f"{remote.MODULE}.py").write_text(remote.modeling_file(base, auto, specs))
    tensors.write(folder, stored)
    write_record(folder, {**record, "export": "factored", "dtype": _word(dtype)})


def _config(config: dict[str, Any], auto: str, specs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the exported model's configuration; `rankscope` says what the dense one was."""
    [architecture] = config["architectures"]
    return config | {
        "architectures": [remote.class_name(architecture)],
        "model_type": remote.model_type(config["model_type"]),
        "auto_map": {
            "AutoConfig": f"{remote.MODULE}.{remote.CONFIG}",
            auto: f"{remote.MODULE}.{remote.class_name(architecture)}",
        },
        "rankscope": {
            "version": VERSION,
            "base_architecture": architecture,
            "base_model_type": config["model_type"],
            "forms": dict(specs),
        },
    }


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
