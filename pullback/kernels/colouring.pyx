"""Greedy colourings of sparsity patterns, for compressed Jacobians and Hessians.

Columns that share no row may be computed together; a colouring says which. `distance_two` colours the
columns of a Jacobian, `star` those of a symmetric matrix, where an entry may be read from either of its two
places. A pattern is given as sparse matrices are, by contiguous int64 arrays: row pointers, one more than
rows, and column indices. `order` is a permutation of the columns: in which order to colour them. The
answer is an int64 array, a colour for each column, counted from zero. Read `distance_two`.
"""

import numpy as np

from numpy cimport (
    import_array, int64_t, ndarray, PyArray_DATA, PyArray_IS_C_CONTIGUOUS, PyArray_TYPE, NPY_INT64,
)

import_array()


cdef int64_t* numbers(ndarray array) except NULL:
    """Those of a contiguous int64 array; others are a ValueError."""
    if PyArray_TYPE(array) != NPY_INT64 or not PyArray_IS_C_CONTIGUOUS(array):
        raise ValueError("a contiguous array of int64 is needed")
    return <int64_t*>PyArray_DATA(array)


def distance_two(ndarray rows_of, ndarray columns_of, ndarray starts_of, ndarray entries_of,
                 ndarray order_of):
    """A colour for each column such that no row has two entries of one colour.

    The first two are the pattern by rows, the next two that by columns (Coleman and More, 1983).
    """
    cdef int64_t* rows = numbers(rows_of)
    cdef int64_t* columns = numbers(columns_of)
    cdef int64_t* starts = numbers(starts_of)
    cdef int64_t* entries = numbers(entries_of)
    cdef int64_t* order = numbers(order_of)
    cdef Py_ssize_t n = starts_of.shape[0] - 1, place, a, b, v, row
    cdef ndarray found = np.full(n, -1, np.int64), marks = np.full(n + 1, -1, np.int64)
    cdef int64_t* colour = numbers(found)
    cdef int64_t* taken = numbers(marks)
    cdef int64_t c
    with nogil:
        for place in range(n):
            v = order[place]
            for a in range(starts[v], starts[v + 1]):
                row = entries[a]
                for b in range(rows[row], rows[row + 1]):
                    c = colour[columns[b]]
                    if c >= 0:
                        taken[c] = v
            c = 0
            while taken[c] == v:
                c += 1
            colour[v] = c
    return found


cdef inline Py_ssize_t find(int64_t* seen, Py_ssize_t start, int64_t count, int64_t c) noexcept nogil:
    """The place of a colour in a vertex's list, or where it is to be added."""
    cdef Py_ssize_t place = start
    while place < start + count and seen[place] != c:
        place += 1
    return place


def star(ndarray starts_of, ndarray entries_of, ndarray order_of):
    """A colour for each vertex such that neighbours differ and no path of four has only two colours.

    The graph is a symmetric pattern without its diagonal. Each vertex keeps the colours around it, how many
    neighbours have each, and the first of them; and the colours of the hubs of the two-coloured stars in
    which it is a leaf (after Gebremedhin, Tarafdar, Manne and Pothen, 2007).
    """
    cdef int64_t* starts = numbers(starts_of)
    cdef int64_t* entries = numbers(entries_of)
    cdef int64_t* order = numbers(order_of)
    cdef Py_ssize_t n = starts_of.shape[0] - 1, count = entries_of.shape[0], place, a, b, v, w, spot
    cdef ndarray found = np.full(n, -1, np.int64), marks = np.full(n + 1, -1, np.int64)
    cdef ndarray by_vertex = np.zeros((2, n), np.int64), by_entry = np.zeros((4, count), np.int64)
    cdef int64_t* colour = numbers(found)
    cdef int64_t* taken = numbers(marks)
    cdef int64_t* seen = numbers(by_entry)
    cdef int64_t* many = seen + count
    cdef int64_t* first = many + count
    cdef int64_t* hub = first + count
    cdef int64_t* kinds = numbers(by_vertex)
    cdef int64_t* hubs = kinds + n
    cdef int64_t c
    with nogil:
        for place in range(n):
            v = order[place]
            for a in range(starts[v], starts[v + 1]):
                w = entries[a]
                if colour[w] < 0:
                    continue
                taken[colour[w]] = v
                for b in range(starts[w], starts[w] + hubs[w]):
                    taken[hub[b]] = v
                spot = find(seen, starts[v], kinds[v], colour[w])
                if many[spot] > 1:   # v would be a star's hub: its leaves have no other edge to its colour
                    for b in range(starts[w], starts[w] + kinds[w]):
                        taken[seen[b]] = v
            c = 0
            while taken[c] == v:
                c += 1
            colour[v] = c
            for a in range(starts[v], starts[v + 1]):
                w = entries[a]
                spot = find(seen, starts[w], kinds[w], c)
                if spot == starts[w] + kinds[w]:
                    kinds[w] += 1
                    seen[spot], many[spot], first[spot] = c, 1, v
                else:
                    many[spot] += 1
                if colour[w] < 0 or many[spot] == 1:
                    continue
                add_hub(hub, hubs, starts, v, colour[w])
                if many[spot] == 2:
                    add_hub(hub, hubs, starts, first[spot], colour[w])
            for b in range(starts[v], starts[v] + kinds[v]):
                if many[b] > 1:         # v is a hub: those around it of that colour are its leaves
                    for a in range(starts[v], starts[v + 1]):
                        w = entries[a]
                        if colour[w] == seen[b]:
                            add_hub(hub, hubs, starts, w, c)
    return found


cdef inline void add_hub(int64_t* hub, int64_t* hubs, int64_t* starts, Py_ssize_t leaf,
                         int64_t c) noexcept nogil:
    """Notes the colour of a hub at one of its leaves, once."""
    cdef Py_ssize_t spot = find(hub, starts[leaf], hubs[leaf], c)
    if spot == starts[leaf] + hubs[leaf]:
        hub[spot] = c
        hubs[leaf] += 1
