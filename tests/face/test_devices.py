"""Accelerators: there is none, and programs that ask are told so, as by a build of PyTorch for the CPU."""

import importlib

import pytest
from library import ON_TORCH, pullback_only, torch


def test_programs_that_ask_go_on_with_the_cpu():
    assert not torch.cuda.is_available()
    assert torch.device("cuda" if torch.cuda.is_available() else "cpu") == torch.device("cpu")
    assert torch.cuda.device_count() == torch.xpu.device_count() == torch.accelerator.device_count() == 0
    assert torch.accelerator.current_accelerator() is None
    for there in (torch.mps, torch.xpu, torch.mtia, torch.accelerator, torch.backends.mps):
        assert there.is_available() is False
    assert torch.backends.mps.is_built() is False
    assert torch.cpu.is_available() and torch.cpu.device_count() == 1 and torch.cpu.current_device() == "cpu"
    assert not torch.cuda.is_initialized() and not torch.cuda.is_bf16_supported()
    assert torch.version.cuda is None and torch.version.hip is None and torch.version.debug is False


def test_seeds_and_caches_are_accepted():
    before = torch.get_rng_state()
    for module in (torch.cuda, torch.xpu):
        module.manual_seed(1)
        module.manual_seed_all(2)
        module.seed()
        module.seed_all()
        module.empty_cache()
        assert module.memory_allocated() == module.max_memory_allocated() == module.memory_reserved() == 0
        assert list(module.get_rng_state_all()) == []
    torch.mps.manual_seed(3)
    torch.cuda.set_rng_state_all([])
    torch.cuda.memory.empty_cache()
    torch.cuda.random.manual_seed_all(1)
    assert torch.equal(torch.get_rng_state(), before)


NO_CUDA, NO_XPU = (f"Torch not compiled with {name} enabled" for name in ("CUDA", "XPU"))
NONE = "Cannot access accelerator device when none is available."

