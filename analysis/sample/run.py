"""A training run of the recipe that can be stopped anywhere and goes on exactly.

Its folder holds checkpoints that open as models (`step_00000/`, ...) and, apart from them so that
the folder opens as a series, what a resumed run starts from.
"""

import json
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from analysis.registry import AnalysisError
from analysis.sample import checkpoint
from analysis.sample.batches import batch
from analysis.sample.recipe import Recipe, apply, backward, new_model, new_optimizer
from analysis.sample.schedule import warmup_stable_decay
from analysis.sample.tokenizer import stream
from analysis.weights.names import name_tensors


class Run:
    """Weights, optimizer and text between two steps; `step` counts the finished ones."""

    def __init__(
        self, recipe: Recipe, tokenizer: PreTrainedTokenizerFast, ids: torch.Tensor,
        steps: int, seed: int,
    ) -> None:  # fmt: skip
        self.step = 0
        self.model = new_model(recipe, tokenizer, seed).train()
        self.model.config.architectures = [type(self.model).__name__]
        self._recipe, self._tokenizer, self._ids = recipe, tokenizer, ids
        self._steps, self._seed = steps, seed
        self._optimizer = new_optimizer(self.model, recipe.rate, recipe.weight_decay)

    def backward(self) -> float:
        """Leave the gradients of the next batch; return its mean nats per token."""
        shape = {"rows": self._recipe.rows, "window": self._recipe.window}
        return backward(self.model, batch(self._ids, self.step, seed=self._seed, **shape))

    def apply(self) -> None:
        """Take the step that the gradients ask for."""
        rate = self._recipe.rate * warmup_stable_decay(self.step, self._steps)
        apply(self.model, self._optimizer, rate)
        self.step += 1

    def keep(self, folder: Path) -> None:
        """Write the weights as a model of their own, whole or not at all."""
        kept = folder / f"step_{self.step:05d}"
        if kept.exists():  # by the run that this one resumes, so they are the same
            return
        folder.mkdir(parents=True, exist_ok=True)
        # A folder whose name ended in a number would be taken for a checkpoint.
        with tempfile.TemporaryDirectory(suffix=".unfinished", dir=folder) as unfinished:
            draft = Path(unfinished) / kept.name
            draft.mkdir()
            self._write(draft)
            try:
                draft.replace(kept)
            except OSError:
                if not kept.is_dir():  # else by another run of the same, and so they are the same
                    raise

    def _write(self, draft: Path) -> None:
        weights = {name: value.contiguous() for name, value in self.model.state_dict().items()}
        save_file(weights, draft / "model.safetensors", metadata={"format": "pt"})
        self.model.config.save_pretrained(draft)
        self._tokenizer.save_pretrained(draft)

    def save(self, folder: Path, record: Any) -> None:
        """Write what `restore` needs, with a JSON-ready record of the steps so far."""
        written = json.dumps({"made_by": self._made_by(), "record": record})
        checkpoint.save(_state(folder), self.model, self._optimizer, self.step, written)

    def restore(self, folder: Path) -> Any:
        """Go on where `save` was called last; return its record, None where it never was.

        Raises AnalysisError when the folder is of a run with another text or other settings.
        """
        written = checkpoint.record(_state(folder))
        if written is None:
            return None
        found = json.loads(written)
        if found["made_by"] != self._made_by():
            raise AnalysisError(
                f"{folder} holds a run with other settings or another text: start a new job"
            )
        self.step = checkpoint.load(_state(folder), self.model, self._optimizer)
        return found["record"]

    def _made_by(self) -> dict[str, Any]:
        text = sha256(self._ids.numpy().tobytes()).hexdigest()
        shape = [list(p.shape) for p in self.model.parameters()]
        recipe = [self._recipe.rows, self._recipe.window, self._recipe.rate]
        return {"text": text, "shape": shape, "recipe": recipe, "seed": self._seed,
                "steps": self._steps}  # fmt: skip


def _state(folder: Path) -> Path:
    return folder / "resume" / "state.safetensors"


def linear_layers(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Return the weights of the blocks' linear layers under their display names."""
    matrices = {name: p for name, p in model.named_parameters() if p.ndim == 2}
    named = name_tensors(matrices)
    return {named[n].layer: p for n, p in matrices.items() if named[n].block is not None}


def first_ids(
    tokenizer: PreTrainedTokenizerBase, documents: Sequence[str], characters: int
) -> torch.Tensor:
    """Return the tokens (N,) of the first documents that hold so many characters together."""
    taken, length = [], 0
    for document in documents:
        if length >= characters:
            break
        taken.append(document)
        length += len(document)
    return stream(tokenizer, taken)
