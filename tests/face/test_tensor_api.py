"""Tensors as objects: creation, attributes, strides, dtypes and devices, conversion, operators.

Copies, NumPy, DLPack and subclasses are in test_interop.py; indexing in test_indexing.py.
"""

import math

import numpy as np
import pytest
from library import check, leaf, torch, vec

f32, f64, i64, c64 = torch.float32, torch.float64, torch.int64, torch.complex64

# Creation ----------------------------------------------------------------------------------

INFERRED = [
    (1, i64),
    (1.0, f32),
    (True, torch.bool),
    (1j, c64),
    ([1, 2.5], f32),
    ([True, 2], i64),
    ([1, 2j], c64),
    ([], f32),
    ([[1], [2]], i64),
    ((1, (2), 3), i64),
    (range(3), i64),
]


@pytest.mark.parametrize(("data", "dtype"), INFERRED, ids=[str(row[0]) for row in INFERRED])
def test_dtype_of_tensor(data, dtype):
    assert torch.tensor(data).dtype is dtype
    assert torch.as_tensor(data).dtype is dtype


CREATED = [
    ("zeros", lambda: torch.zeros(2, 3), [[0.0] * 3] * 2, f32),
    ("zeros of a tuple", lambda: torch.zeros((2,), dtype=i64), [0, 0], i64),
    ("ones", lambda: torch.ones([2], dtype=torch.bool), [True, True], torch.bool),
    ("full", lambda: torch.full((2,), 7), [7, 7], i64),
    ("full float", lambda: torch.full((2,), 0.5), [0.5, 0.5], f32),
    ("full bool", lambda: torch.full((), True), True, torch.bool),
    ("zeros_like", lambda: torch.zeros_like(torch.ones(2, dtype=f64)), [0, 0], f64),
    ("ones_like", lambda: torch.ones_like(vec(3, 4), dtype=i64), [1, 1], i64),
    ("full_like", lambda: torch.full_like(vec(3, 4), 2), [2, 2], f32),
    ("new_zeros", lambda: torch.ones(1, dtype=f64).new_zeros(2), [0, 0], f64),
    ("new_ones", lambda: torch.ones(1, dtype=i64).new_ones((2,)), [1, 1], i64),
    ("new_full", lambda: torch.ones(1).new_full((2,), 3), [3, 3], f32),
    ("new_tensor", lambda: torch.ones(1, dtype=f64).new_tensor([1, 2]), [1, 2], f64),
    ("arange", lambda: torch.arange(4), [0, 1, 2, 3], i64),
    ("arange float", lambda: torch.arange(1, 2, 0.25), [1, 1.25, 1.5, 1.75], f32),
    ("arange back", lambda: torch.arange(3, 0, -1), [3, 2, 1], i64),
    ("arange end float", lambda: torch.arange(3.0), [0, 1, 2], f32),
    ("arange dtype", lambda: torch.arange(3, dtype=f64), [0, 1, 2], f64),
    ("arange empty", lambda: torch.arange(0), [], i64),
    ("range of one", lambda: torch.arange(5, 6, 10), [5], i64),
    ("linspace", lambda: torch.linspace(0, 1, 5), [0, 0.25, 0.5, 0.75, 1], f32),
    ("linspace one", lambda: torch.linspace(3, 10, 1), [3], f32),
    ("linspace int", lambda: torch.linspace(0, 10, 5, dtype=i64), [0, 2, 5, 7, 10], i64),
    ("logspace", lambda: torch.logspace(0, 2, 3), [1, 10, 100], f32),
    ("logspace base", lambda: torch.logspace(0, 3, 4, base=2), [1, 2, 4, 8], f32),
    ("eye", lambda: torch.eye(2), [[1, 0], [0, 1]], f32),
    ("eye wide", lambda: torch.eye(2, 3, dtype=i64), [[1, 0, 0], [0, 1, 0]], i64),
    ("tril_indices", lambda: torch.tril_indices(2, 2), [[0, 1, 1], [0, 0, 1]], i64),
    ("triu_indices", lambda: torch.triu_indices(2, 3, 1), [[0, 0, 1], [1, 2, 2]], i64),
    ("complex", lambda: torch.complex(vec(1, 2), vec(3, 4)), [1 + 3j, 2 + 4j], c64),
    ("polar", lambda: torch.polar(vec(2), vec(0)), [2 + 0j], c64),
    ("scalar_tensor", lambda: torch.scalar_tensor(3), 3.0, f32),
    ("diag", lambda: torch.diag(vec(1, 2)), [[1, 0], [0, 2]], f32),
    ("vander", lambda: torch.vander(torch.tensor([2, 3]), 3), [[4, 2, 1], [9, 3, 1]], i64),
    ("cartesian_prod", lambda: torch.cartesian_prod(vec(1, 2), vec(3)), [[1, 3], [2, 3]], f32),
    ("meshgrid", lambda: torch.meshgrid(vec(1, 2), vec(3), indexing="xy")[0], [[1, 2]], f32),
    ("empty_strided", lambda: torch.empty_strided((2, 2), (1, 2)).zero_(), [[0, 0]] * 2, f32),
]


