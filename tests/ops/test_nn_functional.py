"""torch.nn.functional beyond its rows: exactness near the edges, what draws numbers, ctc_loss.

Values are held to mpmath's, or to closed forms and enumeration. What is drawn is compared with
PyTorch, where that is installed: the same seed drops the same elements.
"""

import itertools
import math

import mpmath
import numpy as np
import pytest
from library import check, fn_name, leaf, pullback_only, torch, vec

F = torch.nn.functional
mp = mpmath.mp.clone()
mp.dps = 40
inf, nan = math.inf, math.nan


def units(found, expected, dtype):
    """The distance to the exact number, in units of the last place of `dtype`."""
    spacing = float(np.spacing(np.abs(dtype(float(expected)))))
    return abs(float((mp.mpf(float(found)) - expected) / spacing))


# ---------------------------------------------------------------------------------- exactness
def softplus(x):
    return mp.log1p(mp.exp(x))


CURVES = {
    "gelu": lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "mish": lambda x: x * mp.tanh(softplus(x)),
    "logsigmoid": lambda x: -softplus(-x),
    "softplus": softplus,
    "elu": lambda x: x if x > 0 else mp.expm1(x),
}
POINTS = [-12.5, -9.0, -6.6, -3.0, -1.0, -1e-3, -1e-8, 0.0, 1e-8, 0.3, 2.0, 9.5, 19.5]


@pullback_only("the tails of gelu and the small values of softplus keep their digits")
@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_curves_are_exact_also_in_their_tails(name, kind):
    dtype = getattr(np, kind)
    points = np.array(POINTS, dtype)
    found = getattr(F, name)(torch.from_numpy(points)).numpy()
    allowed = 200 if (name, kind) == ("gelu", "float64") else 6  # erfc of a rounded argument
    for point, value in zip(points, found, strict=True):
        assert units(value, CURVES[name](mp.mpf(float(point))), dtype) <= allowed, f"at {point}"


@pytest.mark.parametrize("x", [1e4, -1e4, 745.0, -745.0])
def test_losses_of_extreme_logits(x):
    low, high = min(x, 0.0), max(x, 0.0)
    check(F.logsigmoid(torch.tensor([x])), [low])
    check(F.softplus(torch.tensor([x])), [high])
    logits = leaf([x, x])
    loss = F.binary_cross_entropy_with_logits(logits, vec(0, 1), reduction="none")
    check(loss, [high, -low])
    loss.sum().backward()
    share = 1.0 if x > 0 else 0.0
    check(logits.grad, [share, share - 1])


@pullback_only("PyTorch's soft_margin_loss overflows")
def test_soft_margin_loss_of_a_large_miss():
    check(F.soft_margin_loss(vec(-1000), vec(1)), 1000.0)


def test_cross_entropy_with_impossible_classes():
    logits = leaf([[0.0, -inf, 0.0], [-inf, 1.0, -inf]])
    loss = F.cross_entropy(logits, torch.tensor([0, 1]), reduction="none")
    check(loss, [math.log(2), 0.0])
    loss.sum().backward()
    check(logits.grad, [[-0.5, 0.0, 0.5], [0.0, 0.0, 0.0]], atol=1e-7)
    assert F.cross_entropy(logits.detach(), torch.tensor([1, 1]))[()].item() == inf


def test_cross_entropy_of_ignored_targets_only():
    logits = leaf([[1.0, 2.0]])
    loss = F.cross_entropy(logits, torch.tensor([-100]))
    assert math.isnan(loss.item())
    check(F.cross_entropy(logits, torch.tensor([-100]), reduction="sum"), 0.0)


def test_weights_of_classes_have_a_gradient_in_a_sum():
    x, y = torch.tensor([[0.0, 0.0], [0.0, 0.0]]), torch.tensor([1, 0])
    weighted = F.cross_entropy(x, y, vec(1, 3), reduction="none")
    check(weighted, [3 * math.log(2), math.log(2)])
    check(F.cross_entropy(x, y, vec(1, 3)), math.log(2))


