"""`models add`, `models list` and `models remove`."""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from jobs import client as clients
from jobs import errors, layers, text
from jobs.client import Client


def add(args: argparse.Namespace, home: Path) -> int:
    """Register a model from its header; no weight is read."""
    with clients.connect(home) as client:
        name = client.add_model(args.path, args.name, args.base, allow_pickle=args.allow_pickle)
        [row] = client.store.model(name).to_dict("records")
        print(f"added {name}: {_headline(row)}")
        _print_layers(client, name)
    return errors.DONE


def remove(args: argparse.Namespace, home: Path) -> int:
    """Forget a model; its results stay, and are found again when it is added again."""
    with clients.connect(home) as client:
        client.remove_model(args.model)
        print(f"removed {args.model}; its files and results are kept")
    return errors.DONE


def show(args: argparse.Namespace, home: Path) -> int:
    """List the models, or one model's layers and what of it is skipped."""
    with clients.connect(home) as client:
        if args.model:
            return _one(client, args)
        models = client.store.models()
        if args.format == "json":
            rows = [_described(client, row) for row in models.to_dict("records")]
            print(json.dumps(rows, indent=1, default=str))
        elif models.empty:
            print("no models yet: python -m jobs models add PATH_OR_ID (or use `sample`)")
        else:
            print(text.table(_overview(client, models)))
            print("a model's layers: python -m jobs models list MODEL")
    return errors.DONE


def _one(client: Client, args: argparse.Namespace) -> int:
    name = client.resolve(args.model)
    [row] = client.store.model(name).to_dict("records")
    if args.format == "json":
        print(json.dumps(_described(client, row), indent=1, default=str))
    else:
        print(f"{name}: {_headline(row)}\n{text.plain(row['path'])}")
        _print_layers(client, name)
    return errors.DONE


def _print_layers(client: Client, name: str) -> None:
    labels = client.store.labels(name)
    shown = labels[["layer", "module", "view", "kind", "rows", "cols", "dtype", "tensor"]]
    print(text.table(shown))
    tensors = client.store.tensors(name)
    skipped = tensors[tensors["state"] == "skipped"]
    if len(skipped):
        print(f"{len(skipped)} tensors are skipped:")
        print(text.table(skipped[["name", "dtype", "reason"]]))


def _headline(row: dict[str, Any]) -> str:
    return (
        f"{row['architecture']}, {text.count(row['parameters'])} parameters, "
        f"{row['blocks']} blocks, {row['dtype']}, {text.count(row['bytes'])}B on disk"
    )


def _overview(client: Client, models: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {
            "name": row["name"],
            "architecture": row["architecture"],
            "parameters": text.count(row["parameters"]),
            "blocks": row["blocks"],
            "dtype": row["dtype"],
            "layers": " ".join(layers.patterns_of(list(client.store.labels(row["name"])["layer"]))),
        }
        for row in models.to_dict("records")
    ]
    return pd.DataFrame(rows)


def _described(client: Client, row: dict[str, Any]) -> dict[str, Any]:
    labels = client.store.labels(row["name"])
    tensors = client.store.tensors(row["name"])
    skipped = tensors[tensors["state"] == "skipped"]
    plain = {key: None if _missing(value) else value for key, value in row.items()}
    return {
        **plain,
        "layers": list(labels["layer"]),
        "skipped": dict(zip(skipped["name"], skipped["reason"], strict=True)),
    }


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)
