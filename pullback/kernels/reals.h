/* TEMPLATE for float and double */

#define KIND FLOAT32
#include TEMPLATE
#define KIND FLOAT64
#include TEMPLATE
