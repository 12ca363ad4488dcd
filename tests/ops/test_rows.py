"""Work on rows (scans, softmax, norms, losses): both ways agree for every layout and dtype, and the edges."""

import math

import numpy as np
import pytest
from library import ON_TORCH, torch

F = torch.nn.functional
DTYPES = {torch.float64: 1e-11, torch.float32: 5e-5, torch.float16: 2e-2, torch.bfloat16: 1.5e-1}
SHAPES = [(8, 8), (3, 5), (40, 17), (2, 4, 6), (2, 4, 3, 5), (130, 70), (0, 4)]


def layouts(shape, dtype):
    """Tensors of a shape that lie differently: plain, transposed, backward, with gaps, expanded."""
    x = torch.randn(shape).to(dtype)
    yield x
    yield x.mT.contiguous().mT
    yield x.flip(0)
    yield torch.randn(*shape[:-1], 2 * shape[-1]).to(dtype)[..., ::2]
    if shape[0]:
        yield x[:1].expand(shape)


def numbers(shape, dtype, low=0.0):
    return (torch.rand(shape) + low).to(dtype)


def along(function):
    """A function of one tensor and a dim, for the first and the last dim."""

    def cases(x):
        for dim in (0, -1):
            yield function, (x,), {"dim": dim}

    return cases


def layer(x):
    for count in (1, 2):
        shape = tuple(x.shape[-count:])
        w, b = numbers(shape, x.dtype), numbers(shape, x.dtype)
        yield lambda x, w, b, n=shape: F.layer_norm(x, n, w, b), (x, w, b), {}
        yield lambda x, b, n=shape: F.layer_norm(x, n, None, b), (x, b), {}
        yield lambda x, w, n=shape: F.rms_norm(x, n, w), (x, w), {}
        yield lambda x, n=shape: F.rms_norm(x, n, eps=1e-3), (x,), {}


def batch(x):
    channels = x.shape[1]
    w, b, mean, var = (numbers(channels, x.dtype, 0.5) for _ in range(4))
    if x.numel():
        yield lambda x, w, b: F.batch_norm(x, None, None, w, b, True), (x, w, b), {}
        yield lambda x, w: F.batch_norm(x, None, None, w, None, True), (x, w), {}
    yield lambda x, w, b: F.batch_norm(x, mean, var, w, b), (x, w, b), {}
    if channels % 2 == 0 and x.numel():
        yield lambda x, w, b: torch.group_norm(x, 2, w, b), (x, w, b), {}
        yield lambda x: torch.group_norm(x, 2), (x,), {}


def losses(x):
    y, w, p = numbers(x.shape, x.dtype), numbers(x.shape[-1], x.dtype), numbers(x.shape[-1], x.dtype, 1)
    for reduction in ("none", "sum") if not x.numel() else ("none", "mean", "sum"):
        options = {"reduction": reduction}
        yield F.mse_loss, (x, y), options
        yield F.smooth_l1_loss, (x, y), {"beta": 0.5, **options}
        yield F.huber_loss, (x, y), {"delta": 0.7, **options}
        yield F.soft_margin_loss, (x, y), options
        yield F.binary_cross_entropy_with_logits, (x, y), options
        yield (
            lambda x, y, w, p, r=reduction: F.binary_cross_entropy_with_logits(
                x, y, w, pos_weight=p, reduction=r
            ),
            (x, y, w, p),
            {},
        )


def classes(x):
    target = torch.randint(0, x.shape[1], (x.shape[0], *x.shape[2:]))
    some = target.clone()
    some[..., :1] = -100
    w = numbers(x.shape[1], x.dtype)
    for t in (target, some):
        for reduction in ("none", "mean", "sum"):
            options = {"reduction": reduction}
            yield lambda x, t=t, o=options: F.nll_loss(x, t, **o), (x,), {}
            yield lambda x, t=t, o=options: F.nll_loss(x, t, w, **o), (x,), {}
            yield lambda x, t=t, o=options: F.cross_entropy(x, t, w, **o), (x,), {}


def halves(x):
    for dim in (0, -1):
        if x.shape[dim] % 2 == 0:
            yield F.glu, (x,), {"dim": dim}


def pairs(x):
    yield F.cosine_similarity, (x, numbers(x.shape, x.dtype)), {"dim": -1}
    yield F.cosine_similarity, (x, numbers(x.shape, x.dtype)), {"dim": 0}


KINDS = {
    "cumsum": along(torch.cumsum),
    "cumprod": along(lambda x, dim: torch.cumprod(1 + x / 64, dim)),
    "cummax": along(torch.cummax),
    "cummin": along(torch.cummin),
    "logcumsumexp": along(torch.logcumsumexp),
    "prod": along(lambda x, dim: torch.prod(1 + x / 64, dim)),
    "softmax": along(torch.softmax),
    "log_softmax": along(torch.log_softmax),
    "logsumexp": along(torch.logsumexp),
    "moments": along(torch.var_mean),
    "deviations": along(torch.std_mean),
    "layer": layer,
    "batch": batch,
    "losses": losses,
    "classes": classes,
    "halves": halves,
    "pairs": pairs,
}


FLAT = ("deviations", "batch")
"""What has no gradient where all numbers of a row are one."""


def results(function, args, options):
    """What a call gives, and the gradients of its first result."""
    leaves = [t.detach().requires_grad_() for t in args]
    found = function(*leaves, **options)
    found = tuple(found) if isinstance(found, (tuple, list)) else (found,)
    g = torch.sin(torch.arange(found[0].numel(), dtype=torch.float64)).reshape(found[0].shape)
    return [t.detach() for t in found] + list(torch.autograd.grad(found[0], leaves, g.to(found[0].dtype)))


