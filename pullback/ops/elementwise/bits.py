"""Integers and bools as bits, and the common divisors and multiples of integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.op import elementwise
from pullback.ops.elementwise.arithmetic import TWO
from pullback.ops.shared.forms import number_first, number_second, two_tensors
from pullback.ops.shared.refusals import unimplemented
from pullback.ops.shared.zero_times_infinity import example


def _bitwise(name: str, ufunc: Any, symbol: str, shown: str) -> Any:
    return elementwise(
        name,
        ufunc,
        inputs=TWO,
        allowed="bi",
        forms=(two_tensors, number_first, number_second),
        nondiff=True,
        doc=example(
            f"Integers or bools bit by bit, `{symbol}`, broadcast; NotImplementedError for others.",
            f"torch.{name}(torch.tensor([12]), 10)",
            shown,
        ),
    )


bitwise_and = _bitwise("bitwise_and", np.bitwise_and, "&", "tensor([8])")
bitwise_or = _bitwise("bitwise_or", np.bitwise_or, "|", "tensor([14])")
bitwise_xor = _bitwise("bitwise_xor", np.bitwise_xor, "^", "tensor([6])")

bitwise_not = elementwise(
    "bitwise_not",
    np.invert,
    casts_out=False,
    allowed="bi",
    nondiff=True,
    doc=example(
        "All bits turned, `~x`; the logical not of bools. NotImplementedError for others.",
        "torch.bitwise_not(torch.tensor([0, 7]))",
        "tensor([-1, -8])",
    ),
)


def _declare_shift(name: str, ufunc: Any, kernel_name: str, text: str, shown: str) -> Any:
    return elementwise(
        name,
        ufunc,
        inputs=TWO,
        allowed="i",
        refuse=unimplemented(kernel_name),
        forms=(two_tensors, number_first, number_second),
        nondiff=True,
        doc=example(text, f"torch.{name}(torch.tensor([12]), 2)", shown),
    )


bitwise_left_shift = _declare_shift(
    "bitwise_left_shift",
    np.left_shift,
    "lshift_cpu",
    "`self << other`; 0 if that is negative or beyond the width. NotImplementedError for floats.",
    "tensor([48])",
)
bitwise_right_shift = _declare_shift(
    "bitwise_right_shift",
    np.right_shift,
    "rshift_cpu",
    "`self >> other`, the sign kept; all sign if that is negative or beyond the width.",
    "tensor([3])",
)


def _of_integers(name: str, ufunc: Any, text: str, shown: str) -> Any:
    return elementwise(
        name,
        ufunc,
        inputs=TWO,
        kinds="TT",
        places="tmif",
        allowed="i",
        nondiff=True,
        doc=example(text, f"torch.{name}(torch.tensor([12]), torch.tensor([18]))", shown),
    )


gcd = _of_integers("gcd", np.gcd, "The greatest common divisor of integers, broadcast.", "tensor([6])")
lcm = _of_integers("lcm", np.lcm, "The least common multiple of integers, broadcast.", "tensor([36])")
