"""Views, copies and joins: strides, gradients, in-place forms, casts.

`VIEWS` and `COPIES` are tables of functions of one (3, 4) tensor. Each is run on numbers and compared
with what it does to positions, and its gradient with finite differences, twice.
"""

import numpy as np
import pytest
from library import check, fn_name, leaf, torch

VIEWS = [
    ("view", lambda x: x.view(2, 6), (6, 1)),
    ("view -1", lambda x: x.view(-1, 2), (2, 1)),
    ("reshape", lambda x: x.reshape(12), (1,)),
    ("reshape a transpose", lambda x: x.t().reshape(2, 2, 3), (2, 1, 4)),
    ("flatten", lambda x: x.flatten(), (1,)),
    ("unflatten", lambda x: x.unflatten(1, (2, 2)), (4, 2, 1)),
    ("ravel", lambda x: x.ravel(), (1,)),
    ("squeeze", lambda x: x[:1].squeeze(), (1,)),
    ("squeeze dims", lambda x: x[:1, :1].squeeze((0, 1)), ()),
    ("unsqueeze", lambda x: x.unsqueeze(-1), (4, 1, 1)),
    ("transpose", lambda x: x.transpose(0, 1), (1, 4)),
    ("t", lambda x: x.t(), (1, 4)),
    ("T", lambda x: x.T, (1, 4)),
    ("mT", lambda x: x.mT, (1, 4)),
    ("permute", lambda x: x.permute(1, 0), (1, 4)),
    ("movedim", lambda x: x.view(3, 2, 2).movedim(0, 2), (2, 1, 4)),
    ("expand", lambda x: x.expand(2, 3, 4), (0, 4, 1)),
    ("broadcast_to", lambda x: x[:1].broadcast_to((3, 4)), (0, 1)),
    ("select", lambda x: x.select(1, 2), (4,)),
    ("narrow", lambda x: x.narrow(1, 1, 2), (4, 1)),
    ("diagonal", lambda x: x.diagonal(1), (5,)),
    ("unfold", lambda x: x.unfold(1, 3, 1), (4, 1, 1)),
    ("unfold apart", lambda x: x.unfold(1, 2, 2), (4, 2, 1)),
    ("as_strided", lambda x: x.as_strided((2, 3), (4, 2), 1), (4, 2)),
    ("as_strided, overlapping", lambda x: x.as_strided((3, 3), (1, 1)), (1, 1)),
    ("split", lambda x: x.split(2)[0], (4, 1)),
    ("split sizes", lambda x: x.split([1, 3], 1)[1], (4, 1)),
    ("chunk", lambda x: x.chunk(2, 1)[1], (4, 1)),
    ("tensor_split", lambda x: x.tensor_split(3, 1)[0], (4, 1)),
    ("unbind", lambda x: x.unbind(1)[3], (4,)),
    ("view_as_complex", lambda x: torch.view_as_complex(x.view(6, 2)), (1,)),
    ("alias", lambda x: x[...], (4, 1)),
]

