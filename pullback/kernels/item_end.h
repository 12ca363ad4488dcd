/* Ends a template: what item.h defined is undefined. */

#undef ITEM
#undef SIZE
