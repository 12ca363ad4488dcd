"""Reductions, scans, sorting: values, dtypes, the edges, and gradients against finite differences.

A row of SMOOTH is an expression in `x`; its first and second derivatives are compared with
differences of its values and of its gradients. What is not smooth (ties, NaN, empty dims, indices)
has tests of its own below.
"""

import math
import pickle

import numpy as np
import pytest
from library import check, fn_name, leaf, pullback_only, torch, vec

NAN, INF = math.nan, math.inf
MATRIX = [[0.5, -1.25, 0.75, 2.0], [1.5, 0.25, -0.5, 1.0], [-2.0, 0.875, 3.0, -0.75]]
WITH_ZEROS = [[0.0, -1.25, 0.75, 2.0], [1.5, 0.0, 0.0, 1.0], [-2.0, 0.875, 3.0, 0.0]]
SMOOTH = [
    "x.sum()",
    "x.sum(0)",
    "x.sum((0, 1), True)",
    "x.nansum(1)",
    "x.mean()",
    "x.mean(-1, keepdim=True)",
    "x.nanmean(0)",
    "x.prod()",
    "x.prod(1)",
    "x.var()",
    "x.var(0, unbiased=False)",
    "x.std(1, keepdim=True)",
    "x.std((0, 1), correction=0.5)",
    "torch.var_mean(x, 0)",
    "torch.std_mean(x)",
    "x.logsumexp(0)",
    "x.logsumexp((0, 1), True)",
    "x.softmax(0)",
    "x.log_softmax(1)",
    "x.norm()",
    "x.norm(3, 0)",
    "x.norm(1.5, 1)",
    "x.norm(1, 0)",
    "x.norm(INF, 1)",
    "x.renorm(2, 0, 1.5)",
    "torch.dist(x, x.flip(0), 3)",
    "torch.linalg.vector_norm(x, 2.5, dim=1)",
    "x[:, :3].trace()",
    "x.cumsum(1)",
    "x.cumprod(0)",
    "x.logcumsumexp(1)",
    "x.cummax(1)",
    "x.cummin(0)",
    "x.diff(n=2)",
    "torch.trapezoid(x, dx=0.5)",
    "torch.cumulative_trapezoid(x, torch.tensor([0.0, 1, 3, 7], dtype=torch.float64))",
    "x.max()",
    "x.min(1)",
    "x.amax(0)",
    "x.aminmax(dim=1)",
    "x.median()",
    "x.median(0)",
    "x.kthvalue(2, 0)",
    "x.sort(0, descending=True)",
    "x.topk(2)",
    "x.msort()",
    "x.quantile(0.4, 1)",
    "x.nanquantile(torch.tensor([0.25, 0.6], dtype=x.dtype), 0)",
    "x.sum_to_size(1, 4)",
]
REAL_ONLY = ("nansum", "nanmean", "softmax", "max", "min", "median", "kth", "sort", "topk", "quant")
COMPLEX = [e for e in SMOOTH if not any(word in e for word in REAL_ONLY)]


def floats(result):
    """The results that have a gradient."""
    found = result if isinstance(result, tuple) else (result,)
    return [t for t in found if t.is_floating_point() or t.is_complex()]


def scalar(expression, x):
    """A number made of all elements of the results, each weighted differently."""
    total = 0.0
    for t in floats(eval(expression, {"torch": torch, "x": x, "INF": INF})):
        weights = torch.arange(1, t.numel() + 1, dtype=torch.float64).cos().reshape(t.shape)
        if t.is_complex():
            weights = torch.complex(weights, weights + 0.5)
            total = total + (t * weights).real.sum()
        else:
            total = total + (t * weights).sum()
    return total


def gradient(expression, x, create_graph=False):
    (g,) = torch.autograd.grad(scalar(expression, x), x, create_graph=create_graph)
    return g


def differences(function, point, step=1e-6):
    """Central differences of a function of an array, a complex one in both directions."""
    found = np.zeros(point.shape, point.dtype)
    for at in np.ndindex(*point.shape):
        for unit in (1.0, 1j) if point.dtype.kind == "c" else (1.0,):
            away = np.zeros(point.shape, point.dtype)
            away[at] = unit * step
            found[at] += unit * (function(point + away) - function(point - away)) / (2 * step)
    return found


def tensor_of(array):
    return torch.tensor(array.tolist(), dtype=torch.complex128 if array.dtype.kind == "c" else torch.float64)