COPIES = [
    ("flip", lambda x: x.flip(0, 1)),
    ("fliplr", lambda x: x.fliplr()),
    ("roll", lambda x: x.roll(5)),
    ("roll dims", lambda x: x.roll((1, -1), (0, 1))),
    ("rot90", lambda x: x.rot90(3)),
    ("repeat", lambda x: x.repeat(2, 1, 3)),
    ("tile", lambda x: x.tile(2)),
    ("repeat_interleave", lambda x: x.repeat_interleave(2, 1)),
    ("repeats", lambda x: x.repeat_interleave(torch.tensor([2, 0, 1]), 0)),
    ("tril", lambda x: x.tril(1)),
    ("triu", lambda x: x.triu(-1)),
    ("diag", lambda x: x.diag(-1)),
    ("diag_embed", lambda x: torch.diag_embed(x, 1, 0, 2)),
    ("cat", lambda x: torch.cat([x, x[:1]])),
    ("stack", lambda x: torch.stack([x, x.flip(0)], 1)),
    ("hstack", lambda x: torch.hstack([x, x])),
    ("column_stack", lambda x: torch.column_stack([x, x[:, 0]])),
    ("block_diag", lambda x: torch.block_diag(x, x[0])),
    ("meshgrid", lambda x: torch.meshgrid(x[0], x[:, 0], indexing="xy")[1]),
    ("cartesian_prod", lambda x: torch.cartesian_prod(x[0], x[1])),
    ("combinations", lambda x: torch.combinations(x[0], 2)),
    ("kron", lambda x: torch.kron(x, x[:2, :2])),
    ("constant_pad_nd", lambda x: torch.constant_pad_nd(x, (1, -1, 0, 2))),
    ("clone", lambda x: x.t().clone()),
    ("contiguous", lambda x: x.t().contiguous()),
    ("reshape a copy", lambda x: x.t().reshape(12)),
    ("as_strided_scatter src", lambda x: torch.as_strided_scatter(x * 0, x[0], (4,), (2,))),
    ("double", lambda x: x.to(torch.complex128)),
    ("fill", lambda x: torch.fill(x, x[0, 0])),
]

TABLE = [*(row[:2] for row in VIEWS), *COPIES, ("unsafe_split", lambda x: x.unsafe_split(2)[1])]


@pytest.mark.parametrize(("name", "function", "strides"), VIEWS, ids=[row[0] for row in VIEWS])
def test_views_share_memory_and_have_the_strides(name, function, strides):
    x = torch.arange(12.0).reshape(3, 4).clone()
    view = function(x)
    assert view.stride() == strides
    assert view.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    before = view.clone()
    x.mul_(10)
    check(view, (before * 10).tolist())


@pytest.mark.parametrize(("name", "function"), TABLE, ids=[row[0] for row in TABLE])
def test_gradients(name, function):
    x = torch.linspace(-2, 3, 12, dtype=torch.float64).reshape(3, 4).clone().requires_grad_()
    assert torch.autograd.gradcheck(function, (x,))
    assert torch.autograd.gradgradcheck(function, (x,))


@pytest.mark.parametrize(("name", "function"), COPIES, ids=[row[0] for row in COPIES])
def test_copies_have_memory_of_their_own(name, function):
    x = torch.arange(12.0).reshape(3, 4).clone()
    before = function(x).clone()
    with torch.no_grad():
        function(x).mul_(2) if name != "meshgrid" else None
    check(x, np.arange(12.0).reshape(3, 4))
    check(function(x).real, before.real.tolist())


@pytest.mark.parametrize(
    "dtype",
    [torch.bool, torch.int32, torch.float16, torch.bfloat16, torch.complex64],
    ids=str,
)
def test_data_of_any_dtype_is_moved(dtype):
    x = torch.tensor([[0, 1], [1, 0], [1, 1]]).to(dtype)
    for moved, wanted in (
        (x.flip(0), [[1, 1], [1, 0], [0, 1]]),
        (x.roll(1, 1), [[1, 0], [0, 1], [1, 1]]),
        (torch.cat([x[:1], x[2:]]), [[0, 1], [1, 1]]),
        (torch.stack([x[0], x[1]]), [[0, 1], [1, 0]]),
        (x.repeat(1, 2)[0], [0, 1, 0, 1]),
        (x.tril(), [[0, 0], [1, 0], [1, 1]]),
        (x.t().reshape(6), [0, 1, 1, 1, 0, 1]),
    ):
        assert moved.dtype is dtype
        check(moved.to(torch.complex64).real, wanted)


# Errors ------------------------------------------------------------------------------------

