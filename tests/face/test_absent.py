"""A name that is missing: Pullback's own words where PyTorch has it, else Python's with the nearest name."""

import importlib
import pkgutil
import sys

import pytest
from library import pullback_only, run_python, torch

pytestmark = [pullback_only("PyTorch has its names"), pytest.mark.slow]

import pullback  # noqa: E402
from pullback.face import placeholders  # noqa: E402
from pullback.face.absent import TORCH_NAMES, torch_names  # noqa: E402


def last_line(source, folder, launcher=True):
    """The last line of the traceback of a program that fails, with the note below it."""
    done = run_python(*(["-m", "pullback"] if launcher else []), "-c", source, cwd=folder)
    assert done.returncode == 1
    *_, above, last = ["", *done.stderr.rstrip().splitlines()]
    return f"{above}. {last}" if last.startswith("Did you mean") else last


MISSPELT = f"""\
torch.rleu  AttributeError: module 'torch' has no attribute 'rleu'. Did you mean: 'relu'?
torch.qwertyuiop  AttributeError: module 'torch' has no attribute 'qwertyuiop'
torch.linalg.svdd  AttributeError: module 'torch.linalg' has no attribute 'svdd'. Did you mean: 'svd'?
torch.autograd.grat  AttributeError: module 'torch.autograd' has no attribute 'grat'. Did you mean: 'grad'?
torch.ones(2).rehsape  AttributeError: 'Tensor' object has no attribute 'rehsape'. Did you mean: 'reshape'?
torch.Tensor.qwertyuiop  AttributeError: type object 'Tensor' has no attribute 'qwertyuiop'
from torch import rleu  ImportError: cannot import name 'rleu' from 'torch' ({pullback.__file__})\
. Did you mean: 'relu'?
from torch.fft import iftt  ImportError: cannot import name 'iftt' from 'torch.fft' (unknown location)\
. Did you mean: 'ifft'?
import torch.autgrad  ModuleNotFoundError: No module named 'torch.autgrad'. Did you mean: 'torch.autograd'?
import torch.nn.functonal as F  ModuleNotFoundError: No module named 'torch.nn.functonal'\
. Did you mean: 'torch.nn.functional'?
import torch.qwertyuiop.part  ModuleNotFoundError: No module named 'torch.qwertyuiop'"""
"""Lines of programs, each with the last line of the traceback that it ends in."""


@pytest.mark.parametrize("row", MISSPELT.splitlines(), ids=lambda row: row.split("  ")[0])
def test_misspelt(row, tmp_path):
    line, words = row.split("  ")
    assert last_line(f"import torch\n{line}", tmp_path) == words


def test_misspelt_without_the_launcher(tmp_path):
    found = last_line("import pullback as torch\ntorch.func.gradd", tmp_path, launcher=False)
    assert found == "AttributeError: module 'torch.func' has no attribute 'gradd'. Did you mean: 'grad'?"


def modules():
    """The modules of Pullback that PyTorch has too."""
    found = [info.name for info in pkgutil.walk_packages(pullback.__path__, "pullback.")]
    found += [name for name in sys.modules if name.startswith("pullback.")]
    names = {name for name in found if name.replace("pullback", "torch", 1) in torch_names()}
    return ["pullback", *sorted(name for name in names if not of_another_name(name))]


def of_another_name(name):
    """Whether it is a second name of a module, or one whose names are placeholders."""
    unlike = getattr(sys.modules.get(name), "__name__", name) != name
    return unlike or any(name == home or name.startswith(f"{home}.") for home in placeholders._reasons)


@pytest.fixture
def later(monkeypatch):
    """Names that Pullback lacks and PyTorch has, one in each module and one on Tensor."""
    names = {space: f"{listed}later_one " for space, listed in torch_names().items()}
    monkeypatch.setattr("pullback.face.absent.torch_names", lambda: names)


@pytest.mark.parametrize("name", [name for name in modules() if name != "pullback.ops"])
def test_every_public_module_says_what_it_lacks(name, later):
    """Where this fails, `__getattr__ = getter(__name__)` is missing at the end of the module."""
    module = importlib.import_module(name)
    shown = name.replace("pullback", "torch", 1)
    words = f"module '{shown}' has no attribute 'later_one': Pullback has no {shown}.later_one yet"
    with pytest.raises(AttributeError) as caught:
        _ = module.later_one
    assert str(caught.value) == words
    with pytest.raises(AttributeError) as caught:
        _ = module.wrong_one
    assert str(caught.value) == f"module '{shown}' has no attribute 'wrong_one'"
    assert (caught.value.name, caught.value.obj) == ("wrong_one", module)
    with pytest.raises(ImportError) as caught:
        exec(f"from {name} import later_one")
    assert str(caught.value).startswith(f"cannot import name 'later_one' from '{shown}' (")
    assert str(caught.value).endswith(f"): Pullback has no {shown}.later_one yet")
    assert not hasattr(module, "later_one")


def test_tensor_says_what_it_lacks(later):
    for where, words in [(torch.ones(2), "'Tensor' object"), (torch.Tensor, "type object 'Tensor'")]:
        with pytest.raises(AttributeError) as caught:
            _ = where.later_one
        assert (
            str(caught.value)
            == f"{words} has no attribute 'later_one': Pullback has no torch.Tensor.later_one yet"
        )


def test_module_that_is_missing(later, tmp_path):
    from pullback.face.absent import absent_module

    assert str(absent_module("torch.later_one")) == "Pullback has no module 'torch.later_one' yet"


def test_a_suggestion_is_not_made_for_what_is_not_yet_there(tmp_path, later):
    with pytest.raises(AttributeError) as caught:
        _ = torch.later_one
    assert caught.value.obj is None


def test_names_are_read_when_one_is_missing(tmp_path):
    source = "import pullback as torch; from pullback.face.absent import torch_names as names\n"
    source += (
        "print(names.cache_info().currsize); hasattr(torch, 'qwerty'); print(names.cache_info().currsize)"
    )
    assert run_python("-c", source, cwd=tmp_path).stdout.split() == ["0", "1"]


def test_list_of_names_is_that_of_the_installed_pytorch():
    pytest.importorskip("torch")
    tools = TORCH_NAMES.parents[2] / "tools"
    if not tools.exists():
        pytest.skip("not a checkout")
    program = (
        f"import sys; sys.path.insert(0, {str(tools)!r}); from torch_names import text; print(text(), end='')"
    )
    assert run_python("-W", "ignore", "-c", program).stdout == TORCH_NAMES.read_text(encoding="utf-8")
