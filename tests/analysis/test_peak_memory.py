"""An embedding of 50,257 x 768 is profiled whole, in less than three times its stored bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("dtype", "turned"),
    [(torch.float32, False), (torch.float16, False), (torch.float16, True)],
    ids=["float32", "float16", "float16 wide"],
)
def test_an_embedding_of_fifty_thousand_rows(tmp_path, dtype, turned):
    tensor = torch.randn(50257, 768, generator=torch.Generator().manual_seed(0)).to(dtype)
    path = tmp_path / "model.safetensors"
    save_file({"wte.weight": tensor.T.contiguous() if turned else tensor}, path)
    done = subprocess.run(
        [sys.executable, ROOT / "tests/analysis/peak_memory.py", path],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    rank, ratio = done.stdout.split()
    assert int(rank) == 768
    assert float(ratio) < 3
