"""`jacrev`, `jacfwd`, `hessian`: whole matrices of derivatives, by one batched pass.

The rows of a Jacobian are the pullbacks of unit vectors, its columns the pushforwards: `jacrev` runs
one backward pass on a batch of the former, `jacfwd` the function once on a batch of the latter, and
`chunk_size` takes the batch in parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import from_array, ones_of
from pullback.func.arguments import Argnums, Picked, check_real, wraps
from pullback.func.forward import Pushed
from pullback.func.reverse import Recorded
from pullback.func.vmap import chunk_for
from pullback.transforms.batching.interpreter import on_batch
from pullback.transforms.stack import at_bottom
from pullback.utils._pytree import tree_unflatten


def unit_vectors(tensors: list[Any]) -> list[Any]:
    """All unit vectors of the space of some tensors: for each tensor its part of them, a row each."""
    if len(tensors) == 1:
        (x,) = tensors
        identity = np.eye(x._layout.size, dtype=x._layout.dtype)
        return [from_array(identity.reshape(-1, *x._layout.shape))]
    sizes = _element_counts(tensors)
    total = sum(sizes)
    found, start = [], 0
    for x, size in zip(tensors, sizes, strict=True):
        part = ops.narrow(ops.eye(total, dtype=x.dtype), 1, start, size)
        found.append(ops.reshape(part, (total, *x.shape)))
        start += size
    return found


def _element_counts(tensors: list[Any]) -> list[int]:
    """The number of elements of each."""
    return [x._layout.size for x in tensors]


def rows_at_once(chunk_size: int | str | None, tensors: list[Any], total: int) -> int:
    """How many unit vectors go into one batch."""
    if chunk_size is None:
        return max(total, 1)
    if chunk_size == "auto":
        return chunk_for(sum(x._layout.nbytes for x in tensors), total)
    return int(chunk_size)


def in_chunks(
    step: int, total: int, function: Callable[..., list[Any]], basis: list[Any], randomness: str = "error"
) -> list[Any]:
    """`on_batch` for `step` of all rows of the basis at a time."""
    if step >= total:
        return on_batch(total, function, basis, randomness)
    parts = []
    for start in range(0, total, step):
        count = min(step, total - start)
        rows = [ops.narrow(x, 0, start, count) for x in basis]
        parts.append(on_batch(count, function, rows, randomness))
    return [None if column[0] is None else ops.cat(list(column)) for column in zip(*parts, strict=True)]


def _one_by_one(total: int, function: Callable[..., list[Any]], basis: list[Any]) -> list[Any]:
    """The same without a batch, so that what no batch can do works as well."""
    parts = [function([ops.select(x, 0, i) for x in basis]) for i in range(total)]
    return [ops.stack(list(column)) for column in zip(*parts, strict=True)]


def _check_chunk(name: str, chunk_size: Any) -> None:
    if not (chunk_size is None or chunk_size == "auto" or (isinstance(chunk_size, int) and chunk_size > 0)):
        raise ValueError(f"{name}: `chunk_size` should be greater than 0.")


def jacrev(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | str | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:
    """A function that returns the Jacobian of `func`, by backward passes: good for few results.

    Of a result of shape s with respect to an argument of shape t it has the shape s + t; nested
    results hold nested arguments (`argnums`, as in `grad`). `chunk_size` limits how many rows are
    computed at once; "auto" chooses by the memory there is.

    >>> import pullback as torch
    >>> torch.func.jacrev(torch.sin)(torch.tensor([0.0, 0.0]))
    tensor([[1., 0.],
            [0., 1.]])
    """
    _check_chunk("jacrev", chunk_size)

    @wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        picked = Picked(argnums, args)
        check_real("jacrev", "inputs", picked.tensors)
        call = Recorded(func, picked, kwargs, has_aux, "vjp(f, *primals)")
        check_real("jacrev", "outputs", call.outs)
        sizes = _element_counts(call.outs)
        total = sum(sizes)
        if total == 1 and len(sizes) == 1:
            (y,) = call.outs
            rows = call.pull([at_bottom(y, ones_of)], True)
            if y.ndim:
                rows = [ops.reshape(g, (1, *x.shape)) for x, g in zip(call.leaves, rows, strict=True)]
        elif total == 0:
            rows = [ops.zeros((0, *x.shape), dtype=x.dtype) for x in call.leaves]
        else:
            step = rows_at_once(chunk_size, [*call.leaves, *call.outs], total)
            basis = unit_vectors(call.outs)
            if chunk_size == 1:
                rows = _one_by_one(total, lambda grads: call.pull(grads, True), basis)
            else:
                rows = in_chunks(step, total, lambda grads: call.pull(grads, True), basis)
        found, start = [], 0
        for y, size in zip(call.outs, sizes, strict=True):
            blocks = []
            for x, g in zip(call.leaves, rows, strict=True):
                part = g if size == total else ops.narrow(g, 0, start, size)
                shape = (*y.shape, *x.shape)
                blocks.append(part if part._layout.shape == shape else ops.reshape(part, shape))
            found.append(picked.nested(blocks))
            start += size
        result = found[0] if call.spec is None else tree_unflatten(found, call.spec)
        return (result, call.auxiliary()) if has_aux else result

    return run


def jacfwd(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
    chunk_size: int | str | None = None,
) -> Callable[..., Any]:
    """A function that returns the Jacobian of `func`, by forward mode: good for few arguments.

    Shapes and nesting are those of `jacrev`.

    >>> import pullback as torch
    >>> torch.func.jacfwd(lambda x: x * x)(torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_chunk("jacfwd", chunk_size)

    @wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        picked = Picked(argnums, args)
        for x in picked.tensors:
            if x.dtype.kind not in "fc":
                raise ValueError(f"Expected primal to be floating point or complex, but got: {x.dtype}")
        check_real("jacfwd", "inputs", picked.tensors)
        sizes = _element_counts(picked.tensors)
        total = sum(sizes)
        basis = unit_vectors(picked.tensors)
        calls: list[Pushed] = []

        def push(tangents: list[Any]) -> list[Any]:
            call = Pushed(func, picked, tangents, kwargs, has_aux, "jvp(f, primals, tangents)")
            calls.append(call)
            return call.tangents

        step = rows_at_once(chunk_size, picked.tensors, total)
        columns = in_chunks(step, total, push, basis, randomness)
        call = calls[0]
        check_real("jacfwd", "outputs", call.outs)
        found = []
        for y, t in zip(call.outs, columns, strict=True):
            found.append(picked.nested(_blocks(y, t, picked.tensors, sizes, total)))
        result = found[0] if call.spec is None else tree_unflatten(found, call.spec)
        return (result, call.aux) if has_aux else result

    return run


def _blocks(y: Any, t: Any, tensors: list[Any], sizes: list[int], total: int) -> list[Any]:
    """The Jacobians of one result from its tangents, a row for each unit vector."""
    if t is None:
        return [ops.zeros((*y.shape, *x.shape), dtype=y.dtype) for x in tensors]
    wide = ops.movedim(t, 0, -1) if t.ndim > 1 else t
    blocks, start = [], 0
    for x, size in zip(tensors, sizes, strict=True):
        part = wide if size == total else ops.narrow(wide, -1, start, size)
        shape = (*y.shape, *x.shape)
        blocks.append(part if part._layout.shape == shape else ops.reshape(part, shape))
        start += size
    return blocks


def hessian(
    func: Callable[..., Any], argnums: Argnums = 0, *, chunk_size: int | str | None = None
) -> Callable[..., Any]:
    """A function that returns the second derivatives of `func`: a batched backward pass over a
    recorded one.

    PyTorch runs forward mode over the backward pass. Here the recorded pass is cheaper, two to three
    times, and it holds one batch of gradients at a time in place of a batch of every intermediate.

    >>> import pullback as torch
    >>> torch.func.hessian(lambda x: (x**3).sum())(torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacrev(jacrev(func, argnums, chunk_size=chunk_size), argnums, chunk_size=chunk_size)
