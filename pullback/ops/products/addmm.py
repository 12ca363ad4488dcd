"""`beta * input + alpha * product`, and products of more than two factors or over chosen dims.

The five sums share `_plus`, which adds, and `_declare`, which makes their rules: those of the
product, times alpha. Read `addmm`.
"""

from __future__ import annotations

import functools
import math
import string
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, conj
from pullback.core._plans import Plan, Spec
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import promote_types
from pullback.core.op import function, op
from pullback.core.settings import warn
from pullback.core.types import Array, Number
from pullback.ops.products.contraction import contraction, fuses
from pullback.ops.products.matmul import (
    adjoint,
    bmm,
    check_batches,
    check_matrix_vector,
    check_numbers,
    matrix_product,
    mm,
    mv,
    product_batch,
    spec_of,
)
from pullback.ops.products.plans import sum_plan
from pullback.ops.shared.batches import padded
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.forms import public
from pullback.ops.shared.old_forms import takes_old_forms
from pullback.ops.shared.refusals import check_tensors

# ------------------------------------------------------------------------------- sum and product


def _plus(self: Array, a: Array, b: Array, beta: Any, alpha: Any) -> Array:
    """`beta * self + alpha * (a @ b)`; `self` is not read if beta is 0."""
    if self.dtype.itemsize == 2 and self.dtype.kind not in "iu":
        start, left, right = (x.astype(np.float32) for x in (self, a, b))
        return _plus(start, left, right, beta, alpha).astype(self.dtype)
    product = matrix_product(a, b)
    if product.dtype.kind in "iu":
        beta, alpha = int(beta), int(alpha)
    if alpha != 1:
        product *= alpha
    if beta == 1:
        product += self
    elif beta != 0:
        product += self * self.dtype.type(beta)
    return product


def _planned(
    self: Spec, a: Spec, b: Spec, of_a: str, of_b: str, wanted: str, beta: Number, alpha: Number
) -> Plan:
    """The plan of a sum whose `self` broadcasts to the product."""
    sizes = dict(zip(of_a + of_b, a.shape + b.shape, strict=True))
    shape = tuple(sizes[label] for label in wanted)
    _check_expands(self.shape, shape)
    if isinstance(alpha, Spec) or isinstance(beta, Spec):  # tensors, whose numbers a plan does not know
        return Plan(Spec(a.dtype, shape))
    return sum_plan(self, a, b, of_a, of_b, wanted, beta, alpha)


def _check_expands(shape: Sequence[int], target: Sequence[int]) -> None:
    """RuntimeError unless `shape` broadcasts to `target`."""
    if len(shape) > len(target):
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(target)}) must be greater or equal to the number of "
            f"dimensions in the tensor ({len(shape)})"
        )
    for i in range(1, len(shape) + 1):
        if shape[-i] not in (1, target[-i]):
            raise RuntimeError(
                f"The expanded size of the tensor ({target[-i]}) must match the existing size ({shape[-i]}) "
                f"at non-singleton dimension {len(target) - i}.  Target sizes: {list(target)}.  Tensor "
                f"sizes: {list(shape)}"
            )


def _rules(record: Any, **products: Callable[..., Any]) -> None:
    """The rules of `beta * self + alpha * product` from those of the product."""
    record.vjp(self=lambda g, beta: g * conj(beta))
    for factor, rule in products.items():
        record.vjp(**{factor: rule})


def _check_same(self: Spec, *factors: tuple[str, Spec]) -> None:
    for name, factor in factors:
        if factor.dtype != self.dtype:
            raise RuntimeError(
                f"self and {name} must have the same dtype, but got {type_name(self)} and {type_name(factor)}"
            )


@op(places="tmi", moves=True, factors="mat1 mat2")
def addmm(self: Array, mat1: Array, mat2: Array, beta: Number = 1, alpha: Number = 1) -> Array:
    """`beta * input + alpha * (mat1 @ mat2)`, `input` broadcast to the product's shape.

    RuntimeError for shapes that do not fit, or two dtypes. With beta 0 `input` is not read.

    >>> import pullback as torch
    >>> torch.addmm(torch.ones(1), torch.tensor([[2.0]]), torch.tensor([[3.0]]), alpha=10)
    tensor([[61.]])
    """
    return _plus(self, mat1, mat2, beta, alpha)


