"""Every row of the op table against PyTorch, side by side, where PyTorch is installed.

Compared are values, dtypes, shapes, strides, requires_grad, names of nodes, gradients, gradients of
gradients, the dtypes that are refused and in what words, and the numbers that a seed gives.
"""

import functools
import warnings

import numpy as np
import pytest
from library import torch, without_links
from rows_random import SEEDED
from sample_rows import ROWS
from samples import (
    ALL,
    DTYPES,
    Bound,
    In,
    cotangents,
    differentiable,
    flat,
    numbers,
    pytorch_cannot,
    resolve,
    short,
)

oracle = pytest.importorskip("torch", reason="PyTorch is what Pullback is compared with")
oracle.set_num_threads(1)

# Relative and absolute tolerances. Half precisions may round at other places on the way.
TOLERANCES = {
    "float64": (1e-10, 1e-12),
    "complex128": (1e-10, 1e-12),
    "float32": (1.3e-6, 2e-6),
    "complex64": (2e-6, 4e-6),
    "float16": (2e-3, 1e-3),
    "bfloat16": (1.6e-2, 8e-3),
    "complex32": (2e-3, 4e-3),
}


def fn_name(tensor):
    """The name of the node that made the tensor, None where there is none."""
    return tensor.grad_fn and tensor.grad_fn.name().rpartition("::")[2]


def dtype_name(tensor):
    """The name of a tensor's dtype."""
    return str(tensor.dtype).removeprefix("torch.")


def attempt(library, action):
    """What the action gives, or the exception it raises as type and words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return action(), None
        except Exception as error:
            text = without_links(str(error)).replace("pullback.", "torch.")
            return None, f"{type(error).__name__}: {text}"


def both(action):
    """The outcome of `action(library)` here and in PyTorch."""
    return attempt(torch, lambda: action(torch)), attempt(oracle, lambda: action(oracle))


def strides_that_matter(tensor):
    """The strides of the dims that have more than one place; none where nothing is stored."""
    if 0 in tensor.shape:
        return ()
    return tuple(s for s, n in zip(tensor.stride(), tensor.shape, strict=True) if n > 1)


def close(mine, theirs, tol):
    """None, or how the values of two tensors differ."""
    a, b = numbers(torch, mine), numbers(oracle, theirs)
    if a.dtype.kind in "biu":
        return None if np.array_equal(a, b) else f"expected {show(b)}, got {show(a)}"
    rtol, atol = TOLERANCES[dtype_name(mine)]
    if np.allclose(a, b, rtol=rtol * tol, atol=atol * tol, equal_nan=True):
        return None
    return f"expected {show(b)}, got {show(a)}"


def show(array):
    """An array in one line, not too long."""
    return " ".join(np.array2string(array, precision=7, threshold=24).split())


def compare(mine, theirs, *, tol=1.0, strides=True, values=True, nodes=True, better=False):
    """The differences between two results, in words; if `better`, a graph where PyTorch has none is none."""
    wrong = []
    mine, theirs = flat(mine), flat(theirs)
    if len(mine) != len(theirs):
        return [f"expected {len(theirs)} results, got {len(mine)}"]
    for a, b in zip(mine, theirs, strict=True):
        if not isinstance(b, oracle.Tensor):
            if str(a) != str(b):
                wrong.append(f"expected {b}, got {a}")
        elif not isinstance(a, torch.Tensor):
            wrong.append(f"expected a tensor, got {a!r}")
        elif tuple(a.shape) != tuple(b.shape):
            wrong.append(f"shape: expected {tuple(b.shape)}, got {tuple(a.shape)}")
        elif str(a.dtype) != str(b.dtype):
            wrong.append(f"dtype: expected {b.dtype}, got {a.dtype}")
        else:
            more = better and not b.requires_grad
            if a.requires_grad != b.requires_grad and not more:
                wrong.append(f"requires_grad: expected {b.requires_grad}, got {a.requires_grad}")
            if strides and strides_that_matter(a) != strides_that_matter(b):
                wrong.append(f"stride: expected {b.stride()}, got {a.stride()}")
            if nodes and not more and fn_name(a) != fn_name(b):
                wrong.append(f"grad_fn: expected {fn_name(b)}, got {fn_name(a)}")
            if values:
                wrong.extend(filter(None, [close(a, b, tol)]))
    return wrong


def unlike(my_error, their_error):
    """The difference between two exceptions; none where Pullback does what PyTorch cannot."""
    if my_error == their_error or (my_error is None and pytorch_cannot(their_error)):
        return []
    return [f"expected {their_error}, got {my_error}"]


def difference(action, **options):
    """The differences between the outcomes of `action(library)` here and in PyTorch."""
    (mine, my_error), (theirs, their_error) = both(action)
    if my_error or their_error:
        return unlike(my_error, their_error)
    return compare(mine, theirs, **options)


def told(wrong):
    """Fails with all differences, a line each."""
    assert not wrong, "\n" + "\n".join(wrong)


each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@each_row
def test_value(row):
    wrong = []
    for place, call in enumerate(row.calls):
        for dtype in row.takes("float32", "complex64" if place < 4 else ""):
            for grads in ("all", "half"):

                def action(library, call=call, dtype=dtype, grads=grads):
                    return Bound(library, row, call, dtype, grads=grads).run()

                options = {"tol": row.tol, "values": row.values, "nodes": not row.composite}
                found = difference(action, better=bool(row.better), **options)
                wrong += [f"call {place} {dtype} {grads}: {text}" for text in found]
    told(wrong)


@each_row
def test_layout(row):
    wrong, dtype = [], row.first_dtype(wide=True)
    for place, call in enumerate(row.calls):
        for layout in ("transposed", "strided"):

            def action(library, call=call, layout=layout):
                return Bound(library, row, call, dtype, layout=layout).run()

            found = difference(action, tol=row.tol, values=row.values)
            wrong += [f"call {place} {layout}: {text}" for text in found]
    told(wrong)


def plain(results, bound):
    """Whether results are made without arithmetic: of one number each, or the inputs' own."""
    given = [numbers(oracle, t) for t in bound.leaves]
    made = [numbers(oracle, t) for t in flat(results) if isinstance(t, oracle.Tensor)]
    return all(len(np.unique(a)) < 2 or any(np.array_equal(a, b) for b in given) for a in made)


