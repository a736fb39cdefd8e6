"""How the sample model was trained: one function from the standard library to a folder.

Byte-level BPE, a Llama-style decoder with grouped-query attention
(https://arxiv.org/abs/2305.13245), AdamW (https://arxiv.org/abs/1711.05101) in bfloat16
autocast, saved as float16 in the layout of Hugging Face.
"""

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from analysis.sample import checkpoint, corpus
from analysis.sample.batches import batch
from analysis.sample.schedule import warmup_stable_decay
from analysis.sample.tokenizer import stream, train_tokenizer

Report = Callable[[int, int, float], None]
SAVE_EVERY = 100


@dataclass(frozen=True)
class Recipe:
    """Shape of the model and of a training step; the defaults made the bundled weights."""

    vocabulary: int = 2048
    hidden: int = 256
    intermediate: int = 688
    blocks: int = 6
    heads: int = 8
    kv_heads: int = 4
    window: int = 256
    rows: int = 16
    rate: float = 2e-3
    weight_decay: float = 0.1


def new_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """Build a Llama with random weights that the seed alone decides."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden,
        intermediate_size=recipe.intermediate,
        num_hidden_layers=recipe.blocks,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.kv_heads,
        max_position_embeddings=recipe.window,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def new_optimizer(model: torch.nn.Module, rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over what is trainable; gains of the norms do not decay."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)


def backward(model: torch.nn.Module, ids: torch.Tensor) -> float:
    """Leave the gradients of windows (rows, window + 1); return mean nats per token."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item()


def apply(model: torch.nn.Module, optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Take one step along the clipped gradients, and drop them."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def update(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, ids: torch.Tensor, rate: float
) -> float:
    """One step on windows (rows, window + 1); mean nats per token before it."""
    loss = backward(model, ids)
    apply(model, optimizer, rate)
    return loss


def provenance(recipe: Recipe, steps: int, seed: int) -> dict[str, int | float | str]:
    """Say what it takes, next to the text's manifest, to make the same weights again."""
    versions = {"python": platform.python_version(), "torch": str(torch.__version__)}
    return {"steps": steps, "seed": seed, **asdict(recipe), **versions}


def train(
    out: Path,
    steps: int = 2720,
    seed: int = 0,
    report: Report | None = None,
    recipe: Recipe | None = None,
    documents: Sequence[str] | None = None,
) -> Path:
    """Train the sample model and write it to `out`, with its tokenizer.

    Resumes where an earlier call into the same folder was interrupted, also with
    another number of steps. `report(done, steps, nats_per_token)` follows each step.
    """
    recipe = recipe or Recipe()
    out.mkdir(parents=True, exist_ok=True)
    if documents is None:
        documents = corpus.documents("train")
        corpus.write_manifest(out / "manifest.csv")
    tokenizer = train_tokenizer(documents, recipe.vocabulary)
    ids = stream(tokenizer, documents)
    model = new_model(recipe, tokenizer, seed).train()
    optimizer = new_optimizer(model, recipe.rate, recipe.weight_decay)
    state = out / "checkpoint.safetensors"
    for step in range(checkpoint.load(state, model, optimizer), steps):
        windows = batch(ids, step, seed=seed, rows=recipe.rows, window=recipe.window)
        rate = recipe.rate * warmup_stable_decay(step, steps)
        loss = update(model, optimizer, windows, rate)
        if report:
            report(step + 1, steps, loss)
        if (step + 1) % SAVE_EVERY == 0:
            checkpoint.save(state, model, optimizer, step + 1)
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / "recipe.json").write_text(json.dumps(provenance(recipe, steps, seed), indent=2) + "\n")
    state.unlink(missing_ok=True)
    return out