@addmm.prepare
def _plan_addmm(self: Spec, mat1: Spec, mat2: Spec, beta: Number, alpha: Number) -> Plan:
    for name, factor in (("mat1", mat1), ("mat2", mat2)):
        if factor.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix, got {factor.ndim}-D tensor")
    if mat1.shape[1] != mat2.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({mat1.shape[0]}x{mat1.shape[1]} and "
            f"{mat2.shape[0]}x{mat2.shape[1]})"
        )
    _check_same(self, ("mat1", mat1), ("mat2", mat2))
    check_numbers(mat1, "addmm_impl_cpu_")
    return _planned(self, mat1, mat2, "ik", "kj", "ij", beta, alpha)


_rules(
    addmm,
    mat1=lambda g, mat2, alpha: mm(g, adjoint(mat2)) * conj(alpha),
    mat2=lambda g, mat1, alpha: mm(adjoint(mat1), g) * conj(alpha),
)


@op(places="tmif", moves=True, factors="mat vec")
def addmv(self: Array, mat: Array, vec: Array, beta: Number = 1, alpha: Number = 1) -> Array:
    """`beta * input + alpha * (mat @ vec)`. RuntimeError for shapes that do not fit, or two dtypes.

    >>> import pullback as torch
    >>> torch.addmv(torch.ones(1), torch.tensor([[2.0]]), torch.tensor([3.0]))
    tensor([7.])
    """
    return _plus(self, mat, vec, beta, alpha)


@addmv.prepare
def _plan_addmv(self: Spec, mat: Spec, vec: Spec, beta: Number, alpha: Number) -> Plan:
    check_matrix_vector(mat, vec, self.shape[0] if self.ndim else 1, self.ndim)
    if not self.dtype == mat.dtype == vec.dtype:
        kinds = f"{type_name(self)}, {type_name(mat)}, and {type_name(vec)}"
        raise RuntimeError(f"addmv input tensors must have the same dtype, but got {kinds}")
    return _planned(self, mat, vec, "ik", "k", "i", beta, alpha)


_rules(
    addmv,
    mat=lambda g, vec, alpha: ops.unsqueeze(g, 1) * conj(vec) * conj(alpha),
    vec=lambda g, mat, alpha: mv(adjoint(mat), g) * conj(alpha),
)


@op(places="tmi", moves=True, factors="batch1 batch2")
def baddbmm(self: Array, batch1: Array, batch2: Array, beta: Number = 1, alpha: Number = 1) -> Array:
    """`beta * input + alpha * bmm(batch1, batch2)`, `input` broadcast to the product's shape.

    >>> import pullback as torch
    >>> torch.baddbmm(torch.ones(1), torch.ones(1, 1, 2), torch.ones(1, 2, 1))
    tensor([[[3.]]])
    """
    return _plus(self, batch1, batch2, beta, alpha)


@baddbmm.prepare
def _plan_baddbmm(self: Spec, batch1: Spec, batch2: Spec, beta: Number, alpha: Number) -> Plan:
    if not self.dtype == batch1.dtype == batch2.dtype:
        kinds = [type_name(a).lower() for a in (self, batch1, batch2)]
        raise RuntimeError(
            f"Input dtypes must be the same, got: input {kinds[0]}, batch1: {kinds[1]}, batch2: {kinds[2]}"
        )
    check_batches(batch1, batch2, "baddbmm")
    return _planned(self, batch1, batch2, "bik", "bkj", "bij", beta, alpha)


_rules(
    baddbmm,
    batch1=lambda g, batch2, alpha: bmm(g, adjoint(batch2)) * conj(alpha),
    batch2=lambda g, batch1, alpha: bmm(adjoint(batch1), g) * conj(alpha),
)


@op(places="tmi", moves=True)
def addbmm(self: Array, batch1: Array, batch2: Array, beta: Number = 1, alpha: Number = 1) -> Array:
    """`beta * input + alpha * bmm(batch1, batch2).sum(0)`, `input` broadcast to the sum's shape.

    >>> import pullback as torch
    >>> torch.addbmm(torch.ones(1), torch.ones(5, 1, 2), torch.ones(5, 2, 1))
    tensor([[11.]])
    """
    wide = batch1.transpose(1, 0, 2).reshape(batch1.shape[1], -1)
    return _plus(self, wide, batch2.reshape(-1, batch2.shape[2]), beta, alpha)


