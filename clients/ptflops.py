"""Counts of operations of a network by its modules."""

import torch
from ptflops import get_model_complexity_info

REQUIRES = "ptflops==0.7.5"
QUICK = True

net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 3),
    torch.nn.BatchNorm2d(8),
    torch.nn.ReLU(),
    torch.nn.AdaptiveAvgPool2d(2),
    torch.nn.Flatten(),
    torch.nn.Linear(32, 10),
)
print(
    "counts",
    *get_model_complexity_info(
        net, (3, 16, 16), as_strings=False, print_per_layer_stat=False, backend="pytorch"
    ),
)
