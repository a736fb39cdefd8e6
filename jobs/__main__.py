"""The command line: `python -m jobs --help`.

Exit codes: 0 done, 1 a unit failed, 2 bad input, 3 interrupted.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from jobs import errors, home, text
from jobs.commands import analyze, arguments, models, report, sample, status
from jobs.errors import JobError
from jobs.states import DEVICES
from store.errors import StoreError

EPILOG = """exit codes: 0 done, 1 a layer failed, 2 bad input, 3 interrupted
RANKSCOPE_HOME (default ~/.rankscope) holds the database and the artifacts"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error is a sentence."""
    args = parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return int(args.run(args, home.from_environment()))
    except (JobError, StoreError) as error:
        print(f"error: {text.plain(str(error))}", file=sys.stderr)
        return getattr(error, "exit_code", errors.BAD_INPUT)
    except KeyboardInterrupt as error:
        what = str(error) or "interrupted"
        print(f"\n{what}: `python -m jobs status` lists what can be resumed", file=sys.stderr)
        return errors.INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return errors.DONE


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="python -m jobs",
        description="Low-rank structure of neural networks, from the command line.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    _add_models(commands)
    _add_running(commands)
    arguments.add(commands)
    _add_reading(commands)
    training = commands.add_parser("sample", help="the bundled model; --train trains it anew")
    training.add_argument("--train", action="store_true", help="train the model and its adapter")
    training.add_argument(
        "--out", metavar="DIR", help="where to write it (default: RANKSCOPE_HOME/sample)"
    )
    training.set_defaults(run=sample.sample)
    return top


def _add_models(commands: Any) -> None:
    group = commands.add_parser("models", help="register, list and remove models")
    inner = group.add_subparsers(metavar="COMMAND", required=True)
    add = inner.add_parser("add", help="register a folder, weights file or hub id")
    add.add_argument("path", metavar="PATH_OR_ID")
    add.add_argument("--name", help="the name to use in commands (default: the folder's)")
    add.add_argument(
        "--base", metavar="MODEL", help="register what PATH changes in this model (a name or path)"
    )
    _add_allow_pickle(add)
    add.set_defaults(run=models.add)
    removal = inner.add_parser("remove", help="forget a model; its files and results stay")
    removal.add_argument("model", metavar="NAME")
    removal.set_defaults(run=models.remove)
    listing = inner.add_parser("list", help="list the models, or one model's layers")
    listing.add_argument("model", nargs="?", metavar="MODEL")
    listing.add_argument("--format", choices=["table", "json"], default="table")
    listing.set_defaults(run=models.show)


def _add_allow_pickle(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--allow-pickle", action="store_true", help="open .pt, .pth and .bin (weights_only)"
    )


def _add_running(commands: Any) -> None:
    start = commands.add_parser("analyze", help="run an analysis of a model")
    start.add_argument("model", metavar="MODEL", help="a registered name, `sample`, a path or id")
    start.add_argument("analysis", metavar="ANALYSIS", help="such as spectrum or welore")
    start.add_argument(
        "--set", action="append", default=[], metavar="key=value", help="a parameter"
    )
    start.add_argument(
        "--layers", default="*", metavar="GLOB", help="such as 'blocks.*.v'; see `models list`"
    )
    start.add_argument("--device", choices=list(DEVICES), default="auto")
    start.add_argument("--predict", action="store_true", help="say what it would take; run nothing")
    _add_allow_pickle(start)
    start.set_defaults(run=analyze.analyze)
    again = commands.add_parser("resume", help="run what a stopped job left undone")
    again.add_argument("job", metavar="JOB")
    again.set_defaults(run=analyze.resume)
    for command in (start, again):
        command.add_argument("--local", action="store_true", help="in this process, without Ray")
    stop = commands.add_parser("cancel", help="stop a job")
    stop.add_argument("job", metavar="JOB")
    stop.set_defaults(run=analyze.cancel)


def _add_reading(commands: Any) -> None:
    show = commands.add_parser("status", help="the jobs, or one job with its units and log")
    show.add_argument("job", nargs="?", metavar="JOB")
    show.add_argument("--format", choices=["table", "json"], default="table")
    show.set_defaults(run=status.status)
    rows = commands.add_parser("results", help="a job's rows")
    rows.add_argument("job", metavar="JOB")
    formats = ["table", "json", "csv", "parquet"]
    rows.add_argument("--format", choices=formats, default="table")
    rows.add_argument("--out", metavar="FILE", help="write to a file; parquet needs one")
    rows.set_defaults(run=status.results)
    told = commands.add_parser("report", help="what was measured of a model, as one file to send")
    told.add_argument("model", metavar="MODEL", help="a registered name")
    told.add_argument(
        "--jobs", nargs="+", metavar="ID",
        help="jobs to report (default: the newest finished one of each analysis)",
    )  # fmt: skip
    told.add_argument(
        "--format", choices=list(report.FORMATS), help="default: by the ending of FILE"
    )
    told.add_argument("--out", required=True, metavar="FILE", help="where to write it")
    told.add_argument("--force", action="store_true", help="overwrite FILE where it exists")
    told.set_defaults(run=report.report)


def _terminated(number: int, _frame: Any) -> None:
    # As Ctrl-C does: no `except Exception` on the way takes it for the fault of one layer.
    raise KeyboardInterrupt(f"ended by signal {number}")


if __name__ == "__main__":
    sys.exit(main())
