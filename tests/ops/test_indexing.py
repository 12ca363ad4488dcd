"""Reading and writing by index: shapes, values, views and gradients.

The index tables are applied to one tensor of shape (3, 4, 5) and compared with NumPy where the two
agree; where PyTorch differs from NumPy, the expected shape is written out. Reading and writing,
and the gradient of both, go over the same tables.
"""

import math

import numpy as np
import pytest
from library import check, fn_name, leaf, torch, vec

SHAPE = (3, 4, 5)
ARRAY = np.arange(60, dtype=np.float64).reshape(SHAPE)
rows, columns = np.array([0, 2]), np.array([[1], [2]])
mask3, mask34 = np.array([True, False, True]), ARRAY[:, :, 0] % 3 == 0

BASIC = [
    ("int", 1),
    ("negative", -1),
    ("int int", (1, 2)),
    ("all ints", (1, 2, -3)),
    ("slice", slice(1, 3)),
    ("step", slice(None, None, 2)),
    ("beyond the end", slice(1, 100)),
    ("negative bounds", slice(-2, -1)),
    ("empty", slice(2, 1)),
    ("ellipsis", ...),
    ("ellipsis int", (..., 2)),
    ("int ellipsis int", (1, ..., 2)),
    ("None", None),
    ("None inside", (1, None, slice(None), None)),
    ("slice int slice", (slice(None), 2, slice(1, None, 2))),
    ("empty tuple", ()),
    ("slices", (slice(0, 2), slice(1, None), slice(None, -1))),
    ("numpy int", np.int64(1)),
]

ADVANCED = [
    ("vector", rows),
    ("list", [0, 2]),
    ("negative values", np.array([-1, 0])),
    ("repeated", np.array([1, 1, 0, 1])),
    ("matrix", columns),
    ("two vectors", (rows, np.array([1, 3]))),
    ("broadcast pair", (rows, columns)),
    ("three", (rows, np.array([1, 3]), np.array([0, 4]))),
    ("after a slice", (slice(None), np.array([3, 0, 3]))),
    ("after an ellipsis", (..., np.array([4, 0]))),
    ("slice between", (rows, slice(None), np.array([0, 4]))),
    ("slice first, two after", (slice(1, 3), rows, rows)),
    ("mask of dim 0", mask3),
    ("mask of dims 0 and 1", mask34),
    ("whole mask", ARRAY % 7 == 0),
    ("mask nothing", np.zeros(3, dtype=bool)),
    ("mask in dim 1", (slice(None), np.array([True, False, False, True]))),
    ("mask and vector", (mask3, np.array([1, 3]))),
    ("with None", (None, rows, None)),
    ("None and vector pair", (rows, None, np.array([1, 3]))),
    ("empty vector", np.array([], dtype=np.int64)),
    ("uint8 mask of one", np.array([2])),
    ("nested lists", ([0, 2], [1, 3])),
    ("slice, vector, slice", (slice(0, 2), rows, slice(None, None, 2))),
    ("step slice, vector", (slice(None, None, 2), rows)),
]

# An int beside an index tensor is a basic index first, as in NumPy, except for where the
# result's dims go: the expected shapes are PyTorch's.
MIXED = [
    ("int, vector", (1, rows), (2, 5)),
    ("vector, int", (rows, 1), (2, 5)),
    ("int, slice, vector", (1, slice(None), rows), (4, 2)),
    ("vector, slice, int", (rows, slice(None), 1), (2, 4)),
    ("slice, int, vector", (slice(None), 1, rows), (3, 2)),
    ("int, None, vector", (1, None, rows), (1, 2, 5)),
    ("0-d tensor, slice, vector", (np.array(1), slice(None), rows), (4, 2)),
]

EVERY = [row[:2] for row in BASIC + ADVANCED + MIXED]
IDS = [row[0] for row in EVERY]


def to_torch(index):
    """The same index with every NumPy array made a tensor."""
    if isinstance(index, tuple):
        return tuple(to_torch(part) for part in index)
    return torch.from_numpy(index) if isinstance(index, np.ndarray) else index


def positions(index):
    """The flat positions that the index picks, from indexing a tensor of positions."""
    return torch.arange(60).reshape(SHAPE)[to_torch(index)]


@pytest.mark.parametrize(("name", "index"), BASIC + ADVANCED, ids=[r[0] for r in BASIC + ADVANCED])
def test_reading_as_numpy(name, index):
    check(torch.from_numpy(ARRAY)[to_torch(index)], ARRAY[index])


@pytest.mark.parametrize(("name", "index", "shape"), MIXED, ids=[row[0] for row in MIXED])
def test_reading_where_numpy_differs(name, index, shape):
    found = torch.from_numpy(ARRAY)[to_torch(index)]
    assert tuple(found.shape) == shape
    assert sorted(found.flatten().tolist()) == sorted(ARRAY[index].ravel().tolist())


