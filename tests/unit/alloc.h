/* alloc.h: counts allocations and makes one of them fail. For tests linked with --wrap of malloc, calloc, realloc and reallocarray
 * (unit_link_args in meson.build). What the C library allocates inside is not seen. */
#pragma once

#include "base/defs.h"

static unsigned long allocations;
/* 0: none fails; n: the n-th from now on fails, once. */
static unsigned long allocation_to_fail;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

static bool allocation_fails(void)
{
	allocations++;
	return allocation_to_fail && --allocation_to_fail == 0;
}

void *__wrap_malloc(size_t n)
{
	return allocation_fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return allocation_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return allocation_fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return allocation_fails() ? NULL : __real_reallocarray(p, n, size);
}
