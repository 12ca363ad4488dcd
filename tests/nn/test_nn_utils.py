"""nn.utils, nn.init, nn.grad and nn.attention: what they promise, alike on PyTorch."""

import copy
import importlib
import math

import pytest
from library import check, torch

nn = torch.nn
utils, init = nn.utils, nn.init


def linear(*sizes, **options):
    """A Linear with gradients."""
    layer = nn.Linear(*sizes, **options)
    layer(torch.ones(4, sizes[0])).sum().backward()
    return layer


# ------------------------------------------------------------------------------------- clipping


def test_gradients_are_clipped_by_their_norm():
    layer = linear(3, 2)
    total = utils.clip_grad_norm_(layer.parameters(), 1.0)
    check(total, math.sqrt(8 * 16))
    check(utils.get_total_norm([p.grad for p in layer.parameters()]), 1.0, rtol=1e-5)
    check(utils.clip_grad_norm_(layer.weight, 10.0, norm_type=math.inf), 4 / math.sqrt(128), rtol=1e-5)
    check(layer.weight.grad, [[4 / math.sqrt(128)] * 3] * 2, rtol=1e-5)
    check(utils.clip_grad_norm_([], 1.0), 0.0)
    layer.bias.grad.fill_(math.nan)
    with pytest.raises(RuntimeError, match="for gradients from `parameters` is non-finite"):
        utils.clip_grad_norm_(layer.parameters(), 1.0, error_if_nonfinite=True)


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0, math.inf])
def test_the_norm_of_many_is_that_of_all_their_elements(order):
    torch.manual_seed(0)
    grads = [torch.randn(shape) for shape in [(3, 4), (), (5,), (2, 600)]]
    whole = torch.cat([g.flatten() for g in grads])
    check(utils.get_total_norm(grads, order), torch.linalg.vector_norm(whole, order), rtol=1e-5)
    unusual = [grads[0].t(), grads[2].double(), grads[3][:, ::2]]
    whole = torch.cat([g.flatten().double() for g in unusual])
    found = utils.get_total_norm(unusual, order)
    assert found.dtype == torch.float64
    check(found, torch.linalg.vector_norm(whole, order), rtol=1e-5)
    half = [g.bfloat16() for g in grads]
    assert utils.get_total_norm(half, order).dtype == torch.bfloat16
    if order < math.inf:
        grads.append(torch.ones(0, 2))
        check(utils.get_total_norm(grads, order), utils.get_total_norm(grads[:-1], order))


def test_gradients_are_clipped_by_value():
    layer = linear(3, 2)
    utils.clip_grad_value_(layer.parameters(), 0.5)
    check(layer.bias.grad, [0.5, 0.5])
    utils.clip_grads_with_norm_(layer.parameters(), 1.0, torch.tensor(4.0))
    check(layer.bias.grad, [0.125, 0.125], rtol=1e-5)


def test_parameters_become_a_vector_and_back():
    layer = nn.Linear(3, 2)
    vector = utils.parameters_to_vector(layer.parameters())
    assert vector.shape == (8,) and vector.requires_grad
    utils.vector_to_parameters(torch.arange(8.0), layer.parameters())
    check(layer.weight, [[0, 1, 2], [3, 4, 5]])
    check(layer.bias, [6, 7])


# --------------------------------------------------------------------------------------- sequences


