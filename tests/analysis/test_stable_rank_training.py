"""The live run at a tiny size: its numbers, its checkpoints, and going on after a stop."""

import dataclasses
import json
import math

import pytest
import torch
from safetensors.torch import save_file

from analysis import stable_rank_training as training
from analysis.numerics import rank_timing
from analysis.registry import AnalysisError, Quiet
from analysis.sample import run as sample_run
from analysis.stable_rank import Params as ReplayParams
from analysis.stable_rank import stable_rank
from analysis.stable_rank_training import Params, stable_rank_training, work
from analysis.weights.checkpoints import Series
from analysis.weights.opening import open_model

TINY = Params(
    epochs=5, epoch_steps=2, hidden=16, blocks=1, keep_every=2, ema_window=2, tail=2, threshold=9.0
)
LAYERS = [f"blocks.0.{name}" for name in ("q", "k", "v", "o", "gate", "up", "down")]


@pytest.fixture(autouse=True)
def small_text(monkeypatch):
    monkeypatch.setattr(training, "CHARACTERS", 60_000)
    monkeypatch.setattr(training, "ROWS", 2)
    monkeypatch.setattr(training, "WINDOW", 16)


class Stopped(Quiet):
    """A report that stops the run after so many steps, as a cancel does."""

    def __init__(self, folder=None, after=None):
        super().__init__(folder)
        self.after, self.told = after, []

    def __call__(self, done, total, words=""):
        self.told.append((done, total, words))
        if done == self.after:
            raise KeyboardInterrupt


def trained(folder=None, params=TINY, after=None):
    return list(stable_rank_training(None, params, Stopped(folder, after)))


def by_svd(W):
    squares = torch.linalg.svdvals(W.double()).square()
    return float(squares.sum() / squares[0])


def test_there_is_a_row_per_layer_and_epoch_with_its_decision():
    rows = trained()
    assert [r.layer for r in rows[:7]] == LAYERS
    assert [r.epoch for r in rows[::7]] == [0, 1, 2, 3, 4, 5]
    assert [r.step for r in rows[::7]] == [0, 2, 4, 6, 8, 10]
    assert [r.state for r in rows[::7]][:2] == ["too few checkpoints"] * 2
    assert rows[-1].model_switch_epoch == 3  # the threshold lets everything pass at e = 2
    assert all(r.switch_rank for r in rows if r.epoch >= 2)
    assert {r.rank for r in rows[:7]} == {8, 16}  # at the start the scaled rank is full
    assert rows[0].loss is rows[0].gradient_stable_rank is None
    assert rows[7].loss == pytest.approx(math.log(2048), rel=0.05)
    assert all(r.gradient_stable_rank >= 1 for r in rows[7:])


def test_checkpoints_are_a_series_and_their_replay_gives_the_same_numbers(tmp_path):
    params = dataclasses.replace(TINY, keep_every=1)
    rows = trained(tmp_path, params)
    source = open_model(tmp_path)
    assert [step.number for step in source.steps] == [0, 2, 4, 6, 8, 10]
    assert (source.kind, source.notes) == ("series", ())
    chosen = ReplayParams(ema_window=2, tail=2, threshold=9.0)
    replayed = list(stable_rank(Series(source, LAYERS), chosen, Quiet()))
    for name in ("layer", "step", "epoch", "stable_rank", "smoothed", "drift", "state",
                 "switch_rank", "model_switch_epoch"):  # fmt: skip
        assert [getattr(r, name) for r in replayed] == [getattr(r, name) for r in rows], name


