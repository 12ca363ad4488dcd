"""Gradients averaged over ranks while the backward pass still runs: buckets of them, and a `Reducer`.

Parameters go into buckets, the last ones first, since their gradients come first. A hook on each puts the
gradient into its bucket; a bucket that is full, and those before it, are reduced without waiting. When the
last has begun the reducer asks to be called at the end of the pass, waits there, and puts the averages into
`.grad`. All ranks reduce the same buckets in the same order.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from pullback import futures, ops
from pullback.autograd.graph import nodes_below
from pullback.core._engine import Tensor, queue_callback
from pullback.core.modes import no_grad
from pullback.distributed.collectives import all_reduce
from pullback.distributed.groups import ProcessGroup
from pullback.distributed.reduce_ops import ReduceOp
from pullback.distributed.work import Work, progress

MB = 1024 * 1024
FIRST = 1 * MB
"""Bytes of the first bucket: small, so that there is soon something to send."""

_UNFINISHED = (
    "Expected to have finished reduction in the prior iteration before starting a new one. This error "
    "indicates that your module has parameters that were not used in producing loss. You can enable unused "
    "parameter detection by passing the keyword argument `find_unused_parameters=True` to "
    "`torch.nn.parallel.DistributedDataParallel`, and by \nmaking sure all `forward` function outputs "
    "participate in calculating loss. \nIf you already have done the above, then the distributed data "
    "parallel module wasn't able to locate the output tensors in the return value of your module's `forward` "
    "function. Please include the loss function and the structure of the return value of `forward` of your "
    "module when reporting this issue (e.g. list, dict, iterable)."
)
_TWICE = (
    "Expected to mark a variable ready only once. This error is caused by one of the following reasons: 1) "
    "Use of a module parameter outside the `forward` function. Please make sure model parameters are not "
    "shared across multiple concurrent forward-backward passes. or try to use _set_static_graph() as a "
    "workaround if this module graph does not change during training loop.2) Reused parameters in multiple "
    "reentrant backward passes."
)


class GradBucket:
    """What a communication hook gets: the gradients of some parameters in one flat tensor."""

    def __init__(self, bucket: Bucket, index: int, last: bool) -> None:
        self._bucket, self._index, self._last = bucket, index, last

    def buffer(self) -> Tensor:
        """The flat gradients."""
        return self._bucket.buffer

    def set_buffer(self, buffer: Tensor) -> None:
        """Puts another flat tensor in their place."""
        self._bucket.buffer = buffer

    def gradients(self) -> list[Tensor]:
        """The gradient of each parameter: a view of the buffer."""
        return self._bucket.views_of(self._bucket.buffer)

    def parameters(self) -> list[Tensor]:
        """The parameters."""
        return list(self._bucket.params)

    def index(self) -> int:
        """The number of the bucket, in the order that they are reduced in."""
        return self._index

    def is_last(self) -> bool:
        """Whether it is the last one."""
        return self._last


class Bucket:
    """Some parameters, and their gradients in one flat tensor."""

    def __init__(self, params: Sequence[Tensor], sparse: bool = False) -> None:
        self.params = list(params)
        self.sparse = sparse
        self.sizes = [0 if sparse else p.numel() for p in params]
        self.memory = ops.zeros(sum(self.sizes), dtype=params[0].dtype)
        self.buffer = self.memory
        self.views = [] if sparse else self.views_of(self.memory)
        self.missing = len(self.params)
        self.future: futures.Future[Any] | Work | None = None

    def views_of(self, flat: Tensor) -> list[Tensor]:
        """The part of a flat tensor that is each parameter's, in its shape."""
        parts = flat.detach().split(self.sizes)
        return [part.view(p.shape) for part, p in zip(parts, self.params, strict=True)]


