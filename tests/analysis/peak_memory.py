"""Profile every matrix of a file in this process; print peak minus idle memory over its bytes."""

import sys
from pathlib import Path

import torch

from analysis import weights
from analysis.spectrum import Params, spectrum
from analysis.weights.matrix import Matrix


def memory(entry: str) -> int:
    # Not getrusage's ru_maxrss: it starts from the memory of the process that started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(entry)]
    return int(line.split()[1]) * 1024


def main(path: str) -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    list(spectrum(Matrix.of(torch.randn(64, 32, generator=generator)), Params()))  # loads the rest
    [ref] = weights.open_model(path).matrices()
    matrix = Matrix(weights.load(ref), ref.label, "key")
    idle = memory("VmRSS")
    [row] = spectrum(matrix, Params())
    print(row.numerical_rank, (memory("VmHWM") - idle) / matrix.stored_bytes)


if __name__ == "__main__":
    main(sys.argv[1])
