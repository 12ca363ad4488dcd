"""Optimal transport: exact and regularised plans, barycentres, Gromov distances, with gradients."""

import ot
import torch

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
x, y = torch.randn(12, 2, requires_grad=True), torch.randn(9, 2) + 1
a, b = torch.full((12,), 1 / 12), torch.full((9,), 1 / 9)
cost = ot.dist(x, y)
for name, find in {
    "emd": lambda: ot.emd2(a, b, cost),
    "sinkhorn": lambda: ot.sinkhorn2(a, b, cost, 0.5),
    "log": lambda: ot.sinkhorn2(a, b, cost, 0.5, method="sinkhorn_log"),
    "unbalanced": lambda: ot.unbalanced.sinkhorn_unbalanced2(a, b, cost, 0.5, 1.0),
    "sliced": lambda: ot.sliced_wasserstein_distance(x, y, n_projections=20, seed=0),
    "divergence": lambda: ot.bregman.empirical_sinkhorn_divergence(x, y, 0.5),
    "bures": lambda: ot.gaussian.empirical_bures_wasserstein_distance(x, y),
}.items():
    found = find()
    (slope,) = torch.autograd.grad(found, x, retain_graph=True)
    print(name, found.item(), slope.abs().sum().item())
print("line", ot.wasserstein_1d(x[:, 0], y[:, 0], p=2).item())
c1, c2 = ot.dist(x.detach(), x.detach()), ot.dist(y, y)
print("gromov", ot.gromov.gromov_wasserstein2(c1, c2, a, b).item())
print("entropic", ot.gromov.entropic_gromov_wasserstein2(c1, c2, a, b, epsilon=1.0).item())
print("partial", ot.partial.partial_wasserstein2(a, b, cost.detach(), m=0.5).item())
weights = torch.rand(5, 3)
grid = torch.arange(5.0)[:, None]
print("barycentre", *ot.bregman.barycenter(weights / weights.sum(0), ot.dist(grid, grid), 1.0).tolist())
print("plan", ot.solve(cost.detach(), a, b, reg=0.3).plan.max().item())

REQUIRES = "POT==0.9.7.post1"
