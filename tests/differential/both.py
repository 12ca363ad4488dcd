"""A random program, run on Pullback and on PyTorch, and how the two differ.

A program is a list of numbers: each choice, of leaves, steps and what they take, uses the next one. So every
list is a program, and shorter ones are simpler.
"""

import importlib
import random
import re
import warnings

import numpy as np
from steps import STEPS, new

TOLERANCES = {"float64": 1e-9, "float32": 1e-4, "complex64": 1e-4, "float16": 1e-2, "bfloat16": 1e-1}
NODE = re.compile(r", grad_fn=<\w+>")


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
    plain = x.detach()
    plain = plain.resolve_conj().resolve_neg()
    values = (plain.float() if dtype == "bfloat16" else plain).numpy().copy()
    return {
        "dtype": dtype,
        "shape": shape,
        "strides": strides,
        "requires_grad": x.requires_grad,
        "values": values,
    }


def observed(lib, numbers, steps):
    """What a program shows, step by step: tensors, texts, and the types of exceptions."""
    pick, found = Choices(numbers), []
    pool = [new(lib, [], pick) for _ in range(2)]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for _ in range(steps):
            step = pick(STEPS)
            try:
                made = step(lib, pool, pick)
            except Exception as error:
                found.append((step.__name__, type(error).__name__, str(error)))
                return found, pool
            if isinstance(made, lib.Tensor):
                pool.append(made)
                made = seen(lib, made)
            found.append((step.__name__, NODE.sub("", made) if isinstance(made, str) else made, ""))
        found += [("pool", seen(lib, x), "") for x in pool]
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
        return [("backward", type(error).__name__, str(error))]
    return [("grad", x.grad if x.grad is None else seen(lib, x.grad), "") for x in pool if x.is_leaf]


def unlike(mine, theirs):
    """None, or how two observations differ."""
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
    tol = TOLERANCES.get(mine["dtype"], 0)
    if a.dtype.kind not in "fc":
        return None if np.array_equal(a, b) else f"{b}, got {a}"
    with np.errstate(all="ignore"):
        same = np.isclose(a, b, tol, tol, equal_nan=True)
    return None if same.all() else f"{b[~same]}, got {a[~same]}"


def difference(numbers, steps, mine, theirs):
    """None, or a line that says where the libraries part."""
    (a, _), (b, _) = observed(mine, numbers, steps), observed(theirs, numbers, steps)
    for place, (one, two) in enumerate(zip(a, b, strict=False)):
        how = unlike(one[1], two[1])
        if how is not None:
            return f"step {place}, {two[0]}: expected {how} {two[2][:150]!r} {one[2][:150]!r}"
    return None if len(a) == len(b) else f"expected {len(b)} steps, got {len(a)}"


def drawn(seed):
    """The choices of a program."""
    source = random.Random(seed)
    return [source.randrange(1 << 16) for _ in range(400)]


def libraries():
    """Pullback and PyTorch."""
    return importlib.import_module("pullback"), importlib.import_module("torch")
