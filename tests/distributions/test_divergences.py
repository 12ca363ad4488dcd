"""Divergences: by quadrature and sums, beside PyTorch for every pair, and how they are found."""

import itertools

import numpy as np
import pytest
from family_rows import FAMILIES, make, name_of
from library import pullback_only, torch
from scipy import integrate

D = torch.distributions
pytestmark = pytest.mark.usefixtures("doubles")

PAIRS = {
    "Normal": ["Normal(0.5, 2.0)", "Normal(-1.0, 0.7)"],
    "Laplace": ["Laplace(0.5, 2.0)", "Laplace(-1.0, 0.7)"],
    "Cauchy": ["Cauchy(0.5, 2.0)", "Cauchy(-1.0, 0.7)"],
    "Gumbel": ["Gumbel(0.5, 2.0)", "Gumbel(-1.0, 1.7)"],
    "Gamma": ["Gamma(1.5, 2.0)", "Gamma(3.0, 0.7)"],
    "Exponential": ["Exponential(0.5)", "Exponential(2.0)"],
    "HalfNormal": ["HalfNormal(0.5)", "HalfNormal(2.0)"],
    "Beta": ["Beta(1.5, 2.0)", "Beta(3.0, 0.7)"],
    "ContinuousBernoulli": ["ContinuousBernoulli(t(0.3))", "ContinuousBernoulli(t(0.8))"],
    "Pareto": ["Pareto(1.5, 4.0)", "Pareto(1.2, 3.0)"],
    "Uniform": ["Uniform(0.25, 0.75)", "Uniform(0.1, 0.9)"],
}
CROSSED = [
    *itertools.product(("Beta", "ContinuousBernoulli"), ("Exponential", "Normal", "Uniform")),
    *itertools.product(("Exponential", "Gamma"), ("Gumbel", "Normal")),
    *itertools.product(("Gumbel", "Laplace", "Pareto"), ("Normal",)),
    *itertools.product(
        ("Uniform",), ("Beta", "ContinuousBernoulli", "Exponential", "Gamma", "Gumbel", "Normal")
    ),
    *[("Beta", "ContinuousBernoulli"), ("Beta", "Gamma"), ("Exponential", "Gamma"), ("Gamma", "Exponential")],
    *[("Normal", "Gumbel"), ("Normal", "Laplace"), ("Pareto", "Exponential"), ("Pareto", "Gamma")],
]
INFINITE = [
    *itertools.product(("Beta", "ContinuousBernoulli"), ("Pareto",)),
    *itertools.product(("Exponential", "Gamma"), ("Beta", "ContinuousBernoulli", "Pareto", "Uniform")),
    *itertools.product(
        ("Gumbel", "Laplace", "Normal"),
        ("Beta", "ContinuousBernoulli", "Exponential", "Gamma", "Pareto", "Uniform"),
    ),
    *itertools.product(("Pareto",), ("Beta", "ContinuousBernoulli", "Uniform")),
]
ENDS = {"Normal": (-12, 12), "Laplace": (-60, 60), "Cauchy": (-np.inf, np.inf), "Gumbel": (-12, 70)}


def made(text):
    return eval(text, {**vars(D), "t": torch.tensor})


@pytest.mark.parametrize(("p_name", "q_name"), [*((n, n) for n in PAIRS), *CROSSED])
def test_continuous(p_name, q_name):
    p = made(PAIRS[p_name][0])
    q = made("Uniform(-0.5, 1.5)" if q_name == "Uniform" and p_name != "Uniform" else PAIRS[q_name][1])
    support = p.support
    low, high = (float(getattr(support, f"{side}_bound", np.inf)) for side in ("lower", "upper"))
    if p_name in ENDS:
        low, high = ENDS[p_name]

    def integrand(x):
        at = torch.tensor(x)
        log_p = p.log_prob(at)
        return (log_p.exp() * (log_p - q.log_prob(at))).item()

    wanted = integrate.quad(integrand, low, high, epsabs=1e-11, limit=300)[0]
    assert abs(D.kl_divergence(p, q).item() - wanted) < 1e-6 * max(1, abs(wanted))


@pytest.mark.parametrize(("p_name", "q_name"), INFINITE)
def test_values_that_the_other_forbids(p_name, q_name):
    assert D.kl_divergence(made(PAIRS[p_name][0]), made(PAIRS[q_name][1])).item() == np.inf


