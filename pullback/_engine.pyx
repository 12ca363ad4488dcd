# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The engine: Tensor, the recorded graph, and the backward pass.

How to read this file, in the order of one op's way through it:

    Op              the record of an op: kernel, rules, what each rule needs saved
    pointwise       promotion and the direct loop, for elementwise ops
    apply           every other op: unwrap, kernel, wrap
    record          a Node with edges to where the inputs came from, and what its rules save
    apply_inplace   the same, writing into the first input; views and versions
    Task            the backward pass: count dependencies, run nodes latest first, sum into buffers

Gradients are Tensors throughout, and rules are made of ops, so the backward pass of a backward pass is
nothing new. NOTE [Leaves and cycles]: a leaf owns its accumulator node, the node refers to the leaf
weakly, and what is saved of a leaf is its payload and that node. So x.grad may carry a graph that
leads back to x without a cycle of strong references.
"""

import gc
import threading
import warnings
from collections import OrderedDict

import numpy as np

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject, PyObject_Call
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from cpython.weakref cimport PyWeakref_NewRef, PyWeakref_GetObject
from libc.string cimport memset
from numpy cimport (
    import_array, ndarray, npy_intp, PyArray_CHKFLAGS, PyArray_DATA, PyArray_DIMS, PyArray_IS_C_CONTIGUOUS,
    PyArray_NDIM, PyArray_SIZE, PyArray_TYPE, NPY_ARRAY_OWNDATA,
)

import_array()

from pullback import dtypes as _dtypes
from pullback.dtypes import DTYPES, PROMOTION, Size, CPU, META, number_dtype
from pullback._loops cimport (
    Loops, NCODES, MAX_IN, code_of, code_of_type, empty, number_array, recycle, store_number, pointwise as run_loop, quiet_call,
)

cdef extern from * nogil:
    """
    #if defined(_MSC_VER)
    #define PB_THREAD_LOCAL __declspec(thread)
    #else
    #define PB_THREAD_LOCAL _Thread_local
    #endif
    #if defined(__linux__)
    __attribute__((tls_model("initial-exec")))   /* a few bytes: no call to find them */
    #endif
    static PB_THREAD_LOCAL struct { int grad, inference, level, anomaly, check_nan, saved_hooks; }
        pb_thread = {1, 0, 0, 0, 1, 0};
    """
    ctypedef struct ThreadState:
        int grad        # record a graph?
        int inference   # make inference tensors?
        int level       # interpreters on the stack
        int anomaly     # keep tracebacks, check for NaN
        int check_nan
        int saved_hooks # pack hooks on the stack
    ThreadState pb_thread

# An extension type's `__dict__` is made with each object, 40 ns that few tensors need. So the slot is our
# own: the type is told its offset, and the garbage collector to look there.
cdef extern from *:
    """
    static Py_ssize_t pb_dict_offset;
    static traverseproc pb_traverse;
    static inquiry pb_clear;
    static int pb_traverse_with_dict(PyObject* o, visitproc visit, void* arg) {
        int stop = pb_traverse(o, visit, arg);
        if (stop) return stop;
        Py_VISIT(*(PyObject**)((char*)o + pb_dict_offset));
        return 0;
    }
    static int pb_clear_with_dict(PyObject* o) {
        Py_CLEAR(*(PyObject**)((char*)o + pb_dict_offset));
        return pb_clear(o);
    }
    static void lazy_dict(PyTypeObject* type, Py_ssize_t offset) {
        pb_dict_offset = type->tp_dictoffset = offset;
        pb_traverse = type->tp_traverse;
        pb_clear = type->tp_clear;
        type->tp_traverse = pb_traverse_with_dict;
        type->tp_clear = pb_clear_with_dict;
        PyType_Modified(type);
    }
    """
    void lazy_dict(PyTypeObject* type, Py_ssize_t offset)

cdef extern from "Python.h":
    void PyObject_GC_Track(PyObject*)
    void PyObject_GC_UnTrack(PyObject*)
    int PyObject_GC_IsTracked(PyObject*)
    object PyObject_GenericGetDict(object, void*)
    object PyObject_Vectorcall(object callable, PyObject** args, size_t nargsf, PyObject* kwnames)
    Py_ssize_t Py_REFCNT(PyObject*)
    void PyType_Modified(type)
    ctypedef struct PyTypeObject:
        PyObject* tp_dict


# ---------------------------------------------------------------------------------------------- op

REQUIRED = type("REQUIRED", (), {"__repr__": lambda self: "REQUIRED"})()
IN_PLACE = type("IN_PLACE", (), {"__repr__": lambda self: "IN_PLACE"})()

cdef object _REQUIRED = REQUIRED
cdef object _IN_PLACE = IN_PLACE

cdef enum:
    MAX_SAVED = 20
    MAX_PARAMS = 24
    FROM_G = -1        # a rule's parameter `g`: the gradient of the one output
    FROM_NEEDS = -2    # `needs`: a tuple of bools, which inputs want a gradient
    FROM_GRADS = -3    # `grads`: the gradients of all outputs, None where there is none
    FROM_NODE = -4     # `node`: the node itself
    FROM_G_INDEX = -10 # `g0`, `g1`, ...: -10, -11, ...

cdef enum SavedKind:
    SAVE_PARAM, SAVE_TENSOR, SAVE_SHAPE, SAVE_DTYPE, SAVE_RESULT, SAVE_RESULTS

cdef enum Promotion:
    PROMOTE_SAME, PROMOTE_FLOAT, PROMOTE_NONE


@cython.final
cdef class Rule:
    """One derivative rule: a function, and where each of its parameters comes from."""

    cdef readonly object function
    cdef readonly tuple names
    cdef int count
    cdef int source[MAX_PARAMS]
    cdef bint passes   # the gradient is `g` itself: no call


cdef class Op:
    # The record of an op, and the function that users call. (A comment: `__doc__` is the op's own.)
    # `kernel` takes arrays (and the static parameters) in the order of `params` and returns an array or
    # a tuple of arrays. `kinds` has a letter for each parameter: T a tensor (N: or a number), O a tensor
    # or None, L a list of tensors, S a size that may be given as separate ints, `.` anything else.

    cdef readonly str name            # unique, snake_case
    cdef public str __name__          # what users call it
    cdef public object doc
    cdef readonly object kernel
    cdef readonly tuple params
    cdef readonly tuple defaults
    cdef readonly str kinds
    cdef public str grad_name         # "MulBackward0"
    cdef public object variant        # function of the static parameters that gives grad_name, or None
    cdef readonly bint elementwise, linear, multilinear, view, multi_view, nondiff, moves, random
    cdef public object jvp_rule, batch_rule, meta_rule
    cdef public bint inplace_only
    cdef readonly list rules          # one Rule or None for each tensor parameter
    cdef readonly Rule joint          # one Rule for all
    cdef Loops loops
    cdef str loops_name               # a ufunc's name, resolved at first use
    cdef int promotion
    cdef unsigned int allowed         # bit mask of dtype codes
    cdef unsigned int direct          # dtype codes whose loop may be called; the others go to the kernel
    cdef object refuse
    cdef int nparams, ntensors, size_param, first_required
    cdef int tensor_params[MAX_PARAMS]
    cdef int nsaved
    cdef int saved_kind[MAX_SAVED]
    cdef int saved_param[MAX_SAVED]
    cdef unsigned int saved_mask[MAX_SAVED]
    cdef list saved_names

    def __init__(self, str name, kernel, tuple params, tuple defaults, str kinds, *, str public_name=None,
                 str grad_name=None, loop=None, str promote="same", object allowed=None, object refuse=None,
                 str loops_for="biufc",
                 bint elementwise=False, bint linear=False, bint multilinear=False, bint view=False,
                 bint multi_view=False, bint nondiff=False, bint moves=False, bint random=False, doc=None):
        self.name = name
        self.__name__ = public_name or name
        self.doc = doc
        self.kernel = kernel
        self.params, self.defaults, self.kinds = params, defaults, kinds
        self.nparams = len(params)
        self.grad_name = grad_name or _camel(name) + "Backward0"
        self.elementwise, self.linear, self.multilinear = elementwise, linear, multilinear
        self.view, self.multi_view, self.nondiff = view or multi_view, multi_view, nondiff
        self.moves, self.random = moves or view or multi_view, random
        self.promotion = {"same": PROMOTE_SAME, "float": PROMOTE_FLOAT, "none": PROMOTE_NONE}[promote]
        self.allowed = 0xFFFFFFFF
        if allowed is not None:
            self.allowed = 0
            for d in DTYPES:
                if d.kind in allowed or (d.kind == "u" and "i" in allowed):
                    self.allowed |= 1u << <int>d.code
        self.refuse = refuse
        self.direct = 0
        for d in DTYPES:
            if d.kind in loops_for:
                self.direct |= 1u << <int>d.code
        self.size_param = kinds.find("S")
        self.ntensors = 0
        self.rules = []
        self.saved_names = []
        cdef int i
        for i in range(self.nparams):
            if kinds[i] in "TNOL":
                self.tensor_params[self.ntensors] = i
                self.ntensors += 1
                self.rules.append(None)
        self.loops = None
        self.loops_name = None
        if isinstance(loop, str):
            self.loops_name = loop
        elif loop is not None:
            self.loops = Loops(loop)

    @property
    def __doc__(self):
        return self.doc

    @property
    def ufunc(self):
        """NumPy's or SciPy's function behind an elementwise op, None if the kernel is our own."""
        self._resolve()
        return None if self.loops is None else self.loops.ufunc

    cdef int _resolve(self) except -1:
        if self.loops is None and self.loops_name is not None:
            module, _, attribute = self.loops_name.partition(":")
            self.loops = Loops(getattr(__import__(module, fromlist=["_"]), attribute))
        return 0

    def vjp(self, **rules):
        """Sets the derivative with respect to each named input; a value is a function, or "g" for g itself."""
        for name, function in rules.items():
            self.rules[self._tensor_index(name)] = self._rule(function, 1u << <unsigned int>self._tensor_index(name))
        return self

    def joint_vjp(self, function):
        """Sets one rule that gives the gradients of all tensor inputs, as a tuple. A decorator."""
        self.joint = self._rule(function, 0xFFFFFFFF)
        return function

    def jvp(self, function):
        """Sets an explicit forward-mode rule, where none follows from the flags. A decorator."""
        self.jvp_rule = function
        return function

    def batch(self, function):
        """Sets an explicit batching rule, where none follows from the flags. A decorator."""
        self.batch_rule = function
        return function

    def meta(self, function):
        """Sets a rule of shapes and dtypes: the kernel without its arithmetic. A decorator."""
        self.meta_rule = function
        return function

    @property
    def has_vjp(self):
        return self.joint is not None or any(rule is not None for rule in self.rules)

    @property
    def differentiable_inputs(self):
        """Names of the inputs with a derivative."""
        return tuple(self.params[self.tensor_params[i]] for i in range(self.ntensors)
                     if self.joint is not None or self.rules[i] is not None)

    cdef int _tensor_index(self, str name) except -1:
        cdef int i
        for i in range(self.ntensors):
            if self.params[self.tensor_params[i]] == name:
                return i
        raise TypeError(f"op {self.name} has no tensor parameter '{name}'")

    cdef Rule _rule(self, function, unsigned int mask):
        cdef Rule rule = Rule.__new__(Rule)
        cdef int i
        rule.function = function
        if function == "g":
            rule.passes = True
            rule.names = ("g",)
            rule.source[0] = FROM_G
            return rule
        code = function.__code__
        rule.names = tuple(code.co_varnames[:code.co_argcount])
        rule.count = len(rule.names)
        special = {"g": FROM_G, "needs": FROM_NEEDS, "grads": FROM_GRADS, "node": FROM_NODE}
        for i, name in enumerate(rule.names):
            if name in special:
                rule.source[i] = special[name]
            elif name[0] == "g" and name[1:].isdigit():
                rule.source[i] = FROM_G_INDEX - int(name[1:])
            else:
                rule.source[i] = self._save(name, mask)
        return rule

    cdef int _save(self, str name, unsigned int mask) except -1:
        """The place in `saved` of what a rule calls by this name."""
        cdef int place
        if name in self.saved_names:
            place = self.saved_names.index(name)
            self.saved_mask[place] |= mask
            return place
        place = self.nsaved
        if name == "result":
            self.saved_kind[place], self.saved_param[place] = SAVE_RESULT, 0
        elif name == "results":
            self.saved_kind[place], self.saved_param[place] = SAVE_RESULTS, 0
        elif name.startswith("result") and name[6:].isdigit():
            self.saved_kind[place], self.saved_param[place] = SAVE_RESULT, int(name[6:])
        elif name in self.params:
            i = self.params.index(name)
            self.saved_kind[place] = SAVE_TENSOR if self.kinds[i] in "TNOL" else SAVE_PARAM
            self.saved_param[place] = i
        elif name.endswith("_shape"):
            self.saved_kind[place], self.saved_param[place] = SAVE_SHAPE, self.params.index(name[:-6])
        elif name.endswith("_dtype"):
            self.saved_kind[place], self.saved_param[place] = SAVE_DTYPE, self.params.index(name[:-6])
        else:
            raise TypeError(f"a rule of op {self.name} asks for '{name}', which it has not")
        self.saved_mask[place] = mask
        self.saved_names.append(name)
        self.nsaved += 1
        return place

    def __call__(self, *args, **kwargs):
        cdef object out = None
        cdef Py_ssize_t given = len(args)
        if kwargs:
            out = kwargs.pop("out", None)
        if out is None and not kwargs and given == self.nparams and self.size_param < 0:
            bound = args
        else:
            bound = self.bind(args, kwargs)
        return dispatch(self, bound, out)

    def __get__(self, instance, owner):
        return self if instance is None else BoundOp(self, instance)

    def bind(self, tuple args, dict kwargs):
        """The arguments in the order of `params`, defaults filled in; TypeError in PyTorch's words."""
        cdef Py_ssize_t given = len(args), i, n = self.nparams
        cdef list bound = list(self.defaults)
        if self.size_param >= 0 and given > self.size_param and isinstance(args[self.size_param], (int, Tensor)):
            if given > self.size_param + 1 or not isinstance(args[self.size_param], (tuple, list)):
                args = args[:self.size_param] + (args[self.size_param:],)
                given = len(args)
        if given > n:
            raise TypeError(f"{self.__name__}() takes {n} positional argument{'s' if n != 1 else ''} "
                            f"but {given} were given")
        for i in range(given):
            bound[i] = args[i]
        for name, value in kwargs.items():
            name = ALIASES.get(name, name)
            if name not in self.params:
                raise TypeError(f"{self.__name__}() got an unexpected keyword argument '{name}'")
            i = self.params.index(name)
            if i < given:
                raise TypeError(f"{self.__name__}() got multiple values for argument '{name}'")
            bound[i] = value
        for i in range(n):
            if bound[i] is _REQUIRED:
                missing = [f'"{_shown(p)}"' for j, p in enumerate(self.params) if bound[j] is _REQUIRED]
                raise TypeError(f"{self.__name__}() missing {len(missing)} required positional "
                                f"argument{'s' if len(missing) != 1 else ''}: {', '.join(missing)}")
        return tuple(bound)

    def inplace(self, *args, **kwargs):
        """The op with its result written into the first input: what `x.name_()` calls."""
        return dispatch(self, self.bind(args, kwargs), _IN_PLACE)

    def __repr__(self):
        return f"<op {self.name}>"

    def __reduce__(self):
        return _find_op, (self.name,)


