"""The parameters of a module as one flat vector, of which each rank keeps a part: `FlatParameters`.

Around a forward pass the parts are gathered, and views of the whole stand in the module in the parameters'
places. They come out of a node, `_Unshard`, whose backward gets the gradients of all of them at once, and
scatters their sum over the ranks into the gradient of this rank's part. What the graph saves of the whole is
kept as a place, not as numbers: the backward pass gathers the whole again when the first saved view is asked
for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pullback import ops
from pullback.autograd import Function
from pullback.core._engine import Tensor
from pullback.core.modes import no_grad
from pullback.distributed.collectives import all_gather_single, all_reduce, reduce_scatter_single
from pullback.distributed.groups import ProcessGroup
from pullback.distributed.reduce_ops import ReduceOp
from pullback.nn.modules.module import Module
from pullback.nn.parameter import Parameter


class Place(NamedTuple):
    """Where a parameter stands: its name in the wrapped module, the modules and names that hold it, its
    shape.
    """

    name: str
    holders: list[tuple[Module, str]]
    shape: tuple[int, ...]
    start: int
    end: int
    wants_grad: bool


class _SavedPlace(NamedTuple):
    """What a graph saves of a view of the whole."""

    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unshard(Function):
    """This rank's part becomes the views of the whole."""

    @staticmethod
    def forward(ctx: Any, flat: FlatParameters, shard: Tensor) -> tuple[Tensor, ...]:
        ctx.flat = flat
        ctx.set_materialize_grads(False)
        return tuple(view.detach() for view in flat.views())

    @staticmethod
    def backward(ctx: Any, *gs: Tensor | None) -> tuple[Any, ...]:
        return None, ctx.flat.reduced(gs)


