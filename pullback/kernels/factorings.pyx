"""LAPACK's routines and NumPy's loops for matrices as steps of plans: see factorings.h."""

from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer
from libc.stdint cimport int64_t, intptr_t

from pullback.core._plans cimport capsule_of, run_t

cdef extern from *:
    """
    #include "pullback/kernels/factorings.h"
    """
    void pb_know_blas(int64_t get, int64_t set)
    void pb_blas_alone(int more) nogil
    run_t pb_lapack
    run_t pb_alone
    run_t pb_exchange
    run_t pb_permutation
    run_t pb_diagonal
    run_t pb_solve_float32
    run_t pb_solve_float64
    run_t pb_potrf
    run_t pb_determinant_float32
    run_t pb_determinant_float64
    run_t pb_determinant_complex64
    run_t pb_determinant_complex128
    run_t pb_trsm
    run_t pb_upper
    run_t pb_matrices
    run_t pb_poison_float32
    run_t pb_poison_float64
    run_t pb_finite_float32
    run_t pb_finite_float64


RUNS = {
    "lapack": capsule_of(pb_lapack),
    "alone": capsule_of(pb_alone),
    "exchange": capsule_of(pb_exchange),
    "permutation": capsule_of(pb_permutation),
    "diagonal": capsule_of(pb_diagonal),
    "solve_float32": capsule_of(pb_solve_float32),
    "solve_float64": capsule_of(pb_solve_float64),
    "potrf": capsule_of(pb_potrf),
    "determinant_float32": capsule_of(pb_determinant_float32),
    "determinant_float64": capsule_of(pb_determinant_float64),
    "determinant_complex64": capsule_of(pb_determinant_complex64),
    "determinant_complex128": capsule_of(pb_determinant_complex128),
    "trsm": capsule_of(pb_trsm),
    "upper": capsule_of(pb_upper),
    "matrices": capsule_of(pb_matrices),
    "poison_float32": capsule_of(pb_poison_float32),
    "poison_float64": capsule_of(pb_poison_float64),
    "finite_float32": capsule_of(pb_finite_float32),
    "finite_float64": capsule_of(pb_finite_float64),
}


def routine_of(str name, str kind):
    """The address of a routine of LAPACK or BLAS for a dtype: "getrf" is sgetrf for float32."""
    from scipy.linalg import cython_blas, cython_lapack

    letter = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}[kind]
    if letter in "cz":
        name = {"orgqr": "ungqr", "ormqr": "unmqr"}.get(name, name)
    for module in (cython_lapack, cython_blas):
        capsule = module.__pyx_capi__.get(f"{letter}{name}")
        if capsule is not None:
            return <intptr_t>PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule))
    raise ImportError(f"SciPy has no routine {letter}{name}")


def know_blas(int64_t get, int64_t set):
    """Tells of a BLAS with threads: the addresses of what says how many and of what sets them."""
    pb_know_blas(get, set)


def alone(int more):
    """One more (1) work on small matrices goes on, or one less (-1): BLAS has no threads meanwhile."""
    pb_blas_alone(more)