def test_sequences_are_packed_and_padded():
    rnn = utils.rnn
    x = torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    packed = rnn.pack_padded_sequence(x, [2, 1, 3], batch_first=True, enforce_sorted=False)
    assert packed.data.tolist() == [4, 1, 3, 5, 2, 6] and packed.batch_sizes.tolist() == [3, 2, 1]
    assert packed.sorted_indices.tolist() == [2, 0, 1] and packed.unsorted_indices.tolist() == [1, 2, 0]
    padded, lengths = rnn.pad_packed_sequence(packed, batch_first=True, total_length=4, padding_value=-1)
    assert padded.tolist() == [[1, 2, -1, -1], [3, -1, -1, -1], [4, 5, 6, -1]] and lengths.tolist() == [
        2,
        1,
        3,
    ]
    assert packed.to(torch.float64).data.dtype is torch.float64 and packed.double().is_cuda is False
    with pytest.raises(RuntimeError, match="`lengths` array must be sorted in decreasing order"):
        rnn.pack_padded_sequence(x, [2, 1, 3], batch_first=True)
    several = [torch.ones(2), torch.zeros(3)]
    assert rnn.pad_sequence(several, padding_side="left", batch_first=True).tolist() == [[0, 1, 1], [0, 0, 0]]
    again = rnn.unpack_sequence(rnn.pack_sequence(several, enforce_sorted=False))
    assert all(torch.equal(a, b) for a, b in zip(several, again, strict=True))


def test_packed_sequences_run_as_single_ones():
    net = nn.GRU(2, 3, bidirectional=True)
    several = [torch.randn(n, 2) for n in (2, 4, 1)]
    output, h = net(utils.rnn.pack_sequence(several, enforce_sorted=False))
    for place, (x, made) in enumerate(zip(several, utils.rnn.unpack_sequence(output), strict=True)):
        alone, state = net(x)
        torch.testing.assert_close(made, alone)
        torch.testing.assert_close(h[:, place], state)


# --------------------------------------------------------------------------------- parametrizations


class Symmetric(nn.Module):
    def forward(self, X):
        return X.triu() + X.triu(1).T

    def right_inverse(self, A):
        return A.triu()


def test_a_parametrized_weight():
    parametrize, layer = utils.parametrize, nn.Linear(3, 3)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    assert type(layer).__name__ == "ParametrizedLinear" and isinstance(layer, nn.Linear)
    assert torch.equal(layer.weight, layer.weight.T) and layer.weight is not layer.weight
    with parametrize.cached():
        assert layer.weight is layer.weight
    layer.weight = torch.ones(3, 3)
    check(layer.weight, [[1.0] * 3] * 3)
    layer(torch.ones(1, 3)).sum().backward()
    check(layer.parametrizations.weight.original.grad, [[1, 2, 2], [0, 1, 2], [0, 0, 1]])
    check(copy.deepcopy(layer).weight, [[1.0] * 3] * 3)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and isinstance(layer.weight, nn.Parameter)


