"""The product of two tensors summed over any dims, by labels: what einsum and tensordot are made of.

`contraction(a, b, "ij,jk->ik")` is one planned op and its own derivative. Transforms know matrix products
better; so functions that are made of it use it only where `fuses()`.
"""

from __future__ import annotations

import functools
import string
import sys
from typing import Any

import numpy as np

from pullback.core._engine import Op, Tensor, conj, levels
from pullback.core._plans import Plan, Spec
from pullback.core.op import op
from pullback.core.types import Array
from pullback.ops.products.plans import product_plan


def fuses() -> bool:
    """Whether no transform looks on, which has rules for the parts of what may be done at once."""
    return not levels()


def _parts(labels: str) -> tuple[str, str, str]:
    """The labels of both factors and of the result."""
    factors, result = labels.split("->")
    a, b = factors.split(",")
    return a, b, result


@functools.lru_cache(1024)
def _turned(labels: str) -> tuple[str, str]:
    """The labels of the gradients of both factors, from that of the result."""
    a, b, result = _parts(labels)
    return sys.intern(f"{result},{b}->{a}"), sys.intern(f"{result},{a}->{b}")


@op(places="", multilinear=True, moves=True)
def contraction(self: Array, other: Array, labels: str, node: str) -> Array:
    """The product of two tensors of one dtype with a letter for each dim, summed over what the result lacks.

    Both must have what is summed over. `labels` is as for `einsum`, `node` names the node in the graph.
    The gradient of a factor is the
    contraction of that of the result with the other factor.
    """
    if self.dtype.itemsize == 2 and self.dtype.kind not in "iu":
        wide = np.einsum(labels, self.astype(np.float32), other.astype(np.float32))
        return np.asarray(wide.astype(self.dtype))
    return np.asarray(np.einsum(labels, self, other))


@contraction.prepare
def _plan_contraction(self: Spec, other: Spec, labels: str, node: str) -> Plan:
    return product_plan(self, other, *_parts(labels))


contraction.variant = "node"
contraction.vjp(
    self=lambda g, other, labels: contraction(g, conj(other), _turned(labels)[0], "ViewBackward0"),
    other=lambda g, self, labels: contraction(g, conj(self), _turned(labels)[1], "ViewBackward0"),
)


@contraction.batch
def _contraction_batch(level: Any, op: Op, self: Tensor, other: Tensor, labels: str, node: str) -> Any:
    a, b, result = _parts(labels)
    batch = next(letter for letter in string.ascii_letters if letter not in labels)
    factors, of = [], []
    for x, own in ((self, a), (other, b)):
        factors.append(x.physical if level.holds(x) else x)  # type: ignore[attr-defined]
        of.append(batch + own if level.holds(x) else own)
    return level.wrap(op(*factors, sys.intern(f"{of[0]},{of[1]}->{batch}{result}"), node))