@pullback_only("PyTorch has no derivative for these weights")
def test_weights_get_gradients():
    x, w = torch.tensor([[0.0, 1.0], [2.0, 0.0]]).log_softmax(1), leaf([1.0, 3.0])
    F.nll_loss(x, torch.tensor([1, 0]), w, reduction="sum").backward()
    check(w.grad, [-x[1, 0].item(), -x[0, 1].item()])
    p, w = torch.tensor([0.25, 0.5]), leaf([1.0, 1.0])
    F.binary_cross_entropy(p, vec(1, 1), w, reduction="sum").backward()
    check(w.grad, [math.log(4), math.log(2)])


def test_layer_norm_far_from_zero():
    x = torch.tensor([[1e4 + 1, 1e4 + 2, 1e4 + 3]])
    check(F.layer_norm(x, (3,), eps=0.0), [[-math.sqrt(1.5), 0.0, math.sqrt(1.5)]], atol=1e-5)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 2047, 2049, 5000])
def test_layer_norm_of_any_length(length):
    rng = np.random.default_rng(length)
    data = rng.standard_normal((3, length)).astype(np.float32)
    wide = data.astype(np.float64)
    expected = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5)
    found = F.layer_norm(torch.from_numpy(data), (length,))
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-5, atol=2e-6)


# --------------------------------------------------------------------------- batch_norm's memory
def test_batch_norm_moves_its_running_statistics():
    x = torch.tensor([[1.0, 0.0], [3.0, 0.0], [5.0, 3.0]])
    mean, var = torch.zeros(2), torch.ones(2)
    F.batch_norm(x, mean, var, training=True, momentum=0.5)
    check(mean, [1.5, 0.5])
    check(var, [2.5, 2.0])
    assert not mean.requires_grad
    before = mean.tolist()
    F.batch_norm(x, mean, var, training=False)
    assert mean.tolist() == before


def test_batch_norm_differentiates_through_the_statistics_twice():
    x = leaf([[1.0, 2.0], [3.0, 1.0], [0.0, 5.0]], torch.float64)
    w, b = leaf([1.0, 2.0], torch.float64), leaf([0.0, 1.0], torch.float64)

    def loss(x, w, b):
        return (F.batch_norm(x, None, None, w, b, True) ** 3).sum()

    assert torch.autograd.gradcheck(loss, (x, w, b))
    assert torch.autograd.gradgradcheck(loss, (x, w, b))


def test_native_norms_give_their_statistics():
    x = torch.tensor([[1.0, 3.0], [2.0, 6.0]], requires_grad=True)
    y, mean, rstd = torch.native_layer_norm(x, (2,), None, None, 0.0)
    check(mean, [[2.0], [4.0]])
    check(rstd, [[1.0], [0.5]])
    assert y.requires_grad and not mean.requires_grad
    _, mean, rstd = torch.native_batch_norm(x, None, None, None, None, True, 0.1, 0.0)
    check(mean, [1.5, 4.5])
    _, mean, rstd = torch.native_group_norm(x, None, None, 2, 2, 1, 1, 0.0)
    check(mean, [[2.0], [4.0]])
    found = torch._native_batch_norm_legit(x, None, None, True, 0.1, 0.0)
    check(found[1], [1.5, 4.5])


def test_local_response_norm():
    x = torch.ones(1, 3, 2)
    found = F.local_response_norm(x, 3, alpha=3.0, beta=1.0)
    check(found, [[[1 / 3] * 2, [0.25] * 2, [1 / 3] * 2]])
    with pytest.raises(ValueError, match="Expected 3D or higher"):
        F.local_response_norm(torch.ones(2, 3), 2)


