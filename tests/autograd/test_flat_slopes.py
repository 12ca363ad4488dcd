"""Gradients whose slope is constant by pieces: their own derivative is zero, and is found."""

import pytest
from library import fn_name, leaf, torch

F = torch.nn.functional
FLAT = {
    "relu": torch.relu,
    "threshold": lambda x: F.threshold(x, 0.1, 20.0),
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
    "leaky_relu": F.leaky_relu,
    "relu6": F.relu6,
    "prelu": lambda x: F.prelu(x, torch.tensor([0.2])),
    "max_pool1d": lambda x: F.max_pool1d(x, 2),
    "max_pool2d": lambda x: F.max_pool2d(x, (1, 2), return_indices=True)[0],
    "adaptive_max_pool1d": lambda x: F.adaptive_max_pool1d(x, 3),
    "avg_pool1d": lambda x: F.avg_pool1d(x, 2),
    "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(x, 3),
    "reflect": lambda x: F.pad(x, (1, 1), mode="reflect"),
    "nll_loss": lambda x: F.nll_loss(x[0], torch.tensor([1, 0])),
}


def numbers():
    return torch.tensor([[[0.5, -1.0, 2.0, -0.3], [1.5, 0.7, -2.0, 0.2]]], requires_grad=True)


@pytest.mark.parametrize("name", FLAT)
def test_second_derivatives_are_zero(name):
    x = numbers()
    (g,) = torch.autograd.grad(FLAT[name](x).sum(), x, create_graph=True)
    assert g.requires_grad
    (h,) = torch.autograd.grad(g.sum(), x)
    assert torch.equal(h, torch.zeros_like(x))


@pytest.mark.parametrize("name", FLAT)
def test_a_penalty_on_the_gradient_reaches_the_leaf(name):
    x = numbers()
    y = FLAT[name](x * x)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    g.square().sum().backward()
    (slope,) = torch.autograd.grad(FLAT[name](v := (x * x).detach().requires_grad_()).sum(), v)
    assert torch.allclose(x.grad, 8 * x * slope**2)


def test_zeros_reach_inner_tensors_and_hooks():
    x = leaf([1.0, -2.0])
    inner = x * 3
    (g,) = torch.autograd.grad(torch.relu(inner).sum(), inner, create_graph=True)
    inner.retain_grad()
    seen = []
    inner.register_hook(seen.append)
    g.sum().backward()
    assert torch.equal(x.grad, torch.zeros(2)) and torch.equal(inner.grad, torch.zeros(2))
    assert [t.tolist() for t in seen] == [[0.0, 0.0]]


def test_zeros_go_through_several_outputs_and_functions():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf([1.0, -2.0, 3.0, 4.0])
    a, b = Twice.apply(x).chunk(2)
    (g,) = torch.autograd.grad(torch.relu(a).sum() + b.sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    assert torch.equal(h, torch.zeros(4))


def test_names_of_the_second_nodes():
    x = numbers()

    def name(function):
        (g,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
        return fn_name(g)

    assert name(torch.relu) == "ThresholdBackwardBackward0"
    assert name(F.hardshrink) == "HardshrinkBackwardBackward0"
    assert name(lambda x: F.adaptive_max_pool2d(x, 1)) == "AdaptiveMaxPool2DBackwardBackward0"


def test_zeros_for_unused_inputs_are_part_of_the_graph():
    x, a = leaf([0.5]), leaf([1.0])
    (g,) = torch.autograd.grad(x * a, x, create_graph=True)
    (h,) = torch.autograd.grad(g, x, create_graph=True, materialize_grads=True)
    assert h.requires_grad and torch.equal(h, torch.zeros(1))
    (h,) = torch.autograd.grad(g, x, materialize_grads=True)
    assert not h.requires_grad
