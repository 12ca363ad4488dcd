/* TEMPLATE for booleans and integers */

#define KIND BOOL
#include TEMPLATE
#define KIND UINT8
#include TEMPLATE
#define KIND INT8
#include TEMPLATE
#define KIND INT16
#include TEMPLATE
#define KIND INT32
#include TEMPLATE
#define KIND INT64
#include TEMPLATE
