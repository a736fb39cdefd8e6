"""Replay of a folder of checkpoints, against full decompositions of what was written there."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from analysis.numerics.switch import Settings
from analysis.registry import AnalysisError, Quiet, find
from analysis.stable_rank import Params, stable_rank, work
from analysis.weights.checkpoints import Series
from analysis.weights.opening import open_model

QUICK = {"ema_window": 2, "tail": 2, "threshold": 0.5}
CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 24,
    "num_attention_heads": 4, "num_key_value_heads": 4, "tie_word_embeddings": False,
}  # fmt: skip


def with_stable_rank(value, rows=30, cols=24, seed=0):
    """A matrix of stable rank `value`: σ₁ = 1 and the others equal."""
    generator = np.random.default_rng(seed)
    left = np.linalg.qr(generator.standard_normal((rows, cols)))[0]
    right = np.linalg.qr(generator.standard_normal((cols, cols)))[0]
    s = np.full(cols, math.sqrt((value - 1) / (cols - 1)))
    s[0] = 1
    return torch.from_numpy((left * s) @ right.T)


def write(folder, curves, steps):
    """One checkpoint a step, with layers q, k, ... of planted stable ranks and an embedding."""
    for e, step in enumerate(steps):
        home = folder / f"step_{step:05d}"
        home.mkdir(parents=True)
        tensors = {
            f"model.layers.0.self_attn.{name}_proj.weight": with_stable_rank(values[e])
            for name, values in curves.items()
            if values[e] is not None
        }
        tensors["model.embed_tokens.weight"] = with_stable_rank(4.5, 40)
        save_file(tensors, home / "model.safetensors")
        (home / "config.json").write_text(json.dumps(CONFIG))
    return open_model(folder)


def replayed(source, layers=None, **params):
    return list(stable_rank(Series(source, layers), Params(**params), Quiet()))


def of(rows, layer):
    return [row for row in rows if row.layer == f"blocks.0.{layer}"]


def test_rows_are_the_checkpoints_stable_ranks_in_order(tmp_path):
    curve = [12.3, 9.1, 8.4, 8.2, 8.1, 8.05]
    source = write(tmp_path, {"q": curve, "k": curve[::-1]}, range(0, 600, 100))
    rows = replayed(source)
    assert [r.step for r in of(rows, "q")] == [0, 100, 200, 300, 400, 500]
    assert [r.epoch for r in of(rows, "q")] == [0, 1, 2, 3, 4, 5]
    assert [r.stable_rank for r in of(rows, "q")] == pytest.approx(curve, rel=1e-6)
    assert [r.stable_rank for r in of(rows, "k")] == pytest.approx(curve[::-1], rel=1e-6)
    assert (rows[0].rows, rows[0].cols) in {(30, 24), (40, 24)}
    assert {r.least_steps for r in rows} == {r.most_steps for r in rows} == {100}


def test_the_switch_is_the_detectors_and_the_ranks_are_scaled(tmp_path):
    curve = [12.3, 9.5, 8.4, 8.2, 8.1, 8.05]
    source = write(tmp_path, {"q": curve}, range(6))
    rows = of(replayed(source, **QUICK, scaling=0.5), "q")
    # int: 12 9 8 8 8 8; ema (a = 2/3): 12 10 8.667 8.222 8.074 8.025; drift of two at e = 3:
    # (|8.222 - 10|/2 + |8.222 - 8.667|)/2 = 0.667 and at e = 4: (0.296 + 0.148)/2 = 0.222
    assert [r.smoothed for r in rows[:4]] == pytest.approx([12, 10, 8.6667, 8.2222], abs=1e-4)
    assert rows[3].drift == pytest.approx(0.6667, abs=1e-4)
    assert rows[4].drift == pytest.approx(0.2222, abs=1e-4)
    assert [r.state for r in rows] == (
        ["too few checkpoints"] * 2 + ["not converged"] * 2 + ["stable"] * 2
    )
    assert rows[-1].model_switch_epoch == 5
    assert rows[-1].switch_rank == math.ceil(8 * 24 / 12) == 16
    assert rows[-1].scale == 2.0


def test_embeddings_are_measured_and_have_no_say(tmp_path):
    rows = replayed(write(tmp_path, {"q": [5.0] * 3}, range(3)), **QUICK)
    embeddings = [row for row in rows if row.layer == "embed"]
    assert {(r.state, r.reason) for r in embeddings} == {("no say", "embedding")}
    assert embeddings[0].stable_rank == pytest.approx(4.5)
    assert rows[-1].model_layers == 1


def test_unequal_spacing_is_said_in_the_rows(tmp_path):
    source = write(tmp_path, {"q": [5.0] * 4}, [0, 100, 200, 1000])
    rows = replayed(source, **QUICK)
    assert [r.epoch for r in of(rows, "q")] == [0, 1, 2, 3]
    assert {(r.least_steps, r.most_steps) for r in rows} == {(100, 800)}
    assert "100 to 800 steps apart" in work(source, Params(), ["blocks.0.q"]).words


def test_epochs_of_so_many_steps_take_the_checkpoints_that_are_there(tmp_path):
    source = write(tmp_path, {"q": [5.0, 9.0, 5.0, 5.0]}, [0, 100, 200, 400])
    rows = of(replayed(source, **QUICK, epoch_steps=200), "q")
    assert [r.epoch for r in rows] == [0, 0.5, 1, 2]
    assert rows[1].state == "between epochs"
    assert rows[1].stable_rank == pytest.approx(9)
    assert (rows[3].smoothed, rows[3].state) == (5, "stable")
    assert {(r.least_steps, r.most_steps) for r in rows} == {(200, 200)}


def test_an_epoch_without_a_checkpoint_is_refused_before_anything_is_read(tmp_path):
    source = write(tmp_path, {"q": [5.0] * 4}, [0, 100, 200, 400])
    for ask in (
        lambda p: replayed(source, epoch_steps=p),
        lambda p: work(source, Params(epoch_steps=p), []),
    ):
        with pytest.raises(AnalysisError, match="no checkpoint at step 300"):
            ask(100)


def test_a_layer_that_is_missing_or_zero_or_not_finite_says_so(tmp_path):
    source = write(tmp_path, {"q": [5.0] * 4, "k": [5.0, None, 5.0, 5.0]}, range(4))
    path = tmp_path / "step_00000" / "model.safetensors"
    zero, broken = torch.zeros(30, 24), torch.full((30, 24), math.nan)
    save_file({"model.layers.0.self_attn.q_proj.weight": zero,
               "model.layers.0.self_attn.k_proj.weight": broken}, path)  # fmt: skip
    rows = replayed(source, ["blocks.0.q", "blocks.0.k"], **QUICK)
    assert [r.reason for r in of(rows, "q")] == ["every entry is zero", None, None, None]
    assert [r.reason for r in of(rows, "k")] == [
        "it holds NaN or infinity", "this checkpoint does not hold it", None, None,
    ]  # fmt: skip
    assert [r.state for r in of(rows, "k")][-1] == "too few checkpoints"
    assert of(rows, "q")[-1].state == "stable"


def test_convolutions_have_a_say_as_rows_of_outputs(tmp_path):
    for step in range(3):
        (tmp_path / f"step_{step}").mkdir()
        kernel = with_stable_rank(5.0, 40, 36).reshape(40, 4, 3, 3).float()
        save_file({"conv1.weight": kernel}, tmp_path / f"step_{step}" / "model.safetensors")
    rows = replayed(open_model(tmp_path), **QUICK)
    assert [r.state for r in rows][-1] == "stable"
    assert (rows[0].rows, rows[0].cols) == (40, 36)


def test_one_model_and_nothing_to_decide_are_sentences(tmp_path):
    source = write(tmp_path, {"q": [5.0] * 2}, range(2))
    with pytest.raises(AnalysisError, match="folder of checkpoints"):
        work(source.at(0), Params(), ["blocks.0.q"])
    with pytest.raises(AnalysisError, match="none of the 1 chosen layers"):
        replayed(source, ["embed"])
    assert {r.state for r in replayed(source)} == {"too few checkpoints", "no say"}


def test_the_prediction_counts_checkpoints_layers_and_the_largest_matrix(tmp_path):
    source = write(tmp_path, {"q": [5.0] * 3}, range(3))
    found = work(source, Params(), ["blocks.0.q", "embed"])
    assert "3 checkpoints of 2 layers" in found.words
    assert "too few" in found.words  # w + 1 = 16
    assert found.bytes == 40 * 24 * 16  # the largest, as stored (float64) and as float64


def test_progress_is_told_for_each_matrix(tmp_path):
    told = []

    class Told(Quiet):
        def __call__(self, done, total, words=""):
            told.append((done, total))

    source = write(tmp_path, {"q": [5.0] * 3}, range(3))
    list(stable_rank(Series(source), Params(), Told()))
    assert told[-1] == (6, 6)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_it_is_registered_with_the_detectors_parameters():
    found = find("stable_rank")
    assert (found.unit, found.view, found.work) == ("series", "stable_rank", work)
    assert issubclass(found.params, Settings)
