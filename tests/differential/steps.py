"""What a step of a random program may be: a function of a library, the pool of tensors, and choices.

A step gives new tensors, or writes to old ones. It must do the same on both libraries: what it chooses comes
from `pick` alone, and numbers too. What a step is not valid for is refused by the library: that is compared.
"""

import functools
import math

import numpy as np

APART = "what is written is computed from what was there before"
OWN = "a tensor that grows has memory of its own"
HOOKED = "a hook on a view whose base was written is called"
HALVES = ("float16", "bfloat16")

DTYPES = ("float32",) * 4 + (
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int64",
    "int32",
    "uint8",
    "bool",
    "complex64",
)
SHAPES = ((), (1,), (3,), (4,), (2, 3), (3, 1), (1, 3), (3, 4), (2, 0), (2, 3, 4), (1, 2, 4, 4), (2, 2, 3, 3))
NUMBERS = (0, 1, 2, -1, 3, 0.5, -0.3, 1.7, 2.0, True, 1e-3, 7)


def words(*lines):
    """The words of some lines."""
    return tuple(word for line in lines for word in line.split())


UNARY = words(
    "abs neg exp sin cos tanh sigmoid sqrt log log1p square reciprocal rsqrt floor ceil round trunc sign",
    "sgn relu isnan isfinite logical_not erf angle conj real positive deg2rad expm1 frac bitwise_not atan",
)
BINARY = words(
    "add sub mul div pow maximum minimum atan2 fmod remainder eq ne lt ge logical_and logical_or xlogy",
    "logical_xor floor_divide true_divide bitwise_and bitwise_or hypot copysign fmax logaddexp",
)
REDUCTIONS = words("sum mean prod amax amin any all logsumexp var std argmax cumsum cumprod median norm")
IN_PLACE = words("add_ mul_ sub_ div_ copy_ pow_ fmod_ eq_ floor_divide_ clamp_")
UNARY_IN_PLACE = words("zero_ exp_ neg_ relu_ abs_ sqrt_ sin_ floor_ sigmoid_ logical_not_ square_")
OUT = words("add mul exp sin div eq maximum abs sum cumsum logical_not")


def new(lib, pool, pick):
    """A leaf: dtype, shape, layout, and whether it requires a gradient."""
    dtype, shape = pick(DTYPES), pick(SHAPES)
    count = 1
    for n in shape:
        count *= n
    values = [pick((0, 1, 2, 3, -1, -2, 5)) + pick((0, 0.25, 0.5)) for _ in range(count)]
    if dtype == "uint8":
        values = [abs(v) for v in values]
    x = lib.tensor(values, dtype=lib.float64).to(getattr(lib, dtype)).reshape(shape)
    how = pick(("", "", "transposed", "strided", "last"))
    if how == "transposed" and len(shape) > 1:
        x = x.transpose(0, -1).contiguous().transpose(0, -1)
    elif how == "strided" and shape:
        x = lib.stack([x, x], -1)[..., 0]
    elif how == "last" and len(shape) == 4:
        x = x.contiguous(memory_format=lib.channels_last)
    if x.dtype.is_floating_point or x.dtype.is_complex:
        x = x.detach().requires_grad_(pick((True, True, False)))
    return x


def operand(lib, pool, pick):
    return pick(NUMBERS) if pick((True, False, False)) else pick(pool)


def unary(lib, pool, pick):
    return getattr(lib, pick(UNARY))(pick(pool))


def binary(lib, pool, pick):
    name, x, y = pick(BINARY), pick(pool), operand(lib, pool, pick)
    if name == "atan2":  # PyTorch squares integers for the slope, in their own dtype
        x, y = x * 1.0, y * 1.0
    return getattr(lib, name)(x, y)


def operator(lib, pool, pick):
    x, y, sign = pick(pool), operand(lib, pool, pick), pick(("+", "-", "*", "/", "**", "//", "%", "<", "=="))
    if pick((True, False)):
        x, y = y, x
    return eval(f"x {sign} y", {"x": x, "y": y})


def where(lib, pool, pick):
    return lib.where(pick(pool) > 0, operand(lib, pool, pick), operand(lib, pool, pick))


def fused(lib, pool, pick):
    name = pick(("addcmul", "addcdiv", "lerp", "clamp"))
    return getattr(lib, name)(pick(pool), pick(pool), pick(pool))


def reduction(lib, pool, pick):
    x, name, options = pick(pool), pick(REDUCTIONS), {}
    if name == "median":  # PyTorch reads elsewhere where a stride is zero
        x = x.contiguous()
    dims = pick(((), (0,), (-1,), (1,)))
    if dims and name != "norm" and pick((True, False)) and not name.startswith("cum"):
        options["keepdim"] = True
    if name in ("sum", "prod", "cumsum") and pick((True, False, False)):
        options["dtype"] = getattr(lib, pick(DTYPES))
    found = getattr(lib, name)(x, *((2, *dims) if name == "norm" and dims else dims), **options)
    return found[0] if isinstance(found, tuple) else found


