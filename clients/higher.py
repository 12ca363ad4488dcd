"""Meta-learning: gradients through the steps of an inner optimizer."""

import higher
import torch

REQUIRES = "higher==0.2.1"
QUICK = True

torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(3, 10), torch.nn.Tanh(), torch.nn.Linear(10, 1))
x, y = torch.randn(20, 3), torch.randn(20, 1)
for kind in (torch.optim.SGD, torch.optim.Adam):
    inner = kind(net.parameters(), lr=0.05)
    net.zero_grad()
    with higher.innerloop_ctx(net, inner, copy_initial_weights=False) as (fast, steps):
        for _ in range(4):
            steps.step((fast(x) - y).square().mean())
        outer = (fast(x[:5]) - y[:5]).abs().mean()
        outer.backward()
    print(kind.__name__, outer.item(), *(p.grad.abs().sum().item() for p in net.parameters()))
