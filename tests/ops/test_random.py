"""Random tensors: seeds and states, new tensors, distributions in place, gradients, refusals.

The numbers themselves are PyTorch's, bit for bit: a few are written here, test_random_engine.py and
golden/random.txt hold the rest. Where PyTorch is installed, its tests pass on the same numbers.
"""

import copy
import pickle

import pytest
from library import check, fn_name, leaf, torch, vec

f32, f64, i64 = torch.float32, torch.float64, torch.int64


@pytest.fixture(autouse=True)
def seeded():
    """Each test starts from seed 0 and leaves the default generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


# Numbers after manual_seed(0) --------------------------------------------------------------

FIRST = [
    ("rand", lambda: torch.rand(3), [0.49625659, 0.76822180, 0.08847743]),
    ("rand f64", lambda: torch.rand(2, dtype=f64), [0.9700527, 0.7078199]),
    ("randn", lambda: torch.randn(3), [1.5409961, -0.2934289, -2.1787894]),
    ("randint", lambda: torch.randint(0, 10, (5,)), [4, 9, 3, 0, 3]),
    ("randint high", lambda: torch.randint(10, (5,)), [4, 9, 3, 0, 3]),
    ("randint keywords", lambda: torch.randint(low=0, high=10, size=(5,)), [4, 9, 3, 0, 3]),
    ("randperm", lambda: torch.randperm(4), [0, 1, 3, 2]),
    ("normal", lambda: torch.normal(1.0, 2.0, (3,)), [4.0819921, 0.4131422, -3.3575788]),
    ("normal of means", lambda: torch.normal(vec(1, 2, 3), 0.0), [1, 2, 3]),
    ("uniform_", lambda: torch.empty(3).uniform_(1, 3), [1.9925132, 2.5364437, 1.1769549]),
    ("bernoulli", lambda: torch.bernoulli(vec(0.5, 0.5, 0.5)), [1, 0, 1]),
    ("bernoulli p", lambda: torch.bernoulli(vec(0, 0), 1.0), [1, 1]),
    ("multinomial", lambda: torch.multinomial(vec(0, 1, 0), 3, replacement=True), [1, 1, 1]),
    ("poisson", lambda: torch.poisson(vec(0, 0)), [0, 0]),
    ("binomial", lambda: torch.binomial(vec(5, 7), vec(1, 0)), [5, 0]),
]


@pytest.mark.parametrize(("name", "make", "values"), FIRST, ids=[row[0] for row in FIRST])
def test_numbers(name, make, values):
    check(make(), values)


LIKE = [
    ("rand_like", torch.rand_like, torch.rand),
    ("randn_like", torch.randn_like, torch.randn),
    ("randint_like", lambda x, **k: torch.randint_like(x, 5, **k), None),
]


@pytest.mark.parametrize(("name", "like", "plain"), LIKE, ids=[row[0] for row in LIKE])
def test_like(name, like, plain):
    x = torch.zeros(2, 3, dtype=f64).t()
    made = like(x)
    assert (made.shape, made.dtype, made.stride()) == (x.shape, f64, (1, 3))
    assert like(x, dtype=f32).dtype is f32 and like(x, requires_grad=True).requires_grad
    if plain is not None:
        torch.manual_seed(1)
        expected = plain(2, 3)
        torch.manual_seed(1)
        check(like(torch.zeros(2, 3)), expected.tolist())


def test_dtypes_and_options():
    assert torch.randint(5, (2,)).dtype is i64 and torch.randperm(3, dtype=f32).dtype is f32
    assert torch.rand(2, dtype=torch.complex64).dtype is torch.complex64
    assert torch.randn(2, requires_grad=True).is_leaf
    assert torch.rand(2, 3, device="meta").is_meta
    out = torch.empty(2)
    assert torch.rand(2, out=out) is out and out.sum() > 0
    try:
        torch.set_default_dtype(f64)
        assert torch.randn(1).dtype is f64
    finally:
        torch.set_default_dtype(f32)


def test_sizes():
    for made in (torch.rand(2, 3), torch.rand((2, 3)), torch.rand([2, 3]), torch.rand(size=(2, 3))):
        assert made.shape == (2, 3)
    assert torch.rand(()).shape == () and torch.randn(0).shape == (0,)


# Generators --------------------------------------------------------------------------------


def test_manual_seed_repeats():
    first = torch.manual_seed(7)
    a = torch.randn(5)
    assert torch.manual_seed(7) is first is torch.default_generator
    assert torch.equal(a, torch.randn(5)) and torch.initial_seed() == 7
    assert torch.seed() == torch.initial_seed()


def test_own_generator_leaves_the_default_alone():
    state = torch.get_rng_state()
    g = torch.Generator().manual_seed(3)
    a = torch.rand(4, generator=g), torch.empty(4).normal_(generator=g)
    b = torch.randperm(4, generator=g), torch.bernoulli(vec(0.5, 0.5), generator=g)
    assert torch.equal(state, torch.get_rng_state())
    g.manual_seed(3)
    assert torch.equal(a[0], torch.rand(4, generator=g))
    assert torch.equal(a[1], torch.empty(4).normal_(generator=g))
    assert torch.equal(b[0], torch.randperm(4, generator=g))
    assert torch.equal(b[1], torch.bernoulli(vec(0.5, 0.5), generator=g))


def test_state():
    g = torch.Generator()
    assert g.device == torch.device("cpu") and isinstance(g, torch.Generator)
    state = g.get_state()
    assert (state.dtype, state.shape) == (torch.uint8, (5056,))
    a = torch.rand(3, generator=g)
    g.set_state(state)
    assert torch.equal(a, torch.rand(3, generator=g))
    with pytest.raises(TypeError, match=r"RNG state must be a torch\.ByteTensor"):
        g.set_state(state.float())
    with pytest.raises(RuntimeError, match="Expected a CPUGeneratorImplState of size 5056"):
        g.set_state(state[:3])


def test_fork_rng_restores():
    with torch.random.fork_rng(devices=[]):
        a = torch.rand(2)
    check(torch.rand(2), a.tolist())
    with torch.random.fork_rng(devices=[], enabled=False):
        torch.rand(2)
    assert not torch.equal(torch.rand(2), a)


def test_copies_of_a_generator():
    g = torch.Generator().manual_seed(5)
    torch.rand(3, generator=g)
    twins = [g.clone_state(), pickle.loads(pickle.dumps(g)), copy.deepcopy(g)]
    a = torch.rand(3, generator=g)
    for twin in twins:
        assert twin is not g and torch.equal(a, torch.rand(3, generator=twin))


# In place ----------------------------------------------------------------------------------

FILLS = [
    ("normal_", lambda x: x.normal_(2, 3), "NormalBackward0"),
    ("uniform_", lambda x: x.uniform_(2, 3), "UniformBackward0"),
    ("exponential_", lambda x: x.exponential_(2), "ExponentialBackward0"),
    ("cauchy_", lambda x: x.cauchy_(), "CauchyBackward0"),
    ("log_normal_", lambda x: x.log_normal_(), "LogNormalBackward0"),
    ("geometric_", lambda x: x.geometric_(0.5), "GeometricBackward0"),
    ("random_", lambda x: x.random_(), "RandomBackward2"),
    ("random_ to", lambda x: x.random_(3), "RandomBackward1"),
    ("random_ from to", lambda x: x.random_(3, 5), "RandomBackward0"),
    ("bernoulli_", lambda x: x.bernoulli_(), "BernoulliBackward2"),
    ("bernoulli_ of a tensor", lambda x: x.bernoulli_(torch.tensor(0.5)), "BernoulliBackward1"),
]


@pytest.mark.parametrize(("name", "fill", "node"), FILLS, ids=[row[0] for row in FILLS])
def test_fills(name, fill, node):
    x = torch.zeros(2, 3)
    version = x._version
    assert fill(x) is x and x._version > version
    start = leaf([[1.0, 2.0]])
    y = start * 1
    fill(y)
    assert fn_name(y) == node
    y.sum().backward()
    check(start.grad, [[0, 0]])
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad is being used"):
        fill(start)
    assert fill(torch.empty(2, device="meta")).is_meta


@pytest.mark.parametrize(("name", "fill", "node"), FILLS, ids=[row[0] for row in FILLS])
def test_a_view_is_filled_alone(name, fill, node):
    x = torch.full((4, 6), -1.0)
    part = x[::2, 1:4]
    fill(part)
    assert (x[1::2] == -1).all() and (x[:, 0] == -1).all() and (x[:, 4:] == -1).all()
    assert (part >= 0).all() or name in ("normal_", "cauchy_")


def test_keywords_of_fills():
    x = torch.empty(1000)
    assert x.uniform_(**{"from": 2, "to": 3}).min() >= 2 and x.max() < 3
    assert set(x.random_(**{"from": 1, "to": 3}).tolist()) == {1, 2}
    assert abs(x.normal_(mean=5, std=0.1).mean() - 5) < 0.1
    assert abs(x.exponential_(lambd=4).mean() - 0.25) < 0.05
    assert x.bernoulli_(p=1).all()


def test_moments():
    x = torch.randn(20000)
    assert abs(x.mean()) < 0.03 and abs(x.std() - 1) < 0.03
    counts = torch.multinomial(vec(1, 2, 1), 8000, replacement=True).bincount() / 8000
    check(counts, [0.25, 0.5, 0.25], atol=0.03)
    assert sorted(torch.multinomial(torch.ones(5), 5).tolist()) == [0, 1, 2, 3, 4]
    check(torch.poisson(torch.full((5000,), 4.0)).mean(), 4.0, atol=0.2)


# Gradients ---------------------------------------------------------------------------------

SAMPLES = [
    ("bernoulli", torch.bernoulli, "BernoulliBackward0"),
    ("poisson", torch.poisson, "PoissonBackward0"),
    ("normal of means", lambda x: torch.normal(x, 1.0), "NormalBackward1"),
    ("normal of deviations", lambda x: torch.normal(0.0, x), "NormalBackward2"),
    ("normal of both", lambda x: torch.normal(x, x), "NormalBackward3"),
]


@pytest.mark.parametrize(("name", "sample", "node"), SAMPLES, ids=[row[0] for row in SAMPLES])
def test_gradient_of_a_sample_is_zero(name, sample, node):
    x = leaf([0.5, 0.2])
    y = sample(x)
    assert fn_name(y) == node
    y.sum().backward()
    check(x.grad, [0, 0])


def test_places_have_no_gradient():
    assert not torch.multinomial(leaf([0.5, 0.5]), 2).requires_grad


# Refusals ----------------------------------------------------------------------------------

WRONG = [
    (lambda: torch.rand(2, dtype=i64), NotImplementedError, "not implemented for 'Long'"),
    (lambda: torch.ones(2, dtype=i64).normal_(), NotImplementedError, "not implemented for 'Long'"),
    (lambda: torch.randint(5, 5, (2,)), RuntimeError, "'from' to be less than 'to'"),
    (lambda: torch.randint(300, (2,), dtype=torch.uint8), RuntimeError, "out of bounds"),
    (lambda: torch.randint(5.0, (2,)), TypeError, "must be int, not float"),
    (lambda: torch.randint(5, 2), TypeError, "must be tuple of ints, not int"),
    (lambda: torch.randperm(-1), RuntimeError, "negative dimension -1"),
    (lambda: torch.rand(-1), RuntimeError, "negative dimension -1"),
    (lambda: torch.rand(2.5), TypeError, "must be tuple of ints, not float"),
    (lambda: torch.normal(0.0, 1.0), TypeError, "invalid combination of arguments"),
    (lambda: torch.normal(vec(1), -1.0), RuntimeError, "std >= 0.0, but found std -1"),
    (lambda: torch.normal(vec(1), vec(-1)), RuntimeError, "all elements of std >= 0.0"),
    (lambda: torch.normal(torch.ones(2), torch.ones(3)), RuntimeError, "must match the size"),
    (lambda: torch.bernoulli(vec(2)), RuntimeError, "Expected p_in >= 0 && p_in <= 1"),
    (lambda: vec(1).bernoulli_(2), RuntimeError, "bernoulli_ expects p to be in [0, 1]"),
    (lambda: vec(1).uniform_(1, 0), RuntimeError, "but found from=1 > to=0"),
    (lambda: vec(1).geometric_(0), RuntimeError, "geometric_ expects p to be in (0, 1)"),
    (lambda: torch.multinomial(vec(1, 1), 3), RuntimeError, "without replacement"),
    (lambda: torch.poisson(vec(-1)), RuntimeError, "invalid Poisson rate"),
    (lambda: torch.ones(1).expand(3).uniform_(), RuntimeError, "single memory location"),
    (lambda: torch.manual_seed(2**64), ValueError, "Overflow when unpacking long long"),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG, ids=[row[2] for row in WRONG])
def test_wrong_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
