"""Every sample row of the op table, compiled, gives what it gives by itself: results, gradients, errors."""

import warnings

import numpy as np
import pytest
from library import pullback_only, torch
from sample_rows import ROWS
from samples import Bound, cotangents, differentiable, numbers, resolve

pytestmark = pullback_only("how a function is recorded is its own")


def shown(result):
    """What is to be the same of a result: its type, and of tensors all that can be seen."""
    if isinstance(result, torch.Tensor):
        return (
            type(result),
            result.dtype,
            result.shape,
            result.stride(),
            numbers(torch, result).tobytes(),
            result.requires_grad,
        )
    if isinstance(result, (tuple, list)):
        return type(result), [shown(part) for part in result]
    return type(result), result if isinstance(result, (bool, int, str)) else None


def outcome(function, bound, shift):
    """What a call and its backward pass give, or the type and words of their error."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for one in bound.leaves:
                with torch.no_grad():
                    one.mul_(1 + shift / 64)
                one.grad = None
            result = bound.run(function)
            found = [shown(result)]
            roots = differentiable(torch, result)
            if roots:
                given = [g.detach() for g in cotangents(torch, roots, np.random.default_rng(shift))]
                torch.autograd.backward(roots, given)
            found += [shown(one.grad) for one in bound.leaves]
        except Exception as error:  # whatever it is, it is to be the same
            found = [type(error), str(error)]
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_compiled_equals_eager(row):
    """Run, recorded and replayed with other numbers: the same to the bit."""
    if not row.values:
        return
    function = resolve(torch, row.name)
    for grads in ("none", "all"):
        for call in row.calls:
            compiled = torch.compile(lambda *args, **kwargs: function(*args, **kwargs))
            ours, theirs = (Bound(torch, row, call, row.first_dtype(), grads=grads) for _ in range(2))
            for shift in range(4):
                assert outcome(compiled, ours, shift) == outcome(None, theirs, shift), (call, shift)
