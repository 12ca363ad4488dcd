# cython: allow_none_for_extension_args=False
"""The engine: Tensor, the recorded graph, and the backward pass.

One module in parts, which stand in engine/. They share one namespace: each says at its head where to start
reading, and which names it takes from other parts.

    op.pxi          the record of an op: kernel, rules, what each rule needs saved
    pointwise.pxi   promotion and the direct loop, for elementwise ops
    nodes.pxi       the recorded graph: nodes, edges, hooks
    saved.pxi       version counters, saved values
    tensor.pxi      Tensor
    levels.pxi      the stack of transforms, to whose top each op goes
    dispatch.pxi    subclasses, apply (kernel, wrap) and record (a Node with its edges)
    meta.pxi        ops on tensors without numbers
    inplace.pxi     views, versions, writing into the first input
    mirrors.pxi     conjugate views
    creation.pxi    new tensors from plain arguments; fills.pxi: the numbers in them
    quick.pxi       other quick ways, and their table
    tapes.pxi       rules and composites, recorded once and run without Python
    replays.pxi     compiled functions: keys, recordings, and their replay
    events.pxi      what profilers note
    task.pxi        a backward pass: count dependencies, run nodes latest first
    rules.pxi       what a rule is called with, and what becomes of its results
    gradients.pxi   sums in buffers, and `.grad`
    backward.pxi    the ways to begin a pass
    custom.pxi      nodes of custom functions
    lists.pxi       whole lists of tensors at once, for optimizers
    modules.pxi     what trees of modules hold
    collector.pxi   the garbage collector and large graphs

The way of `z = x * y`, of two tensors, x a leaf that requires a gradient:

    Tensor.__mul__          tensor.pxi      the operator, with the op that `install` handed over
    binary                  tensor.pxi      two plain tensors and no transform: past `dispatch`
    apply_pointwise         dispatch.pxi    which inputs want a gradient?
    compute_pointwise       pointwise.pxi   one dtype: no promotion
    pointwise               _loops.pyx      NumPy's loop over the two payloads, into a new array
    wrap                    tensor.pxi      a Tensor around it
    record, new_node        dispatch.pxi    a Node; its edges by `history` and `accumulator`
    save_inputs, keep       dispatch.pxi, saved.pxi   what the rules of `mul` will ask for

Called by name, `torch.mul(x, y)` starts at `call_op` (op.pxi) and `dispatch` (dispatch.pxi). An op with a
kernel of its own takes the other branch of `apply`: `compute`, `laid_out`, `wrap`, `record`.

The way of `z.sum().backward()`:

    Tensor.backward         tensor.pxi
    backward_scalar         backward.pxi    a Task with one root, whose gradient is `ones_of`
    Task.discover           task.pxi        how many nodes does each node wait for?
    Task.run, step_plain    task.pxi        nodes off the heap, latest first
    call_rule, unpack       rules.pxi, saved.pxi   the rule, with what it named
    fit                     rules.pxi       its result in the shape and dtype of the input
    Task.accumulate         task.pxi        into the buffer of the node that it goes to
    release                 rules.pxi       what was saved is let go of
    finish_leaf, give_grad  task.pxi, gradients.pxi   at a leaf: into `.grad`

Gradients are Tensors throughout, and rules are made of ops, so the backward pass of a backward pass is
nothing new. NOTE [Leaves and cycles]: a leaf owns its accumulator node, the node refers to the leaf
weakly, and what is saved of a leaf is its payload and that node. So x.grad may carry a graph that
leads back to x without a cycle of strong references.
"""

import functools
import gc
import os
import sys
import threading
from collections import OrderedDict
from enum import Enum
from types import FunctionType

