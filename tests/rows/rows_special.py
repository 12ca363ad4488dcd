"""Rows of torch.special, distances, histograms, windows and the like. samples.py tells how to read them."""

from samples import (
    ALL,
    FLOATS,
    INEXACT,
    NUMBER,
    REAL,
    Dtype,
    In,
    P,
    S,
    at,
    inf,
    nan,
    pos,
    table,
    these,
    x,
)

ROWS, rows = table()
SINGLE = "buif"  # no half precisions: PyTorch has no kernels for them
NO_SLOPE = "PyTorch has no derivative of it"


def special(names, calls, **options):
    """Rows of functions in torch.special, which have an out form."""
    rows(" ".join(f"special.{name}" for name in names.split()), calls, **{"forms": "fo", **options})


def calls(make=x, points=(0.0, 0.5, -2.5, 9.0)):
    return [S(make(3, 4)), S(make()), S(make(0, 3)), P(these(list(points)))]


# ------------------------------------------------------------------------------- torch.special
special("entr", calls(pos, [0.0, 0.5, 3.0, inf, nan]), kinds=REAL, tol=2)
special("erfcx", calls(x, [0.0, -3.0, 6.0, nan]), kinds=SINGLE, tol=8)
special("ndtr", calls(x, [0.0, -3.0, 6.0, inf, -inf, nan]), kinds=REAL, tol=8, composite=True)
special("log_ndtr", calls(x, [0.0, -30.0, 6.0, nan]), kinds=SINGLE, tol=8)
special("ndtri", [S(In((3, 4), 0.0, 1.0)), S(In((), 0.0, 1.0)), P(these([0.5, 0.25]))], kinds=SINGLE, tol=40)
special("i0e i1e", calls(), kinds=REAL, tol=8)
special(
    "bessel_j0 bessel_j1 modified_bessel_i0 modified_bessel_i1 spherical_bessel_j0",
    calls(x, [0.0, 0.5, -2.5, 2.5]),
    kinds=SINGLE,
    better=NO_SLOPE,
    tol=40,
)
special("airy_ai", calls(x, [0.0, 0.5]), kinds=SINGLE, better=NO_SLOPE, tol=400)
special(
    "bessel_y0 bessel_y1 modified_bessel_k0 modified_bessel_k1 scaled_modified_bessel_k0 "
    "scaled_modified_bessel_k1",
    calls(pos, [0.5, 2.5]),
    kinds=SINGLE,
    better=NO_SLOPE,
    tol=40,
)
special(
    "chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v chebyshev_polynomial_w "
    "shifted_chebyshev_polynomial_t shifted_chebyshev_polynomial_u shifted_chebyshev_polynomial_v "
    "shifted_chebyshev_polynomial_w hermite_polynomial_h hermite_polynomial_he laguerre_polynomial_l "
    "legendre_polynomial_p",
    [
        S(x(3, 4), 3),
        S(x(), 0),
        S(x(2, 1), In((5,), source="values", values=[-1, 0, 1, 2, 7], dtype="int64", grad=False)),
        P(these([1.0, -1.0, 0.0, 0.5]), 4),
    ],
    kinds=SINGLE,
    better=NO_SLOPE,
    tol=40,
)
special(
    "xlog1py",
    [
        S(x(3, 4), pos(3, 4)),
        S(x(3, 1), pos(4)),
        S(2.0, pos(3)),
        S(x(3), 0.5),
        P(these([0.0, 0.0, 2.0]), these([-1.0, -3.0, 0.0])),
    ],
    kinds=REAL,
    tol=4,
)
special(
    "zeta",
    [S(In((3, 4), 1.5, 5.0), pos(3, 4)), S(In((3, 1), 1.5, 5.0), pos(4))],
    kinds=SINGLE,
    better="PyTorch has no derivative in the first argument",
    tol=40,
)
special(
    "gammainc gammaincc",
    [S(pos(3, 4), pos(3, 4)), S(pos(3, 1), pos(4)), S(pos(), pos())],
    kinds=FLOATS,
    better="PyTorch has no derivative in the first argument",
    tol=40,
)
rows(
    "igamma igammac",
    [S(pos(3, 4), pos(3, 4)), S(pos(3, 1), pos(4))],
    kinds=FLOATS,
    forms="fmio",
    better="PyTorch has no derivative in the first argument",
    tol=40,
)