ALIASES = {"input": "self", "axis": "dim", "keepdims": "keepdim", "x1": "self", "x2": "other", "x": "self"}
"""Keyword names that PyTorch accepts for ours: its own `input`, and NumPy's."""

REGISTRY = {}
"""All ops by name."""


def _find_op(name):
    return REGISTRY[name]


cdef str _camel(str name):
    return "".join(part.capitalize() for part in name.split("_"))


cdef str _shown(str name):
    return "input" if name == "self" else name


@cython.final
cdef class BoundOp:
    """An op as a method of one tensor: `x.sum`."""

    cdef readonly Op op
    cdef readonly object __self__

    def __init__(self, Op op, instance):
        self.op = op
        self.__self__ = instance

    def __call__(self, *args, **kwargs):
        return self.op(self.__self__, *args, **kwargs)

    @property
    def __name__(self):
        return self.op.__name__

    @property
    def __doc__(self):
        return self.op.__doc__

    def __repr__(self):
        return f"<method {self.op.__name__} of Tensor>"


# ------------------------------------------------------------------------- promotion, elementwise ops

cdef int PROMOTE[NCODES][NCODES]
cdef int KIND[NCODES]             # 0 bool, 1 int, 2 float, 3 complex
cdef int TO_COMPLEX[NCODES]
cdef int _BOOL = 0, _INT64 = 5


cdef _fill_promotion():
    for a in DTYPES:
        KIND[<int>a.code] = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}[a.kind]
        TO_COMPLEX[<int>a.code] = a.to_complex().code
        for b in DTYPES:
            found = PROMOTION[a.code][b.code]
            PROMOTE[<int>a.code][<int>b.code] = -1 if found is None else found.code


_fill_promotion()

cdef int default_float = _dtypes.float32.code


def set_default_dtype(d, /):
    """Sets the dtype of tensors made from Python floats: a floating-point dtype.

    >>> import pullback as torch
    >>> torch.set_default_dtype(torch.float64); torch.tensor(0.5).dtype
    torch.float64
    >>> torch.set_default_dtype(torch.float32)
    """
    global default_float
    if not isinstance(d, _dtypes.dtype) or not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    default_float = d.code
    _dtypes._Defaults.float = d


cdef int join(int a, int b) except -1:
    """Promotion within a category; -1 stands for nothing there."""
    if a == b or b < 0:
        return a if a >= 0 else b
    if a < 0:
        return b
    if PROMOTE[a][b] < 0:
        _dtypes.promote_types(DTYPES[a], DTYPES[b])
    return PROMOTE[a][b]


cdef int combine(int higher, int lower) except -2:
    """Promotion of a higher category by a lower one; -1 stands for nothing there."""
    if higher < 0 or lower < 0:
        return lower if higher < 0 else higher
    if KIND[higher] == 3:
        return higher
    if KIND[higher] == 2:
        return TO_COMPLEX[higher] if KIND[lower] == 3 else higher
    if KIND[higher] == 0 or KIND[lower] >= 2:
        return join(higher, lower)
    return higher


cdef int number_code(object x) except -1:
    """The dtype code a number stands for; TypeError for anything else."""
    if type(x) is float:
        return default_float
    if type(x) is int:
        return _INT64
    if type(x) is bool:
        return _BOOL
    found = number_dtype(x)
    if found is None:
        raise TypeError(f"must be Tensor or number, not {type(x).__name__}")
    return found.code


cdef int result_code(PyObject** argv, int n, int* codes) except -1:
    """The common dtype of tensors and numbers; each one's own code goes to `codes`, None's is -1."""
    cdef int dim = -1, zero = -1, number = -1, i, code
    cdef object x
    for i in range(n):
        x = <object>argv[i]
        if isinstance(x, Tensor):
            code = code_of((<Tensor>x).array)
            if PyArray_NDIM((<Tensor>x).array) == 0:
                zero = join(zero, code)
            else:
                dim = join(dim, code)
        elif x is None:
            code = -1
        else:
            code = number_code(x)
            number = join(number, code)
        codes[i] = code
    code = combine(dim, combine(zero, number))
    return code if code >= 0 else default_float


def result_type(*operands):
    """The dtype of an arithmetic op on these tensors and numbers.

    >>> import pullback as torch
    >>> torch.result_type(torch.tensor([1, 2]), 1.5)
    torch.float32
    """
    cdef PyObject* argv[MAX_PARAMS]
    cdef int codes[MAX_PARAMS]
    cdef int i
    for i in range(len(operands)):
        argv[i] = <PyObject*>operands[i]
    return DTYPES[result_code(argv, len(operands), codes)]


cdef object cast_array(ndarray a, int code):
    return a.astype(DTYPES[code].numpy)


cdef object compute_pointwise(Op op, PyObject** argv, int n, ndarray out):
    """The array of an elementwise op: promote, then one homogeneous loop."""
    cdef int codes[MAX_IN]
    cdef PyObject* arrays[MAX_IN]
    cdef char numbers[16 * MAX_IN]
    cdef int i, code
    cdef object keep = None, x
    cdef ndarray a
    if n == 1 and isinstance(<object>argv[0], Tensor):
        code = codes[0] = code_of((<Tensor>argv[0]).array)
    else:
        code = result_code(argv, n, codes)
    if op.promotion == PROMOTE_FLOAT and KIND[code] < 2:
        code = default_float
    if not (op.allowed >> code) & 1:
        _refuse(op, code)
    if op.loops is None:
        op._resolve()
    for i in range(n):
        x = <object>argv[i]
        if codes[i] < 0:
            break
        if isinstance(x, Tensor):
            a = (<Tensor>x).array
            if codes[i] != code:
                a = cast_array(a, code)
                if keep is None:
                    keep = []
                keep.append(a)
            arrays[i] = <PyObject*>a
        else:
            store_number(x if type(x) in (float, int, bool, complex) else x.item(), code, numbers + 16 * i)
            arrays[i] = NULL
    else:
        if op.loops is not None and op.loops.fn[code] != NULL and (op.direct >> code) & 1:
            return run_loop(op.loops, code, n, arrays, numbers, out)
    return _pointwise_kernel(op, argv, n, code, out)


cdef object _pointwise_kernel(Op op, PyObject** argv, int n, int code, ndarray out):
    """An elementwise op without a loop for the dtype: its kernel on promoted arrays.

    The half precisions are computed in float32 and rounded once.
    """
    cdef char number[16]
    cdef int i, work = 11 if code == 10 or code == 9 else code
    arrays = []
    for i in range(n):
        x = <object>argv[i]
        if isinstance(x, Tensor):
            a = (<Tensor>x).array
            arrays.append(a if code_of(a) == work else cast_array(a, work))
        elif x is None:
            arrays.append(None)
        else:
            store_number(x, work, number)
            arrays.append(number_array(number, work))
    _check_broadcast([a for a in arrays if a is not None])
    result = quiet_call(op.kernel if op.kernel is not None else op.loops.ufunc, arrays)
    if not isinstance(result, ndarray):
        result = np.asarray(result)
    if work != code and code_of(result) == work:
        result = cast_array(result, code)
    if out is not None:
        np.copyto(out, result, casting="unsafe")
        return out
    return result


cdef _check_broadcast(list arrays):
    shapes = [a.shape for a in arrays]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        nd = max(map(len, shapes))
        for j in range(nd - 1, -1, -1):
            sizes = [s[j - nd + len(s)] for s in shapes if j - nd + len(s) >= 0 and s[j - nd + len(s)] != 1]
            if len(set(sizes)) > 1:
                other = next(s for s in sizes if s != sizes[0])
                raise RuntimeError(
                    f"The size of tensor a ({sizes[0]}) must match the size of tensor b ({other}) "
                    f"at non-singleton dimension {j}"
                ) from None


cdef _refuse(Op op, int code):
    message = op.refuse(DTYPES[code]) if op.refuse is not None else None
    if message is not None:
        raise RuntimeError(message)
    raise NotImplementedError(f'"{op.name}_cpu" not implemented for \'{DTYPES[code].type_name}\'')


# ---------------------------------------------------------------------------- storage, saved, node

cdef struct Link:
    Link* prev
    Link* next
    PyObject* owner

cdef struct LiveList:
    Link head
    Py_ssize_t count

cdef LiveList live    # all nodes and plain tensors: see NOTE [Garbage]
live.head.prev = live.head.next = &live.head


cdef inline void enter_live(Link* link, PyObject* owner) noexcept:
    link.owner = owner
    link.next = live.head.next
    link.prev = &live.head
    live.head.next.prev = link
    live.head.next = link
    live.count += 1
    PyObject_GC_UnTrack(owner)


cdef inline void leave_live(Link* link) noexcept:
    if link.next != NULL:
        link.next.prev = link.prev
        link.prev.next = link.next
        link.next = NULL
        live.count -= 1


@cython.final
@cython.freelist(64)
cdef class Storage:
    """The version counter that a tensor shares with its views and detached twins."""

    cdef unsigned int version


@cython.final
@cython.freelist(256)
@cython.trashcan(True)
cdef class Saved:
    """A saved tensor that needs more than a reference: a leaf, a result, a changed or a packed one.

    See NOTE [Leaves and cycles]: it never refers to the node that holds it, nor strongly to a leaf.
    """

    cdef ndarray array
    cdef Storage storage
    cdef unsigned int version
    cdef Node node          # the history of an input; a result's is the holder, given at unpacking
    cdef int output_index
    cdef bint result, meta
    cdef object packed, unpack_hook
    cdef Tensor tensor      # kept whole: a changed non-leaf, or one of a subclass

    def __dealloc__(self):
        if self.array is not None and Py_REFCNT(<PyObject*>self.array) == 1:
            recycle(self.array)


cdef enum NodeKind:
    NODE_OP, NODE_CUSTOM, NODE_ACCUMULATE

cdef enum:
    NODE_DIMS = 5

cdef unsigned long long sequence = 0


@cython.freelist(512)
@cython.trashcan(True)
cdef class Node:
    """A step of the recorded graph: how to take gradients of outputs to gradients of inputs."""

    cdef Op op
    cdef Node edge0, edge1, edge2      # where the gradients go; `more` holds (node, index) from the fourth on
    cdef int index0, index1, index2
    cdef list more
    cdef int nedges
    cdef readonly unsigned long long seq
    cdef unsigned int need             # which tensor parameters want a gradient
    cdef int kind
    cdef object saved                  # a tuple, see Op.nsaved; None when there is nothing or it is freed
    cdef bint freed
    cdef int noutputs, code, nd        # dtype and shape of the one output; of several in `outputs`
    cdef npy_intp dims[NODE_DIMS]
    cdef list outputs                  # (shape, code) each, or None for an output without a gradient
    cdef Hooks hooks
    cdef object custom                 # NODE_CUSTOM: function (node, grads) -> gradients of the inputs
    cdef object label                  # NODE_CUSTOM: its name
    cdef object leaf                   # NODE_ACCUMULATE: weak reference to the leaf
    cdef ndarray payload               # NODE_ACCUMULATE: the leaf's array when last saved
    cdef object _metadata              # user's dict; anomaly mode's traceback
    cdef object __weakref__
    cdef Link link

    def __cinit__(self):
        enter_live(&self.link, <PyObject*>self)

    def __dealloc__(self):
        leave_live(&self.link)

    cdef int add_edge(self, Node node, int index) except -1:
        if self.nedges == 0:
            self.edge0, self.index0 = node, index
        elif self.nedges == 1:
            self.edge1, self.index1 = node, index
        elif self.nedges == 2:
            self.edge2, self.index2 = node, index
        else:
            if self.more is None:
                self.more = []
            self.more.append((node, index))
        self.nedges += 1
        return 0

    cdef Node edge(self, int i, int* index):
        if i == 0:
            index[0] = self.index0
            return self.edge0
        if i == 1:
            index[0] = self.index1
            return self.edge1
        if i == 2:
            index[0] = self.index2
            return self.edge2
        node, where = self.more[i - 3]
        index[0] = where
        return node

    cdef int set_edge(self, int i, Node node, int index) except -1:
        if i == 0:
            self.edge0, self.index0 = node, index
        elif i == 1:
            self.edge1, self.index1 = node, index
        elif i == 2:
            self.edge2, self.index2 = node, index
        else:
            self.more[i - 3] = (node, index)
        return 0

    cdef int describe(self, ndarray a) except -1:
        """Notes shape and dtype of the only output."""
        cdef int i
        self.noutputs = 1
        self.code = code_of(a)
        self.nd = PyArray_NDIM(a)
        if self.nd > NODE_DIMS:
            self.outputs = [((<object>a).shape, self.code)]
            return 0
        for i in range(self.nd):
            self.dims[i] = PyArray_DIMS(a)[i]
        return 0

    cdef tuple output_meta(self, int i):
        """Shape and dtype code of an output, None if it takes no gradient."""
        if self.outputs is not None:
            return self.outputs[i]
        return tuple([self.dims[j] for j in range(self.nd)]), self.code

    def name(self):
        """The name PyTorch gives the node, such as "MulBackward0"."""
        if self.kind == NODE_ACCUMULATE:
            return "torch::autograd::AccumulateGrad"
        if self.kind == NODE_CUSTOM:
            return self.label
        if self.op.variant is not None:
            return _variant_name(self)
        return self.op.grad_name

    @property
    def __class__(self):
        return _node_class("AccumulateGrad" if self.kind == NODE_ACCUMULATE else self.name())

    def __repr__(self):
        return f"<{self.__class__.__name__} object at {hex(id(self))}>"

    @property
    def next_functions(self):
        """The nodes that the gradients go to, each with the output's index: None where none is wanted."""
        cdef int i, index
        found = []
        for i in range(self.nedges):
            node = self.edge(i, &index)
            found.append((node, index))
        return tuple(found)

    @property
    def variable(self):
        """The leaf of an accumulator."""
        if self.kind != NODE_ACCUMULATE:
            raise AttributeError(f"'{self.__class__.__name__}' object has no attribute 'variable'")
        return leaf_of(self)

    @property
    def requires_grad(self):
        return True

    @property
    def metadata(self):
        """A dict for the user's notes on this node."""
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

    @property
    def _input_metadata(self):
        return [self.output_meta(i) for i in range(self.noutputs)]

    def _sequence_nr(self):
        return self.seq

    def _set_sequence_nr(self, nr):
        self.seq = nr

    def register_hook(self, fn):
        """Calls `fn(grad_inputs, grad_outputs)` after the node ran; what it returns replaces grad_inputs."""
        return _register(hooks_of(self).post, fn)

    def register_prehook(self, fn):
        """Calls `fn(grad_outputs)` before the node runs; what it returns replaces grad_outputs."""
        return _register(hooks_of(self).pre, fn)

    def __call__(self, *grads):
        """Runs the node alone: the gradients of its inputs, given those of its outputs."""
        results = run_node(self, [g for g in grads], _all_needed(self))
        return results[0] if len(results) == 1 else tuple(results)

    def __getattr__(self, name):
        if name.startswith("_saved_") and self.kind == NODE_OP:
            return _saved_attribute(self, name[7:], False)
        if name.startswith("_raw_saved_") and self.kind == NODE_OP:
            return _saved_attribute(self, name[11:], True)
        if self.kind == NODE_CUSTOM and self.custom is not None and hasattr(self.custom, "node_attribute"):
            return self.custom.node_attribute(name)
        raise AttributeError(f"'{self.__class__.__name__}' object has no attribute '{name}'")

    def __dir__(self):
        names = list(object.__dir__(self))
        if self.kind == NODE_OP:
            names += ["_saved_" + _shown_saved(n) for n in self.op.saved_names]
        return names


