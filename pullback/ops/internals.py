"""Functions by the names that PyTorch's own layers and helpers call: most begin with an underscore.

Each is a few ops. They are for programs that use them; what users are meant to call is elsewhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from pullback import ops
from pullback._engine import Tensor
from pullback.dtypes import bool_, float16, float32, float64, int8, int16, int32, int64, uint8
from pullback.dtypes import dtype as Dtype
from pullback.op import SURFACE, function
from pullback.ops.dims import wrap_dim

# ------------------------------------------------------------------------------------ softmax


@function(name="_softmax", places="t")
def _softmax(input: Tensor, dim: int, half_to_float: bool) -> Tensor:
    """`softmax` along `dim`."""
    return ops.softmax(input, dim)


@function(name="_log_softmax", places="t")
def _log_softmax(input: Tensor, dim: int, half_to_float: bool) -> Tensor:
    """`log_softmax` along `dim`."""
    return ops.log_softmax(input, dim)


@function(name="_safe_softmax", places="t")
def _safe_softmax(input: Tensor, dim: int, dtype: Dtype | None = None) -> Tensor:
    """`softmax` along `dim`, but zeros where all elements are `-inf`."""
    masked = ops.all(input == -float("inf"), dim, True)
    return ops.where(masked, 0.0, ops.softmax(ops.where(masked, 0.0, input), dim, dtype))


@function(name="_softmax_backward_data", places="t")
def _softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int, input_dtype: Dtype) -> Tensor:
    """The gradient of `softmax`: `y * (g - sum(g * y))`."""
    weighted = grad_output * output
    return (weighted - output * ops.sum(weighted, dim, True)).to(input_dtype)


@function(name="_log_softmax_backward_data", places="t")
def _log_softmax_backward_data(grad_output: Tensor, output: Tensor, dim: int, input_dtype: Dtype) -> Tensor:
    """The gradient of `log_softmax`: `g - exp(y) * sum(g)`."""
    return (grad_output - ops.exp(output) * ops.sum(grad_output, dim, True)).to(input_dtype)


@function(name="_masked_softmax", places="t")
def _masked_softmax(
    input: Tensor, mask: Tensor, dim: int | None = None, mask_type: int | None = None
) -> Tensor:
    """`softmax` along `dim` of the elements whose mask is False; zeros elsewhere."""
    dim = -1 if dim is None else dim
    return _safe_softmax(ops.where(mask, -float("inf"), input), dim)


# ----------------------------------------------------------------------------------- indexing


def _indexed(self: Tensor, indices: Sequence[Tensor | None]) -> tuple[Any, ...]:
    return tuple(slice(None) if index is None else index for index in indices)


@function(name="_unsafe_index", places="t")
def _unsafe_index(input: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    """`input[indices]`; a dim whose index is None is taken whole."""
    return input[_indexed(input, indices)]


@function(name="_unsafe_index_put", places="t")
def _unsafe_index_put(
    input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    """A copy of `input` with `values` at `indices`, or added there."""
    return ops.index_put(input, _indexed(input, indices), values, accumulate)


def _clamped(self: Tensor, indices: Sequence[Tensor | None]) -> tuple[Any, ...]:
    """Indices of which those out of range name the nearest row."""
    bounds = zip(indices, self.shape, strict=False)
    return tuple(slice(None) if i is None else ops.clamp(i, -n, n - 1) for i, n in bounds)


@function(name="_unsafe_masked_index", places="t")
def _unsafe_masked_index(
    input: Tensor, mask: Tensor, indices: Sequence[Tensor | None], fill: float
) -> Tensor:
    """`input[indices]` where the mask is True, else `fill`; there indices may be out of range."""
    return ops.where(mask, input[_clamped(input, indices)], fill).to(input.dtype)


@function(name="_unsafe_masked_index_put_accumulate", places="t")
def _unsafe_masked_index_put_accumulate(
    input: Tensor, mask: Tensor, indices: Sequence[Tensor | None], values: Tensor
) -> Tensor:
    """A copy of `input` with the values whose mask is True added at `indices`."""
    masked = ops.where(mask, values, 0).to(input.dtype)
    return ops.index_put(input, _clamped(input, indices), masked, True)


# ------------------------------------------------------------------------------------ joining


@function(name="_stack", places="t")
def _stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """`stack` along a new dim."""
    return ops.stack(tensors, dim)


def _check_chunks(tensors: Sequence[Tensor], dim: int, chunks: int) -> None:
    """Refuses lists that `_chunk_cat` cannot join."""
    if not tensors:
        raise RuntimeError("_chunk_cat expects a non-empty input tensor list")
    if chunks < 1:
        raise RuntimeError("_chunk_cat expects positive num_chunks")
    if dim < 0 and len({t.ndim for t in tensors}) > 1:
        raise RuntimeError("_chunk_cat expects non-negative dim when input tensors have different ndims")
    for t in tensors:
        if not t.numel():
            raise RuntimeError("_chunk_cat expects non-empty tensor")
        if dim >= t.ndim:
            raise RuntimeError("_chunk_cat expects dim < ndim for all input tensors")
        if t.dtype is not tensors[0].dtype:
            raise RuntimeError("_chunk_cat expects all input tensors with the same dtype")
        if t.shape[:dim] != tensors[0].shape[:dim]:
            raise RuntimeError("_chunk_cat expects same sizes of 0,...,dim-1 dimensions for all tensors")


@function(name="_chunk_cat", places="t")
def _chunk_cat(tensors: Sequence[Tensor], dim: int, num_chunks: int, *, out: Tensor | None = None) -> Tensor:
    """Each tensor in `num_chunks` parts along `dim`, filled with zeros, the parts of all side by side.

    The result has the size `num_chunks` in `dim`, and one dim behind it.
    """
    if tensors:
        if dim < 0 and len({t.ndim for t in tensors}) > 1:
            raise RuntimeError("_chunk_cat expects non-negative dim when input tensors have different ndims")
        dim = wrap_dim(dim, tensors[0].ndim)
    _check_chunks(tensors, dim, num_chunks)
    parts = []
    for t in tensors:
        each = -(-t.shape[dim] // num_chunks)
        widths = (0, 0) * (t.ndim - dim - 1) + (0, each * num_chunks - t.shape[dim])
        full = ops.constant_pad_nd(t, widths, 0)
        parts.append(ops.reshape(full, (*t.shape[:dim], num_chunks, -1)))
    return SURFACE["torch"]["cat"](parts, dim + 1, out=out)


# -------------------------------------------------------------------------------- small things


@function(name="_is_all_true")
def _is_all_true(input: Tensor) -> Tensor:
    """Whether all elements of a bool tensor are True."""
    _bools(input)
    return ops.all(input)


@function(name="_is_any_true")
def _is_any_true(input: Tensor) -> Tensor:
    """Whether some element of a bool tensor is True."""
    _bools(input)
    return ops.any(input)


def _bools(t: Tensor) -> None:
    if t.dtype is not bool_:
        raise RuntimeError(f"expected a bool tensor but got {t.dtype.type_name}")


@function(name="_shape_as_tensor", places="t")
def _shape_as_tensor(input: Tensor) -> Tensor:
    """The sizes of a tensor as one of int64."""
    return SURFACE["torch"]["tensor"](list(input.shape), dtype=int64)


@function(name="_dim_arange", places="t")
def _dim_arange(like: Tensor, dim: int) -> Tensor:
    """The indices of a dim, in order."""
    return SURFACE["torch"]["arange"](like.shape[dim])


@function(name="_unique", places="t")
def _unique(input: Tensor, sorted: bool = True, return_inverse: bool = False) -> tuple[Tensor, Tensor]:
    """The different elements, and for each element which it is (empty if not asked for)."""
    return _unique2(input, sorted, return_inverse)[:2]


@function(name="_unique2", places="t")
def _unique2(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """The different elements, which each element is, and how often they are there."""
    values, inverse, counts = SURFACE["torch"]["unique"](input, sorted, True, True)
    nothing = ops.empty((0,), dtype=int64)
    return values, inverse if return_inverse else nothing, counts if return_counts else nothing


@function(name="_conj_physical")
def _conj_physical(input: Tensor) -> Tensor:
    """The complex conjugate, computed."""
    return ops.conj_physical(input)


@function(name="_neg_view")
def _neg_view(input: Tensor) -> Tensor:
    """The negative, computed."""
    return -input


@function(name="_lazy_clone")
def _lazy_clone(input: Tensor) -> Tensor:
    """A copy."""
    return ops.clone(input)


@function(name="_add_relu", places="t")
def _add_relu(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """`relu(input + alpha * other)`."""
    return ops.relu(SURFACE["torch"]["add"](input, other, alpha=alpha))


@function(name="_addmm_activation")
def _addmm_activation(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1, use_gelu: bool = False
) -> Tensor:
    """`relu` of `addmm`, or `gelu` of it."""
    found = SURFACE["torch"]["addmm"](input, mat1, mat2, beta=beta, alpha=alpha)
    return SURFACE["nn.functional"]["gelu"](found, approximate="tanh") if use_gelu else ops.relu(found)


@function(name="_euclidean_dist", places="t")
def _euclidean_dist(x1: Tensor, x2: Tensor) -> Tensor:
    """The distances of the rows of two matrices."""
    return SURFACE["torch"]["cdist"](x1, x2)


_CASTS = {
    "Byte": uint8, "Char": int8, "Short": int16, "Int": int32, "Long": int64, "Half": float16,
    "Float": float32, "Double": float64,
}  # fmt: skip


def _publish_cast(short: str, wanted: Dtype) -> None:
    def cast(input: Tensor, non_blocking: bool = False) -> Tensor:
        return input.to(wanted)

    cast.__doc__ = f"The tensor in {wanted}."
    function(name=f"_cast_{short}", places="t")(cast)


# --------------------------------------------------------------------------------------- norms


@function(places="t")
def norm_except_dim(v: Tensor, pow: float = 2, dim: int = 0) -> Tensor:
    """The norm of order `pow` over all dims but one, which are kept; over all if `dim` is -1.

    >>> import pullback as torch
    >>> torch.norm_except_dim(torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5.],
            [1.]])
    """
    if dim == -1:
        return ops.norm(v, pow)
    others = tuple(d for d in range(v.ndim) if d != dim)
    return ops.norm(v, pow, others, True)


@function(name="_weight_norm", places="t")
def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """`v` scaled so that its norms over all dims but one are `g`."""
    return v * (g / norm_except_dim(v, 2, dim))


def _left_for_scripts(name: str, instead: str) -> None:
    warnings.warn(
        f"at::{name} is deprecated and it is just left for JIT compatibility. It will be removed in a "
        f"future PyTorch release. Please use `{instead}` instead",
        stacklevel=3,
    )


@function(places="t")
def frobenius_norm(input: Tensor, dim: Any, keepdim: bool = False, *, out: Any = None) -> Tensor:
    """The norm of order 2 over `dim`; `linalg.vector_norm` is its name now."""
    _left_for_scripts("frobenius_norm", "linalg.vector_norm(A, 2., dim, keepdim)")
    return ops.vector_norm(input, 2, dim, keepdim, out=out)


@function(places="t")
def nuclear_norm(input: Tensor, dim: Any = (-2, -1), keepdim: bool = False, *, out: Any = None) -> Tensor:
    """The sum of the singular values; `linalg.matrix_norm` is its name now."""
    _left_for_scripts("nuclear_norm", "linalg.matrix_norm(A, 'nuc', dim, keepdim)")
    return SURFACE["linalg"]["matrix_norm"](input, "nuc", dim, keepdim, out=out)


# ----------------------------------------------------------------- questions and old operators


@function(places="t")
def get_device(input: Tensor) -> int:
    """The number of the accelerator that holds a tensor: always -1, none does."""
    return -1


@function(places="t")
def is_inference(input: Tensor) -> bool:
    """Whether the tensor was made in inference mode."""
    return input.is_inference()


@function(places="t")
def is_distributed(input: Tensor) -> bool:
    """Whether the tensor is part of a larger one on several machines: never."""
    return False


@function(places="t")
def is_vulkan_available() -> bool:
    """Whether there is a Vulkan device: never."""
    return False


@function(places="t")
def typename(obj: Any, /) -> str:
    """The name of an object's type; of a tensor, its type by dtype, as "torch.FloatTensor"."""
    if isinstance(obj, Tensor):
        return obj.type()
    module = getattr(type(obj), "__module__", "") or ""
    shown = type(obj).__qualname__
    return shown if module in ("builtins", "__builtin__", "") else f"{module}.{shown}"


