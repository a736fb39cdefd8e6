"""Compression trials in Ray workers, by the real stages, on a tiny Llama."""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobs import catalog
from jobs import client as clients
from jobs.client import Client
from jobs.engine import Local
from jobs.trials import folders
from tests.analysis.tiny_transformers import SIZES, tiny
from tests.jobs.served import Served
from tests.jobs.waiting import until

SETTINGS: dict[str, Any] = {
    "kept": "0.9, 0.6", "calibration_windows": 8, "calibration_length": 16, "windows": 4,
    "window": 16, "speed": False, "dtype": "float32",
}  # fmt: skip
BLOCKS = SIZES["num_hidden_layers"]
# A method that is one file beside the others. A file `hold` holds all but the first so many blocks.
HELD_SVD = '''
"""Made up for a test: truncated SVD that notes each block, and waits while it is held."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from analysis.compress.nested import factors_of
from analysis.compress.registry import register
from analysis.gated import held


@dataclass(frozen=True)
class Params:
    """Nothing to choose."""


@register(title="Held SVD", paper="https://doi.org/10.1007/BF02288367", scope="block")
def held_svd(pieces, _):
    """Return the factors of a plain SVD."""
    gate = Path(os.environ["RANKSCOPE_GATE"])
    call = f"{os.getpid()} {pieces[0].layer}"
    with (gate / "calls").open("a") as calls:
        calls.write(f"{call}\\n")
    own = (gate / "calls").read_text().splitlines().index(call)
    while held(gate, own):
        time.sleep(0.02)
    return factors_of(pieces, lambda piece: (None, None))
'''


@pytest.fixture(autouse=True)
def _released(served: Served) -> Iterator[None]:
    yield
    served.gate.release()


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "llama"
    tiny("llama").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ids(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Token ids, for the tiny model has no tokenizer."""
    path = tmp_path_factory.mktemp("text") / "ids.npy"
    np.save(path, np.random.default_rng(0).integers(0, SIZES["vocab_size"], 400))
    return str(path)


@pytest.fixture(scope="module", autouse=True)
def held_svd(served: Served) -> Iterator[str]:
    """For all tests: changed sources get fresh workers and a new catalogue, which take seconds."""
    file = served.project / "analysis" / "compress" / "held_svd.py"
    file.write_text(HELD_SVD)
    yield "held_svd"
    file.unlink()


def submitted(client: Client, model: Path, ids: str, methods: str) -> str:
    asked = {**SETTINGS, "methods": methods, "calibrate": ids, "evaluate": ids}
    return client.submit(client.resolve(str(model)), "trial", asked)


def trials(client: Client, job: str) -> pd.DataFrame:
    """Return the rows without the date that the record of each one says."""
    found: pd.DataFrame = client.store.results(job)
    records = [json.loads(record) for record in found["record"]]
    assert all(record.pop("date") for record in records)
    return found.assign(record=[json.dumps(record, sort_keys=True) for record in records])


def attempts(served: Served, job: str) -> dict[str, int]:
    """Return how often each stage of a job was begun, by its label."""
    units = served.client.store.units(job).dropna(subset="unit")
    count = served.client.store.attempts(list(units["unit"])).set_index("unit")["count"].to_dict()
    return {label: count[key] for label, key in zip(units["label"], units["unit"], strict=True)}


def test_a_sweep_by_ray_has_the_rows_of_a_run_in_process(
    served: Served, home: Path, llama: Path, ids: str
) -> None:
    job = submitted(served.client, llama, ids, "svd, two_sided_svd")
    row = served.end(job, 120)
    assert (row["state"], row["failed"]) == ("DONE", 0), served.client.store.log_lines(job)
    shutil.copy(served.home / catalog.FILE, home)  # of the same sources
    with clients.opened(home) as store:
        local = Client(home, Local(store, home, lambda job: None))
        own = trials(local, submitted(local, llama, ids, "svd, two_sided_svd"))
    found = trials(served.client, job)
    assert len(found) == 4
    assert found["delta"].abs().min() > 0
    pd.testing.assert_frame_equal(found, own, check_exact=True)


def states(served: Served, job: str) -> dict[str, str]:
    units = served.client.store.units(job)
    return dict(zip(units["label"], units["state"], strict=True))


def held_at_its_last_block(served: Served, job: str, method: str) -> dict[str, str]:
    """Wait until one block is held and nothing else is left that could run; return all states."""
    needed = [f"factors of {method}, block {block}" for block in range(BLOCKS)] + ["dense model"]

    def so_far() -> dict[str, str]:
        found = states(served, job)
        there = sorted(found.get(label, "") for label in needed)
        return found if there == ["done"] * BLOCKS + ["running"] else {}

    until(lambda: len(served.gate.calls()) == BLOCKS, 120, "for the last block")
    return until(so_far, 60, "for all but the held block")


def stamps(served: Served, keys: Iterable[str]) -> dict[str, dict[str, int]]:
    return {key: stamped(served, key) for key in keys}


def test_a_cancelled_sweep_keeps_its_stages_and_a_resume_repeats_none(
    served: Served, llama: Path, ids: str, held_svd: str
) -> None:
    served.gate.hold()
    served.gate.let(1)
    job = submitted(served.client, llama, ids, held_svd)
    before = held_at_its_last_block(served, job, held_svd)
    served.client.cancel(job)
    assert served.end(job, 30)["state"] == "CANCELLED"
    units = served.client.store.units(job)
    done = units[units["state"] == "done"].set_index("label")["unit"]
    assert set(done.index) == {label for label, state in before.items() if state == "done"}
    assert any("calibration" in label for label in done.index)
    assert set(units["state"]) == {"done", "cancelled"}
    assert served.client.store.table("result_trial").query("method == @held_svd").empty
    written = stamps(served, done)
    assert all(written.values())
    served.gate.hold()  # empties the list of calls
    served.gate.release()
    served.client.resume(job)
    row = served.end(job, 120)
    assert (row["state"], row["failed"]) == ("DONE", 0), served.client.store.log_lines(job)
    assert len(served.gate.calls()) == 1  # of the block that was held, and of no other
    begun = attempts(served, job)
    assert {begun[label] for label in done.index} == {1}
    twice = {label for label, count in begun.items() if count > 1}
    assert twice == {label for label, state in before.items() if state == "running"}
    assert stamps(served, done) == written
    assert sorted(trials(served.client, job)["nominal"]) == [0.6, 0.9]


def stamped(served: Served, key: str) -> dict[str, int]:
    """Return when each file that a stage left was written."""
    kinds = [kind for kind in folders.FILES if folders.of(served.home, kind, key).exists()]
    files = [f for kind in kinds for f in folders.of(served.home, kind, key).rglob("*.*")]
    return {str(file): file.stat().st_mtime_ns for file in files}