import numpy as np

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.exc cimport PyErr_WarnEx
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF, Py_XINCREF
from cpython.set cimport PySet_GET_SIZE
from cpython.tuple cimport PyTuple_GET_SIZE, PyTuple_New, PyTuple_SET_ITEM
from cpython.weakref cimport PyWeakref_NewRef, PyWeakref_GetObject
from libc.math cimport INFINITY, ceil, floor, fma, pow as c_pow
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset
from numpy cimport (
    import_array, ndarray, npy_int64, npy_intp, PyArray_BASE, PyArray_CHKFLAGS, PyArray_DATA, PyArray_DIMS,
    PyArray_NBYTES,
    PyArray_IS_C_CONTIGUOUS,
    PyArray_CopyInto, PyArray_ITEMSIZE, PyArray_NDIM, PyArray_NewCopy, PyArray_SIZE, PyArray_STRIDES,
    PyArray_Transpose, PyArray_TYPE, NPY_ARRAY_OWNDATA, NPY_ARRAY_WRITEABLE, NPY_CORDER,
)

import_array()

from pullback.core import dtypes as _dtypes
from pullback.core.broadcasting import common_shape
from pullback.core.hooks import RemovableHandle
from pullback.core.meta import meta_array
from pullback.core.strides import is_dense, preserved_strides, resized, strides_of
from pullback.core.dtypes import DTYPES, PROMOTION, Size, CPU, META, number_dtype
from pullback.core._loops import first, forget_used, ordered_like, strided, tap
from pullback.core._guards cimport Guards
from pullback.core._replay cimport Replay
from pullback.core._plans import run_over
from pullback.core._plans cimport (
    CAPACITY,
    MOST_ENTRIES,
    MOST_WORDS,
    USE_PLANS,
    Entry,
    Plan,
    Table,
    empty_table,
    enter,
    find_plan,
    hash_of,
    look_up,
    makes,
    put,
    put_length,
    run_plan,
    run_plan_into,
    see,
)
from pullback.core._pool cimport cut, run_t
from pullback.core._views cimport (
    BY_INDEX, BY_PLAN, BY_SELECT, BY_SLICE, Geometry, Lookup, fill_shown, find_indexed, find_selected,
    find_sliced, find_window, show,
)
from pullback.core.dtype_codes cimport (
    BFLOAT16,
    BOOL,
    COMPLEX32,
    COMPLEX64,
    FLOAT32,
    FLOAT64,
    INT64,
    KIND_BOOL,
    KIND_COMPLEX,
    KIND_FLOAT,
    KIND_INTEGER,
    NCODES,
    NO_DTYPE,
    computed_in,
    is_eight_bits,
    is_half,
)
from pullback.core._loops cimport (
    MAX_IN,
    Loops,
    Number,
    cast_element,
    code_of,
    empty,
    fold_sum,
    number_array,
    pointwise as run_loop,
    quiet_call,
    recycle,
    steps_of,
    store_number,
    view_of,
)

cdef extern from * nogil:
    """
    #if defined(_MSC_VER)
    #define pb_prefetch(where) ((void)(where))
    #else
    #define pb_prefetch(where) __builtin_prefetch(where)
    #endif
    """
    void prefetch "pb_prefetch" (const void* where)
    ctypedef bint flag "_Bool"

cdef extern from * nogil:
    """
    #if defined(_MSC_VER)
    #define PB_THREAD_LOCAL __declspec(thread)
    #else
    #define PB_THREAD_LOCAL _Thread_local
    #endif
    #if defined(__GLIBC__)   /* other C libraries refuse it in a module that is loaded later */
    __attribute__((tls_model("initial-exec")))   /* a few bytes: no call to find them */
    #endif
    static PB_THREAD_LOCAL struct {
        int grad, inference, level, saved_hooks, tangents, depth; void *task, *recorder, *interpreters;
        int noted, event; unsigned number, generation;
    } pb_thread = {1, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0, -1, 0, 0};
    """
    ctypedef struct ThreadState:
        int grad        # record a graph?
        int inference   # make inference tensors?
        int level       # interpreters on the stack
        int saved_hooks # pack hooks on the stack
        int tangents    # interpreters on the stack that hang something on tensors
        int depth       # functions under way whose gradients `func` takes
        void* task      # the backward pass under way, a Task
        void* recorder  # what notes the ops of a function, a Recorder
        void* interpreters   # all on the stack, a list that the thread's own dict keeps
        int noted       # what is called now is noted already
        int event       # the innermost event under way, -1 for none
        unsigned int number, generation   # of the thread, 0 if not known yet; of the log that `event` is of
    ThreadState pb_thread

