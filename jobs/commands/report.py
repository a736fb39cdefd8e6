"""`report`: what was measured of a model, as one file to send."""

import argparse
import importlib
from pathlib import Path
from types import ModuleType

from jobs import client as clients
from jobs import errors
from jobs.client import Client
from jobs.errors import JobError

FORMATS = ("html", "pdf", "md", "zip")


def report(args: argparse.Namespace, home: Path) -> int:
    """Write the report of a model's jobs; nothing is run and Ray is never started."""
    out = _checked(Path(args.out).expanduser(), force=args.force)
    form = args.format or _ending(out)
    # The one place where jobs asks for app, above it: commands and pages make the same report. It
    # is looked up when it runs, so that no other command reads plotly or matplotlib.
    build = importlib.import_module("app.reports.build")
    formats = importlib.import_module("app.reports.formats")
    with clients.connect(home) as client:
        made = build.report(client, args.model, _wanted(build, client, args))
    _write(out, formats.write(made, form))
    figures, tables = len(list(made.figures())), len(list(made.tables()))
    print(f"wrote {out}: sections {len(made.sections)}, figures {figures}, tables {tables}")
    return errors.DONE


def _wanted(build: ModuleType, client: Client, args: argparse.Namespace) -> object:
    asked = [name for text in args.jobs or () for name in text.split(",") if name]
    return build.Wanted(jobs=tuple(str(client.job(name)["id"]) for name in asked))


def _ending(out: Path) -> str:
    """Return the format that a file's name asks for."""
    ending = out.suffix.removeprefix(".").lower()
    if ending not in FORMATS:
        raise JobError(
            f"{out.name} ends in no known format: give --format, one of {', '.join(FORMATS)}"
        )
    return ending


def _checked(out: Path, *, force: bool) -> Path:
    if not out.parent.is_dir():
        raise JobError(f"the folder {out.parent} does not exist: make it, or choose another --out")
    if out.is_dir():
        raise JobError(f"{out} is a folder: give --out a file in it")
    if out.exists() and not force:
        raise JobError(f"{out} exists: choose another --out, or add --force to overwrite it")
    return out


def _write(out: Path, content: bytes) -> None:
    draft = out.with_name(f".{out.name}.part")
    try:
        draft.write_bytes(content)
        draft.replace(out)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise JobError(
            f"{out} cannot be written ({error.strerror}): choose another --out"
        ) from error
