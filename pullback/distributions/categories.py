"""One of several categories: its number, a vector with a one, and counts of many draws."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import Size, finfo, int64
from pullback.distributions import constraints
from pullback.distributions.binary import Odds, one_of
from pullback.distributions.counts import Binomial
from pullback.distributions.distribution import Distribution, Shape, checked
from pullback.distributions.utils import broadcast_all

SIMPLEX: dict[str, constraints.Constraint] = {
    "probs": constraints.simplex,
    "logits": constraints.real_vector,
}


class Categorical(Odds):
    """One of K categories, 0 to K - 1, with the probabilities in the last dim of `probs`.

    `probs` need not sum to 1; `logits` are unnormalised log probabilities. p(k) = probs[k].

    >>> import pullback as torch
    >>> torch.distributions.Categorical(torch.tensor([1.0, 3.0])).log_prob(torch.tensor(1)).exp()
    tensor(0.7500)
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = SIMPLEX
    has_enumerate_support = True
    _binary = False
    _kept = ("_num_events",)

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        one_of(probs, logits)
        if probs is not None:
            if probs.dim() < 1:
                raise ValueError("`probs` parameter must be at least one-dimensional.")
            self.probs = probs / probs.sum(-1, keepdim=True)
        elif logits is not None:
            if logits.dim() < 1:
                raise ValueError("`logits` parameter must be at least one-dimensional.")
            self.logits = logits - logits.logsumexp(dim=-1, keepdim=True)
        self._num_events = self._param.size()[-1]
        super().__init__(self._param.size()[:-1], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self._num_events - 1)

    def _nan(self) -> Tensor:
        return ops.full(self._batch_shape, math.nan, dtype=self.probs.dtype, device=self.probs.device)

    @property
    def mean(self) -> Tensor:
        """nan: categories are no numbers."""
        return self._nan()

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(dim=-1)

    @property
    def variance(self) -> Tensor:
        """nan: categories are no numbers."""
        return self._nan()

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        rows = self.probs.detach().reshape(-1, self._num_events)
        return ops.multinomial(rows, Size(sample_shape).numel(), True).T.reshape(shape)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        value, logits = ops.broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        finite = ops.clamp(self.logits, min=finfo(self.logits.dtype).min)
        return -(finite * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._enumerated(ops.arange(self._num_events, dtype=int64, device=self._param.device), expand)


class OfCategories(Distribution):
    """Vectors over the categories of a Categorical distribution, whose parameters they have."""

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = SIMPLEX
    _categorical: Categorical
    _inner: ClassVar[tuple[str, ...]] = ("_categorical",)

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._categorical._new(*args, **kwargs)

    @property
    def _param(self) -> Tensor:
        return self._categorical._param

    @property
    def probs(self) -> Tensor:
        """The probabilities of the categories."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """The logarithms of the probabilities."""
        return self._categorical.logits

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter."""
        return self._categorical.param_shape


class OneHotCategorical(OfCategories):
    """A vector of K zeros but for a one at the place of the category: p(x) = probs[k] where x[k] is 1.

    >>> import pullback as torch
    >>> torch.distributions.OneHotCategorical(torch.tensor([0.0, 1.0])).sample()
    tensor([0., 1.])
    """

    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        self._categorical = Categorical(probs, logits)
        shape = self.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return self._hot(self.probs.argmax(dim=-1))

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def _hot(self, places: Tensor) -> Tensor:
        return ops.one_hot(places, self._categorical._num_events).to(self.probs)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        return self._hot(self._categorical.sample(sample_shape))

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        return self._categorical.log_prob(value.max(-1)[1])

    def entropy(self) -> Tensor:
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        eye = ops.eye(self.event_shape[0], dtype=self._param.dtype, device=self._param.device)
        return self._enumerated(eye, expand)


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """OneHotCategorical whose samples pass gradients on to the probabilities as if they were these.

    See Y. Bengio, N. Leonard and A. Courville (2013).

    >>> import pullback as torch
    >>> p = torch.tensor([0.5, 0.5], requires_grad=True)
    >>> torch.distributions.OneHotCategoricalStraightThrough(p).rsample().requires_grad
    True
    """

    has_rsample = True

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        probs = self._categorical.probs
        return self.sample(sample_shape) + (probs - probs.detach())


class Multinomial(OfCategories):
    """How often each category comes in n draws: n! times the product of p[k]**x[k] / x[k]!.

    >>> import pullback as torch
    >>> torch.distributions.Multinomial(10, torch.tensor([0.0, 1.0])).sample()
    tensor([ 0., 10.])
    """

    _inner = ("_categorical", "_binomial")
    _kept = ("total_count",)
    total_count: int

    def __init__(
        self,
        total_count: int = 1,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs, logits)
        self._binomial = Binomial(total_count, probs=self.probs)
        shape = self.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        draws = self._categorical.sample((self.total_count, *sample_shape)).movedim(0, -1)
        counts = self.probs.detach().new_zeros(self._extended_shape(sample_shape))
        return counts.scatter_add_(-1, draws, ops.ones_like(draws, dtype=counts.dtype))

    def entropy(self) -> Tensor:
        n = ops.full((), float(self.total_count), dtype=self.probs.dtype, device=self.probs.device)
        some = self._binomial.enumerate_support(expand=False)[1:]
        weighted = ops.exp(self._binomial.log_prob(some)) * ops.lgamma(some + 1)
        return n * self._categorical.entropy() - ops.lgamma(n + 1) + weighted.sum([0, -1])

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        logits, value = broadcast_all(self.logits, value)
        powers = ops.where((value == 0) & (logits == -math.inf), 0.0, logits) * value
        ways = ops.lgamma(value.sum(-1) + 1) - ops.lgamma(value + 1).sum(-1)
        return ways + powers.sum(-1)
