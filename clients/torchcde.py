"""A neural controlled differential equation that classifies spirals."""

import torch
import torchcde

REQUIRES = "torchcde==0.2.5 torchdiffeq==0.2.5 torchsde==0.2.6 trampoline==0.1.2"

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
t = torch.linspace(0, 3, 30)
start = 6.28 * torch.rand(16)
turns = torch.where(torch.arange(16) < 8, 1.0, -1.0)
angle = start[:, None] + turns[:, None] * t
x = torch.stack([t.expand(16, 30), torch.cos(angle) / (1 + t), torch.sin(angle) / (1 + t)], dim=-1)
y = (turns > 0).double()
coefficients = torchcde.hermite_cubic_coefficients_with_backward_differences(x)


class Field(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = torch.nn.Linear(8, 32), torch.nn.Linear(32, 24)

    def forward(self, t, z):
        return self.last(self.first(z).relu()).tanh().view(*z.shape[:-1], 8, 3)


field, initial, readout = Field(), torch.nn.Linear(3, 8), torch.nn.Linear(8, 1)
parameters = [p for m in (field, initial, readout) for p in m.parameters()]
optimizer = torch.optim.Adam(parameters, lr=0.01)
for _ in range(5):
    path = torchcde.CubicSpline(coefficients)
    z0 = initial(path.evaluate(path.interval[0]))
    z = torchcde.cdeint(X=path, func=field, z0=z0, t=path.interval, method="rk4", options={"step_size": 0.1})
    loss = torch.nn.functional.binary_cross_entropy_with_logits(readout(z[:, 1]).squeeze(-1), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("loss", loss.item())
print(
    "linear",
    torchcde.LinearInterpolation(torchcde.linear_interpolation_coeffs(x)).evaluate(1.234).sum().item(),
)
