"""Pictures of graphs as text for Graphviz: their nodes."""

import collections
import re

import torch
from torchviz import make_dot

REQUIRES = "torchviz==0.0.3 graphviz==0.21"
QUICK = True

x, w = torch.ones(2, 4, requires_grad=True), torch.ones(4, 5, requires_grad=True)
norm = torch.nn.LayerNorm(5)
y = norm(torch.tanh(x @ w + 1)).exp().sum(dim=0).sqrt()
text = make_dot((y[:3] / y.max()).mean(), params={**dict(norm.named_parameters()), "x": x, "w": w}).source
words = collections.Counter(re.findall(r"(\w+(?:Backward\d|Grad))\b", text))
for name, count in sorted(words.items()):
    print(name, count)
print("edges", text.count("->"))
