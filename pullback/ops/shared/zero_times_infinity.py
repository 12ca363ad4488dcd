"""What all families of elementwise ops share; read the NOTE first.

NOTE [Zero times infinity]: where(x > 0, sqrt(x), 0) is flat at zero, yet the chain rule says
0 * inf there, which is NaN: zero from `where`, infinity from the slope of the branch not taken. The
result does not depend on a value whose gradient is exactly zero, so the right answer is zero. So a
rule whose slope may be infinite or NaN multiplies by it with `times`, or divides with `over`: the
arithmetic of `*` and `/`, except that a zero gradient stays zero where IEEE arithmetic says NaN.
They have loops of their own, at the cost of a multiplication. Their own rules are those of `*` and
`/`, where a zero on either side makes the other side irrelevant (`product`), so this holds in
derivatives of any order. Where the gradient is not zero nothing changes: a NaN that the result does
depend on still passes. `mul` itself is not guarded: its slopes are the user's values, not poles;
products of poles within a slope are made with `times` too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, conj
from pullback.core.op import elementwise
from pullback.ops.shared.series import bilinear, quotient_by


def example(text: str, call: str, printed: str) -> str:
    """A docstring: what the op does, and one call with what it prints."""
    return f"{text}\n\n>>> import pullback as torch\n>>> {call}\n{printed}\n"


def flat(g: Any) -> Any:
    """The rule of a step function: zero."""
    return ops.zeros_like(g)


def zero_where_nan(zero: Any, result: Any) -> Any:
    return np.where(zero & np.isnan(result), result.dtype.type(0), result)


times: Op = elementwise(
    "times",
    "pullback.kernels.slopes:times",
    kernel=lambda g, slope: zero_where_nan(g == 0, g * slope),
    inputs=("grad", "slope"),
    grad_name="MulBackward0",
    places="",
    loops_for="f",
    vjp={
        "grad": lambda g, slope: times(g, conj(slope)),
        "slope": lambda g, grad: product(g, conj(grad)),
    },
    doc="`grad * slope`, but zero where `grad` is zero and the slope is infinite or NaN.",
    series=bilinear(lambda a, b: times(a, b)),
)

over: Op = elementwise(
    "over",
    "pullback.kernels.slopes:over",
    kernel=lambda g, divisor: zero_where_nan(g == 0, g / divisor),
    inputs=("grad", "divisor"),
    grad_name="DivBackward0",
    places="",
    loops_for="f",
    vjp={
        "grad": lambda g, divisor: over(g, conj(divisor)),
        "divisor": lambda g, grad, divisor: product(-g, conj(over(over(grad, divisor), divisor))),
    },
    doc="`grad / divisor`, but zero where `grad` is zero and the quotient is NaN.",
    series=quotient_by(lambda a, b: product(a, b), lambda a, b: over(a, b)),
)

product: Op = elementwise(
    "product",
    "pullback.kernels.slopes:product",
    kernel=lambda a, b: zero_where_nan((a == 0) | (b == 0), a * b),
    inputs=("self", "other"),
    grad_name="MulBackward0",
    places="",
    loops_for="f",
    vjp={
        "self": lambda g, other: product(g, conj(other)),
        "other": lambda g, self: product(g, conj(self)),
    },
    doc="`self * other`, but zero where one is zero and the other infinite or NaN.",
    series=bilinear(lambda a, b: product(a, b)),
)
