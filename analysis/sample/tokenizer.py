"""The sample's tokenizer: byte-level BPE learned from the training part."""

from collections.abc import Iterable, Sequence

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

END = "<|endoftext|>"


def train_tokenizer(documents: Iterable[str], vocabulary: int = 2048) -> PreTrainedTokenizerFast:
    """Learn a vocabulary that spells any byte, so that no text is unknown.

    Sennrich et al. (2016), https://arxiv.org/abs/1508.07909
    """
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(documents, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe, bos_token=END, eos_token=END, pad_token=END, model_max_length=256
    )


def stream(tokenizer: PreTrainedTokenizerBase, documents: Sequence[str]) -> torch.Tensor:
    """Token ids of all documents in one row, each opened by the end-of-text token."""
    encoded = tokenizer(list(documents), add_special_tokens=False, verbose=False)["input_ids"]
    return torch.tensor([i for ids in encoded for i in (tokenizer.bos_token_id, *ids)])
