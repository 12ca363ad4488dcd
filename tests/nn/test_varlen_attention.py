"""Attention over sequences one after another: that of each, by itself."""

import importlib

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("PyTorch has it on GPUs alone")

varlen = importlib.import_module(f"{torch.__name__}.nn.attention.varlen")
attend = torch.nn.functional.scaled_dot_product_attention
LENGTHS = (3, 1, 5)


def packed(heads=2, lengths=LENGTHS, seed=0):
    torch.manual_seed(seed)
    return torch.randn(sum(lengths), heads, 4, dtype=torch.float64, requires_grad=True)


def begins(lengths=LENGTHS):
    return torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)


def one_by_one(q, k, v, lengths=LENGTHS, masks=None, **options):
    parts = zip(*(x.split(list(lengths)) for x in (q, k, v)), strict=True)
    made = []
    for i, some in enumerate(parts):
        mask = None if masks is None else masks[i]
        made.append(attend(*(x.transpose(0, 1) for x in some), attn_mask=mask, **options).transpose(0, 1))
    return torch.cat(made)


@pytest.mark.parametrize("window", [(-1, -1), (-1, 0), (1, 0), (1, 1)])
def test_each_sequence_attends_to_itself(window):
    q, k, v = (packed(seed=n) for n in range(3))
    found = varlen.varlen_attn(q, k, v, begins(), begins(), 5, 5, window_size=window)
    left, right = (100 if side < 0 else side for side in window)
    masks = []
    for length in LENGTHS:
        place = torch.arange(length)
        apart = place[:, None] - place
        masks.append((apart <= left) & (-apart <= right))
    wanted = one_by_one(q, k, v, masks=masks)
    torch.testing.assert_close(found, wanted)
    grads = torch.autograd.grad(found.square().sum(), (q, k, v))
    torch.testing.assert_close(grads, torch.autograd.grad(wanted.square().sum(), (q, k, v)))


def test_heads_are_shared_and_sums_returned():
    q, k = packed(4), packed(2, seed=1)
    aux = varlen.AuxRequest(lse=True)
    found, sums = varlen.varlen_attn(
        q, k, k, begins(), begins(), 5, 5, enable_gqa=True, return_aux=aux, scale=0.3
    )
    torch.testing.assert_close(found, one_by_one(q, k, k, enable_gqa=True, scale=0.3))
    scores = 0.3 * torch.einsum("hd,khd->hk", q[3], k[3:4].repeat_interleave(2, 1))
    torch.testing.assert_close(sums[3], scores.logsumexp(-1))
    with pytest.raises(ValueError, match="enable_gqa"):
        varlen.varlen_attn(q, k, k, begins(), begins(), 5, 5)


def test_pages_and_lengths_of_keys():
    lengths = (3, 4)
    q, k, v = packed(lengths=(1, 1)), packed(lengths=lengths, seed=1), packed(lengths=lengths, seed=2)
    pools = []
    for x in (k, v):
        pool = torch.zeros(5, 2, 2, 4, dtype=torch.float64)
        pool[3], pool[1, 0] = x[:2], x[2]
        pool[0], pool[4] = x[3:5], x[5:7]
        pools.append(pool)
    table = torch.tensor([[3, 1], [0, 4]], dtype=torch.int32)
    options = {"seqused_k": torch.tensor(lengths), "block_table": table}
    out = torch.empty_like(q)
    found = varlen.varlen_attn_out(out, q, *pools, begins((1, 1)), None, 1, 4, **options)
    assert found is out
    torch.testing.assert_close(
        out, varlen.varlen_attn(q, k, v, begins((1, 1)), begins(lengths), 1, 4).detach()
    )


def test_implementations_by_name():
    attention = importlib.import_module(f"{torch.__name__}.nn.attention")
    removed = []

    class Handle:
        def remove(self):
            removed.append(1)

    assert attention.list_flash_attention_impls() == ["FA3", "FA4"]
    attention.register_flash_attention_impl("mine", register_fn=Handle)
    try:
        attention.activate_flash_attention_impl("mine")
        assert attention.current_flash_attention_impl() == "mine"
        attention.restore_flash_attention_impl()
        assert attention.current_flash_attention_impl() is None and removed == [1]
    finally:
        attention._registry._REGISTERED.pop("mine")
    with pytest.raises(ValueError, match=r"Unknown flash attention impl 'x'\. Available"):
        attention.activate_flash_attention_impl("x")
