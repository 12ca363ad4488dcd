"""`vmap`: a function of one sample becomes a function of a batch.

The call is turned into a flat list of arguments with a dim each (`_bound`), the tensors among them
become those of a new level, the function runs, and the batch dim of its results is put
where `out_dims` says (`_unwrapped`). With `chunk_size` this happens for one part of the batch after
the other.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.transforms.batching.interpreter import Batching
from pullback.transforms.stack import entered
from pullback.utils._pytree import (
    TreeSpec,
    _broadcast_to_and_flatten,
    tree_flatten,
    tree_unflatten,
)

InDims = Any


def name_of(func: Callable[..., Any]) -> str:
    """What messages call a function."""
    if isinstance(func, functools.partial):
        return f"functools.partial({name_of(func.func)}, ...)"
    return getattr(func, "__name__", repr(func))


def vmap(
    func: Callable[..., Any],
    in_dims: InDims = 0,
    out_dims: InDims = 0,
    randomness: str = "error",
    *,
    chunk_size: int | str | None = None,
) -> Callable[..., Any]:
    """A function that does to each sample of a batch what `func` does to one, all at once.

    `in_dims` says where the batch stands in each argument, None for one that all samples share: an
    int for all, or a tuple like the arguments, nested as they are. `out_dims` says where it shall
    stand in the results. `randomness` is "error", "different" (each sample draws its own numbers)
    or "same". `chunk_size` limits how many samples run at once; "auto" chooses by the memory there
    is. ValueError for batches of different sizes.

    >>> import pullback as torch
    >>> torch.vmap(torch.dot)(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.ones(2, 2))
    tensor([3., 7.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}"
        )
    if not (chunk_size is None or chunk_size == "auto" or (isinstance(chunk_size, int) and chunk_size > 0)):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        flat, dims, spec, size = bound(func, in_dims, args)
        if chunk_size is not None:
            step = chosen_chunk(flat, dims, size) if chunk_size == "auto" else int(chunk_size)
            if step < size:
                return _in_chunks(func, flat, dims, spec, out_dims, randomness, size, step, kwargs)
        return run_flat(func, flat, dims, spec, out_dims, Batching(size, randomness), kwargs)

    return run


# ------------------------------------------------------------------------------------ arguments


def bound(
    func: Any, in_dims: InDims, args: tuple[Any, ...]
) -> tuple[list[Any], list[Any], TreeSpec | None, int]:
    """The arguments in a flat list, a dim for each, how they were nested (None: not at all), and the size of
    the batch."""
    if type(in_dims) is not int and not isinstance(in_dims, tuple):
        raise ValueError(
            f"vmap({name_of(func)}, in_dims={in_dims}, ...)(<inputs>): expected `in_dims` to be int or "
            "a (potentially nested) tuple matching the structure of inputs, got: "
            f"{type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({name_of(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are "
            "trying to vmap over a function with no inputs. The latter is unsupported."
        )
    plain = _plainly_bound(in_dims, args)
    if plain is not None:
        return plain
    flat, spec = tree_flatten(args)
    dims = _broadcast_to_and_flatten(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"vmap({name_of(func)}, in_dims={in_dims}, ...)(<inputs>): in_dims is not compatible with the "
            f"structure of `inputs`. in_dims has structure {tree_flatten(in_dims)[1]} but inputs has "
            f"structure {spec}."
        )
    for i, (x, dim) in enumerate(zip(flat, dims, strict=True)):
        dims[i] = _checked_dim(func, in_dims, x, dim)
    return flat, dims, spec, batch_size(flat, dims)


def _plainly_bound(in_dims: InDims, args: tuple[Any, ...]) -> Any:
    """The same for tensors alone with a good dim each; None where that must be looked at more closely."""
    dims = [in_dims] * len(args) if type(in_dims) is int else list(in_dims)
    if len(dims) != len(args):
        return None
    size = None
    for x, dim in zip(args, dims, strict=True):
        if not isinstance(x, Tensor):
            return None
        if dim is None:
            continue
        if type(dim) is not int or not 0 <= dim < x._layout.ndim:
            return None
        if size is not None and size != x._layout.shape[dim]:
            return None
        size = x._layout.shape[dim]
    return None if size is None else (list(args), dims, None, size)


def _checked_dim(func: Any, in_dims: InDims, x: Any, dim: Any) -> int | None:
    """The batch dim of one argument, not negative."""
    if dim is None:
        return None
    if type(dim) is int and isinstance(x, Tensor):
        ndim = x._layout.ndim
        if -ndim <= dim < ndim:
            return dim % ndim
    start = f"vmap({name_of(func)}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={dim} for"
    if type(dim) is not int:
        raise ValueError(
            f"{start} an input but in_dim must be either an integer dimension or None.",
        )
    if not isinstance(x, Tensor):
        raise ValueError(
            f"{start} an input but the input is of type {type(x)}. We cannot vmap over non-Tensor "
            "arguments, please use None as the respective in_dim"
        )
    raise ValueError(
        f"{start} some input, but that input is a Tensor of dimensionality {x.ndim} so expected in_dim "
        f"to satisfy -{x.ndim} <= in_dim < {x.ndim}."
    )


