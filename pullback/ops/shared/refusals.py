"""Errors that many ops raise, in PyTorch's words, and what raises them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from pullback.core._engine import Tensor

# ------------------------------------------------------------ for `refuse` of elementwise ops


def unimplemented(kernel: str, complex_text: str | None = None) -> Callable[[Any], NoReturn]:
    """For `refuse`: the error PyTorch raises for a dtype, complex ones in words of their own."""

    def refuse(dtype: Any) -> NoReturn:
        if complex_text is not None and dtype.is_complex:
            raise NotImplementedError(complex_text)
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{dtype.type_name}'")

    return refuse


def no_complex(message: str, kernel: str = "") -> Callable[[Any], str]:
    """For `refuse`: the RuntimeError for complex dtypes, the usual one for others."""
    others = unimplemented(kernel)
    return lambda dtype: message if dtype.is_complex else others(dtype)


def without_derivative(name: str) -> Callable[..., Any]:
    """A rule for what PyTorch cannot differentiate: the error comes with the backward pass."""

    def rule(g: Any) -> Any:
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    return rule


# ------------------------------------------------------------------------------- arguments


def refuse(
    name: str, tensor: Tensor, *, kinds: str = "f", also: tuple[str, ...] = (), half: bool = True
) -> None:
    """NotImplementedError for a dtype that is not of these kinds, and not among some others."""
    dtype = tensor.dtype
    if (dtype.kind not in kinds and dtype.name not in also) or (dtype.itemsize == 2 and not half):
        raise NotImplementedError(f"\"{name}\" not implemented for '{dtype.type_name}'")


def check_tensors(name: str, **arguments: Any) -> None:
    """TypeError for an argument that is no tensor."""
    for position, (parameter, value) in enumerate(arguments.items(), 1):
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise TypeError(
                f"{name}(): argument '{parameter}' (position {position}) must be Tensor, not {kind}"
            )
