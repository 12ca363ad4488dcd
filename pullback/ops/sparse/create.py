"""Sparse tensors from indices and values, and the checks of what must hold of them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import (
    Size,
    bfloat16,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    layout,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    uint8,
)
from pullback.core.dtypes import dtype as Dtype
from pullback.core.op import SURFACE, function
from pullback.ops.sparse.patterns import BLOCKS, BY_ROWS, COMPRESSED, SHOWN, Pattern, flat_places
from pullback.ops.sparse.tensors import build, implements, is_sparse

# ------------------------------------------------------------------------------- invariants

_state = threading.local()


@function(
    places="", name="check_sparse_tensor_invariants", aliases=("sparse.check_sparse_tensor_invariants",)
)
class check_sparse_tensor_invariants(contextlib.ContextDecorator):
    """Within, as a decorator or from `enable()` on, indices of new sparse tensors are checked."""

    def __init__(self, enable: bool = True) -> None:
        self.state = enable
        self.saved_state: bool | None = None

    @staticmethod
    def is_enabled() -> bool:
        """Whether they are."""
        return getattr(_state, "checks", False)

    @staticmethod
    def enable() -> None:
        """Check them from now on."""
        _state.checks = True

    @staticmethod
    def disable() -> None:
        """Do not."""
        _state.checks = False

    def __enter__(self) -> None:
        if self.saved_state is not None:
            raise RuntimeError("This context manager instance is already activated.")
        self.saved_state = self.is_enabled()
        _state.checks = self.state

    def __exit__(self, *exc: object) -> None:
        _state.checks, self.saved_state = self.saved_state, None


def _checks(asked: bool | None) -> bool:
    return check_sparse_tensor_invariants.is_enabled() if asked is None else asked


def _say(condition: Any, message: str | Callable[[], str]) -> None:
    if not condition:
        raise RuntimeError(message if isinstance(message, str) else message())


def check_coo(indices: Any, values: Any, size: Any, coalesced: bool | None) -> None:
    """Raises if the indices lie outside the size, or are not coalesced as was said."""
    places = indices._array
    if places.shape[1]:
        for dim, (low, high) in enumerate(zip(places.min(1), places.max(1), strict=True)):
            _say(low >= 0, f"found negative index {low} for dim {dim}")
            _say(
                high < size[dim],
                f"size is inconsistent with indices: for dim {dim}, size is {size[dim]} but found index "
                f"{high}",
            )
    if coalesced:
        rises = np.diff(flat_places(places.astype(np.int64), tuple(size[: len(places)]))) > 0
        _say(rises.all(), "cannot set is_coalesced to true if indices correspond to uncoalesced COO tensor")


def check_compressed(kind: layout, index: Any, plain: Any, values: Any, size: Any) -> None:
    """Raises what PyTorch raises for indices that do not describe a compressed tensor."""
    rows = kind in BY_ROWS
    c, p = ("crow", "col") if rows else ("ccol", "row")
    name, other = f"{c}_indices", f"{p}_indices"
    _say(index.ndim >= 1, f"{name} must have dimensionality >= 1 but got {index.ndim}")
    _say(
        index.ndim == plain.ndim,
        f"{name} and {other} dimensionalities must be equal but got {index.ndim} and {plain.ndim}, "
        "respectively",
    )
    batch, blocks = index.ndim - 1, 2 if kind in BLOCKS else 0
    _say(
        values.ndim > batch + blocks,
        f"values must have dimensionality > sum of batch and block dimensionalities (={batch} + {blocks}) "
        f"but got {values.ndim}",
    )
    dense = values.ndim - batch - blocks - 1
    _say(
        len(size) == batch + 2 + dense,
        f"tensor dimensionality must be sum of batch, base, and dense dimensionalities (={batch} + 2 + "
        f"{dense}) but got {len(size)}",
    )
    block = tuple(values.shape[batch + 1 : batch + 3]) if blocks else (1, 1)
    for dim in (0, 1) if blocks else ():
        _say(
            size[batch + dim] % block[dim] == 0,
            f"tensor shape[{batch + dim}] (={size[batch + dim]}) must be divisible with blocksize[{dim}] "
            f"(={block[dim]}) as defined by values shape",
        )
    heights = size[batch] // block[0], size[batch + 1] // block[1]
    count, least = heights if rows else heights[::-1]
    of = ("rows", "columns") if rows else ("columns", "rows")
    short = ("nrows", "ncols") if rows else ("ncols", "nrows")
    _say(
        index.shape[-1] == count + 1,
        f"{name}.shape[-1] must be equal to the number of {of[0]} + 1 (={count + 1}), but got "
        f"{index.shape[-1]}",
    )
    nnz = values.shape[batch]
    _say(
        plain.shape[-1] == nnz,
        f"{other}.shape[-1] must be equal to nnz (={nnz}) as defined by values.shape[{batch}], but got "
        f"{plain.shape[-1]}",
    )
    _say(
        index.dtype is plain.dtype,
        f"{name} and {other} must have the same dtype, bot got {index.dtype.type_name} and "
        f"{plain.dtype.type_name}, respectively",
    )
    _say(
        index.dtype in (int32, int64),
        f"{name} and {other} must be an int32 or int64 type, but got {index.dtype.type_name}",
    )
    a, b = index._array.reshape(-1, count + 1), plain._array.reshape(-1, nnz)
    _say((a[:, 0] == 0).all(), f"`{name}[..., 0] == 0` is not satisfied.")
    _say((a[:, -1] == nnz).all(), f"`{name}[..., -1] == nnz` is not satisfied.")
    _say(((b >= 0) & (b < least)).all(), f"`0 <= {other} < {short[1]}` is not satisfied.")
    steps = np.diff(a)
    ranges = ((steps >= 0) & (steps <= least)).all()
    for begins, row in zip(a, b, strict=True):
        for i in range(count):
            part = row[max(begins[i], 0) : max(begins[i + 1], 0)]
            _say(
                (np.diff(part) > 0).all(),
                f"`{other}[..., {name}[..., i - 1]:{name}[..., i]] for all i = 1, ..., {short[0]} are sorted "
                "and distinct along the last dimension values` is not satisfied.",
            )
    _say(ranges, f"`0 <= {name}[..., 1:] - {name}[..., :-1] <= {short[1]}` is not satisfied.")


# ------------------------------------------------------------------------------ constructors


def _as_values(values: Any, dtype: Any, device: Any) -> Tensor:
    if isinstance(values, Tensor):
        return values if dtype is None else ops.to(values, dtype)
    return ops.tensor(values, dtype=dtype)


def _as_index(index: Any) -> Tensor:
    return index if isinstance(index, Tensor) else ops.tensor(index, dtype=int64)


def _wants(made: Any, requires_grad: bool) -> Any:
    return made.detach().requires_grad_() if requires_grad else made


@function(places="t", aliases=("torch._sparse_coo_tensor_unsafe",))
def sparse_coo_tensor(
    indices: Any,
    values: Any = None,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> Tensor:
    """The tensor with values at indices (dims, nnz), zero elsewhere; equal indices add up.

    Values of more than one dim are rows: the last dims of the tensor are dense. Without a size it is the
    smallest one. The gradient of `values` is that of the result at their places.

    >>> import pullback as torch
    >>> torch.sparse_coo_tensor([[0, 1], [1, 0]], [3.0, 4.0]).to_dense()
    tensor([[0., 3.],
            [4., 0.]])
    """
    if values is None:
        return _empty(sparse_coo, Size(indices), dtype, requires_grad)
    index, v = ops.to(_as_index(indices), int64).detach(), _as_values(values, dtype, device)
    _say(index.ndim == 2, f"indices must be sparse_dim x nnz, but got: {list(index.shape)}")
    sparse_dim, nnz = index.shape
    if v.ndim == 0:
        v = ops.expand(v, (nnz,))
    if size is None:
        places = index._array
        _say(
            nnz or not sparse_dim,
            "Cannot infer size of sparse tensor from empty indices" if not nnz else "",
        )
        for dim, low in enumerate(places.min(1) if nnz else ()):
            _say(low >= 0, f"found negative index {low} for dim {dim}")
        size = (*((places.max(1) + 1).tolist() if nnz else ()), *v.shape[1:])
    size = Size(size)
    _say(
        len(size) == sparse_dim + v.ndim - 1,
        f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(size)}, sparse_dim = "
        f"{sparse_dim}, dense_dim = {v.ndim - 1}",
    )
    _say(
        v.shape[0] == nnz,
        f"indices and values must have same nnz, but got nnz from indices: {nnz}, nnz from values: "
        f"{v.shape[0]}",
    )
    _say(
        tuple(v.shape[1:]) == tuple(size[sparse_dim:]),
        f"values has incorrect size, expected {[nnz, *size[sparse_dim:]]}, got {list(v.shape)}",
    )
    if _checks(check_invariants):
        check_coo(index, v, size, is_coalesced)
    return _wants(build(Pattern(sparse_coo, (index,), size, bool(is_coalesced)), v), requires_grad)


def _empty(kind: layout, size: Any, dtype: Any, requires_grad: bool = False) -> Any:
    """A sparse tensor of a size with nothing stored."""
    v = ops.zeros((0,), dtype=dtype)
    if kind is sparse_coo:
        index: tuple[Tensor, ...] = (ops.zeros((len(size), 0), dtype=int64),)
        return _wants(build(Pattern(kind, index, size, True), v), requires_grad)
    if len(size) < 2:
        raise RuntimeError(
            f"torch.empty: Only batched sparse CSR matrices are supported, but got size {list(size)}"
        )
    if kind in BLOCKS:
        raise RuntimeError(
            "empty_sparse_compressed expected sparse compressed (non-block) tensor layout but got "
            f"{SHOWN[kind]}"
        )
    *batch, rows, columns = size
    count = rows if kind in BY_ROWS else columns
    index = ops.zeros((*batch, count + 1), dtype=int64), ops.zeros((*batch, 0), dtype=int64)
    return _wants(build(Pattern(kind, index, size), ops.zeros((*batch, 0), dtype=dtype)), requires_grad)


def _compressed(
    kind: layout,
    index: Any,
    plain: Any,
    values: Any,
    size: Any,
    dtype: Any,
    device: Any,
    requires_grad: bool,
    check_invariants: bool | None,
) -> Any:
    a, b = _as_index(index).detach(), _as_index(plain).detach()
    v = _as_values(values, dtype, device)
    block = tuple(v.shape[a.ndim : a.ndim + 2]) if kind in BLOCKS else ()
    if size is None:
        count = a.shape[-1] - 1
        least = int(b._array.max()) + 1 if b.numel() else 0
        rows, columns = (count, least) if kind in BY_ROWS else (least, count)
        tall, wide = block or (1, 1)
        dense = v.shape[a.ndim + len(block) :]
        size = (*a.shape[:-1], rows * tall, columns * wide, *dense)
    if _checks(check_invariants):
        check_compressed(kind, a, b, v, size)
    made = build(Pattern(kind, (a, b), size, block=block), v, "SparseCompressedTensorBackward0")
    return _wants(made, requires_grad)


@function(places="t", aliases=("torch._sparse_compressed_tensor_unsafe",))
def sparse_compressed_tensor(
    compressed_indices: Any,
    plain_indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    layout: layout | None = None,
    check_invariants: bool | None = None,
) -> Tensor:
    """The tensor of compressed indices in `layout`: CSR, CSC, BSR, BSC. Options as `sparse_csr_tensor`'s."""
    if layout not in COMPRESSED:
        raise RuntimeError(
            "sparse_compressed_tensor expected sparse compressed tensor layout but got "
            f"{'none' if layout is None else layout}"
        )
    assert layout is not None
    parts = compressed_indices, plain_indices, values, size
    return _compressed(layout, *parts, dtype, device, requires_grad, check_invariants)


