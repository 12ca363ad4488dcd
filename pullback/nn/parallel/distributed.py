"""Modules in several processes that average their gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor, grad_enabled
from pullback.core.modes import no_grad
from pullback.distributed.algorithms.join import Join, Joinable, JoinHook
from pullback.distributed.collectives import all_reduce, broadcast
from pullback.distributed.groups import ProcessGroup, get_global_rank, members, world
from pullback.distributed.objects import gathered
from pullback.distributed.reduce_ops import ReduceOp
from pullback.distributed.reducer import FIRST, MB, GradBucket, Reducer
from pullback.face.absent import getter
from pullback.nn.modules.module import Module
from pullback.utils._pytree import tree_leaves

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module, Joinable):
    """A module whose gradients are averaged over the ranks of a group in each backward pass.

    Each rank has a copy with the same parameters, which begin as rank 0's, and its own part of the data.
    Gradients are reduced in buckets of `bucket_cap_mb` while the pass still runs. Buffers become rank 0's
    before each forward pass unless `broadcast_buffers` is False. With `find_unused_parameters` a pass may
    leave parameters out; `static_graph` finds out in the first pass which ones. `gradient_as_bucket_view`
    spares a copy of all gradients. Names in the state begin with "module.".

    >>> import pullback as torch
    >>> torch.distributed.init_process_group("gloo", rank=0, world_size=1)
    >>> model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
    >>> model(torch.ones(3, 2)).sum().backward()
    >>> model.module.bias.grad
    tensor([3.])
    >>> torch.distributed.destroy_process_group()
    """

    def __init__(
        self,
        module: Module,
        device_ids: Any = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool | None = None,
        init_sync: bool = True,
        process_group: ProcessGroup | None = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
        delay_all_reduce_named_params: Any = None,
        param_to_hook_all_reduce: Any = None,
        mixed_precision: Any = None,
        device_mesh: Any = None,
        skip_all_reduce_unused_params: bool = False,
        bucket_cap_mb_list: list[int] | None = None,
        batched_grad_copy: bool = False,
        forward_sync_buffers: bool | None = None,
    ) -> None:
        super().__init__()
        Joinable.__init__(self)
        found = members(
            process_group if process_group is not None else getattr(device_mesh, "get_group", lambda: None)()
        )
        if found is None:
            raise ValueError("this rank is not in the group of the module")
        ignored = set(getattr(module, "_ddp_params_and_buffers_to_ignore", ()))
        named = [(n, p) for n, p in module.named_parameters() if n not in ignored]
        if not any(p.requires_grad for _, p in named):
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameters that "
                "require a gradient."
            )
        if device_ids:
            raise ValueError(
                "DistributedDataParallel device_ids and output_device arguments only work with single-device/"
                "multiple-device GPU modules or CPU modules, but got device_ids "
                f"{device_ids}, output_device {output_device}, and module parameters {{device(type='cpu')}}."
            )
        self.module = module
        self.process_group = found
        self.device_ids = None
        self.output_device = None
        self.dim = dim
        self.device = next(p.device for _, p in named)
        self.device_type = "cpu"
        chosen = forward_sync_buffers if broadcast_buffers is None else broadcast_buffers
        self.broadcast_buffers = True if chosen is None else chosen
        self.find_unused_parameters = find_unused_parameters
        self.gradient_as_bucket_view = gradient_as_bucket_view
        self.static_graph = static_graph
        self.require_backward_grad_sync = True
        self.require_forward_param_sync = True
        self.parameters_to_ignore = ignored
        self.bucket_bytes_cap = int((25 if bucket_cap_mb is None else bucket_cap_mb) * MB)
        self._buffers_here = [b for n, b in module.named_buffers() if n not in ignored]
        self._divide_by_initial_world_size = True
        params = [p for _, p in named if p.requires_grad]
        sparse = {
            id(p)
            for m in module.modules()
            if getattr(m, "sparse", False)
            for p in m.parameters(recurse=False)
        }
        if init_sync:
            _check_alike(params, found)
            self._broadcast([p.detach() for _, p in named] + self._buffers_here, 0)
        first = [FIRST] if bucket_cap_mb is None else []
        limits = [mb * MB for mb in bucket_cap_mb_list or []] or [*first, self.bucket_bytes_cap]
        self.reducer = Reducer(
            params, sparse, found, limits, gradient_as_bucket_view, find_unused_parameters, static_graph
        )

    # -------------------------------------------------------------------------------- a pass

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module gives."""
        work = Join.notify_join_context(self)
        if work is not None:
            self._set_divisor()
        if grad_enabled() and self.require_backward_grad_sync and self._joined_with_others:
            self._tell_joined(True)
        elif self._joined_with_others:
            self._tell_joined(False)
        if self.broadcast_buffers and self.require_forward_param_sync:
            self._sync_buffers()
        output = self.module(*inputs, **kwargs)
        if grad_enabled() and self.require_backward_grad_sync:
            self.require_forward_param_sync = True
            self.reducer.prepare(
                [x for x in tree_leaves(output) if isinstance(x, Tensor) and x.requires_grad]
            )
        else:
            self.require_forward_param_sync = grad_enabled() is False and self.require_forward_param_sync
            self.reducer.rest()
        return output

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Within, gradients are added up without being reduced; the first pass afterwards reduces sums."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    def _sync_buffers(self) -> None:
        if self._buffers_here:
            self._broadcast(self._buffers_here, self._authority())

    def _authority(self) -> int:
        """The rank whose buffers hold: rank 0, among uneven inputs the last one that still has some."""
        if not self._joined_with_others:
            return 0
        return self._last_of(True)

    def _last_of(self, here: bool) -> int:
        last = ops.tensor([self.process_group.rank() if here else -1])
        all_reduce(last, ReduceOp.MAX, self.process_group)
        found = int(last.item())
        if found < 0:
            raise RuntimeError("BUG! Expected rank_cond to be true for at least one process.")
        return found

    def _broadcast(self, tensors: list[Tensor], root: int) -> None:
        """Tensors become those of one rank, all of a dtype in one message."""
        root = get_global_rank(self.process_group, root)
        kinds: dict[Any, list[Tensor]] = {}
        for x in tensors:
            kinds.setdefault(x.dtype, []).append(x)
        with no_grad():
            for alike in kinds.values():
                flat = ops.cat([x.detach().reshape(-1) for x in alike])
                broadcast(flat, root, self.process_group)
                if world().rank != root:
                    for x, part in zip(alike, flat.split([x.numel() for x in alike]), strict=True):
                        x.copy_(part.view(x.shape))

    # ------------------------------------------------------------------------ what is reduced how

    def register_comm_hook(self, state: object, hook: Callable[..., Any]) -> None:
        """Has `hook(state, bucket)` reduce each bucket: it returns a Future of the flat gradients."""
        if not callable(hook):
            raise TypeError("Communication hook must be callable.")
        if self.reducer.hook is not None:
            raise RuntimeError("register_comm_hook or register_builtin_comm_hook can only be called once.")

        def call(bucket: GradBucket) -> Any:
            return hook(state, bucket)

        self.reducer.hook = call

    def _set_static_graph(self) -> None:
        """The graph is the same in each pass."""
        if self.static_graph:
            return
        self.static_graph = self.reducer.static = True

    def _get_ddp_logging_data(self) -> dict[str, Any]:
        """What is known of the module's buckets."""
        return {
            "world_size": self.process_group.size(),
            "rank": self.process_group.rank(),
            "bucket_cap_bytes": self.bucket_bytes_cap,
            "bucket_sizes": ", ".join(str(b.memory.nbytes) for b in self.reducer.buckets),
            "num_parameter_tensors": len(self.reducer.params),
            "find_unused_parameters": self.find_unused_parameters,
            "gradient_as_bucket_view": self.gradient_as_bucket_view,
            "backend_name": self.process_group.name(),
        }

    @staticmethod
    def _set_params_and_buffers_to_ignore_for_model(
        module: Module, params_and_buffers_to_ignore: Any
    ) -> None:
        """Leaves parameters and buffers of a module, by their names, to each rank."""
        module._ddp_params_and_buffers_to_ignore = params_and_buffers_to_ignore

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        del state["process_group"], state["reducer"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise RuntimeError("a DistributedDataParallel is of its group: pickle its `module`")

    # --------------------------------------------------------------------------- uneven inputs

    @contextlib.contextmanager
    def join(
        self,
        divide_by_initial_world_size: bool = True,
        enable: bool = True,
        throw_on_early_termination: bool = False,
    ) -> Iterator[None]:
        """Within, a rank that has no more inputs goes along with the others' passes until all have none.

        Gradients are divided by the number of ranks, or with `divide_by_initial_world_size=False` by the
        number of those that still have inputs.
        """
        with Join(
            [self],
            enable,
            throw_on_early_termination,
            divide_by_initial_world_size=divide_by_initial_world_size,
        ):
            yield

    @property
    def _joined_with_others(self) -> bool:
        return bool(self._join_config.enable)

    def _set_divisor(self) -> None:
        if not self._divide_by_initial_world_size:
            count = ops.ones(1)
            all_reduce(count, ReduceOp.SUM, self.process_group)
            self.reducer.divisor = int(count.item())

    def _tell_joined(self, here: bool) -> bool:
        """Whether the pass of the ranks that still have inputs will be reduced."""
        flag = ops.tensor([float(here)])
        all_reduce(flag, ReduceOp.MAX, self.process_group)
        return bool(flag.item())

    def join_hook(self, **kwargs: Any) -> JoinHook:
        """What a rank without inputs does while others have some."""
        return _Shadow(self, bool(kwargs.get("divide_by_initial_world_size", True)))

    @property
    def join_device(self) -> Any:
        """The device of the module."""
        return self.device

    @property
    def join_process_group(self) -> ProcessGroup:
        """The group of the module."""
        return self.process_group


class _Shadow(JoinHook):
    """Goes along with the passes of other ranks: each of their collectives, with zeros."""

    def __init__(self, ddp: DistributedDataParallel, divide_by_initial_world_size: bool) -> None:
        self.ddp = ddp
        ddp._divide_by_initial_world_size = divide_by_initial_world_size

    def main_hook(self) -> None:
        """One forward and backward pass."""
        ddp, group = self.ddp, self.ddp.process_group
        if not ddp._divide_by_initial_world_size:
            all_reduce(ops.zeros(1), ReduceOp.SUM, group)
        reduced = ddp._tell_joined(False)
        if ddp.broadcast_buffers and ddp.require_forward_param_sync and ddp._buffers_here:
            ddp._broadcast(ddp._buffers_here, ddp._last_of(False))
        if not reduced:
            return
        reducer = ddp.reducer
        for number, bucket in enumerate(reducer.buckets):
            bucket.buffer = bucket.memory.zero_()
            reducer.begin(number)
        if reducer.find_unused or reducer.static:
            all_reduce(ops.zeros(len(reducer.params)), ReduceOp.MAX, group)
        for bucket in reducer.buckets:
            assert bucket.future is not None
            bucket.future.wait()

    def post_hook(self, is_last_joiner: bool) -> None:
        """All become what the last ranks with inputs have."""
        ddp = self.ddp
        ddp.reducer.divisor = ddp.process_group.size()
        tensors = [p.detach() for p in ddp.module.parameters()] + ddp._buffers_here
        ddp._broadcast(tensors, ddp._last_of(is_last_joiner))


def _check_alike(params: Sequence[Tensor], group: ProcessGroup) -> None:
    """RuntimeError where ranks have other parameters."""
    if group.size() == 1:
        return
    rank = group.rank()
    shapes = gathered([(tuple(p.shape), str(p.dtype)) for p in params], group)
    for other, found in enumerate(shapes):
        if len(found) != len(shapes[0]):
            raise RuntimeError(
                f"DDP expects same model across all ranks, but Rank {other} has {len(found)} params, while "
                f"rank 0 has inconsistent {len(shapes[0])} params."
            )
    for i, (here, first) in enumerate(zip(shapes[rank], shapes[0], strict=True)):
        if here != first:
            raise RuntimeError(
                f"[{rank}]: params[{i}] in this process with sizes {list(here[0])} appears not to match "
                "sizes of the same param in process 0."
            )
    if any(found != shapes[0] for found in shapes):
        raise RuntimeError(f"[{rank}]: another rank's parameters do not match those of process 0.")


__getattr__ = getter(__name__)
