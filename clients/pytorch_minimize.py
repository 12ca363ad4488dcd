"""Minima of Rosenbrock's function and of a least squares problem, by nine methods."""

import torch
import torchmin

REQUIRES = "pytorch-minimize==0.1.0"

torch.set_default_dtype(torch.float64)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


x0 = torch.tensor([1.3, 0.7, 0.8, 1.9, 1.2])
for method in ("bfgs", "l-bfgs", "cg", "newton-cg", "newton-exact", "trust-ncg", "trust-exact"):
    found = torchmin.minimize(rosenbrock, x0, method=method, max_iter=200)
    print(
        method,
        bool(found.success),
        round(found.fun.item(), 10),
        found.nit if method.startswith("newton") else 0,
        *[round(v, 4) for v in found.x.tolist()],
    )
t = torch.linspace(0, 2, 20)
y = 2.0 * torch.exp(-1.3 * t) + 0.5
fit = torchmin.least_squares(lambda p: p[0] * torch.exp(-p[1] * t) + p[2] - y, torch.ones(3))
print("fit", *[round(v, 8) for v in fit.x.tolist()])
bounded = torchmin.minimize_constr(rosenbrock, x0, bounds=(0.0, 0.9))
print("bounded", *[round(v, 3) for v in bounded.x.tolist()])
