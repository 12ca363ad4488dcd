"""Tapes: rules and composites do the same from a recording; what cannot be recorded is left to Python."""

import gc
import threading
import tracemalloc
import warnings

import numpy as np
import pytest
from library import leaf, pullback_only, torch
from sample_rows import ROWS
from samples import Bound, cotangents, differentiable, numbers

pytestmark = pullback_only("tapes are its own")


@pytest.fixture
def tapes():
    """The engine with an empty table; afterwards tapes are used as before."""
    from pullback.core import _engine

    before = _engine.use_tapes(True)
    _engine.forget_tapes()
    yield _engine
    _engine.use_tapes(before)
    _engine.note_refusals(None)


def shown(result):
    """What is to be the same of a result: its type, and of tensors all that can be seen."""
    if isinstance(result, torch.Tensor):
        return (
            type(result),
            result.dtype,
            result.shape,
            result.stride(),
            result.is_contiguous(),
            numbers(torch, result).tobytes(),
            result.requires_grad,
            result._is_view(),
            result.is_leaf,
            None if result.grad_fn is None else names(result.grad_fn),
        )
    if isinstance(result, (tuple, list)):
        return type(result), [shown(part) for part in result]
    return type(result), result if isinstance(result, (bool, int, str)) else None


def names(node, depth=4):
    """The names of a node and of those that it leads to."""
    if node is None or not depth:
        return None
    return node.name(), [(names(source, depth - 1), index) for source, index in node.next_functions]