def batch_size(flat: list[Any], dims: list[Any]) -> int:
    """The size that the batched arguments agree in."""
    sizes = [x._layout.shape[dim] for x, dim in zip(flat, dims, strict=True) if dim is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over, got none: every in_dim is None.")
    if sizes.count(sizes[0]) != len(sizes):
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension"
        )
    return sizes[0]


# -------------------------------------------------------------------------------------- running


def run_flat(
    func: Any,
    flat: list[Any],
    dims: list[Any],
    spec: TreeSpec | None,
    out_dims: InDims,
    level: Batching,
    kwargs: dict[str, Any],
) -> Any:
    """The call at a new level, its results with the batch dim."""
    given = []
    for x, dim in zip(flat, dims, strict=True):
        given.append(x if dim is None else level.lifted(x if dim == 0 else ops.movedim(x, dim, 0)))
        if dim and x.ndim > 1:
            given[-1].batch_dim = dim % x.ndim
    args = given if spec is None else tree_unflatten(given, spec)
    with entered(level):
        results = func(*args, **kwargs)
    if out_dims == 0 and isinstance(results, Tensor):
        return level.front(results)
    leaves, shape = tree_flatten(results)
    places = _out_dims(func, out_dims, shape, results)
    found = [_unwrapped(func, level, x, place) for x, place in zip(leaves, places, strict=True)]
    return tree_unflatten(found, shape)


def _out_dims(func: Any, out_dims: InDims, shape: TreeSpec, results: Any) -> list[Any]:
    """Where the batch goes in each result."""
    if isinstance(out_dims, int) or out_dims is None:
        return [out_dims] * shape.num_leaves
    if isinstance(results, Tensor) and isinstance(out_dims, tuple) and len(out_dims) == 1:
        out_dims = out_dims[0]
    places = _broadcast_to_and_flatten(out_dims, shape)
    for place in tree_flatten(out_dims)[0]:
        if place is not None and not isinstance(place, int):
            raise ValueError(
                f"vmap({name_of(func)}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a "
                "python collection of ints representing where in the outputs the vmapped dimension "
                "should appear."
            )
    if places is None:
        raise ValueError(
            f"vmap({name_of(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with "
            f"the structure of `outputs`. out_dims has structure {tree_flatten(out_dims)[1]} but outputs "
            f"has structure {shape}."
        )
    return places


def _unwrapped(func: Any, level: Batching, x: Any, place: int | None) -> Any:
    """One result as a physical tensor, its batch dim at `place`."""
    if not isinstance(x, Tensor):
        if place is None:
            return x
        raise ValueError(
            f"vmap({name_of(func)}, ...): `{name_of(func)}` must only return Tensors, got type {type(x)}. "
            "Did you mean to set out_dims= to None for output?"
        )
    if level.holds(x):
        if place is None:
            raise ValueError(
                f"vmap({name_of(func)}, ...): `{name_of(func)}` can not return a BatchedTensor when "
                "out_dim is None"
            )
        physical = level.front(x)
        return physical if place == 0 else ops.movedim(physical, 0, place)
    if place is None:
        return x
    wide = ops.expand(x, (level.size, *x.shape))
    return wide if place == 0 else ops.movedim(wide, 0, place)


# --------------------------------------------------------------------------------------- chunks

TEMPORARIES = 32
"""How many arrays of an argument's size a function is taken to hold at once."""


def free_memory() -> int:
    """The bytes of memory that are free on this machine, a guess where it does not tell."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 1 << 32


def chunk_for(bytes_each: int, size: int) -> int:
    """How many samples of this size may run at once: they take a quarter of the free memory."""
    return max(1, min(size, free_memory() // 4 // max(TEMPORARIES * bytes_each, 1)))


def chosen_chunk(flat: list[Any], dims: list[Any], size: int) -> int:
    """The chunk size for "auto"."""
    total = sum(x._layout.nbytes for x, dim in zip(flat, dims, strict=True) if dim is not None)
    return chunk_for(total // max(size, 1), size)


def _in_chunks(
    func: Any,
    flat: list[Any],
    dims: list[Any],
    spec: TreeSpec | None,
    out_dims: InDims,
    randomness: str,
    size: int,
    step: int,
    kwargs: dict[str, Any],
) -> Any:
    """The call on `step` samples at a time, the results joined."""
    rows, shape, places = [], None, []
    state = ops.get_rng_state() if randomness == "same" else None
    for start in range(0, size, step):
        if state is not None:
            ops.set_rng_state(state)
        count = min(step, size - start)
        part = [
            x if dim is None else ops.narrow(x, dim, start, count) for x, dim in zip(flat, dims, strict=True)
        ]
        results = run_flat(func, part, dims, spec, out_dims, Batching(count, randomness), kwargs)
        leaves, shape = tree_flatten(results)
        places = _out_dims(func, out_dims, shape, results)
        rows.append(leaves)
    joined = [
        column[0] if place is None else ops.cat(list(column), place)
        for column, place in zip(zip(*rows, strict=True), places, strict=True)
    ]
    assert shape is not None
    return tree_unflatten(joined, shape)