def test_torch_has_forms_of_its_own():
    x, y = vec(0.5, 0.25), vec(1, -1)
    check(torch.hinge_embedding_loss(x, y, 1.0, 2), 1.25)
    check(torch.kl_div(x, vec(1, 1), 0), [-0.5, -0.25])
    check(torch.margin_ranking_loss(x, y, vec(1, 1), 1.0, 1), 0.75)
    check(torch.poisson_nll_loss(vec(0), vec(2), True, False, 1e-8, 1), 1.0)
    check(torch.binary_cross_entropy_with_logits(vec(0), vec(1), None, None, 2), math.log(2))
    check(torch.cosine_embedding_loss(vec(1, 0), vec(0, 1), torch.tensor(1), 0.0, 1), 1.0)
    check(torch.triplet_margin_loss(vec(0), vec(0), vec(3), 5.0, 2, 0.0, False, 1), 2.0)
    check(torch.layer_norm(torch.tensor([[1.0, 3.0]]), (2,), eps=0.0), [[-1, 1]])
    check(torch.group_norm(torch.tensor([[1.0, 3.0]]), 1, eps=0.0), [[-1, 1]])
    norm = torch.batch_norm(torch.tensor([[1.0], [3.0]]), None, None, None, None, True, 0.1, 0.0, False)
    check(norm, [[-1], [1]])
    norm = torch.instance_norm(torch.tensor([[[1.0, 3.0]]]), None, None, None, None, True, 0.1, 0.0, False)
    check(norm, [[[-1, 1]]])


# -------------------------------------------------------------------------------- in-place forms
INPLACE = ["relu", "relu6", "elu", "selu", "celu", "leaky_relu", "silu", "mish", "hardtanh", "rrelu"]


@pytest.mark.parametrize("name", [*INPLACE, "hardsigmoid", "hardswish"])
def test_in_place(name):
    function = getattr(F, name)
    x = leaf([-1.0, 0.5, 4.0])
    expected = function(x)
    (slope,) = torch.autograd.grad(expected.sum(), x)
    y = x.clone()
    assert function(y, inplace=True) is y
    check(y, expected.tolist())
    y.sum().backward()
    check(x.grad, slope.tolist())
    if hasattr(F, name + "_"):
        z = x.detach().clone()
        assert getattr(F, name + "_")(z) is z
        check(z, expected.tolist())


@pytest.mark.parametrize(
    "name", ["EluBackward1", "CeluBackward1", "LeakyReluBackward1", "RreluWithNoiseBackward1"]
)
def test_names_of_nodes_in_place(name):
    function = {"Elu": F.elu, "Celu": F.celu, "LeakyRelu": F.leaky_relu}.get(name[:-9], F.rrelu)
    assert fn_name(function(leaf([1.0]).clone(), inplace=True)) == name


# --------------------------------------------------------------------------------------- dropout
DRAWN = [
    "F.dropout(x)",
    "F.dropout(x.t(), 0.3)",
    "F.dropout(x.clone(), 0.7, inplace=True)",
    "F.dropout(x.double(), 0.3)",
    "F.dropout(x.bfloat16(), 0.3)",
    "F.alpha_dropout(x, 0.3, True)",
    "F.feature_alpha_dropout(x, 0.3, True)",
    "F.dropout1d(x, 0.4)",
    "F.dropout2d(x.reshape(4, 5, 2, 5), 0.4)",
    "F.dropout3d(x.reshape(4, 5, 2, 5, 1), 0.4)",
    "F.rrelu(x, 0.1, 0.9, True)",
    "F.gumbel_softmax(x, 0.5)",
    "F.gumbel_softmax(x, hard=True, dim=0)",
    "torch.dropout(x, 0.3, True)",
    "torch.feature_dropout(x, 0.3, True)",
    "torch.native_dropout(x, 0.3, True)[0]",
]


@pytest.mark.parametrize("program", DRAWN)
def test_a_seed_drops_the_same(program):
    oracle = pytest.importorskip("torch", reason="PyTorch draws the expected numbers")

    def run(library):
        data = np.linspace(-2, 2, 200, dtype=np.float32).reshape(10, 20)
        x = library.from_numpy(data).requires_grad_()
        library.manual_seed(5)
        y = eval(program, {"torch": library, "F": library.nn.functional, "x": x})
        y.float().square().sum().backward()
        return y.detach().float().numpy(), x.grad.numpy()

    (mine, slope), (theirs, their_slope) = run(torch), run(oracle)
    assert np.array_equal(mine == 0, theirs == 0)
    np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(slope, their_slope, rtol=1e-5, atol=2e-6)


