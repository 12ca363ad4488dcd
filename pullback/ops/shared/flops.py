"""How many floating point operations ops take: formulas by op, for what counts or profiles them.

Products of matrices and convolutions have formulas, attention too. Others have none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pullback.core._engine import Op, Tensor

Formula = Callable[..., int]


def product_flops(op: Op, args: tuple[Any, ...], result: Tensor) -> int:
    """Those of a product of matrices or vectors: a multiplication and an addition for each term."""
    a = args[op.params.index(op.factors[0])]
    inner = 1 if op.__name__ == "addr" else a.shape[-1]
    return 2 * math.prod(result.shape) * inner


def convolution_flops(op: Op, args: tuple[Any, ...], result: Tensor) -> int:
    """Those of a convolution: for each element of the result (of the input, if transposed) a kernel."""
    known = dict(zip(op.params, args, strict=True))
    weight = known["weight"]
    places = args[0] if known["transposed"] else result
    return 2 * math.prod(places.shape) * math.prod(weight.shape[1:])


def convolution_weight_flops(op: Op, args: tuple[Any, ...], result: Tensor) -> int:
    """Those of the gradient of a convolution's weight: as many as of the convolution."""
    return 2 * math.prod(args[1].shape) * math.prod(result.shape[1:])


def attention_flops(op: Op, args: tuple[Any, ...], result: Any) -> int:
    """Those of attention: the products with the keys and with the values."""
    query, key, value = args[:3]
    rows = math.prod(query.shape[:-1])
    return 2 * rows * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def attention_slope_flops(op: Op, args: tuple[Any, ...], result: Any) -> int:
    """Those of attention's gradients: the scores again, and two products for each of the forward ones."""
    query, key, value = args[1:4]
    rows = math.prod(query.shape[:-1])
    return 2 * rows * key.shape[-2] * (3 * query.shape[-1] + 2 * value.shape[-1])


def contraction_flops(op: Op, args: tuple[Any, ...], result: Any) -> int:
    """Those of a sum of products over labelled dims: two for each combination of places in these."""
    words = str(args[2]).split("->", maxsplit=1)[0].split(",")
    sizes: dict[str, int] = {}
    for word, x in zip(words, args, strict=False):
        sizes.update(zip(word, x.shape, strict=False))
    return 2 * math.prod(sizes.values())


def linear_flops(op: Op, args: tuple[Any, ...], result: Any) -> int:
    """Those of a linear layer, as of the product with its weight."""
    return 2 * math.prod(result.shape) * int(args[0].shape[-1])


FORMULAS: dict[str, Formula] = {
    "contraction": contraction_flops,
    "linear": linear_flops,
    "convolution": convolution_flops,
    "convolution_weight": convolution_weight_flops,
    "attention_slope": attention_slope_flops,
    "scaled_dot_product_flash_attention_for_cpu": attention_flops,
}
"""The formula of an op that has no `factors`, by the op's name."""


def formula_of(op: Op) -> Formula | None:
    """The formula of an op, None if it has none."""
    return FORMULAS.get(op.name, product_flops if op.factors else None)


def flops_of(op: Op, args: tuple[Any, ...], result: Any) -> int:
    """What a profile counts: the products, and one operation for each element of a sum or product of two."""
    formula = formula_of(op)
    if formula is not None:
        return formula(op, args, result)
    return math.prod(result.shape) if op.name in ("add", "mul") and isinstance(result, Tensor) else 0