@cython.final
cdef class Hooks:
    """All hooks of a node; most nodes have none."""

    cdef readonly dict tensor     # output index -> OrderedDict of tensor hooks
    cdef readonly dict retained   # output index -> weak reference to the tensor that keeps its grad
    cdef readonly object pre, post, accumulated

    def __cinit__(self):
        self.tensor, self.retained = {}, {}
        self.pre, self.post, self.accumulated = OrderedDict(), OrderedDict(), OrderedDict()


cdef Hooks hooks_of(Node node):
    if node.hooks is None:
        node.hooks = Hooks.__new__(Hooks)
    return node.hooks


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook away."""

    _next_id = 0

    def __init__(self, hooks):
        self.hooks_dict = hooks
        self.id = RemovableHandle._next_id
        RemovableHandle._next_id += 1

    def remove(self):
        self.hooks_dict.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def _register(hooks, fn):
    handle = RemovableHandle(hooks)
    hooks[handle.id] = fn
    return handle


_NODE_CLASSES = {}


def _node_class(name):
    """The class that a node of this name shows: each name has one, all are subclasses of Node."""
    found = _NODE_CLASSES.get(name)
    if found is None:
        short = name.rpartition("::")[2]
        found = _NODE_CLASSES[name] = type(short, (Node,), {"__module__": "builtins"})
    return found


cdef object _variant_name(Node node):
    op = node.op
    cdef int i
    values = {}
    if node.saved is not None:
        for i in range(op.nsaved):
            if op.saved_kind[i] == SAVE_PARAM:
                values[op.saved_names[i]] = node.saved[i]
    return op.variant(values)


def _shown_saved(name):
    return {"result": "result"}.get(name, name)


cdef object _saved_attribute(Node node, str name, bint raw):
    op = node.op
    if name.endswith("_sym_sizes"):
        name = name[:-10] + "_shape"
    if name not in op.saved_names:
        raise AttributeError(f"'{node.__class__.__name__}' object has no attribute '_saved_{name}'")
    if raw:
        return SavedTensor(node, op.saved_names.index(name))
    return unpack(node, op.saved_names.index(name))


class SavedTensor:
    """A saved tensor of a node, before unpacking: `register_hooks` packs it otherwise."""

    def __init__(self, node, place):
        self._node, self._place = node, place

    def register_hooks(self, pack_hook, unpack_hook):
        _pack_saved(self._node, self._place, pack_hook, unpack_hook)


def _pack_saved(Node node, int place, pack_hook, unpack_hook):
    tensor = unpack(node, place)
    entries = list(node.saved)
    entries[place] = packed(tensor, node if node.op.saved_kind[place] == SAVE_RESULT else None,
                            pack_hook, unpack_hook)
    node.saved = tuple(entries)


_saved_hooks = threading.local()


def push_saved_hooks(pack, unpack):
    """Enters a pair of saved-tensor hooks on this thread; `pop_saved_hooks` leaves it."""
    if not hasattr(_saved_hooks, "stack"):
        _saved_hooks.stack, _saved_hooks.disabled = [], None
    if getattr(_saved_hooks, "disabled", None) is not None:
        raise RuntimeError(_saved_hooks.disabled)
    _saved_hooks.stack.append((pack, unpack))
    pb_thread.saved_hooks = 1


def pop_saved_hooks():
    _saved_hooks.stack.pop()
    pb_thread.saved_hooks = 1 if _saved_hooks.stack else 0


def disable_saved_hooks(message):
    """While a message is set, entering saved-tensor hooks raises it; returns the one before."""
    if not hasattr(_saved_hooks, "stack"):
        _saved_hooks.stack, _saved_hooks.disabled = [], None
    before = _saved_hooks.disabled
    if message is not None and _saved_hooks.stack:
        raise RuntimeError(message)
    _saved_hooks.disabled = message
    return before


cdef Saved packed(Tensor t, Node holder, pack_hook, unpack_hook):
    """A tensor handed to the user's pack hook; what that returned is kept in its place."""
    cdef Saved s = Saved.__new__(Saved)
    cdef unsigned int version = version_of(t)
    cdef int index
    s.result = holder is not None
    if not s.result:
        s.node = history(t, &index)
        s.output_index = index
    else:
        s.output_index = t.output_index
    given = detached(t) if s.result or t.node is not None else t
    s.unpack_hook = unpack_hook
    cdef int before = pb_thread.saved_hooks
    pb_thread.saved_hooks = 0
    try:
        s.packed = pack_hook(given)
    finally:
        pb_thread.saved_hooks = before
    if version_of(t) != version:
        raise RuntimeError("A saved tensor pack hook is modifying its input in place. Tensors provided as "
                           "input to pack hook can not be modified by in-place operations as this can lead "
                           "to unexpected side-effects. Please open an issue if you need to perform "
                           "in-place operations on the input to a pack hook.")
    return s


cdef object keep(object x):
    """An input as a node saves it."""
    cdef Tensor t
    cdef Saved s
    cdef Node node
    if not isinstance(x, Tensor):
        return [keep(item) for item in x] if type(x) in (list, tuple) else x
    t = <Tensor>x
    if t.inference:
        raise RuntimeError(
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference "
            "mode in computation tracked by autograd. To work around this, you can make a clone to get a "
            "normal tensor and use it in autograd, or use `torch.no_grad()` instead of "
            "`torch.inference_mode()`.")
    if pb_thread.saved_hooks:
        pack, unpack_hook = _saved_hooks.stack[-1]
        return packed(t, None, pack, unpack_hook)
    if t.requires and t.node is None:
        node = accumulator(t)
        s = t.as_leaf
        if s is not None and s.array is t.array and s.version == s.storage.version and s.storage is t.storage:
            return s
        s = Saved.__new__(Saved)
        s.node = node
        s.array = node.payload = t.array
        t.as_leaf = s   # the same for every use of the leaf, until it is written to
    elif t.storage is None or t.storage.version == 0:
        return t
    else:
        s = Saved.__new__(Saved)
        s.tensor = t
        s.array = t.array
    s.storage = storage(t)
    s.version = s.storage.version
    s.meta = t.meta
    PyObject_GC_UnTrack(<PyObject*>s)
    return s


cdef Saved keep_result(Tensor t, Node holder):
    """An output as its own node saves it: payload and version, no reference to the tensor."""
    if pb_thread.saved_hooks:
        pack, unpack_hook = _saved_hooks.stack[-1]
        return packed(t, holder, pack, unpack_hook)
    cdef Saved s = Saved.__new__(Saved)
    s.array = t.array
    s.storage = storage(t)
    s.version = s.storage.version
    s.result = True
    s.output_index = t.output_index
    s.meta = t.meta
    PyObject_GC_UnTrack(<PyObject*>s)
    return s


cdef object unpack(Node holder, int place):
    """A saved value as the rule sees it; an error if it was freed or has changed since."""
    if holder.saved is None or holder.freed:
        raise RuntimeError(FREED)
    return unpack_entry(holder, (<tuple>holder.saved)[place], holder.op.saved_kind[place] == SAVE_TENSOR)


FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have "
    "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
    "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or "
    "if you need to access saved tensors after calling backward."
)


cdef object unpack_entry(Node holder, object entry, bint nested):
    cdef Saved s
    cdef Tensor t
    if type(entry) is Tensor:
        t = <Tensor>entry
        if t.storage is not None and t.storage.version != 0:
            _changed(t.array, t.storage.version, 0, t.node, t.output_index)
        return t
    if type(entry) is Saved:
        return _unpack_saved(holder, <Saved>entry)
    if isinstance(entry, Tensor):
        t = <Tensor>entry
        if t.storage is not None and t.storage.version != 0:
            _changed(t.array, t.storage.version, 0, t.node, t.output_index)
        return t
    if nested and type(entry) is list:
        return [unpack_entry(holder, item, False) for item in entry]
    return entry


cdef Tensor _unpack_saved(Node holder, Saved s):
    cdef Tensor t, leaf
    if s.unpack_hook is not None:
        got = s.unpack_hook(s.packed)
        if not isinstance(got, Tensor):
            raise TypeError("Output of saved tensor unpack_hook expected to be a Tensor but got result of "
                            f"type {type(got).__name__}")
        t = detached(<Tensor>got)
        return with_history(t, holder if s.result else s.node, s.output_index)
    if s.storage.version != s.version:
        node = holder if s.result else (s.tensor.node if s.tensor is not None else None)
        _changed(s.array, s.storage.version, s.version, node, s.output_index)
    if s.tensor is not None:
        return s.tensor
    if not s.result:
        leaf = leaf_of(s.node)
        if leaf.array is s.array:
            return leaf
    t = wrap(s.array)
    t.storage = s.storage
    t.meta = s.meta
    return with_history(t, holder if s.result else s.node, s.output_index)


cdef Tensor with_history(Tensor t, Node node, int index):
    """Gives a fresh tensor its place in the graph."""
    if node is None:
        return t
    t.requires = True
    if node.kind == NODE_ACCUMULATE:
        t.accumulator = node
    else:
        t.node = node
        t.output_index = index
    return t


cdef Tensor leaf_of(Node accumulator):
    """The leaf of an accumulator; made anew if the user let go of it."""
    cdef PyObject* found = PyWeakref_GetObject(accumulator.leaf)
    cdef Tensor t
    if found != NULL and <object>found is not None:
        return <Tensor>found
    t = wrap(accumulator.payload)
    t.requires = True
    t.accumulator = accumulator
    accumulator.leaf = PyWeakref_NewRef(t, None)
    return t


cdef _changed(ndarray a, unsigned int now, unsigned int expected, Node node, int index):
    which = ""
    if node is not None and node.kind != NODE_ACCUMULATE:
        name = node.name()
        for suffix in ("Backward0", "Backward1", "Backward2", "Backward3", "Backward4"):
            name = name.removesuffix(suffix)
        which = f", which is output {index} of {name},"
    elif node is None:
        which = ""
    if pb_thread.anomaly:
        hint = ("Hint: the backtrace further above shows the operation that failed to compute its gradient. "
                "The variable in question was changed in there or anywhere later. Good luck!")
    else:
        hint = ("Hint: enable anomaly detection to find the operation that failed to compute its gradient, "
                "with torch.autograd.set_detect_anomaly(True).")
    raise RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[{type_string(code_of(a))} {list((<object>a).shape)}]{which} is at version {now}; "
        f"expected version {expected} instead. {hint}"
    )


cdef str type_string(int code):
    return f"torch.{DTYPES[code].type_name}Tensor"


# --------------------------------------------------------------------------------------------- tensor

cdef Op _add, _sub, _mul, _div, _pow, _pow_number, _rpow, _rsub, _neg, _matmul, _lt, _le, _gt, _ge, _eq, _ne
cdef object _operators = {}
cdef object _ops = None    # the namespace of ops that the engine itself needs: handed over by pullback.ops


def install(operators, namespace):
    """Hands the engine the ops behind Python's operators, and the few it calls itself."""
    global _add, _sub, _mul, _div, _pow, _pow_number, _rpow, _rsub, _neg, _matmul
    global _lt, _le, _gt, _ge, _eq, _ne, _operators, _ops
    _add, _sub, _mul, _div = operators["add"], operators["sub"], operators["mul"], operators["div"]
    _pow, _pow_number, _rpow = operators["pow"], operators["pow_number"], operators["rpow"]
    _rsub, _neg, _matmul = operators["rsub"], operators["neg"], operators["matmul"]
    _lt, _le, _gt, _ge = operators["lt"], operators["le"], operators["gt"], operators["ge"]
    _eq, _ne = operators["eq"], operators["ne"]
    _operators = operators
    _ops = namespace


cdef object _backward = None


def install_backward(function):
    """Hands over `torch.autograd.backward` for all but the plainest call."""
    global _backward
    _backward = function


def number_tensor(number, int code, bint requires_grad=False):
    """A 0-dim tensor of a Python number."""
    cdef char where[16]
    store_number(number, code, where)
    cdef Tensor t = wrap(number_array(where, code))
    if requires_grad:
        t.requires_grad = True
    return t


cdef inline bint is_operand(object x):
    return isinstance(x, (Tensor, float, int, complex, np.number, np.bool_))


cdef object binary(Op op, object a, object b):
    """`a op b` for an operator; NotImplemented where b is nothing we know."""
    cdef PyObject* argv[2]
    if pb_thread.level == 0 and (type(a) is Tensor or type(a) is float or type(a) is int) and (
            type(b) is Tensor or type(b) is float or type(b) is int):
        argv[0], argv[1] = <PyObject*>a, <PyObject*>b
        return apply_pointwise(op, argv, 2, None)
    if not is_operand(a) or not is_operand(b):
        if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
            return dispatch(op, (_as_operand(a), _as_operand(b)), None)
        return NotImplemented
    return dispatch(op, (a, b), None)


cdef object _as_operand(object x):
    return wrap(np.asarray(x)) if isinstance(x, np.ndarray) else x


cdef object power(object a, object b):
    if isinstance(b, Tensor):
        return binary(_pow if isinstance(a, Tensor) else _rpow, a, b)
    return binary(_pow_number, a, b)


cdef object inplace_binary(Op op, Tensor a, object b):
    if not is_operand(b):
        return NotImplemented
    return dispatch(op, (a, b), _IN_PLACE)


