"""Every op on tensors that few programs have: of 64 dims, without elements, of NaN alone, of strides of zero.

It gives a result or raises an error that says why, and the next call is right: nothing crashes.
"""

import warnings

import numpy as np
import pytest
from library import pullback_only, torch
from sample_rows import ROWS
from samples import Bound, flat, numbers, resolve

pytestmark = [pullback_only("what PyTorch does of them differs"), pytest.mark.filterwarnings("ignore")]
MOST_DIMS = 64

ODD = {
    "of 64 dims": lambda x: x.reshape((1,) * (MOST_DIMS - x.ndim) + tuple(x.shape)),
    "of 64 dims, turned": lambda x: x.reshape((1,) * (MOST_DIMS - x.ndim) + tuple(x.shape)).movedim(-1, 0),
    "empty": lambda x: x[:0] if x.ndim else x.reshape(1)[:0],
    "empty at the end": lambda x: x[..., :0] if x.ndim else x.reshape(1, 1)[:, :0],
    "of NaN": lambda x: torch.full_like(x, float("nan")) if x.is_floating_point() else x,
    "of extremes": lambda x: (
        x if x.is_floating_point() else torch.full_like(x, np.iinfo(x.numpy().dtype).max)
    ),
    "repeated": lambda x: x.reshape(-1)[:1].expand(x.shape) if x.numel() else x,
    "reversed": lambda x: torch.from_numpy(x.numpy()[::-1]) if x.ndim else x,
}
REFUSALS = (RuntimeError, TypeError, IndexError, ValueError, AssertionError, NotImplementedError)


def called(row, call, how, all_of_them):
    """The call with odd tensors, and a backward pass where there is one; what it refuses is fine."""
    bound = Bound(torch, row, call, row.first_dtype())
    swap = {id(x): x for x in bound.made.values()}
    for place, x in enumerate(bound.made.values()):
        if all_of_them or not place:
            swap[id(x)] = ODD[how](x)

    def put(x):
        if isinstance(x, (list, tuple)):
            return type(x)(put(one) for one in x)
        return swap.get(id(x), x) if isinstance(x, torch.Tensor) else x

    args, kwargs = [put(x) for x in bound.args], {name: put(x) for name, x in bound.kwargs.items()}
    given = [x for x in flat([*args, *kwargs.values()]) if isinstance(x, torch.Tensor)]
    leaves = [x.requires_grad_() for x in given if x.is_floating_point() and x.is_leaf]
    for _ in range(3):  # as it is, recorded, and by its plan and tape
        results = flat(resolve(torch, row.name)(*args, **kwargs))
        for y in results:
            if isinstance(y, torch.Tensor) and y.requires_grad:
                torch.autograd.grad(y.sum(), leaves, allow_unused=True)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_nothing_crashes(row):
    expected = [numpy_of(row, call) for call in row.calls[:1]]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for call in row.calls[:2]:
            for how in ODD:
                for all_of_them in (False, True):
                    try:
                        called(row, call, how, all_of_them)
                    except REFUSALS as error:
                        assert str(error) or isinstance(error, AssertionError), (how, error)
    assert [numpy_of(row, call) for call in row.calls[:1]] == expected


def numpy_of(row, call):
    """The bytes of a plain call's results, where these are determined."""
    if not row.values:
        return None
    torch.manual_seed(0)
    results = flat(Bound(torch, row, call, row.first_dtype()).run())
    return [numbers(torch, x).tobytes() for x in results if isinstance(x, torch.Tensor) and not x.is_meta]
