"""Collectives on tensors: what each of them sends and receives, and what PyTorch refuses of its arguments.

A collective checks its arguments, makes its buffers (buffers.py), has the group's transport begin, and makes
a `Work` of the request, which it waits for unless `async_op` is set. A rank outside the group does nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.modes import no_grad
from pullback.distributed.buffers import (
    Received,
    Reduced,
    check_dtypes,
    check_list,
    check_tensor,
    joined,
    moved,
    parted,
)
from pullback.distributed.groups import ProcessGroup, get_group_rank, members
from pullback.distributed.reduce_ops import ReduceOp, averaged, mpi_name, supports_complex
from pullback.distributed.work import Work

__all__ = [
    "all_gather",
    "all_gather_coalesced",
    "all_gather_into_tensor",
    "all_gather_single",
    "all_reduce",
    "all_reduce_coalesced",
    "all_to_all",
    "all_to_all_single",
    "barrier",
    "broadcast",
    "gather",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_single",
    "reduce_scatter_tensor",
    "scatter",
]


def outside(what: str) -> Any:
    """Warns a rank that is not in the group that it asks."""
    warnings.warn(f"Running {what} on global rank that does not belong to the given group.", stacklevel=3)


def begun(
    group: ProcessGroup,
    what: str,
    requests: Any,
    async_op: bool,
    finish: Callable[[], Any] | None = None,
    results: Sequence[Tensor] = (),
) -> Work | None:
    """The Work of what a transport has begun; waited for, and None, unless it is to go on."""
    group.calls += 1
    work = Work(requests if isinstance(requests, list) else [requests], group, what, finish, results)
    if async_op:
        return work
    work.wait()
    return None


def root_of(group: ProcessGroup, rank: int | None, group_rank: int | None, name: str) -> int:
    """A root's place in the group, given by its number in the world or in the group."""
    if rank is not None and group_rank is not None:
        raise ValueError(f"Can't specify both group_{name} and {name}")
    if group_rank is not None:
        return group_rank
    if rank is None:
        raise ValueError(f"Must specify {name} or group_{name}")
    return get_group_rank(group, rank)


def _op_name(op: Any, x: Tensor, what: str) -> str:
    if x.is_complex() and not supports_complex(op):
        raise ValueError(f"{what} does not support {op} on complex tensors")
    return mpi_name(op, x.dtype)


