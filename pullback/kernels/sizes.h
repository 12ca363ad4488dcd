/* TEMPLATE for elements of all sizes */

#define SIZE 1
#include TEMPLATE
#define SIZE 2
#include TEMPLATE
#define SIZE 4
#include TEMPLATE
#define SIZE 8
#include TEMPLATE
#define SIZE 16
#include TEMPLATE
