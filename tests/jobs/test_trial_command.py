"""The commands that compress a model, in this process: what they pass on, print and write."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jobs.__main__ import main
from jobs.client import Client
from jobs.commands import trial_table
from tests.jobs.made_up_stages import MadeUp, made

__all__ = ["made"]

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _environment(home: Path, monkeypatch: pytest.MonkeyPatch, listed: None, made: MadeUp) -> None:
    monkeypatch.setenv("RANKSCOPE_HOME", str(home))
    monkeypatch.setattr("signal.signal", lambda *_: None)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Note what is submitted; the rest goes on as ever."""
    found: list[dict[str, Any]] = []
    submit = Client.submit

    def note(self: Client, model: str, analysis: str, params: Any, *more: Any, **kw: Any) -> str:
        found.append({"analysis": analysis, "layers": more[0] if more else "*", **params})
        return submit(self, model, analysis, params, *more, **kw)

    monkeypatch.setattr(Client, "submit", note)
    return found


def test_a_trials_arguments_are_its_parameters(
    model: Path, asked: list[dict[str, Any]], tmp_path: Path, capsys: Captured
) -> None:
    ranks = tmp_path / "ranks.json"
    ranks.write_text('{"blocks.0.q": 3}')
    words = (
        f"trial {model} --method svd --keep 0.6 --allocation greedy --form row_interpolative "
        f"--ranks {ranks} --compensate eora --compensation-rank 8 --calibrate hf:words "
        "--layers blocks.* --set seed=4 --set gradient=none --local"
    )
    assert main(words.split()) == 0
    assert asked == [
        {
            "analysis": "trial", "layers": "blocks.*", "methods": "svd", "kept": "0.6",
            "allocations": "greedy", "forms": "row_interpolative", "ranks": '{"blocks.0.q": 3}',
            "compensation": "eora", "compensation_rank": "8", "calibrate": "hf:words",
            "seed": "4", "gradient": "none",
        }
    ]  # fmt: skip
    assert "trial of tiny DONE" in capsys.readouterr().out


def test_a_sweep_is_one_job_whose_trials_are_listed(
    model: Path, asked: list[dict[str, Any]], capsys: Captured
) -> None:
    words = f"sweep {model} --methods svd,whitened_svd --keep 0.9,0.8,0.6 --local"
    assert main(words.split()) == 0
    said = capsys.readouterr().out
    assert asked == [
        {"analysis": "trial", "layers": "*", "methods": "svd,whitened_svd", "kept": "0.9,0.8,0.6"}
    ]
    assert len([line for line in said.splitlines() if " dense" not in line and "%" in line]) == 6


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--method svd,asvd", "a trial has one of each: for svd,asvd use `sweep`"),
        ("--method svd --keep 0.9,0.8", "for 0.9,0.8 use `sweep`"),
        ("--method svd --ranks /nowhere.json", "--ranks /nowhere.json cannot be read"),
        ("--method svd --pairs /nowhere.csv", "/nowhere.csv is no file"),
        ("--method svd --calibrate /nowhere.txt", "/nowhere.txt is no file"),
        ("--method svd --out {model}", "is there already: choose another --out"),
        ("--method rtn --keep 0.5", "rtn takes no share to keep: bits sets its size. Leave --keep"),
        ("--method laser --set kept=0.5", "rank_share sets its size. Leave --keep out, and give"),
        ("--method lora_shrink:rank=2 --keep 0.5 --predict", "lora_shrink:rank=2 takes no share"),
        ("--method nothing --predict", "no compression method is called 'nothing'"),
        ("--method svd --set word=1", "unknown parameter of trial 'word'"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    model: Path, words: str, sentence: str, capsys: Captured
) -> None:
    assert main(["trial", str(model), "--local", *words.format(model=model).split()]) == 2
    assert sentence in capsys.readouterr().err


def test_a_size_that_one_method_of_a_sweep_cannot_take_stops_no_other(
    model: Path, asked: list[dict[str, Any]], capsys: Captured
) -> None:
    words = f"sweep {model} --methods svd,rtn,laser:rank_share=0.2 --keep 0.9,0.8"
    assert main([*words.split(), "--predict"]) == 0
    said = capsys.readouterr().out
    assert "; rtn takes no share to keep: bits sets its size; " in said
    assert "; laser:rank_share=0.2 takes no share to keep: rank_share sets its size; " in said
    assert "svd" not in said
    assert main([*words.split(), "--local"]) == 0
    assert len(asked) == 1
    assert main(["sweep", str(model), "--methods", "rtn,laser", "--keep", "0.9", "--local"]) == 2
    assert main(["sweep", str(model), "--methods", "rtn,laser", "--predict"]) == 0


def test_a_prediction_runs_nothing(model: Path, made: MadeUp, capsys: Captured) -> None:
    assert main(["sweep", str(model), "--methods", "svd", "--keep", "0.9,0.8", "--predict"]) == 0
    assert "2 blocks calibrated on 64 windows" in capsys.readouterr().out
    assert made.ran == []


def test_a_failed_stage_is_named_and_exits_1(model: Path, made: MadeUp, capsys: Captured) -> None:
    made.fails = {"factors of svd, block 0"}
    assert main(["trial", str(model), "--method", "svd", "--local"]) == 1
    said = capsys.readouterr().out
    assert "failed: factors of svd, block 0: factors of svd, block 0: its weight holds NaN" in said
    assert "needs factors of svd, block 0, which failed: factors of svd, block 0: its" in said


