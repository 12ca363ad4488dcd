"""complex32: pairs of float16, computed with in complex64; alike on PyTorch."""

import copy
import io
import pickle

import pytest
from library import torch

pytestmark = pytest.mark.filterwarnings("ignore:ComplexHalf support", "ignore:Casting complex values")

Z = [1 + 2j, -0.5 + 0.25j, 3 - 4j]
REALS = ["float16", "bfloat16", "float32", "float64", "int64", "int32", "uint8", "bool", "float8_e5m2"]


def z(numbers=Z, **options):
    return torch.tensor(numbers, dtype=torch.complex32, **options)


def test_what_it_says():
    assert torch.chalf is torch.complex32
    assert repr(torch.complex32) == "torch.complex32"
    assert torch.complex32.to_real() is torch.float16
    assert torch.complex32.to_complex() is torch.float16.to_complex() is torch.complex32
    assert torch.bfloat16.to_complex() is torch.complex64
    assert torch.complex32.is_complex and torch.complex32.is_signed
    assert torch.complex32.itemsize == z().element_size() == 4
    assert pickle.loads(pickle.dumps(torch.complex32)) is torch.complex32
    assert torch.finfo(torch.complex32).max == 65504
    assert z().type() == "torch.ComplexHalfTensor"
    assert z().is_complex() and not z().is_floating_point()


def test_promotion():
    kinds = {
        "complex32": "int64 int8 uint8 bool float16 complex32",
        "complex64": "bfloat16 float32 complex64",
        "complex128": "float64 complex128",
    }
    for made, names in kinds.items():
        for name in names.split():
            for a, b in (("complex32", name), (name, "complex32")):
                assert torch.promote_types(getattr(torch, a), getattr(torch, b)) is getattr(torch, made)
    for name in ("uint16", "float8_e5m2"):
        with pytest.raises(RuntimeError, match="is not supported, attempted to promote ComplexHalf and"):
            torch.promote_types(torch.complex32, getattr(torch, name))
    half = torch.ones(3, dtype=torch.float16)
    assert (half + 1j).dtype is (half * z()).dtype is torch.result_type(half, 1j) is torch.complex32
    assert (z() + torch.ones(3)).dtype is torch.complex64
    assert torch.can_cast(torch.float64, torch.complex32)
    assert not torch.can_cast(torch.complex32, torch.float16)


@pytest.mark.parametrize("name", REALS)
def test_casts(name):
    kind = getattr(torch, name)
    there = torch.tensor([0, 1, 3]).to(kind).to(torch.complex32)
    assert there.dtype is torch.complex32
    assert there.tolist() == [complex(n) for n in torch.tensor([0, 1, 3]).to(kind).to(torch.float64).tolist()]
    back = z([2 + 1j, 0j, 1 + 0j]).to(kind)
    assert back.dtype is kind
    assert back.to(torch.float64).tolist() == ([1, 0, 1] if name == "bool" else [2, 0, 1])
    assert z([2 + 1j]).to(torch.complex128).tolist() == [2 + 1j]


def test_casts_round_as_float16_does():
    numbers = [65519.0, 65520.0, 1e-8, 2.0**-24, 1 + 2.0**-11, 1 + 2.0**-11 + 2.0**-20, 0.1, -1e6]
    for kind in (torch.float32, torch.float64):
        x = torch.tensor(numbers, dtype=kind)
        pairs = torch.view_as_real(torch.complex(x, -x).to(torch.complex32))
        assert torch.equal(pairs, torch.stack([x.to(torch.float16), -x.to(torch.float16)], 1))
    assert torch.tensor(1e6 + 2j, dtype=torch.complex32).item() == complex("inf+2j")


def test_views():
    x = z()
    pairs = torch.view_as_real(x)
    assert pairs.dtype is x.real.dtype is x.imag.dtype is torch.float16
    assert pairs.tolist() == [[1, 2], [-0.5, 0.25], [3, -4]]
    assert torch.view_as_complex(pairs).dtype is torch.complex32
    assert x.view(torch.float16).tolist() == [1, 2, -0.5, 0.25, 3, -4]
    assert x.view(torch.int32).shape == (3,)
    x.real.fill_(7)
    assert x.tolist() == [7 + 2j, 7 + 0.25j, 7 - 4j]
    turned = x.conj()
    assert turned.is_conj()
    assert turned.tolist() == turned.resolve_conj().tolist() == [7 - 2j, 7 - 0.25j, 7 + 4j]
    x[0] = 1j
    assert turned[0].item() == -1j
    assert x[None].mH.is_conj()


def test_printing():
    assert (
        repr(z())
        == "tensor([ 1.0000+2.0000j, -0.5000+0.2500j,  3.0000-4.0000j],\n       dtype=torch.complex32)"
    )
    assert repr(z([1 + 2j])) == "tensor([1.+2.j], dtype=torch.complex32)"
    assert f"{z()[0]}" == "(1+2j)"


def test_making():
    options = {"dtype": torch.complex32}
    for made in (
        torch.zeros(2, **options),
        torch.ones(2, **options),
        torch.empty(2, **options),
        torch.full((2,), 1j, **options),
        torch.zeros_like(z()),
        torch.full_like(z(), 2j),
        torch.rand(2, **options),
        torch.randn(2, **options),
        torch.scalar_tensor(1j, **options),
        z().new_tensor([1, 2]),
        torch.randn_like(z()),
        torch.tensor([1.5], dtype=torch.float16).chalf(),
        torch.complex(*torch.ones(2, 2, dtype=torch.float16)),
    ):
        assert made.dtype is torch.complex32
    assert torch.full((2,), 1j, **options).tolist() == [1j, 1j]
    with pytest.raises(TypeError, match="Got unsupported ScalarType ComplexHalf"):
        z().numpy()


