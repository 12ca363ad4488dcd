"""A random program, run on Pullback and on PyTorch, and how the two differ.

A program is a list of numbers: each choice, of leaves, steps and what they take, uses the next one. So every
list is a program, and shorter ones are simpler.
"""

import importlib
import math
import random
import re
import warnings
from dataclasses import dataclass

import numpy as np
from steps import STEPS, new

TOLERANCES = {"float64": 1e-9, "float32": 1e-4, "complex64": 1e-4, "float16": 1e-2, "bfloat16": 1e-1}
NODE = re.compile(r", grad_fn=<\w+>")


@dataclass
class Seen:
    """What a step showed: a tensor's properties, a text, None or the type of an exception, with its text."""

    step: str
    what: object
    text: str = ""


class Choices:
    """Numbers that decide; zeros when they are used up."""

    def __init__(self, numbers):
        self.numbers = iter(numbers)

    def __call__(self, options):
        return options[next(self.numbers, 0) % len(options)]


def seen(lib, x):
    """What is compared of a tensor."""
    dtype = str(x.dtype).removeprefix("torch.")
    shape = tuple(x.shape)
    strides = () if 0 in shape else tuple(s for s, n in zip(x.stride(), shape, strict=True) if n > 1)
    plain = x.detach().clone()  # what NumPy has seen cannot be resized
    wider = {"bfloat16": lib.float32, "complex32": lib.complex64}
    values = plain.to(wider.get(dtype, plain.dtype)).numpy(force=True)
    return {
        "dtype": dtype,
        "shape": shape,
        "strides": strides,
        "requires_grad": x.requires_grad,
        "values": values,
    }


def observed(lib, numbers, steps):
    """What a program shows, step by step: tensors, texts, and types of exceptions, which leave no trace."""
    pick, found = Choices(numbers), []
    pool = [new(lib, [], pick) for _ in range(2)]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for _ in range(steps):
            step = pick(STEPS)
            sizes = [x.numel() for x in pool]
            try:
                made = step(lib, pool, pick)
            except Exception as error:
                found.append(Seen(step.__name__, type(error).__name__, str(error)))
                continue
            grown = any(x.numel() > n for x, n in zip(pool, sizes, strict=True))
            if isinstance(made, lib.Tensor):
                pool.append(made)
                made = seen(lib, made)
            found.append(
                Seen(step.__name__, NODE.sub("", made) if isinstance(made, str) else made, GREW * grown)
            )
        found += [Seen("pool", seen(lib, x)) for x in pool]
        found += gradients(lib, pool)
    return found, pool


def gradients(lib, pool):
    """The gradients of all leaves of the sum of what depends on them."""
    try:
        ends = [x for x in pool if x.requires_grad and not x.is_leaf and x.dtype.is_floating_point]
        if not ends:
            return []
        sum(x.double().sum() for x in ends).backward()
    except Exception as error:
        return [Seen("backward", type(error).__name__, str(error))]
    return [Seen("grad", x.grad if x.grad is None else seen(lib, x.grad)) for x in pool if x.is_leaf]


def unlike(mine, theirs, tol):
    """None, or how two observations differ, numbers by more than a tolerance."""
    if isinstance(mine, str) or isinstance(theirs, str) or mine is None or theirs is None:
        return (
            None
            if mine is theirs or (isinstance(mine, str) and mine == theirs)
            else f"{theirs!r}, got {mine!r}"
        )
    for name in ("dtype", "shape", "requires_grad", "strides"):
        if mine[name] != theirs[name]:
            return f"{name} {theirs[name]}, got {mine[name]}"
    a, b = mine["values"], theirs["values"]
    if a.dtype.kind not in "fc":
        return None if np.array_equal(a, b) else f"{b[a != b]}, got {a[a != b]}"
    with np.errstate(all="ignore"):
        same = np.isclose(a, b, tol, tol, equal_nan=True)
    return None if same.all() else f"{b[~same]}, got {a[~same]}"


def difference(numbers, steps, mine, theirs):
    """None, or a line that says where the libraries part."""
    return compared(numbers, steps, mine, theirs)[0]


def compared(numbers, steps, mine, theirs):
    """Where the libraries part, and where they do on purpose: lines, or None."""
    (a, _), (b, _) = observed(mine, numbers, steps), observed(theirs, numbers, steps)
    for place, (one, two) in enumerate(zip(a, b, strict=False)):
        how = unlike(one.what, two.what, loosest(b))
        if how is not None:
            reason = on_purpose(one, two, b[:place])
            how = f"step {place}, {two.step}: expected {how} {two.text[:150]!r} {one.text[:150]!r}"
            return (None, reason) if reason else (how, None)
    return (None if len(a) == len(b) else f"expected {len(b)} steps, got {len(a)}"), None


