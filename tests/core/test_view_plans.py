"""Views: where they lie, planned or not; new tensors and results that go straight to their memory."""

import threading

import pytest
from library import pullback_only, torch

VIEWS = {
    "view": lambda x: x.view(-1),
    "select": lambda x: x.select(-1, -1),
    "narrow": lambda x: x.narrow(0, 1, 1),
    "slice": lambda x: x[1:, :-1],
    "steps": lambda x: x[::2, ..., 1:],
    "index": lambda x: x[1],
    "new dims": lambda x: x[None, :, None],
    "beyond": lambda x: x[5:, 1:],
    "transpose": lambda x: x.transpose(0, -1),
    "permute": lambda x: x.permute(*reversed(range(x.ndim))),
    "unsqueeze": lambda x: x.unsqueeze(-1),
    "squeeze": lambda x: x[:1].squeeze(0),
    "expand": lambda x: x.unsqueeze(0).expand(3, *x.shape),
    "diagonal": lambda x: x.diagonal(1),
    "diagonal below": lambda x: x.diagonal(-1, 1, 0),
    "no diagonal": lambda x: x.diagonal(9),
    "unfold": lambda x: x.unfold(1, 2, 1),
    "detach": lambda x: x.detach(),
    "split": lambda x: x.split(1, 1),
    "sizes": lambda x: x.split([1, x.shape[0] - 1]),
    "chunk": lambda x: x.chunk(2, 1),
    "unbind": lambda x: x.unbind(1),
}


def tensors():
    """Tensors of one memory, of several layouts."""
    x = torch.arange(24.0).reshape(2, 3, 4)
    yield from (x, x.transpose(0, 2), x[:, ::2], x[:, 1:, 1:], x[0], x[0].t())


@pytest.mark.parametrize("name", VIEWS)
def test_views_lie_where_they_say(name):
    """A view shows what `as_strided` shows with its shape, strides and offset."""
    for x in tensors():
        try:
            views = VIEWS[name](x)
        except RuntimeError as error:
            assert name == "view" and "view size is not compatible" in str(error)
            continue
        for v in views if isinstance(views, tuple) else (views,):
            assert torch.equal(v, x.as_strided(v.size(), v.stride(), v.storage_offset()))
            assert (
                v.data_ptr() == x.data_ptr() + 4 * (v.storage_offset() - x.storage_offset()) or not v.numel()
            )
            assert name == "detach" or v._base is (x if x._base is None else x._base)


@pytest.mark.parametrize(
    ("key", "stride", "offset"),
    [
        ((None, 1), (40, 1), 5),
        ((1, None), (5, 1), 5),
        ((None, None), (40, 40, 5, 1), 0),
        ((slice(None), None, slice(1, 3)), (5, 5, 1), 1),
        ((slice(1, 3), None), (5, 5, 1), 5),
        ((None, slice(2, 4), 1), (40, 5), 11),
        ((1, None, 2), (5,), 7),
        ((..., None), (5, 1, 1), 0),
        ((None, ..., None), (40, 5, 1, 1), 0),
        ((slice(None, None, 2), None), (10, 5, 1), 0),
        ((slice(9, None), 2), (5,), 42),
        ((), (5, 1), 0),
        ((slice(-3, -1),), (5, 1), 25),
    ],
)
def test_strides_of_indexed_tensors(key, stride, offset):
    x = torch.zeros(8, 5)
    assert x[key].stride() == stride and x[key].storage_offset() == offset


def test_many_dims_and_none():
    x = torch.arange(6.0).reshape((2,) + (1,) * 62 + (3,))
    assert x[1].shape == x.shape[1:] and x[..., 2].ndim == 63 and x.permute(*range(63, -1, -1)).shape[0] == 3
    assert x.squeeze().tolist() == [[0, 1, 2], [3, 4, 5]] and x.unbind(0)[1].sum() == 12
    nothing = torch.zeros(0, 3, 2)
    assert nothing.view(3, 0).stride() == (1, 1) and nothing[:, 1].stride() == (6, 1)
    assert nothing.transpose(0, 2).stride() == (1, 2, 6) and torch.zeros(3, 0).t().stride() == (1, 1)
    assert x.new_zeros(8, 5)[9:].t().stride() == (1, 5) and x.new_zeros(8, 5)[9:].clone().stride() == (5, 1)
    assert nothing.split(2)[0].shape == (0, 3, 2) and len(nothing.unbind(0)) == 0
    with pytest.raises(IndexError, match="index 2 is out of bounds for dimension 0 with size 2"):
        x[2]
    with pytest.raises(IndexError, match="too many indices for tensor of dimension 64"):
        x[(0,) * 65]


@pytest.mark.parametrize("huge", [2**62, -(2**62), 2**70, -(2**70)])
def test_huge_numbers_in_keys(huge):
    x = torch.zeros(3)
    with pytest.raises((IndexError, OverflowError, RuntimeError, ValueError)):
        x[huge]
    with pytest.raises((IndexError, OverflowError, RuntimeError, TypeError, ValueError)):
        x.select(0, huge)
    if abs(huge) < 2**63:
        assert x[huge:].shape == (0 if huge > 0 else 3,) and x[:huge].shape == (3 if huge > 0 else 0,)