def buckets_of(params: Sequence[Tensor], sparse: set[int], limits: Sequence[float]) -> list[Bucket]:
    """Buckets of parameters of one dtype, in this order, of no more bytes than their limits unless of one."""
    found: list[Bucket] = []
    open_ones: dict[Any, tuple[list[Tensor], int]] = {}
    count = 0

    def close(dtype: Any) -> None:
        nonlocal count
        found.append(Bucket(open_ones.pop(dtype)[0]))
        count += 1

    for p in params:
        if id(p) in sparse:
            found.append(Bucket([p], sparse=True))
            continue
        held, size = open_ones.get(p.dtype, ([], 0))
        held.append(p)
        open_ones[p.dtype] = held, size + p.nbytes
        if size + p.nbytes >= limits[min(count, len(limits) - 1)]:
            close(p.dtype)
    for dtype in list(open_ones):
        close(dtype)
    return found


class Reducer:
    """Averages the gradients of parameters over the ranks of a group in each backward pass."""

    def __init__(
        self,
        params: Sequence[Tensor],
        sparse: set[int],
        group: ProcessGroup,
        limits: Sequence[float],
        as_views: bool,
        find_unused: bool,
        static: bool,
    ) -> None:
        self.params = list(params)
        self.group = group
        self.as_views = as_views
        self.find_unused = find_unused
        self.static = static
        self.hook: Callable[[GradBucket], futures.Future[Any]] | None = None
        self.divisor = group.size()
        self.sync = False  # whether the pass that comes is to be reduced
        self.prepared = False  # whether a forward pass has been, and its backward pass is not finished
        self.open = False  # whether that has begun
        self.counts: list[int] | None = None  # of calls of each parameter's hook in a pass, if static
        self.calls = [0] * len(self.params)
        self.used = [True] * len(self.params)
        self.handles: list[Any] = []
        self.build(buckets_of(list(reversed(self.params)), sparse, limits))
        own = weakref.ref(self)
        for index, p in enumerate(self.params):
            self.handles.append(p.register_post_accumulate_grad_hook(_hook_of(own, index)))

    def build(self, buckets: list[Bucket]) -> None:
        """Takes buckets as its own."""
        self.buckets = buckets
        places = {id(p): (b, i) for b, bucket in enumerate(buckets) for i, p in enumerate(bucket.params)}
        self.places = [places[id(p)] for p in self.params]

    def remove(self) -> None:
        """Takes the hooks away."""
        for handle in self.handles:
            handle.remove()

    @property
    def learning(self) -> bool:
        """Whether this is the first pass of a static graph, in which parameters' uses are counted."""
        return self.static and self.counts is None

    def prepare(self, outputs: Sequence[Tensor]) -> None:
        """Makes ready for the backward pass of a forward pass's results."""
        if self.open and not self.learning:
            raise RuntimeError(_UNFINISHED)
        self.sync = self.prepared = True
        self.open = False
        self.next = 0
        self.calls = [0] * len(self.params)
        self.queued = False
        for bucket in self.buckets:
            bucket.missing, bucket.future, bucket.buffer = len(bucket.params), None, bucket.memory
        unused: list[int] = []
        if self.static:
            unused = [i for i, n in enumerate(self.counts or []) if n == 0]
        elif self.find_unused:
            leaves = {id(node.variable) for node in nodes_below(list(outputs)) if hasattr(node, "variable")}
            unused = [i for i, p in enumerate(self.params) if id(p) not in leaves]
        self.used = [True] * len(self.params)
        self.early = unused
        for i in unused:
            self.used[i] = False

    def rest(self) -> None:
        """The passes that come are not reduced."""
        self.sync = False

    def ready(self, index: int) -> None:
        """The gradient of a parameter is there."""
        progress()
        if not self.sync or not self.prepared:
            return
        self.open = True
        self.calls[index] += 1
        if self.learning:
            if not self.queued:
                self.queued = True
                queue_callback(self.learnt)
            return
        with no_grad():
            if not self.queued:
                self.queued = True
                for i in self.early:
                    self.fill(i, None)
            if self.counts is not None:
                if self.calls[index] < self.counts[index]:
                    return
            elif self.calls[index] > 1 or not self.used[index]:
                raise RuntimeError(_TWICE)
            self.fill(index, self.params[index].grad)

    def fill(self, index: int, grad: Tensor | None) -> None:
        """Puts a gradient, or zeros, into its bucket, and begins to reduce what is full."""
        number, place = self.places[index]
        bucket = self.buckets[number]
        scale = 1.0 if self.hook is not None else 1.0 / self.divisor
        if bucket.sparse:
            p = bucket.params[0]
            bucket.buffer = ops.zeros_like(p).to_sparse() if grad is None else grad * scale
        else:
            view = bucket.views[place]
            if grad is None:
                view.zero_()
            elif grad is view:
                if scale != 1.0:
                    view.mul_(scale)
            elif scale == 1.0 or not view.is_floating_point():
                view.copy_(grad * scale if scale != 1.0 else grad)
            else:
                ops.mul(grad, scale, out=view)
            if self.as_views and grad is not None:
                bucket.params[place].grad = view
        bucket.missing -= 1
        while self.next < len(self.buckets) and self.buckets[self.next].missing == 0:
            self.begin(self.next)
            self.next += 1
        if self.next == len(self.buckets) and not self.learning:
            queue_callback(self.finish)

    def begin(self, number: int) -> None:
        """Begins to reduce a bucket."""
        bucket = self.buckets[number]
        if self.hook is None or bucket.sparse:
            work = all_reduce(bucket.buffer, ReduceOp.SUM, self.group, async_op=True)
            assert work is not None
            bucket.future = work
        else:
            made = self.hook(GradBucket(bucket, number, number == len(self.buckets) - 1))
            if not isinstance(made, futures.Future):
                raise RuntimeError(
                    "Callback must return a torch.futures.Future or torch._C.Future object, but got "
                    f"{type(made)}"
                )
            bucket.future = made

    def learnt(self) -> None:
        """The first pass of a static graph is done: reduces all of it now."""
        self.counts = None
        with no_grad():
            counts = list(self.calls)
            for i, p in enumerate(self.params):
                self.used[i] = counts[i] > 0
                self.fill(i, p.grad if counts[i] else None)
            self.finish()
        self.counts = counts

    def finish(self) -> None:
        """Waits for all buckets, and puts what they have become into `.grad`."""
        with no_grad():
            used = self.used
            if self.find_unused or self.static:
                flags = ops.tensor([float(u) for u in used])
                all_reduce(flags, ReduceOp.MAX, self.group)
                used = [flag > 0 for flag in flags.tolist()]
            for bucket in self.buckets:
                assert bucket.future is not None
                result = bucket.future.wait()
                if isinstance(result, bool):  # a Work: reduced in place
                    result = bucket.buffer
                elif isinstance(result, list | tuple):
                    result = result[0]
                if bucket.sparse:
                    bucket.params[0].grad = result
                    continue
                if result is not bucket.memory:
                    bucket.memory.copy_(result.view(-1))
                self.give(bucket, used)
        self.open = self.prepared = False

    def give(self, bucket: Bucket, used: Sequence[bool]) -> None:
        """The gradients of a bucket become the parameters'."""
        index = {id(p): i for i, p in enumerate(self.params)} if not all(used) else {}
        for p, view in zip(bucket.params, bucket.views, strict=True):
            if index and not used[index[id(p)]]:
                continue
            if self.as_views:
                p.grad = view
            elif p.grad is None or p.grad.requires_grad:
                p.grad = view.clone()
            else:
                p.grad.copy_(view)


def _hook_of(reducer: Any, index: int) -> Callable[[Tensor], None]:
    def hook(_: Tensor) -> None:
        found = reducer()
        if found is not None:
            found.ready(index)

    return hook
