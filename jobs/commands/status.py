"""`status` and `results`: what the store says of jobs."""

import argparse
import datetime
import json
import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from jobs import client as clients
from jobs import errors, text
from jobs.client import Client
from jobs.commands import follow
from jobs.errors import JobError

COLUMNS = [
    *("id", "created", "model", "analysis", "state"),
    *("done", "failed", "stored before", "total"),
]


def status(args: argparse.Namespace, home: Path) -> int:
    """Print the jobs, or one job with its units and its log."""
    with clients.connect(home) as client:
        if args.job:
            return _one(client, args)
        jobs = client.store.jobs()
        if args.format == "json":
            print(as_json(jobs))
        elif jobs.empty:
            print("no jobs yet: python -m jobs analyze sample spectrum")
        else:
            jobs["created"] = [_moment(at) for at in jobs["created"]]
            jobs = jobs.rename(columns={"skipped": "stored before"})
            print(text.table(jobs, COLUMNS))
    return errors.DONE


def results(args: argparse.Namespace, home: Path) -> int:
    """Print or write a job's rows."""
    if args.format == "parquet" and not args.out:
        raise JobError("--format parquet needs --out FILE: it is no text for a terminal")
    with clients.connect(home) as client:
        frame = client.store.results(client.job(args.job)["id"])
    if args.format == "parquet":
        _write(args.out, lambda path: frame.to_parquet(path, index=False))
    else:
        printed = {"table": text.table, "json": as_json, "csv": _csv}[args.format](frame)
        if args.out:
            _write(args.out, lambda path: path.write_text(printed + "\n", encoding="utf-8"))
        else:
            sys.stdout.write(printed + "\n")
    return errors.DONE


def as_json(frame: pd.DataFrame) -> str:
    """Return the rows as a JSON list, every digit kept; missing or not finite is null."""
    rows = pa.Table.from_pandas(frame, preserve_index=False).to_pylist()
    return json.dumps(_jsonable(rows), indent=1, ensure_ascii=False)


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _jsonable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_jsonable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _one(client: Client, args: argparse.Namespace) -> int:
    row = client.job(args.job)
    units = client.store.units(row["id"])
    if args.format == "json":
        lines = client.store.log_lines(row["id"])
        parts = {"job": pd.DataFrame([row]), "units": units, "log": lines}
        said = {name: json.loads(as_json(frame)) for name, frame in parts.items()}
        print(json.dumps({**said, "job": said["job"][0]}, indent=1, ensure_ascii=False))
        return errors.DONE
    print(f"job {row['id']}: {follow.counted(row)}, started {_moment(row['started'])}")
    if row["message"]:
        print(text.plain(row["message"]))
    if len(units):
        print(text.table(units, ["label", "state", "seconds", "message"]))
    for line in client.store.log_lines(row["id"]).itertuples():
        print(text.plain(f"{_moment(line.at)} {line.level}: {line.text}"))
    return errors.DONE


def _csv(frame: pd.DataFrame) -> str:
    return str(frame.to_csv(index=False)).rstrip("\n")


def _write(out: str, write: Any) -> None:
    path = Path(out).expanduser()
    draft = path.with_name(f".{path.name}.part")
    try:
        write(draft)
        draft.replace(path)
    except OSError as error:
        raise JobError(
            f"{path} cannot be written ({error.strerror}): choose another --out"
        ) from error
    print(f"wrote {path}")


def _moment(at: Any) -> str:
    if at is None or pd.isna(at):
        return "not yet"
    return datetime.datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")
