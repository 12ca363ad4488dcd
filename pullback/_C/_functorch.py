"""`torch._C._functorch`: what packages ask of tensors within transforms."""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.core._engine import Tensor, levels
from pullback.face.absent import getter
from pullback.transforms.batching.batched import Batched
from pullback.transforms.stack import owner


def is_batchedtensor(tensor: Any) -> bool:
    """Whether a tensor stands for a batch, under `vmap`."""
    return isinstance(tensor, Batched)


def is_gradtrackingtensor(tensor: Any) -> bool:
    """Whether a tensor is wrapped for `grad`: False, `requires_grad` is a property at every level."""
    return False


def is_functorch_wrapped_tensor(tensor: Any) -> bool:
    """Whether a tensor belongs to a transform."""
    return isinstance(tensor, Tensor) and owner(tensor) is not None


def is_functionaltensor(tensor: Any) -> bool:
    """Whether a tensor is wrapped for functionalisation: False."""
    return False


def get_unwrapped(tensor: Any) -> Any:
    """The tensor that another stands for, one level below; itself where it stands for none."""
    return tensor.physical if isinstance(tensor, Batched) else tensor


def maybe_get_level(tensor: Any) -> int:
    """The place of a tensor's level on the stack, counted from 1; -1 where it has none."""
    found = owner(tensor) if isinstance(tensor, Tensor) else None
    return -1 if found is None else levels().index(found) + 1


def maybe_get_bdim(tensor: Any) -> int:
    """Which dim of the tensor that it stands for is the batch; -1 where it stands for none."""
    return 0 if isinstance(tensor, Batched) else -1


def maybe_current_level() -> int | None:
    """The place of the innermost level on the stack, counted from 1; None where there is none."""
    return len(levels()) or None


def _add_batch_dim(tensor: Tensor, in_dim: int, level: int) -> Any:
    """A tensor that stands for a batch at a level: `in_dim` of the tensor given is its batch."""
    return levels()[level - 1].lifted(ops.movedim(tensor, in_dim, 0))


def _remove_batch_dim(tensor: Any, level: int, batch_size: int, out_dim: int) -> Any:
    """The tensor that one of a level stands for, with its batch at `out_dim`."""
    found = levels()[level - 1]
    if not found.holds(tensor):
        return ops.unsqueeze(tensor, out_dim).expand(
            *tensor.shape[:out_dim], batch_size, *tensor.shape[out_dim:]
        )
    return ops.movedim(found.front(tensor), 0, out_dim)


__getattr__ = getter(__name__)
