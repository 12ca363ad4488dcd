"""The single comparisons: a call, its forms, its derivatives, its batches, its refusal.

A check returns None if it holds, `AHEAD` if Pullback can do what PyTorch cannot, `SKIP` if there is
nothing to compare, and raises otherwise. `Call` is one sample of a row, to be run on either library.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad as their_forward

import pullback
import pullback.func
from pullback.autograd import forward_ad as our_forward

from . import draw
from .translate import for_ours, for_theirs, mapped, ours, to_numpy

AHEAD, SKIP = object(), object()


TIES = {"topk", "kthvalue", "mode", "sort", "argsort"}
"""Rows whose positions PyTorch leaves open among equal numbers."""


CORRUPT_OUT = {"tril", "triu"}
"""Rows with which PyTorch 2.13 writes outside of an `out` of another layout, and crashes later."""


class Differs(Exception):
    """The two libraries do not agree."""


class Call:
    """One sample of a row: the arguments, and the ways to run it."""

    def __init__(self, row: Any, dtype: torch.dtype | None, sample: Any) -> None:
        self.row, self.sample = row, sample
        self.args, self.kwargs = (sample.input, *sample.args), sample.kwargs
        self.dtype = dtype
        self.where = f"{_short(dtype)} {_described(self.args, self.kwargs)}"[:160]
        self.process = sample.output_process_fn_grad

    def theirs(self) -> Any:
        """PyTorch's result in a list, None where it refuses."""
        try:
            return [run_theirs(self.row.op, self.args, self.kwargs)]
        except Exception:
            return None

    def differentiated(self) -> tuple[Any, Any]:
        """The function whose gradients are compared, of either library: symmetric inputs, no gauge."""
        wrapper, process = self.row.gradcheck_wrapper, self.process

        def theirs(*args: Any, **kwargs: Any) -> Any:
            return process(wrapper(self.row.op, *args, **kwargs))

        our_op, our_wrapper, our_process = ours(self.row.op), ours(wrapper), ours(process)

        def mine(*args: Any, **kwargs: Any) -> Any:
            return our_process(our_wrapper(our_op, *args, **kwargs))

        return theirs, mine


    def widened(self) -> Call:
        """The same call in float64."""
        args, kwargs = mapped(self.args, _wide), mapped(self.kwargs, _wide)
        wide = copy.copy(self)
        wide.args, wide.kwargs, wide.dtype = args, kwargs, torch.float64
        return wide


def _wide(x: Any) -> Any:
    """float32 as float64: a leaf, or the dtype."""
    if x is torch.float32:
        return torch.float64
    if isinstance(x, torch.Tensor) and x.dtype is torch.float32:
        return x.detach().double().requires_grad_(x.requires_grad)
    return x


def _short(dtype: torch.dtype | None) -> str:
    name = str(dtype).removeprefix("torch.")
    return name.replace("float", "f").replace("complex", "c").replace("int", "i") if dtype else ""


def _described(args: Any, kwargs: Any) -> str:
    """The arguments in short: shapes for tensors."""

    def leaf(x: Any) -> Any:
        return _Shape(x) if isinstance(x, torch.Tensor) else x

    parts = [repr(mapped(x, leaf)) for x in args]
    parts += [f"{k}={mapped(x, leaf)!r}" for k, x in kwargs.items()]
    return f"({', '.join(parts)})"


class _Shape:
    def __init__(self, t: torch.Tensor) -> None:
        self.t = t

    def __repr__(self) -> str:
        return f"{_short(self.t.dtype)}{list(self.t.shape)}"


def run_theirs(function: Any, args: Any, kwargs: Any) -> Any:
    """A call on PyTorch with fresh copies of its tensors."""
    args, kwargs = for_theirs(args, kwargs)
    torch.manual_seed(0)
    return function(*args, **kwargs)


def run_ours(function: Any, args: Any, kwargs: Any) -> Any:
    """The same on Pullback."""
    args, kwargs = for_ours(args, kwargs)
    pullback.manual_seed(0)
    return function(*args, **kwargs)


