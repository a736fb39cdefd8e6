"""Which device a job gets from Ray, without Ray: the probe of the GPU is made up."""

from collections.abc import Callable
from typing import Any

import pytest
import ray

from jobs import cluster, ray_executor
from jobs.errors import JobError
from jobs.ray_executor import RayExecutor

Make = Callable[..., tuple[RayExecutor, list[str]]]


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Make:
    def make(*, ready: bool, cuda: bool) -> tuple[RayExecutor, list[str]]:
        asked: list[str] = []

        class Probe:
            def options(self, **_: Any) -> "Probe":
                return self

            def remote(self) -> str:
                asked.append("probe")
                return "probe"

        monkeypatch.setattr(cluster, "environment", dict)
        monkeypatch.setattr(cluster, "resources", lambda: {"GPU": 1.0})
        monkeypatch.setattr(cluster, "answer", lambda *_, **__: cuda)
        monkeypatch.setattr(ray, "wait", lambda found, **_: (found if ready else [], []))
        monkeypatch.setattr(ray, "cancel", lambda found, **_: asked.append("cancelled"))
        monkeypatch.setattr(ray_executor, "has_cuda", Probe())
        return RayExecutor("made-up"), asked

    return make


def test_a_gpu_that_was_seen_is_not_asked_for_again(executor: Make) -> None:
    made, asked = executor(ready=True, cuda=True)
    assert made.device("cuda") == made.device("auto") == ("cuda", "")
    assert asked == ["probe"]


def test_a_gpu_that_torch_does_not_see_is_asked_for_again(executor: Make) -> None:
    made, asked = executor(ready=True, cuda=False)
    assert made.device("auto")[0] == "cpu"
    with pytest.raises(JobError, match="torch finds no CUDA device"):
        made.device("cuda")
    assert asked == ["probe", "probe"]


def test_a_gpu_that_others_hold_is_a_sentence(executor: Make) -> None:
    made, asked = executor(ready=False, cuda=True)
    with pytest.raises(JobError, match="every GPU is in use"):
        made.device("cuda")
    device, warning = made.device("auto")
    assert device == "cpu"
    assert "every GPU is in use" in warning
    assert asked == ["probe", "cancelled", "probe", "cancelled"]
