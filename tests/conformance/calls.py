"""A call of the op database, to be run on either library, and what it means that two results agree.

`Call` is one sample of a row. `agree` compares two results: their form, then their values within the
row's tolerance; where the values are not unique or PyTorch's float32 is the less exact, by other means.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

import pullback

from . import draw
from .translate import for_ours, for_theirs, mapped, ours, to_numpy

AHEAD, SKIP = object(), object()
"""What a check may give besides None: beyond PyTorch, and nothing to compare."""

TIES = {"topk", "kthvalue", "mode", "sort", "argsort"}
"""Rows whose positions PyTorch leaves open among equal numbers."""


class Differs(Exception):
    """The two libraries do not agree."""


def attempt(action: Any, *args: Any) -> Any:
    """The action's result, None where it raises."""
    try:
        return action(*args)
    except Exception:
        return None


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
                raise Differs(f"values differ by {distance(a, b)}")
        elif not np.array_equal(a, b):
            raise Differs(f"{np.count_nonzero(a != b)} of {a.size} values differ")


def distance(a: np.ndarray, b: np.ndarray) -> str:
    """How far apart two arrays are, in a word."""
    off = np.isfinite(a) != np.isfinite(b)
    if off.any():
        return f"{b[off].flat[0]:.4g} for {a[off].flat[0]:.4g}"
    both = np.isfinite(a) & np.isfinite(b)
    return f"{np.abs(a - b)[both].max(initial=0):.1e} at {np.abs(a[both]).max(initial=0):.1e}"


def close(expected: list[np.ndarray], found: list[np.ndarray], rtol: float, atol: float) -> None:
    """Arrays equal within the tolerance, or that of single precision where they have it; in form too."""
    if len(expected) != len(found):
        raise Differs(f"{len(found)} gradients for {len(expected)}")
    for i, (a, b) in enumerate(zip(expected, found, strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise Differs(f"gradient {i} is {b.dtype}{list(b.shape)} for {a.dtype}{list(a.shape)}")
        single = a.dtype in ("f", "F")
        if not np.allclose(b, a, max(rtol, 1.3e-6 * single), max(atol, 1e-5 * single), equal_nan=True):
            raise Differs(f"gradient {i} differs by {distance(a, b)}")


def agree(call: Call, theirs: Any, mine: Any) -> None:
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
            at = [
                np.take_along_axis(source, k, axis) for k in (i, j) if k.max(initial=0) < source.shape[axis]
            ]
            if len(at) == 2 and np.array_equal(*at):
                return True
    return False


def _nearer(call: Call, theirs: Any, mine: Any) -> bool:
    """Whether the float32 result is as near as PyTorch's to what it gives in float64."""
    wide = call.widened()
    exact = attempt(run_theirs, call.row.op, wide.args, wide.kwargs)
    if exact is None:
        return False
    triples = zip(leaves(exact), leaves(theirs), leaves(mine), strict=True)
    return as_near(*zip(*(map(to_numpy, three) for three in triples if is_tensor(three[0])), strict=True))


def as_near(exact: Any, theirs: Any, mine: Any) -> bool:
    """Whether the last arrays are about as near to the first as the second."""
    for true, y, z in zip(exact, theirs, mine, strict=True):
        if y.dtype.kind not in "fc":
            continue
        with np.errstate(all="ignore"):
            errors = [np.abs(a - true).max(initial=0) for a in (y, z)]
        if not errors[1] <= 2 * errors[0] + 1e-6 * np.abs(true).max(initial=0):
            return False
    return True
