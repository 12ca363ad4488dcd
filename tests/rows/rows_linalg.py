"""Rows of linear algebra. samples.py tells how to read.

Singular vectors and eigenvectors are determined up to a phase only, and factors of Hermitian matrices
read one triangle: of these the rows say shapes and refusals, test_linalg.py the rest.
"""

from samples import NUMBER, P, S, table, these, x

ROWS, rows = table()

LAPACK = {"kinds": "fc", "tol": 20}
ANY = {"kinds": "hgfc", "tol": 20}
SQUARE, STACK, NONE = x(3, 3), x(2, 3, 3), x(0, 0)
POSITIVE = these([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
UPPER = these([[2.0, 1.0, 0.5], [0.0, 1.5, -1.0], [0.0, 0.0, 3.0]])
LOWER = these([[2.0, 0.0, 0.0], [1.0, 1.5, 0.0], [0.5, -1.0, 3.0]])
REGULAR = these([[3.0, 1.0, -1.0], [0.5, -2.0, 1.0], [1.0, 0.0, 2.7]])
WIDE, TALL = x(2, 4), x(4, 2)
REFUSED = [P(x(3)), P(x(2, 3))]

# ------------------------------------------------------------------------ inverses and solving
rows("linalg.inv", [S(REGULAR), S(STACK), S(NONE), *REFUSED], forms="fo", **LAPACK)
rows("inverse", [S(REGULAR), S(STACK), *REFUSED], forms="fmo", **LAPACK)
rows("linalg.inv_ex", [S(REGULAR), S(STACK), *REFUSED], forms="fo", **LAPACK)
rows(
    "linalg.solve",
    [
        S(REGULAR, x(3)),
        S(REGULAR, x(3, 2)),
        S(REGULAR, x(2, 3), left=False),
        S(STACK, x(3, 2)),
        P(REGULAR, x(2)),
        P(x(2, 3), x(2)),
    ],
    forms="fo",
    composite=True,
    **LAPACK,
)
rows(
    "linalg.solve_triangular",
    [
        S(LOWER, x(3, 2), upper=False),
        S(LOWER, x(2, 3), upper=False, left=False, unitriangular=True),
        S(POSITIVE, x(2, 3, 1), upper=True),
        P(LOWER, x(2, 2), upper=False),
    ],
    forms="fo",
    **LAPACK,
)
# The other triangle, which is not read, has the gradient that it would have if it were (test_linalg.py).
rows("cholesky_solve", [P(x(3, 2), LOWER), P(x(2, 3, 1), UPPER, True)], forms="fmo", **LAPACK)
rows("cholesky_inverse", [P(LOWER), *REFUSED], forms="fmo", **LAPACK)
rows("linalg.tensorinv", [S(x(4, 2, 2), ind=1), P(x(2, 3), ind=1)], forms="fo", composite=True, **LAPACK)
rows("linalg.tensorsolve", [S(x(2, 3, 6), x(2, 3))], forms="fo", composite=True, **LAPACK)
rows("linalg.pinv", [S(REGULAR), S(WIDE), S(TALL), S(x(0, 3))], forms="fo", **LAPACK)
rows("pinverse", [S(TALL)], forms="fm", **LAPACK)
rows("linalg.lstsq", [S(TALL, x(4, 3)), S(x(2, 4, 2), x(2, 4))], forms="fo", composite=True, **LAPACK)

# ----------------------------------------------------------------------------------- determinants
DET = [S(REGULAR), S(STACK), S(NONE), *REFUSED]
rows("linalg.det", DET, forms="fo", **LAPACK)
rows("det", DET, forms="fm", **LAPACK)
rows("linalg.slogdet", [S(REGULAR), S(STACK), *REFUSED], forms="fo", **LAPACK)
rows("slogdet", [S(REGULAR), S(STACK), *REFUSED], forms="fmo", **LAPACK)
rows("logdet", [S(POSITIVE), S(NONE), *REFUSED], forms="fm", composite=True, **LAPACK)

# ---------------------------------------------------------------------------------- factorisations
SHAPES = [S(x(3, 3)), S(WIDE), S(TALL), S(STACK)]
rows("linalg.lu_factor", SHAPES, forms="fo", **LAPACK)
rows("linalg.lu_factor_ex", SHAPES, forms="fo", **LAPACK)
rows("linalg.lu", SHAPES, forms="fo", **LAPACK)
rows("linalg.qr", [*SHAPES, P(x(3)), P(WIDE, "x")], forms="fo", **LAPACK)
FREE = {**LAPACK, "values": False, "derived": False, "twice": False}
OPEN = {**FREE, "better": "phases of vectors are open"}
HERMITIAN = {**FREE, "better": "the gradient is Hermitian"}
rows("linalg.cholesky", [S(POSITIVE), S(POSITIVE, upper=True), *REFUSED], forms="fo", **HERMITIAN)
rows("cholesky", [S(POSITIVE), *REFUSED], forms="fmo", **HERMITIAN)
rows("linalg.cholesky_ex", [S(POSITIVE), S(x(3, 3)), *REFUSED], forms="fo", **HERMITIAN)
rows("linalg.svd", [S(SQUARE), S(WIDE), S(TALL), P(x(3))], forms="fo", **OPEN)
rows("svd", [S(SQUARE), S(WIDE), S(TALL), P(x(3))], forms="fmo", composite=True, **OPEN)
rows("linalg.eigh", [S(SQUARE), S(STACK), *REFUSED, P(SQUARE, "X")], forms="fo", **OPEN)
rows("linalg.eig", [S(SQUARE), S(STACK), *REFUSED], forms="fo", **OPEN)
rows("linalg.eigvals", [S(REGULAR)], forms="fo", **OPEN)
LDL = {**FREE, "composite": True, "better": "PyTorch has none"}
rows("linalg.ldl_factor", [S(POSITIVE), *REFUSED], forms="fo", **LDL)
rows("linalg.ldl_factor_ex", [S(POSITIVE), *REFUSED], forms="fo", **LDL)
rows("linalg.svdvals", [S(SQUARE), S(WIDE), S(x(0, 3))], forms="fo", **LAPACK)
rows("linalg.eigvalsh", [S(POSITIVE), *REFUSED], forms="fo", **{**FREE, "values": True})
rows("geqrf", [S(TALL), S(SQUARE), P(x(3))], forms="fmo", **{**LDL, "values": True})
PRODUCT = [S(x(4, 2), x(2)), P(x(2, 4), x(2))]
rows("linalg.householder_product", PRODUCT, forms="fo", **LAPACK)
rows("orgqr", PRODUCT, forms="fmo", **LAPACK)
rows(
    "ormqr",
    [S(x(4, 2), x(2), x(4, 3)), S(x(4, 2), x(2), x(3, 4), False, True), P(x(4, 2), x(2), x(3, 3))],
    forms="fmo",
    **LAPACK,
)

# ---------------------------------------------------------------------------- functions and norms
# Empty first: of the half precisions, where PyTorch gives noise, the first call is compared.
EXP = [S(NONE), S(SQUARE), S(STACK), *REFUSED]
rows("linalg.matrix_exp", EXP, forms="f", **ANY)
rows("matrix_exp", EXP, forms="fm", **ANY)
rows(
    "linalg.matrix_norm",
    [S(TALL), S(WIDE, 1, keepdim=True), S(WIDE, -float("inf")), P(TALL, 3)],
    forms="fo",
    composite=True,
    **ANY,
)
rows("linalg.cond", [S(REGULAR), S(TALL, -2), S(REGULAR, 1)], forms="fo", composite=True, **LAPACK)
rows("linalg.matrix_rank", [S(SQUARE), S(TALL)], forms="fo", **{**LAPACK, "derived": False, "twice": False})
rows("linalg.vander", [S(x(3)), S(x(2, 3), N=4), P(x(3), N=1)], forms="f", kinds="uifc", composite=True)
rows("linalg.diagonal", [S(TALL), S(STACK, offset=1)], forms="f", kinds=NUMBER + "b")
rows("cov", [S(x(3, 5)), S(x(4)), P(x(2, 2, 2))], forms="fm", kinds="uihgfc", composite=True, tol=8)
rows("corrcoef", [S(x(3, 5)), P(x(2, 2, 2))], forms="fm", kinds="uihgfc", composite=True, tol=20)

# ------------------------------------------------------------- solving from factors, older names
PACKED = these([[3.0, 1.0, -1.0], [0.5, -2.0, 1.0], [0.25, 0.5, 2.5]])
TURNS = these([2, 2, 3], "int32")
rows("linalg.lu_solve", [S(PACKED, TURNS, x(3, 2)), P(PACKED, TURNS, x(2))], forms="fo", **LAPACK)
rows("lu_solve", [S(x(3, 2), PACKED, TURNS)], forms="fmo", **LAPACK)
rows("lu_unpack", [S(PACKED, TURNS)], forms="fo", meta=False, kinds="buihgfc", tol=20)
rows("linalg.solve_ex", [S(REGULAR, x(3, 2)), P(REGULAR, x(2))], forms="fo", **LAPACK)
rows("lu", SHAPES, forms="fmo", composite=True, **LAPACK)
rows("qr", SHAPES, forms="fmo", composite=True, **LAPACK)
rows(
    "triangular_solve",
    [S(x(3, 2), UPPER), S(x(3, 2), UPPER, transpose=True), S(x(3, 2), UPPER, unitriangular=True)],
    forms="fmo",
    composite=True,
    **LAPACK,
)
rows("nuclear_norm", [S(TALL), S(WIDE, keepdim=True)], forms="fo", composite=True, **LAPACK)
