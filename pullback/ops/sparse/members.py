"""What a sparse tensor is asked for: its indices, its values, its dims; and how it is resized."""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.core.dtypes import (
    int64,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
)
from pullback.core.op import function
from pullback.ops.sparse.convert import refuse_layout
from pullback.ops.sparse.patterns import Pattern
from pullback.ops.sparse.tensors import (
    alias,
    implements,
    is_sparse,
    make,
    not_run,
    recorded,
    sparse,
    take_over,
    values_of,
)


def _method(name: str, method: Any) -> None:
    """Enters a method for dense tensors and sparse ones alike."""
    method.__name__ = name
    function(places="m")(method)
    implements(name)(method)


def _coo(x: Any, name: str) -> Pattern:
    if not is_sparse(x) or x.layout is not sparse_coo:
        raise refuse_layout(name, "sparse coordinate tensor", x)
    return x.pattern


def indices(self: Tensor) -> Tensor:
    """The indices (sparse_dim, nnz) of a coalesced COO tensor; RuntimeError for any other.

    >>> import pullback as torch
    >>> torch.eye(2).to_sparse().indices()
    tensor([[0, 1],
            [0, 1]])
    """
    if not _coo(self, "indices").coalesced:
        raise RuntimeError("Cannot get indices on an uncoalesced tensor, please call .coalesce() first")
    return sparse(self).pattern.index[0].detach()


def values(self: Tensor) -> Tensor:
    """The values that are stored, on the same memory, with their gradient; COO must be coalesced.

    >>> import pullback as torch
    >>> torch.eye(2).to_sparse().values()
    tensor([1., 1.])
    """
    if not is_sparse(self):
        raise refuse_layout("values", "sparse tensor", self)
    if not sparse(self).pattern.coalesced:
        raise RuntimeError("Cannot get values on an uncoalesced tensor, please call .coalesce() first")
    v = values_of(self)
    return v if v is not sparse(self).numbers else v.detach()


def _indices(self: Tensor) -> Tensor:
    """The indices of a COO tensor as they are."""
    if not is_sparse(self) or self.layout is not sparse_coo:
        raise not_run("_indices", "SparseCsrCPU" if is_sparse(self) else "CPU")
    return sparse(self).pattern.index[0]


def _values(self: Tensor) -> Tensor:
    """The values of a COO tensor as they are, without history."""
    if not is_sparse(self) or self.layout is not sparse_coo:
        raise not_run("_values", "SparseCsrCPU" if is_sparse(self) else "CPU")
    return sparse(self).numbers.detach()


def _nnz(self: Tensor) -> int:
    """The number of values, or blocks, that are stored."""
    if not is_sparse(self):
        raise not_run("_nnz", "CPU")
    return sparse(self).pattern.nnz


def is_coalesced(self: Tensor) -> bool:
    """Whether indices are known to be in order, and no two alike.

    >>> import pullback as torch
    >>> torch.sparse_coo_tensor([[0, 0]], [1.0, 2.0]).is_coalesced()
    False
    """
    return _coo(self, "is_coalesced").coalesced


def _coalesced_(self: Tensor, coalesced: bool) -> Tensor:
    """Says that the indices are coalesced, or that they are not."""
    old = _coo(self, "_coalesced_")
    sparse(self).pattern = Pattern(sparse_coo, old.index, old.size, coalesced)
    return self


def sparse_dim(self: Tensor) -> int:
    """The number of dims that have indices: none of a dense tensor."""
    return sparse(self).pattern.sparse_dim if is_sparse(self) else 0


def dense_dim(self: Tensor) -> int:
    """The number of dims that are stored whole: all of a dense tensor.

    >>> import pullback as torch
    >>> torch.ones(2, 3).to_sparse(1).dense_dim()
    1
    """
    return sparse(self).pattern.dense_dim if is_sparse(self) else self.ndim


def _dimI(self: Tensor) -> int:
    """`sparse_dim()` of a COO tensor."""
    return _coo(self, "_dimI").sparse_dim


def _dimV(self: Tensor) -> int:
    """`dense_dim()` of a COO tensor."""
    return _coo(self, "_dimV").dense_dim


for _name in [
    "indices",
    "values",
    "_indices",
    "_values",
    "_nnz",
    "is_coalesced",
    "_coalesced_",
    "sparse_dim",
    "dense_dim",
]:
    _method(_name, globals()[_name])
_method("_dimI", _dimI)
_method("_dimV", _dimV)


def _index_of(name: str, kinds: tuple[Any, ...], place: int, what: str) -> None:
    def read(self: Tensor) -> Tensor:
        if not is_sparse(self) or self.layout not in kinds:
            raise refuse_layout(name, f"sparse {what} compressed tensor", self)
        return sparse(self).pattern.index[place].detach()

    read.__doc__ = f"The {name} of a tensor in compressed {what}s; RuntimeError for another layout."
    _method(name, read)


