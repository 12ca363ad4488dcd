/* TEMPLATE for all floats */

#define KIND FLOAT16
#include TEMPLATE
#define KIND BFLOAT16
#include TEMPLATE
#define KIND FLOAT32
#include TEMPLATE
#define KIND FLOAT64
#include TEMPLATE
