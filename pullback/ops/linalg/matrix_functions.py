"""Functions of matrices: exponential, powers, cross products, Vandermonde matrices.

The exponential is a Padé quotient of the matrix scaled by a power of two, squared as often (Higham, "The
scaling and squaring method for the matrix exponential revisited", 2005). Its gradient is its derivative at
A^H along g, by the product rule at each step (Al-Mohy and Higham, "Computing the Fréchet derivative of the
matrix exponential", 2009). That is the block above the diagonal of a larger exponential,

    exp [[A, E], [0, A]] = [[exp A, L(A, E)], [0, exp A]],

which gives its own derivatives (Mathias, "A chain rule for matrix functions and applications", 1996).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.linalg import _umath_linalg

from pullback import ops
from pullback.core._engine import Tensor, adjoint, conj
from pullback.core._plans import Plan, Spec
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import contiguous_format
from pullback.core.op import op
from pullback.core.settings import warn
from pullback.core.types import Array
from pullback.ops.linalg.inverse import inverse_and_info
from pullback.ops.linalg.refusals import check_inexact, check_square
from pullback.ops.linalg.stacks import common_stack, into_out, meta_matrices
from pullback.ops.shared.chains import Chain, Place, operand, part_of
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.forms import explained, public
from pullback.ops.shared.refusals import check_tensors
from pullback.ops.shared.series import Series

# ------------------------------------------------------------------------------------ exponential

_LARGEST_NORM = {
    8: {3: 1.4955852e-2, 5: 0.25393983, 7: 0.95041790, 9: 2.0978480, 13: 5.3719203},
    4: {3: 0.42587300, 5: 1.8801526, 7: 3.9257248},
}
"""Of a precision, by its bytes: the norm up to which the Padé quotient of a degree is exact (Higham 2005)."""


@functools.cache
def _pade_coefficients(degree: int) -> list[float]:
    """The coefficients of the numerator; those of the denominator alternate in sign."""
    first = math.factorial(2 * degree) // math.factorial(degree)
    return [
        math.factorial(2 * degree - j) / (math.factorial(degree - j) * math.factorial(j) * first)
        for j in range(degree + 1)
    ]


Dual = tuple[Array, Array | None]
"""Matrices and their derivative along a direction, or none."""


def _product(a: Dual, b: Dual) -> Dual:
    return a[0] @ b[0], None if a[1] is None or b[1] is None else a[1] @ b[0] + a[0] @ b[1]


def _combined(numbers: Sequence[float], terms: Sequence[Dual]) -> Dual:
    """The sum of matrices times numbers, the first of which stands for the unit matrix."""
    value = numbers[1] * terms[0][0]
    change = None if terms[0][1] is None else numbers[1] * terms[0][1]
    for number, (x, dx) in zip(numbers[2:], terms[1:], strict=True):
        value += number * x
        if change is not None and dx is not None:
            change += number * dx
    diagonal = np.arange(value.shape[-1])
    value[..., diagonal, diagonal] += numbers[0]
    return value, change


def _pade_quotient(a: Dual, degree: int) -> Dual:
    """The Padé quotient of a stack of matrices, and its derivative."""
    weights = _pade_coefficients(degree)
    squares = [_product(a, a)]
    while len(squares) < degree // 2:
        squares.append(_product(squares[-1], squares[0]))
    even, odd = _combined(weights[0::2], squares), _product(a, _combined(weights[1::2], squares))
    below, above = even[0] - odd[0], even[0] + odd[0]
    result = _umath_linalg.solve(below, above)
    if even[1] is None or odd[1] is None:
        return result, None
    return result, _umath_linalg.solve(below, even[1] + odd[1] - (even[1] - odd[1]) @ result)


def _exponential_of(a: Array, along: Array | None = None) -> Dual:
    """The exponential, and its derivative along a direction, in double: the squarings lose digits."""
    reach = 1 if along is None else 0.7  # the derivative of a quotient is exact up to a norm somewhat less
    limits = _LARGEST_NORM[np.finfo(a.dtype).dtype.itemsize]
    largest_norm = {degree: reach * limit for degree, limit in limits.items()}
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    sizes = np.abs(a).sum(-2).max(-1).astype(np.float64)
    most, last = sizes.max(), max(largest_norm)
    degree = next((d for d, limit in largest_norm.items() if most <= limit), last)
    large = np.isfinite(sizes) & (sizes > largest_norm[last])
    over = np.where(large, sizes, 1) / largest_norm[last]
    halvings = np.where(large, np.ceil(np.log2(over)), 0).astype(int)
    scale = np.ldexp(1.0, -halvings)[..., None, None]
    value, change = _pade_quotient(
        (a.astype(wide) * scale, None if along is None else along.astype(wide) * scale), degree
    )
    for step in range(int(halvings.max())):
        more = (halvings > step)[..., None, None]
        square, change_of_square = _product((value, change), (value, change))
        value = np.where(more, square, value)
        if change is not None and change_of_square is not None:
            change = np.where(more, change_of_square, change)
    return value, change


def _exponential_series(y: Tensor, order: int, a: Series) -> Series:
    """Truncated series multiply like block Toeplitz matrices, so that of exp A is the exponential of A's."""
    n, zero = y.shape[-1], ops.zeros_like(y)
    blocks = [zero if c is None else c for c in a]
    rows = [ops.cat([*[zero] * i, *blocks[: order + 1 - i]], -1) for i in range(order + 1)]
    first = ops.narrow(_matrix_exp(ops.cat(rows, -2)), -2, 0, n)
    return [ops.narrow(first, -1, k * n, n) for k in range(1, order + 1)]


