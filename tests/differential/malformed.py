"""Malformed calls of public functions, each drawn from a seed, for either library.

Half of them are calls of the op table (tests/rows) in which one or two arguments were spoiled; the others are
any function with any arguments: of another type, rank, dtype, size, layout or device, huge, negative, not a
number, lists that contain themselves.
"""

import functools
import random
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "rows"))

from sample_rows import ROWS
from samples import Bound, resolve
from steps import words

SPACES = ("", "linalg.", "special.", "fft.", "nn.functional.", "signal.windows.", "Tensor.")
CHANGE_THE_PROCESS = words(
    "set_ save load compile share_memory manual_seed seed initial_seed get_rng_state use_deterministic fork",
    "from_file storage pin_memory cuda xpu ipu hpu mtia jit script vitals library autocast default_generator",
    "backward init_ import_ classproperty typename sym_ export cond while_loop is_vulkan hspmm sspaddmm smm",
    "sparse to_mkldnn mkldnn quantize quantized fbgemm cudnn miopen _",
)
SHAPES = (
    (),
    (0,),
    (1,),
    (3,),
    (2, 3),
    (3, 2),
    (2, 0, 3),
    (1, 1),
    (2, 3, 4),
    (1, 2, 4, 4),
    (2, 1, 3, 3, 3),
    (64,),
)
DTYPES = words(
    "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool",
    "complex64 complex128",
)
NUMBERS = (
    0, 1, 2, 3, -1, -2, -3, 5, 7, 64, 65, 1000, -1000, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**62,
    2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 2**70, -(2**70), True, False, 0.5, 1.0, -0.0,
    1e-300, 1e300, float("inf"), float("-inf"), float("nan"), 1j, complex("nan+infj"),
)  # fmt: skip
WORDS = (
    "",
    "mean",
    "sum",
    "none",
    "constant",
    "reflect",
    "ij",
    "xy",
    "fro",
    "nuc",
    "floor",
    "trunc",
    "x",
    "float32",
    "cpu",
    "ab,bc->ac",
    "\0",
    "é" * 100,
)


class Odd:
    """An object that only says that it has two elements, and cannot give them."""

    def __len__(self):
        return 2

    def __getitem__(self, place):
        raise KeyError(place)


@functools.cache
def names(library):
    """The functions that are called: public, and without an effect on the process."""
    found = []
    for space in SPACES:
        holder = resolve_space(library, space)
        for name in sorted(dir(holder)):
            if (name.startswith("__") and space == "Tensor." and name in OPERATORS) or not any(
                name.startswith(word) for word in CHANGE_THE_PROCESS
            ):
                value = getattr(holder, name, None)
                if callable(value) and not isinstance(value, type):
                    found.append(space + name)
    return found


OPERATORS = {
    f"__{how}{name}__"
    for name in words("add sub mul truediv floordiv mod pow matmul and or xor lshift rshift")
    for how in ("", "i", "r")
} | {
    f"__{name}__" for name in words("getitem setitem lt le gt ge eq ne neg abs invert contains iter len bool")
}


def resolve_space(library, space):
    found = library
    for part in space.split(".")[:-1]:
        found = getattr(found, part)
    return found


