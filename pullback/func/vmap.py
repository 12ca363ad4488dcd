"""`vmap`: a function of one sample becomes a function of a batch.

The call is turned into a flat list of arguments with a dim each, the tensors among them become those of a new
level, the function runs, and the batch dim of its results is put where `out_dims` says. Plain tensors go the
short way; all others by the steps of `_functorch/vmap.py`. With `chunk_size` this happens for one part of the
batch after the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback._functorch import vmap as steps
from pullback.core._engine import Tensor, levels
from pullback.func.arguments import all_tensors, wraps
from pullback.transforms.batching.interpreter import Batching
from pullback.transforms.stack import entered
from pullback.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

InDims = Any


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

    @wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        flat, dims, spec, size = _bound(func, in_dims, args)
        if chunk_size is not None:
            step = chosen_chunk(flat, dims, size) if chunk_size == "auto" else int(chunk_size)
            if step < size:
                return _in_chunks(func, flat, dims, spec, out_dims, randomness, size, step, kwargs)
        return _run_flat(func, flat, dims, spec, out_dims, Batching(size, randomness), kwargs)

    return run


# ------------------------------------------------------------------------------------ arguments


def _bound(
    func: Any, in_dims: InDims, args: tuple[Any, ...]
) -> tuple[list[Any], list[Any], TreeSpec | None, int]:
    """The arguments in a flat list, a dim for each, how they were nested (None: not at all), and the size of
    the batch."""
    plain = _plainly_bound(in_dims, args)
    if plain is not None:
        return plain
    size, dims, flat, spec = steps._process_batched_inputs(in_dims, args, func)
    return flat, dims, spec, size


def _plainly_bound(in_dims: InDims, args: tuple[Any, ...]) -> Any:
    """The same for tensors alone with a good dim each; None where that must be looked at more closely."""
    dims = list(in_dims) if isinstance(in_dims, tuple) else [in_dims] * len(args)
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


# -------------------------------------------------------------------------------------- running


def _run_flat(
    func: Any,
    flat: list[Any],
    dims: list[Any],
    spec: TreeSpec | None,
    out_dims: InDims,
    level: Batching,
    kwargs: dict[str, Any],
) -> Any:
    """The call at a new level, its results with the batch dim."""
    if spec is None:
        args = [_lifted(level, x, dim) for x, dim in zip(flat, dims, strict=True)]
    with entered(level):
        number = len(levels())
        if spec is not None:
            args = steps._create_batched_inputs(dims, flat, number, spec)
        results = func(*args, **kwargs)
        one = isinstance(results, Tensor)
        if out_dims != 0 or not (one or (type(results) is tuple and all_tensors(results))):
            return steps._unwrap_batched(results, out_dims, number, level.size, func)
    return level.front(results) if one else tuple([level.front(x) for x in results])


def _lifted(level: Batching, x: Tensor, dim: int | None) -> Any:
    """An argument at the level, its batch from `dim`."""
    if dim is None:
        return x
    lifted = level.lifted(x if dim == 0 else ops.movedim(x, dim, 0))
    if dim and x.ndim > 1:
        lifted.batch_dim = dim % x.ndim
    return lifted


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
        results = _run_flat(func, part, dims, spec, out_dims, Batching(count, randomness), kwargs)
        leaves, shape = tree_flatten(results)
        places = steps.places_of(func, out_dims, shape, results)
        rows.append(leaves)
    joined = [
        column[0] if place is None else ops.cat(list(column), place)
        for column, place in zip(zip(*rows, strict=True), places, strict=True)
    ]
    assert shape is not None
    return tree_unflatten(joined, shape)
