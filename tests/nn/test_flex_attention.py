"""Attention with functions of scores and masks of blocks, alike on PyTorch."""

import importlib
import math

import pytest
from library import ON_TORCH, check, torch

flex = importlib.import_module(f"{torch.__name__}.nn.attention.flex_attention")
F = torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore")
if ON_TORCH:
    flex._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG = True  # it compiles what it is called with otherwise


def causal(b, h, q_idx, kv_idx):
    return q_idx >= kv_idx


@pytest.fixture
def qkv():
    torch.manual_seed(0)
    return [torch.randn(2, 4, 10, 8) for _ in range(3)]


def test_without_functions_it_is_attention(qkv):
    q, k, v = qkv
    check(flex.flex_attention(q, k, v), F.scaled_dot_product_attention(q, k, v), rtol=1e-4, atol=1e-6)
    check(
        flex.flex_attention(q, k, v, scale=2.0),
        F.scaled_dot_product_attention(q, k, v, scale=2.0),
        rtol=1e-4,
        atol=1e-6,
    )
    shared = flex.flex_attention(q, k[:, :2], v[:, :2], enable_gqa=True)
    wanted = F.scaled_dot_product_attention(q, k[:, :2], v[:, :2], enable_gqa=True)
    check(shared, wanted, rtol=1e-4, atol=1e-6)
    laid = flex.flex_attention(q.transpose(1, 2).contiguous().transpose(1, 2), k, v)
    assert laid.stride() == (320, 8, 32, 1)
    assert flex.flex_attention(q.half(), k.half(), v.half()).dtype == torch.float16


def test_scores_are_changed_by_a_function(qkv):
    q, k, v = qkv
    bias = torch.randn(4, 10, 10)
    found = flex.flex_attention(q, k, v, score_mod=lambda s, b, h, i, j: s + bias[h, i, j] * (b + 1))
    wanted = F.scaled_dot_product_attention(q, k, v, bias * torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1))
    check(found, wanted, rtol=1e-4, atol=1e-6)

    def masked(s, b, h, i, j):
        return torch.where(i >= j, s, -math.inf)

    wanted = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    check(flex.flex_attention(q, k, v, score_mod=masked), wanted, rtol=1e-4, atol=1e-6)


