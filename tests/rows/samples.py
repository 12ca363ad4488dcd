"""How a row of the op table is written, drawn and run. The rows are in rows_*.py.

A row names an op and holds samples: calls whose tensors are described, not made. `x(3, 4)` is a
3 by 4 tensor of the dtype under test, uniform in (-2, 2); `at(5, 3)` three indices below 5. A
description that stands twice in one call is one tensor. The numbers are NumPy's, drawn with a seed
made of the row's name, so that every library gets the same.

`kinds` are the dtypes that the op takes: b bool, u uint8, i int32 and int64, l int64 alone, h float16,
g bfloat16, f float32 and float64, c complex. `forms` are the ways to call it: f function, m method,
i in-place method, o with `out`. Both are claims: test_registry.py holds Pullback to them, test_parity.py the
table to PyTorch.
"""

import operator
import zlib
from dataclasses import dataclass

import numpy as np

ALL = "buihgfc"
REAL = "buihgf"
NUMBER = "uihgfc"
ORDERED = "uihgf"
FLOATS = "hgf"
INEXACT = "hgfc"
WHOLE = "bui"
DTYPES = {
    "b": ("bool",),
    "u": ("uint8",),
    "i": ("int32", "int64"),
    "l": ("int64",),
    "h": ("float16",),
    "g": ("bfloat16",),
    "f": ("float32", "float64"),
    "c": ("complex64", "complex128"),
}
WIDER = {"bfloat16": "float32", "complex32": "complex64"}
"""What stands in for dtypes that NumPy has not."""
inf, nan = float("inf"), float("nan")


@dataclass(frozen=True, eq=False)
class In:
    """One tensor of a call: its shape and where its numbers come from."""

    shape: tuple
    low: float = -2.0
    high: float = 2.0
    source: str = "uniform"
    values: object = None
    dtype: str | None = None  # None: the dtype under test
    grad: bool = True
    expand: tuple | None = None

    def draw(self, rng, dtype):
        """The numbers, as a NumPy array of `dtype`, or of that which stands in for it."""
        kind = np.dtype(WIDER.get(dtype, dtype))
        if self.source == "values":
            return np.array(self.values).astype(kind)
        if self.source == "distinct":
            count = int(np.prod(self.shape))
            ranks = rng.permutation(count).reshape(self.shape)
            data = ranks if kind.kind in "iu" else (ranks + 0.5) / max(count, 1) * 3 - 1
        elif kind.kind == "b":
            data = rng.random(self.shape) < 0.5
        elif kind.kind in "iu":
            low = np.ceil(max(self.low, 0) if kind.kind == "u" else self.low)
            data = rng.integers(int(low), int(np.floor(self.high)) + 1, self.shape)
        else:
            data = rng.uniform(self.low, self.high, self.shape)
            if kind.kind == "c":
                data = data + 1j * rng.uniform(self.low, self.high, self.shape)
        return np.asarray(data).astype(kind)


@dataclass(frozen=True, eq=False)
class Call:
    """The arguments of one call. `smooth` is False where a derivative is one-sided or none."""

    args: tuple
    kwargs: dict
    smooth: bool = True


@dataclass(frozen=True, eq=False, repr=False)
class Row:
    """An op: its public name, its calls, and what is claimed of it."""

    name: str
    calls: tuple
    kinds: str = ALL
    forms: str = "fm"
    tol: float = 1.0  # a factor on the tolerances
    derived: bool = True  # it has a derivative
    twice: bool = True  # and a second one
    composite: bool = False  # made of other ops in PyTorch, whose nodes and refusals show: not ours
    better: str = ""  # how the gradient is better than PyTorch's, which is then not compared
    values: bool = True  # False: only shape and dtype are determined (empty)
    meta: bool = True  # it runs on the meta device

    def __repr__(self):
        return f"row {self.name}"

    def takes(self, *dtypes):
        """Those of the dtypes that the op takes."""
        return [dtype for kind in self.kinds for dtype in DTYPES[kind] if dtype in dtypes]

    def first_dtype(self, wide=False):
        """A dtype that the op takes: float32, or float64 if `wide`, wherever it does."""
        return next(DTYPES[kind][wide] for kind in "fic" if kind in self.kinds)


def x(*shape, low=-2.0, high=2.0, **options):
    """Uniform numbers of the dtype under test."""
    return In(shape, low, high, **options)


def pos(*shape, **options):
    """Positive numbers, well away from zero."""
    return In(shape, 0.5, 3.0, **options)


def unit(*shape):
    """Numbers inside (-1, 1)."""
    return In(shape, -0.9, 0.9)


def distinct(*shape):
    """Numbers of which no two are alike: for orders, minima and maxima."""
    return In(shape, source="distinct")


def at(n, *shape):
    """Indices below `n`."""
    return In(shape, 0, n - 1, dtype="int64", grad=False)


def mask(*shape):
    """True or False at random."""
    return In(shape, dtype="bool", grad=False)


def these(values, dtype=None):
    """Exactly these numbers, in the dtype under test unless another is given."""
    return In(np.shape(values), source="values", values=values, dtype=dtype, grad=dtype is None)


CUBE = x(2, 3, 4)
TIES = these([[1.0, 2.0, 2.0], [2.0, 3.0, 1.0], [0.0, 0.0, 0.0]])
NANS = In((2, 3), source="values", values=[[1.0, nan, nan], [nan, inf, -inf]], grad=False)


