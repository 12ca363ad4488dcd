"""Public names of PyTorch that stand elsewhere here, or answer that there is no such device."""

import importlib

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("asks which of PyTorch's names Pullback has")
oracle = pytest.importorskip("torch", reason="PyTorch says which names it has")


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("xpu.streams", "Stream Event"),
        ("xpu.memory", "memory_allocated empty_cache"),
        ("xpu.random", "manual_seed get_rng_state"),
        ("mtia.memory", "memory_allocated"),
        ("accelerator.memory", "memory_allocated"),
        ("mps.event", "Event"),
        ("autograd.anomaly_mode", "detect_anomaly set_detect_anomaly"),
        ("cuda.green_contexts", "GreenContext"),
        ("nn.quantized", "Linear"),
        ("nn.intrinsic", "ConvReLU2d"),
        ("cpu.amp", "autocast GradScaler"),
        ("torch_version", "TorchVersion"),
    ],
)
def test_modules_that_stand_in_the_one_above(module, names):
    found = importlib.import_module(f"{torch.__name__}.{module}")
    for name in names.split():
        assert getattr(found, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = found.nothing


def test_autocast_of_the_cpu_by_its_older_name():
    with pytest.warns(FutureWarning, match=r"`torch.cpu.amp.autocast\(args...\)` is deprecated"):
        context = torch.cpu.amp.autocast()
    with context:
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16


CHECKS = [
    (lambda f: f.check("a").check("b"), ["a b", "b", "b a"]),
    (lambda f: f.check_count("a", 2, exactly=True), ["a a", "a a a", "a"]),
    (lambda f: f.check("x").check_next("b"), ["x\nb", "xb", "x\n\nb"]),
    (lambda f: f.check("x").check_same("b"), ["x b", "x\nb"]),
    (lambda f: f.check_regex("a+b"), ["aab", "xx"]),
    (lambda f: f.check_dag("a").check_dag("b").check("c"), ["b a c", "a b c", "c a b"]),
    (lambda f: f.check("q").check_not("z").check("r"), ["q r z", "q z r"]),
    (lambda f: f, ["x"]),
]


@pytest.mark.parametrize("number", range(len(CHECKS)))
def test_file_check_finds_what_pytorchs_finds(number):
    add, texts = CHECKS[number]
    for text in texts:
        said = []
        for library in (torch, oracle):
            check = library.testing.FileCheck()
            add(check)
            try:
                said.append(check.run(text))
            except RuntimeError as error:
                said.append(str(error).splitlines()[0])
        assert said[0] == said[1]
        assert text != texts[0] or said[0] is None or number == len(CHECKS) - 1


def test_capabilities_of_the_processor():
    mine, theirs = torch.cpu.get_capabilities(), oracle.cpu.get_capabilities()
    shared = {name for name, value in mine.items() if isinstance(value, bool)} & theirs.keys()
    assert mine["architecture"] == theirs["architecture"]
    assert {name: mine[name] for name in shared} == {name: theirs[name] for name in shared}


def test_there_are_no_plans_of_transforms_on_devices():
    for library in (torch, oracle):
        plans = library.backends.cuda.cufft_plan_cache
        with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
            _ = plans.max_size
        with pytest.raises(RuntimeError, match="expected 0 <= device index < 0, but got device with index 0"):
            plans[0]
