"""The checkpoints that a training run of the recipe keeps."""

import torch

from analysis import weights
from analysis.sample.recipe import Recipe
from analysis.sample.run import Run
from analysis.sample.tokenizer import train_tokenizer
from analysis.weights.series import steps_in

TINY = Recipe(
    vocabulary=300, hidden=16, intermediate=32, blocks=1, heads=2, kv_heads=1, window=8, rows=2
)


class Meanwhile:
    """A tokenizer in whose writing something else happens."""

    def __init__(self, tokenizer, happen):
        self._tokenizer, self._happen = tokenizer, happen

    def __getattr__(self, name):
        return getattr(self._tokenizer, name)

    def __len__(self):
        return len(self._tokenizer)

    def save_pretrained(self, folder):
        self._tokenizer.save_pretrained(folder)
        self._happen()


def test_two_runs_that_keep_one_step_at_once_leave_it_whole(tmp_path):
    tokenizer = train_tokenizer(["def f(x):\n    return x + 1\n" * 20], TINY.vocabulary)

    def run(tokenizer):
        return Run(TINY, tokenizer, torch.arange(100), steps=2, seed=0)

    seen = []
    other = run(Meanwhile(tokenizer, lambda: seen.extend(steps_in(tmp_path)[0])))
    run(Meanwhile(tokenizer, lambda: other.keep(tmp_path))).keep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000"]
    assert weights.open_model(tmp_path / "step_00000").kind == "transformers"
    assert not seen, "an unfinished folder was taken for a checkpoint"
