"""Plans: both ways of every op give the same, runs stay in their memory, the table takes any number."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import pytest
from library import pullback_only, torch
from sample_rows import ROWS
from samples import ALL, DTYPES, Bound, flat, numbers

pytestmark = pullback_only("plans are its own")

HALVES = {"float16": 2e-3, "bfloat16": 2e-2}
LAYOUTS = ("transposed", "strided")
TOLERANCE = {"float32": 1e-5, "complex64": 1e-5, "float64": 1e-13, "complex128": 1e-13} | HALVES


@pytest.fixture
def plans():
    """The module; afterwards plans are used as before."""
    from pullback.core import _plans

    before = _plans.use_plans(True)
    yield _plans
    _plans.use_plans(before)


def outcome(row, call, dtype, layout):
    """What a call of a row gives: dtypes and numbers of its results, or the type and words of its error."""
    try:
        results = flat(Bound(torch, row, call, dtype, layout=layout).run())
    except (RuntimeError, TypeError, IndexError, ValueError, AssertionError) as error:
        return type(error), str(error)
    return [(x.dtype, numbers(torch, x)) if isinstance(x, torch.Tensor) else x for x in results]


def cases(row):
    """The dtypes that a row takes in the plain layout, and float32 in the others."""
    for dtype in row.takes(*(dtype for kind in ALL for dtype in DTYPES[kind])):
        yield dtype, ""
    for layout in LAYOUTS:
        yield row.first_dtype(), layout


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", [row for row in ROWS if row.values], ids=lambda row: row.name)
def test_both_ways_agree(plans, row):
    """With plans and without: the same, or within what another order of additions gives."""
    for dtype, layout in cases(row):
        for call in row.calls:
            plans.use_plans(True)
            planned = outcome(row, call, dtype, layout)
            plans.use_plans(False)
            plain = outcome(row, call, dtype, layout)
            if isinstance(plain, tuple) or isinstance(planned, tuple):
                assert planned == plain
                continue
            for x, y in zip(planned, plain, strict=True):
                if not isinstance(y, tuple):
                    assert x == y
                    continue
                assert x[0] is y[0] and x[1].shape == y[1].shape
                bound = TOLERANCE.get(str(y[0]).removeprefix("torch."), 0)
                np.testing.assert_allclose(x[1], y[1], bound, bound, err_msg=f"{dtype} {layout} {call}")


GUARD = 64  # bytes


def guarded(array, fill):
    """A copy in memory with bytes `fill` before and after it, and that memory."""
    memory = np.full(array.nbytes + 2 * GUARD, fill, np.uint8)
    order = array.copy(order="K").strides
    inner = np.ndarray(array.shape, array.dtype, memory.data, GUARD, order)
    inner[...] = array
    return inner, memory


def with_guards(x, fill, memories):
    """Arguments with guarded copies of the arrays among them, and in lists; their memories are added."""
    if isinstance(x, np.ndarray):
        inner, memory = guarded(x, fill)
        memories.append(memory)
        return inner
    if isinstance(x, (list, tuple)):
        found = [with_guards(item, fill, memories) for item in x]
        return found if isinstance(x, list) else tuple(found)
    return x


def guards_of(memory):
    """The bytes around a guarded array."""
    return [*memory[:GUARD], *memory[len(memory) - GUARD :]]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", [row for row in ROWS if row.values], ids=lambda row: row.name)
def test_runs_stay_within_their_memory(plans, row):
    """No run writes around its results, and what lies around its inputs changes nothing."""
    for op, args in [call for case in cases(row) for call in planned_calls(row, *case)]:
        found = []
        for fill in (0x00, 0xFF):  # as floats: zeros, and NaN
            memories = []
            arrays = with_guards(args, fill, memories)
            results = with_guards(tuple(np.zeros(r.shape, r.dtype) for r in args.results), fill, memories)
            plan = plans.run_into(op, arrays, results)
            if plan is None:
                break
            for memory in memories:
                assert set(guards_of(memory)) == {fill}
            found.append([r.tobytes() for r in results])
        assert found == [] or found[0] == found[1], f"{op.name} reads around its inputs"


def arrays_of(x):
    """An argument with arrays for tensors, also in a list."""
    if isinstance(x, (list, tuple)):
        found = [arrays_of(item) for item in x]
        return found if isinstance(x, list) else tuple(found)
    return x._array if isinstance(x, torch.Tensor) else x


class Arguments(tuple):
    """An op's arguments, tensors as arrays, with the arrays of its results."""

    results = ()


def planned_calls(row, dtype, layout):
    """The ops with a plan that the row's calls come to, each with its arguments."""
    from pullback.core._engine import apply_below
    from pullback.transforms.stack import Interpreter, entered

    calls = []

    class Log(Interpreter):
        """Writes down what is called."""

        def process(self, op, args, out):
            result = apply_below(op, args, out)
            if out is None and op.prepare_rule is not None:
                taken = Arguments(arrays_of(x) for x in args)
                taken.results = [r._array for r in (result if isinstance(result, tuple) else (result,))]
                calls.append((op, taken))
            return result

    for call in row.calls:
        with entered(Log()):
            outcome(row, call, dtype, layout)
    return calls


