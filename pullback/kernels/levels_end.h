/* Ends a template that began with levels.h. */

#undef PB_OF_LEVEL
#undef PB_OF_LEVEL2
#undef TILED
#undef PB_JOIN
#undef PB_JOIN2
#include "kinds_end.h"
