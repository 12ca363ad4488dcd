"""Optimizers as functions: steps that gradients go through, implicit gradients, schedules."""

import torch
import torchopt

torch.manual_seed(0)
net = torch.nn.Linear(4, 1)
x, y = torch.randn(16, 4), torch.randn(16, 1)
for name in ("adam", "sgd", "rmsprop", "adamw", "adagrad", "radam"):
    optimizer = getattr(torchopt, name)(0.1)
    params = tuple(p.detach().clone().requires_grad_() for p in net.parameters())
    state = optimizer.init(params)
    for _ in range(3):
        loss = (x @ params[0].T + params[1] - y).square().mean()
        grads = torch.autograd.grad(loss, params)
        updates, state = optimizer.update(grads, state, params=params, inplace=False)
        params = torchopt.apply_updates(params, updates, inplace=False)
    print(name, loss.item(), *(p.sum().item() for p in params))
meta = torch.tensor(1.0, requires_grad=True)
inner = torchopt.MetaSGD(net, lr=0.1)
before = torchopt.extract_state_dict(net)
for _ in range(3):
    inner.step(meta * (net(x) - y).square().mean())
(slope,) = torch.autograd.grad((net(x) - y).square().mean(), meta)
print("through", slope.item())
torchopt.recover_state_dict(net, before)
adam = torchopt.FuncOptimizer(torchopt.adam(lr=0.1))
params = adam.step((params[0].square().sum() + params[1].square().sum()), params)
print("function", *(p.sum().item() for p in params))
schedule = torchopt.schedule.linear_schedule(1.0, 0.1, 10, 2)
print("schedule", *(float(schedule(i)) for i in (0, 5, 20)))


@torchopt.diff.implicit.custom_root(
    lambda p, data: torch.func.grad(lambda q: ((q - data) ** 2).sum() + 0.5 * (q**2).sum())(p), argnums=1
)
def solve(p, data):
    return (data / 1.5).detach()


data = torch.randn(3, requires_grad=True)
solve(torch.zeros(3), data).sum().backward()
print("implicit", *data.grad.tolist())

REQUIRES = "torchopt==0.7.3 optree==0.20.0 typing_extensions==4.16.0 graphviz==0.21"
