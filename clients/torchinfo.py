"""The summary of a network with its layers, shapes, parameters and products."""

import torch
from torchinfo import summary

REQUIRES = "torchinfo==1.8.0"
QUICK = True

net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(2), torch.nn.LSTM(36, 7, batch_first=True)
)
found = summary(
    net, (2, 3, 8, 8), verbose=0, col_names=("input_size", "output_size", "num_params", "mult_adds")
)
print("totals", found.total_params, found.trainable_params, found.total_mult_adds, found.total_output_bytes)
for line in str(found).splitlines():
    if "-" in line and "=" not in line:
        print("line", *line.split())
