"""Reading and writing at index tensors: `index`, `index_put`, and `index_sum`, the gradient of the former.

`indices` is a list with a tensor for each dimension to pick from, None for one to take whole. Tensors of
integers are broadcast together; one of booleans stands for several dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, from_array
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import bool_, uint8
from pullback.core.op import function, op
from pullback.core.strides import strided_array, strides_of, walked_strides
from pullback.core.types import Array, Arrays, Size
from pullback.kernels.moves import take_true
from pullback.ops.indexing.keys import check_mask
from pullback.ops.indexing.mask_plans import broadcast_steps, put_plan
from pullback.ops.shared.at import FROM_END, laid_as, plan_at, steps_of, work_steps
from pullback.ops.shared.batches import folded, padded, rank
from pullback.ops.shared.flat_indices import WHOLE, accumulate, compact, flat_indices

BATCHED_MASK = (
    "vmap: We do not support batching operators that can support dynamic shape. Attempting to batch "
    "over indexing with a boolean mask."
)


def _key_of(self: Any, indices: Any) -> tuple[Any, ...]:
    """The NumPy key of index arrays and None; IndexError in PyTorch's words."""
    key: list[Any] = []
    dim = 0
    for part in indices:
        if part is None:
            key.append(WHOLE)
            dim += 1
        elif part.dtype == np.uint8 or part.dtype == bool:
            check_mask(self.shape, dim, part.shape)
            key.append(part.astype(bool, copy=False))
            dim += part.ndim
        else:
            key.append(part)
            dim += 1
    if dim > self.ndim:
        raise IndexError(f"too many indices for tensor of dimension {self.ndim} (got {dim})")
    return tuple(key)


def _index_error(self: Any, key: tuple[Any, ...]) -> IndexError:
    """The message for index arrays that NumPy refused."""
    dim, shapes = 0, []
    for part in key:
        if part is not WHOLE and part.dtype != bool:
            n = self.shape[dim]
            shapes.append(part.shape)
            bad = part[(part < -n) | (part >= n)]
            if bad.size:
                if not n:
                    return IndexError("index is out of bounds for dimension with size 0")
                return IndexError(
                    f"index {bad.ravel()[0]} is out of bounds for dimension {dim} with size {n}"
                )
        elif part is not WHOLE:
            shapes.append((int(part.sum()),))
        dim += 1 if part is WHOLE or part.dtype != bool else part.ndim
    return _mismatch(shapes)


def _mismatch(shapes: Iterable[Size]) -> IndexError:
    listed = ", ".join(str(list(shape)) for shape in shapes)
    return IndexError(
        f"shape mismatch: indexing tensors could not be broadcast together with shapes {listed}"
    )


@op(places="", moves=True, linear=True)
def index(self: Array, indices: Arrays) -> Array:
    """The elements of `self` that the index tensors pick; None for a dimension to take whole."""
    mask = indices[0] if len(indices) == 1 else None
    if mask is not None and mask.dtype == bool:
        picked = take_true(compact(self), compact(mask))
    else:
        key = _key_of(self, indices)
        try:
            picked = compact(self[key])
        except IndexError:
            raise _index_error(self, key) from None
    if self.flags.c_contiguous and all(x is None or x.flags.c_contiguous for x in indices):
        return picked
    parts = [y for x in indices for y in (np.nonzero(x) if x is not None and x.dtype.kind in "bB" else (x,))]
    steps = [strides_of(x) for x in parts if x is not None]
    laid = strided_array(
        picked.shape, _Picks(self.shape, parts).strides(strides_of(self), steps), picked.dtype
    )
    laid[...] = picked
    return laid