@pytest.mark.parametrize(("name", "make", "values", "dtype"), CREATED, ids=[row[0] for row in CREATED])
def test_creation(name, make, values, dtype):
    made = make()
    check(made, values)
    assert made.dtype is dtype
    assert not made.requires_grad


def test_creation_with_requires_grad_makes_leaves():
    for x in (
        torch.zeros(2, requires_grad=True),
        torch.randn(2, requires_grad=True),
        torch.tensor([1.0], requires_grad=True),
        torch.arange(2.0, requires_grad=True),
        torch.full((2,), 1.0, requires_grad=True),
        torch.ones_like(vec(1), requires_grad=True),
    ):
        assert x.is_leaf and x.requires_grad and x.grad_fn is None


def test_default_dtype():
    try:
        torch.set_default_dtype(f64)
        assert torch.tensor(1.0).dtype is f64
        assert torch.zeros(1).dtype is f64
        assert torch.tensor(1j).dtype is torch.complex128
        assert (torch.tensor([1]) / 2).dtype is f64
        assert torch.get_default_dtype() is f64
    finally:
        torch.set_default_dtype(f32)


# Shape and memory --------------------------------------------------------------------------


def test_sizes():
    x = torch.zeros(2, 3, 4)
    assert x.shape == torch.Size([2, 3, 4]) == (2, 3, 4) == x.size()
    assert isinstance(x.shape, tuple) and isinstance(x.shape, torch.Size)
    assert (x.dim(), x.ndim, x.numel(), x.nelement(), x.size(-1), len(x)) == (3, 3, 24, 24, 4, 2)
    assert repr(x.shape) == "torch.Size([2, 3, 4])"
    assert x.shape.numel() == 24
    assert isinstance(x.shape[1:], torch.Size)
    assert (x.itemsize, x.element_size(), x.nbytes) == (4, 4, 96)
    assert torch.tensor(1.0).shape == ()


def x345():
    return torch.arange(60.0).reshape(3, 4, 5)


