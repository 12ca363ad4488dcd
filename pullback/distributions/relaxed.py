"""Continuous relaxations of choices, with gradients: C. J. Maddison, A. Mnih and Y. W. Teh (2017)."""

from __future__ import annotations

from typing import Any, ClassVar

from pullback import ops
from pullback.core._engine import Tensor
from pullback.distributions import constraints
from pullback.distributions.binary import Odds
from pullback.distributions.categories import Categorical, OfCategories
from pullback.distributions.composed import TransformedDistribution
from pullback.distributions.distribution import Shape, checked
from pullback.distributions.transforms import ExpTransform, SigmoidTransform
from pullback.distributions.utils import broadcast_all, clamp_probs


class LogitRelaxedBernoulli(Odds):
    """The logit of a relaxed Bernoulli variable: (logits + l) / temperature, l logistic.

    >>> import pullback as torch
    >>> from pullback.distributions.relaxed_bernoulli import LogitRelaxedBernoulli
    >>> LogitRelaxedBernoulli(torch.tensor(1.0), probs=0.5).log_prob(torch.tensor(0.0)).exp()
    tensor(0.2500)
    """

    support = constraints.real
    has_rsample = True
    _kept = ("temperature",)

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self.temperature = temperature
        self._set_odds(probs, logits)
        super().__init__(self._param.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        p = clamp_probs(self.probs.expand(shape))
        u = clamp_probs(ops.rand(shape, dtype=p.dtype, device=p.device))
        return (u.log() - (-u).log1p() + p.log() - (-p).log1p()) / self.temperature

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        logits, value = broadcast_all(self.logits, value)
        difference = logits - value.mul(self.temperature)
        return self.temperature.log() + ops.logsigmoid(difference) + ops.logsigmoid(-difference)


class _Relaxed(TransformedDistribution):
    """A variable of the whole line, or of logarithms, brought to where choices are: it has its parameters."""

    has_rsample = True
    base_dist: Any

    @property
    def temperature(self) -> Tensor:
        """How far from a choice the samples are."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """The base's: log(p / (1 - p)), or the logarithms of the probabilities."""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        return self.base_dist.probs


class RelaxedBernoulli(_Relaxed):
    """A number in (0, 1) near 0 or 1 at a low temperature: sigmoid((logits + l) / temperature), l logistic.

    >>> import pullback as torch
    >>> d = torch.distributions.RelaxedBernoulli(torch.tensor(1.0), probs=torch.tensor(0.5))
    >>> d.log_prob(torch.tensor(0.5))
    tensor(0.)
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = Odds.arg_constraints
    support = constraints.unit_interval

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)


class ExpRelaxedCategorical(OfCategories):
    """The logarithm of a relaxed one-hot vector: log_softmax((logits + g) / temperature), g Gumbel.

    >>> import pullback as torch
    >>> from pullback.distributions.relaxed_categorical import ExpRelaxedCategorical
    >>> ExpRelaxedCategorical(torch.tensor(1.0), probs=torch.ones(3)).rsample().shape
    torch.Size([3])
    """

    support = constraints.real_vector
    has_rsample = True
    _kept = ("temperature",)

    def __init__(
        self,
        temperature: Tensor,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits)
        self.temperature = temperature
        shape = self.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        u = clamp_probs(ops.rand(shape, dtype=self.logits.dtype, device=self.logits.device))
        scores = (self.logits - (-(u.log())).log()) / self.temperature
        return scores - scores.logsumexp(dim=-1, keepdim=True)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        count = self._categorical._num_events
        logits, value = broadcast_all(self.logits, value)
        scale = ops.full_like(self.temperature, float(count)).lgamma() + self.temperature.log() * (count - 1)
        score = logits - value.mul(self.temperature)
        return (score - score.logsumexp(dim=-1, keepdim=True)).sum(-1) + scale


class RelaxedOneHotCategorical(_Relaxed):
    """A point of the simplex: softmax((logits + g) / temperature), g Gumbel; near a corner when cold.

    >>> import pullback as torch
    >>> d = torch.distributions.RelaxedOneHotCategorical(torch.tensor(1.0), probs=torch.ones(3))
    >>> bool((d.rsample() > 0).all())
    True
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = OfCategories.arg_constraints
    support = constraints.simplex

    def __init__(
        self,
        temperature: Tensor,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)
