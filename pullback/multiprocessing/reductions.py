"""How tensors go to other processes: their memory, shared, not their numbers.

A tensor that is put on a queue or given to a process is moved to shared memory first, as by
`share_memory_`; what the other process gets is the same memory. Where the system has no files without a name,
its numbers are copied instead.
"""

from __future__ import annotations

from multiprocessing import reduction
from typing import Any

from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import dtype as Dtype
from pullback.core.strides import strides_of
from pullback.face import shared
from pullback.face.absent import getter
from pullback.face.interop import dressed
from pullback.face.storage import UntypedStorage, array_on, memory, storage_offset

__all__ = ["init_reductions", "rebuild_tensor", "reduce_tensor"]

COMPUTED = (
    "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not support "
    "crossing process boundaries.  If you just want to transfer the data, call detach() on the tensor before "
    "serializing (e.g., putting it on the queue)."
)


def rebuild_tensor(
    cls: type, file: Any, dtype: Dtype, layout: tuple[Any, ...], requires_grad: bool, state: Any
) -> Tensor:
    """The tensor that another process sent."""
    made = from_array(array_on(shared.mapped(file.detach()), dtype, *layout))
    return dressed(made, cls, requires_grad, state)


def reduce_tensor(tensor: Tensor) -> tuple[Any, ...]:
    """What is sent of a tensor. RuntimeError for one that was computed and requires a gradient."""
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(COMPUTED)
    tensor.share_memory_()
    handle = shared.handle_of(memory(tensor._array))
    if handle is None:
        return tensor.__reduce_ex__(5)
    a = tensor._array
    layout = storage_offset(tensor), a.shape, strides_of(a)
    state = dict(tensor.__dict__)
    file = reduction.DupFd(handle)
    return rebuild_tensor, (type(tensor), file, tensor.dtype, layout, tensor.requires_grad, state)


def rebuild_storage(file: Any) -> UntypedStorage:
    """The storage that another process sent."""
    return UntypedStorage.of(shared.mapped(file.detach()))


def reduce_storage(storage: UntypedStorage) -> tuple[Any, ...]:
    """What is sent of a storage."""
    storage.share_memory_()
    handle = shared.handle_of(storage._array)
    if handle is None:
        return storage.__reduce__()
    return rebuild_storage, (reduction.DupFd(handle),)


def init_reductions() -> None:
    """Makes the queues, pipes and processes of `multiprocessing` send tensors so."""
    reduction.ForkingPickler.register(Tensor, reduce_tensor)
    reduction.ForkingPickler.register(UntypedStorage, reduce_storage)


__getattr__ = getter(__name__)
