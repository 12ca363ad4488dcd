"""Attention by plan gives what that on arrays does, whatever the sizes of tiles."""

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("it has two ways")

SHAPES = [((2, 3), 33, 121, 20, 37), ((), 1, 5, 3, 1), ((4,), 100, 250, 32, 32), ((1, 2), 65, 12, 8, 16)]


def mask_of(name, rows, columns, kind):
    """A mask: bool, to be added, for all rows alike; or with a row that sees nothing."""
    torch.manual_seed(1)
    if name == "added":
        return torch.randn(rows, columns).to(kind)
    seen = torch.rand(1 if name == "keys" else rows, columns) > 0.3
    if name == "nothing":
        seen[0] = False
    return seen


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("masked", ["", "causal", "bool", "added", "keys", "nothing"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_both_ways(shape, masked, dtype):
    from pullback.core import _plans

    kind = getattr(torch, dtype)
    batch, rows, columns, depth, width = shape
    torch.manual_seed(0)
    sizes = (rows, depth), (columns, depth), (columns, width)
    leaves = [torch.randn(*batch, *size).to(kind).requires_grad_() for size in sizes]
    mask = None if masked in ("", "causal") else mask_of(masked, rows, columns, kind)
    found = []
    before = _plans.use_plans(True)
    try:
        for use in (True, False):
            _plans.use_plans(use)
            y = torch.nn.functional.scaled_dot_product_attention(*leaves, mask, is_causal=masked == "causal")
            found.append([y.detach(), *torch.autograd.grad(y, leaves, y.detach().cos())])
    finally:
        _plans.use_plans(before)
    tolerance = {"float32": 1e-5, "float64": 1e-12, "bfloat16": 0.05}[dtype]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)
