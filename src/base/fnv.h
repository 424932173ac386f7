/* fnv.h: FNV-1a, 32 bits: sums and table places for what is told apart, not defended. */
#pragma once

#include "base/str.h"

#define FNV_INIT 2166136261U

/* fnv_add: h, first FNV_INIT, with n bytes more. fnv_str: of a text. */
static inline uint32_t fnv_add(uint32_t h, const void *p, size_t n)
{
	for (const uint8_t *i = p; n; i++, n--)
		h = (h ^ *i) * 16777619U;
	return h;
}

static inline uint32_t fnv_str(const char *s)
{
	return fnv_add(FNV_INIT, s, strlen(s));
}
