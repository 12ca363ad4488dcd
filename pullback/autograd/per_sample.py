"""Gradients for each sample in the style of `backward`: `loss.backward()` leaves `p.grad_sample`.

`PerSample` is a level under the program. It knows of each tensor along which dim the samples lie, and whose
each index there is (`_Owners`): data come with their samples in the first dim, and ops carry that on. What
is computed of parameters alone is noted as a recipe. Where a parameter, or such a recipe, meets data, the op
runs as under `vmap`, with one copy of the parameter for each sample: a row of a leaf of its own. The result
goes on as an ordinary tensor. So the gradient that arrives at that leaf has a row a sample.

An op may also mix samples, or the level mistake what belongs to whom. So the numbers of all that was computed
sample by sample are compared with those of the op itself: where they differ, it is an error.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import IN_PLACE, Op, Tensor, apply_below, at_level_below
from pullback.core.dtypes import DTYPES, finfo
from pullback.core.modes import no_grad
from pullback.core.types import Array
from pullback.transforms import stack
from pullback.transforms.batching.interpreter import Batching

_WIDE = {d.kind: d for d in DTYPES if d.name in ("float64", "complex128")}
_COPY = _engine.REGISTRY["copy"]

JOINED = (
    "per_sample_grad: '{}' joins parameters with the samples of a batch in one number; each sample must "
    "stand by itself until the loss (with `batch_size`, tensors of another size are constants)"
)
OTHER_SIZE = (
    "per_sample_grad: in '{}' parameters meet a tensor whose first dim has the size {}, after batches of {}. "
    "Give `batch_size`: tensors of another size are constants then"
)


class _Owners(NamedTuple):
    """Along `dim`, index i is of the sample `ids[i]`, one of `size`; `live` if parameters have a part."""

    dim: int
    ids: Array
    size: int
    live: bool = False


class _Joined:
    """Stands for the owners of a tensor in whose numbers samples are joined."""


class _Call(NamedTuple):
    """An op or a custom Function, as it is called below the level and under `vmap`."""

    name: str
    below: Callable[[Any], Any]
    under: Callable[[Batching, Any], Any]
    random: bool = False


def _op_call(op: Op) -> _Call:
    return _Call(
        op.__name__,
        lambda args: apply_below(op, args),
        lambda level, args: level.process(op, args, None),
        op.random,
    )


def _function_call(cls: Any) -> _Call:
    return _Call(
        cls.__name__, lambda args: cls.apply(*args), lambda level, args: level.process_function(cls, args)
    )


class PerSample(stack.Interpreter):
    """The level of one `per_sample_grad`."""

    def __init__(self, params: Iterable[Tensor], batch_size: int | None) -> None:
        self.size, self.told = batch_size or 0, batch_size is not None
        self.params = {id(p): p for p in params}
        self.copies: dict[int, Any] = {}  # parameters, and what was made of them, one of each sample
        self.recipes: dict[int, tuple[Any, _Call, Any]] = {}  # how a tensor was made of parameters

    # ---------------------------------------------------------------------- what becomes of an op

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """An op: where parameters meet data, they stand for one of each sample."""
        if not _engine.grad_enabled() or _engine.current_pass() >= 0:
            return apply_below(op, args, out)  # nothing of this is differentiated; or it is the backward pass
        made, data = self._sorted(args)
        if not made:
            found = [self._owners(x) for x in data]
            result = apply_below(op, args, out)
            if data and not op.nondiff:
                self._follow(op, args, data, found, result)
            return result
        call, batch = _op_call(op), self._batch(op.__name__, data)
        if not batch:
            result = apply_below(op, args, out)
            self._note(call, args, result, out)
            return result
        results = self._by_sample(call, args, batch)
        if out is None:
            return results[0] if len(results) == 1 else tuple(results)
        target = args[0] if out is IN_PLACE else out
        apply_below(_COPY, (target, results[0], False), IN_PLACE)
        return target

    def process_function(self, cls: Any, args: tuple[Any, ...]) -> Any:
        """A custom Function, likewise: by its rule for `vmap`."""
        if not _engine.grad_enabled() or _engine.current_pass() >= 0:
            return cls.apply(*args)
        made, data = self._sorted(args)
        batch = self._batch(cls.__name__, data) if made else {}
        if batch:
            results = self._by_sample(_function_call(cls), args, batch)
            return results[0] if len(results) == 1 else tuple(results)
        result = cls.apply(*args)
        if made:
            self._note(_function_call(cls), args, result, None)
        return result

    def _sorted(self, args: Any) -> tuple[list[Tensor], list[Tensor]]:
        """The tensors made of parameters, and those that are data."""
        tensors = _all_tensors(args)
        made = [x for x in tensors if self._derived(x)]
        return made, [x for x in tensors if x.ndim and not self._derived(x)]

    def _note(self, call: _Call, args: Any, result: Any, out: Any) -> None:
        """How a tensor was made of parameters; what is written to is made of what it was."""
        target = args[0] if out is IN_PLACE else result
        if isinstance(target, (tuple, list)):
            for i, x in enumerate(target):
                self._note(call._replace(under=lambda *given, i=i: call.under(*given)[i]), args, x, None)
            return
        if not isinstance(target, Tensor):
            return
        if out is IN_PLACE and id(target) in self.recipes:
            before = _engine.alias(target)
            self.recipes[id(before)] = before, *self.recipes[id(target)][1:]
            args = (before, *args[1:])
            self.copies.pop(id(target), None)
        self.recipes[id(target)] = target, call, args

    def _derived(self, x: Any) -> bool:
        return id(x) in self.params or id(x) in self.recipes

    def _owners(self, x: Tensor) -> Any:
        """Whose the parts of a tensor are: known, or with its samples in the first dim.

        What came from a constant of another size, before that of the batch was known, begins anew.
        """
        found = self.held(x)
        if found is None or (type(found) is _Owners and self.size not in (0, found.size)):
            return _Owners(0, np.arange(x.shape[0]), x.shape[0])
        return found

    def _batch(self, name: str, data: list[Tensor]) -> dict[int, _Owners]:
        """Those of the data that have samples; the first that meet a parameter say how many there are."""
        known = {id(x): self._owners(x) for x in data}
        if any(type(owners) is _Joined for owners in known.values()):
            raise RuntimeError(JOINED.format(name))
        if data and not self.size:
            self.size = known[id(max(data, key=lambda x: x.ndim))].size
        batch = {key: owners for key, owners in known.items() if owners.size == self.size}
        if data and not batch and not self.told:
            raise RuntimeError(OTHER_SIZE.format(name, known[id(data[0])].size, self.size))
        return batch

    # ------------------------------------------------------------------------------ by samples

    def _by_sample(self, call: _Call, args: Any, batch: dict[int, _Owners]) -> list[Any]:
        """The results with a parameter for each sample, as tensors of the whole batch."""
        with no_grad():
            whole = None if call.random else _outputs(call.below(args))
        operands = [x for x in _all_tensors(args) if id(x) in batch]
        most = max(x.ndim for x in operands)
        choices = [operands, [x for x in operands if self.held(x)], [x for x in operands if x.ndim == most]]
        for spread, chosen in itertools.product((False, True), choices):
            own = {id(x): batch[id(x)] for x in chosen}  # of two tensors of that size one may be a constant
            found = self._run(call, args, own, whole, spread, self._of_each_sample)
            if found is not None:
                break
        else:
            raise RuntimeError(JOINED.format(call.name))
        results, owners = found
        for x, own in zip(results, owners, strict=True):
            if own is not None:
                self.hang(x, own._replace(live=True))
        return results

    def _run(
        self,
        call: _Call,
        args: Any,
        batch: dict[int, _Owners],
        whole: Any,
        spread: bool,
        copied: Callable[[Any], Any],
    ) -> tuple[list[Any], list[Any]] | None:
        """The results under `vmap`, laid as those of the op itself, and their owners.

        None where that cannot be: the op joins samples, or they are not where they were thought to be. If
        `spread`, what else has a dim as long as the batch is taken for spread over it: `p.expand(n, -1)`.
        """
        first = next(iter(batch.values()), None)
        if first is None or any(not np.array_equal(own.ids, first.ids) for own in batch.values()):
            return None
        for length in dict.fromkeys((_run_length(first.ids), 1)):  # blocks of one sample, or each index
            ids = first.ids[::length]
            level = Batching(len(ids), "different", spreads=False)

            def row(x: Any, level: Any = level, ids: Array = ids, length: int = length) -> Any:
                if type(x) in (list, tuple):
                    return type(x)([row(item) for item in x])
                if not isinstance(x, Tensor):
                    return x
                if id(x) in batch:
                    return level.lifted(_in_front(x, batch[id(x)].dim, len(ids), length))
                own = copied(x) if self._derived(x) else None
                if not spread or len(first.ids) not in x.shape:
                    return x if own is None else level.lifted(_gathered(own, ids))
                dim = list(x.shape).index(len(first.ids))
                if own is None and self.held(x) is not None:
                    return x
                part = x if own is None else _diagonal(own, dim, first.ids)
                return level.lifted(_in_front(part, dim, len(ids), length))

            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # a loop is slow, and all that can be done here
                    got = _outputs(call.under(level, tuple([row(x) for x in args])))
            except (RuntimeError, ValueError, IndexError, NotImplementedError):
                continue
            results: list[Any] = []
            owners: list[_Owners | None] = []
            for i, p in enumerate(got):
                found = _whole(level, p, None if whole is None else whole[i], first.dim, len(ids))
                if found is None:
                    break
                x, d = found
                results.append(x)
                if d is None:
                    owners.append(None)
                else:
                    owners.append(_Owners(d, np.repeat(ids, x.shape[d] // len(ids)), first.size))
            else:
                return results, owners
        return None

    def _of_each_sample(self, x: Any) -> Any:
        """A parameter, or what was made of parameters, with a row for each sample."""
        if id(x) not in self.copies:
            if id(x) in self.params:
                leaf = ops.expand(x.detach(), (self.size, *x.shape)).detach().requires_grad_()
                leaf.register_post_accumulate_grad_hook(lambda found: self._deliver(x, found))
                self.copies[id(x)] = leaf
            else:
                self.copies[id(x)] = self._replayed(*self.recipes[id(x)][1:])
        return self.copies[id(x)]

    def _replayed(self, call: _Call, args: Any) -> Any:
        """A recipe once more, for each sample."""
        level = Batching(self.size, "different", spreads=False)

        def row(x: Any) -> Any:
            if type(x) in (list, tuple):
                return type(x)([row(item) for item in x])
            return level.lifted(self._of_each_sample(x)) if self._derived(x) else x

        return level.front(call.under(level, tuple([row(x) for x in args])))

    def _deliver(self, p: Any, leaf: Any) -> None:
        """Gradients have arrived: the rows for the parameter, and their sum as before."""
        with stack.entered(_Cover()):
            rows, leaf.grad = leaf.grad, None
            before = getattr(p, "grad_sample", None)
            p.grad_sample = rows if before is None else before + rows
            total = ops.sum(rows.detach(), 0)
            p.grad = total if p.grad is None else p.grad + total

    # --------------------------------------------------------------------- whose the results are

    def _follow(self, op: Op, args: Any, data: list[Tensor], found: list[Any], result: Any) -> None:
        """Notes whose the parts of the results of an op on data are."""
        results = [x for x in _outputs(result) if isinstance(x, Tensor)]
        if any(type(own) is _Joined for own in found):
            owners: list[Any] = [_Joined()] * len(results)
        else:
            known = [
                pair for pair in zip(data, found, strict=True) if not self.size or pair[1].size == self.size
            ]
            if not known:
                return
            moves = op.view or (op.linear and op.moves)
            owners = self._moved(op, args, known) if moves else self._computed(op, args, known, results)
            live = any(own.live for _, own in known)
            if live and not self.told and any(type(own) is _Joined for own in owners):
                other = next((own.size for own in found if own.size != self.size), None)
                if other is not None:
                    raise RuntimeError(OTHER_SIZE.format(op.__name__, other, self.size))
            owners = [own._replace(live=live) if type(own) is _Owners else own for own in owners]
        for x, own in zip(results, owners, strict=True):
            if own is not None and x.ndim:
                self.hang(x, own)

    def _moved(self, op: Op, args: Any, known: list[tuple[Tensor, _Owners]]) -> list[Any]:
        """Of an op that moves elements: it moves the names of their samples likewise."""
        size = max(own.size for _, own in known)
        rng = np.random.default_rng(0)
        names = rng.permutation(np.unique(rng.integers(1 << 20, 1 << 24, 2 * size + 16)))[:size]
        owners = {id(x): own for x, own in known if own.size == size}

        def named(x: Any) -> Any:
            if type(x) in (list, tuple):
                return type(x)([named(item) for item in x])
            if not isinstance(x, Tensor) or x.dtype.kind not in "fc":
                return x
            line = np.zeros(1)
            if id(x) in owners:
                shape = [1] * x.ndim
                shape[owners[id(x)].dim] = -1
                line = names[owners[id(x)].ids].reshape(shape)
            full = np.empty_like(x._array, np.complex128 if x.dtype.kind == "c" else np.float64)
            full[...] = line
            return _engine.from_array(full)

        with no_grad():
            moved = _outputs(apply_below(op, tuple([named(x) for x in args])))
        return [_owners_in(x._array.real, names) for x in moved]

    def _computed(
        self, op: Op, args: Any, known: list[tuple[Tensor, _Owners]], results: list[Tensor]
    ) -> list[Any]:
        """Of any other op: where its result for each sample is, if it is in one place."""
        sure = [pair for pair in known if self.held(pair[0])]
        best = max(sure or known, key=lambda pair: pair[0].ndim)
        if op.random:
            return [best[1] if x.shape == best[0].shape else None for x in results]
        alike = [pair for pair in known if np.array_equal(pair[1].ids, best[1].ids)]
        for chosen in (alike, sure, [best]):
            with no_grad():
                batch = {id(x): own for x, own in chosen}
                found = self._run(_op_call(op), args, batch, results, False, lambda x: None)
            if found is not None:
                return found[1]
        return [_Joined()] * len(results)


# ------------------------------------------------------------------------------------------ parts


def _outputs(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _all_tensors(values: Any) -> list[Any]:
    found = []
    for x in values:
        if isinstance(x, Tensor):
            found.append(x)
        elif type(x) in (list, tuple):
            found.extend(_all_tensors(x))
    return found


def _run_length(ids: Array) -> int:
    """How many indices beside each other belong to one sample, if always as many."""
    changes = np.flatnonzero(np.diff(ids))
    length = int(changes[0]) + 1 if len(changes) else max(len(ids), 1)
    even = len(ids) % length == 0 and (ids.reshape(-1, length) == ids[::length, None]).all()
    return length if even else 1


def _in_front(x: Tensor, dim: int, count: int, length: int) -> Tensor:
    """A tensor with its samples in front, each a block of so many along the dim."""
    shape = tuple(x.shape)
    return ops.movedim(ops.reshape(x, (*shape[:dim], count, length, *shape[dim + 1 :])), dim, 0)


def _gathered(rows: Tensor, ids: Array) -> Tensor:
    """The rows of these samples."""
    if np.array_equal(ids, np.arange(rows.shape[0])):
        return rows
    return ops.index_select(rows, 0, _engine.from_array(np.ascontiguousarray(ids)))


def _diagonal(rows: Tensor, dim: int, ids: Array) -> Tensor:
    """Of a row for each sample, index i along the dim from that of the sample `ids[i]`."""
    front = ops.movedim(rows, dim + 1, 1)
    flat = ops.reshape(front, (-1, *front.shape[2:]))
    picked = ops.index_select(flat, 0, _engine.from_array(ids * len(ids) + np.arange(len(ids))))
    return ops.movedim(picked, 0, dim)


def _whole(level: Batching, p: Any, whole: Any, dim: int, count: int) -> tuple[Any, int | None] | None:
    """A result for each sample as one of the batch, and along which dim the samples are; None for none."""
    if not level.holds(p):
        return (p if whole is None else whole), None
    p = p.physical
    one = tuple(p.shape[1:])
    wanted = None if whole is None else tuple(whole.shape)
    if count == 1 and (wanted is None or wanted == one):
        return ops.select(p, 0, 0), min(dim, len(one) - 1) if one else None
    for d in sorted(range(len(one)), key=lambda d: d != dim):
        shape = (*one[:d], one[d] * count, *one[d + 1 :])
        if wanted is not None and shape != wanted:
            continue
        joined = ops.reshape(ops.movedim(p, 0, d), shape)
        if whole is None or _alike(joined, whole):
            return joined, d
    return None


def _alike(a: Tensor, b: Tensor) -> bool:
    """Whether two ways to compute the same agree."""
    if a.dtype.kind not in "fc":
        return bool(ops.equal(a, b))
    rounding = 2 * float(finfo(b.dtype).eps) ** 0.5
    x, y = (v.detach().to(_WIDE[v.dtype.kind])._array for v in (a, b))
    with np.errstate(all="ignore"):
        size = np.abs(y)[np.isfinite(y)].max(initial=0)
        return bool(((np.abs(x - y) <= rounding * size) | (x == y) | (np.isnan(x) & np.isnan(y))).all())


def _owners_in(named: Array, names: Array) -> _Owners | None:
    """The owners of a tensor whose elements are the names of their samples, 0 for none."""
    order = np.argsort(names)
    for dim in range(named.ndim):
        lines = np.moveaxis(named, dim, 0).reshape(named.shape[dim], -1)
        if not lines.size:
            return None
        high = lines.max(1)
        if (high != np.where(lines == 0, np.inf, lines).min(1)).any():
            continue
        places = np.minimum(np.searchsorted(names, high, sorter=order), len(names) - 1)
        ids = order[places]
        if (names[ids] == high).all():
            return _Owners(dim, ids, len(names))
    return None


class _Cover(stack.Interpreter):
    """A level that does nothing, above a `PerSample` that is to see nothing."""

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """The op below the level that this one covers."""
        return at_level_below(apply_below, op, args, out)


class per_sample_grad:
    """Within, a backward pass leaves in `p.grad_sample` the gradient of each sample, in a row each.

    `params` are leaves; the batch is the first dim of the data as they come in, or `batch_size` says how
    large it is, so that tensors of another size are constants. The rows add up to what `p.grad` gets as
    well; None stands for a parameter that met no data. A loss that is a mean gives rows with its factor in
    them, and what does not depend on the data (a penalty) counts in `p.grad` alone. Reshapes, transposes and
    parts of the batch are followed. Forward passes take twice the time: what is computed sample by sample is
    compared with the op itself. RuntimeError for an op that joins samples before the loss, as batch_norm
    does in training, and for data of another size than before.

    >>> import pullback as torch
    >>> w = torch.ones(2, requires_grad=True)
    >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> with torch.autograd.per_sample_grad([w]):
    ...     (x @ w).square().sum().backward()
    >>> w.grad_sample
    tensor([[ 6., 12.],
            [42., 56.]])
    """

    def __init__(self, params: Iterable[Tensor], batch_size: int | None = None) -> None:
        self._params, self._size = list(params), batch_size

    def __enter__(self) -> per_sample_grad:
        for p in self._params:
            if not (p.is_leaf and p.requires_grad):
                raise RuntimeError("per_sample_grad: parameters must be leaves that require a gradient")
            vars(p)["grad_sample"] = None
        self._level = stack.entered(PerSample(self._params, self._size))
        self._level.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._level.__exit__(*exc)