@cython.freelist(512)
@cython.trashcan(True)
cdef class Tensor:
    """An array of numbers that remembers how it was computed.

    >>> import pullback as torch
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> y = x**2 + 1
    >>> y.backward()
    >>> x.grad
    tensor(4.)
    """

    cdef ndarray array            # the payload; views of one memory are views of one base array
    cdef Node node                # grad_fn, None for a leaf
    cdef Node accumulator         # of a leaf, made when a graph first reaches it
    cdef Saved as_leaf            # what nodes save of a leaf
    cdef Storage storage          # version counter, made when first shared or written to
    cdef Tensor base              # the tensor this is a view of, never itself a view
    cdef object _grad
    cdef object tangents          # forward mode: {level: tangent}, or None
    cdef unsigned int attr_version   # views: the storage's version when `node` was last right
    cdef int output_index         # which output of `node` this is
    cdef char creation            # how a view was made, see Creation
    cdef bint requires, retains, meta, inference
    cdef object __weakref__
    cdef PyObject* attributes     # `__dict__`, made at the first user attribute: see `lazy_dict`

    cdef Link link

    def __cinit__(self):
        if type(self) is Tensor:
            enter_live(&self.link, <PyObject*>self)

    def __dealloc__(self):
        leave_live(&self.link)
        if self.array is not None and Py_REFCNT(<PyObject*>self.array) == 1:
            recycle(self.array)
        Py_XDECREF(self.attributes)
        self.attributes = NULL

    def __add__(self, other):
        return binary(_add, self, other)

    def __radd__(self, other):
        return binary(_add, self, other)

    def __sub__(self, other):
        return binary(_sub, self, other)

    def __rsub__(self, other):
        return binary(_rsub, self, other)

    def __mul__(self, other):
        return binary(_mul, self, other)

    def __rmul__(self, other):
        return binary(_mul, self, other)

    def __truediv__(self, other):
        return binary(_div, self, other)

    def __rtruediv__(self, other):
        return _ops.rdiv(self, other) if is_operand(other) else NotImplemented

    def __pow__(self, other, modulo):
        return power(self, other)

    def __rpow__(self, other, modulo):
        return power(other, self)

    def __neg__(self):
        return dispatch(_neg, (self,), None)

    def __pos__(self):
        return _ops.positive(self)

    def __abs__(self):
        return _ops.abs(self)

    def __invert__(self):
        return _ops.bitwise_not(self)

    def __matmul__(self, other):
        return _ops.matmul(self, other) if isinstance(other, Tensor) else NotImplemented

    def __floordiv__(self, other):
        return _ops.floor_divide(self, other) if is_operand(other) else NotImplemented

    def __rfloordiv__(self, other):
        return _ops.floor_divide(other, self) if is_operand(other) else NotImplemented

    def __mod__(self, other):
        return _ops.remainder(self, other) if is_operand(other) else NotImplemented

    def __rmod__(self, other):
        return _ops.remainder(other, self) if is_operand(other) else NotImplemented

    def __lshift__(self, other):
        return _ops.bitwise_left_shift(self, other) if is_operand(other) else NotImplemented

    def __rlshift__(self, other):
        return _ops.bitwise_left_shift(other, self) if is_operand(other) else NotImplemented

    def __rshift__(self, other):
        return _ops.bitwise_right_shift(self, other) if is_operand(other) else NotImplemented

    def __rrshift__(self, other):
        return _ops.bitwise_right_shift(other, self) if is_operand(other) else NotImplemented

    def __and__(self, other):
        return binary(_operators["bitwise_and"], self, other)

    def __rand__(self, other):
        return binary(_operators["bitwise_and"], other, self)

    def __or__(self, other):
        return binary(_operators["bitwise_or"], self, other)

    def __ror__(self, other):
        return binary(_operators["bitwise_or"], other, self)

    def __xor__(self, other):
        return binary(_operators["bitwise_xor"], self, other)

    def __rxor__(self, other):
        return binary(_operators["bitwise_xor"], other, self)

    def __lt__(self, other):
        return binary(_lt, self, other)

    def __le__(self, other):
        return binary(_le, self, other)

    def __gt__(self, other):
        return binary(_gt, self, other)

    def __ge__(self, other):
        return binary(_ge, self, other)

    def __eq__(self, other):
        return binary(_eq, self, other)

    def __ne__(self, other):
        return binary(_ne, self, other)

    def __hash__(self):
        return (<size_t><PyObject*>self) >> 4

    def __iadd__(self, other):
        return inplace_binary(_add, self, other)

    def __isub__(self, other):
        return inplace_binary(_sub, self, other)

    def __imul__(self, other):
        return inplace_binary(_mul, self, other)

    def __itruediv__(self, other):
        return inplace_binary(_div, self, other)

    def __ifloordiv__(self, other):
        return _ops.floor_divide(self, other, out=_IN_PLACE)

    def __imod__(self, other):
        return _ops.remainder(self, other, out=_IN_PLACE)

    def __ipow__(self, other):
        return dispatch(_pow if isinstance(other, Tensor) else _pow_number, (self, other), _IN_PLACE)

    def __iand__(self, other):
        return inplace_binary(_operators["bitwise_and"], self, other)

    def __ior__(self, other):
        return inplace_binary(_operators["bitwise_or"], self, other)

    def __ixor__(self, other):
        return inplace_binary(_operators["bitwise_xor"], self, other)

    def __ilshift__(self, other):
        return _ops.bitwise_left_shift(self, other, out=_IN_PLACE)

    def __irshift__(self, other):
        return _ops.bitwise_right_shift(self, other, out=_IN_PLACE)

    def __getitem__(self, key):
        return _ops.getitem(self, key)

    def __setitem__(self, key, value):
        _ops.setitem(self, key, value)

    def __delitem__(self, key):
        raise TypeError("Tensor does not support deleting items")

    def __len__(self):
        if PyArray_NDIM(self.array) == 0:
            raise TypeError("len() of a 0-d tensor")
        return PyArray_DIMS(self.array)[0]

    def __bool__(self):
        cdef npy_intp size = PyArray_SIZE(self.array)
        if size != 1:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous" if size == 0 else
                               "Boolean value of Tensor with more than one value is ambiguous")
        return bool(self.item())

    # ---- attributes

    @property
    def shape(self):
        """The sizes of the dimensions, a `torch.Size`."""
        return Size((<object>self.array).shape)

    @property
    def dtype(self):
        """The number type of the elements."""
        return DTYPES[code_of(self.array)]

    @property
    def device(self):
        """Where the tensor lives: "cpu" or "meta"."""
        return META if self.meta else CPU

    @property
    def ndim(self):
        """The number of dimensions."""
        return PyArray_NDIM(self.array)

    @property
    def requires_grad(self):
        """Whether gradients flow to or through this tensor."""
        return requires(self)

    @requires_grad.setter
    def requires_grad(self, value):
        if self.node is not None or (self.base is not None and requires(self)):
            if not value:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use a computed "
                    "variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
                )
            return
        if value and self.inference and not pb_thread.inference:
            raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not "
                               "allowed.")
        if value and KIND[code_of(self.array)] < 2:
            raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
        self.requires = bool(value)

    @property
    def is_leaf(self):
        """Whether the tensor is at the graph's edge: made by the user, or without a gradient."""
        return self.grad_fn is None

    @property
    def grad_fn(self):
        """The node that computed this tensor, None for a leaf."""
        refresh_view(self)
        return self.node

    @property
    def output_nr(self):
        """Which output of `grad_fn` this tensor is."""
        refresh_view(self)
        return self.output_index

    @property
    def retains_grad(self):
        """Whether `.grad` is kept though this is no leaf."""
        return self.retains and not self.is_leaf

    @property
    def grad(self):
        """The gradient that backward passes have added up here, None before the first."""
        if self._grad is None and not self.retains and (self.node is not None or self.base is not None):
            if self.grad_fn is not None:
                _warn_non_leaf_grad()
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is not None:
            _check_grad(self, value)
        self._grad = value

    @grad.deleter
    def grad(self):
        self._grad = None

    @property
    def _version(self):
        if self.inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return version_of(self)

    @property
    def _base(self):
        return self.base

    @property
    def data(self):
        """The same numbers without history, and with a version counter of their own."""
        cdef Tensor t = wrap(self.array)
        t.meta = self.meta
        return t

    @data.setter
    def data(self, value):
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        cdef Tensor t = <Tensor>value
        if KIND[code_of(t.array)] < 2 and self.requires:
            raise RuntimeError("data set to a tensor that requires gradients must be floating point or "
                               "complex dtype")
        self.array = t.array
        self.meta = t.meta
        if self.accumulator is not None:
            self.accumulator.payload = t.array
            self.accumulator.describe(t.array)

    @property
    def _array(self):
        """The payload, a NumPy array: for the ops and the backends."""
        return self.array

    def item(self):
        """The only element, as a Python number; RuntimeError if there are several."""
        if pb_thread.level:
            _check_value_access(self, "item")
        cdef ndarray a = self.array
        if PyArray_SIZE(a) != 1:
            raise RuntimeError(f"a Tensor with {PyArray_SIZE(a)} elements cannot be converted to Scalar")
        if self.meta:
            raise RuntimeError("Tensor.item() cannot be called on meta tensors")
        if PyArray_TYPE(a) >= 256:
            return float((<object>a).reshape(()).astype(np.float32))
        return (<object>a).item()

    def detach(self):
        """The same numbers outside the graph; memory and version counter are shared."""
        return dispatch(_operators["detach"], (self,), None)

    def requires_grad_(self, requires_grad=True):
        """Sets `requires_grad` and returns the tensor."""
        if requires_grad and KIND[code_of(self.array)] < 2:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        self.requires_grad = requires_grad
        return self

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Adds the gradient of this scalar (or of <gradient, self>) to the `.grad` of the graph's leaves.

        `inputs` limits it to some tensors, `retain_graph` keeps what was saved for another pass, and
        `create_graph` records the pass itself so that it can be differentiated.

        >>> import pullback as torch
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([2., 4.])
        """
        if type(self) is not Tensor and not is_plain(type(self)):
            return torch_function(Tensor.backward, (self,), (self,),
                                  dict(gradient=gradient, retain_graph=retain_graph,
                                       create_graph=create_graph, inputs=inputs))
        if gradient is None and inputs is None and not create_graph:
            backward_scalar(self, bool(retain_graph))
        else:
            _backward(self, gradient, retain_graph, create_graph, inputs)

    def register_hook(self, hook):
        """Calls `hook(grad)` when the gradient of this tensor is known; what it returns replaces it."""
        cdef int index
        if not requires(self):
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        cdef Node node = history(self, &index)
        return _register(hooks_of(node).tensor.setdefault(index, OrderedDict()), hook)

    def register_post_accumulate_grad_hook(self, hook):
        """Calls `hook(tensor)` after a backward pass has added to `.grad` of this leaf."""
        if not requires(self):
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.grad_fn is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        return _register(hooks_of(accumulator(self)).accumulated, hook)

    def retain_grad(self):
        """Keeps `.grad` for this tensor though it is no leaf."""
        cdef int index
        if not requires(self):
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self.grad_fn is None or self.retains:
            return
        cdef Node node = history(self, &index)
        hooks_of(node).retained[index] = PyWeakref_NewRef(self, None)
        self.retains = True

    def is_inference(self):
        """Whether the tensor was made in inference mode."""
        return self.inference

    def _is_view(self):
        return self.base is not None

    @property
    def __dict__(self):
        return PyObject_GenericGetDict(self, NULL)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """What a subclass overrides to take part in every op; the default makes results of its class."""
        with DisableTorchFunction():
            result = func(*args, **(kwargs or {}))
        return result if cls is Tensor else as_subclass(result, cls)


cdef _give_dict():
    cdef Tensor t = Tensor.__new__(Tensor)
    lazy_dict(<PyTypeObject*><PyObject*>Tensor, <char*>&t.attributes - <char*><PyObject*>t)


_give_dict()


def attach(dict members):
    """Puts methods and properties on Tensor. An extension type refuses setattr, its dict does not."""
    table = <dict>(<PyTypeObject*><PyObject*>Tensor).tp_dict
    for name, member in members.items():
        table[name] = member
    PyType_Modified(Tensor)


cdef Tensor wrap(ndarray a):
    """A new tensor around an array: no history, no gradient."""
    cdef Tensor t = Tensor.__new__(Tensor)
    t.array = a
    t.inference = pb_thread.inference
    return t


def conj(x):
    """The complex conjugate of a tensor or number; a real one is returned as it is."""
    if isinstance(x, Tensor):
        return _ops.conj_physical(x) if KIND[code_of((<Tensor>x).array)] == 3 else x
    return x.conjugate() if isinstance(x, complex) else x


def from_array(a, bint requires_grad=False, bint meta=False):
    """A tensor around an array, whose memory it shares."""
    cdef Tensor t = wrap(a)
    if meta:
        t.meta = True
    if requires_grad:
        t.requires_grad = True
    return t


def make_subclass(cls, Tensor data, bint requires_grad=False):
    """A tensor of class `cls` with the payload of `data`, a leaf."""
    cdef Tensor t = (<object>Tensor).__new__(cls)
    t.array, t.meta, t.storage = data.array, data.meta, storage(data)
    t.inference = pb_thread.inference
    if requires_grad:
        t.requires_grad = True
    return t


cdef object as_subclass(object x, cls):
    """Results of a subclass's op, in its class, history and all."""
    cdef Tensor t, source
    if type(x) is Tensor:
        source = <Tensor>x
        t = (<object>Tensor).__new__(cls)
        t.array, t.node, t.accumulator, t.storage, t.base = (
            source.array, source.node, source.accumulator, source.storage, source.base)
        t.output_index, t.attr_version, t.creation = source.output_index, source.attr_version, source.creation
        t.requires, t.meta, t.inference, t._grad = source.requires, source.meta, source.inference, source._grad
        return t
    if type(x) in (tuple, list):
        return type(x)([as_subclass(item, cls) for item in x])
    return x


def retype(x, cls):
    """`x` as a tensor of class `cls`, with its place in the graph."""
    return as_subclass(x if type(x) is Tensor else alias_of(x), cls)


cdef Tensor alias_of(Tensor x):
    cdef Tensor t = wrap(x.array)
    t.node, t.output_index, t.requires, t.meta = x.node, x.output_index, x.requires, x.meta
    t.storage, t.base, t.accumulator = storage(x), x.base, x.accumulator
    t.attr_version, t.creation = x.attr_version, x.creation
    return t


cdef Tensor detached(Tensor x):
    cdef Tensor t = wrap(x.array)
    t.storage = storage(x)
    t.meta = x.meta
    t.inference = x.inference
    return t


def _warn_non_leaf_grad():
    warnings.warn(
        "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't "
        "be populated during autograd.backward(). If you indeed want the .grad field to be populated for a "
        "non-leaf Tensor, use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by "
        "mistake, make sure you access the leaf Tensor instead.", UserWarning, stacklevel=2)


cdef _check_grad(Tensor t, value):
    if not isinstance(value, Tensor):
        raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}")
    if value is t:
        raise RuntimeError("can't assign Variable as its own grad")
    cdef Tensor g = <Tensor>value
    if code_of(g.array) != code_of(t.array):
        raise RuntimeError(
            f"attempting to assign a gradient with dtype '{_scalar_name(code_of(g.array))}' to a tensor with "
            f"grad_dtype '{DTYPES[code_of(t.array)].type_name}'. The gradient must match the tensor's grad_dtype "
            "(defaults to the tensor's dtype). You can set the tensor's grad_dtype attribute with a specific "
            "dtype, or None to allow any dtype. Set grad_dtype with caution. Diverging the dtypes of a tensor and "
            "its gradient may break downstream systems that assume they match.")
    if g.meta != t.meta:
        raise RuntimeError(f"attempting to assign a gradient with device type '{g.device}' to a tensor with "
                           f"device type '{t.device}'. Please ensure that the gradient and the tensor are on the "
                           "same device")
    if (<object>g.array).shape != (<object>t.array).shape:
        raise RuntimeError(f"attempting to assign a gradient of size '{list(g.shape)}' to a tensor of size "
                           f"'{list(t.shape)}'. Please ensure that the gradient and the tensor are the same size")