def test_writes_at_keys_count_versions():
    """Each write counts once; what missed the saved memory does no harm."""
    x = torch.zeros(3, 4)
    x[1] = 2
    x[:, 0] = torch.ones(3)
    x[2, 3] = 5.0
    x[...] = x + 1
    assert x._version == 4 and x[2].tolist() == [2, 1, 1, 6]
    row = x[0]
    row[0] = 7
    assert x._version == 5 and row._version == 5 and x[0, 0] == 7
    x[1:] = x[:-1].clone()
    assert x[2].tolist() == [2, 3, 3, 3]
    y = torch.ones(2, requires_grad=True)
    z = y * y
    z[0] = 5.0
    z.sum().backward()
    assert y.grad.tolist() == [0.0, 2.0]
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        y[0] = 1
    with torch.no_grad():
        y[0] = 1
    assert y._version == 1


def test_writes_that_do_not_fit():
    x = torch.zeros(2, 3)
    for value in (torch.ones(4), torch.ones(2, 2), torch.ones(3, 3)):
        with pytest.raises(RuntimeError):
            x[:] = value
    with pytest.raises(TypeError):
        x[0] = "a"
    with pytest.raises(RuntimeError, match="overflow"):
        x[0] = 1e300
    assert x._version == 0 and not x.any()
    whole = torch.zeros(3, dtype=torch.int64)
    whole[0], whole[1], whole[2] = 2.7, True, 2**40
    assert whole.tolist() == [2, 1, 2**40]


def test_whole_tensors_are_written():
    x = torch.ones(2, 3)
    assert x.fill_(2.5) is x and x.zero_() is x and x.copy_(torch.arange(3.0)) is x and x._version == 3
    assert x.tolist() == [[0, 1, 2], [0, 1, 2]]
    x.t().copy_(torch.arange(6.0).reshape(3, 2))
    assert x.tolist() == [[0, 2, 4], [1, 3, 5]] and x._version == 4
    with pytest.raises(RuntimeError, match="0-dimension"):
        x.fill_(torch.ones(2))
    with pytest.raises(RuntimeError):
        x.copy_(torch.ones(4))
    x.copy_(torch.tensor([True, False, True]))
    assert x.tolist() == [[1, 0, 1], [1, 0, 1]]


def test_results_go_straight_to_out():
    """The same numbers, the same memory; what overlaps, or does not fit, as ever."""
    a, b = torch.arange(6.0).reshape(2, 3), torch.full((2, 3), 2.0)
    out = torch.zeros(2, 3)
    where = out.data_ptr()
    assert torch.add(a, b, out=out) is out and torch.equal(out, a + b)
    torch.exp(a, out=out)
    assert torch.equal(out, a.exp())
    torch.softmax(a, 1, out=out)
    assert torch.equal(out, a.softmax(1)) and out.data_ptr() == where and out._version == 3
    torch.add(a, out, out=out)
    assert torch.equal(out, a + a.softmax(1))
    sums = torch.zeros(3)
    torch.sum(a, 0, out=sums)
    assert sums.tolist() == [3, 5, 7]
    double = torch.zeros(2, 3, dtype=torch.float64)
    torch.mul(a, b, out=double)
    assert torch.equal(double, (a * b).double())
    with pytest.raises(RuntimeError, match="can't be cast"):
        torch.add(a, b, out=torch.zeros(2, 3, dtype=torch.int64))
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        torch.add(a.clone().requires_grad_(), b, out=out)
    memory = torch.arange(8.0)
    with pytest.raises(RuntimeError, match="single memory location"):
        torch.exp(memory[:-1], out=memory[1:])


def test_threads_make_views_and_tensors():
    x = torch.arange(12.0).reshape(3, 4)
    wrong = []

    def work(seed):
        for i in range(300):
            n = (seed * 7 + i) % 5 + 1
            if x[n % 3, n % 4] != (n % 3) * 4 + n % 4 or torch.zeros(n, 2).add_(1).sum() != 2 * n:
                wrong.append(n)
            if x.view(2, -1)[1, 0] != 6 or torch.tensor([1.0] * n).sum() != n or x.unbind(1)[1][2] != 9:
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pullback_only("plans are its own")
def test_views_without_plans():
    """Prepared at each call: the same shapes, strides and offsets."""
    from pullback.core import _plans

    def geometry(name):
        found = []
        for x in tensors():
            try:
                views = VIEWS[name](x)
            except RuntimeError as error:
                found.append(str(error))
                continue
            for v in views if isinstance(views, tuple) else (views,):
                found.append((v.shape, v.stride(), v.storage_offset(), v.dtype))
        return found

    planned = {name: geometry(name) for name in VIEWS}
    before = _plans.use_plans(False)
    try:
        assert planned == {name: geometry(name) for name in VIEWS}
    finally:
        _plans.use_plans(before)


@pullback_only("plans are its own")
def test_places_take_no_plans():
    """A loop over the places of a tensor leaves the plans of others where they are."""
    from pullback.core import _plans

    x = torch.zeros(500)
    before, _ = _plans.count_plans()
    for i in range(500):
        x[i], x[i:], x.select(0, i)
        x[i] = i
    assert _plans.count_plans()[0] <= before + 2
    assert x.unbind(0)[499] == 499 and _plans.count_plans()[0] <= before + 3
