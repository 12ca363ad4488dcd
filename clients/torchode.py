"""A batch of differential equations, each with steps of its own."""

import torch
import torchode

REQUIRES = "torchode==1.0.1 torchtyping==0.1.5 typeguard==2.13.3 typing_extensions==4.16.0"

torch.set_default_dtype(torch.float64)
mu = torch.linspace(0.5, 3, 6)


def van_der_pol(t, y):
    x, v = y[..., 0], y[..., 1]
    return torch.stack((v, mu * (1 - x**2) * v - x), dim=-1)


y0 = torch.tensor([[2.0, 0.0]]).repeat(6, 1)
times = torch.stack([torch.linspace(0, 2 + k, 5) for k in range(6)])
for method in (torchode.Dopri5, torchode.Tsit5):
    term = torchode.ODETerm(van_der_pol)
    control = torchode.IntegralController(atol=1e-8, rtol=1e-6, term=term)
    solver = torchode.AutoDiffAdjoint(method(term=term), control)
    solution = solver.solve(torchode.InitialValueProblem(y0=y0, t_eval=times))
    print(method.__name__, *solution.ys[:, -1].flatten().tolist())
    print("steps", *solution.stats["n_steps"].tolist(), *solution.stats["n_accepted"].tolist())
