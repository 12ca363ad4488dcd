"""Rows of products of matrices, norms, and what makes tensors. samples.py tells how to read."""

from samples import (
    CUBE,
    INEXACT,
    NUMBER,
    Dtype,
    P,
    S,
    inf,
    pos,
    table,
    wide,
    x,
)

ROWS, rows = table()

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
        S(x(2, 3, 0), x(2, 0, 5)),
        S(x(2, 0, 3, 4), x(4, 5)),
        S(x(2, 3, 4), wide(1, 4, 5, to=(2, 4, 5))),
        S(x(2, 3, 1), x(2, 1, 4)),
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
    [
        S(x(2, 3, 4), x(2, 4, 5)),
        S(x(0, 3, 4), x(0, 4, 5)),
        S(x(2, 3, 0), x(2, 0, 4)),
        S(x(2, 3, 1), x(2, 1, 4)),
        P(x(3, 4), x(4, 2)),
    ],
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
        S(x(2), x(3, 0), x(0, 2), **SCALED),
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
    [
        S(x(3, 5), x(2, 3, 4), x(2, 4, 5)),
        S(x(3, 5), x(2, 3, 4), x(2, 4, 5), **SCALED),
        S(x(3, 5), x(0, 3, 4), x(0, 4, 5), **SCALED),
    ],
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
        S("ij,kj->ki", x(3, 4), x(2, 4)),
        S("ijk,lkj->il", x(2, 3, 4), x(5, 4, 3)),
        S("bij,bkj->bik", x(2, 3, 0), x(2, 4, 0)),
        S("ij,kl->jl", x(2, 3), x(4, 5)),
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
rows("linalg.vector_norm", [*NORMS, S(x(3, 4), dim=(0, 1), keepdim=True)], kinds=INEXACT, forms="fo")
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
rows("empty_strided", [S((2, 3), (1, 2)), S((), ())], forms="f", values=False, **NONE)
rows("Tensor.new_empty_strided", [S(x(3), (2, 3), (1, 2))], forms="f", values=False)
rows("Tensor.new_tensor", [S(x(3), [1, 2]), S(x(3), 2.5)], forms="f", meta=False)
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
rows("vander", [S(x(3)), S(x(3), 2), S(x(3), increasing=True)], forms="f", composite=True)
rows("scalar_tensor", [S(2), S(2.5, dtype=Dtype("float64")), S(True)], forms="f", **NONE)
rows(
    "tensor",
    [S(2), S([1, 2]), S([1.0, 2]), S([[True]]), S([1j]), S([]), P([[1], [1, 2]])],
    forms="f",
    **NONE,
)
rows("as_tensor asarray", [S(2), S([1, 2]), S(x(3))], forms="f")
