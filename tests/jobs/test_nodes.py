"""An existing cluster, by its address: two nodes simulated on this machine."""

import json
from pathlib import Path

import pytest
import torch

from jobs.owner import look
from tests.jobs import tiny
from tests.jobs.servers import Gate, Program

NO_CUDA = pytest.mark.skipif(
    torch.cuda.is_available(), reason="needs a machine whose torch finds no CUDA device"
)


@pytest.fixture(scope="module")
def found(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("nodes")
    model, gate = tiny.save(folder / "model"), Gate(folder / "gate")
    home = folder / "home"
    words = ("-m", "tests.jobs.nodes", *map(str, (home, model, gate.folder)))
    run = Program(project, home, gate, *words, machine={})  # each node says what it has
    try:
        code, out, err = run.ended(240)
    finally:
        run.clear()
    assert code == 0, err
    assert look(home) is None
    told: dict[str, object] = json.loads(out.splitlines()[-1])
    return told


def test_two_nodes_are_one_cluster(found: dict[str, object]) -> None:
    assert found["mode"] == "on 2 nodes"
    assert found["left"] is False


def test_a_job_that_loses_a_node_ends_with_every_row(found: dict[str, object]) -> None:
    told = {"state": "DONE", "message": "", "done": tiny.MATRICES, "failed": 0}
    assert found["lost node"] == {**told, "total": tiny.MATRICES}
    assert found["rows"] == tiny.MATRICES


@NO_CUDA
def test_a_gpu_that_ray_claims_and_torch_does_not_see_ends_in_a_sentence(
    found: dict[str, dict[str, object]],
) -> None:
    asked = found["no cuda"]
    assert (asked["state"], asked["done"], asked["failed"]) == ("FAILED", 0, 0)
    assert "torch finds no CUDA device" in str(asked["message"])
    assert "use --device cpu" in str(asked["message"])


@NO_CUDA
def test_without_being_asked_for_the_cpu_does_it_and_says_so(
    found: dict[str, dict[str, object]],
) -> None:
    assert found["auto"]["state"] == "DONE"
    assert found["device"] == ["cpu"]
    assert any("this job runs on the CPU" in text for text in found["log"])