@function(places="t", aliases=("torch._sparse_csr_tensor_unsafe",))
def sparse_csr_tensor(
    crow_indices: Any,
    col_indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Tensor:
    """The matrix whose row `i` has `values[crow[i]:crow[i + 1]]` in the columns `col[crow[i]:crow[i + 1]]`.

    Options: dtype, device, requires_grad, check_invariants (RuntimeError for indices that make no sense).
    The gradient of `values` is the result's at their places.

    >>> import pullback as torch
    >>> torch.sparse_csr_tensor([0, 1, 3], [1, 0, 1], [1.0, 2.0, 3.0]).to_dense()
    tensor([[0., 1.],
            [2., 3.]])
    """
    parts = crow_indices, col_indices, values, size
    return _compressed(sparse_csr, *parts, dtype, device, requires_grad, check_invariants)


@function(places="t", aliases=("torch._sparse_csc_tensor_unsafe",))
def sparse_csc_tensor(
    ccol_indices: Any,
    row_indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Tensor:
    """The matrix in compressed columns: `sparse_csr_tensor` with rows and columns exchanged."""
    parts = ccol_indices, row_indices, values, size
    return _compressed(sparse_csc, *parts, dtype, device, requires_grad, check_invariants)


@function(places="t", aliases=("torch._sparse_bsr_tensor_unsafe",))
def sparse_bsr_tensor(
    crow_indices: Any,
    col_indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Tensor:
    """The matrix in compressed rows of blocks: `values` are (nnz, height, width)."""
    parts = crow_indices, col_indices, values, size
    return _compressed(sparse_bsr, *parts, dtype, device, requires_grad, check_invariants)


@function(places="t", aliases=("torch._sparse_bsc_tensor_unsafe",))
def sparse_bsc_tensor(
    ccol_indices: Any,
    row_indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Tensor:
    """The matrix in compressed columns of blocks."""
    parts = ccol_indices, row_indices, values, size
    return _compressed(sparse_bsc, *parts, dtype, device, requires_grad, check_invariants)


class SparseType(type):
    """The class of `torch.sparse.FloatTensor` and its kin: calling one makes a COO tensor of its dtype."""

    dtype: Dtype

    def __call__(cls, *args: Any) -> Any:
        if args and isinstance(args[0], Tensor):
            index, values, *rest = args
            return sparse_coo_tensor(index, ops.to(values, cls.dtype), *rest)
        size = args[0] if len(args) == 1 and not isinstance(args[0], int) else args
        return _empty(sparse_coo, Size(size or (0,)), cls.dtype)

    def __instancecheck__(cls, instance: Any) -> bool:
        return is_sparse(instance) and instance.layout is sparse_coo and instance.dtype is cls.dtype

    def __repr__(cls) -> str:
        return f"<class 'torch.sparse.{cls.__name__}'>"


def _sparse_type(kind: Dtype) -> Any:
    made = SparseType(f"{kind.type_name}Tensor", (), {"dtype": kind})
    SURFACE.setdefault("sparse", {})[made.__name__] = made
    return made


FloatTensor = _sparse_type(float32)
DoubleTensor = _sparse_type(float64)
HalfTensor = _sparse_type(float16)
BFloat16Tensor = _sparse_type(bfloat16)
ByteTensor = _sparse_type(uint8)
CharTensor = _sparse_type(int8)
ShortTensor = _sparse_type(int16)
IntTensor = _sparse_type(int32)
LongTensor = _sparse_type(int64)


# ------------------------------------------------------------------------------------- like


@implements("zeros_like empty_like")
def _zeros_like(input: Any, *, dtype: Any = None, layout: Any = None, **options: Any) -> Any:
    return _empty(
        layout or input.layout, input.shape, dtype or input.dtype, options.get("requires_grad", False)
    )


@implements("full_like")
def _full_like(input: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Any:
    if input.layout is sparse_coo:
        raise NotImplementedError(
            "Could not run 'aten::fill_.Scalar' with arguments from the 'SparseCPU' backend."
        )
    v = ops.full(input.numbers.shape, fill_value, dtype=dtype or input.dtype)
    return _wants(build(input.pattern, v), options.get("requires_grad", False))


@implements("ones_like")
def _ones_like(input: Any, **options: Any) -> Any:
    return _full_like(input, 1, **options)


@implements("new_zeros new_empty")
def _new_zeros(input: Any, *size: Any, dtype: Any = None, layout: Any = None, **options: Any) -> Any:
    shape = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
    return _empty(layout or input.layout, Size(shape), dtype or input.dtype)


def sparse_zeros(kind: layout, size: Any, dtype: Any, requires_grad: bool) -> Any:
    """What `zeros` and `empty` make in a sparse layout."""
    return _empty(kind, Size(size), dtype, requires_grad)
