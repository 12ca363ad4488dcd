"""Probability distributions, as `torch.distributions`.

Families stand in files by kind. PyTorch has a module for each one: `torch.distributions.normal` and its kin
are other names of the files here (`face/homes.py`).
"""

from pullback.distributions import constraints as constraints
from pullback.distributions import utils as utils
from pullback.distributions.angles import VonMises
from pullback.distributions.binary import Bernoulli, ContinuousBernoulli
from pullback.distributions.categories import (
    Categorical,
    Multinomial,
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
)
from pullback.distributions.composed import Independent, MixtureSameFamily, TransformedDistribution
from pullback.distributions.constraint_registry import biject_to, transform_to
from pullback.distributions.counts import Binomial, Geometric, NegativeBinomial, Poisson
from pullback.distributions.distribution import Distribution
from pullback.distributions.exp_family import ExponentialFamily
from pullback.distributions.gamma_family import (
    Beta,
    Chi2,
    Dirichlet,
    Exponential,
    FisherSnedecor,
    Gamma,
    StudentT,
)
from pullback.distributions.images import (
    Gumbel,
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    Kumaraswamy,
    LogisticNormal,
    LogNormal,
    Pareto,
    Weibull,
)
from pullback.distributions.kl import kl_divergence, register_kl
from pullback.distributions.location_scale import Cauchy, Laplace, Normal, Uniform
from pullback.distributions.multivariate import LowRankMultivariateNormal, MultivariateNormal
from pullback.distributions.random_matrices import LKJCholesky, Wishart
from pullback.distributions.relaxed import RelaxedBernoulli, RelaxedOneHotCategorical
from pullback.distributions.tails import GeneralizedPareto
from pullback.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    CatTransform,
    ComposeTransform,
    CorrCholeskyTransform,
    CumulativeDistributionTransform,
    ExpTransform,
    IndependentTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
    PowerTransform,
    ReshapeTransform,
    SigmoidTransform,
    SoftmaxTransform,
    SoftplusTransform,
    StackTransform,
    StickBreakingTransform,
    TanhTransform,
    Transform,
    identity_transform,
)
from pullback.face.absent import getter
from pullback.face.homes import name_homes

__all__ = [
    "AbsTransform",
    "AffineTransform",
    "Bernoulli",
    "Beta",
    "Binomial",
    "CatTransform",
    "Categorical",
    "Cauchy",
    "Chi2",
    "ComposeTransform",
    "ContinuousBernoulli",
    "CorrCholeskyTransform",
    "CumulativeDistributionTransform",
    "Dirichlet",
    "Distribution",
    "ExpTransform",
    "Exponential",
    "ExponentialFamily",
    "FisherSnedecor",
    "Gamma",
    "GeneralizedPareto",
    "Geometric",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "Independent",
    "IndependentTransform",
    "InverseGamma",
    "Kumaraswamy",
    "LKJCholesky",
    "Laplace",
    "LogNormal",
    "LogisticNormal",
    "LowRankMultivariateNormal",
    "LowerCholeskyTransform",
    "MixtureSameFamily",
    "Multinomial",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "OneHotCategorical",
    "OneHotCategoricalStraightThrough",
    "Pareto",
    "Poisson",
    "PositiveDefiniteTransform",
    "PowerTransform",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "ReshapeTransform",
    "SigmoidTransform",
    "SoftmaxTransform",
    "SoftplusTransform",
    "StackTransform",
    "StickBreakingTransform",
    "StudentT",
    "TanhTransform",
    "Transform",
    "TransformedDistribution",
    "Uniform",
    "VonMises",
    "Weibull",
    "Wishart",
    "biject_to",
    "identity_transform",
    "kl_divergence",
    "register_kl",
    "transform_to",
]

name_homes(__name__)
__getattr__ = getter(__name__)
