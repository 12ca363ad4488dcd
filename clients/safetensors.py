"""Tensors of all kinds and a module, written to files and read again."""

import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, load_model, save_file, save_model

REQUIRES = "safetensors==0.8.0"
QUICK = True

torch.manual_seed(0)
kinds = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int16,
    torch.uint8,
    torch.bool,
]
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "tensors.safetensors"
    save_file({str(kind): (10 * torch.rand(3, 4)).to(kind) for kind in kinds}, path, metadata={"by": "me"})
    for name, tensor in sorted(load_file(path).items()):
        print(name, *tensor.shape, tensor.double().sum().item())
    with safe_open(path, framework="pt") as file:
        print("slice", *file.get_slice("torch.float32")[1:, 2:].flatten().tolist())
        print("keys", len(file.keys()), file.metadata()["by"])
    net, other = torch.nn.LSTM(3, 4), torch.nn.LSTM(3, 4)
    save_model(net, str(Path(folder) / "net.safetensors"))
    load_model(other, str(Path(folder) / "net.safetensors"))
    print("same", all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True)))