@pytest.mark.skipif(ON_TORCH, reason="plans are Pullback's own")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_agree(kind, dtype):
    """By plans and by the kernels on arrays: values and gradients, in every layout."""
    from pullback.core import _plans

    torch.manual_seed(0)
    bound = DTYPES[dtype]
    for shape in SHAPES:
        if kind == "classes" and not shape[0]:
            continue
        for x in layouts(shape, dtype):
            if kind in FLAT and 0 in x.stride():
                continue
            for case in KINDS[kind](x):
                before = _plans.use_plans(True)
                planned = results(*case)
                _plans.use_plans(False)
                plain = results(*case)
                _plans.use_plans(before)
                for a, b in zip(planned, plain, strict=True):
                    assert a.dtype is b.dtype and a.shape == b.shape
                    a, b = a.double().numpy(), b.double().numpy()
                    scale = bound * max(1.0, float(np.abs(b).max(initial=0)))
                    np.testing.assert_allclose(a, b, bound, scale, err_msg=f"{kind} {shape} {x.stride()}")


inf, nan = math.inf, math.nan


def close(x, expected):
    np.testing.assert_allclose(x.numpy(), np.array(expected), 1e-6, 1e-6)


def test_rows_of_what_is_not_finite():
    rows = torch.tensor([[-inf, -inf], [0.0, -inf], [nan, 0.0], [inf, 0.0], [-1000.0, -1000.0]])
    close(rows.softmax(1), [[nan, nan], [1, 0], [nan, nan], [nan, nan], [0.5, 0.5]])
    half = math.log(0.5)
    close(rows.log_softmax(1), [[nan, nan], [0, -inf], [nan, nan], [nan, nan], [half, half]])
    close(rows.logcumsumexp(1)[:3], [[-inf, -inf], [0, 0], [nan, nan]])
    close(rows.cumsum(1)[:4], [[-inf, -inf], [0, -inf], [nan, nan], [inf, inf]])


def test_extremes_so_far_with_nan_and_ties():
    values, indices = torch.tensor([1.0, 1.0, nan, 5.0, nan, 0.0]).cummax(0)
    close(values, [1, 1, nan, nan, nan, nan])
    assert indices.tolist() == [0, 1, 2, 2, 4, 4]
    values, indices = torch.tensor([[3, 3, 1]]).cummin(1)
    assert values.tolist() == [[3, 3, 1]] and indices.tolist() == [[0, 1, 2]]


def test_products_with_zeros_have_exact_gradients():
    for numbers, expected in (
        ([2.0, 0.0, 3.0, 4.0], [0.0, 24.0, 0.0, 0.0]),
        ([2.0, 0.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]),
        ([2.0, 5.0, 3.0], [15.0, 6.0, 10.0]),
    ):
        x = torch.tensor(numbers, requires_grad=True)
        assert torch.autograd.grad(x.prod(), x)[0].tolist() == expected
    x = torch.tensor([2.0, 0.0, 3.0], requires_grad=True)
    assert torch.autograd.grad(x.cumprod(0).sum(), x)[0].tolist() == [1.0, 8.0, 0.0]


def test_integers_are_summed_in_64_bits():
    x = torch.full((5,), 100, dtype=torch.int8)
    assert x.cumsum(0).tolist() == [100, 200, 300, 400, 500] and x.cumsum(0).dtype is torch.int64
    assert torch.tensor([True, True, False]).cumsum(0).tolist() == [1, 2, 2]
    assert torch.tensor([2, 3], dtype=torch.uint8).cumprod(0).tolist() == [2, 6]


def test_many_dims_and_none():
    x = torch.arange(4.0).reshape((2,) + (1,) * 60 + (2,)).requires_grad_()
    close(x.detach().cumsum(0).flatten(), [0, 1, 2, 4])
    close(x.detach().softmax(-1).flatten(), [0.26894142, 0.73105858] * 2)
    close(torch.autograd.grad(x.prod(-1).sum(), x)[0].flatten(), [1, 0, 3, 2])
    assert torch.tensor(3.0).cumsum(0).item() == 3 and torch.tensor(3.0).softmax(0).item() == 1
    assert torch.zeros(0, 3).softmax(1).shape == (0, 3) and torch.zeros(3, 0).softmax(1).shape == (3, 0)


@pytest.mark.parametrize("bad", [5, -1])
def test_a_target_that_is_no_class(bad):
    for target in (torch.tensor([0, bad, 7]), torch.tensor([-100, bad, 0])):
        with pytest.raises(IndexError, match=f"Target {bad} is out of bounds."):
            F.nll_loss(torch.zeros(3, 5), target)


def test_losses_of_large_numbers_keep_their_digits():
    x = torch.tensor([-1000.0, -20.0, 20.0, 1000.0], dtype=torch.float64)
    for y, expected in (
        (0.0, [0, 2.0611536e-9, 20.00000000206, 1000]),
        (1.0, [1000, 20.00000000206, 2.0611536e-9, 0]),
    ):
        found = F.binary_cross_entropy_with_logits(x, torch.full_like(x, y), reduction="none")
        np.testing.assert_allclose(found.numpy(), expected, 1e-6, 1e-300)
    close(F.soft_margin_loss(x.float()[1:], torch.ones(3), reduction="none"), [20, 2.0611537e-9, 0])
