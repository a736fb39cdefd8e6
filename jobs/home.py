"""Where things live: the home, its artifacts, and the folders that a page may open models from."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from jobs.errors import JobError

RUNS = "runs"  # the folder of checkpoints, in the home
HUB = "hf:"  # before the name of a dataset


def from_environment(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the home that RANKSCOPE_HOME names, else `~/.rankscope`."""
    return Path(environ.get("RANKSCOPE_HOME") or "~/.rankscope").expanduser().absolute()


def prepare(home: Path) -> Path:
    """Make the home and return its real path. Raises JobError where it cannot be written."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
        return home.resolve(strict=True)
    except OSError as error:
        raise unwritable(home, error) from error


def unwritable(home: Path, error: OSError) -> JobError:
    """Return the error that names the home and the cure."""
    return JobError(
        f"the home {home} cannot be written ({error.strerror}): free some space or set "
        "RANKSCOPE_HOME to a folder that you can write"
    )


def namespace(home: Path) -> str:
    """Return the name under which the home's actors live: one home, one namespace."""
    return "rankscope-" + hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16]


def roots(home: Path, start: Path, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the folders that a page may open models from: RANKSCOPE_ROOTS or its default.

    What the home's own training runs have written is always among them.
    """
    own = (home / RUNS).resolve()
    named = environ.get("RANKSCOPE_ROOTS")
    if named:
        parts = [part for part in named.split(os.pathsep) if part]
        return [*(Path(part).expanduser().resolve() for part in parts), own]
    cache = Path(environ.get("HF_HOME") or "~/.cache/huggingface").expanduser() / "hub"
    hub = Path(environ.get("HF_HUB_CACHE") or cache)
    return [*(folder.expanduser().resolve() for folder in (hub, home / "models", start)), own]


def readable(parameter: str, path: str, allowed: list[Path] | None) -> Path:
    """Return the whole path of a file that a parameter names.

    Raises JobError where there is none, or none under the folders that are allowed.
    """
    found = Path(path).expanduser().absolute()
    if allowed is not None:
        check_allowed([found], allowed)
    if not found.is_file():
        raise JobError(f"parameter {parameter!r}: {found} is no file: check the path")
    return found


def is_hub(text: str) -> bool:
    """Say whether a text is the name of a dataset on the hub, and no file."""
    return text.startswith(HUB)


def check_allowed(paths: Iterable[str | Path], allowed: list[Path]) -> None:
    """Raise JobError for the first path that, links followed, lies under none of `allowed`."""
    for path in paths:
        try:
            real = Path(path).expanduser().resolve(strict=True)
        except OSError as error:
            raise JobError(f"{path} does not exist: check the path") from error
        if not any(real.is_relative_to(root) for root in allowed):
            folders = ", ".join(str(root) for root in allowed)
            raise JobError(
                f"{path} lies outside the folders that a page may open ({folders}): add its folder "
                "to RANKSCOPE_ROOTS and start again, or use `python -m jobs models add`"
            )