# ------------------------------------------------------------------------------------- distances
TWO = [S(x(3, 4), x(5, 4)), S(x(2, 1, 3, 4), x(3, 2, 4)), S(x(0, 4), x(5, 4))]
rows(
    "cdist",
    [*TWO, *(S(x(3, 4), x(2, 4), p) for p in (0.0, 1.0, 3.0, inf)), S(x(26, 3), x(2, 3))],
    kinds="f",
    forms="f",
    composite=True,
    better="the gradient has a derivative",
    tol=40,
)
rows(
    "pdist nn.functional.pdist",
    [S(x(4, 3)), S(x(4, 3), 1.0), S(x(4, 3), 3.0), S(x(1, 3))],
    kinds="f",
    forms="f",
    better="the gradient has a derivative",
    tol=4,
)
rows(
    "pairwise_distance nn.functional.pairwise_distance",
    [S(x(3, 4), x(3, 4)), S(x(4), x(3, 4), 3.0), S(x(3, 4), x(3, 4), keepdim=True)],
    kinds=NUMBER,
    forms="f",
    composite=True,
    tol=4,
)
rows(
    "cosine_similarity nn.functional.cosine_similarity",
    [S(x(3, 4), x(3, 4)), S(x(3, 4), x(3, 4), 0), S(x(3, 1, 4), x(2, 4), -1), S(x(4), x(4), dim=0)],
    kinds=FLOATS,
    forms="f",
    composite=True,
    tol=8,
)

# ------------------------------------------------------------------------------------ histograms
DATA = In((3, 4), grad=False)
PLANE = In((6, 2), grad=False)
rows(
    "histogram",
    [
        P(DATA, 5, range=(-1.0, 1.0)),
        P(DATA, In((3,), source="values", values=[-1.0, 0.0, 2.0], grad=False)),
        P(DATA, 4, density=True),
    ],
    kinds="hgf",
    forms="fmo",
    derived=False,
    composite=True,
    meta=False,
)
rows(
    "histogramdd",
    [P(PLANE, [3, 2], range=[-2.0, 2.0, -1.0, 1.0]), P(PLANE, 2), P(PLANE, [3, 2], density=True)],
    kinds="hgf",
    forms="f",
    derived=False,
    composite=True,
    meta=False,
)

# -------------------------------------------------------------------------------------- numeric
rows(
    "gradient",
    [
        S(x(4, 5)),
        S(x(4, 5), dim=1),
        S(x(4, 5), spacing=2.0, edge_order=2),
        S(x(4), spacing=[In((4,), source="values", values=[0.0, 1.0, 3.0, 4.0], grad=False)]),
    ],
    kinds="ihgfc",
    forms="f",
    composite=True,
    tol=8,
)
rows("unravel_index", [P(at(6, 4), (2, 3)), P(at(6), 6)], kinds=ALL, forms="f", derived=False, composite=True)
rows("narrow_copy", [S(x(4, 3), 0, 1, 2), S(x(4, 3), 1, 0, 3)], kinds=ALL, forms="fmo", composite=True)
for _name, *_args in (
    ("alias",),
    ("as_strided", (2, 2), (1, 2)),
    ("diagonal",),
    ("expand", (2, 3, 4)),
    ("permute", (1, 0)),
    ("select", 0, 1),
    ("slice", 1, 0, 4, 2),
    ("squeeze",),
    ("t",),
    ("transpose", 0, 1),
    ("unfold", 1, 2, 1),
    ("unsqueeze", 0),
    ("view", (4, 3)),
):
    rows(f"{_name}_copy", [S(x(3, 4), *_args)], kinds=ALL, forms="fo", composite=True)
