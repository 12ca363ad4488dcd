"""`torch.masked`: reductions and softmaxes of those elements whose mask is True.

What is masked is replaced by the identity of the reduction and then reduced as ever; means and
variances divide by the number of what is left. ROWS is the table of those that need no more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import bool_, get_default_dtype, iinfo, int64
from pullback.core.dtypes import dtype as Dtype
from pullback.core.op import SURFACE, function
from pullback.core.types import Dims
from pullback.ops.shared.dims import wrap_dims


def _mask(input: Tensor, mask: Tensor | None) -> Tensor | None:
    """The mask as bools in the shape of the input. IndexError if it has more dims."""
    if mask is None:
        return None
    if mask.ndim > input.ndim:
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)"
        )
    mask = mask if mask.dtype is bool_ else mask.to(bool_)
    return mask if mask.shape == input.shape else ops.expand(mask, tuple(input.shape))


def _fill_masked(input: Tensor, mask: Tensor | None, identity: float) -> Tensor:
    mask = _mask(input, mask)
    return input if mask is None else ops.where(mask, input, identity).to(input.dtype)


def _masked_extreme(dtype: Dtype, sign: int, name: str) -> float:
    """The least number of a dtype for the sign -1, the largest for 1."""
    if dtype is bool_:
        raise NotImplementedError(f"identity of {name} on torch.bool input")
    if dtype.kind in "fc":
        return sign * math.inf
    return iinfo(dtype).max if sign > 0 else iinfo(dtype).min


def _dims(input: Tensor, dim: Dims) -> tuple[int, ...]:
    if not input.ndim:
        wrap_dims(dim, 0)
        return ()
    return wrap_dims(None if dim is None or (not isinstance(dim, int) and not len(dim)) else dim, input.ndim)


def _typed(input: Tensor, dtype: Dtype | None, sums: bool = False) -> Tensor:
    """The input in the dtype of the result: sums of bools and integers are int64."""
    if dtype is None and sums and input.dtype.kind in "biu":
        dtype = int64
    return input if dtype is None or dtype is input.dtype else input.to(dtype)


def _reduce(name: str, input: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    """A reduction over several dims, by one that takes a single one if it must be."""
    apply = SURFACE["torch"][name]
    if name != "prod":
        return apply(input, dims, keepdim)
    for dim in reversed(dims):
        input = apply(input, dim, True)
    shape = [n for d, n in enumerate(input.shape) if d not in dims]
    return input if keepdim else ops.reshape(input, tuple(shape))


# ------------------------------------------------------------------------------ plain reductions

_MASKED_REDUCTIONS = {"sum": 0, "prod": 1, "amax": -1, "amin": 1}
_MASKED_SCANS = {"cumsum": 0, "cumprod": 1}
_CHOICES = {"argmax": -1, "argmin": 1}
_SOFT = {"softmax": -math.inf, "log_softmax": -math.inf, "softmin": math.inf}


def _publish_reduction(name: str, identity: int) -> None:
    def reduction(
        input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Dtype | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        input = _typed(input, dtype, name in ("sum", "prod"))
        fill = (
            identity
            if name in ("sum", "prod") or mask is None
            else _masked_extreme(input.dtype, identity, name)
        )
        return _reduce(name, _fill_masked(input, mask, fill), _dims(input, dim), bool(keepdim))

    reduction.__doc__ = f"`{name}` over `dim` of the elements whose mask is True."
    function(name=name, places="", aliases=(f"masked.{name}",))(reduction)


def _publish_cumulative(name: str, identity: int) -> None:
    def cumulative(
        input: Tensor, dim: int, *, dtype: Dtype | None = None, mask: Tensor | None = None
    ) -> Tensor:
        input = _typed(input, dtype)
        if input.dtype is bool_:
            raise NotImplementedError(f"\"{name}_out_cpu\" not implemented for 'Bool'")
        return SURFACE["torch"][name](_fill_masked(input, mask, identity), dim, dtype=input.dtype)

    cumulative.__doc__ = f"`{name}` along `dim`, in which masked elements count as {identity}."
    function(name=name, places="", aliases=(f"masked.{name}",))(cumulative)


def _publish_choice(name: str, sign: int) -> None:
    def choice(
        input: Tensor, dim: int | None = None, *, keepdim: bool | None = False,
        dtype: Dtype | None = None, mask: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        wanted = input.dtype if dtype is None else dtype
        input = _typed(input, dtype)
        fill = 0 if mask is None else _masked_extreme(input.dtype, sign, name)
        return SURFACE["torch"][name](_fill_masked(input, mask, fill), dim, bool(keepdim)).to(wanted)

    choice.__doc__ = f"`{name}` along `dim` of the elements whose mask is True, in the input's dtype."
    function(name=name, places="", aliases=(f"masked.{name}",))(choice)


def _publish_soft(name: str, fill: float) -> None:
    def soft(input: Tensor, dim: int, *, dtype: Dtype | None = None, mask: Tensor | None = None) -> Tensor:
        space = "nn.functional" if name == "softmin" else "torch"
        return SURFACE[space][name](_fill_masked(_typed(input, dtype), mask, fill), dim)

    soft.__doc__ = f"`{name}` along `dim` of the elements whose mask is True."
    function(name=name, places="", aliases=(f"masked.{name}",))(soft)


_PUBLISHED: list[tuple[dict[str, Any], Callable[[str, Any], None]]] = [
    (_MASKED_REDUCTIONS, _publish_reduction),
    (_MASKED_SCANS, _publish_cumulative),
    (_CHOICES, _publish_choice),
    (_SOFT, _publish_soft),
]
for _table, _publish in _PUBLISHED:
    for _name, _value in _table.items():
        _publish(_name, _value)

# ------------------------------------------------------------------------------------ the others


def _masked_count(input: Tensor, mask: Tensor | None, dims: tuple[int, ...], dtype: Dtype) -> Tensor | float:
    """How many elements are left."""
    mask = _mask(input, mask)
    if mask is None:
        return float(math.prod(input.shape[d] for d in dims))
    return ops.sum(mask, dims, True).to(dtype)


@function(name="mean", places="", aliases=("masked.mean",))
def _masked_mean(
    input: Tensor, dim: Dims = None, *, keepdim: bool | None = False, dtype: Dtype | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The mean over `dim` of the elements whose mask is True, NaN of none. ValueError for integers."""
    input = _typed(input, dtype)
    if input.dtype.kind not in "fc":
        raise ValueError(
            "mean(): Could not infer output dtype. Input dtype must be either a floating point or complex "
            f"dtype. Got: {input.dtype}"
        )
    dims = _dims(input, dim)
    total = ops.sum(_fill_masked(input, mask, 0), dims, True) / _masked_count(
        input, mask, dims, input.dtype.to_real()
    )
    return _is_kept(total, dims, keepdim)


