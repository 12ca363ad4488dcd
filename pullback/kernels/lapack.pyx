# cython: cdivision=True
"""LAPACK on stacks of matrices: the factorings and solvers that NumPy lacks, in a compiled loop.

SciPy publishes LAPACK's routines as C functions whose arguments are all pointers. So one type of
function for each number of arguments does for the four number types, and a routine is looked up by
name when it is first called: this module imports SciPy no earlier.

A function takes arrays of one dtype (float32, float64 or complex) with equal leading dims, at least two
dims each, of any strides. It copies what LAPACK overwrites into column-major order, `columns`, and returns
these copies: their last two dims are the matrix, the first of which is contiguous. `info` is LAPACK's, an
int32 for each matrix, zero if all went well. Nothing else is checked: `ops/linalg` does.

Read `routine` and `columns`, then `cholesky`: all others are made like it. F5 to F15 are the types of a
routine with so many arguments.
"""

import numpy as np

from libc.stdlib cimport free, malloc
from libc.string cimport memset
from numpy cimport (
    NPY_CDOUBLE, NPY_CFLOAT, NPY_DOUBLE, NPY_FLOAT, NPY_INT32, PyArray_CopyInto, PyArray_DATA, PyArray_DIM,
    PyArray_DIMS, PyArray_EMPTY, PyArray_ITEMSIZE, PyArray_NDIM, PyArray_STRIDE, PyArray_SwapAxes,
    PyArray_TYPE, PyArray_ZEROS, import_array, ndarray, npy_intp,
)
from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer

import_array()

ctypedef void* P
ctypedef void (*F5)(P, P, P, P, P) noexcept nogil
ctypedef void (*F6)(P, P, P, P, P, P) noexcept nogil
ctypedef void (*F8)(P, P, P, P, P, P, P, P) noexcept nogil
ctypedef void (*F9)(P, P, P, P, P, P, P, P, P) noexcept nogil
ctypedef void (*F10)(P, P, P, P, P, P, P, P, P, P) noexcept nogil
ctypedef void (*F11)(P, P, P, P, P, P, P, P, P, P, P) noexcept nogil
ctypedef void (*F13)(P, P, P, P, P, P, P, P, P, P, P, P, P) noexcept nogil
ctypedef void (*F14)(P, P, P, P, P, P, P, P, P, P, P, P, P, P) noexcept nogil
ctypedef void (*F15)(P, P, P, P, P, P, P, P, P, P, P, P, P, P, P) noexcept nogil

cdef enum:
    MAX_DIMS = 64

cdef dict _found = {}


cdef P routine(str name, ndarray like) except NULL:
    """The routine of this name for the array's type, found once: "getrf" is sgetrf for float32."""
    cdef object capsule = _found.get((name, PyArray_TYPE(like)))
    if capsule is None:
        capsule = _found[name, PyArray_TYPE(like)] = _look_up(name, PyArray_TYPE(like))
    return PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule))


cdef object _look_up(str name, int kind):
    from scipy.linalg import cython_blas, cython_lapack

    letter = {NPY_FLOAT: "s", NPY_DOUBLE: "d", NPY_CFLOAT: "c", NPY_CDOUBLE: "z"}[kind]
    if kind in (NPY_CFLOAT, NPY_CDOUBLE):
        name = {"orgqr": "ungqr", "ormqr": "unmqr"}.get(name, name)
    for module in (cython_lapack, cython_blas):
        if f"{letter}{name}" in module.__pyx_capi__:
            return module.__pyx_capi__[f"{letter}{name}"]
    raise ImportError(f"SciPy has no LAPACK routine {letter}{name}")


cdef bint is_complex(ndarray a) noexcept:
    return PyArray_TYPE(a) == NPY_CFLOAT or PyArray_TYPE(a) == NPY_CDOUBLE


# ------------------------------------------------------------------------------- stacks of matrices

cdef ndarray empty_columns(ndarray like, npy_intp rows, npy_intp count, bint zeros=False):
    """A column-major stack of matrices of another size, with the leading dims of `like`."""
    cdef npy_intp dims[MAX_DIMS]
    cdef int nd = PyArray_NDIM(like), i
    for i in range(nd - 2):
        dims[i] = PyArray_DIM(like, i)
    dims[nd - 2], dims[nd - 1] = count, rows
    cdef ndarray made
    if zeros:
        made = PyArray_ZEROS(nd, dims, PyArray_TYPE(like), 0)
    else:
        made = PyArray_EMPTY(nd, dims, PyArray_TYPE(like), 0)
    return PyArray_SwapAxes(made, nd - 2, nd - 1)


