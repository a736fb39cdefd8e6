"""What a plan leaves out, with its reason: nothing that was asked for disappears."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from jobs.client import Client


def test_slices_that_hold_nothing_new_are_listed(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    kernels = {"grey.weight": torch.randn(6, 1, 3, 3), "colour.weight": torch.randn(6, 4, 3, 3)}
    save_file(kernels, file)
    for asked, named in ((False, 0), (True, 1)):
        job = client.submit(str(file), "spectrum", {"slices": asked})
        units = client.store.units(job).set_index("label")
        skipped = units[units["state"] == "skipped"]
        assert list(skipped.index) == ["grey[slices]"] * named
        assert all("one input channel" in reason for reason in skipped["message"])
        assert (units.drop(skipped.index)["state"] == "done").all()
    assert len(units) - 1 == 2 + 9  # both kernels flattened, and the nine slices of one
