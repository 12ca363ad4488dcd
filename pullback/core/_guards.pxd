"""What `_guards.pyx` shares with the engine."""

cdef class Guards:
    cdef list dicts, lists, cells, functions, classes, sets, instances
    cdef readonly str broken
    cpdef bint holds(self) except -1
    cdef bint fail(self, str name) except -1
