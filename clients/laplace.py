"""Laplace's approximation around a trained network: marginal likelihood and predictions."""

import torch
from laplace import Laplace

REQUIRES = (
    "laplace-torch==0.3 asdfghjkl==0.1a5 asdl==0.1.5 curvlinops-for-pytorch==3.0.1 "
    "backpack-for-pytorch==1.7.1 unfoldNd==0.2.3 einops==0.8.2 einconv==0.1.0 tqdm==4.70.1 "
    "opt_einsum==3.4.0 torchmetrics==1.9.0 lightning-utilities==0.15.2 packaging==26.4 "
    "typing_extensions==4.16.0"
)
TOLERANCE = 1e-4

torch.manual_seed(0)
x = torch.linspace(-2, 2, 40)[:, None]
y = torch.sin(2 * x) + 0.1 * torch.randn_like(x)
net = torch.nn.Sequential(torch.nn.Linear(1, 12), torch.nn.Tanh(), torch.nn.Linear(12, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
for _ in range(60):
    optimizer.zero_grad()
    (net(x) - y).square().mean().backward()
    optimizer.step()
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=20)
for structure in ("diag", "full"):
    la = Laplace(net, "regression", subset_of_weights="all", hessian_structure=structure)
    la.fit(loader)
    print(structure, la.log_marginal_likelihood(torch.ones(1), torch.full((1,), 0.1)).item())
    mean, variance = la(torch.tensor([[0.5], [3.0]]))
    print("predictions", *mean.flatten().tolist(), *variance.flatten().tolist())
