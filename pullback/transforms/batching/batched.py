"""A tensor that stands for many: what a function under `vmap` sees of its argument.

A `Batched` belongs to a level, the interpreter that made it, and stands for a physical tensor of the
level below whose first dimension is the batch (`stack.Wrapper`). Its own payload has the shape and
strides of one sample, so all that asks for them works; the numbers are only ever computed on the
physical tensor, and so is the graph recorded: a `Batched` has no node of its own. The physical tensor
may be one of a lower level in its turn.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor, set_array, stand_in
from pullback.ops.shared.dims import one_or_many
from pullback.transforms.stack import Wrapper, above, belongs, levels_of

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


DATA = "accessing `data` under vmap transform is not allowed"


def _refusing(message: str) -> Any:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(message)

    return refuse


def _restructuring(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = getattr(self, name)(*args, **kwargs)
        set_array(self, made._layout)
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


class Batched(Wrapper):
    """One tensor for each sample of a batch, see above."""

    __slots__ = ("batch_dim",)

    @property
    def place(self) -> int:
        """Where the batch stands among the dims of the tensor that the user gave."""
        return getattr(self, "batch_dim", 0)

    def spread_out(self) -> Tensor:
        """The physical tensor with its batch there."""
        return ops.movedim(self.physical, 0, self.place) if self.place else self.physical

    _array = property(_refusing(CONTROL_FLOW))
    item = __float__ = __int__ = __index__ = __complex__ = _refusing(ITEM)
    __bool__ = _refusing(CONTROL_FLOW)
    tolist = numpy = __array__ = data_ptr = set_ = _refusing(NO_STORAGE)
    requires_grad_ = _refusing(REQUIRES)
    data = property(_refusing(DATA), _refusing(DATA))
    backward = _refusing(BACKWARD)
    squeeze_ = _restructuring("squeeze")
    unsqueeze_ = _restructuring("unsqueeze")
    t_ = _restructuring("t")
    transpose_ = swapaxes_ = swapdims_ = _restructuring("transpose")
    as_strided_ = _restructuring("as_strided")
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
        set_array(self, made._layout)
        self.physical = made.physical
        return self

    def register_hook(self, hook: Any) -> Any:
        """Calls `hook` with the batched gradient."""
        level = self.level

        def physically(g: Any) -> Any:
            got = hook(batched(level, g))
            return got.physical if level.holds(got) else got

        return self.physical.register_hook(physically)

    def __repr__(self) -> str:
        inner = "\n".join(f"    {line}" for line in repr(self.physical).splitlines())
        return f"BatchedTensor(lvl={len(levels_of(self))}, bdim=0, value=\n{inner}\n)"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError(NO_STORAGE)


batched = functools.partial(stand_in, Batched)
"""`batched(level, physical)`: the batch of tensors that lie along the first dimension of `physical`."""


def spread(x: Tensor, size: int) -> Tensor:
    """A tensor once for each of `size` samples: a view along a new first dimension."""
    return ops.expand(x, (size, *x.shape))


def without_batch(x: Any, level: Any) -> Any:
    """A tensor with the batch of a level as its first dimension, and no longer batched at it.

    It may be batched at levels above, whose batches stay in front; one that is not batched at this level
    is repeated.
    """
    if not belongs(x, level):
        return spread(x, level.size)
    if x.level is level:
        return x.physical
    return batched(x.level, ops.transpose(without_batch(x.physical, level), 0, 1))


def with_batch(p: Any, level: Any) -> Any:
    """The opposite of `without_batch`: the first dimension becomes the batch of a level."""
    if isinstance(p, Wrapper) and p.level in above(level):
        return batched(p.level, with_batch(ops.transpose(p.physical, 0, 1), level))
    return batched(level, p)
