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
kinds += ["float8_e4m3fn", "float8_e5m2", "complex32"]
nn = torch.nn
FUNCTIONS = [(nn.functional, name) for name in "relu gelu softmax linear conv2d cross_entropy".split()]
FUNCTIONS += [(torch, "relu"), (torch, "where"), (torch.linalg, "norm"), (nn.init, "zeros_")]

def stepped(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    return optimizer

def after_a_step(name):
    params = [nn.Parameter(torch.arange(4.0).reshape(2, 2))]
    optimizer = getattr(torch.optim, name)(params, lr=0.1)
    params[0].grad = torch.ones(2, 2)
    optimizer.step(*([lambda: params[0].square().sum()] if name == "LBFGS" else []))
    return optimizer.state_dict()

OPTIMIZERS = "SGD Adam AdamW Adamax NAdam RAdam Adagrad Adadelta RMSprop Rprop".split()
OPTIMIZERS += "ASGD Adafactor Muon LBFGS".split()
SCHEDULES = [("StepLR", 2), ("CosineAnnealingLR", 3), ("OneCycleLR", 0.1, 5), ("ReduceLROnPlateau",)]
blocks = torch.eye(4)

def schedule(name, *args):
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    return getattr(torch.optim.lr_scheduler, name)(optimizer, *args).state_dict()

def hooked():
    model = nn.Linear(3, 2)
    model.register_load_state_dict_pre_hook(print)
    model.register_load_state_dict_post_hook(print)
    return model

def nested(**options):
    return torch.nested.nested_tensor([torch.ones(2, 3), torch.zeros(1, 3)], **options)

base = torch.arange(12.0)
torch.manual_seed(0)
objects = {kind: torch.arange(12).to(getattr(torch, kind)).reshape(3, 4) for kind in kinds}
objects |= {
    "views": [base, base[3:7], base.view(3, 4).t(), base[::2], base.view(3, 4)[:, :1].expand(3, 5)],
    "sparse": [blocks.to_sparse(), blocks.to_sparse_csr(), blocks.to_sparse_csc()],
    "blocks": [blocks.to_sparse_bsr((2, 2)), blocks.to_sparse_bsc((2, 2))],
    "hybrid": torch.sparse_coo_tensor([[0, 1]], torch.ones(2, 3), (4, 3)),
    "conjugated": torch.tensor([1 + 2j]).conj(),
    "buffer": nn.Buffer(torch.ones(2)),
    "optimizers": {name: after_a_step(name) for name in OPTIMIZERS},
    "schedules": {row[0]: schedule(*row) for row in SCHEDULES},
    "model_packed": nn.utils.rnn.pack_sequence([torch.ones(3), torch.ones(2)]),
    "model_list": nn.ParameterList([torch.ones(2)]),
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
    "model_lazy": nn.Sequential(nn.LazyLinear(4), nn.LazyLinear(2, bias=False)),
    "model_hooks": hooked(),
    "model_generator": torch.Generator().manual_seed(3),
    "nested": [nested(), nested(layout=torch.jagged), nested(layout=torch.jagged, requires_grad=True)],
}
"""

TELL = """
def tell(value):
    "A value as text that says all that a file keeps."
    if isinstance(value, torch.Tensor) and value.is_nested:
        return f"nested {value.layout} {value.requires_grad} {[part.tolist() for part in value.unbind()]}"
    if isinstance(value, torch.Tensor) and value.layout != torch.strided:
        return f"{value.layout} {value}"
    if isinstance(value, torch.nn.ParameterList):
        return f"{value!r} {tell(list(value))}"
    if isinstance(value, torch.nn.Module):
        value.eval()
        torch.manual_seed(0)  # for what is lazy
        hooks = [type(hook).__name__ for hook in value._load_state_dict_pre_hooks.values()]
        result = [round(number, 4) for number in value(torch.ones(3)).flatten().tolist()]
        return f"{value!r} {tell(dict(value.state_dict()))} {result} {hooks}"
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
    if isinstance(value, torch.Generator):
        return f"{value.initial_seed()} {torch.rand(3, generator=value).tolist()}"
    if callable(value):
        value = value.__name__
    return f"{value!r}"
"""

SAVE = (
    OBJECTS
    + """
# In the older form PyTorch cannot read its own of these.
zip_alone = {"nested", "model_generator", "complex32", "uint16", "uint32", "uint64"}
zip_alone |= {"float8_e4m3fn", "float8_e5m2"}
for name, value in objects.items():
    for form, zipped in (("zip", True), ("legacy", False)):
        if zipped or name not in zip_alone:
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
