"""Roots, minima, eigenvalues and integrals of functions, with gradients by implicit differentiation."""

import torch
import xitorch
from xitorch.integrate import quad, solve_ivp
from xitorch.linalg import solve, symeig
from xitorch.optimize import minimize, rootfinder

REQUIRES = "xitorch==0.5.1"

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
a = torch.randn(4, 4, requires_grad=True)


def equations(y, a):
    return torch.tanh(a @ y + 0.1) + y / 2.0


y = rootfinder(equations, torch.zeros(4, 1), params=(a,), f_tol=1e-12)
(g,) = torch.autograd.grad(y.square().sum(), a)
print("root", *y.flatten().tolist(), g.abs().sum().item())
low = minimize(
    lambda y, a: ((a @ y - 1) ** 2).sum() + (y**2).sum(),
    torch.zeros(4, 1),
    params=(a,),
    method="gd",
    step=1e-2,
    maxiter=3000,
    f_rtol=0,
    x_rtol=1e-12,
)
print("minimum", *low.flatten().tolist())
matrix = a @ a.T + torch.eye(4)
operator = xitorch.LinearOperator.m(matrix, is_hermitian=True)
values, vectors = symeig(operator, neig=2)
(g,) = torch.autograd.grad(values.sum(), a)
print("eigenvalues", *values.tolist(), g.abs().sum().item())
x = solve(operator, torch.ones(4, 1))
print("solve", *x.flatten().tolist())
k = torch.tensor(1.3)
print("integral", quad(lambda x, k: torch.exp(-k * x * x), -1.0, 2.0, params=(k,), n=40).item())
ts = torch.linspace(0, 1, 5)
path = solve_ivp(lambda t, y, k: -k * y, ts, torch.ones(1), params=(k,), method="rk4")
print("path", *path.flatten().tolist())
