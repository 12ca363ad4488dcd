"""Convolutions by plan give what those on arrays do, whatever the sizes of tiles, strips and bands."""

import itertools

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("it has two ways")

F = torch.nn.functional
DIMS = {
    1: (F.conv1d, F.conv_transpose1d),
    2: (F.conv2d, F.conv_transpose2d),
    3: (F.conv3d, F.conv_transpose3d),
}
KERNELS = {1: [(1,), (4,), (3,)], 2: [(3, 3), (1, 1), (2, 5)], 3: [(1, 1, 1), (3, 2, 3)]}
SIZES = {1: [(70,), (9,)], 2: [(9, 19), (13, 5)], 3: [(4, 5, 6)]}


def both_ways(function, *leaves):
    """The results and gradients by plans, and by kernels on arrays."""
    from pullback.core import _plans

    found = []
    before = _plans.use_plans(True)
    try:
        for use in (True, False):
            _plans.use_plans(use)
            y = function(*leaves)
            found.append([y.detach(), *torch.autograd.grad(y, leaves, y.detach().cos())])
    finally:
        _plans.use_plans(before)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dims", DIMS)
def test_all_geometries(dims, transposed, dtype):
    kind = getattr(torch, dtype)
    tolerance = {"float32": 2e-4, "float64": 1e-11, "bfloat16": 0.1}[dtype]
    torch.manual_seed(0)
    channels = itertools.cycle([(3, 1), (1, 50), (2, 13), (5, 24), (4, 7), (2, 37)])
    options = itertools.product(SIZES[dims], KERNELS[dims], (1, 2, 3), (0, 2), (1, 2), (1, 3))
    for size, kernel, stride, padding, dilation, groups in options:
        taken, made = next(channels)
        sides = (groups * taken, made) if transposed else (groups * made, taken)
        given = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        if transposed and stride > 1:
            given["output_padding"] = 1
        if any(n + 2 * padding < dilation * (k - 1) + 1 for n, k in zip(size, kernel, strict=True)):
            continue
        if transposed and any(
            (n - 1) * stride + dilation * (k - 1) + 1 <= 2 * padding
            for n, k in zip(size, kernel, strict=True)
        ):
            continue
        shapes = ((2, groups * taken, *size), (*sides, *kernel), (groups * made,))
        leaves = [torch.randn(shape).to(kind).requires_grad_() for shape in shapes]
        planned, plain = both_ways(
            lambda x, w, b, given=given: DIMS[dims][transposed](x, w, b, **given), *leaves
        )
        for one, other in zip(planned, plain, strict=True):
            torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


def test_what_is_not_finite_stays_where_it_is():
    """Numbers between two rows of windows are computed, and left out."""
    x = torch.zeros(1, 2, 6, 7)
    x[0, 0, 2, 6] = float("inf")
    y = F.conv2d(x, torch.ones(40, 2, 3, 3), padding=1)
    assert y.isfinite().sum() == 40 * (42 - 6)
    w = torch.autograd.grad(
        F.conv2d(x, v := torch.ones(3, 2, 3, 3).requires_grad_()), v, torch.ones(1, 3, 4, 5)
    )[0]
    assert w.isfinite().sum() == 3 * (18 - 3)
