"""Tapes of ops within transforms: what is done again without Python is what Python did, to the bit."""

import warnings
from enum import IntEnum

import pytest
from library import leaf, pullback_only, torch
from sample_rows import ROWS
from samples import Bound, differentiable, flat, numbers, resolve

pytestmark = [pullback_only("tapes are its own"), pytest.mark.filterwarnings("ignore::UserWarning")]
func = torch.func


@pytest.fixture
def tapes():
    """The engine with an empty table; afterwards tapes are used as before."""
    from pullback.core import _engine

    before = _engine.use_tapes(True)
    _engine.forget_tapes()
    yield _engine
    _engine.use_tapes(before)


class Call:
    """A call of a row as a function of its leaves."""

    def __init__(self, row, call, dtype="float64"):
        self.name = row.name
        self.bound = Bound(torch, row, call, dtype, grads="all")
        self.active = bool(self.bound.leaves) and bool(differentiable(torch, self.bound.run()))
        self.leaves = [x.detach() for x in self.bound.leaves]

    def __call__(self, *leaves):
        """The real results that have a derivative."""
        swap = {id(old): new for old, new in zip(self.bound.leaves, leaves, strict=True)}

        def put(x):
            if isinstance(x, (list, tuple)):
                return type(x)([put(one) for one in x])
            return swap.get(id(x), x) if isinstance(x, torch.Tensor) else x

        kwargs = {name: put(x) for name, x in self.bound.kwargs.items()}
        result = flat(resolve(torch, self.name)(*[put(x) for x in self.bound.args], **kwargs))
        return tuple(y for y in result if isinstance(y, torch.Tensor) and y.dtype == torch.float64)

    def total(self, *leaves):
        """A number of them that has slopes of its own."""
        return sum((y * y.detach().sin() + y).sum() for y in self(*leaves))


def nests(call):
    """Functions of the leaves by transforms, each of which goes by tapes from its third call on."""
    places = tuple(range(len(call.leaves)))
    slope = func.grad(call.total, places)
    return {
        "vmap": lambda *x: func.vmap(call)(*[torch.stack([one, one * 1.5]) for one in x]),
        "shared": lambda *x: func.vmap(call, (0, *[None] * (len(x) - 1)))(
            torch.stack([x[0], x[0] * 1.5]), *x[1:]
        ),
        "vmap of grad": lambda *x: func.vmap(slope)(*[torch.stack([one, one * 1.5]) for one in x]),
        "jvp": lambda *x: func.jvp(call, x, tuple(one * 0.5 + 1 for one in x)),
        "jvp of grad": lambda *x: func.jvp(slope, x, tuple(one * 0.5 + 1 for one in x)),
        "jacfwd": lambda *x: func.jacfwd(call, places)(*x),
        "jacrev": lambda *x: func.jacrev(call, places)(*x),
        "hessian": lambda *x: func.hessian(call.total, places)(*x),
    }


def outcome(function, leaves):
    """The numbers, shapes and strides of all results, or the type and words of the error."""
    from pullback.utils._pytree import tree_leaves

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = [
                (y.shape, y.stride(), numbers(torch, y).tobytes(), y.requires_grad)
                for y in tree_leaves(function(*leaves))
            ]
        except Exception as error:  # whatever it is, it is to be the same
            result = type(error), str(error)
    return result, sorted({str(one.message) for one in caught})


@pytest.mark.parametrize(
    "row", [row for row in ROWS if "f" in row.kinds and row.derived], ids=lambda row: row.name
)
def test_both_ways_agree(tapes, row):
    for call in [Call(row, one) for one in row.calls if one.smooth][:2]:
        if not call.active:
            continue
        for name, function in nests(call).items():
            for shift in range(3):
                leaves = [x * (1 + shift / 64) for x in call.leaves]
                tapes.use_tapes(True)
                taped = outcome(function, leaves)
                tapes.use_tapes(False)
                assert taped == outcome(function, leaves), name


def counted(body):
    """A function of tensors, an op with a batching rule of its own around it, and how often that ran."""
    from pullback.core._engine import REQUIRED, Op

    runs = []
    op = Op("body", body, ("self",), (REQUIRED,), "T")

    @op.batch
    def rule(level, op, x):
        runs.append(1)
        return level.wrap(torch.sin(x.physical) + level.size)

    return op, runs


