"""gather, scatter and their kin: dtypes, edge cases, errors and gradients beyond test_indexing.py."""

import pytest
from library import check, fn_name, leaf, pullback_only, torch, vec


def at(*values, dtype=None):
    return torch.tensor(values, dtype=dtype or torch.int64)


J = [[0, 2, 1, 0], [1, 1, 0, 2]]
Y = [[0.5, -1.0, 2.0, 1.5], [3.0, 0.25, -2.0, 1.0], [1.25, 2.5, -0.5, 0.75]]

WITH_TWO = [
    ("index_put", lambda x, y: x.index_put((at(2, 0),), y[:2])),
    ("index_put pairs", lambda x, y: x.index_put((at(0, 1), at(2, 3)), y[0, :2])),
    ("index_put sum", lambda x, y: x.index_put((at(1, 1, 0),), y, accumulate=True)),
    ("index_put mask", lambda x, y: x.index_put((x.detach() > 1,), y[0, 0])),
    ("index_add", lambda x, y: x.index_add(1, at(0, 0, 3), y[:, :3], alpha=2)),
    ("index_copy", lambda x, y: x.index_copy(1, at(3, 0), y[:, :2])),
    ("index_fill", lambda x, y: x.index_fill(0, at(1), y[0, 0])),
    ("masked_fill", lambda x, y: x.masked_fill(y.detach() > 1.1, y[0, 1])),
    ("masked_scatter", lambda x, y: x.masked_scatter(y.detach() > 1.1, y)),
    ("masked_select", lambda x, y: x.masked_select(y.detach()[0] > 0)),
    ("put", lambda x, y: x.put(at(11, 0, -2), y[0, :3])),
    ("put sum", lambda x, y: x.put(at(1, 1, -2), y[0, :3], accumulate=True)),
    ("scatter", lambda x, y: x.scatter(0, torch.tensor(J)[:1], y[:1])),
    ("scatter part", lambda x, y: x.scatter(1, torch.tensor([[3], [1]]), y[:2, :1])),
    ("scatter_add", lambda x, y: x.scatter_add(1, torch.tensor(J), y[:2])),
    ("sum", lambda x, y: x.scatter_reduce(0, torch.tensor(J), y[:2], "sum", include_self=False)),
    ("mean", lambda x, y: x.scatter_reduce(0, torch.tensor(J), y[:2], "mean")),
    ("mean of others", lambda x, y: x.scatter_reduce(0, torch.tensor(J), y[:2], "mean", include_self=False)),
    ("prod", lambda x, y: x.scatter_reduce(0, torch.tensor(J), y[:2], "prod")),
    ("prod of others", lambda x, y: x.scatter_reduce(0, torch.tensor(J), y[:2], "prod", include_self=False)),
    ("amax", lambda x, y: x.scatter_reduce(0, torch.tensor(J), y[:2], "amax")),
    ("amin of others", lambda x, y: x.scatter_reduce(0, torch.tensor(J), y[:2], "amin", include_self=False)),
    ("index_reduce", lambda x, y: x.index_reduce(0, at(1, 1, 0), y, "prod")),
    ("index_reduce mean", lambda x, y: x.index_reduce(0, at(1, 1, 0), y, "mean", include_self=False)),
    ("select_scatter", lambda x, y: x.select_scatter(y[0], 0, 2)),
    ("slice_scatter", lambda x, y: x.slice_scatter(y[:, :2], 1, 0, 4, 2)),
    ("diagonal_scatter", lambda x, y: x.diagonal_scatter(y[0, :3])),
    ("take", lambda x, y: x.take(torch.tensor([[0, 5], [5, -1]])) * y[0, 0]),
    ("gather", lambda x, y: x.gather(0, torch.tensor(J)) * y[:2]),
    ("setitem", lambda x, y: written(x, y)),
]


def written(x, y):
    z = x * 1
    z[1:, [0, 2]] = y[:2, :2]
    z[0] = y[2]
    return z


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize(("name", "function"), WITH_TWO, ids=[row[0] for row in WITH_TWO])
def test_gradients_of_both(name, function):
    x = torch.linspace(-2, 3, 12, dtype=torch.float64).reshape(3, 4).clone().requires_grad_()
    y = leaf(Y, torch.float64)
    assert torch.autograd.gradcheck(function, (x, y))
    assert torch.autograd.gradgradcheck(function, (x, y))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.complex64, torch.int32])
def test_sums_in_every_dtype(dtype):
    x = torch.zeros(3, dtype=dtype)
    values = torch.tensor([1, 2, 3, 4]).to(dtype)
    index = at(0, 2, 0, 0)
    for got in (
        x.index_add(0, index, values),
        x.scatter_add(0, index, values),
        x.index_put((index,), values, accumulate=True),
        x.put(index, values, accumulate=True),
    ):
        assert got.dtype is dtype
        check(got.to(torch.complex64).real, [8, 0, 2])