# name, view, its shape, strides, storage offset, whether contiguous
STRIDED = [
    ("itself", lambda x: x, (3, 4, 5), (20, 5, 1), 0, True),
    ("transpose", lambda x: x.transpose(0, 2), (5, 4, 3), (1, 5, 20), 0, False),
    ("permute", lambda x: x.permute(1, 2, 0), (4, 5, 3), (5, 1, 20), 0, False),
    ("mT", lambda x: x.mT, (3, 5, 4), (20, 1, 5), 0, False),
    ("int", lambda x: x[1], (4, 5), (5, 1), 20, True),
    ("slices", lambda x: x[1:, ::2, 3:], (2, 2, 2), (20, 10, 1), 23, False),
    ("select", lambda x: x.select(2, 1), (3, 4), (20, 5), 1, False),
    ("narrow", lambda x: x.narrow(1, 2, 2), (3, 2, 5), (20, 5, 1), 10, False),
    ("view", lambda x: x.view(12, 5), (12, 5), (5, 1), 0, True),
    ("view with -1", lambda x: x.view(3, -1), (3, 20), (20, 1), 0, True),
    ("view of a transpose", lambda x: x.transpose(0, 1).view(2, 2, 3, 5), (2, 2, 3, 5),
     (10, 5, 20, 1), 0, False),
    ("reshape", lambda x: x.reshape(60), (60,), (1,), 0, True),
    ("flatten", lambda x: x.flatten(1), (3, 20), (20, 1), 0, True),
    ("unflatten", lambda x: x.unflatten(1, (2, -1)), (3, 2, 2, 5), (20, 10, 5, 1), 0, True),
    ("unsqueeze 0", lambda x: x.unsqueeze(0), (1, 3, 4, 5), (60, 20, 5, 1), 0, True),
    ("unsqueeze -1", lambda x: x.unsqueeze(-1), (3, 4, 5, 1), (20, 5, 1, 1), 0, True),
    ("unsqueeze 1", lambda x: x.unsqueeze(1), (3, 1, 4, 5), (20, 20, 5, 1), 0, True),
    ("squeeze", lambda x: x[:1, :, :1].squeeze(), (4,), (5,), 0, False),
    ("squeeze dims", lambda x: x[:1, :, :1].squeeze((0, 1)), (4, 1), (5, 1), 0, False),
    ("expand", lambda x: x[:1].expand(2, 4, 5), (2, 4, 5), (0, 5, 1), 0, False),
    ("expand new", lambda x: x.expand(2, -1, -1, -1), (2, 3, 4, 5), (0, 20, 5, 1), 0, False),
    ("broadcast_to", lambda x: x[:, :1].broadcast_to((3, 4, 5)), (3, 4, 5), (20, 0, 1), 0, False),
    ("as_strided", lambda x: x.as_strided((2, 3), (7, 2), 4), (2, 3), (7, 2), 4, False),
    ("unfold", lambda x: x.unfold(1, 2, 2), (3, 2, 5, 2), (20, 10, 1, 5), 0, False),
    ("diagonal", lambda x: x.diagonal(1, 1, 2), (3, 4), (20, 6), 1, False),
    ("movedim", lambda x: x.movedim(0, -1), (4, 5, 3), (5, 1, 20), 0, False),
    ("swapdims", lambda x: x.swapdims(0, 1), (4, 3, 5), (5, 20, 1), 0, False),
    ("split", lambda x: x.split(2, 1)[1], (3, 2, 5), (20, 5, 1), 10, False),
    ("chunk", lambda x: x.chunk(3, 2)[2], (3, 4, 1), (20, 5, 1), 4, False),
    ("unbind", lambda x: x.unbind(1)[2], (3, 5), (20, 1), 10, False),
    ("hsplit", lambda x: x.hsplit(2)[1], (3, 2, 5), (20, 5, 1), 10, False),
    ("tensor_split", lambda x: x.tensor_split(2, 2)[1], (3, 4, 2), (20, 5, 1), 3, False),
    ("detach", lambda x: x[1:].detach(), (2, 4, 5), (20, 5, 1), 20, True),
    ("view_as_real", lambda x: torch.view_as_real(torch.complex(x, x)), (3, 4, 5, 2),
     (40, 10, 2, 1), 0, True),
    ("imag", lambda x: torch.complex(x, x).imag, (3, 4, 5), (40, 10, 2), 1, False),
    ("view dtype", lambda x: x.view(torch.int16), (3, 4, 10), (40, 10, 1), 0, True),
    ("T of a matrix", lambda x: x[0].T, (5, 4), (1, 5), 0, False),
    ("empty slice", lambda x: x[3:], (0, 4, 5), (20, 5, 1), 60, True),
    ("zeros_like", lambda x: torch.zeros_like(x.permute(2, 0, 1)), (5, 3, 4), (1, 20, 5), 0, False),
    ("clone", lambda x: x.transpose(0, 2).clone(), (5, 4, 3), (1, 5, 20), 0, False),
    ("clone of a slice", lambda x: x[:, ::2].clone(), (3, 2, 5), (10, 5, 1), 0, True),
    ("contiguous", lambda x: x.transpose(0, 2).contiguous(), (5, 4, 3), (12, 3, 1), 0, True),
    ("unary", lambda x: x.transpose(0, 2).neg(), (5, 4, 3), (1, 5, 20), 0, False),
    ("binary same", lambda x: x.mT + x.mT, (3, 5, 4), (20, 1, 5), 0, False),
    ("binary first wins", lambda x: x[0].T + x[1].T.contiguous(), (5, 4), (1, 5), 0, False),
    ("to a dtype", lambda x: x.mT.to(torch.float64), (3, 5, 4), (20, 1, 5), 0, False),
    ("sum keeps order", lambda x: x.permute(2, 0, 1).sum(0), (3, 4), (4, 1), 0, True),
    ("matmul", lambda x: x[0] @ x[0].T, (4, 4), (4, 1), 0, True),
    ("cat", lambda x: torch.cat([x.mT, x.mT]), (6, 5, 4), (20, 4, 1), 0, True),
    ("repeat", lambda x: x[0].T.repeat(1, 2), (5, 8), (8, 1), 0, True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "make", "shape", "strides", "offset", "contiguous"),
    STRIDED,
    ids=[row[0] for row in STRIDED],
)
def test_strides(name, make, shape, strides, offset, contiguous):
    t = make(x345())
    assert tuple(t.shape) == shape
    assert t.stride() == strides
    assert t.storage_offset() == offset
    assert t.is_contiguous() is contiguous
    assert t.contiguous().is_contiguous()
    check(t.contiguous(), t.tolist())


