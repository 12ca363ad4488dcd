"""What PyTorch calls the kernels of ops, where that is not the op's name and `_cpu`.

They stand in the messages of ops that do not compute with complex32 or floats of eight bits.
"""

_KERNELS: dict[str, str] = {
    name: kernel
    for kernel, names in {
        "addcdiv_cpu_out": "addcdiv",
        "bmm": "linalg_matrix_exp",
        "cholesky_cpu": "linalg_cholesky_ex",
        "cholesky_inverse_out_cpu": "cholesky_inverse",
        "cross": "linalg_cross",
        "cumprod_out_cpu": "cumprod",
        "cumsum_out_cpu": "cumsum",
        "exp2": "exp2",
        "exp_vml_cpu": "logsumexp",
        "geqrf_cpu": "linalg_qr geqrf",
        "im2col_out_cpu": "im2col",
        "ldl_factor_kernel_cpu": "linalg_ldl_factor_ex",
        "ldl_solve_kernel_cpu": "linalg_ldl_solve",
        "linalg.lu_solve_cpu": "linalg_lu_solve",
        "linalg_eig_out_cpu": "linalg_eig linalg_eigvals",
        "linalg_eigh_cpu": "linalg_eigvalsh",
        "linalg_svd_cpu": "linalg_svdvals linalg_matrix_rank",
        "logcumsumexp_out_cpu": "logcumsumexp",
        "lu_cpu": "linalg_det linalg_lu linalg_lu_factor_ex linalg_solve_ex",
        "max_all": "extremum",
        "orgqr_cpu": "linalg_householder_product",
        "pow": "ldexp",
        "prod_out_cpu": "prod",
        "scatter_gather_scalar_cpu": "lu_unpack",
        "sum_cpu": "mean sum_to_size",
        "trace": "trace",
        "triangular_solve_cpu": "linalg_solve_triangular",
    }.items()
    for name in names.split()
}
_VML = "acos asin atan cos exp expm1 log log10 log1p log2 sin sqrt tan tanh"
_KERNELS |= {name: f"{name}_vml_cpu" for name in _VML.split()}


def kernel_name(name: str) -> str:
    """The kernel of an op, by the op's name."""
    return _KERNELS.get(name, f"{name}_cpu")