def loosest(found):
    """The tolerance of the least precise dtype among what was seen."""
    return max((TOLERANCES.get(x.what["dtype"], 0) for x in found if isinstance(x.what, dict)), default=0)


# ------------------------------------------------------------------- what differs on purpose

GREW = "a tensor grew"
WROTE_BEFORE = ("ZeroDivisionError", "is out of bounds", "out of range", "INDICES element", '_out_cpu" not')
"""Errors that PyTorch raises when it has written a part, or given an output its shape."""
PYTORCH_CANNOT = (
    "doesn't match the broadcast shape",
    "can't be cast to the desired output type",
    "Autograd not support dtype",
    "returned an invalid gradient",
    "derivative for",
    "does not support automatic differentiation",
    "INTERNAL ASSERT FAILED",
    "must match the size of tensor",
)
"""Messages of a backward pass that fails in PyTorch."""


def on_purpose(mine, theirs, before):
    """Why the two differ on purpose, by the README's list; None if they should not."""
    values = isinstance(mine.what, dict) and isinstance(theirs.what, dict)
    integers = values and not mine.what["dtype"].startswith(("float", "bfloat", "complex"))
    if integers and theirs.what["requires_grad"] and not mine.what["requires_grad"]:
        return "integers never require a gradient"
    if "Autograd not support dtype" in theirs.text:
        return "integers never require a gradient"
    if "that returns multiple views" in theirs.text and any(x.step == "transformed" for x in before):
        return "results of transforms are no views"
    if theirs.step == "backward" and "modified by an inplace operation" in theirs.text:
        return "a write that no saved value covers is no error"
    if theirs.step == "backward" and any(words in theirs.text for words in PYTORCH_CANNOT):
        return "a gradient where PyTorch has none"
    if any(words in x.text for x in before for words in WROTE_BEFORE):
        return "what raises has written nothing"
    if any(x.text == GREW for x in (*before, theirs)):
        return "a tensor that grows has memory of its own"
    if values and theirs.step == "grad" and only_nan(mine.what["values"], theirs.what["values"]):
        return "zero times infinity is zero in a slope"
    if values and theirs.step in ("unary", "operator", "binary") and forgotten(mine.what, theirs.what):
        return "memory formats are kept"
    if values and theirs.step in ("operator", "binary", "quietly") and zero_to_zero(mine.what, theirs.what):
        return "0 ** 0 of complex numbers is 1"
    if (
        values
        and theirs.step == "transformed"
        and set(theirs.what["strides"]) - {1} == {0}
        and (mine.what["shape"] == theirs.what["shape"])
    ):
        return "a gradient that is the same everywhere has memory of its own"
    return None


def only_nan(a, b):
    """Whether two arrays differ only where the second is not a number."""
    if a.shape != b.shape or a.dtype.kind not in "fc":
        return False
    with np.errstate(all="ignore"):
        return bool(np.all(np.isclose(a, b, 1e-2, 1e-2, equal_nan=True) | np.isnan(b)))


def zero_to_zero(mine, theirs):
    """Whether complex powers differ only where the one is 1 and the other is not a number."""
    a, b = mine["values"], theirs["values"]
    if a.dtype.kind != "c" or a.shape != b.shape:
        return False
    with np.errstate(all="ignore"):
        return bool(np.all(np.isclose(a, b, 1e-4, 1e-4, equal_nan=True) | np.isnan(b) & (a == 1)))


def forgotten(mine, theirs):
    """Whether two tensors differ only in that the second one is contiguous, the first dense."""
    shape = theirs["shape"]
    kept = sorted((s, n) for s, n in zip(mine["strides"], [n for n in shape if n > 1], strict=False))
    dense = all(s == math.prod(n for _, n in kept[:i]) for i, (s, _) in enumerate(kept))
    rows = tuple(math.prod(shape[d + 1 :]) for d, n in enumerate(shape) if n > 1)
    return dense and theirs["strides"] == rows and mine["strides"] != rows and shape == mine["shape"]


def drawn(seed):
    """The choices of a program."""
    source = random.Random(seed)
    return [source.randrange(1 << 16) for _ in range(400)]


def libraries():
    """Pullback and PyTorch."""
    return importlib.import_module("pullback"), importlib.import_module("torch")
