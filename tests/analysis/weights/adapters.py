"""Small adapters of every type, made by PEFT, and what PEFT itself says they add to their base."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

TARGETS = ["q_proj", "v_proj", "down_proj"]
# type: arguments of its configuration; targets are those of a Llama unless given.
TYPES: dict[str, tuple[str, dict[str, Any]]] = {
    "lora": ("LoraConfig", {"r": 3, "lora_alpha": 7}),
    "rslora": ("LoraConfig", {"r": 3, "lora_alpha": 7, "use_rslora": True}),
    "patterns": (
        "LoraConfig",
        {"r": 3, "rank_pattern": {"v_proj": 5}, "alpha_pattern": {r"layers\.0\..*q_proj": 40}},
    ),
    "dora": ("LoraConfig", {"r": 3, "use_dora": True}),
    "pissa": ("LoraConfig", {"r": 3, "init_lora_weights": "pissa"}),
    "olora": ("LoraConfig", {"r": 3, "init_lora_weights": "olora"}),
    "orthogonal": ("LoraConfig", {"r": 4, "init_lora_weights": "orthogonal"}),
    "adalora": ("AdaLoraConfig", {"init_r": 3, "target_r": 2, "total_step": 9}),
    "boft": ("BOFTConfig", {"boft_block_size": 4}),
    "c3a": ("C3AConfig", {"block_size": 16}),
    "delora": ("DeloraConfig", {"r": 3}),
    "fourierft": ("FourierFTConfig", {"n_frequency": 20}),
    "gralora": ("GraloraConfig", {"r": 4}),
    "hira": ("HiraConfig", {"r": 3}),
    "hra": ("HRAConfig", {"r": 4}),
    "ia3": ("IA3Config", {"feedforward_modules": ["down_proj"]}),
    "loha": ("LoHaConfig", {"r": 3}),
    "lokr": ("LoKrConfig", {"r": 3}),
    "miss": ("MissConfig", {"r": 4}),
    "oft": ("OFTConfig", {"oft_block_size": 4}),
    "pvera": ("PveraConfig", {"r": 3}),
    "randlora": ("RandLoraConfig", {"r": 4}),
    "road": ("RoadConfig", {"group_size": 8}),
    "shira": ("ShiraConfig", {"r": 2}),
    "vblora": ("VBLoRAConfig", {"r": 2, "num_vectors": 8, "vector_length": 4}),
    "vera": ("VeraConfig", {"r": 3}),
    "vera-seeded": ("VeraConfig", {"r": 3, "save_projection": False}),
    "waveft": ("WaveFTConfig", {"n_frequency": 20}),
}


def save(kind: str, base: nn.Module, folder: Path, **changes: Any) -> None:
    """Save an adapter whose numbers all moved away from their start."""
    import peft

    name, arguments = TYPES[kind]
    arguments = {"target_modules": TARGETS} | arguments | changes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(1)
        adapted = peft.get_peft_model(base, getattr(peft, name)(**arguments))
        with torch.no_grad():
            for parameter in adapted.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1 * torch.randn_like(parameter))
        adapted.save_pretrained(folder, save_embedding_layers=False)


def added(base: nn.Module, folder: Path) -> dict[str, Tensor]:
    """Return what the merged model's weights have more than the base's, float64, where they do."""
    import peft

    before = {name: value.clone().double() for name, value in base.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted = peft.PeftModel.from_pretrained(base, folder).double()
        after = adapted.merge_and_unload().state_dict()
    found = {name: after[name].double() - value for name, value in before.items()}
    return {name: value for name, value in found.items() if value.any()}
