"""Rows of the ops on numbers, and of reductions and scans. samples.py tells how to read them.

Each family holds 0-dim and empty tensors, broadcasting both ways, the same tensor twice, an
expanded one, and special points; other layouts are made of each call by the tests.
"""

from samples import (
    ALL,
    FLOATS,
    INEXACT,
    NANS,
    NUMBER,
    ORDERED,
    REAL,
    TIES,
    WHOLE,
    Dtype,
    In,
    P,
    S,
    at,
    distinct,
    inf,
    mask,
    nan,
    pos,
    table,
    these,
    unit,
    wide,
    x,
)

ROWS, rows = table()

# ------------------------------------------------------------------------------- one number to one
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-6, 40.0, inf, -inf, nan]


def unary(make=x, points=EDGES):
    """Calls of an op on one tensor."""
    return [S(make(3, 4)), S(make()), S(make(0, 3)), P(these(points))]


rows("abs", unary(), kinds=NUMBER, forms="fmio")
rows("neg", unary(), kinds=NUMBER, forms="fmio")
rows("square", unary(), kinds=ALL, forms="fmio")
rows("exp exp2 sigmoid sin cos sinh cosh tanh", unary(), kinds=ALL, forms="fmio")
rows("tan atan asinh sinc expm1", unary(), kinds=ALL, forms="fmio", tol=2)
rows("asin acos atanh", unary(unit), kinds=ALL, forms="fmio", tol=4)
rows(
    "acosh",
    [S(x(3, 4, low=1.2)), S(x(low=1.2)), P(these([1.0, 1.5, 40.0, inf, nan, 0.5]))],
    kinds=ALL,
    forms="fmio",
    tol=4,
)
rows("log log2 log10 sqrt rsqrt reciprocal", unary(pos), kinds=ALL, forms="fmio")
rows("log1p", [S(x(3, 4, low=-0.5)), S(x(low=-0.5)), P(these(EDGES))], kinds=ALL, forms="fmio")
rows("ceil floor trunc", unary(), kinds=ORDERED, forms="fmio")
rows("round", [*unary(), P(x(3, 4, low=-50, high=50), decimals=1)], kinds=ORDERED, forms="fmio")
rows("frac", unary(), kinds=FLOATS, forms="fmio")
rows("deg2rad rad2deg", unary(), kinds=REAL, forms="fmio")
rows("sign", unary(), kinds=REAL, forms="fmio")
rows("sgn", unary(), kinds=ALL, forms="fmio")
rows("positive", unary(), kinds=NUMBER, forms="fm")
rows("signbit", unary(), kinds=REAL, forms="fmo")
rows("isnan isinf isfinite isreal", unary(), kinds=ALL, forms="fm")
rows("isposinf isneginf", unary(), kinds=REAL, forms="fmo")
rows("conj", [S(x(3, 4)), S(x()), S(x(0, 3))], kinds=ALL, forms="fm")
rows("conj_physical", unary(), kinds=ALL, forms="fmio")
rows("angle", unary(), kinds=ALL, forms="fmo")
rows("real", [S(x(3, 4)), S(x()), S(x(0, 3))], kinds=ALL, forms="f")
rows("imag", [S(x(3, 4)), S(x())], kinds="c", forms="f")
rows("resolve_conj resolve_neg", [S(x(3, 4)), S(x())], kinds=ALL, forms="fm")
rows("logical_not", unary(), kinds=ALL, forms="fmio")
rows("bitwise_not", [S(x(3, 4)), S(x()), S(x(0, 3))], kinds=WHOLE, forms="fmio")
rows("relu", unary(), kinds=ORDERED, forms="fmi")
rows(
    "nan_to_num",
    [*unary(), P(these([nan, inf, -inf, 1.0]), nan=1.0, posinf=2.0), P(these([nan, -inf]), 0.5)],
    kinds=ALL,
    forms="fmio",
)
rows(
    "logit",
    [S(x(3, 4, low=0.1, high=0.9)), S(x(3, low=0.1, high=0.9), 0.3)],
    kinds="bhgf",
    forms="fmio",
)
rows("erf erfc", unary(), kinds=REAL, forms="fmio", tol=4)
rows("erfinv", unary(unit), kinds=REAL, forms="fmio", tol=4)