@function(places="m")
def const_data_ptr(self: Tensor) -> int:
    """The address of the first element, for reading only."""
    return self.data_ptr()


@function(places="", aliases=("Tensor.__rdiv__",))
def rdiv(self: Tensor, other: Any) -> Tensor:
    """`other / self`."""
    return ops.reciprocal(self) * other


@function(places="", aliases=("Tensor.__div__",))
def true_quotient(self: Tensor, other: Any) -> Tensor:
    """`self / other`."""
    return self / other


# ------------------------------------------------------------------------------ names with `_`


_TWINS = (
    "abs acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh ceil clamp "
    "clamp_max clamp_min clip conj_physical cos cosh deg2rad erf erfc exp exp2 expm1 fix floor frac gcd "
    "i0 lcm ldexp log log10 log1p log2 logit nan_to_num neg negative rad2deg reciprocal round rsqrt "
    "sigmoid sin sinc sinh sqrt square tan tanh trunc xlogy addmv as_strided resize_as"
)


def _publish_twins() -> None:
    """`torch.sin_` and its kin: the in-place methods as functions."""
    for name in _TWINS.split():
        method = SURFACE["Tensor"].get(f"{name}_")
        if method is not None:
            SURFACE["torch"].setdefault(f"{name}_", method)


for _short, _name in _CASTS.items():
    _publish_cast(_short, _name)
_publish_twins()
