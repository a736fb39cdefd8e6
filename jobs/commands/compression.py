"""`trial`, `sweep`, `methods` and `disk`: compressing a model, and the files that it leaves."""

import argparse
import datetime
import functools
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd

from jobs import client as clients
from jobs import disk as kept
from jobs import errors, text
from jobs.catalog import Catalog
from jobs.client import Client
from jobs.commands import analyze, follow
from jobs.errors import JobError
from jobs.params import pairs
from jobs.trials import unsized

# How an argument is called among the parameters of a trial.
NAMES = {
    "methods": "methods",
    "keep": "kept",
    "allocations": "allocations",
    "forms": "forms",
    "ranks": "ranks",
    "compensate": "compensation",
    "compensation_rank": "compensation_rank",
    "calibrate": "calibrate",
    "evaluate": "evaluate",
    "pairs": "pairs",
}
ONE = ("methods", "keep", "allocations", "forms")  # a trial has one of each


def trial(args: argparse.Namespace, home: Path) -> int:
    """Compress a model once; with --out, write the result there."""
    for name in ONE:
        if "," in (getattr(args, name) or ""):
            raise JobError(f"a trial has one of each: for {getattr(args, name)} use `sweep`")
    then = follow.to_the_end
    if args.out:
        out = _empty(Path(args.out).expanduser())
        then = functools.partial(_write, form=args.export, out=out)
    return analyze.of(args, home, "trial", _params(args, home), then=then)


def sweep(args: argparse.Namespace, home: Path) -> int:
    """Compress a model by every method at every size."""
    return analyze.of(args, home, "trial", _params(args, home))


def methods(args: argparse.Namespace, home: Path) -> int:
    """List the methods, what each needs and its settings."""
    found = Catalog.load(home)
    if args.format == "json":
        print(json.dumps(list(found.methods.values()), indent=1, ensure_ascii=False))
        return errors.DONE
    print(text.table(pd.DataFrame([_method(one) for one in found.methods.values()])))
    for name, why in found.broken.items():
        if name.startswith("compress"):
            print(text.plain(f"analysis/{name}.py cannot be imported: {why}"))
    return errors.DONE


def disk(args: argparse.Namespace, home: Path) -> int:
    """List the files that compression keeps, or delete some of them."""
    with clients.connect(home) as client:
        if args.free_all_working or args.free:
            more = 0
            if args.free:
                more = len(kept.with_exports(client.disk(), args.free)) - len(args.free)
            freed = client.free_disk(None if args.free_all_working else args.free)
            exports = f", with {more} export{'s' if more > 1 else ''} of trials" if more else ""
            print(
                f"freed {text.size(freed)}{exports}; what is missed is made again when a job "
                "needs it"
            )
            return errors.DONE
        found = client.disk()
    if found.empty:
        print("nothing is kept: trials leave working files and weights")
        return errors.DONE
    shown = pd.DataFrame(
        {
            "key": [key[:16] for key in found["key"]],
            "what": found["what"],
            "size": [text.size(size) for size in found["bytes"]],
            "used": [_moment(at) for at in found["used"]],
            "of": found["label"],
        }
    )
    print(text.table(shown))
    print(f"{text.size(found['bytes'].sum())} in all: delete with --free KEY ...")
    return errors.DONE


def _params(args: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Return what was given; what --set names counts over all else."""
    given = {own: getattr(args, name, None) for name, own in NAMES.items()}
    if given["ranks"]:
        given["ranks"] = _read(Path(given["ranks"]).expanduser())
    known = {name: value for name, value in given.items() if value is not None} | pairs(args.set)
    if known.get("kept") is not None and known.get("methods"):
        _check_share(str(known["methods"]), Catalog.load(home).methods)
    return known


def _check_share(methods: str, declared: dict[str, Any]) -> None:
    """Raise JobError where a share to keep was given, and no method takes one."""
    names = [word.strip() for word in methods.split(",") if word.strip()]
    found = unsized.sentences(declared, names)
    if names and all(unsized.setting(declared, name) for name in names):
        example = f"{names[0].partition(':')[0]}:{unsized.setting(declared, names[0])}=..."
        raise JobError(f"{'; '.join(found)}. Leave --keep out, and give the size as {example}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"--ranks {path} cannot be read ({error}): check the path") from error


def _empty(out: Path) -> Path:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise JobError(f"{out} is there already: choose another --out, which is made")
    return out


def _write(client: Client, job: str, *, form: str, out: Path) -> int:
    """Follow a trial to its end, then have its model written and put it into a folder."""
    code = follow.to_the_end(client, job)
    if code != errors.DONE:
        return code
    units = client.store.units(job)
    [key] = units[units["label"].isin(client.store.results(job)["label"])]["unit"]
    code = follow.to_the_end(client, client.export(key, form))
    path = client.exported(key, form)
    if code != errors.DONE or path is None:
        return code
    _unpack(path, out)
    print(f"wrote {out}")
    return errors.DONE


def _unpack(path: Path, out: Path) -> None:
    draft = out.with_name(f".{out.name}.part")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        with zipfile.ZipFile(path) as held:
            held.extractall(draft)
        [model] = draft.iterdir()  # a zip holds one folder
        if out.exists():
            out.rmdir()
        out.parent.mkdir(parents=True, exist_ok=True)
        model.replace(out)
        draft.rmdir()
    except OSError as error:
        raise JobError(
            f"{out} cannot be written ({error.strerror}): choose another --out"
        ) from error


def _method(declared: dict[str, Any]) -> dict[str, str]:
    settings = (f"{one['name']}={one['default']}" for one in declared["params"])
    return {
        "method": declared["name"],
        "title": declared["title"],
        "needs": ", ".join(declared["needs"]) or "no data",
        "settings": ":".join(settings),
        "paper": declared["paper"],
    }


def _moment(at: float) -> str:
    return datetime.datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")
