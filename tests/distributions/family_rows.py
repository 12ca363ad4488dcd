"""A row for each family of distributions: how one is made, as a Python expression.

`r(3)` is a leaf of real numbers, `p(3)` one of positive ones, `u(3)` one of numbers between 0 and 1; all
require a gradient and are float64, unless another dtype is asked for. `spd(2)` is a positive definite matrix,
`tril(2)` a Cholesky factor.
"""

import re

ROWS = """
Bernoulli(u(3))
Bernoulli(logits=r(2, 3))
Bernoulli(torch.tensor([0.0, 0.5, 1.0]))
Beta(p(3), p(3))
Beta(p(2, 1), 0.4)
Binomial(4, u(3))
Binomial(torch.tensor([3.0, 3.0]), logits=r(2))
Categorical(u(4))
Categorical(logits=r(2, 3))
Cauchy(r(3), p(3))
Chi2(p(3))
ContinuousBernoulli(u(3))
ContinuousBernoulli(logits=r(3))
ContinuousBernoulli(torch.tensor([0.4995, 0.5, 0.5005, 0.1]))
Dirichlet(p(3))
Dirichlet(p(2, 4))
Dirichlet(torch.tensor([[0.5, 0.25, 0.2], [1.0, 3.0, 0.5]]))
Exponential(p(3))
FisherSnedecor(p(3), p(3) + 5)
FisherSnedecor(3.0, 1.5)
Gamma(p(3), p(3))
Gamma(torch.tensor([0.01, 0.5, 1.0, 30.0, 1e4]), 2.0)
GeneralizedPareto(r(3), p(3), 0.2)
GeneralizedPareto(0.5, p(3), torch.tensor([-0.5, 0.0, 1.5]))
Geometric(u(3))
Geometric(logits=r(3))
Gumbel(r(3), p(3))
Gumbel(0.0, 1.5)
HalfCauchy(p(3))
HalfNormal(p(3))
Independent(Normal(r(2, 3), p(3)), 1)
Independent(Beta(p(2, 3), p(3) + 1), 2)
InverseGamma(p(3) + 2, p(3))
Kumaraswamy(p(3) + 1, p(3) + 1)
Laplace(r(3), p(3))
LKJCholesky(2, p(2))
LKJCholesky(4, 1.5)
LogNormal(r(3), p(3))
LogisticNormal(r(2, 3), p(3))
LogisticNormal(0.5, 1.0)
LowRankMultivariateNormal(r(3), r(3, 2), p(3))
LowRankMultivariateNormal(r(2, 3), r(3, 1), p(2, 3))
MixtureSameFamily(Categorical(u(3)), Normal(r(3), p(3)))
MixtureSameFamily(Categorical(u(2, 3)), Independent(Normal(r(2, 3, 2), p(2)), 1))
MixtureSameFamily(Categorical(logits=r(2, 2)), MultivariateNormal(r(2, 2, 3), scale_tril=tril(3)))
Multinomial(3, u(4))
Multinomial(2, logits=r(2, 3))
MultivariateNormal(r(3), spd(3))
MultivariateNormal(r(2, 3), precision_matrix=spd(3))
MultivariateNormal(r(3), scale_tril=tril(3))
NegativeBinomial(p(3), u(3))
NegativeBinomial(3, logits=-p(3))
Normal(r(3), p(3))
Normal(r(2, 1), p(3))
Normal(0.0, 2.0)
OneHotCategorical(u(4))
OneHotCategorical(logits=r(2, 3))
OneHotCategoricalStraightThrough(u(4))
Pareto(p(3), p(3) + 2)
Pareto(p(3), torch.tensor([0.5, 1.5, 2.5]))
Poisson(p(3))
RelaxedBernoulli(p(), u(3))
RelaxedBernoulli(torch.tensor(0.3), logits=r(3))
RelaxedOneHotCategorical(p(), u(4))
RelaxedOneHotCategorical(torch.tensor(0.7), logits=r(2, 3))
StudentT(p(3) + 2, r(3), p(3))
StudentT(torch.tensor([0.5, 1.5, 2.5]))
TransformedDistribution(Normal(r(3), p(3)), [SigmoidTransform(), AffineTransform(1.0, -2.0)])
TransformedDistribution(Normal(r(2, 3), 1.0), [StickBreakingTransform()])
TransformedDistribution(Uniform(0.1, u(3) + 1), AffineTransform(r(2, 1), p(3)))
TransformedDistribution(Normal(r(4), p(4)), ReshapeTransform((4,), (2, 2)))
Uniform(r(3), r(3) + 9)
VonMises(r(3), p(3))
VonMises(r(3), torch.tensor([1e-4, 1.0, 100.0]))
Weibull(p(3), p(3) + 1)
Wishart(p() + 3, spd(2))
Wishart(torch.tensor([4.0, 5.0]), scale_tril=tril(3))
Wishart(torch.tensor(3.5), precision_matrix=spd(2))
"""

FAMILIES = [line for line in ROWS.splitlines() if line]


def name_of(row):
    return row.partition("(")[0]


def make(torch, row, dtype="float64", **options):
    """The distribution of a row, and the leaves that it is made of."""
    leaves, number = [], getattr(torch, dtype)
    source = torch.Generator().manual_seed(len(row))

    def leaf(value):
        leaves.append(value.to(number).requires_grad_())
        return leaves[-1]

    def draw(*shape):
        return torch.rand(shape, generator=source, dtype=torch.float64)

    def spd(n):
        a = draw(n, n)
        return leaf(a @ a.T + torch.eye(n))

    names = {
        **{name: getattr(torch.distributions, name) for name in torch.distributions.__all__},
        "torch": torch,
        "r": lambda *shape: leaf(draw(*shape) * 3 - 1.5),
        "p": lambda *shape: leaf(draw(*shape) * 2 + 0.3),
        "u": lambda *shape: leaf(draw(*shape) * 0.8 + 0.1),
        "spd": spd,
        "tril": lambda n: leaf(draw(n, n).tril() + torch.eye(n)),
        "options": options,
    }
    text = re.sub(r"\)$", ", **options)", row)
    before = torch.get_default_dtype()
    torch.set_default_dtype(number)
    try:
        return eval(text, names), leaves
    finally:
        torch.set_default_dtype(before)
