"""Training with the optimizer Lion."""

import torch
from lion_pytorch import Lion

REQUIRES = "lion-pytorch==0.2.5"
QUICK = True

torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
x, y = torch.randn(64, 6), torch.randint(3, (64,))
optimizer = Lion(net.parameters(), lr=3e-3, weight_decay=1e-2)
for step in range(40):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        print("loss", loss.item())
