"""What `generators.pyx` shares with other compiled files: the twister, `Generator`, the way to fill."""

cimport cython
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from numpy cimport ndarray

cdef extern from "pullback/kernels/random/generators.h" nogil:
    ctypedef struct Twister:
        uint64_t seed
    ctypedef struct SavedTwister:
        pass
    void twister_seed(Twister*, uint64_t)
    void twister_save(const Twister*, SavedTwister*)
    int twister_load(Twister*, const SavedTwister*)
    void twister_words(Twister*, uint32_t*, int)
    uint32_t twister_word(Twister*)
    uint64_t twister_long(Twister*)
    double twister_unit(Twister*)
    double twister_normal(Twister*)
    void unit_doubles(const uint32_t*, double*, int)
    void unit_floats(const uint32_t*, float*, int)
    void affine_doubles(double*, int, double, double)
    void affine_floats(float*, int, float, float)
    void box_muller_floats(float*, Py_ssize_t, float, float)
    void box_muller_doubles(double*, Py_ssize_t, double, double)
    uint32_t float_bits(float)
    uint16_t to_bfloat16(float)
    uint16_t to_float16(float)
    enum:
        BLOCK "RNG_BLOCK"

ctypedef struct Params:
    double a
    double b
    const double* x  # parameters that differ from element to element, or NULL
    const double* y
    uint64_t modulus  # of integers: value % modulus + base, of one word or of two
    int64_t base
    bint two_words
    int code  # of the array that is filled

# The next n <= BLOCK numbers. The answer is n, or fewer: how many came before bad parameters.
ctypedef int (*Sampler)(Twister*, Params*, double*, int) noexcept nogil

# The same, straight into the array from place `at` on.
ctypedef int (*Filler)(Twister*, Params*, Sampler, void*, Py_ssize_t, int) noexcept nogil


cdef class Generator:
    cdef Twister twister
    cdef cython.pymutex lock
    cdef readonly object device


cdef int code_of(ndarray array) except -1
cdef Params params_of(double a, double b=*) noexcept nogil
cdef int fill_doubles(
    Twister* twister, Params* p, Sampler sampler, void* data, Py_ssize_t at, int n
) noexcept nogil
cdef bint fill(
    ndarray out, Generator gen, Params* p, Sampler sampler, Filler filler=*, tuple given=*
) except -1
