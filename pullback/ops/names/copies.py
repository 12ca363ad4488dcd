"""Views that are copied: `permute_copy` gives what `permute` does, in memory of its own.

One table makes them all. Those of lists (`split`, `unbind`) copy each part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor, write_out
from pullback.core.dtypes import contiguous_format
from pullback.core.dtypes import dtype as Dtype
from pullback.core.op import function
from pullback.core.signatures import OUT, signature_of, without
from pullback.ops.arrays import split

_CALLS = {
    "alias": "torch.ones(1)",
    "as_strided": "torch.ones(2, 3), (3,), (2,)",
    "detach": "torch.ones(1)",
    "diagonal": "torch.ones(2, 3)",
    "expand": "torch.ones(1, 3), (2, 3)",
    "permute": "torch.ones(2, 3), (1, 0)",
    "select": "torch.ones(2, 3), 0, 1",
    "slice": "torch.ones(2, 3), 1, 0, 2",
    "squeeze": "torch.ones(1, 3)",
    "t": "torch.ones(2, 3)",
    "transpose": "torch.ones(2, 3), 0, 1",
    "unfold": "torch.ones(4), 0, 2, 1",
    "unsqueeze": "torch.ones(3), 0",
    "view": "torch.ones(2, 3), (6,)",
    "view_as_complex": "torch.ones(3, 2)",
    "view_as_real": "torch.ones(3) + 0j",
    "split": "torch.ones(4), 2",
    "split_with_sizes": "torch.ones(4), (1, 3)",
    "unbind": "torch.ones(2, 3)",
}
_SHAPES = {
    "alias": "[1]",
    "as_strided": "[3]",
    "detach": "[1]",
    "diagonal": "[2]",
    "expand": "[2, 3]",
    "permute": "[3, 2]",
    "select": "[3]",
    "slice": "[2, 2]",
    "squeeze": "[3]",
    "t": "[3, 2]",
    "transpose": "[3, 2]",
    "unfold": "[3, 2]",
    "unsqueeze": "[1, 3]",
    "view": "[6]",
    "view_as_complex": "[3]",
    "view_as_real": "[3, 2]",
}


def _sliced(input: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Tensor:
    """`x[start:end:step]` along one dim."""
    key: list[Any] = [slice(None)] * input.ndim
    key[dim] = slice(start, end, step)
    return input[tuple(key)]


def _viewed(input: Tensor, *size: Any) -> Tensor:
    """As another dtype, or in a shape, whatever the strides."""
    return input.view(*size) if isinstance(size[0], Dtype) else ops.reshape(input, *size)


_VIEWS: dict[str, Callable[..., Any]] = {
    "alias": lambda input: input,
    "slice": _sliced,
    "unfold": split.unfold,
    "view": _viewed,
}


def _copied(name: str) -> None:
    """Declares `<name>_copy`."""
    view = _VIEWS.get(name)
    several = name in ("split", "split_with_sizes", "unbind")

    def copy(input: Tensor, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        viewed = (view or getattr(ops, name))(input, *args, **kwargs)
        if out is None:
            if several:
                return tuple(ops.clone(part, memory_format=contiguous_format) for part in viewed)
            return ops.clone(viewed, memory_format=contiguous_format)
        if several:
            for target, part in zip(out, viewed, strict=True):
                write_out(target, part.detach())
            return None
        return write_out(out, viewed.detach())

    shown = f"torch.Size({_SHAPES.get(name)})" if name in _SHAPES else "2"
    call = f"torch.{name}_copy({_CALLS[name]})"
    example = f"len({call})" if several else f"{call}.shape"
    copy.__name__ = copy.__qualname__ = f"{name}_copy"
    copy.__doc__ = (
        f"What `{name}` gives, copied: the result shares no memory with the input.\n\n"
        f">>> import pullback as torch\n>>> {example}\n{shown}\n"
    )
    own = signature_of(view or getattr(ops, name))
    copy.__signature__ = own.replace(parameters=[*without(own, "out").parameters.values(), OUT])
    function(places="t")(copy)


for _name in _CALLS:
    _copied(_name)


@function(places="tm")
def narrow_copy(input: Tensor, dim: int, start: int, length: int, *, out: Tensor | None = None) -> Tensor:
    """What `narrow` gives, copied: `length` elements from `start` along `dim`.

    >>> import pullback as torch
    >>> torch.narrow_copy(torch.tensor([1, 2, 3]), 0, 1, 2)
    tensor([2, 3])
    """
    if 0 < input.ndim <= dim:
        raise RuntimeError(
            "Expected dim < static_cast<int64_t>(self_sizes.size()) to be true, but got false.  (Could this "
            "error message be improved?  If so, please report an enhancement request to PyTorch.)"
        )
    if length < 0:
        size = input.shape[dim]
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    viewed = ops.narrow(input, dim, start, length)
    return (
        ops.clone(viewed, memory_format=contiguous_format) if out is None else write_out(out, viewed.detach())
    )
