"""What a job would take, said and refused before it starts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.registry import AnalysisError, Work
from jobs import memory
from jobs.client import Client
from jobs.errors import JobError
from tests.jobs import made_up
from tests.jobs.made_up import Launch, never, state

pytestmark = pytest.mark.usefixtures("listed")


def worth(needed: int, cure: str = "") -> Callable[..., Work]:
    def work(source: Any, params: Any, layers: Any) -> Work:
        return Work(f"{len(layers)} layers of {source.kind}", needed, 2.5, cure)

    return work


def test_a_prediction_is_what_the_analysis_says(
    client: Client, home: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up.declare(home, "model")
    monkeypatch.setattr(memory, "free", lambda device="cpu": 12_000_000_000)
    name = client.add_model(str(model))

    def predicted(work: Any) -> dict[str, Any]:
        with made_up.analysis(never, "model", work):
            return client.predict(name, "made_up", {}, "blocks.0.*")

    said = {"words": "7 layers of transformers", "bytes": 12_000_000_000, "seconds": 2.5}
    assert predicted(worth(12_000_000_000)) == {**said, "refused": ""}
    refused = predicted(worth(31_000_000_000, "choose fewer layers with --layers"))["refused"]
    assert refused == (
        "made_up of tiny needs about 31 GB and 12 GB are free: choose fewer layers with --layers"
    )
    none = predicted(None)
    assert (none["words"], none["refused"]) == (
        "7 layers, in one go; how long it takes is not known", "",
    )  # fmt: skip
    assert client.store.jobs().empty

    def cannot(source: Any, params: Any, layers: Any) -> Work:
        raise AnalysisError("tiny has no attention: choose a transformer")

    assert predicted(cannot) == {
        "words": "", "bytes": 0, "seconds": None,
        "refused": "tiny has no attention: choose a transformer",
    }  # fmt: skip


def test_an_analysis_of_single_matrices_may_say_what_it_takes(client: Client, model: Path) -> None:
    name = client.add_model(str(model))
    found = client.predict(name, "entanglement", {"draws": 0}, "blocks.0.q")
    assert "cuts of 1 matrices" in found["words"]
    assert found["bytes"] > 0


def test_what_does_not_fit_is_refused_before_it_starts(
    client: Client, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free", lambda device="cpu": 900)
    job = launch(never, work=worth(1000))
    row = client.job(job)
    assert (row["state"], row["failed"]) == ("FAILED", 0)
    assert "made_up of tiny needs about 1.0 kB and 900 B are free" in row["message"]


def test_memory_that_went_meanwhile_fails_the_unit(
    client: Client, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([1000, 900])
    monkeypatch.setattr(memory, "free", lambda device="cpu": next(free))
    job = launch(never, work=worth(1000))
    assert state(client, job) == ("FAILED", 0, 1, 0, 1)
    assert "900 B are free" in client.store.results(job)["message"][0]


@pytest.mark.parametrize("analysis", ["spectrum", "welore"])
def test_single_matrices_are_predicted_in_words(client: Client, model: Path, analysis: str) -> None:
    name = client.add_model(str(model))
    found = client.predict(name, analysis, {}, "blocks.0.*")
    assert "7 of 15 matrices, 5.76 k entries" in found["words"]
    assert (found["refused"], found["seconds"]) == ("", None)
    assert ("stored spectra" in found["words"]) == (analysis == "welore")
    assert "No layer is named x" in client.predict(name, analysis, {}, "x")["refused"]


def test_layers_cannot_be_chosen_where_they_have_no_effect(client: Client, model: Path) -> None:
    name = client.add_model(str(model))
    with pytest.raises(JobError, match="tensorlens works on the whole model: leave --layers out"):
        client.submit(name, "tensorlens", {}, "blocks.0.*")
