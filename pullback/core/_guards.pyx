# cython: allow_none_for_extension_args=False
"""Guards: the Python values that a recorded function depended on, compared again before each replay.

What is watched is containers: dicts (of instances, modules, globals), lists, cells, functions, classes, sets.
An entry is compared by identity, and where that fails numbers and strings by type and value. A dict whose
version is the one that was last compared is not looked into, where Python keeps versions (before 3.12): then
a guard is one comparison. Read `holds`. `Calls` tells which code begins to run.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.string cimport memcmp

cdef extern from *:
    """
    #if PY_VERSION_HEX < 0x030C0000
    #define pb_dict_version(d) (((PyDictObject*)(d))->ma_version_tag)
    #define pb_has_dict(o, d) (_PyObject_GetDictPtr(o) != NULL && *_PyObject_GetDictPtr(o) == (d))
    #else
    #define pb_dict_version(d) ((uint64_t)0)
    static int pb_has_dict(PyObject* o, PyObject* d) {
        PyObject* found = PyObject_GenericGetDict(o, NULL);
        int same = found == d;
        Py_XDECREF(found);
        if (!found) PyErr_Clear();
        return same;
    }
    #endif
    #define pb_class_version(t) (((PyTypeObject*)(t))->tp_version_tag)
    #define pb_code_of(frame) ((PyObject*)PyFrame_GetCode(frame))
    """
    uint64_t pb_dict_version(PyObject* d)
    bint pb_has_dict(PyObject* o, PyObject* d)
    unsigned int pb_class_version(PyObject* t)

cdef extern from "Python.h":
    ctypedef struct PyFrameObject:
        pass
    ctypedef int (*Py_tracefunc)(PyObject*, PyFrameObject*, int, PyObject*) except -1
    int PyTrace_CALL, PyTrace_C_CALL
    void PyEval_SetProfile(Py_tracefunc, PyObject*)
    object pb_code_of(PyFrameObject*)
    PyObject* PyDict_GetItem(object, object)
    PyObject* PyCell_GET(object)
    Py_ssize_t PyDict_Size(object)
    PyObject* PyFunction_GET_CODE(object)
    PyObject* PyFunction_GET_DEFAULTS(object)
    PyObject* PyFunction_GET_KW_DEFAULTS(object)

cdef object _MISSING = object()


cdef bint _same(PyObject* a, PyObject* b) except -1:
    """Whether two objects are one, or equal numbers or strings of one type, to the bit."""
    if a == b:
        return True
    if a == NULL or b == NULL:
        return False
    kind = type(<object>a)
    if kind is not type(<object>b):
        return False
    cdef double left, right
    if kind is float:
        left, right = <object>a, <object>b
        return memcmp(&left, &right, sizeof(double)) == 0
    return (kind is int or kind is str or kind is bytes) and <object>a == <object>b


def same(a, b):
    """Whether two objects are one, or equal numbers or strings of one type, to the bit."""
    return bool(_same(<PyObject*>a, <PyObject*>b))


cdef class _Dict:
    cdef object found           # a dict, or of a class made from it
    cdef tuple keys, values
    cdef Py_ssize_t size        # -1 where other keys may come and go
    cdef uint64_t version
    cdef str name

    cdef bint compare(self) except -1:
        cdef Py_ssize_t i
        cdef PyObject* value
        cdef uint64_t version = pb_dict_version(<PyObject*>self.found)
        if self.size >= 0 and PyDict_Size(self.found) != self.size:
            return False
        for i in range(len(self.keys)):
            value = PyDict_GetItem(self.found, self.keys[i])
            if self.values[i] is _MISSING:
                if value != NULL:
                    return False
            elif not _same(value, <PyObject*>self.values[i]):
                return False
        self.version = version
        return True


cdef class Guards:
    """Values to be compared with what they were. `broken` says which one was not the same, the last time."""

    def __init__(self):
        self.dicts, self.lists, self.cells, self.functions = [], [], [], []
        self.classes, self.sets, self.instances = [], [], []

    def count(self):
        """How many containers are watched."""
        return (len(self.dicts) + len(self.lists) + len(self.cells) + len(self.functions) + len(self.classes)
                + len(self.sets) + len(self.instances))

    def watch_dict(self, found, keys, str name):
        """Some keys of a dict, whether they are there or not; None for all of it."""
        cdef _Dict guard = _Dict.__new__(_Dict)
        guard.found, guard.name = found, name
        guard.keys = tuple(found) if keys is None else tuple(keys)
        guard.values = tuple([found.get(key, _MISSING) for key in guard.keys])
        guard.size = len(found) if keys is None else -1
        guard.version = pb_dict_version(<PyObject*>found)
        self.dicts.append(guard)

    def watch_list(self, list found, str name):
        """The items of a list."""
        self.lists.append((found, tuple(found), name))

    def watch_cell(self, cell, str name):
        """What a cell of a closure holds."""
        value = PyCell_GET(cell)
        self.cells.append((cell, _MISSING if value == NULL else <object>value, name))

    def watch_function(self, function, str name):
        """The code and the defaults of a function."""
        self.functions.append((function, function.__code__, function.__defaults__, function.__kwdefaults__,
                               name))

    def watch_class(self, cls, str name):
        """What a class has."""
        cls.__dict__  # a version is given when it is asked for
        getattr(cls, "__name__")
        self.classes.append([cls, dict(vars(cls)), cls.__mro__, pb_class_version(<PyObject*>cls), name])

    def watch_set(self, found, str name):
        """The members of a set."""
        self.sets.append((found, frozenset(found), name))

    def watch_instance(self, x, str name):
        """That an object keeps its dict."""
        self.instances.append((x, x.__dict__, name))

    cpdef bint holds(self) except -1:
        """Whether all is as it was."""
        cdef _Dict guard
        cdef PyObject* value
        cdef Py_ssize_t i
        for guard in self.dicts:
            if pb_dict_version(<PyObject*>guard.found) != guard.version or guard.version == 0:
                if not guard.compare():
                    return self.fail(guard.name)
        for found, items, name in self.lists:
            if len(<list>found) != len(<tuple>items):
                return self.fail(name)
            for i in range(len(<tuple>items)):
                if not _same(<PyObject*>(<list>found)[i], <PyObject*>(<tuple>items)[i]):
                    return self.fail(name)
        for cell, before, name in self.cells:
            value = PyCell_GET(cell)
            if before is _MISSING:
                if value != NULL:
                    return self.fail(name)
            elif not _same(value, <PyObject*>before):
                return self.fail(name)
        for function, code, defaults, more, name in self.functions:
            if PyFunction_GET_CODE(function) != <PyObject*>code or (
                    not _is(PyFunction_GET_DEFAULTS(function), defaults)
                    or not _is(PyFunction_GET_KW_DEFAULTS(function), more)):
                return self.fail(name)
        for entry in self.classes:
            if pb_class_version(<PyObject*>entry[0]) != <unsigned int>entry[3] or not entry[3]:
                if not _class_is(entry):
                    return self.fail(entry[4])
        for x, before, name in self.instances:
            if not pb_has_dict(<PyObject*>x, <PyObject*>before):
                return self.fail(name)
        for found, before, name in self.sets:
            if len(found) != len(<frozenset>before) or found != before:
                return self.fail(name)
        return True

    cdef bint fail(self, str name) except -1:
        self.broken = name
        return False


cdef bint _is(PyObject* found, object before) noexcept:
    return found == <PyObject*>before or (found == NULL and before is None)


cdef bint _class_is(list entry) except -1:
    """Compares a class whose version is another one."""
    cls, before = entry[0], <dict>entry[1]
    now = vars(cls)
    if cls.__mro__ is not entry[2] or len(now) != len(before):
        return False
    for key, value in before.items():
        found = now.get(key, _MISSING)
        if not _same(<PyObject*>found, <PyObject*>value):
            return False
    entry[3] = pb_class_version(<PyObject*>cls)
    return True


cdef class Calls:
    """Asks, while it is entered, `heard(frame)` of each code object that begins to run on this thread, until
    that says True of it. What stands in `ignored`, by address, is never asked of: its frames cost some
    nanoseconds. `reported` is whether one of the functions in C among `reports` is called.
    """

    ignored = {}
    cdef dict settled       # code by address, which so stays its own
    cdef public tuple reports
    cdef public bint reported

    def __cinit__(self):
        self.settled, self.reports, self.reported = {}, (), False

    def __enter__(self):
        PyEval_SetProfile(_begins, <PyObject*>self)
        return self

    def __exit__(self, *exc):
        PyEval_SetProfile(NULL, NULL)

    def heard(self, frame):
        """Whether no more is to be heard of a frame's code."""
        return True


cdef dict _ignored = Calls.ignored


cdef int _begins(PyObject* calls, PyFrameObject* frame, int what, PyObject* arg) except -1:
    """A profile function: passes on the frames whose code is not settled."""
    cdef Calls told = <Calls>calls
    if what == PyTrace_C_CALL:
        for function in told.reports:
            told.reported = told.reported or <PyObject*>function == arg
    if what != PyTrace_CALL:
        return 0
    code = pb_code_of(frame)
    address = <size_t><PyObject*>code
    if address not in _ignored and address not in told.settled and told.heard(<object><PyObject*>frame):
        told.settled[address] = code
    return 0
