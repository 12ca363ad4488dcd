"""Makes the drawings of the pages: graphs, drawn by `torch.draw` when the site is built."""

from __future__ import annotations

import pullback as torch


def drawings() -> dict[str, str]:
    """SVG by path."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    with torch.explaining():
        loss = torch.nn.functional.mse_loss(net(torch.rand(16, 4)), torch.rand(16, 1))
    loss.backward(retain_graph=True)
    return {"drawings/graph.svg": torch.draw(loss, names=net).svg()}
