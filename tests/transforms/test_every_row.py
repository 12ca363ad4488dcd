"""Taylor mode and sparsity over the op table, each against a second way of computing.

Power series are compared with derivatives along a curve by nested reverse mode, patterns and sparse
matrices with the dense ones: of every smooth call of every row. One call of each row is taken to a higher
order, to Hessians too; of large tensors some numbers vary, and some results are looked at.
"""

import math

import numpy as np
import pytest
from library import pullback_only, torch
from sample_rows import ROWS
from samples import Bound, flat, resolve

pytestmark = [
    pullback_only("PyTorch has no Taylor mode and no sparse derivatives"),
    pytest.mark.filterwarnings("ignore"),
]

DOUBLE, COMPLEX = torch.float64, torch.complex128
SMALL = 12  # so many numbers of the tensors of a call vary
RESULTS = 40  # and so many of its results are looked at


def size_of(row, call, dtype):
    """How many numbers the tensors of a call have."""
    return sum(leaf.numel() for leaf in Bound(torch, row, call, dtype).leaves)


def cases():
    """Every smooth call of the rows of derived ops that has numbers; a large one of SMALL at most first."""
    for row in ROWS:
        for dtype in row.takes("float64", "complex128") if row.derived else ():
            sizes = {call: size_of(row, call, dtype) for call in row.calls if call.smooth}
            calls = sorted((call for call in sizes if sizes[call]), key=lambda call: abs(sizes[call] - SMALL))
            for place, call in enumerate(calls):
                marks = [pytest.mark.slow] if place else []
                name = f"{row.name}-{dtype}-{row.calls.index(call)}"
                yield pytest.param(row, call, dtype, id=name, marks=marks)


CASES = list(cases())
FIRST = [case for case in CASES if not case.marks]


def as_function(row, call, dtype):
    """A call as a function of its leaves, which gives all results of the widest dtypes, and the leaves."""
    leaves = Bound(torch, row, call, dtype).leaves

    def run(*given):
        bound = Bound(torch, row, call, dtype)
        places = {id(leaf): x for leaf, x in zip(bound.leaves, given, strict=True)}

        def placed(arg):
            if isinstance(arg, (list, tuple)):
                return type(arg)([placed(one) for one in arg])
            return places.get(id(arg), arg)

        bound.args = [placed(arg) for arg in bound.args]
        bound.kwargs = {name: placed(arg) for name, arg in bound.kwargs.items()}
        torch.manual_seed(0)
        tensors = [part for part in flat(bound.run()) if isinstance(part, torch.Tensor)]
        return tuple(x for x in tensors if x.dtype in (DOUBLE, COMPLEX))

    if not run(*leaves):
        pytest.skip("the result has no numbers with a derivative")
    return run, leaves


def like(x, rng):
    """Random numbers like a tensor's."""
    data = rng.uniform(-0.5, 0.5, tuple(x.shape))
    if x.dtype.is_complex:
        data = data + 1j * rng.uniform(-0.5, 0.5, tuple(x.shape))
    return torch.from_numpy(np.asarray(data))


def weighed(tensors, weights):
    """The real part of the sum of all products."""
    return sum(
        ((x * w).sum().real for x, w in zip(tensors, weights, strict=True)), torch.zeros((), dtype=DOUBLE)
    )


def along_a_curve(f, leaves, series):
    """The derivatives of f(x(t)) for polynomials x, by reverse mode in reverse mode: `weighed` sums."""
    t = torch.zeros((), dtype=DOUBLE, requires_grad=True)
    points = []
    for x, terms in zip(leaves, series, strict=True):
        for k, term in enumerate(terms, 1):
            x = x + term * (t**k / math.factorial(k))
        points.append(x)
    results = f(*points)
    rng = np.random.default_rng(1)
    weights = [like(y, rng) for y in results]
    found, y = [], weighed(results, weights)
    for _ in range(len(series[0])):
        if y.requires_grad:
            (y,) = torch.autograd.grad(y, t, create_graph=True, materialize_grads=True)
        else:
            y = torch.zeros_like(y)
        found.append(y.item())
    return found, weights