@op(name="linalg_matrix_exp", places="", batch="leading", series=_exponential_series)
def _matrix_exp(self: Array) -> Array:
    """The exponential of (..., n, n)."""
    _check_matrix_exp(self)
    return _exponential_of(self)[0].astype(self.dtype) if self.size else self.copy()


def _check_matrix_exp(a: Array) -> None:
    check_square("linalg.matrix_exp", a)
    check_inexact("linalg.matrix_exp", a)


@_matrix_exp.meta
def _matrix_exp_shape(self: Array) -> Array:
    _check_matrix_exp(self)
    return meta_matrices(self, *self.shape[-2:], columns=False)


def _block_matrix(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """[[a, b], [c, d]]"""
    return ops.cat([ops.cat([a, b], -1), ops.cat([c, d], -1)], -2)


@op(name="matrix_exp_along", places="", batch="leading")
def _exp_along(self: Array, direction: Array) -> Array:
    """The derivative of the exponential along a direction, computed with it: each product has two more."""
    if not self.size or not direction.size:
        return np.empty(np.broadcast_shapes(self.shape, direction.shape), self.dtype)
    return np.asarray(_exponential_of(self, direction)[1]).astype(self.dtype)


@_exp_along.meta
def _exp_along_shape(self: Array, direction: Array) -> Array:
    return meta_matrices(self, *self.shape[-2:], columns=False)


@_exp_along.joint_vjp
def _exp_along_gradients(g: Tensor, self: Tensor, direction: Tensor, needs: Any) -> Any:
    """It is a block of the exponential of [[A, E], [0, A]], and so are its gradients of that one's."""
    n = self.shape[-1]
    if not n:
        return g, g
    zero, Ah = ops.zeros_like(g), adjoint(self)
    whole = _exp_along(_block_matrix(Ah, zero, adjoint(direction), Ah), _block_matrix(zero, g, zero, zero))
    parts = [ops.narrow(ops.narrow(whole, -2, i * n, n), -1, j * n, n) for i, j in ((0, 0), (1, 1), (0, 1))]
    return parts[0] + parts[1], parts[2]


_matrix_exp.vjp(self=lambda g, self: _exp_along(adjoint(self), g))


@public(places="tm", space="linalg")
def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of square matrices (..., n, n), float or complex.

    The gradient is the derivative at `A.mH` along g for an input A: the upper right block of
    exp [[A.mH, g], [0, A.mH]].

    >>> import pullback as torch
    >>> torch.matrix_exp(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    check_tensors("linalg_matrix_exp", input=input)
    return _matrix_exp(input)


# ----------------------------------------------------------------------------------------- powers


def _check_power(input: Any, n: Any) -> None:
    check_tensors("linalg_matrix_power", input=input)
    if not isinstance(n, int) or isinstance(n, bool):
        kind = type(n).__name__
        raise TypeError(f"linalg_matrix_power(): argument 'n' (position 2) must be int, not {kind}")
    check_square("linalg.matrix_power", input)


def _integer_power(A: Tensor, n: int) -> Tensor:
    """By squares of squares."""
    if n == 0:
        return ops.clone(A, memory_format=contiguous_format).copy_(
            ops.eye(A.shape[-1], dtype=A.dtype, device=A.device)
        )
    if n < 0:
        A, n = inverse_and_info(A, "linalg.inv")[0], -n
        if n == 1:
            return A
    if n == 1:
        return ops.clone(A, memory_format=contiguous_format)
    if n == 3:
        return A @ A @ A
    square = A
    while not n & 1:
        n, square = n >> 1, square @ square
    result = square
    while n := n >> 1:
        square = square @ square
        result = result @ square if n & 1 else result
    return result


@public(places="tm", space="linalg")
def matrix_power(input: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """The n-th power of square matrices (..., n, n); of their inverse for negative n.

    LinAlgError if a matrix has no inverse.

    >>> import pullback as torch
    >>> torch.matrix_power(torch.tensor([[1, 1], [1, 0]]), 5)
    tensor([[8, 5],
            [5, 3]])
    """
    _check_power(input, n)
    return into_out("linalg_matrix_power", _integer_power(input, n), out)


# ---------------------------------------------------------------------------------- cross product


@op(name="linalg_cross", places="", batch="leading")
def _cross(self: Array, other: Array, dim: int = -1) -> Array:
    """The vector products along a dim of three, counted from the back."""
    a, b = np.moveaxis(self, dim, 0), np.moveaxis(other, dim, 0)
    shape = np.broadcast_shapes(self.shape, other.shape)
    result = np.empty(shape, self.dtype)
    components = np.moveaxis(result, dim, 0)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        components[i] = a[j] * b[k] - a[k] * b[j]
    return result


def _check_cross(a: Spec, b: Spec) -> None:
    if a.dtype != b.dtype:
        raise RuntimeError(f"expected scalar type {type_name(a)} but found {type_name(b)}")
    if a.dtype.kind == "b":
        raise NotImplementedError("\"cross\" not implemented for 'Bool'")


@_cross.prepare
def _plan_cross(self: Spec, other: Spec, dim: int) -> Plan:
    _check_cross(self, other)
    result = Spec(self.dtype, np.broadcast_shapes(self.shape, other.shape))
    if self.dtype.itemsize == 2 and self.dtype.kind == "f":
        return Plan(result)
    chain = Chain(2, result)
    a, b, to = [
        [part_of(operand(place, t, range(-t.ndim, 0)), dim, i) for i in range(3)]
        for place, t in ((Place(0), self), (Place(1), other), (chain.result(), result))
    ]
    interleaved = dim == -1 and result.size > 3
    results, to = to, [chain.room(self.dtype, x.sizes) for x in to] if interleaved else to
    if interleaved:  # each is read and written once, and the arithmetic is on contiguous numbers
        a, b = [chain.copied(x) for x in a], [chain.copied(x) for x in b]
    less = chain.room(self.dtype, to[0].sizes)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        chain.pointwise(np.multiply, a[j], b[k], to[i])
        chain.pointwise(np.multiply, a[k], b[j], less)
        chain.pointwise(np.subtract, to[i], less, to[i])
        if interleaved:
            chain.copy(to[i], results[i])
    return chain.plan()


_cross.vjp(
    self=lambda g, other, dim: _cross(conj(other), g, dim),
    other=lambda g, self, dim: _cross(g, conj(self), dim),
)


def _checked_cross(input: Tensor, other: Tensor, dim: int, out: Any) -> Tensor:
    check_tensors("linalg_cross", input=input, other=other)
    if input.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    axis = wrap_dim(dim, input.ndim)
    sizes = input.shape[axis], other.shape[axis]
    if sizes != (3, 3):
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {sizes[0]} and {sizes[1]}"
        )
    common_stack(tuple(input.shape), tuple(other.shape))
    return _cross(input, other, axis - input.ndim, out=out)


@public(space="linalg")
def linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """The vector products of vectors of three along `dim`, broadcast.

    RuntimeError for other lengths, another number of dims or dtypes. The gradients are
    `cross(conj(other), g)` and `cross(g, conj(input))`.

    >>> import pullback as torch
    >>> torch.linalg.cross(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    return _checked_cross(input, other, dim, out)


@explained
def cross(input: Tensor, other: Tensor, dim: int | None = None, *, out: Tensor | None = None) -> Tensor:
    """`linalg.cross` along `dim`, or, deprecated, along the first dim of length three.

    >>> import pullback as torch
    >>> torch.cross(torch.tensor([1, 0, 0]), torch.tensor([0, 1, 0]), dim=0)
    tensor([0, 0, 1])
    """
    if dim is None:
        check_tensors("cross", input=input, other=other)
        dim = next((i for i, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError("no dimension of size 3 in input")
        warn(
            "Using torch.cross without specifying the dim arg is deprecated.\n"
            "Please either pass the dim explicitly or simply use torch.linalg.cross.\n"
            "The default value of dim will change to agree with that of linalg.cross in a future release."
        )
    return _checked_cross(input, other, dim, out)


# ------------------------------------------------------------------------------------------ others


@public(space="linalg")
def linalg_diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, as the last dim: a view. See `torch.diagonal`.

    >>> import pullback as torch
    >>> torch.linalg.diagonal(torch.arange(9).view(3, 3))
    tensor([0, 4, 8])
    """
    return ops.diagonal(A, offset, dim1, dim2)


@public(space="linalg")
def vander(x: Tensor, N: int | None = None) -> Tensor:
    """The powers 0 to N - 1 of numbers (..., n) as (..., n, N); N is n unless given.

    RuntimeError for N below 2, booleans and half precisions.

    >>> import pullback as torch
    >>> torch.linalg.vander(torch.tensor([2, 3]), N=3)
    tensor([[1, 2, 4],
            [1, 3, 9]])
    """
    check_tensors("linalg_vander", x=x)
    if x.dtype.kind == "b" or (x.dtype.kind == "f" and x.dtype.itemsize < 4):
        raise RuntimeError(
            "linalg.vander supports floating point, complex, and integer tensors, "
            f"but got {x.dtype.type_name}"
        )
    x = ops.unsqueeze(x, 0) if not x.ndim else x
    count = x.shape[-1] if N is None else N
    if count <= 1:
        raise RuntimeError("N must be greater than 1.")
    bases = ops.expand(ops.unsqueeze(x, -1), (*x.shape, count - 1))
    return ops.cat([ops.ones_like(ops.narrow(bases, -1, 0, 1)), ops.cumprod(bases, -1)], -1)