def test_stable_ranks_are_those_of_a_decomposition_and_checkpoints_open_alone(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = trained(tmp_path)
    last = tmp_path / "step_00010"
    model = AutoModelForCausalLM.from_pretrained(last)
    assert AutoTokenizer.from_pretrained(last).bos_token_id is not None
    W = model.model.layers[0].mlp.up_proj.weight.detach()
    assert rows[-2].layer == "blocks.0.up"
    assert rows[-2].stable_rank == pytest.approx(by_svd(W), rel=1e-6)


def test_the_gradient_is_that_of_the_last_batch():
    rows = trained(params=dataclasses.replace(TINY, epochs=1))
    run = training._new_run(dataclasses.replace(TINY, epochs=1))
    for _ in range(2):
        run.backward()
        grad = run.model.model.layers[0].self_attn.q_proj.weight.grad.clone()
        run.apply()
    assert rows[7].gradient_stable_rank == pytest.approx(by_svd(grad), rel=1e-6)


@pytest.mark.parametrize("after", [1, 4, 5, 7, 9])
def test_a_stopped_run_goes_on_as_if_it_never_stopped(tmp_path, after):
    whole = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", after=after)
    report = Stopped(tmp_path / "cut")
    resumed = list(stable_rank_training(None, TINY, report))
    assert resumed == whole
    assert report.told[0][0] == (after - 1) // 4 * 4  # the last checkpoint before the stop
    for step in ("step_00000", "step_00004", "step_00008", "step_00010"):
        weights = [tmp_path / run / step / "model.safetensors" for run in ("whole", "cut")]
        assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_finished_run_is_given_again_without_training(tmp_path):
    first = trained(tmp_path)
    report = Stopped(tmp_path)
    assert list(stable_rank_training(None, TINY, report)) == first
    assert [done for done, *_ in report.told] == [10]


def test_a_stop_while_a_checkpoint_is_written_leaves_no_half_of_one(tmp_path, monkeypatch):
    def stop_at_the_second(weights, path, **extra):
        path.write_bytes(b"half")
        if list((tmp_path / "cut").glob("step_*")):
            raise KeyboardInterrupt
        save_file(weights, path, **extra)

    with monkeypatch.context() as patched:
        patched.setattr(sample_run, "save_file", stop_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "cut")
    assert [s.number for s in open_model(tmp_path / "cut").steps] == [0]
    assert trained(tmp_path / "cut") == trained(tmp_path / "whole")
    assert [s.number for s in open_model(tmp_path / "cut").steps] == [0, 4, 8, 10]


def test_another_runs_folder_is_refused(tmp_path):
    trained(tmp_path)
    with pytest.raises(AnalysisError, match="start a new job"):
        trained(tmp_path, dataclasses.replace(TINY, seed=1))


def test_progress_is_told_each_step():
    report = Stopped()
    list(stable_rank_training(None, TINY, report))
    assert [done for done, *_ in report.told] == list(range(11))
    assert {total for _, total, _ in report.told} == {10}
    assert report.told[-1][2].startswith("epoch 5 of 5, loss ")


def test_the_global_generator_is_left_alone_and_a_seed_decides():
    before = torch.get_rng_state()
    first = trained(params=dataclasses.replace(TINY, epochs=1))
    assert torch.equal(before, torch.get_rng_state())
    assert trained(params=dataclasses.replace(TINY, epochs=1)) == first
    assert trained(params=dataclasses.replace(TINY, epochs=1, seed=1)) != first


def test_divergence_and_a_width_that_heads_cannot_share_are_sentences():
    with pytest.raises(AnalysisError, match="lower `rate`"):
        trained(params=dataclasses.replace(TINY, rate=1e30, epochs=40))
    with pytest.raises(AnalysisError, match="multiple of 8"):
        work(None, Params(hidden=20), [])


def test_the_default_run_is_as_large_as_it_should_be(monkeypatch):
    monkeypatch.undo()
    found = work(None, Params(), [])
    assert Params().epochs >= 50
    assert "1,2" in found.words  # 1.25 million parameters
    assert 20 < found.seconds < 120


def test_the_prediction_counts_the_models_parameters():
    run = training._new_run(Params(hidden=32, blocks=2))
    matrices = sum(p.numel() for p in run.model.parameters() if p.ndim == 2)
    assert f"{matrices:,} parameters" in work(None, Params(hidden=32, blocks=2), []).words


def test_timing_gives_k_and_is_kept_for_a_resumed_run(tmp_path):
    params = dataclasses.replace(TINY, time_ranks=True)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, params, after=5)
    rows = trained(tmp_path, params)
    assert len({(r.layer, r.layer_seconds) for r in rows}) == 7
    assert all(len(r.layer_seconds) == 5 and min(r.layer_seconds) > 0 for r in rows)
    assert rows[0].speedup == rows[0].layer_seconds[0] / rows[0].layer_seconds[2]
    first = [r.speedup >= 1.5 for r in rows[:7]]
    assert rows[0].model_leading == (first.index(True) if any(first) else 7)


def test_k_is_the_layers_before_the_first_that_gains():
    fast, slow = (8, 8), (4, 8)
    timed = {fast: (3.0, 2.5, 2.0, 1, 1), slow: (3.0, 2.9, 2.1, 1, 1)}
    assert rank_timing.leading([slow, slow, fast, slow], timed) == 2
    assert rank_timing.leading([fast], timed) == 0
    assert rank_timing.leading([slow] * 3, timed) == 3


def test_smaller_factors_of_a_large_layer_train_faster():
    timed = rank_timing.seconds((768, 768), 256)
    assert timed[4] < timed[0]


def test_rows_are_json_and_hold_no_arrays():
    row = dataclasses.asdict(trained(params=dataclasses.replace(TINY, epochs=1))[-1])
    assert json.loads(json.dumps(row)) == row
