"""What a fresh home is given, and what the process that serves pages must not carry."""

import subprocess
import sys
from pathlib import Path

import pytest

from app import first_light
from tests.app import fake_client

ROOT = Path(__file__).parents[2]


@pytest.fixture
def added(monkeypatch, empty):
    """Return the empty home's client, with a bundled model to add."""
    layers = [("blocks.0.q", "q", 0, (8, 8))]

    def add(self, path, name, *, restrict_to_roots):
        row = fake_client.model_row(name, 1) | {"path": str(ROOT)}
        self.own.add_model(row, fake_client.tensor_table(layers))

    monkeypatch.setattr(fake_client.FakeClient, "add_model", add, raising=False)
    return empty


def submitted(client):
    return [call[1:3] for call in client.calls if call[0] == "submit"]


def test_a_fresh_home_gets_the_sample_and_its_two_analyses(added):
    first_light.profile_sample(added)
    assert submitted(added) == [("sample", "spectrum"), ("sample", "welore")]
    assert added.store.models()["name"].tolist() == ["sample"]


def test_what_is_done_or_under_way_is_not_asked_for_again(added):
    first_light.profile_sample(added)
    first_light.profile_sample(added)
    assert len(submitted(added)) == 2


def test_what_failed_is_asked_for_again(added):
    first_light.profile_sample(added)
    for job in added.store.jobs()["id"]:
        added.own.set_job(job, "FAILED", "out of memory")
    first_light.profile_sample(added)
    assert len(submitted(added)) == 4


def test_what_was_interrupted_goes_on(added):
    first_light.profile_sample(added)
    ids = list(added.store.jobs()["id"])
    for job in ids:
        added.own.set_job(job, "INTERRUPTED", "the server ended")
    assert sorted(first_light.profile_sample(added)) == sorted(ids)
    assert len(submitted(added)) == 2


def test_the_page_process_imports_no_torch():
    code = (
        "import sys; import app.main, app.connection, app.forms, app.views.parts.layer_panel, "
        "app.views.parts.layer_table, app.views.parts.job_panel, app.views.parts.running; "
        "heavy = {'torch', 'transformers', 'analysis.registry'} & set(sys.modules); "
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-500:]
