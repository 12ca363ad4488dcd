"""A tensor that stands for many: what a function under `vmap` sees of its argument.

A `Batched` belongs to a level, the interpreter that made it, and holds a physical tensor of the
level below whose first dimension is the batch. Its own payload has the shape and strides of one
sample, so all that asks for them works; the numbers are only ever computed on the physical tensor,
and so is the graph recorded: a `Batched` has no node of its own. The physical tensor may be one of
a lower level in its turn.
"""

from __future__ import annotations

import math
from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import Tensor, set_array, stand_in
from pullback.core._loops import first
from pullback.ops.shared.dims import one_or_many

ITEM = (
    "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling "
    ".item() on a Tensor, please try to rewrite what you're doing with other operations. If error "
    "is occurring somewhere inside PyTorch internals, please file a bug report."
)
CONTROL_FLOW = (
    "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We "
    "don't support that yet, please file an issue at https://github.com/pytorch/pytorch/issues ."
)
NO_STORAGE = "Cannot access data pointer of Tensor that doesn't have storage"
REQUIRES = (
    "You are attempting to call Tensor.requires_grad_() (or perhaps using torch.autograd.functional.* "
    "APIs) inside of a function being transformed by a functorch transform. This is unsupported, "
    "please attempt to use the functorch transforms (e.g. grad, vjp, jacrev, jacfwd, hessian) or call "
    "requires_grad_() outside of a function being transformed instead."
)
BACKWARD = (
    "backward() called inside a functorch transform. This is not supported, please use functorch.grad "
    "or functorch.vjp instead or call backward() outside of functorch transforms."
)


def _refusing(message: str) -> Any:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(message)

    return refuse


def _restructuring(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = getattr(self, name)(*args, **kwargs)
        set_array(self, made._array)
        self.physical = made.physical
        return self

    return method


def _made_like(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        """The new tensor once for each sample, so that samples can be written to it."""
        one = getattr(Tensor, name)(self, *args, **kwargs)
        wide = self.physical.new_empty((self.level.size, *one.shape), dtype=one.dtype)
        wide.copy_(one)
        return batched(self.level, wide)

    return method


class Batched(Tensor):
    """One tensor for each sample of a batch, see above."""

    __slots__ = ("level", "physical")
    __torch_function__ = _engine.disabled_torch_function

    level: Any
    physical: Any

    item = __float__ = __int__ = __index__ = __complex__ = _refusing(ITEM)
    __bool__ = _refusing(CONTROL_FLOW)
    tolist = numpy = __array__ = data_ptr = _refusing(NO_STORAGE)
    requires_grad_ = _refusing(REQUIRES)
    backward = _refusing(BACKWARD)
    squeeze_, unsqueeze_, t_ = map(_restructuring, ("squeeze", "unsqueeze", "t"))
    transpose_ = swapaxes_ = swapdims_ = _restructuring("transpose")
    new_zeros, new_ones, new_full, new_empty = map(
        _made_like, ("new_zeros", "new_ones", "new_full", "new_empty")
    )

    def resize_(self, *sizes: Any, memory_format: Any = None) -> Any:
        """Changes the shape of each sample, which keeps its first numbers; new ones are zero."""
        if self.requires_grad:
            raise RuntimeError("cannot resize variables that require grad")
        shape = one_or_many(sizes)
        flat, count = ops.reshape(self, (-1,)), math.prod(shape)
        kept = flat[:count] if count <= flat.numel() else ops.constant_pad_nd(flat, (0, count - flat.numel()))
        made = ops.reshape(kept, shape)
        set_array(self, made._array)
        self.physical = made.physical
        return self

    @property
    def device(self) -> Any:
        """Where the numbers are."""
        return self.physical.device

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to or through the physical tensor."""
        return self.physical.requires_grad

    @property
    def grad_fn(self) -> Any:
        """The node of the physical tensor."""
        return self.physical.grad_fn

    @property
    def is_leaf(self) -> bool:
        """Whether the physical tensor is at the graph's edge."""
        return self.physical.is_leaf

    @property
    def data(self) -> Any:
        """The same numbers without history."""
        return self.detach()

    def register_hook(self, hook: Any) -> Any:
        """Calls `hook` with the batched gradient."""
        level = self.level

        def physically(g: Any) -> Any:
            got = hook(batched(level, g))
            return got.physical if type(got) is Batched and got.level is level else got

        return self.physical.register_hook(physically)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        inner = "\n".join(f"    {line}" for line in repr(self.physical).splitlines())
        return f"BatchedTensor(lvl={len(chain(self))}, bdim=0, value=\n{inner}\n)"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError(NO_STORAGE)


def batched(level: Any, physical: Tensor) -> Batched:
    """The batch of tensors that lie along the first dimension of `physical`."""
    made = stand_in(Batched, first(physical._array))
    made.level = level
    made.physical = physical
    return made


def bottom(x: Any) -> Any:
    """The tensor that holds the numbers of all levels."""
    while type(x) is Batched:
        x = x.physical
    return x


def is_batched_at(x: Any, level: Any) -> bool:
    """Whether a tensor has a batch dimension of this level, at any depth."""
    while type(x) is Batched:
        if x.level is level:
            return True
        x = x.physical
    return False


def chain(x: Any) -> list[Any]:
    """The levels that a tensor is batched at, top first."""
    found = []
    while type(x) is Batched:
        found.append(x.level)
        x = x.physical
    return found


def spread(x: Tensor, size: int) -> Tensor:
    """A tensor once for each of `size` samples: a view along a new first dimension."""
    return ops.expand(x, (size, *x.shape))


def strip(x: Tensor, level: Any) -> Tensor:
    """A tensor with the batch of a level as its first dimension, and no longer batched at it."""
    if not is_batched_at(x, level):
        return spread(x, level.size)
    if x.level is level:
        return x.physical
    return batched(x.level, ops.transpose(strip(x.physical, level), 0, 1))


def restore(x: Tensor, level: Any, above: list[Any]) -> Tensor:
    """The opposite of `strip`; `above` are the levels of the stack on top of this one."""
    if type(x) is Batched and any(x.level is other for other in above):
        return batched(x.level, restore(ops.transpose(x.physical, 0, 1), level, above))
    return batched(level, x)
