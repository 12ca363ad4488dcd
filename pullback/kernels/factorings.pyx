"""LAPACK's routines and NumPy's loops for matrices as steps of plans: see factorings.h."""

from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport intptr_t

from pullback.core._plans cimport run_t

cdef extern from *:
    """
    #include "pullback/kernels/factorings.h"
    """
    run_t pb_getrf
    run_t pb_getrs
    run_t pb_potrf
    run_t pb_geqrf
    run_t pb_orgqr
    run_t pb_trsm
    run_t pb_unit
    run_t pb_upper
    run_t pb_matrices
    run_t pb_poison_float32
    run_t pb_poison_float64
    run_t pb_finite_float32
    run_t pb_finite_float64


cdef object _capsule(run_t run):
    return PyCapsule_New(<void*>run, "pullback.run", NULL)


RUNS = {
    "getrf": _capsule(pb_getrf),
    "getrs": _capsule(pb_getrs),
    "potrf": _capsule(pb_potrf),
    "geqrf": _capsule(pb_geqrf),
    "orgqr": _capsule(pb_orgqr),
    "trsm": _capsule(pb_trsm),
    "unit": _capsule(pb_unit),
    "upper": _capsule(pb_upper),
    "matrices": _capsule(pb_matrices),
    "poison_float32": _capsule(pb_poison_float32),
    "poison_float64": _capsule(pb_poison_float64),
    "finite_float32": _capsule(pb_finite_float32),
    "finite_float64": _capsule(pb_finite_float64),
}


def routine_of(str name, str kind):
    """The address of a routine of LAPACK or BLAS for a dtype: "getrf" is sgetrf for float32."""
    from scipy.linalg import cython_blas, cython_lapack

    letter = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}[kind]
    if letter in "cz":
        name = {"orgqr": "ungqr"}.get(name, name)
    for module in (cython_lapack, cython_blas):
        capsule = module.__pyx_capi__.get(f"{letter}{name}")
        if capsule is not None:
            return <intptr_t>PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule))
    raise ImportError(f"SciPy has no routine {letter}{name}")
