"""Files go both ways between Pullback and PyTorch, where that is installed, in a process of its own."""

import importlib.util
import os
import subprocess
import sys

import pytest
from library import ON_TORCH, torch

pytestmark = [
    pytest.mark.skipif(ON_TORCH, reason="Pullback is to be tested"),
    pytest.mark.skipif(
        importlib.util.find_spec("torch") is None
        or "pullback" in (importlib.util.find_spec("torch").origin or ""),
        reason="PyTorch is not installed",
    ),
]

OBJECTS = """
kinds = "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64".split()
kinds += "float16 bfloat16 float32 float64 complex64 complex128".split()
nn = torch.nn
FUNCTIONS = [(nn.functional, name) for name in "relu gelu softmax linear conv2d cross_entropy".split()]
FUNCTIONS += [(torch, "relu"), (torch, "where"), (torch.linalg, "norm"), (nn.init, "zeros_")]

def stepped(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    return optimizer

base = torch.arange(12.0)
torch.manual_seed(0)
objects = {kind: torch.arange(12).to(getattr(torch, kind)).reshape(3, 4) for kind in kinds}
objects |= {
    "views": [base, base[3:7], base.view(3, 4).t(), base[::2], base.view(3, 4)[:, :1].expand(3, 5)],
    "kinds": [torch.tensor(2.5), torch.empty(0, 3), torch.ones(2, requires_grad=True)],
    "parameter": torch.nn.Parameter(torch.ones(2, 2)),
    "fixed": torch.nn.Parameter(torch.ones(2), requires_grad=False),
    "meta": torch.empty(2, 3, device="meta"),
    "plain": [1, -5, 10**30, 2.5, 1j, True, None, "text", b"bytes", (1, (2,)), {"a": {1, 2}}],
    "values": [torch.Size([2]), torch.float16, torch.device("cpu"), torch.strided],
    "state": nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).state_dict(),
    "model_optimizer": stepped(nn.Linear(3, 2)),
    "model_functions": [getattr(place, name) for place, name in FUNCTIONS],
    "model_encoder": nn.Sequential(nn.Unflatten(0, (1, 3)), nn.TransformerEncoderLayer(3, 1, 4)),
    "model": nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 2)),
}
"""

TELL = """
def tell(value):
    "A value as text that says all that a file keeps."
    if isinstance(value, torch.nn.Module):
        value.eval()
        result = [round(number, 4) for number in value(torch.ones(3)).flatten().tolist()]
        return f"{value!r} {tell(dict(value.state_dict()))} {result}"
    if isinstance(value, torch.optim.Optimizer):
        return f"{type(value).__name__} {tell(value.state_dict())} {tell(value.param_groups[0]['params'])}"
    if isinstance(value, torch.Tensor):
        kind = "Parameter" if isinstance(value, torch.nn.Parameter) else "Tensor"
        numbers = None if value.is_meta else value.tolist()
        where = value.storage_offset(), tuple(value.shape), value.stride(), value.is_meta
        return f"{kind} {value.dtype} {where} {value.requires_grad} {numbers}"
    if isinstance(value, dict):
        return f"{type(value).__name__} {[(key, tell(item)) for key, item in value.items()]}"
    if type(value) in (list, tuple):
        return f"{type(value).__name__} {[tell(item) for item in value]}"
    if callable(value):
        value = value.__name__
    return f"{value!r}"
"""

SAVE = (
    OBJECTS
    + """
for name, value in objects.items():
    for form, zipped in (("zip", True), ("legacy", False)):
        if zipped or not name.startswith("uint") or name == "uint8":  # PyTorch cannot read its own there
            torch.save(value, f"{folder}/{name}.{form}", _use_new_zipfile_serialization=zipped)
"""
)

LOAD = (
    TELL
    + """
import os
for file in sorted(os.listdir(folder)):
    value = torch.load(f"{folder}/{file}", weights_only=not file.startswith("model"))
    print(file, tell(value))
    if file.startswith("views"):
        print(file, len({view.untyped_storage().data_ptr() for view in value}))
"""
)


def run(library, program, folder):
    """What a program prints that has a library under the name of `torch`."""
    source = "import warnings; warnings.simplefilter('ignore')\n"
    source += f"import {library} as torch\nfolder = {str(folder)!r}\n"
    home = os.path.dirname(os.path.dirname(os.path.abspath(torch.__file__)))
    done = subprocess.run(
        [sys.executable, "-c", source + program],
        env={**os.environ, "PYTHONPATH": home},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_files_go_both_ways(tmp_path):
    """Each library writes all objects in both formats; both read all of both, and agree."""
    for writer in ("pullback", "torch"):
        folder = tmp_path / writer
        folder.mkdir()
        run(writer, SAVE, folder)
    lines = {}
    for reader in ("pullback", "torch"):
        for writer in ("pullback", "torch"):
            lines[reader, writer] = run(reader, LOAD, tmp_path / writer).splitlines()
    assert len(lines["torch", "torch"]) > 40
    for writer in ("pullback", "torch"):
        assert lines["pullback", writer] == lines["torch", writer]
    kept = [
        line for line in lines["torch", "torch"] if not line.startswith(("model", "state"))
    ]  # initial values
    assert kept == [line for line in lines["torch", "pullback"] if not line.startswith(("model", "state"))]
    assert "views.zip 1" in kept and "views.legacy 1" in kept
