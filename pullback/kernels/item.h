/* An element of SIZE bytes, for templates of what only moves elements. ITEM is its type, SIZED names what is
   made for each size. A template includes this file at its head and item_end.h at its end; sizes.h includes
   TEMPLATE for all sizes. */

#include <stdint.h>
#include <string.h>

#include "exp.h"

#ifndef PB_ITEM_H
#define PB_ITEM_H
typedef uint8_t pb_item1;
typedef uint16_t pb_item2;
typedef uint32_t pb_item4;
typedef uint64_t pb_item8;
typedef struct { uint64_t low, high; } pb_item16;
#define PB_JOINED2(a, b) a##b
#define PB_JOINED(a, b) PB_JOINED2(a, b)
#define PB_SIZED2(name, size) pb_##name##_##size
#define PB_SIZED(name, size) PB_SIZED2(name, size)
#define SIZED(name) PB_SIZED(name, SIZE)
#endif

#define ITEM PB_JOINED(pb_item, SIZE)