rows(
    "lgamma digamma",
    unary(pos, [0.5, 1.5, 2.5, -0.5, 40.0, inf, nan]),
    kinds=REAL,
    forms="fmio",
    tol=8,
)
rows("i0", unary(), kinds=REAL, forms="fmio", tol=8)
rows("special.i1", unary(x, [0.0, 0.5, -2.5, 9.0]), kinds=REAL, forms="fo", tol=8)
rows(
    "polygamma",
    [S(1, pos(3, 4)), S(0, pos()), S(2, pos(3))],
    kinds=REAL,
    forms="fmio",
    tol=40,
    composite=True,
)
rows("Tensor.polygamma", [S(pos(3, 4), 1)], kinds=REAL, forms="f", tol=40, composite=True)
rows(
    "mvlgamma",
    [S(pos(3, 4), 1), S(x(3, low=2.5, high=5), 3)],
    kinds=ORDERED,
    forms="fmio",
    tol=8,
    composite=True,
)
rows("frexp", [S(x(3, 4)), S(x()), P(these([0.0, 1.0, -8.0]))], kinds=FLOATS, forms="fmo")


# ------------------------------------------------------------------------------- two numbers to one
def pairs(left=x, right=None, number=2.5):
    """Calls of an op on two tensors, or one and a number."""
    right = right or left
    same = right(3)
    calls = [
        S(left(3, 4), right(3, 4)),
        S(left(3, 1), right(4)),
        S(left(4), right(2, 3, 4)),
        S(left(), right(3)),
        S(left(3), right()),
        S(left(), right()),
        P(same, same),
        S(left(0, 3), right(1, 3)),
        P(
            these([[0.0], [-0.0], [1.0], [-2.0], [inf], [-inf], [nan]]),
            these([0.0, -1.0, 2.0, inf, nan]),
        ),
    ]
    return calls + ([S(left(3, 4), number), S(left(3), 2)] if number is not None else [])


