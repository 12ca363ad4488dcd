"""The linear and bilinear maps of neural networks, by the products in addmm.py and matmul.py."""

from __future__ import annotations

import functools
import math
import sys
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, conj
from pullback.core._plans import Plan, Spec
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.ops.products.contraction import contraction, fuses
from pullback.ops.products.matmul import matrix_product
from pullback.ops.products.plans import product_plan, sum_plan
from pullback.ops.shared.batches import of_sample
from pullback.ops.shared.forms import public

_LEADING = "abcdefgh"
_MOST_DIMS = len(_LEADING) + 1


@functools.cache
def _weight_labels(ndim: int) -> str:
    """How a weight's gradient is a contraction of the result's with the input."""
    leading = _LEADING[: ndim - 1]
    return sys.intern(f"{leading}o,{leading}i->oi")


@op(name="linear", places="", moves=True)
def _linear(input: Array, weight: Array, bias: Array | None, node: str) -> Array:
    """`x @ weight.T + bias`, at once. `node` is the name of the node in the graph."""
    if input.dtype.itemsize == 2 and input.dtype.kind not in "iu":
        wide = [None if x is None else x.astype(np.float32) for x in (input, weight, bias)]
        return _linear.kernel(*wide, node).astype(input.dtype)
    product = matrix_product(input.reshape(math.prod(input.shape[:-1]), weight.shape[1]), weight.T)
    product = product if bias is None else product + bias
    return product.reshape(*input.shape[:-1], weight.shape[0])


@_linear.prepare
def _plan_linear(input: Spec, weight: Spec, bias: Spec | None, node: str) -> Plan:
    rows = Spec(input.dtype, (math.prod(input.shape[:-1]), input.shape[-1]))
    transposed = Spec(weight.dtype, weight.shape[::-1])
    leading = _LEADING[: input.ndim - 1]
    if bias is None:
        ops.mm.prepare_rule(rows, transposed)
        return product_plan(input, weight, leading + "i", "oi", leading + "o")
    ops.addmm.prepare_rule(bias, rows, transposed, 1, 1)
    return sum_plan(bias, input, weight, leading + "i", "oi", leading + "o", order=(2, 0, 1))


_linear.variant = "node"
_linear.vjp(
    input=lambda g, weight: ops.matmul(g, conj(weight)),
    weight=lambda g, input: contraction(g, conj(input), _weight_labels(input.ndim), "TBackward0"),
    bias="g",
)


@_linear.batch
def _linear_batch(level: Any, op: Any, input: Any, weight: Any, bias: Any, node: str) -> Any:
    return of_sample(_by_parts)(level, op, input, weight, bias)


@function(places="", aliases=("nn.functional.linear",))
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, *, out: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias` for an input (..., n), a weight (m, n) and a bias (m,): (..., m).

    RuntimeError for shapes that do not fit and for different dtypes. The gradients are
    `g @ weight`, `g.T @ x` and the sum of g over the rows.

    >>> import pullback as torch
    >>> x, w, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]), torch.tensor([0.5])
    >>> torch.nn.functional.linear(x, w, b)
    tensor([[11.5000]])
    """
    ndim, weight_ndim = input.ndim, weight.ndim
    if not ndim or not weight_ndim:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, but they are {ndim}D and {weight_ndim}D"
        )
    if (
        out is None
        and weight_ndim == 2
        and ndim <= _MOST_DIMS
        and fuses()
        and (bias is None or bias.ndim == 1)
    ):
        return _linear(input, weight, bias, _NODES[min(ndim, 3)][bias is not None])
    return _by_parts(input, weight, bias, out)


_NODES = {
    1: ("SqueezeBackward4", "ViewBackward0"),
    2: ("MmBackward0", "AddmmBackward0"),
    3: ("UnsafeViewBackward0", "ViewBackward0"),
}
"""The names of nodes by the dims of the input, without a bias and with one."""


def _by_parts(input: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor | None = None) -> Tensor:
    """`linear` by products that transforms know."""
    ndim, weight_ndim = input.ndim, weight.ndim
    transposed = ops.t(weight)
    if ndim == 2 and weight_ndim == 2:
        return (
            ops.mm(input, transposed, out=out)
            if bias is None
            else ops.addmm(bias, input, transposed, out=out)
        )
    if bias is None:
        return ops.matmul(input, transposed, out=out)
    if weight_ndim != 2:
        if ndim == 2 and bias.ndim < 2:
            raise RuntimeError("mat2 must be a matrix, got 1-D tensor")
        return ops.add(ops.matmul(input, transposed), bias, out=out)
    rows = ops.reshape(input, (-1, input.shape[-1]))
    result = ops.addmm(bias, rows, transposed)
    result = ops.reshape(result, (*input.shape[:-1], weight.shape[0]))
    return result if out is None else out.resize_(tuple(result.shape)).copy_(result)


def _check_bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    a, b = tuple(input1.shape), tuple(input2.shape)
    if len(a) != len(b):
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {len(a)} and {len(b)}")
    for dim, (n, m) in enumerate(zip(a[:-1], b[:-1], strict=True)):
        if n != m:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {dim}: got {n} and {m}"
            )
    for dim, shape in ((1, a), (2, b)):
        if shape[-1] != weight.shape[dim]:
            raise RuntimeError(
                f"bilinear(): input{dim} size does not match weight size: got {shape[-1]} but expected "
                f"{weight.shape[dim]}"
            )
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but expected "
            f"{weight.shape[0]}"
        )


@public(places="t")
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x1 @ weight[k] @ x2 + bias[k]` for each k: (..., n), (..., m) and (out, n, m) give (..., out).

    RuntimeError for sizes that do not fit. It is linear in each factor.

    >>> import pullback as torch
    >>> torch.bilinear(torch.tensor([1.0, 2.0]), torch.tensor([3.0]), torch.ones(1, 2, 1))
    tensor([9.])
    """
    _check_bilinear(input1, input2, weight, bias)
    shape = (*input1.shape[:-1], weight.shape[0])
    n, m = input1.shape[-1], input2.shape[-1]
    rows = ops.reshape(input1, (-1, n)) if n else ops.reshape(input1, (shape[0], 0))
    columns = ops.reshape(input2, (-1, m)) if m else ops.reshape(input2, (shape[0], 0))
    parts = ops.matmul(rows, ops.reshape(ops.transpose(weight, 0, 1), (n, shape[-1] * m)))
    parts = ops.reshape(parts, (rows.shape[0], shape[-1], m)) * ops.unsqueeze(columns, 1)
    result = ops.view(ops.sum(parts, -1, dtype=parts.dtype), shape)
    return result if bias is None else result + bias