# -------------------------------------------------------------------------------- results compared


def leaves(value: Any) -> list[Any]:
    """The tensors and other values of a result, in order."""
    if isinstance(value, torch.Size | pullback.Size):
        return [tuple(value)]
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def is_tensor(x: Any) -> bool:
    return isinstance(x, torch.Tensor | pullback.Tensor)


def same_form(theirs: Any, mine: Any) -> None:
    """Both results have as many parts, of the same dtypes and shapes."""
    a, b = leaves(theirs), leaves(mine)
    if len(a) != len(b):
        raise Differs(f"{len(b)} results for {len(a)}")
    for x, y in zip(a, b, strict=True):
        if is_tensor(x) != is_tensor(y):
            raise Differs(f"a {type(y).__name__} for a {type(x).__name__}")
        if is_tensor(x):
            if str(x.dtype) != str(y.dtype).replace("pullback.", "torch."):
                raise Differs(f"dtype {y.dtype} for {x.dtype}")
            if tuple(x.shape) != tuple(y.shape):
                raise Differs(f"shape {tuple(y.shape)} for {tuple(x.shape)}")


def same_values(theirs: Any, mine: Any, rtol: float, atol: float) -> None:
    """All parts are equal within the tolerance."""
    for x, y in zip(leaves(theirs), leaves(mine), strict=True):
        if not is_tensor(x):
            close = x == y or (isinstance(x, float | complex) and np.allclose(x, y, rtol, atol, True))
            if not close and not isinstance(x, torch.dtype):
                raise Differs(f"{y!r} for {x!r}")
            continue
        a, b = to_numpy(x), to_numpy(y)
        if a.dtype.kind in "fc":
            if not np.allclose(b, a, rtol, atol, equal_nan=True):
                raise Differs(f"values differ by {_distance(a, b)}")
        elif not np.array_equal(a, b):
            raise Differs(f"{np.count_nonzero(a != b)} of {a.size} values differ")


def _distance(a: np.ndarray, b: np.ndarray) -> str:
    """How far apart two arrays are, in a word."""
    off = np.isfinite(a) != np.isfinite(b)
    if off.any():
        return f"{b[off].flat[0]:.4g} for {a[off].flat[0]:.4g}"
    both = np.isfinite(a) & np.isfinite(b)
    return f"{np.abs(a - b)[both].max(initial=0):.1e} at {np.abs(a[both]).max(initial=0):.1e}"


def function(call: Call, theirs: Any, notes: Any) -> None:
    """The function's values, dtypes and shapes."""
    mine = run_ours(ours(call.row.op), call.args, call.kwargs)
    _agree(call, theirs[0], mine)
    for x, y in zip(leaves(theirs[0]), leaves(mine), strict=True):
        if is_tensor(x) and x.numel() > 1 and x.stride() != y.stride():
            notes["strides"] += 1


def _agree(call: Call, theirs: Any, mine: Any) -> None:
    """Form and values; where the values are not unique, those of the sample's invariant."""
    same_form(theirs, mine)
    if "empty" in call.row.name:  # the memory holds anything
        return
    tensors = [x for x in leaves(theirs) if is_tensor(x)]
    dtype = tensors[0].dtype if tensors else call.dtype
    rtol, atol = map(max, draw.tolerance(call.row, call.dtype), draw.tolerance(call.row, dtype))
    try:
        same_values(theirs, mine, rtol, atol)
    except Differs as difference:
        if _unique(call, theirs, mine, rtol, atol) or _tied(call, theirs, mine):
            return
        if call.dtype is torch.float32 and _nearer(call, theirs, mine):
            return
        raise difference


def _unique(call: Call, theirs: Any, mine: Any, rtol: float, atol: float) -> bool:
    """Whether the results agree after the sample's own processing, which drops signs and phases."""
    try:
        same_values(call.process(theirs), ours(call.process)(mine), rtol, atol)
    except Exception:
        return False
    return True


