"""Collectives whose results are new tensors with gradients: the gradient of each goes by the one that turns
it round.

All ranks compute one function of all inputs; the gradient of an input is that of the sum of what the ranks
call `backward` on. So all of them must call it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback import ops
from pullback.autograd import Function
from pullback.core._engine import Tensor
from pullback.distributed import collectives
from pullback.distributed.groups import ProcessGroup, get_group_rank, members
from pullback.distributed.reduce_ops import ReduceOp
from pullback.face.absent import getter

__all__ = [
    "all_gather",
    "all_reduce",
    "all_to_all",
    "all_to_all_single",
    "broadcast",
    "gather",
    "reduce",
    "reduce_scatter",
    "scatter",
]


def _group(group: Any) -> ProcessGroup:
    found = members(group)
    if found is None:
        raise ValueError("this rank is not in the group")
    return found


def _linear(op: Any) -> None:
    if op not in (ReduceOp.SUM, ReduceOp.AVG):
        raise RuntimeError(f"the derivative of a reduction by {op} is not implemented: use SUM or AVG")


class _Broadcast(Function):
    @staticmethod
    def forward(ctx: Any, root: int, group: ProcessGroup, tensor: Tensor) -> Tensor:
        ctx.root, ctx.group = root, group
        result = tensor.clone()
        collectives.broadcast(result, None, group, group_src=root)
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:
        total = _Reduce.apply(ctx.root, ReduceOp.SUM, ctx.group, g)
        return None, None, total if ctx.group.rank() == ctx.root else ops.zeros_like(total)


class _Reduce(Function):
    @staticmethod
    def forward(ctx: Any, root: int, op: Any, group: ProcessGroup, tensor: Tensor) -> Tensor:
        ctx.root, ctx.op, ctx.group = root, op, group
        result = tensor.clone()
        collectives.reduce(result, None, op, group, group_dst=root)
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:
        found = _Broadcast.apply(ctx.root, ctx.group, g)
        return None, None, None, found / ctx.group.size() if ctx.op is ReduceOp.AVG else found


class _AllReduce(Function):
    @staticmethod
    def forward(ctx: Any, op: Any, group: ProcessGroup, tensor: Tensor) -> Tensor:
        ctx.op, ctx.group = op, group
        result = tensor.clone()
        collectives.all_reduce(result, op, group)
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:
        return None, None, _AllReduce.apply(ctx.op, ctx.group, g)


class _AllToAllSingle(Function):
    @staticmethod
    def forward(ctx: Any, group: ProcessGroup, output: Tensor, got: Any, sent: Any, tensor: Tensor) -> Tensor:
        ctx.group, ctx.got, ctx.sent, ctx.shape = group, got, sent, tensor.shape
        result = ops.empty_like(output)
        collectives.all_to_all_single(result, tensor, got, sent, group)
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:
        like = ops.empty(ctx.shape, dtype=g.dtype)
        back = _AllToAllSingle.apply(ctx.group, like, ctx.sent, ctx.got, g.contiguous())
        return None, None, None, None, back


class _AllToAll(Function):
    @staticmethod
    def forward(ctx: Any, group: ProcessGroup, shapes: Sequence[Any], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.group, ctx.shapes = group, [x.shape for x in tensors]
        results = [ops.empty(shape, dtype=tensors[0].dtype) for shape in shapes]
        collectives.all_to_all(results, list(tensors), group)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gs: Tensor) -> tuple[Any, ...]:
        return None, None, *_AllToAll.apply(ctx.group, ctx.shapes, *gs)


class _Gather(Function):
    @staticmethod
    def forward(ctx: Any, root: int, group: ProcessGroup, tensor: Tensor) -> tuple[Tensor, ...]:
        ctx.root, ctx.group = root, group
        results = [ops.zeros_like(tensor) for _ in range(group.size())]
        here = results if group.rank() == root else None
        collectives.gather(tensor.contiguous(), here, None, group, group_dst=root)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gs: Tensor) -> tuple[Any, ...]:
        return None, None, _Scatter.apply(ctx.root, ctx.group, *gs)


class _Scatter(Function):
    @staticmethod
    def forward(ctx: Any, root: int, group: ProcessGroup, *tensors: Tensor) -> Tensor:
        ctx.root, ctx.group = root, group
        result = ops.zeros_like(tensors[0])
        parts = [x.contiguous() for x in tensors] if group.rank() == root else None
        collectives.scatter(result, parts, None, group, group_src=root)
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:
        return None, None, *_Gather.apply(ctx.root, ctx.group, g)


class _ReduceScatter(Function):
    @staticmethod
    def forward(ctx: Any, op: Any, group: ProcessGroup, *tensors: Tensor) -> Tensor:
        ctx.op, ctx.group = op, group
        result = ops.empty_like(tensors[0])
        collectives.reduce_scatter(result, [x.contiguous() for x in tensors], op, group)
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:
        gs = _AllGather.apply(ctx.group, g)
        return None, None, *(x / ctx.group.size() if ctx.op is ReduceOp.AVG else x for x in gs)


class _AllGather(Function):
    @staticmethod
    def forward(ctx: Any, group: ProcessGroup, tensor: Tensor) -> tuple[Tensor, ...]:
        ctx.group = group
        results = [ops.empty_like(tensor) for _ in range(group.size())]
        collectives.all_gather(results, tensor.contiguous(), group)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gs: Tensor) -> tuple[Any, ...]:
        return None, _ReduceScatter.apply(ReduceOp.SUM, ctx.group, *gs)


def broadcast(tensor: Tensor, src: int, group: Any = None) -> Tensor:
    """The root's tensor, on every rank. Its gradient is the sum of all ranks'."""
    found = _group(group)
    result: Tensor = _Broadcast.apply(get_group_rank(found, src), found, tensor)
    return result


def gather(tensor: Tensor, dst: int = 0, group: Any = None) -> tuple[Tensor, ...]:
    """The tensors of all ranks on the root, zeros on the others. The gradients go back to their ranks."""
    found = _group(group)
    results: tuple[Tensor, ...] = _Gather.apply(get_group_rank(found, dst), found, tensor)
    return results


def scatter(tensors: Sequence[Tensor], src: int = 0, group: Any = None) -> Tensor:
    """This rank's of the root's tensors. The gradients are gathered on the root."""
    found = _group(group)
    result: Tensor = _Scatter.apply(get_group_rank(found, src), found, *tensors)
    return result


def reduce(tensor: Tensor, dst: int, op: Any = ReduceOp.SUM, group: Any = None) -> Tensor:
    """The sum of all ranks' tensors on the root. Its gradient goes to all."""
    _linear(op)
    found = _group(group)
    result: Tensor = _Reduce.apply(get_group_rank(found, dst), op, found, tensor)
    return result