@pytest.mark.filterwarnings("ignore:ComplexHalf support")
@each_row
def test_complex_halves(row):
    """All calls in complex32: the numbers where PyTorch has them, and no error but a refusal where not.

    What it gives without arithmetic, as for a tensor without elements, may be refused too.
    """
    wrong, refusal = [], "not implemented for 'ComplexHalf'"
    errors = (
        "NotImplementedError",
        "RuntimeError",
        "TypeError",
        "ValueError",
        "IndexError",
        "AssertionError",
    )
    for place, call in enumerate(row.calls):
        bounds = {library: Bound(library, row, call, "complex32") for library in (torch, oracle)}
        (mine, my_error), (theirs, their_error) = both(lambda library: bounds[library].run())  # noqa: B023
        if their_error:
            found = [] if my_error is None or my_error.startswith(errors) else [my_error]
        elif my_error:
            empty = any(0 in data.shape for data in bounds[oracle].arrays)
            told_so = refusal in my_error and (empty or plain(theirs, bounds[oracle]))
            found = [] if told_so else [f"expected a result, got {my_error}"]
        elif all(np.isfinite(data).all() for data in bounds[oracle].arrays):
            found = compare(mine, theirs, tol=row.tol, values=row.values, nodes=False)
        else:  # what has a factor of 1 is multiplied by 1+0j there, which makes NaN of infinity
            found = compare(mine, theirs, values=False, nodes=False)
        wrong += [f"call {place}: {text}" for text in found]
    told(wrong)


@each_row
def test_dtype(row):
    """The first call in every dtype: the result, or the refusal in PyTorch's words."""
    wrong = []
    if not any(isinstance(arg, In) for arg in flat(list(row.calls[0].args))):
        return
    for kind in ALL:
        for dtype in DTYPES[kind]:

            def action(library, dtype=dtype):
                return Bound(library, row, row.calls[0], dtype).run()

            refused = attempt(oracle, functools.partial(action, oracle))[1]
            if refused and row.composite and attempt(torch, functools.partial(action, torch))[1]:
                continue
            wrong += [f"{dtype}: {text}" for text in difference(action, tol=row.tol, values=row.values)]
            if (refused is None) != bool(row.takes(dtype)):
                wrong.append(f"the row's kinds are wrong for {dtype}: {refused}")
    told(wrong)


def gradients(row, call, dtype, grads, library):
    """The gradients of the leaves, and theirs, as PyTorch counts them: None where there is none."""
    bound = Bound(library, row, call, dtype, grads=grads)
    results = differentiable(library, bound.run())
    if not results:
        return [], []
    leaves = [leaf for leaf in bound.leaves if leaf.requires_grad]
    weights = cotangents(library, results, bound.rng)
    twice = row.twice and call.smooth and dtype.endswith(("64", "128"))
    first = library.autograd.grad(results, leaves, weights, create_graph=twice, allow_unused=True)
    found = [g for g in first if g is not None and g.requires_grad]
    if not twice or not found:
        return first, []
    probes = [w.detach() for w in cotangents(library, found, bound.rng)]
    return first, library.autograd.grad(found, [*leaves, *weights], probes, allow_unused=True)


def gradient_difference(row, call, dtype, grads):
    """The differences between the gradients here and in PyTorch; None and zeros are alike."""
    (mine, my_error), (theirs, their_error) = both(
        lambda library: gradients(row, call, dtype, grads, library)
    )
    if my_error or their_error:
        return unlike(my_error, their_error)
    wrong = []
    for order, ours, others in zip(("first", "second"), mine, theirs, strict=True):
        for place, (a, b) in enumerate(zip(ours, others, strict=False)):
            if a is None or b is None:
                if any(t is not None and numbers(lib, t).any() for lib, t in ((torch, a), (oracle, b))):
                    wrong.append(f"{order} gradient {place}: expected {b}, got {a}")
                continue
            found = compare(a.detach(), b.detach(), tol=row.tol * 4, strides=False)
            wrong += [f"{order} gradient {place}: {text}" for text in found]
    return wrong


