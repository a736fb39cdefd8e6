"""PEFT adapter folders: which base matrix each of an adapter's tensors changes, and how.

LoRA's update stays its two factors; of any other type PEFT makes the changed weight itself (see
`merging.py`). Only headers are read here.

PEFT's layout: https://huggingface.co/docs/peft/developer_guides/checkpoint
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.weights import lora
from analysis.weights.bases import Modules, find_base
from analysis.weights.changes import Changes
from analysis.weights.facts import read_object
from analysis.weights.files import adapter_file, read_file
from analysis.weights.header import BadModel, Stored
from analysis.weights.source import Source
from analysis.weights.updates import Layer, Part, Target, Update, sides

PREFIX = "base_model.model."
NO_WEIGHT = {
    "ADAPTION_PROMPT", "CARTRIDGE", "CPT", "MULTITASK_PROMPT_TUNING", "PREFIX_TUNING",
    "PROMPT_TUNING", "P_TUNING",
}  # fmt: skip
BY_INPUT = {"LILY", "POLY", "SHADOW", "XLORA"}
OF_ALL_LAYERS = {"FROD", "TINYLORA", "UNILORA"}  # number their layers, or take them apart together
SHARING = {"PVERA", "RANDLORA", "VBLORA", "VERA"}  # have matrices of the largest layer's size
# What has no bearing on the update.
ASIDE = {
    "auto_mapping", "base_model_name_or_path", "inference_mode", "modules_to_save", "peft_version",
    "revision", "task_type",
}  # fmt: skip


def open_adapter(
    folder: Path, origin: str, base: str | Path | None, *, allow_pickle: bool
) -> Changes:
    """Return the updates of an adapter folder.

    Raises BadModel when its base is not found or another one, and for a type of adapter that
    changes no weight.
    """
    config = read_adapter_config(folder)
    method = str(config.get("peft_type") or "")
    _check_type(folder, method, config)
    stored = tuple(read_file(adapter_file(folder), allow_pickle=allow_pickle))
    model = find_base(folder, config, base, allow_pickle=allow_pickle)
    opened = _Opened(folder, config, model, Modules(model))
    opened.sort(stored)
    if not opened.updates and not opened.skipped:
        raise BadModel(f"{folder} holds no weight update: copy or download it again")
    return Changes(
        folder.name, folder, origin, "adapter", stored, model.config,
        notes=(_words(config), f"base: {model.path}"), allow_pickle=allow_pickle, base=model,
        updates=opened.updates, homes=opened.homes, reasons=opened.skipped, method=method,
    )  # fmt: skip


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """Return a folder's `adapter_config.json`. Raises BadModel when it is missing or corrupt."""
    path = folder / "adapter_config.json"
    if not path.is_file():
        raise BadModel(f"{folder} has an adapter's weights and no {path.name}: copy that as well")
    return read_object(path)


def _check_type(folder: Path, method: str, config: Mapping[str, Any]) -> None:
    if not method:
        raise BadModel(f"{folder} does not say its type of adapter (peft_type): save it with PEFT")
    if method in NO_WEIGHT:
        raise BadModel(
            f"{folder} is {method}: it puts vectors before the text or the attention and changes "
            "no weight, so there is no update to measure"
        )
    if method in BY_INPUT:
        raise BadModel(
            f"{folder} is {method}: what it adds depends on each input, so no one weight update "
            "exists; open its base instead"
        )
    if method in OF_ALL_LAYERS:
        raise BadModel(
            f"{folder} is {method}, each of whose updates depends on all layers: merge it into its "
            "base with PEFT, and open the merged model with --base"
        )
    if config.get("layer_replication"):
        raise BadModel(
            f"{folder} repeats layers of its base (layer_replication), so its layers are not the "
            "base's: merge it with PEFT and open the merged model"
        )


def _words(config: Mapping[str, Any]) -> str:
    """Return rank, scaling and targets in words, as far as the type has them."""
    facts = [str(config["peft_type"])]
    for word, names in (("rank", ("r", "rank")), ("alpha", ("lora_alpha", "alpha"))):
        facts += [f"{word} {config[name]}" for name in names if config.get(name)]
    facts += [name for name in ("use_rslora", "use_dora") if config.get(name)]
    targets = config.get("target_modules")
    if targets:
        facts.append("of " + (targets if isinstance(targets, str) else " ".join(sorted(targets))))
    return ", ".join(facts)


