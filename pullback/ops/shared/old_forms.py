"""Calls of old, with a number between the tensors: `add(x, 2, y)` for `add(x, y, alpha=2)`.

PyTorch still takes them, with a warning at the first. No signature shows them: `takes_old_forms` says, for a
function that is published, which numbers at which places of a call are which keywords.
"""

from __future__ import annotations

from typing import Any

from pullback.core._engine import Function, Tensor
from pullback.core.dtypes import number_dtype
from pullback.core.op import SURFACE
from pullback.core.settings import warn


def _letters(args: tuple[Any, ...]) -> str:
    """Of each argument, whether it is a T tensor, a N number or something else."""
    return "".join("T" if isinstance(x, Tensor) else "?" if number_dtype(x) is None else "N" for x in args)


def _rescuer(name: str, function: Any, places: dict[str, str]) -> Any:
    known = function.rescue

    def rescue(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        keywords = places.get(_letters(args))
        if keywords is None or kwargs.keys() & set(keywords.split()):
            return known(args, kwargs) if known is not None else NotImplemented
        warn(f"This overload of {name} is deprecated: give {keywords.replace(' ', ' and ')} by name")
        names, operands = keywords.split(), list(args)
        for keyword in names:
            place = next(i for i, x in enumerate(operands) if not isinstance(x, Tensor))
            kwargs = {**kwargs, keyword: operands.pop(place)}
        return function(*operands, **kwargs)

    return rescue


def takes_old_forms(name: str, **places: str) -> None:
    """Lets a public function and its methods be called so.

    Keys are the kinds of the arguments, T a tensor and N a number, values the keywords of the first numbers.
    """
    for space, public in (("torch", name), ("Tensor", name), ("Tensor", f"{name}_")):
        found = SURFACE[space].get(public)
        if found is not None and not isinstance(getattr(found, "__wrapped__", None), Function):
            found.rescue = _rescuer(name, found, places)
