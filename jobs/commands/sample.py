"""`sample`: where the bundled model is, or training it anew by the project's own recipe."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from jobs import errors
from jobs import home as places
from jobs.catalog import package_folder
from jobs.errors import JobError

EVERY = 50


def sample(args: argparse.Namespace, home: Path) -> int:
    """Say where the sample is; with --train, train the model and its adapter elsewhere."""
    folder = package_folder() / "sample"
    if not args.train:
        print(f"the sample model is {folder / 'model'}\nits adapter is {folder / 'adapter'}")
        print("train it anew with: python -m jobs sample --train [--out DIR]")
        return errors.DONE
    out = Path(args.out).expanduser() if args.out else places.prepare(home) / "sample"
    if out.resolve().is_relative_to(folder.resolve()):
        raise JobError(f"{out} holds the bundled sample, which is kept: choose another --out")
    print(f"training into {out}", flush=True)
    from analysis.sample import adapter, recipe  # imports torch

    try:
        model = recipe.train(out / "model", report=_report("model"))
        adapter.train_adapter(out / "adapter", base=model, report=_report("adapter"))
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on where it stopped", file=sys.stderr)
        return errors.INTERRUPTED
    except OSError as error:
        raise JobError(
            f"{out} cannot be written ({error.strerror}): choose another --out"
        ) from error
    print(f"wrote {out / 'model'} and {out / 'adapter'}")
    return errors.DONE


def _report(what: str) -> Callable[[int, int, float], None]:
    """Return what prints a line of progress every 50 steps."""

    def report(done: int, steps: int, loss: float) -> None:
        if done % EVERY == 0 or done == steps:
            print(f"{what}: step {done} of {steps}, {loss:.3f} nats per token", flush=True)

    return report
