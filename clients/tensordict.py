"""Dicts of tensors with a batch: indices, views, modules that read and write them, memory maps, vmap."""

import tempfile

import torch
from tensordict import LazyStackedTensorDict, TensorDict, tensorclass
from tensordict.nn import (
    NormalParamExtractor,
    ProbabilisticTensorDictModule,
    ProbabilisticTensorDictSequential,
    TensorDictModule,
    TensorDictSequential,
)

torch.manual_seed(0)
data = TensorDict({"a": torch.randn(4, 3), "inner": {"b": torch.arange(8).reshape(4, 2)}}, batch_size=[4])
print("keys", *map(str, data.keys(include_nested=True, leaves_only=True)))
print("part", *data[1:3]["a"].flatten().tolist(), *data[2]["inner", "b"].tolist())
print("shapes", *data.reshape(2, 2).shape, *data.unsqueeze(0).expand(3, 4).shape, *data.view(2, 2)["a"].shape)
print("joined", *torch.cat([data, data], 0).shape, *torch.stack([data, data], 1)["inner", "b"].shape)
print("gathered", data.gather(0, torch.tensor([3, 1]))["a"].sum().item())
print("applied", (data.float() + 1).apply(torch.sqrt)["inner", "b"].sum().item())
print("lazy", *LazyStackedTensorDict.lazy_stack([data[0], data[1]], 0)["a"].shape)
data["c"] = data["a"].exp()
data.rename_key_("c", "d").set_("a", torch.zeros(4, 3))
print("set", data["d"].sum().item(), data["a"].sum().item())
with tempfile.TemporaryDirectory() as folder:
    data.memmap(folder)
    print("mapped", (TensorDict.load_memmap(folder) == data).all())
print("split", *(part["d"].sum().item() for part in data.split(2)), len(data.unbind(0)))


@tensorclass
class Sample:
    image: torch.Tensor
    label: torch.Tensor


sample = Sample(torch.ones(5, 2), torch.arange(5), batch_size=[5])
print("class", *sample[1:3].label.tolist(), *torch.stack([sample, sample]).image.shape)

net = TensorDictSequential(
    TensorDictModule(torch.nn.Linear(3, 4), in_keys=["d"], out_keys=["hidden"]),
    TensorDictModule(torch.nn.Tanh(), in_keys=["hidden"], out_keys=["hidden"]),
    TensorDictModule(
        torch.nn.Sequential(torch.nn.Linear(4, 4), NormalParamExtractor()), ["hidden"], ["loc", "scale"]
    ),
)
policy = ProbabilisticTensorDictSequential(
    net,
    ProbabilisticTensorDictModule(
        in_keys=["loc", "scale"],
        out_keys=["action"],
        distribution_class=torch.distributions.Normal,
        default_interaction_type="random",
        return_log_prob=True,
    ),
)
torch.manual_seed(1)
out = policy(data)
print("policy", out["action"].sum().item(), *out["action_log_prob"].flatten().tolist())
out["action_log_prob"].sum().backward()
print("grads", *(p.grad.abs().sum().item() for p in net.parameters()))
weights = TensorDict.from_module(net)
with (weights * 2).to_module(net):
    print("doubled", net(data)["loc"].sum().item())
stacked = torch.stack([weights.detach(), weights.detach() * 0.5])


def run(params, x):
    with params.to_module(net):
        return net(x)["loc"]


print("vmap", *torch.vmap(run, (0, None))(stacked, data).sum((1, 2)).tolist())
print("vmap", *torch.vmap(lambda x: x["a"] + x["inner", "b"].sum(), 0)(data).sum(1).tolist())

REQUIRES = (
    "tensordict==0.15.3 cloudpickle==3.1.3 pyvers==0.2.3 packaging==26.4 orjson==3.13.0 "
    "importlib_metadata==10.2.0 zipp==4.1.2 typing_extensions==4.16.0"
)
