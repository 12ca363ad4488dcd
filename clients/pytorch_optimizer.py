"""A small problem by twenty optimizers, and schedules."""

import pytorch_optimizer
import torch

REQUIRES = "pytorch_optimizer==4.1.0"

NAMES = (
    "adan adabelief adabound adamp adanorm adapnm came diffgrad lamb lion "
    "madgrad novograd ranger21 shampoo sophiah tiger stableadamw adopt grams"
)
for name in NAMES.split():
    torch.manual_seed(0)
    p = torch.tensor([[-1.5, 1.5], [0.5, -0.5]], dtype=torch.float32, requires_grad=True)
    kind = pytorch_optimizer.load_optimizer(name)
    options = {"num_iterations": 30} if name == "ranger21" else {}
    optimizer = kind([p], lr=1e-2, **options)
    for _ in range(30):
        optimizer.zero_grad()
        loss = (1 - p[:, 0]).square().sum() + 10 * (p[:, 1] - p[:, 0] ** 2).square().sum()
        loss.backward(create_graph=name == "sophiah")
        optimizer.step()
    print(name, loss.item(), *p.flatten().tolist())
