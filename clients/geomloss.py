"""Sinkhorn divergences and kernel distances between clouds of points, with gradients."""

import torch
from geomloss import SamplesLoss

REQUIRES = "geomloss==0.3.1"
QUICK = True

torch.manual_seed(0)
x = torch.randn(60, 3, dtype=torch.float64, requires_grad=True)
y = torch.randn(50, 3, dtype=torch.float64) + 1
for loss in ("sinkhorn", "gaussian", "energy", "laplacian"):
    value = SamplesLoss(loss, p=2, blur=0.1, backend="tensorized")(x, y)
    (g,) = torch.autograd.grad(value, x)
    print(loss, value.item(), g.abs().sum().item())
