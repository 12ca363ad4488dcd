"""Counts of products and parameters of layers."""

import torch
from thop import profile

REQUIRES = "thop==0.1.1.post2209072238"

net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 3, groups=1),
    torch.nn.BatchNorm2d(8),
    torch.nn.PReLU(),
    torch.nn.AvgPool2d(2),
    torch.nn.Flatten(),
    torch.nn.Linear(8 * 9, 10),
    torch.nn.Softmax(-1),
)
print("profile", *profile(net, inputs=(torch.ones(2, 3, 8, 8),), verbose=False))
print("lstm", *profile(torch.nn.LSTM(5, 6, num_layers=2), inputs=(torch.ones(4, 2, 5),), verbose=False))
