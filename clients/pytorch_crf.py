"""A conditional random field over sequences: likelihood, training, decoding."""

import torch
from torchcrf import CRF

REQUIRES = "pytorch-crf==0.7.2"
QUICK = True

torch.manual_seed(0)
crf = CRF(5, batch_first=True)
emissions = torch.randn(3, 7, 5, requires_grad=True)
tags = torch.randint(5, (3, 7))
mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2, [1] * 3 + [0] * 4]).bool()
optimizer = torch.optim.SGD(crf.parameters(), lr=0.1)
for _ in range(10):
    optimizer.zero_grad()
    loss = -crf(emissions, tags, mask=mask)
    loss.backward()
    optimizer.step()
print("loss", loss.item(), emissions.grad.abs().sum().item())
print("transitions", *crf.transitions.flatten().tolist())
for path in crf.decode(emissions, mask=mask):
    print("path", *path)
