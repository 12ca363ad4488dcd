"""`torch._functorch.vmap`: the three steps of `vmap` for arguments and results that are not plain tensors.

`_process_batched_inputs` makes a flat list of the arguments, with a dim each; `_create_batched_inputs` makes
the tensors among them such of the new level; `_unwrap_batched` puts the batch dim of results where `out_dims`
says. `vmap` looks them up here at each call: packages put functions in their places that know other
containers of tensors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pullback._C._functorch import _add_batch_dim, _remove_batch_dim, is_batchedtensor
from pullback.core._engine import Tensor, levels
from pullback.face.absent import getter
from pullback.utils._pytree import (
    TreeSpec,
    _broadcast_to_and_flatten,
    tree_flatten,
    tree_unflatten,
)

__all__ = ["Tensor", "is_batchedtensor"]

InDims = Any


def _get_name(func: Callable[..., Any]) -> str:
    """What messages call a function."""
    if isinstance(func, functools.partial):
        return f"functools.partial({_get_name(func.func)}, ...)"
    return getattr(func, "__name__", repr(func))


def _process_batched_inputs(
    in_dims: InDims, args: tuple[Any, ...], func: Callable[..., Any]
) -> tuple[int, list[Any], list[Any], TreeSpec]:
    """The size of the batch, a dim for each argument, these in a flat list, and how they were nested."""
    if type(in_dims) is not int and not isinstance(in_dims, tuple):
        raise ValueError(
            f"vmap({_get_name(func)}, in_dims={in_dims}, ...)(<inputs>): expected `in_dims` to be int or "
            "a (potentially nested) tuple matching the structure of inputs, got: "
            f"{type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({_get_name(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are "
            "trying to vmap over a function with no inputs. The latter is unsupported."
        )
    flat, spec = tree_flatten(args)
    dims = _broadcast_to_and_flatten(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"vmap({_get_name(func)}, in_dims={in_dims}, ...)(<inputs>): in_dims is not compatible with the "
            f"structure of `inputs`. in_dims has structure {tree_flatten(in_dims)[1]} but inputs has "
            f"structure {spec}."
        )
    for i, (x, dim) in enumerate(zip(flat, dims, strict=True)):
        dims[i] = _checked_dim(func, in_dims, x, dim)
    return _validate_and_get_batch_size(dims, flat), dims, flat, spec


def _checked_dim(func: Any, in_dims: InDims, x: Any, dim: Any) -> int | None:
    """The batch dim of one argument, not negative."""
    if dim is None:
        return None
    if type(dim) is int and isinstance(x, Tensor):
        ndim = x._layout.ndim
        if -ndim <= dim < ndim:
            return dim % ndim
    start = f"vmap({_get_name(func)}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={dim} for"
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


def _validate_and_get_batch_size(flat_in_dims: list[Any], flat_args: list[Any]) -> int:
    """The size that the batched arguments agree in."""
    sizes = [x._layout.shape[dim] for x, dim in zip(flat_args, flat_in_dims, strict=True) if dim is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over, got none: every in_dim is None.")
    if sizes.count(sizes[0]) != len(sizes):
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension"
        )
    return sizes[0]


def _create_batched_inputs(
    flat_in_dims: list[Any], flat_args: list[Any], vmap_level: int, args_spec: TreeSpec
) -> Any:
    """The arguments as they were nested, those with a batch as tensors of the level of this number."""
    given = [
        x if dim is None else _add_batch_dim(x, dim, vmap_level)
        for x, dim in zip(flat_args, flat_in_dims, strict=True)
    ]
    for lifted, x, dim in zip(given, flat_args, flat_in_dims, strict=True):
        if dim and x.ndim > 1:
            lifted.batch_dim = dim % x.ndim
    return tree_unflatten(given, args_spec)


def _unwrap_batched(
    batched_outputs: Any, out_dims: Any, vmap_level: int, batch_size: int, func: Callable[..., Any]
) -> Any:
    """The results of a level, with the batch where `out_dims` says."""
    leaves, shape = tree_flatten(batched_outputs)
    places = places_of(func, out_dims, shape, batched_outputs)
    return tree_unflatten(
        [
            _maybe_remove_batch_dim(_get_name(func), x, vmap_level, batch_size, place)
            for x, place in zip(leaves, places, strict=True)
        ],
        shape,
    )


def places_of(func: Any, out_dims: InDims, shape: TreeSpec, results: Any) -> list[Any]:
    """Where the batch goes in each result."""
    if isinstance(out_dims, int) or out_dims is None:
        return [out_dims] * shape.num_leaves
    if isinstance(results, Tensor) and isinstance(out_dims, tuple) and len(out_dims) == 1:
        out_dims = out_dims[0]
    places = _broadcast_to_and_flatten(out_dims, shape)
    for place in tree_flatten(out_dims)[0]:
        if place is not None and not isinstance(place, int):
            raise ValueError(
                f"vmap({_get_name(func)}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a "
                "python collection of ints representing where in the outputs the vmapped dimension "
                "should appear."
            )
    if places is None:
        raise ValueError(
            f"vmap({_get_name(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with "
            f"the structure of `outputs`. out_dims has structure {tree_flatten(out_dims)[1]} but outputs "
            f"has structure {shape}."
        )
    return places


def _maybe_remove_batch_dim(
    name: str, batched_output: Any, vmap_level: int, batch_size: int, out_dim: int | None
) -> Any:
    """One result as a physical tensor, its batch dim at `out_dim`."""
    if not isinstance(batched_output, Tensor):
        if out_dim is None:
            return batched_output
        raise ValueError(
            f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(batched_output)}. "
            "Did you mean to set out_dims= to None for output?"
        )
    if out_dim is not None:
        return _remove_batch_dim(batched_output, vmap_level, batch_size, out_dim)
    if levels()[vmap_level - 1].holds(batched_output):
        raise ValueError(f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None")
    return batched_output


__getattr__ = getter(__name__)
