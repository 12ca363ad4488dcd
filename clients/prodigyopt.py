"""Training with the optimizer Prodigy, which finds its own rate."""

import torch
from prodigyopt import Prodigy

REQUIRES = "prodigyopt==1.1.2"

torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
x, y = torch.randn(64, 6), torch.randint(3, (64,))
optimizer = Prodigy(net.parameters(), weight_decay=0.01, safeguard_warmup=True)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40)
for step in range(40):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 10 == 9:
        print("loss", loss.item(), optimizer.param_groups[0]["d"])