ERRORS = [
    (lambda x: x.view(5, -1), RuntimeError, r"shape '\[5, -1\]' is invalid for input of size 12"),
    (lambda x: x.view(-1, -1), RuntimeError, "only one dimension can be inferred"),
    (lambda x: x.t().view(12), RuntimeError, "view size is not compatible with input tensor's"),
    (lambda x: x.flatten(1, 0), RuntimeError, "start_dim cannot come after end_dim"),
    (lambda x: x.squeeze(2), IndexError, r"expected to be in range of \[-2, 1\], but got 2"),
    (lambda x: x.permute(0, 0), RuntimeError, "duplicate dims are not allowed"),
    (lambda x: x.expand(3, 3), RuntimeError, r"The expanded size of the tensor \(3\) must match"),
    (lambda x: x.select(0, 3), IndexError, r"index 3 out of range for tensor of size \[3, 4\]"),
    (lambda x: x.narrow(0, 1, 5), RuntimeError, r"start \(1\) \+ length \(5\) exceeds"),
    (lambda x: x.unfold(0, 4, 1), RuntimeError, "maximum size for tensor at dimension 0 is 3"),
    (lambda x: x.as_strided((9, 9), (9, 1)), RuntimeError, "out of bounds for storage of size 48"),
    (lambda x: x.split([1, 1]), RuntimeError, "expects split_sizes to sum exactly to 3"),
    (lambda x: x.unsqueeze(0).t(), RuntimeError, r"t\(\) expects a tensor with <= 2 dimensions"),
    (lambda x: torch.cat([]), ValueError, "expected a non-empty list of Tensors"),
    (lambda x: torch.cat([x, x[:, :2]]), RuntimeError, "Sizes of tensors must match except in"),
    (lambda x: torch.stack([x, x[0]]), RuntimeError, r"got \[3, 4\] at entry 0 and \[4\] at"),
    (lambda x: x.repeat(2), RuntimeError, "can not be smaller than number of dimensions"),
    (lambda x: x.roll((1, 2), 0), RuntimeError, "shifts: 2, dims:1"),
    (lambda x: x[0].tril(), RuntimeError, "input tensor must have at least 2 dimensions"),
    (lambda x: torch.view_as_real(x), RuntimeError, "only supported for complex tensors"),
    (lambda x: x.imag, RuntimeError, "imag is not implemented for tensors with non-complex"),
    (lambda x: x.copy_(torch.ones(5)), RuntimeError, "must match the size of tensor b"),
    (lambda x: x.fill_(torch.ones(1)), RuntimeError, "only supports 0-dimension value tensor"),
    (lambda x: x.fill_(1j), RuntimeError, "value cannot be converted to type float without"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.arange(12.0).reshape(3, 4).clone())


# In place, casts, memory -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "shape", "name"),
    [
        (lambda y: y.t_(), (4, 3), "TBackward1"),
        (lambda y: y.transpose_(0, 1), (4, 3), "TransposeBackward1"),
        (lambda y: y.swapaxes_(0, 1), (4, 3), "TransposeBackward1"),
        (lambda y: y.unsqueeze_(0), (1, 3, 4), "UnsqueezeBackward1"),
        (lambda y: y.squeeze_(0), (3, 4), "SqueezeBackward4"),
    ],
)
def test_views_in_place(change, shape, name):
    x = leaf(np.arange(12.0).reshape(3, 4).tolist())
    y = x * 2
    assert change(y) is y
    assert tuple(y.shape) == shape and fn_name(y) == name and y._version == 1
    (y * torch.arange(12.0).reshape(shape)).sum().backward()
    weights = torch.arange(12.0).reshape(shape)
    weights = weights.t() if shape == (4, 3) else weights.reshape(3, 4)
    check(x.grad, (weights * 2).tolist())


def test_transposed_in_place_then_written_through_a_view():
    x = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    y = x * 1
    y.t_()
    y[0].mul_(10)
    y.sum().backward()
    check(y, [[10, 40], [2, 5], [3, 6]])
    check(x.grad, [[10, 1, 1], [10, 1, 1]])


