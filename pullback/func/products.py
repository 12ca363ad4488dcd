"""Derivatives that are cheaper than the whole matrix: Laplacian, Hessian diagonal, Gauss-Newton products.

Each is a sum or a diagonal of products with unit vectors, which are taken in batches, so that the
matrix itself is never held: `chunk_size` (by default chosen by the memory there is) bounds the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.func.arguments import Argnums, Picked, wraps
from pullback.func.forward import Pushed, linearize
from pullback.func.jacobians import in_chunks, rows_at_once, unit_vectors
from pullback.func.reverse import grad, vjp
from pullback.utils._pytree import tree_flatten, tree_map, tree_unflatten


def hessian_diag(
    func: Callable[..., Any], argnums: Argnums = 0, *, chunk_size: int | str | None = "auto"
) -> Callable[..., Any]:
    """A function that returns the diagonal of the Hessian of `func`, in the shape of the argument.

    `func` returns a tensor of 0 dims. It takes one Hessian-vector product for each element, in
    batches.

    >>> import pullback as torch
    >>> torch.func.hessian_diag(lambda x: (x**3).sum())(torch.tensor([1.0, 2.0]))
    tensor([ 6., 12.])
    """

    @wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        picked = Picked(argnums, args)
        sizes = [x.numel() for x in picked.tensors]
        total = sum(sizes)
        if not total:
            return picked.nested([ops.zeros_like(x) for x in picked.tensors])
        slope = grad(lambda *chosen: func(*picked.arguments(list(chosen)), **kwargs), _all(picked))
        inner = Picked(_all(picked), tuple(picked.tensors))

        def push(tangents: list[Any]) -> list[Any]:
            call = Pushed(slope, inner, tangents, {}, False, "hessian_diag(f)(*args)")
            products = [
                ops.sum(ops.reshape(t * e, (-1,)), 0)
                for t, e in zip(call.tangents, tangents, strict=True)
                if t is not None
            ]
            return [sum(products[1:], products[0])] if products else [None]

        step = rows_at_once(chunk_size, picked.tensors * 4, total)
        (diagonal,) = in_chunks(step, total, push, unit_vectors(picked.tensors))
        if diagonal is None:
            return picked.nested([ops.zeros_like(x) for x in picked.tensors])
        parts = ops.split(diagonal, sizes)
        return picked.nested(
            [ops.reshape(part, x.shape) for part, x in zip(parts, picked.tensors, strict=True)]
        )

    return run


def _all(picked: Picked) -> tuple[int, ...]:
    return tuple(range(len(picked.tensors)))


def laplacian(
    func: Callable[..., Any], argnums: Argnums = 0, *, chunk_size: int | str | None = "auto"
) -> Callable[..., Any]:
    """A function that returns the Laplacian of `func`: the trace of its Hessian.

    >>> import pullback as torch
    >>> torch.func.laplacian(lambda x: (x**3).sum())(torch.tensor([1.0, 2.0]))
    tensor(18.)
    """
    diagonal = hessian_diag(func, argnums, chunk_size=chunk_size)

    @wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        parts = tree_flatten(diagonal(*args, **kwargs))[0]
        sums = [ops.sum(part) for part in parts]
        return sum(sums[1:], sums[0])

    return run


def ggnvp(func: Callable[..., Any], loss: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The product of the Gauss-Newton matrix of `loss(func(*primals))` with `tangents`.

    That is J' H J v with the Jacobian J of `func` and the Hessian H of `loss` at its value. Where the
    loss is a negative log-likelihood of the exponential family (squared error, cross entropy), this
    is also the product with Fisher's matrix. `primals` and the result are tuples, nested as
    `tangents`.

    >>> import pullback as torch
    >>> torch.func.ggnvp(torch.sin, lambda y: y.square().sum(), (torch.zeros(2),), (torch.ones(2),))
    (tensor([2., 2.]),)
    """
    value, pull = vjp(func, *primals)
    pushed = linearize(func, *primals)[1](*tangents)
    leaves, spec = tree_flatten(value)
    slope = grad(lambda *chosen: loss(tree_unflatten(list(chosen), spec)), tuple(range(len(leaves))))
    curved = linearize(slope, *leaves)[1](*tree_flatten(pushed)[0])
    found = pull(tree_unflatten(list(curved), spec))
    return found if isinstance(found, tuple) else (found,)


def linear_transpose(func: Callable[..., Any], *primals: Any) -> Callable[..., Any]:
    """The transpose of a linear function: it maps a cotangent of the result to those of the arguments.

    `primals` give shapes and dtypes only. ValueError if the function is seen not to be linear.

    >>> import pullback as torch
    >>> t = torch.func.linear_transpose(lambda x: x[:2] * 3, torch.empty(3))
    >>> t(torch.tensor([1.0, 2.0]))
    (tensor([3., 6., 0.]),)
    """
    zeros = tree_map(lambda x: ops.zeros_like(x) if isinstance(x, Tensor) else x, primals)
    value, pull = vjp(func, *zeros)
    for x in tree_flatten(value)[0]:
        if bool(ops.any(x != 0)):
            raise ValueError("linear_transpose: the function is not linear, its value at zero is not zero")

    def transposed(cotangent: Any) -> Any:
        found = pull(cotangent)
        return found if isinstance(found, tuple) else (found,)

    return transposed