def outcome(row, call, dtype, layout, grads, shift):
    """What a call and its backward pass give, or the type and words of their error."""
    torch.manual_seed(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            bound = Bound(torch, row, call, dtype, layout=layout, grads=grads)
            for one in bound.leaves:
                with torch.no_grad():
                    one.mul_(1 + shift / 64)
            result = bound.run()
            found = [shown(result)]
            roots = differentiable(torch, result)
            if roots:
                given = [g.detach() for g in cotangents(torch, roots, np.random.default_rng(shift))]
                torch.autograd.backward(roots, given)
            found += [shown(one.grad) for one in bound.leaves]
        except Exception as error:  # whatever it is, it is to be the same
            found = [type(error), str(error)]
    return found, sorted({str(one.message) for one in caught})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_both_ways_agree(tapes, row):
    """Recorded, run again with other numbers, and without tapes: the same to the bit."""
    if not row.values:
        return
    ways = [(dtype, "", "all") for dtype in row.takes("int64", "float64", "float16", "complex64")]
    ways += [(row.first_dtype(), layout, grads) for layout in ("", "strided") for grads in ("none", "some")]
    for dtype, layout, grads in ways:
        for call in row.calls:
            for shift in (0, 1, 2, 3):
                tapes.use_tapes(True)
                taped = outcome(row, call, dtype, layout, grads, shift)
                tapes.use_tapes(False)
                assert taped == outcome(row, call, dtype, layout, grads, shift), (dtype, layout, call)


# What is recorded ---------------------------------------------------------------------------


def composite(body):
    """A public function around `body`, and a list that grows whenever Python runs it."""
    from pullback.core._engine import Function

    runs = []

    def function(*args, **kwargs):
        runs.append(1)
        return body(*args, **kwargs)

    return Function(function, "composite"), runs


def squared(rule):
    """An op whose derivative is `rule(g, self)`, and a list that grows whenever Python runs that."""
    from pullback.core._engine import REQUIRED, Op

    runs = []

    def derivative(g, self):
        runs.append(1)
        return rule(g, self)

    op = Op("squared", lambda self: self * self, ("self",), (REQUIRED,), "T")
    op.vjp(self=derivative)
    return op, runs


def row(*values):
    return torch.tensor(values)


def test_python_runs_twice(tapes):
    """Once, once more to be recorded, and not again; another signature begins anew."""
    function, runs = composite(lambda x, y: (x * y + 1).sum(0))
    for n in range(5):
        assert function(row(1.0, 2.0 + n), row(3.0, 4.0)).item() == 3 + 4 * (2 + n) + 2
    assert len(runs) == 2
    assert function(torch.ones(2, 2).t()[:, :1], torch.ones(2, 1)).item() == 4 and len(runs) == 3
    assert function(row(1, 2), row(3, 4)).dtype is torch.int64 and len(runs) == 4
    op, runs = squared(lambda g, self: 2 * g * self)
    for n in range(5):
        x = leaf([1.0, 2.0 + n])
        op(x).sum().backward()
        assert x.grad.tolist() == [2.0, 4.0 + 2 * n]
    assert len(runs) == 2


def test_results_are_of_the_same_structure(tapes):
    from pullback import return_types

    function, runs = composite(
        lambda x: {"list": 0, "tuple": (x + 1, [x, None, 2.5, "a"]), "named": return_types.max((x * 2, x))}
    )
    assert [type(function(row(1.0))) for _ in range(4)] == [dict] * 4 and len(runs) == 4
    function, runs = composite(lambda x: (x + 1, [x, None, 2.5, "a"], return_types.max((x * 2, x)), x.shape))
    for n in range(4):
        x = row(float(n))
        one, parts, named, size = function(x)
        assert one.item() == n + 1 and parts[0] is x and parts[1:] == [None, 2.5, "a"]
        assert type(named) is return_types.max and named.values.item() == 2 * n and named.indices is x
        assert type(size) is torch.Size and size == (1,)
        parts.append("more")  # nobody else has the list
    assert len(runs) == 2


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_passes_run_rules_by_tape(tapes):
    """Plain passes, recorded ones, and those within transforms, but none in anomaly mode."""
    op, runs = squared(lambda g, self: 2 * g * self)

    def derivative(**options):
        x = leaf([3.0])
        return x, torch.autograd.grad(op(x).sum(), x, **options)[0]

    for _ in range(3):
        derivative()
    runs.clear()
    derivative()
    assert runs == []
    for _ in range(4):
        x, first = derivative(create_graph=True)
        assert torch.autograd.grad(first.sum(), x)[0].tolist() == [2.0]
    assert len(runs) == 2
    for n in range(3):
        with torch.autograd.detect_anomaly(check_nan=False):
            derivative()
        assert len(runs) == 3 + n
    for _ in range(4):
        assert torch.func.grad(lambda x: op(x).sum())(torch.ones(2)).tolist() == [2.0, 2.0]
    assert len(runs) == 7
    for _ in range(4):
        with torch.autograd.forward_ad.dual_level():
            derivative()
    assert len(runs) == 9


def test_graphs_of_composites(tapes):
    """The graph is that of the ops, whoever needs a gradient; hooks and second derivatives find it."""
    function, _ = composite(lambda x, y: (x * y).sum() + y.exp().sum())
    seen = []
    for n in range(4):
        x, y = leaf([1.0, 2.0 + n]), leaf([3.0, 0.0])
        x.register_hook(seen.append)
        result = function(x, y)
        assert names(result.grad_fn, 2)[0] == "AddBackward0"
        gx, gy = torch.autograd.grad(result, (x, y), create_graph=True)
        assert gx.tolist() == [3.0, 0.0] and seen[-1].tolist() == [3.0, 0.0]
        assert torch.autograd.grad(gy.sum(), y)[0].tolist() == y.exp().tolist()
        assert not function(x.detach(), y.detach()).requires_grad
        with torch.no_grad():
            assert not function(x, y).requires_grad
        with torch.inference_mode():
            assert function(x, y).is_inference()
        assert function(x, y.detach()).grad_fn.next_functions[1][0] is None


ELSEWHERE = torch.ones(2)
LOOKS = {
    "item": lambda x: x * x.sum().item(),
    "bool": lambda x: x if (x > 1).all() else -x,
    "float": lambda x: x * float(x[0]),
    "tolist": lambda x: x * x.tolist()[0],
    "numpy": lambda x: x * x.detach().numpy()[0].item(),
    "array": lambda x: x * float(x._array[0]),
    "in": lambda x: x * (5.0 in x),
    "elsewhere": lambda x: x * ELSEWHERE,
    "data": lambda x: x * x.data,
    "grad": lambda x: x if x.grad is None else -x,
    "version": lambda x: x * x._version,
    "node": lambda x: x if x.grad_fn is None else x * 2,
    "attribute": lambda x: x if not hasattr(x, "mark") else x * 2,
    "forgets": lambda x: (x * 2).add_(1).detach_(),
    "requires": lambda x: (x * 2).requires_grad_(),
    "mode": lambda x: _without_grad(x),
    "pass": lambda x: _by_pass(x),
    "transform": lambda x: torch.func.jet(torch.sin, (x,), ((x,),))[0],
    "custom": lambda x: _Double.apply(x),
    "warning": lambda x: (warnings_of("careful"), x * 2)[1],
    "random": lambda x: x * torch.rand(2),
    "nothing": lambda x: 2.0,
    "new": lambda x: torch.zeros(2),
    "fails": lambda x: _caught(x),
}


def _without_grad(x):
    with torch.no_grad():
        return x * 2


def _by_pass(x):
    one = leaf(2.0)
    (one**2).backward()
    return x * one.grad


def _caught(x):
    try:
        return x.reshape(7)
    except RuntimeError:
        return x * 3


def warnings_of(message):
    from pullback.core.settings import warn_each_time

    warn_each_time(message)


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2


@pytest.mark.filterwarnings("ignore:careful")
@pytest.mark.parametrize("what", LOOKS)
def test_left_to_python(tapes, what):
    """What does more than call ops is run each time."""
    function, runs = composite(LOOKS[what])
    found = {}
    tapes.note_refusals(found)
    for n in range(4):
        x = row(0.5 + n, 5.0)
        if n == 3:
            x.mark = True
        torch.manual_seed(n)
        given = function(x)
        torch.manual_seed(n)
        wanted = LOOKS[what](x)
        assert shown(given) == shown(wanted)
    assert len(runs) == 4 and len(found[function.__wrapped__]) == 1


def test_what_a_call_depends_on(tapes):
    """Whatever a function may branch on without looking at numbers is in the signature."""

    def body(x, y, option=1, *, word="a"):
        made = torch.ones(()) * 0.5
        same = 100.0 if x is y else 0.0
        needed = 10.0 if x.requires_grad else 0.0
        laid = 1000.0 if x.is_contiguous() else 0.0
        kind = {int: 1, float: 2, bool: 3, tuple: 4, list: 5, torch.Size: 6, type(None): 7}[type(option)]
        return (x + y) * 0 + made + same + needed + laid + kind * 1e4 + len(word) * 1e5, made

    function, _ = composite(body)
    x, y = torch.ones(2, 2), torch.zeros(2, 2)
    calls = [(x, y), (x, x), (y, x), (leaf([[1.0]]), y), (x.t(), y), (x[:, :1], y)]
    calls += [(x, y, option) for option in (1, 1.0, True, (1,), [1], x.shape, None)]
    for _ in range(4):
        for args in calls:
            for options in ({}, {"word": "b"}, {"word": "long"}):
                assert shown(function(*args, **options)) == shown(body(*args, **options))
        torch.set_default_dtype(torch.float64)
        try:
            assert shown(function(x, y)) == shown(body(x, y)) and function(x, y)[1].dtype is torch.float64
        finally:
            torch.set_default_dtype(torch.float32)
        with torch.device("meta"):
            assert function(torch.ones(2, 2), torch.zeros(2, 2))[0].is_meta


def test_tensors_made_on_the_way(tapes):
    """They are made anew at each run: what happens to one result is not seen in the next."""
    function, runs = composite(
        lambda x: (x + torch.arange(2.0), torch.zeros(1000).narrow(0, 0, 2), torch.eye(2) @ x, torch.ones(2))
    )
    for n in range(4):
        shifted, zeros, same, ones = function(row(1.0, 2.0 + n))
        assert shifted.tolist() == [1.0, 3.0 + n] and zeros.tolist() == [0.0, 0.0]
        assert same.tolist() == [1.0, 2.0 + n] and ones.tolist() == [1.0, 1.0]
        zeros += 5
        ones += 5
    assert len(runs) == 2


def test_writes(tapes):
    """Into what was made on the way, into an input, and through a view: as Python does it."""

    def body(x, y):
        made = torch.zeros_like(x)
        made[1:] += y
        made.mul_(2)
        x.add_(made)
        return made

    function, runs = composite(body)
    for n in range(4):
        x, y = torch.ones(3), leaf([1.0, 2.0 + n])
        made = function(x, y)
        assert x.tolist() == [1.0, 3.0, 5.0 + 2 * n] and x._version == 1 and made._version == 3
        x.sum().backward()
        assert y.grad.tolist() == [2.0, 2.0]
    assert len(runs) == 2
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        function(leaf([1.0, 1.0, 1.0]), leaf([1.0, 2.0]))


def test_random_numbers_of_steps(tapes):
    """Ops that draw are steps like others: the same numbers follow from the same seed."""
    function, runs = composite(lambda x: x + torch.nn.functional.dropout(x, 0.5) + torch.empty(9).uniform_())
    for n in range(4):
        x = torch.arange(9.0) + n
        torch.manual_seed(n)
        given = function(x)
        torch.manual_seed(n)
        assert (
            given.tolist() == (x + torch.nn.functional.dropout(x, 0.5) + torch.empty(9).uniform_()).tolist()
        )
    assert len(runs) == 2


def test_shapes_that_follow_from_data(tapes):
    """A result of another layout than when it was recorded: the function itself is run."""
    function, runs = composite(lambda x: x.masked_select(x > 0) * x.masked_select(x > 0).shape[0])
    for values in ((1.0, 2.0), (1.0, 2.0), (3.0, 2.0), (1.0, -2.0), (-1.0, -2.0), (1.0, 2.0)):
        count = sum(v > 0 for v in values)
        assert function(row(*values)).tolist() == [v * count for v in values if v > 0]
    assert len(runs) == 5


def test_errors_of_steps(tapes):
    """Those that depend on data are raised as by the function, which is then run; the tape stays."""

    def body(x, index):
        try:
            return x.index_select(0, index) * 2
        except IndexError:
            raise ValueError("no such row") from None

    function, runs = composite(body)
    for _ in range(3):
        assert function(row(1.0, 2.0), row(1)).tolist() == [4.0]
    for _ in range(3):
        with pytest.raises(ValueError, match="no such row"):
            function(row(1.0, 2.0), row(7))
    assert function(row(1.0, 2.0), row(1)).tolist() == [4.0] and len(runs) == 5
    op, runs = squared(lambda g, self: g.index_select(0, self.long()) * 3)

    def derivative(index):
        x = leaf([index, 0.0])
        op(x).sum().backward()
        return x.grad.tolist()

    assert [derivative(1.0) for _ in range(3)] == [[3.0, 3.0]] * 3 and len(runs) == 2
    with pytest.raises(IndexError, match="out of range"):
        derivative(7.0)
    assert derivative(0.0) == [3.0, 3.0] and len(runs) == 3


def test_errors_while_recording(tapes):
    function, runs = composite(lambda x: x.reshape(3))
    for _ in range(4):
        with pytest.raises(RuntimeError, match="shape '\\[3\\]' is invalid"):
            function(row(1.0, 2.0))
    assert len(runs) == 4 and function(row(1.0, 2.0, 3.0)).tolist() == [1.0, 2.0, 3.0]


def test_a_function_that_never_can_be_recorded_is_not_tried_again(tapes):
    function, runs = composite(lambda x: x * x.sum().item())
    found = {}
    for n in range(1, 30):
        for _ in range(2):
            function(torch.ones(n))
        if n == 20:
            tapes.note_refusals(found)
    assert found == {} and len(runs) == 58


def test_threads(tapes):
    """Functions are recorded and run on several threads at once."""
    function, _ = composite(lambda x, n: (x * n).sum() + x.exp().sum() * 0)
    wrong = []

    def work(seed):
        for n in range(300):
            x = torch.full((n % 7 + 1, 3), float(seed), requires_grad=True)
            result = function(x, n % 3)
            result.backward()
            if result.item() != seed * (n % 3) * x.numel() or not (x.grad == n % 3).all():
                wrong.append((seed, n))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_table_that_overflows(tapes):
    function, _ = composite(lambda x, n: x + n)
    _, most = tapes.count_tapes()
    for n in range(most + 300):
        for _ in range(2):
            assert function(row(1), n).item() == n + 1
        if n % 50 == 0:
            assert function(row(1.5), 2).item() == 3.5
    assert 0 < tapes.count_tapes()[0] <= most


def test_nothing_is_kept(tapes):
    """Tapes keep no tensor of a call, and what they make on the way goes."""
    function, _ = composite(lambda x, y: (x * torch.arange(3.0) + y, [x.t(), torch.zeros(500)], x.sum(0)))

    def step():
        x, y = torch.ones(3, 3, requires_grad=True), torch.ones(3)
        function(x, y)[0].sum().backward()
        with pytest.raises(RuntimeError):
            function(x, torch.ones(5))

    gc.disable()
    try:
        for _ in range(300):
            step()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(300):
            step()
        assert tracemalloc.get_traced_memory()[0] - before < 300 * 60
    finally:
        tracemalloc.stop()
        gc.enable()


# The op table ------------------------------------------------------------------------------------


def test_most_functions_are_recorded(tapes):
    """Which rules and composites are left to Python, and why. To be read: pytest -s"""
    found, used = {}, 0
    tapes.note_refusals(found)
    for each in ROWS:
        tapes.forget_tapes()  # the table would be emptied somewhere on the way
        for call in each.calls:
            for shift in range(2):
                outcome(each, call, each.first_dtype(), "", "all", shift)
        used += tapes.count_tapes()[0]
    by_reason = {}
    for function, reasons in found.items():
        for reason in reasons:
            place = f"{function.__module__}.{function.__qualname__}".removeprefix("pullback.ops.")
            by_reason.setdefault(reason, set()).add(place)
    for reason, places in sorted(by_reason.items(), key=lambda pair: -len(pair[1])):
        print(f"\n{len(places)} because of {reason}: {', '.join(sorted(places))}")
    refused = sum(len(places) for places in by_reason.values())
    assert refused < 150 and used > 300
    for _ in range(3):
        torch.diff(torch.ones(4))
    diff = torch.diff.__wrapped__
    assert ("loop", "sub") in [step for steps in tapes.recorded_steps(diff) for step in steps]
