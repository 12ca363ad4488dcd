"""Arguments and values: what is refused and how, what is printed, shapes, copies, vmap, paths of modules."""

import copy
import importlib
import inspect
import pickle

import numpy as np
import pytest
from family_rows import FAMILIES, make, name_of
from library import NAME, pullback_only, run_python, torch

D = torch.distributions
C = D.constraints
t = torch.tensor

BOTH = "Either `probs` or `logits` must be specified, but not both."
ODDS = ["Bernoulli", "Binomial", "Categorical", "ContinuousBernoulli", "Geometric", "Multinomial"]
ODDS += ["OneHotCategorical", "OneHotCategoricalStraightThrough"]
MATRICES = "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
OUTSIDE = (
    "Expected value argument (Tensor of shape {}) to be within the support ({}) of the distribution {}, but "
    "found invalid values:\n{}"
)
PARAMETER = (
    "Expected parameter {} (Tensor of shape {}) of distribution {} to satisfy the constraint {}, but found "
    "invalid values:\n{}"
)
POSITIVE = "GreaterThan(lower_bound=0.0)"

REFUSED = [
    *((f"{name}()", ValueError, BOTH) for name in ODDS),
    *((f"{name}(probs=t([0.5]), logits=t([0.5]))", ValueError, BOTH) for name in ODDS),
    ("NegativeBinomial(3)", ValueError, BOTH),
    ("RelaxedBernoulli(t(1.0))", ValueError, BOTH),
    ("RelaxedOneHotCategorical(t(1.0))", ValueError, BOTH),
    *(
        (f"{name}({form}=t(0.5))", ValueError, f"`{form}` parameter must be at least one-dimensional.")
        for name in ("Categorical", "Multinomial", "OneHotCategorical")
        for form in ("probs", "logits")
    ),
    ("Dirichlet(t(1.0))", ValueError, "`concentration` parameter must be at least one-dimensional."),
    (
        "Normal(0.0, -1.0)",
        ValueError,
        PARAMETER.format("scale", "()", "Normal(loc: 0.0, scale: -1.0)", POSITIVE, "-1.0"),
    ),
    (
        "Normal(t([0.0, float('nan')]), 1.0)",
        ValueError,
        PARAMETER.format(
            "loc",
            "(2,)",
            "Normal(loc: torch.Size([2]), scale: torch.Size([2]))",
            "Real()",
            "tensor([0., nan])",
        ),
    ),
    (
        "Bernoulli(2.0)",
        ValueError,
        PARAMETER.format(
            "probs", "()", "Bernoulli(probs: 2.0)", "Interval(lower_bound=0.0, upper_bound=1.0)", "2.0"
        ),
    ),
    (
        "Uniform(1.0, 0.0)",
        ValueError,
        PARAMETER.format("low", "()", "Uniform(low: 1.0, high: 0.0)", "LessThan(upper_bound=0.0)", "1.0"),
    ),
    (
        "Geometric(t([0.5, 0.0]))",
        ValueError,
        "Expected parameter probs (Tensor of shape (2,)) of distribution Geometric(probs: torch.Size([2])) "
        "to be positive but found invalid values:\ntensor([0.])",
    ),
    (
        "Normal('a', 1.0)",
        ValueError,
        "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
        "__torch_function__.",
    ),
    ("Multinomial(t(1), t([1.0]))", NotImplementedError, "inhomogeneous total_count is not supported"),
    ("LKJCholesky(1)", ValueError, "Expected dim to be an integer greater than or equal to 2. Found dim=1."),
    ("MultivariateNormal(torch.zeros(2))", ValueError, MATRICES),
    ("MultivariateNormal(torch.zeros(2), torch.eye(2), torch.eye(2))", ValueError, MATRICES),
    ("MultivariateNormal(t(0.0), torch.eye(2))", ValueError, "loc must be at least one-dimensional."),
    (
        "MultivariateNormal(torch.zeros(2), torch.zeros(2))",
        ValueError,
        "covariance_matrix must be at least two-dimensional, with optional leading batch dimensions",
    ),
    (
        "MultivariateNormal(torch.zeros(2), scale_tril=torch.zeros(2))",
        ValueError,
        "scale_tril matrix must be at least two-dimensional, with optional leading batch dimensions",
    ),
    (
        "LowRankMultivariateNormal(torch.zeros(2), torch.ones(3, 1), torch.ones(2))",
        ValueError,
        "cov_factor must be a batch of matrices with shape 2 x m",
    ),
    (
        "LowRankMultivariateNormal(torch.zeros(2), torch.ones(2, 1), torch.ones(3))",
        ValueError,
        "cov_diag must be a batch of vectors with shape torch.Size([2])",
    ),
    (
        "LowRankMultivariateNormal(torch.zeros(4, 2), torch.ones(3, 2, 1), torch.ones(2))",
        ValueError,
        "Incompatible batch shapes: loc torch.Size([4, 2]), cov_factor torch.Size([3, 2, 1]), cov_diag "
        "torch.Size([2])",
    ),
    ("Wishart(2.0)", AssertionError, MATRICES),
    ("Wishart(1.5, torch.eye(3))", ValueError, "Value of df=1.5 expected to be greater than ndim - 1 = 2."),
    (
        "Independent(Normal(0.0, 1.0), 1)",
        ValueError,
        "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual 1 vs 0",
    ),
    (
        "MixtureSameFamily(Normal(0.0, 1.0), Normal(0.0, 1.0))",
        ValueError,
        " The Mixture distribution needs to be an  instance of torch.distributions.Categorical",
    ),
    (
        "MixtureSameFamily(Categorical(torch.ones(3)), 3)",
        ValueError,
        "The Component distribution needs to be an instance of torch.distributions.Distribution",
    ),
    (
        "MixtureSameFamily(Categorical(torch.ones(3)), Normal(torch.zeros(4), 1.0))",
        ValueError,
        "`mixture_distribution component` (3) does not equal `component_distribution.batch_shape[-1]` (4)",
    ),
    (
        "MixtureSameFamily(Categorical(torch.ones(2, 3)), Normal(torch.zeros(4, 3), 1.0))",
        ValueError,
        "`mixture_distribution.batch_shape` (torch.Size([2])) is not compatible with "
        "`component_distribution.batch_shape`(torch.Size([4]))",
    ),
    (
        "TransformedDistribution(Normal(0.0, 1.0), 3)",
        ValueError,
        "transforms must be a Transform or list, but was 3",
    ),
    (
        "TransformedDistribution(Normal(0.0, 1.0), [3])",
        ValueError,
        "transforms must be a Transform or a list of Transforms",
    ),
    (
        "TransformedDistribution(Normal(0.0, 1.0), StickBreakingTransform())",
        ValueError,
        "base_distribution needs to have shape with size at least 1, but got torch.Size([]).",
    ),
    ("Normal(0.0, 1.0).log_prob(0.3)", ValueError, "The value argument to log_prob must be a Tensor"),
    (
        "Normal(torch.zeros(3), 1.0).log_prob(torch.zeros(2))",
        ValueError,
        "Value is not broadcastable with batch_shape+event_shape: torch.Size([2]) vs torch.Size([3]).",
    ),
    (
        "Dirichlet(torch.ones(2)).log_prob(torch.zeros(3))",
        ValueError,
        "The right-most size of value must match event_shape: torch.Size([3]) vs torch.Size([2]).",
    ),
    (
        "Exponential(1.0).log_prob(t(-1.0))",
        ValueError,
        OUTSIDE.format("()", "GreaterThanEq(lower_bound=0.0)", "Exponential(rate: 1.0)", "-1.0"),
    ),
    (
        "Categorical(t([0.25, 0.75])).log_prob(t([0.5, 1.0]))",
        ValueError,
        OUTSIDE.format(
            "(2,)",
            "IntegerInterval(lower_bound=0, upper_bound=1)",
            "Categorical(probs: torch.Size([2]))",
            "tensor([0.5000, 1.0000])",
        ),
    ),
    (
        "Binomial(t([2.0, 3.0]), t(0.5)).entropy()",
        NotImplementedError,
        "Inhomogeneous total count not supported by `entropy`.",
    ),
    (
        "Independent(Bernoulli(torch.ones(2) / 2), 1).enumerate_support()",
        NotImplementedError,
        "Enumeration over cartesian product is not implemented",
    ),
    ("ContinuousBernoulli(t(2.0), validate_args=True)", ValueError, "The parameter probs has invalid values"),
    ("Distribution.set_default_validate_args('a')", ValueError, ""),
]


