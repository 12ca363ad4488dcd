"""Integrals in several dimensions, with gradients."""

import torch
from torchquad import Boole, GaussLegendre, MonteCarlo, Simpson, Trapezoid

REQUIRES = "torchquad==0.6.0 autoray==0.11.0 loguru==0.7.3 tqdm==4.70.1"

torch.set_default_dtype(torch.float64)
k = torch.tensor(1.5, requires_grad=True)


def f(x):
    return torch.sin(k * x[:, 0]) * torch.exp(-(x[:, 1] ** 2)) + x[:, 0]


for kind, n in ((Trapezoid, 2500), (Simpson, 2601), (Boole, 2601), (GaussLegendre, 400)):
    value = kind().integrate(f, dim=2, N=n, integration_domain=[[0, 2], [-1, 1]], backend="torch")
    (g,) = torch.autograd.grad(value, k)
    print(kind.__name__, value.item(), g.item())
value = MonteCarlo().integrate(
    f, dim=2, N=20000, integration_domain=[[0, 2], [-1, 1]], seed=3, backend="torch"
)
print("MonteCarlo", value.item())
