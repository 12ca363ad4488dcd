"""The table of a network's layers, shapes and parameters."""

import contextlib
import io

import torch
from torchsummary import summary

REQUIRES = "torchsummary==1.5.1"
QUICK = True

net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 3),
    torch.nn.BatchNorm2d(8),
    torch.nn.ReLU(),
    torch.nn.MaxPool2d(2),
    torch.nn.Flatten(),
    torch.nn.Linear(8 * 49, 10),
)
text = io.StringIO()
with contextlib.redirect_stdout(text):
    summary(net, (3, 16, 16), device="cpu")
for line in text.getvalue().splitlines():
    if line.strip():
        print("line", *line.split())