def different_series(f, leaves, order):
    """The orders in which `jet` and nested reverse mode differ, with both numbers."""
    rng = np.random.default_rng(0)
    series = [[like(x, rng) for _ in range(order)] for x in leaves]
    expected, weights = along_a_curve(f, leaves, series)
    values, terms = torch.func.jet(f, tuple(leaves), tuple(series))
    assert len(values) == len(weights) and all(len(one) == order for one in terms)
    wrong = []
    for k in range(order):
        found = weighed([one[k] for one in terms], weights).item()
        size = 1 + sum(one[k].abs().sum().item() for one in terms)
        if not abs(found - expected[k]) <= 1e-8 * max(size, abs(expected[k])):
            wrong.append((k + 1, found, expected[k]))
    return wrong


@pytest.mark.parametrize(("row", "call", "dtype"), CASES)
def test_power_series_are_nested_derivatives(row, call, dtype, request):
    order = 3 if request.node.get_closest_marker("slow") else 4
    assert not different_series(*as_function(row, call, dtype), order)


def recurrent():
    """A call of each op that has a recurrence for power series."""
    for case in FIRST:
        op = resolve(torch, case.values[0].name)
        if getattr(op, "series_rule", None) is not None:
            yield case


@pytest.mark.parametrize(("row", "call", "dtype"), list(recurrent()))
def test_recurrences_hold_to_order_8(row, call, dtype):
    assert not different_series(*as_function(row, call, dtype), 8)


# ---------------------------------------------------------------------------------- sparse matrices


def of_one_vector(f, leaves):
    """The function as one of some real numbers in a row, with some real numbers as its result."""
    pieces = [torch.view_as_real(x.resolve_conj()) if x.dtype.is_complex else x for x in leaves]
    sizes = [piece.numel() for piece in pieces]
    whole = torch.cat([piece.reshape(-1) for piece in pieces])
    rng = np.random.default_rng(0)
    places = np.sort(rng.permutation(len(whole))[:SMALL])
    # where each of all numbers is to be found beside those that vary
    where = np.arange(len(whole)) + len(places)
    where[places] = np.arange(len(places))
    where = torch.from_numpy(where)

    def run(x):
        parts = torch.cat([x, whole])[where].split(sizes)
        triples = zip(parts, pieces, leaves, strict=True)
        shaped = [(part.clone().reshape(piece.shape), leaf) for part, piece, leaf in triples]
        results = f(
            *(torch.view_as_complex(part) if leaf.dtype.is_complex else part for part, leaf in shaped)
        )
        parts = [torch.view_as_real(y.resolve_conj()) if y.dtype.is_complex else y for y in results]
        return torch.cat([part.reshape(-1) for part in parts])

    return run, whole[torch.from_numpy(places)]


def some_of(f, x):
    """The function with no more than RESULTS of its results."""
    count = f(x).numel()
    if count <= RESULTS:
        return f
    kept = torch.from_numpy(np.sort(np.random.default_rng(1).permutation(count)[:RESULTS]))
    return lambda x: f(x)[kept]


def compared(name, sparse, pattern, dense):
    """What is wrong with a sparse matrix or its pattern."""
    known = np.isfinite(dense)
    size = 1e-9 * (1 + np.abs(dense[known]).max(initial=0))
    lost = known & (np.abs(dense) > size) & ~pattern.toarray()
    if lost.any():
        return [f"{name}: {lost.sum()} entries are not in the pattern"]
    off = np.abs(sparse.toarray() - dense)[known]
    return [] if (off <= size).all() else [f"{name}: differs by {off.max()}"]


@pytest.mark.parametrize(("row", "call", "dtype"), CASES)
def test_sparse_matrices_are_the_dense_ones(row, call, dtype, request):
    f, x = of_one_vector(*as_function(row, call, dtype))
    few = some_of(f, x)
    dense = torch.autograd.functional.jacobian(few, x).numpy()
    wrong = compared(
        "Jacobian", torch.func.sparse_jacobian(few, x), torch.func.jacobian_sparsity(few, x), dense
    )
    if row.twice and not request.node.get_closest_marker("slow"):
        weights = like(f(x), np.random.default_rng(2))

        def scalar(x):
            return (f(x) * weights).sum()

        dense = torch.autograd.functional.hessian(scalar, x).numpy()
        wrong += compared(
            "Hessian", torch.func.sparse_hessian(scalar, x), torch.func.hessian_sparsity(scalar, x), dense
        )
    assert not wrong
