"""Training without a schedule of learning rates: SGD and AdamW, in their train and eval modes."""

import schedulefree
import torch

REQUIRES = "schedulefree==1.4.1 typing_extensions==4.16.0"
QUICK = True

for kind, options in (
    (schedulefree.SGDScheduleFree, {"lr": 0.5}),
    (schedulefree.AdamWScheduleFree, {"lr": 0.01}),
    (schedulefree.RAdamScheduleFree, {"lr": 0.01}),
):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    x, y = torch.randn(64, 6), torch.randn(64, 1)
    optimizer = kind(net.parameters(), **options)
    optimizer.train()
    for _ in range(30):
        optimizer.zero_grad()
        (net(x) - y).square().mean().backward()
        optimizer.step()
    training = (net(x) - y).square().mean().item()
    optimizer.eval()
    print(kind.__name__, training, (net(x) - y).square().mean().item())