def check_gradients(expression, point):
    point = np.asarray(point)
    x = tensor_of(point).requires_grad_()
    first = differences(lambda p: scalar(expression, tensor_of(p)).item(), point)
    check(gradient(expression, x), first, rtol=1e-6, atol=1e-7)

    def slope(p):
        z = tensor_of(p).requires_grad_()
        g = gradient(expression, z)
        return (g * g.conj()).real.sum().item()

    g = gradient(expression, x, create_graph=True)
    square = (g * g.conj()).real.sum()
    if not square.requires_grad:
        return  # linear: no second derivative
    (second,) = torch.autograd.grad(square, x, allow_unused=True, materialize_grads=True)
    check(second + torch.zeros_like(x), differences(slope, point), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("expression", SMOOTH)
def test_gradients(expression):
    check_gradients(expression, MATRIX)


@pytest.mark.parametrize("expression", COMPLEX)
def test_complex_gradients(expression):
    check_gradients(expression, np.array(MATRIX) + 1j * np.array(MATRIX)[::-1] * 0.7)


@pytest.mark.parametrize("expression", ["x.prod()", "x.prod(0)", "x.prod(1)", "x.cumprod(0)"])
def test_products_of_zeros(expression):
    check_gradients(expression, WITH_ZEROS)


def test_third_derivative_of_a_product_at_zero():
    x = leaf([0.0, 0.0, 0.0, 5.0])
    y = x.prod()
    for place in range(3):
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        y = g[place]
    assert y.item() == 5.0


# ----------------------------------------------------------------------------------- values, dtypes


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("name", ["sum", "prod", "nansum", "cumsum", "cumprod"])
def test_integers_become_int64(name, dtype):
    x = torch.ones(3, dtype=getattr(torch, dtype))
    assert getattr(x, name)(0).dtype is torch.int64
    assert getattr(x, name)(dim=0, dtype=torch.float64).dtype is torch.float64


def test_empty_dim_reduces_all_but_for_all_and_any():
    x = torch.ones(2, 3)
    assert x.sum(dim=()).shape == x.mean([]).shape == x.amax(()).shape == ()
    assert x.sum(dim=[], keepdim=True).shape == (1, 1)
    assert x.all(dim=()).shape == x.any(()).shape == (2, 3)


def test_nothing_to_reduce():
    x = torch.ones(0, 3)
    check(x.sum(0), [0, 0, 0])
    check(x.prod(0), [1, 1, 1])
    check(x.mean(0), [NAN] * 3)
    check(x.logsumexp(0), [-INF] * 3)
    assert x.amax(1).shape == x.max(1).values.shape == x.softmax(0).sum(1).shape == (0,)
    assert bool(x.all()) and not bool(x.any())
    check(torch.ones(0).median(), NAN)


def test_a_zero_dim_tensor_has_dim_zero():
    x = leaf(2.0)
    for value in (x.sum(0), x.mean(-1), x.prod(0), x.max(0)[0], x.sort()[0], x.cumsum(0)):
        assert value.shape == () and value.item() == 2.0
    assert x.argmax(0).item() == x.topk(1).indices.item() == 0
    check(x.softmax(0), 1.0)


@pytest.mark.parametrize("shape", [(10**6,), (1000, 1000), (10, 10**5, 2)])
def test_float_sums_stay_accurate(shape):
    x = torch.full(shape, 0.1)
    unit = torch.tensor(0.1).item()
    for t, dim in ((x, None), (x, 0), (x, -1), (x.movedim(0, -1), 0), (x.movedim(0, -1), -1)):
        total = t.sum() if dim is None else t.sum(dim)
        count = t.numel() / total.numel()
        assert abs(total.double() / (unit * count) - 1).max().item() < 1e-5
    if len(shape) == 3:
        check(x.sum(1), np.full((10, 2), unit * 1e5), rtol=1e-5)


def test_uint8_truth_stays_uint8():
    x = torch.tensor([[1, 0], [2, 3]], dtype=torch.uint8)
    assert x.all(0).dtype is x.any().dtype is torch.uint8
    check(x.all(0), [1, 0])
    assert torch.ones(2).all().dtype is torch.bool


@pytest.mark.parametrize("name", ["max", "min", "amax", "amin"])
def test_nan_wins(name):
    x = vec(1.0, NAN, 2.0)
    assert math.isnan(getattr(x, name)().item())
    assert getattr(x, "arg" + name[-3:])().item() == 1
    assert torch.tensor([[1.0, NAN]]).max(1).indices.item() == 1


def test_ties_share_the_gradient_where_there_are_no_indices():
    for function in (torch.max, torch.amax, lambda x: x.aminmax().max, lambda x: x.norm(INF)):
        x = leaf([1.0, 3.0, 3.0])
        function(x).backward()
        check(x.grad, [0, 0.5, 0.5])
    x = leaf([3.0, 1.0, 3.0])
    x.max(0).values.backward()
    check(x.grad, [1, 0, 0])
    x = leaf([2.0, 2.0, 1.0])
    x.median().backward()
    check(x.grad, [0.5, 0.5, 0])


@pullback_only("PyTorch takes powers without scaling")
@pytest.mark.parametrize("p", [2, 3, 1.5])
@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e-310])
def test_norms_neither_overflow_nor_vanish(p, scale):
    x = torch.tensor([3.0, 4.0], dtype=torch.float64)
    x = (x * scale).requires_grad_()
    y = x.norm(p)
    expected = (3**p + 4**p) ** (1 / p)
    assert abs(y.item() / scale / expected - 1) < 1e-9
    y.backward()
    check(x.grad, [(3 / expected) ** (p - 1), (4 / expected) ** (p - 1)], rtol=1e-9)


