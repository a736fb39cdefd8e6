"""The recipe on a tiny shape: reproducible, resumable, and learning what repeats."""

import json

import pytest
import torch
from safetensors.torch import load_file

from analysis.sample import checkpoint, recipe
from analysis.sample.adapter import train_adapter
from analysis.sample.batches import batch
from analysis.sample.recipe import Recipe, train
from analysis.sample.schedule import warmup_stable_decay
from analysis.sample.tokenizer import END, stream, train_tokenizer

# PEFT asks transformers for a property by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")

TINY = Recipe(
    vocabulary=300, hidden=16, intermediate=32, blocks=1, heads=2, kv_heads=1, window=8, rows=2
)
TEXT = ["def f(x):\n    return x + 1\n" * 20, "for i in range(10):\n    print(i)\n" * 20]


def weights(folder):
    return load_file(folder / "model.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_seed_decides_every_weight(tmp_path):
    first, again, other = (
        train(tmp_path / name, steps=2, seed=seed, recipe=TINY, documents=TEXT)
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert same(weights(first), weights(again))
    assert not same(weights(first), weights(other))


def test_global_random_state_is_untouched(tmp_path):
    before = torch.get_rng_state()
    train(tmp_path, steps=1, recipe=TINY, documents=TEXT)
    assert torch.equal(before, torch.get_rng_state())


def test_weights_are_stored_as_float16_with_their_provenance(tmp_path):
    train(tmp_path, steps=1, seed=3, recipe=TINY, documents=TEXT)
    assert {tensor.dtype for tensor in weights(tmp_path).values()} == {torch.float16}
    record = json.loads((tmp_path / "recipe.json").read_text())
    assert (record["steps"], record["seed"], record["hidden"]) == (1, 3, 16)


def test_an_interrupted_run_goes_on_as_if_it_never_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "SAVE_EVERY", 1)

    def interrupt(done, steps, nats):
        if done == 3:
            raise KeyboardInterrupt

    whole = train(tmp_path / "whole", steps=4, recipe=TINY, documents=TEXT)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", steps=4, recipe=TINY, documents=TEXT, report=interrupt)
    seen = []
    cut = train(
        tmp_path / "cut", 4, recipe=TINY, documents=TEXT, report=lambda *args: seen.append(args[:2])
    )
    assert seen == [(3, 4), (4, 4)]
    assert same(weights(whole), weights(cut))
    assert not list(cut.glob("checkpoint*"))


def test_it_learns_text_that_repeats(tmp_path):
    losses = []
    train(tmp_path, 150, recipe=TINY, documents=TEXT, report=lambda *args: losses.append(args[2]))
    assert losses[-1] < 0.8 * losses[0]


def test_an_adapter_trains_on_a_tiny_base_and_names_no_path(tmp_path):
    base = train(tmp_path / "base", steps=1, recipe=TINY, documents=TEXT)
    first, again = (
        train_adapter(tmp_path / name, steps=2, base=base, documents=TEXT * 2)
        for name in ("first", "again")
    )
    a, b = (load_file(folder / "adapter_model.safetensors") for folder in (first, again))
    assert same(a, b)
    assert any(tensor.any() for name, tensor in a.items() if "lora_B" in name)
    assert str(tmp_path) not in (first / "adapter_config.json").read_text()


def test_a_missing_checkpoint_is_step_zero(tmp_path):
    layer = torch.nn.Linear(2, 2)
    assert checkpoint.load(tmp_path / "none", layer, torch.optim.AdamW(layer.parameters())) == 0


def test_an_epoch_shows_each_window_once():
    ids = torch.arange(8 * 6 + 9)
    rows = torch.cat([batch(ids, step, seed=0, rows=2, window=8) for step in range(3)])
    starts = rows[:, 0].sort().values
    assert torch.equal(starts.diff(), torch.full((5,), 8))
    assert torch.equal(rows[:, 1:] - rows[:, :-1], torch.ones(6, 8, dtype=torch.long))


def test_too_little_text_is_refused():
    with pytest.raises(ValueError, match="expected more than 24 tokens, got 10"):
        batch(torch.arange(10), 0, seed=0, rows=2, window=8)


def test_the_plateau_does_not_depend_on_the_end():
    assert warmup_stable_decay(150, 1000) == warmup_stable_decay(150, 5000) == 1.0
    assert warmup_stable_decay(0, 1000) == 0.01
    assert 0 < warmup_stable_decay(999, 1000) < 0.01


def test_the_tokenizer_spells_any_text_back():
    tokenizer = train_tokenizer(TEXT, 300)
    for text in ("def f(x):\n\treturn 'é𝄞'\n", "\x00  \r\n"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.decode(stream(tokenizer, ["ab", "c"])) == f"{END}ab{END}c"
