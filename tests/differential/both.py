"""A random program, run on Pullback and on PyTorch, and how the two differ.

A program is a list of numbers: each choice, of leaves, steps and what they take, uses the next one. So every
list is a program, and shorter ones are simpler.
"""

import importlib
import itertools
import math
import random
import re
import warnings
from dataclasses import dataclass

import numpy as np
from steps import STEPS, Written, new, words

TOLERANCES = {"float64": 1e-9, "float32": 1e-4, "complex64": 1e-4, "float16": 1e-2, "bfloat16": 1e-1}
HALVES = ("float16", "bfloat16")
PRINTED = 2e-4  # the last of the digits that are printed
NODE = re.compile(r",\s+grad_fn=<\w+>")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf)")


@dataclass
class Seen:
    """What a step showed: a tensor's properties, a text, None or the type of an exception, with its text.

    `marks` say what became of all tensors: GREW, HAS_INTEGER_GRADIENT, UNCHANGED, MET. `words` were chosen.
    """

    step: str
    what: object
    text: str = ""
    marks: tuple = ()
    words: tuple = ()


class Choices:
    """Numbers that decide; zeros when they are used up."""

    def __init__(self, numbers):
        self.numbers, self.words = iter(numbers), ()

    def __call__(self, options):
        chosen = options[next(self.numbers, 0) % len(options)]
        self.words += (chosen,) * isinstance(chosen, str)
        return chosen


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
    found += [Seen("new", seen(lib, x)) for x in pool]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for _ in range(steps):
            step, pick.words = pick(STEPS), ()
            before = [x.detach().clone() for x in pool]
            try:
                made, text = step(lib, pool, pick), ""
            except Exception as error:
                made, text = type(error).__name__, str(error)
            marks = marked(before, pool)
            if isinstance(made, lib.Tensor):
                pool.append(made)
            if isinstance(made, Written):
                made, marks = made.tensor, marks + (MET,) * made.meets
            made = seen(lib, made) if isinstance(made, lib.Tensor) else made
            made = NODE.sub("", made) if isinstance(made, str) else made
            found.append(Seen(step.__name__, made, text, marks, pick.words))
        found += [Seen("pool", seen(lib, x)) for x in pool]
        found += gradients(lib, pool)
    return found, pool


def marked(before, pool):
    """What a step did to the tensors that were there."""
    grown = any(x.shape != old.shape for x, old in zip(pool, before, strict=True))
    integer = any(x.requires_grad and not (x.is_floating_point() or x.is_complex()) for x in pool)
    same = all(unchanged(x.detach(), old) for x, old in zip(pool, before, strict=True))
    return (GREW,) * grown + (HAS_INTEGER_GRADIENT,) * integer + (UNCHANGED,) * same


def unchanged(x, old):
    """Whether a tensor is what it was."""
    return x.shape == old.shape and bool(((x == old) | (x != x)).all())


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
        same = mine is theirs or (
            isinstance(mine, str) and isinstance(theirs, str) and alike(mine, theirs, tol)
        )
        return None if same else f"{theirs!r}, got {mine!r}"
    for name in ("dtype", "shape", "requires_grad", "strides"):
        if mine[name] != theirs[name]:
            return f"{name} {theirs[name]}, got {mine[name]}"
    a, b = mine["values"], theirs["values"]
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


def compared(numbers, steps, mine, theirs):
    """Where the libraries part, and where they do on purpose: lines, or None."""
    (a, _), (b, _) = observed(mine, numbers, steps), observed(theirs, numbers, steps)
    nothing = Seen("end", "nothing")
    for place, (one, two) in enumerate(itertools.zip_longest(a, b, fillvalue=nothing)):
        how = unlike(one.what, two.what, loosest(b))
        if how is not None:
            reason = on_purpose(one, two, b[:place]) or by_rounding(one, two, a[:place], b[:place])
            how = f"step {place}, {two.step}: expected {how} {two.text[:150]!r} {one.text[:150]!r}"
            return (None, reason) if reason else (how, None)
    return None, None