def test_a_table_that_overflows(plans):
    """More signatures than are kept, in turns with the first ones: all results are right."""
    _, most = plans.count_plans()
    for n in range(most + 300):
        x = torch.ones(n % 97 + 1, n // 97 + 1)
        assert x.sum().item() == x.numel()
        if n % 50 == 0:
            assert torch.ones(3, 2).sum(0).tolist() == [3.0, 3.0]
    assert plans.count_plans()[0] <= most


def test_signatures_tell_apart(plans):
    """What differs in kind, value, strides or alignment has a plan of its own."""
    x = torch.arange(6.0).reshape(2, 3)
    assert x.sum(0).tolist() == [3.0, 5.0, 7.0] and x.sum(1).tolist() == [3.0, 12.0]
    assert x.sum((0,)).shape == (3,) and x.sum((0,), True).shape == (1, 3)
    assert x.t().sum(0).tolist() == [3.0, 12.0]
    assert x.sum(0, dtype=torch.float64).dtype is torch.float64
    assert x[:, ::2].sum(0).tolist() == [3.0, 7.0] and x.flip(0).sum(1).tolist() == [12.0, 3.0]
    odd = np.frombuffer(bytes(1) + np.arange(4, dtype=np.float32).tobytes(), np.uint8)[1:].view(np.float32)
    assert torch.from_numpy(odd.copy()).sum().item() == 6.0


def test_many_dims_and_none(plans):
    x = torch.ones((2,) + (1,) * 61 + (3, 2))
    assert x.sum().item() == 12 and x.sum(0).shape == x.shape[1:] and x.sum(-1).sum().item() == 12
    assert torch.zeros(0, 3).sum(0).tolist() == [0.0] * 3 and torch.zeros(0, 3).sum(1).shape == (0,)
    assert torch.tensor(2.5).sum().item() == 2.5 and torch.ones(3, 0).prod(1).tolist() == [1.0] * 3


@pytest.mark.parametrize("n", [1, 15, 17, 511, 513, 5000, 100_003])
def test_sums_lose_few_digits(n):
    for dtype, bound in ((torch.float32, 2e-7), (torch.float64, 4e-16)):
        x = torch.rand(n, dtype=dtype)
        exact = x.double().numpy().astype(np.longdouble).sum()
        assert abs(x.sum().item() - exact) <= 3 * bound * abs(exact)
        column = x.unsqueeze(1).expand(n, 3).contiguous().sum(0)
        assert abs(column[1].item() - exact) <= 3 * bound * abs(exact)


def test_what_has_no_key_is_left_to_the_kernel(plans):
    """Unaligned memory, numbers beyond a word, lists in lists: planned at each call, not run."""
    memory = bytes(1) + np.arange(6, dtype=np.float32).tobytes()
    odd = np.frombuffer(memory, np.float32, 6, 1).reshape(2, 3)
    assert not odd.flags.aligned
    op, results = torch.sum.__wrapped__, np.zeros(2, np.float32)
    assert plans.run_into(op, (odd, 1, False, None), (results,)) is None
    aligned = odd.copy()
    assert plans.run_into(op, (aligned, 1, False, None), (results,)) is not None
    assert results.tolist() == [3.0, 12.0]
    for dim in ([2**70], 2**70, [[0]]):
        with pytest.raises((TypeError, IndexError, OverflowError)):
            torch.ones(2, 3).sum(dim)


class Axis(IntEnum):
    ROWS = 0
    COLUMNS = 1


class Pair(NamedTuple):
    first: int
    second: int


def test_numbers_and_tuples_of_all_classes_have_keys(plans):
    """Enums, named tuples, sizes and NumPy's floats are planned once, each class by itself."""
    x = torch.arange(24.0).reshape(2, 3, 4)
    calls = {
        "enum": lambda: x.sum(Axis.COLUMNS),
        "named tuple": lambda: x.sum(Pair(0, 2)),
        "size": lambda: x.sum(torch.Size([0, 2])),
        "float": lambda: torch.full((2,), 1.0).norm(np.float64(3.0)),
        "in a tuple": lambda: x.amax((Axis.ROWS, Axis.COLUMNS)),
    }
    for name, call in calls.items():
        expected = call()
        assert torch.equal(call(), expected), name
        count = plans.count_plans()[0]
        for _ in range(3):
            assert torch.equal(call(), expected), name
        assert plans.count_plans()[0] == count > 0, name
    assert x.sum(Axis.COLUMNS).tolist() == x.sum(1).tolist()
    assert x.sum(Pair(0, 2)).tolist() == x.sum((0, 2)).tolist()


def test_a_tuple_with_more_to_it_has_no_key(plans):
    class Tuple(tuple):
        pass

    x = torch.ones(2, 3)
    for n in range(3):
        dims = Tuple((n % 2,))
        dims.note = n
        assert x.sum(dims).tolist() == ([3.0, 3.0] if n % 2 else [2.0] * 3)


def test_what_lasts_is_not_taken_for_another_at_its_address(plans):
    """Windows that take turns in the same memory: each has its own plan."""
    from pullback import ops
    from pullback.ops.images.max_pooling import WindowTable

    x = torch.arange(8.0).reshape(1, 1, 8)
    for n in range(50):
        places = [n % 6, n % 7]
        table = WindowTable([np.array(places)], [np.array(places) + 1], (1,))
        assert ops.max_windows(x, table, "")[0].tolist() == [[[float(place) for place in places]]]
        del table


@pytest.mark.parametrize("geometry", [("a",), (1, float("nan")), (1, 2**70)])
def test_a_plan_that_ends_early_frees_what_it_has(geometry):
    from pullback.core._plans import Plan, Spec

    spec = Spec(torch.float32, (2, 3))
    for _ in range(100):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            Plan((spec, spec), None, geometry)


def test_a_tensor_in_the_place_of_a_number_is_no_input_of_the_run():
    x = torch.arange(6.0).reshape(2, 3)
    assert torch.topk(x, torch.tensor(2), 1).indices.tolist() == [[2, 1], [2, 1]]
    with pytest.raises(TypeError):
        torch.topk(x, 2, 1, x)