def test_rules_run_twice(tapes):
    """Once, once more to be recorded; other sizes, another randomness and another level are others."""
    op, runs = counted(lambda a: a)
    for n in range(5):
        x = torch.ones(3, 2) * n
        assert torch.equal(func.vmap(op)(x), x.sin() + 3)
    assert len(runs) == 2
    assert torch.equal(func.vmap(op)(torch.zeros(4, 2)), torch.full((4, 2), 4.0)) and len(runs) == 3
    func.vmap(op, randomness="different")(torch.zeros(4, 2))
    assert len(runs) == 4
    nested = func.vmap(func.vmap(op))
    for _ in range(5):
        assert torch.equal(nested(torch.zeros(5, 3, 2)), torch.full((5, 3, 2), 3.0))
    assert len(runs) == 6


def test_what_is_returned_is_what_was_given(tapes):
    """An op that gives its tensor back gives that very tensor, and its tangents stay."""
    seen = []

    def f(x):
        y = x.contiguous()
        seen.append(y is x)
        return y * 2

    for _ in range(4):
        assert torch.equal(func.vmap(f)(torch.ones(3, 2)), torch.full((3, 2), 2.0))
        assert func.jvp(f, (torch.ones(2),), (torch.ones(2),))[1].tolist() == [2.0, 2.0]
    assert all(seen)


def test_transforms_within_a_composite(tapes):
    """A function that enters levels of its own is recorded as what is left below them."""
    from pullback.core._engine import Function

    runs = []

    def function(x):
        runs.append(1)
        return func.vmap(lambda row: func.vmap(torch.sin)(row).sum() * row)(x)

    composite = Function(function, "composite")
    for n in range(5):
        x = torch.ones(3, 2) * n
        torch.testing.assert_close(composite(x), x.sin().sum(1, keepdim=True) * x)
    assert len(runs) == 2


def test_the_same_tensor_twice(tapes):
    """What stands for one tensor twice is not taken for two, nor two for one."""
    x, y = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    for _ in range(4):
        assert func.vmap(torch.mul)(x, x).tolist() == [1.0, 4.0]
        assert func.vmap(torch.mul)(x, y).tolist() == [3.0, 8.0]
        assert func.vmap(lambda a: func.vmap(lambda b: a * b)(y))(x).tolist() == [[3.0, 4.0], [6.0, 8.0]]


def test_tangents_that_change(tapes):
    """A write in place gives a tensor another tangent; a view sees that of its owner."""

    def f(x):
        y = x * 1
        z = y[1:]
        y.mul_(x)
        return z + y[:-1]

    for _ in range(5):
        x = torch.tensor([1.0, 2.0, 3.0])
        assert func.jvp(f, (x,), (torch.ones(3),))[1].tolist() == [6.0, 10.0]


def test_tangents_of_what_a_graph_saved(tapes):
    """Forward over backward: the graph is recorded with tangents on it."""
    for n in range(5):
        x = torch.tensor([0.5, 1.0 + n])
        slope = func.grad(lambda x: (x.tanh() * x).exp().sum())
        _, along = func.jvp(slope, (x,), (torch.ones(2),))
        torch.testing.assert_close(along, func.hessian(lambda x: (x.tanh() * x).exp().sum())(x).sum(1))


def test_recorded_passes(tapes):
    """A pass that is recorded runs rules by tape too: gradients of gradients are the same."""
    from pullback.core._engine import REQUIRED, Op

    runs = []
    op = Op("cubed", lambda self: self**3, ("self",), (REQUIRED,), "T")

    def derivative(g, self):
        runs.append(1)
        return 3 * g * self * self

    op.vjp(self=derivative)
    for n in range(5):
        x = leaf([1.0 + n])
        (first,) = torch.autograd.grad(op(x).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
        (third,) = torch.autograd.grad(second.sum(), x)
        assert (first.item(), second.item(), third.item()) == (3 * (1 + n) ** 2, 6.0 * (1 + n), 6.0)
    assert len(runs) == 2


class Axis(IntEnum):
    ROWS = 0
    COLUMNS = 1


def test_enums_within(tapes):
    for _ in range(4):
        assert func.vmap(lambda x: x.sum(Axis.COLUMNS))(torch.ones(2, 3, 4)).tolist() == [[4.0] * 3] * 2