def _tied(call: Call, theirs: Any, mine: Any) -> bool:
    """Whether positions differ only where the input has equal numbers."""
    if call.row.name not in TIES:
        return False
    (*values, places), (*our_values, our_places) = leaves(theirs), leaves(mine)
    if any(not np.array_equal(to_numpy(x), to_numpy(y)) for x, y in zip(values, our_values, strict=True)):
        return False
    source, a, b = map(to_numpy, (call.args[0], places, our_places))
    for axis in range(source.ndim):
        i, j = (np.expand_dims(x, axis) if x.ndim < source.ndim else x for x in (a, b))
        if all(n == m or k == axis for k, (n, m) in enumerate(zip(i.shape, source.shape, strict=True))):
            at = [np.take_along_axis(source, k, axis) for k in (i, j) if k.max(initial=0) < source.shape[axis]]
            if len(at) == 2 and np.array_equal(*at):
                return True
    return False


def _nearer(call: Call, theirs: Any, mine: Any) -> bool:
    """Whether the float32 result is as near as PyTorch's to what it gives in float64."""
    wide = call.widened()
    exact = attempt(run_theirs, call.row.op, wide.args, wide.kwargs)
    if exact is None:
        return False
    for x, y, z in zip(leaves(exact), leaves(theirs), leaves(mine), strict=True):
        if not is_tensor(x) or to_numpy(y).dtype.kind not in "fc":
            continue
        true = to_numpy(x)
        with np.errstate(all="ignore"):
            errors = [np.abs(to_numpy(t) - true).max(initial=0) for t in (y, z)]
        if not errors[1] <= 2 * errors[0] + 1e-6 * np.abs(true).max(initial=0):
            return False
    return True


# ---------------------------------------------------------------------------------- other forms


def method(call: Call) -> Any:
    """The method gives what PyTorch's method gives."""
    try:
        theirs = run_theirs(call.row.method_variant, call.args, call.kwargs)
    except Exception:
        return SKIP
    _agree(call, theirs, run_ours(ours(call.row.method_variant), call.args, call.kwargs))
    return None


def inplace(call: Call) -> Any:
    """The in-place method returns its tensor and leaves the result in it; or both refuse."""
    if not isinstance(call.args[0], torch.Tensor):
        return SKIP
    try:
        theirs = run_theirs(call.row.inplace_variant, call.args, call.kwargs)
    except Exception as refusal:
        try:
            run_ours(ours(call.row.inplace_variant), call.args, call.kwargs)
        except type(refusal):
            return SKIP
        raise Differs(f"does not refuse: {type(refusal).__name__}: {refusal}") from None
    args, kwargs = for_ours(call.args, call.kwargs)
    pullback.manual_seed(0)
    mine = ours(call.row.inplace_variant)(*args, **kwargs)
    if mine is not args[0]:
        raise Differs("does not return its tensor")
    _agree(call, theirs, mine)
    return None


def into_out(call: Call, theirs: Any) -> Any:
    """`out=` tensors of another layout get the result and keep their layout."""
    results = theirs[0]
    single = isinstance(results, torch.Tensor)
    parts = [results] if single else list(results) if isinstance(results, tuple | list) else []
    if not parts or not all(isinstance(x, torch.Tensor) for x in parts):
        return SKIP

    def holders() -> Any:
        made = [holder(x, plain=call.row.name in CORRUPT_OUT) for x in parts]
        return made[0] if single else tuple(made)

    try:
        their_out = holders()
        run_with_out(run_theirs, call.row.op, call, their_out)
    except Exception:
        return SKIP
    args, kwargs = for_ours(call.args, call.kwargs)
    our_out, _ = for_ours(holders(), {})
    pullback.manual_seed(0)
    ours(call.row.op)(*args, **kwargs, out=our_out)
    _agree(call, results, our_out)
    for x, y in zip(leaves(their_out), leaves(our_out), strict=True):
        if x.numel() > 1 and x.stride() != y.stride():
            raise Differs(f"strides of out {y.stride()} for {x.stride()}")
    return None