def test_scores_are_masked_in_blocks(qkv):
    q, k, v = qkv
    mask = flex.create_block_mask(causal, None, None, 10, 10, BLOCK_SIZE=4)
    wanted = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    found, aux = flex.flex_attention(q, k, v, block_mask=mask, return_aux=flex.AuxRequest(lse=True))
    check(found, wanted, rtol=1e-4, atol=1e-6)
    scores = q @ k.mT / math.sqrt(8) + torch.full((10, 10), -math.inf).triu(1)
    check(aux.lse, scores.logsumexp(-1), rtol=1e-4, atol=1e-6)
    near = flex.and_masks(causal, lambda b, h, i, j: i - j < 3)
    either = flex.or_masks(near, lambda b, h, i, j: h == 1)
    mask = flex.create_block_mask(either, None, 4, 10, 10)
    dense = flex.create_mask(either, None, 4, 10, 10)
    check(
        flex.flex_attention(q, k, v, block_mask=mask),
        F.scaled_dot_product_attention(q, k, v, dense),
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_row_without_scores_gives_zeros(qkv):
    q, k, v = qkv
    mask = flex.create_block_mask(lambda b, h, i, j: i < 1, None, None, 10, 10)
    found, aux = flex.flex_attention(q, k, v, block_mask=mask, return_aux=flex.AuxRequest(lse=True))
    assert not found[:, :, 1:].any() and found[:, :, 0].all()
    assert torch.isneginf(aux.lse[:, :, 1:]).all()


@pytest.mark.skipif(ON_TORCH, reason="PyTorch has no gradients of it on CPUs")
def test_gradients(qkv):
    q, k, v = (x.double().requires_grad_() for x in qkv)
    mask = flex.create_block_mask(lambda b, h, i, j: (i >= j) & (i > 0), None, None, 10, 10)

    def attention(q, k, v, bias):
        return flex.flex_attention(q, k, v, lambda s, b, h, i, j: s * bias[h], mask)

    bias = torch.ones(4, dtype=torch.float64, requires_grad=True)
    small = [x[:1, :, :3, :2].detach().requires_grad_() for x in (q, k, v)]
    mask = flex.create_block_mask(lambda b, h, i, j: (i >= j) & (i > 0), None, None, 3, 3)
    assert torch.autograd.gradcheck(attention, (*small, bias))
    _, aux = flex.flex_attention(q, k, v, return_aux=flex.AuxRequest(max_scores=True))
    check(aux.max_scores.detach(), (q.detach() @ k.detach().mT / math.sqrt(8)).amax(-1))


def test_blocks_are_listed():
    mask = flex.create_block_mask(causal, None, None, 10, 10, BLOCK_SIZE=4)
    assert mask.kv_num_blocks.tolist() == [[[1, 1, 3]]] and mask.kv_num_blocks.dtype == torch.int32
    assert mask.kv_indices.tolist() == [[[[0, 1, 2], [1, 0, 2], [0, 1, 2]]]]
    assert mask.full_kv_num_blocks.tolist() == [[[0, 1, 0]]]
    assert mask.q_num_blocks.tolist() == [[[2, 2, 1]]]
    assert mask.q_indices.tolist() == [[[[0, 2, 1], [1, 2, 0], [2, 0, 1]]]]
    assert mask.to_dense().tolist() == [[[[1, 0, 0], [1, 1, 0], [1, 1, 1]]]]
    assert mask.shape == (1, 1, 10, 10) and mask.numel() == 100
    assert mask.sparsity() == pytest.approx(4.0)
    assert mask._adjust(6, 7).kv_indices.tolist() == [[[[0, 1], [1, 0]]]]
    joined = flex.create_block_mask(causal, None, None, 10, 10, BLOCK_SIZE=4, separate_full_blocks=False)
    assert joined.full_kv_indices is None and joined.kv_num_blocks.tolist() == [[[1, 2, 3]]]
    assert len(mask.as_tuple()) == 17 and mask.as_tuple(False)[0] == (10, 10)


def test_masks_are_drawn():
    mask = flex.create_block_mask(causal, None, None, 10, 10, BLOCK_SIZE=4)
    assert str(mask) == (
        "BlockMask(shape=(1, 1, 10, 10), sparsity=4.00%, \n(0, 0)\n██    \n████  \n██████\n)"
    )
    assert mask.to_string(grid_size=2) == "(0, 0)\n░░  \n████\n"
    assert repr(mask).splitlines()[:2] == ["BlockMask(", "    kv_num_blocks=torch.Size([1, 1, 3]),"]
    assert repr(mask).endswith("    sparsity=4.00%,\n    mask_mod=causal\n)")
    many = flex.create_block_mask(causal, 2, 3, 4, 4, BLOCK_SIZE=4)
    assert many.to_string(limit=1).startswith("(0, 0)\n██\n\n...\nTo print out more")


def test_parts_of_masks():
    mask = flex.create_block_mask(causal, 2, 3, 10, 10, BLOCK_SIZE=4)
    assert mask[0].shape == (1, 3, 10, 10) and mask[0, 1].shape == (1, 1, 10, 10)
    assert mask[0, 1, 1:].kv_indices.tolist() == [[[[1, 0, 2], [0, 1, 2]]]]
    x = torch.ones(2, 3, 10, 2)
    with pytest.raises(RuntimeError, match="Cannot use mask_mod from a sliced BlockMask"):
        flex.flex_attention(x, x, x, block_mask=mask[:, :])
    counts = torch.tensor([[[1, 1]]], dtype=torch.int32)
    indices = torch.tensor([[[[0, 1], [1, 0]]]], dtype=torch.int32)
    made = flex.BlockMask.from_kv_blocks(counts, indices, BLOCK_SIZE=2)
    assert made.shape == (1, 1, 4, 4) and made.q_indices.tolist() == [[[[0, 1], [1, 0]]]]
    assert made.mask_mod is flex.noop_mask


ERRORS = [
    (lambda q, k, v: flex.flex_attention(q[0], k[0], v[0]), NotImplementedError, "must be 4D tensors"),
    (lambda q, k, v: flex.flex_attention(q, k[:, :2], v[:, :2]), ValueError, "Try setting enable_gqa=True"),
    (
        lambda q, k, v: flex.flex_attention(q, k[:, :3], v[:, :3], enable_gqa=True),
        ValueError,
        "to be a multiple of kv heads for GQA but got Hq=4 and Hkv=3",
    ),
    (lambda q, k, v: flex.flex_attention(q[..., :5], k, v), ValueError, "got E=5 and E=8"),
    (lambda q, k, v: flex.flex_attention(q[:1], k, v), ValueError, "got block_mask=None, Bq=1, and Bkv=2"),
    (
        lambda q, k, v: flex.flex_attention(
            q, k, v, block_mask=flex.create_block_mask(causal, None, None, 5, 20)
        ),
        ValueError,
        "created for a smaller length",
    ),
    (
        lambda q, k, v: flex.flex_attention(
            q, k, v, block_mask=flex.create_block_mask(causal, None, None, 10, 20)
        ),
        ValueError,
        "created for a larger length",
    ),
    (
        lambda q, k, v: flex.flex_attention(q, k, v, return_lse=True, return_aux=flex.AuxRequest()),
        ValueError,
        "Cannot specify both return_lse and return_aux",
    ),
    (lambda q, k, v: flex.create_mask(lambda a, b: a, None, None, 2, 2), AssertionError, "args, got 2"),
    (
        lambda q, k, v: flex.create_block_mask(lambda s, b, h, i, j: s, None, None, 2, 2),
        AssertionError,
        "requires a mask_mod function",
    ),
    (
        lambda q, k, v: flex.create_block_mask(lambda b, h, i, j: i * 1.0, None, None, 2, 2),
        AssertionError,
        "mask.dtype must be torch.bool, got torch.float32",
    ),
    (lambda q, k, v: flex.and_masks(causal, 5), RuntimeError, "All inputs should be callable mask_mods"),
]


@pytest.mark.parametrize("action, kind, message", ERRORS)
def test_errors(action, kind, message, qkv):
    with pytest.raises(kind, match=message):
        action(*qkv)
