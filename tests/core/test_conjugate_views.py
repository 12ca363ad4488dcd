"""Conjugate views: `conj()` shares memory with its base, and so do its imaginary parts, which are negated."""

import copy

import numpy as np
import pytest
from library import pullback_only, torch


def sample(*shape):
    x = torch.arange(1.0, 1 + 2 * np.prod(shape), dtype=torch.float64)
    return torch.view_as_complex(x.reshape(*shape, 2)).clone()


def numbers(x):
    return np.array(x.resolve_conj().resolve_neg().tolist())


def agrees(view, base):
    np.testing.assert_array_equal(numbers(view), numbers(base).conj())


WRITES = {
    "mul_": lambda x: x.mul_(2j),
    "add_": lambda x: x.add_(1 + 1j),
    "zero_": lambda x: x.zero_(),
    "fill_": lambda x: x.fill_(3 - 1j),
    "copy_": lambda x: x.copy_(sample(3, 2) * 1j),
    "item": lambda x: x.__setitem__((0, 1), 5j),
    "slice": lambda x: x.__setitem__(slice(1, None), 7j),
    "mask": lambda x: x.__setitem__(x.real > 3, 1j),
    "index": lambda x: x.__setitem__(torch.tensor([0, 2]), 2j),
    "row": lambda x: x[1].mul_(2j),
    "transposed": lambda x: x.t()[0].mul_(2j),
    "real": lambda x: x.real.mul_(2),
    "imag": lambda x: x.imag.mul_(2),
    "imag set": lambda x: setattr(x, "imag", torch.ones(3, 2, dtype=torch.float64)),
    "conj_physical_": lambda x: x.conj_physical_(),
    "conj of it": lambda x: x.conj().mul_(2j),
    "detached": lambda x: x.detach().mul_(2j),
    "out": lambda x: torch.add(sample(3, 2), 1j, out=x),
    "index_fill_": lambda x: x.index_fill_(0, torch.tensor([1]), 9j),
}


@pytest.mark.parametrize("name", WRITES)
def test_writes_are_seen_by_both(name):
    x = sample(3, 2)
    v = x.conj()
    WRITES[name](x)
    agrees(v, x)
    y = sample(3, 2)
    w = y.conj()
    expected = sample(3, 2).conj().resolve_conj()
    WRITES[name](w)
    WRITES[name](expected)
    np.testing.assert_array_equal(numbers(w), numbers(expected))
    agrees(w, y)
    assert w.is_conj()


def test_what_is_a_conjugate_view():
    x = sample(2, 2)
    v = x.conj()
    assert v.is_conj() and torch.is_conj(v) and not v.is_neg()
    assert v._is_view() and v._base is x
    assert v.data_ptr() == x.data_ptr() and v.stride() == x.stride()
    assert v.storage_offset() == 0 and v[1].storage_offset() == 2
    assert v.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    for seen in (
        v[0],
        v.t(),
        v.reshape(4),
        v.detach(),
        v.contiguous(),
        v.expand(3, 2, 2),
        x.mH,
        x.H,
        x.adjoint(),
    ):
        assert seen.is_conj()
    for other in (
        x,
        v.conj(),
        v + 1,
        v.clone(),
        v.resolve_conj(),
        x.T,
        torch.empty_like(v),
        v.to(torch.complex64),
    ):
        assert not other.is_conj()
    assert v.conj().data_ptr() == x.data_ptr()
    assert x.resolve_conj() is x
    real = torch.ones(2)
    assert real.conj() is real and not real.is_conj()


def test_imaginary_parts_are_negative_views():
    x = sample(3)
    imag, real = x.conj().imag, x.conj().real
    assert imag.is_neg() and torch.is_neg(imag) and not real.is_neg() and not x.imag.is_neg()
    assert imag.tolist() == [-2.0, -4.0, -6.0]
    imag.mul_(3)
    assert x.imag.tolist() == [6.0, 12.0, 18.0]
    x.mul_(2)
    assert imag.tolist() == [-12.0, -24.0, -36.0] and real.tolist() == x.real.tolist()
    assert not imag.resolve_neg().is_neg()
    assert imag.resolve_neg().data_ptr() != imag.data_ptr()


def test_several_views_of_parts():
    x = sample(4)
    whole, part, back = x.conj(), x[1:3].conj(), x.conj().conj()
    part[0] = 10j
    agrees(whole, x)
    agrees(part, x[1:3])
    assert x[1].item() == -10j
    back[2] = 1 + 1j
    agrees(whole, x)
    agrees(part, x[1:3])
    del whole
    x.mul_(2)
    agrees(part, x[1:3])


def test_versions_are_shared():
    x = sample(2)
    v = x.conj()
    x.add_(1)
    assert v._version == x._version == 1
    v.add_(1)
    assert v._version == x._version == 2