@each_row
def test_gradient(row):
    if row.better:
        pytest.skip(row.better)
    wrong = []
    for place, call in enumerate(row.calls):
        tried = [(dtype, "all") for dtype in row.takes("float64", "complex128" * call.smooth)]
        tried += [(dtype, "half") for dtype in row.takes("float32", "complex64" * call.smooth)]
        if place == 0:
            tried += [(dtype, "all") for dtype in row.takes("float16", "bfloat16")]
        for dtype, grads in tried:
            found = gradient_difference(row, call, dtype, grads)
            wrong += [f"call {place} {dtype} {grads}: {text}" for text in found]
    told(wrong)


def takes_out(library, row, dtype):
    """Does the op take `out` in its first call? None where nothing can be said."""
    call = row.calls[0]
    result = Bound(library, row, call, dtype).run()
    made = [library.empty(0, dtype=one.dtype) for one in flat(result)]
    out = tuple(made) if isinstance(result, tuple) else made[0]
    Bound(library, row, call, dtype).run(out=out)
    return compare_out(library, flat(result), flat(out), row)


def compare_out(library, results, outs, row):
    """Are the results those in `out`?"""
    pairs = zip(results, outs, strict=True)
    return all(
        tuple(a.shape) == tuple(b.shape)
        and (not row.values or np.array_equal(numbers(library, a), numbers(library, b), equal_nan=True))
        for a, b in pairs
    )


@each_row
def test_forms(row):
    """The table names the forms that PyTorch has, and Pullback has them."""
    name, wrong = short(row.name), []
    dtype = row.first_dtype()
    if "." not in row.name:
        for form, method in (("m", name), ("i", name + "_")):
            if callable(getattr(oracle.Tensor, method, None)) != (form in row.forms):
                wrong.append(f"the row's forms are wrong for Tensor.{method}")
            if form in row.forms and not callable(getattr(torch.Tensor, method, None)):
                wrong.append(f"Tensor.{method} is missing")
    taken, refused = attempt(oracle, lambda: takes_out(oracle, row, dtype))
    if "o" in row.forms:
        if not taken:
            wrong.append(f"the row's forms are wrong for out: {refused}")
        mine, my_error = attempt(torch, lambda: takes_out(torch, row, dtype))
        if not mine:
            wrong.append(f"out: {my_error or 'another result'}")
    elif taken:
        wrong.append("the row's forms lack out")
    told(wrong)


@pytest.mark.parametrize("program", SEEDED)
def test_seeded(program):
    """The same seed gives the same numbers, bit for bit, and leaves the same state behind."""

    def action(library):
        library.manual_seed(1234)
        names = {"torch": library, "Tensor": library.Tensor}
        return eval(program, names), library.rand(3), library.randn(2)

    (mine, my_error), (theirs, their_error) = both(action)
    assert my_error == their_error
    wrong = []
    for a, b in zip(flat(mine), flat(theirs), strict=True):
        wrong += compare(a, b, values=False)
        if numbers(torch, a).tobytes() != numbers(oracle, b).tobytes():
            wrong.append(f"expected {show(numbers(oracle, b))}, got {show(numbers(torch, a))}")
    told(wrong)


def test_names_are_pytorchs():
    """Each row names a function of PyTorch, and only one row of the same first arguments does."""
    for row in ROWS:
        assert callable(resolve(oracle, row.name)), row.name


ARGUMENTS = ("input", "other", "A", "B", "a", "b", "x", "y", "x1", "x2", "tau", "tensors", "LU", "LD", "n")
ARGUMENTS += ("ord", "p", "indices", "sections", "indices_or_sections", "tensor_indices_or_sections")
NAMED = [row for row in ROWS if row.name.startswith("linalg.") or row.name.endswith("split")]


@pytest.mark.parametrize("row", NAMED, ids=str)
def test_names_of_arguments(row):
    """The last argument goes by PyTorch's names alone, then the one before it, and so on."""
    method, known, wrong = row.name.startswith("Tensor."), [], []
    call = row.calls[0]
    for place in reversed(range(method, len(call.args))):

        def takes(name, library, place=place):
            bound = Bound(library, row, call, row.first_dtype())
            named = dict(zip([name, *known], bound.args[place:], strict=True))
            if len(named) <= len(known):
                return False
            function = resolve(library, row.name)
            error = attempt(library, lambda: function(*bound.args[:place], **named, **bound.kwargs))[1]
            return not (error or "").startswith("TypeError")

        mine, theirs = ([name for name in ARGUMENTS if takes(name, lib)] for lib in (torch, oracle))
        wrong += [f"argument {place}: {mine} for {theirs}"] if mine != theirs else []
        if not theirs:
            break
        known.insert(0, theirs[0])
    told(wrong)
