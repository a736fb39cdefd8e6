"""One file to download: a saved trial in one of its forms, zipped."""

import tempfile
import zipfile
from pathlib import Path

import torch
from torch import nn

from analysis.compress.export import loading
from analysis.compress.export.compensation import write_compensation
from analysis.compress.export.merged import write_merged
from analysis.compress.export.placing import forms_in
from analysis.compress.export.record import read_record
from analysis.compress.lora.merge import write_merged_update
from analysis.networks.opened import OpenedModel
from analysis.weights.folders import is_adapter


def export(opened: OpenedModel, weights: Path, form: str, folder: Path) -> Path:
    """Return the zip of a trial that lies factored in `weights`; `opened` is its dense model.

    "factored" is that folder as it is, "merged" an ordinary checkpoint in the same dtype, "adapter"
    the compensation as a PEFT adapter with its base, or the adapter that a trial of an update is.
    Raises AnalysisError where there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = read_record(weights)
    with tempfile.TemporaryDirectory(dir=folder) as draft:
        place = Path(draft) / "model"
        is_update = is_adapter(weights)
        if form == "factored" or (is_update and form == "adapter"):
            place = weights
        elif is_update:
            write_merged_update(place, opened, weights, record)
        else:
            write = {"merged": write_merged, "adapter": write_compensation}[form]
            network = _plain(loading.load(weights))
            dtype = getattr(torch, record["dtype"])
            write(place, opened.source, network, forms_in(network), dtype, record)
        return _zipped(place, folder / f"{_name(opened.name, record)}-{form}.zip")


def _plain(network: nn.Module) -> nn.Module:
    """Return a loaded network as one of transformers: the loader's subclass only placed forms."""
    network.__class__ = type(network).__mro__[1]
    return network


def _name(model: str, record: dict[str, object]) -> str:
    """Return a plain file name: the model, the method, the share that was kept."""
    nominal = record.get("nominal")
    words = [model, str(record["method"])]
    if isinstance(nominal, float):
        words.append(f"{100 * nominal:g}")
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in "-".join(words))
    return kept.strip(".-") or "model"


def _zipped(place: Path, target: Path) -> Path:
    """Write a folder into a zip, whole or not at all; weights hardly compress, so nothing is."""
    draft = target.with_name(f".{target.name}")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as file:
        for path in sorted(p for p in place.rglob("*") if p.is_file()):
            file.write(path, Path(target.stem) / path.relative_to(place))
    draft.replace(target)
    return target
