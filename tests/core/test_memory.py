"""Where shapes and strides meet memory: what would lie outside is refused, what moved is not confused."""

import pytest
from library import ON_TORCH, pullback_only, torch


def in_itself():
    x = [0]
    x.append(x)
    return x


@pytest.mark.parametrize(
    "make",
    [
        torch.tensor,
        torch.as_tensor,
        torch.asarray,
        torch.Tensor,
        torch.FloatTensor,
        torch.LongTensor,
        lambda x: torch.ones(1).new_tensor(x),
        lambda x: torch.ones(1).new(x),
        lambda x: torch.tensor([[1, 2], x]),
        lambda x: torch.tensor([torch.ones(1), x]),
    ],
)
def test_a_list_that_contains_itself_is_refused(make):
    with pytest.raises(TypeError):  # with a dtype PyTorch says that a list is no number
        make(in_itself())


def test_lists_that_contain_each_other_are_refused():
    a, b = [], []
    a.append(b)
    b.append(a)
    with pytest.raises(ValueError, match="too many dimensions 'list'"):
        torch.tensor(a)


# -------------------------------------------------------------------------------- windows of samples


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [([4], [1], 2), ([2], [1], 3), ([2], [4], 0), ([12], [1], 0), ([2, 4], [4, 1], 0), ([1], [1], 4)],
)
def test_as_strided_under_vmap_stays_within_a_sample(size, stride, offset):
    x = torch.zeros(3, 4)
    with pytest.raises(RuntimeError, match="can access memory outside of `tensor`"):
        torch.vmap(lambda r: r.as_strided(size, stride, offset).add_(1))(x)
    assert not x.any()


def test_as_strided_under_vmap_within_a_sample():
    x = torch.arange(12.0).reshape(3, 4)
    found = torch.vmap(lambda r: r.as_strided([2, 2], [1, 2]))(x)
    assert found.tolist() == [[[a, a + 2], [a + 1, a + 3]] for a in (0.0, 4.0, 8.0)]


def test_as_strided_under_vmap_counts_from_the_first_sample():
    x = torch.arange(12.0).reshape(3, 4)[:, 2:]
    assert torch.vmap(lambda r: r.as_strided([2], [1], 2))(x).tolist() == x.tolist()
    with pytest.raises(RuntimeError, match=r"in range \[0, 2\], but `tensor` can only access .* \[2, 4\]"):
        torch.vmap(lambda r: r.as_strided([2], [1], 0))(x)


def test_nested_vmap_checks_the_innermost_sample():
    x = torch.zeros(2, 3, 4)
    with pytest.raises(RuntimeError, match="can access memory outside"):
        torch.vmap(torch.vmap(lambda s: s.as_strided([2], [1], 3)))(x)
    assert torch.vmap(torch.vmap(lambda s: s.as_strided([2], [1], 2)))(x).shape == (2, 3, 2)


@pullback_only("PyTorch reads and writes beyond the sample, or says nothing")
def test_further_doors_to_the_memory_of_samples():
    x = torch.zeros(3, 4)
    for function in (
        lambda r: r.as_strided_([4], [1], 2),
        lambda r: torch.as_strided_scatter(r, torch.ones(4), [4], [1], 2),
        lambda r: r.set_(torch.zeros(2)),
    ):
        with pytest.raises(RuntimeError):
            torch.vmap(function)(x)
    assert torch.vmap(lambda r: r.as_strided_([2], [2]))(x + 1).shape == (3, 2)


@pytest.mark.parametrize("size", [(-1,), (2, -1)])
def test_negative_sizes_are_refused(size):
    with pytest.raises(RuntimeError):
        torch.zeros(4).as_strided(size, (1,) * len(size))
    with pytest.raises(RuntimeError):
        torch.zeros(4).resize_(size)


@pytest.mark.skipif(ON_TORCH, reason="PyTorch takes two operands alone")
def test_result_type_of_many_operands_is_refused():
    with pytest.raises(TypeError):
        torch.result_type(*[torch.ones(1)] * 200)


# ------------------------------------------------------------------------------- numbers of samples


