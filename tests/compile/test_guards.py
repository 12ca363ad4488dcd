"""What a compiled function depended on, changed between calls: each time the result is that of the
function."""

import copy
import functools
import gc
import os
import sys
import threading
import types
import warnings

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("PyTorch's compiler needs a compiler for C++")

nn = torch.nn


def x(*shape):
    return torch.arange(1.0, 1.0 + torch.Size(shape).numel()).reshape(shape).clone()


class Checked:
    """A compiled function beside the function: every call is compared."""

    def __init__(self, function, **options):
        self.function, self.compiled = function, torch.compile(function, **options)

    def __call__(self, *args, **kwargs):
        ours, theirs = self.compiled(*args, **kwargs), self.function(*args, **kwargs)
        assert torch.equal(ours, theirs)
        assert ours.dtype is theirs.dtype and ours.stride() == theirs.stride()
        assert ours.requires_grad == theirs.requires_grad
        return ours

    def settle(self, *args, **kwargs):
        """Calls until it replays."""
        for _ in range(4):
            self(*args, **kwargs)
        assert self.compiled.refused is None
        assert self.runs > 0
        return self

    @property
    def runs(self):
        return sum(r.runs for found in self.compiled.recordings.values() for r in found)


GLOBAL = 2.0
TABLE = {"a": 1.0}
ITEMS = [1.0, 2.0]
SETTINGS = types.SimpleNamespace(scale=2.0)
WEIGHT = torch.ones(3)


