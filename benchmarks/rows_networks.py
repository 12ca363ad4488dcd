"""What is measured of training: a step of four networks, by modules and optimizers and by functions alone.

Written as rows.py, which includes these rows. What modules and optimizers cost is the difference of a pair.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from typing import Any

Step = Callable[[], Any]
Forward = Callable[[Any, Any], Any]  # parameters or modules, and the input, to logits
Network = tuple[Any, Forward, Any, Any]  # a module, what it computes of its parameters, inputs, targets


def mlp(torch: Any) -> Network:
    """784-256-10, batch 64."""
    nn, F = torch.nn, torch.nn.functional

    class MLP(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.out = nn.Linear(784, 256), nn.Linear(256, 10)

        def forward(self, x: Any) -> Any:
            return self.out(F.relu(self.hidden(x)))

    def forward(params: Any, x: Any) -> Any:
        w1, b1, w2, b2 = params
        return F.linear(F.relu(F.linear(x, w1, b1)), w2, b2)

    return MLP(), forward, torch.randn(64, 784), torch.randint(0, 10, (64,))


def cnn(torch: Any) -> Network:
    """Two convolutions with pooling and a linear layer, images of 28 x 28, batch 16."""
    nn, F = torch.nn, torch.nn.functional
    conv, relu, pool = nn.Conv2d, nn.ReLU, nn.MaxPool2d
    features = [conv(1, 8, 3, padding=1), relu(), pool(2), conv(8, 16, 3, padding=1), relu(), pool(2)]

    def forward(params: Any, x: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = params
        x = F.max_pool2d(F.relu(F.conv2d(x, w1, b1, padding=1)), 2)
        x = F.max_pool2d(F.relu(F.conv2d(x, w2, b2, padding=1)), 2)
        return F.linear(torch.flatten(x, 1), w3, b3)

    net = nn.Sequential(*features, nn.Flatten(), nn.Linear(16 * 7 * 7, 10))
    return net, forward, torch.randn(16, 1, 28, 28), torch.randint(0, 10, (16,))


def lstm(torch: Any) -> Network:
    """A language model: 64 characters, one layer of 128, 16 sequences of 32."""
    nn, F = torch.nn, torch.nn.functional

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.lstm = nn.Embedding(64, 32), nn.LSTM(32, 128, batch_first=True)
            self.head = nn.Linear(128, 64)

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(self.embed(x))[0]).flatten(0, 1)

    def forward(params: Any, x: Any) -> Any:
        table, *gates, w, b = params
        start = torch.zeros(1, 16, 128)
        x = torch.lstm(F.embedding(x, table), (start, start), gates, True, 1, 0.0, True, False, True)[0]
        return F.linear(x, w, b).flatten(0, 1)

    return Model(), forward, torch.randint(0, 64, (16, 32)), torch.randint(0, 64, (512,))


def gpt(torch: Any) -> Network:
    """Four blocks of width 128 with 4 heads, 64 characters, 8 sequences of 64."""
    nn, F = torch.nn, torch.nn.functional
    width, heads = 128, 4

    def attended(x: Any) -> Any:
        q, k, v = x.unflatten(2, (3, heads, width // heads)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.attend = nn.LayerNorm(width), nn.Linear(width, 3 * width)
            self.project, self.norm2 = nn.Linear(width, width), nn.LayerNorm(width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x: Any) -> Any:
            x = x + self.project(attended(self.attend(self.norm1(x))))
            return x + self.mlp(self.norm2(x))

    class GPT(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.place = nn.Embedding(64, width), nn.Embedding(64, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(4)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 64)

        def forward(self, x: Any) -> Any:
            x = self.embed(x) + self.place(torch.arange(64))
            return self.head(self.norm(self.blocks(x))).flatten(0, 1)

    def forward(params: Any, x: Any) -> Any:
        embed, place, *blocks, scale, shift, w, b = params
        x = F.embedding(x, embed) + F.embedding(torch.arange(64), place)
        for k in range(0, len(blocks), 12):
            g1, b1, wa, ba, wp, bp, g2, b2, w1, c1, w2, c2 = blocks[k : k + 12]
            y = F.linear(F.layer_norm(x, (width,), g1, b1), wa, ba)
            x = x + F.linear(attended(y), wp, bp)
            y = F.gelu(F.linear(F.layer_norm(x, (width,), g2, b2), w1, c1))
            x = x + F.linear(y, w2, c2)
        return F.linear(F.layer_norm(x, (width,), scale, shift), w, b).flatten(0, 1)

    return GPT(), forward, torch.randint(0, 64, (8, 64)), torch.randint(0, 64, (512,))


def by_modules(torch: Any, network: Callable[[Any], Network]) -> Step:
    """A step as programs have it."""
    torch.manual_seed(0)
    net, _, x, y = network(torch)
    criterion, optimizer = torch.nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters(), lr=1e-4)

    def step() -> Any:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def by_functions(torch: Any, network: Callable[[Any], Network]) -> Step:
    """The same step from functions of lists of tensors."""
    torch.manual_seed(0)
    net, forward, x, y = network(torch)
    params = [p.detach().clone().requires_grad_() for p in net.parameters()]
    means, squares = ([torch.zeros_like(p) for p in params] for _ in range(2))
    steps = [torch.tensor(0.0) for _ in params]
    cross_entropy, no_grad = torch.nn.functional.cross_entropy, torch.no_grad
    adam = import_module(f"{torch.__name__}.optim.adam").adam
    options = {"beta1": 0.9, "beta2": 0.999, "lr": 1e-4, "weight_decay": 0.0, "eps": 1e-8}

    def step() -> Any:
        for p in params:
            p.grad = None
        loss = cross_entropy(forward(params, x), y)
        loss.backward()
        with no_grad():
            grads = [p.grad for p in params]
            adam(params, grads, means, squares, [], steps, amsgrad=False, maximize=False, **options)
        return loss

    return step


NETWORKS = {
    "MLP 784-256-10, batch 64": mlp,
    "CNN of 28 x 28 images, batch 16": cnn,
    "LSTM of 128, 16 sequences of 32": lstm,
    "GPT of 4 blocks of 128, 8 sequences of 64": gpt,
}

# ------------------------------------------------------------------------- what every step asks of nn


def linear_module(torch: Any) -> Step:
    layer, x = torch.nn.Linear(8, 8), torch.randn(8, 8)
    return lambda: layer(x)


def linear_function(torch: Any) -> Step:
    layer, x, linear = torch.nn.Linear(8, 8), torch.randn(8, 8), torch.nn.functional.linear
    weight, bias = layer.weight, layer.bias
    return lambda: linear(x, weight, bias)


def many(torch: Any) -> tuple[Any, list[Any]]:
    """A net of 100 small layers, which has 200 parameters, and gradients for them."""
    net = torch.nn.Sequential(*[torch.nn.Linear(8, 8) for _ in range(100)])
    for p in net.parameters():
        p.grad = torch.randn_like(p)
    return net, [p.grad for p in net.parameters()]


def zero_grad(torch: Any) -> Step:
    net, grads = many(torch)
    pairs = list(zip(net.parameters(), grads, strict=True))

    def step() -> None:
        for p, grad in pairs:
            p.grad = grad
        net.zero_grad()

    return step


def clip_grad_norm(torch: Any) -> Step:
    net, _ = many(torch)
    params, clip = list(net.parameters()), torch.nn.utils.clip_grad_norm_
    return lambda: clip(params, 1.0)


def adam_step(torch: Any) -> Step:
    net, _ = many(torch)
    step: Step = torch.optim.Adam(net.parameters(), fused=True).step
    return step


def state_dict(torch: Any) -> Step:
    step: Step = many(torch)[0].state_dict
    return step


def save(torch: Any) -> Step:
    state = torch.nn.Sequential(*[torch.nn.Linear(8, 8) for _ in range(1000)]).state_dict()
    return lambda: torch.save(state, BytesIO())


MANY = {
    "zero_grad, 200 parameters": zero_grad,
    "clip_grad_norm_, 200 parameters": clip_grad_norm,
    "Adam(fused=True).step, 200 parameters": adam_step,
    "state_dict, 200 parameters": state_dict,
}
