# distutils: extra_compile_args = -fno-math-errno
# (sqrt that may set errno would keep the loops of generators.h from running wide)
# cython: cdivision=True
"""The random engine: a generator and the distributions that fill NumPy arrays from it.

The same seed gives the same numbers as PyTorch's CPU generator, bit for bit, for each dtype, size
and memory layout. `Generator` holds a Mersenne Twister. A *sampler* turns its words into the next
few doubles; `fill` runs it over an array in the order of memory, block by block and without the
GIL, and rounds to the array's dtype. So a distribution is one sampler and one line that names it.

The array that is filled, `out`, may have any dtype, shape and strides; parameters that differ from element
to element are arrays that broadcast to it. Nothing is checked here but the dtype: `fills.py` stands in
front. Read `Generator`, `fill`, then any sampler.
"""

import os

import numpy as np

from pullback.core.dtypes import DTYPES

cimport cython
from pullback.core.dtype_codes cimport (
    BFLOAT16, BOOL, COMPLEX128, COMPLEX32, COMPLEX64, FLOAT16, FLOAT32, FLOAT64, INT16, INT32, INT64, INT8,
    UINT16, UINT32, UINT64, UINT8,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport ceil, exp, fma, log, log1p, sqrt, tan
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from numpy cimport (
    import_array, ndarray, PyArray_DATA, PyArray_IS_C_CONTIGUOUS, PyArray_ISCARRAY, PyArray_SIZE,
    PyArray_TYPE,
)

import_array()

cdef extern from "numpy/ndarraytypes.h":
    enum:
        NPY_NTYPES_LEGACY

cdef double PI = 3.14159265358979324

CODES = {dtype.name: dtype.code for dtype in DTYPES}
NAMES = [dtype.name for dtype in DTYPES]

DEFAULT_SEED = 67280421310721

cdef int[NPY_NTYPES_LEGACY] CODE_OF_NUMBER  # NumPy's number of a type -> our code, or -1
cdef int _number
for _number in range(NPY_NTYPES_LEGACY):
    CODE_OF_NUMBER[_number] = -1
for _char in np.typecodes["All"]:
    CODE_OF_NUMBER[<int>np.dtype(_char).num] = CODES.get(np.dtype(_char).name, -1)


cdef int code_of(ndarray array) except -1:
    cdef int number = PyArray_TYPE(array)
    cdef int code
    if number < NPY_NTYPES_LEGACY:
        code = CODE_OF_NUMBER[number]
    else:
        code = CODES.get(array.dtype.name, -1)
    if code < 0:
        raise TypeError(f"no random numbers of dtype {array.dtype}")
    return code


def dtype_name(ndarray array not None):
    """The name of the array's dtype, ten times as fast as `array.dtype.name`."""
    return NAMES[code_of(array)]


cdef class Generator:
    """A source of random numbers: a Mersenne Twister and the seed that it began with.

    `device` is kept as given. The saved state is PyTorch's, 5056 bytes, and goes both ways.
    """

    def __init__(self, device="cpu"):
        self.device = device
        twister_seed(&self.twister, DEFAULT_SEED)

    def manual_seed(self, seed):
        """Start again from `seed`, in [-2**63, 2**64); a negative one counts from 2**64 down."""
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        seed = int(seed)
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        cdef uint64_t start = seed % 2**64
        with nogil, self.lock:
            twister_seed(&self.twister, start)
        return self

    def seed(self):
        """Start again from a seed that the operating system draws, and return it."""
        seed = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(seed)
        return seed

    def initial_seed(self):
        """The seed that the generator began with."""
        return self.twister.seed

    def get_state_bytes(self):
        """The whole state as bytes, which `set_state_bytes` takes back, and PyTorch's too."""
        state = PyBytes_FromStringAndSize(NULL, sizeof(SavedTwister))
        cdef SavedTwister* saved = <SavedTwister*>PyBytes_AS_STRING(state)
        with nogil, self.lock:
            twister_save(&self.twister, saved)
        return state

    def set_state_bytes(self, bytes state not None):
        """Continue from a saved state.

        Raises RuntimeError for bytes of another length and for those that are no state.
        """
        cdef SavedTwister saved
        cdef int good
        if PyBytes_GET_SIZE(state) != sizeof(SavedTwister):
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {sizeof(SavedTwister)} "
                f"but found the input RNG state size to be {len(state)}"
            )
        memcpy(&saved, PyBytes_AS_STRING(state), sizeof(SavedTwister))
        with nogil, self.lock:
            good = twister_load(&self.twister, &saved)
        if not good:
            raise RuntimeError("Invalid mt19937 state")

    def clone_state(self):
        """A new generator in the same state."""
        twin = type(self)(self.device)
        twin.set_state_bytes(self.get_state_bytes())
        return twin

    def __deepcopy__(self, memo):
        return self.clone_state()

    def __reduce__(self):
        return type(self), (self.device,), self.get_state_bytes()

    def __setstate__(self, state):
        self.set_state_bytes(state)


