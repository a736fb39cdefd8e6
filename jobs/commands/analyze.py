"""`analyze`, `resume` and `cancel`: running jobs, by the home's owner or by this very program."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jobs import client as clients
from jobs import errors, owner, text
from jobs import home as places
from jobs.client import Client
from jobs.commands import follow
from jobs.engine import Local
from jobs.errors import Interrupted, JobError
from jobs.params import pairs
from jobs.proxy import plain_errors

Then = Callable[[Client, str], int]
LOCAL_WAIT = 0.5  # --local is refused while an owner lives, so it does not wait for one


def analyze(args: argparse.Namespace, home: Path) -> int:
    """Run an analysis of a model to its end."""
    return of(args, home, args.analysis, pairs(args.set), args.device)


def of(
    args: argparse.Namespace,
    home: Path,
    analysis: str,
    params: Mapping[str, Any],
    device: str = "auto",
    then: Then = follow.to_the_end,
) -> int:
    """Run a job of a model, or with --predict say what it would take; `then` ends the command."""
    if args.predict:
        return _predict(args, analysis, params, home)

    def submit(client: Client) -> str:
        model = client.resolve(args.model, allow_pickle=True) if args.allow_pickle else args.model
        return client.submit(model, analysis, params, args.layers, device)

    return _run(home, submit, local=args.local, then=then)


def _predict(args: argparse.Namespace, analysis: str, params: Mapping[str, Any], home: Path) -> int:
    with clients.connect(home) as client:
        model = client.resolve(args.model, allow_pickle=args.allow_pickle)
        found = client.predict(model, analysis, params, args.layers)
    if found["words"]:
        print(text.plain(found["words"]))
    if found["bytes"]:
        print(f"memory: about {text.size(found['bytes'])}")
    if found["seconds"] is not None:
        print(f"time: about {text.duration(found['seconds'])} on two cores")
    if found["refused"]:
        raise JobError(found["refused"])
    return errors.DONE


def resume(args: argparse.Namespace, home: Path) -> int:
    """Run what a job left undone."""
    return _run(home, lambda client: client.resume(args.job), local=args.local)


def cancel(args: argparse.Namespace, home: Path) -> int:
    """Stop a job; without an owner, mark it."""
    with clients.connect(home) as client:
        row = client.job(args.job)
        client.cancel(row["id"])
        print(f"job {row['id']}: cancelled")
    return errors.DONE


def _run(
    home: Path,
    begin: Callable[[Client], str],
    *,
    local: bool,
    then: Then = follow.to_the_end,
) -> int:
    if local:
        return _in_process(places.prepare(home), begin, then)
    home = places.prepare(home)
    if owner.await_started(home) is not None:
        with clients.connect(home) as client:
            return _as_client(client, begin, then)
    from jobs.server import serving

    with serving(home, doing="python -m jobs") as client:
        return then(client, begin(client))


def _as_client(client: Client, begin: Callable[[Client], str], then: Then) -> int:
    if not client.can_run:
        raise errors.HomeInUse("the owner of the home ended meanwhile: run the command again")
    job = begin(client)
    try:
        return then(client, job)
    except KeyboardInterrupt:
        print(
            f"\njob {job} goes on: follow it with `python -m jobs status {job}`, "
            f"stop it with `python -m jobs cancel {job}`",
            file=sys.stderr,
        )
        return errors.INTERRUPTED


def _in_process(home: Path, begin: Callable[[Client], str], then: Then) -> int:
    bar = follow.Bar()
    with _local_client(home, bar) as client:
        try:
            job = begin(client)
        except Interrupted:
            bar.close()
            return follow.finish(client, client.job(str(client.store.jobs(1)["id"][0])))
        bar.close()
        return then(client, job)


@contextlib.contextmanager
def _local_client(home: Path, bar: follow.Bar) -> Iterator[Client]:
    found = owner.look(home)
    wait = LOCAL_WAIT if found is not None and found.mode != "starting" else owner.WAIT
    doing = "python -m jobs --local"
    with (
        owner.own(home, doing=doing, wait=wait) as ownership,
        clients.opened(home) as store,
    ):
        with plain_errors():
            store.interrupt_running()
        ownership.publish("in process", doing)
        watched: list[Client] = []
        local = Local(store, home, lambda job: bar.follow(watched[0], job))
        watched.append(Client(home, local))
        yield watched[0]
