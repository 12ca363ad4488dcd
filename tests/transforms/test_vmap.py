"""`vmap`: every op of the op table under it equals its loop; its options, its errors, its refusals."""

import warnings

import numpy as np
import pytest
from library import ON_TORCH, check, leaf, pullback_only, torch
from sample_rows import ROWS
from samples import Bound, In, flat, numbers, resolve

# Rows that cannot be compared sample by sample, and why.
NOT_COMPARED = {
    "nonzero argwhere masked_select unique unique_consecutive": "the shape depends on the numbers",
    "Tensor.numpy Tensor.tolist Tensor.item": "no single value",
    "empty_like Tensor.new_empty Tensor.new_empty_strided": "not set",
    "as_strided as_strided_copy as_strided_scatter": "reads memory, which a batch lays out otherwise",
    "view_as_complex view_as_complex_copy": "needs a layout that a batch may not have",
    "searchsorted bucketize": "samples must be sorted: test_sorted_sequences",
    "repeat_interleave": "a batch of repeats has no one shape: test_repeats",
    "chain_matmul index_reduce": "they warn at first use",
    "nn.functional.gaussian_nll_loss": "it looks whether a variance is negative",
}
LOOPED = {"nn.functional.embedding_bag": "with a padding, how many indices count depends on the numbers"}
SIZE = 3
# PyTorch's own warnings belong to test_messages.py.
pytestmark = pytest.mark.filterwarnings("ignore" if ON_TORCH else "ignore::UserWarning")


def leaves_of(call):
    """The descriptions of tensors among a call's arguments."""
    found = []

    def walk(x):
        if isinstance(x, In):
            if x not in found:
                found.append(x)
        elif isinstance(x, (list, tuple)):
            for one in x:
                walk(one)

    walk([call.args, list(call.kwargs.values())])
    return found


class Batch:
    """A call on SIZE samples: the tensors described by `chosen` differ from sample to sample."""

    def __init__(self, row, call, dtype, chosen, dim):
        self.row, self.call, self.dtype, self.chosen, self.dim = row, call, dtype, chosen, dim
        self.bounds = [Bound(torch, row, call, dtype) for _ in range(SIZE)]
        for i, bound in enumerate(self.bounds):
            for spec, tensor in bound.made.items():
                if spec in chosen:
                    self.vary(bound, spec, tensor, i)
        self.made = self.bounds[0].made
        self.specs = [spec for spec in self.made if spec in chosen]
        self.dims = [dim if dim >= 0 else -1 for _ in self.specs]

    def vary(self, bound, spec, tensor, i):
        """Makes sample `i` of a tensor: rolled, so that it keeps its range and stays distinct."""
        data = np.roll(numbers(torch, tensor).reshape(-1), i).reshape(tuple(tensor.shape))
        made = torch.from_numpy(np.ascontiguousarray(data))
        bound.made[spec] = made

    def call_with(self, values):
        """The op on the tensors in `values`, by description."""
        bound = self.bounds[0]
        fill = dict(self.made) | dict(zip(self.specs, values, strict=True))

        def put(x):
            if isinstance(x, In):
                return fill[x]
            if isinstance(x, (list, tuple)):
                return type(x)(put(one) for one in x)
            return bound.make(x)

        args = [put(x) for x in self.call.args]
        kwargs = {name: put(x) for name, x in self.call.kwargs.items()}
        return resolve(torch, self.row.name)(*args, **kwargs)

    def looped(self):
        """The results sample by sample, stacked."""
        rows = []
        for bound in self.bounds:
            rows.append(flat(self.call_with([bound.made[spec] for spec in self.specs])))
        return [torch.stack(column) for column in zip(*rows, strict=True)]

    def mapped(self):
        """The results of one call."""
        given = [torch.stack([b.made[spec] for b in self.bounds], self.dim) for spec in self.specs]
        return flat(
            torch.vmap(lambda *values: self.call_with(list(values)), in_dims=tuple(self.dims))(*given)
        )


def same(expected, found, rtol):
    """Do these tensors agree in shape, dtype and value?"""
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return False
    return np.allclose(numbers(torch, expected), numbers(torch, found), rtol=rtol, atol=rtol, equal_nan=True)


