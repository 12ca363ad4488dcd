"""Rows of torch.nn.functional: activations, losses, normalisation. samples.py tells how to read them.

Dropout and what else draws numbers is in test_nn_functional.py: rows hold what is determined.
"""

from samples import ALL, FLOATS, INEXACT, NUMBER, ORDERED, In, P, S, at, inf, nan, pos, table, these, x

ROWS, rows = table()
F = "nn.functional."


def functions(names, calls, **options):
    """Rows of functions in torch.nn.functional."""
    options = {"kinds": FLOATS, "forms": "f", **options}
    rows(" ".join(F + name for name in names.split()), calls, **options)


# ------------------------------------------------------------------------------ activations
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -2.5, 1e-6, 30.0, inf, nan]
CORNERS = [0.0, 3.0, -3.0, 6.0, 0.5, -0.5, 1.0, -1.0, -40.0, inf, -inf, nan]
SMOOTH = [S(x(3, 4)), S(x()), S(x(0, 3)), P(these(EDGES))]
functions("silu", SMOOTH, kinds=INEXACT, twice=False, tol=4)
functions("mish", SMOOTH, tol=4)
functions("softplus", SMOOTH, forms="fo", tol=4)
functions("logsigmoid", SMOOTH, forms="fo", tol=4)
functions("softplus", [S(x(3, 4), 2, 1.5), S(x(4), beta=0.5)], forms="fo", tol=4)
functions("gelu", [*SMOOTH[:3], P(these(EDGES[:-2])), S(x(3, 4), approximate="tanh")], forms="fo", tol=8)
functions("elu celu selu", SMOOTH, tol=4)
functions("elu", [S(x(3, 4), 0.7), S(x(3, 4), alpha=1.5)], tol=4)
functions("celu", [S(x(3, 4), 0.7)], tol=4, better="the slope of celu is not rounded to float32")
functions("tanhshrink", SMOOTH, kinds=NUMBER, composite=True, tol=4)
functions(
    "softsign", SMOOTH, kinds=NUMBER, composite=True, tol=4, better="the slope of softsign is 0 at infinity"
)
functions("sigmoid tanh", SMOOTH, kinds=ALL, tol=2)
functions("glu", [S(x(3, 4)), S(x(4, 3), 0), S(x(2, 3, 2))], tol=4)
functions(
    "softmin softmax log_softmax",
    [S(x(3, 4), 1), S(x(2, 3, 4), 0), S(x(), 0), S(x(0, 3), 0), S(x(3, 0), 0), S(x(9, 20), 0)],
    tol=2,
)

PIECES = [S(x(3, 4)), S(x()), S(x(0, 3)), P(these(CORNERS))]
functions("relu6", PIECES, kinds=ORDERED)
functions("relu", [*PIECES[:3], P(these(CORNERS[:-1]))], kinds=ORDERED)
functions("hardtanh", [*PIECES, S(x(3, 4), -0.5, 0.25)], kinds="ihgf")
functions("hardsigmoid", PIECES, better="the slope of hardsigmoid is 1/6 to the last digit")
functions("hardswish leaky_relu", PIECES)
functions("leaky_relu", [S(x(3, 4), 0.3), P(these(CORNERS), -0.5)])
functions("softshrink", [*PIECES, S(x(3, 4), 0.3)], forms="fo")
rows("hardshrink", [*PIECES, S(x(3, 4), 0.3)], kinds=FLOATS, forms="fmo")
functions("threshold", [S(x(3, 4), 0.25, 2.0), P(these(CORNERS), 1, 7)], kinds=ORDERED)
rows(
    "prelu", [S(x(3, 4), x(1)), S(x(3, 4), x(4)), S(x(2, 3, 4), x(3)), S(x(), x())], kinds=FLOATS, forms="fm"
)
functions("rrelu", PIECES, kinds=FLOATS)

# ------------------------------------------------------------------------------------ losses
REDUCED = [{"reduction": how} for how in ("none", "mean", "sum")]


def pair_calls(left, right, *more):
    """A loss of two tensors: every reduction, and broadcasting."""
    calls = [S(left, right, **how) for how in REDUCED]
    return [*calls, S(x(), x()), S(x(0, 3), x(0, 3), reduction="sum"), *more]


