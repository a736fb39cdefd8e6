"""Following a job to its end: a progress bar, then the job's id and a summary table."""

import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

import pandas as pd

from jobs import errors, job_names, text
from jobs.client import Client
from jobs.commands import trial_table
from jobs.errors import Unreachable
from jobs.states import ACTIVE, ENDED

EVERY = 0.3
WIDTH = 30  # of the bar
PATIENCE = 60.0
WHOLE = "model_"  # columns that begin so repeat a total on every row
MOST_ROWS = 60


class Bar:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._drawn = False
        self._first: tuple[float, float] | None = None  # when the lone unit was seen, and how far

    def follow(self, client: Client, job: str) -> dict[str, Any]:
        """Show where the job stands, and return its row."""
        row = client.job(job)
        if self._stream.isatty():
            units = client.store.progress(row["id"]) if row["total"] == 1 else pd.DataFrame()
            self.draw(row, units.iloc[0].to_dict() if len(units) else None)
        return row

    def draw(self, job: dict[str, Any], unit: Mapping[Any, Any] | None = None) -> None:
        """Show where the job stands, or its only unit."""
        if not self._stream.isatty():
            return
        columns = shutil.get_terminal_size((110, 24)).columns
        said = self._of_unit(job, unit) if unit and unit["total"] else self._of_job(job)
        self._stream.write(f"\r\x1b[K{text.plain(said)[: columns - 1]}")
        self._stream.flush()
        self._drawn = True

    def _of_job(self, job: dict[str, Any]) -> str:
        ended = int(job["done"] + job["failed"] + job["skipped"])
        total = int(job["total"])
        bar = _filled(ended / total if total else 0.0)
        words = f"{job['analysis']} {bar} {ended}/{total or '?'} {job['state'].lower()}"
        if job["failed"]:
            words += f", {int(job['failed'])} failed"
        return words + self._left(job, ended)

    def _of_unit(self, job: dict[str, Any], unit: Mapping[Any, Any]) -> str:
        """Say how far the only unit is; the time left by its pace since it was first seen."""
        done, total, now = float(unit["done"]), float(unit["total"]), float(unit["at"])
        self._first = self._first or (now, done)
        share = min(done / total, 1.0)
        words = f"{job['analysis']} {_filled(share)} {share:.0%} {unit['words']}".rstrip()
        since, before = self._first
        if done <= before or now <= since:
            return words
        left = (now - since) / (done - before) * max(total - done, 0.0)
        return f"{words}, about {text.duration(left)} left"

    def close(self) -> None:
        """Go on to the next line."""
        if self._drawn:
            self._stream.write("\n")
            self._drawn = False

    def _left(self, job: dict[str, Any], ended: int) -> str:
        computed = ended - int(job["skipped"])
        if job["state"] != "RUNNING" or computed <= 0 or pd.isna(job["started"]):
            return ""
        left = (time.time() - job["started"]) / computed * (job["total"] - ended)
        return f", about {text.duration(max(left, 0.0))} left"


def _filled(share: float) -> str:
    filled = int(WIDTH * share)
    return f"[{'#' * filled}{'.' * (WIDTH - filled)}]"


def to_the_end(client: Client, job: str) -> int:
    """Wait until the job ends, print what came of it, and return the exit code."""
    bar = Bar()
    try:
        row = _wait(client, job, bar)
    finally:
        bar.close()
    return finish(client, row)


def finish(client: Client, row: dict[str, Any]) -> int:
    """Print a job's id, end state and summary table; return the exit code."""
    print(f"job {row['id']}: {counted(row)}")
    trouble = _trouble(client, row)
    if trouble or (row["state"] == "FAILED" and not row["failed"]):
        print(f"error: {text.plain(trouble or str(row['message']))}", file=sys.stderr)
        return errors.BAD_INPUT
    if row["message"]:
        print(text.plain(str(row["message"])))
    _summary(client, row)
    kept = client.checkpoints(row["id"])
    if kept is not None:
        print(f"replay its checkpoints with: python -m jobs models add {kept}")
    if row["state"] in ("CANCELLED", "INTERRUPTED"):
        print(f"resume it with: python -m jobs resume {row['id']}")
        return errors.INTERRUPTED
    return errors.UNIT_FAILED if row["failed"] else errors.DONE