@pytest.mark.parametrize(
    "function",
    [lambda r: torch.Tensor(r), lambda r: torch.nn.utils.rnn.pack_padded_sequence(torch.ones(2, 3), r)],
)
@pullback_only("what reads numbers of a batched tensor is refused in its words")
def test_numbers_of_samples_cannot_be_read(function):
    with pytest.raises(RuntimeError, match="vmap"):
        torch.vmap(function)(torch.tensor([[2, 1], [1, 1]]))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_histogram_under_vmap_takes_each_samples_range():
    x = torch.tensor([[0.1, 0.9, 0.5], [0.2, 0.2, 0.3], [7.0, 7.0, 7.0]])
    found = torch.vmap(lambda r: torch.histogram(r, 2).hist)(x)
    assert found.tolist() == [torch.histogram(row, 2).hist.tolist() for row in x]


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_quantile_under_vmap_takes_each_samples_q():
    x, q = torch.arange(6.0).reshape(2, 3), torch.tensor([[0.0, 0.5], [0.5, 1.0]])
    assert torch.vmap(torch.quantile)(x, q).tolist() == [[0.0, 1.0], [4.0, 5.0]]


# ------------------------------------------------------------------------------------ other memory


@pytest.mark.parametrize(
    "move",
    [
        lambda x: x.set_(torch.full((4,), 5.0)),
        lambda x: x.set_(torch.full((4,), 5.0).untyped_storage()),
        lambda x: x.set_(),
        lambda x: x.resize_(2),
        lambda x: x.resize_(9),
        lambda x: x.resize_as_(torch.ones(3)),
    ],
)
def test_other_memory_counts_as_a_write(move):
    x = torch.ones(4)
    twin = x.detach()
    before = x._version
    move(x)
    assert x._version == before + 1
    assert twin._version == x._version


def test_a_size_that_stays_is_no_write():
    x = torch.ones(4)
    x.resize_(4)
    x.resize_as_(torch.zeros(4))
    assert x._version == 0


def test_a_saved_tensor_given_other_memory_is_noticed():
    x = torch.ones(2, requires_grad=True)
    y = x * x
    with torch.no_grad():
        x.set_(torch.full((2,), 5.0))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_leaf_with_other_memory_is_a_new_one():
    x = torch.ones(2, requires_grad=True)
    y = x.clone()
    with torch.no_grad():
        x.set_(torch.zeros(2))
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        torch.autograd.grad(y.sum(), x)
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


@pullback_only("PyTorch's history of such a view goes by the place it had before")
@pytest.mark.parametrize("give", ["set_", "data"])
def test_a_view_whose_base_moved_has_no_history(give):
    base = torch.ones(4, requires_grad=True) * 1
    view = base[1:]
    if give == "set_":
        with torch.no_grad():
            base.set_(torch.zeros(100))
    else:
        base.data = torch.zeros(100)
        with torch.no_grad():
            base.add_(1)
    with pytest.raises(RuntimeError, match="given other memory"):
        _ = view.grad_fn


# ------------------------------------------------------------------------------------------ `out=`

RANGES = {
    "arange": lambda out: torch.arange(4, out=out),
    "linspace": lambda out: torch.linspace(0, 3, 4, out=out),
    "logspace": lambda out: torch.logspace(0, 3, 4, base=2, out=out),
    "range": lambda out: torch.range(0, 3, out=out),
}
DRAWN = {
    "rand": lambda out: torch.rand(2, 2, out=out),
    "randn": lambda out: torch.randn(2, 2, out=out),
    "randint": lambda out: torch.randint(100, (2, 2), out=out),
    "normal": lambda out: torch.normal(0.0, 1.0, (2, 2), out=out),
}


@pytest.mark.filterwarnings("ignore:torch.range is deprecated")
@pytest.mark.parametrize("name", RANGES)
def test_ranges_are_written_by_the_strides_of_out(name):
    row = RANGES[name](torch.empty(4)).tolist()
    x = torch.full((2, 3), 7.0)
    RANGES[name](x[:, 1:])
    assert x.tolist() == [[7.0, *row[:2]], [7.0, *row[2:]]]
    y = torch.zeros(2, 2).t()
    assert RANGES[name](y) is y
    assert y.tolist() == [row[:2], row[2:]]
    assert y.stride() == (1, 2)
    assert RANGES[name](torch.zeros(0, 3)).shape == (4,)