PAIR = x(3, 4), x(3, 4)
functions("mse_loss", pair_calls(*PAIR, S(x(3, 4), x(4)), S(*PAIR, weight=x(3, 4))), tol=4)
functions("l1_loss", pair_calls(*PAIR, S(x(3, 4), x(4))), kinds=NUMBER, composite=True, tol=2)
functions("smooth_l1_loss", pair_calls(*PAIR, S(*PAIR, beta=0.5), S(*PAIR, beta=0)), tol=4)
functions("huber_loss", pair_calls(*PAIR, S(*PAIR, delta=0.5), S(*PAIR, weight=x(3, 4))), tol=4)
SIGNS = In((2, 2), source="values", values=[[1.0, -1.0], [-1.0, 1.0]], grad=False)
functions("soft_margin_loss", [S(x(2, 2), SIGNS, **how) for how in REDUCED], kinds=INEXACT, tol=4)
UNIT = x(3, 4, low=0.1, high=0.9)
functions(
    "binary_cross_entropy",
    [*(S(UNIT, x(3, 4, low=0.0, high=1.0), **how) for how in REDUCED), S(UNIT, UNIT, x(4, grad=False))],
    tol=8,
)
functions(
    "binary_cross_entropy_with_logits",
    [
        *(S(x(3, 4), x(3, 4, low=0.0, high=1.0), **how) for how in REDUCED),
        S(x(3, 4), UNIT, x(4, grad=False), reduction="sum"),
        S(x(3, 4), UNIT, pos_weight=pos(4, grad=False)),
        P(these([1e4, -1e4, 0.0]), In((3,), source="values", values=[0.0, 1.0, 1.0]), reduction="none"),
    ],
    tol=4,
)
functions(
    "kl_div",
    [*(S(x(3, 4), pos(3, 4), **how) for how in REDUCED), S(x(3, 4), x(3, 4), log_target=True)],
    composite=True,
    tol=4,
)
functions("kl_div", [S(x(3, 4), pos(3, 4), reduction="batchmean")], composite=True, tol=4)
functions(
    "poisson_nll_loss",
    [*(S(x(3, 4), pos(3, 4), **how) for how in REDUCED), S(pos(4), pos(4), False)],
    kinds=NUMBER,
    composite=True,
    tol=4,
)
functions("poisson_nll_loss", [S(x(4), pos(4), full=True)], kinds=ORDERED, composite=True, tol=4)
functions(
    "gaussian_nll_loss",
    [*(S(*PAIR, pos(3, 4), **how) for how in REDUCED), S(*PAIR, pos(3, 1), full=True), S(*PAIR, 0.5)],
    composite=True,
    tol=4,
    meta=False,
)

