"""Rows of linear algebra. samples.py tells how to read.

Singular vectors and eigenvectors are determined up to a phase only, and factors of Hermitian matrices
read one triangle: of these the rows say shapes and refusals, test_linalg.py the rest.
"""

from samples import NUMBER, P, S, table, these, x

ROWS, rows = table()

LAPACK = {"kinds": "fc", "tol": 20}
SQUARE, STACK, NONE = x(3, 3), x(2, 3, 3), x(0, 0)
POSITIVE = these([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
LOWER = these([[2.0, 0.0, 0.0], [1.0, 1.5, 0.0], [0.5, -1.0, 3.0]])
REGULAR = these([[3.0, 1.0, -1.0], [0.5, -2.0, 1.0], [1.0, 0.0, 2.5]])
WIDE, TALL = x(2, 4), x(4, 2)
REFUSED = [P(x(3)), P(x(2, 3))]

# ------------------------------------------------------------------------ inverses and solving
rows("linalg.inv inverse", [S(REGULAR), S(STACK), S(NONE), *REFUSED], forms="fo", **LAPACK)
rows("linalg.inv_ex", [S(REGULAR), S(STACK), *REFUSED], forms="f", **LAPACK)
rows(
    "linalg.solve",
    [
        S(REGULAR, x(3)),
        S(REGULAR, x(3, 2)),
        S(REGULAR, x(2, 3), left=False),
        S(STACK, x(3, 2)),
        S(STACK, x(2, 3)),
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
rows("cholesky_solve", [S(x(3, 2), LOWER), S(x(2, 3, 1), POSITIVE, True)], forms="fmo", **LAPACK)
rows("cholesky_inverse", [S(LOWER), *REFUSED], forms="fmo", **LAPACK)
rows("linalg.tensorinv", [S(x(4, 2, 2), ind=1), P(x(2, 3), ind=1)], forms="fo", composite=True, **LAPACK)
rows("linalg.tensorsolve", [S(x(2, 3, 6), x(2, 3))], forms="fo", composite=True, **LAPACK)
rows("linalg.pinv", [S(REGULAR), S(WIDE), S(TALL), S(x(0, 3))], forms="fo", **LAPACK)
rows("pinverse", [S(TALL)], forms="fm", **LAPACK)
rows("linalg.lstsq", [S(TALL, x(4, 3)), S(x(2, 4, 2), x(2, 4))], forms="f", twice=False, **LAPACK)

# ----------------------------------------------------------------------------------- determinants
rows("linalg.det det", [S(REGULAR), S(STACK), S(NONE), *REFUSED], forms="f", **LAPACK)
rows("linalg.slogdet slogdet", [S(REGULAR), S(STACK), *REFUSED], forms="f", **LAPACK)
rows("logdet", [S(POSITIVE), S(NONE), *REFUSED], forms="fm", composite=True, **LAPACK)

# ---------------------------------------------------------------------------------- factorisations
rows("linalg.lu_factor", [S(REGULAR), S(WIDE), S(TALL), S(STACK)], forms="f", **LAPACK)
rows("linalg.lu", [S(REGULAR), S(WIDE), S(TALL), S(STACK)], forms="f", **LAPACK)
rows("linalg.qr", [S(REGULAR), S(WIDE), S(TALL), S(STACK), P(x(3)), P(WIDE, "x")], forms="f", **LAPACK)
FREE = {**LAPACK, "values": False, "derived": False, "twice": False}
rows("linalg.cholesky", [S(POSITIVE), S(POSITIVE, upper=True), *REFUSED], forms="fo", **FREE)
rows("linalg.cholesky_ex", [S(POSITIVE), S(x(3, 3)), *REFUSED], forms="f", **FREE)
rows("linalg.svd svd", [S(SQUARE), S(WIDE), S(TALL), P(x(3))], forms="f", **FREE)
rows("linalg.eigh", [S(SQUARE), S(STACK), *REFUSED, P(SQUARE, "X")], forms="f", **FREE)
rows("linalg.eig", [S(SQUARE), S(STACK), *REFUSED], forms="f", **FREE)
rows("linalg.eigvals", [S(REGULAR), *REFUSED], forms="f", **FREE)
rows("linalg.ldl_factor", [S(POSITIVE), *REFUSED], forms="f", **FREE)
rows("linalg.svdvals", [S(SQUARE), S(WIDE), S(x(0, 3))], forms="fo", **LAPACK)
rows("linalg.eigvalsh", [S(POSITIVE), *REFUSED], forms="fo", **{**FREE, "values": True})
rows("geqrf", [S(TALL), S(REGULAR), P(x(3))], forms="f", **{**FREE, "values": True})
rows("linalg.householder_product orgqr", [S(x(4, 2), x(2)), P(x(2, 4), x(2))], forms="fo", **LAPACK)
rows(
    "ormqr",
    [S(x(4, 2), x(2), x(4, 3)), S(x(4, 2), x(2), x(3, 4), False, True), P(x(4, 2), x(2), x(3, 3))],
    forms="fmo",
    **LAPACK,
)

# ---------------------------------------------------------------------------- functions and norms
rows("matrix_exp linalg.matrix_exp", [S(SQUARE), S(STACK), S(NONE), *REFUSED], forms="f", kinds="fc", tol=20)
rows(
    "linalg.matrix_norm",
    [S(TALL), S(TALL, "nuc"), S(STACK, 2), S(WIDE, 1, keepdim=True), S(WIDE, -float("inf")), P(TALL, 3)],
    forms="fo",
    composite=True,
    **LAPACK,
)
rows("linalg.cond", [S(REGULAR), S(TALL, -2), S(REGULAR, 1)], forms="fo", composite=True, **LAPACK)
rows("linalg.matrix_rank", [S(SQUARE), S(TALL)], forms="fo", **{**LAPACK, "derived": False, "twice": False})
rows("linalg.vander", [S(x(3)), S(x(2, 3), N=4), P(x(3), N=1)], forms="f", kinds="uifc", composite=True)
rows("linalg.diagonal", [S(TALL), S(STACK, offset=1)], forms="f", kinds=NUMBER + "b")
rows("cov", [S(x(3, 5)), S(x(4)), P(x(2, 2, 2))], forms="fm", kinds="uifc", composite=True, tol=8)
rows("corrcoef", [S(x(3, 5)), P(x(2, 2, 2))], forms="fm", kinds="uifc", composite=True, tol=20)