def tensor(library, draw):
    """A tensor of any dtype, shape and layout."""
    shape, dtype = draw.choice(SHAPES), getattr(library, draw.choice(DTYPES))
    count = int(np.prod(shape))
    values = [draw.choice((0, 1, 2, 3, 5, 100)) for _ in range(count)]
    x = library.tensor(values).reshape(shape).to(dtype)
    how = draw.randrange(16)
    if how == 0 and shape:
        x = x.transpose(0, -1)
    elif how == 1:
        x = x.expand(3, *shape)
    elif how == 2 and count:
        x = x.as_strided((3, 2), (0, 0))
    elif how == 3 and count > 3:
        x = x.as_strided((2, 2), (1, 1))
    elif how == 4:
        x = library.empty(shape, dtype=dtype, device="meta")
    elif how == 5 and shape:
        x = x[..., ::2]
    elif how == 6 and dtype.is_complex:
        x = x.conj()
    elif how == 7 and dtype.is_floating_point:
        x = x * draw.choice((float("nan"), float("inf"), -1, 1e30))
    elif how == 8:
        x = x.reshape((1,) * (64 - len(shape)) + shape)
    elif how == 9 and count:
        x = library.zeros(1, dtype=dtype).expand(2**40)
    elif how == 10 and not dtype.is_floating_point and not dtype.is_complex:
        x = x.bitwise_not()
    if (x.is_floating_point() or x.is_complex()) and draw.random() < 0.3:
        x = x.detach().requires_grad_()
    return x


def value(library, draw, depth=0):
    """Anything that may stand for an argument."""
    kind = draw.randrange(22 if depth < 2 else 14)
    if kind < 6:
        return tensor(library, draw)
    if kind < 10:
        return draw.choice(NUMBERS)
    if kind == 10:
        return draw.choice(WORDS)
    if kind == 11:
        return getattr(library, draw.choice(DTYPES))
    if kind == 12:
        return None
    if kind == 13:
        return draw.choice((
            lambda: object(), lambda: Odd(), lambda: library.device("meta"), lambda: library.strided,
            lambda: library.channels_last, lambda: slice(0, 2**63, -1), lambda: ..., lambda: np.ones((2, 3)),
            lambda: np.float16(1), lambda: np.array(["a"]), lambda: b"bytes", lambda: library.Size([2, 3]),
            lambda: library.Generator(), lambda: {}, lambda: {"a": 1}, lambda: range(3),
            lambda: library.Tensor,
            lambda: np.ones(3, ">f4"), lambda: np.ones((2, 3))[::-1], lambda: np.array([None]),
            lambda: 10**400,
            lambda: (lambda *args: None),
        ))()  # fmt: skip
    if kind == 14:
        own = [1]
        own.append(own)
        return own
    if kind < 19:
        size = draw.randrange(4)
        return draw.choice((list, tuple))(draw.choice(NUMBERS[:16]) for _ in range(size))
    return draw.choice((list, tuple))(value(library, draw, depth + 1) for _ in range(draw.randrange(4)))


def drawn_call(library, seed, among):
    """The name, function, arguments and keywords of a seed; `among` are names that the libraries have."""
    draw = random.Random(seed)
    if draw.random() < 0.5:
        row = draw.choice(ROWS)
        call = draw.choice(row.calls)
        bound = Bound(library, row, call, row.first_dtype(wide=draw.random() < 0.2))
        args, kwargs = list(bound.args), dict(bound.kwargs)
        for _ in range(draw.choice((1, 1, 2))):
            place = draw.randrange(len(args) + len(kwargs) + 1)
            if place < len(args):
                args[place] = value(library, draw)
            elif place < len(args) + len(kwargs):
                kwargs[list(kwargs)[place - len(args)]] = value(library, draw)
            elif draw.random() < 0.3:
                kwargs["out"] = value(library, draw)
            elif draw.random() < 0.5:
                args.append(value(library, draw))
            else:
                args = args[:-1]
        return row.name, resolve(library, row.name), args, kwargs
    name = draw.choice(among)
    args = [value(library, draw) for _ in range(draw.choice((0, 1, 1, 2, 2, 2, 3, 3, 4, 5)))]
    if name.startswith("Tensor.") and draw.random() < 0.9:
        args.insert(0, tensor(library, draw))
    kwargs = {}
    if draw.random() < 0.2:
        word = draw.choice(
            words("dim out dtype keepdim input other size weight generator device p reduction")
        )
        kwargs[word] = value(library, draw)
    function = library
    for part in name.split("."):
        function = getattr(function, part)
    return name, function, args, kwargs
