"""Calibrate a block in this process; print by how many bytes its memory peaked, and predicted."""

import sys

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from analysis.compress.calibration import calibrate as c
from analysis.compress.trials.targets import targets
from analysis.networks.opened import OpenedModel
from tests.analysis.peak_memory import memory

SIZES = {
    "vocab_size": 64, "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 2,
    "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip


def main(folder: str, windows: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(folder)
    opened = OpenedModel.open(folder)
    network = opened.network()
    found = [target for target in targets(opened, network)[0] if target.block == 1]
    c.calibrate(opened, network, found[:1], torch.zeros(8, 256, dtype=torch.int64), c.Calibration())
    idle = memory("VmRSS")
    c.calibrate(opened, network, found, torch.randint(64, (windows, 256)), c.Calibration())
    print(memory("VmHWM") - idle, c.bytes_of(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