class _Picks:
    """What index tensors pick from a tensor: which dims, and in which shape.

    `shape` is that of the result: what is picked stands for the first of its dims, or first of all if apart.
    """

    def __init__(self, shape: Size, indices: Sequence[Spec | Array | None]) -> None:
        given: dict[int, Any] = {}
        dim, self.masks = 0, False
        for part in indices:
            if part is not None and part.dtype in (bool_, uint8):
                check_mask(shape, dim, part.shape)
                self.masks = True
                dim += part.ndim
                continue
            if part is not None:
                given[dim] = part
            dim += 1
        if dim > len(shape):
            raise IndexError(f"too many indices for tensor of dimension {len(shape)} (got {dim})")
        self.given, self.source = given, shape
        if self.masks or not given:
            return
        try:
            self.common = np.broadcast_shapes(*(part.shape for part in given.values()))
        except ValueError:
            raise _mismatch(part.shape for part in given.values()) from None
        if 0 not in self.common and any(not shape[d] for d in given):
            raise IndexError("index is out of bounds for dimension with size 0")
        picked = list(given)
        adjacent = picked == list(range(picked[0], picked[-1] + 1))
        self.whole = [d for d in range(len(shape)) if d not in given]
        self.before = sum(d < picked[0] for d in self.whole) if adjacent else 0
        sizes = [shape[d] for d in self.whole]
        self.shape = (*sizes[: self.before], *self.common, *sizes[self.before :])

    def dims(self, addressed: Size, other: Size) -> list[tuple[int, ...]]:
        """The dims that are gone over, for `plan_at`; `other` are the steps of what has the picked shape."""
        steps = [broadcast_steps(part, self.common) for part in self.given.values()]
        none = (0,) * len(steps)
        rows = [(self.source[d], addressed[d]) for d in self.whole]
        places = [(n, 0, *(s[i] for s in steps)) for i, n in enumerate(self.common)]
        found = [(*row, *none) for row in rows[: self.before]] + places
        found += [(*row, *none) for row in rows[self.before :]]
        return [(n, a, b, *index) for (n, a, *index), b in zip(found, other, strict=True)]

    def strides(self, own: Size, steps: Sequence[Size]) -> Size:
        """The strides of the result, in elements as those of the source and of the indices are."""
        whole = [(own[d], self.source[d]) for d in self.whole]
        head, tail = whole[: self.before], whole[self.before :]
        operands = [(*(step for step, _ in head), *(0 for n in self.common), *(step for step, _ in tail))]
        for part, given in zip(self.given.values(), steps, strict=True):
            walked = [step * (n > 1) for step, n in zip(given, part.shape, strict=True)]
            walked = [0] * (len(self.common) - len(walked)) + walked
            # An index has dims of one where whole dims are: they lie as in a view of it.
            moving = [(step, n) for step, n in zip(walked, self.common, strict=True) if n > 1] or [(1, 1)]
            before, after = moving[0][0] * moving[0][1], moving[-1][0]
            lead, trail = [before * (n == 1) for _, n in head], [after * (n == 1) for _, n in tail]
            operands.append((*lead, *walked, *trail))
        return walked_strides(self.shape, operands)

    def indices(self, addressed: Size) -> list[tuple[Spec, int, int]]:
        return [(part, self.source[d], addressed[d]) for d, part in self.given.items()]

    def cut(self) -> tuple[int, int] | None:
        """The first dim that is taken whole, in the source and among `dims`."""
        if not self.whole:
            return None
        return self.whole[0], 0 if self.before else len(self.common)


@index.prepare
def _prepare_index(self: Spec, indices: Any) -> Plan:
    picks = _Picks(self.shape, indices)
    if picks.masks:
        return Plan(())
    if not picks.given:
        return Plan(Spec(self.dtype, self.shape))
    strides = picks.strides(self.steps, [part.steps for part in picks.given.values()])
    steps = steps_of(self)
    result = Spec(self.dtype, picks.shape, tuple([step * self.itemsize for step in strides]))
    return plan_at(
        "take", result, picks.dims(steps, steps_of(result)), picks.indices(steps),
        lambda status, self, indices: _index_error(self, _key_of(self, indices)),
        begins=0, inputs=1 + len(picks.given), cut=(0, 0), wraps=FROM_END,
    )  # fmt: skip


index.vjp(self=lambda g, self_shape, indices: ops.index_sum(g, indices, self_shape, "IndexPutImplBackward0"))


@op(places="", moves=True, linear=True)
def index_sum(self: Array, indices: Arrays, shape: tuple[int, ...], node: str) -> Array:
    """The gradient of `index`: zeros of a shape, with `self` added up at the picked places.

    `node` is the name of its node, which PyTorch has of several ops.
    """
    whole = np.zeros(shape, self.dtype)
    accumulate(np.add, whole, flat_indices(whole.shape, _key_of(whole, indices)), self)
    return whole


@index_sum.prepare
def _prepare_index_sum(self: Spec, indices: Any, shape: Any, node: str) -> Plan:
    result = Spec(self.dtype, tuple(shape))
    picks = _Picks(result.shape, indices)
    if len(indices) == 1 and indices[0] is not None and indices[0].dtype is bool_:
        return put_plan(result, None, indices[0], indices[0].ndim, self, (-1, 1, 0), _checked_before)
    if picks.masks or not picks.given or picks.shape != self.shape:
        return Plan(result)
    steps = work_steps(result)
    return plan_at(
        "at_sum", result, picks.dims(steps, steps_of(self)), picks.indices(steps), _checked_before,
        other=0, inputs=1 + len(picks.given), cut=picks.cut(), wraps=FROM_END,
    )  # fmt: skip


def _checked_before(status: int, *values: Any) -> Exception:
    return IndexError("an index is out of bounds")


