"""How the sample's adapter was trained: LoRA on the query and value projections.

It teaches the base model Python's help topics, which the base never saw.
Hu et al. (2022), https://arxiv.org/abs/2106.09685
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from analysis.sample import MODEL, corpus
from analysis.sample.batches import batch
from analysis.sample.recipe import Report, new_optimizer, update
from analysis.sample.schedule import warmup_stable_decay
from analysis.sample.tokenizer import stream

BASE_NAME = "rankscope/sample"
RANK = 8
ROWS = 16
RATE = 1.5e-2


def new_adapter(base: Path, seed: int) -> PeftModel:
    """Open the base model under a fresh adapter, which changes nothing yet."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        adapted = get_peft_model(model, config)
    assert isinstance(adapted, PeftModel)
    # A name, so that no path of the machine that trained it is written down.
    adapted.peft_config["default"].base_model_name_or_path = BASE_NAME
    return adapted


def train_adapter(
    out: Path,
    steps: int = 400,
    seed: int = 0,
    report: Report | None = None,
    base: Path = MODEL,
    documents: Sequence[str] | None = None,
) -> Path:
    """Train the sample's adapter on help topics and write it to `out` in PEFT's layout.

    `report(done, steps, nats_per_token)` follows each step.
    """
    documents = corpus.topic_documents("train") if documents is None else documents
    model = new_adapter(base, seed).train()
    ids = stream(AutoTokenizer.from_pretrained(base), documents)
    optimizer = new_optimizer(model, RATE, weight_decay=0.0)
    window = model.config.max_position_embeddings
    for step in range(steps):
        windows = batch(ids, step, seed=seed, rows=ROWS, window=window)
        loss = update(model, optimizer, windows, RATE * warmup_stable_decay(step, steps, warmup=20))
        if report:
            report(step + 1, steps, loss)
    # Left to itself, PEFT asks the hub for the base's configuration here.
    model.save_pretrained(str(out), save_embedding_layers=False)
    (out / "README.md").unlink(missing_ok=True)
    return out
