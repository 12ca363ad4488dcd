"""Products by blocks: whatever sizes, strides and starts, as NumPy's double ones, and within their memory."""

import numpy as np
import pytest
from library import pullback_only, torch

SIZES = [(4, 90, 64), (13, 513, 96), (65, 700, 90), (241, 70, 127), (385, 1030, 33), (500, 520, 160)]
LAYOUTS = ["plain", "columns", "apart", "broadcast"]


def laid_out(x, layout):
    """The same matrix with other strides."""
    if layout == "columns":
        return x.t().contiguous().t()
    if layout == "apart":
        wide = torch.zeros(x.shape[0], 2 * x.shape[1], dtype=x.dtype)
        wide[:, ::2] = x
        return wide[:, ::2]
    return x


def numbers(dtype, *size):
    """Numbers whose products have no rounding to speak of in the tests' tolerances."""
    torch.manual_seed(0)
    return torch.randn(*size, dtype=getattr(torch, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_products(sizes, layout, dtype):
    m, k, n = sizes
    a, b = laid_out(numbers(dtype, m, k), layout), laid_out(numbers(dtype, k, n), layout)
    if layout == "broadcast":
        a = numbers(dtype, 1, k).expand(m, k)
    exact = a.numpy().astype(np.float64) @ b.numpy().astype(np.float64)
    tolerance = k**0.5 * {"float32": 4e-6, "float64": 1e-14}[dtype]
    starts = [numbers(dtype, *size) for size in ((n,), (m, 1), (1, n), (m, n), (1,))]
    starts.append(laid_out(numbers(dtype, m, n), "columns"))
    np.testing.assert_allclose((a @ b).numpy(), exact, atol=tolerance)
    for start in starts:
        found = torch.addmm(start, a, b).numpy()
        np.testing.assert_allclose(found, exact + start.numpy(), atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_nothing_else_is_written(sizes, dtype):
    m, k, n = sizes
    a, b = numbers(dtype, m, k), numbers(dtype, k, n)
    memory = torch.full((m * n + 64,), 7.0, dtype=a.dtype)
    torch.mm(a, b, out=memory[32:-32].view(m, n))
    assert (memory[:32] == 7).all() and (memory[-32:] == 7).all()
    assert torch.equal(memory[32:-32].view(m, n), a @ b)


def test_not_a_number_stays():
    a, b = torch.zeros(100, 200), torch.ones(200, 96)
    b[3, 5] = float("nan")
    assert (a @ b).isnan().sum() == 100 and (a @ b)[:, 5].isnan().all()


@pullback_only("PyTorch's depend on it")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_same_bits_on_any_number_of_threads(sizes, dtype):
    m, k, n = sizes
    a, b, start = numbers(dtype, m, k), numbers(dtype, n, k).t(), numbers(dtype, n)
    stack = numbers(dtype, 3, m, k)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 5, 7):
            torch.set_num_threads(count)
            found.append([a @ b, torch.addmm(start, a, b), stack @ b, a.t() @ numbers(dtype, m, n)])
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(torch.equal(x, y) for x, y in zip(found[0], other, strict=True))


@pullback_only("PyTorch's depend on it")
def test_rows_do_not_depend_on_others():
    """A row of a product has the same bits among many, and a column too."""
    a, b = numbers("float32", 300, 600), numbers("float32", 200, 600).t()
    whole = a @ b
    assert torch.equal(whole[:100], a[:100] @ b) and torch.equal(whole[:, :96], a @ b[:, :96])