def differences(row):
    """What is wrong with a row under `vmap`, a line each."""
    wrong = []
    kind = next((k for k in "fcib" if k in row.kinds), None)
    dtype = {"f": "float64", "c": "complex128", "i": "int64", "b": "bool"}.get(kind)
    for place, call in enumerate(row.calls):
        specs = leaves_of(call)
        if dtype is None or not call.smooth or not specs or not row.values:
            continue
        one = [([s], 0) for s in specs] if len(specs) > 1 else []
        for chosen, dim in [(specs, 0), (specs, -1), *one]:
            batch = Batch(row, call, dtype, chosen, dim)
            try:
                expected = batch.looped()
            except (RuntimeError, IndexError, TypeError, ValueError):
                continue  # the numbers of one input do not go with the others in another order
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                found = batch.mapped()
            if row.name not in LOOPED and not ON_TORCH:
                wrong += [str(w.message) for w in told if "performance drop" in str(w.message)]
            which = f"call {place}, inputs {[specs.index(s) for s in chosen]} at {dim}"
            for e, f in zip(expected, found, strict=True):
                if not same(e, f, 1e-10):
                    wrong.append(f"{which}: expected {e}, got {f}")
    return wrong


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_equals_its_loop(row):
    if any(row.name in names.split() for names in NOT_COMPARED) or (ON_TORCH and row.name == "index_select"):
        return
    try:
        wrong = differences(row)
    except (RuntimeError, NotImplementedError) as error:
        if ON_TORCH:
            pytest.skip(str(error))
        raise
    assert not wrong, "\n" + "\n".join(wrong)


# Rows without a gradient for each sample, and why.
NO_GRADIENTS = {
    "nn.functional.batch_norm nn.functional.instance_norm": "none for the running statistics",
    "floor_divide heaviside": "they have none",
    "_pad_packed_sequence": "how many rows a step has is no number of a batch",
}


def gradient_differences(row):
    """Where gradients under `vmap` are not those of the loop, a line each."""
    wrong = []
    for place, call in enumerate(row.calls):
        specs = leaves_of(call)
        if not call.smooth or not specs or not row.values:
            continue
        batch = Batch(row, call, "float64", specs, 0)
        inner = tuple(i for i, spec in enumerate(batch.specs) if batch.made[spec].is_floating_point())

        def total(*values, batch=batch):
            found = flat(batch.call_with(list(values)))
            found = [y for y in found if isinstance(y, torch.Tensor) and y.dtype.is_floating_point]
            return sum((y * y.detach().sin() + y).sum() for y in found) if found else None

        slopes = torch.func.grad(total, inner)
        try:
            rows = [slopes(*(b.made[spec] for spec in batch.specs)) for b in batch.bounds]
        except (RuntimeError, IndexError, TypeError, ValueError):
            continue  # integers, comparisons; numbers that do not go together
        given = [torch.stack([b.made[spec] for b in batch.bounds]) for spec in batch.specs]
        found = torch.vmap(slopes)(*given)
        for i, column in enumerate(zip(*rows, strict=True)):
            if not same(torch.stack(column), found[i], 1e-9):
                wrong.append(f"call {place}, input {i}: expected {column}, got {found[i]}")
    return wrong


@pytest.mark.parametrize("row", [row for row in ROWS if "f" in row.kinds], ids=lambda row: row.name)
def test_gradients_equal_their_loop(row):
    if any(row.name in names.split() for names in (*NOT_COMPARED, *NO_GRADIENTS)) or ON_TORCH:
        return
    wrong = gradient_differences(row)
    assert not wrong, "\n" + "\n".join(wrong)


X = torch.arange(6.0).reshape(2, 3)


def test_sorted_sequences():
    rows, values = torch.tensor([[0.0, 1.0, 3.0], [2.0, 4.0, 6.0]]), torch.tensor([[1.0, 5.0], [5.0, 2.0]])
    search = torch.vmap(torch.searchsorted)
    check(search(rows, values), [[1, 3], [2, 0]])
    check(torch.vmap(torch.searchsorted, in_dims=(None, 0))(rows[0], values), [[1, 3], [3, 2]])
    check(torch.vmap(torch.bucketize, in_dims=(0, None))(values, rows[0]), [[1, 3], [3, 2]])


