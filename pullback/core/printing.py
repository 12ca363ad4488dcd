"""The text of a tensor, and the options that shape it.

`tensor_str` writes `tensor(DATA, suffix, ...)`; `array_str` writes the DATA part, in three steps:
keep the corners that are shown, turn each number into a text, arrange the texts in brackets and
lines. Everything works on NumPy arrays and strings, so this file knows nothing of tensors. All
numbers of one tensor share one notation (`_notation`) and one width; a complex tensor has one of
each for its real and one of each for its imaginary parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from pullback.core.types import Array

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


@dataclass
class PrinterOptions:
    """The options, which `set_printoptions` sets."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


PRINT_OPTS = PrinterOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed; what is not given stays, except `sci_mode`, which is always set.

    `precision` digits follow the decimal point; a tensor of more than `threshold` elements shows
    `edgeitems` of them at both ends of each dimension; lines break before column `linewidth`.
    `profile` ("default", "short" or "full") sets these four at once, and any of them given beside
    it wins. `sci_mode` forces scientific notation on or off; None chooses by the numbers.

    >>> import pullback as torch
    >>> torch.set_printoptions(precision=2)
    >>> torch.tensor([1 / 3])
    tensor([0.33])
    >>> torch.set_printoptions(profile="default")
    """
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    if profile in _PROFILES:  # PyTorch passes over a profile it does not know
        vars(PRINT_OPTS).update(_PROFILES[profile])
    vars(PRINT_OPTS).update({name: value for name, value in given.items() if value is not None})
    PRINT_OPTS.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The present options, by the names that `set_printoptions` takes.

    >>> from pullback.core.printing import get_printoptions
    >>> get_printoptions()["precision"]
    4
    """
    return dict(vars(PRINT_OPTS))


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """Print with these options inside the block, or the decorated function, and as before after it.

    >>> import pullback as torch
    >>> from pullback.core.printing import printoptions
    >>> with printoptions(sci_mode=True):
    ...     print(torch.tensor([1.5]))
    tensor([1.5000e+00])
    """
    before = get_printoptions()
    set_printoptions(**options)
    try:
        yield
    finally:
        vars(PRINT_OPTS).update(before)


def tensor_str(
    array: Array,
    *,
    dtype_name: str,
    default_float: str,
    device: str = "cpu",
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    tangent: str | None = None,
    prefix: str = "tensor(",
    is_meta: bool = False,
) -> str:
    """The whole text of a tensor: `prefix`, its numbers, the suffixes that apply, a bracket.

    `dtype_name` and `default_float` are names such as "float32"; `tangent` is what `f"{tangent}"`
    gives. The last line of `prefix` sets how far continued lines are indented. Of a meta tensor's
    `array` only the shape is read.

    >>> import numpy as np
    >>> from pullback.core.printing import tensor_str
    >>> tensor_str(np.ones(2, "f4"), dtype_name="float32", default_float="float32")
    'tensor([1., 1.])'
    """
    indent = len(prefix) - (prefix.rfind("\n") + 1)
    shows_numbers = not is_meta and array.size > 0
    shows_size = is_meta or (PRINT_OPTS.edgeitems <= 0 if shows_numbers else array.ndim != 1)
    # Without a number in sight, the reader cannot tell others from the default dtype.
    plain = _plain_dtypes(default_float) if shows_numbers else {default_float}

    suffixes = []
    if device != "cpu":
        suffixes.append(f"device='{device}'")
    if shows_size:
        suffixes.append(f"size={tuple(array.shape)}")
    if dtype_name not in plain:
        suffixes.append(f"dtype=torch.{dtype_name}")
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    if tangent is not None:
        suffixes.append(f"tangent={tangent}")
    data = "..." if is_meta else array_str(array, indent)
    return _with_suffixes(prefix + data, suffixes, indent)


def sparse_str(
    parts: Sequence[tuple[str, Array]],
    *,
    size: tuple[int, ...],
    nnz: int,
    dtype_name: str,
    default_float: str,
    layout: str,
    breaks: bool,
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
) -> str:
    """The whole text of a sparse tensor: the tensors it is made of, with their names, and the suffixes.

    `breaks`: the suffixes start on a line of their own.
    """
    prefix, texts = "tensor(", []
    for name, array in parts:
        head = f"{name}=tensor("
        data = array_str(array, len(prefix) + len(head))
        texts.append(head + data + (")" if array.size else f", size={tuple(array.shape)})"))
    suffixes = [f"size={size}", f"nnz={nnz}"]
    if dtype_name not in _plain_dtypes(default_float):
        suffixes.append(f"dtype=torch.{dtype_name}")
    suffixes.append(f"layout={layout}")
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    body = prefix + (",\n" + " " * len(prefix)).join(texts)
    return _with_suffixes(body, suffixes, len(prefix), breaks)