@dataclass
class _Opened:
    """Sorts an adapter's tensors by the base tensor that each one changes."""

    folder: Path
    config: Mapping[str, Any]
    base: Source
    modules: Modules
    updates: dict[str, Update] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    shared: list[Stored] = field(default_factory=list)
    members: dict[str, list[Stored]] = field(default_factory=dict)  # by module's path
    weights: dict[str, Stored] = field(default_factory=dict)  # by module's path: the base's

    def sort(self, stored: tuple[Stored, ...]) -> None:
        """Fill in the updates, and the reason of each tensor that takes part in none."""
        for tensor in stored:
            self._place(tensor)
        if self._is_lora:
            self.skipped |= {t.name: "belongs to no module of the base" for t in self.shared}
        why = self.base.skipped()
        for path, weight in self.weights.items():
            reason = self._why_not(why.get(weight.name, ""), weight)
            if reason:
                self.skipped |= {tensor.name: reason for tensor in self.members[path]}
            else:
                self.updates[weight.name] = self._update(path, weight)

    def _place(self, tensor: Stored) -> None:
        key = tensor.name.removeprefix(PREFIX)
        if key == tensor.name:
            self.shared.append(tensor)
            return
        whole = self.modules.find(key)
        found = self.modules.module_of(key)
        if whole is not None:
            self._copy(tensor, whole)
        elif found is None:
            self._stray(tensor, key)
        elif key.endswith(".bias") and (key == f"{found[0]}.bias" or self._is_lora):
            self.skipped[tensor.name] = "one-dimensional (a norm or a bias)"
        elif ".token_adapter." in key:
            self.skipped[tensor.name] = (
                "new rows for a few tokens (trainable_token_indices): not read"
            )
        else:
            path, weight = found
            self.homes[tensor.name] = weight.name
            self.weights[path] = weight
            self.members.setdefault(path, []).append(tensor)

    def _copy(self, tensor: Stored, whole: Stored) -> None:
        """Take a tensor that the adapter holds whole: its update is a difference."""
        reason = self.base.skipped().get(whole.name, "")
        if not reason and tensor.shape != whole.shape:
            reason = (
                f"{sides(tensor.shape)} here and {sides(whole.shape)} in the base: "
                "nothing to compare"
            )
        if reason:
            self.skipped[tensor.name] = reason
            return
        self.homes[tensor.name] = whole.name
        self.updates[whole.name] = Update("difference", (Part.of(tensor), Part.of(whole)))

    def _stray(self, tensor: Stored, key: str) -> None:
        path = re.split(r"\.(?=[^.]*_|weight$|bias$)", key)[0]
        if self.config.get("target_parameters"):
            self.skipped[tensor.name] = "changes a stack of experts (target_parameters): not read"
        elif self.base.facts.tied and "head" in key.split(".")[0]:
            self.skipped[tensor.name] = "changes the head, which the base ties to its embedding"
        elif key.split(".")[-2:-1] and self._saved(key):
            self.skipped[tensor.name] = "trained whole, and not in the base: nothing to compare"
        else:
            raise BadModel(
                f"the adapter in {self.folder} was made for another model: {self.base.path} has no "
                f"{path}: give its base with --base MODEL"
            )

    def _saved(self, key: str) -> bool:
        saved = self.config.get("modules_to_save") or []
        return any(part in saved for part in key.split("."))

    def _why_not(self, reason: str, weight: Stored) -> str:
        if reason.startswith("one-dimensional"):
            return "changes a norm or a bias, which is no matrix"
        return reason

    def _update(self, path: str, weight: Stored) -> Update:
        members = self.members[path]
        if lora.is_plain(self.config):
            transposed = self._layer(weight) in {"conv1d", "embedding"}
            found = lora.update(self.config, path, members, weight, transposed=transposed)
            if isinstance(found, Update):
                return found
            raise BadModel(
                f"the adapter in {self.folder} was made for another model: {path} is {found} "
                f"there and {sides(weight.shape)} in {self.base.path}: give its base with "
                "--base MODEL"
            )
        paths = [path, *(p for p in self.weights if p != path)] if self._sharing else [path]
        targets = tuple(
            Target(p, self._layer(w), w.shape) for p in paths for w in [self.weights[p]]
        )
        parts = (weight, *members, *self.shared)
        settings = {name: value for name, value in self.config.items() if name not in ASIDE}
        return Update(
            "peft", tuple(map(Part.of, parts)), targets=targets,
            settings=json.dumps(settings, sort_keys=True),
        )  # fmt: skip

    @property
    def _is_lora(self) -> bool:
        return bool(self.config["peft_type"] == "LORA")

    @property
    def _sharing(self) -> bool:
        return str(self.config["peft_type"]) in SHARING

    def _layer(self, weight: Stored) -> Layer:
        name = self.base.names[weight.name]
        if name.kernel:
            return "conv"
        if name.kind == "embedding":
            return "embedding"
        return "conv1d" if self.base.is_transposed(weight) else "linear"
