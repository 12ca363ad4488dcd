"""Every module class beside PyTorch: initial values to the bit, results, gradients, state, representation."""

import inspect

import numpy as np
import pytest
from library import pullback_only, torch
from module_rows import MODULES, run, world
from test_nn_utils import INITS

pytestmark = [pullback_only("compares Pullback with PyTorch"), pytest.mark.filterwarnings("ignore")]
theirs = pytest.importorskip("torch")

CLASSES = sorted(
    name
    for name, kind in vars(theirs.nn).items()
    if isinstance(kind, type) and issubclass(kind, theirs.nn.Module) and not name.startswith("_")
)
WITHOUT_ROW = {"Module", "Container", "DataParallel", "RNNBase", "RNNCellBase"}


def numbers(t):
    return None if t is None else t.detach().numpy()


def close(ours, other):
    if ours is None or other is None:
        assert ours is None and other is None
        return
    assert ours.dtype == other.dtype and ours.shape == other.shape
    exact = np.finfo(ours.dtype).eps if ours.dtype.kind == "f" else 0
    np.testing.assert_allclose(ours, other, rtol=64 * exact, atol=64 * exact)


@pytest.mark.parametrize(("module", "given"), MODULES, ids=[f"{m}({g})" for m, g in MODULES])
def test_module(module, given):
    made, first, results, grads, last = run(torch, module, given)
    other, other_first, other_results, other_grads, other_last = run(theirs, module, given)
    assert repr(made) == repr(other)
    assert list(first) == list(other_first) and list(last) == list(other_last)
    assert dict(last._metadata if given else made.state_dict()._metadata) == dict(
        other_last._metadata if given else other.state_dict()._metadata
    )
    for name, value in first.items():
        assert numbers(value).tobytes() == numbers(other_first[name]).tobytes(), name
    assert len(results) == len(other_results) and len(grads) == len(other_grads)
    if "CrossMapLRN2d" in module:  # PyTorch's gradient is not that of its sums: its gradcheck fails
        grads = other_grads = []
    for pair in zip((*results, *grads), (*other_results, *other_grads), strict=True):
        close(*map(numbers, pair))
    for name, value in last.items():
        close(numbers(value), numbers(other_last[name]))


# The activation of a Transformer is a function, which each library pickles in its own way.
SAVED = [module for module, _ in MODULES if "Lazy" not in module and "Transformer" not in module]


@pytest.mark.parametrize("module", SAVED)
def test_saved_modules_are_read_both_ways(module, tmp_path):
    pair = [(torch, theirs), (theirs, torch)]
    for writer, reader in pair:
        made = eval(module, world(writer))
        writer.save(made, tmp_path / "module.pt")
        read = reader.load(tmp_path / "module.pt", weights_only=False)
        assert repr(read) == repr(made) and type(read) is getattr(reader.nn, type(made).__name__)
        for name, value in made.state_dict().items():
            assert numbers(value).tobytes() == numbers(read.state_dict()[name]).tobytes()


def test_every_class_has_a_row():
    assert {name for name in CLASSES if not any(f"nn.{name}" in m for m, _ in MODULES)} <= WITHOUT_ROW


def test_every_class_is_here():
    missing = {name for name in CLASSES if not hasattr(torch.nn, name)}
    assert missing <= {"DataParallel"}


@pytest.mark.parametrize("name", [name for name in CLASSES if hasattr(torch.nn, name)])
def test_signature(name):
    ours, other = (inspect.signature(getattr(lib.nn, name).__init__).parameters for lib in (torch, theirs))

    def shown(parameters):  # an activation's name stands for the function
        return [(p.name, p.kind, p.name == "activation" or p.default) for p in parameters.values()]

    assert shown(ours) == shown(other)


@pytest.mark.parametrize(("name", "args"), INITS)
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (40, 30)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_draws(name, args, shape, dtype):
    made = []
    for lib in (torch, theirs):
        lib.manual_seed(3)
        made.append(getattr(lib.nn.init, name)(lib.empty(shape, dtype=getattr(lib, dtype)), *args))
    if name == "orthogonal_":  # LAPACK rounds in its own way
        close(*map(numbers, made))
    else:
        assert numbers(made[0]).tobytes() == numbers(made[1]).tobytes()
