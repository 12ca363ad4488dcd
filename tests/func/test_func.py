"""`torch.func`: what its transforms give, in all their forms, and that the modes agree on every op."""

import numpy as np
import pytest
from library import ON_TORCH, check, leaf, pullback_only, torch
from sample_rows import ROWS
from samples import Bound, differentiable, flat, numbers, pytorch_cannot

# PyTorch's own warnings belong to test_messages.py.
pytestmark = pytest.mark.filterwarnings("ignore" if ON_TORCH else "ignore::UserWarning")
TORCH_IS_WRONG = (
    "add sub mul clone logcumsumexp roll flip scatter_reduce as_strided_scatter cholesky_inverse "
    "view_as_complex_copy norm_except_dim _pad_packed_sequence linalg.solve "
    "triangular_solve"  # in jvp or vmap
)
func = torch.func
X = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)


def f(x):
    return x.sin() * x.sum()


def scalar(x):
    return (x**3).sum() + x.prod()


# ------------------------------------------------------------------------------- every op


class Linearised:
    """A call of a row as a function of its leaves, and random directions for both sides."""

    def __init__(self, row, call):
        self.row, self.call = row, call
        self.bound = Bound(torch, row, call, "float64", grads="all")
        results = differentiable(torch, self.bound.run())
        self.active = bool(results) and bool(self.bound.leaves)
        if not self.active:
            return
        wanted = [x.detach() for x in self.bound.leaves]
        self.leaves = wanted
        rng = np.random.default_rng(1)
        self.u = [torch.from_numpy(np.asarray(rng.uniform(-1, 1, x.shape))) for x in wanted]
        values = self.function(*wanted)
        self.active = bool(values)
        self.v = [torch.from_numpy(np.asarray(rng.uniform(-1, 1, (2, *y.shape)))) for y in values]

    def function(self, *leaves):
        """The results that have a derivative, real ones, of the row's op at these leaves."""
        bound = self.bound
        swap = {id(old): new for old, new in zip(bound.leaves, leaves, strict=True)}

        def put(x):
            if isinstance(x, (list, tuple)):
                return type(x)([put(one) for one in x])
            return swap.get(id(x), x) if isinstance(x, torch.Tensor) else x

        kwargs = {name: put(x) for name, x in bound.kwargs.items()}
        result = flat(self.resolved()(*[put(x) for x in bound.args], **kwargs))
        return tuple(y for y in result if isinstance(y, torch.Tensor) and y.dtype == torch.float64)

    def resolved(self):
        from samples import resolve

        return resolve(torch, self.row.name)


def dot(left, right):
    return sum(float((numbers(torch, a) * numbers(torch, b)).sum()) for a, b in zip(left, right, strict=True))