@pytest.mark.parametrize(("name", "index"), EVERY, ids=IDS)
def test_gradient_of_reading(name, index):
    """The gradient puts each weight back where its element came from, repeated ones summed."""
    x = torch.from_numpy(ARRAY).clone().requires_grad_()
    out = x[to_torch(index)]
    weights = torch.arange(1.0, out.numel() + 1, dtype=torch.float64).reshape(out.shape)
    (out * weights).sum().backward()
    expected = np.zeros(60)
    np.add.at(
        expected,
        np.asarray(positions(index).flatten().tolist(), dtype=int),
        weights.numpy().ravel(),
    )
    check(x.grad, expected.reshape(SHAPE))


@pytest.mark.parametrize(("name", "index"), EVERY, ids=IDS)
def test_writing_a_number(name, index):
    x = torch.from_numpy(ARRAY.copy())
    x[to_torch(index)] = -1
    expected = ARRAY.copy().ravel()
    expected[np.asarray(positions(index).flatten().tolist(), dtype=int)] = -1
    check(x, expected.reshape(SHAPE))


# Which of several writes to one place wins is not said, so repeated indices are left out.
@pytest.mark.parametrize(
    ("name", "index"),
    [row for row in EVERY if row[0] != "repeated"],
    ids=[name for name in IDS if name != "repeated"],
)
def test_writing_values_and_their_gradient(name, index):
    x = torch.from_numpy(ARRAY).clone().requires_grad_()
    y = x * 1
    where = positions(index)
    value = -torch.arange(1.0, where.numel() + 1, dtype=torch.float64).reshape(where.shape)
    value.requires_grad_()
    y[to_torch(index)] = value
    picked = np.asarray(where.flatten().tolist(), dtype=int)
    expected = ARRAY.copy().ravel()
    expected[picked] = value.detach().numpy().ravel()
    check(y, expected.reshape(SHAPE))
    weights = torch.arange(60.0, dtype=torch.float64).reshape(SHAPE)
    (y * weights).sum().backward()
    kept = np.arange(60.0)
    kept[picked] = 0
    check(x.grad, kept.reshape(SHAPE))
    check(value.grad, where.double().tolist())