def test_draws_are_those_of_halves():
    torch.manual_seed(3)
    drawn = torch.rand(20, dtype=torch.complex32)
    torch.manual_seed(3)
    assert torch.equal(torch.view_as_real(drawn).flatten(), torch.rand(40, dtype=torch.float16))


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("x + y", [3 + 2j, -0.5 + 1.25j, 4 - 4j]),
        ("x - 1", [2j, -1.5 + 0.25j, 2 - 4j]),
        ("1 - x", [-2j, 1.5 - 0.25j, -2 + 4j]),
        ("x * y", [2 + 4j, -0.25 - 0.5j, 3 - 4j]),
        ("x * 1j", [-2 + 1j, -0.25 - 0.5j, 4 + 3j]),
        ("-x", [-1 - 2j, 0.5 - 0.25j, -3 + 4j]),
        ("torch.add(x, y, alpha=2)", [5 + 2j, -0.5 + 2.25j, 5 - 4j]),
        ("torch.addcmul(x, y, y)", [5 + 2j, -1.5 + 0.25j, 4 - 4j]),
        ("x.abs()[2]", 5),
        ("x[2].sgn()", 0.60009765625 - 0.7998046875j),
        ("x == y", [False, False, False]),
        ("x != y", [True, True, True]),
        ("x.isfinite()", [True, True, True]),
        ("torch.where(x == 1 + 2j, x, 0)", [1 + 2j, 0, 0]),
        ("x.masked_fill(x == x, 1j)", [1j, 1j, 1j]),
        ("x.index_add(0, torch.tensor([0, 0]), x[:2])", [1.5 + 4.25j, -0.5 + 0.25j, 3 - 4j]),
        ("x.norm()", 5.50390625),
        ("x.all()", True),
        ("x.count_nonzero()", 3),
        ("x.sum(dtype=torch.complex64)", 3.5 - 1.75j),
        ("torch.cat([x, x.real])", [1 + 2j, -0.5 + 0.25j, 3 - 4j, 1, -0.5, 3]),
        ("x.float_power(2)[2]", -7 - 24j),
    ],
)
def test_arithmetic(text, result):
    assert eval(text, {"torch": torch, "x": z(), "y": z([2, 1j, 1])}).tolist() == result


def test_writing():
    x = z()
    x.mul_(2).add_(x, alpha=2)
    assert x.tolist() == [6 + 12j, -3 + 1.5j, 18 - 24j]
    x[1:] = torch.tensor([5.0, 1j])
    assert x.tolist() == [6 + 12j, 5, 1j]
    assert torch.add(x, 1, out=torch.empty(3, dtype=torch.complex32)).tolist() == [7 + 12j, 6, 1 + 1j]


@pytest.mark.parametrize(
    ("text", "kernel"),
    [
        ("x.sum()", "sum_cpu"),
        ("x.mean()", "sum_cpu"),
        ("x.prod()", "prod_out_cpu"),
        ("x.cumsum(0)", "cumsum_out_cpu"),
        ("x / x", "div_cpu"),
        ("x ** 2", "pow"),
        ("x.exp()", "exp_vml_cpu"),
        ("x.angle()", "angle_cpu"),
        ("x.sigmoid()", "sigmoid_cpu"),
        ("x.logical_not()", "logical_not_cpu"),
        ("x < x", "lt_cpu"),
        ("x.log_softmax(0)", "log_softmax_lastdim_kernel_impl"),
        (
            "square @ square",
            "addmm_impl_cpu_",
        ),
        ("torch.linalg.det(square)", "lu_cpu"),
        ("torch.linalg.qr(square)", "geqrf_cpu"),
        ("torch.arange(3, dtype=torch.complex32)", "arange_cpu"),
    ],
)
def test_what_is_refused(text, kernel):
    with pytest.raises(NotImplementedError, match=f"\"{kernel}\" not implemented for 'ComplexHalf'"):
        eval(text, {"torch": torch, "x": z(), "square": z([[1, 1j], [2, 3]])})


def test_gradients():
    x = z(requires_grad=True)
    (x * x.conj()).real[0].backward()
    assert x.grad.dtype is torch.complex32
    assert x.grad.tolist() == [2 + 4j, 0, 0]
    x.grad = None
    x.abs()[2].backward()
    assert x.grad.tolist() == [0, 0, 0.60009765625 - 0.7998046875j]
    x.grad = None
    torch.view_as_real(x + x).sum().backward()
    assert x.grad.tolist() == [2 + 2j] * 3
    half = torch.tensor([1.5], dtype=torch.float16, requires_grad=True)
    torch.view_as_real(half.to(torch.complex32) * 2).sum().backward()
    assert half.grad.dtype is torch.float16
    assert half.grad.item() == 2


def test_copies():
    file = io.BytesIO()
    torch.save({"x": z()}, file)
    file.seek(0)
    for made in (torch.load(file)["x"], copy.deepcopy(z())):
        assert made.dtype is torch.complex32
        assert made.tolist() == Z
    assert z().untyped_storage().nbytes() == 12
    sparse = z([0, 1j]).to_sparse()
    assert sparse.dtype is torch.complex32
    assert sparse.values().tolist() == [1j]