def _trouble(client: Client, row: dict[str, Any]) -> str:
    """Return why a job that stopped has no end that the store knows, or ""."""
    if trouble := client.trouble(row["id"]):
        return trouble
    if row["state"] in ENDED:
        return ""
    return (
        f"job {row['id']} stopped, but is {row['state']} in the store, which could not be "
        "written: see that the disk has space, then resume it"
    )


def counted(row: dict[str, Any]) -> str:
    """Return the state and the counts of a job in words."""
    words = [f"{job_names.of(row)} {row['state']}", f"{int(row['total'])} units"]
    for name, word in (("done", "computed"), ("skipped", "stored before"), ("failed", "failed")):
        if row[name]:
            words.append(f"{int(row[name])} {word}")
    return ", ".join(words)


def _wait(client: Client, job: str, bar: Bar) -> dict[str, Any]:
    lost = 0.0
    while True:
        try:
            row = bar.follow(client, job)
            trouble = client.trouble(job)
            lost = 0.0
        except Unreachable:
            # The store's owner is started anew after a crash; the job goes on meanwhile.
            lost += EVERY
            if lost > PATIENCE:
                raise
            time.sleep(EVERY)
            continue
        if row["state"] not in ACTIVE:
            return row
        if trouble:
            return {**row, "state": "FAILED", "message": trouble}
        time.sleep(EVERY)


def _summary(client: Client, row: dict[str, Any]) -> None:
    found = client.store.results(row["id"])
    if found.empty:
        return
    if row["analysis"] == "trial":
        print("\n".join(trial_table.lines(found, client.catalog()["methods"])))
        return
    skipped = found[found["status"] == "skipped"]
    shown = found[found["status"] != "skipped"]
    declared = client.catalog()["analyses"].get(row["analysis"], {"columns": []})["columns"]
    for line in _totals(shown, declared):
        print(line)
    print(text.table(shown.head(MOST_ROWS), _columns(shown, declared)))
    if len(shown) > MOST_ROWS:
        print(f"... and {len(shown) - MOST_ROWS} more: python -m jobs results {row['id']}")
    for line in shown[shown["status"] == "failed"].itertuples():
        print(text.plain(f"failed: {line.label}: {line.message}"))
    if len(skipped):
        reasons = skipped["message"].value_counts()
        print(f"skipped {len(skipped)} tensors (status {row['id']} lists them):")
        for reason, number in reasons.items():
            print(text.plain(f"  {number} x {reason}"))


def _totals(frame: pd.DataFrame, declared: list[dict[str, Any]]) -> list[str]:
    """Return the measures that are of the whole model, the same in every row, each as a line."""
    titles = {c["name"]: c.get("title", c["name"]) for c in declared if c["name"].startswith(WHOLE)}
    return [
        f"{title}: {text.number(frame[name].dropna().iloc[0])}"
        for name, title in titles.items()
        if name in frame and frame[name].notna().any()
    ]


def _columns(frame: pd.DataFrame, declared: list[dict[str, Any]]) -> list[str]:
    """Return the label, the status and the first measures that fit the terminal's width."""
    chosen = ["label", "status"]
    room = shutil.get_terminal_size((110, 24)).columns
    room -= sum(2 + max([len(name), *map(len, frame[name].astype(str))]) for name in chosen)
    plain = ("float", "int", "bool", "str")
    wanted = [c["name"] for c in declared if c["type"] in plain and c.get("kind") != "note"]
    indices = [c["name"] for c in declared if c.get("index")]
    for name in dict.fromkeys([*indices, *wanted]):
        if name not in frame or frame[name].isna().all():
            continue
        width = 2 + max([len(name), *(len(text.number(value)) for value in frame[name])])
        room -= min(width, text.WIDEST)
        if room < 0:
            break
        chosen.append(name)
    return chosen
