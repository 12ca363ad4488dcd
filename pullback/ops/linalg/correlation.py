"""Covariance and correlation of the rows of a matrix."""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.core._engine import Tensor, conj
from pullback.core.op import function
from pullback.core.settings import warn
from pullback.ops.shared.refusals import check_tensors


@function()
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariances of the rows of `input` (variables), whose columns are observations.

    The sum of products of deviations over the number of observations less `correction`; `fweights`
    (integers) count observations, `aweights` weigh them. A vector is one variable. RuntimeError for
    more than two dims, booleans, or weights that do not fit.

    >>> import pullback as torch
    >>> torch.cov(torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    check_tensors("cov", input=input)
    _check_at_most_matrix("cov", input)
    if input.dtype.kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    rows = ops.reshape(input, (1, -1)) if input.ndim < 2 else input
    count = rows.shape[1]
    weights = None
    if fweights is not None:
        _check_weights("fweights", fweights, count, "iu", "integral")
        weights = fweights
    if aweights is not None:
        _check_weights("aweights", aweights, count, "f", "floating point")
        weights = aweights if weights is None else weights * aweights
    total: Any = count
    if weights is not None and count:
        total = ops.sum(weights)
        if not total.detach():
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
    weighted = rows if weights is None else rows * weights
    away = rows - ops.unsqueeze(ops.true_divide(ops.sum(weighted, 1), total), 1)
    freedom = total - correction
    if weights is not None and aweights is not None and correction and count:
        freedom = total - correction * ops.sum(weights * aweights) / total
    freedom = _positive(freedom)
    product = away @ conj(ops.transpose(away if weights is None else away * weights, 0, 1))
    return ops.squeeze(ops.true_divide(product, freedom))


def _positive(freedom: Any) -> Any:
    """Degrees of freedom, zero and a warning where there are none."""
    if isinstance(freedom, Tensor) and bool(freedom.detach() <= 0):
        freedom = ops.zeros_like(freedom)
    elif isinstance(freedom, Tensor) or freedom > 0:
        return freedom
    warn(
        "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of "
        "observations."
    )
    return freedom if isinstance(freedom, Tensor) else 0


@function()
def corrcoef(input: Tensor) -> Tensor:
    """The correlation coefficients of the rows of `input`: covariances of rows of deviation 1.

    RuntimeError for more than two dims, and booleans.

    >>> import pullback as torch
    >>> torch.corrcoef(torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    check_tensors("corrcoef", input=input)
    _check_at_most_matrix("corrcoef", input)
    covariances = cov(input)
    if not covariances.ndim:
        return covariances / covariances
    deviations = ops.sqrt(ops.real(ops.diagonal(covariances)))
    result = covariances / ops.unsqueeze(deviations, 1) / ops.unsqueeze(deviations, 0)
    if not result.dtype.is_complex:
        return ops.clamp(result, -1, 1)
    return ops.complex(ops.clamp(ops.real(result), -1, 1), ops.clamp(ops.imag(result), -1, 1))


# ---------------------------------------------------------------------------------------- refusals


def _check_weights(name: str, weights: Tensor, count: int, kind: str, wanted: str) -> None:
    """Refuses weights that are not one for each observation, of a kind, and not negative."""
    said = None
    if weights.ndim > 1:
        said = (
            f"expected {name} to have one or fewer dimensions but got {name} with {weights.ndim} dimensions"
        )
    elif weights.dtype.kind not in kind:
        said = f"expected {name} to have {wanted} dtype but got {name} with {weights.dtype.type_name} dtype"
    elif weights.numel() != count:
        said = (
            f"expected {name} to have the same numel as there are observations in the input but got "
            f"{weights.numel()} != {count}"
        )
    elif count and bool((weights.detach() < 0).any()):
        said = f"{name} cannot be negative"
    if said is not None:
        raise RuntimeError(f"cov(): {said}")


def _check_at_most_matrix(name: str, input: Tensor) -> None:
    if input.ndim > 2:
        raise RuntimeError(
            f"{name}(): expected input to have two or fewer dimensions but got an input with "
            f"{input.ndim} dimensions"
        )
