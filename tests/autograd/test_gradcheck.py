"""gradcheck and gradgradcheck: what they accept, what they find wrong, and all their options."""

import importlib

import pytest
from library import NAME, leaf, torch

gradcheck, gradgradcheck = torch.autograd.gradcheck, torch.autograd.gradgradcheck
# The function of the same name hides the module from attribute access.
GradcheckError = importlib.import_module(f"{NAME}.autograd.gradcheck").GradcheckError
f64 = torch.float64


def wrong(name, forward, backward):
    """A Function whose derivative is what you say, right or wrong."""

    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            ctx.save_for_backward(*inputs)
            return forward(*inputs)

        @staticmethod
        def backward(ctx, *grads):
            return backward(*grads, *ctx.saved_tensors)

    Custom.__name__ = name
    return Custom.apply


tripled = wrong("Tripled", lambda x: x * 2, lambda g, x: g * 3)
x2 = [1.0, 2.0]

GOOD = [
    ("product", lambda x, y: x * y, (leaf(x2, f64), leaf([3.0, -1.0], f64))),
    ("matrix product", lambda x, y: x @ y, (leaf([x2, x2], f64), leaf([3.0, -1.0], f64))),
    ("tuple of outputs", lambda x: (x.sin(), x.exp()), (leaf(x2, f64),)),
    ("not a leaf", lambda x: x.tanh(), (leaf(x2, f64) * 0.3,)),
    ("unused input", lambda x, y: x * 2, (leaf(x2, f64), leaf(x2, f64))),
    ("constant input", lambda x, n: x**n, (leaf(x2, f64), 3)),
    ("plain tensor input", lambda x, y: x * y, (leaf(x2, f64), torch.ones(2, dtype=f64))),
    ("integer input", lambda x, i: x[i], (leaf(x2, f64), torch.tensor([1, 1, 0]))),
    ("complex", lambda z: z * z.conj() + z**2, (leaf([1 + 2j, 0.5 - 1j], torch.complex128),)),
    ("complex to real", lambda z: z.abs(), (leaf([1 + 2j, 0.5 - 1j], torch.complex128),)),
    ("real to complex", lambda x: x * 1j, (leaf(x2, f64),)),
    ("empty", lambda x: x * 2, (leaf([], f64),)),
    ("zero dims", lambda x: x.sin(), (leaf(0.5, f64),)),
    ("view", lambda x: x.view(2, 1).expand(2, 3).t(), (leaf(x2, f64),)),
    ("transposed input", lambda x: x.cumsum(0), (leaf([x2, x2], f64).t(),)),
    ("broadcast", lambda x, y: x / y, (leaf([[1.0], [2.0]], f64), leaf([3.0, 4.0, 5.0], f64))),
    ("in place", lambda x: x.clone().mul_(x), (leaf(x2, f64),)),
    ("output without grad", lambda x: (x * 2, x.detach().round()), (leaf(x2, f64),)),
]


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize(("name", "function", "inputs"), GOOD, ids=[row[0] for row in GOOD])
def test_right_derivatives_pass(name, function, inputs, fast_mode):
    assert gradcheck(function, inputs, fast_mode=fast_mode) is True
    if name != "empty":
        assert gradgradcheck(function, inputs, fast_mode=fast_mode) is True


def test_a_single_tensor_may_stand_for_a_tuple():
    assert gradcheck(torch.sin, leaf(x2, f64))
    assert gradgradcheck(torch.sin, leaf(x2, f64))


BAD = [
    ("wrong factor", tripled, (leaf(x2, f64),), "Jacobian mismatch for output 0 with respect to"),
    (
        "second input",
        wrong("Second", lambda x, y: x * y, lambda g, x, y: (g * y, g * y)),
        (leaf(x2, f64), leaf([3.0, 4.0], f64)),
        "Jacobian mismatch for output 0 with respect to input 1",
    ),
    (
        "missing gradient",
        wrong("Missing", lambda x: x * 2, lambda g, x: None),
        (leaf(x2, f64),),
        "Numerical gradient for function expected to be zero|Jacobian mismatch",
    ),
    (
        "detached",
        lambda x: x.detach() * x,
        (leaf(x2, f64),),
        "Jacobian mismatch for output 0 with respect to input 0",
    ),
    (
        "wrong in the imaginary part",
        wrong("Conj", lambda z: z * z, lambda g, z: g * 2 * z),
        (leaf([1 + 2j], torch.complex128),),
        "(?s)imaginary part of complex|Jacobian mismatch",
    ),
]


@pytest.mark.parametrize(("name", "function", "inputs", "message"), BAD, ids=[row[0] for row in BAD])
@pytest.mark.parametrize("fast_mode", [False, True])
def test_wrong_derivatives_are_found(name, function, inputs, message, fast_mode):
    with pytest.raises(GradcheckError, match=message):
        gradcheck(function, inputs, fast_mode=fast_mode)
    assert gradcheck(function, inputs, fast_mode=fast_mode, raise_exception=False) is False


