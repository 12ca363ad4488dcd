"""Floats of eight bits: every byte, casts, what ops do with them, files; alike on PyTorch."""

import copy
import io
import pickle

import numpy as np
import pytest
from library import ON_TORCH, check, pullback_only, torch

ml_dtypes = pytest.importorskip("ml_dtypes")
KINDS = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"]
BYTES = np.arange(256, dtype=np.uint8)
F = torch.nn.functional

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*ComplexHalf"),
    pytest.mark.parametrize("name", KINDS),
]


def every(name):
    """A tensor with every value."""
    return torch.arange(256).to(torch.uint8).view(getattr(torch, name))


def some(name):
    """Float32 numbers of all sizes, and those about which one might be in doubt."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32)
    usual = (rng.standard_normal(5_000) * 10.0 ** rng.uniform(-6, 6, 5_000)).astype(np.float32)
    steps = BYTES.view(getattr(ml_dtypes, name)).astype(np.float32)
    steps = np.sort(steps[np.isfinite(steps)])
    middles = (steps[1:].astype(np.float64) + steps[:-1]) / 2
    odd = [np.inf, -np.inf, np.nan, 0.0, -0.0, 464, 465, 480, 61440, 248, 2.0**-128, 1.5 * 2.0**-127]
    with np.errstate(over="ignore"):
        parts = [drawn, usual, steps, middles.astype(np.float32), np.array(odd, np.float32)]
    return np.concatenate(parts)


def rounded(values, name):
    """The bytes of float32 numbers, by ml_dtypes and by how PyTorch goes on where it does not."""
    kind = np.dtype(getattr(ml_dtypes, name))
    with np.errstate(all="ignore"):
        if name == "float8_e8m0fnu":
            found = np.abs(values).astype(kind).view(np.uint8)
            found[values == 0] = 0
            return found
        limited = np.clip(values, -448, 448) if name == "float8_e4m3fn" else values
        found = limited.astype(kind).view(np.uint8)
    if not name.endswith("uz"):
        lost = np.isnan(values)
        found[lost] = np.where(np.signbit(values[lost]), 255, 127)
    return found


def test_every_byte_is_its_number(name):
    wanted = BYTES.view(getattr(ml_dtypes, name)).astype(np.float32)
    x = every(name)
    for kind in ("float32", "float64", "float16", "bfloat16"):
        found = np.array(x.to(getattr(torch, kind)).to(torch.float64).tolist())
        exact = wanted.astype(np.float64)
        if kind in ("float16", "bfloat16"):
            with np.errstate(all="ignore"):
                exact = wanted.astype(np.float16 if kind == "float16" else ml_dtypes.bfloat16).astype(
                    np.float64
                )
        np.testing.assert_array_equal(found, exact)
    np.testing.assert_array_equal(np.array(x.tolist()), wanted)
    assert x[65].item() == float(wanted[65])
    fits = np.isfinite(wanted) & (np.abs(wanted) < 2**31)
    picked = torch.tensor(np.flatnonzero(fits).tolist())
    check(x[picked].to(torch.int32), wanted[fits].astype(np.int32))
    np.testing.assert_array_equal(np.array(x.bool().tolist()), wanted != 0)


def test_casts_round_to_nearest(name):
    kind, values = getattr(torch, name), some(name)
    x = torch.from_numpy(values)
    wanted = rounded(values, name)
    written = torch.zeros(len(values), 1, dtype=kind)
    written[:, 0] = x
    for found in (
        x.to(kind),
        torch.empty(x.shape, dtype=kind).copy_(x),
        x[:, None].expand(-1, 2).to(kind)[:, 1],
        written[:, 0],
    ):
        assert found.dtype is kind
        np.testing.assert_array_equal(found.contiguous().view(torch.uint8).numpy(), wanted)
    double = np.random.default_rng(1).standard_normal(2_000) * 30
    found = torch.from_numpy(double).to(kind).view(torch.uint8).numpy()
    np.testing.assert_array_equal(found, rounded(double.astype(np.float32), name))
    whole = torch.arange(-300, 300)
    np.testing.assert_array_equal(
        whole.to(kind).view(torch.uint8).numpy(), rounded(whole.numpy().astype(np.float32), name)
    )
    for other in KINDS:
        found = every(name).to(getattr(torch, other)).view(torch.uint8).numpy()
        if other == name:
            np.testing.assert_array_equal(found, BYTES)
        else:
            wide = BYTES.view(getattr(ml_dtypes, name)).astype(np.float32)
            same = ~np.isnan(wide)
            np.testing.assert_array_equal(found[same], rounded(wide, other)[same])


def test_tensors_of_numbers(name):
    kind = getattr(torch, name)
    values = np.array([1.5, 3.0, 0.25, 7.0, 1000.0], np.float32)
    made = torch.tensor(values.tolist(), dtype=kind)
    np.testing.assert_array_equal(made.view(torch.uint8).numpy(), rounded(values, name))
    for found in (torch.full((3,), 3.0, dtype=kind), torch.ones(3).to(kind).fill_(3)):
        np.testing.assert_array_equal(
            found.view(torch.uint8).numpy(), rounded(np.full(3, 3, np.float32), name)
        )
    assert torch.zeros(2, dtype=kind).view(torch.uint8).tolist() == [0, 0]
    check(torch.ones(2, 2, dtype=kind).float(), [[1.0, 1.0], [1.0, 1.0]])
    check(torch.ones_like(made).float(), [1.0] * 5)
    assert torch.empty(2, 3, dtype=kind).shape == (2, 3)
    assert torch.empty(2, 3, dtype=kind, device="meta").dtype is kind
    made[0] = 2.0
    made[1] = torch.tensor(4.0)
    check(made[:2].float(), [2.0, 4.0])
    largest = torch.finfo(kind).max
    if largest < 1e30:
        with pytest.raises(RuntimeError, match=r"cannot be converted to type .* without overflow"):
            torch.full((2,), 1e30, dtype=kind)


def test_what_a_dtype_says(name):
    kind = getattr(torch, name)
    assert repr(kind) == f"torch.{name}"
    assert (kind.itemsize, kind.is_floating_point, kind.is_complex) == (1, True, False)
    assert kind.is_signed is (name != "float8_e8m0fnu")
    assert kind.to_real() is kind
    with pytest.raises(RuntimeError, match="Unknown Complex ScalarType for Float8"):
        kind.to_complex()
    limits, known = torch.finfo(kind), ml_dtypes.finfo(getattr(ml_dtypes, name))
    assert (limits.bits, limits.dtype, limits.resolution) == (8, name, 1.0)
    assert (limits.max, limits.min) == (float(known.max), float(known.min))
    assert limits.tiny == float(known.smallest_normal)
    assert limits.eps == (0.125 if name == "float8_e5m2fnuz" else float(known.eps))  # as PyTorch has it
    with pytest.raises(
        RuntimeError, match="Promotion for Float8 Types is not supported, attempted to promote"
    ):
        torch.promote_types(kind, torch.float32)
    assert torch.promote_types(kind, kind) is kind
    assert torch.can_cast(kind, torch.float32)
    assert not torch.can_cast(kind, torch.int64)
    assert pickle.loads(pickle.dumps(kind)) is kind
    assert torch.ones(2).to(kind).type() == f"torch.F{name[1:]}Tensor"
    assert torch.ones(1).to(kind).is_floating_point()


def test_what_only_moves(name):
    kind = getattr(torch, name)
    x = torch.arange(1, 7).to(kind).reshape(2, 3)
    wide = x.float()
    moved = [
        lambda t: t.t().contiguous(),
        lambda t: t.reshape(3, 2),
        lambda t: torch.cat([t, t], 1),
        lambda t: torch.stack([t, t]),
        lambda t: t[:, [2, 0]],
        lambda t: t[t == t[0, 1]],
        lambda t: t.index_select(1, torch.tensor([1, 1])),
        lambda t: t.roll(1),
        lambda t: t.repeat(2, 2),
        lambda t: t.expand(2, 2, 3)[1],
        lambda t: t.unfold(1, 2, 1),
        lambda t: F.pad(t, (1, 0), value=1.0),
        lambda t: torch.where(torch.tensor([True, False, True]), t, t.roll(1, 1)),
        lambda t: t.diagonal(),
        lambda t: t.clone(),
        lambda t: copy.deepcopy(t),
        lambda t: torch.empty_like(t).copy_(t.t().contiguous().t()),
    ]
    if name != "float8_e8m0fnu":
        moved += [lambda t: t.abs(), lambda t: t * torch.ones_like(t)]
    for function in moved:
        found = function(x)
        assert found.dtype is kind
        check(found.float(), function(wide))
    assert (x == x).all()
    assert not (x != x).any()
    assert torch.isnan(x).sum().item() == 0
    assert [float(value) for value in x[0]] == wide[0].tolist()
    y = wide.clone().requires_grad_()
    y.to(kind).to(torch.float32).sum().backward()
    check(y.grad, torch.ones(2, 3))


def test_what_computes_is_refused(name):
    x = torch.ones(2, 2).to(getattr(torch, name))
    for function in (
        lambda: x + x,
        lambda: x.add_(1),
        lambda: x.sum(),
        lambda: x.exp(),
        lambda: x < x,
        lambda: x.max(),
        lambda: x.softmax(0),
        lambda: x.cumsum(0),
        lambda: torch.linalg.norm(x),
    ):
        with pytest.raises((NotImplementedError, RuntimeError), match=r"Float8|Expected a floating point"):
            function()
    with pytest.raises(RuntimeError, match="Promotion for Float8 Types is not supported"):
        x * torch.ones(2, 2)
    with pytest.raises(TypeError, match="Got unsupported ScalarType Float8"):
        x.numpy()


def test_printing(name):
    kind = getattr(torch, name)
    assert repr(torch.tensor([1.0, 2.0, 4.0]).to(kind)) == f"tensor([1., 2., 4.], dtype=torch.{name})"
    assert str(torch.tensor(0.5).to(kind)) == f"tensor(0.5000, dtype=torch.{name})"
    assert f"{torch.tensor(4.0).to(kind)}" == "4.0"


@pytest.mark.parametrize("zipped", [True, False])
def test_files(name, zipped):
    x = every(name)
    if not zipped and ON_TORCH:
        pytest.skip("PyTorch cannot read its own")
    file = io.BytesIO()
    torch.save({"x": x, "view": x[3:9], "kind": x.dtype}, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    found = torch.load(file)
    assert found["kind"] is x.dtype
    assert found["x"].dtype is x.dtype
    assert found["x"].view(torch.uint8).tolist() == BYTES.tolist()
    assert found["view"].view(torch.uint8).tolist() == list(range(3, 9))
    assert found["view"].untyped_storage().data_ptr() == found["x"].untyped_storage().data_ptr()


@pullback_only("PyTorch has no such functions of its own")
def test_safetensors(name, tmp_path):
    path = tmp_path / "x.safetensors"
    torch.save_safetensors({"x": every(name)}, path)
    found = torch.load_safetensors(path)["x"]
    assert found.dtype is getattr(torch, name)
    assert found.view(torch.uint8).tolist() == BYTES.tolist()


def test_scaled_products(name):
    if name not in ("float8_e4m3fn", "float8_e5m2"):
        pytest.skip("PyTorch's CPU has the product for two of them")
    torch.manual_seed(0)
    kind = getattr(torch, name)
    a, b = torch.randn(4, 16).to(kind), torch.randn(6, 16).to(kind).t()
    two, three = torch.tensor(2.0), torch.tensor(3.0)
    plain = a.float() @ b.float()
    check(torch._scaled_mm(a, b, two, three, out_dtype=torch.float32), plain * 6, rtol=1e-5, atol=1e-5)
    bias = torch.arange(6.0)
    found = torch._scaled_mm(a, b, two, three, bias=bias, out_dtype=torch.float32)
    check(found, plain * 6 + bias, rtol=1e-5, atol=1e-5)
    rows, columns = torch.rand(4, 1), torch.rand(1, 6)
    found = torch._scaled_mm(a, b, rows, columns, out_dtype=torch.bfloat16)
    assert found.dtype is torch.bfloat16
    check(found.float(), plain * rows * columns, rtol=1e-2, atol=1e-2)
    recipe = F.ScalingType
    found = F.scaled_mm(a, b, two, recipe.TensorWise, [three], [recipe.TensorWise])
    check(found.float(), plain * 6, rtol=1e-2, atol=1e-2)
    found = F.scaled_mm(a, b, rows, recipe.RowWise, columns, recipe.RowWise, output_dtype=torch.float32)
    check(found, plain * rows * columns, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="Invalid scaling configuration"):
        torch._scaled_mm(a, b, torch.rand(3), three)
    with pytest.raises(RuntimeError, match="Expected mat1 to be Float8 matrix got Float"):
        torch._scaled_mm(a.float(), b.float(), two, three)
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        torch._scaled_mm(a, b[:4], two, three)


@pullback_only("PyTorch has it for GPUs alone")
def test_scaled_products_of_groups(name):
    torch.manual_seed(0)
    kind, recipe = getattr(torch, name), F.ScalingType.RowWise
    a, b = torch.rand(5, 4).to(kind), torch.rand(2, 4, 3).to(kind)
    rows, columns, ends = torch.rand(5), torch.rand(2, 3), torch.tensor([2, 5], dtype=torch.int32)
    found = F.scaled_grouped_mm(a, b, rows, recipe, columns, recipe, offs=ends, output_dtype=torch.float32)
    wide = [a[:2].float() @ b[0].float() * columns[0], a[2:].float() @ b[1].float() * columns[1]]
    check(found, torch.cat(wide) * rows[:, None], rtol=1e-5)
    flat = torch.rand(5, 3).to(kind)
    scales = torch.rand(8), torch.rand(6)
    found = F.scaled_grouped_mm(
        a.t(), flat, scales[0], recipe, scales[1], recipe, offs=ends, output_dtype=torch.float32
    )
    wide = torch.stack([a[:2].t().float() @ flat[:2].float(), a[2:].t().float() @ flat[2:].float()])
    check(found, wide * scales[0].reshape(2, 4, 1) * scales[1].reshape(2, 1, 3), rtol=1e-5)
    with pytest.raises(ValueError, match="Invalid scaling configuration"):
        F.scaled_grouped_mm(a, b, rows, F.ScalingType.BlockWise1x128, columns, recipe, offs=ends)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_storages(name):
    x = every(name)
    assert x.untyped_storage().tolist() == BYTES.tolist()
    cast = torch.tensor([1.0, 2.0]).storage().float8_e5m2()
    assert cast.dtype is torch.float8_e5m2
    assert cast.tolist() == [1.0, 2.0]