def holder(like: torch.Tensor, plain: bool) -> torch.Tensor:
    """A tensor of ones to hold a result, its dimensions laid out in the other order unless `plain`."""
    if plain:
        return torch.ones_like(like, memory_format=torch.contiguous_format)
    return torch.ones(tuple(like.shape)[::-1], dtype=like.dtype).permute(*reversed(range(like.ndim)))


def run_with_out(run: Any, op: Any, call: Call, out: Any) -> Any:
    """PyTorch's call into `out`, which is not copied."""
    args, kwargs = for_theirs(call.args, call.kwargs)
    torch.manual_seed(0)
    return op(*args, **kwargs, out=out)


# ---------------------------------------------------------------------------------- derivatives


def noise(shape: Any, dtype: Any, number: int) -> np.ndarray:
    """Normal numbers of a dtype, the same for both libraries."""
    rng = np.random.default_rng(number)
    kind = np.dtype(str(dtype).rpartition(".")[2])
    drawn = rng.standard_normal(tuple(shape))
    if kind.kind == "c":
        drawn = drawn + 1j * rng.standard_normal(tuple(shape))
    return np.asarray(drawn, kind)


def real_product(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """The sum of Re(conj(a) b)."""
    return float(sum(np.sum(np.conj(x) * y).real for x, y in zip(a, b, strict=True)))


class Side:
    """One library's run of a call for its derivatives: the inputs, the outputs, the gradients."""

    def __init__(self, library: Any, function: Any, translate: Any, call: Call) -> None:
        self.library, self.function, self.call, self.translate = library, function, call, translate
        self.args, self.kwargs = translate(call.args, call.kwargs)
        self.inputs = unique(t for t in leaves([self.args, self.kwargs]) if is_tensor(t) and t.requires_grad)

    def run(self) -> list[Any]:
        """The outputs that may have a derivative."""
        self.library.manual_seed(0)
        found = leaves(self.function(*self.args, **self.kwargs))
        return [y for y in found if is_tensor(y) and (y.dtype.is_floating_point or y.dtype.is_complex)]

    def make(self, like: Any, number: int, grad: bool) -> Any:
        made = self.library.from_numpy(noise(like.shape, like.dtype, number))
        return made.requires_grad_(grad)

    def grad(self, ends: list[Any], sources: list[Any], number: int, graph: bool) -> tuple[Any, Any]:
        """Gradients of the ends in random directions, and the directions."""
        starts = [self.make(y, number + i, graph) for i, y in enumerate(ends)]
        found = self.library.autograd.grad(
            ends, sources, starts, create_graph=graph, allow_unused=True
        )
        return found, starts


def unique(things: Any) -> list[Any]:
    """The things in order, each once."""
    return list({id(t): t for t in things}.values())


def dense(grads: Any, sources: Any) -> list[np.ndarray]:
    """Gradients as arrays; none is zero."""
    return [
        np.zeros(tuple(x.shape), noise((), x.dtype, 0).dtype) if g is None else to_numpy(g)
        for g, x in zip(grads, sources, strict=True)
    ]


class Gradients:
    """First and second gradients and the tangents of a call, each against PyTorch's."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.verdict = None
        self.rtol, self.atol = draw.tolerance(call.row, call.dtype)
        if call.dtype is torch.float32:
            self.rtol, self.atol = max(self.rtol, 1e-4), max(self.atol, 1e-4)

    def sides(self) -> tuple[Side, Side]:
        theirs, mine = self.call.differentiated()
        return Side(torch, theirs, for_theirs, self.call), Side(pullback, mine, for_ours, self.call)

    def first(self) -> Any:
        """Gradients of all outputs with a graph."""
        them, us = self.sides()
        expected = attempt(self._first_of, them)
        if expected is None:
            found = attempt(self._first_of, us)
            if found is None or self.call.dtype is torch.float32:
                return SKIP
            return self._ahead(us, found)
        self.verdict = self._settle(us, expected, self._first_of(us))
        return self.verdict

    def _first_of(self, side: Side) -> list[np.ndarray] | None:
        ends = [y for y in side.run() if y.requires_grad]
        if not ends:
            raise Differs("the result has no gradient")
        side.grads, side.starts = side.grad(ends, side.inputs, 10, graph=True)
        return dense(side.grads, side.inputs)

    def second(self) -> Any:
        """Gradients of the gradients, with respect to the inputs and to the first directions."""
        them, us = self.sides()
        expected = attempt(self._second_of, them)
        if expected is None:
            found = attempt(self._second_of, us)
            if found is None:
                return SKIP
            return self._ahead_twice(us, found)
        return self._settle(us, expected, self._second_of(us), twice=True)

    def _second_of(self, side: Side) -> list[np.ndarray]:
        self._first_of(side)
        ends = [g for g in side.grads if g is not None and g.requires_grad]
        if not ends:
            raise Differs("the gradient has no gradient")
        sources = side.inputs + side.starts
        found, _ = side.grad(ends, sources, 50, graph=False)
        return dense(found, sources)

    def _settle(self, us: Side, expected: Any, found: Any, twice: bool = False) -> Any:
        """Equal, or, where the libraries differ, Pullback alone in agreement with differences."""
        try:
            close(expected, found, self.rtol, self.atol)
        except Differs:
            if self.call.dtype is torch.float32:
                if attempt(Gradients(self.call.widened()).first) is AHEAD:
                    return AHEAD
                raise
            judge = self._ahead_twice if twice else self._ahead
            if attempt(judge, us, found) is not AHEAD:
                raise
            if attempt(judge, us, expected) is AHEAD and self.verdict is not AHEAD:
                raise
            return AHEAD
        return None

    def _ahead(self, us: Side, grads: list[np.ndarray]) -> Any:
        """Gradients that PyTorch lacks, against central differences along a random direction."""
        return self._differences(us, grads, lambda: [y for y in us.run() if y.requires_grad], 10)

    def _ahead_twice(self, us: Side, grads: list[np.ndarray]) -> Any:
        """The same for the gradients of gradients."""

        def ends() -> list[Any]:
            self._first_of(us)
            return [g for g in us.grads if g is not None and g.requires_grad]

        return self._differences(us, grads[: len(us.inputs)], ends, 50)

    def _differences(self, us: Side, grads: list[np.ndarray], ends: Any, number: int) -> Any:
        """Where the function has no value, neither side counts."""
        homes = [to_numpy(x).copy() for x in us.inputs]
        values = list(map(to_numpy, ends()))
        defined = [np.isfinite(v) for v in values]
        if all(d.all() for d in defined) and not all(np.isfinite(g).all() for g in grads):
            raise Differs("gradient is not finite, the values are (PyTorch has none)")
        starts = [np.where(d, noise(v.shape, v.dtype, number + i), 0) for i, (v, d) in enumerate(zip(values, defined, strict=True))]
        finite = [np.isfinite(g) for g in grads]
        if not any(d.any() for d in defined) or not any(f.any() for f in finite):
            return SKIP
        steps = [np.where(f, noise(x.shape, x.dtype, 90 + i), 0) for i, (x, f) in enumerate(zip(us.inputs, finite, strict=True))]
        found = []
        for size in (1e-6, -1e-6, 5e-7, -5e-7):
            for x, home, step in zip(us.inputs, homes, steps, strict=True):
                x.detach().copy_(pullback.from_numpy(np.asarray(home + size * step)))
            moved = [np.where(d, to_numpy(y), 0) for y, d in zip(ends(), defined, strict=True)]
            found.append(real_product(starts, moved))
        for x, home in zip(us.inputs, homes, strict=True):
            x.detach().copy_(pullback.from_numpy(home))
        slope, again = (found[0] - found[1]) / 2e-6, (found[2] - found[3]) / 1e-6
        if not abs(slope - again) <= 1e-3 * max(1.0, abs(slope)):
            return SKIP  # not smooth enough for differences to tell
        claimed = real_product([np.where(f, g, 0) for g, f in zip(grads, finite, strict=True)], steps)
        if not abs(slope - claimed) <= 1e-4 * max(1.0, abs(slope), abs(claimed)):
            raise Differs(f"gradient {claimed:.6g}, differences give {slope:.6g} (PyTorch has none)")
        return AHEAD

    def forward_mode(self) -> Any:
        """Tangents against PyTorch's, or by the adjoint identity where it has none."""
        them, us = self.sides()
        expected = attempt(tangents, them, torch, their_forward)
        if expected is None:
            found = attempt(tangents, us, pullback, our_forward)
            grads = attempt(self._first_of, us)
            if found is None or grads is None:
                return SKIP
            return self._adjoint(us, found, grads)
        found = tangents(us, pullback, our_forward)
        try:
            close(expected, found, self.rtol, self.atol)
        except Differs:
            grads = attempt(self._first_of, us)
            if grads is None or attempt(self._adjoint, us, found, grads) is not AHEAD:
                raise
            if attempt(self._adjoint, us, expected, grads) is AHEAD:
                raise
            return AHEAD
        return None

    def _adjoint(self, us: Side, found: list[np.ndarray], grads: list[np.ndarray]) -> Any:
        directions = [noise(x.shape, x.dtype, 70 + i) for i, x in enumerate(us.inputs)]
        ends = [y.requires_grad for y in us.run()]
        pushed = [t for t, has in zip(found, ends, strict=True) if has]
        left = real_product([noise(t.shape, t.dtype, 10 + i) for i, t in enumerate(pushed)], pushed)
        right = real_product(grads, directions)
        if np.isnan(left) and np.isnan(right):
            return SKIP
        if not abs(left - right) <= 1e-6 * max(1.0, abs(left), abs(right)):
            raise Differs(f"<u, Jv> = {left:.6g}, <J'u, v> = {right:.6g}")
        return AHEAD


def tangents(side: Side, library: Any, forward: Any) -> list[np.ndarray]:
    """The tangents of the outputs for random tangents of the inputs."""
    with forward.dual_level():
        twins = {
            id(x): forward.make_dual(x.detach(), side.make(x, 70 + i, False))
            for i, x in enumerate(side.inputs)
        }
        args, kwargs = mapped((side.args, side.kwargs), lambda x: twins.get(id(x), x))
        library.manual_seed(0)
        outs = [y for y in leaves(side.function(*args, **kwargs)) if is_tensor(y)]
        outs = [y for y in outs if y.dtype.is_floating_point or y.dtype.is_complex]
        found = [forward.unpack_dual(y).tangent for y in outs]
        if library is torch and all(t is None for t in found):
            raise Differs("the result has no tangent")
        return dense(found, outs)


def close(expected: list[np.ndarray], found: list[np.ndarray], rtol: float, atol: float) -> None:
    """Arrays equal within the tolerance, in shape and dtype too."""
    if len(expected) != len(found):
        raise Differs(f"{len(found)} gradients for {len(expected)}")
    for i, (a, b) in enumerate(zip(expected, found, strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise Differs(f"gradient {i} is {b.dtype}{list(b.shape)} for {a.dtype}{list(a.shape)}")
        if not np.allclose(b, a, rtol, atol, equal_nan=True):
            raise Differs(f"gradient {i} differs by {_distance(a, b)}")


def attempt(action: Any, *args: Any) -> Any:
    """The action's result, None where it raises."""
    try:
        return action(*args)
    except Exception:
        return None


# ----------------------------------------------------------------------------- batches, refusals


def batched(one: Call, two: Call, all_in: bool) -> Any:
    """`vmap` over two samples stacked gives what the loop over them gives."""
    theirs = attempt(_batch, torch, one.row.op, for_theirs, one, two, all_in)
    if theirs is SKIP:
        return SKIP
    if theirs is None:
        mine = attempt(_batch, pullback, ours(one.row.op), for_ours, one, two, all_in)
        return SKIP if mine is None else AHEAD
    _batch(pullback, ours(one.row.op), for_ours, one, two, all_in)
    return None


def _batch(library: Any, op: Any, translate: Any, one: Call, two: Call, all_in: bool) -> Any:
    """Holds vmap against the loop within one library."""
    (args, kwargs), (args2, kwargs2) = (translate(c.args, c.kwargs) for c in (one, two))
    flat, flat2 = leaves([args, kwargs]), leaves([args2, kwargs2])
    places = [i for i, x in enumerate(flat) if is_tensor(x)]
    if not places:
        return SKIP
    chosen = places if all_in else places[:1]
    if not all_in and len(places) == 1:
        return SKIP
    alike = all(is_tensor(y) and y.shape == x.shape and y.dtype == x.dtype for x, y in zip(flat, flat2, strict=False) if is_tensor(x))
    pairs = {i: (flat[i], flat2[i] if alike and _floats(flat[i]) else flat[i]) for i in chosen}

    def rebuilt(tensors: dict[int, Any]) -> Any:
        counter = iter(range(len(flat)))

        def leaf(x: Any) -> Any:
            return tensors.get(next(counter), x)

        return mapped((args, kwargs), leaf)

    def single(*tensors: Any) -> Any:
        a, k = rebuilt(dict(zip(chosen, tensors, strict=True)))
        library.manual_seed(0)
        out = op(*a, **k)
        return tuple(leaves(out)) if isinstance(out, list | tuple) else out

    loop = [leaves(single(*(pairs[i][b].clone() for i in chosen))) for b in (0, 1)]
    if not all(is_tensor(x) for x in loop[0]):
        return SKIP
    stacked = [library.stack(pairs[i]) for i in chosen]
    found = leaves(library.func.vmap(single, randomness="different")(*stacked))
    random = "empty" in one.row.name or _varies(single, library, [pairs[i][0] for i in chosen])
    for k, x in enumerate(found):
        for b in (0, 1):
            expected = loop[b][k]
            if x[b].shape != expected.shape or x.dtype != expected.dtype:
                raise Differs(f"batch is {x.dtype}{list(x.shape)}, the loop {expected.dtype}{list(expected.shape)}")
            if not random and not np.allclose(to_numpy(x[b]), to_numpy(expected), 1e-6, 1e-6, True):
                raise Differs(f"batch {b} differs from the loop by {_distance(to_numpy(expected), to_numpy(x[b]))}")
    return True


def _floats(x: Any) -> bool:
    return x.dtype.is_floating_point or x.dtype.is_complex


def _varies(single: Any, library: Any, tensors: list[Any]) -> bool:
    """Whether a call draws random numbers: the generator has moved."""
    library.manual_seed(0)
    before = to_numpy(library.get_rng_state())
    single(*(t.clone() for t in tensors))
    return not np.array_equal(before, to_numpy(library.get_rng_state()))


def refusal(call: Call) -> Any:
    """The same exception with the same text."""
    try:
        run_theirs(call.row.op, call.args, call.kwargs)
    except Exception as error:
        expected = error
    else:
        return SKIP
    try:
        run_ours(ours(call.row.op), call.args, call.kwargs)
    except Exception as error:
        found = error
    else:
        raise Differs(f"no error; PyTorch: {type(expected).__name__}: {_text(expected)}")
    if type(found) is not type(expected):
        raise Differs(f"{type(found).__name__}: {_text(found)!r} for {type(expected).__name__}: {_text(expected)!r}")
    if _text(found) != _text(expected):
        raise Differs(f"text {_text(found)!r} for {_text(expected)!r}")
    return None


def _text(error: Exception) -> str:
    """A message without links and C++ positions, under one name for both libraries."""
    text = re.sub(r"\s*\(Triggered internally at [^)]*\)", "", str(error)).partition("\nException raised")[0]
    text = re.sub(r"(https?://|github\.com/)[^\s)]+", "<url>", text)
    return re.sub(r"\s+", " ", text.replace("pullback.", "torch.")).strip()
