"""Which elements of a result depend on which elements of an input: found by running the function once.

`Patterns` is an interpreter on the engine's stack. A tensor's pattern is a sparse boolean matrix, a row
for each of its elements and a column for each element of the input; an op's result gets its own from
those of the operands, by the first way that applies (`spread`): broadcast for elementwise ops, the op
run on index numbers for all that only moves data, its transpose run on index numbers for sums, whole
rows and columns for products of matrices, whole slices for ops with a `dim`, one unit vector after the
other for small linear ops, and everything for the rest. A pattern may be too large, never too small.
The backward pass is made of ops, so the pattern of a Hessian is that of the gradient. Values may be
looked at: the pattern is that of the branch taken.

The idea: Griewank and Walther, "Evaluating Derivatives" (2008), chapter 7.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import IN_PLACE, Op, Tensor
from pullback.core.dtypes import DTYPES
from pullback.core.modes import enable_grad
from pullback.core.types import Array
from pullback.transforms.leaves import gradients
from pullback.transforms.stack import Interpreter, entered, operands

LIMIT = 50_000_000
"""So many entries may a pattern have."""

SMALL = 2_000_000
"""Up to so many entries the matrix of a linear op is found from unit vectors."""

_WIDEST = {d.kind: d for d in DTYPES if d.name in ("float64", "complex128")}


def _matrix(rows: Array, columns: Array, shape: tuple[int, int]) -> Any:
    """The pattern with these entries."""
    from scipy.sparse import coo_array

    return coo_array((np.ones(len(rows), bool), (rows, columns)), shape=shape).tocsr()


def _element_numbers(shape: Any) -> Array:
    """The number of each element, in the order of memory."""
    return np.arange(math.prod(shape)).reshape(shape)


def _either(found: Any, more: Any) -> Any:
    return more if found is None else found if more is None else found + more


def _picked(pattern: Any, places: Array) -> Any:
    """The rows of a pattern at these places; those at -1 are empty."""
    flat = places.ravel()
    if len(flat) == pattern.shape[0] and (flat == np.arange(len(flat))).all():
        return pattern
    lengths = np.diff(pattern.indptr)
    if int(lengths.max(initial=0)) * len(flat) > LIMIT and int(lengths[flat[flat >= 0]].sum()) > LIMIT:
        raise RuntimeError(
            f"sparsity pattern: a value of the function depends on the input in more than {LIMIT} pairs "
            "of elements, which is too large. Give the pattern of the result as `sparsity=` if it is sparse."
        )
    if not len(flat) or flat.min() >= 0:
        return pattern[flat]
    rows = np.flatnonzero(flat >= 0)
    return _matrix(rows, flat[rows], (len(flat), pattern.shape[0])) @ pattern


def _gathered(pattern: Any, groups: Array, count: int) -> Any:
    """Row `k` of the result: the union of the rows that `groups` puts into group k, -1 for none."""
    flat = groups.ravel()
    rows = np.flatnonzero(flat >= 0)
    return _matrix(flat[rows], rows, (count, len(flat))) @ pattern


class Patterns(Interpreter):
    """The interpreter: each tensor that depends on the input has a pattern of `size` columns."""

    hangs = True

    def __init__(self, size: int) -> None:
        self.size = size

    def held(self, p: Any) -> Any:
        """What the engine keeps of a tensor that is about to be written to: its pattern."""
        return self.of(p)

    def of(self, x: Any) -> Any:
        """The pattern of a tensor, None for one that does not depend on the input."""
        if not isinstance(x, Tensor):
            return None
        if x._base is not None:
            held = self.of(x._base)
            return None if held is None else _picked(held, self._places(x))
        return super().held(x)

    def give(self, x: Tensor, pattern: Any) -> None:
        """Sets the pattern of a tensor; a view's is that of its base."""
        if pattern is not None and pattern.nnz == 0:
            pattern = None
        if x._base is None:
            self.hang(x, pattern)
            return
        places, base = self._places(x).ravel(), x._base
        held = self.of(base)
        if held is None and pattern is None:
            return
        kept = np.arange(base.numel())
        kept[places] = -1
        outside = None if held is None else _picked(held, kept)
        inside = None if pattern is None else _gathered(pattern, places, len(kept))
        self.give(base, _either(outside, inside))

    def _places(self, view: Tensor) -> Array:
        """For each element of a view the number of the base's element that it is."""
        base = view._base
        assert base is not None
        numbers = _engine.from_array(_element_numbers(base.shape))
        size, stride, offset, strides = _engine.view_geometry(view)
        return _engine.REGISTRY["strided_take"](numbers, strides, size, stride, offset)._array

    # --------------------------------------------------------------------------- the interpreter

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """An op on tensors that may have patterns."""
        patterns = [self.of(x) for x in _operands(op, args)]
        fills = op.random and op.moves  # random numbers in the place of the old ones
        dependent = any(p is not None for p in patterns) and not op.nondiff and not fills
        if out is not None:
            target = args[0] if out is IN_PLACE else out
            found = self._spread(op, args, patterns, [target])[0] if dependent else None
            result = _engine.apply_below(op, args, out)
            if not isinstance(target, (tuple, list)):
                self.give(target, found)
            return result
        result = _engine.apply_below(op, args, out)
        if dependent and op.view and not op.multi_view and result.dtype != args[0].dtype:
            result = ops.clone(result)
            self.give(result, _reinterpreted(patterns[0], result.numel()))
        elif dependent and not op.view:
            results = result if isinstance(result, (tuple, list)) else [result]
            for x, pattern in zip(results, self._spread(op, args, patterns, results), strict=True):
                if pattern is not None and x.dtype.kind in "fc":
                    self.give(x, pattern)
        return result

    def process_function(self, cls: Any, args: tuple[Any, ...]) -> Any:
        """A custom Function: nobody knows what it does, so all depends on all."""
        result, _ = cls._run(args)
        patterns = [self.of(x) for x in args]
        if any(p is not None for p in patterns):
            for x in result if isinstance(result, tuple) else (result,):
                if isinstance(x, Tensor):
                    self.give(x, self._everything(cls.__name__, patterns, x))
        return result

    # ------------------------------------------------------------------------------ propagation

    def _spread(self, op: Op, args: Any, patterns: list[Any], results: Any) -> list[Any]:
        """The patterns of an op's results."""
        shapes = [x.shape for x in results]
        if op.elementwise and not op.chooses:  # which only moves data
            return [_union_broadcast(_operands(op, args), patterns, shapes[0])]
        ways: list[Callable[..., Any]] = []
        if op.factors:
            ways.append(_of_product)
        elif op.linear or op.multilinear or op.moves:
            ways.append(_by_numbers)
            if op.linear or op.moves:
                ways.append(_by_transpose)
        if "dim" in op.params:
            ways.append(_by_slices)
        if op.linear or op.multilinear:
            ways.append(_by_units)
        for way in ways:
            found = way(op, args, patterns, shapes)
            if found is not None:
                return found
        return [self._everything(op.name, patterns, x) for x in results]

    def _everything(self, name: str, patterns: list[Any], result: Tensor) -> Any:
        """The last resort: each element depends on all that any operand depends on."""
        used = np.zeros(self.size, bool)
        for pattern in patterns:
            if pattern is not None:
                used[pattern.indices] = True
        columns = np.flatnonzero(used)
        if len(columns) * result.numel() > LIMIT:
            raise RuntimeError(
                f"sparsity pattern: nothing is known of how the result of '{name}', of shape "
                f"{list(result.shape)}, depends on its inputs, and a dense block of "
                f"{result.numel()} x {len(columns)} is too large. Give the pattern as `sparsity=`."
            )
        rows = np.repeat(np.arange(result.numel()), len(columns))
        return _matrix(rows, np.tile(columns, result.numel()), (result.numel(), self.size))