def product(lib, pool, pick):
    return getattr(lib, pick(("matmul", "mm", "mv", "dot", "outer", "bmm")))(pick(pool), pick(pool))


def view(lib, pool, pick):
    x, d, e = pick(pool), pick((0, -1, 1)), pick((0, -1, 2))
    return pick(
        (
            lambda: x.transpose(d, e),
            lambda: x.unsqueeze(d),
            lambda: x.squeeze(),
            lambda: x.select(d, 0),
            lambda: x.narrow(d, 0, 1),
            lambda: x.reshape(-1),
            lambda: x.view(-1),
            lambda: x.flatten(),
            lambda: x.expand(2, *x.shape),
            lambda: x.mT,
            lambda: x.diagonal(),
            lambda: x.chunk(2, d)[-1],
            lambda: x.unfold(d, 2, 1),
            lambda: x.movedim(d, e),
            lambda: x.detach(),
            lambda: x.unbind(d)[0],
            lambda: x.real,
            lambda: x.imag,
            lambda: x.view_as(x),
            lambda: x.T,
        )
    )()


def key(lib, pool, pick, x):
    """An index of any kind."""

    def one():
        kind = pick(("int", "slice", "none", "ellipsis", "tensor", "mask", "list"))
        if kind == "int":
            return pick((0, -1, 1))
        if kind == "slice":
            return pick(
                (slice(None), slice(1, None), slice(None, None, 2), slice(0, 1), slice(-2, None), slice(1, 1))
            )
        if kind == "tensor":
            return lib.tensor(pick(([0], [0, 1], [[0, 0], [1, 0]], 0)))
        if kind == "mask":
            return lib.tensor([pick((True, False)) for _ in range(x.shape[0] if x.ndim else 1)])
        return {"none": None, "ellipsis": Ellipsis, "list": [0, 0]}[kind]

    parts = tuple(one() for _ in range(pick((1, 1, 2))))
    return parts[0] if len(parts) == 1 else parts


def index(lib, pool, pick):
    x = pick(pool)
    return x[key(lib, pool, pick, x)]


def put(lib, pool, pick):
    x = pick(pool)
    value = operand(lib, pool, pick)
    at = key(lib, pool, pick, x)

    def write(x):
        x[at] = apart(pick, value, x, itself=True)

    written(pick, x, write)
    return Written(x, value, itself=True)


def in_place(lib, pool, pick):
    x = pick(pool)
    if pick((True, False, False)):
        name = pick(UNARY_IN_PLACE)
        return Written(written(pick, x, lambda x: getattr(x, name)()))
    name, other = pick(IN_PLACE), operand(lib, pool, pick)
    return Written(written(pick, x, lambda x: getattr(x, name)(apart(pick, other, x))), other)


def masked(lib, pool, pick):
    x, mask = pick(pool), pick(pool) > 0
    return pick(
        (
            lambda: Written(written(pick, x, lambda x: x.masked_fill_(mask, pick(NUMBERS)))),
            lambda: x.masked_fill(mask, pick(NUMBERS)),
        )
    )()


def gathered(lib, pool, pick):
    x, d = pick(pool), pick((0, -1))
    at = lib.tensor([0, 0])
    return pick(
        (
            lambda: x.index_select(d, at),
            lambda: x.gather(d, x.long() * 0),
            lambda: x.index_add(d, at[:1], x.narrow(d, 0, 1)),
            lambda: x.scatter(d, x.long() * 0, 1),
            lambda: x.take(at),
            lambda: lib.sort(x, stable=True, dim=d)[0],
            lambda: x.flip(d),
            lambda: x.roll(1, d),
        )
    )()


def joined(lib, pool, pick):
    return getattr(lib, pick(("cat", "stack", "hstack")))([pick(pool), pick(pool)])


def into(lib, pool, pick):
    name, x, out = pick(OUT), pick(pool), pick(pool)
    if name in ("sum", "cumsum") and (x is out or shares(x, out)):
        out = lib.empty(0)  # a smaller result resizes its own input
    arguments = (
        (x, operand(lib, pool, pick)) if name in BINARY else (x, 0) if name in ("sum", "cumsum") else (x,)
    )
    read = [apart(pick, one, out) for one in arguments]
    if OWN in pick.amended and outgrows(out, getattr(lib, name)(*read).shape):
        out.data = lib.empty(0, dtype=out.dtype)
    write = functools.partial(getattr(lib, name), *read)
    return Written(written(pick, out, lambda out: write(out=out)), *arguments)


