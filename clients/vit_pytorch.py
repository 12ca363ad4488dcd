"""Vision transformers: forward and backward."""

import torch
from vit_pytorch import SimpleViT, ViT

REQUIRES = "vit-pytorch==1.26.14 einops==0.8.2 torchvision==0.29.1 pillow==13.0.0"

torch.manual_seed(0)
x = torch.randn(2, 3, 32, 32)
for kind, options in ((ViT, {"dropout": 0.0}), (SimpleViT, {})):
    net = kind(image_size=32, patch_size=8, num_classes=5, dim=24, depth=2, heads=3, mlp_dim=48, **options)
    loss = net(x).square().sum()
    loss.backward()
    print(kind.__name__, loss.item(), sum(p.grad.abs().sum() for p in net.parameters()).item())