@pytest.mark.parametrize(
    ("p", "q"),
    [
        ("Uniform(-0.5, 0.5)", "Beta(1.5, 2.0)"),
        ("Uniform(-0.5, 0.5)", "Exponential(1.0)"),
        ("Uniform(0.0, 2.0)", "Uniform(0.5, 3.0)"),
        ("Uniform(0.5, 2.0)", "Pareto(1.0, 2.0)"),
        ("Beta(1.5, 2.0)", "Uniform(0.1, 2.0)"),
        ("Pareto(1.0, 2.0)", "Pareto(1.5, 2.0)"),
        ("Pareto(1.0, 0.9)", "Exponential(1.0)"),
        ("Pareto(1.0, 1.9)", "Normal(0.0, 1.0)"),
        ("Bernoulli(t(0.5))", "Bernoulli(t(0.0))"),
        ("Categorical(t([0.5, 0.5]))", "Categorical(t([0.0, 1.0]))"),
        ("Binomial(3, t(0.5))", "Binomial(2, t(0.5))"),
        ("Poisson(t(1.0))", "Bernoulli(t(0.5))"),
        ("Poisson(t(1.0))", "Binomial(2, t(0.5))"),
    ],
)
def test_infinite(p, q):
    assert D.kl_divergence(made(p), made(q)).item() == np.inf


@pytest.mark.parametrize(
    ("p", "q", "count"),
    [
        ("Bernoulli(t(0.3))", "Bernoulli(t(0.6))", 2),
        ("Binomial(5, t(0.3))", "Binomial(5, t(0.6))", 6),
        ("Categorical(t([0.2, 0.5, 0.3]))", "Categorical(t([0.6, 0.1, 0.3]))", 3),
        ("Geometric(t(0.3))", "Geometric(t(0.6))", 200),
        ("Poisson(t(2.5))", "Poisson(t(1.5))", 60),
        ("Bernoulli(t(0.3))", "Poisson(t(0.6))", 2),
    ],
)
def test_discrete(p, q, count):
    p, q = made(p), made(q)
    k = torch.arange(float(count))
    wanted = (p.log_prob(k).exp() * (p.log_prob(k) - q.log_prob(k))).sum()
    assert abs((D.kl_divergence(p, q) - wanted).item()) < 1e-9


def test_zero_probabilities_count_for_nothing():
    p = D.Categorical(torch.tensor([0.0, 1.0]))
    assert D.kl_divergence(p, D.Categorical(torch.tensor([0.5, 0.5]))).item() == pytest.approx(np.log(2))
    assert D.kl_divergence(p, p).item() == 0
    sure = D.Bernoulli(torch.tensor([0.0, 1.0]))
    assert D.kl_divergence(sure, sure).tolist() == [0, 0]


def test_vectors():
    """All four pairs of full and low-rank normal vectors by the formula for matrices."""
    rng = np.random.default_rng(0)
    W, d = rng.normal(size=(2, 3, 2)), rng.uniform(0.5, 2, (2, 3))
    means = rng.normal(size=(2, 3))
    S = W @ np.swapaxes(W, -1, -2) + np.stack([np.diag(x) for x in d])
    full = [D.MultivariateNormal(torch.tensor(means[k]), torch.tensor(S[k])) for k in (0, 1)]
    low = [D.LowRankMultivariateNormal(*map(torch.tensor, (means[k], W[k], d[k]))) for k in (0, 1)]
    difference, inverse = means[1] - means[0], np.linalg.inv(S[1])
    wanted = np.trace(inverse @ S[0]) + difference @ inverse @ difference - 3
    wanted = 0.5 * (wanted + np.linalg.slogdet(S[1])[1] - np.linalg.slogdet(S[0])[1])
    for p, q in itertools.product((full[0], low[0]), (full[1], low[1])):
        assert D.kl_divergence(p, q).item() == pytest.approx(wanted, rel=1e-9)
    batch = full[0].expand((4,))
    assert D.kl_divergence(batch, low[1]).shape == (4,)
    for kinds, p, q in (
        ("Multivariate Normals", full[0], D.MultivariateNormal(torch.zeros(2), torch.eye(2))),
        ("(Low Rank) Multivariate Normals", low[0], D.MultivariateNormal(torch.zeros(2), torch.eye(2))),
    ):
        with pytest.raises(ValueError) as caught:
            D.kl_divergence(p, q)
        assert str(caught.value) == (
            f"KL-divergence between two {kinds} with{'':26}different event shapes cannot be computed"
        )


def test_made_of_others():
    normal = D.Normal(torch.zeros(2, 3), 1.0), D.Normal(torch.ones(2, 3), 1.0)
    p, q = (D.Independent(d, 1) for d in normal)
    assert D.kl_divergence(p, q).tolist() == [1.5, 1.5]
    exp = [D.ExpTransform()]
    p, q = (D.TransformedDistribution(d, exp) for d in normal)
    np.testing.assert_allclose(D.kl_divergence(p, q).numpy(), 0.5)
    with pytest.raises(NotImplementedError):
        D.kl_divergence(p, D.TransformedDistribution(normal[1], [D.SigmoidTransform()]))
    with pytest.raises(NotImplementedError):
        D.kl_divergence(D.Independent(normal[0], 1), D.Independent(normal[1], 2))
    c = torch.tensor([0.5, 2.0])
    found = D.kl_divergence(D.Dirichlet(c), D.Dirichlet(c.flip(0)))
    same = D.kl_divergence(D.Beta(c[0], c[1]), D.Beta(c[1], c[0]))
    assert found.item() == pytest.approx(same.item())