@pytest.mark.parametrize(("name", "index"), BASIC, ids=[row[0] for row in BASIC])
def test_basic_indexing_makes_views(name, index):
    x = torch.from_numpy(ARRAY.copy())
    view = x[to_torch(index)]
    view.fill_(-1)
    assert view.numel() == (x == -1).sum().item()
    wide = [dim for dim, size in enumerate(view.shape) if size > 1]
    strides = ARRAY[index].strides
    assert [view.stride(dim) for dim in wide] == [strides[dim] // 8 for dim in wide]


@pytest.mark.parametrize(("name", "index"), ADVANCED, ids=[row[0] for row in ADVANCED])
def test_advanced_indexing_copies(name, index):
    x = torch.from_numpy(ARRAY.copy())
    x[to_torch(index)].fill_(-1)
    assert (x >= 0).all()


NAMES = [
    ("int", lambda x: x[0], "SelectBackward0"),
    ("slice", lambda x: x[1:], "SliceBackward0"),
    ("None", lambda x: x[None], "UnsqueezeBackward0"),
    ("ellipsis", lambda x: x[...], "AliasBackward0"),
    ("whole slice", lambda x: x[:], "SliceBackward0"),
    ("list", lambda x: x[[0, 1]], "IndexBackward0"),
    ("mask", lambda x: x[x > 0], "IndexBackward0"),
    ("0-d tensor", lambda x: x[torch.tensor(1)], "SelectBackward0"),
    ("True", lambda x: x[True], "IndexBackward0"),
    ("int of slice", lambda x: x[1:, 0], "SelectBackward0"),
]


@pytest.mark.parametrize(("name", "read", "expected"), NAMES, ids=[row[0] for row in NAMES])
def test_grad_fn_of_reading(name, read, expected):
    assert fn_name(read(leaf([[1.0, 2.0], [3.0, 4.0]]))) == expected


def test_zero_dim_tensors_as_indices():
    x = torch.arange(12.0).reshape(3, 4)
    check(x[torch.tensor(1)], [4, 5, 6, 7])
    check(x[torch.tensor(1), torch.tensor(2)], 6.0)
    check(x[torch.tensor(True)], x[None].tolist())
    assert x[torch.tensor(False)].shape == (0, 3, 4)
    assert x[True].shape == (1, 3, 4) and x[False].shape == (0, 3, 4)
    check(x[torch.tensor(1) : torch.tensor(3)], x[1:3].tolist())


def test_integer_kinds_of_index():
    x = torch.arange(5.0)
    for dtype in (torch.int64, torch.int32):
        check(x[torch.tensor([4, 0], dtype=dtype)], [4, 0])
    check(x[range(3)], [0, 1, 2])
    check(x[np.array([True, False, True, False, True])], [0, 2, 4])
    check(x[[True, False, True, False, True]], [0, 2, 4])


def test_uint8_masks_are_old_and_warn():
    x = torch.arange(3.0)
    with pytest.warns(UserWarning, match="indexing with dtype torch.uint8 is now deprecated"):
        check(x[torch.tensor([1, 0, 1], dtype=torch.uint8)], [0, 2])


def test_writing_broadcasts_and_casts():
    x = torch.zeros(2, 3, dtype=torch.int64)
    x[:, 1:] = torch.tensor([7.9, -7.9])
    check(x, [[0, 7, -7], [0, 7, -7]])
    x[1] = torch.tensor([[[1, 2, 3]]])
    check(x[1], [1, 2, 3])
    x[0, 0] = torch.tensor([5])
    x[torch.tensor([0, 1]), 1] = torch.tensor(9)
    check(x, [[5, 9, -7], [1, 9, 3]])
    x[x > 4] = 0
    check(x, [[0, 0, -7], [1, 0, 3]])
    x[0] = True
    check(x[0], [1, 1, 1])


def test_writing_from_numpy_and_from_itself():
    x = torch.arange(4.0)
    x[1:3] = torch.from_numpy(np.array([7.0, 8.0]))
    check(x, [0, 7, 8, 3])
    x[[0, 1]] = x[[1, 0]]
    check(x, [7, 0, 8, 3])


@pytest.mark.parametrize("key", [([0],), torch.tensor([True]), (torch.tensor(0),)])
def test_values_with_dims_of_one_in_front(key):
    base, values = (
        torch.zeros(1, 3, requires_grad=True),
        torch.arange(3.0).reshape(1, 1, 1, 3).requires_grad_(),
    )
    x = base * 1
    x[key] = values
    check(x, [[0, 1, 2]])
    (x * vec(1, 2, 3)).sum().backward()
    check(values.grad.sum(), 6.0)
    assert values.grad.shape == (1, 1, 1, 3)
    check(base.grad, [[0, 0, 0]])


def test_repeated_writes_accumulate_when_asked():
    x = torch.zeros(3)
    index = (torch.tensor([0, 0, 2]),)
    x.index_put_(index, vec(1, 2, 3), accumulate=True)
    check(x, [3, 0, 3])
    a, v = leaf([1.0, 1.0, 1.0]), leaf([1.0, 2.0, 3.0])
    y = a.index_put(index, v, accumulate=True)
    (y * vec(1, 10, 100)).sum().backward()
    check(y, [4, 1, 4])
    check(a.grad, [1, 10, 100])
    check(v.grad, [1, 1, 100])


def test_augmented_assignment():
    x = leaf([1.0, 2.0, 3.0])
    y = x * 1
    y[1:] *= 10
    y[torch.tensor([0])] += 5
    check(y, [6, 20, 30])
    y.sum().backward()
    check(x.grad, [1, 10, 10])


def test_second_derivative_of_indexing():
    x = leaf([1.0, 2.0, 3.0], torch.float64)
    index = torch.tensor([0, 0, 2])
    (g,) = torch.autograd.grad((x[index] ** 3).sum(), x, create_graph=True)
    check(g, [6, 0, 27])
    (h,) = torch.autograd.grad(g.sum(), x)
    check(h, [12, 0, 18])


def test_index_of_an_empty_tensor():
    x = torch.zeros(0, 3)
    assert x[torch.tensor([], dtype=torch.int64)].shape == (0, 3)
    assert x[:, 1].shape == (0,)
    assert x[x > 0].shape == (0,)
    assert torch.zeros(3)[[]].shape == (0,)


def index_tensor(*values):
    return torch.tensor(values)


def ones(x, *shape):
    return torch.ones(shape, dtype=x.dtype)


def zeros(x, *shape):
    return torch.zeros(shape, dtype=x.dtype)


X = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
I2 = [[0, 1, 1], [1, 0, 0]]
NAMED = [
    ("gather", lambda x: x.gather(1, torch.tensor([[0, 2], [1, 1]])), [[1, 3], [5, 5]]),
    ("take", lambda x: x.take(torch.tensor([[0, 5], [0, -2]])), [[1, 6], [1, 5]]),
    ("take_along_dim", lambda x: x.take_along_dim(torch.tensor([[2], [0]]), 1), [[3], [4]]),
    ("index_select", lambda x: x.index_select(1, index_tensor(2, 0, 2)), [[3, 1, 3], [6, 4, 6]]),
    ("masked_select", lambda x: x.masked_select(x.detach() > 3.5), [4, 5, 6]),
    ("masked_fill", lambda x: x.masked_fill(x.detach() > 3.5, 9.0), [[1, 2, 3], [9, 9, 9]]),
    ("index_fill", lambda x: x.index_fill(1, index_tensor(0, 2), 0.0), [[0, 2, 0], [0, 5, 0]]),
    (
        "index_add",
        lambda x: x.index_add(0, index_tensor(1, 1), ones(x, 2, 3), alpha=2),
        [[1, 2, 3], [8, 9, 10]],
    ),
    ("index_copy", lambda x: x.index_copy(0, index_tensor(1), x[:1] * 2), [[1, 2, 3], [2, 4, 6]]),
    ("scatter", lambda x: x.scatter(1, torch.tensor([[0], [1]]), 7.0), [[7, 2, 3], [4, 7, 6]]),
    (
        "scatter src",
        lambda x: zeros(x, 2, 3).scatter(0, torch.tensor(I2), x),
        [[1, 5, 6], [4, 2, 3]],
    ),
    (
        "scatter_add",
        lambda x: ones(x, 2, 3).scatter_add(0, torch.tensor([[0, 0, 0]] * 2), x),
        [[6, 8, 10], [1, 1, 1]],
    ),
    (
        "scatter_reduce sum",
        lambda x: ones(x, 2, 1).scatter_reduce(1, torch.zeros(2, 3, dtype=torch.int64), x, "sum"),
        [[7], [16]],
    ),
    (
        "scatter_reduce mean",
        lambda x: ones(x, 2, 1).scatter_reduce(
            1, torch.zeros(2, 3, dtype=torch.int64), x, "mean", include_self=False
        ),
        [[2], [5]],
    ),
    (
        "scatter_reduce prod",
        lambda x: ones(x, 2, 1).scatter_reduce(1, torch.zeros(2, 3, dtype=torch.int64), x, "prod"),
        [[6], [120]],
    ),
    (
        "scatter_reduce amax",
        lambda x: ones(x, 2, 1).scatter_reduce(1, torch.zeros(2, 3, dtype=torch.int64), x, "amax"),
        [[3], [6]],
    ),
    (
        "masked_scatter",
        lambda x: zeros(x, 2, 2).masked_scatter(torch.tensor([[True, False], [True, True]]), x),
        [[1, 0], [2, 3]],
    ),
    ("select_scatter", lambda x: x.select_scatter(x[0] * 2, 0, 1), [[1, 2, 3], [2, 4, 6]]),
    ("slice_scatter", lambda x: x.slice_scatter(x[:, :1] * 0, 1, 1, 2), [[1, 0, 3], [4, 0, 6]]),
    ("diagonal_scatter", lambda x: x.diagonal_scatter(x[0, :2] * 0), [[0, 2, 3], [4, 0, 6]]),
    ("narrow", lambda x: x.narrow(1, 1, 2), [[2, 3], [5, 6]]),
    ("where", lambda x: torch.where(x.detach() > 2.5, x, -x), [[-1, -2, 3], [4, 5, 6]]),
]


@pytest.mark.parametrize(("name", "function", "expected"), NAMED, ids=[row[0] for row in NAMED])
def test_named_indexing_functions(name, function, expected):
    check(function(torch.tensor(X)), expected)
    x = leaf(X, torch.float64)
    assert torch.autograd.gradcheck(function, (x,))
    assert torch.autograd.gradgradcheck(function, (x,))
    (g,) = torch.autograd.grad(function(x).sum(), x)
    assert g.shape == x.shape


def test_the_gradient_of_a_mask_over_rows_of_one():
    x = torch.tensor([[1.0], [2.0], [3.0]], requires_grad=True)
    x[torch.tensor([True, False, True])].square().sum().backward()
    assert x.grad.tolist() == [[2], [0], [6]]


AT = torch.tensor([0, 1])
LAID = [
    (lambda x: x[AT], (3, 4), (1, 3), (4, 1)),
    (lambda x: x[torch.tensor([[0, 1], [1, 0]]).T], (4,), (1,), (1, 2)),
    (lambda x: x[:, torch.tensor([True, False, True])], (2, 3, 4, 4), (48, 1, 12, 3), (32, 16, 4, 1)),
    (lambda x: x[AT], (2, 3, 2, 4), (24, 1, 12, 3), (24, 1, 12, 3)),
    (lambda x: x[AT, :, AT], (2, 3, 4), (1, 2, 6), (3, 1)),
    (lambda x: x[:, None, torch.tensor([[0, 1], [1, 0]]).T], (4, 2, 3), (1, 12, 4), (1, 48, 4, 24, 8)),
]


@pytest.mark.parametrize("place", range(len(LAID)))
def test_what_is_picked_lies_as_its_operands_do(place):
    pick, shape, strides, wanted = LAID[place]
    assert pick(torch.zeros(math.prod(shape)).as_strided(shape, strides)).stride() == wanted
