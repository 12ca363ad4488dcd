"""Complex numbers from their parts: real and imaginary, or magnitude and angle."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core._engine import Tensor, conj, write_out
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import complex32, float16, float32
from pullback.core.op import elementwise, function
from pullback.kernels.mixed import complex as of_parts
from pullback.ops.shared.chains import Chain, Place, labels_of, operand, packed


def _check_out(part: Tensor, out: Any) -> None:
    wanted = part.dtype.to_complex()
    if out is not None and out.dtype is not wanted:
        raise RuntimeError(
            f"Expected object of scalar type {wanted.type_name} but got scalar type {out.dtype.type_name} "
            "for argument 'out'"
        )


def _check_parts(name: str, first: tuple[str, Any], second: tuple[str, Any]) -> None:
    """TypeError for other than tensors, RuntimeError for other than two tensors of one float
    dtype.
    """
    for position, (parameter, value) in enumerate((first, second), 1):
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise TypeError(
                f"{name}(): argument '{parameter}' (position {position}) must be Tensor, not {kind}"
            )
    a, b = first[1].dtype, second[1].dtype
    if a.kind != "f" or b.kind != "f" or "bfloat16" in (a.name, b.name):
        raise RuntimeError(
            "Expected both inputs to be Half, Float or Double tensors but got "
            f"{a.type_name} and {b.type_name}"
        )
    if a is not b:
        raise RuntimeError(
            f"Expected object of scalar type {a.type_name} but got scalar type {b.type_name} "
            "for second argument"
        )
    if a.itemsize == 2 and name == "polar":
        raise NotImplementedError("\"polar_cpu\" not implemented for 'Half'")


_complex = elementwise(
    "complex",
    "pullback.kernels.mixed:complex",
    inputs=("real", "imag"),
    kinds="TT",
    places="",
    allowed="f",
    vjp={"real": "g", "imag": lambda g: g * -1j},
    doc="`real + imag * i`, broadcast.",
)


@function(places="t")
def complex(real: Tensor, imag: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`real + imag * i`, broadcast; the gradients are the parts of the result's.

    RuntimeError unless both are of one dtype: float16, float32 or float64.

    >>> import pullback as torch
    >>> torch.complex(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor([1.+3.j, 2.+4.j])
    """
    _check_parts("complex", ("real", real), ("imag", imag))
    _check_out(real, out)
    if real.dtype is float16:  # the loop for float32 would leave what it makes in complex64
        made = _complex(real.to(float32), imag.to(float32)).to(complex32)
        return made if out is None else write_out(out, made.detach())
    return _complex(real, imag, out=out)


_polar = elementwise(
    "polar",
    kernel=lambda abs, angle: of_parts(abs * np.cos(angle), abs * np.sin(angle)),
    inputs=("abs", "angle"),
    kinds="TT",
    places="",
    allowed="f",
    vjp={
        "abs": lambda g, angle: g * conj(_complex(angle.cos(), angle.sin())),
        "angle": lambda g, result: g * conj(result * 1j),
    },
    doc="`abs * exp(i * angle)`, broadcast.",
)


@_polar.prepare
def _plan_polar(abs: Spec, angle: Spec) -> Plan:
    shape, item = np.broadcast_shapes(abs.shape, angle.shape), abs.itemsize
    result = Spec(abs.dtype.to_complex(), shape)
    chain = Chain(2, result)
    size, turn = [operand(Place(i), x, labels_of(x, shape)) for i, x in enumerate((abs, angle))]
    room = chain.room(angle.dtype, turn.sizes)
    part = Spec(abs.dtype, shape, packed(shape, 2 * item))
    for ufunc, offset in ((np.cos, 0), (np.sin, item)):
        chain.pointwise(ufunc, turn, room)
        chain.pointwise(np.multiply, size, room, operand(Place(2, offset), part, range(len(shape))))
    return chain.plan()


@function(places="t")
def polar(abs: Tensor, angle: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`abs * exp(i * angle)`, broadcast. RuntimeError unless both are float32 or both float64.

    >>> import pullback as torch
    >>> torch.polar(torch.tensor([2.0]), torch.tensor([0.0]))
    tensor([2.+0.j])
    """
    _check_parts("polar", ("abs", abs), ("angle", angle))
    _check_out(abs, out)
    return _polar(abs, angle, out=out)
