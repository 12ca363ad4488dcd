"""Random numbers: the generators and their seeds, new random tensors, and in-place distributions.

The numbers come from `draw` and `sample`, which fill NumPy arrays: the same seed gives PyTorch's
numbers, bit for bit. They depend on the layout in memory, so what is drawn for a tensor is drawn
into an array of its strides (`_drawn`). A random result does not depend on what it replaces: its
gradient is zero.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Unpack

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, from_array, levels, listening, unrecordable, write_out
from pullback.core.dtypes import as_device, from_numpy_dtype, get_default_dtype, int64, uint8
from pullback.core.dtypes import device as Device
from pullback.core.meta import meta_array, meta_broadcast
from pullback.core.op import SURFACE, function, op
from pullback.core.strides import preserved_strides
from pullback.core.types import Array, Number
from pullback.kernels.random import fills, generators, samples
from pullback.ops.arrays.create import (
    FormatOptions,
    Options,
    array_like,
    created,
    exact_size,
    finished,
    like,
    sizes,
)
from pullback.ops.shared.refusals import without_derivative
from pullback.ops.shared.zero_times_infinity import flat

# -------------------------------------------------------------------------- generators and seeds


class Generator(generators.Generator):
    """A source of random numbers with a seed of its own, for the `generator` arguments.

    >>> import pullback as torch
    >>> g = torch.Generator().manual_seed(0)
    >>> torch.rand(2, generator=g)
    tensor([0.4963, 0.7682])
    """

    def __init__(self, device: Any = "cpu") -> None:
        resolved = Device(device)
        if as_device(resolved).type != "cpu":
            raise RuntimeError(f"{resolved.type.upper()} device type not an accelerator.")
        super().__init__(resolved)

    def manual_seed(self, seed: int) -> Generator:
        """Starts again from `seed`, in [-2**63, 2**64); a negative one counts from 2**64 down."""
        unrecordable("random numbers")
        return super().manual_seed(seed)

    def seed(self) -> int:
        """Starts again from a seed that the operating system draws, and returns it."""
        unrecordable("random numbers")
        return super().seed()

    def initial_seed(self) -> int:
        """The seed that the generator began with."""
        unrecordable("random numbers")
        return super().initial_seed()

    def get_state(self) -> Tensor:
        """The state as a tensor of bytes, which `set_state` takes back."""
        unrecordable("random numbers")
        return from_array(np.frombuffer(bytearray(self.get_state_bytes()), np.uint8))

    def set_state(self, new_state: Tensor) -> Generator:
        """Continues from a state that `get_state` gave; TypeError for other than a tensor of
        bytes.
        """
        if not isinstance(new_state, Tensor):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        if new_state.dtype is not uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        self.set_state_bytes(new_state._array.tobytes())
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """As PyTorch's: the seed, where a device's stream is, and the state."""
        return type(self), (self.device,), (self.initial_seed(), None, self.get_state())

    def __setstate__(self, state: tuple[int, int | None, Tensor]) -> None:
        self.set_state(state[2])


class RandomOptions(Options, total=False):
    """What functions that draw numbers take as keywords."""

    generator: Generator | None


class RandomFormatOptions(FormatOptions, total=False):
    """The same for those that draw in the shape of a tensor."""

    generator: Generator | None


default_generator = Generator()
default_generator.seed()
function(name="default_generator", places="t", aliases=("random.default_generator",))(default_generator)
function(name="Generator", places="t", aliases=("random.Generator",))(Generator)


def _generator(name: str, generator: Any) -> generators.Generator:
    """The generator of an argument, the default one for None."""
    if listening() is None:  # else the drawing is an op that is heard
        unrecordable("random numbers")
    if generator is None:
        return default_generator
    if not isinstance(generator, generators.Generator):
        raise TypeError(
            f"{name}(): argument 'generator' must be torch.Generator, not {type(generator).__name__}"
        )
    return generator


@function(places="", aliases=("random.thread_safe_generator",))
def thread_safe_generator() -> Any:
    """The generator of a worker of a DataLoader that is a thread. None: its workers are processes."""
    return None


@function(places="t", aliases=("random.manual_seed",))
def manual_seed(seed: int) -> Generator:
    """Seeds the default generator and returns it: the same numbers follow from the same seed.

    >>> import pullback as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.rand(2)
    tensor([0.4963, 0.7682])
    """
    return default_generator.manual_seed(int(seed))


@function(places="t", aliases=("random.seed",))
def seed() -> int:
    """Seeds the default generator with a number from the operating system, which is returned."""
    return default_generator.seed()


@function(places="t", aliases=("random.initial_seed",))
def initial_seed() -> int:
    """The seed that the default generator began with."""
    return default_generator.initial_seed()


@function(places="t", aliases=("random.get_rng_state",))
def get_rng_state() -> Tensor:
    """The state of the default generator, a tensor of bytes.

    >>> import pullback as torch
    >>> state = torch.get_rng_state(); a = torch.rand(3)
    >>> torch.set_rng_state(state); torch.equal(a, torch.rand(3))
    True
    """
    return default_generator.get_state()


@function(places="t", aliases=("random.set_rng_state",))
def set_rng_state(new_state: Tensor) -> None:
    """Continues the default generator from a state that `get_rng_state` gave."""
    default_generator.set_state(new_state)


@function(places="", aliases=("random.fork_rng",))
@contextlib.contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, **options: Any) -> Iterator[None]:
    """Restores the default generator's state at the end of the block; `devices` are for
    accelerators.

    >>> import pullback as torch
    >>> with torch.random.fork_rng():
    ...     a = torch.rand(1)
    >>> torch.equal(a, torch.rand(1))
    True
    """
    state = default_generator.get_state_bytes()
    try:
        yield
    finally:
        if enabled:
            default_generator.set_state_bytes(state)


# ------------------------------------------------------------------------------------ new tensors


class _Maker:
    """What makes arrays and fills them with a distribution, or fills others."""

    def __init__(self, distribution: Callable[..., None], *args: Any) -> None:
        self.distribution, self.args = distribution, args

    def __call__(self, shape: Sequence[int], dtype: Any) -> Array:
        a = np.empty(shape, dtype)
        self.fill(a)
        return a

    def fill(self, a: Array) -> None:
        """Replaces the numbers of an array."""
        self.distribution(a, *self.args)


@op(name="drawn_fill", public_name="rand", places="", random=True, overwrites=True, moves=True, nondiff=True)
def _drawn_fill(self: Array, make: Callable[..., Array]) -> Array:
    """What `make(shape, dtype)` draws for a tensor like this one."""
    return make(self.shape, self.dtype)


@_drawn_fill.meta
def _drawn_fill_shape(self: Array, make: Any) -> Array:
    return meta_array(self.shape, self.dtype)


def _new_random(name: str, options: Any, kind: Any, shape: Sequence[int], make: Any) -> Tensor:
    """A new tensor of drawn numbers. Under a transform, which may repeat it, and in recordings it is an
    op."""
    if not levels() and listening() is None:
        return created(name, options, kind, shape, make)
    if options.get("out") is not None and any(hasattr(level, "randomness") for level in levels()):
        raise RuntimeError(
            f"Batching rule not implemented for aten::{name}.out; the fallback path doesn't work on out= or "
            "view ops."
        )
    model = created(name, {**options, "requires_grad": False}, kind, shape, np.empty)
    return finished(_drawn_fill(model, make), options.get("requires_grad", False))


def _filled_like(name: str, input: Any, options: Any, fill: Callable[..., None], *args: Any) -> Tensor:
    """A tensor in the shape and layout of another, filled with a distribution."""
    generator = _generator(name, options.pop("generator", None))
    made = like(name, input, {**options, "requires_grad": False}, np.empty)
    if (levels() or listening() is not None) and not made.is_meta:
        return finished(
            _drawn_fill(made, _Maker(fill, generator, *args)), options.get("requires_grad", False)
        )
    if not made.is_meta:
        fill(made._array, generator, *args)
    return finished(made, options.get("requires_grad", False))


@function(places="t", quick=("size", generators.uniform, default_generator, 0.0, 1.0))
def rand(*size: int | Sequence[int], **options: Unpack[RandomOptions]) -> Tensor:
    """Numbers uniform on [0, 1). NotImplementedError for integer dtypes.

    >>> import pullback as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.rand(2, 2)
    tensor([[0.4963, 0.7682],
            [0.0885, 0.1320]])
    """
    generator = _generator("rand", options.pop("generator", None))
    shape = sizes("rand", size, options)
    return _new_random("rand", options, get_default_dtype(), shape, _Maker(fills.uniform, generator))


@function(places="t", quick=("size", generators.normal, default_generator, 0.0, 1.0))
def randn(*size: int | Sequence[int], **options: Unpack[RandomOptions]) -> Tensor:
    """Normal numbers of mean 0 and variance 1. NotImplementedError for integer dtypes.

    >>> import pullback as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randn(2)
    tensor([ 1.5410, -0.2934])
    """
    generator = _generator("randn", options.pop("generator", None))
    shape = sizes("randn", size, options)
    return _new_random("randn", options, get_default_dtype(), shape, _Maker(fills.normal, generator))


def _integer(name: str, parameter: str, position: int, value: Any) -> int:
    if isinstance(value, (bool, float)) or not hasattr(value, "__index__"):
        kind = type(value).__name__
        raise TypeError(f"{name}(): argument '{parameter}' (position {position}) must be int, not {kind}")
    return value.__index__()


def _by_position_or_name(names: tuple[str, ...], args: tuple[Any, ...], options: Any) -> list[Any]:
    """Arguments by position or keyword; None for those not given."""
    by_position = dict(zip(names, args, strict=False))
    return [by_position.get(name, options.pop(name, None)) for name in names]


def _from_zero(high: int, size: Sequence[int], **options: Unpack[RandomOptions]) -> Tensor:
    """The shorter form of `randint`."""


def _from_low(low: int, high: int, size: Sequence[int], **options: Unpack[RandomOptions]) -> Tensor:
    """The fuller form of `randint`."""


@function(
    places="t", signatures=(_from_zero, _from_low), quick=("bounds", generators.integers, default_generator)
)
def randint(*args: Any, **options: Any) -> Tensor:
    """Integers from [low, high), int64 by default: `randint(high, size)` or `randint(low, high,
    size)`.

    RuntimeError unless low < high, and for integers that the dtype has no room for.

    >>> import pullback as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randint(0, 10, (5,))
    tensor([4, 9, 3, 0, 3])
    """
    generator = _generator("randint", options.pop("generator", None))
    short = len(args) + ("size" in options) < 3 and "low" not in options
    names = ("high", "size") if short else ("low", "high", "size")
    *bounds, size = _by_position_or_name(names, args, options)
    low, high = (0, *bounds) if short else bounds
    if size is None or high is None or len(args) > 3:
        raise TypeError(
            f'randint() missing 1 required positional arguments: "{"high" if high is None else "size"}"'
        )
    low = _integer("randint", "low", 1, low)
    high = _integer("randint", "high", len(names) - 1, high)
    if not isinstance(size, (tuple, list)):
        position, kind = len(names), type(size).__name__
        raise TypeError(f"randint(): argument 'size' (position {position}) must be tuple of ints, not {kind}")
    shape = exact_size("randint", size)
    return _new_random("randint", options, int64, shape, _Maker(fills.randint, generator, low, high))


@function(places="t", quick=("count", generators.shuffle, default_generator))
def randperm(n: int, **options: Unpack[RandomOptions]) -> Tensor:
    """The integers 0 to n - 1 in random order, int64 by default.

    >>> import pullback as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randperm(4)
    tensor([0, 1, 3, 2])
    """
    generator = _generator("randperm", options.pop("generator", None))
    n = _integer("randperm", "n", 1, n)
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")

    def make(shape: Sequence[int], dtype: Any) -> Array:
        if len(shape) > 1:
            return np.stack([make(shape[1:], dtype) for _ in range(shape[0])])
        if dtype.kind in "bc":
            raise NotImplementedError(
                f"\"randperm\" not implemented for '{from_numpy_dtype(dtype).type_name}'"
            )
        order = samples.randperm(n, generator)
        if dtype.itemsize < 8 and n - 1 > (largest := fills.last_exact(from_numpy_dtype(dtype).name)):
            kind = from_numpy_dtype(dtype).type_name
            raise RuntimeError(f"n cannot be greater than {largest + 1} for {kind} type.")
        return order.astype(dtype, copy=False)

    return _new_random("randperm", options, int64, (n,), make)


@function(places="t", quick=("like", generators.uniform, default_generator, 0.0, 1.0))
def rand_like(input: Tensor, **options: Unpack[RandomFormatOptions]) -> Tensor:
    """`rand` in the shape, dtype, device and order of memory of `input`.

    >>> import pullback as torch
    >>> torch.rand_like(torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """
    return _filled_like("rand_like", input, options, fills.uniform)


@function(places="t", quick=("like", generators.normal, default_generator, 0.0, 1.0))
def randn_like(input: Tensor, **options: Unpack[RandomFormatOptions]) -> Tensor:
    """`randn` in the shape, dtype, device and order of memory of `input`.

    >>> import pullback as torch
    >>> torch.randn_like(torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """
    return _filled_like("randn_like", input, options, fills.normal)


def _like_from_zero(input: Tensor, high: int, **options: Unpack[RandomFormatOptions]) -> Tensor:
    """The shorter form of `randint_like`."""


def _like_from_low(input: Tensor, low: int, high: int, **options: Unpack[RandomFormatOptions]) -> Tensor:
    """The fuller form of `randint_like`."""


@function(places="t", signatures=(_like_from_zero, _like_from_low))
def randint_like(input: Tensor, *args: Any, **options: Any) -> Tensor:
    """`randint` in the shape, dtype, device and order of memory of `input`.

    >>> import pullback as torch
    >>> torch.randint_like(torch.ones(2, 3), 10).dtype
    torch.float32
    """
    short = len(args) < 2 and "low" not in options
    bounds = _by_position_or_name(("high",) if short else ("low", "high"), args, options)
    low, high = (0, *bounds) if short else bounds
    low, high = _integer("randint_like", "low", 2, low), _integer("randint_like", "high", 2, high)
    return _filled_like("randint_like", input, options, fills.randint, low, high)


# ---------------------------------------------------------------------- distributions, in place


def _drawn(self: Array, fill: Callable[..., None], generator: Any, *args: Any) -> Array:
    """The array, filled with a distribution."""
    fill(self, default_generator if generator is None else generator, *args)
    return self


def _filler(name: str, public: str, digit: int = 0, places: str = "i") -> Any:
    """Declares an op that replaces a tensor's elements; its gradient is zero."""
    camel = "".join(part.capitalize() for part in public.split("_"))
    declare = op(
        name=name,
        public_name=public,
        places=places,
        random=True,
        overwrites=True,
        writes="K",
        grad_name=f"{camel}Backward{digit}",
    )
    return lambda kernel: _same_shape(declare(kernel)).vjp(self=flat)


def _same_shape(record: Any) -> Any:
    """Says that the result of an op has the shape and dtype of its first input."""
    record.meta(lambda self, *rest: meta_array(self.shape, self.dtype, preserved_strides(self)))
    return record


@_filler("normal_fill", "normal")
def _normal(self: Array, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Array:
    """Normal numbers of this mean and standard deviation. RuntimeError for a negative deviation."""
    return _drawn(self, fills.normal, generator, float(mean), float(std))


SURFACE["Tensor"]["normal_"].quickly("draw all", generators.normal, default_generator, 0.0, 1.0)


@_filler("log_normal_fill", "log_normal")
def _log_normal(
    self: Array, mean: float = 1.0, std: float = 2.0, generator: Generator | None = None
) -> Array:
    """exp of normal numbers of this mean and standard deviation."""
    return _drawn(self, fills.log_normal, generator, float(mean), float(std))


@_filler("cauchy_fill", "cauchy")
def _cauchy(
    self: Array, median: float = 0.0, sigma: float = 1.0, generator: Generator | None = None
) -> Array:
    """Cauchy numbers around `median`."""
    return _drawn(self, fills.cauchy, generator, float(median), float(sigma))


@_filler("exponential_fill", "exponential")
def _exponential_fill(self: Array, lambd: float = 1.0, generator: Generator | None = None) -> Array:
    """Exponential numbers of rate `lambd`."""
    return _drawn(self, fills.exponential, generator, float(lambd))


@_filler("geometric_fill", "geometric")
def _geometric(self: Array, p: float, generator: Generator | None = None) -> Array:
    """The number of the first success among trials that succeed with probability `p`."""
    return _drawn(self, fills.geometric, generator, float(p))


@_filler("uniform_fill", "uniform", places="")
def _uniform(self: Array, low: float = 0.0, high: float = 1.0, generator: Any = None) -> Array:
    """Numbers uniform on [low, high)."""
    return _drawn(self, fills.uniform, generator, float(low), float(high))


@op(name="random_fill", public_name="random", places="", random=True, writes="K", overwrites=True)
def _random(self: Array, low: int | None = None, high: int | None = None, generator: Any = None) -> Array:
    """Integers from [low, high), from 0 if `low` is None; up to the dtype's largest if `high` is."""
    if high is None:
        return _drawn(self, fills.any_integer, generator)
    return _drawn(self, fills.randint, generator, 0 if low is None else low, high)


_same_shape(_random).vjp(self=lambda g, low, high: flat(g))
_random.variant = lambda saved: f"RandomBackward{(saved['low'] is None) + (saved['high'] is None)}"


@_filler("bernoulli_fill", "bernoulli", 2, places="")
def _bernoulli_fill(self: Array, p: float = 0.5, generator: Any = None) -> Array:
    """1 with probability p, else 0."""
    return _drawn(self, lambda out, source: fills.bernoulli(out, p, source), generator)


@op(
    name="bernoulli_fill_each",
    public_name="bernoulli",
    places="",
    random=True,
    overwrites=True,
    moves=True,
    grad_name="BernoulliBackward1",
)
def _bernoulli_fill_each(self: Array, p: Array, generator: Any = None) -> Array:
    """1 with the probability that stands in `p`, else 0."""
    # Not where `self` is: a probability may turn out to be none.
    return _drawn(array_like(self), lambda out, source: fills.bernoulli(out, p, source), generator)


_same_shape(_bernoulli_fill_each).vjp(self=flat, p=flat)


@function(
    places="",
    aliases=("Tensor.uniform_",),
    quick=("draw all", generators.uniform, default_generator, 0.0, 1.0),
)
def uniform_(self: Tensor, *args: Any, generator: Any = None, **bounds: Any) -> Tensor:
    """Fills with numbers uniform on [from, to), by default [0, 1).

    >>> import pullback as torch
    >>> bool((torch.empty(100).uniform_(2, 3) >= 2).all())
    True
    """
    if not args and not bounds:
        return _uniform.inplace(self, 0.0, 1.0, generator)
    low, high = _by_position_or_name(("from", "to"), args, bounds)
    _refuse_rest("uniform_", bounds)
    return _uniform.inplace(self, 0.0 if low is None else low, 1.0 if high is None else high, generator)


def _refuse_rest(name: str, options: Any) -> None:
    for key in options:
        raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")


@function(places="", aliases=("Tensor.random_",))
def random_(self: Tensor, *args: Any, generator: Any = None, **bounds: Any) -> Tensor:
    """Fills with integers: `random_()` to the dtype's largest, `random_(to)`, `random_(from, to)`.

    >>> import pullback as torch
    >>> bool((torch.empty(100).random_(3) < 3).all())
    True
    """
    if len(args) == 1 and "to" not in bounds:
        args = (None, *args)
    low, high = _by_position_or_name(("from", "to"), args, bounds)
    _refuse_rest("random_", bounds)
    if low is None and high is None:
        return _random.inplace(self, None, None, generator)
    if low is None:
        return _random.inplace(self, None, high, generator)
    return _random.inplace(self, low, high, generator)


@function(places="", aliases=("Tensor.bernoulli_",))
def bernoulli_(self: Tensor, p: float | Tensor = 0.5, *, generator: Any = None) -> Tensor:
    """Fills with 1 with probability `p`, else 0; `p` is a number or a tensor that broadcasts.

    >>> import pullback as torch
    >>> torch.empty(3).bernoulli_(1.0)
    tensor([1., 1., 1.])
    """
    fill = _bernoulli_fill_each if isinstance(p, Tensor) else _bernoulli_fill
    return fill.inplace(self, p, generator)


# ----------------------------------------------------------------- distributions with parameters


@op(places="", random=True, moves=True)
def bernoulli(self: Array, generator: Any = None) -> Array:
    """1 with the probability that stands in `self`, else 0."""
    out = array_like(self)
    fills.bernoulli(out, self, default_generator if generator is None else generator)
    return out


_same_shape(bernoulli).vjp(self=flat)
_bernoulli_each = bernoulli


@function(name="bernoulli", places="tm")
def bernoulli_of(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None, out: Tensor | None = None
) -> Tensor:
    """1 with the probability that stands in `input`, or with probability `p` if it is given, else
    0.

    RuntimeError unless all probabilities are in [0, 1]. The gradient is zero.

    >>> import pullback as torch
    >>> torch.bernoulli(torch.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    if out is not None and out.dtype is not input.dtype:
        drawn = bernoulli_of(input, p, generator=generator)
        return write_out(out, drawn.detach(), True)
    if p is None:
        return _bernoulli_each(input, generator, out=out)
    return _bernoulli_fill(input, p, generator, out=out)


def _scaled_normal(out: Array, generator: Any, mean: Any, std: Any) -> Array:
    """`mean + std * z` for normal z, rounded after each step."""
    if isinstance(std, np.ndarray) and (std < 0).any():
        raise RuntimeError("normal expects all elements of std >= 0.0")
    if not isinstance(std, np.ndarray) and not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    fills.normal(out, default_generator if generator is None else generator)
    out *= std
    out += mean
    return out


@op(name="normal", places="", random=True, moves=True, grad_name="NormalBackward3")
def _normal_of(mean: Array | Number, std: Array | Number, generator: Any = None) -> Array:
    """Normal numbers of the means and deviations of tensors, broadcast, one of which may be a number."""
    if isinstance(mean, np.ndarray) and isinstance(std, np.ndarray):
        return _scaled_normal(np.empty(_shape_of_both(mean, std), mean.dtype), generator, mean, std)
    (one,) = [x for x in (mean, std) if isinstance(x, np.ndarray)]
    return _scaled_normal(array_like(one), generator, mean, std)


def _shape_of_both(mean: Array, std: Array) -> tuple[int, ...]:
    for back in range(1, 1 + min(mean.ndim, std.ndim)):
        n, m = mean.shape[-back], std.shape[-back]
        if n != m and 1 not in (n, m):
            dim = max(mean.ndim, std.ndim) - back
            raise RuntimeError(
                f"The size of tensor a ({n}) must match the size of tensor b ({m}) at non-singleton "
                f"dimension {dim}"
            )
    return np.broadcast_shapes(mean.shape, std.shape)


_normal_of.vjp(mean=flat, std=flat)
_normal_of.variant = lambda saved: {"std": "NormalBackward1", "mean": "NormalBackward2"}.get(
    "".join(saved["numbers"]), "NormalBackward3"
)


@_normal_of.meta
def _normal_shape(mean: Any, std: Any, generator: Any) -> Array:
    tensors = [x for x in (mean, std) if isinstance(x, np.ndarray)]
    if len(tensors) == 1:
        return meta_array(tensors[0].shape, tensors[0].dtype, preserved_strides(tensors[0]))
    return meta_array(_shape_of_both(mean, std), mean.dtype)


@function(places="t", quick=("moments", generators.normal, default_generator))
def normal(
    mean: Tensor | float,
    std: Tensor | float = 1.0,
    size: Sequence[int] | None = None,
    *,
    generator: Generator | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Normal numbers of these means and standard deviations, numbers or tensors, the latter
    broadcast.

    Two numbers need a `size`. RuntimeError for a negative deviation.

    >>> import pullback as torch
    >>> torch.normal(torch.zeros(2), 0.0)
    tensor([0., 0.])
    """
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        out = options.pop("out", None)
        _refuse_rest("normal", options)
        return _normal_of(mean, std, generator, out=out)
    if not isinstance(size, (tuple, list)):
        types = ", ".join(type(x).__name__ for x in (mean, std, size) if x is not None)
        raise TypeError(
            f"normal() received an invalid combination of arguments - got ({types}), but expected "
            "one of:\n"
            " * (Tensor mean, Tensor std, *, torch.Generator generator = None, Tensor out = None)\n"
            " * (Tensor mean, float std = 1, *, torch.Generator generator = None, Tensor out = "
            "None)\n"
            " * (float mean, Tensor std, *, torch.Generator generator = None, Tensor out = None)\n"
            " * (float mean, float std, tuple of ints size, *, torch.Generator generator = None, "
            "Tensor out = None, torch.dtype dtype = None, torch.layout layout = None, "
            "torch.device device = None, bool pin_memory = False, bool requires_grad = False)\n"
        )
    make = _Maker(fills.normal, _generator("normal", generator), float(mean), float(std))
    return _new_random("normal", options, get_default_dtype(), exact_size("normal", size), make)


@op(places="tm", random=True, moves=True, nondiff=True)
def multinomial(
    self: Array, num_samples: int, replacement: bool = False, generator: Generator | None = None
) -> Array:
    """Places in the last dim of `self`, drawn by the (unnormalised) probabilities there: int64.

    RuntimeError for negative or infinite probabilities, or too few of them without `replacement`.

    >>> import pullback as torch
    >>> torch.multinomial(torch.tensor([0.0, 1.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    source = default_generator if generator is None else generator
    return samples.multinomial(self, num_samples, replacement, source)


@multinomial.batch
def _multinomial_batch(level: Any, op: Any, self: Any, *rest: Any) -> Any:
    """All rows of all samples, one after the other."""
    weights = level.front(self)
    rows = weights if self.ndim < 2 else ops.reshape(weights, (-1, weights.shape[-1]))
    drawn = op(rows, *rest)
    return level.wrap(ops.reshape(drawn, (*weights.shape[:-1], drawn.shape[-1])))


multinomial.meta(lambda self, count, *rest: meta_array((*self.shape[:-1], count), np.dtype(np.int64)))


@op(places="t", random=True, moves=True)
def poisson(self: Array, generator: Generator | None = None) -> Array:
    """Poisson numbers of the rates in `self`. RuntimeError for a negative rate; the gradient is
    zero.

    >>> import pullback as torch
    >>> torch.poisson(torch.zeros(2))
    tensor([0., 0.])
    """
    return samples.poisson(self, default_generator if generator is None else generator)


_same_shape(poisson).vjp(self=flat)


@op(places="t", random=True, moves=True, grad_name="NotImplemented")
def binomial(count: Array, prob: Array, generator: Generator | None = None) -> Array:
    """The number of successes in `count` trials of probability `prob`, broadcast. No derivative.

    >>> import pullback as torch
    >>> torch.binomial(torch.tensor([5.0]), torch.tensor([1.0]))
    tensor([5.])
    """
    return samples.binomial(count, prob, default_generator if generator is None else generator)


@binomial.meta
def _binomial_shape(count: Array, prob: Array, generator: Any) -> Array:
    return meta_broadcast([count, prob], count.dtype)


binomial.vjp(count=without_derivative("binomial"), prob=without_derivative("binomial"))