def loosest(found):
    """The tolerance of the least precise dtype among what was seen."""
    return max((TOLERANCES.get(x.what["dtype"], 0) for x in found if isinstance(x.what, dict)), default=0)


# ------------------------------------------------------------------- what differs on purpose

GREW, HAS_INTEGER_GRADIENT, UNCHANGED = "a tensor grew", "integers require a gradient", "nothing changed"
MET = "memory that is written is read, too, or written twice"
LARGE = 1e3
WRONG_WRITES = (
    "out of bounds",
    "refer to a single memory",
    "could not be broadcast together",
    "cannot be broadcast",
    "dtypes match",
    "cannot be converted",
    "does not match the shape",
    "not implemented for 'Bool'",
    "the same dtype",
    "tensors used as indices must be",
)
AUTOGRAD_FIRST = ("is being used in an in-place operation", "created inside a custom Function")
"""Errors that PyTorch raises before it looks at the arguments."""
PYTORCH_CANNOT = (
    "doesn't match the broadcast shape",
    "can't be cast to the desired output type",
    "Autograd not support dtype",
    "returned an invalid gradient",
    "derivative for",
    "does not support automatic differentiation",
    "INTERNAL ASSERT FAILED",
    "must match the size of tensor",
    "on a bool tensor is not supported",
    "out of bounds for storage of size",
    "Expected isFloatingType(grad.scalar_type())",
)
"""Messages of a backward pass that fails in PyTorch."""


