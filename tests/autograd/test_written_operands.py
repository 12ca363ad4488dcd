"""Writing to an operand or a result of an op, over the op table: backward raises, or the gradient is right.

What an op saves may not be written to before the backward pass; what it does not save may. A wrong
gradient is never given silently.
"""

import numpy as np
import pytest
from library import ON_TORCH, torch
from sample_rows import ROWS
from samples import Bound, flat

pytestmark = [
    pytest.mark.skipif(ON_TORCH, reason="kron and others give wrong gradients"),
    pytest.mark.filterwarnings("ignore"),
]

MODIFIED = "modified by an inplace operation"


def called(row, call, dtype):
    """The leaves of a call, tensors made of them that are its operands, and its tensors."""
    torch.manual_seed(0)
    bound = Bound(torch, row, call, dtype, grads="all")
    for leaf in bound.leaves:
        leaf.requires_grad_()
    operands = {id(leaf): leaf * 1 for leaf in bound.leaves}

    def placed(arg):
        if isinstance(arg, (list, tuple)):
            return type(arg)([placed(one) for one in arg])
        return operands.get(id(arg), arg)

    bound.args = [placed(arg) for arg in bound.args]
    bound.kwargs = {name: placed(arg) for name, arg in bound.kwargs.items()}
    results = [part for part in flat(bound.run()) if isinstance(part, torch.Tensor)]
    return bound.leaves, list(operands.values()), results


def gradients(results, leaves):
    """The gradients of a weighed sum of all results that have one."""
    outputs = [y for y in results if y.requires_grad]
    if not outputs:
        return None
    rng = np.random.default_rng(0)
    weights = [torch.from_numpy(np.asarray(rng.uniform(1, 2, tuple(y.shape)))).to(y.dtype) for y in outputs]
    return torch.autograd.grad(outputs, leaves, weights, allow_unused=True, materialize_grads=True)


def doubled(tensor):
    """The tensor written to, as a user would; None if that is refused."""
    try:
        return tensor.mul_(2) if tensor.dtype.kind in "fc" else tensor.zero_()
    except RuntimeError:
        return None


def wrong(row, call, dtype):
    """The operands and results that were written to and led to another gradient."""
    leaves, operands, results = called(row, call, dtype)
    if any(y is x or y._base is x for x in operands for y in results):
        return  # nothing was done, or a view was made
    untouched = gradients(results, leaves)
    for kind, count in (("operand", len(operands)), ("result", len(results))):
        for place in range(count):
            leaves, operands, results = called(row, call, dtype)
            expected = untouched
            if kind == "result":  # what their copies give
                copies = [y.clone() for y in results]
                if doubled(copies[place]) is None:
                    continue
                expected = gradients(copies, leaves)
                leaves, operands, results = called(row, call, dtype)
            written = (operands if kind == "operand" else results)[place]
            if doubled(written) is None or expected is None:
                continue
            try:
                found = gradients(results, leaves)
            except RuntimeError as error:
                assert MODIFIED in str(error), error
                continue
            for a, b in zip(found, expected, strict=True):
                if not torch.allclose(a, b, 1e-9, 1e-12, equal_nan=True):
                    yield kind, place, a, b


def cases():
    for row in ROWS:
        for dtype in row.takes("float64", "complex128") if row.derived else ():
            for call in row.calls:
                if call.smooth and Bound(torch, row, call, dtype).leaves:
                    name = f"{row.name}-{dtype}-{row.calls.index(call)}"
                    yield pytest.param(row, call, dtype, id=name)


@pytest.mark.parametrize(("row", "call", "dtype"), list(cases()))
def test_no_gradient_is_wrong_silently(row, call, dtype):
    assert not list(wrong(row, call, dtype))