def cast(lib, pool, pick):
    x = pick(pool)
    return pick(
        (
            lambda: x.to(getattr(lib, pick(DTYPES))),
            lambda: x.float(),
            lambda: x.clone(),
            lambda: x.contiguous(),
            lambda: x.clone(memory_format=lib.channels_last),
            lambda: lib.zeros_like(x),
            lambda: x.new_ones(2, 2),
        )
    )()


def image(lib, pool, pick):
    x, F = pick(pool), lib.nn.functional
    return pick(
        (
            lambda: F.max_pool2d(x, 2),
            lambda: F.avg_pool2d(x, 2),
            lambda: F.interpolate(x, scale_factor=2),
            lambda: F.pad(x, (1, 1)),
            lambda: F.conv2d(x, lib.ones(2, 2, 2, 2)),
            lambda: F.group_norm(x, 1),
            lambda: F.softmax(x, -1),
            lambda: F.layer_norm(x, x.shape[-1:]),
            lambda: F.gelu(x),
        )
    )()


def quietly(lib, pool, pick):
    """Another step without a graph."""
    with pick((lib.no_grad, lib.enable_grad))():
        return pick((unary, binary, view, in_place, put))(lib, pool, pick)


def hook(lib, pool, pick):
    x, factor = pick(pool), pick((2, 0.5))
    handle = pick((lambda: x.register_hook(lambda g: g * factor), lambda: x.retain_grad()))()
    if HOOKED in pick.amended and handle is not None:
        handle.remove()


def custom(lib, pool, pick):
    """A Function: it saves its input, or writes to it, or shows a part of it."""
    how = pick(("square", "write", "view", "same"))

    class Own(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            if how == "write":
                ctx.mark_dirty(x)
                return x.mul_(2)
            return {"square": lambda: x * x, "view": lambda: x[:1], "same": lambda: x}[how]()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            if how == "view":
                return lib.cat([g, g.new_zeros(x.shape[0] - 1, *x.shape[1:])])
            return {"square": lambda: g * 2 * x, "write": lambda: g * 2, "same": lambda: g}[how]()

    return Own.apply(pick(pool))


def transformed(lib, pool, pick):
    x = pick(pool)
    f = pick(
        (lambda x: x * x, lambda x: x.sin(), lambda x: x.sum(), lambda x: x.relu() + 1, lambda x: x.cumsum(0))
    )
    return pick(
        (
            lambda: lib.vmap(f)(x),
            lambda: lib.func.grad(lambda x: f(x).sum())(x),
            lambda: lib.func.jvp(f, (x,), (lib.ones_like(x),))[1],
            lambda: lib.vmap(lib.func.grad(lambda x: f(x).sum()))(x),
            lambda: lib.func.jacrev(f)(x),
        )
    )()


def shown(lib, pool, pick):
    return repr(pick(pool))


def outgrows(x, shape):
    """Whether a tensor of another shape does not fit into the memory of a tensor."""
    end = (x.storage_offset() + math.prod(shape)) * x.element_size()
    return tuple(x.shape) != tuple(shape) and end > x.untyped_storage().nbytes()


def shares(x, y):
    """Whether two tensors lie in one memory; what is empty lies nowhere."""
    return x.numel() and x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()


def meet(x, target, itself=False):
    """Whether an operand lies in memory that is written; `itself` if the target is no better."""
    return hasattr(x, "untyped_storage") and (itself or x is not target) and shares(x, target)


def apart(pick, x, target, itself=False):
    """An operand of a write: if the program is amended so, one that lies elsewhere."""
    return x.clone() if APART in pick.amended and meet(x, target, itself) else x


def written(pick, target, write):
    """The target after a write: if the program is amended so, by way of a copy if its elements meet."""
    if APART in pick.amended and overlaps_itself(target):
        whole = target.clone()
        write(whole)
        return target.copy_(whole)
    found = write(target)
    return target if found is None else found


class Written:
    """What a step wrote to, shown, and no new tensor; and what it read besides.

    `meets` says whether that lies in the same memory, or the written elements in one another.
    """

    def __init__(self, tensor, *read, itself=False):
        self.tensor = tensor
        self.meets = overlaps_itself(tensor) or any(meet(x, tensor, itself) for x in read)


def overlaps_itself(x):
    """Whether elements of a tensor lie in one place."""
    places = np.zeros(x.shape, int)
    for d, (n, step) in enumerate(zip(x.shape, x.stride(), strict=True)):
        places += (np.arange(n) * step).reshape(n, *(1,) * (x.ndim - d - 1))
    return np.unique(places).size < places.size


STEPS = (
    *(new,) * 3, *(unary,) * 3, *(binary,) * 4, *(view,) * 5, *(index,) * 3, *(put,) * 2, *(in_place,) * 4,
    *(reduction,) * 3, operator, operator, where, fused, product, masked, gathered, gathered, joined,
    into, into, cast, cast, image, quietly, quietly, hook, custom, transformed, shown,
)  # fmt: skip
