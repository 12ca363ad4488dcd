"""Tapes: rules and composites do the same from a recording; what cannot be recorded is left to Python."""

import warnings

import numpy as np
import pytest
from library import pullback_only, torch
from sample_rows import ROWS
from samples import Bound, cotangents, differentiable, numbers

pytestmark = pullback_only("tapes are its own")


@pytest.fixture
def tapes():
    """The engine with an empty table; afterwards tapes are used as before."""
    from pullback.core import _engine

    before = _engine.use_tapes(True)
    _engine.forget_tapes()
    yield _engine
    _engine.use_tapes(before)
    _engine.note_refusals(None)


def shown(result):
    """What is to be the same of a result: its type, and of tensors all that can be seen."""
    if isinstance(result, torch.Tensor):
        return (
            type(result),
            result.dtype,
            result.shape,
            result.stride(),
            result.is_contiguous(),
            numbers(torch, result).tobytes(),
            result.requires_grad,
            result._is_view(),
            result.is_leaf,
            None if result.grad_fn is None else names(result.grad_fn),
        )
    if isinstance(result, (tuple, list)):
        return type(result), [shown(part) for part in result]
    return type(result), result if isinstance(result, (bool, int, str)) else None


def names(node, depth=4):
    """The names of a node and of those that it leads to."""
    if node is None or not depth:
        return None
    return node.name(), [(names(source, depth - 1), index) for source, index in node.next_functions]


class Shifted(Bound):
    """A call of the same signature with other numbers."""

    def __init__(self, library, row, call, dtype, shift, **options):
        self.shift = shift
        super().__init__(library, row, call, dtype, **options)
        for _ in range(shift):
            self.rng.random()


def outcome(row, call, dtype, layout, grads, shift):
    """What a call and its backward pass give, or the type and words of their error."""
    torch.manual_seed(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            bound = Bound(torch, row, call, dtype, layout=layout, grads=grads)
            for one in bound.leaves:
                with torch.no_grad():
                    one.mul_(1 + shift / 64)
            result = bound.run()
            found = [shown(result)]
            roots = differentiable(torch, result)
            if roots:
                given = [g.detach() for g in cotangents(torch, roots, np.random.default_rng(shift))]
                torch.autograd.backward(roots, given)
            found += [shown(one.grad) for one in bound.leaves]
        except Exception as error:  # whatever it is, it is to be the same
            found = [type(error), str(error)]
    return found, sorted({str(one.message) for one in caught})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_both_ways_agree(tapes, row):
    """Recorded, run again with other numbers, and without tapes: the same to the bit."""
    if not row.values:
        return
    ways = [(dtype, "", "all") for dtype in row.takes("int64", "float64", "float16", "complex64")]
    ways += [(row.first_dtype(), layout, grads) for layout in ("", "strided") for grads in ("none", "some")]
    for dtype, layout, grads in ways:
        for call in row.calls:
            for shift in (0, 1, 2, 3):
                tapes.use_tapes(True)
                taped = outcome(row, call, dtype, layout, grads, shift)
                tapes.use_tapes(False)
                assert taped == outcome(row, call, dtype, layout, grads, shift), (dtype, layout, call)
