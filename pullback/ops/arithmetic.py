"""Arithmetic: what Python's operators do. Each block is an op; read `mul` first, then `pow`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback._engine import conj
from pullback.op import elementwise, function

TWO = ("self", "other")


add = elementwise(
    "add",
    np.add,
    inputs=TWO,
    places="",
    vjp={"self": "g", "other": "g"},
    doc="Sum of two tensors or numbers, broadcast.",
)


@function(name="add", places="tmi")
def add_scaled(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """`input + alpha * other`, broadcast.

    >>> import pullback as torch
    >>> torch.add(torch.tensor([1.0, 2.0]), 1, alpha=2)
    tensor([3., 4.])
    """
    return add(input, other if alpha == 1 else mul(other, alpha), out=out)


def _bool_minus(dtype: Any) -> str | None:
    if dtype.kind != "b":
        return None
    return (
        "Subtraction, the `-` operator, with two bool tensors is not supported. "
        "Use the `^` or `logical_xor()` operator instead."
    )


sub = elementwise(
    "sub",
    np.subtract,
    inputs=TWO,
    places="",
    allowed="ifc",
    refuse=_bool_minus,
    vjp={"self": "g", "other": lambda g: -g},
    doc="Difference of two tensors or numbers, broadcast.",
)

rsub = elementwise(
    "rsub",
    kernel=lambda self, other: np.subtract(other, self),
    inputs=TWO,
    places="",
    allowed="ifc",
    refuse=_bool_minus,
    grad_name="RsubBackward1",
    vjp={"self": lambda g: -g, "other": "g"},
    doc="`other - self`, broadcast.",
)

mul = elementwise(
    "mul",
    np.multiply,
    inputs=TWO,
    aliases=("torch.multiply", "Tensor.multiply"),
    vjp={
        "self": lambda g, other: g * conj(other),
        "other": lambda g, self: g * conj(self),
    },
    doc="Product of two tensors or numbers, broadcast.",
)

div = elementwise(
    "div",
    np.divide,
    inputs=TWO,
    places="",
    promote="float",
    vjp={
        "self": lambda g, other: g / conj(other),
        "other": lambda g, self, other: -g * conj((self / other) / other),
    },
    doc="Quotient of two tensors or numbers, broadcast; integers are divided as floats.",
)

neg = elementwise(
    "neg",
    np.negative,
    aliases=("torch.negative", "Tensor.negative"),
    allowed="ifc",
    refuse=lambda dtype: (
        "Negation, the `-` operator, on a bool tensor is not supported. "
        "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
    ),
    vjp={"self": lambda g: -g},
    doc="The negative of each element.",
)


def _power_of_number(self: Any, other: Any) -> Any:
    return np.power(self, other)


pow_number = elementwise(
    "pow_number",
    np.power,
    inputs=TWO,
    places="",
    public_name="pow",
    grad_name="PowBackward0",
    vjp={"self": lambda g, self, other: pow_slope(g, self, other)},
    doc="A tensor to the power of a number.",
)


def pow_slope(g: Any, self: Any, other: Any) -> Any:
    """`g * conj(n * x**(n - 1))`, zero for n = 0 even where x is zero."""
    if other == 2:
        return g * conj(self * 2)
    if other == 0:
        return ops.zeros_like(g)
    return g * conj(self ** (other - 1) * other)


pow = elementwise(
    "pow",
    np.power,
    inputs=TWO,
    places="",
    grad_name="PowBackward1",
    vjp={
        "self": lambda g, self, other: g
        * conj(ops.where(other == 0, 0.0, other * self ** (other - 1))),
        "other": lambda g, self, other, result: g
        * conj(
            ops.where((self == 0) & (other.real >= 0), 0.0, result * ops.log(self))
        ),
    },
    doc="A tensor to the power of a tensor, broadcast.",
)

rpow = elementwise(
    "rpow",
    np.power,
    inputs=TWO,
    places="",
    public_name="pow",
    grad_name="PowBackward2",
    vjp={
        "other": lambda g, self, other, result: ops.zeros_like(g)
        if self == 0
        else g * conj(result * ops.log(ops.scalar_like(self, other))),
    },
    doc="A number to the power of a tensor.",
)