cdef ndarray columns(ndarray a):
    """A column-major copy."""
    cdef int nd = PyArray_NDIM(a)
    cdef ndarray made = empty_columns(a, PyArray_DIM(a, nd - 2), PyArray_DIM(a, nd - 1))
    PyArray_CopyInto(made, a)
    return made


cdef ndarray readable(ndarray a):
    """The array itself if it is column-major and packed, or such a copy: for what is only read."""
    cdef int nd = PyArray_NDIM(a), i
    cdef npy_intp step = PyArray_ITEMSIZE(a)
    for i in range(nd):
        i = nd - 2 if i == 0 else nd - 1 if i == 1 else nd - 1 - i
        if PyArray_STRIDE(a, i) != step and PyArray_DIM(a, i) > 1:
            return columns(a)
        step *= PyArray_DIM(a, i)
    return a if a.flags.aligned else columns(a)


cdef ndarray vectors(ndarray like, npy_intp length, int kind):
    """A stack of new vectors (numbers, if `length` is -1) with the leading dims of `like`."""
    cdef npy_intp dims[MAX_DIMS]
    cdef int nd = PyArray_NDIM(like), i
    for i in range(nd - 2):
        dims[i] = PyArray_DIM(like, i)
    dims[nd - 2] = length
    return PyArray_ZEROS(nd - 2 if length < 0 else nd - 1, dims, kind, 0)


cdef npy_intp stack_size(ndarray a) noexcept:
    cdef npy_intp count = 1
    cdef int i
    for i in range(PyArray_NDIM(a) - 2):
        count *= PyArray_DIM(a, i)
    return count


cdef int rows_of(ndarray a) noexcept:
    return <int>PyArray_DIM(a, PyArray_NDIM(a) - 2)


cdef int cols_of(ndarray a) noexcept:
    return <int>PyArray_DIM(a, PyArray_NDIM(a) - 1)


cdef npy_intp step_of(ndarray a) noexcept:
    """Bytes of one matrix."""
    return <npy_intp>rows_of(a) * cols_of(a) * PyArray_ITEMSIZE(a)


cdef int wished(P answer, ndarray like) noexcept:
    """The length of work space that a routine answered, as a number of the array's type."""
    if PyArray_TYPE(like) == NPY_FLOAT or PyArray_TYPE(like) == NPY_CFLOAT:
        return <int>(<float*>answer)[0] + 1
    return <int>(<double*>answer)[0] + 1


cdef P space(npy_intp nbytes) except NULL:
    cdef P made = malloc(max(nbytes, 64))
    if made == NULL:
        raise MemoryError
    return made


# --------------------------------------------------------------------------------------- Cholesky

def cholesky(ndarray a, bint upper):
    """`(factor, info)`: the factor in the lower or upper triangle, zeros in the other; from `potrf`."""
    cdef ndarray f = columns(a), info = vectors(a, -1, NPY_INT32)
    cdef F5 potrf = <F5>routine("potrf", f)
    cdef int n = rows_of(f), lead = max(1, n), size = PyArray_ITEMSIZE(f)
    cdef npy_intp count = stack_size(f), step = step_of(f), i, j
    cdef char* x = <char*>PyArray_DATA(f)
    cdef int* infos = <int*>PyArray_DATA(info)
    cdef char half = b"U" if upper else b"L"
    with nogil:
        for i in range(count):
            for j in range(n):
                if upper:
                    memset(x + (j * n + j + 1) * size, 0, (n - j - 1) * size)
                else:
                    memset(x + j * n * size, 0, j * size)
            potrf(&half, &n, x, &lead, &infos[i])
            x += step
    return f, info


# ----------------------------------------------------------------------------------- LU and solving

def lu_factor(ndarray a):
    """`(LU, pivots, info)` of matrices of any shape, from `getrf`; pivots count from 1."""
    cdef ndarray f = columns(a), info = vectors(a, -1, NPY_INT32)
    cdef int m = rows_of(f), n = cols_of(f), lead = max(1, m), few = min(m, n)
    cdef ndarray pivots = vectors(a, few, NPY_INT32)
    cdef F6 getrf = <F6>routine("getrf", f)
    cdef npy_intp count = stack_size(f), step = step_of(f), i
    cdef char* x = <char*>PyArray_DATA(f)
    cdef int* p = <int*>PyArray_DATA(pivots)
    cdef int* infos = <int*>PyArray_DATA(info)
    with nogil:
        for i in range(count):
            getrf(&m, &n, x + i * step, &lead, p + i * few, &infos[i])
    return f, pivots, info