def test_dropout_leaves_what_is_not_trained():
    x = leaf([1.0, 2.0])
    assert F.dropout(x, training=False) is x
    assert F.dropout(x, p=0.0) is x
    check(F.dropout(x, p=1.0), [0, 0])
    with pytest.raises(ValueError, match="between 0 and 1, but got 2"):
        F.dropout(x, p=2)
    with pytest.raises(RuntimeError, match="at least 2 dimensions"):
        F.feature_alpha_dropout(x, training=True)


def test_native_dropout_backward():
    x = leaf([1.0, 2.0])
    y, mask = torch.native_dropout(x, 0.5, True)
    y.sum().backward()
    check(x.grad, [2.0 if kept else 0.0 for kept in mask.tolist()])


# -------------------------------------------------------------------------------------- ctc_loss
def collapsed(path, blank):
    """The labels of a path: repeats once, then without blanks."""
    return [k for k, _ in itertools.groupby(path) if k != blank]


def by_enumeration(log_probs, labels, blank=0):
    """-log of the sum over all paths that give the labels."""
    steps, classes = log_probs.shape
    paths = itertools.product(range(classes), repeat=steps)
    total = sum(
        math.exp(sum(log_probs[t, k] for t, k in enumerate(path)))
        for path in paths
        if collapsed(path, blank) == labels
    )
    return -math.log(total) if total else inf


def log_probs(steps, samples, classes):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((steps, samples, classes))
    return x - np.log(np.exp(x).sum(2, keepdims=True))


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("joined", [False, True])
def test_ctc_loss_is_the_sum_over_all_alignments(blank, joined):
    x = log_probs(5, 4, 3)
    labels = [[1, 1], [1], [], [1, 3 - 2, 1]] if blank == 0 else [[0, 1], [1], [], [0, 0, 1]]
    steps, counts = (5, 4, 3, 5), tuple(map(len, labels))
    padded = torch.tensor([k + [7] * (3 - len(k)) for k in labels])
    targets = torch.tensor([k for one in labels for k in one]) if joined else padded
    found = F.ctc_loss(torch.from_numpy(x), targets, steps, counts, blank, "none")
    expected = [by_enumeration(x[:t, n], labels[n], blank) for n, t in enumerate(steps)]
    check(found, expected, rtol=1e-12)


def test_ctc_loss_has_two_derivatives():
    x = torch.from_numpy(log_probs(6, 2, 4)).requires_grad_()
    targets = torch.tensor([[1, 1, 2], [3, 1, 0]])

    def loss(x):
        return F.ctc_loss(x.log_softmax(2), targets, (6, 5), (3, 2), reduction="sum")

    assert torch.autograd.gradcheck(loss, (x,))
    (slope,) = torch.autograd.grad(loss(x), x)
    assert abs(slope[5, 1]).sum().item() == 0


@pullback_only("PyTorch has no second derivative of ctc_loss")
def test_ctc_loss_has_a_second_derivative():
    x = torch.from_numpy(log_probs(5, 2, 3)).requires_grad_()
    targets = torch.tensor([[1, 1], [2, 0]])

    def loss(x):
        return F.ctc_loss(x.log_softmax(2), targets, (5, 4), (2, 1), reduction="sum")

    assert torch.autograd.gradgradcheck(loss, (x,))


def test_ctc_loss_without_an_alignment():
    x = torch.zeros(2, 1, 3).log_softmax(2).requires_grad_()
    targets = torch.tensor([[1, 1]])
    assert F.ctc_loss(x, targets, (2,), (2,)).item() == inf
    loss = F.ctc_loss(x, targets, (2,), (2,), zero_infinity=True)
    check(loss, 0.0)
    loss.backward()
    check(x.grad, np.zeros((2, 1, 3)))


def test_ctc_loss_of_unlikely_labels():
    x = torch.full((3, 1, 2), 0.0)
    x[:, :, 1] = -1e4
    check(F.ctc_loss(x, torch.tensor([[1]]), (3,), (1,)), 1e4 - math.log(3), rtol=1e-6)


@pullback_only("PyTorch reads memory that is not the input's")
def test_ctc_loss_refuses_labels_that_are_no_class():
    x = torch.zeros(3, 1, 2)
    with pytest.raises(IndexError, match="Target 5 is out of bounds"):
        F.ctc_loss(x, torch.tensor([[5]]), (3,), (1,))
