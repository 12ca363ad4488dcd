"""`per_sample_grad` against a loop over the samples, for every op that takes parameters."""

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("PyTorch has no per_sample_grad")

F, nn = torch.nn.functional, torch.nn
DOUBLE = torch.float64
SAMPLES = 5


def whole(*shape):
    return torch.randint(0, 6, shape)


def case(f, x, *params):
    """A function of data and parameters, the shape of a sample (or a function that draws a batch), shapes."""
    return f, x, params


def columns(x, w):
    return (w @ x.t()).t()


def joined(x, p):
    return torch.cat([x, p.expand(x.shape[0], -1)], 1) * torch.cat([p, p])


def folded(x, w):
    return F.linear(x.flatten(0, 1), w).relu().reshape(x.shape[0], -1)


def in_chunks(x, w):
    return torch.cat([(part @ w).tanh() for part in x.split(2)])


def backwards(x, w):
    return (x.flip(0) @ w).exp()


def attended(x, q, k, v):
    heads = [F.linear(x, p).unflatten(-1, (2, -1)).transpose(1, 2) for p in (q, k, v)]
    return F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)


def masked(x, w):
    return x @ (w * torch.eye(3, dtype=DOUBLE))


CASES = {
    "add": case(torch.add, (3,), (3,)),
    "scale": case(torch.mul, (4, 3), (4, 1)),
    "matmul": case(torch.matmul, (3,), (3, 2)),
    "matmul of steps": case(torch.matmul, (4, 3), (3, 2)),
    "matrices": case(torch.matmul, (2, 4, 3), (3, 2)),
    "einsum": case(lambda x, w: torch.einsum("bti,oi->bto", x, w), (4, 3), (2, 3)),
    "addmm": case(lambda x, b, w: torch.addmm(b, x, w), (3,), (2,), (3, 2)),
    "linear": case(F.linear, (3,), (2, 3), (2,)),
    "linear of steps": case(F.linear, (4, 3), (2, 3), (2,)),
    "linear of images": case(F.linear, (2, 4, 3), (2, 3), (2,)),
    "linear without bias": case(F.linear, (4, 3), (2, 3)),
    "bilinear": case(lambda x, w, b: F.bilinear(x, x.sin(), w, b), (3,), (2, 3, 3), (2,)),
    "columns": case(columns, (3,), (2, 3)),
    "cat": case(joined, (3,), (3,)),
    "folded": case(folded, (4, 3), (2, 3)),
    "chunks": case(in_chunks, (3,), (3,)),
    "backwards": case(backwards, (3,), (3,)),
    "masked": case(masked, (3,), (3, 3)),
    "lerp": case(lambda x, p, q: torch.lerp(x, p, q.sigmoid()), (3,), (3,), (3,)),
    "where": case(lambda x, p: torch.where(x > 0, x * p, p), (3,), (3,)),
    "prelu": case(F.prelu, (4, 3), (4,)),
    "conv1d": case(lambda x, w, b: F.conv1d(x, w, b, padding=1), (2, 6), (4, 2, 3), (4,)),
    "conv1d groups": case(lambda x, w: F.conv1d(x, w, groups=2, dilation=2), (4, 8), (6, 2, 3)),
    "conv2d": case(lambda x, w, b: F.conv2d(x, w, b, stride=2), (2, 6, 5), (3, 2, 3, 2), (3,)),
    "conv2d depthwise": case(lambda x, w: F.conv2d(x, w, padding="same", groups=4), (4, 5, 5), (4, 1, 3, 3)),
    "conv3d": case(lambda x, w, b: F.conv3d(x, w, b, padding=1), (2, 3, 3, 4), (2, 2, 3, 3, 3), (2,)),
    "conv_transpose1d": case(F.conv_transpose1d, (2, 6), (2, 3, 3), (3,)),
    "conv_transpose2d": case(
        lambda x, w: F.conv_transpose2d(x, w, stride=2, groups=2), (4, 3, 3), (4, 2, 2, 2)
    ),
    "conv_transpose3d": case(F.conv_transpose3d, (2, 2, 3, 3), (2, 2, 2, 2, 2), (2,)),
    "embedding": case(F.embedding, lambda: whole(SAMPLES, 4), (6, 3)),
    "embedding of numbers": case(F.embedding, lambda: whole(SAMPLES), (6, 3)),
    "embedding, padded": case(
        lambda i, e: F.embedding(i, e, padding_idx=0), lambda: whole(SAMPLES, 4), (6, 3)
    ),
    "embedding, pooled, linear": case(
        lambda i, e, w, b: F.linear(F.embedding(i, e).mean(1).tanh(), w, b),
        lambda: whole(SAMPLES, 4),
        (6, 3),
        (2, 3),
        (2,),
    ),
    "layer_norm": case(lambda x, w, b: F.layer_norm(x, (3,), w, b), (4, 3), (3,), (3,)),
    "layer_norm of matrices": case(lambda x, w: F.layer_norm(x, (4, 3), w), (4, 3), (4, 3)),
    "rms_norm": case(lambda x, w: F.rms_norm(x, (3,), w), (4, 3), (3,)),
    "group_norm": case(lambda x, w, b: F.group_norm(x, 2, w, b), (4, 5), (4,), (4,)),
    "group_norm of images": case(lambda x, w, b: F.group_norm(x, 2, w, b), (4, 3, 3), (4,), (4,)),
    "instance_norm": case(lambda x, w, b: F.instance_norm(x, weight=w, bias=b), (2, 6), (2,), (2,)),
    "batch_norm, fixed": case(
        lambda x, w, b: F.batch_norm(x, torch.zeros(5, dtype=DOUBLE), torch.ones(5, dtype=DOUBLE) * 2, w, b),
        (5, 4),
        (5,),
        (5,),
    ),
    "attention": case(attended, (4, 6), (6, 6), (6, 6), (6, 6)),
    "deep": case(
        lambda x, v, b, w, c: F.linear(F.max_pool2d(F.conv2d(x, v, b, padding=1).relu(), 2).flatten(1), w, c),
        (1, 6, 6),
        (2, 1, 3, 3),
        (2,),
        (3, 18),
        (3,),
    ),
    "recurrent": case(lambda x, w, u: torch.stack(list(steps(x, w, u)), 1), (4, 3), (2, 3), (2, 2)),
    "penalty": case(lambda x, w: F.softmax(x @ (w / w.norm()).t(), -1), (3,), (2, 3)),
}


