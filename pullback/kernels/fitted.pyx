"""Special functions of single precision by tables of polynomials: see fitted.h.

Each name in FITS is a ufunc for float32, and for float64 where SciPy has a loop for it alone. Its table is
made when it is first asked for: on each segment the polynomial that agrees with SciPy's function, in double,
at Chebyshev's points. What each computes is said where its op is declared.
"""

import numpy as np
import scipy.special

from cpython.mem cimport PyMem_Malloc
from libc.stdint cimport int32_t
from numpy cimport (
    import_array, import_ufunc, ndarray, NPY_DOUBLE, NPY_FLOAT, PyArray_DATA, PyUFuncGenericFunction,
    PyUFunc_FromFuncAndData, ufunc,
)

from pullback.core._loops cimport loop_for, loop_t

import_array()
import_ufunc()

cdef extern from "pullback/kernels/fitted.h":
    enum:
        EVEN, ODD, BOTH, POSITIVE, REFLECTED, SEGMENTS
    ctypedef struct Exact "pb_exact":
        double (*of)(double, const Exact*) noexcept nogil
        loop_t loop
        void* data
        double constant
        int before, output, outputs
    ctypedef struct Fit "pb_fit":
        Exact exact
        double* table
        int32_t lowest, count
        int terms, kind, inner
    double pb_exact_loop(double, const Exact*) noexcept nogil
    double pb_exact_polygamma(double, const Exact*) noexcept nogil
    double pb_exact_erfcx_slope(double, const Exact*) noexcept nogil
    double pb_exact_scaled_slope(double, const Exact*) noexcept nogil
    double pb_exact_spherical(double, const Exact*) noexcept nogil
    double pb_exact_lgamma(double, const Exact*) noexcept nogil
    double pb_exact_airy(double, const Exact*) noexcept nogil
    void pb_exact_own_loop(char**, const Py_ssize_t*, const Py_ssize_t*, void*) noexcept nogil
    void pb_lgamma_loop(char**, const Py_ssize_t*, const Py_ssize_t*, void*) noexcept nogil
    void pb_polygamma_loop(char**, const Py_ssize_t*, const Py_ssize_t*, void*) noexcept nogil
    void pb_fitted_loop(char**, const Py_ssize_t*, const Py_ssize_t*, void*) noexcept nogil

# SciPy's function, what is known of x < 0, the powers of 2 between which the segments lie, terms of each
# polynomial: 4, 6 or 8. Those in POLES have no inner segment.
FITS = {
    "i0": ("i0", EVEN, -8, 7, 8),
    "i1": ("i1", ODD, -8, 7, 8),
    "i0e": ("i0e", EVEN, -8, 10, 4),
    "i1e": ("i1e", ODD, -8, 10, 4),
    "i0e_slope": ("ive", EVEN, -8, 10, 4),
    "i1e_slope": ("ive", EVEN, -8, 10, 4),
    "i2": ("iv", EVEN, -8, 7, 8),
    "i2e": ("ive", EVEN, -8, 10, 4),
    "j0": ("j0", EVEN, -8, 5, 6),
    "j1": ("j1", ODD, -8, 5, 6),
    "j2": ("jv", EVEN, -8, 5, 6),
    "y0": ("y0", POSITIVE, -16, 5, 6),
    "y1": ("y1", POSITIVE, -16, 5, 6),
    "y2": ("yn", POSITIVE, -16, 5, 6),
    "k0": ("k0", POSITIVE, -16, 7, 8),
    "k1": ("k1", POSITIVE, -16, 7, 8),
    "k2": ("kn", POSITIVE, -16, 7, 8),
    "k2e": ("kve", POSITIVE, -16, 10, 4),
    "k0e": ("k0e", POSITIVE, -16, 10, 4),
    "k1e": ("k1e", POSITIVE, -16, 10, 4),
    "spherical_j0": ("j0", EVEN, -8, 5, 6),
    "airy_ai": ("airy", BOTH, -8, 4, 6),
    "airy_ai_slope": ("airy", BOTH, -8, 4, 6),
    "erfcx": ("erfcx", BOTH, -8, 4, 8),
    "erfcx_slope": ("erfcx", BOTH, -8, 4, 8),
    "ndtri": ("ndtri", REFLECTED, -16, -1, 6),
    "trigamma": ("_zeta", POSITIVE, -16, 10, 4),
    "tetragamma": ("_zeta", POSITIVE, -16, 10, 4),
    "lgamma": ("gammaln", POSITIVE, -9, 10, 6),
}
POLES = frozenset("y0 y1 y2 k0 k1 k2 k0e k1e k2e ndtri trigamma tetragamma lgamma".split())
ZEROS = {"lgamma": (1.0, 2.0)}   # where a table must give exactly zero


cdef ndarray _values(Fit* fit, ndarray points):
    """The function at points, in double."""
    cdef ndarray found = np.empty_like(points)
    cdef const double* x = <const double*>PyArray_DATA(points)
    cdef double* y = <double*>PyArray_DATA(found)
    cdef Py_ssize_t i
    for i in range(points.size):
        y[i] = fit.exact.of(x[i], &fit.exact)
    return found


cdef ndarray _polynomials(Fit* fit, ndarray centres, ndarray halves, double sign):
    """A row of coefficients for each segment, from its centre and half of its length; the inner one's last.

    The inner segment has its centre at its end, zero.
    """
    cdef int terms = fit.terms
    nodes = np.cos(np.pi * (np.arange(terms) + 0.5) / terms)
    offsets = halves[:, None] * nodes
    if fit.inner:
        offsets[0] = halves[0] * (nodes + 1) / 2
    values = _values(fit, np.ascontiguousarray(sign * (centres[:, None] + offsets)))
    powers = (offsets / halves[:, None])[:, :, None] ** np.arange(terms)
    return np.linalg.solve(powers, values[:, :, None])[:, :, 0] / halves[:, None] ** np.arange(terms)