@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
def test_norms_of_weights(norm):
    layer = nn.Linear(5, 4)
    before = layer.weight.detach().clone()
    getattr(utils.parametrizations, norm)(layer)
    if norm == "weight_norm":
        torch.testing.assert_close(layer.weight, before)
        layer.parametrizations.weight.original0.data.fill_(2.0)
        check(layer.weight.norm(dim=1), [2.0] * 4, rtol=1e-5)
    else:
        for _ in range(50):
            layer.weight  # noqa: B018
        check(torch.linalg.matrix_norm(layer.weight, 2), 1.0, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
def test_norms_of_weights_by_hooks(norm):
    layer = nn.Linear(5, 4)
    before = layer.weight.detach().clone()
    getattr(utils, norm)(layer)
    names = ["weight_g", "weight_v"] if norm == "weight_norm" else ["weight_orig", "weight_u", "weight_v"]
    assert list(layer.state_dict()) == ["bias", *names]
    layer(torch.ones(1, 5)).sum().backward()
    assert getattr(layer, names[0]).grad is not None
    with pytest.raises(RuntimeError, match=f"Cannot register two {norm} hooks on the same parameter weight"):
        getattr(utils, norm)(layer)
    getattr(utils, f"remove_{norm}")(layer)
    assert list(layer.state_dict()) == ["bias", "weight"] and not layer._forward_pre_hooks
    if norm == "weight_norm":
        torch.testing.assert_close(layer.weight.detach(), before)


@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("sizes", [(3, 3), (2, 4), (4, 2)])
def test_orthogonal_weights(kind, sizes):
    layer = utils.parametrizations.orthogonal(nn.Linear(*sizes), orthogonal_map=kind)
    w = layer.weight
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    check(product, torch.eye(2 + (sizes == (3, 3))).tolist(), atol=1e-5)
    w.sum().backward()
    assert layer.parametrizations.weight.original.grad is not None


# ------------------------------------------------------------------------------------------ pruning


def test_weights_are_pruned():
    prune, layer = importlib.import_module(f"{utils.__name__}.prune"), nn.Linear(3, 4)
    before = layer.weight.detach().clone()
    prune.l1_unstructured(layer, "weight", amount=0.5)
    assert list(layer.state_dict()) == ["bias", "weight_orig", "weight_mask"] and prune.is_pruned(layer)
    assert layer.weight_mask.sum() == 6
    kept = before.abs()[layer.weight_mask.bool()].min()
    assert (before.abs()[~layer.weight_mask.bool()] <= kept).all()
    prune.ln_structured(layer, "weight", amount=1, n=2, dim=0)
    assert layer.weight_mask.sum() < 6 and (layer.weight_mask.sum(1) == 0).any()
    pruned = layer.weight.detach().clone()
    prune.remove(layer, "weight")
    assert torch.equal(layer.weight, pruned) and not prune.is_pruned(layer)
    two = [(nn.Linear(2, 2), "weight"), (nn.Linear(3, 3), "weight")]
    prune.global_unstructured(two, prune.L1Unstructured, amount=5)
    assert sum(int((m.weight_mask == 0).sum()) for m, _ in two) == 5
    with pytest.raises(ValueError, match="amount=100 should be smaller than the number of parameters"):
        prune.random_unstructured(nn.Linear(3, 4), "weight", 100)


# ---------------------------------------------------------------------------------------- and more


def test_layers_are_fused():
    conv, norm = nn.Conv2d(2, 3, 2).eval(), nn.BatchNorm2d(3).eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    x = torch.randn(1, 2, 4, 4)
    torch.testing.assert_close(utils.fuse_conv_bn_eval(conv, norm)(x), norm(conv(x)), atol=1e-5, rtol=1e-5)
    layer, norm = nn.Linear(2, 3).eval(), nn.BatchNorm1d(3).eval()
    x = torch.randn(4, 2)
    torch.testing.assert_close(utils.fuse_linear_bn_eval(layer, norm)(x), norm(layer(x)))


def test_modules_are_made_without_values():
    assert utils.skip_init(nn.Linear, 2, 3).weight.shape == (3, 2)
    net = utils.convert_conv2d_weight_memory_format(nn.Sequential(nn.Conv2d(2, 3, 2)), torch.channels_last)
    assert net[0].weight.stride() == (8, 1, 4, 2)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_gradients_of_convolutions(dims):
    x = torch.randn(2, 2, *[5] * dims, requires_grad=True)
    w = torch.randn(3, 2, *[3] * dims, requires_grad=True)
    y = getattr(nn.functional, f"conv{dims}d")(x, w, stride=2, padding=1)
    g = torch.randn(y.shape)
    of_x, of_w = torch.autograd.grad(y, (x, w), g)
    of = nn.grad
    made = getattr(of, f"conv{dims}d_input")(x.shape, w, g, stride=2, padding=1)
    torch.testing.assert_close(made, of_x, atol=1e-5, rtol=1e-5)
    made = getattr(of, f"conv{dims}d_weight")(x, w.shape, g, stride=2, padding=1)
    torch.testing.assert_close(made, of_w, atol=1e-5, rtol=1e-5)


def test_backends_of_attention():
    attention = nn.attention
    with attention.sdpa_kernel([attention.SDPBackend.MATH, attention.SDPBackend.FLASH_ATTENTION]):
        names = [str(b) for b in attention._cur_sdpa_kernel_backends()]
        assert names == ["SDPBackend.FLASH_ATTENTION", "SDPBackend.MATH"]
        x = torch.ones(1, 2, 2)
        assert torch.equal(nn.functional.scaled_dot_product_attention(x, x, x), x)
    assert len(attention._cur_sdpa_kernel_backends()) == 5
    with (
        pytest.raises(AssertionError, match="Backend must be an instance of SDPBackend"),
        attention.sdpa_kernel(3),
    ):
        pass


INITS = [
    ("uniform_", (-1, 2)),
    ("normal_", (1, 2)),
    ("trunc_normal_", (0, 1, -0.2, 0.2)),
    ("trunc_normal_", (0, 1)),
    ("xavier_uniform_", ()),
    ("xavier_normal_", (2.0,)),
    ("kaiming_uniform_", ()),
    ("kaiming_normal_", (0, "fan_out", "relu")),
    ("orthogonal_", (2.0,)),
    ("sparse_", (0.3,)),
    ("eye_", ()),
    ("constant_", (2.5,)),
]
SPREADS = {  # of a (40, 30) tensor
    "uniform_": math.sqrt(3 / 4),
    "normal_": 2.0,
    "xavier_uniform_": math.sqrt(2 / 70),
    "xavier_normal_": 2 * math.sqrt(2 / 70),
    "kaiming_uniform_": math.sqrt(2 / 30),
    "kaiming_normal_": math.sqrt(2 / 40),
}


@pytest.mark.parametrize(("name", "args"), INITS)
def test_initial_values(name, args):
    w = nn.Parameter(torch.empty(40, 30))
    assert getattr(init, name)(w, *args) is w and w.requires_grad and w.grad_fn is None
    if name in SPREADS:
        check(w.std(), SPREADS[name], rtol=0.1)
    if name == "trunc_normal_":
        low, high = args[2:] or (-2, 2)
        assert low <= w.min() < w.max() <= high
    if name == "orthogonal_":
        check(w.T @ w, (4 * torch.eye(30)).tolist(), atol=1e-4)
    if name == "sparse_":
        assert ((w == 0).sum(0) == 12).all()


def test_gains_and_fans():
    assert init.calculate_gain("relu") == math.sqrt(2) and init.calculate_gain("tanh") == 5 / 3
    assert init._calculate_fan_in_and_fan_out(torch.empty(2, 3, 4, 5)) == (60, 40)
    check(init.dirac_(torch.empty(2, 2, 3)), [[[0, 1, 0], [0, 0, 0]], [[0, 0, 0], [0, 1, 0]]])
    with pytest.raises(ValueError, match="Unsupported nonlinearity x"):
        init.calculate_gain("x")
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
        init.kaiming_normal_(torch.empty(0, 2))


def test_products_in_groups():
    a, b = torch.randn(2, 8, 16, requires_grad=True), torch.randn(2, 16, 8)
    grouped = nn.functional.grouped_mm
    torch.testing.assert_close(grouped(a, b), a @ b)
    ends = torch.tensor([3, 8], dtype=torch.int32)
    rows = grouped(a[0], b, offs=ends)
    torch.testing.assert_close(rows, torch.cat([a[0, :3] @ b[0], a[0, 3:] @ b[1]]))
    columns = grouped(a, b[0], offs=ends)
    torch.testing.assert_close(columns, torch.cat([a[0] @ b[0, :, :3], a[1] @ b[0, :, 3:]], 1))
    ends = torch.tensor([4, 16], dtype=torch.int32)
    sums = grouped(a[0], b[0], offs=ends)
    torch.testing.assert_close(sums, torch.stack([a[0, :, :4] @ b[0, :4], a[0, :, 4:] @ b[0, 4:]]))
    (slope,) = torch.autograd.grad(sums, a, torch.ones(2, 8, 8))
    assert slope[0].shape == (8, 16)
