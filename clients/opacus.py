"""Training with differential privacy: gradients for each sample, clipped, with noise."""

import torch
from opacus import PrivacyEngine
from opacus.grad_sample import GradSampleModule

REQUIRES = "opacus==1.6.0 opt_einsum==3.4.0"

torch.manual_seed(0)
net = torch.nn.Sequential(
    torch.nn.Linear(10, 16), torch.nn.ReLU(), torch.nn.LayerNorm(16), torch.nn.Linear(16, 2)
)
x, y = torch.randn(128, 10), torch.randint(2, (128,))
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=32)
optimizer = torch.optim.SGD(net.parameters(), lr=0.2)
engine = PrivacyEngine(accountant="rdp")
net, optimizer, loader = engine.make_private(
    module=net,
    optimizer=optimizer,
    data_loader=loader,
    noise_multiplier=1.1,
    max_grad_norm=1.0,
    poisson_sampling=False,
)
for _ in range(2):
    for a, b in loader:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(a), b)
        loss.backward()
        optimizer.step()
print("loss", loss.item(), engine.get_epsilon(1e-5))
print("weights", *(p.abs().sum().item() for p in net.parameters()))
several = GradSampleModule(
    torch.nn.Sequential(torch.nn.Conv1d(2, 3, 3), torch.nn.GroupNorm(1, 3), torch.nn.Flatten())
)
several(torch.randn(4, 2, 8)).square().sum().backward()
print("samples", *(p.grad_sample.square().sum().item() for p in several.parameters()))