SPREAD = [S(wide(1, 4, to=(3, 4)), x(3, 4)), S(x(3, 4), wide(3, 1, to=(3, 4)))]
SUMS = [*pairs(), *SPREAD, S(x(3), x(3), alpha=2), S(x(3), 2, alpha=3)]
rows("add", SUMS, forms="fmio")
rows("sub", SUMS, kinds=NUMBER, forms="fmio")
rows("mul", [*pairs(), *SPREAD, S(x(3), 2j)], forms="fmio")
rows(
    "div",
    [
        *pairs(x, pos),
        P(x(3, 4), pos(4), rounding_mode="floor"),
        P(x(3, 4), pos(4), rounding_mode="trunc"),
        P(x(4), 0.7, rounding_mode="floor"),
    ],
    forms="fmio",
)
rows("true_divide", pairs(x, pos)[:4], forms="fmio")
rows("floor_divide", pairs(x, pos), kinds=ORDERED, forms="fmio", derived=False)
rows("remainder fmod", pairs(x, pos), kinds=ORDERED, forms="fmio")
rows("rsub", [S(x(3, 4), x(4)), S(x(3), 2.5), S(x(3), x(3), alpha=2)], kinds=NUMBER, forms="f")
rows(
    "pow",
    [
        *pairs(pos),
        S(x(3, 4), 3),
        S(x(3), -1),
        P(x(3), 0),
        P(x(3), 1),
        S(pos(3), 0.5),
        S(pos(3), -0.5),
        S(2.0, x(3)),
        P(0.0, pos(3)),
        P(these([0.0, 0.0, 1.0]), these([0.0, 2.0, 0.0])),
    ],
    kinds=NUMBER,
    forms="fmio",
    tol=4,
)
rows("float_power", [S(pos(3, 4), x(4)), S(pos(3), 2), S(2.0, x(3))], forms="fmio")
rows("atan2", pairs(number=None), kinds=REAL, forms="fmio")
rows("hypot", pairs(number=None), kinds=FLOATS, forms="fmio")
rows("maximum minimum", pairs(number=None), kinds=REAL, forms="fmo")
rows("fmax fmin", pairs(number=None), kinds=REAL, forms="fmo")
rows("logaddexp", pairs(number=None), kinds=INEXACT, forms="fmo")
rows("logaddexp2", pairs(number=None), kinds=FLOATS, forms="fmo")
rows("xlogy", [*pairs(x, pos), S(2.0, pos(3))], kinds=REAL, forms="fmio")
rows("copysign", pairs(), kinds=REAL, forms="fmio")
rows("nextafter", pairs(number=None), kinds=FLOATS, forms="fmio")
rows("heaviside", pairs(number=None), kinds=REAL, forms="fmio", derived=False)
rows("ldexp", [S(x(3, 4), at(4, 4)), S(x(), at(4, 3)), S(x(3), x(3))], forms="fmio")
rows("eq ne", [*pairs(), S(x(3), 1j)], kinds=ALL, forms="fmio")
rows("lt le gt ge", pairs(), kinds=REAL, forms="fmio")
CLOSE = [
    S(x(3, 4), x(3, 4)),
    P(these([1.0, nan, inf]), these([1.0, nan, inf]), equal_nan=True),
]
rows("isclose", CLOSE, kinds=ALL, forms="fm")
rows("allclose", CLOSE, kinds=ALL, forms="fm", meta=False)
rows(
    "equal",
    [S(x(3, 4), x(3, 4)), S(x(3), x(4)), S(at(2, 3), at(1, 3))],
    kinds=ALL,
    forms="fm",
    meta=False,
)
rows("logical_and logical_or logical_xor", pairs(number=None), kinds=ALL, forms="fmio")
BITS = [S(x(3, 4), x(4)), S(x(3, 1), x(4)), S(x(), x()), S(x(3), 1), S(x(0, 3), x(3)), S(1, x(3))]
rows("bitwise_and bitwise_or bitwise_xor", BITS, kinds=WHOLE, forms="fmio")
SHIFTS = [S(x(3, 4), x(4, low=0)), S(x(3), 1), S(1, x(3, low=0))]
rows("bitwise_left_shift bitwise_right_shift", SHIFTS, kinds="ui", forms="fmio")
rows("gcd lcm", [S(x(3, 4, high=9), x(4, high=9)), S(x(), x())], kinds="ui", forms="fmio")

# ------------------------------------------------------------------------------- three and more
MIX = [S(x(3, 4), x(4), x(3, 1)), S(x(), x(), x()), S(x(0, 3), x(3), x(3))]
rows("addcmul", [*MIX, S(x(3), x(3), x(3), value=0.5)], kinds=NUMBER, forms="fmio")
rows(
    "addcdiv",
    [S(x(3, 4), x(4), pos(3, 1)), S(x(), x(), pos()), S(x(3), x(3), pos(3), value=2)],
    kinds=INEXACT,
    forms="fmio",
)
rows("lerp", [*MIX, S(x(3, 4), x(4), 0.3), S(x(3), x(3), 0.7)], kinds=INEXACT, forms="fmio")
rows(
    "where",
    [
        S(mask(3, 4), x(3, 4), x(3, 4)),
        S(mask(4), x(3, 1), x(4)),
        S(mask(3, 1), x(), x(4)),
        S(mask(3), x(3), 1.5),
        S(mask(3), 2, x(3)),
        S(mask(0, 3), x(3), x(3)),
        P(mask(3, 4)),
        P(mask(5), these([inf, nan, 1.0, -inf, 0.0]), these([0.0, 1.0, inf, nan, 2.0])),
    ],
    forms="fmo",
)
BOUNDS = [
    S(x(3, 4), -1.0, 1.0),
    S(x(3, 4), min=0.5),
    S(x(3, 4), max=0.5),
    P(these([0.0, 1.0, -1.0, nan, inf, -inf]), -1, 1),
    S(x(3, 4), x(4), x(3, 1)),
    S(x(3, 4), max=x(4)),
    S(x(), 0, 1),
    S(x(0, 3), 0, 1),
    P(x(4), 1.0, -1.0),
]
rows("clamp clip", BOUNDS, kinds=REAL, forms="fmio")
rows("clamp_min clamp_max", [S(x(3, 4), 0.5), S(x(3, 4), x(4)), S(x(), 1)], kinds=REAL, forms="fmio")