def steps(x, w, u):
    h = torch.zeros(x.shape[0], 2, dtype=DOUBLE)
    for t in range(x.shape[1]):
        h = torch.tanh(x[:, t] @ w.t() + h @ u.t())
        yield h


def in_a_loop(f, x, params):
    """The gradients of each sample's loss, a batch of one after the other."""
    rows = []
    for i in range(len(x)):
        loss = f(x[i : i + 1], *params).square().sum()
        rows.append(torch.autograd.grad(loss, params, materialize_grads=True))
    return [torch.stack(row) for row in zip(*rows, strict=True)]


def hold(f, x, params, **options):
    expected = in_a_loop(f, x, params)
    with torch.autograd.per_sample_grad(params, **options):
        f(x, *params).square().sum().backward()
    for p, rows in zip(params, expected, strict=True):
        torch.testing.assert_close(p.grad_sample, rows)
        torch.testing.assert_close(p.grad, rows.sum(0))


@pytest.mark.parametrize("told", [False, True], ids=["", "batch_size"])
@pytest.mark.parametrize("samples", [SAMPLES, 1])
@pytest.mark.parametrize("name", CASES)
def test_rows_are_those_of_a_loop(name, samples, told):
    f, shape, shapes = CASES[name]
    if name == "masked" and not told:
        pytest.skip("a constant of another size: see below")
    x = shape()[:samples] if callable(shape) else torch.randn(samples, *shape, dtype=DOUBLE)
    params = [torch.randn(s, dtype=DOUBLE, requires_grad=True) for s in shapes]
    hold(f, x, params, **({"batch_size": samples} if told else {}))


