"""How a loss is reduced, and the three ways to say it.

Users name it, or give two older parameters, which `loss` adds to a function's signature; NONE, MEAN and
SUM are the codes that ops have. A loss with a kernel computes all of it in one go and saves only
its inputs: `reduced_array` reduces in the kernel, `share` gives the rule the part of the gradient that
each element gets. Read `loss` first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.op import function
from pullback.core.settings import warn_each_time
from pullback.ops.reductions.reduce import sum_array

NONE, MEAN, SUM = 0, 1, 2  # what becomes of the losses of all elements, by PyTorch's numbers
_CODES = {"none": NONE, "mean": MEAN, "sum": SUM}


def reduction_of(reduction: Any) -> int:
    """The code of a reduction, by its name; codes are taken as well."""
    if reduction in _CODES:
        return _CODES[reduction]
    if reduction == "elementwise_mean":
        warn_each_time("reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.")
        return MEAN
    if isinstance(reduction, int):
        return reduction
    raise ValueError(f"{reduction} is not a valid value for reduction")


def named_code(reduction: str | int) -> int:
    """The code of a name, and of nothing else."""
    if isinstance(reduction, int):
        return reduction
    if reduction not in _CODES:
        raise ValueError(f"{reduction} is not valid")
    return _CODES[reduction]


def older_code(size_average: bool | None, reduce: bool | None) -> int:
    """The reduction that the two older parameters mean, with a warning."""
    name = "none" if reduce is False else "sum" if size_average is False else "mean"
    warn_each_time(
        f"size_average and reduce args will be deprecated, please use reduction='{name}' instead.",
    )
    return _CODES[name]


def loss(fn: Callable[..., Tensor]) -> Any:
    """Publishes a loss in `nn.functional`, with two older parameters in its signature. A decorator.

    They are `size_average`, which stands where the function has its star, and `reduce`, before
    `reduction`; given, they overrule it. A call without them costs nothing: they are looked for after
    the TypeError that they, or arguments by position behind the star, raise.
    """
    plain = list(inspect.signature(fn).parameters.values())
    star = next(i for i, p in enumerate(plain) if p.kind is p.KEYWORD_ONLY)
    place = next(i for i, p in enumerate(plain) if p.name == "reduction")
    older = [
        inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation="bool | None"
        )
        for name in ("size_average", "reduce")
    ]
    parameters = [*plain[:star], older[0], *plain[star:place], older[1], *plain[place:]]
    signature = inspect.Signature([p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in parameters])

    def rescue(args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if len(args) <= star and not {"size_average", "reduce"} & named.keys():
            return NotImplemented
        try:
            given = dict(signature.bind(*args, **named).arguments)
        except TypeError as error:
            raise TypeError(f"{fn.__name__}() got {error}") from None
        size_average, reduce = given.pop("size_average", None), given.pop("reduce", None)
        if size_average is not None or reduce is not None:
            given["reduction"] = older_code(size_average, reduce)
        return fn(**given)

    fn.__signature__ = signature.replace(return_annotation="Tensor")  # type: ignore[attr-defined]
    return function(places="", aliases=(f"nn.functional.{fn.__name__}",), rescue=rescue)(fn)


# ------------------------------------------------------------------------------- what losses share


def reduced(losses: Tensor, reduction: int) -> Tensor:
    """The losses of the elements, their mean or their sum."""
    return ops.mean(losses) if reduction == MEAN else ops.sum(losses) if reduction == SUM else losses


def reduced_array(losses: Any, reduction: int) -> Any:
    """The same in a kernel."""
    if reduction == NONE:
        return losses
    total = sum_array(np.asarray(losses), None, False)
    return np.true_divide(total, losses.size, total) if reduction == MEAN else total


def share(g: Tensor, count: int, reduction: int) -> Tensor:
    """What an element gets of the gradient of the reduced loss."""
    return g / count if reduction == MEAN else g