rows("detach_copy", [P(DATA)], kinds=ALL, forms="fo", derived=False)
rows("split_copy", [S(x(4, 3), 2)], kinds=ALL, forms="f", composite=True)
rows("split_with_sizes_copy", [S(x(4, 3), (1, 3))], kinds=ALL, forms="fo", composite=True)
rows("unbind_copy", [S(x(4, 3), 1)], kinds=ALL, forms="fo", composite=True)
rows("view_as_real_copy", [S(x(4, 3))], kinds="c", forms="fo", composite=True)
rows("view_as_complex_copy", [S(x(4, 2))], kinds="hf", forms="fo", composite=True, better=NO_SLOPE)
rows(
    "frobenius_norm",
    [S(x(3, 4), 1), S(x(3, 4), (0, 1), True)],
    kinds=INEXACT,
    forms="fo",
    composite=True,
    tol=4,
)
rows(
    "norm_except_dim",
    [S(x(3, 4)), S(x(3, 4), 2, 1), S(x(2, 3, 4), 2, -1)],
    kinds=INEXACT,
    forms="f",
    composite=True,
    tol=4,
)
rows("get_device is_inference is_distributed", [P(DATA)], kinds=ALL, forms="fm", derived=False, meta=False)
rows("typename", [P(DATA)], kinds=ALL, forms="f", derived=False, meta=False)
AS_FUNCTIONS = {
    "uihgf": "abs ceil fix floor relu round trunc",
    INEXACT: "arccos arccosh arcsin arcsinh arctan arctanh acos acosh asin asinh atan atanh cos cosh exp "
    "exp2 expm1 log log10 log1p log2 reciprocal rsqrt sigmoid sin sinc sinh sqrt tan tanh",
    FLOATS: "deg2rad erf erfc frac i0 logit rad2deg",
    ALL: "conj_physical nan_to_num",
    NUMBER: "neg negative square",
}
PROPER = In((3, 4), 0.25, 1.0, grad=False)
for _kinds, _names in AS_FUNCTIONS.items():
    _written = " ".join(f"{name}_" for name in _names.split())
    rows(_written, [P(PROPER)], kinds=_kinds, forms="fm", derived=False, tol=8, meta=False)
rows("clip_", [P(PROPER, 0.5, 0.75)], kinds=FLOATS, forms="fm", derived=False, meta=False, composite=True)

# -------------------------------------------------------------------------------------- windows
rows(
    "bartlett_window blackman_window hamming_window hann_window",
    [P(6), P(5, False), P(1), P(0), P(4, dtype=Dtype("float64"))],
    forms="f",
    derived=False,
    tol=4,
)
rows("hamming_window", [P(6, True, 0.6), P(6, True, 0.6, 0.3)], forms="f", derived=False, tol=4)
rows("kaiser_window", [P(6), P(5, False, 9.0), P(1)], forms="f", derived=False, tol=40)
SHAPES = [P(6), P(5, sym=False), P(1), P(0), P(4, dtype=Dtype("float64"))]
rows(
    "signal.windows.bartlett signal.windows.blackman signal.windows.cosine signal.windows.exponential "
    "signal.windows.gaussian signal.windows.general_hamming signal.windows.hamming signal.windows.hann "
    "signal.windows.nuttall",
    SHAPES,
    forms="f",
    derived=False,
    tol=4,
)
rows("signal.windows.kaiser", SHAPES, forms="f", derived=False, tol=40)
rows(
    "signal.windows.general_cosine",
    [P(6, a=[0.5, 0.3, 0.2]), P(4, a=(1.0,), sym=False)],
    forms="f",
    derived=False,
)
