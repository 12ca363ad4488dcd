"""safetensors files: ours, and those of the package where it is installed."""

import importlib.util
import json
import random
import struct

import pytest
from library import ON_TORCH, pullback_only, run_python, torch

pytestmark = pullback_only("PyTorch leaves these files to the package")

KINDS = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
]


def tensors():
    some = {kind: torch.arange(6).to(getattr(torch, kind)).reshape(2, 3) for kind in KINDS}
    return {
        **some,
        "empty": torch.empty(0, 2),
        "number": torch.tensor(2.5),
        "turned": torch.arange(6.0).view(2, 3).t(),
    }


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype and a[name].shape == b[name].shape
        assert a[name].tolist() == b[name].tolist() and b[name].is_contiguous()


@pytest.mark.parametrize("mapped", [False, True])
def test_there_and_back(tmp_path, mapped):
    path = tmp_path / "a.safetensors"
    torch.save_safetensors(tensors(), path, {"made": "here"})
    again = torch.load_safetensors(path, mmap=mapped)
    same(tensors(), again)
    again["float32"].add_(1)
    same(tensors(), torch.load_safetensors(path))
    torch.save_safetensors({}, path)
    assert torch.load_safetensors(path, mmap=mapped) == {}


def test_what_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(TypeError, match=r"safetensors files have no torch.complex128, as tensor 'a' is"):
        torch.save_safetensors({"a": torch.ones(1, dtype=torch.complex128)}, path)
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    changes = [
        {"dtype": "F31"},
        {"shape": [3]},
        {"shape": [-2]},
        {"shape": 2},
        {"shape": [2**40, 2**40]},
        {"shape": [2.0]},
        {"data_offsets": [0, 12]},
        {"data_offsets": [8, 0]},
        {"data_offsets": [-8, 0]},
        {"data_offsets": [0]},
        {"data_offsets": [2**70, 2**70 + 8]},
        {"shape": [0], "data_offsets": [0, 0]},
        {"shape": [1] * 70 + [2]},
    ]
    headers = [json.dumps({"a": {**entry, **change}}) for change in changes]
    headers += ["", "[]", "{", '{"a": 3}', "[" * 100000, json.dumps({"a": {"dtype": "F32"}})]
    for header in headers:
        path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + b"\0" * 8)
        with pytest.raises(RuntimeError, match="Error while deserializing header"):
            torch.load_safetensors(path)
    for data in (b"", b"abc", struct.pack("<Q", 2**62), struct.pack("<Q", 50) + b"{}"):
        path.write_bytes(data)
        with pytest.raises(RuntimeError, match="Error while deserializing header"):
            torch.load_safetensors(path)


def test_broken_files(tmp_path):
    path = tmp_path / "a.safetensors"
    torch.save_safetensors(tensors(), path)
    data = path.read_bytes()
    draw = random.Random(0)
    for _ in range(200):
        changed = bytearray(data)
        for _ in range(draw.randrange(1, 4)):
            changed[draw.randrange(len(data) - 300)] = draw.randrange(256)
        path.write_bytes(changed[: draw.choice([len(data), draw.randrange(len(data))])])
        try:
            torch.load_safetensors(path)
        except RuntimeError as error:
            assert "Error while deserializing header" in str(error)


@pytest.mark.skipif(
    ON_TORCH or importlib.util.find_spec("safetensors") is None, reason="safetensors is not there"
)
def test_the_package_reads_and_writes_the_same(tmp_path):
    """The package's own functions for PyTorch, under the launcher."""
    torch.save_safetensors(tensors(), tmp_path / "ours.safetensors")
    program = tmp_path / "program.py"
    program.write_text("""
import safetensors.torch
found = safetensors.torch.load_file("ours.safetensors")
safetensors.torch.save_file(found, "theirs.safetensors")
""")
    done = run_python("-m", "pullback", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    same(tensors(), torch.load_safetensors(tmp_path / "theirs.safetensors"))
