/* Python's memory for small objects out of large pages, for graphs of hundreds of thousands of nodes.

   Python maps it in arenas of a megabyte, whose pages of 4 KB are each a fault at their first touch: a
   quarter of the time of building a long graph. Here arenas are cut from pieces of 64 MB that the system
   is asked to back with pages of 2 MB. They are returned one by one, as Python's own are, so that arenas
   of both kinds may live side by side. Where there are no such pages nothing changes. */

#include <Python.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#if defined(__linux__) && defined(MADV_HUGEPAGE) && !defined(Py_GIL_DISABLED)

#define PB_PIECE ((size_t)64 << 20)
#define PB_PAGE ((size_t)2 << 20)
#define PB_ARENA ((size_t)1 << 20)

static char *pb_next = NULL, *pb_end = NULL; /* what is left of the piece at hand */

static void *pb_map(size_t size)
{
    void *found = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return found == MAP_FAILED ? NULL : found;
}

static void *pb_arena(void *context, size_t size)
{
    (void)context;
    if (size < PB_ARENA) /* Python also maps pieces of its frame stack this way */
        return pb_map(size);
    if ((size_t)(pb_end - pb_next) < size) {
        char *piece = pb_map(PB_PIECE + PB_PAGE);
        if (piece == NULL)
            return pb_map(size);
        char *start = (char *)(((size_t)piece + PB_PAGE - 1) & ~(PB_PAGE - 1));
        if (start > piece)
            munmap(piece, start - piece);
        if (start - piece < (ptrdiff_t)PB_PAGE)
            munmap(start + PB_PIECE, PB_PAGE - (start - piece));
        madvise(start, PB_PIECE, MADV_HUGEPAGE);
        pb_next = start;
        pb_end = start + PB_PIECE;
    }
    char *arena = pb_next;
    pb_next += size;
    return arena;
}

static void pb_return_arena(void *context, void *arena, size_t size)
{
    (void)context;
    munmap(arena, size);
}

static void pb_use_large_pages(void)
{
    PyObjectArenaAllocator present, ours = {NULL, pb_arena, pb_return_arena};
    PyObject_GetArenaAllocator(&present);
    if (present.ctx == NULL) /* Python's own: it maps as we do */
        PyObject_SetArenaAllocator(&ours);
}

#else
static void pb_use_large_pages(void) {}
#endif