def _operands(op: Op, args: Any) -> list[Tensor]:
    """All tensors among the operands, those in lists too."""
    return [x for x in operands(op, args) if x is not None]


def _replaced(op: Op, args: Any, values: list[Any]) -> Any:
    """The arguments with each tensor replaced by the next value, and dtypes by the widest."""
    left = iter(values)
    found: list[Any] = []
    for name, x, kind in zip(op.params, args, op.kinds, strict=True):
        if kind == "L":
            found.append([next(left) if isinstance(item, Tensor) else item for item in x])
        elif kind == ".":
            wide = name == "dtype" and x is not None and x.kind in _WIDEST
            found.append(_WIDEST[x.kind] if wide else x)
        else:
            found.append(next(left) if isinstance(x, Tensor) else x)
    return tuple(found)


def _reinterpreted(pattern: Any, count: int) -> Any:
    """So many numbers in place of those of a view's base: complex numbers, their parts, or pairs of these."""
    rows = pattern.shape[0]
    if not count:
        return None
    if count < rows:
        return _gathered(pattern, np.arange(rows) // (rows // count), count)
    return _picked(pattern, np.repeat(np.arange(rows), count // rows))


def _union_broadcast(tensors: list[Tensor], patterns: list[Any], shape: Any) -> Any:
    """An elementwise op: the union of the operands' rows, broadcast."""
    found = None
    for x, pattern in zip(tensors, patterns, strict=True):
        if pattern is not None:
            places = np.broadcast_to(_element_numbers(x.shape), shape)
            found = _either(found, _picked(pattern, places))
    return found


# --------------------------------------------------------------- ops that move data, and sums


def _run(op: Op, args: Any, operands: list[Any]) -> list[Array]:
    """The op on other operands."""
    result = _engine.apply_below(op, _replaced(op, args, operands))
    return [x._array for x in (result if isinstance(result, (tuple, list)) else [result])]


def _wide(x: Tensor) -> Tensor:
    """A constant operand in double precision; indices and masks as they are."""
    return _engine.from_array(x._array.astype(_WIDEST[x.dtype.kind].name)) if x.dtype.kind in _WIDEST else x


def _with_values(x: Tensor, values: Array) -> Tensor:
    """An operand like `x` with these numbers, in both parts of complex ones."""
    values = values * (1 + 1j) if x.dtype.kind == "c" else values
    return _engine.from_array(values.reshape(x.shape).copy())


def _by_numbers(op: Op, args: Any, patterns: list[Any], shapes: Any) -> Any:
    """An op that only moves data puts the numbers of the elements where it puts the elements.

    It runs on the numbers 1, 2, ... and on random ones that fall: an element that shows the same mapping in
    both is a copy; one that is the same in both depends on nothing; any other ends the attempt, and so does
    one that was chosen for its size.
    """
    tensors = _operands(op, args)
    sizes = [0 if p is None else p.shape[0] for p in patterns]
    starts, total = np.cumsum([0, *sizes]), sum(sizes)
    noise = np.sort(np.random.default_rng(0).uniform(1, 2, total))[::-1].copy()
    seen = []
    for value in (np.arange(1.0, total + 1), noise):
        operands = [
            _wide(x) if p is None else _with_values(x, value[start : start + n])
            for x, p, start, n in zip(tensors, patterns, starts, sizes, strict=False)
        ]
        seen.append(_run(op, args, operands))
    together = _below_each_other(patterns)
    found: list[Any] = []
    for numbers, others in zip(*seen, strict=True):
        union, parts = None, [(numbers, others)]
        if numbers.dtype.kind == "c":
            parts = [(numbers.real, others.real), (numbers.imag, others.imag)]
        for part, other in parts if numbers.dtype.kind in "fc" else ():
            index = _copied(part, other, noise)
            if index is None:
                return None
            if (index >= 0).any():
                union = _either(union, _picked(together, index))
        found.append(union)
    return found


def _copied(numbers: Array, others: Array, noise: Array) -> Array | None:
    """For each element which of the numbers 1, 2, ... it is, -1 for none; None if it is not one of them."""
    constant = (numbers == others) | (np.isnan(numbers) & np.isnan(others))
    place = np.where(constant, 0, np.abs(numbers)) - 1
    if not ((place == np.rint(place)) & (place >= -1) & (place < len(noise))).all():
        return None
    index = place.astype(np.int64)
    moved = index[~constant]
    if (moved < 0).any() or (np.sign(numbers[~constant]) * noise[moved] != others[~constant]).any():
        return None
    return index


def _below_each_other(patterns: list[Any]) -> Any:
    """The patterns of the dependent operands, one below the other."""
    from scipy.sparse import vstack

    present = [p for p in patterns if p is not None]
    return present[0] if len(present) == 1 else vstack(present, format="csr")


def _by_transpose(op: Op, args: Any, patterns: list[Any], shapes: Any) -> Any:
    """A sum of elements, perhaps scaled: its transpose copies.

    The gradient of the op, at the numbers of the result's elements, shows to which of them each
    element of an operand is added. The factors are real; others end the attempt.
    """
    tensors = _operands(op, args)
    count = math.prod(shapes[0])
    if len(shapes) > 1 or count == 0:
        return None
    numbers = np.arange(1.0, count + 1)
    noise = np.random.default_rng(0).standard_normal(count)
    given = [v.reshape(shapes[0]) for v in (numbers, noise, np.ones(count))]
    with enable_grad():
        operands = [
            _wide(x) if p is None else _wide(x).detach().requires_grad_()
            for x, p in zip(tensors, patterns, strict=True)
        ]
        result = _engine.apply_below(op, _replaced(op, args, operands))
        sources = [x for x, p in zip(operands, patterns, strict=True) if p is not None]
        if not isinstance(result, Tensor) or not result.requires_grad:
            return None
        starts = [_engine.from_array(g.astype(result.dtype.name)) for g in given]
        grads = [gradients([result], sources, [g], True, False) for g in starts]
    found = None
    for pattern, *seen in zip([p for p in patterns if p is not None], *grads, strict=True):
        if seen[0] is None:
            continue
        if any(np.iscomplexobj(g._array) and g._array.imag.any() for g in seen):
            return None
        to, at_noise, scale = (g._array.real for g in seen)
        with np.errstate(all="ignore"):
            place = np.where(scale == 0, -1, to / scale - 1)
        if not ((np.abs(np.rint(place) - place) <= 1e-6) & (place > -1.5) & (place < count - 0.5)).all():
            return None
        index = np.rint(place).astype(np.int64)
        if not np.allclose(at_noise, np.where(index < 0, 0, scale * noise[index]), rtol=1e-9, atol=0):
            return None
        found = _either(found, _gathered(pattern, index, count))
    return [found]


# ----------------------------------------------------------------- products, slices, small ops


def _of_product(op: Op, args: Any, patterns: list[Any], shapes: Any) -> Any:
    """A product of matrices: rows of the left factor and columns of the right one, whole.

    A factor that is constant and mostly zero shows which elements count.
    """
    known = dict(zip(op.params, args, strict=True))
    place = {id(x): p for x, p in zip(_operands(op, args), patterns, strict=True)}
    a, b = (known[name] for name in op.factors)
    of_a, of_b = place[id(a)], place[id(b)]
    if a.ndim == b.ndim == 1 and len(shapes[0]) == 2:  # an outer product: a column and a row
        a, b = _engine.from_array(a._array[:, None]), _engine.from_array(b._array[None, :])
    found = None
    if len(op.factors) < len(_operands(op, args)) and place[id(known["self"])] is not None:
        found = _union_broadcast([known["self"]], [place[id(known["self"])]], shapes[0])
    exact = _by_zeros(a, b, of_a, of_b)
    if exact is not None:
        return [_either(found, exact)]
    rows = np.arange(math.prod(a.shape[:-1])).reshape(*a.shape[:-1], 1)
    columns = b.shape[:-2] + b.shape[-1:] if b.ndim > 1 else ()
    columns = np.arange(math.prod(columns)).reshape(columns)
    left = rows if b.ndim > 1 else rows[..., 0]
    right = columns if a.ndim == 1 or b.ndim == 1 else columns[..., None, :]
    left = left[..., 0, :] if a.ndim == 1 and b.ndim > 1 and left.ndim > 1 else left
    shape = np.broadcast_shapes(left.shape, right.shape)
    if math.prod(shape) != math.prod(shapes[0]):
        return None
    for x, pattern, lines, axis in ((a, of_a, left, -1), (b, of_b, right, -2)):
        if pattern is not None:
            axis = axis if x.ndim > 1 else -1
            groups = np.broadcast_to(np.expand_dims(_without(x.shape, axis), axis), x.shape)
            union = _gathered(pattern, groups, lines.size)
            found = _either(found, _picked(union, np.broadcast_to(lines, shape)))
    return [found]


def _without(shape: Any, axis: int) -> Array:
    """The numbers of the elements that are left when one dim is summed away."""
    kept = list(shape)
    del kept[axis]
    return _element_numbers(kept)


def _by_zeros(a: Tensor, b: Tensor, left: Any, right: Any) -> Any:
    """The pattern of a product of which one factor is a constant with many zeros; None for others."""
    from scipy.sparse import csr_array, eye_array, kron

    if a.ndim > 2 or b.ndim > 2 or (left is None) == (right is None):
        return None
    fixed = (a if left is None else b)._array != 0
    if fixed.ndim == 1:
        fixed = fixed[None, :] if left is None else fixed[:, None]
    other = b if left is None else a
    count = 1 if other.ndim == 1 else other.shape[1] if left is None else other.shape[0]
    entries = int(fixed.sum())
    if entries * count > (LIMIT if 2 * entries <= fixed.size else SMALL):
        return None
    if left is None:
        return kron(csr_array(fixed), eye_array(count, dtype=bool), format="csr") @ right
    return kron(eye_array(count, dtype=bool), csr_array(fixed.T), format="csr") @ left


def _by_slices(op: Op, args: Any, patterns: list[Any], shapes: Any) -> Any:
    """An op along `dim`: an element of the result depends on the slice of each operand that it lies in."""
    dim = args[op.params.index("dim")]
    if dim is not None and not isinstance(dim, (int, tuple, list)):
        return None
    dependent = [(x.shape, p) for x, p in zip(_operands(op, args), patterns, strict=True) if p is not None]
    shape = dependent[0][0]
    dims = range(len(shape)) if dim is None or dim in ((), []) else [dim] if isinstance(dim, int) else dim
    dims = tuple({d % max(len(shape), 1) for d in dims})
    reduced = _with_ones(shape, dims)
    union = None
    for own, pattern in dependent:
        if _with_ones(own, dims) != reduced:
            return None
        groups = np.broadcast_to(_element_numbers(reduced), own)
        union = _either(union, _gathered(pattern, groups, math.prod(reduced)))
    found = []
    for wanted in shapes:
        if math.prod(wanted) == math.prod(reduced):
            found.append(union)
        elif len(wanted) == len(shape) and all(
            n == m for d, (n, m) in enumerate(zip(wanted, shape, strict=True)) if d not in dims
        ):
            found.append(_picked(union, np.broadcast_to(_element_numbers(reduced), wanted)))
        else:
            return None
    return found


def _with_ones(shape: Any, dims: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with these dims of size one."""
    return tuple(1 if d in dims else n for d, n in enumerate(shape))


def _by_units(op: Op, args: Any, patterns: list[Any], shapes: Any) -> Any:
    """A small linear op: its matrix, a column for each unit vector."""
    tensors = _operands(op, args)
    dependent = [i for i, p in enumerate(patterns) if p is not None]
    if len(dependent) != 1 or len(shapes) != 1:
        return None
    (place,) = dependent
    size = tensors[place].numel()
    if size * max(math.prod(shapes[0]), size) > SMALL:
        return None
    columns = []
    for unit in np.eye(size):
        column = np.zeros(math.prod(shapes[0]), bool)
        for value in (unit, 1j * unit) if tensors[place].dtype.kind == "c" else (unit,):
            fixed = _engine.from_array(value.reshape(tensors[place].shape))
            operands = [fixed if i == place else _wide(x) for i, x in enumerate(tensors)]
            column |= _run(op, args, operands)[0].ravel() != 0
        columns.append(column)
    rows, entries = np.nonzero(np.stack(columns, 1))
    return [_matrix(rows, entries, (math.prod(shapes[0]), size)) @ patterns[place]]


# ------------------------------------------------------------------------------------ entrance


def dependencies(function: Callable[[Tensor], Any], x: Tensor) -> Any:
    """The pattern of `function(x)` with respect to x: a boolean matrix, by rows."""
    from scipy.sparse import csr_array, eye_array

    start = x.detach().clone().requires_grad_()
    tracer = Patterns(x.numel())
    tracer.hang(start, eye_array(x.numel(), dtype=bool, format="csr"))
    with entered(tracer):
        result = function(start)
    if not isinstance(result, Tensor):
        raise TypeError(f"the function must return a tensor, but returned {type(result).__name__}")
    pattern = tracer.of(result)
    return csr_array((result.numel(), x.numel()), dtype=bool) if pattern is None else csr_array(pattern)
