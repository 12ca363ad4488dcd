"""A masked autoregressive flow with splines, trained on two moons."""

import torch
from nflows.distributions.normal import StandardNormal
from nflows.flows.base import Flow
from nflows.nn.nets import ResidualNet
from nflows.transforms.autoregressive import MaskedAffineAutoregressiveTransform
from nflows.transforms.base import CompositeTransform
from nflows.transforms.coupling import PiecewiseRationalQuadraticCouplingTransform
from nflows.transforms.permutations import ReversePermutation

REQUIRES = "nflows==0.14"

torch.manual_seed(0)
angle = 3.1416 * torch.rand(128)
side = (torch.arange(128) % 2).float()
x = torch.stack([torch.cos(angle) + side - 0.5, torch.sin(angle) * (1 - 2 * side) + 0.25 * side], dim=1)
parts = []
for _ in range(2):
    parts += [ReversePermutation(2), MaskedAffineAutoregressiveTransform(2, 16)]
parts.append(
    PiecewiseRationalQuadraticCouplingTransform(
        mask=torch.tensor([1, 0]),
        transform_net_create_fn=lambda i, o: ResidualNet(i, o, hidden_features=16, num_blocks=1),
        tails="linear",
        tail_bound=3.0,
    )
)
flow = Flow(CompositeTransform(parts), StandardNormal([2]))
optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3)
for step in range(15):
    optimizer.zero_grad()
    loss = -flow.log_prob(x).mean()
    loss.backward()
    optimizer.step()
    if step % 5 == 4:
        print("loss", loss.item())
with torch.no_grad():
    print("samples", *flow.sample(3).flatten().tolist())
