"""The command line in this process, without Ray: what it prints and how it exits."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

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


def test_a_classification_ends_with_its_totals(model: Path, capsys: Captured) -> None:
    assert main(["analyze", str(model), "welore", "--local", "--set", "target_reduction=0.3"]) == 0
    said = capsys.readouterr().out
    assert "nominal rank cut (layers that take part): 0.3" in said
    assert "<NA>" not in said


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
        pytest.param(
            "analyze {model} spectrum --local --device cuda",
            "use --device cpu",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device"),
        ),
        ("results 123", "unknown job '123'"),
        ("results 123 --format parquet", "needs --out"),
        ("cancel 123", "unknown job '123'"),
        ("resume 123 --local", "unknown job '123'"),
        ("analyze {flat} spectrum --local", "has no weight matrix to analyse"),
        ("analyze {pickled} spectrum --local", "--allow-pickle"),
        ("models remove tiny", "unknown model 'tiny'"),
        ("models add {model} --name sample", "reserved for the bundled model"),
        ("sample --train --out analysis/sample", "choose another --out"),
    ],
)
def test_bad_input_is_a_sentence_and_exits_2(
    command: str, sentence: str, model: Path, tmp_path: Path, capsys: Captured
) -> None:
    flat, pickled = tmp_path / "flat.safetensors", tmp_path / "pickled.pt"
    save_file({"norm.weight": torch.ones(8)}, flat)
    torch.save({"a.weight": torch.randn(8, 8)}, pickled)
    words = command.format(model=model, flat=flat, pickled=pickled)
    assert main(words.split()) == 2
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


@pytest.mark.parametrize("given", [True, False])
def test_sample_trains_the_model_and_then_its_adapter(
    monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path, capsys: Captured, given: bool
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
    out = tmp_path / "own" if given else home / "sample"
    assert main(["sample", "--train", *(["--out", str(out)] if given else [])]) == 0
    assert trained == [(out / "model", None), (out / "adapter", out / "model")]
    said = capsys.readouterr().out
    assert "step 50 of 100, 2.500 nats per token" in said
    assert f"wrote {out / 'model'}" in said


def test_a_pickle_is_analysed_when_it_is_allowed(tmp_path: Path, capsys: Captured) -> None:
    torch.save({"a.weight": torch.randn(8, 8)}, tmp_path / "pickled.pt")
    words = ["analyze", str(tmp_path / "pickled.pt"), "spectrum", "--local", "--allow-pickle"]
    assert main(words) == 0
    assert "DONE" in capsys.readouterr().out


def test_a_removed_model_frees_its_name(model: Path, tmp_path: Path, capsys: Captured) -> None:
    other = tiny.save(tmp_path / "other")
    assert main(["models", "add", str(model), "--name", "mine"]) == 0
    assert main(["models", "add", str(other), "--name", "mine"]) == 2
    assert "remove that model first" in capsys.readouterr().err
    assert main(["models", "remove", "mine"]) == 0
    assert "removed mine" in capsys.readouterr().out
    assert main(["models", "add", str(other), "--name", "mine"]) == 0


def test_control_characters_of_a_name_do_not_reach_the_terminal(
    tmp_path: Path, capsys: Captured
) -> None:
    damaged = {"a\x1b[31mb.weight": torch.full((8, 8), float("nan"))}
    save_file({**damaged, "c\x07.weight": torch.ones(8)}, tmp_path / "odd.safetensors")
    assert main(["analyze", str(tmp_path / "odd.safetensors"), "spectrum", "--local"]) == 1
    job = job_id(said := capsys.readouterr().out)
    assert main(["status", job]) == 0
    assert main(["models", "list", "odd"]) == 0
    assert main(["results", job]) == 0
    assert main(["analyze", "odd", "spectrum", "--local", "--layers", "\x1b"]) == 2
    told = capsys.readouterr()
    said += told.out + told.err
    assert "a\\x1b[31mb" in said
    assert {letter for letter in said if not letter.isprintable()} == {"\n"}


def test_a_full_home_is_a_sentence_and_leaves_no_draft(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    write = Path.write_text

    def full(path: Path, *given: Any, **more: Any) -> int:
        write(path, "", **more)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_text", full)
    assert main(["status"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: the home {home} cannot be written (No space left on device)")
    assert "free some space" in told
    assert not [path for path in home.iterdir() if path.name.startswith(".owner")]
    monkeypatch.undo()
    assert owner.look(home) is None


@pytest.mark.parametrize("spoiled", ["set_job", "set_progress", "finish_unit"])
def test_a_disk_that_fills_in_mid_job_is_no_success(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, spoiled: str
) -> None:
    from store import Store, StoreUnwritable

    kept = {name: getattr(Store, name) for name in ("set_job", "set_progress", "finish_unit")}
    filled: list[str] = []

    def full(name: str) -> Callable[..., Any]:
        def write(store: Store, *given: Any) -> Any:
            if name == spoiled and (name != "set_job" or given[1] != "RUNNING"):
                filled.append(name)
            if filled:
                raise StoreUnwritable("rankscope.duckdb cannot be written: free some space")
            return kept[name](store, *given)

        return write

    for name in kept:
        monkeypatch.setattr(Store, name, full(name))
    assert main(["analyze", str(model), "spectrum", "--local", "--layers", "embed"]) == 2
    assert "free some space" in capsys.readouterr().err