def _scalar_name(code):
    """The C++ name of a dtype, as some of PyTorch's messages have it."""
    return {"Byte": "unsigned char", "Char": "signed char", "Long": "long", "Half": "c10::Half",
            "BFloat16": "c10::BFloat16", "ComplexFloat": "c10::complex<float>",
            "ComplexDouble": "c10::complex<double>"}.get(DTYPES[code].type_name, DTYPES[code].type_name.lower())


# ------------------------------------------------------------------------- subclasses, interpreters

_PLAIN = {Tensor: True}


cdef bint is_plain(cls):
    """Whether ops treat tensors of this class as they treat Tensor."""
    found = _PLAIN.get(cls)
    if found is None:
        found = _PLAIN[cls] = getattr(cls.__torch_function__, "__func__", cls.__torch_function__) is (
            disabled_torch_function)
    return found


def disabled_torch_function(*args, **kwargs):
    """Set as `__torch_function__`: ops treat the subclass as a plain Tensor (`Parameter` does)."""
    raise TypeError("a class with __torch_function__ disabled takes no part in dispatch")


_function_state = threading.local()


class DisableTorchFunction:
    """Within, subclasses of Tensor are treated as Tensor."""

    def __enter__(self):
        self.before = getattr(_function_state, "off", False)
        _function_state.off = True

    def __exit__(self, *exc):
        _function_state.off = self.before


_function_modes = threading.local()


def function_modes():
    """This thread's stack of TorchFunctionModes."""
    if not hasattr(_function_modes, "stack"):
        _function_modes.stack = []
    return _function_modes.stack


cdef object overriding(tuple args):
    """The classes among the arguments that override `__torch_function__`, None if there are none."""
    found = None
    if getattr(_function_state, "off", False):
        return None
    for x in args:
        if type(x) is list or type(x) is tuple:
            more = overriding(tuple(x))
            if more is not None:
                found = (found or []) + [c for c in more if c not in (found or [])]
        elif isinstance(x, Tensor):
            if type(x) is not Tensor and not is_plain(type(x)) and (found is None or type(x) not in found):
                found = (found or []) + [type(x)]
        elif hasattr(type(x), "__torch_function__") and (found is None or type(x) not in found):
            found = (found or []) + [type(x)]
    return found


def torch_function(func, operands, args, kwargs):
    """Asks the overriding classes among `operands`, subclasses first, to do `func(*args, **kwargs)`."""
    types = overriding(tuple(operands)) or []
    ordered = []
    for cls in types:
        place = next((i for i, other in enumerate(ordered) if issubclass(cls, other)), len(ordered))
        ordered.insert(place, cls)
    for cls in ordered:
        result = cls.__torch_function__(func, tuple(ordered), args, kwargs)
        if result is not NotImplemented:
            return result
    raise TypeError(f"no implementation found for 'torch.{getattr(func, '__name__', func)}' on types that "
                    f"implement __torch_function__: [{', '.join(str(c) for c in ordered)}]")


_levels = threading.local()


def push_level(interpreter):
    """Puts a transform on top of the stack: each op called on this thread goes to it first."""
    if not hasattr(_levels, "stack"):
        _levels.stack = []
    _levels.stack.append(interpreter)
    pb_thread.level = len(_levels.stack)


def pop_level():
    """Takes the top transform off the stack."""
    top = _levels.stack.pop()
    pb_thread.level = len(_levels.stack)
    return top


def levels():
    """The stack of transforms on this thread, bottom first."""
    return list(getattr(_levels, "stack", ()))[:pb_thread.level]


cdef object through_levels(Op op, tuple args, object out):
    """Lets the top interpreter do the op, with the level below in force meanwhile."""
    cdef int level = pb_thread.level
    pb_thread.level = level - 1
    try:
        return _levels.stack[level - 1].process(op, args, out)
    finally:
        pb_thread.level = level


cdef int _check_value_access(Tensor t, str what) except -1:
    for interpreter in levels():
        interpreter.check_value_access(t, what)
    return 0


# -------------------------------------------------------------------------------------------- apply

cdef object dispatch(Op op, tuple args, object out):
    """An op on bound arguments, by whatever they and the stack of levels call for."""
    cdef Py_ssize_t i
    cdef object x
    cdef PyObject* argv[MAX_PARAMS]
    cdef bint plain = True
    for i in range(op.nparams):
        x = args[i]
        argv[i] = <PyObject*>x
        if type(x) is not Tensor:
            kind = (<str>op.kinds)[i]
            if kind == u'T' or kind == u'L' or kind == u'N' or kind == u'O':
                if isinstance(x, Tensor):
                    plain = False
                else:
                    plain = _check_argument(op, i, kind, x) and plain
    if not plain or out is not None:
        operands = args if out is None or out is _IN_PLACE else args + (out,)
        if overriding(operands):
            return torch_function(op, operands, args, {} if out is None else {"out": out})
    if pb_thread.level:
        return through_levels(op, args, out)
    return apply(op, args, argv, out)


cdef bint _check_argument(Op op, Py_ssize_t i, Py_UCS4 kind, object x) except -1:
    """Refuses an argument of the wrong type; says whether it is surely none with a dispatch of its own."""
    if kind == u'N':
        if type(x) in (float, int, bool, complex):
            return True
    elif kind == u'O' and x is None:
        return True
    elif kind == u'L' and type(x) in (list, tuple):
        for item in x:
            if not isinstance(item, Tensor) and item is not None and not hasattr(type(item), "__torch_function__"):
                raise TypeError(f"expected Tensor as element 0 in argument 0, but got {type(item).__name__}"
                                if op.params[i] == "tensors" else
                                f"{op.__name__}(): argument '{op.params[i]}' (position {i + 1}) must be tuple of "
                                f"Tensors, but found element of type {type(item).__name__}")
        return False
    if hasattr(type(x), "__torch_function__"):
        return False
    if kind == u'N' and number_dtype(x) is not None:
        return True
    wanted = {"T": "Tensor", "N": "Tensor", "O": "Tensor", "L": "tuple of Tensors"}[chr(kind)]
    raise TypeError(f"{op.__name__}(): argument '{_shown(op.params[i])}' (position {i + 1}) must be {wanted}, "
                    f"not {type(x).__name__}")


def apply_below(Op op, tuple args, out=None):
    """The op at the present level: what interpreters call once they have done their part."""
    cdef PyObject* argv[MAX_PARAMS]
    cdef Py_ssize_t i
    if pb_thread.level:
        return through_levels(op, args, out)
    for i in range(op.nparams):
        argv[i] = <PyObject*>args[i]
    return apply(op, args, argv, out)


cdef object apply(Op op, tuple args, PyObject** argv, object out):
    """The op itself: in place, into `out`, or into new tensors."""
    if out is not None:
        if out is _IN_PLACE:
            return apply_inplace(op, args, argv)
        return apply_out(op, args, argv, out)
    if op.elementwise:
        return apply_pointwise(op, argv, op.nparams, None)
    cdef unsigned int need = 0
    cdef object arrays = compute(op, args, argv), outs
    cdef bint meta = _any_meta(op, argv)
    if pb_thread.grad and not op.nondiff:
        need = needs(op, argv)
    if type(arrays) is np.ndarray:
        outs = wrap(<ndarray>arrays)
        (<Tensor>outs).meta = meta
    elif isinstance(arrays, (tuple, list)):
        outs = tuple([wrap(a if isinstance(a, ndarray) else np.asarray(a)) for a in arrays])
        if meta:
            for t in outs:
                (<Tensor>t).meta = True
    else:
        outs = wrap(np.asarray(arrays))
        (<Tensor>outs).meta = meta
    if op.view:
        mark_views(op, <Tensor>argv[op.tensor_params[0]], outs)
    if need:
        record(op, argv, need, outs)
    return outs


cdef bint _any_meta(Op op, PyObject** argv) except -1:
    cdef int k
    cdef bint meta = False, host = False
    for k in range(op.ntensors):
        x = <object>argv[op.tensor_params[k]]
        if isinstance(x, Tensor):
            if (<Tensor>x).meta:
                meta = True
            elif PyArray_NDIM((<Tensor>x).array) > 0:
                host = True
        elif type(x) is list or type(x) is tuple:
            for item in x:
                if isinstance(item, Tensor):
                    if (<Tensor>item).meta:
                        meta = True
                    else:
                        host = True
    if meta and host and op.kinds.count("T") + op.kinds.count("N") > 1:
        raise RuntimeError("Tensor on device meta is not on the expected device cpu!")
    return meta


cdef object compute(Op op, tuple args, PyObject** argv):
    """The kernel on the payloads; the half precisions go through float32 unless data is only moved."""
    cdef int k, p, half = -1, code
    cdef list values = list(args)
    cdef ndarray a
    for k in range(op.ntensors):
        p = op.tensor_params[k]
        x = args[p]
        if isinstance(x, Tensor):
            values[p] = a = (<Tensor>x).array
            if not op.moves:
                code = PyArray_TYPE(a)
                if code == 23 or code >= 256:
                    half = code_of(a) if half < 0 else half
                    values[p] = a.astype(np.float32)
        elif type(x) is list or type(x) is tuple:
            values[p] = [(<Tensor>item).array if isinstance(item, Tensor) else item for item in x]
    results = quiet_call(op.kernel, values)
    if half >= 0:
        if isinstance(results, (tuple, list)):
            return tuple([_narrow(r, half) for r in results])
        return _narrow(results, half)
    return results


cdef object _narrow(object a, int half):
    a = np.asarray(a)
    return cast_array(a, half) if a.dtype == np.float32 else a


cdef object apply_pointwise(Op op, PyObject** argv, int n, ndarray out):
    """An elementwise op on tensors and numbers."""
    cdef Tensor result = wrap(compute_pointwise(op, argv, n, out))
    cdef unsigned int need = 0
    cdef int i
    cdef bint meta = False
    for i in range(n):
        if isinstance(<object>argv[i], Tensor):
            if (<Tensor>argv[i]).meta:
                meta = True
            elif requires(<Tensor>argv[i]):
                need |= 1u << i
    if meta:
        result.meta = _any_meta(op, argv)
        need = needs(op, argv)
    if need and pb_thread.grad and not op.nondiff and KIND[code_of(result.array)] >= 2:
        record(op, argv, need, result)
    return result


cdef bint requires(Tensor t) noexcept:
    return t.requires or t.node is not None or (t.base is not None and requires(t.base))


cdef unsigned int needs(Op op, PyObject** argv) except? 0xFFFFFFFF:
    """The tensor parameters that want a gradient, a bit each."""
    cdef unsigned int need = 0
    cdef int k
    for k in range(op.ntensors):
        x = <object>argv[op.tensor_params[k]]
        if isinstance(x, Tensor):
            if requires(<Tensor>x):
                need |= 1u << k
        elif type(x) is list or type(x) is tuple:
            for item in x:
                if isinstance(item, Tensor) and requires(<Tensor>item):
                    need |= 1u << k
                    break
    return need


cdef Node history(Tensor t, int* index):
    """Where the gradient of a tensor goes: its node, or the accumulator of a leaf that requires it."""
    index[0] = 0
    if t.base is not None:
        refresh_view(t)
    if t.node is not None:
        index[0] = t.output_index
        return t.node
    if t.requires:
        return accumulator(t)
    return None


cdef Node accumulator(Tensor t):
    """The node that adds into `.grad` of a leaf."""
    cdef Node node = t.accumulator
    if node is None:
        node = Node.__new__(Node)
        node.kind = NODE_ACCUMULATE
        node.seq = 0xFFFFFFFFFFFFFFFF
        node.leaf = PyWeakref_NewRef(t, None)
        node.payload = t.array
        node.describe(t.array)
        t.accumulator = node
    return node


cdef Node new_node(Op op, PyObject** argv, unsigned int need):
    """A node with its edges."""
    global sequence
    cdef Node node = Node.__new__(Node)
    cdef Node source
    cdef int k, index = 0
    node.op = op
    node.need = need
    sequence += 1
    node.seq = sequence
    for k in range(op.ntensors):
        x = <object>argv[op.tensor_params[k]]
        if isinstance(x, Tensor):
            source = None
            if (need >> k) & 1 and (op.joint is not None or op.rules[k] is not None):
                source = history(<Tensor>x, &index)
            node.add_edge(source, index if source is not None else 0)
        elif type(x) is list or type(x) is tuple:
            for item in x:
                source = history(<Tensor>item, &index) if isinstance(item, Tensor) else None
                node.add_edge(source, index if source is not None else 0)
        elif x is not None or (<str>op.kinds)[op.tensor_params[k]] != u'.':
            node.add_edge(None, 0)
    if pb_thread.anomaly:
        _note_traceback(node)
    return node


cdef int record(Op op, PyObject** argv, unsigned int need, object outs) except -1:
    """Makes the node of an op that was just computed and hangs it on its results."""
    cdef Node node
    cdef Tensor t
    cdef int i
    if isinstance(outs, Tensor):
        t = <Tensor>outs
        if KIND[code_of(t.array)] < 2:
            return 0
        node = new_node(op, argv, need)
        t.node = node
        node.describe(t.array)
    else:
        if not any(KIND[code_of((<Tensor>x).array)] >= 2 for x in outs):
            return 0
        node = new_node(op, argv, need)
        node.outputs = []
        node.noutputs = len(outs)
        for i, x in enumerate(outs):
            t = <Tensor>x
            if KIND[code_of(t.array)] >= 2:
                t.node = node
                t.output_index = i
                node.outputs.append(((<object>t.array).shape, code_of(t.array)))
            else:
                node.outputs.append(None)
    if op.nsaved:
        node.saved = saved_inputs(op, argv, need)
        save_results(node, outs)
    return 0


cdef tuple saved_inputs(Op op, PyObject** argv, unsigned int need):
    """What the rules of the wanted gradients name, in the order of `op.saved_names`, None for results."""
    cdef tuple saved = PyTuple_New(op.nsaved)
    cdef object entry, x
    cdef int i, kind
    for i in range(op.nsaved):
        entry = None
        kind = op.saved_kind[i]
        if op.saved_mask[i] & need and kind != SAVE_RESULT and kind != SAVE_RESULTS:
            x = <object>argv[op.saved_param[i]]
            if kind == SAVE_TENSOR:
                entry = keep(x)
            elif kind == SAVE_PARAM:
                entry = x
            elif isinstance(x, Tensor):
                entry = (<object>(<Tensor>x).array).shape if kind == SAVE_SHAPE else (<Tensor>x).dtype
            elif type(x) is list or type(x) is tuple:
                entry = [t.shape if kind == SAVE_SHAPE else t.dtype for t in x]
        Py_INCREF(entry)
        PyTuple_SET_ITEM(saved, i, entry)
    PyObject_GC_UnTrack(<PyObject*>saved)
    return saved