def lu_solve(ndarray lu, ndarray pivots, ndarray b, str trans):
    """The solutions of `op(A) X = B`, of the factors of A; `op` is none, transposed or adjoint: N, T, C."""
    cdef ndarray f = readable(lu), x = columns(b), p = np.ascontiguousarray(pivots, np.int32)
    cdef F9 getrs = <F9>routine("getrs", f)
    cdef int n = rows_of(f), k = cols_of(x), lead = max(1, n), info = 0
    cdef npy_intp count = stack_size(f), step = step_of(f), width = step_of(x), i
    cdef char* fs = <char*>PyArray_DATA(f)
    cdef char* xs = <char*>PyArray_DATA(x)
    cdef int* ps = <int*>PyArray_DATA(p)
    cdef char way = ord(trans)
    with nogil:
        for i in range(count):
            getrs(&way, &n, &k, fs + i * step, &lead, ps + i * n, xs + i * width, &lead, &info)
    return x


def solve_triangular(ndarray a, ndarray b, bint upper, bint left, str trans, bint unit):
    """The solutions of `op(A) X = B`, or `X op(A) = B`; division by zero gives inf and nan."""
    cdef ndarray f = readable(a), x = columns(b), one = np.ones(1, (<object>a).dtype)
    cdef F11 trsm = <F11>routine("trsm", f)
    cdef int n = rows_of(f), m = rows_of(x), k = cols_of(x), lead = max(1, n), lead_x = max(1, m)
    cdef npy_intp count = stack_size(f), step = step_of(f), width = step_of(x), i
    cdef char* fs = <char*>PyArray_DATA(f)
    cdef char* xs = <char*>PyArray_DATA(x)
    cdef P scale = PyArray_DATA(one)
    cdef char side = b"L" if left else b"R", half = b"U" if upper else b"L", way = ord(trans)
    cdef char diagonal = b"U" if unit else b"N"
    if width == 0:
        return x
    with nogil:
        for i in range(count):
            trsm(&side, &half, &way, &diagonal, &m, &k, scale, fs + i * step, &lead, xs + i * width, &lead_x)
    return x


# --------------------------------------------------------------------------------------- LDL

def ldl_factor(ndarray a, bint hermitian):
    """`(LD, pivots, info)` of the lower triangle, by `sytrf` or `hetrf`."""
    cdef ndarray f = columns(a), info = vectors(a, -1, NPY_INT32)
    cdef int n = rows_of(f), lead = max(1, n), lwork = -1
    cdef ndarray pivots = vectors(a, n, NPY_INT32)
    cdef F8 factor = <F8>routine("hetrf" if hermitian and is_complex(f) else "sytrf", f)
    cdef npy_intp count = stack_size(f), step = step_of(f), i
    cdef char* x = <char*>PyArray_DATA(f)
    cdef int* p = <int*>PyArray_DATA(pivots)
    cdef int* infos = <int*>PyArray_DATA(info)
    cdef char half = b"L"
    cdef double answer[2]
    factor(&half, &n, x, &lead, p, answer, &lwork, infos)
    lwork = wished(answer, f)
    cdef P work = space(lwork * PyArray_ITEMSIZE(f))
    with nogil:
        for i in range(count):
            factor(&half, &n, x + i * step, &lead, p + i * n, work, &lwork, &infos[i])
    free(work)
    return f, pivots, info


def ldl_solve(ndarray ld, ndarray pivots, ndarray b, bint hermitian):
    """The solutions of `A X = B` of the factors of A."""
    cdef ndarray f = readable(ld), x = columns(b), p = np.ascontiguousarray(pivots, np.int32)
    cdef F9 solve = <F9>routine("hetrs" if hermitian and is_complex(f) else "sytrs", f)
    cdef int n = rows_of(f), k = cols_of(x), lead = max(1, n), info = 0
    cdef npy_intp count = stack_size(f), step = step_of(f), width = step_of(x), i
    cdef char* fs = <char*>PyArray_DATA(f)
    cdef char* xs = <char*>PyArray_DATA(x)
    cdef int* ps = <int*>PyArray_DATA(p)
    cdef char half = b"L"
    with nogil:
        for i in range(count):
            solve(&half, &n, &k, fs + i * step, &lead, ps + i * n, xs + i * width, &lead, &info)
    return x


