"""A normalizing flow of residual and spline couplings: likelihood and training."""

import normflows
import torch

REQUIRES = "normflows==1.7.3"

torch.manual_seed(0)
base = normflows.distributions.base.DiagGaussian(2)
flows = []
for _ in range(3):
    flows.append(normflows.flows.AffineCouplingBlock(normflows.nets.MLP([1, 16, 16, 2], init_zeros=True)))
    flows.append(normflows.flows.Permute(2, mode="swap"))
flows.append(normflows.flows.CoupledRationalQuadraticSpline(2, 1, 16))
model = normflows.NormalizingFlow(base, flows)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
x = torch.randn(128, 2) @ torch.tensor([[1.0, 0.8], [0.0, 0.3]]) + torch.tensor([0.5, -1.0])
for step in range(15):
    optimizer.zero_grad()
    loss = model.forward_kld(x)
    loss.backward()
    optimizer.step()
    if step % 5 == 4:
        print("loss", loss.item())
with torch.no_grad():
    z, logp = model.sample(4)
    print("samples", *z.flatten().tolist(), *logp.tolist())