_index_of("crow_indices", (sparse_csr, sparse_bsr), 0, "row")
_index_of("col_indices", (sparse_csr, sparse_bsr), 1, "row")
_index_of("ccol_indices", (sparse_csc, sparse_bsc), 0, "column")
_index_of("row_indices", (sparse_csc, sparse_bsc), 1, "column")


# ----------------------------------------------------------------------------------- resizing


def sparse_resize_(self: Tensor, size: Any, sparse_dim: int, dense_dim: int) -> Tensor:
    """Gives a COO tensor another size; stored elements stay, so no dim may shrink.

    >>> import pullback as torch
    >>> torch.eye(2).to_sparse().sparse_resize_((3, 3), 2, 0).shape
    torch.Size([3, 3])
    """
    old = _coo(self, "sparse_resize_")
    if len(size) != sparse_dim + dense_dim:
        raise RuntimeError(
            f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(size)}, sparse_dim = "
            f"{sparse_dim}, dense_dim = {dense_dim}"
        )
    if old.nnz:
        if (sparse_dim, dense_dim) != (old.sparse_dim, old.dense_dim):
            what = "sparse" if sparse_dim != old.sparse_dim else "dense"
            raise RuntimeError(
                f"changing the number of {what} dimensions (from "
                f"{getattr(old, what + '_dim')} to {sparse_dim if what == 'sparse' else dense_dim}) on a "
                "non-empty sparse tensor is not supported."
            )
        for d, (n, m) in enumerate(zip(size, old.size, strict=True)):
            if n < m:
                what = "sparse" if d < sparse_dim else "dense"
                raise RuntimeError(
                    f"shrinking the size of {what} dimensions (from {list(old.size)} to {list(size)}) on a "
                    "non-empty sparse tensor is not supported."
                )
        v = sparse(self).numbers
        if tuple(v.shape[1:]) != tuple(size[sparse_dim:]):
            room = ops.zeros((old.nnz, *size[sparse_dim:]), dtype=v.dtype)
            room[tuple(slice(n) for n in v.shape)] = v
            v = room
        index = old.index
    else:
        index = (ops.zeros((sparse_dim, 0), dtype=int64),)
        v = ops.zeros((0, *size[sparse_dim:]), dtype=self.dtype)
    return _resized(self, Pattern(sparse_coo, index, size, old.coalesced), v)


def sparse_resize_and_clear_(self: Tensor, size: Any, sparse_dim: int, dense_dim: int) -> Tensor:
    """Gives a COO tensor another size, with nothing stored."""
    _coo(self, "sparse_resize_and_clear_")
    index = (ops.zeros((sparse_dim, 0), dtype=int64),)
    v = ops.zeros((0, *size[sparse_dim:]), dtype=self.dtype)
    return _resized(self, Pattern(sparse_coo, index, size, True), v)


def _resized(x: Any, pattern: Pattern, values: Tensor) -> Any:
    return take_over(x, make(pattern, values))


_method("sparse_resize_", sparse_resize_)
_method("sparse_resize_and_clear_", sparse_resize_and_clear_)


def resize_as_sparse_(self: Tensor, the_template: Tensor) -> Tensor:
    """`sparse_resize_` to the size and the dims of another COO tensor."""
    template = _coo(the_template, "resize_as_sparse_")
    return ops.sparse_resize_(self, template.size, template.sparse_dim, template.dense_dim)


function(places="tm")(resize_as_sparse_)
implements("resize_as_sparse_")(resize_as_sparse_)


@implements("copy_")
def _copy_(self: Any, src: Any, non_blocking: bool = False) -> Any:
    if not is_sparse(self) or not is_sparse(src):
        raise RuntimeError(
            "copy_() between dense and sparse Tensors is not implemented! Found self type = "
            f"{self.type()} and src type = {src.type()}"
        )
    _engine.check_inplace(self)
    return take_over(self, ops.clone(src))


@implements("zero_")
def _zero_(self: Any) -> Any:
    _engine.check_inplace(self)
    if self.layout is not sparse_coo:
        return take_over(self, alias_of_zeros(self))
    return take_over(self, recorded("ZeroBackward0", ops.zeros_like(self), (self, lambda g: g * 0)))


def alias_of_zeros(x: Any) -> Any:
    """The same elements stored, all of them zero."""
    made = alias(x)
    made.numbers = ops.zeros_like(x.numbers)
    return made


@implements("fill_")
def _fill_(self: Any, value: Any) -> Any:
    _engine.check_inplace(self)
    return take_over(self, _fill(self, value))


@implements("fill")
def _fill(input: Any, value: Any) -> Any:
    if input.layout is sparse_coo:
        raise not_run("fill_.Scalar", "SparseCPU")

    made = make(input.pattern, ops.full(input.numbers.shape, value, dtype=input.dtype))
    return recorded("FillBackward0", made, (input, lambda g: g * 0))