# --------------------------------------------------------------------------------------- reflectors

def qr_factor(ndarray a):
    """`(a, tau)`: R above, the reflectors below the diagonal, from `geqrf`."""
    cdef ndarray f = columns(a)
    cdef int m = rows_of(f), n = cols_of(f), lead = max(1, m), few = min(m, n), lwork = -1, info = 0
    cdef ndarray tau = vectors(a, few, PyArray_TYPE(f))
    cdef F8 geqrf = <F8>routine("geqrf", f)
    cdef npy_intp count = stack_size(f), step = step_of(f), size = PyArray_ITEMSIZE(f), i
    cdef char* x = <char*>PyArray_DATA(f)
    cdef char* t = <char*>PyArray_DATA(tau)
    cdef double answer[2]
    geqrf(&m, &n, x, &lead, t, answer, &lwork, &info)
    lwork = wished(answer, f)
    cdef P work = space(lwork * size)
    with nogil:
        for i in range(count):
            geqrf(&m, &n, x + i * step, &lead, t + i * few * size, work, &lwork, &info)
    free(work)
    return f, tau


def reflector_product(ndarray a, ndarray tau, npy_intp width):
    """The first `width` columns of the product of reflectors, from `orgqr`."""
    cdef ndarray q = empty_columns(a, rows_of(a), width, True), t = np.ascontiguousarray(tau)
    cdef int m = rows_of(q), n = <int>width, k = <int>PyArray_DIM(t, PyArray_NDIM(t) - 1)
    cdef int lead = max(1, m), lwork = -1, info = 0
    (<object>q)[..., :k] = (<object>a)[..., :k]
    cdef F9 orgqr = <F9>routine("orgqr", q)
    cdef npy_intp count = stack_size(q), step = step_of(q), size = PyArray_ITEMSIZE(q), i
    cdef char* x = <char*>PyArray_DATA(q)
    cdef char* ts = <char*>PyArray_DATA(t)
    cdef double answer[2]
    orgqr(&m, &n, &k, x, &lead, ts, answer, &lwork, &info)
    lwork = wished(answer, q)
    cdef P work = space(lwork * size)
    with nogil:
        for i in range(count):
            orgqr(&m, &n, &k, x + i * step, &lead, ts + i * k * size, work, &lwork, &info)
    free(work)
    return q


def apply_reflectors(ndarray a, ndarray tau, ndarray c, bint left, bint adjoint):
    """`Q C`, or `C Q`, with the whole product of reflectors or its adjoint, from `ormqr`."""
    cdef ndarray f = readable(a), x = columns(c), t = np.ascontiguousarray(tau)
    cdef int m = rows_of(x), n = cols_of(x), k = <int>PyArray_DIM(t, PyArray_NDIM(t) - 1)
    cdef int lead = max(1, rows_of(f)), lead_x = max(1, m), lwork = -1, info = 0
    cdef F13 ormqr = <F13>routine("ormqr", f)
    cdef npy_intp count = stack_size(x), step = step_of(f), width = step_of(x), size = PyArray_ITEMSIZE(x), i
    cdef char* fs = <char*>PyArray_DATA(f)
    cdef char* xs = <char*>PyArray_DATA(x)
    cdef char* ts = <char*>PyArray_DATA(t)
    cdef char side = b"L" if left else b"R", way = (b"C" if is_complex(f) else b"T") if adjoint else b"N"
    cdef double answer[2]
    ormqr(&side, &way, &m, &n, &k, fs, &lead, ts, xs, &lead_x, answer, &lwork, &info)
    lwork = wished(answer, f)
    cdef P work = space(lwork * size)
    with nogil:
        for i in range(count):
            ormqr(&side, &way, &m, &n, &k, fs + i * step, &lead, ts + i * k * size, xs + i * width, &lead_x,
                  work, &lwork, &info)
    free(work)
    return x


# --------------------------------------------------------------------------------- least squares

cdef struct Problem:
    int m, n, k, few, lead_a, lead_b, lwork
    P a, b, s, rcond, work, rwork
    int* iwork
    int* pivots