def calls(row):
    """The calls of a row whose derivative is a linear map of real numbers."""
    if "f" not in row.kinds or not row.derived:
        return []
    found = [Linearised(row, call) for call in row.calls if call.smooth]
    return [one for one in found if one.active]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_modes_agree(row):
    """<v, J u> = <J' v, u>, and J' of a batch of v is J' of each."""
    if ON_TORCH and row.name in TORCH_IS_WRONG.split():
        pytest.skip("PyTorch refuses, or its modes disagree")
    for one in calls(row):
        try:
            _, pushed = func.jvp(one.function, tuple(one.leaves), tuple(one.u))
            _, pull = func.vjp(one.function, *one.leaves)
            pulled = [pull(tuple(v[i] for v in one.v)) for i in range(2)]
            together = torch.vmap(pull)(tuple(one.v))
        except (RuntimeError, NotImplementedError, ValueError) as error:
            if ON_TORCH and (
                pytorch_cannot(str(error)) or "vmap" in str(error) or "forward AD" in str(error)
            ):
                pytest.skip(str(error))
            raise
        left, right = dot([v[0] for v in one.v], pushed), dot(pulled[0], one.u)
        assert np.isclose(left, right, rtol=1e-8, atol=1e-9), (left, right)
        for place, rows in enumerate(together):
            for i in range(2):
                np.testing.assert_allclose(
                    numbers(torch, rows[i]), numbers(torch, pulled[i][place]), rtol=1e-9, atol=1e-10
                )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_gradients_of_each_sample(row):
    """`vmap(grad)` gives each sample's gradient, also of what all share."""
    if ON_TORCH and row.name in TORCH_IS_WRONG.split():
        pytest.skip("PyTorch refuses, or its modes disagree")
    for one in calls(row):

        def weighed(*leaves, one=one):
            pairs = zip(one.function(*leaves), one.v, strict=True)
            return sum((y * v[0]).sum() for y, v in pairs)

        places = tuple(range(len(one.leaves)))
        slope = func.grad(weighed, argnums=places)
        samples = [torch.stack([x, x.flip(0) if x.ndim else x]) for x in one.leaves]
        if row.name in NOT_BY_SAMPLE:
            continue
        try:
            each = [slope(*[s[i] for s in samples]) for i in range(2)]
            together = torch.vmap(slope)(*samples)
            shared = torch.vmap(slope, in_dims=(0, *[None] * (len(places) - 1)))(samples[0], *one.leaves[1:])
            alone = [slope(samples[0][i], *one.leaves[1:]) for i in range(2)]
        except (RuntimeError, NotImplementedError, ValueError, IndexError) as error:
            if ON_TORCH:
                pytest.skip(str(error))
            if "must" in str(error) and "match" in str(error):
                continue
            raise
        for place in places:
            for i in range(2):
                for found, expected in ((together, each), (shared, alone)):
                    np.testing.assert_allclose(
                        numbers(torch, found[place][i]),
                        numbers(torch, expected[i][place]),
                        rtol=1e-8,
                        atol=1e-9,
                    )


# A sample of a stack lies elsewhere in its storage; a loss looks whether a variance is negative; and a
# triangular factor that is flipped is singular.
NOT_BY_SAMPLE = {"as_strided", "as_strided_copy", "as_strided_scatter", "nn.functional.gaussian_nll_loss"}
NOT_BY_SAMPLE |= {"cholesky_inverse"}


# ------------------------------------------------------------------------------- grad


def test_grad_forms():
    check(func.grad(scalar)(X), (3 * X**2 + X.prod() / X).tolist())
    both = func.grad(lambda a, b: (a * b).sum(), argnums=(0, 1))(X, X + 1)
    check(both[0], (X + 1).tolist())
    check(both[1], X.tolist())
    check(func.grad(lambda a, b: (a * b).sum(), argnums=-1)(X, X + 1), X.tolist())
    named = func.grad(lambda d: (d["a"] * d["b"][0]).sum())({"a": X, "b": [X * 2]})
    check(named["b"][0], X.tolist())
    found, aux = func.grad(lambda x: (x.sum(), {"twice": x * 2}), has_aux=True)(X)
    check(found, [1, 1, 1])
    check(aux["twice"], (2 * X).tolist())
    assert not aux["twice"].requires_grad
    slope, (value, aux) = func.grad_and_value(lambda x: (x.sum(), x), has_aux=True)(X)
    check(slope, [1, 1, 1])
    assert float(value) == float(X.sum())
    check(func.grad(lambda x: torch.ones((), dtype=x.dtype))(X), [0, 0, 0])
    check(func.grad(lambda x, *, by: (x * by).sum())(X, by=3.0), [3, 3, 3])


