"""Both models by turns: who runs when, and what is made of the times."""

import json

import pytest
import torch

from analysis.compress.forms import TwoFactor
from analysis.evaluate import latency
from analysis.evaluate.latency import speed
from analysis.evaluate.size import weights_bytes
from tests.analysis.tiny_transformers import tiny

UP = "model.layers.0.mlp.up_proj"


def low_rank(network):
    network.set_submodule(UP, TwoFactor(torch.ones(2, 16), torch.ones(24, 2)))
    return network


def test_a_slower_trial_is_slower_by_as_much(monkeypatch):
    clock, order = [0.0], []
    dense, trial = tiny("llama"), low_rank(tiny("llama"))
    seconds = {id(dense): iter([9.0, 2.0, 2.0, 2.0, 4.0, 2.0]), id(trial): iter([1.0] + [4.0] * 5)}
    for name, network in (("dense", dense), ("trial", trial)):

        def passed(module, _given, _output, name=name):
            order.append(name)
            clock[0] += next(seconds[id(module)])

        network.register_forward_hook(passed)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: clock[0])
    found = speed(dense, trial, torch.ones(3, 8, dtype=torch.int64), 5, [UP])
    assert order[2:] == ["trial", "dense", "dense", "trial"] * 2 + ["trial", "dense"]
    assert (found.dense.latency, found.dense.low, found.dense.high) == (2, 2, 2)
    assert found.trial.latency == 4
    assert found.speedup == 0.5
    assert found.dense.tokens_per_second == 12
    assert (found.batch, found.length, found.repeats, found.device) == (3, 8, 5, "cpu")


def test_memory_and_operations_of_both():
    dense, trial = tiny("llama").train(), low_rank(tiny("llama"))
    found = speed(dense, trial, torch.ones(3, 8, dtype=torch.int64), 1, [UP])
    assert dense.training
    assert found.dense.weights_bytes == weights_bytes(dense)
    assert found.dense.weights_bytes - found.trial.weights_bytes == 4 * (24 * 16 - 2 * 40)
    logits = 4 * 3 * 8 * 29
    assert logits < found.dense.peak_bytes - found.dense.weights_bytes < 40 * logits
    assert (found.dense.flops, found.trial.flops) == (2 * 24 * 16, 2 * 2 * 40)
    json.dumps(found.to_dict(), allow_nan=False)


def test_no_repeats_are_refused():
    with pytest.raises(ValueError, match="expected one repeat or more, got 0"):
        speed(tiny("llama"), tiny("llama"), torch.ones(1, 2, dtype=torch.int64), 0)