@addbmm.prepare
def _plan_addbmm(self: Spec, batch1: Spec, batch2: Spec, beta: Number, alpha: Number) -> Plan:
    if batch1.ndim == 3 and batch2.ndim == 3 and batch1.shape[0] != batch2.shape[0]:
        raise RuntimeError(
            f"batch1 and batch2 must have same number of batches, got {batch1.shape[0]} and {batch2.shape[0]}"
        )
    check_batches(batch1, batch2, "addmm_impl_cpu_")
    return _planned(self, batch1, batch2, "bik", "bkj", "ij", beta, alpha)


_rules(
    addbmm,
    batch1=lambda g, batch2, alpha: ops.matmul(g, adjoint(batch2)) * conj(alpha),
    batch2=lambda g, batch1, alpha: ops.matmul(adjoint(batch1), g) * conj(alpha),
)


@addmm.batch
@addmv.batch
@baddbmm.batch
@addbmm.batch
def _sum_batch(level: Any, op: Op, self: Any, a: Any, b: Any, beta: Any, alpha: Any) -> Any:
    """The product under vmap, and the sum, where a beta of zero forgets even NaN."""
    if a._layout.shape[-1] != b._layout.shape[-2:][0]:
        op.prepare_rule(*(spec_of(x._layout) for x in (self, a, b)), beta, alpha)  # the message for a sample
    batched = level.holds(a) or level.holds(b)
    result = product_batch(level, a, b) if batched else level.front(ops.matmul(a, b))
    if op is addbmm:
        result = ops.sum(result, 1)
    if alpha != 1:
        result = result * alpha
    if beta == 0:
        return level.wrap(result)
    start = padded(self.physical, result.ndim - 1) if level.holds(self) else self
    return level.wrap((start if beta == 1 else start * beta) + result)


@op(places="tmi", moves=True, factors="vec1 vec2", layout="")
def addr(self: Array, vec1: Array, vec2: Array, beta: Number = 1, alpha: Number = 1) -> Array:
    """`beta * input + alpha * outer(vec1, vec2)`, `input` broadcast to the product's shape.

    >>> import pullback as torch
    >>> torch.addr(torch.zeros(2, 2), torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    kind = np.result_type(self.dtype, vec1.dtype, vec2.dtype)
    start, first, second = (x.astype(kind, copy=False) for x in (self, vec1[:, None], vec2))
    if kind.kind == "b":
        result = (bool(alpha) & first & second) | (bool(beta) & start)
    else:
        result = first * second * kind.type(alpha)
        result = result + start * kind.type(beta) if beta != 0 else result
    shape = len(vec1), len(vec2)
    whole = np.broadcast_to(result, shape)
    return np.asfortranarray(whole) if self.shape == shape and self.flags.fnc else np.ascontiguousarray(whole)


@addr.prepare
def _plan_addr(self: Spec, vec1: Spec, vec2: Spec, beta: Number, alpha: Number) -> Plan:
    for name, vector in (("vec1", vec1), ("vec2", vec2)):
        if vector.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got {vector.ndim}-D")
    kind = promote_types(promote_types(self.dtype, vec1.dtype), vec2.dtype)
    for name, number in (("beta", beta), ("alpha", alpha)):
        if isinstance(number, Spec):
            continue
        if kind.kind != "b" and isinstance(number, bool):
            raise RuntimeError(f"Boolean {name} only supported for Boolean results.")
        if kind.kind in "biu" and not isinstance(number, int):
            raise RuntimeError(
                f"For integral input tensors, argument {name} must not be a floating point number."
            )
    shape = (vec1.shape[0], vec2.shape[0])
    _check_expands(self.shape, shape)
    if (
        not self.contiguous
        and self.shape == shape
        and self.strides == Spec.columns(self.dtype, shape).strides
    ):
        return Plan(Spec.columns(kind, shape))  # it lies as the sum's first term does
    if self.dtype is vec1.dtype is vec2.dtype and kind.kind != "b":
        return _planned(self, vec1, vec2, "i", "j", "ij", beta, alpha)
    return Plan(Spec(kind, shape))


_rules(
    addr,
    vec1=lambda g, vec2, alpha: mv(g, conj(vec2).to(g.dtype)) * conj(alpha),
    vec2=lambda g, vec1, alpha: mv(ops.t(g), conj(vec1).to(g.dtype)) * conj(alpha),
)


@addr.batch
def _addr_batch(level: Any, op: Op, self: Any, vec1: Any, vec2: Any, beta: Any, alpha: Any) -> Any:
    column, row = (
        ops.unsqueeze(v.physical if level.holds(v) else v, dim) for v, dim in ((vec1, -1), (vec2, -2))
    )
    result = column * row * alpha
    start = padded(self.physical, 2) if level.holds(self) else self
    result = result + (start if beta != 0 else ops.zeros_like(start)) * beta
    return level.wrap(result)


# -------------------------------------------------------------------------------- other products


@function(aliases=("torch.ger", "Tensor.ger"))
def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The matrix of all products of two vectors' elements. RuntimeError for other than vectors.

    >>> import pullback as torch
    >>> torch.outer(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    if not (isinstance(input, Tensor) and isinstance(vec2, Tensor)):
        check_tensors("outer", self=input, vec2=vec2)
    if input.ndim != 1 or vec2.ndim != 1:
        name, vector = ("self", input) if input.ndim != 1 else ("vec2", vec2)
        raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {vector.ndim}-D")
    column = ops.unsqueeze(input, 1)
    return column * vec2 if out is None else ops.mul(column, vec2, out=out)


@function()
def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Sums of products over the last dim of both; the product with a number if one has no dims.

    >>> import pullback as torch
    >>> torch.inner(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor(11.)
    """
    check_tensors("inner", input=input, other=other)
    if input.ndim == 0 or other.ndim == 0:
        return ops.mul(input, other, out=out)
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]), out=out)