cdef int save_results(Node node, object outs) except -1:
    """Adds the results that the rules name to a node's saved values."""
    cdef Op op = node.op
    cdef object entry
    cdef int i, kind
    for i in range(op.nsaved):
        kind = op.saved_kind[i]
        if op.saved_mask[i] & node.need and (kind == SAVE_RESULT or kind == SAVE_RESULTS):
            if kind == SAVE_RESULT:
                entry = keep_result(<Tensor>(outs if isinstance(outs, Tensor) else outs[op.saved_param[i]]), node)
            else:
                entry = [keep_result(<Tensor>x, node) for x in outs]
            Py_DECREF((<tuple>node.saved)[i])
            Py_INCREF(entry)
            PyTuple_SET_ITEM(<tuple>node.saved, i, entry)
    return 0


# -------------------------------------------------------------------- views, versions, writing in place

cdef enum Creation:
    VIEW, VIEW_MULTI, VIEW_NO_GRAD, VIEW_INFERENCE, VIEW_CUSTOM


cdef Storage storage(Tensor t):
    if t.storage is None:
        t.storage = Storage.__new__(Storage)
    return t.storage


cdef unsigned int version_of(Tensor t) noexcept:
    return 0 if t.storage is None else t.storage.version


cpdef bump_version(Tensor t):
    """Says that the memory of a tensor was written to."""
    cdef Storage s = storage(t)
    s.version += 1


def set_version(Tensor t, unsigned int version):
    """Sets the version counter, unseen by the checks of saved tensors."""
    cdef Storage s = storage(t)
    s.version = version


cdef int mark_views(Op op, Tensor source, object outs) except -1:
    cdef Tensor t
    for x in (outs if isinstance(outs, tuple) else (outs,)):
        t = <Tensor>x
        if t.array is source.array:
            t.array = (<object>t.array).view()
        t.base = source.base if source.base is not None else source
        t.storage = storage(source)
        t.attr_version = t.storage.version
        t.inference = source.inference
        if op.multi_view:
            t.creation = VIEW_MULTI
        elif not pb_thread.grad:
            t.creation = VIEW_NO_GRAD
        elif source.base is not None:
            t.creation = source.creation
    return 0


cdef int refresh_view(Tensor t) except -1:
    """Renews the history of a view whose memory was written to: a strided piece of its base."""
    cdef PyObject* argv[MAX_PARAMS]
    cdef Node node
    if t.base is None or t.attr_version == t.storage.version:
        return 0
    if requires(t.base):
        op = <Op>_operators["as_strided"]
        viewed = t.base
        if code_of(t.array) != code_of(t.base.array):
            viewed = _ops.view_as_real(t.base)
        args = (viewed,) + geometry(t, t.base)
        for i in range(len(args)):
            argv[i] = <PyObject*>args[i]
        node = new_node(op, argv, 1)
        node.describe(t.array)
        node.saved = saved_inputs(op, argv, 1)
        t.node, t.output_index = node, 0
    t.attr_version = t.storage.version
    return 0