def reduce_scatter(
    output: Tensor, input_list: Sequence[Tensor], op: Any = ReduceOp.SUM, group: Any = None
) -> Tensor:
    """The sum of the tensors at this rank's place in all lists. Its gradient is gathered by all."""
    _linear(op)
    result: Tensor = _ReduceScatter.apply(op, _group(group), *input_list)
    return result


def all_gather(tensor: Tensor, group: Any = None) -> tuple[Tensor, ...]:
    """The tensors of all ranks. The gradient is the sum of what each rank has for this one's."""
    results: tuple[Tensor, ...] = _AllGather.apply(_group(group), tensor)
    return results


def all_to_all(
    output_tensor_list: Sequence[Tensor], input_tensor_list: Sequence[Tensor], group: Any = None
) -> Any:
    """The i-th input goes to rank i; the gradients come back the same way."""
    return _AllToAll.apply(_group(group), [x.shape for x in output_tensor_list], *input_tensor_list)


def all_to_all_single(
    output: Tensor,
    input: Tensor,
    output_split_sizes: Sequence[int] | None = None,
    input_split_sizes: Sequence[int] | None = None,
    group: Any = None,
) -> Tensor:
    """Parts of `input` along dim 0 go to the ranks; the gradients come back the same way."""
    result: Tensor = _AllToAllSingle.apply(
        _group(group), output, output_split_sizes, input_split_sizes, input
    )
    return result


def all_reduce(tensor: Tensor, op: Any = ReduceOp.SUM, group: Any = None) -> Tensor:
    """The sum or average of all ranks' tensors. The gradient is the same of all ranks' gradients.

    >>> import pullback as torch
    >>> import pullback.distributed.nn
    >>> torch.distributed.init_process_group("gloo", rank=0, world_size=1)
    >>> x = torch.ones(2, requires_grad=True)
    >>> torch.distributed.nn.functional.all_reduce(x * x).sum().backward()
    >>> x.grad
    tensor([2., 2.])
    >>> torch.distributed.destroy_process_group()
    """
    _linear(op)
    result: Tensor = _AllReduce.apply(op, _group(group), tensor)
    return result


__getattr__ = getter(__name__)