def test_repeats():
    check(torch.vmap(lambda x: x.repeat_interleave(2))(X[:, :2]), [[0, 0, 1, 1], [3, 3, 4, 4]])


# ------------------------------------------------------------------------------- dims and containers


def test_in_dims_and_out_dims():
    assert torch.vmap(lambda x: x, in_dims=1, out_dims=1)(X).equal(X)
    assert torch.vmap(lambda x: x, in_dims=-1)(X).equal(X.t())
    assert torch.vmap(lambda x: (x, x.sum()), out_dims=(1, 0))(X)[0].equal(X.t())
    assert torch.vmap(lambda x: x[None], out_dims=-1)(X).shape == (1, 3, 2)
    check(torch.vmap(lambda x, y: x @ y, in_dims=(0, None))(X, torch.ones(3)), [3, 12])


def test_nested_containers():
    def f(d, pair):
        return {"sum": d["a"] + d["b"], "twice": [pair[0] * 2]}

    given = {"a": X, "b": torch.ones(3)}, (X[0], torch.ones(1))
    found = torch.vmap(f, in_dims=({"a": 0, "b": None}, (None, None)))(*given)
    assert found["sum"].equal(X + 1)
    check(found["twice"][0], [[0, 2, 4], [0, 2, 4]])
    named = torch.vmap(lambda x: x.sort())(X.flip(1))
    check(named.indices, [[2, 1, 0], [2, 1, 0]])


def test_results_that_are_not_batched():
    check(torch.vmap(lambda x: torch.ones(2))(X), [[1, 1], [1, 1]])
    assert torch.vmap(lambda x: (x, 3), out_dims=(0, None))(X)[1] == 3


def test_nested():
    outer = torch.vmap(torch.vmap(lambda a, b: a * b, in_dims=(0, None)), in_dims=(None, 0))
    assert outer(X, torch.ones(4)).shape == (4, 2, 3)
    table = torch.vmap(lambda x: torch.vmap(lambda y: x + y)(torch.arange(3.0)))(torch.arange(2.0))
    check(table, [[0, 1, 2], [1, 2, 3]])


@pytest.mark.parametrize("chunk", [1, 2, 3, 100, *([] if ON_TORCH else ["auto"])])
def test_chunks(chunk):
    x = torch.arange(10.0).reshape(5, 2)
    found = torch.vmap(lambda x: (x.sin(), x.sum()), out_dims=(1, 0), chunk_size=chunk)(x)
    assert found[0].equal(x.sin().t())
    check(found[1], [1, 5, 9, 13, 17])


def test_what_samples_show():
    seen = []

    def f(x):
        seen.append((tuple(x.shape), x.ndim, x.dtype, str(x.device), x.stride(), len(x), x.requires_grad))
        return x

    torch.vmap(f, in_dims=1)(X)
    assert seen == [((2,), 1, torch.float32, "cpu", (3,), 2, False)]


def test_promotion_of_numbers():
    double, single = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.ones(3)
    assert torch.vmap(lambda a: a * single)(double).dtype == torch.float32
    assert torch.vmap(lambda a: a + torch.tensor(1.0, dtype=torch.float64))(single).dtype == torch.float64
    assert torch.vmap(lambda a: a * 2.5)(torch.arange(3)).dtype == torch.float32


def test_indices():
    i, j = torch.tensor([0, 1]), torch.tensor([[0, 2], [1, 1]])
    table = torch.arange(24.0).reshape(2, 3, 4)
    for f in (
        lambda t, j: t[j],
        lambda t, j: t[:, j],
        lambda t, j: t[j, :2][:, 0],
        lambda t, j: t[0, j],
        lambda t, j: t.index_select(1, j),
        lambda t, j: t.gather(0, j[:, None].expand(2, 4)),
        lambda t, j: torch.take(t, j),
        lambda t, j: t.index_add(0, j, torch.ones(2, 4)),
        lambda t, j: t.index_fill(1, j, 5.0),
        lambda t, j: t.index_put((j,), torch.zeros(4)),
        lambda t, j: t.index_put((j, j), torch.ones(2), accumulate=True),
    ):
        for dims in ((0, 0), (0, None), (None, 0)):
            given = [t if d == 0 else t[1] for t, d in zip((table, j), dims, strict=True)]
            expected = torch.stack(
                [f(*[t[k] if d == 0 else t for t, d in zip(given, dims, strict=True)]) for k in range(2)]
            )
            assert torch.vmap(f, in_dims=dims)(*given).equal(expected)
    check(torch.vmap(lambda x, i: x[i])(X, i), [0, 4])


