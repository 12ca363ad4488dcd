"""`torch.jit`, `futures`, `hub`, `quasirandom` and other small modules that programs import."""

import gc
import importlib
import typing

import pytest
from library import NAME, check, pullback_only, torch


def module(name):
    return importlib.import_module(f"{NAME}.{name}")


# ------------------------------------------------------------------------------------------- jit


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
def test_functions_and_modules_that_are_scripted_do_what_they_did():
    @torch.jit.script
    def double(x):
        return x * 2

    check(double(torch.ones(2)), [2.0, 2.0])
    net = torch.nn.Linear(2, 1)
    x = torch.ones(1, 2)
    check(torch.jit.script(net)(x), net(x).tolist())
    check(torch.jit.trace(lambda x: x + 1, torch.zeros(2))(torch.ones(2)), [2.0, 2.0])
    assert not torch.jit.is_scripting() and not torch.jit.is_tracing()


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
def test_marks_for_scripts():
    class Net(torch.nn.Module):
        @torch.jit.export
        def more(self, x):
            return x + 1

        @torch.jit.ignore
        def less(self, x):
            return x - 1

        @torch.jit.unused
        def none(self, x):
            return x

    net = Net()
    assert net.more(1) == 2 and net.less(1) == 0 and net.none(3) == 3
    assert torch.jit.annotate(typing.List[int], [1]) == [1]  # noqa: UP006
    assert torch.jit.isinstance([1, 2], typing.List[int])  # noqa: UP006
    assert not torch.jit.isinstance([1, "a"], typing.List[int])  # noqa: UP006
    assert torch.jit.isinstance({"a": 1.0}, typing.Dict[str, float])  # noqa: UP006
    assert torch.jit.wait(torch.jit.fork(lambda x: x * 2, 21)) == 42


@pullback_only("it has no archives of TorchScript")
def test_archives_are_refused(tmp_path):
    for call in (
        lambda: torch.jit.save(torch.nn.ReLU(), tmp_path / "x"),
        lambda: torch.jit.load(tmp_path / "x"),
    ):
        with pytest.raises(RuntimeError, match="no archives of TorchScript"):
            call()


# --------------------------------------------------------------------------------------- futures


