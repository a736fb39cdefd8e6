"""The command line in this process, without Ray: what it prints and how it exits."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from jobs import owner
from jobs.__main__ import main
from jobs.commands.status import as_json
from tests.jobs import tiny

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKSCOPE_HOME", str(home))
    monkeypatch.setattr("signal.signal", lambda *_: None)


def job_id(output: str) -> str:
    return output.split("job ")[1].split(":")[0]


def test_a_model_is_added_listed_and_analysed(model: Path, capsys: Captured) -> None:
    assert main(["models", "add", str(model), "--name", "mine"]) == 0
    added = capsys.readouterr().out
    assert "blocks.1.down" in added
    assert "one-dimensional (a norm or a bias)" in added
    assert main(["models", "list"]) == 0
    assert "embed blocks.*.q blocks.*.k" in " ".join(capsys.readouterr().out.split())
    assert main(["models", "list", "--format", "json"]) == 0
    [listed] = json.loads(capsys.readouterr().out)
    assert listed["name"] == "mine"
    assert len(listed["layers"]) == tiny.MATRICES
    assert len(listed["skipped"]) == tiny.NORMS

    assert main(["analyze", "mine", "spectrum", "--local", "--layers", "blocks.*.v"]) == 0
    said = capsys.readouterr().out
    assert "DONE" in said
    assert "blocks.1.v" in said
    job = job_id(said)

    assert main(["status"]) == 0
    assert job in capsys.readouterr().out
    assert main(["status", job, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["job"]["state"] == "DONE"
    assert main(["status", job]) == 0
    assert "blocks.0.v" in capsys.readouterr().out


def test_results_come_in_every_format(model: Path, capsys: Captured, tmp_path: Path) -> None:
    assert main(["analyze", str(model), "spectrum", "--local", "--layers", "blocks.*.v"]) == 0
    job = job_id(capsys.readouterr().out)
    assert main(["results", job, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["label"] for row in rows] == ["blocks.0.v", "blocks.1.v"]
    assert main(["results", job, "--format", "csv", "--out", str(tmp_path / "r.csv")]) == 0
    assert main(["results", job, "--format", "parquet", "--out", str(tmp_path / "r.parquet")]) == 0
    csv, parquet = pd.read_csv(tmp_path / "r.csv"), pd.read_parquet(tmp_path / "r.parquet")
    assert list(csv["label"]) == list(parquet["label"]) == ["blocks.0.v", "blocks.1.v"]
    assert csv["stable_rank"].to_list() == pytest.approx(parquet["stable_rank"].to_list())
    capsys.readouterr()
    assert main(["results", job]) == 0
    assert capsys.readouterr().out.startswith("label")


def test_a_failed_layer_exits_1_and_is_named(tmp_path: Path, capsys: Captured) -> None:
    damaged = torch.full((tiny.HIDDEN, tiny.HIDDEN), float("nan")).half()
    name = "model__layers__0__self_attn__q_proj__weight"
    folder = tiny.save(tmp_path / "damaged", **{name: damaged})
    assert main(["analyze", str(folder), "spectrum", "--local", "--layers", "*.q"]) == 1
    said = capsys.readouterr().out
    assert "failed: blocks.0.q: " in said
    assert "1 of 2 units failed; the others' results are kept" in said
    # Whole numbers stay whole in columns where the failed layer has none, in every format.
    job, held = job_id(said), tmp_path / "rows.parquet"
    assert main(["results", job, "--format", "json"]) == 0
    assert '"k90": null' in (rows := capsys.readouterr().out)
    assert {type(row["k90"]) for row in json.loads(rows)} == {type(None), int}
    assert main(["results", job, "--format", "csv"]) == 0
    assert f",{tiny.HIDDEN}," in capsys.readouterr().out
    assert main(["results", job, "--format", "parquet", "--out", str(held)]) == 0
    assert pq.read_schema(held).field("k90").type == pa.int64()


def test_json_keeps_every_digit_and_turns_infinity_into_null() -> None:
    value = 1.292569457833326e-11
    said = as_json(pd.DataFrame({"s": [value, float("inf"), None], "name": ["å", None, "b"]}))
    assert [row["s"] for row in json.loads(said)] == [value, None, None]
    assert "å" in said


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("models add /nowhere/at/all", "/nowhere/at/all does not exist"),
        ("analyze nobody spectrum --local", "unknown model 'nobody'"),
        ("analyze {model} spektrum --local", "did you mean 'spectrum'?"),
        ("analyze {model} spectrum --local --set sede=1", "did you mean 'seed'?"),
        ("analyze {model} spectrum --local --set seed", "expected key=value"),
        ("analyze {model} spectrum --local --set seed=x", "expected a whole number"),
        ("analyze {model} spectrum --local --layers nothing", "unknown layer 'nothing'"),
        ("analyze {model} spectrum --local --device cuda", "use --device cpu"),
        ("results 123", "unknown job '123'"),
        ("results 123 --format parquet", "needs --out"),
        ("cancel 123", "unknown job '123'"),
        ("resume 123 --local", "unknown job '123'"),
        ("sample --train", "needs --out DIR"),
    ],
)
def test_bad_input_is_a_sentence_and_exits_2(
    command: str, sentence: str, model: Path, capsys: Captured
) -> None:
    assert main(command.format(model=model).split()) == 2
    told = capsys.readouterr()
    assert sentence in told.err
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1


def test_a_home_that_cannot_be_written_exits_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RANKSCOPE_HOME", str(tmp_path / "file" / "home"))
    assert main(["status"]) == 2
    assert "set RANKSCOPE_HOME" in capsys.readouterr().err


def test_local_is_refused_with_the_owners_pid(
    home: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    with owner.own(home, doing="the dashboard") as held:
        held.publish("ray", "the dashboard", address="nowhere")
        assert main(["analyze", str(model), "spectrum", "--local"]) == 2
    assert f"in use by the dashboard (pid {os.getpid()})" in capsys.readouterr().err


def test_sample_says_where_the_model_is(capsys: Captured) -> None:
    assert main(["sample"]) == 0
    assert "analysis/sample/model" in capsys.readouterr().out


def test_sample_trains_the_model_and_then_its_adapter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    from analysis.sample import adapter, recipe

    trained: list[tuple[Path, Path | None]] = []

    def train(out: Path, report: Callable[[int, int, float], None]) -> Path:
        report(50, 100, 2.5)
        trained.append((out, None))
        return out

    def train_adapter(out: Path, base: Path, report: Callable[[int, int, float], None]) -> Path:
        trained.append((out, base))
        return out

    monkeypatch.setattr(recipe, "train", train)
    monkeypatch.setattr(adapter, "train_adapter", train_adapter)
    assert main(["sample", "--train", "--out", str(tmp_path)]) == 0
    assert trained == [(tmp_path / "model", None), (tmp_path / "adapter", tmp_path / "model")]
    assert "step 50 of 100, 2.500 nats per token" in capsys.readouterr().out
