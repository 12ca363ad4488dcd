"""Curvature of a loss as linear operators for SciPy: Hessian, Gauss-Newton, Fisher."""

import numpy as np
import torch
from curvlinops import EFLinearOperator, GGNLinearOperator, HessianLinearOperator

REQUIRES = (
    "curvlinops-for-pytorch==3.0.1 backpack-for-pytorch==1.7.1 unfoldNd==0.2.3 einops==0.8.2 "
    "einconv==0.1.0 tqdm==4.70.1"
)

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
net = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
data = [(torch.randn(6, 4), torch.randint(3, (6,))) for _ in range(2)]
parameters = list(net.parameters())
for kind in (HessianLinearOperator, GGNLinearOperator, EFLinearOperator):
    operator = kind(net, torch.nn.CrossEntropyLoss(), parameters, data)
    v = torch.linspace(-1, 1, operator.shape[1])
    print(kind.__name__, *(operator @ v)[:5].tolist(), (operator @ v).abs().sum().item())
    matrix = operator.to_scipy() @ np.eye(operator.shape[1])
    print("eigenvalue", float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1]))
