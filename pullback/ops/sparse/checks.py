"""Functions of sparse tensors as functions of dense ones: what finite differences can look at."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import sparse_coo
from pullback.core.op import function
from pullback.ops.sparse.convert import as_layout
from pullback.ops.sparse.patterns import coo_pattern
from pullback.ops.sparse.tensors import build, elements, is_sparse, values_of


def of_dense(
    func: Callable[..., Any], inputs: Any, masked: bool
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """`func` as a function of dense tensors, and the inputs that it then has.

    A sparse input becomes its values where `masked`, else all its elements; sparse results become dense.
    """
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    made, remade = zip(*(_opened(x, masked) if is_sparse(x) else (x, None) for x in args), strict=True)

    def dense(*given: Any) -> Any:
        results = func(*(x if back is None else back(x) for x, back in zip(given, remade, strict=True)))
        if isinstance(results, (list, tuple)):
            return tuple(_dense_result(x, masked) for x in results)
        return _dense_result(results, masked)

    return dense, made


def _dense_result(x: Any, masked: bool) -> Any:
    return ops.to_dense(x, masked_grad=masked) if is_sparse(x) else x


def _opened(x: Any, masked: bool) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """A dense leaf that stands for a sparse tensor, and the way back."""
    wants = x.requires_grad
    if masked:
        pattern = x.pattern
        return values_of(x).detach().clone().requires_grad_(wants), lambda v: build(pattern, v)
    kind, size, dense_dim, block = x.layout, tuple(x.shape), x.pattern.dense_dim, x.pattern.block
    indexed = size[: len(size) - dense_dim]
    pattern = coo_pattern(np.indices(indexed).reshape(len(indexed), -1), size)

    def back(dense: Tensor) -> Any:
        full = build(pattern, elements(pattern, dense))
        return full if kind is sparse_coo else as_layout(full, kind, blocksize=block)

    return ops.to_dense(x.detach()).requires_grad_(wants), back


@function(places="", aliases=("sparse.as_sparse_gradcheck",))
def as_sparse_gradcheck(gradcheck: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator of `torch.autograd.gradcheck` after which functions may have sparse inputs and results.

    >>> import pullback as torch
    >>> check = torch.sparse.as_sparse_gradcheck(torch.autograd.gradcheck)
    >>> x = torch.eye(2, dtype=torch.float64).to_sparse().requires_grad_()
    >>> check(lambda x: x.to_dense(), (x,), masked=True)
    True
    """

    @functools.wraps(gradcheck)
    def check(func: Callable[..., Any], inputs: Any, **options: Any) -> Any:
        return gradcheck(*of_dense(func, inputs, bool(options.get("masked", False))), **options)

    return check
