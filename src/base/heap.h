/* heap.h: memory of a program that stays. */
#pragma once

#include "base/defs.h"

#if defined __GLIBC__ && !defined HEAP_IS_OURS
#include <malloc.h>
static inline void heap_trim(void)
{
	malloc_trim(0);
}
#else
/* heap_trim: pages on which no block lies go back to the kernel: after the work of a start that is not done again. */
void heap_trim(void);
#endif