def test_error_shows_both_jacobians():
    with pytest.raises(GradcheckError) as caught:
        gradcheck(tripled, (leaf(x2, f64),))
    assert type(caught.value).__name__ == "GradcheckError"
    assert str(caught.value) == (
        "Jacobian mismatch for output 0 with respect to input 0,\n"
        "numerical:tensor([[2.0000, 0.0000],\n"
        "        [0.0000, 2.0000]], dtype=torch.float64)\n"
        "analytical:tensor([[3., 0.],\n"
        "        [0., 3.]], dtype=torch.float64)\n"
    )


def test_tolerances():
    nearly = wrong("Nearly", lambda x: x * 2, lambda g, x: g * 2.01)
    with pytest.raises(GradcheckError):
        gradcheck(nearly, (leaf(x2, f64),))
    assert gradcheck(nearly, (leaf(x2, f64),), atol=2e-2)
    assert gradcheck(nearly, (leaf(x2, f64),), rtol=1e-2)
    assert gradcheck(lambda x: x**3, (leaf(x2, f64),), eps=1e-3, atol=1e-4)


def test_float32_inputs_warn():
    x = leaf(x2)
    with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double"):
        assert gradcheck(lambda x: x * 2, (x,), eps=1e-2, atol=1e-2)


def test_inputs_that_cannot_be_checked():
    with pytest.raises(ValueError, match="expects at least one input tensor to require gradient"):
        gradcheck(torch.sin, (torch.ones(2, dtype=f64),))
    with pytest.raises(RuntimeError, match="The 0th input has a dimension with stride 0"):
        gradcheck(torch.sin, (leaf([1.0], f64).expand(2),))


def test_nondeterministic_backward_is_found():
    count = [0]

    def backward(g, x):
        count[0] += 1
        return g * (2 + 1e-9 * count[0])

    noisy = wrong("Noisy", lambda x: x * 2, backward)
    with pytest.raises(GradcheckError, match="Backward is not reentrant"):
        gradcheck(noisy, (leaf(x2, f64),))
    assert gradcheck(noisy, (leaf(x2, f64),), nondet_tol=1e-6)


def test_undefined_gradients():
    stubborn = wrong("Stubborn", lambda x: (x * 2, x * 3), lambda g, h, x: g * 2 + h * 3)
    assert gradcheck(stubborn, (leaf(x2, f64),))

    class Refusing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return torch.ones(2, dtype=f64) if g is None else g * 2

    with (
        pytest.warns(UserWarning, match="New undefined gradient support checking feature"),
        pytest.raises(GradcheckError, match="Expected all input grads to be undefined or zero"),
    ):
        gradcheck(Refusing.apply, (leaf(x2, f64),))
    assert gradcheck(Refusing.apply, (leaf(x2, f64),), check_undefined_grad=False)


def test_batched_gradients():
    x = leaf([x2, x2], f64)
    assert gradcheck(lambda x: (x.tanh() @ x).sum(0), (x,), check_batched_grad=True)
    assert gradgradcheck(lambda x: (x.tanh() @ x).sum(0), (x,), check_batched_grad=True)


def test_gradient_dtypes_are_checked():
    mistyped = wrong("Mistyped", lambda x: x * 2, lambda g, x: (g * 2).to(torch.float32))
    assert gradcheck(mistyped, (leaf(x2, f64),))


def test_gradgradcheck_finds_wrong_second_derivatives():
    def backward(g, x):
        return g * (2 * x).detach()

    square = wrong("Square", lambda x: x * x, backward)
    assert gradcheck(square, (leaf(x2, f64),))
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        gradgradcheck(square, (leaf(x2, f64),))
    assert not gradgradcheck(square, (leaf(x2, f64),), raise_exception=False)


def test_gradgradcheck_with_given_gradients():
    x = leaf(x2, f64)
    assert gradgradcheck(lambda x: x**3, (x,), (leaf([1.0, 0.5], f64),))
    assert gradgradcheck(lambda x: x**3, x, leaf([1.0, 0.5], f64))
    assert gradgradcheck(lambda x: x**3, (x,), gen_non_contig_grad_outputs=True)
    assert gradgradcheck(lambda x: x.sum(), (x,), atol=1e-4, rtol=1e-3, eps=1e-5, nondet_tol=1e-9)


def test_inputs_come_back_unchanged():
    x = leaf(x2, f64)
    gradcheck(torch.exp, (x,))
    assert x.tolist() == x2
    assert x.grad is None


def test_masked_is_accepted():
    assert gradcheck(torch.sin, (leaf(x2, f64),), masked=True)
    assert gradcheck(torch.sin, (leaf(x2, f64),), masked=False)


def test_random_gradients_are_those_of_the_seeded_generator():
    """So the same numbers follow as after PyTorch's check."""
    for dtype in (torch.float64, torch.complex128):
        x = torch.ones(2, 3, dtype=dtype, requires_grad=True)
        torch.manual_seed(0)
        assert torch.autograd.gradgradcheck(lambda x: (x * x, x.exp()), x)
        after = torch.rand(3)
        torch.manual_seed(0)
        for _ in range(2):
            torch.empty(2, 3, 2 if dtype.is_complex else 1, dtype=torch.float64).uniform_(-1, 1)
        assert torch.equal(after, torch.rand(3))