@pytest.mark.parametrize("write", ["base", "row of the base", "view"])
def test_what_was_saved_of_a_view_is_guarded(write):
    x = sample(2)
    v = x.conj()
    w = torch.ones(2, dtype=torch.complex128, requires_grad=True)
    y = (w * v).sum()
    {"base": x, "row of the base": x[:1], "view": v}[write].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.real.backward()


FACTOR = torch.tensor([1j, 2.0])


@pytest.mark.parametrize(
    "step",
    [
        lambda y: y.conj().mul_(2j),
        lambda y: y.conj()[1:].mul_(2j),
        lambda y: y.conj().imag.mul_(3),
        lambda y: y.conj().real.mul_(3),
        lambda y: y.conj().copy_(y.conj() * 2j),
        lambda y: y.conj().unsqueeze(0).t().mul_(3j),
        lambda y: y[1:].conj().mul_(2j),
    ],
)
def test_gradients_of_writes_through_a_view(step):
    """Those of the same step on an array of real and imaginary parts, by differences."""

    def loss(pairs):
        y = torch.view_as_complex(pairs).clone()
        step(y)
        return (y * FACTOR * y.conj().resolve_conj() * (1 + 1j)).sum().real + (y * FACTOR).sum().real

    pairs = torch.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (pairs,))
    assert torch.autograd.gradgradcheck(loss, (pairs,))


@pytest.mark.parametrize("see", [lambda y: y.conj(), lambda y: y.conj()[1:], lambda y: y[:1].conj().imag])
def test_gradients_of_views_whose_base_was_written(see):
    def loss(pairs):
        y = torch.view_as_complex(pairs).clone()
        v = see(y)
        y.mul_(2j)
        y[0] = y[1] * 3j
        return (v * v.detach() * (2 + 1j)).sum().real

    pairs = torch.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=torch.float64, requires_grad=True)

    def plain(pairs):
        y = torch.view_as_complex(pairs).clone() * 2j
        y = torch.stack([y[1] * 3j, y[1]])
        v = see(y)
        return (v * v.detach() * (2 + 1j)).sum().real

    (found,) = torch.autograd.grad(loss(pairs), pairs)
    (expected,) = torch.autograd.grad(plain(pairs), pairs)
    torch.testing.assert_close(found, expected)


def test_a_view_of_a_leaf_is_not_written():
    x = torch.ones(2, dtype=torch.complex64, requires_grad=True)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
        x.conj().mul_(2)
    assert type(x.conj().grad_fn).__name__ == "ConjBackward0"
    with torch.no_grad():
        x.conj().mul_(2j)
    assert x.tolist() == [-2j, -2j]


def test_numpy_is_not_handed_what_is_turned():
    v = sample(2).conj()
    with pytest.raises(RuntimeError, match=r"conjugate bit set\. Use tensor\.resolve_conj"):
        v.numpy()
    with pytest.raises(RuntimeError, match="conjugate bit set"):
        np.asarray(v)
    with pytest.raises(RuntimeError, match=r"negative bit set\. Use tensor\.resolve_neg"):
        v.imag.numpy()
    assert v.numpy(force=True).tolist() == [1 - 2j, 3 - 4j]
    assert v.tolist() == [1 - 2j, 3 - 4j]
    assert repr(v) == repr(v.resolve_conj())
    assert copy.deepcopy(v).tolist() == [1 - 2j, 3 - 4j]


def test_a_view_is_not_seen_as_pairs():
    v = sample(2).conj()
    with pytest.raises(RuntimeError, match="view_as_real doesn't work on unresolved conjugated tensors"):
        torch.view_as_real(v)
    with pytest.raises(RuntimeError, match="not supported for conjugate view tensors"):
        v.view(torch.float64)


def test_ops_read_a_view_as_its_numbers():
    a, b = sample(2, 3), sample(3, 2)
    torch.testing.assert_close(a.conj() @ b, a.conj().resolve_conj() @ b)
    torch.testing.assert_close(a.mH @ b.mH, (b @ a).mH)
    torch.testing.assert_close(torch.linalg.norm(a.conj()), torch.linalg.norm(a))
    assert torch.equal(a.conj().conj(), a)
    assert torch.equal(torch.cat([a.conj(), a]), torch.cat([a.conj().resolve_conj(), a]))


def test_under_transforms():
    a = sample(2, 3)
    found = torch.vmap(lambda r: r.conj() * r)(a)
    torch.testing.assert_close(found, a.conj() * a)


@pullback_only("a window that leaves most of the memory out gets a copy, as its mirror would be as large")
def test_a_small_window_on_large_memory_is_copied():
    x = torch.zeros(1000, 1000, dtype=torch.complex64)
    assert not x[:, 0].conj().is_conj()
    assert x[:, :900].conj().is_conj()
