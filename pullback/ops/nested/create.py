"""`torch.nested`: nested tensors from lists, from padded tensors and from values and offsets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import int64, jagged, layout, strided
from pullback.core.op import function
from pullback.core.types import Number
from pullback.ops.nested.lists import NestedList, as_list
from pullback.ops.nested.tensors import Ragged, build, implements, is_nested, nested, packed, padded


def _as_tensors(tensor_list: Any, dtype: Any, copy: bool) -> list[Tensor]:
    found = []
    for x in tensor_list:
        x = x if isinstance(x, Tensor) else ops.tensor(x)
        if copy:
            x = x.detach().clone()
        found.append(x if dtype is None else ops.to(x, dtype))
    return found


def joined(tensors: Sequence[Tensor]) -> Any:
    """The jagged tensor of tensors that differ in one size at most, with their gradients."""
    if not tensors:
        raise RuntimeError("Cannot construct a nested tensor from an empty tensor list")
    first = tensors[0]
    if any(x.ndim != first.ndim for x in tensors):
        raise RuntimeError("When constructing a nested tensor, all tensors in list must have the same dim")
    different = [d for d in range(first.ndim) if any(x.shape[d] != first.shape[d] for x in tensors)]
    if len(different) > 1:
        raise RuntimeError(
            "When constructing a nested tensor, all non-ragged dimensions must match for each tensor in the "
            f"list, but got: {[tuple(x.shape) for x in tensors]}"
        )
    if first.ndim == 0:
        raise RuntimeError("Cannot construct a nested tensor from a list of zero-dim tensors")
    dim = different[0] if different else 0
    offsets = np.cumsum([0, *(x.shape[dim] for x in tensors)], dtype=np.int64)
    return build(Ragged(from_array(offsets)), dim + 1, ops.cat(list(tensors), dim))


def _chosen(kind: layout | None) -> bool:
    """Whether a layout is jagged; RuntimeError for one that is neither."""
    if kind not in (None, strided, jagged):
        raise RuntimeError(f"Specified layout is unsupported for nested tensors: {kind}")
    return kind is jagged


@function(places="", aliases=("nested.nested_tensor",))
def nested_tensor(
    tensor_list: Any,
    *,
    dtype: Any = None,
    layout: layout | None = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new nested tensor, a leaf, of copies of tensors or lists; of layout strided unless jagged is asked.

    RuntimeError for jagged tensors that differ in more than one size, or in the number of dims.

    >>> import pullback as torch
    >>> parts = [torch.ones(2, 3), torch.ones(4, 3)]
    >>> torch.nested.nested_tensor(parts, layout=torch.jagged).offsets()
    tensor([0, 2, 6])
    """
    tensors = _as_tensors(tensor_list, dtype, True)
    if not _chosen(layout):
        return as_list(tensors, requires_grad)
    return joined(tensors).requires_grad_(requires_grad)


@function(places="", aliases=("nested.as_nested_tensor",))
def as_nested_tensor(ts: Any, dtype: Any = None, device: Any = None, layout: layout | None = None) -> Tensor:
    """A nested tensor of tensors, or of the rows of one, with their gradients.

    >>> import pullback as torch
    >>> torch.nested.as_nested_tensor(torch.ones(2, 4, 3), layout=torch.jagged).offsets()
    tensor([0, 4, 8])
    """
    if is_nested(ts) or isinstance(ts, NestedList):
        if _chosen(layout) != is_nested(ts):
            raise RuntimeError(
                "as_nested_tensor(): Converting between nested tensor layouts is not supported"
            )
        return ts if dtype is None else ops.to(ts, dtype)
    if isinstance(ts, Tensor) and _chosen(layout):
        if ts.ndim < 2:
            raise RuntimeError("as_nested_tensor(): Expected tensor argument to have dim() > 1")
        x = ts if dtype is None else ops.to(ts, dtype)
        offsets = from_array(np.arange(x.shape[0] + 1, dtype=np.int64) * x.shape[1])
        return build(Ragged(offsets), 1, ops.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:])))
    tensors = _as_tensors(ops.unbind(ts) if isinstance(ts, Tensor) else ts, dtype, False)
    return joined(tensors) if _chosen(layout) else as_list(tensors)


implements("as_nested_tensor")(as_nested_tensor.__wrapped__)


