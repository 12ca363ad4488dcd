"""What indexing along a dimension refuses, in PyTorch's words.

`check_range` looks at the numbers; the others are asked by what prepares an op, and look at Specs.
"""

from __future__ import annotations

from pullback.core._plans import Spec
from pullback.core.dtypes import int32, int64
from pullback.core.types import Array
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.flat_indices import outside


def length(a: Array | Spec, dim: int) -> int:
    """The size of a dimension; an array of 0 dims counts as having one of size 1."""
    return a.shape[dim] if a.ndim else 1


def range_error(
    a: Array, dim: int, index: Array, named: int | None = None, error: type[Exception] = RuntimeError
) -> Exception:
    """What is wrong with the first index out of the range of a dimension, which the message calls `named`."""
    n = length(a, dim)
    bad = index[(index < 0) | (index >= n)]
    where = dim if named is None else named
    return error(f"index {bad.ravel()[0]} is out of bounds for dimension {where} with size {n}")


def check_range(
    a: Array, dim: int, index: Array, named: int | None = None, error: type[Exception] = RuntimeError
) -> None:
    """Raises for an index out of the range of a dimension."""
    if outside(index, length(a, dim)):
        raise range_error(a, dim, index, named, error)


def check_same_dtype(name: str, a: Spec, src: Spec) -> None:
    """Refuses a source of another dtype."""
    if a.dtype is not src.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")


def check_vector(name: str, index: Spec) -> None:
    """Refuses an index of several dims."""
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector")


def check_line(name: str, self: Spec, dim: int, index: Spec, src: Spec | None = None) -> int:
    """Checks shapes and dtypes of a gather or scatter; the dimension, counted from the front."""
    dim = wrap_dim(dim, self.ndim)
    if not index.size:
        return dim
    if index.dtype not in (int64, int32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    who = "input" if name == "gather" else "self"
    if max(index.ndim, 1) != max(self.ndim, 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {who} tensor")
    fits = all(d == dim or n <= m for d, (n, m) in enumerate(zip(index.shape, self.shape, strict=False)))
    if src is not None:
        if max(index.ndim, 1) != max(src.ndim, 1):
            raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
        if not fits or any(n > m for n, m in zip(index.shape, src.shape, strict=False)):
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(self.shape)} "
                f"apart from dimension {dim} and to be no larger size than src {list(src.shape)}"
            )
    elif not fits:
        raise RuntimeError(
            f"Size does not match at dimension {_misfit(self, dim, index)} expected index "
            f"{list(index.shape)} to be no larger than self {list(self.shape)} apart from "
            f"dimension {dim}"
        )
    return dim


def _misfit(self: Spec, dim: int, index: Spec) -> int:
    pairs = enumerate(zip(index.shape, self.shape, strict=False))
    return next(d for d, (n, m) in pairs if d != dim and n > m)


def check_source(name: str, self: Spec, dim: int, index: Spec, source: Spec) -> None:
    count = source.shape[dim] if source.ndim else 1
    if index.size != count:
        raise RuntimeError(
            f"{name}_(): Number of indices ({index.size}) should be equal to source.size(dim): "
            f"({count}), for dim: {dim}"
        )
    if self.shape[:dim] + self.shape[dim + 1 :] != source.shape[:dim] + source.shape[dim + 1 :]:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(self.shape)} source.shape = {list(source.shape)}"
        )


def check_index_select(self: Spec, dim: int, index: Spec) -> int:
    """The dimension, counted from the front."""
    dim = wrap_dim(dim, self.ndim)
    check_vector("index_select", index)
    if index.dtype not in (int64, int32):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    if not self.ndim and index.size != 1:
        raise RuntimeError(
            f"index_select(): Index to scalar can have only 1 value, got {index.size} value(s)"
        )
    return dim


def check_index_add(self: Spec, dim: int, index: Spec, source: Spec) -> int:
    """The dimension, counted from the front."""
    dim = wrap_dim(dim, self.ndim)
    if index.dtype not in (int64, int32):
        raise RuntimeError(
            f"index_add_(): Expected dtype int32/int64 for index but got: {index.dtype.type_name}"
        )
    if self.dtype is not source.dtype:
        raise RuntimeError(
            f"index_add_(): self ({self.dtype.type_name}) and source ({source.dtype.type_name}) must have "
            "the same scalar type"
        )
    check_source("index_add", self, dim, index, source)
    check_vector("index_add_", index)
    return dim


def check_index_copy(self: Spec, dim: int, index: Spec, source: Spec) -> int:
    """The dimension, counted from the front."""
    dim = wrap_dim(dim, self.ndim)
    if index.dtype is not int64:
        raise RuntimeError(
            f"index_copy_(): Expected a long tensor for index, but got {index.dtype.type_name}"
        )
    if self.dtype is not source.dtype:
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{self.dtype.type_name} and (source) {source.dtype.type_name}"
        )
    count = length(source, dim)
    if index.size != count:
        raise IndexError(
            f"index_copy_(): Number of indices ({index.size}) should be equal to source.size(dim) ({count})"
        )
    check_source("index_copy", self, dim, index, source)
    return dim


def check_index_fill(self: Spec, dim: int, index: Spec, value: Spec | None) -> int:
    """The dimension, counted from the front."""
    if value is not None and value.ndim:
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    dim = wrap_dim(dim, self.ndim)
    if index.dtype is not int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    check_vector("index_fill_", index)
    return dim


def check_index_reduce(self: Spec, dim: int, index: Spec, source: Spec) -> int:
    """The dimension, counted from the front."""
    dim = wrap_dim(dim, self.ndim)
    if self.dtype is not source.dtype:
        raise RuntimeError(
            f"index_reduce_(): self ({self.dtype.type_name}) and source ({source.dtype.type_name}) must have "
            "the same scalar type"
        )
    count = length(source, dim)
    if index.size != count:
        raise RuntimeError(
            f"index_reduce_(): Number of indices ({index.size}) should be equal to "
            f"source.size(dim): ({count}), for dim: {dim}"
        )
    return dim


def check_take(name: str, index: Spec) -> None:
    """Refuses an index into a flattened tensor that is not int64."""
    if index.dtype is not int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {index.dtype.type_name}")


def check_put(self: Spec, index: Spec, source: Spec) -> None:
    """Refuses a source of another dtype or number of elements."""
    if self.dtype is not source.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{self.dtype.type_name} and source.dtype = {source.dtype.type_name}"
        )
    if index.size != source.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.size}, index.numel() = {index.size}"
        )
    check_take("put_", index)