cdef list _DEVICES = _dtypes.DEVICES    # new tensors go to the last
cdef object _CPU = CPU


cdef inline bint goes_to_cpu() noexcept:
    """Whether new tensors go to the CPU where nothing else is said."""
    return _DEVICES[len(_DEVICES) - 1] is _CPU
cdef bint anomaly = False       # keep tracebacks; for all threads, as a pass may use graphs of others
cdef bint anomaly_nan = True    # and look for NaN

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

# `Tensor(...)` and `Subclass(...)` are to take arguments, while `bare` tensors, which ops make, take none:
# so the slot of the type that Python calls is not the function that Cython calls.
cdef extern from *:
    """
    static newfunc pb_plain_new;
    static int (*pb_fill)(PyObject*, PyObject*, PyObject*);
    static PyObject* pb_no_args;
    static PyObject* bare(PyObject* type) { return pb_plain_new((PyTypeObject*)type, pb_no_args, NULL); }
    static PyObject* pb_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
        PyObject* t = bare((PyObject*)type);
        if (t && pb_fill(t, args, kwargs) < 0) Py_CLEAR(t);
        return t;
    }
    static void install_new(PyTypeObject* type, void* fill) {
        pb_no_args = PyTuple_New(0);
        pb_fill = fill;
        pb_plain_new = type->tp_new;
        type->tp_new = pb_new;
        type->tp_vectorcall = NULL;  // Cython's goes past tp_new; a specialised call in Python takes it
        PyType_Modified(type);
    }
    """
    object bare(object cls)
    void install_new(type, void* fill)

# An extension type refuses attributes. Tensor takes them, and stays immutable for Python's specialised calls.
cdef extern from *:
    """
    static int set_on_type(PyTypeObject* type, PyObject* name, PyObject* value) {
        unsigned long fixed = type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE;
        type->tp_flags &= ~fixed;
        int status = PyType_Type.tp_setattro((PyObject*)type, name, value);  // slots of operators follow
        type->tp_flags |= fixed;
        return status;
    }
    """
    int set_on_type(PyTypeObject* type, object name, PyObject* value) except -1

# Tensors that stand for others are of a Python class: its slots `level` and `physical` are read directly.
cdef extern from *:
    """
    #include <structmember.h>
    static PyTypeObject* pb_stand_in_type;
    static Py_ssize_t pb_level_offset, pb_physical_offset;
    static Py_ssize_t pb_offset_of(PyObject* type, const char* name) {
        PyObject* slot = PyDict_GetItemString(((PyTypeObject*)type)->tp_dict, name);
        return ((PyMemberDescrObject*)slot)->d_member->offset;
    }
    static void install_stand_in(PyObject* type) {
        pb_level_offset = pb_offset_of(type, "level");
        pb_physical_offset = pb_offset_of(type, "physical");
        Py_INCREF(type);
        pb_stand_in_type = (PyTypeObject*)type;
    }
    #define stands_in(t) (pb_stand_in_type && PyObject_TypeCheck((t), pb_stand_in_type))
    #define level_slot(t) ((PyObject**)((char*)(t) + pb_level_offset))
    #define physical_slot(t) ((PyObject**)((char*)(t) + pb_physical_offset))
    """
    void install_stand_in(object type)
    bint stands_in(object t)
    PyObject** level_slot(object t)
    PyObject** physical_slot(object t)

# Ops are called by `vectorcall`, as methods too, which Cython has no words for.
cdef extern from *:
    """
    static void use_vectorcall(PyTypeObject* type, Py_ssize_t offset, int as_method) {
        type->tp_vectorcall_offset = offset;
        type->tp_call = PyVectorcall_Call;
        type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL | (as_method ? Py_TPFLAGS_METHOD_DESCRIPTOR : 0);
        PyType_Modified(type);
    }
    """
    void use_vectorcall(type, Py_ssize_t offset, bint as_method)

