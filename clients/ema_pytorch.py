"""An exponential moving average of a network in training, saved and loaded."""

import io

import torch
from ema_pytorch import EMA

REQUIRES = "ema-pytorch==0.8.3"
QUICK = True

torch.manual_seed(0)
net = torch.nn.Sequential(
    torch.nn.Linear(5, 8), torch.nn.LayerNorm(8), torch.nn.ReLU(), torch.nn.Linear(8, 2)
)
ema = EMA(net, beta=0.9, update_after_step=3, update_every=2)
optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
x, y = torch.randn(32, 5), torch.randn(32, 2)
for _ in range(20):
    optimizer.zero_grad()
    (net(x) - y).square().mean().backward()
    optimizer.step()
    ema.update()
print("net", net(x).sum().item(), *(p.abs().sum().item() for p in net.parameters()))
print("average", *(p.abs().sum().item() for p in ema.ema_model.parameters()))
file = io.BytesIO()
torch.save(ema.state_dict(), file)
file.seek(0)
other = EMA(net, beta=0.9)
other.load_state_dict(torch.load(file))
ema.eval(), other.eval()
print("loaded", (other.ema_model.eval()(x) - ema.ema_model.eval()(x)).abs().max().item())
