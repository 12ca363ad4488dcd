"""A stochastic differential equation along a given Brownian path, with gradients by the adjoint equation."""

import torch
import torchsde

REQUIRES = "torchsde==0.2.6 trampoline==0.1.2"
QUICK = True

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


class Field(torch.nn.Module):
    noise_type, sde_type = "diagonal", "ito"

    def __init__(self):
        super().__init__()
        self.drift, self.diffusion = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)

    def f(self, t, y):
        return torch.tanh(self.drift(y))

    def g(self, t, y):
        return 0.3 * torch.sigmoid(self.diffusion(y))


field, y0, ts = Field(), torch.ones(4, 3), torch.linspace(0, 1, 5)
for method in ("euler", "milstein", "srk"):
    path = torchsde.BrownianInterval(
        t0=0.0, t1=1.0, size=(4, 3), entropy=7, dtype=torch.float64, levy_area_approximation="space-time"
    )
    ys = torchsde.sdeint(field, y0, ts, bm=path, method=method, dt=0.05)
    print(method, *ys[-1].sum(0).tolist())
path = torchsde.BrownianInterval(t0=0.0, t1=1.0, size=(4, 3), entropy=7, dtype=torch.float64)
loss = torchsde.sdeint_adjoint(field, y0, ts, bm=path, method="euler", dt=0.05).square().sum()
loss.backward()
print("adjoint", loss.item(), sum(p.grad.abs().sum() for p in field.parameters()).item())
