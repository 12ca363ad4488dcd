"""Chains as machine code: the numbers of the loops to the bit, and the exchange while others run."""

import threading
import time

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("its own tier of code")
pytest.importorskip("llvmlite")

from pullback.compiler import native  # noqa: E402
from pullback.compiler.native import code  # noqa: E402


def recordings(compiled):
    return [r for found in compiled.recordings.values() for r in found]


def replays(compiled):
    """The replays of a compiled function, forward and backward."""
    found = []
    for r in recordings(compiled):
        found += r.often.args[0]
    return found


def bits(x):
    """The bits of numbers; those of NaN, which nobody promises, are left out."""
    x = x.detach()
    return x.isnan().numpy().tobytes() + x.nan_to_num(1.0, float("inf"), -float("inf")).numpy().tobytes()


def same_after(function, *args, count=1):
    """Calls a function compiled, before and after its chains are machine code."""
    compiled = torch.compile(function)
    expected = function(*args)
    for _ in range(3):
        assert bits(compiled(*args)) == bits(expected)
    assert native.native(replays(compiled)) >= count
    assert native.native(replays(compiled)) == 0
    for _ in range(2):
        found = compiled(*args)
        assert found.dtype is expected.dtype and bits(found) == bits(expected)
    return compiled


def odd_numbers(n, dtype, seed):
    """Numbers of all sizes, with infinities, NaN, zeros of both signs and subnormal ones in between."""
    torch.manual_seed(seed)
    x = torch.randn(n, dtype=torch.float64) * 10.0 ** torch.randint(-3, 4, (n,)).double()
    odd = [float("inf"), -float("inf"), float("nan"), 0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -3.5, 1e-40, -1e-40]
    x[torch.randperm(n)[: 20 * len(odd)]] = torch.tensor(odd * 20, dtype=torch.float64)
    return x.to(dtype)


UNARY = {
    "negative": torch.neg, "absolute": torch.abs, "sqrt": torch.sqrt, "floor": torch.floor,
    "ceil": torch.ceil, "trunc": torch.trunc, "rint": torch.round, "square": torch.square,
    "reciprocal": torch.reciprocal,
    "rsqrt": torch.rsqrt, "frac": torch.frac, "relu": torch.relu,
    "threshold": lambda x: torch.nn.functional.threshold(x, 0.5, 2.0),
    "leaky_relu": lambda x: torch.nn.functional.leaky_relu(x, 0.1),
    "hardtanh": torch.nn.functional.hardtanh, "clamp": lambda x: x.clamp(-0.5, 0.75),
}  # fmt: skip
BINARY = {
    "add": torch.add, "subtract": torch.sub, "multiply": torch.mul, "divide": torch.div,
    "copysign": torch.copysign,
    "maximum": lambda x, y: torch.maximum(x, y) + 0.0,  # which of two zeros it is depends on NumPy's vectors
    "minimum": lambda x, y: torch.minimum(x, y) + 0.0,
    "greater": lambda x, y: torch.where(x > y, x, y),
    "greater_equal": lambda x, y: torch.where(x >= y, x, 2.0),
    "less": lambda x, y: torch.where(x < y, x, y), "less_equal": lambda x, y: torch.where(x <= y, y, x),
    "equal": lambda x, y: torch.where(x == y, x, y), "not_equal": lambda x, y: torch.where(x != y, x, y),
    "lerp": lambda x, y: torch.lerp(x, y, 0.75), "addcmul": lambda x, y: torch.addcmul(x, y, x, value=0.5),
    "addcdiv": lambda x, y: torch.addcdiv(x, y, x, value=0.5),
    "bitwise_and": lambda x, y: torch.where((x > 0) & (y > 0), x, y),
    "bitwise_or": lambda x, y: torch.where((x > 0) | (y > 0), x, y),
    "logical_xor": lambda x, y: torch.where(torch.logical_xor(x > 0, y > 0), x, y),
}  # fmt: skip
GRADIENTS = {
    "times": lambda x, y: x.exp() * y, "over": lambda x, y: x.abs().sqrt() * y,
    "product": lambda x, y: x.abs().prod() * y, "within": lambda x, y: x.clamp(-0.5, 0.5) * y,
    "leaky_relu_slope": lambda x, y: torch.nn.functional.leaky_relu(x, 0.1) * y,
}  # fmt: skip