def test_a_second_call_runs_no_python():
    calls = []

    def f(t):
        return t * 2 + helper(t)

    def helper(t):
        return t.sin()

    c = torch.compile(f)
    t = x(3)
    c(t)
    sys.setprofile(lambda frame, event, arg: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        c(t)
    finally:
        sys.setprofile(None)
    assert calls == []


def test_what_is_made_ready_at_the_first_call():
    """It changes what the function reads, and is no reason to leave it to Python."""
    ready = {}

    def f(t):
        if "scale" not in ready:
            ready["scale"] = 3.0
        return t * ready["scale"]

    c = Checked(f).settle(x(3))
    ready["scale"] = 4.0
    c(x(3))
    assert c(x(3)).tolist() == [4, 8, 12]


def test_code_that_was_not_expected():
    """What runs is found by no name: it is known when it has run."""
    pieces = types.ModuleType("pieces")
    pieces.__file__, pieces.scale = "pieces.py", 2.0
    exec("def multiplied(t):\n    return t * scale", vars(pieces))
    c = Checked(lambda t: getattr(pieces, "multi" + "plied")(t))
    for scale in (2.0, 2.0, 2.0, 3.0, 5.0, 5.0):
        pieces.scale = scale
        c(x(3))
    assert c.runs and c.compiled.refused is None


@pytest.mark.parametrize("name, value", [("GLOBAL", 3.0), ("GLOBAL", 2), ("GLOBAL", -0.0)])
def test_globals(monkeypatch, name, value):
    c = Checked(lambda t: t * GLOBAL).settle(x(3))
    monkeypatch.setitem(globals(), name, value)
    c(x(3))
    c(x(3))


def test_what_globals_hold(monkeypatch):
    c = Checked(lambda t: t * TABLE["a"] + ITEMS[0] * SETTINGS.scale).settle(x(3))
    monkeypatch.setitem(TABLE, "a", 5.0)
    c(x(3))
    ITEMS[0] = 7.0
    c(x(3))
    ITEMS[0] = 1.0
    monkeypatch.setattr(SETTINGS, "scale", 9.0)
    c(x(3))


def test_a_global_tensor(monkeypatch):
    c = Checked(lambda t: t * WEIGHT).settle(x(3))
    WEIGHT.mul_(2)  # its numbers are read
    c(x(3))
    monkeypatch.setitem(globals(), "WEIGHT", torch.zeros(3))
    c(x(3))
    monkeypatch.setitem(globals(), "WEIGHT", torch.zeros(1, dtype=torch.float64))
    c(x(3))


def test_cells():
    scale = 2.0

    def f(t):
        return t * scale

    c = Checked(f).settle(x(3))
    scale = 3.0
    c(x(3))


def test_defaults_and_code():
    def f(t, scale=2.0):
        return t * scale

    c = Checked(f).settle(x(3))
    f.__defaults__ = (4.0,)
    c(x(3))
    f.__code__ = (lambda t, scale=2.0: t + scale).__code__
    c(x(3))


def test_helpers_that_are_replaced(monkeypatch):
    c = Checked(lambda t: helper(t)).settle(x(3))
    monkeypatch.setitem(globals(), "helper", lambda t: t - 1)
    c(x(3))


def helper(t):
    return t + 1


class Scaled:
    factor = 2.0

    def __init__(self):
        self.scale = 3.0

    def __call__(self, t):
        return t * self.scale * self.factor


def test_instances_and_classes(monkeypatch):
    thing = Scaled()
    c = Checked(lambda t: thing(t)).settle(x(3))
    thing.scale = 4.0
    c(x(3))
    monkeypatch.setattr(Scaled, "factor", 5.0)
    c(x(3))
    thing.factor = 6.0
    c(x(3))
    monkeypatch.setattr(Scaled, "__call__", lambda self, t: t)
    c(x(3))


def test_arguments():
    c = Checked(lambda t, n, flag=False: t * n if flag else t + n).settle(x(3), 2)
    c(x(3), 3)
    c(x(3), 2.0)
    c(x(3), 2, flag=True)
    c(x(3), 2, True)
    thing = Scaled()
    d = Checked(lambda t, s: s(t)).settle(x(3), thing)
    thing.scale = 5.0
    d(x(3), thing)
    d(x(3), Scaled())


def test_structures():
    c = Checked(lambda d: d["a"] + d["b"][0]).settle({"a": x(3), "b": [x(3)]})
    c({"a": x(3), "b": [x(1)]})
    c({"b": [x(3)], "a": x(3) * 2})


def test_dtypes_shapes_strides():
    c = Checked(lambda t: (t * 2).sum(0)).settle(x(2, 3))
    for t in (x(3, 2), x(2, 3).double(), x(3, 2).t(), x(2, 6)[:, ::2], x(2), x(0, 3), x(2, 3).int()):
        c(t)
        c(t)
        c(t)


def test_who_needs_a_gradient():
    c = Checked(lambda t: t * 2).settle(x(3))
    c(x(3).requires_grad_())
    c(x(3).requires_grad_())
    with torch.no_grad():
        c(x(3).requires_grad_())
    c(x(3).requires_grad_())
    t = x(3)
    with torch.inference_mode():
        for _ in range(3):
            assert c(t).is_inference()


def test_the_default_dtype():
    c = Checked(lambda t: t * torch.tensor(2.0)).settle(x(3).int())
    torch.set_default_dtype(torch.float64)
    try:
        c(x(3).int())
        c(x(3).int())
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_same_tensor_twice():
    c = Checked(lambda a, b: a * b + a).settle(x(3), x(3) * 2)
    t = x(3)
    c(t, t)
    c(t, t)
    c(t, t)


def test_inputs_that_share_memory():
    def f(a, b):
        a.add_(1)
        return a * b

    c = torch.compile(f)
    for _ in range(5):
        assert torch.equal(c(x(3), x(3)), (x(3) + 1) * x(3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            t, other = x(4), x(4)
            assert torch.equal(c(t[:3], t[1:]), f(other[:3], other[1:]))
            assert torch.equal(t, other)


def test_training_and_hooks():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    c = torch.compile(model)

    def both():
        torch.manual_seed(0)
        ours = c(x(2, 3))
        torch.manual_seed(0)
        assert torch.equal(ours, model(x(2, 3)))

    for _ in range(4):
        both()
    assert sum(r.runs for found in c._function.recordings.values() for r in found)
    model.eval()
    for _ in range(3):
        both()
    handle = model[0].register_forward_hook(lambda module, args, out: out * 2)
    for _ in range(3):
        both()
    handle.remove()
    both()
    model[0].weight = nn.Parameter(torch.ones(3, 3))
    both()
    model[1] = nn.Identity()
    both()


def test_global_hooks():
    register_module_forward_hook = nn.modules.module.register_module_forward_hook
    model = nn.Linear(3, 3)
    c = Checked(lambda t: model(t)).settle(x(2, 3))
    handle = register_module_forward_hook(lambda module, args, out: out + 1)
    try:
        c(x(2, 3))
    finally:
        handle.remove()
    c(x(2, 3))


def test_parameters_given_other_memory():
    model = nn.Linear(3, 3)
    c = Checked(lambda t: model(t)).settle(x(2, 3))
    model.weight.data = torch.ones(3, 3)
    c(x(2, 3))
    model.weight.data = torch.ones(3, 3).t()
    c(x(2, 3))
    model.requires_grad_(False)
    c(x(2, 3))


def test_what_is_kept_in_a_cache():
    @functools.lru_cache(8)
    def scale(n):
        return n + 1

    def f(t):
        return t * scale(3)

    c = torch.compile(f, fullgraph=True)
    assert [c(x(3)).tolist() for _ in range(3)] == [f(x(3)).tolist()] * 3
    assert c.recordings


def test_reports_and_modules_that_are_not_reached():
    def f(t):
        if t.ndim > 5:
            print("many dims")
            warnings.warn("many dims", stacklevel=1)
        return t + 1 if "math" in sys.modules else t

    c = torch.compile(f, fullgraph=True)
    assert [c(x(3)).tolist() for _ in range(3)] == [(x(3) + 1).tolist()] * 3
    assert c.recordings


# What cannot be recorded ---------------------------------------------------------------------


def left(function, *args, calls=4):
    """Calls a function that cannot be recorded; what was said."""
    c = torch.compile(function)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(calls):
            c(*args)
    assert c.refused is not None, function
    assert not c.recordings
    assert len(caught) == 1
    return str(caught[0].message)


def test_prints(capsys):
    def f(t):
        print("called")
        return t * 2

    assert "print" in left(f, x(3))
    assert capsys.readouterr().out == "called\n" * 4


def test_warns():
    def f(t):
        warnings.warn("called", stacklevel=1)
        return t * 2

    c = torch.compile(f)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(4):
            c(x(3))
    assert not c.recordings
    assert [str(w.message) for w in caught].count("called") == 4


def test_side_effects():
    seen, counts, thing = [], {"n": 0}, Scaled()
    total = 0

    def appends(t):
        seen.append(1)
        return t * 2

    def counting(t):
        counts["n"] += 1
        return t * 2

    def sets(t):
        thing.scale += 1
        return t * 2

    def nonlocal_(t):
        nonlocal total
        total += 1
        return t * 2

    for function in (appends, counting, sets, nonlocal_):
        left(function, x(3))
    assert (len(seen), counts["n"], thing.scale, total) == (4, 4, 7.0, 4)


def test_clocks_and_draws_of_others():
    import datetime
    import random
    import time

    import numpy as np

    for function in (
        lambda t: t * time.time(),
        lambda t: t * random.random(),
        lambda t: t * np.random.rand(),
        lambda t: t * datetime.datetime.now().microsecond,
        lambda t: t * id(t),
    ):
        left(function, x(3))


def test_generators_and_arrays():
    import numpy as np

    numbers, array = iter(range(100)), np.ones(3, np.float32)
    left(lambda t: t * next(numbers), x(3))
    left(lambda t: t * torch.from_numpy(array), x(3))
    assert next(numbers) == 4


def test_fullgraph_is_an_error():
    seen = []

    def f(t):
        seen.append(1)
        return t

    c = torch.compile(f, fullgraph=True)
    c(x(3))
    with pytest.raises(RuntimeError, match="runs in Python: it changes"):
        c(x(3))


def test_eager_backend_and_disable():
    def f(t):
        return t

    assert torch.compile(f, backend="eager") is f
    assert torch.compile(f, disable=True) is f


# Branches ------------------------------------------------------------------------------------


def test_branches():
    def f(t):
        if t.sum() > 0:
            return t * 2
        return t - 1 if t[0] > -5 else t

    c = Checked(f).settle(x(3))
    for _ in range(4):
        for t in (x(3), -x(3), -10 * x(3)):
            c(t)
    assert c.compiled.refused is None


def test_loops_that_depend_on_numbers():
    def f(t):
        while bool((t < 10).any()):
            t = t * 2
        return t

    c = Checked(f).settle(x(3))
    for start in (1.0, 3.0, 20.0, 1.0):
        c(torch.full((3,), start))
        c(torch.full((3,), start))


def test_numbers_after_writes():
    state = torch.zeros(())

    def f(t):
        state.add_(1)
        return t * 2 if state.item() > 2 else t

    left(f, x(3))
    assert state.item() == 4


# Memory --------------------------------------------------------------------------------------


def test_results_are_new_each_time():
    c = torch.compile(lambda t: (t * 2, t + 1))
    kept = [c(torch.full((3,), float(i))) for i in range(6)]
    assert [a[0].item() for a, _ in kept] == [0, 2, 4, 6, 8, 10]
    assert [b[0].item() for _, b in kept] == [1, 2, 3, 4, 5, 6]


def test_constants_that_are_written():
    def f(t):
        total = torch.zeros(3)
        for i in range(3):
            total += t * i
        return total

    Checked(f).settle(x(3))


def test_buffers_in_place():
    ours = nn.BatchNorm1d(3)
    theirs = copy.deepcopy(ours)
    c = torch.compile(ours)
    for i in range(6):
        t = x(4, 3) * (i + 1)
        assert torch.equal(c(t), theirs(t))
        assert torch.equal(ours.running_mean, theirs.running_mean)
        assert torch.equal(ours.num_batches_tracked, theirs.num_batches_tracked)


def test_versions_move():
    t = x(3)

    def f(t):
        return t.add_(1)

    c = torch.compile(f)
    for _ in range(5):
        before = t._version
        assert c(t) is t
        assert t._version == before + 1
    assert t[0].item() == 6


def test_aliases_of_inputs_are_not_copied():
    function = torch.compile(lambda t: t[:2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(4):
            t = x(3)
            function(t).zero_()
            assert t[0].item() == 0


# Surroundings --------------------------------------------------------------------------------


def test_threads():
    c = torch.compile(lambda t: (t * 2).sin().sum())
    for _ in range(3):
        c(x(64))
    wrong = []

    def work(k):
        t = x(64) * k
        for _ in range(200):
            if not torch.equal(c(t), (t * 2).sin().sum()):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_many_calls_grow_nothing():
    import tracemalloc

    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    c = torch.compile(lambda t: model(t).sum())

    def some(n):
        for _ in range(n):
            c(x(2, 3)).backward()
            model.zero_grad()

    some(50)
    gc.collect()
    tracemalloc.start()
    some(50)
    gc.collect()
    first = tracemalloc.get_traced_memory()[0]
    some(1000)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - first
    tracemalloc.stop()
    assert grown < 20_000


def test_many_signatures_are_bounded():
    c = torch.compile(lambda t: t * 2)
    for n in range(1, 200):
        for _ in range(2):
            assert torch.equal(c(x(n)), x(n) * 2)
    assert len(c.recordings) <= 64


def test_methods_and_decorators():
    class Model:
        def __init__(self):
            self.w = x(3)

        @torch.compile
        def step(self, t):
            return t * self.w

    one, other = Model(), Model()
    other.w = x(3) * 5
    for _ in range(4):
        assert torch.equal(one.step(x(3)), x(3) * x(3))
        assert torch.equal(other.step(x(3)), x(3) * x(3) * 5)
    assert functools.reduce(lambda a, b: a + b, [1, 2]) == 3


def test_inside_and_outside_of_transforms():
    def f(t):
        return (t.sin() * t).sum()

    c = torch.compile(f)
    g = torch.compile(torch.func.grad(f))
    h = torch.compile(torch.func.hessian(f))
    v = torch.compile(torch.func.vmap(f))
    for _ in range(4):
        assert torch.equal(torch.func.grad(c)(x(3)), torch.func.grad(f)(x(3)))
        assert torch.equal(torch.func.vmap(c)(x(2, 3)), torch.func.vmap(f)(x(2, 3)))
        assert torch.equal(g(x(3)), torch.func.grad(f)(x(3)))
        assert torch.allclose(h(x(3)), torch.func.hessian(f)(x(3)))
        assert torch.equal(v(x(2, 3)), torch.func.vmap(f)(x(2, 3)))
    for compiled in (g, h, v):
        assert compiled.refused is None


def test_explain_says_why_it_recorded_again(monkeypatch):
    c = Checked(lambda t: t * GLOBAL).settle(x(3))
    monkeypatch.setitem(globals(), "GLOBAL", 7.0)
    c(x(3))
    c(x(3))
    told = repr(c.compiled.explain())
    assert "recorded again: a global that" in told and "GLOBAL" in told
    assert f"{__file__}:" in told
    left = torch.compile(lambda t: print(end="") or t)
    with pytest.warns(UserWarning, match="runs in Python"):
        for _ in range(3):
            left(x(3))
    assert f"left to Python: it prints or warns, {__file__}:" in repr(left.explain())


def test_a_graph_is_drawn():
    c = torch.compile(lambda t, w: (torch.tanh(t @ w) + t).sum())
    for _ in range(3):
        c(x(3, 3), x(3, 3))
    drawing = torch.draw(c.graph)
    assert [box.lines[0] for box in drawing.boxes if box.kind == "op"] == [
        "mm [3, 3]", "tanh [3, 3]", "add [3, 3]", "sum []"
    ]  # fmt: skip
    assert "x0 [3, 3]" in str(drawing) and "<svg" in drawing.svg() and "-->" in drawing.mermaid()


def test_shapes_that_change():
    c = Checked(lambda t: t.cumsum(0) * t.shape[0], dynamic=True)
    for n in (3, 4, 5, 3, 4, 5, 3, 4, 5):
        c(x(n))
    assert c.compiled.refused is None and c.runs >= 3


def test_threads_that_record():
    """Several threads record at once; each gets what the function gives."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    c, wrong = torch.compile(lambda t: model(t).sum()), []

    def work(k):
        for n in range(1, 8):
            for _ in range(4):
                t = x(n + k, 3)
                if not torch.equal(c(t), model(t).sum()):
                    wrong.append((k, n))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forks():
    """A recording is replayed, and made, in a child."""
    c = torch.compile(lambda t: (t * 2 + 1).sin().sum())
    t, other = x(50_000), x(60_000)
    for _ in range(3):
        c(t)
    child = os.fork()
    if child == 0:
        good = all(torch.equal(c(u), (u * 2 + 1).sin().sum()) for u in (t, other, other, other))
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_the_same_numbers_of_other_memory():
    """A list of tensors, and the structure of arguments, are part of the key."""
    c = Checked(lambda ts, d: sum(ts) * d["w"]).settle([x(3), x(3)], {"w": x(3)})
    c([x(3)], {"w": x(3)})
    c((x(3), x(3)), {"w": x(3)})
    c([x(3), x(3), x(3)], {"w": x(3).double()})


def test_explain_and_graph():
    c = torch.compile(lambda t: (t * 2).sum())
    assert c.graph is None
    for _ in range(3):
        c(x(3))
    assert "mul(%x0, 2)" in repr(c.graph) and "return" in repr(c.graph)
    told = repr(c.explain())
    assert "1 recording" in told and "2 replays" in told


def test_module_compile():
    model = nn.Linear(3, 2)
    expected = model(x(4, 3))
    model.compile()
    for _ in range(4):
        assert torch.equal(model(x(4, 3)), expected)
    assert sum(r.runs for found in model.forward.recordings.values() for r in found)
    again = copy.deepcopy(model)
    assert torch.equal(again(x(4, 3)), expected)
