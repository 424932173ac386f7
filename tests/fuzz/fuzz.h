/* fuzz.h: what a fuzz target is made of. fuzz_<name>.c defines LLVMFuzzerTestOneInput; libFuzzer calls it with bytes of
 * its own making, replay.c with the files of corpus/<name>. A finding is a failed assertion or a sanitizer's report. */
#pragma once

#include <assert.h>

#include "base/defs.h"

enum { FUZZ_ARENA_MAX = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* fuzz_copy: the input with a NUL behind it, in a block of exactly that size: reading further is seen. Free it. */
static inline char *fuzz_copy(const void *data, size_t n)
{
	char *p = malloc(n + 1);
	assert(p);
	if (n) memcpy(p, data, n);
	p[n] = 0;
	return p;
}