index_sum.variant = "node"
index_sum.vjp(self=lambda g, indices: index(g, indices))


@op(name="index_put", places="", writes="K", linear=True, expanded="tensor[indices] = tensor")
def _index_put(self: Array, indices: Arrays, values: Array, accumulate_values: bool) -> Array:
    """`self` with `values` written, or added, at the picked places."""
    key = _key_of(self, indices)
    try:
        wanted = self[key].shape  # which checks the indices
        filled = values.size == 1 and not accumulate_values and _one_mask(indices)
        if values.ndim > len(wanted) and not filled:
            raise _unfitting(values.shape, wanted)
        if accumulate_values:
            accumulate(np.add, self, flat_indices(self.shape, key), values)
        else:
            self[key] = values.reshape(()) if filled else values
    except IndexError:
        raise _index_error(self, key) from None
    except (TypeError, ValueError):
        raise _unfitting(values.shape, self[key].shape) from None
    return self


def _one_mask(indices: Arrays) -> bool:
    """Whether an index is nothing but a mask: where one is written, a value of any rank will do."""
    return [x.dtype.kind for x in indices if x is not None] == ["b"]


def _unfitting(given: Size, wanted: Size) -> Exception:
    return RuntimeError(
        f"shape mismatch: value tensor of shape {list(given)} cannot be broadcast to "
        f"indexing result of shape {list(wanted)}"
    )


def _check_same_dtype(self: Spec, values: Spec) -> None:
    if values.dtype is not self.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{self.dtype.type_name} for the destination and {values.dtype.type_name} for the source."
        )


@_index_put.prepare
def _prepare_index_put(self: Spec, indices: Any, values: Spec, accumulate_values: bool) -> Plan:
    picks, result = _Picks(self.shape, indices), Spec(self.dtype, self.shape, laid_as(self))
    if picks.masks or not picks.given:
        _check_same_dtype(self, values)
        return Plan(result)
    wanted, given = picks.shape, values.shape
    fits = zip(reversed(given), reversed(wanted), strict=False)
    if len(given) > len(wanted) or any(n not in (1, m) for n, m in fits):
        raise _unfitting(given, wanted)
    _check_same_dtype(self, values)
    steps = work_steps(result) if accumulate_values else steps_of(result)
    count = len(picks.given)
    return plan_at(
        "at_sum" if accumulate_values else "put", result,
        picks.dims(steps, broadcast_steps(values, wanted)), picks.indices(steps),
        lambda status, self, indices, *rest: _index_error(self, _key_of(self, indices)),
        begins=0, base=self, other=1 + count, inputs=2 + count, cut=picks.cut(), wraps=FROM_END,
    )  # fmt: skip


_index_put.vjp(
    self=lambda g, indices, accumulate_values: (
        g if accumulate_values else _index_put(g, indices, ops.zeros((), dtype=g.dtype), False)
    ),
    values=lambda g, indices: index(g, indices),
)


# --------------------------------------------------------------- indices under vmap


class _Key:
    """Index tensors on samples as index tensors on physical tensors.

    Where indices are batched, each sample's are joined by its own number along the batch dim: then one
    index picks from all samples at once. `indices` is the physical list. The picked dims (`width` of
    them) stand in a sample's result from `place` on, and in the physical result from `physical_place`
    on, counted with the batch; if `joined`, the batch is the first of them, else it stands elsewhere.
    """

    def __init__(self, level: Any, indices: Any, self_batched: bool) -> None:
        flat = [x for index in indices for x in _without_mask(level, index)]
        picked = [i for i, x in enumerate(flat) if x is not None]
        self.width = max(rank(flat[i]) for i in picked)
        self.joined = any(level.holds(x) for x in flat)
        adjacent = picked[-1] - picked[0] + 1 == len(picked)
        self.place = picked[0] if adjacent else 0
        physical: list[Any] = [padded(x.physical, self.width) if level.holds(x) else x for x in flat]
        if self.joined and self_batched:
            numbers = ops.reshape(ops.arange(level.size), (level.size,) + (1,) * self.width)
            physical.insert(0, numbers)
            self.physical_place = 0
        elif self_batched:
            physical.insert(0, None)
            self.physical_place = self.place + 1 if adjacent else 0
        else:
            self.physical_place = self.place if adjacent else 0
        self.indices = physical

    def order(self, ndim: int) -> list[int] | None:
        """The dims of the physical result, in the order batch first and then as a sample has them."""
        batch = self.physical_place if self.joined else (0 if self.physical_place else self.width)
        first = self.physical_place + self.joined
        picked = list(range(first, first + self.width))
        rest = [d for d in range(ndim) if d != batch and d not in picked]
        order = [batch, *rest[: self.place], *picked, *rest[self.place :]]
        return None if order == list(range(ndim)) else order

    def arranged(self, level: Any, values: Any, ndim: int) -> Any:
        """Values for the picked places, batch first, as the physical key wants them."""
        p = padded(level.front(values), ndim - 1)
        order = self.order(ndim)
        if order is None:
            return p
        back = [0] * ndim
        for place, dim in enumerate(order):
            back[dim] = place
        return ops.permute(p, back)