def test_exponential_families_go_by_their_normaliser():
    """The entry for all exponential families gives what the entries for single ones give."""
    rule = D.kl._KL_REGISTRY[D.ExponentialFamily, D.ExponentialFamily]
    names = ["Bernoulli(t(0.3))", "Bernoulli(t(0.6))", "Poisson(t(2.0))", "Poisson(t(0.5))"]
    names += [*PAIRS["Beta"], *PAIRS["Gamma"], *PAIRS["Normal"], *PAIRS["Exponential"]]
    for p, q in zip(names[::2], names[1::2], strict=True):
        p, q = made(p), made(q)
        assert rule(p, q).item() == pytest.approx(D.kl_divergence(p, q).item(), rel=1e-9)
    p, q = (D.Dirichlet(torch.tensor(c)) for c in ([0.5, 2.0], [1.0, 3.0]))
    assert rule(p, q).item() == pytest.approx(D.kl_divergence(p, q).item())
    with pytest.raises(
        NotImplementedError, match="cross KL-divergence between different exponential families"
    ):
        rule(made("Normal(0.0, 1.0)"), made("Exponential(1.0)"))


def test_wishart_by_its_normaliser():
    p = D.Wishart(torch.tensor(4.0), torch.eye(2))
    assert abs(D.kl_divergence(p, p).item()) < 1e-9
    assert D.kl_divergence(p, D.Wishart(torch.tensor(5.0), torch.eye(2))).item() > 0


def test_registering():
    class Mine(D.Normal):
        pass

    class Yours(D.Normal):
        pass

    p, q = Mine(0.0, 1.0), Yours(0.0, 1.0)
    assert D.kl_divergence(p, q).item() == 0  # that of their base
    try:
        D.register_kl(Mine, D.Normal)(lambda p, q: "left")
        assert D.kl_divergence(p, q) == "left"
        D.register_kl(D.Normal, Yours)(lambda p, q: "right")
        with pytest.warns(RuntimeWarning, match=r"Ambiguous kl_divergence\(Mine, Yours\)"):
            assert D.kl_divergence(p, q) == "left"
        D.register_kl(Mine, Yours)(lambda p, q: "both")
        assert D.kl_divergence(p, q) == "both"
    finally:
        for pair in [pair for pair in D.kl._KL_REGISTRY if {Mine, Yours} & set(pair)]:
            del D.kl._KL_REGISTRY[pair]
        D.kl._KL_MEMOIZE.clear()
    with pytest.raises(NotImplementedError) as caught:
        D.kl_divergence(p, D.StudentT(torch.tensor(3.0)))
    assert str(caught.value) == "No KL(p || q) is implemented for p type Mine and q type StudentT"


def test_any_class_may_be_registered():
    """In other packages families have bases that are no distributions."""

    class Base:
        pass

    class Mine(D.Distribution, Base):
        arg_constraints = {}  # noqa: RUF012

    try:
        D.register_kl(D.Normal, Base)(lambda p, q: "base")
        assert D.kl_divergence(D.Normal(0.0, 1.0), Mine()) == "base"
    finally:
        del D.kl._KL_REGISTRY[D.Normal, Base]
        D.kl._KL_MEMOIZE.clear()
    with pytest.raises(TypeError):
        D.register_kl(3, D.Normal)(lambda p, q: None)


@pullback_only("compares Pullback with PyTorch")
def test_every_pair_beside_torch():
    theirs = pytest.importorskip("torch")
    registry = {tuple(kind.__name__ for kind in pair) for pair in D.kl._KL_REGISTRY}
    assert registry == {tuple(k.__name__ for k in pair) for pair in theirs.distributions.kl._KL_REGISTRY}
    rows = {}
    for row in FAMILIES:
        rows.setdefault(name_of(row), row)
    made_of = {(lib, row): make(lib, row)[0] for row in rows.values() for lib in (torch, theirs)}
    compared = 0
    for p_row, q_row in itertools.product(rows.values(), repeat=2):
        results = []
        for lib in (torch, theirs):
            p, q = made_of[lib, p_row], made_of[lib, q_row]
            try:
                results.append(lib.distributions.kl_divergence(p, q))
            except (NotImplementedError, ValueError, RuntimeError) as error:
                results.append(type(error).__name__)
        ours, other = results
        assert isinstance(ours, str) == isinstance(other, str), (p_row, q_row, ours, other)
        if not isinstance(ours, str):
            compared += 1
            np.testing.assert_allclose(
                ours.detach().numpy(),
                other.detach().numpy(),
                rtol=1e-7,
                atol=1e-9,
                err_msg=f"{p_row} {q_row}",
            )
    assert compared > 60
