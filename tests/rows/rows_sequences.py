"""Rows of what works on sequences: embeddings, attention, recurrent layers, segments, masked reductions.

samples.py tells how to read them. What has a list of tensors in and out is in test_foreach.py.
"""

from samples import ALL, FLOATS, INEXACT, NUMBER, ORDERED, In, P, S, at, inf, pos, table, these, x

ROWS, rows = table()
F = "nn.functional."

# ----------------------------------------------------------------------------- embeddings
TABLE = x(5, 3)
IDS = these([[0, 3, 1, 3], [2, 2, 4, 1]], "int64")
BAG = these([0, 3, 1, 3, 4, 2], "int64")
CUTS = these([0, 2, 2, 6], "int64")
rows(
    F + "embedding",
    [
        S(IDS, TABLE),
        S(at(5), TABLE),
        S(at(5, 0), TABLE),
        P(IDS, TABLE, 2),
        P(IDS, TABLE, -2),
        P(IDS, TABLE, scale_grad_by_freq=True),
        P(IDS, TABLE, padding_idx=1, scale_grad_by_freq=True),
        P(these([5], "int64"), TABLE),
        P(these([0.5]), TABLE),
        P(IDS, x(3)),
        P(IDS, TABLE, 5),
    ],
    kinds=ALL,
    forms="f",
    twice=False,
)
rows("embedding", [S(TABLE, IDS), P(TABLE, IDS, 1)], kinds=ALL, forms="f", twice=False)
rows(
    F + "embedding_bag",
    [
        S(IDS, TABLE),
        S(IDS, TABLE, mode="sum"),
        S(IDS, TABLE, mode="max"),
        S(BAG, TABLE, CUTS),
        S(BAG, TABLE, CUTS, mode="max"),
        S(BAG, TABLE, CUTS, mode="sum", include_last_offset=True),
        S(BAG, TABLE, CUTS, mode="sum", per_sample_weights=x(6)),
        S(IDS, TABLE, mode="sum", per_sample_weights=x(2, 4)),
        S(BAG, TABLE, CUTS, padding_idx=0),
        S(BAG, TABLE, CUTS, padding_idx=-4, mode="max"),
        S(BAG, TABLE, CUTS, padding_idx=1, mode="sum", per_sample_weights=x(6)),
        P(BAG, TABLE),
        P(BAG, TABLE, CUTS, mode="least"),
        P(BAG, TABLE, CUTS, mode="mean", per_sample_weights=x(6)),
        P(BAG, TABLE, these([1, 2], "int64")),
        P(BAG, TABLE, these([0, 9], "int64")),
        P(BAG, TABLE, CUTS, padding_idx=7),
    ],
    kinds=FLOATS,
    forms="f",
    tol=4,
    meta=False,
)
rows(
    F + "embedding_bag",
    [P(BAG, TABLE, CUTS, scale_grad_by_freq=True)],
    kinds=FLOATS,
    forms="f",
    meta=False,
    better="PyTorch divides some rows by another row's frequency",
)
rows(
    F + "one_hot",
    [
        S(these([2, 0, 1], "int64")),
        S(IDS, 7),
        S(at(3), 4),
        P(these([-1], "int64")),
        P(these([3], "int64"), 2),
        P(these([0.5])),
    ],
    kinds=ALL,
    forms="f",
    derived=False,
    meta=False,
)

