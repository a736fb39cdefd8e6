"""The model card: what the bundled weights are and how well they predict, measured."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from analysis.sample import corpus
from analysis.sample.evaluate import bits_per_byte

PREFIX = 300_000

CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
---
# rankscope/sample

A Llama-style language model of {parameters:,} parameters, trained by Rankscope on the
sources of Python's standard library, so that every page of the dashboard has something
real to show without a network. It completes Python code in the library's manner; it is
good for studying low-rank structure, and for nothing else.

| | |
|---|---|
| Shape | {blocks} blocks, hidden {hidden}, {heads} heads, {kv_heads} key-value heads, untied head |
| Tokenizer | byte-level BPE, {vocabulary:,} tokens, learned from the same text |
| Training | {steps:,} steps of {rows} x {window} tokens, AdamW at {rate:g}, seed {seed} |
| Made with | CPython {python}, torch {torch} |
| Recipe | `python -m jobs sample --train` |
| Manifest | `manifest.csv`, sha256 `{manifest}` |

Bits per byte of the stored float16 weights, computed in float32 with windows of
{window} tokens. They hold for the bytes of that manifest; another build of Python
has other bytes.

| Text | Bits per byte |
|---|---|
| held-out modules, first {prefix:,} characters | {heldout_prefix:.4f} |
| held-out modules, all | {heldout:.4f} |
| held-out modules but for the tables in `encodings` | {heldout_code:.4f} |
| held-out help topics | {topics:.4f} |
| held-out help topics, with the adapter | {topics_adapted:.4f} |

Modules fall into train, calibration and held-out by a hash of their names, so closely
related modules (two code pages, say) may fall into different parts. The adapter is LoRA of
rank 8 on `q_proj` and `v_proj`, trained on Python's help topics (`pydoc_data.topics`), which
the model never saw.

The weights are under Apache-2.0. The text is CPython's own, under the PSF licence, and no
part of this repository.
"""


@dataclass(frozen=True)
class Measured:
    """Bits per byte on the held-out texts of the interpreter at hand."""

    heldout_prefix: float
    heldout: float
    heldout_code: float
    topics: float
    topics_adapted: float


def _heldout_code() -> str:
    """Join the held-out sources without code pages, which resemble those that were trained on."""
    heldout = (module for module in corpus.modules() if module.part == "heldout")
    return "\n".join(m.source() for m in heldout if not m.name.startswith("encodings."))


def measure(model: Path, adapter: Path) -> Measured:
    """Evaluate the stored weights in float32."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    heldout, topics = corpus.text("heldout"), corpus.topics("heldout")
    plain = {
        "heldout_prefix": bits_per_byte(base, tokenizer, heldout[:PREFIX]),
        "heldout": bits_per_byte(base, tokenizer, heldout),
        "heldout_code": bits_per_byte(base, tokenizer, _heldout_code()),
        "topics": bits_per_byte(base, tokenizer, topics),
    }
    # PEFT puts its layers into the base itself, so the base goes first.
    adapted = PeftModel.from_pretrained(base, str(adapter))
    return Measured(**plain, topics_adapted=bits_per_byte(adapted, tokenizer, topics))


def render(model: Path, measured: Measured) -> str:
    """Write the card as Markdown, from what the recipe left in the model's folder."""
    recipe = json.loads((model / "recipe.json").read_text())
    parameters = AutoModelForCausalLM.from_pretrained(model).num_parameters()
    manifest = corpus.manifest_hash(model / "manifest.csv")
    return CARD.format(
        parameters=parameters, manifest=manifest, prefix=PREFIX, **recipe, **vars(measured)
    )
