"""The machine that a benchmark ran on, in a line."""

import platform
from pathlib import Path

import torch

CPUS = Path("/proc/cpuinfo")


def machine() -> str:
    """Return the processor, the threads of torch, and the versions that matter."""
    named = [line for line in _cpus() if line.startswith("model name")]
    name = named[0].partition(":")[2].strip() if named else platform.machine()
    threads = torch.get_num_threads()
    count = "one thread" if threads == 1 else f"{threads} threads"
    return f"{name}, {count}; torch {torch.__version__}, Python {platform.python_version()}"


def _cpus() -> list[str]:
    return CPUS.read_text().splitlines() if CPUS.is_file() else []