@pytest.mark.parametrize("name", DRAWN)
def test_numbers_are_drawn_into_out_in_the_order_of_memory(name):
    torch.manual_seed(0)
    row = DRAWN[name](torch.empty(2, 2)).reshape(-1).tolist()
    torch.manual_seed(0)
    x = DRAWN[name](torch.empty(2, 2).t())
    assert x.tolist() == [row[::2], row[1::2]]
    torch.manual_seed(0)
    wide = torch.zeros(2, 3)
    DRAWN[name](wide[:, 1:])
    assert wide[:, 1:].reshape(-1).tolist() == row
    assert not wide[:, 0].any()


@pytest.mark.filterwarnings("ignore:torch.range is deprecated")
@pytest.mark.parametrize("name", [*RANGES, *DRAWN])
def test_out_of_shared_elements_is_refused(name):
    shape = (4,) if name in RANGES else (2, 2)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        {**RANGES, **DRAWN}[name](torch.zeros(1).expand(shape))


@pytest.mark.parametrize(
    "make",
    [
        lambda out: torch.zeros(4, out=out),
        lambda out: torch.full((4,), 1.0, out=out),
        lambda out: torch.eye(2, out=out.view(2, 2)),
        lambda out: torch.arange(4, out=out),
        lambda out: torch.rand(4, out=out),
    ],
)
def test_out_that_requires_a_gradient_is_refused(make):
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        make(torch.zeros(4, requires_grad=True))


def test_empty_leaves_the_numbers_of_out():
    x = torch.arange(4.0)
    assert torch.empty(4, out=x).tolist() == [0.0, 1.0, 2.0, 3.0]


# ------------------------------------------------------------------------------- other number types


def test_memory_is_seen_as_other_numbers_at_multiples_of_their_size():
    x = torch.arange(24, dtype=torch.uint8).reshape(4, 6)
    with pytest.raises(RuntimeError, match=r"storage_offset\(\) must be divisible by 2 .* but got 1"):
        x[:, 1:5].view(torch.int16)
    with pytest.raises(RuntimeError, match=r"storage_offset\(\) must be divisible by 4 .* but got 1"):
        x.reshape(-1)[1:9].view(torch.int32)
    with pytest.raises(RuntimeError, match=r"stride\(0\) must be divisible by 2 .* but got 5"):
        torch.zeros(4, 5, dtype=torch.uint8)[:, :4].view(torch.int16)
    assert x[:, 2:].view(torch.int16).shape == (4, 2)
    assert x.reshape(-1)[8:].view(torch.int32).view(torch.uint8).tolist() == list(range(8, 24))


def test_a_window_on_memory_that_begins_between_elements():
    x = torch.frombuffer(bytearray(range(13)), dtype=torch.int32, count=3, offset=1)
    assert x.as_strided((3,), (1,)).shape == (3,)
    with pytest.raises(RuntimeError):
        x.as_strided((4,), (1,))


@pytest.mark.parametrize(
    ("shape", "pad"),
    [((2, 0), (-2, 3)), ((2, 1), (3, -2)), ((2, 3), (-4, 3)), ((2, 3), (5, -6)), ((2, 3), (0, 0, -3, 4))],
)
def test_a_border_cuts_no_more_than_there_is(shape, pad):
    with pytest.raises(RuntimeError, match=r"narrow\(\): length must be non-negative"):
        torch.nn.functional.pad(torch.ones(shape), pad)
    assert torch.nn.functional.pad(torch.ones(2, 3), (-3, 1)).tolist() == [[0.0], [0.0]]


def test_a_window_that_steps_over_all_elements():
    x = torch.ones(1, 3, 1, requires_grad=True)
    y = torch.nn.functional.max_pool1d(x, 2, 2, 1, 3, ceil_mode=True)
    assert y.flatten().tolist() == [float("-inf")] * 3
    z = torch.nn.functional.max_pool1d(torch.ones(1, 1, 4, requires_grad=True), 2, 2, 1, 3)
    assert z.isfinite().all()
