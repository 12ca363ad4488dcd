/* Sorting and selecting entries, a key and the place it came from: a template for narrow keys and for wide
   ones.

   Keys are unsigned. Those of up to 32 bits are packed above their place into one word; others stand before
   it. No two entries are equal, so that every way to sort them is stable and gives the same. Short runs are
   sorted by insertion, long ones by the bytes of their keys, the lowest first.

   Defined before it: ENTRY, its type; EN(name); BEFORE(a, b); BYTES of a key, and BYTE(e, k) the
   k-th lowest. */

#define PB_SHORT 40  /* entries, up to which insertion is the quickest */
#define PB_CHOICE 12 /* the same for one of them */

static void EN(insert)(ENTRY* e, int64_t n) {
    for (int64_t i = 1; i < n; i++) {
        ENTRY const one = e[i];
        int64_t j = i;
        for (; j && BEFORE(one, e[j - 1]); j--) e[j] = e[j - 1];
        e[j] = one;
    }
}

/* Sorts n entries that stand in the order of their places, with room for as many more. */
static void EN(sort)(ENTRY* e, int64_t n, ENTRY* room) {
    uint32_t counts[BYTES][256];
    ENTRY *from = e, *to = room;
    if (n <= PB_SHORT) {
        EN(insert)(e, n);
        return;
    }
    memset(counts, 0, sizeof counts);
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < BYTES; k++) counts[k][BYTE(e[i], k)]++;
    for (int k = 0; k < BYTES; k++) {
        uint32_t* const starts = counts[k];
        uint32_t total = 0;
        if (starts[BYTE(e[0], k)] == n) continue; /* all alike */
        for (int b = 0; b < 256; b++) {
            uint32_t const count = starts[b];
            starts[b] = total;
            total += count;
        }
        for (int64_t i = 0; i < n; i++) to[starts[BYTE(from[i], k)]++] = from[i];
        ENTRY* const other = from;
        from = to;
        to = other;
    }
    if (from != e) memcpy(e, from, n * sizeof *e);
}

/* Brings the entry of a rank to its place, and those before it to the front: quickselect, with a pivot from
   three places that no order of the numbers is likely to be bad for. What comes before the pivot is brought
   to the front without a branch, which none could foresee. */
static void EN(select)(ENTRY* e, int64_t rank, int64_t n) {
    for (uint64_t seed = 1; n > PB_CHOICE; seed = seed * 6364136223846793005u + 1442695040888963407u) {
        ENTRY const a = e[(seed >> 20) % n], b = e[(seed >> 30) % n], c = e[(seed >> 25) % n];
        ENTRY const low = BEFORE(a, b) ? a : b, high = BEFORE(a, b) ? b : a;
        ENTRY const pivot = BEFORE(c, low) ? low : BEFORE(high, c) ? high : c;
        int64_t before = 0;
        for (int64_t i = 0; i < n; i++) {
            ENTRY const one = e[i];
            e[i] = e[before];
            e[before] = one;
            before += BEFORE(one, pivot);
        }
        if (rank < before) {
            n = before;
            continue;
        }
        if (!before) { /* the pivot is the first of all: it goes to the front, so that less is left */
            while (BEFORE(pivot, e[before])) before++;
            e[before] = e[0];
            e[0] = pivot;
            before = 1;
            if (!rank) return;
        }
        e += before;
        rank -= before;
        n -= before;
    }
    EN(insert)(e, n);
}

#undef ENTRY
#undef EN
#undef BEFORE
#undef BYTES
#undef BYTE
