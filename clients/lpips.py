"""Distances between images as a network sees them, with gradients."""

import contextlib
import io

import lpips
import torch

for net in ("alex", "squeeze"):
    torch.manual_seed(0)
    with contextlib.redirect_stdout(io.StringIO()):
        loss = lpips.LPIPS(pretrained=False, net=net, pnet_rand=True)
    x, y = torch.rand(1, 3, 64, 64, requires_grad=True), torch.rand(1, 3, 64, 64)
    found = loss(x, y)
    found.sum().backward()
    print(net, found.item(), x.grad.abs().sum().item())

TOLERANCE = 1e-4
REQUIRES = "lpips==0.1.4 torchvision==0.29.1 pillow==13.0.0 tqdm==4.70.1"