cdef ndarray _table(Fit* fit, int low, tuple zeros):
    """All rows: the inner segment's, the others', and those of negative numbers."""
    cdef int first = 0 if fit.inner else 1
    octaves, places = np.divmod(np.arange(fit.count), SEGMENTS)
    starts = 2.0 ** (low + octaves)   # of the octaves
    centres = np.append(0, starts * (1 + (places + 0.5) / SEGMENTS))
    halves = np.append(2.0**low, starts / (2 * SEGMENTS))
    rows = [np.zeros((first, fit.terms))]
    for sign in [1.0, -1.0][: 1 + (fit.kind == BOTH)]:
        rows.append(_polynomials(fit, centres[first:], halves[first:], sign))
    if fit.kind == ODD:
        rows[1][0, 0] = 0
    table = np.ascontiguousarray(np.concatenate(rows))
    for x in zeros:
        j = 1 + SEGMENTS * int(np.log2(x) - low)   # a power of two begins a segment
        t, y = x - centres[j], 0.0
        for c in table[j, :0:-1]:
            y = y * t + c
        table[j, 0] = -(y * t)
    return table


cdef int _find(Exact* exact, str name, str theirs) except -1:
    """The function in double."""
    cdef ufunc scipys = getattr(scipy.special._ufuncs, theirs)
    exact.loop = loop_for(scipys, NPY_DOUBLE, &exact.data)
    exact.before, exact.outputs, exact.output = scipys.nin - 1, scipys.nout, 0
    exact.of, exact.constant = pb_exact_loop, 2
    if theirs == "airy":
        exact.of, exact.output = pb_exact_airy, name == "airy_ai_slope"
    elif name == "erfcx_slope":
        exact.of = pb_exact_erfcx_slope
    elif name in ("i0e_slope", "i1e_slope"):
        exact.of, exact.constant = pb_exact_scaled_slope, name == "i1e_slope"
    elif name == "spherical_j0":
        exact.of = pb_exact_spherical
    elif name == "lgamma":
        exact.of = pb_exact_lgamma
    elif theirs == "_zeta":
        exact.of = pb_exact_polygamma
        exact.constant = 2 if name == "trigamma" else 3
    return 0


cdef object _declared(str name):
    """The ufunc of a name in FITS."""
    cdef Fit* fit = <Fit*>PyMem_Malloc(sizeof(Fit))
    cdef PyUFuncGenericFunction* loops = <PyUFuncGenericFunction*>PyMem_Malloc(2 * sizeof(void*))
    cdef void** data = <void**>PyMem_Malloc(2 * sizeof(void*))
    cdef char* types = <char*>PyMem_Malloc(4)
    cdef ndarray table
    cdef int low, high
    cdef bint alone
    theirs, fit.kind, low, high, fit.terms = FITS[name]
    _find(&fit.exact, name, theirs)
    fit.inner = name not in POLES
    fit.lowest, fit.count = (127 + low) * SEGMENTS, (high - low) * SEGMENTS
    table = _table(fit, low, ZEROS.get(name, ()))
    alone = fit.exact.of == pb_exact_loop and fit.exact.before == 0 and fit.exact.outputs == 1
    loops[0], loops[1] = <PyUFuncGenericFunction>pb_fitted_loop, <PyUFuncGenericFunction>fit.exact.loop
    data[0], data[1] = fit, fit.exact.data
    if fit.exact.of in (pb_exact_airy, pb_exact_spherical):
        alone, loops[1], data[1] = True, <PyUFuncGenericFunction>pb_exact_own_loop, &fit.exact
    elif name == "lgamma":
        alone, loops[1], data[1] = True, <PyUFuncGenericFunction>pb_lgamma_loop, &fit.exact
    types[0] = types[1] = NPY_FLOAT
    types[2] = types[3] = NPY_DOUBLE
    fit.table = <double*>PyArray_DATA(table)
    _kept.append((table, name.encode()))
    return PyUFunc_FromFuncAndData(loops, data, types, 1 + alone, 1, 1, -1, <bytes>_kept[-1][1],
                                   "see pullback/ops", 0)


_kept = []   # tables and names, which ufuncs do not keep


cdef object _polygamma():
    """The ufunc of (x, n), for float32."""
    cdef ufunc one
    cdef PyUFuncGenericFunction* loops = <PyUFuncGenericFunction*>PyMem_Malloc(sizeof(void*))
    cdef void** data = <void**>PyMem_Malloc(sizeof(void*))
    cdef char* types = <char*>PyMem_Malloc(3)
    cdef void** fits = <void**>PyMem_Malloc(2 * sizeof(void*))
    cdef int i
    for i, one in enumerate((__getattr__("trigamma"), __getattr__("tetragamma"))):
        fits[i] = one.data[0]
    data[0] = fits
    loops[0] = <PyUFuncGenericFunction>pb_polygamma_loop
    types[0] = types[1] = types[2] = NPY_FLOAT
    return PyUFunc_FromFuncAndData(loops, data, types, 1, 2, 1, -1, "polygamma", "see pullback/ops", 0)


def __getattr__(name):
    if name == "polygamma":
        globals()[name] = _polygamma()
        return globals()[name]
    if name not in FITS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = _declared(name)
    return globals()[name]
