"""A random program, run on Pullback and on PyTorch, and how the two differ.

A program is a list of numbers: each choice, of leaves, steps and what they take, uses the next one. So every
list is a program, and shorter ones are simpler.
"""

import importlib
import random
import re
import warnings

import numpy as np
from purposes import (
    GREW,
    HAS_INTEGER_GRADIENT,
    IN_BOTH,
    IN_DOUBLE,
    MET,
    NO_INTEGERS,
    UNCHANGED,
    UNDONE,
    Seen,
    amendments,
    on_purpose,
)
from steps import HALVES, STEPS, Written, new

TOLERANCES = {"float64": 1e-9, "float32": 1e-4, "complex64": 1e-4, "float16": 1e-2, "bfloat16": 1e-1}
PRINTED = 2e-4  # the last of the digits that are printed
ROUNDED = "numbers that differ in the last digit are told apart"
NODE = re.compile(r",\s+grad_fn=<\w+>")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf)")


class Choices:
    """Numbers that decide; zeros when they are used up. `amended`: reasons for which the program changes."""

    def __init__(self, numbers, amended=frozenset()):
        self.numbers, self.words, self.amended = iter(numbers), (), amended

    def __call__(self, options):
        chosen = options[next(self.numbers, 0) % len(options)]
        self.words += (chosen,) * isinstance(chosen, str)
        return "float64" if IN_DOUBLE in self.amended and chosen in HALVES else chosen


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