def test_half_sums_are_rounded_once():
    ones = torch.ones(4096, dtype=torch.float16)
    index = torch.zeros(4096, dtype=torch.int64)
    assert torch.zeros(1, dtype=torch.float16).index_put((index,), ones, accumulate=True).item() in (
        4096.0,
        2048.0,
    )


def test_sums_are_the_same_each_time():
    torch.manual_seed(1)
    index, values = torch.randint(0, 7, (1000,)), torch.randn(1000)
    runs = [torch.zeros(7).index_add(0, index, values).tolist() for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]


def test_products_with_zeros():
    x, y = vec(2, 3), leaf([0.0, 4.0, 5.0])
    z = x.scatter_reduce(0, at(0, 0, 1), y, "prod")
    z.sum().backward()
    check(z, [0, 15])
    check(y.grad, [8, 0, 3])


def test_ties_share_the_gradient():
    x, y = leaf([2.0, 1.0]), leaf([2.0, 2.0, 0.0])
    x.scatter_reduce(0, at(0, 0, 1), y, "amax").sum().backward()
    check(x.grad, [1 / 3, 1])
    check(y.grad, [1 / 3, 1 / 3, 0])


def test_of_several_writes_to_an_untouched_rest():
    x = torch.zeros(2, 3)
    x.scatter_(1, torch.tensor([[2], [0]]), 5.0)
    check(x, [[0, 0, 5], [5, 0, 0]])
    x.masked_fill_(x > 0, 1).index_fill_(0, at(1), 7)
    check(x, [[0, 0, 1], [7, 7, 7]])
    x.masked_scatter_(x > 5, vec(1, 2, 3, 4))
    check(x, [[0, 0, 1], [1, 2, 3]])


WRONG = [
    lambda x: x.scatter_(1, torch.tensor([[0, 9], [1, 0]]), 5.0),
    lambda x: x.scatter_add_(0, torch.tensor([[0, 1, 0], [1, 0, 9]]), torch.ones(2, 3)),
    lambda x: x.scatter_reduce_(1, torch.tensor([[0, 9]]), torch.ones(1, 2), "amin"),
    lambda x: x.index_add_(1, at(0, 9), torch.ones(2, 2)),
    lambda x: x.index_copy_(0, at(0, 9), torch.ones(2, 3)),
    lambda x: x.index_fill_(0, at(1, 9), 5.0),
    lambda x: x.index_put_((at(0, 9),), torch.ones(3)),
    lambda x: x.index_put_((at(0, 9),), torch.ones(3), True),
    lambda x: x.put_(at(0, 9), torch.ones(2)),
    lambda x: x.masked_scatter_(x == 2, torch.ones(2)),
]


@pullback_only("PyTorch leaves what was written before an index is found to be wrong")
@pytest.mark.parametrize("order", ["rows", "columns"])
@pytest.mark.parametrize("write", WRONG)
def test_what_is_refused_writes_nothing(write, order):
    x = torch.full((2, 3), 2.0) if order == "rows" else torch.full((3, 2), 2.0).t()
    with pytest.raises((RuntimeError, IndexError)):
        write(x)
    check(x, [[2, 2, 2], [2, 2, 2]])


def test_writes_in_place_from_what_is_written_to():
    """The source may lie in the tensor's own memory."""
    x = torch.arange(6.0)
    x[1:].copy_(x[:-1].clone())
    y = torch.arange(6.0)
    y.index_copy_(0, at(1, 2, 3, 4, 5), y[:5].clone())
    check(y, x.tolist())
    z = torch.arange(4)
    z.scatter_(0, z.flip(0), z * 10)
    check(z, [30, 20, 10, 0])
    w = torch.tensor([1, 0, 3, 2])
    w.index_put_((w.clone(),), w + 5)
    check(w, [5, 6, 7, 8])


@pytest.mark.parametrize("cut", [lambda x: x, lambda x: x.t(), lambda x: x[:, ::2], lambda x: x[1:]])
def test_in_place_is_as_the_copy(cut):
    """Whatever the layout of the tensor that is written to."""
    torch.manual_seed(0)
    base = torch.randn(6, 6)
    rows, columns = cut(base).shape
    index, places = torch.randint(0, columns, (rows, 4)), torch.randint(0, rows, (5,))
    values, slices = torch.randn(rows, 4), torch.randn(5, columns)
    for name, args in [
        ("scatter_add", (1, index, values)),
        ("scatter", (1, index[:, :1], values[:, :1])),
        ("scatter_reduce", (1, index, values, "mean")),
        ("index_add", (0, places, slices)),
        ("index_fill", (1, index[0], 3.0)),
        ("index_put", ((places,), slices, True)),
        ("put", (places, slices[:, 0], True)),
        ("masked_fill", (cut(base) > 0, -1.0)),
        ("masked_scatter", (cut(base) > 0, torch.randn(36))),
    ]:
        written = base.clone()
        wanted = getattr(cut(base), name)(*args)
        assert getattr(cut(written), f"{name}_")(*args).equal(wanted), name
        check(cut(written), wanted.tolist())


