"""Dictionaries of tensors with a batch, as modules and memory."""

import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictSequential

REQUIRES = "tensordict==0.15.3 cloudpickle==3.1.3 packaging==26.4 pyvers==0.2.3"

torch.manual_seed(0)
data = TensorDict({"x": torch.randn(4, 3), "inner": {"y": torch.arange(8.0).reshape(4, 2)}}, batch_size=[4])
print("shapes", *data.shape, *data["inner"].shape, *data["inner", "y"].shape)
print(
    "sums",
    data[1:3]["x"].sum().item(),
    data.apply(lambda t: t * 2)["inner", "y"].sum().item(),
    torch.stack([data, data], 0).sum(dim=0)["x"].sum().item(),
)
net = TensorDictSequential(
    TensorDictModule(torch.nn.Linear(3, 5), ["x"], ["h"]), TensorDictModule(torch.nn.Tanh(), ["h"], ["out"])
)
out = net(data)
out["out"].sum().backward()
print("net", out["out"].sum().item(), sum(p.grad.abs().sum() for p in net.parameters()).item())
parameters = TensorDict.from_module(net)
with parameters.data.to_module(net):
    print("functional", net(data)["out"].sum().item(), len(list(parameters.keys(True, True))))
print(
    "reshaped",
    *data.reshape(2, 2).shape,
    *data.unsqueeze(0).expand(2, 4)["x"].shape,
    data.flatten_keys(".")["inner.y"].sum().item(),
)