class Program:
    """A program as it runs on a library: what it shows, step by step, is in `found`.

    It shows tensors, texts, and types of exceptions, which leave no trace. `marking` is not free.
    """

    def __init__(self, lib, numbers, amended=frozenset(), marking=True):
        self.lib, self.pick = lib, Choices(numbers, amended)
        self.marking = marking or UNDONE in amended
        self.pool = [new(lib, [], self.pick) for _ in range(2)]
        self.found = [Seen("new", seen(lib, x)) for x in self.pool]

    def run(self, steps):
        """Makes some steps."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            for _ in range(steps):
                self.step()

    def step(self):
        lib, pool, pick = self.lib, self.pool, self.pick
        step, pick.words = pick(STEPS), ()
        before = [x.detach().clone() for x in pool] if self.marking else []
        try:
            made, text = step(lib, pool, pick), ""
        except Exception as error:
            made, text = type(error).__name__, str(error)
        marks = marked(before, pool) if self.marking else ()
        if isinstance(made, lib.Tensor):
            pool.append(made)
        if isinstance(made, Written):
            made, marks = made.tensor, marks + (MET,) * made.meets
        if UNDONE in pick.amended and text:
            for x, old in zip(pool, before, strict=True):
                if not unchanged(x.detach(), old):
                    x.data = old if x.shape != old.shape else x.data.copy_(old)
        if NO_INTEGERS in pick.amended:
            pool[:] = [x.detach() if is_integer(x) and x.requires_grad else x for x in pool]
            made = made.detach() if isinstance(made, lib.Tensor) and is_integer(made) else made
        made = seen(lib, made) if isinstance(made, lib.Tensor) else made
        made = NODE.sub("", made) if isinstance(made, str) else made
        self.found.append(Seen(step.__name__, made, text, marks, pick.words))

    def end(self):
        """What all tensors are, and the gradients of all leaves of the sum of what depends on them."""
        lib, pool = self.lib, self.pool
        self.found += [Seen("pool", seen(lib, x)) for x in pool]
        try:
            ends = [x for x in pool if x.requires_grad and not x.is_leaf and x.dtype.is_floating_point]
            if not ends:
                return
            sum(x.double().sum() for x in ends).backward()
        except Exception as error:
            self.found.append(Seen("backward", type(error).__name__, str(error)))
            return
        self.found += [
            Seen("grad", x.grad if x.grad is None else seen(lib, x.grad)) for x in pool if x.is_leaf
        ]


def observed(lib, numbers, steps, amended=frozenset(), marking=True):
    """What a program shows."""
    program = Program(lib, numbers, amended, marking)
    program.run(steps)
    program.end()
    return program.found


def marked(before, pool):
    """What a step did to the tensors that were there."""
    grown = any(x.shape != old.shape for x, old in zip(pool, before, strict=True))
    integer = any(x.requires_grad and is_integer(x) for x in pool)
    same = all(unchanged(x.detach(), old) for x, old in zip(pool, before, strict=True))
    return (GREW,) * grown + (HAS_INTEGER_GRADIENT,) * integer + (UNCHANGED,) * same


def is_integer(x):
    return not (x.is_floating_point() or x.is_complex())


def unchanged(x, old):
    """Whether a tensor is what it was."""
    return x.shape == old.shape and bool(((x == old) | (x != x)).all())


def unlike(mine, theirs, tol):
    """None, or how two observations differ, numbers by more than a tolerance."""
    if isinstance(mine, str) or isinstance(theirs, str) or mine is None or theirs is None:
        same = mine is theirs or (
            isinstance(mine, str) and isinstance(theirs, str) and alike(mine, theirs, tol)
        )
        return None if same else f"{theirs!r}, got {mine!r}"
    for name in ("dtype", "shape", "requires_grad", "strides"):
        if mine[name] != theirs[name]:
            return f"{name} {theirs[name]}, got {mine[name]}"
    a, b = mine["values"], theirs["values"]
    if a.tobytes() == b.tobytes():
        return None
    if a.dtype.kind not in "fc":
        return None if np.array_equal(a, b) else f"{b[a != b]}, got {a[a != b]}"
    with np.errstate(all="ignore"):
        same = np.isclose(a, b, tol, tol, equal_nan=True)
    return None if same.all() else f"{b[~same]}, got {a[~same]}"


def alike(mine, theirs, tol):
    """Whether two texts are equal, but for blanks and the last digits of numbers."""
    words = [re.sub(r"\s", "", NUMBER.sub("#", text)) for text in (mine, theirs)]
    a, b = ([float(n) for n in NUMBER.findall(text)] for text in (mine, theirs))
    tol = max(tol, PRINTED)
    return words[0] == words[1] and np.allclose(a, b, tol, tol, equal_nan=True)


def difference(numbers, steps, mine, theirs):
    """None, or a line that says where the libraries part."""
    return compared(numbers, steps, mine, theirs)[0]


def compared(numbers, steps, mine, theirs, amended=frozenset()):
    """Where the libraries part, and where they do on purpose: lines, or None.

    Where a reason says what PyTorch's program would have to be, that program, amended, must agree.
    """
    place = parted(numbers, steps, mine, theirs, amended, marking=False)[0]
    if place is None:
        return None, None
    place, a, b, how = parted(numbers, steps, mine, theirs, amended, marking=True)
    one, two = a[place], b[place]
    more = amendments(one, two, b[:place]) - amended
    if more:
        told, reason = compared(numbers, steps, mine, theirs, amended | more)
        return told, None if told else reason or ", ".join(sorted(more))
    reason = on_purpose(one, two, b[:place])
    if not reason and place < 2 + steps and rounded(a[:place], b[:place]):
        reason = ROUNDED if alike_alone(numbers, place - 2, mine, theirs, amended) else None
    if not reason and nearer_to_truth(numbers, steps, theirs, amended, place, one, two):
        reason = "beside half precisions an op rounds once"
    where = f" ({', '.join(sorted(amended))})" if amended else ""
    how = f"step {place}, {two.step}: expected {how} {two.text[:150]!r} {one.text[:150]!r}{where}"
    return (None, reason) if reason else (how, None)


def parted(numbers, steps, mine, theirs, amended, marking):
    """The first place where both differ, or None; what both showed, to the end, and how they differ."""
    a = observed(mine, numbers, steps, amended & IN_BOTH, marking)
    b = observed(theirs, numbers, steps, amended, marking)
    more = [Seen("end", "nothing")] * abs(len(a) - len(b))
    a, b = (a + more, b) if len(a) < len(b) else (a, b + more)
    tol = loosest(b)
    for place, (one, two) in enumerate(zip(a, b, strict=True)):
        how = unlike(one.what, two.what, tol)
        if how is not None:
            return place, a, b, how
    return None, a, b, None


def loosest(found):
    """The tolerance of the least precise dtype among what was seen."""
    return max((TOLERANCES.get(x.what["dtype"], 0) for x in found if isinstance(x.what, dict)), default=0)


def rounded(ours, theirs):
    """Whether numbers differed before, if only in the last digit."""
    return any(
        isinstance(x.what, dict) and not np.array_equal(x.what["values"], y.what["values"], equal_nan=True)
        for x, y in zip(ours, theirs, strict=True)
    )


def alike_alone(numbers, steps, mine, theirs, amended):
    """Whether the step after so many others agrees if both libraries begin with the same numbers."""
    found = []
    for lib in (mine, theirs):
        program = Program(theirs, numbers, amended)
        program.run(steps)
        program.lib, program.pool = lib, [given(lib, x) for x in program.pool]
        program.run(1)
        found.append(program.found[-1])
    return unlike(*(one.what for one in found), loosest(found)) is None


def given(lib, x):
    """A tensor of a library with the numbers and the layout of one of PyTorch."""
    is_dense = x.numel() and x.untyped_storage().nbytes() == x.numel() * x.element_size()
    whole = x.detach().to(x.dtype if x.dtype.itemsize > 2 or is_integer(x) else x.float().dtype)
    y = lib.tensor(whole.tolist(), dtype=getattr(lib, str(whole.dtype).removeprefix("torch.")))
    y = y.reshape(tuple(x.shape)).to(getattr(lib, str(x.dtype).removeprefix("torch.")))
    if is_dense:
        y = lib.empty_strided(tuple(x.shape), x.stride(), dtype=y.dtype).copy_(y)
    return y.requires_grad_().clone() if x.requires_grad else y


def nearer_to_truth(numbers, steps, theirs, amended, place, one, two):
    """Whether numbers beside half precisions are no further from those in double precision than PyTorch's."""
    values = isinstance(one.what, dict) and isinstance(two.what, dict)
    if not values or one.what["shape"] != two.what["shape"] or one.what["dtype"] != two.what["dtype"]:
        return False
    found = observed(theirs, numbers, steps, amended | {IN_DOUBLE})
    if place >= len(found) or not isinstance(found[place].what, dict):
        return False
    truth, tol = found[place].what["values"], loosest([one])
    if truth.shape != two.what["shape"]:
        return False
    a, b = one.what["values"], two.what["values"]
    with np.errstate(all="ignore"):
        truth = truth.astype(a.dtype)
        close = np.isclose(a, truth, tol, tol, equal_nan=True)
        return bool(np.all(close | (np.abs(a - truth) <= 2 * np.abs(b - truth))))


def drawn(seed):
    """The choices of a program."""
    source = random.Random(seed)
    return [source.randrange(1 << 16) for _ in range(400)]


def libraries():
    """Pullback and PyTorch."""
    return importlib.import_module("pullback"), importlib.import_module("torch")