MODULES = {
    "Linear": (lambda: nn.Linear(3, 2), (4, 3)),
    "Conv2d": (lambda: nn.Conv2d(2, 4, 3, padding=1, groups=2), (2, 4, 4)),
    "Sequential": (lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.GELU(), nn.Linear(4, 2)), (3,)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (4, 3, 3)),
    "PReLU": (lambda: nn.PReLU(4), (4, 3)),
    "RNN": (lambda: nn.RNN(3, 2, batch_first=True), (4, 3)),
    "GRU": (lambda: nn.GRU(3, 2, batch_first=True), (4, 3)),
    "LSTM": (lambda: nn.LSTM(3, 2, num_layers=2, batch_first=True), (4, 3)),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(4, 2, batch_first=True), (3, 4)),
    "Encoder": (lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), (3, 4)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3).eval(), (3,)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(2).eval(), (2, 3, 3)),
    "Linear of volumes": (lambda: nn.Linear(3, 2), (2, 2, 4, 3)),
    "Bilinear": (lambda: nn.Bilinear(3, 3, 2), (3,)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, output_padding=1), (2, 4, 4)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(2, affine=True), (2, 3, 3)),
    "RMSNorm": (lambda: nn.RMSNorm(3), (4, 3)),
    "RNNCell": (lambda: nn.RNNCell(3, 2), (3,)),
    "GRUCell": (lambda: nn.GRUCell(3, 2), (3,)),
    "LSTMCell": (lambda: nn.LSTMCell(3, 2), (3,)),
    "LSTM both ways": (lambda: nn.LSTM(3, 2, bidirectional=True, batch_first=True), (4, 3)),
    "Decoder": (lambda: nn.TransformerDecoderLayer(4, 2, 8, dropout=0.0, batch_first=True), (3, 4)),
}
TIMES = {"Bilinear": 2, "Decoder": 2, "MultiheadAttention": 3}
"""How often a module takes its data."""


@pytest.mark.parametrize("name", MODULES)
def test_modules(name):
    make, shape = MODULES[name]
    module = make().double()
    params = list(module.parameters())

    def run(x, *params):
        y = module(*[x] * TIMES.get(name, 1))
        return y[0] if isinstance(y, tuple) else y

    hold(run, torch.randn(SAMPLES, *shape, dtype=DOUBLE), params)


def test_custom_functions_by_their_rule():
    class Scaled(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x, w):
            return x * w

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return g * w, (g * x).sum(0)

    x, w = torch.randn(SAMPLES, 3, dtype=DOUBLE), torch.randn(3, dtype=DOUBLE, requires_grad=True)
    with torch.autograd.per_sample_grad([w]):
        Scaled.apply(x, w * 2).square().sum().backward()
    torch.testing.assert_close(w.grad_sample, 8 * x * x * w.detach())


def test_what_meets_no_data():
    """A penalty counts in `grad` alone; a parameter that is not used has None; so has one without data."""
    w, unused = torch.ones(3, requires_grad=True), torch.ones(2, requires_grad=True)
    x = torch.arange(6.0).reshape(2, 3)
    with torch.autograd.per_sample_grad([w, unused]):
        ((x @ w).sum() + (w**2).sum()).backward()
    assert w.grad_sample.tolist() == x.tolist()
    assert w.grad.tolist() == (x.sum(0) + 2).tolist()
    assert unused.grad_sample is None


def test_several_passes_add_rows_and_written_parameters_are_followed():
    w, x = torch.ones(3, requires_grad=True), torch.arange(6.0).reshape(2, 3)
    with torch.autograd.per_sample_grad([w]):
        for _ in range(2):
            v = w * 2
            v += w
            (x @ v).sum().backward()
    assert w.grad_sample.tolist() == (6 * x).tolist()


def test_what_is_refused():
    w, b = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    x = torch.randn(5, 3)
    with torch.autograd.per_sample_grad([w, b]):
        with pytest.raises(RuntimeError, match="joins parameters with the samples"):
            F.batch_norm(x, None, None, w, b, training=True)
        with pytest.raises(RuntimeError, match="joins parameters with the samples"):
            (x - x.mean(0)) @ w + x.mean(0) @ w
    with torch.autograd.per_sample_grad([w]), pytest.raises(RuntimeError, match="size 3, after batches of 5"):
        ((x * w) @ (w * torch.eye(3))).sum()
    with torch.autograd.per_sample_grad([w]), pytest.raises(RuntimeError, match="size 5, after batches of 3"):
        (x @ (w * torch.eye(3))).sum()
    table = torch.ones(6, 3, requires_grad=True)
    with torch.autograd.per_sample_grad([table]), pytest.raises(RuntimeError, match="'embedding_bag' joins"):
        F.embedding_bag(whole(SAMPLES, 4), table, mode="mean")
    chunks = [torch.ones(2, 3), torch.ones(2, 3), torch.ones(1, 3)]
    with torch.autograd.per_sample_grad([w]), pytest.raises(RuntimeError, match="size 1, after batches of 2"):
        sum((part @ w).sum() for part in chunks)
