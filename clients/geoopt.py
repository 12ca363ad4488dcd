"""Optimization on manifolds: spheres, hyperbolic balls, orthogonal and positive matrices."""

import geoopt
import torch

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
for name, manifold, shape in (
    ("sphere", geoopt.Sphere(), (4,)),
    ("ball", geoopt.PoincareBall(), (4,)),
    ("stiefel", geoopt.EuclideanStiefel(), (4, 2)),
    ("canonical", geoopt.CanonicalStiefel(), (4, 2)),
    ("positive", geoopt.SymmetricPositiveDefinite(), (3, 3)),
    ("lorentz", geoopt.Lorentz(), (4,)),
):
    start = torch.randn(*shape)
    if name == "positive":
        start = start @ start.T + torch.eye(3)
    away = torch.randn(*shape) * 0.3
    target = manifold.projx(away + torch.eye(*shape) if len(shape) == 2 else away)
    for kind in (geoopt.optim.RiemannianSGD, geoopt.optim.RiemannianAdam):
        x = geoopt.ManifoldParameter(manifold.projx(start.clone()), manifold=manifold)
        optimizer = kind([x], lr=0.05)
        for _ in range(5):
            optimizer.zero_grad()
            loss = (x - target).square().sum()
            loss.backward()
            optimizer.step()
        print(name, loss.item(), x.sum().item(), manifold.check_point_on_manifold(x.data, atol=1e-4))
ball = geoopt.PoincareBall(c=1.5)
a, b = (ball.expmap0(torch.randn(3, 4) * 0.4) for _ in range(2))
print("ball", *ball.dist(a, b).tolist(), ball.mobius_add(a, b).sum().item(), ball.logmap(a, b).sum().item())
print("carried", ball.transp(a, b, torch.ones(3, 4)).sum().item())

REQUIRES = "geoopt==0.5.1"