# ------------------------------------------------------------------------------------ classes
LABELS = at(4, 3)
functions(
    "nll_loss cross_entropy",
    [
        *(S(x(3, 4), LABELS, **how) for how in REDUCED),
        *(S(x(3, 4), LABELS, pos(4, grad=False), ignore_index=1, **how) for how in REDUCED),
        S(x(4), at(4)),
        *(S(x(2, 3, 5), at(3, 2, 5), **how) for how in REDUCED),
        P(x(2, 3, 2, 2), at(3, 2, 2, 2), pos(3, grad=False)),
        S(x(2, 3, 2, 1, 2), at(3, 2, 2, 1, 2), reduction="none"),
    ],
    tol=4,
    meta=False,
)
functions(
    "cross_entropy",
    [
        *(S(x(3, 4), LABELS, label_smoothing=0.3, ignore_index=2, **how) for how in REDUCED),
        S(x(3, 4), LABELS, pos(4, grad=False), label_smoothing=0.3),
        *(S(x(3, 4), pos(3, 4), pos(4, grad=False), label_smoothing=0.1, **how) for how in REDUCED),
    ],
    composite=True,
    tol=4,
)
functions(
    "linear_cross_entropy",
    [
        *(S(x(3, 4), x(5, 4), at(5, 3), linear_bias=x(5), **how) for how in REDUCED),
        S(x(3, 4), x(2, 3, 4), at(2, 3, 3), linear_bias=x(2, 3)),
        S(x(4), x(5, 4), at(5)),
    ],
    composite=True,
    tol=8,
)
functions(
    "multi_margin_loss",
    [
        *(S(x(3, 4), LABELS, **how) for how in REDUCED),
        S(x(3, 4), LABELS, 2, 0.5, pos(4, grad=False)),
        S(x(4), at(4)),
    ],
    kinds="f",
    tol=4,
)
MANY = these([[3, 0, -1, 1], [1, -1, -1, 2], [0, 1, 2, 3]], "int64")
functions("multilabel_margin_loss", [S(x(3, 4), MANY, **how) for how in REDUCED], kinds="f", tol=4)
functions(
    "multilabel_soft_margin_loss",
    [*(S(x(3, 4), UNIT, **how) for how in REDUCED), S(x(3, 4), UNIT, pos(4))],
    tol=4,
)
ORDER = In((3,), source="values", values=[1.0, -1.0, 1.0], grad=False)
functions(
    "margin_ranking_loss",
    [S(x(3), x(3), ORDER, 0.5, **how) for how in REDUCED],
    kinds=ORDERED,
    composite=True,
)
functions(
    "hinge_embedding_loss", [S(x(3), ORDER, 0.5, **how) for how in REDUCED], kinds=ORDERED, composite=True
)
functions(
    "cosine_embedding_loss",
    [*(S(x(3, 4), x(3, 4), these([1, -1, 1], "int64"), 0.1, **how) for how in REDUCED)],
    kinds="buihgf",
    composite=True,
    tol=4,
)
THREE = x(3, 4), x(3, 4), x(3, 4)
functions(
    "triplet_margin_loss triplet_margin_with_distance_loss",
    [*(S(*THREE, **how) for how in REDUCED), S(*THREE, margin=0.5, swap=True)],
    kinds=NUMBER,
    composite=True,
    tol=4,
)

# ------------------------------------------------------------------------------ normalisation
functions(
    "layer_norm",
    [
        S(x(3, 4), (4,)),
        S(x(3, 4), (4,), x(4), x(4)),
        S(x(2, 3, 4), (3, 4), x(3, 4)),
        P(x(2, 3), (3,), None, x(3), 0.1),
        S(x(0, 3), (3,)),
    ],
    tol=8,
)
functions(
    "group_norm",
    [S(x(2, 4, 3), 2), S(x(2, 4), 2, x(4), x(4)), S(x(2, 6, 2, 2), 3, x(6), None, 0.1)],
    tol=8,
)
functions(
    "rms_norm",
    [S(x(3, 4), (4,)), S(x(2, 3, 4), (3, 4), x(3, 4)), S(x(3, 4), (4,), x(4), 0.1)],
    kinds=INEXACT,
    tol=8,
)
KEPT = x(3, grad=False), pos(3, grad=False)
functions(
    "batch_norm",
    [
        S(x(4, 3), None, None, training=True),
        S(x(4, 3, 2), None, None, x(3), x(3), True),
        S(x(4, 3, 2, 2), None, None, x(3), None, True, 0.1, 0.1),
        S(x(4, 3), *KEPT),
        S(x(4, 3, 2), *KEPT, x(3), x(3)),
    ],
    tol=8,
)
functions(
    "instance_norm",
    [S(x(2, 3, 4)), S(x(2, 3, 2, 2), weight=x(3), bias=x(3)), S(x(2, 3, 4), *KEPT, use_input_stats=False)],
    tol=8,
)
functions("normalize", [S(x(3, 4)), S(x(3, 4), 1.0, 0), S(x(3, 4), 3.0)], kinds=INEXACT, forms="fo", tol=4)
functions(
    "linear",
    [
        S(x(3, 4), x(2, 4)),
        S(x(3, 4), x(2, 4), x(2)),
        S(x(4), x(2, 4), x(2)),
        S(x(2, 3, 4), x(2, 4), x(2)),
        S(x(2, 3, 4), x(2, 4)),
        S(x(4), x(4)),
        S(x(0, 4), x(2, 4), x(2)),
        S(x(3, 0), x(2, 0), x(2)),
    ],
    kinds=NUMBER,
    forms="fo",
    tol=8,
)