# ------------------------------------------------------------------------------- writing


def test_in_place():
    def f(x):
        y = x.clone()
        y[0] = 5
        y[1:] += x[1:]
        y.mul_(2)
        y.t_()
        return y.unsqueeze_(0)

    check(torch.vmap(f)(X), [[[10, 4, 8]], [[10, 16, 20]]])
    given = X.clone()
    torch.vmap(lambda x: x.add_(1))(given)
    assert given.equal(X + 1)


def test_writes_keep_gradients():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])

    def f(x):
        y = x * 1
        y[0] *= x[1]
        return y.sum()

    torch.vmap(f)(x).sum().backward()
    check(x.grad, [[2, 2], [4, 4]])


def test_captured_tensors_are_not_written():
    total = torch.zeros(3)
    with pytest.raises(RuntimeError, match=r"inplace arithmetic.* is not possible because there exists"):
        torch.vmap(lambda x: total.__setitem__(0, x.sum()))(X)
    with pytest.raises(RuntimeError):
        torch.vmap(lambda x: total.add_(x))(X)
    assert not total.any()
    with pytest.raises(RuntimeError, match="doesn't work on out= or view ops"):
        torch.vmap(lambda x: torch.add(x, x, out=torch.empty(3)))(X)


# ------------------------------------------------------------------------------- refusals


REFUSALS = [
    (lambda x: x.sum().item(), r"calling .item\(\) on a Tensor"),
    (lambda x: float(x.sum()), r"calling .item\(\) on a Tensor"),
    (lambda x: x if x.sum() > 0 else -x, "data-dependent control flow"),
    (lambda x: x[x > 0], "indexing with a boolean mask"),
    (lambda x: torch.nonzero(x), "output dynamic shape"),
    (lambda x: torch.masked_select(x, x > 0), "differently shaped Tensor"),
    (lambda x: x.numpy(), "Cannot access data pointer"),
    (lambda x: x.tolist(), "Cannot access data pointer"),
    (lambda x: x.requires_grad_(), r"Tensor.requires_grad_\(\)"),
    (lambda x: (x * x).sum().backward(), r"backward\(\) called inside a functorch transform"),
    (lambda x: x + torch.rand(3), "called random operation while in randomness error mode"),
]


@pytest.mark.parametrize(("f", "message"), REFUSALS)
def test_refuses(f, message):
    with pytest.raises(RuntimeError, match=message):
        torch.vmap(f)(X.clone().requires_grad_() if "backward" in message else X)


WRONG_CALLS = [
    (lambda: torch.vmap(lambda: 3)(), ValueError, "got no inputs"),
    (lambda: torch.vmap(lambda x, y: x)(X, torch.ones(3)), ValueError, r"got sizes \[2, 3\]"),
    (lambda: torch.vmap(lambda x: x, in_dims="a")(X), ValueError, "expected `in_dims` to be int"),
    (lambda: torch.vmap(lambda x: x, in_dims=(0, 0))(X), ValueError, "in_dims is not compatible"),
    (lambda: torch.vmap(lambda x: x, in_dims=(5,))(X), ValueError, "-2 <= in_dim < 2"),
    (lambda: torch.vmap(lambda x: x, in_dims=(0,))(3), ValueError, "cannot vmap over non-Tensor"),
    (lambda: torch.vmap(lambda x: 3)(X), ValueError, "must only return Tensors, got type"),
    (lambda: torch.vmap(lambda x: x, out_dims=None)(X), ValueError, "can not return a BatchedTensor"),
    (lambda: torch.vmap(lambda x: x, out_dims=4)(X), IndexError, "Dimension out of range"),
    (lambda: torch.vmap(lambda x: (x, x), out_dims=(0, 0, 0))(X), ValueError, "out_dims is not compatible"),
    (lambda: torch.vmap(lambda x: x, out_dims="a")(X), ValueError, "`out_dims` must be an int, None"),
    (lambda: torch.vmap(lambda x: x, chunk_size=-1), ValueError, "chunk_size should be None or greater"),
    (lambda: torch.vmap(lambda x: x, randomness="x")(X), RuntimeError, "Only allowed values for randomness"),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG_CALLS)