class FlatParameters:
    """Some parameters of one dtype, flat, in parts of one size on the ranks of a group."""

    def __init__(
        self, named: Sequence[tuple[str, Tensor, list[tuple[Module, str]]]], group: ProcessGroup, parted: bool
    ) -> None:
        self.group = group
        self.parted = parted
        self.places: list[Place] = []
        start = 0
        for name, p, holders in named:
            end = start + p.numel()
            self.places.append(Place(name, holders, tuple(p.shape), start, end, p.requires_grad))
            start = end
        self.size = start
        count = group.size() if parted else 1
        self.part = -(-start // count)
        self.dtype = named[0][1].dtype
        whole = ops.zeros(self.part * count, dtype=self.dtype)
        with no_grad():
            ops.cat([p.detach().reshape(-1) for _, p, _ in named], out=whole[:start])
        self.first = self.part * group.rank() if parted else 0
        self.shard = Parameter(
            whole[self.first : self.first + self.part].clone(),
            requires_grad=any(p.wants_grad for p in self.places),
        )
        self.whole: Tensor | None = None
        self.kept: Tensor | None = None  # the gradients of passes that were not reduced
        self.sync = True
        self.keep_whole = False  # between forward and backward
        self.compute_dtype: Any = None
        self.reduce_dtype: Any = None
        self.hook: Callable[[Tensor], Any] | None = None
        for place in self.places:
            for module, name in place.holders:
                del module._parameters[name]

    # ----------------------------------------------------------------------- the whole, and its views

    @no_grad()
    def gather(self) -> Tensor:
        """The whole, gathered if it is not there."""
        if self.whole is None:
            shard = self.shard.detach()
            if self.compute_dtype is not None:
                shard = shard.to(self.compute_dtype)
            if not self.parted:
                self.whole = shard.clone() if shard.data_ptr() == self.shard.data_ptr() else shard
            else:
                self.whole = ops.empty(self.part * self.group.size(), dtype=shard.dtype)
                all_gather_single(self.whole, shard, self.group)
        return self.whole

    def free(self) -> None:
        """Lets the whole go."""
        self.whole = None

    def views(self) -> list[Tensor]:
        """The parameters, as views of the whole."""
        whole = self.gather()
        return [whole[p.start : p.end].view(p.shape) for p in self.places]

    def enter(self, tensors: Sequence[Tensor]) -> None:
        """Puts tensors into the places of the parameters."""
        for place, x in zip(self.places, tensors, strict=True):
            for module, name in place.holders:
                module._parameters[name] = x  # type: ignore[assignment]

    def leave(self) -> None:
        """Takes them out again."""
        for place in self.places:
            for module, name in place.holders:
                module._parameters.pop(name, None)

    def unshard(self) -> None:
        """Puts views with a graph into the places, for a forward pass."""
        self.enter(_Unshard.apply(self, self.shard))

    # ------------------------------------------------------------------------- what the graph saves

    def pack(self, x: Tensor) -> Any:
        """What a graph is to save of a tensor: its place, if it is a part of the whole."""
        if (
            self.whole is None
            or self.keep_whole
            or x.dtype != self.whole.dtype
            or x.layout != self.whole.layout
        ):
            return x
        offset = x.data_ptr() - self.whole.data_ptr()
        if 0 <= offset < self.whole.nbytes and x.numel():
            return _SavedPlace(offset // x.element_size(), tuple(x.shape), tuple(x.stride()))
        return x

    def unpack(self, saved: Any) -> Tensor:
        """The tensor that a graph has saved; the whole is gathered again."""
        if isinstance(saved, _SavedPlace):
            return self.gather().as_strided(saved.shape, saved.strides, saved.offset)
        found: Tensor = saved
        return found

    # ----------------------------------------------------------------------------------- gradients

    @no_grad()
    def reduced(self, gs: Sequence[Tensor | None]) -> Tensor | None:
        """The ranks' average of this rank's part of the gradients; None where it is kept for later."""
        dtype = self.reduce_dtype or self.compute_dtype or self.dtype
        count = self.group.size()
        flat = ops.zeros(self.part * (count if self.parted else 1), dtype=dtype)
        for place, g in zip(self.places, gs, strict=True):
            if g is not None:
                flat[place.start : place.end].copy_(g.reshape(-1))
        self.free()
        if self.kept is not None:
            flat.add_(self.kept)
            self.kept = None
        if not self.sync:
            self.kept = flat
            return None
        flat.div_(count)
        if self.hook is not None:
            self.hook(flat)
        if self.parted:
            result = ops.empty(self.part, dtype=dtype)
            reduce_scatter_single(result, flat, ReduceOp.SUM, self.group)
        else:
            result = flat
            all_reduce(result, ReduceOp.SUM, self.group)
        return result.to(self.dtype)

    # ------------------------------------------------------------------------------ whole parameters

    def summon(self) -> None:
        """Puts whole parameters of full precision into the places, as leaves."""
        self.free()
        kept, self.compute_dtype = self.compute_dtype, None
        self.enter(
            [Parameter(v, requires_grad=p.wants_grad) for v, p in zip(self.views(), self.places, strict=True)]
        )
        self.compute_dtype = kept

    @no_grad()
    def dismiss(self, writeback: bool) -> None:
        """Takes them out; with `writeback` this rank's part becomes what they hold."""
        if writeback and self.whole is not None:
            for place in self.places:
                module, name = place.holders[0]
                held = module._parameters[name]
                assert held is not None
                target = self.whole[place.start : place.end]
                if held.data_ptr() != target.data_ptr():
                    target.copy_(held.detach().reshape(-1))
            self.shard.copy_(self.whole[self.first : self.first + self.part])
        self.leave()
        self.free()

    def local(self, flat: Tensor, place: Place) -> tuple[Tensor, int]:
        """The piece of a parameter that lies in this rank's part of a flat vector, and where it begins in
        it.
        """
        low = min(max(place.start, self.first), self.first + self.part)
        high = min(max(place.end, self.first), self.first + self.part)
        return flat[low - self.first : max(low, high) - self.first], max(low - place.start, 0)

    @no_grad()
    def spread(self, flat: Tensor) -> Tensor:
        """The whole vector of which each rank has a part."""
        if not self.parted:
            return flat
        whole = ops.empty(self.part * self.group.size(), dtype=flat.dtype)
        all_gather_single(whole, flat.detach(), self.group)
        return whole
