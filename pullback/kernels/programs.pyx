"""Programs of elementwise steps over lists of tensors. The steps are in programs.h."""

from cpython.pycapsule cimport PyCapsule_New

cdef extern from *:
    """
    #define TEMPLATE "programs.h"
    #include "pullback/kernels/floats.h"

    #define PB_STEP_NAME(name, value) #name,
    static char const* const pb_step_names[] = {PB_STEPS(PB_STEP_NAME)};
    """
    ctypedef void* program_t
    const char* const* pb_step_names
    int PB_STEP_COUNT
    int PROGRAM_BLOCK
    int PROGRAM_REGISTERS
    void* pb_program_float16
    void* pb_program_bfloat16
    void* pb_program_float32
    void* pb_program_float64


STEPS = {(<bytes>pb_step_names[k]).decode(): k for k in range(PB_STEP_COUNT)}
BLOCK, REGISTERS = PROGRAM_BLOCK, PROGRAM_REGISTERS
RUNS = {
    "float16": PyCapsule_New(<void*>pb_program_float16, "pullback.program", NULL),
    "bfloat16": PyCapsule_New(<void*>pb_program_bfloat16, "pullback.program", NULL),
    "float32": PyCapsule_New(<void*>pb_program_float32, "pullback.program", NULL),
    "float64": PyCapsule_New(<void*>pb_program_float64, "pullback.program", NULL),
}