@function(places="", aliases=("nested.nested_tensor_from_jagged",))
def nested_tensor_from_jagged(
    values: Tensor,
    offsets: Tensor | None = None,
    lengths: Tensor | None = None,
    jagged_dim: int | None = None,
    min_seqlen: int | None = None,
    max_seqlen: int | None = None,
) -> Tensor:
    """The nested tensor of values that lie one after the other, on their memory and with their gradient.

    Tensor `i` is `values[offsets[i]:offsets[i + 1]]`, with `lengths` so many from `offsets[i]` on; with
    lengths alone each begins where the last one ends. Those made with the same `offsets` can be added.

    >>> import pullback as torch
    >>> x = torch.nested.nested_tensor_from_jagged(torch.arange(3.0), torch.tensor([0, 2, 3]))
    >>> [t.tolist() for t in x.unbind()]
    [[0.0, 1.0], [2.0]]
    """
    if offsets is None:
        if lengths is None:
            raise RuntimeError("nested_tensor_from_jagged(): At least one of offsets or lengths is required.")
        begins = np.concatenate([[0], np.cumsum(lengths._array)]).astype(np.int64)
        offsets, lengths = from_array(begins), None
    ragged = offsets.__dict__.get("_ragged") if lengths is None else None
    if ragged is None:
        ragged = Ragged(offsets, lengths)
        if lengths is None:
            offsets.__dict__["_ragged"] = ragged  # those with the same offsets differ in the same way
    return build(ragged, jagged_dim or 1, values)


@function(places="", name="nested_to_padded_tensor", aliases=("nested.to_padded_tensor",))
def nested_to_padded_tensor(input: Tensor, padding: float, output_size: Any = None) -> Tensor:
    """The tensors of a batch as one dense tensor, with `padding` at their ends.

    >>> import pullback as torch
    >>> x = torch.nested.nested_tensor([[1.0, 2.0], [3.0]], layout=torch.jagged)
    >>> torch.nested.to_padded_tensor(x, 0.0)
    tensor([[1., 2.],
            [3., 0.]])
    """
    return ops.to_padded_tensor(input, padding, output_size)


@function(places="m")
def to_padded_tensor(input: Tensor, padding: Number, output_size: Any = None) -> Tensor:
    """`torch.nested.to_padded_tensor` as a method; RuntimeError for a tensor that is not nested."""
    raise RuntimeError("to_padded_tensor expects a nested tensor")


@implements("to_padded_tensor nested_to_padded_tensor")
def _padded(input: Any, padding: Number, output_size: Any = None) -> Tensor:
    found = padded(input, padding)
    if output_size is None:
        return found
    room: list[int] = []
    for n, m in zip(reversed(found.shape), reversed(tuple(output_size)), strict=True):
        if m < n:
            raise RuntimeError(
                "Value in output_size is less than NestedTensor padded size. Truncation is not supported."
            )
        room += [0, m - n]
    return ops.constant_pad_nd(found, tuple(room), padding)


@function(places="", name="nested_narrow", aliases=("nested.narrow",))
def nested_narrow(
    tensor: Tensor, dim: int, start: int | Tensor, length: int | Tensor, layout: layout = strided
) -> Tensor:
    """A nested tensor of parts of a tensor's rows: `length[i]` from `start[i]` on along dim 1, on its memory.

    >>> import pullback as torch
    >>> x = torch.arange(8.0).reshape(2, 4)
    >>> part = torch.nested.narrow(x, 1, 0, torch.tensor([1, 3]), layout=torch.jagged)
    >>> [t.tolist() for t in part.unbind()]
    [[0.0], [4.0, 5.0, 6.0]]
    """
    begin, count = (
        (x if isinstance(x, Tensor) else ops.full((tensor.shape[0],), x, dtype=int64)).long()
        for x in (start, length)
    )
    if layout is strided:
        rows = zip(begin.tolist(), count.tolist(), strict=True)
        return as_list([ops.narrow(tensor[i], 0, b, n) for i, (b, n) in enumerate(rows)])
    if not _chosen(layout):
        raise RuntimeError("Specified layout is unsupported for nested narrow: only strided and jagged")
    if dim != 1:
        raise RuntimeError("jagged layout only supports dim=1")
    offsets = np.arange(tensor.shape[0] + 1, dtype=np.int64) * tensor.shape[1]
    offsets[:-1] += begin._array
    flat = ops.reshape(tensor, (-1, *tensor.shape[2:]))
    return build(Ragged(from_array(offsets), count), 1, flat)


@function(places="", name="nested_masked_select", aliases=("nested.masked_select",))
def nested_masked_select(tensor: Tensor, mask: Tensor) -> Tensor:
    """The elements of each row where the mask is True, as a nested tensor.

    >>> import pullback as torch
    >>> x, mask = torch.ones(2, 3), torch.tensor([[True, False, True], [True, True, True]])
    >>> torch.nested.masked_select(x, mask).offsets()
    tensor([0, 2, 5])
    """
    if tensor.ndim < 2:
        raise RuntimeError("Expected at least 2-D tensor")
    wide = ops.expand(mask, tuple(tensor.shape)) if mask.ndim == tensor.ndim else mask
    counts = wide._array.reshape(wide.shape[0], -1).sum(1)
    if wide.ndim > 2:
        raise RuntimeError("masked_select on nested tensors takes masks of two dims")
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return build(Ragged(from_array(offsets)), 1, tensor[wide])


def packed_like(dense: Tensor, x: Tensor) -> Any:
    """The elements of a padded tensor at the places of a nested one."""
    ragged, dim = nested(x).ragged, nested(x).ragged_dim
    return build(ragged, dim, packed(dense, ragged, dim))