def test_futures():
    futures = module("futures")
    first, second = futures.Future(), futures.Future()
    doubled = first.then(lambda done: 2 * done.value())
    every = futures.collect_all([first, second])
    first.set_result(3)
    assert doubled.wait() == 6 and not every.done()
    second.set_result(4)
    assert [one.value() for one in every.wait()] == [3, 4] and futures.wait_all([first, second]) == [3, 4]
    failed = futures.Future()
    failed.set_exception(ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        failed.wait()
    with pytest.raises(RuntimeError):
        first.set_result(5)


# ----------------------------------------------------------------------------------- quasirandom


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_sobol_points(dtype):
    engine = module("quasirandom").SobolEngine(3)
    points = engine.draw(6, dtype=dtype)
    assert points.dtype == dtype
    check(points[:4], [[0, 0, 0], [0.5, 0.5, 0.5], [0.75, 0.25, 0.25], [0.25, 0.75, 0.75]])
    engine.reset()
    check(torch.cat([engine.draw(2, dtype=dtype), engine.draw(4, dtype=dtype)]), points.tolist())
    engine.reset()
    check(engine.fast_forward(3).draw(3, dtype=dtype), points[3:].tolist())
    assert engine.num_generated == 6


def test_scrambled_sobol_points():
    engine = module("quasirandom").SobolEngine(3, scramble=True, seed=7)
    assert engine.shift.tolist() == [214182645, 183537049, 804615878]
    assert engine.sobolstate[0, :3].tolist() == [545853173, 438452617, 257908810]
    check(engine.draw(2), [[0.1994731, 0.1709322, 0.7493569], [0.6921954, 0.7115151, 0.4897704]], rtol=2e-4)
    assert repr(engine) == "SobolEngine(dimension=3, scramble=True, seed=7)"


def test_numbers_of_sobol_points_are_checked():
    sobol = module("quasirandom").SobolEngine
    for dimension in (0, 21202):
        with pytest.raises(ValueError, match="Supported range of dimensionality"):
            sobol(dimension)
    engine = sobol(2)
    assert engine.draw_base2(3).shape == (8, 2)
    engine.draw(1)
    with pytest.raises(ValueError, match="require n to be a power of 2"):
        engine.draw_base2(3)


# ------------------------------------------------------------------------------------------- hub


def test_a_model_from_a_folder(tmp_path):
    hub = module("hub")
    source = f"dependencies = ['numpy']\nimport {NAME} as torch\n"
    source += "def tiny(n=3):\n    return torch.nn.Linear(2, n)\n"
    (tmp_path / "hubconf.py").write_text(source)
    assert hub.load(str(tmp_path), "tiny", source="local", n=5).out_features == 5
    with pytest.raises(RuntimeError, match="Cannot find callable nope in hubconf"):
        hub.load(str(tmp_path), "nope", source="local")
    with pytest.raises(ValueError, match='Unknown source: "foo"'):
        hub.load(str(tmp_path), "tiny", source="foo")
    (tmp_path / "hubconf.py").write_text("dependencies = ['no_such_package_here']\n")
    with pytest.raises(RuntimeError, match="Missing dependencies: no_such_package_here"):
        hub.load(str(tmp_path), "tiny", source="local")


def test_weights_from_an_address(tmp_path):
    hub = module("hub")
    torch.save({"w": torch.ones(2)}, tmp_path / "net-00000000.pth")
    address = (tmp_path / "net-00000000.pth").as_uri()
    state = hub.load_state_dict_from_url(address, str(tmp_path / "kept"), progress=False)
    check(state["w"], [1.0, 1.0])
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["net-00000000.pth"]
    with pytest.raises(RuntimeError, match="invalid hash value"):
        hub.download_url_to_file(address, str(tmp_path / "x"), hash_prefix="00000000", progress=False)


# ----------------------------------------------------------------------------------------- utils


def test_dictionaries_of_tensors_let_them_go():
    weak = module("utils.weak")
    x, y = torch.ones(2), torch.ones(2)
    names = weak.WeakIdKeyDictionary({x: "x", y: "y"})
    assert names[x] == "x" and names[y] == "y" and torch.ones(2) not in names
    del y
    gc.collect()
    assert list(names.values()) == ["x"]


def test_tensors_are_sorted_by_device_and_dtype():
    group = module("utils._foreach_utils")._group_tensors_by_device_and_dtype
    lists = [[torch.ones(1), torch.ones(1).double(), torch.ones(2)], [torch.zeros(1), None, torch.zeros(2)]]
    found = group(lists, with_indices=True)
    assert {key[1]: places for key, (_, places) in found.items()} == {
        torch.float32: [0, 2],
        torch.float64: [1],
    }


def test_a_mode_that_sees_ops_of_aten():
    class Names(module("utils._python_dispatch").TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(str(func.overloadpacket))
            return func(*args, **(kwargs or {}))

    seen = []
    with Names():
        result = torch.ones(2).exp()
    assert seen[-1] == "aten.exp"
    check(result, [2.7182817, 2.7182817])


@pullback_only("it has not these parts")
def test_names_of_what_is_not_done():
    distributed = module("distributed")
    assert distributed.is_available() and not distributed.is_initialized()
    with pytest.raises(ValueError, match="Default process group has not been initialized"):
        distributed.get_rank()
    with pytest.raises(RuntimeError, match=r"torch\.distributed\.shrink_group: Pullback has not this part"):
        distributed.shrink_group([1])
    assert not isinstance(torch.ones(1), module("distributed.tensor").DTensor)

    class Sharded(torch.nn.Module, module("distributed.fsdp").FSDPModule):
        pass

    assert isinstance(Sharded(), torch.nn.Module)
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        _ = distributed.nope
    with pytest.raises(ModuleNotFoundError):
        module("distributed.nope")
    with pytest.raises(RuntimeError, match="cannot build or load C"):
        module("utils.cpp_extension").load("x", [])