GRAD_ERRORS = [
    (lambda: func.grad(lambda x: x)(X), RuntimeError, "to return a scalar Tensor, got tensor with 1 dims"),
    (lambda: func.grad(lambda x: 3.0)(X), RuntimeError, "to return a Tensor, got <class 'float'>"),
    (lambda: func.grad(lambda x: x.sum(), argnums=2)(X), RuntimeError, "Got argnum=2, but only 1"),
    (lambda: func.grad(lambda x: x.sum(), argnums=())(X), RuntimeError, "argnums must be non-empty"),
    (lambda: func.grad(lambda x: x.sum(), argnums=(0, 0))(X), RuntimeError, "elements must be unique"),
    (lambda: func.grad(lambda x: x.sum(), has_aux=True)(X), RuntimeError, r"a tuple: \(output, aux\)"),
    (lambda: func.grad(lambda x: (x.sum(), 3), has_aux=True)(X), RuntimeError, "Expected tensors, got"),
    (lambda: func.grad(lambda x: x.sum())(torch.arange(3)), RuntimeError, "only Tensors of floating point"),
    (lambda: func.grad(lambda x: x)(3.0), ValueError, "must be Tensor, got <class 'float'>"),
    (lambda: func.grad(lambda x: x.sin_().sum())(X), RuntimeError, "a leaf Variable that requires grad"),
    (lambda: func.vjp(lambda a: (a, a), X)[1](X), RuntimeError, "Expected pytree structure of cotangents"),
    (lambda: func.vjp(lambda a: a, X)[1](X[:2]), RuntimeError, "Mismatch in shape: grad_output"),
    (lambda: func.vjp(lambda a: 3.0, X), RuntimeError, "to return only tensors, got unsupported type"),
    (lambda: func.jvp(lambda a: a, X, X), RuntimeError, "Expected primals to be a tuple"),
    (lambda: func.jvp(lambda a: a, (X,), (X, X)), RuntimeError, "to have the same python structure"),
    (lambda: func.jvp(lambda a: a, (X,), (X[:2],)), RuntimeError, "Tensor is of size .3. while the given"),
    (lambda: func.jvp(lambda a: X, (X,), (X,), strict=True), RuntimeError, "output of f is independent"),
    (lambda: func.jacrev(lambda a: a, chunk_size=0), ValueError, "`chunk_size` should be greater than 0"),
]


@pytest.mark.parametrize(("call", "kind", "message"), GRAD_ERRORS)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_grad_mode():
    w = leaf([1.0, 2.0, 3.0], torch.float64)
    found = func.grad(lambda x: (x * w).sum())(X)
    assert found.requires_grad
    with torch.no_grad():
        assert not func.grad(lambda x: (x * w).sum())(X).requires_grad
        check(func.grad(scalar)(X), (3 * X**2 + X.prod() / X).tolist())

    def inner(x):
        with torch.no_grad():
            shift = x**2
        return (x - shift).sum()

    check(func.grad(inner)(X), [1, 1, 1])
    x = X.clone().requires_grad_()
    func.grad(scalar)(x).sum().backward()
    expected = func.hessian(scalar)(X).sum(0)
    check(x.grad, expected.tolist())
    assert not func.grad_and_value(scalar)(X)[1].requires_grad


def test_no_perturbation_confusion():
    one = torch.tensor(1.0)
    slope = func.grad(lambda x: x * func.grad(lambda y: x + y)(one))
    assert float(slope(one)) == 1

    def push(g):
        return lambda x: func.jvp(g, (x,), (torch.ones_like(x),))[1]

    assert float(push(lambda x: x * push(lambda y: x + y)(one))(one)) == 1
    assert float(push(lambda x: x * func.grad(lambda y: x * y)(one))(one)) == 2
    assert float(func.grad(lambda x: x * push(lambda y: x * y)(one))(one)) == 2


# ------------------------------------------------------------------------------- vjp, jvp, linearize


def test_vjp_and_jvp_forms():
    _, pull = func.vjp(lambda d: {"s": d["a"].sin(), "t": [d["b"] * 2]}, {"a": X, "b": X[:2]})
    (found,) = [pull({"s": torch.ones_like(X), "t": [torch.ones_like(X[:2])]})]
    found = found[0] if isinstance(found, tuple) else found
    check(found["a"], X.cos().tolist())
    check(found["b"], [2, 2])
    _, pull, aux = func.vjp(lambda a, b: (a * b, a), X, X + 1, has_aux=True)
    check(pull(torch.ones_like(X))[1], X.tolist())
    check(aux, X.tolist())
    _, tangent, aux = func.jvp(lambda a: ((a * a, [a]), a), (X,), (X,), has_aux=True)
    check(tangent[0], (2 * X**2).tolist())
    check(tangent[1][0], X.tolist())
    assert not func.jvp(torch.sin, (X,), (X,))[0].requires_grad
    check(func.jvp(lambda a: torch.ones(2), (X,), (X,))[1], [0, 0])


