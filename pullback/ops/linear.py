"""The linear map of neural networks, by the products in addmm.py and matmul.py."""

from __future__ import annotations

from pullback import ops
from pullback._engine import Tensor
from pullback.op import function


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
    ndim, wide = input.ndim, weight.ndim
    if not ndim or not wide:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, but they are {ndim}D and {wide}D"
        )
    turned = ops.t(weight)
    if ndim == 2 and wide == 2:
        return ops.mm(input, turned, out=out) if bias is None else ops.addmm(bias, input, turned, out=out)
    if bias is None:
        return ops.matmul(input, turned, out=out)
    if wide != 2:
        if ndim > 1 and bias.ndim < 2 and ndim == 2:
            raise RuntimeError("mat2 must be a matrix, got 1-D tensor")
        return ops.add(ops.matmul(input, turned), bias, out=out)
    rows = ops.reshape(input, (-1, input.shape[-1]))
    result = ops.addmm(bias, rows, turned)
    result = ops.reshape(result, (*input.shape[:-1], weight.shape[0]))
    return result if out is None else out.resize_(tuple(result.shape)).copy_(result)