REFUSALS = {
    "tensor.cuda": (lambda: torch.ones(1).cuda(), AssertionError, NO_CUDA),
    "tensor.xpu": (lambda: torch.ones(1).xpu(), AssertionError, NO_XPU),
    "to cuda": (lambda: torch.ones(1).to("cuda"), AssertionError, NO_CUDA),
    "to mps": (
        lambda: torch.ones(1).to("mps"),
        RuntimeError,
        "PyTorch is not linked with support for mps devices",
    ),
    "on cuda:0": (lambda: torch.ones(1, device="cuda:0"), AssertionError, NO_CUDA),
    "on 0": (lambda: torch.ones(1, device=0), RuntimeError, NONE),
    "pinned": (lambda: torch.ones(1).pin_memory(), RuntimeError, NONE),
    "current_device": (lambda: torch.cuda.current_device(), AssertionError, NO_CUDA),
    "synchronize": (lambda: torch.cuda.synchronize(), AssertionError, NO_CUDA),
    "properties": (lambda: torch.cuda.get_device_properties(0), AssertionError, NO_CUDA),
    "xpu": (lambda: torch.xpu.synchronize(), AssertionError, NO_XPU),
    "mps": (
        lambda: torch.mps.synchronize(),
        RuntimeError,
        "Cannot execute deviceSynchronize() without MPS backend.",
    ),
    "accelerator": (lambda: torch.accelerator.synchronize(), RuntimeError, NONE),
    "stream": (lambda: torch.cuda.Stream(), RuntimeError, "torch.cuda.Stream requires CUDA support"),
    "event": (lambda: torch.cuda.Event(), RuntimeError, "Tried to instantiate dummy base class Event"),
    "device": (
        lambda: torch.cuda.device(0).__enter__(),
        RuntimeError,
        "PyTorch was compiled without CUDA support",
    ),
    "nvtx": (
        lambda: torch.cuda.nvtx.range_push("a"),
        RuntimeError,
        "NVTX functions not installed. Are you sure you have a CUDA build?",
    ),
    "FloatTensor": (
        lambda: torch.cuda.FloatTensor(1),
        TypeError,
        f"type torch.cuda.FloatTensor not available. {NO_CUDA}.",
    ),
    "module": (
        lambda: torch.get_device_module("meta"),
        RuntimeError,
        "Device 'meta' does not have a corresponding module registered as 'torch.meta'.",
    ),
    "device -1": (lambda: torch.device(-1), RuntimeError, "Device index must not be negative"),
    "device cpu -1": (lambda: torch.device("cpu", -1), RuntimeError, "Device index must not be negative"),
    "device empty": (lambda: torch.device(""), RuntimeError, "Device string must not be empty"),
    "device 01": (lambda: torch.device("cuda:01"), RuntimeError, "Invalid device string: 'cuda:01'"),
    "device twice": (
        lambda: torch.device("cuda:0", 1),
        RuntimeError,
        "type (string) must not include an index because index was passed explicitly: cuda:0",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_have_pytorchs_words(name):
    call, kind, message = REFUSALS[name]
    with pytest.raises(kind) as found:
        call()
    assert str(found.value) == message


def test_devices_are_values():
    assert torch.device("cuda", 1) == torch.device("cuda:1") != torch.device("cuda")
    assert torch.device(torch.device("cpu")) == torch.device(type="cpu")
    assert torch.ones(1, device=torch.device("cpu", 0)).device == torch.device("cpu")
    with torch.cuda.device_of(torch.ones(1)), torch.cuda.stream(None):
        pass
    x = torch.ones(1)
    assert x.to("cpu", non_blocking=True) is x and not x.is_cuda
    assert torch.get_device_module("cuda") is torch.cuda


def test_switches_keep_what_they_are_set_to():
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark
    cudnn.benchmark = True
    assert importlib.import_module(f"{torch.__name__}.backends.cudnn").benchmark is True
    cudnn.benchmark = before
    with cudnn.flags(enabled=False, deterministic=True):
        assert cudnn.enabled is False and cudnn.deterministic is True
    assert cudnn.enabled is True and cudnn.deterministic is False
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cuda.flash_sdp_enabled() is True
    assert not cudnn.is_available() and cudnn.version() is None and not torch.backends.cuda.is_built()


@pullback_only("PyTorch has these libraries")
def test_libraries_that_are_not_there():
    for name in ("mkl", "mkldnn", "openmp", "opt_einsum"):
        assert getattr(torch.backends, name).is_available() is False


def test_out_of_memory_is_an_error_that_can_be_caught():
    assert issubclass(torch.cuda.OutOfMemoryError, RuntimeError)
    assert torch.OutOfMemoryError is torch.cuda.OutOfMemoryError


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_compile_gives_what_the_function_gives():
    def f(x):
        return x.sin() + 1

    x = torch.linspace(0, 1, 5)
    if not ON_TORCH:
        assert torch.compile(f, backend="eager") is f and torch.compile(f, disable=True) is f
        for options in ({"mode": "default"}, {"mode": "max-autotune", "fullgraph": True}):
            compiled = torch.compile(**options)(f)
            for _ in range(4):
                assert torch.equal(compiled(x), f(x))
            assert sum(r.runs for found in compiled.recordings.values() for r in found) == 3
    assert torch.compiler.disable(f)(x).equal(f(x))
    assert not torch.compiler.is_compiling() and not torch._dynamo.is_compiling()
    with pytest.raises(RuntimeError, match="Unrecognized mode=foo, should be one of: default, lite"):
        torch.compile(f, mode="foo")
    with pytest.raises(RuntimeError, match="Either mode or options can be specified"):
        torch.compile(f, mode="default", options={})
    with pytest.raises(AssertionError, match="A callable function is expected, but <class 'int'>"):
        torch.compile(3)


def test_profiles_see_the_marked_ranges(tmp_path):
    plan = torch.profiler.schedule(wait=1, warmup=1, active=2, repeat=2, skip_first=1)
    rounds = ["NONE", "WARMUP", "RECORD", "RECORD_AND_SAVE"]
    assert [plan(step).name for step in range(12)] == ["NONE", *rounds, *rounds, "NONE", "NONE", "NONE"]
    with pytest.raises(AssertionError, match="Invalid profiler schedule arguments"):
        torch.profiler.schedule(wait=-1, warmup=1, active=2)

    @torch.profiler.record_function("inner")
    def inner():
        return torch.ones(3)

    with torch.autograd.profiler.profile() as seen, torch.profiler.record_function("outer"):
        inner()
        inner()
    rows = {row.key: row for row in seen.key_averages()}
    assert rows["outer"].count == 1 and rows["inner"].count == 2
    assert rows["outer"].cpu_time_total >= rows["inner"].cpu_time_total > 0
    assert rows["outer"].self_cpu_time_total <= rows["outer"].cpu_time_total
    table = seen.key_averages().table(sort_by="cpu_time_total", row_limit=3)
    assert "outer" in table and "Self CPU time total" in table
    seen.export_chrome_trace(tmp_path / "trace.json" if not ON_TORCH else str(tmp_path / "trace.json"))
    assert "outer" in (tmp_path / "trace.json").read_text()


def test_a_profile_in_steps():
    rounds = []
    plan = torch.profiler.schedule(wait=0, warmup=1, active=2, repeat=1)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], schedule=plan, on_trace_ready=rounds.append
    ) as seen:
        for step in range(5):
            with torch.profiler.record_function(f"step {step}"):
                torch.ones(2)
            seen.step()
    assert rounds == [seen]
    assert {"step 1", "step 2"} == {row.key for row in seen.key_averages() if row.key.startswith("step ")}
