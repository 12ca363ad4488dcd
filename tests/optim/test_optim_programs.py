"""A formula as one pass over memory: bit for bit what its ops give, whatever the tensors look like."""

import importlib

import numpy as np
import pytest
from library import ON_TORCH, torch
from optimizer_table import ELEMENTWISE, values

pytestmark = pytest.mark.skipif(ON_TORCH, reason="only Pullback: formulas and programs are its own")

if not ON_TORCH:
    from pullback.core._engine import fold_each
    from pullback.ops.shared.programs import Formula, formula

DTYPES = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")
SIZES = (0, 1, 3, 7, 8, 32, 511, 512, 513, 1500)
GUARD = 0xA5


def guarded(x):
    """A tensor with these numbers whose memory lies between guard bytes, and a check of these."""
    flat = np.full(x.nbytes + 128, GUARD, np.uint8)
    inside = flat[64 : 64 + x.nbytes].view(x.dtype).reshape(x.shape)
    inside[...] = x

    def intact():
        assert (flat[:64] == GUARD).all()
        assert (flat[64 + x.nbytes :] == GUARD).all()

    return torch.from_numpy(inside), intact


def laid_out(x, layout):
    """The numbers of a tensor, laid out in memory otherwise."""
    if layout == "transposed":
        return x.t().contiguous().t() if x.ndim == 2 else x
    if layout == "strided":
        wide = torch.zeros(*x.shape, 2, dtype=x.dtype)
        wide[..., 0] = x
        return wide[..., 0]
    if layout == "reversed":
        return torch.flip(x, (0,)).clone()
    return x


def bits(t):
    """The bytes of a tensor's numbers."""
    return t.detach().reshape(-1).clone().view(torch.uint8).numpy()


def run(name, options, dtype, monkeypatch, by_ops, layout="contiguous"):
    """Parameters and states after seven steps of an optimizer, by its program or by ops."""
    if by_ops:
        module = importlib.import_module("pullback.ops.shared.programs")
        monkeypatch.setattr(module, "run_program", lambda program, lists, numbers: range(len(lists[0])))
    shapes = [(size,) for size in SIZES] + [(), (4, 5), (3, 0)]
    params = [
        laid_out(torch.tensor(x).to(getattr(torch, dtype)), layout) for x in values(shapes, 0, "float64")
    ]
    params = [p.requires_grad_() for p in params]
    optimizer = getattr(torch.optim, name)(params, **options)
    for seed in range(7):
        for p, g in zip(params, values(shapes, seed + 1), strict=True):
            p.grad = torch.tensor(g).to(p.dtype)
        optimizer.step()
    monkeypatch.undo()
    states = [x for p in params for x in optimizer.state[p].values()]
    return [bits(x) for x in (*params, *states)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "options"), ELEMENTWISE)
def test_a_program_gives_the_bits_of_its_ops(name, options, dtype, monkeypatch):
    if dtype.startswith("complex") and name == "Rprop":
        options = {**options, "step_sizes": (1e-6, 50.0)}
    found = run(name, options, dtype, monkeypatch, by_ops=False)
    wanted = run(name, options, dtype, monkeypatch, by_ops=True)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("layout", ["transposed", "strided", "reversed"])
@pytest.mark.parametrize("name", ["Adam", "Rprop"])
def test_strides_do_not_matter(name, layout, monkeypatch):
    found = run(name, {}, "float32", monkeypatch, by_ops=False, layout=layout)
    wanted = run(name, {}, "float32", monkeypatch, by_ops=True, layout=layout)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def arithmetic(x, y, z, *, a, b):
    up, down = x > a, y < b
    root = (x * x + a).sqrt() / (z.abs() + b)
    chosen = root.where(up, -y).maximum(z.lerp(x, b)).clamp(-1, a)
    return x.addcmul(root, chosen, value=b), z.masked_fill(down, 3), y.addcdiv(x.sign(), root, value=a)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
def test_every_kind_of_step_stays_within_its_memory(size, dtype):
    drawn = values([(size,)] * 3, 5, dtype)
    for x in drawn:
        for k, special in enumerate((np.nan, np.inf, 0)):
            x[k : k + 1] = special
    tensors, checks = zip(*[guarded(x) for x in drawn], strict=True)
    given = {"a": 0.3, "b": 0.7}
    wanted = arithmetic(*[torch.tensor(x) for x in drawn], **given)
    with torch.no_grad():
        formula(arithmetic)([[t] for t in tensors], given)
    for t, w, intact in zip(tensors, wanted, checks, strict=True):
        np.testing.assert_array_equal(t.numpy(), w.numpy())
        intact()


def test_a_value_may_go_into_several_tensors_and_tensors_may_change_places():
    def shuffled(x, y, z):
        total = x + y
        return y, total, total

    x, y, z = (torch.tensor([float(n)]) for n in (1, 2, 3))
    with torch.no_grad():
        formula(shuffled)([[x], [y], [z]], {})
    assert [x.item(), y.item(), z.item()] == [2, 3, 3]


def test_numbers_alone_are_no_work_for_a_formula():
    def wrong(x, *, a):
        return (x * (1 - a),)

    with torch.no_grad(), pytest.raises(TypeError, match="a formula computes with tensors"):
        formula(wrong)([[torch.ones(2)]], {"a": 0.5})


def test_too_many_values_are_refused():
    def long(x):
        parts = [x * float(k) for k in range(70)]
        return (sum(parts[1:], parts[0]),)

    with torch.no_grad(), pytest.raises(ValueError, match=r"a formula of \d+ values"):
        formula(long)([[torch.ones(2)]], {})


def test_what_is_unusual_is_done_by_ops(monkeypatch):
    calls = []
    monkeypatch.setattr(Formula, "by_ops", lambda self, tensors, *rest: calls.append(tensors[0].shape))

    @formula
    def double(x):
        return (x * 2,)

    usual, meta, expanded = torch.ones(3), torch.ones(2, device="meta"), torch.ones(1).expand(4)
    whole, mixed = torch.ones(5, dtype=torch.int64), torch.ones(6, dtype=torch.float64)
    with torch.no_grad():
        double([[usual, meta, expanded, whole, mixed]], {})
    assert usual.tolist() == [2, 2, 2]
    assert mixed.tolist() == [2] * 6
    assert calls == [(2,), (4,), (5,)]


def test_a_write_is_seen_by_the_graph():
    @formula
    def double(x):
        return (x * 2,)

    x = torch.ones(3, requires_grad=True)
    y = (x * x).sum()
    with torch.no_grad():
        double([[x]], {})
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


@pytest.mark.parametrize("name", ["norm1", "norm2", "amax"])
def test_folds_of_a_list_are_those_of_its_tensors(name):
    runs = importlib.import_module("pullback.kernels.reduce").RUNS[name]
    op = {"norm1": lambda t: t.norm(1), "norm2": torch.linalg.vector_norm, "amax": torch.amax}[name]
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        tensors = [torch.tensor(x).to(getattr(torch, dtype)) for x in values([(n,) for n in SIZES[1:]], 3)]
        found = fold_each([*tensors, torch.ones(4, 3).t(), torch.ones(2, dtype=torch.complex64)], runs)
        assert found[-2:] == [None, None]
        for t, x in zip(tensors, found[:-2], strict=True):
            np.testing.assert_array_equal(bits(x), bits(op(t)))