def wide(*shape, to):
    """Uniform numbers, expanded to the shape `to`."""
    return In(shape, expand=to)


@dataclass(frozen=True)
class Dtype:
    """A dtype among the arguments, taken from the library under test."""

    name: str


def S(*args, **kwargs):
    """A call with a smooth neighbourhood."""
    return Call(args, kwargs)


def P(*args, **kwargs):
    """A call at special points: values and gradients are compared, differences are not taken."""
    return Call(args, kwargs, smooth=False)


# Where PyTorch ends with a message that has one of these, Pullback may do better.
PYTORCH_CANNOT = (
    "does not support automatic differentiation",
    "derivative for",
    "returned an invalid gradient",
    "INTERNAL ASSERT FAILED",
    "view size is not compatible",
    "modified by an inplace operation",
    "there was no fake impl",
    '_backward" not implemented for',
    "more than one element of the written-to tensor",
)


def pytorch_cannot(text):
    """Does this message tell of something that PyTorch lacks?"""
    return any(phrase in text for phrase in PYTORCH_CANNOT)


def resolve(library, name):
    """The function of a row: `add`, `Tensor.view`, `linalg.norm`."""
    found = operator.attrgetter(name)(library)
    return found if callable(found) else lambda tensor: getattr(tensor, short(name))


def table():
    """A list of rows, and the function that enters a row for each of some names."""
    entered = []

    def rows(names, calls, **options):
        entered.extend(Row(name, tuple(calls), **options) for name in names.split())

    return entered, rows


def short(name):
    """The last part of a dotted name."""
    return name.rpartition(".")[2]


def seed_of(row, call):
    """The seed of a call's numbers."""
    return zlib.crc32(row.name.encode()) + row.calls.index(call)


def strided(data, layout):
    """The same numbers, laid out as asked."""
    if layout == "transposed":
        return np.array(data, order="F")
    if layout == "strided" and data.ndim:
        roomy = np.zeros((*data.shape[:-1], 2 * data.shape[-1]), data.dtype)
        roomy[..., ::2] = data
        return roomy[..., ::2]
    return data


class Bound:
    """A call with its tensors made: `args`, `kwargs`, and the `leaves` that may require grad."""

    def __init__(self, library, row, call, dtype, *, layout="", grads="none", replace=(), device="cpu"):
        self.library, self.row = library, row
        self.dtype, self.layout, self.device = dtype, layout, device
        self.rng = np.random.default_rng(seed_of(row, call))
        self.made, self.leaves, self.arrays = {}, [], []
        self.replace = list(replace)  # arrays to use for the leaves in place of those drawn
        self.args = [self.make(arg) for arg in call.args]
        self.kwargs = {name: self.make(arg) for name, arg in call.kwargs.items()}
        if grads != "none":
            for place, leaf in enumerate(self.leaves):
                if grads == "all" or place % 2 == (len(self.leaves) > 1):
                    leaf.requires_grad_()

    def make(self, arg):
        """The argument that a description stands for."""
        if isinstance(arg, list):
            return [self.make(one) for one in arg]
        if isinstance(arg, tuple):
            return tuple(self.make(one) for one in arg)
        if isinstance(arg, Dtype):
            return getattr(self.library, arg.name)
        if not isinstance(arg, In):
            return arg
        if arg not in self.made:
            self.made[arg] = self.tensor(arg)
        return self.made[arg]

    def tensor(self, spec):
        """The tensor of one description."""
        dtype = spec.dtype or self.dtype
        data = spec.draw(self.rng, dtype)
        leaf = spec.grad and dtype.startswith(("float", "bfloat", "complex"))
        if leaf and self.replace:
            data = np.asarray(self.replace[len(self.leaves)])
        made = self.library.from_numpy(strided(data, self.layout))
        if dtype in WIDER:
            made = made.to(getattr(self.library, dtype))
        if self.device != "cpu":
            made = made.to(self.device)
        if spec.expand is not None:
            made = made.expand(spec.expand)
        if leaf:
            self.leaves.append(made)
            self.arrays.append(data)
        return made

    def run(self, function=None, **more):
        """What the op gives: the row's, or another form of it."""
        function = function or resolve(self.library, self.row.name)
        return function(*self.args, **self.kwargs, **more)


def flat(result):
    """The parts of a result, which may be a tuple of tensors."""
    if isinstance(result, (tuple, list)):
        return [part for one in result for part in flat(one)]
    return [result]


def differentiable(library, result):
    """The tensors among the results that require grad."""
    return [t for t in flat(result) if isinstance(t, library.Tensor) and t.requires_grad]


def numbers(library, tensor):
    """The values of a tensor as a NumPy array, of what stands in for its dtype."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype in WIDER:
        tensor = tensor.to(getattr(library, WIDER[dtype]))
    return tensor.numpy(force=True)


def cotangents(library, results, rng):
    """Random tensors like the results, that require grad themselves."""
    made = []
    for result in results:
        like = In(tuple(result.shape), -1.0, 1.0)
        dtype = str(result.dtype).removeprefix("torch.")
        one = library.from_numpy(like.draw(rng, dtype))
        made.append((one.to(getattr(library, dtype)) if dtype in WIDER else one).requires_grad_())
    return made
