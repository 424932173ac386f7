/* defs.h: the few macros that every file uses. No functions, no types of the product. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/banned.h"

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* AUTO(fn): call fn(&variable) when the variable leaves its scope. */
#define AUTO(fn) __attribute__((cleanup(fn)))

static inline void auto_free(void *p)
{
	free(*(void **)p);
}
/* AUTO_FREE char *p = …: free(p) on every way out. */
#define AUTO_FREE AUTO(auto_free)

/* take(p): moves a pointer out of an AUTO variable; the variable becomes NULL. */
#define take(p) \
	({ \
		__auto_type _taken = (p); \
		(p) = NULL; \
		_taken; \
	})

/* retry_eintr(call): the call again for as long as a signal interrupts it. */
#define retry_eintr(call) \
	({ \
		__typeof__(call) _result; \
		do \
			_result = (call); \
		while (_result == -1 && errno == EINTR); \
		_result; \
	})

/* streq: equality of two C strings, neither of them NULL. */
static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}