def all_reduce(
    tensor: Tensor, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """Every rank's `tensor` becomes what the tensors of all ranks reduce to, in place.

    float16 and bfloat16 are reduced in float32 and rounded once; bool adds as "or". Averages of whole numbers
    are cut towards zero.

    >>> import pullback as torch
    >>> torch.distributed.init_process_group("gloo", rank=0, world_size=1)
    >>> x = torch.tensor([1.0, 2.0])
    >>> torch.distributed.all_reduce(x); x
    tensor([1., 2.])
    >>> torch.distributed.destroy_process_group()
    """
    check_tensor(tensor, "tensor")
    found = members(group)
    if found is None:
        return outside("all_reduce")
    if tensor.is_sparse:
        return _all_reduce_sparse(tensor, op, found, async_op)
    name = _op_name(op, tensor, "all_reduce")
    numbers = Reduced(tensor)

    def finish() -> None:
        averaged(op, numbers.array, found.size())
        numbers.finish()

    return begun(
        found, "all_reduce", found.transport.all_reduce(numbers.array, name), async_op, finish, [tensor]
    )


def _all_reduce_sparse(tensor: Tensor, op: Any, group: ProcessGroup, async_op: bool) -> Work | None:
    """The sum of sparse tensors: the elements of all ranks, coalesced."""
    from pullback.distributed.objects import gathered
    from pullback.ops import sparse_coo_tensor

    if op not in (ReduceOp.SUM, ReduceOp.AVG):
        raise RuntimeError("unsupported reduction operation for sparse tensors")
    here = tensor.coalesce()
    all_of_them = gathered((here.indices().numpy(), here.values().detach().numpy()), group)
    indices = ops.from_numpy(np.concatenate([i for i, _ in all_of_them], 1))
    values = ops.from_numpy(np.concatenate([v for _, v in all_of_them]))
    total = sparse_coo_tensor(indices, values, tuple(tensor.shape)).coalesce()
    with no_grad():
        tensor.copy_(total / group.size() if op is ReduceOp.AVG else total)
    return begun(group, "all_reduce", group.transport.barrier(), async_op, None, [tensor])


def all_reduce_coalesced(
    tensors: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """`all_reduce` of several tensors of one dtype, in one message."""
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    check_list(tensors, "tensors")
    check_dtypes(*tensors)
    found = members(group)
    if found is None:
        return outside("all_reduce_coalesced")
    name = _op_name(op, tensors[0], "all_reduce_coalesced")
    parts = [Reduced(x) for x in tensors]
    whole = np.concatenate([part.array for part in parts])

    def finish() -> None:
        averaged(op, whole, found.size())
        start = 0
        for part in parts:
            part.array[...] = whole[start : start + part.array.size]
            start += part.array.size
            part.finish()

    request = found.transport.all_reduce(whole, name)
    return begun(found, "all_reduce_coalesced", request, async_op, finish, tensors)


def reduce(
    tensor: Tensor,
    dst: int | None = None,
    op: Any = ReduceOp.SUM,
    group: Any = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """The root's `tensor` becomes what the tensors of all ranks reduce to; the others' stay."""
    check_tensor(tensor, "tensor")
    found = members(group)
    if found is None:
        return outside("reduce")
    root = root_of(found, dst, group_dst, "dst")
    name = _op_name(op, tensor, "reduce")
    numbers = Reduced(tensor)

    def finish() -> None:
        if found.rank() == root:
            averaged(op, numbers.array, found.size())
            numbers.finish()

    request = found.transport.reduce(numbers.array, name, root)
    return begun(found, "reduce", request, async_op, finish, [tensor])


def broadcast(
    tensor: Tensor,
    src: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Every rank's `tensor` becomes that of one rank, in place."""
    check_tensor(tensor, "tensor")
    found = members(group)
    if found is None:
        return outside("broadcast")
    root = root_of(found, src, group_src, "src")
    memory = Received(tensor, read=True)
    request = found.transport.broadcast(memory.bytes, root)
    finish = None if found.rank() == root else memory.finish
    return begun(found, "broadcast", request, async_op, finish, [tensor])


def all_gather(tensor_list: Any, tensor: Tensor, group: Any = None, async_op: bool = False) -> Work | None:
    """The tensors of the list become those of all ranks, which are of one shape."""
    check_list(tensor_list, "tensor_list")
    check_tensor(tensor, "tensor")
    check_dtypes(tensor, *tensor_list)
    found = members(group)
    if found is None:
        return outside("all_gather")
    _check_parts(tensor_list, tensor, found.size(), "allgather", "output")
    whole = np.empty(found.size() * tensor.nbytes, np.uint8)
    request = found.transport.all_gather(whole, moved(tensor))
    return begun(
        found, "all_gather", request, async_op, lambda: parted(whole, tensor_list), list(tensor_list)
    )


def _check_parts(parts: Sequence[Tensor], like: Tensor, count: int, what: str, which: str) -> None:
    if len(parts) != count:
        raise RuntimeError(
            f"ProcessGroupGloo::{what}: invalid {which} tensor list at index 0 (expected length {count}, "
            f"got {len(parts)})"
        )
    for i, x in enumerate(parts):
        if x.shape != like.shape:
            raise RuntimeError(
                f"ProcessGroupGloo::{what}: invalid tensor size at index {i} "
                f"(expected ({', '.join(map(str, like.shape))}), got ({', '.join(map(str, x.shape))}))"
            )


def all_gather_single(
    output_tensor: Tensor, input_tensor: Tensor, group: Any = None, async_op: bool = False
) -> Work | None:
    """`output_tensor` becomes the tensors of all ranks, one after the other, in its own memory."""
    check_tensor(output_tensor, "output_tensor")
    check_tensor(input_tensor, "input_tensor")
    check_dtypes(input_tensor, output_tensor)
    found = members(group)
    if found is None:
        return outside("all_gather_into_tensor")
    if output_tensor.numel() != input_tensor.numel() * found.size():
        raise ValueError("output tensor size must be equal to world_size times input tensor size")
    memory = Received(output_tensor)
    request = found.transport.all_gather(memory.bytes, moved(input_tensor))
    return begun(found, "all_gather_into_tensor", request, async_op, memory.finish, [output_tensor])


all_gather_into_tensor = all_gather_single


def all_gather_coalesced(
    output_tensor_lists: Any, input_tensor_list: Any, group: Any = None, async_op: bool = False
) -> Work | None:
    """`all_gather` of several tensors: the i-th of each output list is rank's i-th."""
    check_list(input_tensor_list, "tensor_list")
    found = members(group)
    if found is None:
        return outside("all_gather_coalesced")
    here = joined(input_tensor_list)
    whole = np.empty(found.size() * here.size, np.uint8)
    results = [x for row in output_tensor_lists for x in row]
    request = found.transport.all_gather(whole, here)
    return begun(found, "all_gather_coalesced", request, async_op, lambda: parted(whole, results), results)


def gather(
    tensor: Tensor,
    gather_list: Any = None,
    dst: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """The tensors of the root's list become those of all ranks."""
    check_tensor(tensor, "tensor")
    found = members(group)
    if found is None:
        return outside("gather")
    root = root_of(found, 0 if dst is None and group_dst is None else dst, group_dst, "dst")
    if found.rank() != root:
        if gather_list:
            raise ValueError("Argument ``gather_list`` must NOT be specified on non-destination ranks.")
        request = found.transport.gather(None, moved(tensor), root)
        return begun(found, "gather", request, async_op, None, [tensor])
    if not gather_list:
        raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
    check_list(gather_list, "gather_list")
    check_dtypes(tensor, *gather_list)
    _check_parts(gather_list, tensor, found.size(), "gather", "output")
    whole = np.empty(found.size() * tensor.nbytes, np.uint8)
    request = found.transport.gather(whole, moved(tensor), root)
    return begun(found, "gather", request, async_op, lambda: parted(whole, gather_list), list(gather_list))


def scatter(
    tensor: Tensor,
    scatter_list: Any = None,
    src: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """`tensor` becomes this rank's of the root's list."""
    check_tensor(tensor, "tensor")
    found = members(group)
    if found is None:
        return outside("scatter")
    root = root_of(found, 0 if src is None and group_src is None else src, group_src, "src")
    parts = None
    if found.rank() == root:
        if not scatter_list:
            raise ValueError("Argument ``scatter_list`` must be specified on source rank.")
        check_list(scatter_list, "scatter_list")
        check_dtypes(tensor, *scatter_list)
        _check_parts(scatter_list, tensor, found.size(), "scatter", "input")
        parts = joined(scatter_list)
    elif scatter_list:
        raise ValueError("Argument ``scatter_list`` must NOT be specified on non-source ranks.")
    memory = Received(tensor)
    request = found.transport.scatter(memory.bytes, parts, root)
    return begun(found, "scatter", request, async_op, memory.finish, [tensor])


def reduce_scatter(
    output: Tensor, input_list: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """`output` becomes what the tensors at this rank's place in all ranks' lists reduce to."""
    check_tensor(output, "output")
    check_list(input_list, "input_list")
    check_dtypes(output, *input_list)
    found = members(group)
    if found is None:
        return outside("reduce_scatter")
    if len(input_list) != found.size():
        raise RuntimeError("invalid input tensor list size, must be world size")
    return _reduce_scatter(output, [Reduced(x).array for x in input_list], op, found, async_op)


def reduce_scatter_single(
    output: Tensor, input: Tensor, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """`output` becomes this rank's part of what all ranks' inputs reduce to."""
    check_tensor(output, "output")
    check_tensor(input, "input")
    check_dtypes(output, input)
    found = members(group)
    if found is None:
        return outside("reduce_scatter_tensor")
    if input.numel() != output.numel() * found.size():
        raise ValueError("input tensor must be the same size as output size times world size")
    return _reduce_scatter(output, [Reduced(input).array], op, found, async_op)


reduce_scatter_tensor = reduce_scatter_single


def _reduce_scatter(
    output: Tensor, parts: list[Any], op: Any, group: ProcessGroup, async_op: bool
) -> Work | None:
    name = _op_name(op, output, "reduce_scatter")
    result = Reduced(output)
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)

    def finish() -> None:
        averaged(op, result.array, group.size())
        result.finish()

    request = group.transport.reduce_scatter(result.array, whole, name)
    return begun(group, "reduce_scatter", request, async_op, finish, [output])


def all_to_all(
    output_tensor_list: Any, input_tensor_list: Any, group: Any = None, async_op: bool = False
) -> Work | None:
    """The i-th input goes to rank i, and the i-th output comes from it; their sizes may differ."""
    check_list(output_tensor_list, "output_tensor_list")
    check_list(input_tensor_list, "input_tensor_list")
    check_dtypes(*output_tensor_list, *input_tensor_list)
    found = members(group)
    if found is None:
        return outside("all_to_all")
    if len(input_tensor_list) != found.size() or len(output_tensor_list) != found.size():
        raise RuntimeError("Number of tensors in the input and output lists must be the world size")
    counts, sent = ([x.nbytes for x in xs] for xs in (output_tensor_list, input_tensor_list))
    whole = np.empty(sum(counts), np.uint8)
    request = found.transport.all_to_all(whole, counts, joined(input_tensor_list), sent)
    results = list(output_tensor_list)
    return begun(found, "all_to_all", request, async_op, lambda: parted(whole, results), results)


def all_to_all_single(
    output: Tensor,
    input: Tensor,
    output_split_sizes: Sequence[int] | None = None,
    input_split_sizes: Sequence[int] | None = None,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Parts of `input` along dim 0 go to the ranks, parts of `output` come from them, equal unless told."""
    check_tensor(output, "output")
    check_tensor(input, "input")
    check_dtypes(output, input)
    found = members(group)
    if found is None:
        return outside("all_to_all_single")
    counts = _split(output, output_split_sizes, found.size())
    sent = _split(input, input_split_sizes, found.size())
    memory = Received(output)
    request = found.transport.all_to_all(memory.bytes, counts, moved(input), sent)
    return begun(found, "all_to_all_single", request, async_op, memory.finish, [output])


def _split(x: Tensor, sizes: Sequence[int] | None, count: int) -> list[int]:
    """How many bytes each part of a tensor along dim 0 has."""
    rows = x.shape[0] if x.dim() else 1
    if not sizes:
        if rows % count:
            raise RuntimeError("Tensor's dim 0 does not divide equally across group size")
        sizes = [rows // count] * count
    if len(sizes) != count:
        raise RuntimeError("Number of tensor splits not equal to group size")
    if sum(sizes) != rows:
        raise RuntimeError("Split sizes doesn't match total dim 0 size")
    row = x.nbytes // rows if rows else 0
    return [size * row for size in sizes]


def barrier(
    group: Any = None, async_op: bool = False, device_ids: Any = None, timeout: Any = None
) -> Work | None:
    """Waits until all ranks of the group have come."""
    found = members(group)
    if found is None:
        return outside("barrier")
    work = begun(found, "barrier", found.transport.barrier(), True)
    assert work is not None
    if async_op:
        return work
    work.wait(timeout)
    return None