cdef tuple geometry(Tensor t, Tensor base):
    """Size, strides and offset of a view relative to the first element of its base, in elements."""
    a = <object>t.array
    item = a.itemsize
    offset = (<char*>PyArray_DATA(t.array) - <char*>PyArray_DATA(base.array)) // <npy_intp>item
    return a.shape, tuple([s // item for s in a.strides]), offset


cdef int check_writable(Tensor t, bint other_requires) except -1:
    """Refuses a write that autograd could not follow: before anything is written."""
    if t.inference and not pb_thread.inference:
        raise RuntimeError("Inplace update to inference tensor outside InferenceMode is not allowed."
                           "You can make a clone to get a normal tensor before doing inplace update."
                           "See https://github.com/pytorch/rfcs/pull/17 for more details.")
    if not pb_thread.grad:
        return 0
    if t.base is not None and (other_requires or requires(t)):
        check_view_creation(t)
    if requires(t):
        if t.base is not None and t.base.node is None and requires(t.base):
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
        if t.node is None and t.base is None:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    return 0


cdef int check_view_creation(Tensor t) except -1:
    cdef Node node
    if t.creation == VIEW:
        return 0
    node = t.grad_fn
    who = "This view"
    if node is not None:
        name = node.name()
        for digit in "0123456789":
            name = name.removesuffix("Backward" + digit)
        who = f"Output {t.output_index} of {name}"
    if t.creation == VIEW_MULTI:
        raise RuntimeError(
            f"{who} is a view and is being modified inplace. This view is the output of a function that returns "
            "multiple views. Such functions do not allow the output views to be modified inplace. You should "
            "replace the inplace operation by an out-of-place one.")
    if t.creation == VIEW_CUSTOM:
        raise RuntimeError(
            f"{who} is a view and is being modified inplace. This view was created inside a custom Function (or "
            "because an input was returned as-is) and the autograd logic to handle view+inplace would override "
            "the custom backward associated with the custom Function, leading to incorrect gradients. This "
            "behavior is forbidden. You can fix this by cloning the output of the custom Function.")
    if node is None:
        raise RuntimeError(
            "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Given that "
            "this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both "
            "the view and the inplace either both inside the no_grad block (if you don't want the inplace to be "
            "tracked) or both outside (if you want the inplace to be tracked).")
    return 0


cdef bint self_overlaps(ndarray a):
    """Whether two elements share memory, as in an expanded tensor."""
    cdef int i
    for i in range(PyArray_NDIM(a)):
        if PyArray_DIMS(a)[i] > 1 and a.strides[i] == 0:
            return True
    return False


cdef object apply_inplace(Op op, tuple args, PyObject** argv):
    """The op with its result written into its first input: `x.mul_(y)`, `x += y`."""
    cdef Tensor target
    if not isinstance(args[0], Tensor):
        raise TypeError(f"{op.__name__}_(): argument 'input' (position 1) must be Tensor, not {type(args[0]).__name__}")
    target = <Tensor>args[0]
    cdef unsigned int need = needs(op, argv) if not op.nondiff and pb_thread.grad else 0
    check_writable(target, need != 0)
    if self_overlaps(target.array):
        raise RuntimeError("unsupported operation: more than one element of the written-to tensor refers to a "
                           "single memory location. Please clone() the tensor before performing the operation.")
    cdef Node node = None
    cdef Tensor before
    cdef PyObject* first = argv[0]
    cdef int i, index = 0
    if need and KIND[code_of(target.array)] >= 2:
        # The node is made before the write: what it saves is what went in. A rule that looks at the old
        # value of the target gets a copy of it.
        before = target
        for i in range(op.nsaved):
            if op.saved_kind[i] == SAVE_TENSOR and op.saved_param[i] == 0 and op.saved_mask[i] & need:
                before = detached(target)
                before.array = before.array.copy()
                before.storage = None
                with_history(before, history(target, &index), target.output_index)
                break
        argv[0] = <PyObject*>before
        node = new_node(op, argv, need | 1)
        if op.nsaved:
            node.saved = saved_inputs(op, argv, need | 1)
        argv[0] = first
        node.set_edge(0, history(target, &index), index)
    if op.elementwise:
        write_pointwise(op, argv, target)
    else:
        write_result(op, target, compute(op, args, argv))
    bump_version(target)
    if node is not None:
        if op.nsaved:
            save_results(node, target)
        node.describe(target.array)
        hang(node, target)
    return target


cdef int write_pointwise(Op op, PyObject** argv, Tensor target) except -1:
    """Computes into the target's memory where the dtype allows; nothing is written before all is checked."""
    cdef int codes[MAX_IN]
    cdef int code = result_code(argv, op.nparams, codes)
    cdef int have = code_of(target.array), out_code, i
    cdef ndarray result
    for i in range(1, op.nparams):
        if isinstance(<object>argv[i], Tensor) and PyArray_NDIM((<Tensor>argv[i]).array) > 0 and (
                not same_shape((<Tensor>argv[i]).array, target.array)):
            arrays = [(<Tensor>argv[j]).array for j in range(op.nparams) if isinstance(<object>argv[j], Tensor)]
            _check_broadcast(arrays)
            check_shape(np.broadcast_shapes(*[a.shape for a in arrays]), (<object>target.array).shape)
    if op.promotion == PROMOTE_FLOAT and KIND[code] < 2:
        code = default_float
    if op.loops is None:
        op._resolve()
    if op.loops is not None and op.loops.fn[code] != NULL and (op.direct >> code) & 1 and not target.meta:
        out_code = code_of_type(op.loops.out_type[code])
        check_castable(out_code, have)
        if out_code == have:
            compute_pointwise(op, argv, op.nparams, target.array)
            return 0
    result = compute_pointwise(op, argv, op.nparams, None)
    check_castable(code_of(result), have)
    if not target.meta:
        np.copyto(target.array, result, casting="unsafe")
    return 0


cdef bint same_shape(ndarray a, ndarray b) noexcept:
    cdef int i
    if PyArray_NDIM(a) != PyArray_NDIM(b):
        return False
    for i in range(PyArray_NDIM(a)):
        if PyArray_DIMS(a)[i] != PyArray_DIMS(b)[i]:
            return False
    return True


cdef int check_castable(int given, int wanted) except -1:
    if given != wanted and not _dtypes.can_cast(DTYPES[given], DTYPES[wanted]):
        raise RuntimeError(f"result type {DTYPES[given].type_name} can't be cast to the desired output type "
                           f"{DTYPES[wanted].type_name}")
    return 0


cdef int check_shape(object got, object wanted) except -1:
    if tuple(got) != tuple(wanted):
        raise RuntimeError(f"output with shape {list(wanted)} doesn't match the broadcast shape {list(got)}")
    return 0


cdef int write_result(Op op, Tensor target, object result) except -1:
    if isinstance(result, (tuple, list)):
        raise RuntimeError(f"{op.__name__} has several results and no in-place form")
    cdef ndarray a = result if isinstance(result, ndarray) else np.asarray(result)
    if a is target.array:
        return 0
    check_castable(code_of(a), code_of(target.array))
    check_shape((<object>a).shape, (<object>target.array).shape)
    if not target.meta:
        np.copyto(target.array, a, casting="unsafe")
    return 0


cdef int hang(Node node, Tensor target) except -1:
    """Sets the history of a tensor that was written to."""
    cdef Node copy
    cdef Node base_history
    cdef Tensor base = target.base
    cdef int index = 0, i
    global sequence
    if base is None:
        target.node, target.output_index = node, 0
        if target.retains:
            hooks_of(node).retained[0] = PyWeakref_NewRef(target, None)
        return 0
    base_history = history(base, &index)
    copy = Node.__new__(Node)
    copy.kind = NODE_CUSTOM
    copy.label = "CopySlices"
    copy.custom = CopySlices(node, target.dtype, base.dtype, geometry(target, base),
                             tuple(base.shape), _dense_strides(base))
    sequence += 1
    copy.seq = sequence
    copy.add_edge(base_history, index)
    for i in range(1, node.nedges):
        source = node.edge(i, &index)
        copy.add_edge(source, index)
    copy.describe(base.array)
    if pb_thread.anomaly:
        _note_traceback(copy)
    base.node, base.output_index = copy, 0
    target.attr_version = target.storage.version - 1
    refresh_view(target)
    return 0


cdef object _dense_strides(Tensor t):
    return tuple([s // (<object>t.array).itemsize for s in (<object>t.array).strides])


class CopySlices:
    """The backward step of a write through a view: the view's part of the gradient goes through the
    in-place op's node, the rest of the base's gradient passes by."""

    def __init__(self, node, view_dtype, base_dtype, geometry, base_shape, base_strides):
        self.node, self.geometry = node, geometry
        self.view_dtype, self.base_dtype = view_dtype, base_dtype
        self.base_shape, self.base_strides = base_shape, base_strides

    def __call__(self, holder, grads):
        (g,) = grads
        whole = _ops.empty_strided(self.base_shape, self.base_strides, dtype=g.dtype)
        whole.copy_(g)
        seen = whole if self.view_dtype.is_complex == self.base_dtype.is_complex else _ops.view_as_real(whole)
        part = _ops.as_strided(seen, *self.geometry)
        results = run_node(self.node, [part.clone()], _all_needed(self.node))
        if results[0] is None:
            part.zero_()
        else:
            part.copy_(results[0])
        return (whole, *results[1:])

    def release(self):
        release(self.node)


cdef object apply_out(Op op, tuple args, PyObject** argv, object out):
    """The op with its results written into the given tensors, resized if they do not fit."""
    cdef Tensor t
    name = op.__name__
    outs = out if isinstance(out, (tuple, list)) else (out,)
    for x in outs:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(x).__name__}")
    if pb_thread.grad and not op.nondiff:
        if needs(op, argv):
            raise RuntimeError(f"{name}(): functions with out=... arguments don't support automatic "
                               "differentiation, but one of the arguments requires grad.")
        if any(requires(<Tensor>x) for x in outs):
            raise RuntimeError(f"{name}(): functions with out=... arguments don't support automatic "
                               "differentiation, but one of the arguments requires grad.")
    cdef int before = pb_thread.grad
    pb_thread.grad = 0
    try:
        results = apply(op, args, argv, None)
    finally:
        pb_thread.grad = before
    results = results if isinstance(results, tuple) else (results,)
    for x, r in zip(outs, results):
        check_castable(code_of((<Tensor>r).array), code_of((<Tensor>x).array))
    for x, r in zip(outs, results):
        write_out(<Tensor>x, <Tensor>r)
    return out


def write_out(Tensor t, Tensor result):
    """Copies a result into an `out=` tensor; another shape resizes it, with a warning if it was not empty."""
    if (<object>t.array).shape != (<object>result.array).shape:
        if PyArray_SIZE(t.array):
            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(t.shape)}, which does "
                f"not match the required output shape {list(result.shape)}. This behavior is deprecated, and in a "
                "future PyTorch release outputs will not be resized unless they have zero elements. You can "
                "explicitly reuse an out tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
                UserWarning, stacklevel=3)
        t.array = np.empty_like(result.array, dtype=(<object>t.array).dtype)
    np.copyto(t.array, result.array, casting="unsafe")
    bump_version(t)
    return t


# ----------------------------------------------------------------------------------------- backward

cdef struct Slot:
    PyObject* node      # borrowed: `Task.keep` or a parent's edge holds it
    PyObject* buffer    # owned: the summed gradient, or a list of them for several outputs; NULL for none
    int waiting         # how many nodes that feed this one have not run yet
    bint needed         # run it, or only pass it by on the way to nothing
    bint captured


@cython.final
cdef class Task:
    """One backward pass. Its state stands here and not in the nodes, so that passes may nest and run
    side by side; a hash table from node to slot takes the place of fields."""

    cdef Slot* slots
    cdef int count, capacity
    cdef int* table
    cdef Py_ssize_t mask
    cdef int* heap
    cdef int heap_size
    cdef dict captures        # slot -> list of (output index, place in `captured`)
    cdef list captured
    cdef bint keep_graph, create_graph, all_needed

    def __cinit__(self):
        cdef int i
        self.capacity = 64
        self.slots = <Slot*>PyMem_Malloc(self.capacity * sizeof(Slot))
        self.mask = 127
        self.table = <int*>PyMem_Malloc((self.mask + 1) * sizeof(int))
        self.heap = <int*>PyMem_Malloc(self.capacity * sizeof(int))
        if self.slots == NULL or self.table == NULL or self.heap == NULL:
            raise MemoryError()
        memset(self.table, 0xFF, (self.mask + 1) * sizeof(int))
        self.all_needed = True

    def __dealloc__(self):
        cdef int i
        if self.slots != NULL:
            for i in range(self.count):
                Py_XDECREF(self.slots[i].buffer)
                self.slots[i].buffer = NULL
        PyMem_Free(self.slots)
        PyMem_Free(self.table)
        PyMem_Free(self.heap)

    cdef int find(self, Node node, bint* is_new) except -1:
        """The slot of a node, made if need be."""
        cdef size_t key = <size_t><PyObject*>node
        cdef Py_ssize_t place = ((key >> 4) ^ (key >> 13)) & self.mask
        cdef int slot
        while True:
            slot = self.table[place]
            if slot < 0:
                break
            if self.slots[slot].node == <PyObject*>node:
                is_new[0] = False
                return slot
            place = (place + 1) & self.mask
        is_new[0] = True
        if self.count == self.capacity:
            self.grow()
            return self.find(node, is_new)
        slot = self.count
        self.count += 1
        self.table[place] = slot
        self.slots[slot].node = <PyObject*>node
        self.slots[slot].buffer = NULL
        self.slots[slot].waiting = 0
        self.slots[slot].needed = True
        self.slots[slot].captured = False
        return slot

    cdef int grow(self) except -1:
        cdef int i
        cdef size_t key
        cdef Py_ssize_t place
        self.capacity *= 2
        self.mask = self.mask * 2 + 1
        cdef Slot* slots = <Slot*>PyMem_Realloc(self.slots, self.capacity * sizeof(Slot))
        if slots == NULL:
            raise MemoryError()
        self.slots = slots
        cdef int* heap = <int*>PyMem_Realloc(self.heap, self.capacity * sizeof(int))
        if heap == NULL:
            raise MemoryError()
        self.heap = heap
        cdef int* table = <int*>PyMem_Realloc(self.table, (self.mask + 1) * sizeof(int))
        if table == NULL:
            raise MemoryError()
        self.table = table
        memset(table, 0xFF, (self.mask + 1) * sizeof(int))
        for i in range(self.count):
            key = <size_t>self.slots[i].node
            place = ((key >> 4) ^ (key >> 13)) & self.mask
            while table[place] >= 0:
                place = (place + 1) & self.mask
            table[place] = i
        return 0

    cdef unsigned long long rank(self, int slot) noexcept:
        return (<Node>self.slots[slot].node).seq

    cdef void push(self, int slot) noexcept:
        """Adds a ready node to the heap, latest recorded on top."""
        cdef int i = self.heap_size, parent
        cdef unsigned long long seq = self.rank(slot)
        self.heap_size += 1
        while i > 0:
            parent = (i - 1) >> 1
            if self.rank(self.heap[parent]) >= seq:
                break
            self.heap[i] = self.heap[parent]
            i = parent
        self.heap[i] = slot

    cdef int pop(self) noexcept:
        cdef int top = self.heap[0], last, i = 0, child
        self.heap_size -= 1
        if self.heap_size:
            last = self.heap[self.heap_size]
            while True:
                child = 2 * i + 1
                if child >= self.heap_size:
                    break
                if child + 1 < self.heap_size and self.rank(self.heap[child + 1]) > self.rank(self.heap[child]):
                    child += 1
                if self.rank(self.heap[child]) <= self.rank(last):
                    break
                self.heap[i] = self.heap[child]
                i = child
            self.heap[i] = last
        return top

    cdef int add_root(self, Node node, int index, Tensor grad) except -1:
        cdef bint is_new
        cdef int slot = self.find(node, &is_new)
        self.accumulate(slot, index, fit(node, index, grad, None, 0))
        return slot

    cdef int discover(self) except -1:
        """Counts, from the roots, how many nodes each node waits for."""
        cdef int done = 0, child, i, index
        cdef Node node, source
        cdef bint is_new
        while done < self.count:
            node = <Node>self.slots[done].node
            done += 1
            if node.edge0 is not None:
                child = self.find(node.edge0, &is_new)
                self.slots[child].waiting += 1
            if node.edge1 is not None:
                child = self.find(node.edge1, &is_new)
                self.slots[child].waiting += 1
            for i in range(2, node.nedges):
                source = node.edge(i, &index)
                if source is not None:
                    child = self.find(source, &is_new)
                    self.slots[child].waiting += 1
        return 0

    cdef int limit(self, list inputs) except -1:
        """Marks as needed only what lies on a way to one of `inputs`: pairs of node and output index."""
        cdef int slot, i, index
        cdef Node node, source
        cdef bint is_new
        self.all_needed = False
        self.captures = {}
        self.captured = [None] * len(inputs)
        for i in range(self.count):
            self.slots[i].needed = False
        for place, (source, index) in enumerate(inputs):
            slot = self.find(source, &is_new)
            self.slots[slot].captured = True
            self.captures.setdefault(slot, []).append((index, place))
        # An input is always recorded before what uses it; accumulators come last but have no inputs.
        order = sorted(range(self.count), key=lambda s: self.order_key(s))
        for slot in order:
            node = <Node>self.slots[slot].node
            for i in range(node.nedges):
                source = node.edge(i, &index)
                if source is not None:
                    child = self.find(source, &is_new)
                    if self.slots[child].needed or self.slots[child].captured:
                        self.slots[slot].needed = True
                        break
        return 0

    def order_key(self, int slot):
        node = <Node>self.slots[slot].node
        return 0 if node.kind == NODE_ACCUMULATE else node.seq

    cdef int accumulate(self, int slot, int index, Tensor g) except -1:
        """Adds a gradient into a node's buffer. Takes over the caller's reference count of one, if any."""
        cdef Slot* s = &self.slots[slot]
        cdef Node node = <Node>s.node
        cdef list several
        cdef object total
        if g is None:
            return 0
        if node.noutputs <= 1:
            if s.buffer == NULL:
                Py_INCREF(g)
                s.buffer = <PyObject*>g
            elif not (self.create_graph or pb_thread.level) and add_into(<Tensor>s.buffer, g):
                pass
            else:
                total = binary(_add, <object>s.buffer, g)
                Py_INCREF(total)
                s = &self.slots[slot]
                Py_DECREF(<object>s.buffer)
                s.buffer = <PyObject*>total
            return 0
        if s.buffer == NULL:
            several = [None] * node.noutputs
            Py_INCREF(several)
            s.buffer = <PyObject*>several
        several = <list>s.buffer
        several[index] = g if several[index] is None else binary(_add, several[index], g)
        return 0

    cdef int run(self) except -1:
        cdef int slot, i, index, child
        cdef Node node, source
        cdef object buffer
        cdef list grads
        cdef bint is_new, only
        for i in range(self.count):
            if self.slots[i].waiting == 0:
                self.push(i)
        while self.heap_size:
            slot = self.pop()
            node = <Node>self.slots[slot].node
            if node.kind == NODE_ACCUMULATE:
                self.finish_leaf(slot, node)
                continue
            if node.kind == NODE_OP and node.hooks is None and node.outputs is None and node.more is None and (
                    node.op.joint is None and self.slots[slot].buffer != NULL and self.slots[slot].needed
                    and not self.slots[slot].captured and node.nedges == node.op.ntensors and not pb_thread.anomaly):
                self.step_plain(slot, node)
                continue
            buffer = None
            if self.slots[slot].buffer != NULL:
                buffer = <object>self.slots[slot].buffer
                Py_DECREF(buffer)
                self.slots[slot].buffer = NULL
            grads = None
            if buffer is not None or node.kind == NODE_CUSTOM:
                grads = [buffer] if node.noutputs <= 1 else (buffer if buffer is not None
                                                              else [None] * node.noutputs)
                buffer = None
                if node.hooks is not None:
                    tensor_hooks(node, grads)
                if self.slots[slot].captured:
                    self.capture(slot, grads)
                if self.slots[slot].needed:
                    self.step(slot, node, grads)
                    continue
            self.pass_by(node)
        return 0

    cdef int step_plain(self, int slot, Node node) except -1:
        """Runs an op of one output that has no hooks: each rule as its turn comes, no list in between."""
        cdef object g = <object>self.slots[slot].buffer
        cdef object result
        cdef PyObject* source
        cdef int i, index, child
        cdef bint is_new
        Py_DECREF(g)
        self.slots[slot].buffer = NULL
        for i in range(node.nedges):
            if i == 0:
                source, index = <PyObject*>node.edge0, node.index0
            elif i == 1:
                source, index = <PyObject*>node.edge1, node.index1
            else:
                source, index = <PyObject*>node.edge2, node.index2
            if <object>source is None:
                continue
            child = self.find(<Node>source, &is_new)
            if self.all_needed or self.slots[child].needed or self.slots[child].captured:
                result = call_rule(node.op.rules[i], node, g, None, 0)
                if result is not None:
                    self.accumulate(child, index, fit(<Node>source, index, result, node, i))
                    result = None
            self.slots[child].waiting -= 1
            if self.slots[child].waiting == 0:
                self.push(child)
        if not self.keep_graph:
            release(node)
        return 0

    cdef int step(self, int slot, Node node, list grads) except -1:
        """Runs any node and hands its results on."""
        cdef int i, index, child
        cdef Node source
        cdef bint is_new
        cdef object result
        cdef list results = run_node(node, grads, self.wanted(node))
        for i in range(node.nedges):
            source = node.edge(i, &index)
            if source is None:
                continue
            child = self.find(source, &is_new)
            result = results[i] if i < len(results) else None
            if result is not None:
                results[i] = None
                self.accumulate(child, index, fit(source, index, result, node, i))
                result = None
            self.slots[child].waiting -= 1
            if self.slots[child].waiting == 0:
                self.push(child)
        if not self.keep_graph:
            release(node)
        return 0

    cdef unsigned int wanted(self, Node node) except? 0xFFFFFFFF:
        """Which edges of a node want a gradient, a bit each (the 32nd stands for all further ones)."""
        cdef unsigned int mask = 0
        cdef int i, index, child
        cdef bint is_new
        for i in range(node.nedges):
            source = node.edge(i, &index)
            if source is not None:
                if not self.all_needed:
                    child = self.find(source, &is_new)
                    if not (self.slots[child].needed or self.slots[child].captured):
                        continue
                mask |= 1u << (i if i < 31 else 31)
        return mask

    cdef int pass_by(self, Node node) except -1:
        """Nothing to run: its inputs wait for one node less."""
        cdef int i, index, child
        cdef bint is_new
        for i in range(node.nedges):
            source = node.edge(i, &index)
            if source is not None:
                child = self.find(source, &is_new)
                self.slots[child].waiting -= 1
                if self.slots[child].waiting == 0:
                    self.push(child)
        return 0

    cdef int capture(self, int slot, list grads) except -1:
        for index, place in self.captures[slot]:
            self.captured[place] = grads[index]
        return 0

    cdef int finish_leaf(self, int slot, Node node) except -1:
        """An accumulator's turn: hooks, capture, and the sum into `.grad`."""
        cdef PyObject* buffer = self.slots[slot].buffer
        cdef Tensor leaf
        cdef list grads
        if buffer == NULL:
            return 0
        self.slots[slot].buffer = NULL
        if node.hooks is None and not self.slots[slot].captured:
            leaf = leaf_of(node)
            give_grad(leaf, buffer, self.create_graph)
            return 0
        grads = [<object>buffer]
        Py_DECREF(<object>buffer)
        if node.hooks is not None:
            tensor_hooks(node, grads)
        if self.slots[slot].captured:
            self.capture(slot, grads)
        if not (self.all_needed or self.slots[slot].needed) or grads[0] is None:
            return 0
        leaf = leaf_of(node)
        if node.hooks is not None:
            for hook in tuple(node.hooks.pre.values()):
                replaced = hook(tuple(grads))
                if replaced is not None:
                    grads = [replaced] if isinstance(replaced, Tensor) else list(replaced)
        result = grads.pop()
        Py_INCREF(result)
        buffer = <PyObject*>result
        result = None
        give_grad(leaf, buffer, self.create_graph)
        if node.hooks is not None:
            for hook in tuple(node.hooks.post.values()):
                hook((), (leaf._grad,))
            for hook in tuple(node.hooks.accumulated.values()):
                hook(leaf)
        return 0


cdef bint add_into(Tensor total, Tensor g) except -1:
    """`total += g` where nobody else can see the memory of `total`; False if it cannot be done so."""
    cdef PyObject* arrays[2]
    cdef ndarray a = total.array
    if (Py_REFCNT(<PyObject*>total) > 1 + 1 or not owns(a, 2) or type(total) is not Tensor or type(g) is not Tensor
            or total.node is not None or total.requires or total.meta):
        return False
    cdef int code = code_of(a)
    if code_of(g.array) != code or not PyArray_IS_C_CONTIGUOUS(a) or not PyArray_IS_C_CONTIGUOUS(g.array):
        return False
    if not same_shape(a, g.array) or _add.loops.fn[code] == NULL:
        return False
    arrays[0], arrays[1] = <PyObject*>a, <PyObject*>g.array
    run_loop(_add.loops, code, 2, arrays, NULL, a)
    return True


cdef inline bint owns(ndarray a, int references):
    """Whether the array owns its memory and has no more than that many references."""
    return PyArray_CHKFLAGS(a, NPY_ARRAY_OWNDATA) and Py_REFCNT(<PyObject*>a) <= references


cdef int give_grad(Tensor leaf, PyObject* owned, bint create_graph) except -1:
    """Adds a gradient to `.grad` of a leaf; takes over the reference `owned`.

    A gradient that nobody else refers to becomes `.grad` itself, any other is copied: what the caller
    handed to `backward` never shares memory with `.grad`.
    """
    cdef Tensor g = <Tensor>owned
    Py_DECREF(g)   # now `g` is the only reference of ours
    cdef Tensor have
    cdef ndarray a = g.array
    cdef bint alone = Py_REFCNT(<PyObject*>g) == 1 and owns(a, 2)
    if leaf._grad is None:
        if create_graph:
            leaf._grad = g if g.node is not None else _ops.clone_like_leaf(g, leaf)
        elif alone and PyArray_IS_C_CONTIGUOUS(a) and (
                PyArray_IS_C_CONTIGUOUS(leaf.array) and not g.requires and g.node is None):
            leaf._grad = g
        else:
            leaf._grad = _ops.clone_like_leaf(g.detach() if requires(g) else g, leaf)
        return 0
    have = <Tensor>leaf._grad
    if create_graph:
        leaf._grad = binary(_add, have, g)
    elif requires(have):
        leaf._grad = binary(_add, have.detach(), g.detach())
    else:
        inplace_binary(_add, have, g.detach() if requires(g) else g)
    return 0


cdef Tensor fit(Node target, int index, object grad, Node giver, int place):
    """A rule's gradient in the shape and dtype of what it is the gradient of."""
    cdef Tensor g
    cdef int i
    if not isinstance(grad, Tensor):
        raise RuntimeError(f"expected Variable or None (got {type(grad).__name__})")
    g = <Tensor>grad
    if target.outputs is None and PyArray_NDIM(g.array) == target.nd and code_of(g.array) == target.code:
        for i in range(target.nd):
            if PyArray_DIMS(g.array)[i] != target.dims[i]:
                break
        else:
            return g
    meta = target.output_meta(index)
    if meta is None:
        return g
    shape, code = meta
    if (<object>g.array).shape != shape:
        try:
            np.broadcast_shapes(shape, (<object>g.array).shape)
            fits = len(shape) <= PyArray_NDIM(g.array) and all(
                n == m or n == 1 for n, m in zip(reversed(shape), reversed((<object>g.array).shape)))
        except ValueError:
            fits = False
        if not fits:
            who = giver.name() if giver is not None else "backward"
            raise RuntimeError(f"Function {who} returned an invalid gradient at index {place} - got "
                               f"{list(g.shape)} but expected shape compatible with {list(shape)}")
        g = _ops.sum_to_size(g, shape)
    if code_of(g.array) != code:
        g = _ops.cast_grad(g, DTYPES[code])
    return g


cdef object call_rule(object which, Node node, object g, list grads, unsigned int wanted):
    """Calls a rule with what its parameter names ask for."""
    cdef PyObject* argv[MAX_PARAMS]
    cdef object value
    cdef Rule rule
    cdef int i, k = 0, source
    if which is None:
        return None
    rule = <Rule>which
    if rule.passes:
        return g if g is not None else grads[0]
    try:
        for i in range(rule.count):
            source = rule.source[i]
            if source >= 0:
                value = unpack(node, source)
            elif source == FROM_G:
                value = g if g is not None else grads[0]
            elif source == FROM_GRADS:
                value = tuple(grads)
            elif source == FROM_NEEDS:
                value = tuple([bool((wanted >> (j if j < 31 else 31)) & 1) for j in range(node.nedges)])
            elif source == FROM_NODE:
                value = node
            else:
                value = grads[FROM_G_INDEX - source]
            Py_INCREF(value)
            argv[i] = <PyObject*>value
            k += 1
        return PyObject_Vectorcall(rule.function, argv, rule.count, NULL)
    finally:
        for i in range(k):
            Py_DECREF(<object>argv[i])


cdef unsigned int _all_needed(Node node) except? 0xFFFFFFFF:
    cdef unsigned int mask = 0
    cdef int i, index
    for i in range(node.nedges):
        if node.edge(i, &index) is not None:
            mask |= 1u << (i if i < 31 else 31)
    return mask


cdef list run_node(Node node, list grads, unsigned int wanted):
    """All gradients of one node's inputs, an entry an edge, with its hooks and the NaN check."""
    cdef list results
    cdef int i
    if node.hooks is not None and node.hooks.pre:
        for hook in tuple(node.hooks.pre.values()):
            replaced = hook(tuple(grads))
            if replaced is not None:
                grads = [replaced] if isinstance(replaced, Tensor) else list(replaced)
    given = tuple(grads) if node.hooks is not None else None
    try:
        if node.kind == NODE_CUSTOM:
            got = node.custom(node, tuple(grads))
            results = list(got) if isinstance(got, (tuple, list)) else [got]
        elif node.kind == NODE_ACCUMULATE:
            leaf = leaf_of(node)
            g = grads[0]
            Py_INCREF(g)
            give_grad(leaf, <PyObject*>g, pb_thread.grad)
            results = []
        else:
            results = op_gradients(node, grads, wanted)
    except Exception as error:
        if pb_thread.anomaly:
            _report_traceback(node)
        raise
    if pb_thread.anomaly and pb_thread.check_nan:
        _check_nan(node, results)
    if node.hooks is not None and node.hooks.post:
        for hook in tuple(node.hooks.post.values()):
            replaced = hook(tuple(results), given)
            if replaced is not None:
                results = [replaced] if isinstance(replaced, Tensor) else list(replaced)
    return results


cdef list op_gradients(Node node, list grads, unsigned int wanted):
    cdef Op op = node.op
    cdef list results = []
    cdef int k
    if all(g is None for g in grads):
        return [None] * node.nedges
    if op.joint is not None:
        got = call_rule(op.joint, node, None, grads, wanted)
        if not isinstance(got, tuple):
            got = (got,)
        for k in range(op.ntensors):
            if isinstance(got[k], list):
                results.extend(got[k])
            else:
                results.append(got[k])
        return results
    cdef int edge = 0
    for k in range(op.ntensors):
        listed = (<str>op.kinds)[op.tensor_params[k]] == u'L'
        if listed:
            width = node.nedges - op.ntensors + 1
            part = None
            if op.rules[k] is not None and any((wanted >> (edge + j if edge + j < 31 else 31)) & 1
                                               for j in range(width)):
                part = call_rule(op.rules[k], node, None, grads, wanted)
            results.extend([None] * width if part is None else part)
            edge += width
        else:
            if op.rules[k] is not None and (wanted >> edge) & 1:
                results.append(call_rule(op.rules[k], node, None, grads, wanted))
            else:
                results.append(None)
            edge += 1
    return results


cdef int release(Node node) except -1:
    """Frees what a node saved, once it has run and the graph is not kept."""
    cdef int i
    if node.kind == NODE_CUSTOM:
        if hasattr(node.custom, "release"):
            node.custom.release()
        return 0
    if node.saved is None:
        return 0
    for i in range(node.op.nsaved):
        if node.op.saved_kind[i] in (SAVE_TENSOR, SAVE_RESULT, SAVE_RESULTS) and (<tuple>node.saved)[i] is not None:
            node.saved = None
            node.freed = True
            return 0
    return 0


cdef int tensor_hooks(Node node, list grads) except -1:
    """Hooks of the tensors whose gradients these are, then those who keep them."""
    cdef Hooks hooks = node.hooks
    cdef Tensor kept
    for index, registered in tuple(hooks.tensor.items()):
        for hook in tuple(registered.values()):
            g = grads[index]
            if g is None:
                continue
            replaced = hook(g)
            if replaced is not None:
                _check_hook(hook, g, replaced)
                grads[index] = replaced
    for index, reference in hooks.retained.items():
        kept = reference()
        if kept is not None and grads[index] is not None:
            g = grads[index]
            kept._grad = binary(_add, kept._grad, g) if kept._grad is not None else _ops.keep_grad(g)
    return 0


cdef int _check_hook(hook, before, after) except -1:
    name = getattr(hook, "__name__", repr(hook))
    if not isinstance(after, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(after).__name__}'")
    if after.shape != before.shape:
        raise RuntimeError(f"hook '{name}' has changed the size of value")
    if after.dtype != before.dtype:
        raise RuntimeError(f"hook '{name}' has changed the type of value (was {before.type()} got {after.type()})")
    return 0


def run_backward(roots, grads, bint keep_graph, bint create_graph, inputs):
    """A backward pass from `roots`, tensors or (node, index) pairs, with a gradient each.

    With `inputs` (pairs of node and output index) nothing is added to `.grad`, and their gradients are
    returned in a list, None for one that was not reached.
    """
    cdef Task task = Task.__new__(Task)
    cdef int index
    cdef Node node
    task.keep_graph, task.create_graph = keep_graph, create_graph
    held = []
    cdef int before = pb_thread.grad
    pb_thread.grad = create_graph
    try:
        for root, g in zip(roots, grads):
            if isinstance(root, Tensor):
                node = history(<Tensor>root, &index)
            else:
                node, index = root
            held.append(node)
            task.add_root(node, index, g)
        task.discover()
        if inputs is not None:
            held.append(inputs)
            task.limit(inputs)
        task.run()
    finally:
        pb_thread.grad = before
    return task.captured


cdef int backward_scalar(Tensor root, bint keep_graph) except -1:
    """`loss.backward()`: the plain case without a tuple, a list or a keyword."""
    cdef Task task
    cdef int index, before = pb_thread.grad
    cdef Node node = history(root, &index)
    cdef int code = code_of(root.array)
    cdef Tensor one
    cdef char number[16]
    if node is None or PyArray_SIZE(root.array) != 1 or KIND[code] != 2 or root.meta:
        _backward(root, None, keep_graph, False, None)
        return 0
    store_number(1.0, code, number)
    one = wrap(number_array(number, code))
    if PyArray_NDIM(root.array):
        one.array = one.array.reshape((<object>root.array).shape)
    task = Task.__new__(Task)
    task.keep_graph = keep_graph
    pb_thread.grad = 0
    try:
        task.add_root(node, index, one)
        one = None
        task.discover()
        task.run()
    finally:
        pb_thread.grad = before
    return 0


def gradient_edge(Tensor t):
    """The node that the gradient of a tensor goes to, and the output index there; None if it wants none."""
    cdef int index
    cdef Node node = history(t, &index)
    return None if node is None else (node, index)


# ---------------------------------------------------------------------------------- custom functions

def custom_node(custom, label, edges, outputs):
    """A node around a Python callable `custom(node, grads) -> gradients of the inputs`.

    `edges` are tensors or None, `outputs` the tensors it computed, which are given the node as history:
    a tensor that is written to in place is passed again.
    """
    global sequence
    cdef Node node = Node.__new__(Node)
    cdef Node source
    cdef int index
    node.kind = NODE_CUSTOM
    node.custom, node.label = custom, label
    sequence += 1
    node.seq = sequence
    for x in edges:
        index = 0
        source = history(<Tensor>x, &index) if isinstance(x, Tensor) else None
        node.add_edge(source, index)
    if pb_thread.anomaly:
        _note_traceback(node)
    if outputs is not None:
        set_outputs(node, outputs)
    return node


def set_outputs(Node node, outputs):
    """Hangs a node on tensors; None stands for an output without a gradient."""
    cdef Tensor t
    cdef int i
    node.noutputs = len(outputs)
    if node.noutputs == 1 and outputs[0] is not None:
        node.describe((<Tensor>outputs[0]).array)
    else:
        node.outputs = [None if x is None else ((<object>(<Tensor>x).array).shape, code_of((<Tensor>x).array))
                        for x in outputs]
    for i, x in enumerate(outputs):
        if x is not None:
            t = <Tensor>x
            t.node, t.output_index = node, i


def hang_history(Node node, Tensor target):
    """Makes a node of one output the history of a tensor that was written to in place."""
    node.describe(target.array)
    hang(node, target)


def mark_view(Tensor t, Tensor source, str how):
    """Makes `t` a view of `source` for versions and in-place ops; `how` is "view", "multi" or "custom"."""
    t.base = source.base if source.base is not None else source
    t.storage = storage(source)
    t.attr_version = t.storage.version
    t.creation = {"view": VIEW, "multi": VIEW_MULTI, "custom": VIEW_CUSTOM}[how]


def check_inplace(Tensor t):
    """Raises what an in-place op on this tensor would raise."""
    check_writable(t, False)


def detach_inplace(Tensor t):
    """`t.detach_()`: the tensor forgets its history."""
    if t.base is not None and t.creation != VIEW_CUSTOM:
        raise RuntimeError(
            "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) "
            "for training, and gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and "
            "hence detach_() cannot be called on these gradients. To fix this error, please refer to the "
            "Optimizer.zero_grad() function in torch/optim/optimizer.py as a solution.")
    t.node, t.output_index, t.requires, t.retains = None, 0, False, False
    return t


def set_array(Tensor t, a):
    """Gives a tensor another payload, in place of its own (`resize_`, `set_`)."""
    t.array = a


def save_tensor(Tensor t, Node holder, bint result):
    """A tensor as a custom function's node keeps it; `unsave` gives it back."""
    return keep_result(t, holder) if result else keep(t)


def unsave(entry, Node holder):
    """The tensor that `save_tensor` kept; an error if it was written to since."""
    return unpack_entry(holder, entry, False)


def tangents_of(Tensor t):
    """The tangents of a dual tensor by level, None if it has none."""
    return t.tangents


def set_tangents(Tensor t, tangents):
    t.tangents = tangents


# --------------------------------------------------------------------------- the garbage collector

# NOTE [Garbage]: the collector walks every tracked object, again and again while a graph grows: 4 us an
# op in a graph of a million. Nodes and tensors point only backwards in time, so cycles need a user's help
# (a hook that holds the loss, say) and are rare. So they are not tracked, but stand in a list of our own,
# and a callback tracks them for the collections that could be of use: those that the user asks for, and
# full ones once the list has doubled since the last such.

def _on_collection(phase, info):
    global deep, live_at_deep
    if info["generation"] != 2:
        return
    if phase == "start":
        automatic = gc.get_count()[2] > gc.get_threshold()[2]
        deep = not automatic or live.count > 2 * live_at_deep + 10000
        if deep:
            _show_to_collector(True)
    elif deep:
        _show_to_collector(False)
        live_at_deep = live.count
        deep = False


cdef bint deep = False
cdef Py_ssize_t live_at_deep = 0


cdef _show_to_collector(bint show):
    cdef Link* link = live.head.next
    cdef PyObject* saved
    cdef Node node
    while link != &live.head:
        _set_tracked(link.owner, show)
        if type(<object>link.owner) is Node:
            node = <Node>link.owner
            if type(node.saved) is tuple:
                for entry in <tuple>node.saved:
                    if type(entry) is Saved:
                        _set_tracked(<PyObject*>entry, show)
                _set_tracked(<PyObject*>node.saved, show)
        link = link.next


cdef void _set_tracked(PyObject* o, bint track) noexcept:
    if PyObject_GC_IsTracked(o) != track:
        if track:
            PyObject_GC_Track(o)
        else:
            PyObject_GC_UnTrack(o)


gc.callbacks.append(_on_collection)


# ------------------------------------------------------------------------------------------- modes

def grad_enabled():
    """Whether ops record a graph on this thread."""
    return bool(pb_thread.grad)


def set_grad_enabled(bint mode):
    """Turns the recording of graphs on or off on this thread; returns what it was."""
    before = bool(pb_thread.grad)
    pb_thread.grad = mode
    return before


def inference_enabled():
    """Whether inference mode is on on this thread."""
    return bool(pb_thread.inference)


def set_inference(bint mode):
    before = bool(pb_thread.inference)
    pb_thread.inference = mode
    return before


def anomaly_state():
    """Whether anomaly mode is on, and whether it looks for NaN."""
    return bool(pb_thread.anomaly), bool(pb_thread.check_nan)


def set_anomaly(bint mode, bint check_nan=True):
    before = anomaly_state()
    pb_thread.anomaly, pb_thread.check_nan = mode, check_nan
    return before


cdef object _anomaly = None


def install_anomaly(module):
    """Hands over the functions that keep and print tracebacks."""
    global _anomaly
    _anomaly = module


cdef _note_traceback(Node node):
    _anomaly.note(node)


cdef _report_traceback(Node node):
    _anomaly.report(node)


cdef _check_nan(Node node, list results):
    _anomaly.check_nan(node, results)
