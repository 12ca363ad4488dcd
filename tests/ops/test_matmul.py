"""Products: matmul by the dims of its operands, the named products, einsum, and what they refuse.

Values are compared with NumPy's, gradients with finite differences by gradcheck, first and second.
"""

import itertools

import numpy as np
import pytest
from library import check, fn_name, pullback_only, torch

f64, c128 = torch.float64, torch.complex128


def sample(shape, dtype=f64, seed=0):
    """Normal numbers, the same each time."""
    made = np.random.default_rng([seed, *shape]).standard_normal((*shape, 2))
    numbers = made @ [1, 1j] if dtype.is_complex else made[..., 0]
    return torch.tensor(np.array(numbers), dtype=dtype)


def samples(shapes, dtype=f64, requires_grad=True):
    """One tensor for each shape."""
    return [sample(s, dtype, i).requires_grad_(requires_grad) for i, s in enumerate(shapes)]


def check_gradients(function, tensors):
    """Assert that first and second derivatives are right; of empty tensors, that there are some."""
    if all(t.numel() for t in tensors):
        assert torch.autograd.gradcheck(function, tensors)
        assert torch.autograd.gradgradcheck(function, tensors)
    else:
        grads = torch.autograd.grad(function(*tensors).sum().real, tensors)
        assert [g.shape for g in grads] == [t.shape for t in tensors]
        assert not any(g.any() for g in grads)


# The products by name: a name, the function, shapes, and the same in NumPy.
PRODUCTS = [
    ("mm", torch.mm, [(2, 3), (3, 4)], np.matmul),
    ("bmm", torch.bmm, [(5, 2, 3), (5, 3, 4)], np.matmul),
    ("mv", torch.mv, [(2, 3), (3,)], np.matmul),
    ("dot", torch.dot, [(3,), (3,)], np.dot),
    ("vdot", torch.vdot, [(3,), (3,)], np.vdot),
    ("inner", torch.inner, [(2, 3), (4, 3)], np.inner),
    ("inner of a number", torch.inner, [(), (4, 3)], np.inner),
    ("outer", torch.outer, [(2,), (3,)], np.outer),
    ("addmm", lambda c, a, b: torch.addmm(c, a, b, beta=0.5, alpha=2), [(4,), (2, 3), (3, 4)],
     lambda c, a, b: 0.5 * c + 2 * (a @ b)),
    ("addmv", lambda c, a, b: torch.addmv(c, a, b, beta=0.5, alpha=2), [(1,), (2, 3), (3,)],
     lambda c, a, b: 0.5 * c + 2 * (a @ b)),
    ("addr", lambda c, a, b: torch.addr(c, a, b, beta=0.5, alpha=2), [(2, 1), (2,), (3,)],
     lambda c, a, b: 0.5 * c + 2 * np.outer(a, b)),
    ("addbmm", lambda c, a, b: torch.addbmm(c, a, b, beta=0.5, alpha=2),
     [(2, 1), (5, 2, 3), (5, 3, 4)], lambda c, a, b: 0.5 * c + 2 * (a @ b).sum(0)),
    ("baddbmm", lambda c, a, b: torch.baddbmm(c, a, b, beta=0.5, alpha=2),
     [(2, 1), (5, 2, 3), (5, 3, 4)], lambda c, a, b: 0.5 * c + 2 * (a @ b)),
    ("tensordot", lambda a, b: torch.tensordot(a, b, ([0, 2], [1, 0])), [(2, 3, 4), (4, 2, 5)],
     lambda a, b: np.tensordot(a, b, ([0, 2], [1, 0]))),
    ("tensordot of none", lambda a, b: torch.tensordot(a, b, 0), [(2, 3), (4,)],
     lambda a, b: np.tensordot(a, b, 0)),
    ("vecdot", torch.linalg.vecdot, [(2, 3), (2, 3)], lambda a, b: (a.conj() * b).sum(-1)),
    ("multi_dot", lambda *m: torch.linalg.multi_dot(m), [(3,), (3, 4), (4, 2), (2,)],
     lambda a, b, c, d: a @ b @ c @ d),
]  # fmt: skip
NAMES = [row[0] for row in PRODUCTS]