def test_casts():
    x = torch.tensor([1.7, -1.7])
    assert x.float() is x and x.to(torch.float32) is x and x.cpu() is x
    assert x.to(torch.float32, copy=True) is not x
    check(x.long(), [1, -1])
    check(x.bool(), [True, True])
    assert x.half().dtype is torch.float16 and x.type(torch.float64).dtype is torch.float64
    assert x.type() == "torch.FloatTensor" and x.to(x.double()).dtype is torch.float64
    y = leaf([1.0, 2.0])
    z = y.double()
    assert fn_name(z) == "ToCopyBackward0"
    (z * z).sum().backward()
    assert y.grad.dtype is torch.float32
    check(y.grad, [2, 4])


def test_imaginary_parts_are_lost_with_a_warning():
    with pytest.warns(UserWarning, match="discards the imaginary part"):
        check(torch.tensor([1 + 2j]).float(), [1])


def test_clone_keeps_the_layout_of_dense_tensors():
    x = torch.zeros(2, 3, 4).permute(2, 0, 1)
    assert x.clone().stride() == x.stride()
    assert x[:, :, ::2].clone().stride() == (1, 8, 4)
    assert x.contiguous().stride() == (6, 3, 1)
    assert x.clone(memory_format=torch.contiguous_format).stride() == (6, 3, 1)


def test_resize_and_set():
    x = torch.arange(6)
    assert x.resize_(2, 2) is x
    check(x, [[0, 1], [2, 3]])
    assert x.resize_(6).tolist() == [0, 1, 2, 3, 4, 5]
    y = torch.zeros(1, dtype=torch.int64)
    y.set_(x)
    y[0] = 9
    assert x[0].item() == 9
    with pytest.raises(RuntimeError, match="cannot resize variables that require grad"):
        leaf([1.0]).resize_(2)


def test_fill_diagonal():
    check(torch.zeros(2, 3).fill_diagonal_(5), [[5, 0, 0], [0, 5, 0]])
    tall = torch.zeros(7, 3).fill_diagonal_(1, wrap=True)
    check(tall, np.array([0b100, 0b010, 0b001, 0, 0b100, 0b010, 0b001])[:, None] >> [2, 1, 0] & 1)


def test_gradient_has_the_layout_of_its_leaf():
    x = torch.zeros(3, 2).t().clone().requires_grad_()
    assert x.stride() == (1, 2)
    (x * 2).sum().backward()
    assert x.grad.stride() == (1, 2)


def test_split_pieces_without_a_gradient_count_as_zero():
    x = leaf([1.0, 2.0, 3.0, 4.0])
    first, _ = x.split(2)
    (first * 3).sum().backward()
    check(x.grad, [3, 3, 0, 0])


@pytest.mark.filterwarnings("ignore")
def test_the_transpose_of_a_number_is_itself():
    x = torch.tensor(1.0 + 2.0j)
    assert x.mT.item() == x.T.item() == 1 + 2j
    assert x.H.item() == 1 - 2j


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((7,), (1,), None), ((2,), (1 << 62,), None), ((2,), (1,), -1), ((), (), 6), ((2, 3), (4, 1), None)],
)
def test_windows_outside_of_the_storage_are_refused(size, stride, offset):
    with pytest.raises(RuntimeError):
        torch.arange(6.0).as_strided(size, stride, offset)


def test_windows_begin_where_the_storage_does():
    """An offset counts from there, without one it is the tensor's own."""
    x = torch.arange(6.0)[2:]
    assert x.as_strided((2,), (2,)).tolist() == [2, 4]
    assert x.as_strided((2,), (2,), 0).tolist() == [0, 2]
    assert x.as_strided((0,), (9,)).shape == (0,)
    y = torch.arange(3.0, requires_grad=True)
    y.as_strided((2, 2), (1, 1)).sum().backward()
    assert y.grad.tolist() == [1, 2, 1]
