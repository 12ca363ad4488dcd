"""Makes the pictures of the pages on seeing gradients, from code that runs when the site is built.

`python docs/make_drawings.py` makes `drawings/page.png` anew, the one that is kept: how the page of a drawing
looks in a browser, which the site's build need not have.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pullback as torch

KEPT = Path(__file__).parent / "drawings" / "page.png"


def network() -> torch.nn.Sequential:
    """The network in the pictures."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))


def _data() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(64, 4)
    return x, x.sum(1, keepdim=True).sin()


def graph() -> str:
    """A network with the norms of its gradients."""
    net, (x, y) = network(), _data()
    with torch.explaining():
        loss = torch.nn.functional.mse_loss(net(x), y)
    loss.backward(retain_graph=True)
    return torch.draw(loss, names=net).svg()


def gradient_path(ax: Any) -> None:
    """A gradient that grows on its way."""
    with torch.explaining():
        x = start = torch.tensor([1.0, 2.0], requires_grad=True)
        for _ in range(8):
            x = (x * 5).tanh() * 5
        x.sum().backward()
    torch.plots.gradient_path(torch.explain(start), ax)


def timeline(ax: Any) -> None:
    """A step of training."""
    net, (x, y) = network(), _data()
    optimizer = torch.optim.Adam(net.parameters())

    def step() -> None:
        optimizer.zero_grad()
        with torch.profiler.record_function("forward"):
            loss = torch.nn.functional.mse_loss(net(x), y)
        with torch.profiler.record_function("backward"):
            loss.backward()
        optimizer.step()

    for _ in range(5):
        step()
    with torch.profiler.profile() as seen:
        step()
    torch.plots.timeline(seen, ax)


def memory(ax: Any) -> None:
    """The memory of a step of training."""
    net, (x, y) = network(), _data()
    torch.nn.functional.mse_loss(net(x), y).backward()
    with torch.profiler.profile(profile_memory=True) as seen:
        torch.nn.functional.mse_loss(net(x), y).backward()
    torch.plots.memory(seen, ax)


def layers(ax: Any) -> None:
    """The operations of a network of convolutions."""
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 144, 10)
    )
    torch.plots.layers(torch.summary(net, torch.ones(1, 1, 16, 16)), "flops", ax)


def _trained() -> tuple[torch.nn.Sequential, Callable[[], torch.Tensor], list[float], list[Any], list[Any]]:
    net, (x, y) = network(), _data()
    optimizer = torch.optim.SGD(net.parameters(), 0.2)
    losses, path, weights = [], [], []

    def loss() -> torch.Tensor:
        return torch.nn.functional.mse_loss(net(x), y)

    for _ in range(40):
        path.append([p.detach().clone() for p in net.parameters()])
        weights.append(net[0].weight.detach().clone())
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return net, loss, losses, path, weights


def flow(ax: Any) -> None:
    """The gradients of a network by layer."""
    torch.plots.gradient_flow(_trained()[0], ax)


def curve(ax: Any) -> None:
    """A loss over the steps."""
    torch.plots.loss_curve(_trained()[2], ax, smooth=0.8)


def spread(ax: Any) -> None:
    """Weights over the steps."""
    torch.plots.histograms(_trained()[4], ax, bins=20)


def landscape(ax: Any) -> None:
    """A loss around the way of the optimizer."""
    net, loss, _, path, _ = _trained()
    torch.plots.landscape(loss, net.parameters(), ax, path=path, points=15)


def matrix(ax: Any) -> None:
    """A Jacobian with its zeros."""
    torch.plots.matrix(torch.func.jacrev(lambda x: (x[1:] - x[:-1]) ** 3)(torch.linspace(0, 1, 12)), ax)


PLOTS = (gradient_path, timeline, memory, layers, flow, curve, spread, landscape, matrix)


def plotted(draw: Callable[[Any], None]) -> str:
    """A plot as SVG, the same each time that the numbers are."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pullback"}):
        figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
        draw(ax)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
        plt.close(figure)
    return text.getvalue()


def drawings() -> dict[str, str]:
    """SVG by path."""
    found = {"drawings/graph.svg": graph()}
    return found | {f"drawings/{draw.__name__}.svg": plotted(draw) for draw in PLOTS}


def screenshot(path: Path) -> None:
    """How the page of a drawing looks in Chromium."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("there is no Chromium to show the page")
    inner = torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Linear(8, 1))
    torch.manual_seed(0)
    drawing = torch.draw(torch.nn.Sequential(torch.nn.Linear(4, 8), inner), torch.ones(2, 4))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(drawing.html(), encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=900,560"]
        subprocess.run([browser, *options, f"--screenshot={path}", page.as_uri()], check=True)


if __name__ == "__main__":
    KEPT.parent.mkdir(exist_ok=True)
    screenshot(KEPT)