def test_scalars():
    s = torch.tensor(3.0)
    check(s.gather(0, at(0, 0)), [3, 3])
    check(s.index_select(0, at(0)), 3.0)
    check(s.take(at(0)), [3])
    check(torch.tensor(1.0).scatter_add(0, at(0, 0), vec(1, 2)), 4.0)


def test_nonzero():
    x = torch.tensor([[0, 5], [7, 0]])
    check(x.nonzero(), [[0, 1], [1, 0]])
    check(torch.argwhere(x), [[0, 1], [1, 0]])
    rows, columns = x.nonzero(as_tuple=True)
    check(rows, [0, 1])
    check(columns, [1, 0])
    assert torch.tensor(1).nonzero().shape == (1, 0)


def test_changed_indices_are_detected():
    x, index = leaf([1.0, 2.0]), at(0, 1)
    for picked in (x[index], x.index_select(0, index), x.gather(0, index)):
        index.zero_()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            picked.sum().backward()
        index = at(0, 1)


def test_names():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    assert fn_name(x.masked_fill(x > 2, torch.tensor(0.0))) == "MaskedFillBackward1"
    assert fn_name(x.index_fill(0, at(0), torch.tensor(0.0))) == "IndexFillBackward1"
    assert fn_name(x.scatter(0, at([0, 1]), 1.0)) == "ScatterBackward1"


X = torch.zeros(3, 4)
ERRORS = [
    (lambda: X.gather(0, torch.tensor(J) + 5), RuntimeError, "index 5 is out of bounds for"),
    (lambda: X.gather(0, at(0)), RuntimeError, "same number of dimensions as input tensor"),
    (lambda: X.gather(0, torch.zeros(1, 1)), RuntimeError, "Expected dtype int32/int64 for index"),
    (lambda: X.index_select(0, at(3)), IndexError, "index out of range in self"),
    (lambda: X.index_select(0, at([0])), IndexError, "Index is supposed to be a vector"),
    (lambda: X.take(at(12)), IndexError, "tried to access index 12 on a tensor of 12 elements"),
    (lambda: X.masked_fill(X, 1), RuntimeError, "only supports boolean masks"),
    (lambda: X.masked_select(X), RuntimeError, "expected BoolTensor for mask"),
    (lambda: X.masked_scatter(X == 0, vec(1)), RuntimeError, "elements of source < number of"),
    (lambda: X.index_add(0, at(0), X), RuntimeError, r"Number of indices \(1\) should be equal"),
    (lambda: X.index_copy(0, at(5), X[:1]), IndexError, "index 5 is out of bounds for dim"),
    (lambda: X.index_put((at(0),), X), RuntimeError, "cannot be broadcast to indexing result"),
    (lambda: X.index_put((at(0),), X[:1, None]), RuntimeError, r"shape \[1, 1, 4\] cannot be broadcast"),
    (lambda: X.index_put((at(0),), X[:1, None], True), RuntimeError, r"indexing result of shape \[1, 4\]"),
    (lambda: X.index_put((X[:, 0] == 0,), X[None]), RuntimeError, "cannot be broadcast to indexing"),
    (lambda: X.scatter(0, torch.tensor(J), X[:1]), RuntimeError, "to be no larger size than src"),
    (lambda: X.scatter_add(0, torch.tensor(J), X.double()), RuntimeError, "to be equal to src.dty"),
    (lambda: X.scatter_reduce(0, torch.tensor(J), X, "foo"), RuntimeError, "got foo"),
    (lambda: X.select_scatter(X[0], 1, 0), RuntimeError, "a size equal to the slice of self"),
    (lambda: X.__setitem__(0, [1, 2, 3, 4]), TypeError, "can't assign a list to a torch.FloatT"),
    (lambda: X[at(0).double()], IndexError, "must be long, int, byte or bool tensors"),
    (lambda: X[::-1], ValueError, "step must be greater than zero"),
    (lambda: X["a"], TypeError, "invalid data type 'str'"),
    (lambda: X[0, 0, 0], IndexError, "too many indices for tensor of dimension 2"),
    (lambda: X[torch.tensor([True])], IndexError, r"The shape of the mask \[1\] at index 0"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_empty_index_may_have_more_dims():
    x = torch.rand(5, requires_grad=True)
    y = x.gather(0, torch.empty(2, 0, dtype=torch.int64))
    assert y.shape == (2, 0)
    y.sum().backward()
    assert x.grad.tolist() == [0.0] * 5