@pytest.mark.parametrize("n", [4096, 5003])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_bits_of_loops(name, dtype, n):
    x, y = odd_numbers(n, dtype, 0), odd_numbers(n, dtype, 1)
    if name in UNARY:
        same_after(lambda x, y: UNARY[name](x * y) - y, x, y)
        same_after(lambda x: -UNARY[name](x), x)
    else:
        same_after(lambda x, y: -BINARY[name](x, y), x, y)
        same_after(lambda x, y: BINARY[name](y * 2, -x), x, y)
        same_after(lambda x, y: -BINARY[name](x, y[3]), x, y)


@pytest.mark.parametrize("power", [2, 3, -1, -2, 0.5, -0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_powers(power, dtype):
    same_after(lambda x: -(x**power), odd_numbers(5003, dtype, 0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", GRADIENTS)
def test_bits_of_gradients(name, dtype):
    def grad(x, y):
        x = x.detach().requires_grad_()
        return torch.autograd.grad((GRADIENTS[name](x, y) * y + x * y).sum(), x)[0]

    same_after(grad, odd_numbers(5003, dtype, 0), odd_numbers(5003, dtype, 1))


def test_every_op_of_the_table_is_tried():
    tried = {*UNARY, *BINARY, *GRADIENTS, "where", *code.TRUTHS}
    assert code.OPS.keys() <= tried


def test_loops_of_others_stand_between():
    """What is left in slots for them, and by them; results in the midst; operands that are repeated."""
    x, row = odd_numbers(9000, torch.float32, 0).reshape(90, 100), odd_numbers(300, torch.float32, 1)[:100]

    def f(x, row):
        a = x * 2 + row
        b = torch.tanh(a) * a - row
        c = b.sigmoid() + a * b
        return torch.stack([a, b.t().reshape(90, 100), c / (b - row) + x.t().reshape(90, 100)])

    same_after(f, x, row)


def test_a_graph_with_gradients():
    x = torch.linspace(-2, 2, 9000)

    def f(x):
        return (x * x + 1).sqrt() * x

    compiled = torch.compile(f)
    for after in (False, False, True, True):
        if after:
            native.native(replays(compiled))
        grads = []
        for run in (compiled, f):
            leaf = x.clone().requires_grad_()
            grads.append(torch.autograd.grad(run(leaf).sum(), leaf)[0])
        assert bits(grads[0]) == bits(grads[1])


def test_what_runs_often_is_exchanged_in_the_background():
    x = torch.linspace(0, 1, 9000)
    compiled = torch.compile(lambda x: (x * 2 + 1).tanh() * x - 1)
    expected = bits(compiled(x))
    stop = threading.Event()
    wrong = []

    def calls():
        while not stop.is_set():
            if bits(compiled(x)) != expected:
                wrong.append(1)
            time.sleep(0.001)

    others = [threading.Thread(target=calls) for _ in range(2)]
    for one in others:
        one.start()
    for _ in range(50):
        assert bits(compiled(x)) == expected
    for thread in threading.enumerate():
        if thread.name == "pullback native":
            thread.join()
    stop.set()
    for one in others:
        one.join()
    assert not wrong
    (replay,) = replays(compiled)
    ((_, spec),) = replay.chains()
    assert any(item[0] == "native" for item in spec[1])


def test_without_a_compiler_all_stays(monkeypatch):
    monkeypatch.setattr(native, "available", lambda: False)
    compiled = torch.compile(lambda x: (x * 2 + 1) * x)
    x = torch.linspace(0, 1, 9000)
    for _ in range(40):
        compiled(x)
    (replay,) = replays(compiled)
    assert replay.chains() and all(item[0] == "loop" for _, spec in replay.chains() for item in spec[1])