cdef extern from "Python.h":
    Py_ssize_t PyVectorcall_NARGS(size_t nargsf)
    PyObject* PyTuple_GET_ITEM(object, Py_ssize_t)
    void PyObject_GC_Track(PyObject*)
    void PyObject_GC_UnTrack(PyObject*)
    int PyObject_GC_IsTracked(PyObject*)
    object PyObject_GenericGetDict(object, void*)
    int PyObject_GenericSetDict(object o, object value, void* context) except -1
    object PyObject_Call(object, object, PyObject*)
    object PyObject_Vectorcall(object callable, PyObject** args, size_t nargsf, PyObject* kwnames)
    Py_ssize_t Py_REFCNT(PyObject*)
    void PyType_Modified(PyTypeObject*)
    long long PyLong_AsLongLongAndOverflow(object, int* overflow) except? -1
    void Py_SET_TYPE(PyObject*, PyTypeObject*)
    object PyObject_GenericGetAttr(object, object)
    object PyObject_VectorcallDict(object, PyObject** args, size_t nargsf, PyObject* kwargs)
    ctypedef struct PyTypeObject:
        PyObject* tp_dict
        const char* tp_name
        Py_ssize_t tp_basicsize, tp_dictoffset
        object (*tp_call)(object, object, PyObject*)
        object (*tp_getattro)(object, object)
    PyTypeObject* Py_TYPE(object)
    PyObject* _PyType_Lookup(PyTypeObject*, object)


include "engine/op.pxi"
include "engine/pointwise.pxi"
include "engine/nodes.pxi"
include "engine/saved.pxi"
include "engine/tensor.pxi"
include "engine/levels.pxi"
include "engine/dispatch.pxi"
include "engine/meta.pxi"
include "engine/inplace.pxi"
include "engine/mirrors.pxi"
include "engine/fills.pxi"
include "engine/creation.pxi"
include "engine/quick.pxi"
include "engine/tapes.pxi"
include "engine/listening.pxi"
include "engine/replays.pxi"
include "engine/events.pxi"
include "engine/task.pxi"
include "engine/rules.pxi"
include "engine/gradients.pxi"
include "engine/backward.pxi"
include "engine/custom.pxi"
include "engine/lists.pxi"
include "engine/modules.pxi"
include "engine/collector.pxi"


# ------------------------------------------------------------------------------------------- modes

cdef bytes _shown_name = b""


def name_tensor(str module):
    """Has Tensor shown as a class of this module."""
    global _shown_name
    name = f"{module}.Tensor".encode()
    (<PyTypeObject*>Tensor).tp_name = name
    _shown_name = name   # the type refers to its bytes
    PyType_Modified(<PyTypeObject*><PyObject*>Tensor)


def grad_enabled():
    """Whether ops record a graph on this thread."""
    return bool(pb_thread.grad)


def quiet():
    """Whether nothing follows what ops do on this thread: no graph, no transform."""
    return pb_thread.level == 0 and not pb_thread.grad


def set_grad_enabled(bint mode):
    """Turns the recording of graphs on or off on this thread; returns what it was."""
    unsure("grad mode is set")
    before = bool(pb_thread.grad)
    pb_thread.grad = mode
    return before


cdef class GradSwitch:
    """A context that sets grad mode to its class's `mode`; one may be entered several times."""

    cdef list outer

    def __enter__(self):
        unsure("grad mode is set")
        if self.outer is None:
            self.outer = []
        self.outer.append(pb_thread.grad)
        pb_thread.grad = self.mode

    def __exit__(self, kind, error, trace):
        pb_thread.grad = self.outer.pop()


def inference_enabled():
    """Whether inference mode is on on this thread."""
    return bool(pb_thread.inference)


def set_inference(bint mode):
    """Turns inference mode on or off on this thread; returns what it was."""
    unsure("inference mode is set")
    before = bool(pb_thread.inference)
    pb_thread.inference = mode
    return before


def anomaly_state():
    """Whether anomaly mode is on, and whether it looks for NaN."""
    return anomaly, anomaly_nan


def set_anomaly(bint mode, bint check_nan=True):
    """Turns anomaly mode on or off, for all threads; returns what it was."""
    global anomaly, anomaly_nan
    before = anomaly_state()
    anomaly, anomaly_nan = mode, check_nan
    return before


cdef object _anomaly = None


def install_anomaly(module):
    """Hands over the functions that keep and print tracebacks."""
    global _anomaly
    _anomaly = module


