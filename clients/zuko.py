"""A conditional neural spline flow: training, densities, samples."""

import torch
import zuko

REQUIRES = "zuko==1.6.0"

torch.manual_seed(0)
flow = zuko.flows.NSF(2, 3, transforms=2, hidden_features=(32, 32))
optimizer = torch.optim.Adam(flow.parameters(), lr=3e-3)
c = torch.randn(128, 3)
x = torch.tanh(c[:, :2]) + 0.3 * torch.randn(128, 2)
for step in range(15):
    loss = -flow(c).log_prob(x).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 4:
        print("loss", loss.item())
with torch.no_grad():
    print("samples", *flow(c[0]).sample((3,)).flatten().tolist())
maf = zuko.flows.MAF(2, transforms=2, hidden_features=(16,))
print("maf", maf().log_prob(x).sum().item(), *maf().rsample((2,)).flatten().tolist())
