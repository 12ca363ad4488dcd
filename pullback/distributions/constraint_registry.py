"""Transforms from unconstrained numbers onto constraints, as `torch.distributions.constraint_registry`."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

from pullback.core._engine import Tensor
from pullback.distributions import constraints, transforms
from pullback.face.absent import getter

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """For each class of constraints a factory of transforms from numbers onto it.

    >>> import pullback as torch
    >>> D = torch.distributions
    >>> D.transform_to(D.constraints.simplex)(torch.zeros(2))
    tensor([0.5000, 0.5000])
    """

    def __init__(self) -> None:
        self._registry: dict[type, Callable[[Any], Any]] = {}
        super().__init__()

    def register(self, constraint: Any, factory: Callable[[Any], Any] | None = None) -> Any:
        """Enters a factory for a class of constraints, or for that of an object; a decorator without it."""
        if factory is None:
            return lambda given: self.register(constraint, given)
        kind = type(constraint) if isinstance(constraint, constraints.Constraint) else constraint
        if not isinstance(kind, type) or not issubclass(kind, constraints.Constraint):
            raise TypeError(
                f"Expected constraint to be either a Constraint subclass or instance, but got {constraint}"
            )
        self._registry[kind] = factory
        return factory

    def __call__(self, constraint: Any) -> Any:
        """The transform onto a constraint; NotImplementedError if its class has none."""
        try:
            factory = self._registry[type(constraint)]
        except KeyError:
            raise NotImplementedError(f"Cannot transform {type(constraint).__name__} constraints") from None
        return factory(constraint)


biject_to = ConstraintRegistry()
"""Bijections onto constraints."""

transform_to = ConstraintRegistry()
"""Transforms onto constraints that need not be bijective: they suit optimisation."""


def _in_both(*kinds: Any) -> Callable[[Any], Any]:
    """A decorator that enters a factory in both registries."""

    def enter(factory: Callable[[Any], Any]) -> Callable[[Any], Any]:
        for kind in kinds:
            biject_to.register(kind, factory)
            transform_to.register(kind, factory)
        return factory

    return enter


@_in_both(constraints.real)
def _onto_real(constraint: Any) -> Any:
    return transforms.identity_transform


@_in_both(constraints.positive, constraints.nonnegative)
@_in_both(constraints.greater_than, constraints.greater_than_eq)
def _from_below(constraint: Any) -> Any:
    up = transforms.AffineTransform(constraint.lower_bound, 1)
    return transforms.ComposeTransform([transforms.ExpTransform(), up])


@_in_both(constraints.less_than)
def _from_above(constraint: Any) -> Any:
    down = transforms.AffineTransform(constraint.upper_bound, -1)
    return transforms.ComposeTransform([transforms.ExpTransform(), down])


@_in_both(constraints.interval, constraints.half_open_interval)
def _onto_interval(constraint: Any) -> Any:
    low, high = constraint.lower_bound, constraint.upper_bound
    if _is(low, 0) and _is(high, 1):
        return transforms.SigmoidTransform()
    onto = transforms.AffineTransform(low, high - low)
    return transforms.ComposeTransform([transforms.SigmoidTransform(), onto])


def _is(bound: Any, value: int) -> bool:
    number = isinstance(bound, numbers.Number) or (isinstance(bound, Tensor) and bound.dim() == 0)
    return number and bool(bound == value)


@_in_both(constraints.corr_cholesky)
def _onto_corr_cholesky(constraint: Any) -> Any:
    return transforms.CorrCholeskyTransform()


biject_to.register(constraints.simplex, lambda constraint: transforms.StickBreakingTransform())
transform_to.register(constraints.simplex, lambda constraint: transforms.SoftmaxTransform())
transform_to.register(constraints.lower_cholesky, lambda constraint: transforms.LowerCholeskyTransform())
for _definite in (constraints.positive_definite, constraints.positive_semidefinite):
    transform_to.register(_definite, lambda constraint: transforms.PositiveDefiniteTransform())


def _of_parts(registry: ConstraintRegistry) -> None:
    """Constraints that are made of others: their transforms are made of the others' in the same way."""

    def independent(constraint: Any) -> Any:
        base = registry(constraint.base_constraint)
        return transforms.IndependentTransform(base, constraint.reinterpreted_batch_ndims)

    def cat(constraint: Any) -> Any:
        parts = [registry(c) for c in constraint.cseq]
        return transforms.CatTransform(parts, constraint.dim, constraint.lengths)

    def stack(constraint: Any) -> Any:
        return transforms.StackTransform([registry(c) for c in constraint.cseq], constraint.dim)

    registry.register(constraints.independent, independent)
    registry.register(constraints.cat, cat)
    registry.register(constraints.stack, stack)


_of_parts(biject_to)
_of_parts(transform_to)

__getattr__ = getter(__name__)
