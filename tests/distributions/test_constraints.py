"""Constraints: every check, what they say of themselves, and the transforms onto them."""

import numpy as np
import pytest
from library import torch

D = torch.distributions
C = D.constraints
t = torch.tensor

EYE = [[1.0, 0.0], [0.0, 1.0]]
CHECKS = [
    (C.boolean, [0.0, 1.0, 0.5, -1.0], [1, 1, 0, 0], "Boolean()"),
    (C.real, [0.0, float("inf"), float("nan")], [1, 1, 0], "Real()"),
    (C.positive, [-1.0, 0.0, 1.0], [0, 0, 1], "GreaterThan(lower_bound=0.0)"),
    (C.nonnegative, [-1.0, 0.0, 1.0], [0, 1, 1], "GreaterThanEq(lower_bound=0.0)"),
    (C.greater_than(2), [1.0, 2.0, 3.0], [0, 0, 1], "GreaterThan(lower_bound=2)"),
    (C.greater_than_eq(2), [1.0, 2.0, 3.0], [0, 1, 1], "GreaterThanEq(lower_bound=2)"),
    (C.less_than(2), [1.0, 2.0, 3.0], [1, 0, 0], "LessThan(upper_bound=2)"),
    (C.interval(1, 2), [0.9, 1.0, 2.0, 2.1], [0, 1, 1, 0], "Interval(lower_bound=1, upper_bound=2)"),
    (C.unit_interval, [-0.1, 0.0, 1.0], [0, 1, 1], "Interval(lower_bound=0.0, upper_bound=1.0)"),
    (C.half_open_interval(1, 2), [1.0, 2.0], [1, 0], "HalfOpenInterval(lower_bound=1, upper_bound=2)"),
    (C.integer_interval(1, 3), [0, 1, 3, 4], [0, 1, 1, 0], "IntegerInterval(lower_bound=1, upper_bound=3)"),
    (C.integer_interval(1, 3), [1.5, 2.0], [0, 1], "IntegerInterval(lower_bound=1, upper_bound=3)"),
    (C.nonnegative_integer, [-1.0, 0.0, 0.5, 7.0], [0, 1, 0, 1], "IntegerGreaterThan(lower_bound=0)"),
    (C.positive_integer, [0.0, 1.0], [0, 1], "IntegerGreaterThan(lower_bound=1)"),
    (C._IntegerLessThan(3), [2.0, 3.0, 2.5, 4.0], [1, 1, 0, 0], "IntegerLessThan(upper_bound=3)"),
    (C.one_hot, [[0.0, 1.0], [1.0, 1.0], [0.5, 0.5]], [1, 0, 0], "OneHot()"),
    (C.simplex, [[0.25, 0.75], [0.5, 0.6], [-0.5, 1.5]], [1, 0, 0], "Simplex()"),
    (C.multinomial(3), [[1.0, 2.0], [2.0, 2.0], [-1.0, 2.0]], [1, 0, 0], "Multinomial()"),
    (C.real_vector, [[0.0, 1.0], [float("nan"), 0.0]], [1, 0], "IndependentConstraint(Real(), 1)"),
    (C.lower_triangular, [EYE, [[1.0, 2.0], [0.0, 1.0]]], [1, 0], "LowerTriangular()"),
    (
        C.lower_cholesky,
        [EYE, [[-1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [0.0, 1.0]]],
        [1, 0, 0],
        "LowerCholesky()",
    ),
    (C.corr_cholesky, [EYE, [[1.0, 0.0], [0.6, 0.8]], [[1.0, 0.0], [1.0, 1.0]]], [1, 1, 0], "CorrCholesky()"),
    (C.square, [EYE], [1], "Square()"),
    (C.square, [[[1.0, 2.0]]], [0], "Square()"),
    (C.symmetric, [EYE, [[1.0, 2.0], [0.0, 1.0]]], [1, 0], "Symmetric()"),
    (C.positive_definite, [EYE, [[1.0, 2.0], [2.0, 1.0]]], [1, 0], "PositiveDefinite()"),
    (
        C.positive_semidefinite,
        [[[1.0, 0.0], [0.0, 0.0]], [[1.0, 2.0], [2.0, 1.0]]],
        [1, 0],
        "PositiveSemidefinite()",
    ),
    (
        C.independent(C.positive, 1),
        [[1.0, 2.0], [0.0, 1.0]],
        [1, 0],
        "IndependentConstraint(GreaterThan(lower_bound=0.0), 1)",
    ),
    (C.cat([C.positive, C.real], 0, [1, 2]), [0.0, -1.0, 1.0], [0, 1, 1], "Cat()"),
    (C.stack([C.positive, C.real], 0), [-1.0, -1.0], [0, 1], "Stack()"),
    (C.MixtureSameFamilyConstraint(C.interval(t([0.0, 1.0]), t([2.0, 3.0]))), [0.5, 1.5], [0, 1], None),
]


@pytest.mark.parametrize(("constraint", "value", "wanted", "shown"), CHECKS, ids=lambda x: repr(x)[:40])
def test_check(constraint, value, wanted, shown):
    found = constraint.check(t(value))
    assert found.dtype is torch.bool and found.tolist() == [bool(w) for w in wanted]
    assert shown is None or repr(constraint) == shown
    assert found.dim() == t(value).dim() - constraint.event_dim
    assert isinstance(constraint.is_discrete, bool)


def test_what_is_not_symmetric_is_not_decomposed():
    values = t([[[1.0, 2.0], [0.0, 1.0]], EYE])
    for constraint in (C.positive_definite, C.positive_semidefinite):
        assert constraint.check(values).tolist() == [False, True]


def test_bounds_may_be_tensors():
    constraint = C.interval(t([0.0, 1.0]), t([[1.0], [3.0]]))
    assert constraint.check(t(0.5)).tolist() == [[True, False], [True, False]]
    assert repr(C.greater_than(t([1.0]))) == "GreaterThan(lower_bound=tensor([1.]))"


def test_dependent():
    assert C.is_dependent(C.dependent) and not C.is_dependent(C.real)
    with pytest.raises(ValueError, match="Cannot determine validity of dependent constraint"):
        C.dependent.check(t(1.0))
    for name in ("event_dim", "is_discrete"):
        with pytest.raises(NotImplementedError, match=f".{name} cannot be determined statically"):
            getattr(C.dependent, name)
    known = C.dependent(is_discrete=True)(event_dim=2)
    assert known.is_discrete is True and known.event_dim == 2
    assert repr(C.dependent) == "Dependent()" and repr(D.Uniform.support) == "DependentProperty()"
    assert D.Binomial.support.event_dim == 0 and D.Binomial.support.is_discrete
    assert not D.Uniform.support.is_discrete
    with pytest.raises(NotImplementedError):
        C.Constraint().check(t(1.0))


def test_too_few_dims():
    with pytest.raises(ValueError, match=r"Expected value.dim\(\) >= 1 but got 0"):
        C.real_vector.check(t(1.0))


def test_event_dims_of_stacks():
    parts = [C.real_vector, C.real_vector]
    assert [C.stack(parts, dim).event_dim for dim in (-2, -1, 0)] == [2, 1, 1]
    assert C.cat([C.real, C.real_vector], 0).event_dim == 1
    assert C.cat([C.boolean, C.real]).is_discrete


BOTH = [
    C.real,
    C.real_vector,
    C.positive,
    C.nonnegative,
    C.greater_than(t(1.5)),
    C.greater_than_eq(1.5),
    C.less_than(2.0),
    C.interval(1.0, 3.0),
    C.half_open_interval(0.0, 2.0),
    C.unit_interval,
    C.simplex,
    C.corr_cholesky,
    C.independent(C.positive, 1),
    C.cat([C.real, C.positive], 0, [1, 2]),
    C.stack([C.real, C.positive, C.unit_interval], 0),
]


@pytest.mark.parametrize("constraint", BOTH, ids=repr)
def test_transforms_onto(constraint):
    x = t([0.3, -1.0, 2.0])
    for registry in (D.transform_to, D.biject_to):
        transform = registry(constraint)
        y = transform(x)
        assert constraint.check(y).all()
        assert y.shape == tuple(transform.forward_shape(tuple(x.shape)))
        assert transform.codomain.check(y).all()
        back = transform.inv(y)
        np.testing.assert_allclose(transform(back).numpy(), y.numpy(), rtol=1e-5)
    assert D.biject_to(constraint).bijective
    np.testing.assert_allclose(back.numpy(), x.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "constraint", [C.lower_cholesky, C.positive_definite, C.positive_semidefinite], ids=repr
)
def test_transforms_onto_matrices(constraint):
    x = t([[0.3, 5.0], [-1.0, 2.0]])
    y = D.transform_to(constraint)(x)
    assert constraint.check(y).all()
    np.testing.assert_allclose(D.transform_to(constraint).inv(y).numpy(), x.tril().numpy(), rtol=1e-4)
    with pytest.raises(
        NotImplementedError, match=f"Cannot transform {type(constraint).__name__} constraints"
    ):
        D.biject_to(constraint)


def test_registering():
    registry = D.constraint_registry.ConstraintRegistry()
    with pytest.raises(NotImplementedError, match="Cannot transform _Real constraints"):
        registry(C.real)
    registry.register(C.real, lambda c: "one")
    assert registry(C.real) == "one"

    @registry.register(C.interval)
    def onto(constraint):
        return constraint.upper_bound

    assert registry(C.interval(0, 3)) == 3
    with pytest.raises(TypeError, match="Expected constraint to be either a Constraint subclass or instance"):
        registry.register(3, lambda c: None)
    for wrong in (C.boolean, C.dependent):
        with pytest.raises(NotImplementedError, match="Cannot transform"):
            D.biject_to(wrong)