def test_wrong_calls(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_a_tensor_that_escaped():
    kept = []
    torch.vmap(lambda x: kept.append(x) or x)(X)
    with pytest.raises(RuntimeError):
        kept[0] + torch.ones(3)


@pullback_only("its own op without a rule")
def test_a_missing_rule_is_told(monkeypatch):
    from pullback.core._engine import REGISTRY
    from pullback.core.op import op

    monkeypatch.setitem(REGISTRY, "third_power_for_test", None)  # the op goes with the test

    @op(name="third_power_for_test", places="")
    def third(self: "Array", by):  # noqa: F821
        return self**3 + by

    with pytest.warns(UserWarning, match="performance drop .* aten::third_power_for_test"):
        found = torch.vmap(lambda x: third(x, 1))(X)
    assert found.equal(X**3 + 1)


# ------------------------------------------------------------------------------- random numbers


def test_randomness():
    torch.manual_seed(0)
    same = torch.vmap(lambda x: torch.rand(3) + x * 0, randomness="same")(X)
    assert same[0].equal(same[1])
    torch.manual_seed(0)
    different = torch.vmap(lambda x: torch.rand(3), randomness="different")(X)
    torch.manual_seed(0)
    assert different.equal(torch.rand(2, 3))
    check(torch.vmap(lambda x: torch.bernoulli(x), randomness="different")(torch.ones(2, 3)), [[1] * 3] * 2)
    with pytest.raises(RuntimeError, match="same randomness with a batched tensor"):
        torch.vmap(lambda x: torch.bernoulli(x / 10), randomness="same")(X)


# ------------------------------------------------------------------------------- the graph


def test_vmap_inside_backward():
    w = leaf([1.0, 2.0, 3.0])
    torch.vmap(lambda x: (x * w).sum() ** 2)(X).sum().backward()
    expected = 2 * (X @ w.detach())[:, None] * X
    check(w.grad, expected.sum(0).tolist())


def test_gradients_of_captured_tensors_inside():
    w = leaf([1.0, 2.0, 3.0])

    def f(x):
        return torch.autograd.grad((x * w).sum() ** 2, w)[0]

    if not ON_TORCH:  # PyTorch has no gradients of what it captures here
        check(torch.vmap(f)(X), (2 * (X @ w.detach())[:, None] * X).tolist())
    y = w.sin()
    rows = torch.vmap(lambda v: torch.autograd.grad(y, w, v, retain_graph=True)[0])(torch.eye(3))
    check(rows, torch.diag(w.detach().cos()).tolist())


def test_many_gradients_in_one_pass():
    x = leaf([1.0, 2.0, 3.0])
    (rows,) = torch.autograd.grad(x.sin() * x.sum(), x, torch.eye(3), is_grads_batched=True)
    expected = torch.diag(x.cos() * x.sum()) + x.sin()[:, None]
    check(rows, expected.tolist())


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_what_must_read_numbers_goes_by_samples():
    x, vmap = torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 4.0]]), torch.func.vmap
    times = torch.tensor([[1, 2, 1], [0, 1, 3]])
    check(vmap(torch.argwhere)(x), [[[0], [2]], [[1], [2]]])
    check(
        vmap(lambda a, n: a.repeat_interleave(n, dim=0))(x, times),
        [[1.0, 0.0, 0.0, 2.0], [3.0, 4.0, 4.0, 4.0]],
    )
    check(vmap(lambda a: torch.linspace(a, 1, 3))(x[:, 0]), [[1.0, 1.0, 1.0], [0.0, 0.5, 1.0]])


