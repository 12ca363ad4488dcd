/* Memory for arrays at addresses that are multiples of 64: vectors then never lie across two lines of the
   cache, which makes a simple loop in the cache twice as fast. As a handler of NumPy's memory.

   Large blocks are kept for arrays to come, since fresh pages cost more than the arithmetic on them: up to
   PB_KEPT_BYTES, those used last. Their sizes are rounded up to eighths of a power of two, so that one fits
   many shapes. NumPy calls this with the GIL, which guards the kept blocks. Where there is no
   `posix_memalign`, NumPy's own memory is taken. */

#ifndef PB_ALIGNED_H
#define PB_ALIGNED_H

#include <numpy/arrayobject.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#if defined(__unix__) || defined(__APPLE__)
#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { PB_LINE = 64, PB_PAGE = 4096, PB_LARGE = 1 << 22 };
#if defined(__SANITIZE_ADDRESS__)
enum { PB_KEPT_FROM = INT_MAX }; /* what is written past an array, or after its end, is to be seen */
#else
enum { PB_KEPT_FROM = 1 << 17 };
#endif
enum { PB_KEPT_BYTES = 1 << 27, PB_KEPT_BLOCKS = 64 };

static struct {
    void* p;
    size_t size;
} pb_kept[PB_KEPT_BLOCKS]; /* the one used last at the end */
static int pb_kept_count;
static size_t pb_kept_bytes;

/* The size of the block for so many bytes. */
static size_t pb_rounded(size_t size) {
    size_t unit = PB_LINE;
    while (size >> 4 >= unit) unit *= 2;
    return (size + unit - 1) / unit * unit;
}

/* Takes a kept block out, and frees it unless it is wanted. */
static void* pb_unkeep(int i, int wanted) {
    void* const p = pb_kept[i].p;
    pb_kept_bytes -= pb_kept[i].size;
    pb_kept_count--;
    memmove(pb_kept + i, pb_kept + i + 1, (pb_kept_count - i) * sizeof *pb_kept);
    if (!wanted) free(p);
    return p;
}

static void* pb_take(void* context, size_t size) {
    void* p;
    (void)context;
    if (size >= PB_KEPT_FROM) {
        size = pb_rounded(size);
        for (int i = pb_kept_count - 1; i >= 0; i--)
            if (pb_kept[i].size == size) return pb_unkeep(i, 1);
    }
    if (posix_memalign(&p, PB_LINE, size ? size : 1)) return NULL;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (size >= PB_LARGE) { /* large pages, as NumPy asks for them */
        size_t const offset = PB_PAGE - (size_t)p % PB_PAGE;
        (void)madvise((char*)p + offset, size - offset, MADV_HUGEPAGE);
    }
#endif
    return p;
}

static void* pb_take_zeros(void* context, size_t count, size_t size) {
    void* const p = pb_take(context, count * size);
    return p ? memset(p, 0, count * size) : NULL;
}

static void* pb_take_again(void* context, void* p, size_t size) {
    (void)context;
    return realloc(p, size >= PB_KEPT_FROM ? pb_rounded(size) : size);
}

static void pb_give_back(void* context, void* p, size_t size) {
    (void)context;
    if (size < PB_KEPT_FROM || size > PB_KEPT_BYTES / 2) {
        free(p);
        return;
    }
    size = pb_rounded(size);
    while (pb_kept_count && (pb_kept_count == PB_KEPT_BLOCKS || pb_kept_bytes + size > PB_KEPT_BYTES))
        pb_unkeep(0, 0);
    pb_kept[pb_kept_count].p = p, pb_kept[pb_kept_count].size = size;
    pb_kept_count++;
    pb_kept_bytes += size;
}

static PyDataMem_Handler pb_handler = {
    "pullback", 1, {NULL, pb_take, pb_take_zeros, pb_take_again, pb_give_back},
};

static PyObject* pb_aligned_memory(void) { return PyCapsule_New(&pb_handler, "mem_handler", NULL); }
#else
static PyObject* pb_aligned_memory(void) { Py_RETURN_NONE; }
#endif

#endif