@pytest.mark.parametrize(("text", "kind", "message"), REFUSED)
def test_refused(text, kind, message):
    with pytest.raises(kind) as caught:
        eval(text, {**vars(D), "torch": torch, "t": t})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Normal(0, 1)", "Normal(loc: 0.0, scale: 1.0)"),
        ("Normal(torch.zeros(2, 3), 1.0)", "Normal(loc: torch.Size([2, 3]), scale: torch.Size([2, 3]))"),
        ("Bernoulli(logits=t([0.0, 1.0]))", "Bernoulli(logits: torch.Size([2]))"),
        ("Beta(1.0, 2.0)", "Beta()"),
        ("LogNormal(0.0, 1.0)", "LogNormal()"),
        ("Pareto(1.0, 2.0)", "Pareto(alpha: 2.0, scale: 1.0)"),
        (
            "MultivariateNormal(torch.zeros(3), torch.eye(3))",
            "MultivariateNormal(loc: torch.Size([3]), covariance_matrix: torch.Size([3, 3]))",
        ),
        (
            "Independent(Normal(torch.zeros(2), 1.0), 1)",
            "Independent(Normal(loc: torch.Size([2]), scale: torch.Size([2])), 1)",
        ),
    ],
)
def test_shown(text, shown):
    assert repr(eval(text, {**vars(D), "torch": torch, "t": t})) == shown