def test_samples_without_dims():
    x, mask = torch.tensor([1.0, 2.0]), torch.tensor([True, False])
    check(torch.func.vmap(lambda a, m: a.masked_fill(m, 5.0))(x, mask), [5.0, 2.0])
    assert torch.func.vmap(lambda a: a.squeeze(()))(torch.ones(2, 1, 3)).shape == (2, 1, 3)
    assert torch.func.vmap(lambda a: a.clone().resize_(1, 4))(torch.ones(2, 2, 2)).shape == (2, 1, 4)


def test_new_tensors_can_be_written_to():
    found = torch.vmap(lambda x: (x.new_zeros(2).add_(x[0]), x.new_full((), 3.0).mul_(x[1])))(X)
    check(found[0], [[0, 0], [3, 3]])
    check(found[1], [3, 12])
    nested = torch.vmap(torch.vmap(lambda x: x.new_ones(1).add_(x)))(X)
    check(nested, [[[1], [2], [3]], [[4], [5], [6]]])


def test_drawing_into_a_shared_tensor():
    with pytest.raises(RuntimeError, match="different inplace randomness on an unbatched tensor"):
        torch.vmap(lambda x: torch.zeros(2).normal_(), randomness="different")(X)
    same = torch.vmap(lambda x: torch.zeros(2).normal_() + x[0] * 0, randomness="same")(X)
    assert same[0].equal(same[1])


@pytest.mark.parametrize("options", [{"padding_idx": 1}, {"scale_grad_by_freq": True}, {"padding_idx": -1}])
def test_embeddings_of_several_matrices(options):
    embedding = torch.nn.functional.embedding
    tables = torch.arange(24.0).reshape(2, 4, 3)
    words = torch.tensor([[0, 1, 1], [3, 3, 2]])

    def slope(table, words):
        return torch.func.grad(lambda t: (embedding(words, t, **options) ** 2).sum())(table)

    for dims in ((0, 0), (0, None), (None, 0)):
        given = [x if dim == 0 else x[0] for x, dim in zip((tables, words), dims, strict=True)]
        found = torch.vmap(slope, in_dims=dims)(*given)
        rows = [[x[i] if dim == 0 else x for x, dim in zip(given, dims, strict=True)] for i in range(2)]
        assert found.equal(torch.stack([slope(*row) for row in rows]))


def test_nonzero_static():
    x = torch.tensor([[[0.0, 1.0], [2.0, 0.0]], [[3.0, 4.0], [5.0, 0.0]]])
    check(
        torch.vmap(lambda x: torch.nonzero_static(x, size=3))(x),
        [[[0, 1], [1, 0], [-1, -1]], [[0, 0], [0, 1], [1, 0]]],
    )
    assert torch.vmap(lambda x: torch.nonzero_static(x, size=2))(torch.zeros(3, 0, 2)).shape == (3, 2, 2)


# ------------------------------------------------------------------------------------------ random


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: torch.normal(0.0, 1.0, (8,)),
        lambda x: torch.bernoulli(torch.full((32,), 0.5)),
        lambda x: torch.bernoulli(torch.zeros(32), 0.5),
        lambda x: torch.rand(8),
        lambda x: torch.randint(1000, (8,)),
        lambda x: torch.randperm(32),
        lambda x: torch.rand_like(torch.zeros(8)),
        lambda x: torch.multinomial(torch.ones(32), 16),
    ],
)
def test_each_sample_draws_its_own_numbers_or_the_same(draw):
    x = torch.zeros(2)
    different = torch.vmap(draw, randomness="different")(x)
    assert not torch.equal(different[0], different[1])
    same = torch.vmap(lambda s: draw(s) + s, randomness="same")(x)
    assert torch.equal(same[0], same[1])
    with pytest.raises(RuntimeError, match="randomness error mode"):
        torch.vmap(draw)(x)


def test_chunks_draw_the_same_numbers():
    found = torch.vmap(lambda x: x + torch.rand(3), randomness="same", chunk_size=2)(torch.zeros(5, 3))
    assert all(torch.equal(row, found[0]) for row in found)
    apart = torch.vmap(lambda x: x + torch.rand(3), randomness="different", chunk_size=2)(torch.zeros(5, 3))
    assert not torch.equal(apart[0], apart[2])