@pytest.mark.parametrize("dtype", [f64, c128, torch.float32])
@pytest.mark.parametrize(("name", "product", "shapes", "reference"), PRODUCTS, ids=NAMES)
def test_products(name, product, shapes, reference, dtype):
    tensors = samples(shapes, dtype, requires_grad=False)
    result = product(*tensors)
    assert result.dtype is dtype and result.is_contiguous()
    check(result, reference(*[t.numpy() for t in tensors]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [f64, c128])
@pytest.mark.parametrize(("name", "product", "shapes", "reference"), PRODUCTS, ids=NAMES)
def test_gradients_of_products(name, product, shapes, reference, dtype):
    tensors = samples(shapes, dtype)
    check_gradients(product, tensors)


# matmul, by the dims of its operands; the node's name where it is the point
MATMUL = [
    ((3,), (3,), "DotBackward0"),
    ((2, 3), (3,), "MvBackward0"),
    ((3,), (3, 4), "SqueezeBackward4"),
    ((2, 3), (3, 4), "MmBackward0"),
    ((5, 2, 3), (3,), "UnsafeViewBackward0"),
    ((3,), (5, 3, 4), "UnsafeViewBackward0"),
    ((5, 2, 3), (3, 4), "UnsafeViewBackward0"),
    ((2, 3), (5, 3, 4), "CloneBackward0"),
    ((5, 2, 3), (5, 3, 4), "UnsafeViewBackward0"),
    ((6, 1, 2, 3), (5, 3, 4), "UnsafeViewBackward0"),
    ((6, 5, 2, 3), (3,), "UnsafeViewBackward0"),
    ((3,), (6, 5, 3, 4), "UnsafeViewBackward0"),
    ((2, 0), (0, 3), "MmBackward0"),
    ((5, 2, 0), (0, 3), "UnsafeViewBackward0"),
    ((0, 2, 3), (3, 4), "UnsafeViewBackward0"),
]


@pytest.mark.parametrize("dtype", [f64, c128])
@pytest.mark.parametrize(("left", "right", "node"), MATMUL)
def test_matmul(left, right, node, dtype):
    a, b = samples([left, right], dtype)
    result = a @ b
    assert fn_name(result) == node and result.is_contiguous()
    check(result, np.matmul(a.detach().numpy(), b.detach().numpy()), atol=1e-12)
    check_gradients(torch.matmul, [a, b])


def test_matmul_of_views():
    a, b = samples([(6, 4), (6, 4)])
    turned = a.t()[::2, 1:]
    check(turned @ b[1:], turned.detach().numpy() @ b[1:].detach().numpy(), atol=1e-12)
    spread = a[:, :1].expand(6, 5)
    check(spread @ spread.t(), (spread @ spread.t().contiguous()).tolist())
    assert torch.autograd.gradcheck(lambda x, y: x.t()[::2] @ y.flip(0)[:, ::3], (a, b))


def lying(n, m):
    """Matrices of every kind of strides: contiguous, turned, expanded in one way or both, with gaps."""
    yield from (torch.randn(n, m), torch.randn(m, n).t(), torch.randn(n, 2 * m)[:, ::2])
    yield from (torch.randn(()).expand(n, m), torch.randn(n, 1).expand(n, m), torch.randn(1, m).expand(n, m))


@pytest.mark.parametrize("inner", [1, 10, 300])
def test_products_of_expanded_and_turned_matrices(inner):
    for rows, columns in itertools.product((1, 2, 40), (1, 30, 256)):
        for a, b in itertools.product(lying(rows, inner), lying(inner, columns)):
            expected = (a.double().unsqueeze(2) * b.double().unsqueeze(0)).sum(1)
            torch.testing.assert_close(torch.mm(a, b).double(), expected, rtol=1e-4, atol=1e-4)
            stack = torch.bmm(a.expand(3, *a.shape), b.expand(3, *b.shape))
            torch.testing.assert_close(stack[1].double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["int8", "uint8", "int32", "int64", "float16", "bfloat16"])
def test_products_of_other_dtypes(name):
    dtype = getattr(torch, name)
    a = torch.tensor([[1, 2, 3], [4, 0, 1]], dtype=dtype)
    for result in (a @ a.t(), torch.einsum("ij,kj->ik", a, a), torch.inner(a, a)):
        assert result.dtype is dtype
        check(result.double(), [[14, 7], [7, 17]])
    assert torch.dot(a[0], a[1]).item() == 7
    check(torch.addmm(a[:, :2], a, a.t(), beta=2).double(), [[16, 11], [15, 17]])


def test_large_int8_products_wrap():
    a = torch.full((1, 200), 100, dtype=torch.int8)
    assert (a @ a.t()).item() == (200 * 100 * 100 + 128) % 256 - 128


def test_beta_of_zero_does_not_read_the_input():
    nan = torch.full((2, 2), float("nan"))
    ones = torch.ones(2, 2)
    check(torch.addmm(nan, ones, ones, beta=0), [[2, 2], [2, 2]])
    check(torch.baddbmm(nan, ones[None], ones[None], beta=0), [[[2, 2], [2, 2]]])
    check(torch.addr(nan, ones[0], ones[0], beta=0), [[1, 1], [1, 1]])


def test_out_and_in_place():
    a, b = torch.ones(2, 3), torch.ones(3, 4)
    out = torch.empty(2, 4)
    assert torch.mm(a, b, out=out) is out
    check(out, [[3] * 4] * 2)
    assert torch.matmul(a, b, out=out) is out
    assert out.addmm_(a, b, beta=2) is out
    check(out, [[9] * 4] * 2)


def test_multi_dot_takes_the_cheap_order():
    a, b, c = sample((200, 1)), sample((1, 200)), sample((200, 1))
    check(torch.linalg.multi_dot([a, b, c]), (a @ (b @ c)).tolist(), rtol=1e-9)


# einsum ------------------------------------------------------------------------------------

EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk->ki", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
    ("bij,bjk->ikb", (5, 2, 3), (5, 3, 4)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->j", (3, 3, 2)),
    ("i,i->", (3,), (3,)),
    ("i,j->ij", (3,), (4,)),
    ("ij->", (2, 3)),
    ("ba", (2, 3)),
    ("...ij,...jk->...ik", (5, 1, 2, 3), (6, 3, 4)),
    ("i...->...", (2, 3)),
    ("i...j,j...k", (2, 5, 3), (3, 5, 4)),
    ("bi,bj,bk->bijk", (2, 3), (2, 4), (2, 5)),
    ("ij,jk,kl,lm->im", (2, 3), (3, 4), (4, 5), (5, 2)),
    ("ij,ij,ij->i", (2, 3), (2, 3), (2, 3)),
    ("iij,jkk->ik", (2, 2, 3), (3, 4, 4)),
    ("ab,cd->", (2, 3), (4, 5)),
    ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("ij,jk->ik", (2, 0), (0, 3)),
    (" i j , j -> i ", (2, 3), (3,)),
]


@pytest.mark.parametrize("dtype", [f64, c128])
@pytest.mark.parametrize("case", EQUATIONS, ids=[row[0] + str(len(row)) for row in EQUATIONS])
def test_einsum(case, dtype):
    equation, *shapes = case
    tensors = samples(shapes, dtype)
    expected = np.einsum(equation, *[t.detach().numpy() for t in tensors])
    check(torch.einsum(equation, *tensors), expected, atol=1e-12)
    check(torch.einsum(equation, tensors), expected, atol=1e-12)
    check_gradients(lambda *t: torch.einsum(equation, *t), tensors)


def test_einsum_by_sublists():
    a, b = sample((2, 3)), sample((3, 4))
    expected = (a @ b).tolist()
    check(torch.einsum(a, [0, 1], b, [1, 2]), expected)
    check(torch.einsum(a, [0, 1], b, [1, 2], [2, 0]), (a @ b).t().tolist())
    check(torch.einsum(a, [..., 1], b, [1, 2], [..., 2]), expected)


def test_einsum_broadcasts_dims_of_one():
    a, v = sample((2, 1)), sample((3,))
    check(torch.einsum("ij,j->i", a, v), (a * v).sum(1).tolist(), rtol=1e-9)
    check(torch.einsum("ij,jk->ik", a, sample((3, 4))), (a * sample((3, 4)).sum(0)).tolist(), 1e-9)


def test_einsum_of_one_operand_is_a_view():
    a = sample((3, 3))
    assert torch.einsum("ij->ji", a).data_ptr() == a.data_ptr()
    assert torch.einsum("ii->i", a).stride() == (4,)


REFUSED = [
    ("i->ij", "output subscript j does not appear"),
    ("i->ii", "output subscript i appears more than once"),
    ("i1->i", "invalid subscript given at index 1"),
    ("ij->i", "number of subscripts in the equation (2) does not match"),
    ("i,j", "fewer operands were provided"),
    ("i.j", "found '.' for operand 0 that is not part of any ellipsis"),
]


@pytest.mark.parametrize(("equation", "message"), REFUSED)
def test_einsum_refuses(equation, message):
    with pytest.raises(RuntimeError) as caught:
        torch.einsum(equation, sample((3,)))
    assert message in str(caught.value)


# Errors ------------------------------------------------------------------------------------

a23, a34, v3 = torch.ones(2, 3), torch.ones(3, 4), torch.ones(3)
WRONG = [
    (lambda: torch.mm(a23, v3), "mat2 must be a matrix"),
    (lambda: torch.mm(a23, a34.double()), "expected m1 and m2 to have the same dtype"),
    (lambda: torch.mv(a23, a23), "vector + matrix @ vector expected, got 1, 2, 2"),
    (lambda: torch.dot(v3, v3.double()), "expected both vectors to have same dtype"),
    (lambda: torch.addmm(a23, a23, a34), "The expanded size of the tensor (4) must match"),
    (lambda: torch.outer(a23, v3), "outer: Expected 1-D argument self, but got 2-D"),
    (lambda: torch.tensordot(a23, a34, 2), "contracted dimensions need to match"),
    (lambda: torch.linalg.multi_dot([a23]), "expected at least 2 tensors but got 1"),
    (lambda: torch.linalg.multi_dot([a23, a23]), "tensors 0 and 1 with shapes"),
    (lambda: torch.linalg.vecdot(v3, v3.double()), "Expected x and y to have the same dtype"),
    (lambda: torch.ones(2, 2, 3) @ torch.ones(5, 3, 4), "at non-singleton dimension 0"),
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[row[1] for row in WRONG])
def test_wrong_operands(call, message):
    with pytest.raises(RuntimeError) as caught:
        call()
    assert message in str(caught.value)


def test_products_of_bools_are_refused():
    with pytest.raises(NotImplementedError, match="not implemented for 'Bool'"):
        torch.ones(2, 2, dtype=torch.bool) @ torch.ones(2, 2, dtype=torch.bool)


@pullback_only("a meta tensor of any size costs nothing")
def test_shapes_of_products_of_meta_tensors():
    m = torch.empty(10**6, 10**6, device="meta")
    assert (m @ m).shape == (10**6, 10**6) and (m @ m[0]).shape == (10**6,)
    assert torch.einsum("ij,jk->ki", m, m).is_meta and torch.addmm(m[0], m, m).is_meta


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.complex64])
@pytest.mark.parametrize("sizes", [(5, 4, 3), (1, 1, 1), (0, 2, 3), (2, 0, 3), (2, 3, 0)])
def test_columns_times_rows(sizes, dtype):
    n, rows, columns = sizes
    a = torch.arange(1, 2 * n * rows + 1).to(dtype).reshape(n, rows, 2)
    b = torch.arange(2, 2 * n * columns + 2).to(dtype).reshape(n, 2, columns)
    for left, right in ((a[..., :1], b[:, :1]), (a[..., 1:].flip(0), b.mT.contiguous().mT[:, 1:])):
        expected = left.numpy() * right.numpy()
        got = left @ right
        assert got.dtype is dtype and got.shape == sizes and np.array_equal(got.numpy(), expected)
        one = right[:1].expand(n, 1, columns) if n else right
        assert np.array_equal((left @ one).numpy(), left.numpy() * one.numpy())