# ---- Memory: the order of filling, and rounding to a dtype ----

cdef int compare_axes(tuple shape, list strides, int left, int right) except -2:
    """1 if `left` is the slower axis, -1 if the faster, 0 if nothing tells; early arrays decide."""
    for steps in strides:
        a, b = steps[left], steps[right]
        if a == 0 or b == 0:
            continue
        if a != b:
            return 1 if a > b else -1
        if shape[left] > shape[right]:
            return 1
    return 0


def memory_order(tuple shape, *strides):
    """The axes, slowest first, in the order in which PyTorch walks arrays of these strides.

    An insertion sort: comparisons that tell nothing make the order depend on how it is sorted.
    """
    axes = list(range(len(shape)))[::-1]
    for i in range(1, len(axes)):
        at = i
        for before in range(i - 1, -1, -1):
            verdict = compare_axes(shape, list(strides), axes[before], axes[at])
            if verdict > 0:
                axes[before], axes[at] = axes[at], axes[before]
                at = before
            elif verdict < 0:
                break
    return axes[::-1]


ctypedef fused wide:
    float
    double
    int64_t

ctypedef fused real:
    float
    double

ctypedef fused plain:
    float
    double
    int8_t
    int16_t
    int32_t
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t


cdef inline void cast(const wide* source, plain* out, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        out[i] = <plain>source[i]


cdef void put(const wide* source, void* data, int code, Py_ssize_t at, int n) noexcept nogil:
    """Round n numbers to the dtype of `code`, into its array from place `at` on."""
    cdef int i
    if code == FLOAT32:
        cast(source, <float*>data + at, n)
    elif code == FLOAT64:
        cast(source, <double*>data + at, n)
    elif code == BFLOAT16:
        for i in range(n):
            (<uint16_t*>data)[at + i] = to_bfloat16(<float>source[i])
    elif code == FLOAT16:
        for i in range(n):
            (<uint16_t*>data)[at + i] = to_float16(<float>source[i])
    elif code == BOOL:
        for i in range(n):
            (<uint8_t*>data)[at + i] = source[i] != 0
    elif code == INT8:
        cast(source, <int8_t*>data + at, n)
    elif code == INT16:
        cast(source, <int16_t*>data + at, n)
    elif code == INT32:
        cast(source, <int32_t*>data + at, n)
    elif code == INT64:
        cast(source, <int64_t*>data + at, n)
    elif code == UINT8:
        cast(source, <uint8_t*>data + at, n)
    elif code == UINT16:
        cast(source, <uint16_t*>data + at, n)
    elif code == UINT32:
        cast(source, <uint32_t*>data + at, n)
    elif code == UINT64:
        cast(source, <uint64_t*>data + at, n)


# ---- Filling ----

cdef int fill_doubles(
    Twister* twister, Params* p, Sampler sampler, void* data, Py_ssize_t at, int n
) noexcept nogil:
    cdef double[BLOCK] block
    cdef int done = sampler(twister, p, block, n)
    put(<const double*>block, data, p.code, at, done)
    return done


cdef bint run(
    Generator gen, Params* p, Filler filler, Sampler sampler, void* data, Py_ssize_t size
) noexcept:
    """False when a parameter was bad; the elements before it are drawn."""
    cdef Py_ssize_t at = 0
    cdef int n
    cdef bint good = True
    with nogil, gen.lock:
        while at < size and good:
            n = <int>min(size - at, <Py_ssize_t>BLOCK)
            good = filler(&gen.twister, p, sampler, data, at, n) == n
            at += n
            if p.x:
                p.x += n
            if p.y:
                p.y += n
    return good


cdef inline bint is_complex(int code) noexcept nogil:
    return code == COMPLEX32 or code == COMPLEX64 or code == COMPLEX128


cdef bint fill(
    ndarray out,
    Generator gen,
    Params* p,
    Sampler sampler,
    Filler filler=fill_doubles,
    tuple given=(),
) except -1:
    """Fill `out` in the order of its memory; `given` are arrays of parameters, of the same shape.

    False when a parameter was bad.
    """
    cdef ndarray flat = out, x = None, y = None
    cdef Py_ssize_t size = PyArray_SIZE(out)
    cdef bint good
    p.code = code_of(out)
    if not PyArray_ISCARRAY(out):
        axes = memory_order((<object>out).shape, *[a.strides for a in (out, *given)])
        view = out.transpose(axes)
        flat = view if PyArray_ISCARRAY(view) else np.empty(view.shape, out.dtype.newbyteorder("="))
        given = tuple([array.transpose(axes) for array in given])
    for array in given:
        x, y = y, np.ascontiguousarray(array, np.float64)
    if is_complex(p.code):
        p.code = FLOAT16 if p.code == COMPLEX32 else FLOAT32 if p.code == COMPLEX64 else FLOAT64
        size *= 2
    if y is not None:
        p.y = <const double*>PyArray_DATA(y)
        p.x = p.y if x is None else <const double*>PyArray_DATA(x)
    good = run(gen, p, filler, sampler, PyArray_DATA(flat), size)
    if flat is not out and flat is not view:
        view[...] = flat
    return good


# ---- Samplers ----

cdef int sample_unit(Twister* twister, Params* p, double* out, int n) noexcept nogil:
    cdef uint32_t[2 * BLOCK] words
    twister_words(twister, words, 2 * n)
    unit_doubles(words, out, n)
    return n


cdef int sample_uniform(Twister* twister, Params* p, double* out, int n) noexcept nogil:
    """u (b - a) + a; what rounds up to b becomes a."""
    cdef int i
    sample_unit(twister, p, out, n)
    if p.a != 0 or p.b != 1:
        affine_doubles(out, n, p.b - p.a, p.a)
        for i in range(n):
            if out[i] == p.b:
                out[i] = p.a
    return n


cdef int sample_uniform_float(Twister* twister, Params* p, double* out, int n) noexcept nogil:
    """The same in single precision, with rounding up to b judged in the dtype of the array."""
    cdef uint32_t[BLOCK] words
    cdef float[BLOCK] block
    cdef float low = <float>p.a, high = <float>p.b
    cdef uint32_t end = narrow_bits(high, p.code)
    cdef int i
    twister_words(twister, words, n)
    unit_floats(words, block, n)
    if low != 0 or high != 1 or p.code != FLOAT32:
        affine_floats(block, n, high - low, low)
        for i in range(n):
            if narrow_bits(block[i], p.code) == end:
                block[i] = low
    cast(<const float*>block, out, n)
    return n


cdef inline uint32_t narrow_bits(float x, int code) noexcept nogil:
    """Bits that are the same for floats that are equal once rounded to the dtype."""
    if code == FLOAT16:
        return to_float16(x) if to_float16(x) != 0x8000 else 0
    if code == BFLOAT16:
        return to_bfloat16(x) if to_bfloat16(x) != 0x8000 else 0
    return float_bits(x) if x != 0 else 0


cdef int sample_normal(Twister* twister, Params* p, double* out, int n) noexcept nogil:
    """One at a time by Box and Muller's transform."""
    cdef int i
    for i in range(n):
        out[i] = fma(twister_normal(twister), p.b, p.a)
    return n


cdef int sample_log_normal(Twister* twister, Params* p, double* out, int n) noexcept nogil:
    cdef int i
    sample_normal(twister, p, out, n)
    for i in range(n):
        out[i] = exp(out[i])
    return n


cdef int sample_cauchy(Twister* twister, Params* p, double* out, int n) noexcept nogil:
    """median + sigma tan(pi (u - 1/2))"""
    cdef int i
    sample_unit(twister, p, out, n)
    for i in range(n):
        out[i] = fma(p.b, tan(PI * (out[i] - 0.5)), p.a)
    return n


cdef int sample_exponential(Twister* twister, Params* p, double* out, int n) noexcept nogil:
    """-log(1 - u) / rate"""
    cdef double scale = -1.0 / p.a
    cdef int i
    sample_unit(twister, p, out, n)
    for i in range(n):
        out[i] = scale * log1p(-out[i])
    return n


cdef int sample_geometric(Twister* twister, Params* p, double* out, int n) noexcept nogil:
    """The number of the first success: ceil(log(u) / log(1 - p))"""
    cdef double log_failure = log1p(-p.a)
    cdef int i
    sample_unit(twister, p, out, n)
    for i in range(n):
        out[i] = ceil(log(out[i]) / log_failure)
    return n


cdef int sample_bernoulli(Twister* twister, Params* p, double* out, int n) noexcept nogil:
    cdef int i
    sample_unit(twister, p, out, n)
    for i in range(n):
        out[i] = out[i] < p.a
    return n


cdef int sample_bernoulli_each(Twister* twister, Params* p, double* out, int n) noexcept nogil:
    """A probability for each element: 53 random bits against a float64, else 24."""
    cdef uint32_t[BLOCK] words
    cdef float[BLOCK] block
    cdef int i = 0
    while i < n and 0 <= p.x[i] <= 1:
        i += 1
    n = i
    if p.two_words:
        sample_unit(twister, p, out, n)
    else:
        twister_words(twister, words, n)
        unit_floats(words, block, n)
        cast(<const float*>block, out, n)
    for i in range(n):
        out[i] = out[i] < p.x[i]
    return n


cdef int fill_normals(
    Twister* twister, Params* p, Sampler sampler, void* data, Py_ssize_t at, int n
) noexcept nogil:
    """Sixteen at a time, for arrays of sixteen and more.

    What is left over at the end is covered by sixteen fresh numbers, which overwrite some before.
    """
    if p.code == FLOAT64:
        fill_normals_in(twister, p, <double*>NULL, data, at, n)
    else:
        fill_normals_in(twister, p, <float*>NULL, data, at, n)
    return n


cdef void fill_normals_in(
    Twister* twister, Params* p, real* precision, void* data, Py_ssize_t at, int n
) noexcept nogil:
    cdef real[BLOCK] block
    cdef int whole = n - n % 16
    # The words of the overwritten rest are spent all the same, except for the narrow floats.
    units(twister, block, n if p.code == FLOAT32 or p.code == FLOAT64 else whole)
    box_muller(block, whole, <real>p.a, <real>p.b)
    put(<const real*>block, data, p.code, at, whole)
    if whole < n:
        units(twister, block, 16)
        box_muller(block, 16, <real>p.a, <real>p.b)
        put(<const real*>block, data, p.code, at + n - 16, 16)


cdef inline void units(Twister* twister, real* out, int n) noexcept nogil:
    cdef uint32_t[2 * BLOCK] words
    if real is float:
        twister_words(twister, words, n)
        unit_floats(words, out, n)
    else:
        twister_words(twister, words, 2 * n)
        unit_doubles(words, out, n)


cdef inline void box_muller(real* x, int n, real mean, real std) noexcept nogil:
    if real is float:
        box_muller_floats(x, n, mean, std)
    else:
        box_muller_doubles(x, n, mean, std)


cdef int fill_integers(
    Twister* twister, Params* p, Sampler sampler, void* data, Py_ssize_t at, int n
) noexcept nogil:
    """value % modulus + base, of one word or of two; modulus 0 stands for 2**64."""
    cdef uint32_t[2 * BLOCK] words
    cdef int64_t[BLOCK] block
    cdef uint64_t value
    cdef uint32_t modulus = <uint32_t>p.modulus
    cdef int i
    if p.two_words:
        twister_words(twister, words, 2 * n)
        for i in range(n):
            value = <uint64_t>words[2 * i] << 32 | words[2 * i + 1]
            if p.modulus:
                value %= p.modulus
            block[i] = <int64_t>(value + <uint64_t>p.base)
    else:
        twister_words(twister, words, n)
        for i in range(n):
            block[i] = <int64_t>(words[i] % modulus) + p.base
    put(<const int64_t*>block, data, p.code, at, n)
    return n


# ---- Distributions ----

cdef Params params_of(double a, double b=0.0) noexcept nogil:
    cdef Params p
    memset(&p, 0, sizeof(Params))
    p.a = a
    p.b = b
    return p


def uniform(ndarray out not None, Generator gen not None, double low, double high):
    """Numbers from [low, high); of complex arrays, both parts."""
    cdef Params p = params_of(low, high)
    cdef int code = code_of(out)
    fill(out, gen, &p, sample_uniform if code in (FLOAT64, COMPLEX128) else sample_uniform_float)


def normal(ndarray out not None, Generator gen not None, double mean, double std):
    """Normal numbers; of complex arrays, both parts, each with half the variance.

    Sixteen numbers and more in contiguous memory are drawn in another way than others.
    """
    cdef bint pairs = is_complex(code_of(out))
    cdef bint many = PyArray_IS_C_CONTIGUOUS(out) and PyArray_SIZE(out) * (1 + pairs) >= 16
    cdef Params p = params_of(mean, std / sqrt(2.0) if pairs else std)
    fill(out, gen, &p, sample_normal, fill_normals if many else fill_doubles)


def log_normal(ndarray out not None, Generator gen not None, double mean, double std):
    """exp of normal numbers."""
    cdef Params p = params_of(mean, std)
    fill(out, gen, &p, sample_log_normal)


def cauchy(ndarray out not None, Generator gen not None, double median, double sigma):
    """median + sigma tan(pi (u - 1/2)), u uniform."""
    cdef Params p = params_of(median, sigma)
    fill(out, gen, &p, sample_cauchy)


def exponential(ndarray out not None, Generator gen not None, double rate):
    """-log(1 - u) / rate, u uniform."""
    cdef Params p = params_of(rate)
    fill(out, gen, &p, sample_exponential)


def geometric(ndarray out not None, Generator gen not None, double p):
    """The number of the first success among trials that succeed with probability p."""
    cdef Params params = params_of(p)
    fill(out, gen, &params, sample_geometric)


def bernoulli(ndarray out not None, Generator gen not None, double p):
    """1 with probability p, else 0."""
    cdef Params params = params_of(p)
    fill(out, gen, &params, sample_bernoulli)


def bernoulli_each(ndarray out not None, Generator gen not None, ndarray p not None):
    """1 or 0, with a probability for each element; False if one is outside [0, 1]."""
    cdef Params params = params_of(0.0)
    params.two_words = code_of(p) == FLOAT64
    return fill(out, gen, &params, sample_bernoulli_each, fill_doubles, (p,))


def integers(ndarray out not None, Generator gen not None, low, modulus, bint two_words):
    """value % modulus + low, the value made of one word (modulus < 2**32) or of two."""
    cdef Params p = params_of(0.0)
    p.base = low
    p.modulus = modulus % 2**64
    p.two_words = two_words
    fill(out, gen, &p, NULL, fill_integers)


def shuffle(ndarray out not None, Generator gen not None):
    """The numbers 0 to n - 1 in random order, into a contiguous array of int64: Fisher and Yates' shuffle.

    From 2**32 / 20 numbers on, where 32 bits would be too coarse, each goes to one of the places
    before it.
    """
    cdef int64_t* places = <int64_t*>PyArray_DATA(out)
    cdef Py_ssize_t n = PyArray_SIZE(out)
    cdef bint many = n >= 0xffffffff // 20
    cdef Py_ssize_t i, other
    with nogil, gen.lock:
        for i in range(n):
            places[i] = i
        for i in range(n if many else n - 1):
            if many:
                other = <Py_ssize_t>(twister_long(&gen.twister) % <uint64_t>(i + 1))
            else:
                other = i + <Py_ssize_t>(twister_word(&gen.twister) % <uint32_t>(n - i))
            places[i], places[other] = places[other], places[i]
