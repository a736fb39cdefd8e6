"""Tiny models in folders, with a tokenizer of 29 words, one of them of two bytes a letter."""

import random

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from analysis.networks.opened import OpenedModel
from tests.analysis.tiny_transformers import tiny

SPECIAL = ["<s>", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[PAD]"]
WORDS = ["the", "sky", "is", "blue", "café", "rose", "red", "one", "two", ".", *"abcdefghijklm"]
KNOWN = {word: i for i, word in enumerate(SPECIAL + WORDS)}
TEXT = " ".join(random.Random(0).choices(WORDS, k=150))


def on_disk(folder, family, **settings):
    """A model opened from a folder, and its network."""
    tiny(family, **settings).save_pretrained(folder)
    made = Tokenizer(models.WordLevel(KNOWN, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    more = {"bos_token": "<s>"}
    if family in ("bert", "encoder"):
        more = {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", **more
    ).save_pretrained(folder)
    opened = OpenedModel.open(folder)
    return opened, opened.network()


def written(folder, text=TEXT, name="text.txt"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)
