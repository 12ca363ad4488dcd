"""Functions by the names that PyTorch's own layers and helpers call: most begin with an underscore.

Each is a few ops. They are for programs that use them; what users are meant to call is elsewhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import dtype as Dtype
from pullback.core.op import SURFACE, function
from pullback.core.settings import warn_each_time
from pullback.core.types import Dims
from pullback.ops.shared.dims import wrap_dim

# ------------------------------------------------------------------------------------ softmax


@function(name="_safe_softmax", places="t")
def _safe_softmax(input: Tensor, dim: int, dtype: Dtype | None = None) -> Tensor:
    """`softmax` along `dim`, but zeros where all elements are `-inf`."""
    masked = ops.all(input == -float("inf"), dim, True)
    kept = ops.softmax(ops.masked_fill(input, masked, 0), dim, dtype)
    return ops.masked_fill(kept, masked, 0)


# ----------------------------------------------------------------------------------- indexing


def _indexed(self: Tensor, indices: Sequence[Tensor | None]) -> tuple[Any, ...]:
    return tuple(slice(None) if index is None else index for index in indices)


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
    chunks = []
    for t in tensors:
        each = -(-t.shape[dim] // num_chunks)
        widths = (0, 0) * (t.ndim - dim - 1) + (0, each * num_chunks - t.shape[dim])
        full = ops.constant_pad_nd(t, widths, 0) if widths[-1] else t
        chunks.append(ops.reshape(full, (*t.shape[:dim], num_chunks, -1)))
    return SURFACE["torch"]["cat"](chunks, dim + 1, out=out)


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
    others = tuple([d for d in range(v.ndim) if d != dim])
    return ops.norm(v, pow, others, True)


def _left_for_scripts(name: str, instead: str) -> Callable[[Any], Any]:
    """Publishes a function that warns of itself. A decorator."""
    message = (
        f"at::{name} is deprecated and it is just left for JIT compatibility. It will be removed in a "
        f"future PyTorch release. Please use `{instead}` instead"
    )

    def declare(norm: Any) -> Any:
        @functools.wraps(norm)
        def warning(*args: Any, **kwargs: Any) -> Tensor:
            warn_each_time(message)
            return norm(*args, **kwargs)

        return function(places="t", quick=("warns", message.encode(), norm))(warning)

    return declare


@_left_for_scripts("frobenius_norm", "linalg.vector_norm(A, 2., dim, keepdim)")
def frobenius_norm(input: Tensor, dim: Dims, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The norm of order 2 over `dim`; `linalg.vector_norm` is its name now."""
    if out is None:  # a call without keywords is quicker
        return ops.vector_norm(input, 2, dim, keepdim)
    return ops.vector_norm(input, 2, dim, keepdim, out=out)


@_left_for_scripts("nuclear_norm", "linalg.matrix_norm(A, 'nuc', dim, keepdim)")
def nuclear_norm(
    input: Tensor, dim: Dims = (-2, -1), keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """The sum of the singular values; `linalg.matrix_norm` is its name now."""
    return SURFACE["linalg"]["matrix_norm"](input, "nuc", dim, keepdim, out=out)


# ----------------------------------------------------------------- questions and old operators


@function(places="t", quick=("says", -1))
def get_device(input: Tensor) -> int:
    """The number of the accelerator that holds a tensor: always -1, none does."""
    return -1


@function(places="t", quick=("inference",))
def is_inference(input: Tensor) -> bool:
    """Whether the tensor was made in inference mode."""
    return input.is_inference()


@function(places="t")
def is_distributed(input: Tensor) -> bool:
    """Whether the tensor is part of a larger one on several machines: never."""
    return False


@function(places="t")
def typename(obj: Any, /) -> str:
    """The name of an object's type; of a tensor, its type by dtype, as "torch.FloatTensor"."""
    if isinstance(obj, Tensor):
        return obj.type()
    module = getattr(type(obj), "__module__", "") or ""
    name = type(obj).__qualname__
    return name if module in ("builtins", "__builtin__", "") else f"{module}.{name}"
