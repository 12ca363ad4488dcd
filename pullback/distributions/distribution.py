"""The base of all distributions, as `torch.distributions.distribution`.

A distribution has a batch of independent copies, each over events: values have the shape sample_shape +
batch_shape + event_shape. A family declares its parameters in `arg_constraints`; from them come the checks
of arguments, what is printed, and `expand`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from pullback import ops
from pullback.autograd import no_grad
from pullback.core._engine import Tensor
from pullback.core.dtypes import Size
from pullback.distributions import constraints
from pullback.distributions.utils import lazy_property
from pullback.face.absent import getter

__all__ = ["Distribution"]

Shape = Sequence[int]

PACKAGE = __name__.rpartition(".")[0]


def checked(method: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
    """A method of one value that is checked before, if the distribution validates its arguments."""

    @functools.wraps(method)
    def run(self: Distribution, value: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return method(self, value)

    return run


class Distribution:
    """A probability distribution: what all have in common.

    `batch_shape` is the shape of a batch of distributions, `event_shape` that of one sample of one of them.
    With `validate_args`, by default on, parameters and values are checked against `arg_constraints` and
    `support`: ValueError.

    >>> import pullback as torch
    >>> d = torch.distributions.Normal(torch.zeros(3), 1.0)
    >>> d.batch_shape, d.event_shape, d.sample((2,)).shape
    (torch.Size([3]), torch.Size([]), torch.Size([2, 3]))
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args = __debug__
    _inner: ClassVar[tuple[str, ...]] = ()  # distributions that this one is made of, in its batch
    _kept: ClassVar[tuple[str, ...]] = ()  # attributes that `expand` leaves as they are

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check their arguments where nothing is said."""
        if value not in (True, False):
            raise ValueError
        Distribution._validate_args = value

    def __init__(
        self,
        batch_shape: Size = Size(()),  # noqa: B008
        event_shape: Size = Size(()),  # noqa: B008
        validate_args: bool | None = None,
    ) -> None:
        self._batch_shape, self._event_shape = batch_shape, event_shape
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._validate_parameters()
        super().__init__()

    def _validate_parameters(self) -> None:
        """ValueError for a parameter that its constraint refuses. What would be computed is not looked at."""
        try:
            conditions = self.arg_constraints
        except NotImplementedError:
            conditions = {}
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or "
                "initialize the distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
        for name, constraint in conditions.items():
            lazy = isinstance(getattr(type(self), name, None), lazy_property)
            if constraints.is_dependent(constraint) or (lazy and name not in vars(self)):
                continue
            value = getattr(self, name)
            if not ops.is_all_true(constraint.check(value)):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of "
                    f"distribution {self!r} to satisfy the constraint {constraint!r}, but found invalid "
                    f"values:\n{value}"
                )

    def expand(self, batch_shape: Shape, _instance: Any = None) -> Any:
        """The same distribution with its batch expanded to `batch_shape`.

        A subclass with an `__init__` of its own must have an `expand` of its own: it passes as `_instance`
        what it has made, to be filled with the parameters.
        """
        shape = Size(batch_shape)
        family = next(kind for kind in type(self).__mro__ if kind.__module__.startswith(PACKAGE))
        new = self._get_checked_instance(family, _instance)
        self._expand_into(new, shape)
        Distribution.__init__(new, shape, self._expanded_event_shape(new), validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _expand_into(self, new: Any, shape: Size) -> None:
        """Gives `new` the expanded parameters, and what else this distribution is made of."""
        for name, constraint in self.arg_constraints.items():
            if name in vars(self) or not hasattr(type(self), name):
                value = getattr(self, name)
                event = value.shape[value.dim() - constraint.event_dim :]
                setattr(new, name, value.expand(shape + event))
        for name in self._inner:
            inner = getattr(self, name)
            setattr(new, name, inner.expand(shape + inner.batch_shape[len(self._batch_shape) :]))
        for name in self._kept:
            setattr(new, name, getattr(self, name))

    def _expanded_event_shape(self, new: Any) -> Size:
        return self._event_shape

    @property
    def batch_shape(self) -> Size:
        """The shape of the batch of distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one sample of one distribution."""
        return self._event_shape

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """The constraints of the parameters, by name."""
        raise NotImplementedError

    @property
    def support(self) -> Any:
        """The constraint that values meet."""
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        """The mean."""
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        """The value of largest density."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The variance."""
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        """The standard deviation, the root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Samples of the shape sample_shape + batch_shape + event_shape, without a gradient."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        """Samples through which gradients go to the parameters, where `has_rsample`."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Tensor:
        """`sample((n,))`."""
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", FutureWarning, stacklevel=2
        )
        return self.sample((n,))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at `value`."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of what is at most `value`."""
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: the inverse of `cdf`."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values that have a probability, in a new first dim; for `has_enumerate_support` only.

        The values of a batch go in step. With `expand=False` its dims have size 1.
        """
        raise NotImplementedError

    def _enumerated(self, values: Tensor, expand: bool) -> Tensor:
        """Values along the first dim, for each distribution of the batch."""
        event = values.shape[1:]
        values = values.reshape((-1, *(1 for _ in self._batch_shape), *event))
        return values.expand((-1, *self._batch_shape, *event)) if expand else values

    def entropy(self) -> Tensor:
        """The entropy, in nats: the mean of `-log_prob`."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """The exponential of the entropy."""
        return ops.exp(self.entropy())

    def _extended_shape(self, sample_shape: Shape = ()) -> Size:
        """The shape of samples."""
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def _validate_sample(self, value: Any) -> None:
        """ValueError for a value that does not fit the batch and the event, or is not in the support."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        shape, events = value.size(), len(self._event_shape)
        if shape[len(shape) - events :] != self._event_shape:
            raise ValueError(
                f"The right-most size of value must match event_shape: {shape} vs {self._event_shape}."
            )
        expected = self._batch_shape + self._event_shape
        for n, m in zip(reversed(shape), reversed(expected), strict=False):
            if n != m and 1 not in (n, m):
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {shape} vs {expected}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `support` to enable sample validation. Please initialize "
                "the distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        if not ops.is_all_true(support.check(value)):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(shape)}) to be within the "
                f"support ({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        """A new object to expand into; NotImplementedError for a subclass that must make it itself."""
        if _instance is None and type(self).__init__ is not cls.__init__:  # type: ignore[misc]
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ method "
                "must also define a custom .expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    def __repr__(self) -> str:
        given = {name: vars(self)[name] for name in self.arg_constraints if name in vars(self)}
        shown = (f"{name}: {v if v.numel() == 1 else v.size()}" for name, v in given.items())
        return f"{type(self).__name__}({', '.join(shown)})"


__getattr__ = getter(__name__)
