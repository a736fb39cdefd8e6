"""Reports that a home keeps: a folder for each with its file and what is in it, whole or absent."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from app.reports.model import Report
from app.reports.names import slug

FOLDER, ABOUT = "reports", "about.json"
DRAFT = ".draft-"


@dataclass(frozen=True)
class Kept:
    """One report that was made: its id names its folder, `file` the file in it."""

    id: str
    model: str
    form: str
    file: str
    created: float
    bytes: int
    sha256: str
    sections: tuple[str, ...]
    figures: int
    tables: int


def keep(home: Path, report: Report, form: str, content: bytes) -> Kept:
    """Write a report's file into the home; nothing is there before all of it is."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(report.created))
    made = Kept(
        id=f"{stamp}-{slug(report.model, 40)}-{secrets.token_hex(3)}",
        model=report.model,
        form=form,
        file=f"rankscope-{slug(report.model)}.{form}",
        created=report.created,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        sections=tuple(section.title for section in report.sections),
        figures=len(list(report.figures())),
        tables=len(list(report.tables())),
    )
    draft = home / FOLDER / f"{DRAFT}{made.id}-{os.getpid()}"
    draft.mkdir(parents=True)
    try:
        (draft / made.file).write_bytes(content)
        (draft / ABOUT).write_text(json.dumps(asdict(made), ensure_ascii=False))
        draft.replace(home / FOLDER / made.id)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return made


def listed(home: Path) -> list[Kept]:
    """Return the reports of a home, the newest first."""
    found = []
    for about in (home / FOLDER).glob(f"[!.]*/{ABOUT}"):
        # One that was removed since, or that somebody else put there, is not ours to list.
        with contextlib.suppress(OSError, ValueError, TypeError):
            read = json.loads(about.read_text())
            one = Kept(**{**read, "sections": tuple(read["sections"])})
            if one.id == about.parent.name and (about.parent / Path(one.file).name).is_file():
                found.append(one)
    return sorted(found, key=lambda one: one.created, reverse=True)


def content(home: Path, one: Kept) -> bytes:
    """Return the bytes of a report's file."""
    return (home / FOLDER / one.id / Path(one.file).name).read_bytes()


def remove(home: Path, id: str) -> None:
    """Delete a report; one that is gone already is none to delete."""
    for one in listed(home):  # only what is listed, whatever the name says
        if one.id == id:
            shutil.rmtree(home / FOLDER / one.id)