def _without_mask(level: Any, x: Any) -> list[Any]:
    """An index as one without masks."""
    if x is None or x.dtype.name != "bool":
        return [x]
    if level.holds(x):
        raise RuntimeError(BATCHED_MASK)
    return list(ops.nonzero(x, as_tuple=True))


@index.batch
def _index_batch(level: Any, op: Op, self: Any, indices: Any) -> Any:
    key = _Key(level, indices, level.holds(self))
    picked = op(self.physical if level.holds(self) else self, key.indices)
    order = key.order(picked.ndim)
    return level.wrap(picked if order is None else ops.permute(picked, order))


@index_sum.batch
def _index_sum_batch(level: Any, op: Op, self: Any, indices: Any, shape: Any, node: str) -> Any:
    mask = indices[0]
    if len(indices) == 1 and mask is not None and mask.dtype is bool_ and not level.holds(mask):
        masks = ops.expand(mask, (level.size, *mask.shape))  # goes through the samples one after the other
        return level.wrap(op(folded(level, self), [masks], (level.size, *shape), node))
    key = _Key(level, indices, True)
    values = key.arranged(level, self, rank(self) + 1)
    return level.wrap(op(values, key.indices, (level.size, *shape), node))


@_index_put.batch
def _index_put_batch(
    level: Any, op: Op, self: Any, indices: Any, values: Any, accumulate_values: bool
) -> Any:
    if any(level.holds(i) and i.dtype.name == "bool" for i in indices):
        return _masked_put(level, self, indices, values, accumulate_values)
    key = _Key(level, indices, True)
    picked = sum(i is not None for i in key.indices) - key.joined
    values = key.arranged(level, values, 1 + rank(self) - picked + key.width)
    return level.wrap(op(level.front(self), key.indices, values, accumulate_values))


def _masked_put(level: Any, self: Any, indices: Any, values: Any, adds: bool) -> Any:
    """A mask for each sample takes one value, which needs no places."""
    mask, ranks = indices[0], rank(self)
    if len(indices) != 1 or values.numel() != 1 or rank(mask) > ranks:
        raise RuntimeError(BATCHED_MASK)
    p = level.front(self)
    wide = ops.reshape(mask.physical, (*mask.physical.shape, *(1,) * (ranks - rank(mask))))
    value = ops.reshape(level.front(values), (level.size,) + (1,) * ranks)
    return level.wrap(ops.where(wide, p + value if adds else value, p))


def _index_list(name: str, indices: Any) -> list[Any]:
    if not isinstance(indices, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'indices' (position 1) must be tuple of Tensors, "
            f"not {type(indices).__name__}"
        )
    return list(indices)


@function()
def index_put(
    input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    """A copy of `input` with `values` at the places that a tuple of index tensors picks.

    With `accumulate` they are added, in order. Gradients: of `input`, zero where written; of
    `values`, the result's at their places.

    >>> import pullback as torch
    >>> torch.zeros(3).index_put((torch.tensor([0, 2]),), torch.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    return _index_put(input, _index_list("index_put", indices), values, accumulate)


@function(places="tm")
def index_put_(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """`index_put` into the tensor itself."""
    return _index_put.inplace(input, _index_list("index_put_", indices), values, accumulate)


def _ones_in_front(shape: Size) -> int:
    """How many dims of one a shape begins with."""
    return next((d for d, n in enumerate(shape) if n != 1), len(shape))


def write_at(view: Tensor, tensors: list[Any], value: Any) -> None:
    """Writes at the places of index tensors; a number, or a tensor of one at a mask, is cast.

    Dims of one in front of a value are left out.
    """
    kind = view.dtype
    if not isinstance(value, Tensor):
        value = from_array(np.array(value).astype(kind.numpy))
    elif value.numel() == 1 and [x.dtype.name for x in tensors if x is not None] == ["bool"]:
        if type(value) is Tensor and kind.kind in "iu" and value.dtype.kind in "fc":
            ops.check_number(value.item(), kind.numpy)
        value = ops.converted(value, kind)
        if type(value) is type(view) is Tensor and np.may_share_memory(value._layout, view._layout):
            value = ops.clone(value)
    if value.shape[:1] == (1,):
        value = ops.view(value, value.shape[_ones_in_front(value.shape) :])
    _index_put.inplace(view, tensors, value, False)
