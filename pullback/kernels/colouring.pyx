"""Greedy colourings of sparsity patterns, for compressed Jacobians and Hessians.

Columns that share no row may be computed together; a colouring says which. `distance_two` colours the
columns of a Jacobian, `star` those of a symmetric matrix, where an entry may be read from either of its two
places. A pattern is given as sparse matrices are, by contiguous int64 arrays: row pointers, one more than
rows, and column indices. `order` is a permutation of the columns: in which order to colour them. The
answer is an int64 array, a colour for each column, counted from zero. Read `distance_two`.
"""

import numpy as np

cimport cython
from libc.stdint cimport int64_t


def distance_two(const int64_t[::1] rows, const int64_t[::1] columns, const int64_t[::1] starts,
                 const int64_t[::1] entries, const int64_t[::1] order):
    """A colour for each column such that no row has two entries of one colour.

    `rows`, `columns`: the pattern by rows; `starts`, `entries`: by columns (Coleman and More, 1983).
    """
    cdef Py_ssize_t n = starts.shape[0] - 1, place, a, b, v, row
    cdef int64_t[::1] colour = np.full(n, -1, np.int64)
    cdef int64_t[::1] taken = np.full(n + 1, -1, np.int64)
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
    return np.asarray(colour)


cdef inline Py_ssize_t find(int64_t[::1] seen, Py_ssize_t start, int64_t count, int64_t c) noexcept nogil:
    """The place of a colour in a vertex's list, or where it is to be added."""
    cdef Py_ssize_t place = start
    while place < start + count and seen[place] != c:
        place += 1
    return place


def star(const int64_t[::1] starts, const int64_t[::1] entries, const int64_t[::1] order):
    """A colour for each vertex such that neighbours differ and no path of four has only two colours.

    The graph is a symmetric pattern without its diagonal. Each vertex keeps the colours around it, how many
    neighbours have each, and the first of them; and the colours of the hubs of the two-coloured stars in
    which it is a leaf (after Gebremedhin, Tarafdar, Manne and Pothen, 2007).
    """
    cdef Py_ssize_t n = starts.shape[0] - 1, place, a, b, v, w, spot
    cdef int64_t[::1] colour = np.full(n, -1, np.int64)
    cdef int64_t[::1] taken = np.full(n + 1, -1, np.int64)
    cdef int64_t[::1] seen = np.empty(entries.shape[0], np.int64)
    cdef int64_t[::1] many = np.zeros(entries.shape[0], np.int64)
    cdef int64_t[::1] first = np.empty(entries.shape[0], np.int64)
    cdef int64_t[::1] kinds = np.zeros(n, np.int64)
    cdef int64_t[::1] hub = np.empty(entries.shape[0], np.int64)
    cdef int64_t[::1] hubs = np.zeros(n, np.int64)
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
    return np.asarray(colour)


cdef inline void add_hub(int64_t[::1] hub, int64_t[::1] hubs, const int64_t[::1] starts, Py_ssize_t leaf,
                         int64_t c) noexcept nogil:
    """Notes the colour of a hub at one of its leaves, once."""
    cdef Py_ssize_t spot = find(hub, starts[leaf], hubs[leaf], c)
    if spot == starts[leaf] + hubs[leaf]:
        hub[spot] = c
        hubs[leaf] += 1
