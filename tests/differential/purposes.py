"""Why a program differs on purpose, by the README's list.

Some reasons say what PyTorch's program would have to be: then that program, `amended`, is run and must agree.
Others are read off what both showed.
"""

import math
from dataclasses import dataclass

import numpy as np
from steps import APART, HOOKED, OWN

GREW, HAS_INTEGER_GRADIENT, UNCHANGED = "a tensor grew", "integers require a gradient", "nothing changed"
MET = "memory that is written is read, too, or written twice"
NO_INTEGERS = "integers never require a gradient"
UNDONE = "what raises has written nothing"
IN_DOUBLE = "half precisions are float64"
IN_BOTH = frozenset({HOOKED})
"""What is changed in both libraries' programs."""


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


def amendments(mine, theirs, before):
    """The reasons by which PyTorch's program would be another one, up to where the two differ."""
    so_far = (*before, theirs)
    hooks = any(x.step == "hook" and x.what is None for x in before)
    written = any(word.endswith("_") for x in before for word in x.words) or any(
        x.step in ("put", "masked", "into", "quietly", "custom") for x in before
    )
    found = {
        APART: any(MET in x.marks for x in so_far) or MET in mine.marks,
        OWN: any(GREW in x.marks for x in so_far),
        NO_INTEGERS: any(HAS_INTEGER_GRADIENT in x.marks for x in so_far),
        UNDONE: any(x.text and UNCHANGED not in x.marks for x in so_far),
        HOOKED: theirs.step in ("grad", "backward") and hooks and written,
    }
    return {reason for reason, given in found.items() if given}


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
    grown = [x.what for x in before if GREW in x.marks and isinstance(x.what, dict)]
    if "returned an invalid gradient" in mine.text and any(x["requires_grad"] for x in grown):
        return "a leaf that grew takes no gradient of what it was"
    if "a leaf Variable" in theirs.text and any(x.step in ("put", "quietly", "in_place") for x in before):
        return "a view has the history of its base, whatever was written there before"
    if any(words in theirs.text for words in AUTOGRAD_FIRST) and mine.text:
        return "what needs no numbers is checked first, before what autograd forbids"
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
    if "refers to a single memory" in theirs.text and theirs.step == "transformed" and not mine.text:
        return "forward mode takes expanded tensors"
    if "refers to a single memory" in mine.text and (UNCHANGED in theirs.marks or theirs.step == "into"):
        return "expanded tensors are not written"
    if theirs.step == "transformed" and has_none(theirs) and not mine.text:
        return "a Jacobian without elements requires no gradient"
    if not values:
        return None
    if of_signs(mine.what["values"], theirs.what["values"], [values_of(x) for x in before]):
        return "the sign of a NaN, or of the larger of 0 and -0"
    negated = any(word in ("neg", "neg_") for x in before for word in x.words)
    if negated and conjugate(mine.what["values"], theirs.what["values"]):
        return "the negative of a complex number negates zeros, too"
    nan = theirs.step == "grad" and only_nan(theirs.what["values"], mine.what["values"])
    if nan and any("prod" in x.words and infinite_later(x, before) for x in before):
        return "the gradient of a product is NaN where a NaN or infinity meets it, beside two zeros too"
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


def infinite_later(one, before):
    """Whether a product shows NaN or zero, and what was seen after it NaN or infinity."""
    shown = values_of(one)
    later = before[[x is one for x in before].index(True) :]
    return bool((np.isnan(shown) | (shown == 0)).any()) and not all(
        np.isfinite(values_of(x)).all() for x in later
    )


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
    same = all(mine[name] == theirs[name] for name in ("dtype", "shape", "requires_grad"))
    return (
        same
        and dense
        and theirs["strides"] == rows
        and mine["strides"] != rows
        and np.allclose(mine["values"], theirs["values"], 0.1, 0.1, equal_nan=True)
    )