@pytest.mark.parametrize("function", [torch.norm, torch.std, lambda x: x.norm(3)])
def test_gradient_is_zero_where_norm_or_deviation_is(function):
    x = leaf([0.0, 0.0])
    function(x).backward()
    check(x.grad, [0, 0])


@pullback_only("PyTorch gives NaN")
def test_second_derivative_at_the_zero_norm():
    x = leaf([0.0, 0.0])
    (g,) = torch.autograd.grad(x.norm(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    check(h, [0, 0])


def test_exponentials_do_not_overflow():
    x = vec(1000.0, 1000.0)
    check(x.logsumexp(0), 1000 + math.log(2))
    check(x.logcumsumexp(0), [1000, 1000 + math.log(2)])
    check(x.softmax(0), [0.5, 0.5])


@pullback_only("PyTorch gives NaN")
def test_gradient_of_a_sum_that_begins_with_nothing():
    x = leaf([-INF, 0.0, 1.0])
    x.logcumsumexp(0)[1:].sum().backward()
    check(x.grad, [0, 1 + 1 / (1 + math.e), math.e / (1 + math.e)])


def test_variance_says_how_many_it_divides_by():
    x = vec(1.0, 2.0, 4.0)
    check(x.var(), 7 / 3)
    check(x.var(unbiased=False), 14 / 9)
    check(x.var(correction=2), 14 / 3)
    variance, mean = torch.var_mean(torch.tensor([1 + 1j, 2]))
    check(variance, 1.0)
    check(mean, 1.5 + 0.5j)
    with pytest.warns(UserWarning, match="degrees of freedom is <= 0"):
        assert math.isnan(vec(1.0).std().item())


# ------------------------------------------------------------------------------- order and counting


def test_sort_is_stable_and_puts_nan_last():
    x = vec(2.0, NAN, 1.0, 2.0)
    check(x.sort(stable=True).indices, [2, 0, 3, 1])
    check(x.argsort(stable=True), [2, 0, 3, 1])
    check(torch.sort(x, descending=True, stable=True).indices, [1, 0, 3, 2])
    check(x.topk(2).values, [NAN, 2])
    check(x.topk(2, largest=False).values, [1, 2])


def test_topk_of_many():
    x = torch.arange(1000.0).flip(0).reshape(2, 500)
    check(x.topk(3).indices, [[0, 1, 2]] * 2)
    check(x.topk(3, largest=False).values, [[500, 501, 502], [0, 1, 2]])
    check(x.topk(1, 0).values, [list(range(999, 499, -1))])


def test_the_sets():
    x = torch.tensor([[3, 1, 3], [1, 2, 3]])
    values, inverse, counts = x.unique(return_inverse=True, return_counts=True)
    check(values, [1, 2, 3])
    check(inverse, [[2, 0, 2], [0, 1, 2]])
    check(counts, [2, 1, 3])
    rows = torch.tensor([[3, 1], [1, 2], [3, 1]])
    values, inverse = rows.unique(dim=0, return_inverse=True)
    check(values, [[1, 2], [3, 1]])
    check(inverse, [1, 0, 1])
    values, counts = torch.tensor([1, 1, 2, 1]).unique_consecutive(return_counts=True)
    check(values, [1, 2, 1])
    check(counts, [2, 1, 1])
    assert vec(NAN, NAN).unique().numel() == 2
    with pytest.raises(NotImplementedError, match="the derivative for '_unique2'"):
        leaf([1.0, 2.0]).unique().sum().backward()


def test_places_and_counts():
    bounds = torch.tensor([[1, 3, 5], [0, 1, 9]])
    values = torch.tensor([[3, 6], [1, -1]])
    check(torch.searchsorted(bounds, values), [[1, 3], [1, 0]])
    check(torch.searchsorted(bounds, values, right=True), [[2, 3], [2, 0]])
    check(torch.bucketize(values, bounds[0]), [[1, 3], [0, 0]])
    sorter = torch.tensor([2, 1, 0])
    check(torch.searchsorted(torch.tensor([5, 3, 1]), values[0], sorter=sorter), [1, 3])
    assert torch.bucketize(values, bounds[0], out_int32=True).dtype is torch.int32
    check(torch.bincount(torch.tensor([1, 2, 1]), vec(1.0, 2.0, 3.0), minlength=4), [0, 4, 2, 0])
    check(vec(1.0, 2.0, 1.0, 9.0).histc(4, 0, 4), [0, 2, 1, 0])
    check(torch.isin(values, torch.tensor([3, -1])), [[True, False], [False, True]])


def test_medians_quantiles_mode():
    x = vec(3.0, NAN, 1.0, 2.0, 1.0)
    assert math.isnan(x.median().item()) and x.median(0).indices.item() == 1
    assert x.nanmedian().item() == 1.0
    check(x.nanquantile(0.5), 1.5)
    check(x.quantile(0.5), NAN)
    mode = vec(3.0, 2.0, 1.0, 2.0, 1.0).mode()
    assert (mode.values.item(), mode.indices.item()) == (1.0, 4)
    y = vec(1.0, 2.0, 3.0, 4.0)
    for how, value in (("lower", 2), ("higher", 3), ("midpoint", 2.5), ("nearest", 2)):
        check(y.quantile(0.4, interpolation=how), value)
    check(y.quantile(vec(0.0, 0.5, 1.0)), [1, 2.5, 4])
    assert y.reshape(2, 2).quantile(vec(0.5, 1.0), 1, True).shape == (2, 2, 1)


def test_running_extremes_point_to_the_last_of_equals():
    values, indices = torch.tensor([1.0, 3.0, 3.0, NAN, 5.0]).cummax(0)
    check(values, [1, 3, 3, NAN, NAN])
    check(indices, [0, 1, 2, 3, 3])


def test_differences_of_booleans_and_with_ends():
    check(torch.tensor([True, False, False]).diff(), [True, False])
    x = torch.tensor([1, 4, 9])
    check(x.diff(prepend=torch.tensor([0]), append=torch.tensor([1])), [1, 3, 5, -8])
    assert x.diff(n=5).shape == (0,)


# -------------------------------------------------------------------------- named tuples and `out=`


def test_named_tuples():
    found = torch.tensor([[1.0, 5.0]]).max(1)
    assert isinstance(found, tuple) and isinstance(found, torch.return_types.max)
    assert found.values is found[0] and found.indices is found[1]
    assert repr(torch.return_types.max((1, 2))) == "torch.return_types.max(\nvalues=1,\nindices=2)"
    assert type(found[:1]) is tuple
    assert pickle.loads(pickle.dumps(torch.return_types.sort((1, 2)))) == (1, 2)
    match found:
        case torch.return_types.max(values, _):
            assert values is found.values
    with pytest.raises(TypeError, match=r"takes a 2-sequence \(3-sequence given\)"):
        torch.return_types.max((1, 2, 3))


def test_out():
    x = torch.tensor(MATRIX)
    out = torch.empty(4)
    assert torch.sum(x, 0, out=out) is out
    check(out, np.sum(MATRIX, 0), rtol=1e-6)
    pair = (torch.empty(3), torch.empty(3, dtype=torch.int64))
    found = torch.max(x, 1, out=pair)
    assert found.values is pair[0] and type(found).__name__ == "max_out"
    check(pair[1], np.argmax(MATRIX, 1))
    ordered = torch.empty(3, 4)
    assert torch.msort(x, out=ordered) is ordered
    check(ordered, np.sort(MATRIX, 0))


def test_in_place_scans():
    x = leaf([1.0, 2.0, 3.0])
    y = x * 1
    assert y.cumsum_(0) is y and fn_name(y) == "CumsumBackward0"
    y.cumprod_(0).sum().backward()
    check(y, [1, 3, 18])
    check(x.grad, [32, 10, 3])


def test_numpy_names_of_keywords():
    x = torch.ones(2, 3)
    assert x.sum(axis=0, keepdims=True).shape == (1, 3)
    assert x.amax(axis=1).shape == (2,)
    assert torch.std(x, axis=1, keepdim=True).shape == (2, 1)


def test_integrals_by_trapezoids_of_what_is_infinite():
    """All points are summed, and half of the ends is taken away."""
    inf = float("inf")
    assert torch.trapezoid(torch.tensor([1.0, inf, 2.0])) == inf
    assert torch.trapezoid(torch.tensor([inf, 1.0, 2.0])).isnan()
    assert torch.trapezoid(torch.tensor([[1.0, 2.0], [3.0, 5.0]]), dx=0.5, dim=0).tolist() == [1, 1.75]


@pytest.mark.parametrize("n", [2, 3, 7])
def test_sums_over_short_rows(n):
    x = torch.arange(40.0 * n).reshape(4, 10, n) ** 2
    for dims in (-1, (1, 2)):
        expected = x.numpy().astype("float64").sum(dims)
        assert abs(x.sum(dims).numpy() - expected).max() <= 1e-6 * expected.max()
    assert (x.amax(-1) == x[..., -1]).all() and (x.mean(-1) >= x[..., 0]).all()