# ------------------------------------------------------------------------------ attention
Q, K, V = x(2, 3, 5, 4), x(2, 3, 6, 4), x(2, 3, 6, 2)
rows(
    F + "scaled_dot_product_attention",
    [
        S(Q, K, V),
        S(x(5, 4), x(6, 4), x(6, 2)),
        S(Q, K, V, is_causal=True),
        S(Q, K, V, these([[True] * 5 + [False]] * 5, "bool")),
        S(Q, K, V, x(5, 6)),
        S(Q, K, V, x(2, 1, 1, 6), scale=0.3),
        S(x(2, 4, 5, 4), x(2, 2, 6, 4), x(2, 2, 6, 2), enable_gqa=True),
        S(Q, K, V, these([[True] * 6, [False] * 6, [True] * 6, [True] * 6, [True] * 6], "bool")),
        P(x(4), x(4), x(4)),
        P(Q, K, V, these([[1, 2]], "int64")),
        P(x(2, 3, 3, 4), K, V, enable_gqa=True, dropout_p=2.0),
    ],
    kinds=FLOATS,
    forms="f",
    composite=True,
    tol=8,
)
WIDE = {
    "embed_dim_to_check": 4, "num_heads": 2, "in_proj_weight": x(12, 4), "in_proj_bias": x(12),
    "bias_k": None, "bias_v": None, "add_zero_attn": False, "dropout_p": 0.0,
    "out_proj_weight": x(4, 4), "out_proj_bias": x(4),
}  # fmt: skip
PARTS = dict(
    WIDE, in_proj_weight=None, use_separate_proj_weight=True, q_proj_weight=x(4, 4),
    k_proj_weight=x(4, 3), v_proj_weight=x(4, 5),
)  # fmt: skip
X, Y = x(5, 3, 4), x(6, 3, 4)
rows(
    F + "multi_head_attention_forward",
    [
        S(X, X, X, **WIDE),
        S(X, Y, Y, **WIDE),
        S(X, Y, Y, **dict(WIDE, need_weights=False)),
        S(X, Y, Y, **dict(WIDE, average_attn_weights=False)),
        S(x(5, 4), x(6, 4), x(6, 4), **WIDE),
        S(X, Y, Y, **dict(WIDE, attn_mask=x(5, 6))),
        S(X, Y, Y, **dict(WIDE, bias_k=x(1, 1, 4), bias_v=x(1, 1, 4), add_zero_attn=True)),
        S(X, x(6, 3, 3), x(6, 3, 5), **PARTS),
        P(x(2, 5, 3, 4), Y, Y, **WIDE),
        P(X, Y, Y, **dict(WIDE, embed_dim_to_check=5)),
        P(X, Y, Y, **dict(WIDE, num_heads=3)),
        P(X, Y, Y, **dict(WIDE, is_causal=True)),
    ],
    kinds=FLOATS,
    forms="f",
    composite=True,
    tol=16,
    meta=False,
)

# ------------------------------------------------------------------------- recurrent layers


def small(*shape):
    return x(*shape, low=-0.3, high=0.3)


def weights(blocks, layers=1, both=False, biased=True):
    """The parameters of a recurrent layer with inputs of 4 and states of 3, or of several."""
    found = []
    for layer in range(layers):
        for _ in range(1 + both):
            size = 4 if layer == 0 else 3 * (1 + both)
            found += [small(blocks * 3, size), small(blocks * 3, 3)]
            found += [small(blocks * 3), small(blocks * 3)] if biased else []
    return found


def layer_calls(blocks, state):
    """A layer with the batch second and first, in two directions and layers, without biases."""
    return [
        S(small(4, 2, 4), state(1), weights(blocks), True, 1, 0.0, False, False, False),
        S(small(2, 4, 4), state(1), weights(blocks), True, 1, 0.0, True, False, True),
        S(small(4, 2, 4), state(4), weights(blocks, 2, True), True, 2, 0.0, True, True, False),
        S(small(4, 2, 4), state(1), weights(blocks, biased=False), False, 1, 0.0, True, False, False),
        P(x(4, 2, 4), state(1), weights(blocks)[:3], True, 1, 0.0, False, False, False),
        P(x(0, 2, 4), state(1), weights(blocks), True, 1, 0.0, False, False, False),
    ]


def cell_calls(blocks, state):
    """A cell with and without biases, and states that do not fit."""
    w_ih, w_hh, b_ih, b_hh = weights(blocks)
    return [
        S(x(2, 4), state(2, 3), w_ih, w_hh, b_ih, b_hh),
        S(x(2, 4), state(2, 3), w_ih, w_hh),
        P(x(2, 4), state(3, 3), w_ih, w_hh, b_ih, b_hh),
        P(x(2, 4), state(2, 4), w_ih, w_hh, b_ih, b_hh),
        P(x(2, 3), state(2, 3), w_ih, w_hh, b_ih, b_hh),
    ]


SPLIT = {"forms": "f", "composite": True, "tol": 16, "meta": False}
rows("rnn_tanh", layer_calls(1, lambda n: small(n, 2, 3)), kinds=INEXACT, **SPLIT)
rows("rnn_relu", layer_calls(1, lambda n: small(n, 2, 3)), kinds=ORDERED, **SPLIT)
rows("gru", layer_calls(3, lambda n: small(n, 2, 3)), kinds=INEXACT, **SPLIT)
rows("lstm", layer_calls(4, lambda n: (small(n, 2, 3), small(n, 2, 3)))[:4], kinds=INEXACT, **SPLIT)
rows("rnn_tanh_cell", cell_calls(1, x), kinds="uihgfc", **SPLIT)
rows("rnn_relu_cell", cell_calls(1, x), kinds=ORDERED, **SPLIT)
rows("gru_cell", cell_calls(3, x), kinds=INEXACT, **SPLIT)
rows("lstm_cell", cell_calls(4, lambda *s: (x(*s), x(*s))), kinds=INEXACT, **SPLIT)
rows(
    "_pack_padded_sequence",
    [S(x(3, 4), these([3, 2, 2, 1], "int64"), False), P(x(3, 2), these([1, 2], "int64"), False)],
    forms="f",
    composite=True,
    twice=False,
    meta=False,
)
rows(
    "_pad_packed_sequence",
    [S(x(6), these([3, 2, 1], "int64"), False, 1.0, -1), S(x(6), these([3, 2, 1], "int64"), True, 0.0, 5)],
    forms="f",
    composite=True,
    twice=False,
    meta=False,
)