def test_reshape_is_a_view_where_it_can_be():
    x = x345()
    assert x.reshape(60).data_ptr() == x.data_ptr()
    assert x.contiguous() is x
    assert x.mT.reshape(60).data_ptr() != x.data_ptr()
    assert x[1].data_ptr() == x.data_ptr() + 80
    assert x.mT.contiguous().data_ptr() != x.data_ptr()


def test_resize():
    x = torch.arange(4.0)
    assert x.resize_(2) is x
    check(x, [0, 1])
    x.resize_(2, 2)
    check(x, [[0, 1], [2, 3]])


# Dtypes and devices ------------------------------------------------------------------------

ALIASES = [
    ("float", "float32"),
    ("double", "float64"),
    ("half", "float16"),
    ("int", "int32"),
    ("long", "int64"),
    ("short", "int16"),
    ("cfloat", "complex64"),
    ("cdouble", "complex128"),
]


@pytest.mark.parametrize(("alias", "name"), ALIASES)
def test_dtype_aliases_and_casts(alias, name):
    dtype = getattr(torch, name)
    assert getattr(torch, alias) is dtype
    assert repr(dtype) == f"torch.{name}"
    assert getattr(torch.ones(2), alias)().dtype is dtype
    assert torch.ones(2).to(dtype).dtype is torch.ones(2).type(dtype).dtype is dtype


def test_dtype_properties():
    assert torch.bfloat16.is_floating_point and not torch.int8.is_floating_point
    assert torch.complex64.is_complex and not f32.is_complex
    assert torch.int8.is_signed and not torch.uint8.is_signed and f32.is_signed
    assert [d.itemsize for d in (torch.bool, torch.bfloat16, f64)] == [1, 2, 8]
    assert c64.to_real() is f32 and f64.to_complex() is torch.complex128
    assert isinstance(f32, torch.dtype)
    assert torch.is_floating_point(vec(1)) and torch.is_complex(torch.tensor(1j))
    assert torch.tensor(1).is_signed()


INFO = [
    (torch.float16, 16, 65504.0, 2.0**-10, 2.0**-14),
    (torch.bfloat16, 16, 3.3895313892515355e38, 2.0**-7, 2.0**-126),
    (torch.float32, 32, 3.4028234663852886e38, 2.0**-23, 2.0**-126),
    (torch.float64, 64, 1.7976931348623157e308, 2.0**-52, 2.0**-1022),
    (torch.complex64, 32, 3.4028234663852886e38, 2.0**-23, 2.0**-126),
]


@pytest.mark.parametrize(("dtype", "bits", "largest", "eps", "tiny"), INFO)
def test_finfo(dtype, bits, largest, eps, tiny):
    info = torch.finfo(dtype)
    assert (info.bits, info.max, info.min, info.eps) == (bits, largest, -largest, eps)
    assert info.tiny == info.smallest_normal == tiny


