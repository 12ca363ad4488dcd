"""Products of matrices in groups of several sizes. It is a composite of plain products."""

from __future__ import annotations

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import dtype as Dtype
from pullback.core.op import function


@function(name="grouped_mm", places="", aliases=("nn.functional.grouped_mm",))
def _grouped_mm(
    mat_a: Tensor,
    mat_b: Tensor,
    *,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: Dtype | None = None,
) -> Tensor:
    """A product for each group of matrices. Groups are the first dim, or lie behind one another in a matrix.

    Where an operand has 2 dims, `offs` says where its groups end: of `mat_a` with a 3-dim `mat_b` its rows,
    of `mat_b` with a 3-dim `mat_a` its columns, of two matrices the dim that is summed over. The results
    stand as the groups do: (groups, M, N), or joined along rows or columns. The gradients are those of the
    products.

    >>> import pullback as torch
    >>> ends = torch.tensor([1, 3], dtype=torch.int32)
    >>> torch.nn.functional.grouped_mm(torch.ones(3, 2), torch.ones(2, 2, 1), offs=ends)
    tensor([[2.],
            [2.],
            [2.]])
    """
    if bias is not None:
        raise RuntimeError("Bias not supported yet")
    if (offs is None) != (mat_a.ndim == 3 and mat_b.ndim == 3):
        raise RuntimeError(
            "Have to provide offsets if there is a 2d matrix, or no offset if both matrices are 3d"
        )
    if offs is None:
        made = ops.bmm(mat_a, mat_b)
    else:
        ends = [int(end) for end in offs.tolist()]
        groups = list(enumerate(zip([0, *ends], ends, strict=False)))
        if mat_b.ndim == 3:
            made = ops.cat([mat_a[start:end] @ mat_b[g] for g, (start, end) in groups])
        elif mat_a.ndim == 3:
            made = ops.cat([mat_a[g] @ mat_b[:, start:end] for g, (start, end) in groups], 1)
        else:
            made = ops.stack([mat_a[:, start:end] @ mat_b[start:end] for _, (start, end) in groups])
    return made if out_dtype is None else made.to(out_dtype)
