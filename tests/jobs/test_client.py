import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from jobs import client as clients
from jobs.client import Client, connect
from jobs.errors import HomeInUse, JobError
from jobs.server import serving
from tests.jobs import tiny


def test_a_model_is_meant_by_name_by_path_or_by_nearly_its_name(
    client: Client, model: Path, tmp_path: Path
) -> None:
    assert client.resolve(str(model)) == "tiny"
    assert client.resolve("tiny") == "tiny"
    assert client.resolve(str(model)) == "tiny"
    assert len(client.store.models()) == 1
    with pytest.raises(JobError, match=r"unknown model 'tyni': did you mean 'tiny'\?"):
        client.resolve("tyni")
    with pytest.raises(JobError, match="does not exist"):
        client.resolve(str(tmp_path / "nothing"))


def test_a_second_model_of_one_name_gets_a_number_or_the_name_given(
    client: Client, model: Path, tmp_path: Path
) -> None:
    other = tiny.save(tmp_path / "tiny", seed=1)
    assert client.add_model(str(model)) == "tiny"
    assert client.add_model(str(other)) == "tiny-2"
    assert client.add_model(str(other)) == "tiny-2"
    with pytest.raises(JobError, match="the name 'tiny' belongs to"):
        client.add_model(str(other), "tiny")


def test_a_header_is_seen_before_a_model_is_added(client: Client, model: Path) -> None:
    found = client.inspect(str(model), restrict_to_roots=False)
    assert found["header"]["architecture"] == "LlamaForCausalLM"
    assert (found["tensors"]["state"] == "skipped").sum() == tiny.NORMS
    assert client.store.models().empty


def test_a_page_opens_only_what_lies_under_the_roots(
    client: Client, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(JobError, match="RANKSCOPE_ROOTS"):
        client.inspect(str(model))
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "config.json").symlink_to(model / "config.json")
    (inside / "model.safetensors").symlink_to(model / "model.safetensors")
    monkeypatch.setenv("RANKSCOPE_ROOTS", str(inside))
    restricted = Client(client.home, client._engine)
    # Refused by its own path, before a byte of it is read, with spaces around it as well.
    with monkeypatch.context() as patch:
        patch.setattr(client._engine, "describe", None)
        with pytest.raises(JobError, match="lies outside the folders"):
            restricted.inspect(f"  {model} ")
    # Its files are links to what lies outside.
    with pytest.raises(JobError, match="RANKSCOPE_ROOTS"):
        restricted.add_model(str(inside), restrict_to_roots=True)
    monkeypatch.setenv("RANKSCOPE_ROOTS", f"{inside}{os.pathsep}{model}")
    allowed = Client(client.home, client._engine)
    assert allowed.add_model(str(inside), restrict_to_roots=True) == "inside"


def test_a_page_cannot_have_a_model_registered_by_asking_for_a_job(
    client: Client, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RANKSCOPE_ROOTS", str(tmp_path))
    restricted = Client(client.home, client._engine)
    for ask in (restricted.submit, restricted.predict):
        with pytest.raises(JobError, match="lies outside the folders"):
            ask(str(model), "spectrum", {}, restrict_to_roots=True)
    assert restricted.store.models().empty
    restricted.add_model(str(model))
    assert restricted.predict(str(model), "spectrum", {}, restrict_to_roots=True)["words"]


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (("tiny", "spectrun", {}), "unknown analysis 'spectrun': did you mean 'spectrum'?"),
        (("tiny", "spectrum", {"sede": 1}), "did you mean 'seed'?"),
        (("tiny", "spectrum", {}, "blocks.7.q"), "unknown layer 'blocks.7.q'"),
        (("tiny", "spectrum", {}, "*", "gpu"), "unknown device 'gpu'"),
        (("tinny", "spectrum", {}), "did you mean 'tiny'?"),
    ],
)
def test_a_request_that_cannot_be_met_leaves_no_job(
    client: Client, model: Path, request_: tuple[str, ...], sentence: str
) -> None:
    client.add_model(str(model))
    with pytest.raises(JobError) as raised:
        client.submit(*request_)  # type: ignore[arg-type]
    assert sentence in str(raised.value)
    assert client.store.jobs().empty


def test_a_job_is_known_by_the_start_of_its_id(client: Client, model: Path) -> None:
    job = client.submit(str(model), "spectrum", {}, layers="embed")
    assert client.job(job[:5])["id"] == job
    with pytest.raises(JobError, match="unknown job 'zz'"):
        client.job("zz")
    with pytest.raises(JobError, match="is DONE already"):
        client.cancel(job)
    with pytest.raises(JobError, match="only what has stopped is resumed"):
        client.resume(job)


def test_the_sample_is_registered_anew_where_the_project_moved(
    client: Client, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from analysis import sample

    monkeypatch.setattr(sample, "MODEL", model)
    assert client.resolve("sample") == "sample"
    moved = tiny.save(tmp_path / "moved")
    monkeypatch.setattr(sample, "MODEL", moved)
    assert client.add_model("sample") == "sample"
    assert list(client.store.models()["path"]) == [str(moved)]


def test_without_an_owner_a_client_reads_and_cancels_but_runs_nothing(
    home: Path, model: Path
) -> None:
    with connect(home) as client:
        client.add_model(str(model))
        assert not client.can_run
        with pytest.raises(JobError, match="make app"):
            client.submit("tiny", "spectrum", {})
        [job] = client.store.jobs()["id"]
        client.cancel(job)
        assert client.job(job)["state"] == "CANCELLED"
    with connect(home) as client:
        assert list(client.store.models()["name"]) == ["tiny"]


def test_a_browse_only_server_is_reached_from_its_own_process_alone(home: Path) -> None:
    with serving(home, browse_only=True) as client:
        assert connect(home) is client
        assert client.cluster()["mode"] == "browsing only"
        clients.serve_here(home, None)  # as another process would see it
        with pytest.raises(HomeInUse, match=rf"\(pid {os.getpid()}\)"):
            connect(home)


def test_the_pages_process_imports_neither_torch_nor_ray() -> None:
    program = "import sys, jobs.client, jobs.__main__; print({'torch', 'ray'} & set(sys.modules))"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout == "set()\n"


def test_idle_threads_sleep_in_every_program_and_worker() -> None:
    program = (
        "import os, sys, jobs.ray_executor; print(os.environ['OMP_WAIT_POLICY'], "
        "'torch' in sys.modules)"
    )
    for given, told in (({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")):
        environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | given
        run = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True, text=True, check=True, env=environment,
        )  # fmt: skip
        assert run.stdout == f"{told} False\n"


def test_the_name_of_the_sample_is_the_samples(client: Client, tmp_path: Path) -> None:
    other = tiny.save(tmp_path / "sample")
    assert client.add_model(str(other)) == "sample-2"
    with pytest.raises(JobError, match="reserved for the bundled model"):
        client.add_model(str(other), "sample")


def test_a_model_of_no_matrices_says_so(client: Client, tmp_path: Path) -> None:
    save_file({"norm.weight": torch.ones(8)}, tmp_path / "flat.safetensors")
    with pytest.raises(JobError, match="has no weight matrix to analyse"):
        client.submit(str(tmp_path / "flat.safetensors"), "spectrum", {})