def test_finfo_and_iinfo_print():
    assert repr(torch.finfo(f32)) == (
        "finfo(resolution=1e-06, min=-3.40282e+38, max=3.40282e+38, eps=1.19209e-07, "
        "smallest_normal=1.17549e-38, tiny=1.17549e-38, dtype=float32)"
    )
    assert torch.finfo().dtype == "float32"
    for name, bits in (("int8", 8), ("uint8", 8), ("int16", 16), ("int64", 64), ("uint16", 16)):
        info = torch.iinfo(getattr(torch, name))
        signed = not name.startswith("u")
        limits = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        assert (info.min, info.max, info.bits, info.dtype) == (*limits, bits, name)
    assert repr(torch.iinfo(torch.int8)) == "iinfo(min=-128, max=127, dtype=int8)"


def test_to_returns_itself_when_nothing_changes():
    x = vec(1, 2)
    assert x.to(f32) is x and x.float() is x and x.cpu() is x and x.to("cpu") is x
    assert x.to(f32, copy=True) is not x
    assert x.to(torch.ones(1, dtype=f64)).dtype is f64
    assert x.type_as(torch.ones(1, dtype=i64)).dtype is i64
    assert x.type() == "torch.FloatTensor"
    assert torch.ones(1, dtype=torch.bool).type() == "torch.BoolTensor"


def test_casts_to_integers_and_bool():
    x = vec(-1.9, 0.0, 1.9)
    check(x.long(), [-1, 0, 1])
    check(x.bool(), [True, False, True])
    check(torch.tensor([300, -1]).to(torch.uint8), [44, 255])
    check(torch.tensor([1.5, 2.5]).to(torch.bfloat16), [1.5, 2.5])
    check(torch.tensor([0.1]).half(), [0.0999755859375])


def test_cast_is_differentiable():
    x = leaf([1.0, 2.0])
    (x.double() * 3).sum().backward()
    assert x.grad.dtype is f32
    check(x.grad, [3, 3])


def test_devices():
    cpu = torch.device("cpu")
    assert torch.ones(1).device == cpu
    assert (cpu.type, cpu.index, str(cpu)) == ("cpu", None, "cpu")
    assert repr(torch.device("cpu:0")) == "device(type='cpu', index=0)"
    assert torch.device("meta") != cpu and hash(torch.device("cpu")) == hash(cpu)
    assert torch.ones(1).is_cpu and not torch.ones(1).is_cuda and not torch.ones(1).is_meta
    assert torch.ones(1).layout is torch.strided
    assert torch.ones(1).get_device() == -1


def test_meta_tensors_have_shapes_only():
    a = torch.empty(2, 3, device="meta")
    b = torch.ones(3, 4, device="meta", dtype=f32, requires_grad=True)
    c = (a @ b).sum(0, keepdim=True)
    assert (c.shape, c.device.type, c.requires_grad, c.is_meta) == ((1, 4), "meta", True, True)
    assert (a + 1).dtype is f32 and (a > 0).dtype is torch.bool
    assert a.t().stride() == (1, 3)
    assert torch.zeros(2).to("meta").shape == (2,)


# Operators and conversion ------------------------------------------------------------------