def _plain_dtypes(default_float: str) -> set[str]:
    """The dtypes that numbers show by themselves."""
    return {
        default_float,
        "int64",
        "bool",
        "complex128" if default_float == "float64" else "complex64",
    }


def _with_suffixes(text: str, suffixes: Sequence[str], indent: int, breaks: bool = False) -> str:
    """`text`, the suffixes and a bracket; a suffix that would pass the line's end starts a line.

    With `breaks` the first one starts a line in any case.
    """
    # PyTorch counts two columns more than a line has, until a suffix has started a line.
    column = PRINT_OPTS.linewidth if breaks else len(text) - (text.rfind("\n") + 1) + 2
    parts = [text]
    for suffix in suffixes:
        column += len(suffix) + 2
        if column > PRINT_OPTS.linewidth:
            column = indent + len(suffix)
            parts.append(",\n" + " " * indent + suffix)
        else:
            parts.append(", " + suffix)
    return "".join(parts) + ")"


def array_str(array: Array, indent: int) -> str:
    """The numbers of `array` in brackets, as they stand `indent` columns into the first line.

    Takes NumPy's integers, bool, real and complex floats, and those of ml_dtypes, of any shape.

    >>> import numpy as np
    >>> from pullback.core.printing import array_str
    >>> array_str(np.array([1.0, -2.5]), indent=0)
    '[ 1.0000, -2.5000]'
    """
    if array.size == 0:
        return "[]"
    if array.dtype.isbuiltin == 2:  # of ml_dtypes
        array = array.astype(np.complex64 if array.dtype.name == "complex32" else np.float32)
    edge = PRINT_OPTS.edgeitems
    summarize = array.size > PRINT_OPTS.threshold
    if summarize and array.ndim and edge <= 0:
        return "[...]"
    elided = [summarize and n > 2 * edge for n in array.shape]
    if any(elided):
        ends = [*range(edge), *range(-edge, 0)]
        kept = [ends if n > 2 * edge else range(n) for n in array.shape]
        array = array[np.ix_(*kept)]
    texts, width = _number_texts(array.ravel())
    return _layout(texts, width, array.shape, elided, indent)


def _layout(texts: list[str], width: int, shape: tuple[int, ...], elided: list[bool], indent: int) -> str:
    """Join the texts of the shown numbers, one axis at a time, the innermost first."""
    last = len(shape) - 1
    for axis in range(last, -1, -1):
        column, count = indent + axis, shape[axis]
        if axis == last:
            per_line = max(1, math.floor((PRINT_OPTS.linewidth - column) / (width + 2)))
            dots, newlines = " ...", "\n"
        else:
            per_line, dots, newlines = 1, "...", "\n" * (last - axis)
        line_break = "," + newlines + " " * (column + 1)
        blocks = []
        for start in range(0, len(texts), count):
            items = texts[start : start + count]
            if elided[axis]:
                items.insert(count // 2, dots)
            lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
            blocks.append("[" + line_break.join(lines) + "]")
        texts = blocks
    return texts[0]


def _number_texts(flat: Array) -> tuple[list[str], int]:
    """The text of each number of a vector, padded on the left, and the width they are padded to."""
    if flat.dtype.kind == "c":
        real, real_width = _float_texts(flat.real.tolist())
        imag, imag_width = _float_texts(flat.imag.tolist())
        pairs = zip(real, imag, strict=True)
        texts = [f"{re:>{real_width}}{'' if im[0] == '-' else '+'}{im}j" for re, im in pairs]
        return texts, real_width + imag_width + 1
    if flat.dtype.kind in "biu":
        texts = [str(value) for value in flat.tolist()]
        width = max(map(len, texts))
    else:
        texts, width = _float_texts(flat.tolist())
    return [text.rjust(width) for text in texts], width


def _float_texts(values: list[float]) -> tuple[list[str], int]:
    """The texts of floats, and the width of the widest; zero, nan and inf have no say in it."""
    counted = [value != 0 and math.isfinite(value) for value in values]
    spec = _notation([abs(v) for v, counts in zip(values, counted, strict=True) if counts])
    texts = [format(value, spec) for value in values]
    width = max((len(t) for t, counts in zip(texts, counted, strict=True) if counts), default=1)
    return texts, width


def _notation(sizes: list[float]) -> str:
    """The format of all floats of a tensor, chosen by the magnitudes of the non-zero, finite ones.

    "#.0f" writes whole numbers as `3.`, and nan and inf without a point.
    """
    if not sizes:
        return "#.0f"
    scientific = PRINT_OPTS.sci_mode
    if scientific is None:
        low, high = min(sizes), max(sizes)
        scientific = high / low > 1000 or high > 1e8 or low < 1e-4
    if scientific:
        return f".{PRINT_OPTS.precision}e"
    if all(size.is_integer() for size in sizes):
        return "#.0f"
    return f".{PRINT_OPTS.precision}f"