def test_linearize():
    value, push = func.linearize(f, X)
    check(value, f(X).tolist())
    for u in (X, torch.ones_like(X)):
        check(push(u), func.jvp(f, (X,), (u,))[1].tolist(), rtol=1e-12)
    with pytest.raises(RuntimeError):
        push(X[:2])


# ------------------------------------------------------------------------------- matrices


def test_jacobians_agree():
    expected = torch.diag(X.cos() * X.sum()) + X.sin()[:, None]
    for options in ({}, {"chunk_size": 1}, {"chunk_size": 2}):
        check(func.jacrev(f, **options)(X), expected.tolist())
    check(func.jacfwd(f)(X), expected.tolist())
    both = func.jacfwd(lambda a, b: (a * b, a.sum()), argnums=(0, 1))(X, X + 1)
    check(both[0][1], torch.diag(X).tolist())
    check(both[1][0], [1, 1, 1])
    check(both[1][1], [0, 0, 0])
    found, aux = func.jacrev(lambda a: (a * 2, a), has_aux=True)(X)
    check(found, (2 * torch.eye(3)).tolist())
    found, aux = func.jacfwd(lambda a: (a * 2, a), has_aux=True)(X)
    check(aux, X.tolist())
    tree = func.jacrev(lambda d: {"s": d["a"] * d["b"].sum()})({"a": X, "b": X[:2]})
    check(tree["s"]["b"], X[:, None].expand(3, 2).tolist())


def test_hessians_agree():
    expected = torch.diag(6 * X) + X.prod() / torch.outer(X, X) * (1 - torch.eye(3))
    ways = [
        func.hessian,
        lambda g: func.jacfwd(func.jacrev(g)),
        lambda g: func.jacrev(func.jacfwd(g)),
        lambda g: func.jacrev(func.jacrev(g)),
        lambda g: func.jacfwd(func.jacfwd(g)),
    ]
    for way in ways:
        check(way(scalar)(X), expected.tolist(), rtol=1e-9)
        batch = torch.stack([X, X * 2])
        check(torch.vmap(way(scalar))(batch)[0], expected.tolist(), rtol=1e-9)
    blocks = func.hessian(lambda a, b: (a**2 * b).sum(), argnums=(0, 1))(X, X + 1)
    check(blocks[0][1], torch.diag(2 * X).tolist())


def test_hessian_of_a_sum_over_samples():
    batch = torch.stack([X, X * 2])
    whole = func.hessian(lambda b: torch.vmap(scalar)(b).sum())(batch)
    each = torch.vmap(func.hessian(scalar))(batch)
    for i in range(2):
        check(whole[i, :, i], each[i].tolist(), rtol=1e-9)
    assert not whole[0, :, 1].any()


# ------------------------------------------------------------------------------- custom functions


