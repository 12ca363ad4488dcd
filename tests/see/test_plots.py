"""Plots, by what stands in their axes."""

import math

import numpy as np
import pytest
from library import pullback_only, torch

pytestmark = pullback_only("torch.plots")
matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def trained():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    x, y = torch.randn(20, 3), torch.randn(20, 1)

    def loss():
        return torch.nn.functional.mse_loss(net(x), y)

    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    losses, path = [], []
    for _ in range(10):
        path.append([p.detach().clone() for p in net.parameters()])
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        losses.append(value.detach())
    return net, loss, losses, path


def test_gradient_flow_has_a_bar_for_each_parameter():
    net, *_ = trained()
    net[0].bias.grad = None
    _, ax = plt.subplots()
    assert torch.plots.gradient_flow(net, ax) is ax
    heights = [bar.get_height() for bar in ax.patches]
    expected = [
        math.nan if p.grad is None else float(p.grad.square().mean().sqrt()) for p in net.parameters()
    ]
    np.testing.assert_allclose(heights, expected, rtol=1e-6)
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names == [name for name, _ in net.named_parameters()]
    assert [label.get_color() for label in ax.get_xticklabels()] == ["black", "grey", "black", "black"]
    assert ax.get_yscale() == "log"
    torch.plots.gradient_flow({"w": torch.zeros(2, requires_grad=True)})


def test_histograms_count_all_numbers():
    steps = {0: torch.tensor([0.0, 1.0, 2.0, math.nan]), 10: torch.tensor([1.0, 1.0])}
    ax = torch.plots.histograms(steps, bins=4)
    counts = np.asarray(ax.collections[0].get_array()).reshape(4, 2)
    np.testing.assert_allclose(counts.sum(0), [1, 1])
    np.testing.assert_allclose(counts[:, 1], [0, 0, 1, 0])
    torch.plots.histograms([torch.zeros(3)])
    torch.plots.histograms([torch.zeros(0, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16)])
    with pytest.raises(ValueError, match="no steps"):
        torch.plots.histograms([])


def test_loss_curves():
    *_, losses, _ = trained()
    ax = torch.plots.loss_curve(losses)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [float(v) for v in losses])
    assert ax.get_yscale() == "log"
    ax = torch.plots.loss_curve({"a": [1.0, 0.0], "b": [-1.0, 2.0]}, smooth=0.5)
    assert ax.get_yscale() == "linear"
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [1.0, 1 / 3])
    with pytest.raises(ValueError, match=r"smooth must be in \[0, 1\)"):
        torch.plots.loss_curve([1.0], smooth=1.0)


def test_a_landscape_leaves_the_parameters_as_they_were():
    net, loss, _, path = trained()
    before = [p.detach().clone() for p in net.parameters()]
    ax = torch.plots.landscape(loss, net.parameters(), path=path, points=5)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))
    line = ax.lines[0]
    assert len(line.get_xdata()) == len(path)
    low, high = ax.get_xlim()
    assert low < min(line.get_xdata()) and max(line.get_xdata()) < high
    torch.plots.landscape(loss, net.parameters(), points=4)

    def fails():
        raise ValueError("no loss")

    with pytest.raises(ValueError, match="no loss"):
        torch.plots.landscape(fails, net.parameters(), points=4)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))


def test_the_path_is_drawn_where_its_losses_are():
    """On a bowl of two parameters the plane holds the whole path: heights are the losses."""
    p = torch.tensor([0.0, 0.0], requires_grad=True)

    def loss():
        return (p * p * torch.tensor([1.0, 4.0])).sum()

    path = [[torch.tensor([1.0, 1.0])], [torch.tensor([0.5, 0.2])], [torch.tensor([0.0, 0.0])]]
    ax = torch.plots.landscape(loss, [p], path=path, points=9)
    x, y = (np.asarray(d) for d in (ax.lines[0].get_xdata(), ax.lines[0].get_ydata()))
    np.testing.assert_allclose(np.hypot(x, y), [math.sqrt(2), math.hypot(0.5, 0.2), 0], atol=1e-6)


def test_matrices_and_their_sparsity():
    jacobian = torch.func.jacrev(lambda x: x[1:] - x[:-1])(torch.ones(5))
    ax = torch.plots.matrix(jacobian)
    image = ax.images[0].get_array()
    assert np.ma.count_masked(np.ma.masked_invalid(image)) == 20 - 8
    assert ax.get_title().startswith("8 of 20 entries")
    sparse = torch.func.sparse_jacobian(lambda x: x[1:] - x[:-1], torch.ones(5))
    assert torch.plots.matrix(sparse).get_title() == ax.get_title()
    hessian = torch.func.hessian(lambda x: (x**3).sum())(torch.ones(2, 3))
    assert torch.plots.matrix(hessian).images[0].get_array().shape == (6, 6)
    assert torch.plots.matrix(torch.tensor([[1j, 0]])).get_title().startswith("1 of 2")


def test_the_gradient_along_its_way():
    with torch.explaining():
        x = y = torch.tensor([1.0, 2.0], requires_grad=True)
        for _ in range(8):
            y = y * 1e-2
        y.sum().backward()
    found = torch.explain(x)
    assert found.cause == "tiny"
    ax = torch.plots.gradient_path(found)
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(heights, [1] + [1e-2**k for k in range(8)], rtol=1e-5)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["sum"] + ["mul"] * 8
    assert ax.get_yscale() == "log" and ax.get_title() == "tiny by mul"


def profiled(**options):
    x = torch.ones(100, requires_grad=True)
    with torch.profiler.profile(**options) as seen, torch.profiler.record_function("all"):
        x.exp().sum().backward()
    return seen


def test_events_over_time():
    seen = profiled()
    ax = torch.plots.timeline(seen)
    assert len(ax.patches) == sum(event.cpu_time_total > 0 for event in seen.events())
    widths = {round(bar.get_y() + 0.45): bar.get_width() for bar in ax.patches}
    assert widths[0] == max(bar.get_width() for bar in ax.patches)
    assert any(text.get_text() == "all" for text in ax.texts)
    assert torch.plots.timeline(seen.profiler, ax) is ax


def test_memory_over_time():
    ax = torch.plots.memory(profiled(profile_memory=True))
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.max() >= 400 / 1024
    with pytest.raises(ValueError, match="without profile_memory=True"):
        torch.plots.memory(profiled())


def test_layers_of_a_summary():
    inner = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(3, 1))
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), inner)
    found = torch.summary(net, torch.ones(4, 2))
    ax = torch.plots.layers(found)
    assert [bar.get_width() for bar in ax.patches] == [9, 0, 4]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0: Linear", "1.0: ReLU", "1.1: Linear"]
    assert [bar.get_width() for bar in torch.plots.layers(found, "flops").patches] == [48, 0, 24]
    assert len(torch.plots.layers(torch.summary(torch.nn.Linear(2, 3), torch.ones(1, 2))).patches) == 1
    with pytest.raises(ValueError, match="what must be 'parameters' or 'flops'"):
        torch.plots.layers(found, "bytes")
