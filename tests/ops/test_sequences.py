"""Sequences beyond the table of rows: long ones, masked ones, higher derivatives, packed batches."""

import math

import numpy as np
import pytest
from library import ON_TORCH, torch

functional = torch.nn.functional
RNG = np.random.default_rng(0)


def tensor(*shape, grad=False):
    """Numbers of a normal distribution, float64."""
    made = torch.from_numpy(RNG.standard_normal(shape))
    return made.requires_grad_() if grad else made


def naive_attention(q, k, v, scale, seen=None):
    """The same by its definition, in NumPy."""
    scores = scale * q @ k.swapaxes(-1, -2)
    if seen is not None:
        scores = np.where(seen, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


# ------------------------------------------------------------------------------ attention


@pytest.mark.slow
@pytest.mark.parametrize("length", [3, 700, 1500])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_of_any_length(length, causal):
    """Lengths that need one tile and several."""
    q, k, v = (tensor(2, length, 8) for _ in range(3))
    seen = np.tri(length, dtype=bool) if causal else None
    got = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    want = naive_attention(q.numpy(), k.numpy(), v.numpy(), 1 / math.sqrt(8), seen)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_attention_gradient_of_long_rows():
    """A directional derivative across tiles."""
    made = [tensor(1, 900, 4, grad=True) for _ in range(3)]
    away = [tensor(1, 900, 4) for _ in range(3)]
    weight = tensor(1, 900, 4)

    def value(step):
        parts = [t.detach() + step * d for t, d in zip(made, away, strict=True)]
        return float((functional.scaled_dot_product_attention(*parts, is_causal=True) * weight).sum())

    loss = (functional.scaled_dot_product_attention(*made, is_causal=True) * weight).sum()
    grads = torch.autograd.grad(loss, made)
    slope = sum(float((g * d).sum()) for g, d in zip(grads, away, strict=True))
    assert slope == pytest.approx((value(1e-5) - value(-1e-5)) / 2e-5, rel=1e-5)


def test_attention_of_large_scores():
    """Scores far beyond the range of `exp`."""
    q = torch.tensor([[1000.0, 0.0], [-1000.0, 0.0]])
    v = torch.tensor([[1.0], [2.0]])
    got = functional.scaled_dot_product_attention(q, q, v, scale=1.0)
    assert got.tolist() == [[1.0], [2.0]]


def test_attention_of_rows_that_see_nothing():
    """Zeros, and no gradient."""
    q, k, v = (tensor(3, 2, grad=True) for _ in range(3))
    seen = torch.tensor([[True, True, False], [False, False, False], [True, False, True]])
    got = functional.scaled_dot_product_attention(q, k, v, seen)
    assert got[1].tolist() == [0.0, 0.0]
    got.sum().backward()
    assert q.grad[1].tolist() == [0.0, 0.0]
    assert all(bool(torch.isfinite(t.grad).all()) for t in (q, k, v))


def test_attention_dropout_keeps_the_mean():
    torch.manual_seed(0)
    v = torch.ones(200, 1)
    got = functional.scaled_dot_product_attention(torch.zeros(500, 4), torch.zeros(200, 4), v, None, 0.5)
    assert float(got.mean()) == pytest.approx(1.0, abs=0.05)
    assert float(got.std()) > 0.01


@pytest.mark.skipif(ON_TORCH, reason="PyTorch's fused attention has no second derivative")
def test_attention_has_second_derivatives():
    made = [tensor(2, 4, 3, grad=True) for _ in range(3)]
    assert torch.autograd.gradgradcheck(functional.scaled_dot_product_attention, made)


# ------------------------------------------------------------------------------ embeddings


def test_max_norm_scales_the_rows_in_place():
    table = torch.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]])
    got = functional.embedding(torch.tensor([0, 1, 0]), table, max_norm=1.0)
    np.testing.assert_allclose(got.numpy(), [[0.6, 0.8], [0.3, 0.4], [0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(table.numpy(), [[0.6, 0.8], [0.3, 0.4], [6.0, 8.0]], rtol=1e-6)


def test_frequency_divides_the_gradient():
    table = torch.zeros(3, 1, requires_grad=True)
    functional.embedding(torch.tensor([2, 2, 1]), table, scale_grad_by_freq=True).sum().backward()
    assert table.grad.tolist() == [[0.0], [1.0], [1.0]]


@pytest.mark.skipif(ON_TORCH, reason="PyTorch divides some rows by another row's frequency")
def test_frequency_divides_the_gradient_of_bags():
    table = torch.zeros(4, 1, requires_grad=True)
    ids, cuts = torch.tensor([0, 3, 3, 1]), torch.tensor([0, 2])
    functional.embedding_bag(ids, table, cuts, mode="sum", scale_grad_by_freq=True).sum().backward()
    assert table.grad.tolist() == [[1.0], [1.0], [0.0], [1.0]]


def test_bags_as_matrix_products():
    table, scale = tensor(6, 4), tensor(9)
    ids = torch.from_numpy(RNG.integers(0, 6, 9))
    cuts = torch.tensor([0, 4, 4, 7])
    got = functional.embedding_bag(ids, table, cuts, mode="sum", per_sample_weights=scale)
    chosen = np.zeros((4, 6))
    for place, (row, s) in enumerate(zip(ids.tolist(), scale.tolist(), strict=True)):
        chosen[[0, 0, 0, 0, 2, 2, 2, 3, 3][place], row] += s
    np.testing.assert_allclose(got.numpy(), chosen @ table.numpy(), rtol=1e-12)


# ------------------------------------------------------------------------- recurrent layers


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def test_lstm_by_its_formulas():
    x, h, c = tensor(5, 2, 3), tensor(1, 2, 4), tensor(1, 2, 4)
    params = [tensor(16, 3), tensor(16, 4), tensor(16), tensor(16)]
    out, last, cell = torch.lstm(x, (h, c), params, True, 1, 0.0, False, False, False)
    w, u, a, b = (p.numpy() for p in params)
    h, c = h.numpy()[0], c.numpy()[0]
    for t in range(5):
        i, f, g, o = np.split(x.numpy()[t] @ w.T + a + h @ u.T + b, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(out[t].numpy(), h, rtol=1e-10)
    np.testing.assert_allclose(last[0].numpy(), h, rtol=1e-10)
    np.testing.assert_allclose(cell[0].numpy(), c, rtol=1e-10)


@pytest.mark.parametrize("name, blocks", [("rnn_tanh", 1), ("rnn_relu", 1), ("gru", 3)])
def test_packed_is_each_sequence_alone(name, blocks):
    """Packed sequences in both directions give what each gives by itself."""
    lengths, size = [4, 2, 1], 3
    params = [tensor(blocks * size, n) for _ in range(2) for n in (2, size)]
    alone = [tensor(n, 1, 2) for n in lengths]
    padded = torch.zeros(4, 3, 2, dtype=torch.float64)
    for place, x in enumerate(alone):
        padded[: len(x), place] = x[:, 0]
    data, sizes = torch._pack_padded_sequence(padded, torch.tensor(lengths), False)
    options = (params, False, 1, 0.0, False, True)
    out, last = getattr(torch, name)(data, sizes, tensor(2, 3, size) * 0, *options)
    out, _ = torch._pad_packed_sequence(out, sizes, False, 0.0, -1)
    for place, x in enumerate(alone):
        want, end = getattr(torch, name)(x, tensor(2, 1, size) * 0, *options, False)
        np.testing.assert_allclose(out[: len(x), place].numpy(), want[:, 0].numpy(), rtol=1e-10)
        np.testing.assert_allclose(last[:, place].numpy(), end[:, 0].numpy(), rtol=1e-10)


@pytest.mark.parametrize("name, blocks", [("rnn_tanh", 1), ("gru", 3), ("lstm", 4)])
def test_layers_to_second_order(name, blocks):
    made = [tensor(3, 2, 2, grad=True), tensor(1, 2, 2, grad=True), tensor(1, 2, 2, grad=True)]
    made += [tensor(blocks * 2, 2, grad=True) for _ in range(2)]

    def layer(x, h, c, w, u):
        hx = (h, c) if name == "lstm" else h
        return getattr(torch, name)(x, hx, [w, u], False, 1, 0.0, False, False, False)[:2]

    assert torch.autograd.gradcheck(layer, made)
    assert torch.autograd.gradgradcheck(layer, made)


def test_projected_lstm_is_checked_by_differences():
    made = [tensor(3, 2, 2), tensor(1, 2, 1), tensor(1, 2, 3), tensor(12, 2), tensor(12, 1), tensor(1, 3)]
    made = [t.requires_grad_() for t in made]

    def layer(x, h, c, w, u, p):
        return torch.lstm(x, (h, c), [w, u, p], False, 1, 0.0, False, False, False)

    assert torch.autograd.gradcheck(layer, made)
    assert ON_TORCH or torch.autograd.gradgradcheck(layer, made)


def test_layers_by_blas_and_without_it_agree():
    """A wide batch takes other products than its sequences alone."""
    x, h, c, params = tensor(3, 70, 9), tensor(2, 70, 20), tensor(2, 70, 20), []
    for _ in range(2):
        params += [tensor(80, 9), tensor(80, 20), tensor(80), tensor(80)]
    options = (params, True, 1, 0.0, False, True, False)
    whole = torch.lstm(x, (h, c), *options)
    for one in (0, 69):
        part = slice(one, one + 1)
        alone = torch.lstm(x[:, part], (h[:, part], c[:, part]), *options)
        for a, b in zip(whole, alone, strict=True):
            np.testing.assert_allclose(a[:, part].numpy(), b.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.skipif(ON_TORCH, reason="PyTorch crashes on some of these")
def test_sizes_of_layers_fit():
    """Nothing outside of a tensor is read."""
    x, h, c, w, u, b = (tensor(*s) for s in ((4, 2, 2), (1, 2, 3), (1, 2, 3), (12, 2), (12, 3), (12,)))

    def layer(h=h, c=c, w=w, u=u, b=b):
        return torch.lstm(x, (h, c), [w, u, b, b], True, 1, 0.0, False, False, False)

    assert layer()[0].shape == (4, 2, 3)
    for wrong in (
        {"h": tensor(1, 1, 3)}, {"h": h.float()}, {"c": tensor(1, 1, 3)}, {"c": c.float()},
        {"u": tensor(12, 2)}, {"u": tensor(11, 3)}, {"u": u.float()}, {"w": tensor(8, 2), "b": tensor(8)},
        {"w": tensor(8, 2), "u": tensor(8, 3), "b": tensor(8)},
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=r"same dtype|must match|cannot be multiplied"):
            layer(**wrong)


@pytest.mark.skipif(ON_TORCH, reason="PyTorch reads what is there")
@pytest.mark.parametrize("sizes", [[2, 2, 2], [2, 2], [2, 1, 2], [2, 4, -1], [1, 2, 2], [3, 2]])
def test_batch_sizes_fit_the_rows(sizes):
    params = [tensor(12, 2), tensor(12, 3)]
    states = (tensor(1, 2, 3), tensor(1, 2, 3))
    with pytest.raises(RuntimeError, match=r"must match|exceeds dimension size"):
        torch.lstm(tensor(5, 2), torch.tensor(sizes), states, params, False, 1, 0.0, False, False)


# --------------------------------------------------------------------------------- segments


@pytest.mark.parametrize("how", ["sum", "mean", "max", "min", "prod"])
def test_segments_one_by_one(how):
    lengths, x = [3, 1, 4], tensor(8, 2)
    got = torch.segment_reduce(x, how, lengths=torch.tensor(lengths))
    reduce = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "prod": np.prod}[how]
    want = [reduce(part, 0) for part in np.split(x.numpy(), np.cumsum(lengths)[:-1])]
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-12)


@pytest.mark.skipif(ON_TORCH, reason="PyTorch has no second derivative of segment_reduce")
@pytest.mark.parametrize("how", ["sum", "mean", "max", "prod"])
def test_segments_have_second_derivatives(how):
    x = tensor(7, 2)
    x[2] = 0  # a product with a zero
    lengths = torch.tensor([4, 2, 1])

    def reduce(t):
        return torch.segment_reduce(t, how, lengths=lengths)

    assert torch.autograd.gradgradcheck(reduce, (x.requires_grad_(),))


# ------------------------------------------------------------------------ masked reductions


def test_masked_median():
    x = torch.tensor([[3.0, 1.0, 2.0], [5.0, 4.0, 6.0]])
    seen = torch.tensor([[True, True, True], [True, False, True]])
    assert torch.masked.median(x, 1, mask=seen).tolist() == [2.0, 5.0]
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    assert bool(torch.masked.median(x, 1, mask=nothing).isnan().all())
    with pytest.raises(ValueError, match="no fully masked out rows"):
        torch.masked.median(x.long(), 1, mask=nothing)


@pytest.mark.skipif(ON_TORCH, reason="PyTorch lets a NaN behind the mask into the gradient")
def test_masked_gradient_is_zero_where_masked():
    x = torch.tensor([1.0, math.nan, 3.0], requires_grad=True)
    seen = torch.tensor([True, False, True])
    torch.masked.var(x, 0, mask=seen).backward()
    np.testing.assert_allclose(x.grad.numpy(), [-2.0, 0.0, 2.0], rtol=1e-6)


def test_masked_refuses_masks_with_more_dims():
    with pytest.raises(IndexError, match="mask dimensionality higher"):
        torch.masked.sum(torch.ones(2), 0, mask=torch.ones(1, 2, dtype=torch.bool))


def test_masks_of_masked_reductions():
    masked, seen = torch.masked, torch.tensor([[True, False], [False, False]])
    x = torch.ones(2, 2)
    assert masked._input_mask(x, mask=seen).tolist() == seen.tolist()
    assert masked._output_mask(masked.sum, x, 1, mask=seen).tolist() == [True, False]
    both = masked.logaddexp(x, x, input_mask=seen, other_mask=seen)
    assert both[0, 0].item() == pytest.approx(1 + np.log(2)) and both[1, 1].item() == -np.inf


@pytest.mark.skipif(ON_TORCH, reason="PyTorch reads what is there")
@pytest.mark.parametrize(
    "marks",
    [
        {"offsets": [0, 2, 9]}, {"offsets": [-1, 2]}, {"offsets": [0, 4, 2, 6]}, {"lengths": [-2, 8]},
        {"lengths": [2, 3]}, {"lengths": [2, 1 << 62, 1 << 62, 1 << 62, 1 << 62, 4]}, {"offsets": []},
        {"lengths": [-2, 8], "unsafe": True}, {"lengths": [4, 4], "unsafe": True}, {"lengths": []},
    ],
)  # fmt: skip
def test_segments_lie_within_the_data(marks):
    given = {k: torch.tensor(v, dtype=torch.int64) if isinstance(v, list) else v for k, v in marks.items()}
    with pytest.raises(RuntimeError):
        torch.segment_reduce(torch.arange(6.0), "sum", **given)


def test_segments_may_leave_rows_out():
    x = torch.arange(6.0, requires_grad=True)
    y = torch.segment_reduce(x, "mean", offsets=torch.tensor([1, 3, 3, 4], dtype=torch.int32), initial=0.0)
    assert y.tolist() == [1.5, 0, 3]
    y.sum().backward()
    assert x.grad.tolist() == [0, 0.5, 0.5, 1, 0, 0]
