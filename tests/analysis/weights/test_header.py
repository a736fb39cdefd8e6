"""Headers of safetensors files, and the sentence for every way in which a file can be bad."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from analysis.weights import BadModel, open_model
from analysis.weights.header import read_header


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.safetensors"
    save_file({"a": torch.ones(3, 4), "b": torch.ones(5, dtype=torch.float16)}, path)
    return path


def written(path, header, data=b""):
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype="F32", shape=(2, 2), offsets=(0, 16)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_lists_names_types_shapes_and_offsets(good):
    found = {tensor.name: tensor for tensor in read_header(good)}
    data = good.read_bytes()

    assert (found["a"].dtype, found["a"].shape, found["a"].bytes) == ("float32", (3, 4), 48)
    assert (found["b"].dtype, found["b"].shape, found["b"].parameters) == ("float16", (5,), 5)
    start = found["b"].offset
    assert data[start : start + 10] == torch.ones(5, dtype=torch.float16).numpy().tobytes()


def test_needs_no_torch(good):
    code = (
        "import sys; from pathlib import Path; from analysis.weights.header import read_header;"
        f"read_header(Path({str(good)!r})); sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_model_is_described_without_torch(good):
    code = (
        "import sys; from analysis.weights import open_model;"
        f"open_model({str(good)!r}).tensors(); sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadModel, match=r"no\.safetensors does not exist: check the path"):
        read_header(tmp_path / "no.safetensors")


@pytest.mark.parametrize("kept", [1, 7, 8, 20, -1])
def test_a_truncated_file_says_so(good, kept):
    cut = good.with_name("cut.safetensors")
    cut.write_bytes(good.read_bytes()[:kept])

    with pytest.raises(BadModel, match=r"cut\.safetensors is truncated.*again"):
        open_model(cut)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"\x04" + bytes(7) + b"abcd", "corrupt"),
        (b"\x04" + bytes(7) + b"null", "corrupt"),
        (b"\x02" + bytes(7) + b"{}", "holds no tensors"),
        (b"\x02" + bytes(7) + b"\xff\xfe", "corrupt"),
        (b"\xff" * 40, "truncated"),
    ],
)
def test_what_is_no_safetensors_file_says_so(tmp_path, content, sentence):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)

    with pytest.raises(BadModel, match=f"bad.safetensors.*{sentence}"):
        open_model(path)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ({"a": entry(shape=(2, 3))}, "the bytes of a do not fit its shape"),
        ({"a": entry(shape=(-2, -2))}, "corrupt"),
        ({"a": entry(offsets=(4, 20))}, "do not match its header"),
        ({"a": entry(), "b": entry(offsets=(4, 20))}, "do not match its header"),
        ({"a": entry(shape=(3, 3), offsets=(0, 36))}, "truncated"),
        ({"a": {"dtype": "F32"}}, "corrupt"),
        ({"a": 3}, "corrupt"),
        ({"a": entry(dtype="F3")}, "holds a in F3"),
        ({"a": entry(shape=(2,), offsets=(0, 8))}, "do not match its header"),
        ({"a\ud800": entry()}, r"a name that is no text: 'a\\ud800'"),
        ({"a": entry(dtype="\ud800")}, r"holds a in \\ud800"),
        (
            {"a": entry(shape=(0, 2**70), offsets=(0, 0))},
            "corrupt.*a of 0 x 1180591620717411303424",
        ),
        ({"a": entry(shape=(0, 2**63), offsets=(0, 0))}, "corrupt"),
    ],
)
def test_a_header_that_contradicts_itself_is_corrupt(tmp_path, header, sentence):
    path = written(tmp_path / "bad.safetensors", header, bytes(20))

    with pytest.raises(BadModel, match=sentence):
        read_header(path)


def test_a_header_nested_without_end_is_corrupt(tmp_path):
    path = tmp_path / "bad.safetensors"
    text = b'{"a":' + b"[" * 200_000
    path.write_bytes(len(text).to_bytes(8, "little") + text)

    with pytest.raises(BadModel, match="its header is no JSON"):
        read_header(path)


def test_the_longest_empty_tensor_is_read(tmp_path):
    path = written(tmp_path / "a.safetensors", {"a": entry(shape=(0, 2**63 - 1), offsets=(0, 0))})

    assert read_header(path)[0].shape == (0, 2**63 - 1)


def test_bytes_after_the_data_are_corrupt(good):
    good.write_bytes(good.read_bytes() + b"more")

    with pytest.raises(BadModel, match="do not match its header"):
        read_header(good)
