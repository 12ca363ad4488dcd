/* Loops of ufuncs whose result is no number of the type of their inputs, and ldexp: see `for_each_real.h` for
   PB_REAL and F, curve_loops.h for loops of the same type. */

#define IN(k, i) (*(PB_REAL const*)(args[k] + (i) * steps[k]))
#define LOOP(name)                                                                                  \
    static PB_CLONES void F(name)(char** args, npy_intp const* size, npy_intp const* steps, void* data)

/* x + y i */
LOOP(of_parts) {
    npy_intp const n = size[0], item = sizeof(PB_REAL);
    (void)data;
    if (steps[0] == item && steps[1] == item && steps[2] == 2 * item) {
        PB_REAL const *x = (PB_REAL const*)args[0], *y = (PB_REAL const*)args[1];
        PB_REAL* PB_RESTRICT z = (PB_REAL*)args[2];
        for (npy_intp i = 0; i < n; i++) {
            z[2 * i] = x[i];
            z[2 * i + 1] = y[i];
        }
        return;
    }
    for (npy_intp i = 0; i < n; i++) {
        PB_REAL const x = IN(0, i), y = IN(1, i);
        PB_REAL* z = (PB_REAL*)(args[2] + i * steps[2]);
        z[0] = x;
        z[1] = y;
    }
}

#define LOOP_IS(name, value)                                                                        \
    LOOP(name) {                                                                                    \
        npy_intp const n = size[0];                                                                 \
        (void)data;                                                                                 \
        if (steps[0] == sizeof(PB_REAL) && steps[1] == 1) {                                         \
            PB_REAL const* x = (PB_REAL const*)args[0];                                             \
            uint8_t* PB_RESTRICT z = (uint8_t*)args[1];                                             \
            for (npy_intp i = 0; i < n; i++) z[i] = x[i] == (PB_REAL)(value);                       \
            return;                                                                                 \
        }                                                                                           \
        for (npy_intp i = 0; i < n; i++) *(uint8_t*)(args[1] + i * steps[1]) = IN(0, i) == (PB_REAL)(value); \
    }
LOOP_IS(isposinf, HUGE_VAL)
LOOP_IS(isneginf, -HUGE_VAL)
#undef LOOP_IS

/* x * 2**y: for whole y the point is moved, so that 2**y itself may overflow */
LOOP(ldexp) {
    PB_REAL const most = sizeof(PB_REAL) == 4 ? 126 : 1022;
    (void)data;
    for (npy_intp i = 0; i < size[0]; i++) {
        PB_REAL const x = IN(0, i), y = IN(1, i), whole = PB_TRUNC(y);
        PB_REAL z;
        if (whole == y && PB_ABS(y) <= most)
            z = x * F(pb_power)((int)whole);
        else if (whole == y)
            z = (PB_REAL)ldexp(x, y > 32000 ? 32000 : y < -32000 ? -32000 : (int)y);
        else
            z = x * (PB_REAL)exp2(y);
        *(PB_REAL*)(args[2] + i * steps[2]) = z;
    }
}

#undef IN
#undef LOOP
