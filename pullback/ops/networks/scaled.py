"""Products of matrices of eight-bit floats, which carry scales in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback.core._engine import Tensor
from pullback.core.dtypes import bfloat16, float32
from pullback.core.dtypes import dtype as Dtype
from pullback.core.op import function
from pullback.ops.networks.grouped import _grouped_mm


@function(places="t")
def _scaled_mm(
    input: Tensor,
    mat2: Tensor,
    scale_a: Tensor,
    scale_b: Tensor,
    bias: Tensor | None = None,
    scale_result: Tensor | None = None,
    out_dtype: Dtype | None = None,
    use_fast_accum: bool = False,
) -> Tensor:
    """The product of an (M, K) and a (K, N) matrix of eight-bit floats, each times its scale, plus a bias.

    A scale is one number, or there is one for each row of the first matrix, (M, 1), and for each column of
    the second, (1, N). Sums are in float32 and rounded once to `out_dtype`, that of the first matrix by
    default, after a division by `scale_result`. RuntimeError or ValueError for what does not fit.

    >>> import pullback as torch
    >>> x, one = torch.ones(2, 2).to(torch.float8_e4m3fn), torch.tensor(1.0)
    >>> torch._scaled_mm(x, x, torch.tensor(3.0), one, out_dtype=torch.float32)
    tensor([[6., 6.],
            [6., 6.]])
    """
    for name, x in (("mat1", input), ("mat2", mat2)):
        if x.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix")
    if input.dtype.kind != "e" and mat2.dtype.kind != "e":
        raise RuntimeError(f"Expected mat1 to be Float8 matrix got {input.dtype.type_name}")
    (rows, inner), (other, columns) = input.shape, mat2.shape
    if inner != other:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{inner} and {other}x{columns})"
        )
    if input.dtype.kind != "e" or mat2.dtype.kind != "e":
        raise _misfit(input, mat2, scale_a, scale_b)
    single = scale_a.numel() == 1 and scale_b.numel() == 1
    if not single and (tuple(scale_a.shape), tuple(scale_b.shape)) != ((rows, 1), (1, columns)):
        raise _misfit(input, mat2, scale_a, scale_b)
    scales = (scale_a.to(float32), scale_b.to(float32))
    made = input.to(float32) @ mat2.to(float32)
    made = made * (scales[0].reshape(()) * scales[1].reshape(())) if single else made * scales[0] * scales[1]
    if bias is not None:
        made = made + bias.to(float32)
    if scale_result is not None:
        made = made / scale_result.to(float32)
    return made.to(out_dtype or input.dtype)


def _misfit(a: Tensor, b: Tensor, scale_a: Tensor, scale_b: Tensor) -> ValueError:
    """The error for scales that are neither single numbers nor for rows and columns."""
    shown = " ".join(
        f"{name}.dtype()={x.dtype.type_name}, {name}.size()={list(x.shape)}"
        for name, x in (("mat_a", a), ("scale_a", scale_a), ("mat_b", b), ("scale_b", scale_b))
    )
    return ValueError(
        "Invalid scaling configuration.\n- For TensorWise scaling, a and b should be float8, scales should "
        "be float and singletons.\n- For RowWise scaling, a and b should be float8, scales should be float, "
        f"scale_a should be ({a.shape[0]}, 1) and scale_b should be (1, {b.shape[1]}), and both should be "
        f"contiguous.\nGot {shown}"
    )


@function(name="scaled_mm", places="", aliases=("nn.functional.scaled_mm",))
def scaled_mm(
    mat_a: Tensor,
    mat_b: Tensor,
    scale_a: Any,
    scale_recipe_a: Any,
    scale_b: Any,
    scale_recipe_b: Any,
    swizzle_a: Any = None,
    swizzle_b: Any = None,
    bias: Tensor | None = None,
    output_dtype: Dtype | None = bfloat16,
    contraction_dim: Sequence[int] = (),
    use_fast_accum: bool = False,
) -> Tensor:
    """The product of two matrices of eight-bit floats with scales; `_scaled_mm` with recipes for these.

    Each scale, or a list with it, has a `ScalingType`: TensorWise, one number, or RowWise. ValueError for
    scales by blocks.

    >>> import pullback as torch
    >>> F, x, two = torch.nn.functional, torch.ones(2, 2).to(torch.float8_e5m2), torch.tensor(2.0)
    >>> F.scaled_mm(x, x, two, F.ScalingType.TensorWise, two, F.ScalingType.TensorWise)
    tensor([[8., 8.],
            [8., 8.]], dtype=torch.bfloat16)
    """
    first, second = _only(scale_a, scale_recipe_a), _only(scale_b, scale_recipe_b)
    if first is None or second is None:
        scales = [x[0] if isinstance(x, list | tuple) else x for x in (scale_a, scale_b)]
        raise _misfit(mat_a, mat_b, *scales)
    return _scaled_mm(mat_a, mat_b, first, second, bias, None, output_dtype, use_fast_accum)


def _only(scale: Any, recipe: Any) -> Tensor | None:
    """The one scale of an operand; None where it is by blocks."""
    scales, recipes = ([x] if not isinstance(x, list | tuple) else x for x in (scale, recipe))
    plain = len(scales) == len(recipes) == 1 and recipes[0].name in ("TensorWise", "RowWise")
    return scales[0] if plain else None


@function(name="scaled_grouped_mm", places="", aliases=("nn.functional.scaled_grouped_mm",))
def scaled_grouped_mm(
    mat_a: Tensor,
    mat_b: Tensor,
    scale_a: Any,
    scale_recipe_a: Any,
    scale_b: Any,
    scale_recipe_b: Any,
    swizzle_a: Any = None,
    swizzle_b: Any = None,
    bias: Tensor | None = None,
    offs: Tensor | None = None,
    output_dtype: Dtype | None = bfloat16,
    contraction_dim: Sequence[int] = (),
    use_fast_accum: bool = False,
) -> Tensor:
    """`grouped_mm` of eight-bit floats, with a scale for each row of `mat_a` and each column of `mat_b`.

    The scales have the shape of their operand without the dim that is summed over; of two matrices, those of
    the groups lie behind one another. ValueError for scales by blocks.

    >>> import pullback as torch
    >>> F, x = torch.nn.functional, torch.ones(1, 2, 2).to(torch.float8_e5m2)
    >>> scale, rows = torch.full((1, 2), 0.5), F.ScalingType.RowWise
    >>> F.scaled_grouped_mm(x, x, scale, rows, scale, rows)
    tensor([[[0.5000, 0.5000],
             [0.5000, 0.5000]]], dtype=torch.bfloat16)
    """
    first, second = _only(scale_a, scale_recipe_a), _only(scale_b, scale_recipe_b)
    if first is None or second is None:
        raise ValueError("Invalid scaling configuration: scales must be RowWise, in float32")
    first, second = first.to(float32), second.to(float32)
    a, b = mat_a.to(float32), mat_b.to(float32)
    flat = mat_a.ndim == 2 and mat_b.ndim == 2
    if not flat:
        a, b = a * first.unsqueeze(-1), b * second.unsqueeze(-2)
    made: Tensor = _grouped_mm(a, b, offs=offs)
    if flat:
        groups = made.shape[0]
        made = made * first.reshape(groups, -1, 1) * second.reshape(groups, 1, -1)
    if bias is not None:
        made = made + bias.to(float32)
    return made.to(output_dtype or bfloat16)
