"""More than gradients from one backward pass: variances, norms and second derivatives."""

import torch
from backpack import backpack, extend
from backpack.extensions import (
    KFLR,
    BatchGrad,
    BatchL2Grad,
    DiagGGNExact,
    DiagHessian,
    SumGradSquared,
    Variance,
)

REQUIRES = "backpack-for-pytorch==1.7.1 unfoldNd==0.2.3 einops==0.8.2"

torch.manual_seed(0)
net = extend(torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Sigmoid(), torch.nn.Linear(7, 3)))
criterion = extend(torch.nn.CrossEntropyLoss())
x, y = torch.randn(8, 5), torch.randint(3, (8,))
with backpack(
    BatchGrad(), BatchL2Grad(), SumGradSquared(), Variance(), DiagGGNExact(), DiagHessian(), KFLR()
):
    criterion(net(x), y).backward()
for name, p in net.named_parameters():
    print(
        name,
        p.grad_batch.abs().sum().item(),
        p.batch_l2.sum().item(),
        p.sum_grad_squared.sum().item(),
        p.variance.sum().item(),
        p.diag_ggn_exact.sum().item(),
        p.diag_h.sum().item(),
        *(f.abs().sum().item() for f in p.kflr),
    )
