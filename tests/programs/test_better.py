"""What Pullback does better than PyTorch, for programs that run on both.

Each test says what PyTorch does instead. Where it differs visibly, PyTorch skips the test.
"""

import gc
import inspect
import re
import warnings
import weakref

import pytest
from library import check, leaf, pullback_only, torch, vec

aliasing = pullback_only("PyTorch's x.grad shares memory with the caller's gradient here")


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda x: x.view_as(x), marks=aliasing, id="view_as"),
        pytest.param(lambda x: x.view(3, 1).view(3), marks=aliasing, id="view"),
        pytest.param(lambda x: x.unsqueeze(0).squeeze(0), marks=aliasing, id="unsqueeze"),
        pytest.param(lambda x: x[:], id="slice"),
        pytest.param(lambda x: x + 0, id="sum"),
        pytest.param(lambda x: x.clone(), id="clone"),
    ],
)
def test_grad_never_shares_memory_with_the_callers_gradient(view):
    x, g = leaf([1.0, 2.0, 3.0]), vec(1, 1, 1)
    view(x).backward(g)
    assert x.grad.data_ptr() != g.data_ptr()
    view(x).backward(g)
    check(g, [1, 1, 1])
    check(x.grad, [2, 2, 2])


def test_two_leaves_never_share_one_gradient():
    x, y, g = leaf([1.0, 2.0]), leaf([3.0, 4.0]), vec(1, 1)
    (x + y).backward(g)
    x.grad.mul_(5)
    check(y.grad, [1, 1])
    check(g, [1, 1])


@pullback_only("PyTorch warns of the cycle and leaks it until .grad is reset")
def test_create_graph_does_not_leak():
    def build():
        x = leaf([1.0, 2.0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (x**3).sum().backward(create_graph=True)
        assert x.grad.requires_grad
        return weakref.ref(x)

    alive = [build() for _ in range(5)]
    gc.collect()
    assert [one() for one in alive] == [None] * 5


@pullback_only("a cycle through a node's saved tensor is invisible to Python's collector")
def test_cycles_through_nodes_are_collected():
    x = leaf([1.0, 2.0])
    y = x.exp()
    y.grad_fn.metadata["self"] = y
    y.register_hook(lambda g, y=y: None)
    alive = weakref.ref(y)
    del y
    gc.collect()
    assert alive() is None


@pullback_only("PyTorch refuses, since it counts versions by storage and not by region")
@pytest.mark.parametrize(
    ("read", "write"),
    [
        (slice(0, 2), slice(2, 4)),
        (slice(2, 4), slice(0, 2)),
        (0, 1),
        (slice(0, 4, 2), 5),
    ],
)
def test_write_to_a_disjoint_region_is_no_error(read, write):
    x = leaf([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    y = x * 1
    z = y[read] ** 2
    buffer = y.detach()
    buffer[write] = 100.0
    z.sum().backward()
    expected = torch.zeros(6)
    expected[read] = 2 * x.detach()[read]
    check(x.grad, expected.tolist())


def test_write_to_an_overlapping_region_is_an_error():
    x = leaf([1.0, 2.0, 3.0, 4.0])
    y = x * 1
    z = y[:2] ** 2
    y.detach()[1:] = 100.0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


@pullback_only("PyTorch's message names the saver and never the line that wrote")
def test_in_place_error_names_both_lines():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.detect_anomaly():
            x = leaf([1.0, 2.0])
            y = x.exp()  # saved here
            y.add_(1)  # overwritten here
            with pytest.raises(RuntimeError) as caught:
                y.sum().backward()
    message = str(caught.value)
    assert "modified by an inplace operation: [torch.FloatTensor [2]]" in message
    first = test_in_place_error_names_both_lines.__code__.co_firstlineno
    numbers = re.findall(r'test_better\.py(?:", line |:)(\d+)', message)
    lines = [int(number) - first for number in numbers]
    source = inspect.getsource(test_in_place_error_names_both_lines).splitlines()
    named = " ".join(source[number] for number in lines)
    assert "saved here" in named
    assert "overwritten here" in named


BRANCHES = [
    ("sqrt", lambda x: torch.where(x > 0, x.sqrt(), 0.0), 0.0, 0.0),
    ("log", lambda x: torch.where(x > 0, x.log(), 0.0), 0.0, 0.0),
    ("reciprocal", lambda x: torch.where(x != 0, 1 / x, x), 0.0, 1.0),
    ("division", lambda x: torch.where(x != 0, x.sin() / x, 1.0), 0.0, 0.0),
    ("power", lambda x: torch.where(x > 0, x**0.5, x * 2), 0.0, 2.0),
    ("other branch", lambda x: torch.where(x <= 0, 3 * x, x.sqrt()), 0.0, 3.0),
    ("overflow", lambda x: torch.where(x < 80, x.exp(), x), 100.0, 1.0),
    ("acos", lambda x: torch.where(x < 1, x.acos(), 0.0), 1.0, 0.0),
]


@pullback_only("PyTorch gives NaN: zero times the infinite slope of the branch not taken")
@pytest.mark.parametrize(("name", "function", "at", "slope"), BRANCHES, ids=[row[0] for row in BRANCHES])
def test_branch_not_taken_gives_zero(name, function, at, slope):
    x = leaf([at, 0.25])
    function(x).sum().backward()
    assert x.grad[0].item() == slope


def test_nan_still_passes_where_it_is_real():
    x = leaf([-1.0])
    torch.where(x < 0, x.sqrt(), x).sum().backward()
    assert torch.isnan(x.grad).item()


def test_scatter_and_index_gradients_are_deterministic():
    index = torch.randint(0, 7, (5000,))
    weights = torch.randn(5000)

    def gradients():
        x = torch.zeros(7, requires_grad=True)
        y = x[index] + x.gather(0, index) + x.index_select(0, index) + x.take(index)
        (g,) = torch.autograd.grad((y * weights).sum(), x)
        return g.tolist(), torch.zeros(7).scatter_add(0, index, weights).tolist()

    first = gradients()
    assert all(gradients() == first for _ in range(5))


partial = pullback_only("PyTorch writes a part before it reports this error")


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda x, i, v: x.index_put_((i,), v), marks=partial, id="index_put_"),
        pytest.param(lambda x, i, v: x.scatter_(0, i, v), marks=partial, id="scatter_"),
        pytest.param(lambda x, i, v: x.index_add_(0, i, v), marks=partial, id="index_add_"),
        pytest.param(lambda x, i, v: x.index_copy_(0, i, v), marks=partial, id="index_copy_"),
        pytest.param(lambda x, i, v: x.put_(i, v), marks=partial, id="put_"),
        pytest.param(lambda x, i, v: x.masked_scatter_(x > 0, v), marks=partial, id="masked"),
        pytest.param(lambda x, i, v: x.add_(v), id="add_"),
        pytest.param(lambda x, i, v: x.copy_(v), id="copy_"),
    ],
)
def test_failed_writes_leave_the_tensor_whole(write):
    x = vec(1, 2, 3)
    with pytest.raises((RuntimeError, IndexError)):
        write(x, torch.tensor([0, 9]), vec(5, 5))
    check(x, [1, 2, 3])
    assert x._version == 0
