"""Each analysis on each real model that fits it; a sentence with a cure on each that does not."""

import numpy as np
import pytest

from analysis.weights import open_model
from jobs import client as clients
from jobs.client import Client
from jobs.engine import Local
from jobs.errors import JobError
from tests.models.folders import given

pytestmark = pytest.mark.models
SMALL = {
    "attention_entanglement": {"windows": 2, "shortest": 8, "longest": 16, "bootstrap": 20},
    "entanglement": {"draws": 0},
    "hessian_rank": {
        "windows": 1,
        "length": 16,
        "starts": 2,
        "steps": 8,
        "traces": 4,
        "top": 2,
        "exact_limit": 500,
    },
    "stable_rank": {},
    "tensorlens": {"length": 12, "probes": 2},
    "welore": {},
}
FOLDERS = [*given(adapters=False), *given(adapters=True)]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with clients.opened(home) as store:
        yield Client(home, Local(store, home, lambda job: None))


@pytest.fixture(scope="module")
def ids(tmp_path_factory):
    """Return token ids that every vocabulary here has, for models without a tokenizer."""
    path = tmp_path_factory.mktemp("ids") / "ids.npy"
    np.save(path, np.random.default_rng(0).integers(3, 60, 4096))
    return str(path)


def why_not(name, source):
    """Return what must be said where an analysis does not fit a model; None where it fits."""
    runs = bool(source.config) or source.kind == "adapter"
    if name == "stable_rank":
        return None if source.steps else "is no series"
    if name in ("attention_entanglement", "hessian_rank", "tensorlens") and not runs:
        return "config.json"
    if name == "hessian_rank" and source.architecture == "BertModel":
        return "head"
    return None


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("name", SMALL)
def test_it_runs_or_says_what_it_needs(client, ids, folder, name):
    source = open_model(folder)
    params = dict(SMALL[name])
    has_tokenizer = any(folder.glob("tokenizer*")) or source.kind == "adapter"
    if name in ("attention_entanglement", "hessian_rank", "tensorlens") and not has_tokenizer:
        params["text"] = ids
    layers = "blocks.0.k" if name == "hessian_rank" else "*"
    expected = why_not(name, source)
    state, said, found = run(client, folder, name, params, "*" if expected else layers)
    if expected:
        assert state == "FAILED", said
        assert expected in said
        return
    assert state == "DONE", said
    measured = found[found["status"] == "done"]
    assert not measured.empty
    assert np.isfinite(measured.select_dtypes("number").to_numpy(float)).any(axis=1).all()


def run(client, folder, name, params, layers):
    """Return the state a job ends in, what it and its units say, and its rows."""
    try:
        job = client.submit(str(folder), name, params, layers)
    except JobError as error:
        return "FAILED", str(error), None
    row = client.job(job)
    told = [row["message"], *client.store.units(job)["message"]]
    return row["state"], " ".join(filter(None, told)), client.store.results(job)
