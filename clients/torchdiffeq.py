"""Solutions of ordinary differential equations by five solvers, and gradients by the adjoint equation."""

import torch
from torchdiffeq import odeint, odeint_adjoint

REQUIRES = "torchdiffeq==0.2.5"

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
matrix = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
t = torch.linspace(0.0, 5.0, 20)
y0 = torch.tensor([2.0, 0.0])
for method in ("dopri5", "rk4", "dopri8", "adaptive_heun", "implicit_adams"):
    y = odeint(lambda t, y: (y**3) @ matrix, y0, t, method=method)
    print(method, *y[-1].tolist())


class Field(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))

    def forward(self, t, y):
        return self.net(y**3)


field = Field()
loss = odeint_adjoint(field, y0, t).square().sum()
loss.backward()
print("adjoint", loss.item(), sum(p.grad.abs().sum() for p in field.parameters()).item())
