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

COPIES = {
    "alias_copy": ("torch.ones(1)", "[1]"),
    "as_strided_copy": ("torch.ones(2, 3), (3,), (2,)", "[3]"),
    "detach_copy": ("torch.ones(1)", "[1]"),
    "diagonal_copy": ("torch.ones(2, 3)", "[2]"),
    "expand_copy": ("torch.ones(1, 3), (2, 3)", "[2, 3]"),
    "permute_copy": ("torch.ones(2, 3), (1, 0)", "[3, 2]"),
    "select_copy": ("torch.ones(2, 3), 0, 1", "[3]"),
    "slice_copy": ("torch.ones(2, 3), 1, 0, 2", "[2, 2]"),
    "squeeze_copy": ("torch.ones(1, 3)", "[3]"),
    "t_copy": ("torch.ones(2, 3)", "[3, 2]"),
    "transpose_copy": ("torch.ones(2, 3), 0, 1", "[3, 2]"),
    "unfold_copy": ("torch.ones(4), 0, 2, 1", "[3, 2]"),
    "unsqueeze_copy": ("torch.ones(3), 0", "[1, 3]"),
    "view_copy": ("torch.ones(2, 3), (6,)", "[6]"),
    "view_as_complex_copy": ("torch.ones(3, 2)", "[3]"),
    "view_as_real_copy": ("torch.ones(3) + 0j", "[3, 2]"),
    "split_copy": ("torch.ones(4), 2", ""),
    "split_with_sizes_copy": ("torch.ones(4), (1, 3)", ""),
    "unbind_copy": ("torch.ones(2, 3)", ""),
}
"""The functions, each with the arguments of an example and the shape of what it gives; lists have none."""


def _sliced(input: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Tensor:
    """`x[start:end:step]` along one dim."""
    key: list[Any] = [slice(None)] * input.ndim
    key[dim] = slice(start, end, step)
    return input[tuple(key)]


def _viewed(input: Tensor, *shape: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """As another dtype, or in a shape, whatever the strides."""
    given = shape or ((size,) if dtype is None else (dtype,))
    return input.view(*given) if isinstance(given[0], Dtype) else ops.reshape(input, *given)


_VIEWS: dict[str, Callable[..., Any]] = {
    "alias": lambda input: input,
    "slice": _sliced,
    "unfold": split.unfold,
    "view": _viewed,
}


def _declare_copy(name: str, arguments: str, shape: str) -> None:
    """Publishes a view that is copied."""
    plain = name.removesuffix("_copy")
    view, several = _VIEWS.get(plain), not shape

    def copy(input: Tensor, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        viewed = (view or getattr(ops, plain))(input, *args, **kwargs)
        if out is None:
            if several:
                return tuple(ops.clone(part, memory_format=contiguous_format) for part in viewed)
            return ops.clone(viewed, memory_format=contiguous_format)
        if several:
            for target, part in zip(out, viewed, strict=True):
                write_out(target, part.detach())
            return None
        return write_out(out, viewed.detach())

    call = f"torch.{name}({arguments})"
    example = f">>> len({call})\n2" if several else f">>> {call}.shape\ntorch.Size({shape})"
    copy.__name__ = copy.__qualname__ = name
    copy.__doc__ = (
        f"What `{plain}` gives, copied: the result shares no memory with the input.\n\n"
        f">>> import pullback as torch\n{example}\n"
    )
    own = signature_of(view or getattr(ops, plain))
    vars(copy)["__signature__"] = own.replace(parameters=[*without(own, "out").parameters.values(), OUT])
    function(places="t")(copy)


for _name, _example in COPIES.items():
    _declare_copy(_name, *_example)


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
