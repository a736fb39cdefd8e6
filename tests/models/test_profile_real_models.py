"""Every real model that the tests are given is profiled, by the job that a user would run."""

import json

import numpy as np
import pytest

from analysis.weights import load, open_model
from jobs import client as clients
from jobs.client import Client
from jobs.engine import Local
from tests.models.folders import FOLDER, given, needs

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with clients.opened(home) as store:
        yield Client(home, Local(store, home, lambda job: None))


@pytest.mark.parametrize("folder", given(adapters=False))
def test_every_layer_has_a_spectrum_of_its_matrix(client, folder):
    job = client.submit(str(folder), "spectrum", {})
    row = client.job(job)
    assert row["state"] == "DONE", row["message"]

    profile = client.store.profile(row["model"])
    tensors = client.store.tensors(row["model"])
    assert set(tensors[tensors["state"] == "matrix"]["name"]) == set(profile["tensor"])
    assert (profile["status"] == "done").all()
    full = np.minimum(profile["rows"], profile["cols"])
    for name in ("effective_rank_sigma", "effective_rank_energy", "stable_rank", "numerical_rank"):
        assert profile[name].between(1 - 1e-9, full * (1 + 1e-9)).all(), name
    assert (profile["k90"] <= profile["k95"]).all()
    assert (profile["k95"] <= profile["k99"]).all()
    # The norm from the entries, not from the singular values.
    norms = dict(zip(profile["layer"], profile["frobenius_norm"], strict=True))
    for ref in open_model(folder).matrices():
        entries = load(ref).rows(0, ref.shape[0]).double()
        assert norms[ref.label.layer] == pytest.approx(float(entries.norm()), rel=1e-9)


@pytest.mark.parametrize("folder", given(adapters=True))
def test_every_update_of_an_adapter_has_a_spectrum(client, folder):
    job = client.submit(str(folder), "spectrum", {})
    row = client.job(job)
    assert row["state"] == "DONE", row["message"]

    profile = client.store.profile(row["model"])
    rank = json.loads((folder / "adapter_config.json").read_text())["r"]
    assert set(profile["layer"]) == {ref.label.layer for ref in open_model(folder).matrices()}
    assert (profile["status"] == "done").all()
    assert profile["numerical_rank"].between(1, rank).all()
    for name in ("effective_rank_sigma", "stable_rank"):
        assert profile[name].between(1 - 1e-9, rank).all(), name


@needs("all-MiniLM-L6-v2-fp16")
def test_minilms_attention_is_not_strongly_low_rank(client):
    model = client.resolve(str(FOLDER / "all-MiniLM-L6-v2-fp16"))
    client.submit(model, "spectrum", {}, "blocks.*.[qkvo]")
    profile = client.store.profile(model)
    attention = profile[profile["module"].isin(["q", "k", "v", "o"])]
    assert len(attention) == 24
    # Of 384; the mean over the six blocks of each of the four, as the models' README has it.
    means = attention.groupby("module")["k95"].mean()
    assert (round(means.min()), round(means.max())) == (189, 199)
