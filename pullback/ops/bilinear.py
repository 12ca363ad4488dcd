"""`bilinear`: a form in two vectors for each output."""

from __future__ import annotations

from pullback import ops
from pullback._engine import Tensor
from pullback.ops.resample import public


def _check(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    a, b = tuple(input1.shape), tuple(input2.shape)
    if len(a) != len(b):
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {len(a)} and {len(b)}")
    for dim, (n, m) in enumerate(zip(a[:-1], b[:-1], strict=True)):
        if n != m:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {dim}: got {n} and {m}"
            )
    for place, given in ((1, a), (2, b)):
        if given[-1] != weight.shape[place]:
            raise RuntimeError(
                f"bilinear(): input{place} size does not match weight size: got {given[-1]} but expected "
                f"{weight.shape[place]}"
            )
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but expected "
            f"{weight.shape[0]}"
        )


@public("(Tensor input1, Tensor input2, Tensor weight, Tensor bias = None)", places="t")
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x1 @ weight[k] @ x2 + bias[k]` for each k: (..., n), (..., m) and (out, n, m) give (..., out).

    RuntimeError for sizes that do not fit. It is linear in each factor.

    >>> import pullback as torch
    >>> torch.bilinear(torch.tensor([1.0, 2.0]), torch.tensor([3.0]), torch.ones(1, 2, 1))
    tensor([9.])
    """
    _check(input1, input2, weight, bias)
    shape = (*input1.shape[:-1], weight.shape[0])
    n, m = input1.shape[-1], input2.shape[-1]
    rows = ops.reshape(input1, (-1, n)) if n else ops.reshape(input1, (shape[0], 0))
    columns = ops.reshape(input2, (-1, m)) if m else ops.reshape(input2, (shape[0], 0))
    parts = ops.matmul(rows, ops.reshape(ops.transpose(weight, 0, 1), (n, shape[-1] * m)))
    parts = ops.reshape(parts, (rows.shape[0], shape[-1], m)) * ops.unsqueeze(columns, 1)
    result = ops.view(ops.sum(parts, -1, dtype=parts.dtype), shape)
    return result if bias is None else result + bias