def test_the_model_is_written_where_it_is_asked_for(
    model: Path, made: MadeUp, tmp_path: Path, capsys: Captured
) -> None:
    made._write = with_a_zip(made)  # type: ignore[method-assign]
    out = tmp_path / "new" / "model"
    words = f"trial {model} --method svd --set weights=none --export merged --local --out {out}"
    assert main(words.split()) == 0
    assert json.loads((out / "config.json").read_text()) == "merged"
    assert f"wrote {out}" in capsys.readouterr().out
    assert [path.name for path in out.parent.iterdir()] == ["model"]


def test_methods_are_listed_with_what_they_need(capsys: Captured) -> None:
    assert main(["methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("whitened_svd") and "gram" in line for line in lines)
    assert any(line.startswith("rtn") and "bits=" in line for line in lines)
    assert main(["methods", "--format", "json"]) == 0
    assert {"svd", "rtn"} <= {one["name"] for one in json.loads(capsys.readouterr().out)}


def with_a_zip(made: MadeUp) -> Any:
    """Return what writes a stage's files, of which an export is a whole zip."""
    real = made._write

    def write(call: Any, kind: str) -> None:
        real(call, kind)
        if kind == "export":
            with zipfile.ZipFile(call.folder / "model.zip", "w") as file:
                file.writestr("tiny-svd/config.json", json.dumps(call.data["params"]["form"]))

    return write


def test_disk_is_shown_and_freed(
    model: Path, made: MadeUp, tmp_path: Path, capsys: Captured
) -> None:
    assert main(["disk"]) == 0
    assert "nothing is kept" in capsys.readouterr().out
    assert main(["trial", str(model), "--method", "svd", "--local"]) == 0
    capsys.readouterr()
    assert main(["disk"]) == 0
    lines = capsys.readouterr().out.splitlines()
    [weights] = [line for line in lines if "weights of a trial" in line]
    assert weights.endswith("tiny: svd, 80 %, greedy, two factor")
    assert main(["disk", "--free", weights.split()[0]]) == 0
    assert "freed 10 B" in capsys.readouterr().out
    words = f"trial {model} --method svd --set weights=none --local --out {tmp_path / 'out'}"
    made._write = with_a_zip(made)  # type: ignore[method-assign]
    assert main(words.split()) == 0
    said = capsys.readouterr().out
    assert "export of svd, 80 %, greedy, two factor of tiny, factored DONE" in said
    assert main(["disk", "--free", weights.split()[0]]) == 0
    assert ", with 1 export of trials; what is missed" in capsys.readouterr().out
    assert main(["disk", "--free-all-working"]) == 0
    assert main(["disk"]) == 0
    assert "nothing is kept" in capsys.readouterr().out.splitlines()[-1]
    assert main(["disk", "--free", "0" * 16]) == 2


def trials(**more: Any) -> pd.DataFrame:
    row = {
        "label": "svd, 80 %", "status": "done", "message": "", "method": "svd", "nominal": 0.8,
        "allocation": "greedy", "form": "two_factor", "compensation": "none",
        "kept_linear": 0.798, "kept_model": 0.84, "bytes": 8_000_000, "of_bytes": 10_000_000,
        "metric": "loss", "score": 1.6, "dense_score": 1.5, "delta": 0.1234, "delta_low": 0.1,
        "delta_high": 0.15, "predicted": None, "perplexity": 5.0, "dense_perplexity": 4.5,
        "latency": 9.0, "dense_latency": 10.0, "calibrated_on": "a.txt: 100 tokens",
        "evaluated_on": "b.txt", "warnings": "",
    }  # fmt: skip
    return pd.DataFrame([row | more, row | {"label": "svd, 60 %", "nominal": 0.6} | more])


def test_the_table_has_losses_with_intervals_and_both_texts() -> None:
    lines = trial_table.lines(trials(warnings="few tokens\n"))
    said = " ".join(" ".join(lines).split())
    assert "svd, greedy, two factor 80.0% 79.8% 84.0% 8.0 MB +0.1234 [+0.1000, +0.1500]" in said
    assert "1.11x as fast" in said
    assert "dense: 10 MB, perplexity 4.5" in said
    assert lines[-3:] == [
        "calibrated on: a.txt: 100 tokens", "evaluated on: b.txt", "warning: few tokens",
    ]  # fmt: skip


def test_the_table_says_what_set_a_size_that_no_share_did() -> None:
    declared = {"rtn": {"sized": False, "sized_by": "bits"}, "svd": {"sized": True}}
    found = trials()
    found.loc[1, ["method", "nominal", "allocation", "form"]] = ["rtn:bits=3", None, "", ""]
    line = "rtn:bits=3 takes no share to keep: bits sets its size"
    assert [one for one in trial_table.lines(found, declared) if "takes no" in one] == [line]
    found.loc[1, ["method", "allocation"]] = ["svd", "by_hand"]
    assert trial_table.lines(found, declared)[-1].startswith("ranks by hand take no share to keep")
    assert "takes no" not in "".join(trial_table.lines(trials(), declared))


def test_the_table_of_an_embedding_model_speaks_of_its_metric() -> None:
    lines = trial_table.lines(
        trials(metric="spearman", perplexity=None, dense_perplexity=None, delta_low=None)
    )
    assert "Δspearman" in lines[0]
    assert "spearman" in lines[0].replace("Δspearman", "")
    assert "[" not in lines[0]
    failed = trials().assign(status="failed", message="no numbers")
    assert trial_table.lines(failed)[0] == "failed: svd, 80 %: no numbers"
