/* The k largest of n numbers, with equal ones in PyTorch's order.

   Which of equal numbers come first is left open by every definition of `topk`, and shows in
   samples all the same. PyTorch leaves it to the C++ library, whose steps are taken here too: a
   heap of k when k is small against n, else a quickselect, then a quicksort of the first k - 1 that
   ends in an insertion sort, and heaps where the recursion gets too deep. Read `select_largest`. */

#ifndef PULLBACK_SELECT_H
#define PULLBACK_SELECT_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    double value;
    int64_t place;
} Entry;

/* Does x come before y? Larger ones do, and nan before all. */
static inline int ahead(Entry x, Entry y)
{
    return x.value > y.value || (x.value != x.value && y.value == y.value);
}

static inline void swap_entries(Entry *x, Entry *y)
{
    Entry kept = *x;
    *x = *y;
    *y = kept;
}

/* ---- A heap with the last in order on top ---- */

/* The hole sinks to a leaf along the children that come later, then `value` rises from there. */
static void heap_place(Entry *e, ptrdiff_t hole, ptrdiff_t n, Entry value)
{
    const ptrdiff_t top = hole;
    ptrdiff_t child = hole;
    while (child < (n - 1) / 2) {
        child = 2 * child + 2;
        if (ahead(e[child], e[child - 1])) child--;
        e[hole] = e[child];
        hole = child;
    }
    if (n % 2 == 0 && child == (n - 2) / 2) { /* a last child without a brother */
        e[hole] = e[2 * child + 1];
        hole = 2 * child + 1;
    }
    while (hole > top && ahead(e[(hole - 1) / 2], value)) {
        e[hole] = e[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    e[hole] = value;
}

/* Bring the first k in order, as a heap, to the front of n. */
static void heap_select(Entry *e, ptrdiff_t k, ptrdiff_t n)
{
    if (k > 1)
        for (ptrdiff_t parent = (k - 2) / 2; parent >= 0; parent--)
            heap_place(e, parent, k, e[parent]);
    for (ptrdiff_t i = k; i < n; i++) {
        if (ahead(e[i], e[0])) {
            Entry value = e[i];
            e[i] = e[0];
            heap_place(e, 0, k, value);
        }
    }
}

static void heap_sort(Entry *e, ptrdiff_t k)
{
    while (k > 1) {
        Entry value = e[--k];
        e[k] = e[0];
        heap_place(e, 0, k, value);
    }
}

/* ---- Quickselect and quicksort ---- */

/* Of the second, middle and last entry, the median goes first and divides the rest. The answer is
   where the later part begins. */
static ptrdiff_t divide(Entry *e, ptrdiff_t n)
{
    Entry *a = e + 1, *b = e + n / 2, *c = e + n - 1;
    Entry *low = ahead(*a, *b) ? a : b, *high = low == a ? b : a;
    /* low comes before high, or they are equal and low is b */
    swap_entries(e, ahead(*high, *c) ? high : ahead(*low, *c) ? c : low);
    ptrdiff_t i = 1, j = n;
    for (;;) {
        while (ahead(e[i], e[0])) i++;
        do j--; while (ahead(e[0], e[j]));
        if (i >= j) return i;
        swap_entries(e + i, e + j);
        i++;
    }
}

static void insertion_sort(Entry *e, ptrdiff_t n)
{
    for (ptrdiff_t i = 1; i < n; i++) {
        Entry value = e[i];
        ptrdiff_t j = i;
        for (; j > 0 && ahead(value, e[j - 1]); j--) e[j] = e[j - 1];
        e[j] = value;
    }
}

static int depth_limit(ptrdiff_t n)
{
    int limit = 0;
    while (n >>= 1) limit += 2;
    return limit;
}

static void quick_select(Entry *e, ptrdiff_t nth, ptrdiff_t n)
{
    for (int depth = depth_limit(n); n > 3; depth--) {
        if (depth == 0) {
            heap_select(e, nth + 1, n);
            swap_entries(e, e + nth);
            return;
        }
        ptrdiff_t cut = divide(e, n);
        if (cut <= nth) {
            e += cut;
            nth -= cut;
            n -= cut;
        } else {
            n = cut;
        }
    }
    insertion_sort(e, n);
}

/* Leaves runs of up to sixteen unsorted. */
static void quick_sort_runs(Entry *e, ptrdiff_t n, int depth)
{
    while (n > 16) {
        if (depth-- == 0) {
            heap_select(e, n, n);
            heap_sort(e, n);
            return;
        }
        ptrdiff_t cut = divide(e, n);
        quick_sort_runs(e + cut, n - cut, depth);
        n = cut;
    }
}

/* Bring the k largest to the front, in order. */
static void select_largest(Entry *e, ptrdiff_t k, ptrdiff_t n)
{
    if (k * 64 <= n) {
        heap_select(e, k, n);
        heap_sort(e, k);
        return;
    }
    quick_select(e, k - 1, n);
    quick_sort_runs(e, k - 1, depth_limit(k - 1));
    insertion_sort(e, k - 1);
}

#endif