class Scaled(torch.autograd.Function):
    """x * x * w with all its rules."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, w):
        return x * x * w

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return 2 * x * g * w, g * x * x

    @staticmethod
    def jvp(ctx, xt, wt):
        x, w = ctx.saved_tensors
        return 2 * x * xt * w + x * x * wt


SEEN = []


class Cube(torch.autograd.Function):
    """x ** 3 with a vmap of its own."""

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return 3 * ctx.saved_tensors[0] ** 2 * g

    @staticmethod
    def vmap(info, in_dims, x):
        SEEN.append((info.batch_size, info.randomness, in_dims))
        return Cube.apply(x), in_dims[0]


def test_custom_functions():
    batch, w = torch.stack([X, X + 1]), X * 2
    check(torch.vmap(Scaled.apply, in_dims=(0, None))(batch, w), (batch**2 * w).tolist())
    slopes = func.grad(lambda x, w: Scaled.apply(x, w).sum(), argnums=(0, 1))
    found = torch.vmap(slopes, in_dims=(0, None))(batch, w)
    check(found[0], (2 * batch * w).tolist())
    check(found[1], (batch**2).tolist())
    check(func.jacfwd(Scaled.apply)(X, w), torch.diag(2 * X * w).tolist())
    pushed = torch.vmap(lambda x: func.jvp(Scaled.apply, (x, w), (x, w))[1])(batch)
    check(pushed, (3 * batch**2 * w).tolist())
    twice = torch.vmap(func.grad(func.grad(Cube.apply)))(X)
    check(twice, (6 * X).tolist())
    assert SEEN[0] == (3, "error", (0,))


def test_custom_functions_without_a_rule():
    class Bare(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

    with pytest.raises(RuntimeError, match="it does not have vmap support"):
        torch.vmap(Bare.apply)(X)


# ------------------------------------------------------------------------------- beyond PyTorch


@pullback_only("it has them")
def test_cheaper_than_the_matrix():
    matrix = func.hessian(scalar)(X)
    check(func.hessian_diag(scalar)(X), matrix.diagonal().tolist(), rtol=1e-9)
    check(func.hessian_diag(scalar, chunk_size=2)(X), matrix.diagonal().tolist(), rtol=1e-9)
    assert abs(float(func.laplacian(scalar)(X) - matrix.trace())) < 1e-12
    batch = torch.stack([X, X * 2])
    check(torch.vmap(func.laplacian(scalar))(batch)[0], float(matrix.trace()), rtol=1e-9)
    check(func.hessian_diag(lambda x: x.sum())(X), [0, 0, 0])


@pullback_only("it has it")
def test_gauss_newton_products():
    def loss(y):
        return (y**4).sum()

    jac, curve = func.jacrev(f)(X), func.hessian(loss)(f(X))
    expected = jac.t() @ curve @ jac @ (X + 1)
    (found,) = func.ggnvp(f, loss, (X,), (X + 1,))
    check(found, expected.tolist(), rtol=1e-9)


@pullback_only("it has it")
def test_linear_transpose():
    matrix = torch.arange(6.0, dtype=torch.float64).reshape(2, 3)
    turned = func.linear_transpose(lambda x: matrix @ x, X)
    check(turned(X[:2])[0], (matrix.t() @ X[:2]).tolist())
    with pytest.raises(ValueError, match="not linear"):
        func.linear_transpose(lambda x: x.cos(), X)


@pullback_only("it has it")
def test_per_sample_gradients():
    w, b = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_(), leaf([0.0] * 4)
    x = torch.linspace(-1, 1, 15).reshape(5, 3)

    def loss(w, b, x):
        return torch.tanh(x @ w.t() + b).square().sum(-1)

    with torch.autograd.per_sample_grad([w, b]):
        loss(w, b, x).sum().backward()
    single = func.grad(loss, argnums=(0, 1))
    expected = torch.vmap(single, in_dims=(None, None, 0))(w.detach(), b.detach(), x)
    check(w.grad_sample, expected[0].tolist(), rtol=1e-5, atol=1e-6)
    check(b.grad_sample, expected[1].tolist(), rtol=1e-5, atol=1e-6)
    check(w.grad, expected[0].sum(0).tolist(), rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------------------- modules, odds


class Line:
    """A stand-in for a module: whatever has named parameters."""

    def __init__(self, slope, shift):
        self.slope, self.shift = torch.tensor(slope), torch.tensor(shift)

    def named_parameters(self):
        return [("slope", self.slope), ("shift", self.shift)]

    def __call__(self, x):
        return self.slope * x + self.shift


@pullback_only("anything with named parameters is a module")
def test_functional_call():
    line, x = Line(2.0, 1.0), torch.tensor([1.0, 2.0])
    check(func.functional_call(line, {"slope": torch.tensor(5.0)}, (x,)), [6, 11])
    check(line(x), [3, 5])
    slope = func.grad(lambda p: func.functional_call(line, p, x).sum())(dict(line.named_parameters()))
    assert float(slope["slope"]) == 3
    assert float(slope["shift"]) == 2
    with pytest.raises(RuntimeError, match="Missing key"):
        func.functional_call(line, {"slope": x}, x, strict=True)
    with pytest.raises(ValueError, match="appeared in multiple dictionaries"):
        func.functional_call(line, [{"slope": x}, {"slope": x}], x)


@pullback_only("anything with named parameters is a module")
def test_stacked_modules():
    lines, x = [Line(1.0, 0.0), Line(2.0, 1.0)], torch.tensor([1.0, 2.0])
    params, buffers = func.stack_module_state(lines)
    found = torch.vmap(lambda p: func.functional_call(lines[0], p, x))(params)
    check(found, [[1, 2], [3, 5]])
    assert buffers == {}
    with pytest.raises(RuntimeError, match="at least one model"):
        func.stack_module_state([])


def test_complex_matrices_are_refused():
    z = torch.tensor([1 + 2j])
    for transform in (func.jacrev, func.jacfwd):
        with pytest.raises(RuntimeError, match=f"{transform.__name__}: Expected all inputs to be real"):
            transform(lambda z: z * z)(z)
        with pytest.raises(RuntimeError, match=f"{transform.__name__}: Expected all outputs to be real"):
            transform(lambda x: x * 1j)(z.real)


def test_batch_norms_forget_what_samples_cannot_share():
    class BatchNorm1d:
        track_running_stats, running_mean, running_var, num_batches_tracked = True, 1, 2, 3

    class Outer:
        inner = BatchNorm1d()

        def modules(self):
            return [self, self.inner]

    if ON_TORCH:
        return
    outer = func.replace_all_batch_norm_modules_(Outer())
    assert outer.inner.running_mean is None
    assert not outer.inner.track_running_stats


def test_debug_unwrap_and_functionalize():
    seen = []
    torch.vmap(lambda x: seen.append(func.debug_unwrap(x)) or x)(torch.ones(2, 3))
    assert seen[0].shape == (2, 3)
    check(func.functionalize(lambda x: x.clone().add_(1))(torch.zeros(2)), [1, 1])
    with pytest.raises(RuntimeError, match="invalid argument for remove"):
        func.functionalize(lambda x: x, remove="x")(torch.zeros(2))


@pullback_only("counts what Pullback's engine does")
@pytest.mark.parametrize("hessian", ["func", "functional"])
def test_a_hessian_costs_as_many_gradients_as_there_are_variables(hessian):
    from pullback.core import _engine
    from pullback.transforms import stack

    class Counter(stack.Interpreter):
        def __init__(self):
            self.ops = self.numbers = 0

        def process(self, op, args, out):
            result = _engine.apply_below(op, args, out)
            self.ops += 1
            if not op.view:
                self.numbers += sum(x.numel() for x in flat(result) if isinstance(x, torch.Tensor))
            return result

    def rosenbrock(x):
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    def cost(transform, n):
        counter = Counter()
        with stack.entered(counter):
            transform(rosenbrock)(torch.linspace(-1, 1, n))
        return counter

    transform = func.hessian
    if hessian == "functional":
        transform = lambda f: lambda x: torch.autograd.functional.hessian(f, x, vectorize=True)  # noqa: E731
    few, many = cost(transform, 10), cost(transform, 80)
    assert few.ops == many.ops
    assert many.numbers < 5 * 80 * cost(func.grad, 80).numbers
    assert many.numbers < 1.1 * 64 * few.numbers


def test_captured_tensors_are_not_written():
    kept = torch.zeros(3, dtype=torch.float64)

    def written(x):
        kept.copy_(x)
        return (x * kept).sum()

    with pytest.raises(RuntimeError, match="would mutate a captured Tensor"):
        func.grad(written)(X)
    assert not kept.requires_grad and kept.tolist() == [0, 0, 0]

    def written_within(x):
        own = torch.zeros(3, dtype=torch.float64)
        own.copy_(x)
        return (x * own).sum()

    check(func.grad(written_within)(X), 2 * X)


@pytest.mark.parametrize("f", [torch.relu, torch.nn.functional.relu6])
def test_slopes_constant_by_pieces_are_part_of_the_graph(f):
    x = X.clone().requires_grad_()
    for slope in (func.jvp(f, (x,), (torch.ones_like(x),))[1], func.jacrev(f)(x)):
        assert slope.requires_grad
        assert torch.autograd.grad(slope.sum(), x)[0].tolist() == [0, 0, 0]
