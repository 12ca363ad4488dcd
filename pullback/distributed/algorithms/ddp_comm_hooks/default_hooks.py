"""Hooks that average a bucket of gradients, as it is or in half precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.core._engine import Tensor
from pullback.core.dtypes import bfloat16, float16
from pullback.distributed.collectives import all_reduce
from pullback.distributed.groups import members
from pullback.distributed.reducer import GradBucket
from pullback.face.absent import getter
from pullback.futures import Future

__all__ = [
    "allreduce_hook",
    "bf16_compress_hook",
    "bf16_compress_wrapper",
    "fp16_compress_hook",
    "fp16_compress_wrapper",
]

Hook = Callable[[Any, GradBucket], Future[Any]]


def averaged(process_group: Any, flat: Tensor) -> Future[Any]:
    """A Future of the average of a flat tensor over the ranks."""
    group = members(process_group)
    assert group is not None
    work = all_reduce(flat.div_(group.size()), group=group, async_op=True)
    assert work is not None
    return work.get_future().then(lambda done: done.value()[0])


def allreduce_hook(process_group: Any, bucket: GradBucket) -> Future[Any]:
    """Averages the gradients: what is done without a hook."""
    return averaged(process_group, bucket.buffer())


def _compressed(process_group: Any, bucket: GradBucket, dtype: Any) -> Future[Any]:
    flat = bucket.buffer()
    return averaged(process_group, flat.to(dtype)).then(lambda done: flat.copy_(done.value()))


def fp16_compress_hook(process_group: Any, bucket: GradBucket) -> Future[Any]:
    """Averages the gradients as float16."""
    return _compressed(process_group, bucket, float16)


def bf16_compress_hook(process_group: Any, bucket: GradBucket) -> Future[Any]:
    """Averages the gradients as bfloat16."""
    return _compressed(process_group, bucket, bfloat16)


def _wrapped(hook: Hook, dtype: Any) -> Hook:
    def wrapped(state: Any, bucket: GradBucket) -> Future[Any]:
        flat = bucket.buffer()
        bucket.set_buffer(flat.to(dtype))

        def back(done: Future[Any]) -> Tensor:
            value = done.value()
            result: Tensor = flat.copy_(value[0] if isinstance(value, list) else value)
            return result

        return hook(state, bucket).then(back)

    return wrapped


def fp16_compress_wrapper(hook: Hook) -> Hook:
    """A hook that gets the gradients as float16, and whose result is cast back."""
    return _wrapped(hook, float16)


def bf16_compress_wrapper(hook: Hook) -> Hook:
    """A hook that gets the gradients as bfloat16, and whose result is cast back."""
    return _wrapped(hook, bfloat16)


__getattr__ = getter(__name__)
