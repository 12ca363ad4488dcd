"""Sparse mappings to the simplex, their losses and gradients."""

import torch
from entmax import Entmax15Loss, SparsemaxLoss, entmax15, entmax_bisect, sparsemax

REQUIRES = "entmax==1.3"
QUICK = True

torch.manual_seed(0)
x = torch.randn(4, 9, requires_grad=True)
for name, p in (
    ("sparsemax", sparsemax(x, dim=-1)),
    ("entmax15", entmax15(x, dim=-1)),
    ("bisect", entmax_bisect(x, alpha=1.3, dim=-1)),
):
    (g,) = torch.autograd.grad((p * torch.arange(9.0)).square().sum(), x)
    print(name, p.square().sum().item(), int((p == 0).sum()), g.abs().sum().item())
target = torch.tensor([0, 3, 8, 2])
for loss in (SparsemaxLoss(), Entmax15Loss()):
    value = loss(x, target)
    (g,) = torch.autograd.grad(value, x)
    print(type(loss).__name__, value.item(), g.square().sum().item())
