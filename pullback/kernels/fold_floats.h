/* fold.h for all floats */

#define KIND FLOAT16
#include "fold.h"
#define KIND BFLOAT16
#include "fold.h"
#define KIND FLOAT32
#include "fold.h"
#define KIND FLOAT64
#include "fold.h"