@function(places="t")
def tensordot(
    a: Tensor, b: Tensor, dims: int | Tensor | Sequence[Sequence[int]] = 2, *, out: Tensor | None = None
) -> Tensor:
    """Sums of products over dims of `a` paired with dims of `b`: two lists, or how many, last with
    first.

    RuntimeError for sizes that differ and for two dtypes.

    >>> import pullback as torch
    >>> torch.tensordot(torch.ones(2, 3, 4), torch.ones(3, 4, 5)).shape
    torch.Size([2, 5])
    """
    if type(dims) is not int:
        given: Any = dims.tolist() if isinstance(dims, Tensor) else dims
        dims = given if isinstance(given, int) else tuple([_listed(d) for d in given])
    of_a, of_b, labels = _pairs(dims, a.shape, b.shape)
    if a.dtype is not b.dtype:
        raise RuntimeError("both inputs should have same dtype")
    if a.dtype.kind == "b" and len(of_a) == a.ndim == b.ndim:
        raise NotImplementedError("\"dot\" not implemented for 'Bool'")
    if labels and a.dtype.kind != "b" and fuses():
        product = contraction(a, b, labels, "ViewBackward0")
    else:
        product = _contracted(a, b, of_a, of_b)
    return product if out is None else out.resize_(product.shape).copy_(product)


def _listed(dims: Any) -> tuple[int, ...]:
    return (dims,) if isinstance(dims, int) else tuple(dims)


@functools.lru_cache(1024)
def _pairs(
    dims: Any, of_a: tuple[int, ...], of_b: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...], str]:
    """The paired dims of tensors of two shapes, and the labels of the contraction; "" where sizes differ."""
    count = len(of_a), len(of_b)
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(count):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        dims = (tuple(range(-dims, 0)), tuple(range(dims)))
    left, right = dims
    if len(left) != len(right):
        raise RuntimeError("both dimension lists should have same length")
    letters = string.ascii_letters[: count[0] + count[1]]
    a, b = letters[: count[0]], list(letters[count[0] :])
    places = [(wrap_dim(x, count[0]), wrap_dim(y, count[1])) for x, y in zip(left, right, strict=True)]
    same = sum(count) <= len(string.ascii_letters)
    for (x, y), (given_x, given_y) in zip(places, zip(left, right, strict=True), strict=True):
        n, m = of_a[x], of_b[y]
        if n != m and 1 not in (n, m):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {n} in dim {given_x} and "
                f"second has size {m} in dim {given_y}"
            )
        same = same and n == m
        b[y] = a[x]
    result = [label for label in (*a, *b) if (label in a) != (label in b)]
    labels = sys.intern(f"{a},{''.join(b)}->{''.join(result)}") if same else ""
    return tuple(x for x, _ in places), tuple(y for _, y in places), labels