def test_checks_are_left_out_on_request():
    assert D.Normal(0.0, -1.0, validate_args=False).scale.item() == -1
    assert D.Exponential(1.0, validate_args=False).log_prob(t(-1.0)).item() == 1
    D.Distribution.set_default_validate_args(False)
    try:
        assert D.Normal(0.0, -1.0).loc.item() == 0
    finally:
        D.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="Expected parameter scale"):
        D.Normal(0.0, -1.0)


def test_the_base_has_nothing():
    d = D.Distribution(validate_args=False)
    for name in ("mean", "variance", "stddev", "support", "arg_constraints"):
        with pytest.raises(NotImplementedError):
            getattr(d, name)
    with pytest.raises(NotImplementedError, match="does not implement mode"):
        _ = d.mode
    for name in ("sample", "rsample", "entropy", "enumerate_support", "perplexity"):
        with pytest.raises(NotImplementedError):
            getattr(d, name)()
    for name in ("log_prob", "cdf", "icdf", "expand"):
        with pytest.raises(NotImplementedError):
            getattr(d, name)(())
    with pytest.warns(UserWarning, match="does not define `arg_constraints`"):
        D.Distribution()


def test_a_family_of_ones_own():
    class Own(D.Distribution):
        arg_constraints = {"a": C.positive}  # noqa: RUF012

        def __init__(self, a, validate_args=None):
            self.a = a
            super().__init__(a.shape, validate_args=validate_args)

    assert repr(Own(torch.ones(2))) == "Own(a: torch.Size([2]))"
    with pytest.raises(ValueError, match="Expected parameter a "):
        Own(-torch.ones(2))
    with pytest.warns(UserWarning, match="does not define `support` to enable sample validation"):
        Own(torch.ones(2))._validate_sample(torch.ones(2))
    with pytest.raises(NotImplementedError):
        Own(torch.ones(2)).expand((3, 2))

    class Shifted(D.Normal):
        def __init__(self, loc):
            super().__init__(loc, 1.0)

    message = "Subclass Shifted of Normal that defines a custom __init__ method must also define a custom"
    with pytest.raises(NotImplementedError, match=message):
        Shifted(0.0).expand((2,))

    class Expandable(Shifted):
        def expand(self, batch_shape, _instance=None):
            return super().expand(batch_shape, _instance=self._get_checked_instance(Expandable, _instance))

    new = Expandable(0.0).expand((2,))
    assert type(new) is Expandable and new.loc.shape == (2,)


