"""nn.attention.bias and nn.parallel: what they promise, alike on PyTorch."""

import importlib

import pytest
from library import check, pullback_only, torch

bias = importlib.import_module(f"{torch.__name__}.nn.attention.bias")
scattering = importlib.import_module(f"{torch.__name__}.nn.parallel.scatter_gather")
nn, F = torch.nn, torch.nn.functional


@pytest.mark.parametrize("kind", ["causal_upper_left", "causal_lower_right"])
@pytest.mark.parametrize("sizes", [(3, 3), (2, 4)])
def test_a_causal_bias_is_the_mask_that_it_shows(kind, sizes):
    torch.manual_seed(0)
    mask = getattr(bias, kind)(*sizes)
    shift = sizes[1] - sizes[0] if kind == "causal_lower_right" else 0
    dense = torch.ones(sizes, dtype=torch.bool).tril(shift)
    assert repr(mask) == str(mask) == repr(dense)
    check(mask._materialize(), dense)
    q = torch.rand(2, 2, sizes[0], 4, requires_grad=True)
    k, v = torch.rand(2, 2, sizes[1], 4), torch.rand(2, 2, sizes[1], 4)
    found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=2.0)
    assert type(found) is torch.Tensor
    wanted = F.scaled_dot_product_attention(q, k, v, attn_mask=dense, scale=2.0)
    check(found, wanted.detach(), rtol=1e-5)
    (grad,) = torch.autograd.grad(found.sum(), q)
    check(grad, torch.autograd.grad(wanted.sum(), q)[0], rtol=1e-3, atol=1e-6)


def test_what_a_causal_bias_is():
    mask = bias.causal_lower_right(2, 3)
    assert isinstance(mask, bias.CausalBias)
    assert mask.variant is bias.CausalVariant.LOWER_RIGHT == 2
    assert (mask.seq_len_q, mask.seq_len_kv) == (2, 3)
    with pytest.raises(AssertionError, match="causal_upper_left only supports 2D tensors"):
        bias.causal_upper_left(2, 3, 4)
    with pytest.warns(UserWarning, match="will produce NaNs in the output when seq_len_q > seq_len_kv"):
        bias.causal_lower_right(3, 2)
    q = torch.rand(1, 2, 2, 4)
    with pytest.raises(ValueError, match="CausalBias should not be used with causal=True"):
        F.scaled_dot_product_attention(q, q, q, attn_mask=bias.causal_upper_left(2, 2), is_causal=True)


def test_a_data_parallel_module_is_called_as_it_is():
    net, x = nn.Linear(2, 3), torch.ones(4, 2)
    both = nn.DataParallel(net)
    check(both(x), net(x).detach())
    assert list(both.state_dict()) == ["module.weight", "module.bias"]
    assert both.device_ids == []
    assert both.module is net


@pullback_only("there is one device, the CPU, which the functions run on")
def test_parallel_functions_run_on_the_one_device():
    net, x = nn.Linear(2, 3), torch.ones(4, 2)
    check(nn.parallel.data_parallel(net, x, device_ids=[0, 1]), net(x).detach())
    check(nn.parallel.data_parallel(net, (x,), module_kwargs={}), net(x).detach())
    for found in nn.parallel.parallel_apply([net, net], [x, (x,)]):
        check(found, net(x).detach())


def test_what_is_no_tensor_goes_to_every_device():
    assert scattering.scatter([1, {"a": 2}], [0, 1]) == [[1, {"a": 2}], [1, {"a": 2}]]
    assert scattering.scatter((1, "b"), [0, 1]) == [(1, "b"), (1, "b")]
    assert scattering.scatter({}, [0, 1]) == [{}, {}]
    assert scattering.scatter_kwargs((1,), None, [0, 1]) == (((1,), (1,)), ({}, {}))
    with pytest.raises(ValueError, match="Expected a non cpu device, but got: cpu"):
        scattering.scatter(torch.ones(2), [torch.device("cpu")])
    with pytest.raises(
        AssertionError, match="The number of modules 1 is not equal to the number of inputs 2"
    ):
        nn.parallel.parallel_apply([nn.ReLU()], [1, 2])
    assert nn.parallel.replicate(nn.ReLU(), []) == []