def _contracted(a: Tensor, b: Tensor, of_a: tuple[int, ...], of_b: tuple[int, ...]) -> Tensor:
    for x, y in zip(of_a, of_b, strict=True):
        if a.shape[x] == 1 != b.shape[y]:
            b = b.sum(y, keepdim=True)
        elif b.shape[y] == 1 != a.shape[x]:
            a = a.sum(x, keepdim=True)
    free_a = [d for d in range(a.ndim) if d not in of_a]
    free_b = [d for d in range(b.ndim) if d not in of_b]
    rows, columns = [a.shape[d] for d in free_a], [b.shape[d] for d in free_b]
    count = math.prod(a.shape[d] for d in of_a)
    left = ops.reshape(ops.permute(a, (*free_a, *of_a)), (math.prod(rows), count))
    right = ops.reshape(ops.permute(b, (*of_b, *free_b)), (count, math.prod(columns)))
    return ops.reshape(mm(left, right), (*rows, *columns))


@public(space="linalg")
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """The sums of `conj(x) * y` over `dim`, broadcast. RuntimeError for two dtypes and for
    integers.

    >>> import pullback as torch
    >>> torch.linalg.vecdot(torch.ones(2, 3), torch.ones(2, 3))
    tensor([3., 3.])
    """
    check_tensors("linalg_vecdot", x=x, y=y)
    if x.dtype.kind not in "fc":
        raise RuntimeError(
            f"linalg.vecdot: Expected a floating point or complex tensor as input. Got {x.dtype.type_name}"
        )
    if x.dtype is not y.dtype:
        raise RuntimeError(
            "linalg.vecdot: Expected x and y to have the same dtype, but found x of type "
            f"{x.dtype.type_name} and y of type {y.dtype.type_name} instead"
        )
    return ops.sum(conj(x) * y, dim, out=out)


@public(space="linalg")
def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The product of several matrices in the order that takes the fewest multiplications.

    The first and the last may be vectors. RuntimeError for fewer than two, or shapes that do not
    fit.

    >>> import pullback as torch
    >>> torch.linalg.multi_dot([torch.ones(2, 3), torch.ones(3, 4), torch.ones(4)]).shape
    torch.Size([2])
    """
    tensors = list(tensors)
    count = len(tensors)
    if count < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {count}")
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
    shape: list[int] = []
    for i, which, axis in ((0, "first", 0), (-1, "last", 1)):
        t = tensors[i]
        if t.ndim not in (1, 2):
            raise RuntimeError(f"multi_dot(): the {which} tensor must be 1D or 2D but got {t.ndim}D")
        if t.ndim == 1:
            tensors[i] = ops.unsqueeze(t, axis)
        else:
            shape.append(t.shape[axis])
    for i, t in enumerate(tensors):
        if t.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {t.ndim}D")
    for i in range(count - 1):
        a, b = tensors[i], tensors[i + 1]
        if a.shape[1] != b.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list(a.shape)} and "
                f"{list(b.shape)} cannot be multiplied"
            )
    product = ops.reshape(_chained(tensors), shape)
    return product if out is None else out.resize_(product.shape).copy_(product)


def _chained(tensors: list[Tensor]) -> Tensor:
    """The product of matrices that fit, by the cheapest order."""
    sizes = [tensors[0].shape[0], *(t.shape[1] for t in tensors)]
    count = len(tensors)
    cost = {(i, i): (0, i) for i in range(count)}
    for span in range(1, count):
        for i in range(count - span):
            j = i + span
            cost[i, j] = min(
                (cost[i, k][0] + cost[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )

    def product(i: int, j: int) -> Tensor:
        k = cost[i, j][1]
        return tensors[i] if i == j else mm(product(i, k), product(k + 1, j))

    return product(0, count - 1)


@function(places="t")
def chain_matmul(*matrices: Any, out: Tensor | None = None) -> Tensor:
    """`torch.linalg.multi_dot` of its arguments: deprecated, as in PyTorch.

    >>> import pullback as torch, warnings
    >>> warnings.simplefilter("ignore")
    >>> torch.chain_matmul(torch.ones(2, 3), torch.ones(3, 4)).shape
    torch.Size([2, 4])
    """
    warn(
        "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use "
        "torch.linalg.multi_dot instead, which accepts a list of two or more tensors rather than multiple "
        "parameters."
    )
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = tuple(matrices[0])
    return matrices[0].clone() if len(matrices) == 1 else multi_dot(matrices, out=out)


for _name in ("addmm", "addmv", "addr", "addbmm", "baddbmm"):
    takes_old_forms(_name, NTTT="beta", NTNTT="beta alpha", TNTT="beta", TNNTT="beta alpha")
