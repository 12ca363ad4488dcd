"""The op table of the tests: one row an op. How to read a row is said in samples.py.

Every family of rows holds calls with 0-dim and empty tensors, broadcasting both ways, the same
tensor twice, an expanded one, and special points; other layouts are made of each call by the tests.
"""

from samples import (
    ALL,
    FLOATS,
    INEXACT,
    NUMBER,
    ORDERED,
    REAL,
    WHOLE,
    Dtype,
    P,
    Row,
    S,
    at,
    distinct,
    inf,
    mask,
    nan,
    pos,
    these,
    unit,
    wide,
    x,
)

ROWS = []


def rows(names, calls, **options):
    """Enters a row for each of the names, all with these calls."""
    ROWS.extend(Row(name, tuple(calls), **options) for name in names.split())


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
rows("acosh", [S(x(3, 4, low=1.2)), S(x(low=1.2)), P(these(EDGES))], kinds=ALL, forms="fmio", tol=4)
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
rows(
    "clamp_min clamp_max", [S(x(3, 4), 0.5), S(x(3, 4), x(4)), S(x(), 1)], kinds=REAL, forms="fmio"
)

# ------------------------------------------------------------------------------- reductions
TIES = these([[1.0, 2.0, 2.0], [2.0, nan, 1.0], [0.0, 0.0, 0.0]])
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
    [*REDUCE, P(TIES), P(TIES, 1), S(x(3, 4), x(4)), P(x(0)), P(x(0, 3), 0)],
    kinds=REAL,
    forms="fmo",
)
rows("amax amin", [*REDUCE, *SEVERAL, P(TIES), P(TIES, 1), P(x(0))], kinds=REAL, forms="fmo")
rows(
    "aminmax",
    [S(x(3, 4)), S(x(3, 4), dim=0), S(x(), dim=0), P(TIES, dim=1)],
    kinds=REAL,
    forms="fmo",
)
rows(
    "argmax argmin",
    [*REDUCE, P(TIES), P(TIES, 1), P(x(0)), P(x(0, 3), 0)],
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
    [S(distinct(3, 4), 1), S(distinct(3, 5)), P(TIES, 1)],
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

# ------------------------------------------------------------------------------- scans
SCAN = [S(x(3, 4), 0), S(x(2, 3, 4), -1), S(x(), 0), S(x(0, 3), 0), S(x(3, 4), dim=1)]
rows("cumsum", [*SCAN, S(x(3), 0, dtype=Dtype("float64"))], forms="fmio")
rows("cumprod", [*SCAN, S(ZERO_ONCE, 1), S(ZEROS, 1)], forms="fmio", tol=4)
rows("cummax cummin", [S(distinct(3, 4), 0), *SCAN, P(TIES, 1)], kinds=REAL, forms="fmo")
rows("logcumsumexp", [*SCAN, P(these([-inf, -inf, 1.0, inf, 0.0]), 0)], kinds=INEXACT, forms="fmo")

# ------------------------------------------------------------------------------- shapes and views
CUBE = x(2, 3, 4)
rows(
    "reshape",
    [S(CUBE, (6, 4)), S(CUBE, (-1,)), S(x(), (1, 1)), S(x(0, 3), (3, 0)), P(CUBE, (5, -1))],
)
rows("Tensor.view", [S(CUBE, 6, 4), S(CUBE, (2, -1)), S(x(), 1), P(CUBE, 5, -1)], forms="f")
rows("Tensor.view_as Tensor.reshape_as", [S(CUBE, x(6, 4))], forms="f")
rows("flatten", [S(CUBE), S(CUBE, 1), S(CUBE, 0, 1), S(x()), S(x(0, 3))])
rows("unflatten", [S(x(2, 12), 1, (3, 4)), S(x(2, 12), -1, (-1, 4)), P(x(5), 0, (2, 2))])
rows("ravel", [S(CUBE), S(x())])
rows(
    "squeeze",
    [S(x(1, 3, 1)), S(x(1, 3, 1), 0), S(x(1, 3, 1), (0, 2)), S(x(3), 0), S(x())],
    forms="fmi",
)
rows("unsqueeze", [S(CUBE, 0), S(CUBE, -1), S(x(), 0), P(CUBE, 5)], forms="fmi")
rows(
    "transpose swapaxes swapdims",
    [S(CUBE, 0, 2), S(CUBE, -1, 1), S(x(), 0, 0), P(CUBE, 0, 3)],
    forms="fmi",
)
rows(
    "permute",
    [S(CUBE, (2, 0, 1)), S(CUBE, (-1, 1, 0)), S(x(), ()), P(CUBE, (0, 1)), P(CUBE, (0, 0, 1))],
)
rows("movedim moveaxis", [S(CUBE, 0, 2), S(CUBE, (0, 1), (2, 0))])
rows("t", [S(x(3, 4)), S(x(3)), S(x()), P(CUBE)], forms="fmi")
rows("adjoint", [S(x(3, 4)), S(CUBE)])
rows("Tensor.expand", [S(x(3, 1), 3, 4), S(x(3, 1), 2, -1, 5), S(x(), 2, 3), P(x(3), 4)], forms="f")
rows("Tensor.expand_as", [S(x(3, 1), x(3, 4))], forms="f")
rows("broadcast_to", [S(x(3, 1), (2, 3, 4)), S(x(), (3,)), P(x(3), (4,))])
rows("broadcast_tensors", [S(x(3, 1), x(4), x())], forms="f")
rows(
    "Tensor.repeat",
    [S(x(3, 4), 2, 1), S(x(3), 2, 2), S(x(), 3), S(x(2), 0), P(x(2, 2), 2)],
    forms="f",
)
rows("tile", [S(x(3, 4), (2,)), S(x(3), (2, 2)), S(x(), (2,))])
rows(
    "repeat_interleave",
    [
        S(x(3, 2), 2),
        S(x(3, 2), 2, 1),
        S(x(3, 2), these([1, 0, 2], "int64"), 0),
        S(x(3), dim=0, repeats=3),
    ],
    meta=False,
)
rows("roll", [S(x(3, 4), 1), S(x(3, 4), 1, 0), S(x(3, 4), (1, -1), (0, 1)), S(x(0), 1), S(x(), 1)])
rows("flip", [S(CUBE, (0,)), S(CUBE, (0, -1)), S(x(), (0,)), S(x(0, 3), (0,)), P(CUBE, (0, 0))])
rows("fliplr flipud", [S(x(3, 4)), S(CUBE)])
rows("rot90", [S(x(3, 4)), S(x(3, 4), 2), S(x(3, 4), -1, (1, 0))])
rows(
    "Tensor.unfold",
    [S(x(8), 0, 3, 2), S(x(3, 5), 1, 2, 1), S(x(4), -1, 4, 1), P(x(3), 0, 4, 1)],
    forms="f",
)
rows("diagonal", [S(x(3, 4)), S(x(3, 4), 1), S(x(3, 4), -1), S(CUBE, 0, 0, 2), S(x(2, 2), 5)])
rows("diag", [S(x(3)), S(x(3, 4)), S(x(3), 1), S(x(3, 4), -1)], forms="fmo")
rows("diag_embed", [S(x(3)), S(x(2, 3), 1), S(x(2, 3), 0, 0, 2)])
rows("diagflat", [S(x(3)), S(x(2, 2), 1)])
rows("tril triu", [S(x(3, 4)), S(x(3, 4), 1), S(x(2, 3, 3), -1), S(x(0, 3))], forms="fmio")
rows("split", [S(x(7, 2), 3), S(x(7, 2), (3, 4)), S(x(2, 4), 2, 1), P(x(4), -1)])
rows("chunk", [S(x(7, 2), 3), S(x(2, 4), 2, 1), S(x(3), 5), P(x(3), 0)])
rows("tensor_split", [S(x(7), 3), S(x(7, 2), (2, 5)), S(x(2, 4), 2, 1)])
rows("hsplit", [S(x(4), 2), S(x(2, 4), (1, 3))])
rows("vsplit", [S(x(4, 2), 2), S(x(4, 2), (1, 3))])
rows("dsplit", [S(x(2, 2, 4), 2)])
rows("unbind", [S(CUBE), S(CUBE, 1), S(CUBE, -1), P(x())])
rows("select", [S(CUBE, 0, 1), S(CUBE, -1, -1), P(CUBE, 0, 2)])
rows("narrow", [S(CUBE, 1, 1, 2), S(CUBE, -1, 0, 4), S(x(3), 0, 1, 0), P(x(3), 0, 2, 2)])
rows(
    "as_strided",
    [S(x(12), (3, 2), (1, 4)), S(x(12), (2, 2), (1, 1)), S(x(12), (2,), (3,), 2)],
    forms="fmi",
)
rows("view_as_real", [S(x(3, 4)), S(x())], kinds="c", forms="f")
rows("view_as_complex", [S(x(3, 4, 2)), S(x(2))], kinds="f", forms="f")
rows("atleast_1d atleast_2d atleast_3d", [S(x()), S(x(3)), S(x(2, 3)), S([x(), x(2)])], forms="f")
rows("clone", [S(CUBE), S(x()), S(wide(3, 1, to=(3, 4)))])
rows("detach", [S(CUBE)], forms="fmi")
rows("Tensor.contiguous", [S(CUBE), S(x())], forms="f")
rows(
    "Tensor.to",
    [P(x(3, 4), Dtype(name)) for name in ("float64", "complex64", "float16")],
    forms="f",
)
rows("Tensor.to", [P(x(3, 4), Dtype("float32")), P(x(3, 4), "cpu")], kinds=ALL, forms="f")
rows("Tensor.type_as", [P(x(3, 4), x(2, dtype="float64", grad=False))], forms="f")
rows("Tensor.float Tensor.double Tensor.half Tensor.bfloat16", [P(x(3, 4))], forms="f")
rows("Tensor.int Tensor.long Tensor.short Tensor.char Tensor.byte", [P(pos(3, 4))], forms="f")
rows("Tensor.bool Tensor.cfloat Tensor.cdouble", [P(x(3, 4))], forms="f")

# ------------------------------------------------------------------------------- joining
JOIN = [S([x(2, 3), x(2, 3)]), S([x(2, 3)] * 2), S([x(2, 3)])]
rows(
    "cat concat concatenate",
    [
        *JOIN,
        S([x(2, 3), x(1, 3), x(0, 3)]),
        S([x(2, 3), x(2, 1)], 1),
        S([x(2, 3), x(2, 1)], dim=-1),
        S([x(2), x(3, dtype="float64")]),
        S([x(0), x(2, 3)]),
        P([x(2, 3), x(2, 2)]),
        P([x(2, 3), x(3)]),
        P([]),
    ],
    forms="fo",
)
rows(
    "stack",
    [*JOIN, S([x(2, 3), x(2, 3)], 1), S([x(), x()]), S([x(2), x(2)], -1), P([x(2), x(3)])],
    forms="fo",
)
rows(
    "hstack vstack dstack column_stack row_stack",
    [*JOIN, S([x(3), x(3)]), S([x(), x()])],
    forms="fo",
)
rows("meshgrid", [S(x(3), x(4), indexing="ij"), S(x(3), x(4), indexing="xy")], forms="f")
rows("cartesian_prod", [S(x(3), x(2)), S(x(3))], forms="f")
rows("combinations", [S(x(4)), S(x(4), 3), S(x(3), 2, True)], forms="f", meta=False)
rows("block_diag", [S(x(2, 2), x(3), x())], forms="f")

# ------------------------------------------------------------------------------- indices
ROWS_OF = at(3, 2)
rows(
    "gather",
    [
        S(x(3, 4), 1, at(4, 3, 2)),
        S(x(3, 4), 0, at(3, 2, 4)),
        S(x(), 0, at(1)),
        S(x(3), 0, at(3, 0)),
    ],
    forms="fmo",
)
rows(
    "take_along_dim",
    [S(x(3, 4), at(4, 3, 2), 1), S(x(3, 4), at(12, 5)), S(x(3, 4), at(4, 1, 2), 1)],
    forms="fmo",
)
rows("take", [S(x(3, 4), at(12, 2, 2)), S(x(3), at(3))], forms="fmo")
rows(
    "put",
    [S(x(3, 4), these([1, 5, 7], "int64"), x(3)), S(x(3, 4), these([1, 1], "int64"), x(2), True)],
    forms="fmi",
)
ONCE = these([[0, 1, 2], [2, 0, 1]], "int64")
rows(
    "scatter",
    [
        S(x(3, 4), 0, ONCE, x(2, 3)),
        S(x(3, 4), 1, ONCE, x(3, 3)),
        S(x(3, 4), 1, ONCE, 1.5),
        S(x(3), 0, at(3, 0), x(0)),
    ],
    forms="fmio",
)
rows(
    "scatter_add",
    [S(x(3, 4), 0, at(3, 2, 3), x(2, 4)), S(x(3, 4), 1, at(4, 3, 6), x(3, 6))],
    forms="fmio",
)
rows(
    "scatter_reduce",
    [
        *(
            S(distinct(3, 4), 1, at(4, 3, 6), distinct(3, 6), how)
            for how in ("amax", "sum", "amin", "mean")
        ),
        S(pos(3, 4), 1, at(4, 3, 6), pos(3, 6), "prod"),
        S(pos(3, 4), 1, at(4, 3, 6), pos(3, 6), "sum", include_self=False),
        S(distinct(3, 4), 1, at(4, 3, 6), distinct(3, 6), "amax", include_self=False),
    ],
    kinds=REAL,
    forms="fmio",
    twice=False,
)
rows(
    "index_select",
    [S(x(3, 4), 0, at(3, 5)), S(x(3, 4), 1, at(4)), S(x(), 0, at(1, 1)), S(x(3), 0, at(3, 0))],
    forms="fmo",
)
rows(
    "index_add",
    [S(x(3, 4), 0, at(3, 5), x(5, 4)), S(x(3, 4), 1, at(4, 2), x(3, 2), alpha=2)],
    forms="fmio",
)
rows(
    "index_copy",
    [S(x(3, 4), 0, these([2, 0], "int64"), x(2, 4)), S(x(3), 0, these([1], "int64"), x(1))],
    forms="fmio",
)
rows(
    "index_fill",
    [S(x(3, 4), 0, ROWS_OF, 1.5), S(x(3, 4), 1, at(4, 1), x()), P(x(3, 4), 5, ROWS_OF, 1.0)],
    forms="fmi",
)
rows(
    "index_put",
    [
        S(x(3, 4), (at(3, 2), these([0, 1], "int64")), x(2), True),
        S(x(3, 4), (these([0, 2], "int64"),), x(4)),
        S(x(3, 4), (mask(3, 4),), x()),
    ],
    forms="fmi",
)
rows(
    "index_reduce",
    [S(pos(3, 4), 0, at(3, 5), pos(5, 4), how) for how in ("amax", "prod", "mean", "amin")],
    kinds=REAL,
    forms="fmio",
    twice=False,
)
rows(
    "masked_fill",
    [S(x(3, 4), mask(3, 4), 1.5), S(x(3, 4), mask(4), x()), S(x(4), mask(3, 4), 0)],
    forms="fmi",
)
rows(
    "masked_select",
    [S(x(3, 4), mask(3, 4)), S(x(3, 1), mask(4)), S(x(), mask())],
    forms="fmo",
    meta=False,
)
rows("masked_scatter", [S(x(3, 4), mask(3, 4), x(12)), S(x(3, 4), mask(4), x(3, 4))], forms="fmi")
FOUND = [S(x(3, 4)), S(mask(3, 4)), S(x()), S(x(0, 3))]
rows("nonzero", FOUND, forms="fmo", meta=False)
rows("argwhere", FOUND, meta=False)
rows("select_scatter", [S(x(3, 4), x(4), 0, 1), S(x(3, 4), x(3), 1, -1)])
rows("slice_scatter", [S(x(6, 2), x(2, 2), 0, 1, 5, 2), S(x(3, 4), x(3, 2), 1, 2)], forms="fmo")
rows("diagonal_scatter", [S(x(3, 4), x(3)), S(x(3, 4), x(3), 1)])
rows(
    "as_strided_scatter",
    [S(x(12), x(3, 2), (3, 2), (1, 4))],
    better="PyTorch's gradient for the tensor itself is zero at other places than were written",
)

# ------------------------------------------------------------------------------- order
ORDER = [
    S(distinct(3, 5)),
    S(distinct(3, 5), 0),
    S(x()),
    S(x(0, 3)),
    P(TIES, 1),
    S(distinct(3, 4), -1, True),
]
rows("sort", [*ORDER, P(TIES, stable=True, dim=1)], kinds=REAL, forms="fmo")
rows(
    "argsort",
    [S(distinct(3, 5)), S(distinct(3, 5), 0, True), P(TIES, dim=1, stable=True)],
    kinds=REAL,
)
rows("msort", [S(distinct(4, 3)), S(x(3))], kinds=REAL, forms="fmo")
rows(
    "topk",
    [
        S(distinct(3, 5), 2),
        S(distinct(3, 5), 2, 0, False),
        S(x(), 1),
        S(distinct(4), 0),
        P(distinct(4), 5),
    ],
    kinds=ORDERED,
    forms="fmo",
)
rows(
    "kthvalue",
    [S(distinct(3, 5), 2), S(distinct(3, 5), 1, 0, True), S(x(), 1)],
    kinds=ORDERED,
    forms="fmo",
)
rows(
    "unique",
    [S(at(3, 6)), S(at(3, 6), return_inverse=True, return_counts=True), S(at(2, 4, 2), dim=0)],
    meta=False,
)
rows("unique_consecutive", [S(at(2, 6)), S(at(2, 6), True, True)], meta=False)
GRID = these([0.0, 1.0, 1.0, 2.0])
rows(
    "searchsorted",
    [S(GRID, x(3, 2)), S(GRID, these([1.0, 0.0]), right=True)],
    kinds=ORDERED,
    forms="fo",
)
rows(
    "bucketize",
    [S(x(3, 2), GRID), S(these([1.0, 0.0]), GRID, right=True)],
    kinds=ORDERED,
    forms="fo",
)
rows("isin", [S(x(3, 4), x(3)), S(at(4, 6), at(4, 2), invert=True)], kinds=ORDERED, forms="fo")
rows("bincount", [S(at(4, 6)), S(at(4, 6), minlength=6), S(at(4, 6), x(6, grad=False))], meta=False)

# ------------------------------------------------------------------------ products of matrices
rows(
    "matmul",
    [
        S(x(3, 4), x(4, 2)),
        S(x(4), x(4)),
        S(x(3, 4), x(4)),
        S(x(3), x(3, 4)),
        S(x(2, 3, 4), x(2, 4, 5)),
        S(x(2, 3, 4), x(4, 5)),
        S(x(3, 4), x(2, 4, 5)),
        S(x(2, 3, 4), x(4)),
        S(x(2, 1, 3, 4), x(5, 4, 2)),
        S(x(0, 4), x(4, 2)),
        S(x(3, 0), x(0, 2)),
        P(x(3, 4), x(3, 4)),
        P(x(), x(3)),
    ],
    kinds=NUMBER,
    forms="fmo",
    tol=2,
)
SQUARE = x(3, 3)
rows(
    "mm",
    [
        S(x(3, 4), x(4, 2)),
        S(SQUARE, SQUARE),
        S(x(3, 0), x(0, 2)),
        P(x(3), x(3, 2)),
        P(x(3, 4), x(3, 4)),
    ],
    kinds=NUMBER,
    forms="fmo",
)
rows(
    "bmm",
    [S(x(2, 3, 4), x(2, 4, 5)), S(x(0, 3, 4), x(0, 4, 5)), P(x(3, 4), x(4, 2))],
    kinds=NUMBER,
    forms="fmo",
)
rows("mv", [S(x(3, 4), x(4)), S(x(3, 0), x(0)), P(x(3, 4), x(3))], kinds=NUMBER, forms="fmo")
rows(
    "dot",
    [S(x(4), x(4)), S(x(0), x(0)), P(x(3), x(4)), P(x(3, 4), x(4))],
    kinds=NUMBER,
    forms="fmo",
)
rows("vdot", [S(x(4), x(4)), S(x(0), x(0))], kinds=NUMBER, forms="fmo")
rows(
    "linalg.vecdot",
    [S(x(3, 4), x(3, 4)), S(x(3, 4), x(4)), S(x(3, 4), x(3, 4), dim=0)],
    kinds=INEXACT,
    forms="fo",
)
rows("inner", [S(x(4), x(4)), S(x(3, 4), x(2, 4)), S(x(), x(3))], kinds=NUMBER, forms="fmo")
rows("outer ger", [S(x(3), x(4)), S(x(0), x(4)), P(x(3, 4), x(4))], forms="fmo")
SCALED = {"beta": 2, "alpha": 3}
rows(
    "addmm",
    [
        S(x(3, 2), x(3, 4), x(4, 2)),
        S(x(2), x(3, 4), x(4, 2), **SCALED),
        S(x(), x(3, 4), x(4, 2)),
        S(x(3, 2), x(3, 4), x(4, 2), beta=0),
    ],
    kinds=NUMBER,
    forms="fmio",
    tol=2,
)
rows(
    "addmv",
    [S(x(3), x(3, 4), x(4)), S(x(3), x(3, 4), x(4), **SCALED), S(x(), x(3, 4), x(4))],
    kinds=NUMBER,
    forms="fmio",
    tol=2,
)
rows("addr", [S(x(3, 4), x(3), x(4)), S(x(3, 4), x(3), x(4), **SCALED)], forms="fmio")
rows(
    "baddbmm",
    [S(x(2, 3, 5), x(2, 3, 4), x(2, 4, 5)), S(x(3, 5), x(2, 3, 4), x(2, 4, 5), **SCALED)],
    kinds=NUMBER,
    forms="fmio",
    tol=2,
)
rows(
    "addbmm",
    [S(x(3, 5), x(2, 3, 4), x(2, 4, 5)), S(x(3, 5), x(2, 3, 4), x(2, 4, 5), **SCALED)],
    kinds=NUMBER,
    forms="fmio",
    tol=4,
)
rows(
    "einsum",
    [
        S("ij,jk->ik", x(3, 4), x(4, 2)),
        S("ii", x(3, 3)),
        S("ij->ji", x(3, 4)),
        S("ij->", x(3, 4)),
        S("bij,bjk->bik", x(2, 3, 4), x(2, 4, 5)),
        S("i,j,k->ijk", x(2), x(3), x(2)),
        S("...ij,...jk", x(2, 3, 4), x(4, 2)),
        S("ii->i", x(3, 3)),
        S("ij,ij->i", x(3, 4), x(3, 4)),
        P("ij,jk", x(3, 4), x(3, 4)),
    ],
    kinds=NUMBER,
    forms="f",
    tol=2,
)
rows(
    "tensordot",
    [S(CUBE, x(4, 3, 2), ([1, 2], [1, 0])), S(CUBE, x(3, 4, 2)), S(x(3), x(2), 0)],
    kinds=NUMBER,
    forms="fo",
    tol=2,
)
rows("kron", [S(x(2, 3), x(3, 2)), S(x(2), x(2, 2))], forms="fmo")
rows("chain_matmul", [S(x(3, 4), x(4, 2), x(2, 5))], kinds=NUMBER, forms="fo", tol=2)
rows(
    "linalg.multi_dot",
    [S([x(3, 4), x(4, 2), x(2, 5)]), S([x(4), x(4, 2)])],
    kinds=NUMBER,
    forms="fo",
    tol=2,
)
rows(
    "matrix_power",
    [S(x(3, 3), 3), S(x(2, 3, 3), 2), S(x(3, 3), 0), S(x(3, 3), 1)],
    kinds=NUMBER,
    forms="fmo",
    tol=4,
)
rows("cross", [S(x(4, 3), x(4, 3)), S(x(3, 4), x(3, 4), dim=0)], kinds=NUMBER, forms="fmo")
rows("linalg.cross", [S(x(4, 3), x(4, 3)), S(x(1, 3), x(4, 3))], kinds=NUMBER, forms="fo")
NORMS = [S(x(3, 4)), S(x(3, 4), 1), S(x(3, 4), 3, 0), S(x(3, 4), inf, 1), S(x(3, 4), 0), S(x(), 2)]
rows(
    "linalg.vector_norm", [*NORMS, S(x(3, 4), dim=(0, 1), keepdim=True)], kinds=INEXACT, forms="fo"
)
rows(
    "linalg.norm",
    [S(x(3, 4)), S(x(4), 3), S(x(3, 4), dim=1), S(x(3, 4), "fro")],
    kinds=INEXACT,
    forms="fo",
)
rows("renorm", [S(x(3, 4), 2, 0, 1.0), S(x(3, 4), 1, 1, 2.0)], kinds=INEXACT, forms="fmio")

# ------------------------------------------------------------------------------- making tensors
NONE = {"kinds": "f"}
rows(
    "zeros ones",
    [S(2, 3), S((2, 3)), S(()), S(0, 3), S(2, dtype=Dtype("int64")), P(-1)],
    forms="fo",
    **NONE,
)
rows("empty", [S(2, 3), S((2, 3), dtype=Dtype("float64")), S(())], forms="fo", values=False, **NONE)
rows(
    "full",
    [S((2, 3), 1.5), S((2,), 3), S((), True), S((2,), 1j), S((2,), 3, dtype=Dtype("float64"))],
    forms="fo",
    **NONE,
)
LIKE = [S(x(3, 4)), S(x()), S(x(0, 3)), S(x(3, 4), dtype=Dtype("float64"))]
rows("zeros_like ones_like", LIKE, forms="f")
rows("empty_like", LIKE, forms="f", values=False)
rows("full_like", [S(x(3, 4), 2), S(x(), 3, dtype=Dtype("float64"))], forms="f")
rows(
    "Tensor.new_zeros Tensor.new_ones",
    [S(x(3), (2, 2)), S(x(3), 2, 2), S(x(3), (2,), dtype=Dtype("int64"))],
    forms="f",
)
rows("Tensor.new_full", [S(x(3), (2, 2), 1), S(x(3), (), 2)], forms="f")
rows("Tensor.new_empty", [S(x(3), (2, 2)), S(x(3), 2)], forms="f", values=False)
rows(
    "arange",
    [
        S(5),
        S(1, 5),
        S(0, 1, 0.25),
        S(5.0),
        S(5, 0, -2),
        S(3, dtype=Dtype("float64")),
        S(0),
        P(1, 2, -1),
        P(1, 2, 0),
    ],
    forms="fo",
    **NONE,
)
rows("range", [S(1, 5), S(0, 1, 0.25)], forms="fo", **NONE)
rows(
    "linspace",
    [
        S(0, 1, 5),
        S(-2.0, 3.0, 7),
        S(1, 1, 1),
        S(0, 1, 0),
        S(0, 10, 4, dtype=Dtype("int64")),
        P(0, 1, -1),
    ],
    forms="fo",
    **NONE,
)
rows("logspace", [S(0, 1, 5), S(-1, 1, 4, 2.0)], forms="fo", tol=4, **NONE)
rows("eye", [S(3), S(3, 4), S(2, dtype=Dtype("int64")), S(0), P(-1)], forms="fo", **NONE)
rows("tril_indices triu_indices", [S(3, 4), S(3, 3, 1), S(3, 3, -1), S(0, 3)], forms="f", **NONE)
rows(
    "complex",
    [S(x(3, 4), x(4)), S(x(), x()), P(x(3), x(3, dtype="float64"))],
    kinds="hf",
    forms="fo",
)
rows("polar", [S(pos(3, 4), x(4)), S(pos(), x())], kinds="f", forms="fo")
rows("vander", [S(x(3)), S(x(3), 2), S(x(3), increasing=True)], forms="f")
rows("scalar_tensor", [S(2), S(2.5, dtype=Dtype("float64")), S(True)], forms="f", **NONE)
rows(
    "tensor",
    [S(2), S([1, 2]), S([1.0, 2]), S([[True]]), S([1j]), S([]), P([[1], [1, 2]])],
    forms="f",
    **NONE,
)
rows("as_tensor asarray", [S(2), S([1, 2]), S(x(3))], forms="f")

# ------------------------------------------------------------------------------- questions
rows("numel is_floating_point is_complex is_signed", [S(x(3, 4)), S(x())])
rows("is_nonzero", [S(x()), S(x(1)), P(x(3))], meta=False)
rows("is_same_size", [S(x(3), x(3)), S(x(3), x(4))])
rows("is_tensor", [S(x(3)), S(3)], forms="f")
rows("result_type", [S(x(3), 2), S(x(3), x(dtype="float64")), S(2, 3.0)], forms="f")
rows("broadcast_shapes", [S((3, 1), (4,)), P((3,), (4,))], forms="f", **NONE)

# ------------------------------------------------------------------------------- random numbers
# Programs that draw: 16 numbers and more take another way than fewer, and so do other layouts.
SIZES = ("()", "5", "16", "19", "3, 40")
SEEDED = [
    *(f"torch.{name}({size})" for name in ("rand", "randn") for size in SIZES),
    *(
        f"torch.{name}(21, dtype=torch.{dtype})"
        for name in ("rand", "randn")
        for dtype in ("float64", "float16", "bfloat16", "complex64", "complex128")
    ),
    "torch.rand_like(torch.zeros(3, 7).t())",
    "torch.randn_like(torch.zeros(4, 9).t())",
    "torch.randint(10, (19,))",
    "torch.randint(-5, 2**40, (7,))",
    "torch.randint(0, 2**33, (7,))",
    "torch.randint(3, 9, (2, 3), dtype=torch.int32)",
    "torch.randint(0, 2, (9,), dtype=torch.bool)",
    "torch.randint(0, 200, (9,), dtype=torch.uint8)",
    "torch.randint(0, 100, (9,), dtype=torch.float32)",
    "torch.randint_like(torch.zeros(7), 3, 50)",
    "torch.randperm(0)",
    "torch.randperm(1)",
    "torch.randperm(37)",
    "torch.randperm(37, dtype=torch.int32)",
    "torch.randperm(300)",
    "torch.bernoulli(torch.full((20,), 0.3))",
    "torch.bernoulli(torch.linspace(0, 1, 20, dtype=torch.float64))",
    "torch.bernoulli(torch.zeros(20), 0.7)",
    "torch.zeros(20).bernoulli_()",
    "torch.zeros(20).bernoulli_(0.25)",
    "torch.zeros(3, 7, dtype=torch.int64).bernoulli_(0.25)",
    "torch.zeros(20).bernoulli_(torch.linspace(0, 1, 20))",
    "torch.zeros(7).normal_()",
    "torch.zeros(40).normal_(2.0, 0.5)",
    "torch.zeros(40, dtype=torch.float64).normal_(2.0, 0.5)",
    "torch.zeros(8, 6).t().normal_()",
    "torch.zeros(40)[::2].normal_()",
    "torch.zeros(7).uniform_()",
    "torch.zeros(40).uniform_(-1, 3)",
    "torch.zeros(40, dtype=torch.float64).uniform_(-1, 3)",
    "torch.zeros(40)[::2].uniform_(-1, 3)",
    "torch.zeros(19).exponential_()",
    "torch.zeros(19, dtype=torch.float64).exponential_(2.5)",
    "torch.zeros(19).geometric_(0.3)",
    "torch.zeros(19).cauchy_()",
    "torch.zeros(19, dtype=torch.float64).cauchy_(1.0, 2.0)",
    "torch.zeros(19).log_normal_()",
    "torch.zeros(19).random_()",
    "torch.zeros(19, dtype=torch.int64).random_(100)",
    "torch.zeros(19, dtype=torch.int32).random_(3, 9)",
    "torch.normal(0.0, 1.0, (5,))",
    "torch.normal(torch.zeros(20), 2.0)",
    "torch.normal(1.0, torch.ones(20))",
    "torch.normal(torch.arange(20.0), torch.ones(20))",
    "torch.multinomial(torch.tensor([0.1, 0.2, 0.7]), 8, replacement=True)",
    "torch.multinomial(torch.tensor([0.1, 0.2, 0.7, 0.4]), 3)",
    "torch.multinomial(torch.ones(3, 9), 4)",
    "torch.multinomial(torch.ones(3, 9, dtype=torch.float64), 12, True)",
    "torch.rand(5, generator=torch.Generator().manual_seed(7))",
    "torch.randn(20, generator=torch.Generator().manual_seed(-3))",
]