def on_purpose(mine, theirs, before):
    """Why the two differ on purpose, by the README's list; None if they should not."""
    values = isinstance(mine.what, dict) and isinstance(theirs.what, dict)
    if any(HAS_INTEGER_GRADIENT in x.marks for x in (*before, theirs)):
        return "integers never require a gradient"
    if "Autograd not support dtype" in theirs.text:
        return "integers never require a gradient"
    empty = any(isinstance(x.what, dict) and 0 in x.what["shape"] for x in before)
    dtypes = any(words in mine.text for words in ("not implemented for", "to have the same dtype"))
    refused = not theirs.text and dtypes and empty
    if "for outputs with complex dtype" in theirs.text or refused:
        return "a dtype is refused, or has a gradient, for tensors without elements as for others"
    if "ComplexHalf" in theirs.text:
        return "complex numbers beside half precisions are complex64"
    if "that returns multiple views" in theirs.text and any(x.step == "transformed" for x in before):
        return "results of transforms are no views"
    if theirs.step == "backward" and "modified by an inplace operation" in theirs.text:
        return "a write that no saved value covers is no error"
    if "modified by an inplace operation" in mine.text and any(x.step == "product" for x in before):
        return "matmul saves its factors, never copies of them"
    if theirs.step == "backward" and any(words in theirs.text for words in PYTORCH_CANNOT):
        return "a gradient where PyTorch has none"
    if "select(): index 0 out of range" in theirs.text and theirs.step == "transformed" and has_none(mine):
        return "vmap takes a batch without samples"
    if "A view was created in no_grad mode" in theirs.text and is_whole(mine):
        return "integers never require a gradient"
    if "created inside a custom Function" in theirs.text and is_whole(mine):
        return "what has no gradient asks for no history"
    if "cannot register a hook" in mine.text and any(x.step == "quietly" for x in before):
        return "a view made without a graph takes no hook"
    if "a view has no history" in mine.text and any(GREW in x.marks for x in before):
        return "a tensor given other memory takes its views out of the graph"
    if "a leaf Variable" in theirs.text and any(x.step in ("put", "quietly", "in_place") for x in before):
        return "a view has the history of its base, whatever was written there before"
    if any(words in theirs.text for words in AUTOGRAD_FIRST) and mine.text:
        return "what needs no numbers is checked first, before what autograd forbids"
    if any(x.text and UNCHANGED not in x.marks for x in before):
        return "what raises has written nothing"
    untouched = theirs.step == "put" and UNCHANGED in theirs.marks and not theirs.text
    if "out of bounds" in mine.text and (theirs.what is None or has_none(theirs) or untouched):
        return "an index out of range is refused on a tensor without elements"
    itself = UNCHANGED in mine.marks or MET in mine.marks
    if all(any(words in text for words in WRONG_WRITES) for text in (mine.text, theirs.text)):
        return "of two things that are wrong, another is named"
    if "refer to a single memory" in mine.text and theirs.step == "put":
        return "what is written is computed from what was there before"
    if "refer to a single memory" in theirs.text and not mine.text and itself:
        return "what is written is computed from what was there before"
    if any(MET in x.marks for x in (*before, theirs)):
        return "what is written is computed from what was there before"
    if "refers to a single memory" in theirs.text and theirs.step == "transformed" and not mine.text:
        return "forward mode takes expanded tensors"
    if "refers to a single memory" in mine.text and (UNCHANGED in theirs.marks or theirs.step == "into"):
        return "expanded tensors are not written"
    if theirs.step == "transformed" and has_none(theirs) and not mine.text:
        return "a Jacobian without elements requires no gradient"
    if any(GREW in x.marks for x in (*before, theirs)):
        return "a tensor that grows has memory of its own"
    if not values:
        return None
    if of_signs(mine.what["values"], theirs.what["values"], [values_of(x) for x in before]):
        return "the sign of a NaN, or of the larger of 0 and -0"
    if (
        theirs.step == "grad"
        and only_nan(theirs.what["values"], mine.what["values"])
        and any(isinstance(x.what, dict) and x.what["dtype"] in HALVES for x in before)
    ):
        return "beside half precisions an op rounds once"
    if "prod" in theirs.words and theirs.what["dtype"] in HALVES and overflown(mine, theirs):
        return "beside half precisions an op rounds once"
    halves = any(isinstance(x.what, dict) and x.what["dtype"] in HALVES for x in before)
    if theirs.step == "grad" and halves and any(x.step == "image" for x in before) and near(mine, theirs):
        return "beside half precisions an op rounds once"
    hooks = sum(x.step == "hook" and x.what is None for x in before)
    if theirs.step == "grad" and hooks > 1 and any(x.words and x.words[-1].endswith("_") for x in before):
        return "a hook on a view whose base was written is called"
    negated = any(word in ("neg", "neg_") for x in before for word in x.words)
    if negated and conjugate(mine.what["values"], theirs.what["values"]):
        return "the negative of a complex number negates zeros, too"
    not_a_number = any(np.isnan(values_of(x)).any() for x in before)
    if theirs.step == "grad" and only_nan(theirs.what["values"], mine.what["values"]) and not_a_number:
        return "the gradient of a product with a NaN is NaN, beside two zeros too"
    if theirs.step in ("unary", "quietly") and any((np.abs(values_of(x)) > LARGE).any() for x in before):
        return "the sine of a large number turns on its last digit"
    if theirs.step == "image" and only_nan(mine.what["values"], theirs.what["values"]):
        return "gelu of -inf is 0"
    if theirs.step in ("grad", "transformed") and only_nan(mine.what["values"], theirs.what["values"]):
        return "zero times infinity is zero in a slope"
    if forgotten(mine.what, theirs.what):
        return "memory formats are kept"
    if complex_nan(mine.what["values"], theirs.what["values"]):
        return "0 ** 0 of complex numbers is 1, and infinite ones are not multiplied by 1"
    if (
        theirs.step == "transformed"
        and set(theirs.what["strides"]) - {1} == {0}
        and mine.what["shape"] == theirs.what["shape"]
    ):
        return "a gradient that is the same everywhere has memory of its own"
    return None


JUMPS = words(
    "eq ne lt ge floor ceil round trunc sign sgn fmod remainder floor_divide",
    "eq_ fmod_ floor_divide_ floor_ // % == <",
)


