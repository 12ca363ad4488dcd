"""Every row of the op table with sparse arguments, against PyTorch, where PyTorch takes them.

What PyTorch can do with COO, CSR and CSC tensors on the CPU is found by asking it: each row's calls are run
with each of the first arguments sparse in turn. Where it answers, the layouts and numbers of the results must
be the same; where it has a gradient, the numbers of the gradient, too.
"""

import itertools
import warnings

import numpy as np
import pytest
from library import ON_TORCH, torch
from sample_rows import ROWS
from samples import Bound, flat, resolve, short

oracle = pytest.importorskip("torch", reason="PyTorch is what Pullback is compared with")

LAYOUTS = ("sparse_coo", "sparse_csr", "sparse_csc")

NOT_COMPARED = {
    "cummax": "PyTorch returns an argument without dims as it is",
    "cummin": "PyTorch returns an argument without dims as it is",
    "einsum": "PyTorch returns an argument that it need not change as it is",
    "triangular_solve": "PyTorch gives NaN for a singular matrix, and no copy of the matrix",
    "Tensor.is_contiguous": "an attribute, not an op",
    "empty_like": "the numbers of CSR are not determined",
}

WRONG = {
    ("addmm", "sparse_csc", (1, 1, 1)): "PyTorch adds the product at the places of the input alone",
    ("mul", "sparse_coo", (1, 0)): "PyTorch loses elements where the sparse factor is broadcast",
    ("masked.mean", "sparse_csr", (1,)): "PyTorch's gradient leaves out elements that are zero",
}
"""Where PyTorch's numbers are wrong: the row, the layout, which arguments are sparse."""

ROWS_OF_FLOATS = [row for row in ROWS if row.takes("float64") and row.name not in NOT_COMPARED]


def made(library, row, call, layout, chosen, grads):
    """The call with its chosen leaves sparse, and all its leaves."""
    bound = Bound(library, row, call, "float64")
    rng = np.random.default_rng(1)
    leaves = []
    for i, x in enumerate(bound.leaves):
        if x.dim():
            x = x * library.from_numpy((rng.random(tuple(x.shape)) < 0.6).astype("float64"))
        if i < len(chosen) and chosen[i]:
            x = x.to_sparse(layout=getattr(library, layout))
        leaves.append(x.detach().clone().requires_grad_() if grads else x.detach())
    known = {id(old): new for old, new in zip(bound.leaves, leaves, strict=True)}

    def put(arg):
        if isinstance(arg, (list, tuple)):
            return type(arg)(map(put, arg))
        return known.get(id(arg), arg)

    return put(bound.args), {name: put(arg) for name, arg in bound.kwargs.items()}, leaves


def found(library, row, call, form, layout, chosen, grads):
    """The results of a call and the gradients; None where it is refused."""
    try:
        args, kwargs, leaves = made(library, row, call, layout, chosen, grads)
    except (RuntimeError, IndexError):
        return None  # the sample has no such layout
    name = short(row.name) + ("_" if form == "i" else "")
    try:
        if form == "f":
            got = resolve(library, row.name)(*args, **kwargs)
        else:
            got = getattr(args[0], name)(*args[1:], **kwargs)
        results = [x for x in flat(got) if isinstance(x, library.Tensor)]
        if not grads:
            return [(str(x.layout), numbers(library, x)) for x in results]
        outs = [x for x in results if x.requires_grad]
        starts = [library.ones_like(x.detach()) if x.layout is library.strided else x.detach() for x in outs]
        got = library.autograd.grad(outs, leaves, starts, allow_unused=True) if outs else ()
        return [None if g is None else numbers(library, g) for g in got]
    except Exception:
        return None


def numbers(library, x):
    x = x.detach()
    return (x if x.layout is library.strided else x.to_dense()).resolve_conj().numpy()


@pytest.mark.skipif(ON_TORCH, reason="PyTorch is not compared with itself")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("row", ROWS_OF_FLOATS, ids=lambda row: row.name)
def test_sparse_arguments(row, layout):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for call in row.calls[:5]:
            count = len(Bound(torch, row, call, "float64").leaves)
            for chosen in itertools.product((0, 1), repeat=min(count, 3)):
                if any(chosen) and (row.name, layout, chosen) not in WRONG:
                    compare(row, call, layout, chosen)


def compare(row, call, layout, chosen):
    for form in row.forms.replace("o", ""):
        wanted = found(oracle, row, call, form, layout, chosen, False)
        if wanted is None:
            continue
        where = f"{row.name} {form} {layout} {chosen} {row.calls.index(call)}"
        got = found(torch, row, call, form, layout, chosen, False)
        assert got is not None, where
        assert [kind for kind, _ in got] == [kind for kind, _ in wanted], where
        for (_, one), (_, other) in zip(got, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12, err_msg=where)
        wanted = None if form == "i" else found(oracle, row, call, form, layout, chosen, True)
        if not wanted:  # refused, or without gradients
            continue
        got = found(torch, row, call, form, layout, chosen, True)
        assert got is not None, where
        for one, other in zip(got, wanted, strict=True):
            assert (one is None) == (other is None), where
            if one is not None:
                np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11, err_msg=where)
