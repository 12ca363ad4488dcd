"""Rosenbrock's function by fifteen optimizers."""

import torch
import torch_optimizer

REQUIRES = "torch-optimizer==0.3.0 pytorch-ranger==0.1.1"

NAMES = (
    "AccSGD AdaBound AdaMod AdamP AggMo DiffGrad Lamb MADGRAD NovoGrad "
    "PID QHAdam QHM RAdam Ranger Yogi SWATS AdaBelief"
)
for name in NAMES.split():
    p = torch.tensor([-2.0, 2.0], dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch_optimizer, name)([p], lr=1e-3)
    for _ in range(50):
        optimizer.zero_grad()
        loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p], 1.0)
        optimizer.step()
    print(name, loss.item(), *p.tolist())
