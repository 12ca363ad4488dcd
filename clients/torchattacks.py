"""Attacks on a small classifier of images."""

import torch
import torchattacks

REQUIRES = "torchattacks==3.5.1 tqdm==4.70.1"

torch.manual_seed(0)
net = torch.nn.Sequential(
    torch.nn.Conv2d(1, 4, 3, padding=1),
    torch.nn.ReLU(),
    torch.nn.AdaptiveAvgPool2d(4),
    torch.nn.Flatten(),
    torch.nn.Linear(64, 3),
).eval()
x, y = torch.rand(5, 1, 12, 12), torch.randint(3, (5,))
for attack in (
    torchattacks.FGSM(net, eps=0.05),
    torchattacks.BIM(net, eps=0.05, alpha=0.01, steps=5),
    torchattacks.PGD(net, eps=0.05, alpha=0.01, steps=5, random_start=True),
    torchattacks.MIFGSM(net, eps=0.05, steps=5),
    torchattacks.CW(net, c=1, steps=5),
    torchattacks.DeepFool(net, steps=5),
):
    torch.manual_seed(1)
    changed = attack(x, y)
    print(
        attack.attack,
        (changed - x).abs().sum().item(),
        torch.nn.functional.cross_entropy(net(changed), y).item(),
    )