# --------------------------------------------------------------------------------- segments
LENGTHS = these([2, 0, 3, 1], "int64")
OFFSETS = these([0, 2, 2, 5, 6], "int64")
for how in ("sum", "mean", "max", "min", "prod"):
    rows(
        "segment_reduce",
        [
            S(pos(6), how, lengths=LENGTHS, initial=0.5),
            S(pos(6, 2), how, offsets=OFFSETS, initial=1.0),
            S(pos(2, 3), how, lengths=these([[2, 1], [1, 2]], "int64"), axis=1),
            P(these([1.0, 1.0, 2.0, 0.0, 0.0, 3.0]), how, lengths=LENGTHS),
            P(x(6), how, lengths=these([2, 2], "int64")),
            P(x(6), how, lengths=these([-1, 7], "int64")),
            P(x(6), how),
        ],
        kinds=FLOATS,
        forms="f",
        tol=4,
        twice=False,
        meta=False,
    )

# ------------------------------------------------------------------------ masked reductions
M, HIDE = "masked.", these([[True, True, False], [True, False, True]], "bool")
BOX = x(2, 3)
MASKED = [S(BOX, 1, mask=HIDE), S(BOX, mask=HIDE), S(BOX, 0), S(BOX, 1, keepdim=True, mask=HIDE)]
NUMBERS = {"forms": "f", "composite": True, "meta": False, "tol": 4}
rows(M + "sum", MASKED, kinds=ALL, **NUMBERS)
rows(M + "prod", [S(BOX, 1, mask=HIDE), S(BOX, 0)], kinds=ALL, **NUMBERS)
rows(f"{M}amax {M}amin", MASKED, kinds="uihgf", **NUMBERS)
rows(M + "mean", MASKED, kinds=INEXACT, **NUMBERS)
rows(f"{M}var {M}std", MASKED, kinds=NUMBER, **NUMBERS)
rows(M + "norm", [S(BOX, 2.0, 1, mask=HIDE), S(BOX, 1, (0, 1), mask=HIDE)], kinds=INEXACT, **NUMBERS)
rows(M + "normalize", [S(BOX, 2.0, 1, mask=HIDE)], kinds=INEXACT, **NUMBERS)
rows(f"{M}softmax {M}log_softmax {M}softmin", [P(BOX, 1, mask=HIDE), S(BOX, 0)], kinds=FLOATS, **NUMBERS)
rows(f"{M}cumsum {M}cumprod", [S(BOX, 1, mask=HIDE), S(BOX, 0)], kinds=NUMBER, **NUMBERS)
rows(f"{M}argmax {M}argmin", [S(BOX, 1, mask=HIDE)], kinds=ORDERED, derived=False, **NUMBERS)
rows(M + "logsumexp", MASKED, kinds=NUMBER, **NUMBERS)
rows(M + "median", [P(BOX, 1, mask=HIDE)], kinds=ALL, **NUMBERS)
rows(M + "logaddexp", [S(BOX, x(2, 3))], kinds=INEXACT, **NUMBERS)
rows(
    "_safe_softmax",
    [S(x(2, 3), 1), P(In((2, 2), source="values", values=[[-inf, -inf], [0.0, 1.0]]), 1)],
    kinds=FLOATS,
    forms="f",
    composite=True,
)
rows(
    "_unsafe_masked_index_put_accumulate",
    [S(x(3), these([True, False, True], "bool"), [these([0, 5, -1], "int64")], x(3))],
    kinds=ALL,
    forms="f",
    composite=True,
    meta=False,
)

# ------------------------------------------------------------------------------ small things
rows(
    "_chunk_cat",
    [S([x(3, 2), x(2, 2)], 0, 2), S([x(2, 3)], 1, 2), P([x(2)], 0, 0)],
    forms="fo",
    twice=False,
    composite=True,
)
rows(
    "_unsafe_masked_index",
    [S(x(3), these([True, False, True], "bool"), [these([0, 5, -1], "int64")], 7)],
    kinds=ALL,
    forms="f",
    composite=True,
    meta=False,
)
rows(
    "nonzero_static",
    [S(In((2, 3), source="values", values=[[1, 0, 2], [0, 3, 0]], grad=False), size=4)],
    forms="fmo",
    derived=False,
    meta=False,
)