@pytest.mark.usefixtures("doubles")
@pytest.mark.filterwarnings("ignore:Singular sample detected")
@pytest.mark.parametrize("row", FAMILIES)
def test_shapes(row):
    d, _ = make(torch, row)
    whole = (*d.batch_shape, *d.event_shape)
    x = d.sample((2, 3))
    assert x.shape == (2, 3, *whole) and not x.requires_grad
    assert d.sample().shape == whole
    assert d.log_prob(x).shape == (2, 3, *d.batch_shape)
    assert d.support.check(x).all()
    for name in ("mean", "mode", "variance"):
        try:
            assert getattr(d, name).shape == whole
        except NotImplementedError:
            assert name_of(row) not in ("Normal", "Gamma", "Beta")
    if d.has_enumerate_support:
        values = d.enumerate_support()
        assert values.shape[1:] == whole
        np.testing.assert_allclose(d.log_prob(values).exp().sum(0).detach().numpy(), 1, rtol=1e-6)
    if d.has_rsample:
        assert d.rsample((5,)).shape == (5, *whole)


@pytest.mark.usefixtures("doubles")
@pytest.mark.filterwarnings("ignore:Singular sample detected")
@pytest.mark.parametrize("row", FAMILIES)
def test_expanded_views(row):
    d, _ = make(torch, row)
    new = d.expand((4, *d.batch_shape))
    assert type(new) is type(d) and new.batch_shape == (4, *d.batch_shape)
    x = new.sample()
    close = {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(new.log_prob(x).detach().numpy(), d.log_prob(x).detach().numpy(), **close)
    again = new.expand(new.batch_shape)
    assert again.batch_shape == new.batch_shape and again._validate_args == new._validate_args


@pytest.mark.usefixtures("doubles")
@pytest.mark.filterwarnings("ignore:Singular sample detected")
@pytest.mark.parametrize("row", FAMILIES)
def test_copies(row):
    d, _ = make(torch, row)
    if "Transformed" in row or any(isinstance(v, list) for v in vars(d).values()):
        inverses = [x for x in getattr(d, "transforms", []) if "_Inverse" in repr(x)]
        if inverses and NAME == "torch":
            pytest.skip("PyTorch's inverses cannot be pickled")
    x = d.sample()
    wanted = d.log_prob(x).tolist()
    assert pickle.loads(pickle.dumps(d)).log_prob(x).tolist() == wanted
    assert copy.copy(d).log_prob(x).tolist() == wanted


VMAPPED = [
    ("Normal", (0.5, 2.0), 0.3),
    ("Laplace", (0.5, 2.0), 0.3),
    ("Gamma", (1.5, 2.0), 0.3),
    ("Beta", (1.5, 2.0), 0.3),
    ("Exponential", (1.5,), 0.3),
    ("Poisson", (1.5,), 3.0),
    ("StudentT", (3.0, 0.5, 2.0), 0.3),
    ("Gumbel", (0.5, 2.0), 0.3),
    ("LogNormal", (0.5, 2.0), 0.3),
    ("Weibull", (1.5, 2.0), 0.3),
    ("VonMises", (0.5, 2.0), 0.3),
    ("Bernoulli", (0.3,), 1.0),
    ("HalfNormal", (1.5,), 0.3),
    ("Kumaraswamy", (1.5, 2.0), 0.3),
    ("GeneralizedPareto", (0.1, 2.0, 0.3), 0.3),
]


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize(("name", "parameters", "value"), VMAPPED, ids=lambda x: str(x))
def test_gradients_of_each_sample(name, parameters, value):
    """func.grad of log_prob in value and parameters under vmap is what autograd gives one by one."""

    def log_prob(x, *given):
        return getattr(D, name)(*given).log_prob(x)

    places = tuple(range(1 + len(parameters)))
    arguments = [t([value, value]).double(), *(t([p, p * 0.9]).double() for p in parameters)]
    found = torch.vmap(torch.func.grad(log_prob, argnums=places))(*arguments)
    for k in range(2):
        leaves = [a[k].clone().requires_grad_() for a in arguments]
        wanted = torch.autograd.grad(log_prob(*leaves), leaves, allow_unused=True)
        for f, w in zip(found, wanted, strict=True):
            assert f[k].item() == pytest.approx(0.0 if w is None else w.item(), rel=1e-9, abs=1e-12)


SAMPLED = {
    "Normal": lambda a: D.Normal(a, 1.0).rsample(),
    "Gamma": lambda a: D.Gamma(a, 1.0).rsample(),
    "Beta": lambda a: D.Beta(a, 2.0).rsample(),
    "Dirichlet": lambda a: D.Dirichlet(torch.stack([a, a + 1])).rsample()[0],
    "StudentT": lambda a: D.StudentT(a).rsample(),
    "VonMises": lambda a: D.VonMises(0.0, a).rsample(),
    "MultivariateNormal": lambda a: D.MultivariateNormal(torch.zeros(2), a * torch.eye(2)).rsample()[0],
    "Wishart": lambda a: D.Wishart(a + 3, torch.eye(2)).rsample()[0, 0],
    "LKJCholesky": lambda a: D.LKJCholesky(3, a).sample()[1, 0],
    "Categorical": lambda a: D.Categorical(torch.stack([a, a])).sample(),
    "NegativeBinomial": lambda a: D.NegativeBinomial(a, 0.3).sample(),
}


@pullback_only("PyTorch's vmap has no rule for some of them")
@pytest.mark.parametrize("name", SAMPLED)
def test_samples_of_each_sample(name):
    """Under vmap with randomness there is a sample for each; its tangent is that of reverse mode."""
    run, a = SAMPLED[name], t([1.0, 2.0, 3.0])
    assert torch.vmap(run, randomness="different")(a).shape == (3,)
    if getattr(D, name).has_rsample:
        torch.manual_seed(5)
        (slope,) = torch.autograd.grad(run(leaf := a[0].clone().requires_grad_()), leaf)
        torch.manual_seed(5)
        _, tangent = torch.func.jvp(run, (a[0],), (t(1.0),))
        assert tangent.item() == pytest.approx(slope.item(), rel=1e-5)
        assert torch.vmap(torch.func.grad(run), randomness="different")(a).isfinite().all()


def test_checks_ask_all_samples_at_once():
    values = t([1.0, -1.0])
    assert torch._is_any_true(values > 0) and not torch._is_all_true(values > 0)
    run = torch.vmap(lambda scale: D.Normal(0.0, scale).scale)
    assert run(values.abs()).tolist() == [1, 1]
    with pytest.raises((ValueError, RuntimeError)):
        run(values)
    with pytest.raises(RuntimeError):
        torch._is_all_true(values)


def test_densities_have_second_derivatives():
    x = t([0.3, 0.6], dtype=torch.float64, requires_grad=True)
    a = t([1.5, 2.5], dtype=torch.float64, requires_grad=True)
    for name in ("Gamma", "Beta", "Normal", "Gumbel", "Laplace"):

        def run(x, a, name=name):
            return getattr(D, name)(a, 2.0, validate_args=False).log_prob(x)

        assert torch.autograd.gradcheck(run, (x, a))
        assert torch.autograd.gradgradcheck(run, (x, a))


# --------------------------------------------------------------------------------------- the module


def test_modules_of_single_families():
    for name in D.__all__:
        thing = getattr(D, name)
        if isinstance(thing, type):
            assert thing.__doc__
    for home, name in (
        ("normal", "Normal"),
        ("studentT", "StudentT"),
        ("half_cauchy", "HalfCauchy"),
        ("relaxed_bernoulli", "LogitRelaxedBernoulli"),
        ("relaxed_categorical", "ExpRelaxedCategorical"),
        ("multivariate_normal", "_batch_mahalanobis"),
        ("lowrank_multivariate_normal", "_batch_lowrank_logdet"),
        ("transformed_distribution", "TransformedDistribution"),
        ("kl", "register_kl"),
        ("utils", "_sum_rightmost"),
        ("constraint_registry", "biject_to"),
        ("exp_family", "ExponentialFamily"),
        ("transforms", "_InverseTransform"),
    ):
        module = importlib.import_module(f"{NAME}.distributions.{home}")
        assert hasattr(module, name)
        assert getattr(D, home) is module


@pullback_only("of Pullback's own modules")
def test_it_is_loaded_when_it_is_used():
    program = (
        "import sys, pullback; assert 'pullback.distributions' not in sys.modules; "
        "import pullback.distributions.laplace as m; assert m.Laplace is pullback.distributions.Laplace; "
        "assert 'Normal' in vars(pullback.distributions)"
    )
    done = run_python("-c", program)
    assert done.returncode == 0, done.stderr


@pullback_only("of Pullback's own modules")
def test_every_family_has_a_formula_and_an_example():
    for name in D.__all__:
        kind = getattr(D, name)
        if isinstance(kind, type):
            assert ">>>" in inspect.getdoc(kind), name


# ---------------------------------------------------------------------------------------- utilities


def test_broadcast_all():
    utils = D.utils
    assert [x.dtype for x in utils.broadcast_all(1, 2.5)] == [torch.float32] * 2
    assert [x.tolist() for x in utils.broadcast_all(t([1, 2]), 2.5)] == [[1, 2], [2, 2]]
    a, b = utils.broadcast_all(torch.zeros(2, 1, dtype=torch.float64), 3)
    assert b.dtype is torch.float64 and a.shape == b.shape == (2, 1)


def test_probabilities_and_logits():
    utils = D.utils
    p = t([[0.25, 0.75]])
    for binary in (True, False):
        logits = utils.probs_to_logits(p, is_binary=binary)
        np.testing.assert_allclose(
            utils.logits_to_probs(logits, is_binary=binary).numpy(), p.numpy(), rtol=1e-6
        )
    assert np.isfinite(utils.probs_to_logits(t([0.0, 1.0]), True).numpy()).all()


def test_triangles():
    utils = D.utils
    mat = torch.arange(9.0).reshape(3, 3)
    for diag in (-2, -1, 0, 1, 2):
        vec = utils.tril_matrix_to_vec(mat, diag)
        assert utils.vec_to_tril_matrix(vec, diag).tolist() == mat.tril(diag).tolist()
    with pytest.raises(ValueError, match=r"diag \(3\) provided is outside \[-3, 2\]."):
        utils.tril_matrix_to_vec(mat, 3)
    with pytest.raises(ValueError, match="The size of last dimension is 5 which cannot be expressed"):
        utils.vec_to_tril_matrix(torch.arange(5.0))


def test_lazy_properties():
    kind = D.Bernoulli
    assert isinstance(kind.logits, property)
    d = kind(t([0.3]))
    assert "logits" not in vars(d)
    with torch.no_grad():
        first = d.logits
    assert d.logits is first is vars(d)["logits"]
    p = t([0.3], requires_grad=True)
    with torch.no_grad():
        logits = kind(p).logits
    assert logits.requires_grad  # made with a history, whatever the mode


def test_sample_n():
    with pytest.warns(FutureWarning, match=r"`sample_n\(n\)` will be deprecated"):
        assert D.Normal(0.0, 1.0).sample_n(3).shape == (3,)