def least_squares(ndarray a, ndarray b, double rcond, str driver):
    """`(b, rank, values, info)` by gels, gelsy, gelsd or gelss: the first n rows of `b` are the solution.

    `b` has max(m, n) rows, and the squares of its rows from n on sum to the residuals. `values` are
    the singular values, which the last two drivers find; `rank` is theirs and of gelsy.
    """
    cdef Problem x
    x.m, x.n, x.k = rows_of(a), cols_of(a), cols_of(b)
    x.few, x.lead_a = min(x.m, x.n), max(1, x.m)
    cdef ndarray f = columns(a), y = empty_columns(b, max(x.m, x.n), x.k, True)
    (<object>y)[..., : x.m, :] = b
    x.lead_b = max(1, rows_of(y))
    real = np.finfo((<object>a).dtype).dtype
    cdef ndarray values = vectors(a, x.few, real.num), rank = vectors(a, -1, NPY_INT32)
    cdef ndarray info = vectors(a, -1, NPY_INT32), limit = np.array([rcond], real)
    cdef ndarray pivots = np.zeros(x.n + 1, np.int32)
    cdef P solver = routine(driver, f)
    cdef str which = driver[4:]
    cdef int kind = {"": 0, "y": 1, "d": 2, "s": 3}[which]
    cdef npy_intp count = stack_size(f), step = step_of(f), width = step_of(y), i
    cdef npy_intp size = PyArray_ITEMSIZE(f), slot = values.dtype.itemsize
    cdef bint halves = is_complex(f)
    cdef int* ranks = <int*>PyArray_DATA(rank)
    cdef int* infos = <int*>PyArray_DATA(info)
    cdef double answer[2]
    cdef double small[2]
    cdef int lengths[2]
    small[0], lengths[0] = 0, 0
    x.a, x.b, x.s, x.rcond = PyArray_DATA(f), PyArray_DATA(y), PyArray_DATA(values), PyArray_DATA(limit)
    x.pivots = <int*>PyArray_DATA(pivots)
    x.lwork, x.work, x.rwork, x.iwork = -1, answer, small, lengths
    if count and x.few:
        run(kind, halves, solver, &x, ranks, infos)
    else:
        return y, rank, values, info
    # gels, gelsy and gelss with complex numbers say nothing of the real work space: it is known
    cdef npy_intp reals = max(wished(small, f) if kind == 2 and halves else 0, 5 * (x.m + x.n) + 16)
    cdef ndarray more = np.empty(reals, real), integers = np.empty(max(lengths[0], 1), np.int32)
    x.lwork = wished(answer, f)
    x.rwork, x.iwork = PyArray_DATA(more), <int*>PyArray_DATA(integers)
    x.work = space(x.lwork * size)
    with nogil:
        for i in range(count):
            x.a, x.b = <char*>PyArray_DATA(f) + i * step, <char*>PyArray_DATA(y) + i * width
            x.s = <char*>PyArray_DATA(values) + i * x.few * slot
            memset(x.pivots, 0, x.n * sizeof(int))
            run(kind, halves, solver, &x, &ranks[i], &infos[i])
    free(x.work)
    return y, rank, values, info


cdef void run(int kind, bint halves, P solver, Problem* x, int* rank, int* info) noexcept nogil:
    """One call of the driver: each has arguments of its own."""
    cdef char way = b"N"
    if kind == 0:
        (<F11>solver)(&way, &x.m, &x.n, &x.k, x.a, &x.lead_a, x.b, &x.lead_b, x.work, &x.lwork, info)
    elif kind == 1 and halves:
        (<F14>solver)(&x.m, &x.n, &x.k, x.a, &x.lead_a, x.b, &x.lead_b, x.pivots, x.rcond, rank, x.work,
                      &x.lwork, x.rwork, info)
    elif kind == 1:
        (<F13>solver)(&x.m, &x.n, &x.k, x.a, &x.lead_a, x.b, &x.lead_b, x.pivots, x.rcond, rank, x.work,
                      &x.lwork, info)
    elif kind == 2 and halves:
        (<F15>solver)(&x.m, &x.n, &x.k, x.a, &x.lead_a, x.b, &x.lead_b, x.s, x.rcond, rank, x.work, &x.lwork,
                      x.rwork, x.iwork, info)
    elif kind == 2:
        (<F14>solver)(&x.m, &x.n, &x.k, x.a, &x.lead_a, x.b, &x.lead_b, x.s, x.rcond, rank, x.work, &x.lwork,
                      x.iwork, info)
    elif halves:
        (<F14>solver)(&x.m, &x.n, &x.k, x.a, &x.lead_a, x.b, &x.lead_b, x.s, x.rcond, rank, x.work, &x.lwork,
                      x.rwork, info)
    else:
        (<F13>solver)(&x.m, &x.n, &x.k, x.a, &x.lead_a, x.b, &x.lead_b, x.s, x.rcond, rank, x.work, &x.lwork,
                      info)