def by_rounding(mine, theirs, ours, before):
    """Why numbers differ in a step that jumps, or makes integers or truth values, if others differ."""
    values = isinstance(mine.what, dict) and isinstance(theirs.what, dict)
    if not values or not any(
        isinstance(x.what, dict) and not np.array_equal(x.what["values"], y.what["values"], equal_nan=True)
        for x, y in zip(ours, before, strict=True)
    ):
        return None
    if theirs.what["values"].dtype.kind in "iub" or any(word in JUMPS for word in theirs.words):
        return "numbers that differ in the last digit are told apart"
    if theirs.step in ("unary", "quietly", "binary", "operator") and overflown(mine, theirs):
        return "numbers that differ in the last digit are in a function's domain or out of it"
    return None


def has_none(one):
    """Whether a step showed a tensor without elements."""
    return values_of(one).size == 0


def is_whole(one):
    """Whether a step showed a tensor of integers or truth values."""
    return isinstance(one.what, dict) and one.what["values"].dtype.kind in "iub"


def of_signs(a, b, before):
    """Whether two arrays differ in signs only, where there was a NaN; or in infinity's, beside zeros."""
    if a.shape != b.shape or a.dtype.kind != "f":
        return False
    if not np.isclose(np.abs(a), np.abs(b), 1e-2, 1e-2, equal_nan=True).all():
        return False
    other = np.signbit(a) != np.signbit(b)
    zeros = any((x == 0).any() for x in before) and np.isinf(a[other]).all()
    return zeros or any(np.isnan(x).any() for x in before)


def values_of(one):
    """The numbers that a step showed; one if it showed none."""
    return one.what["values"] if isinstance(one.what, dict) else np.zeros(1)


def only_nan(a, b):
    """Whether two arrays differ only where the second is not a number."""
    if a.shape != b.shape or a.dtype.kind not in "fc":
        return False
    with np.errstate(all="ignore"):
        return bool(np.all(np.isclose(a, b, 1e-2, 1e-2, equal_nan=True) | np.isnan(b)))


def near(mine, theirs):
    """Whether gradients of norms in half precision, whose terms cancel, agree in about two bits."""
    return mine.what["shape"] == theirs.what["shape"] and np.allclose(
        mine.what["values"], theirs.what["values"], 0.25, 0.5, equal_nan=True
    )


def overflown(mine, theirs):
    """Whether numbers differ only where one of the two is none."""
    a, b = mine.what["values"], theirs.what["values"]
    with np.errstate(all="ignore"):
        return bool(np.all(np.isclose(a, b, 1e-1, 1e-1, equal_nan=True) | np.isnan(a) | np.isnan(b)))


def conjugate(a, b):
    """Whether complex numbers are equal or conjugate, or differ as `complex_nan` says."""
    if a.dtype.kind != "c" or a.shape != b.shape:
        return False
    with np.errstate(all="ignore"):
        other = np.isclose(a, np.conj(b), 1e-4, 1e-4)
        return complex_nan(np.where(other, 0, a), np.where(other, 0, b))


def complex_nan(a, b):
    """Whether complex numbers differ only where the second is not a number and the first is 1 or infinite."""
    if a.dtype.kind != "c" or a.shape != b.shape:
        return False
    with np.errstate(all="ignore"):
        same = np.isclose(a, b, 1e-4, 1e-4, equal_nan=True)
        return bool(np.all(same | np.isnan(b) & ((a == 1) | np.isinf(a))))


def forgotten(mine, theirs):
    """Whether two tensors differ only in that the second one is contiguous, the first dense."""
    shape = theirs["shape"]
    kept = sorted((s, n) for s, n in zip(mine["strides"], [n for n in shape if n > 1], strict=False))
    dense = all(s == math.prod(n for _, n in kept[:i]) for i, (s, _) in enumerate(kept))
    rows = tuple(math.prod(shape[d + 1 :]) for d, n in enumerate(shape) if n > 1)
    same = {**mine, "strides": theirs["strides"]}
    return dense and theirs["strides"] == rows and mine["strides"] != rows and not unlike(same, theirs, 0.1)


def drawn(seed):
    """The choices of a program."""
    source = random.Random(seed)
    return [source.randrange(1 << 16) for _ in range(400)]


def libraries():
    """Pullback and PyTorch."""
    return importlib.import_module("pullback"), importlib.import_module("torch")