def _is_kept(reduced: Tensor, dims: tuple[int, ...], keepdim: bool | None) -> Tensor:
    shape = [n for d, n in enumerate(reduced.shape) if d not in dims]
    return reduced if keepdim else ops.reshape(reduced, tuple(shape))


@function(name="var", places="", aliases=("masked.var",))
def _masked_var(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *, correction: float | None = None,
    keepdim: bool | None = False, dtype: Dtype | None = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The variance over `dim` of the elements whose mask is True, NaN where too few are left."""
    if unbiased is not None and correction is not None:
        raise ValueError("Only one of unbiased and correction may be given.")
    correction = (1 if unbiased is None else int(unbiased)) if correction is None else correction
    if input.dtype is bool_:
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert "
            "a mask, use the `~` or `logical_not()` operator instead."
        )
    if dtype is None and input.dtype.kind not in "fc":
        dtype = get_default_dtype()
    input = _typed(input, dtype)
    dims, real = _dims(input, dim), input.dtype.to_real()
    count = _masked_count(input, mask, dims, real)
    input = _fill_masked(input, mask, 0)
    away = ops.abs(input - ops.sum(input, dims, True) / count)
    total = ops.sum(_fill_masked(away * away, mask, 0), dims, True)
    left = count - correction
    left = ops.clamp(left, 0) if isinstance(left, Tensor) else max(left, 0.0)
    return _is_kept((total / left).to(input.dtype), dims, keepdim)


@function(name="std", places="", aliases=("masked.std",))
def _masked_std(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *, correction: float | None = None,
    keepdim: bool | None = False, dtype: Dtype | None = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The square root of the variance over `dim` of the elements whose mask is True."""
    options = {"correction": correction, "keepdim": keepdim, "dtype": dtype, "mask": mask}
    return ops.sqrt(_masked_var(input, dim, unbiased, **options))


@function(name="norm", places="", aliases=("masked.norm",))
def _masked_norm(
    input: Tensor, ord: float | None = 2.0, dim: Dims = None, *, keepdim: bool | None = False,
    dtype: Dtype | None = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The vector norm over `dim` of the elements whose mask is True."""
    ord = 2.0 if ord is None else ord
    input = _fill_masked(_typed(input, dtype), mask, math.inf if ord < 0 else 0)
    return SURFACE["linalg"]["vector_norm"](input, ord, _dims(input, dim), bool(keepdim))


@function(name="normalize", places="", aliases=("masked.normalize",))
def _normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Dtype | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The elements whose mask is True over their norm along `dim`, which is at least `eps`; else zero."""
    size = _masked_norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _fill_masked(_typed(input, dtype), mask, 0) / ops.clamp(size, eps)


@function(name="median", places="", aliases=("masked.median",))
def _masked_median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Dtype | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The lower median along `dim` of the elements whose mask is True, NaN of none.

    ValueError for integers where nothing is left.
    """
    input = _typed(input, dtype)
    wanted, whole = input.dtype, _mask(input, mask)
    if wanted.kind != "f" and whole is not None:
        if not bool(ops.all(ops.any(whole, dim))):
            raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
        input = input.to(get_default_dtype())
    name = "nanmedian" if input.dtype.kind == "f" else "median"
    result = SURFACE["torch"][name](_fill_masked(input, mask, math.nan), dim, keepdim)[0]
    return result.to(wanted)


@function(name="logsumexp", places="", aliases=("masked.logsumexp",))
def _logsumexp(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Dtype | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`logsumexp` over `dim` of the elements whose mask is True, `-inf` of none."""
    input = _typed(input, dtype)
    fill = 0 if mask is None else _masked_extreme(input.dtype, -1, "logsumexp")
    result = ops.logsumexp(_fill_masked(input, mask, fill), _dims(input, dim), bool(keepdim))
    return result.to(input.dtype)


@function(name="logaddexp", places="", aliases=("masked.logaddexp",))
def _masked_logaddexp(
    input: Tensor, other: Tensor, *, dtype: Dtype | None = None, input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`log(exp(x) + exp(y))`, in which masked elements count as `-inf`."""
    return ops.logaddexp(
        _fill_masked(_typed(input, dtype), input_mask, -math.inf),
        _fill_masked(_typed(other, dtype), other_mask, -math.inf),
    )


# ------------------------------------------------------------------------------------- the masks

_ELEMENTWISE = {*_MASKED_SCANS, *_SOFT, "normalize"}


@function(name="_input_mask", places="", aliases=("masked._input_mask",))
def _input_mask(input: Tensor, *args: Any, mask: Tensor | None = None, **kwargs: Any) -> Tensor:
    """The mask of an input in its shape; True everywhere if there is none."""
    found = _mask(input, mask)
    return ops.ones(input.shape, dtype=bool_) if found is None else found


@function(name="_output_mask", places="", aliases=("masked._output_mask",))
def _output_mask(
    op: Any, input: Tensor, *args: Any, dim: Dims = None, keepdim: bool | None = False,
    mask: Tensor | None = None, input_mask: Tensor | None = None, other_mask: Tensor | None = None,
    **kwargs: Any,
) -> Tensor:  # fmt: skip
    """Where the result of an op of this namespace has a value: where some element is not masked."""
    name = op.__name__
    if name == "logaddexp":
        return _input_mask(input, mask=input_mask) | _input_mask(input, mask=other_mask)
    whole = _input_mask(input, mask=mask)
    if name in _ELEMENTWISE:
        return whole
    args = args[1:] if name == "norm" else args
    if args:
        dim = args[0]
    elif name == "median" and dim is None:
        dim = -1
    return _reduce("any", whole, _dims(input, dim), bool(keepdim)) if whole.ndim else whole