# ------------------------------------------------------------------------------- reductions
REDUCE = [
    S(x(3, 4), 0),
    S(x(3, 4)),
    S(x(2, 3, 4), -1),
    S(x(2, 3, 4), 1, True),
    S(x(2, 3, 4), dim=0, keepdim=True),
    S(x()),
    S(x(), 0),
]
SEVERAL = [S(x(2, 3, 4), (0, 2)), S(x(2, 3, 4), dim=(0, -1), keepdim=True), S(x(3, 4), dim=())]
EMPTY = [S(x(0)), S(x(0, 3), 0), S(x(3, 0), 0)]
rows(
    "sum",
    [*REDUCE, *SEVERAL, *EMPTY, S(x(3), dtype=Dtype("float64")), P(these([1.0, inf, nan]))],
    forms="fmo",
)
rows("nansum", [*REDUCE, *SEVERAL[:2], *EMPTY, P(these([1.0, inf, nan]))], kinds=REAL, forms="fmo")
rows("mean", [*REDUCE, *SEVERAL, P(x(0)), P(x(0, 3), 0), P(x(3, 0), 0)], kinds=INEXACT, forms="fmo")
rows("nanmean", [*REDUCE, *SEVERAL[:2], P(these([1.0, nan]))], kinds=FLOATS, forms="fmo")
ZERO_ONCE, ZEROS = these([[1.0, 0.0, 3.0], [2.0, 5.0, 4.0]]), these([[0.0, 0.0], [0.0, 4.0]])
rows(
    "prod",
    [*REDUCE, S(x(0)), S(x(0, 3), 0), S(ZERO_ONCE), S(ZERO_ONCE, 1), S(ZEROS), S(ZEROS, 0)],
    forms="fmo",
    tol=2,
)
rows(
    "max min",
    [*REDUCE, P(TIES), P(TIES, 1), P(NANS, 1), S(x(3, 4), x(4)), P(x(0)), P(x(0, 3), 0)],
    kinds=REAL,
    forms="fmo",
)
rows(
    "amax amin",
    [*REDUCE, *SEVERAL, P(TIES), P(TIES, 1), P(NANS, 1), P(x(0))],
    kinds=REAL,
    forms="fmo",
)
rows(
    "aminmax",
    [S(x(3, 4)), S(x(3, 4), dim=0), S(x(), dim=0), P(TIES, dim=1), P(NANS, dim=1)],
    kinds=REAL,
    forms="fmo",
)
rows(
    "argmax argmin",
    [*REDUCE, P(TIES), P(TIES, 1), P(NANS, 1), P(x(0)), P(x(0, 3), 0)],
    kinds=ORDERED,
    forms="fmo",
)
SPREADS = [
    *REDUCE[:5],
    *SEVERAL[:2],
    S(x(3, 4), False),
    S(x(3, 4), 0, False),
    S(x(3, 4), dim=1, correction=2),
    S(x(3, 4), correction=0),
]
rows("var std", SPREADS, kinds=INEXACT, forms="fmo", tol=2)
rows("var_mean std_mean", SPREADS, kinds=INEXACT, forms="f", tol=2)
rows(
    "norm",
    [
        S(x(3, 4)),
        S(x(3, 4), dim=1),
        S(x(3, 4), 1),
        S(x(3, 4), 3, 0),
        S(x(3, 4), inf),
        S(x(3, 4), -inf, 1, True),
        S(x(3, 4), p=0, dim=1),
        S(x(3, 4), p=0.5),
        S(x(2, 3, 4), dim=(0, 2)),
        S(x(), dim=0),
        P(these([0.0, 0.0])),
        P(these([[0.0, 0.0], [1.0, 2.0]]), 1, 1),
        P(these([[0.0, 0.0], [1.0, 2.0]]), 2, 1),
        P(these([2.0, -2.0, 1.0]), inf),
        P(these([nan, -2.0, 1.0])),
    ],
    kinds=INEXACT,
    forms="fmo",
)
rows(
    "logsumexp",
    [
        REDUCE[0],
        *REDUCE[2:5],
        *SEVERAL[:2],
        S(x(), 0),
        P(these([[-inf, -inf], [inf, 1.0], [nan, 0.0]]), 1),
    ],
    forms="fmo",
)
rows("all any", [*REDUCE, *EMPTY, S(mask(3, 4)), S(mask(2, 3, 4), (0, 2))], forms="fmo")
rows("count_nonzero", [*REDUCE[:3], S(x(2, 3, 4), (0, 2)), S(mask(3, 4))], forms="fm")
rows(
    "median nanmedian",
    [S(distinct(3, 4), 1), S(distinct(3, 5)), P(TIES, 1), P(NANS, 1)],
    kinds=ORDERED,
    forms="fmo",
)
rows("mode", [S(x(3, 5)), P(these([2.0, 1.0, 2.0, 1.0, 3.0]))], kinds=REAL, forms="fmo")
rows("trace", [S(x(3, 3)), S(x(2, 4))], kinds=NUMBER, forms="fm")
rows(
    "diff",
    [S(x(3, 5)), S(x(3, 5), 2), S(x(3, 5), dim=0), S(x(3), prepend=x(2), append=x(1))],
    forms="fmo",
)
rows("dist", [S(x(3, 4), x(4)), S(x(3), x(3), 1), S(x(3), x(3), inf)], kinds=INEXACT)
SOFT = [
    S(x(3, 4), 1),
    S(x(2, 3, 4), 0),
    S(x(), 0),
    S(x(0, 3), 1),
    P(these([[-inf, 1.0], [inf, 0.0]]), 1),
]
rows("softmax log_softmax", SOFT, kinds=FLOATS, forms="fmo")
QUANTILES = [
    S(distinct(3, 5), 0.3),
    S(distinct(3, 5), 0.5, 1),
    S(distinct(3, 5), 0.6, dim=0, keepdim=True),
    S(distinct(3, 5), In((2,), 0.1, 0.9, grad=False), 1),
    *(S(distinct(5), 0.4, interpolation=how) for how in ("lower", "higher", "nearest", "midpoint")),
]
rows("quantile nanquantile", QUANTILES, kinds="f", forms="fmo", composite=True)
rows(
    "histc",
    [S(x(9, grad=False)), S(x(9, grad=False), 4, -1, 1)],
    composite=True,
    kinds=FLOATS,
    forms="fmo",
)
AREAS = [S(x(3, 5)), S(x(3, 5), x(5)), S(x(3, 5), dx=0.5), S(x(3, 5), dim=0)]
rows("trapezoid trapz cumulative_trapezoid", AREAS, kinds=NUMBER, forms="f", composite=True)

# ------------------------------------------------------------------------------- scans
SCAN = [S(x(3, 4), 0), S(x(2, 3, 4), -1), S(x(), 0), S(x(0, 3), 0), S(x(3, 4), dim=1)]
rows("cumsum", [*SCAN, S(x(3), 0, dtype=Dtype("float64"))], forms="fmio")
rows("cumprod", [*SCAN, S(ZERO_ONCE, 1), S(ZEROS, 1)], forms="fmio", tol=4)
rows("cummax cummin", [S(distinct(3, 4), 0), *SCAN, P(TIES, 1), P(NANS, 1)], kinds=REAL, forms="fmo")
rows(
    "logcumsumexp",
    [*SCAN, P(In((4,), source="values", values=[-inf, -inf, 1.0, 0.0], grad=False), 0)],
    kinds=INEXACT,
    forms="fmo",
)
