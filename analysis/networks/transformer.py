"""Running a transformers model from its files: no remote code, no pickle unless allowed."""

import contextlib
import logging
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from analysis.networks.errors import NotRunnable
from analysis.networks.own_files import folder_with
from analysis.weights.source import Source

Task = Literal["causal", "masked", "classifier", "encoder"]
ENDINGS: tuple[tuple[str, Task], ...] = (
    ("ForCausalLM", "causal"),
    ("LMHeadModel", "causal"),
    ("ForMaskedLM", "masked"),
    ("ForPreTraining", "masked"),
    ("ForSequenceClassification", "classifier"),
)
CLASSES = {
    "causal": "AutoModelForCausalLM",
    "masked": "AutoModelForMaskedLM",
    "classifier": "AutoModelForSequenceClassification",
    "encoder": "AutoModel",
}
UNUSED = ("pooler.",)  # of an encoder, whose hidden states are what is read
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model")


def task_of(source: Source) -> Task:
    """Return what the head named in the configuration is for; "encoder" when it names none."""
    named = source.run.facts.architecture
    return next((task for ending, task in ENDINGS if named.endswith(ending)), "encoder")


def folder_of(source: Source) -> Path:
    """Return where configuration and tokenizer lie: the base's of an adapter, a series' last."""
    path = _weights(source).path
    return path if path.is_dir() else path.parent


def newest(source: Source) -> Source:
    """Return the last checkpoint of a series; any other source is its own."""
    return source.at(source.steps[-1].number) if source.steps else source


def config_of(source: Source) -> Any:
    """Return the configuration. Raises NotRunnable when transformers cannot read one."""
    from transformers import AutoConfig

    if not source.config:
        raise NotRunnable(
            f"{source.name} has no config.json, so there is no forward pass: give a folder in "
            "Hugging Face layout"
        )
    try:
        return AutoConfig.from_pretrained(
            folder_of(source), local_files_only=True, trust_remote_code=False
        )
    except (ValueError, KeyError, OSError) as error:
        raise _unknown(source, error) from None


def tokenizer_of(source: Source) -> Any:
    """Return the tokenizer beside the weights. Raises NotRunnable when there is none."""
    folder = folder_of(source)
    files = [folder / name for name in TOKENIZERS if (folder / name).exists()]
    if not files:
        raise NotRunnable(
            f"{source.name} has no tokenizer beside its weights: give token ids with "
            "--set text=IDS.npy, or put tokenizer.json into its folder"
        )
    try:
        return _tokenizer(folder, tuple(path.stat().st_mtime_ns for path in files))
    except (ValueError, KeyError, OSError) as error:
        raise NotRunnable(
            f"the tokenizer of {source.name} cannot be read ({_first_line(error)}): "
            "copy or download the model again"
        ) from None


@lru_cache(maxsize=4)
def _tokenizer(folder: Path, times: tuple[int, ...]) -> Any:
    """Read a tokenizer once, for it takes longer than all else that a prediction does."""
    del times  # of its files: they make a changed tokenizer another one
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def load(source: Source) -> nn.Module:
    """Return the model with its head, in float32; an adapter is merged into its base.

    Raises NotRunnable for a family that this transformers does not know, and when the files lack
    weights, which would otherwise be random.
    """
    config = config_of(source)
    network = _merged(source, _loaded(source, config))
    network.requires_grad_(True)
    network.config.use_cache = False  # type: ignore[union-attr]
    return network


def _loaded(source: Source, config: Any) -> nn.Module:
    import transformers

    chosen = getattr(transformers, CLASSES[task_of(source)])
    try:
        with hushed(), folder_with(_weights(source)) as folder:
            network, said = chosen.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                attn_implementation="eager",
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **({} if source.run.allow_pickle else {"use_safetensors": True}),
            )
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        raise _unknown(source, error) from None
    missing = [n for n in sorted(said["missing_keys"]) if not n.startswith(UNUSED)]
    if missing:
        raise NotRunnable(
            f"the files of {source.name} lack {len(missing)} weights of a {type(network).__name__} "
            f"({missing[0]}, ...), which would be random: give the whole model"
        )
    assert isinstance(network, nn.Module)
    return network


def _merged(source: Source, network: nn.Module) -> nn.Module:
    if source.kind != "adapter":
        return network
    import warnings

    with warnings.catch_warnings():
        # peft reads an attribute that transformers is about to rename.
        warnings.filterwarnings("ignore", ".is_gradient_checkpointing.", FutureWarning)
        from peft import PeftModel

        adapted: Any = PeftModel.from_pretrained(network, str(newest(source).path))
        merged: nn.Module = adapted.merge_and_unload()
    return merged


def _weights(source: Source) -> Source:
    """Return the one model whose files are loaded."""
    return newest(newest(source).run)


def _unknown(source: Source, error: Exception) -> NotRunnable:
    return NotRunnable(
        f"transformers cannot run {source.name} ({_first_line(error)}): only models of its own "
        "classes run here"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200].rstrip(".")


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Keep the library's progress bar and its table of missing weights away: we say what lacks."""
    from transformers.utils import logging as library

    logger = logging.getLogger("transformers.modeling_utils")
    had_bar, disabled = library.is_progress_bar_enabled(), logger.disabled
    library.disable_progress_bar()  # type: ignore[no-untyped-call]
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = disabled
        if had_bar:
            library.enable_progress_bar()  # type: ignore[no-untyped-call]