OPERATORS = [
    ("2 - x", lambda x: 2 - x, [3, -1]),
    ("2 / x", lambda x: 2 / x, [-2, 2 / 3]),
    ("2 ** x", lambda x: 2**x, [0.5, 8]),
    ("7 // x", lambda x: 7 // x, [-7, 2]),
    ("7 % x", lambda x: 7 % x, [0, 1]),
    ("x // 2", lambda x: x // 2, [-1, 1]),
    ("x % 2", lambda x: x % 2, [1, 1]),
    ("-x", lambda x: -x, [1, -3]),
    ("+x", lambda x: +x, [-1, 3]),
    ("abs", abs, [1, 3]),
    ("x @ x", lambda x: x @ x, 10),
    ("x < 0", lambda x: x < 0, [True, False]),
    ("0 <= x", lambda x: 0 <= x, [False, True]),  # noqa: SIM300
    ("x != 3", lambda x: x != 3, [True, False]),
    ("~int", lambda x: ~x.long(), [0, -4]),
    ("int << 1", lambda x: x.long() << 1, [-2, 6]),
    ("int >> 1", lambda x: x.long() >> 1, [-1, 1]),
    ("1 << int", lambda x: 1 << x.long().abs(), [2, 8]),
    ("int & 2", lambda x: x.long() & 2, [2, 2]),
    ("4 | int", lambda x: 4 | x.long(), [-1, 7]),
    ("int ^ 1", lambda x: x.long() ^ 1, [-2, 2]),
    ("bool & bool", lambda x: (x > 0) & (x < 9), [False, True]),
    ("~bool", lambda x: ~(x > 0), [True, False]),
]


@pytest.mark.parametrize(("name", "apply", "expected"), OPERATORS, ids=[r[0] for r in OPERATORS])
def test_operators(name, apply, expected):
    check(apply(vec(-1, 3)), expected)


def test_python_numbers():
    assert torch.tensor([[2.5]]).item() == 2.5 and type(torch.tensor(1).item()) is int
    assert type(torch.tensor(True).item()) is bool and torch.tensor(1j).item() == 1j
    assert float(torch.tensor(2)) == 2.0 and int(torch.tensor(2.9)) == 2
    assert complex(torch.tensor(1.0)) == 1 + 0j and bool(torch.tensor([0.0])) is False
    assert [10, 20, 30][torch.tensor(1)] == 20
    assert hex(torch.tensor(255)) == "0xff"
    assert math.sqrt(torch.tensor(4.0)) == 2.0
    assert f"{torch.tensor(1.5):.3f}" == "1.500" and f"{torch.tensor(7):03d}" == "007"
    assert torch.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert torch.tensor(0.5).tolist() == 0.5 and torch.zeros(0, 2).tolist() == []


def test_iteration_membership_and_length():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert 3.0 in x and 9 not in x and torch.tensor(4.0) in x
    assert [row.tolist() for row in reversed(x)] == [[3, 4], [1, 2]]
    _, b = x
    check(b, [3, 4])
    assert len(x) == 2 and max(x[0]).item() == 2.0


def test_identity_and_hashing():
    x, y = vec(1, 2), vec(1, 2)
    assert hash(x) != hash(y) and {x: 1}[x] == 1 and len({x, y}) == 2
    check(x == y, [True, True])
    assert torch.equal(x, y) and not torch.equal(x, vec(1))
    assert (x == None) is False and (x != "a") is True  # noqa: E711


def test_arguments_by_their_documented_names():
    eye, x = torch.eye(2), torch.ones(2, 2)
    assert x.sum_to_size(size=(1, 2)).tolist() == [[2.0, 2.0]]
    assert torch.view_copy(torch.ones(4), size=(2, 2)).shape == (2, 2)
    assert torch.view_copy(torch.ones(4), dtype=torch.int32).dtype == torch.int32
    assert torch.linalg.vector_norm(input=torch.tensor([3.0, 4.0])).item() == 5.0
    assert torch.equal(torch.linalg.lstsq(input=eye, b=x).solution, x)
    with pytest.warns(UserWarning, match="deprecated"):
        assert torch.equal(torch.triangular_solve(input=x, A=eye).solution, x)


def test_an_array_without_dims_is_a_size():
    assert torch.Tensor(np.array(3)).shape == (3,)
    assert torch.Tensor(np.array([1.0, 2.0])).tolist() == [1.0, 2.0]


def test_zero_slopes_are_not_negative():
    (slope,) = torch.gradient(torch.ones(3))
    assert str(slope) == "tensor([0., 0., 0.])"
    x = torch.zeros(1, requires_grad=True)
    torch.sinc(x).sum().backward()
    assert str(x.grad) == "tensor([0.])"


def test_questions_that_objects_of_other_classes_do_not_answer():
    class Other:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            raise AssertionError("not to be asked")

    assert not torch.is_tensor(Other()) and not torch.is_storage(Other())


def test_factors_may_be_tensors_of_one_number():
    two, a = torch.tensor(2.0), torch.eye(2)
    for result in (torch.addmm(a, a, a, alpha=two, beta=two), torch.addr(a, a[0], a[0], alpha=two)):
        assert result[0, 0] in (3.0, 4.0)
    two.fill_(3.0)  # a plan keeps no numbers
    assert torch.addmv(a[0], a, a[0], alpha=two)[0] == 4.0
    assert torch.addmv(a[0], a, a[0], alpha=torch.tensor(5.0))[0] == 6.0
