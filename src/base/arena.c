/* arena.c: see arena.h. */
#include "base/arena.h"

#include <stdarg.h>

enum { CHUNK_SIZE = 16384, ALIGN = 16 };

struct ArenaChunk {
	ArenaChunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

struct ArenaDefer {
	ArenaDefer *next;
	void (*fn)(void *p);
	void *p;
};

void arena_done(Arena *a)
{
	if (!a) return;
	for (ArenaDefer *d = a->defers; d; d = d->next)
		d->fn(d->p);
	for (ArenaChunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	*a = (Arena){ .max = a->max };
}

static ArenaChunk *arena_grow(Arena *a, size_t n)
{
	size_t size = n > CHUNK_SIZE ? n : CHUNK_SIZE, total;
	if (__builtin_add_overflow(size, sizeof(ArenaChunk), &total)) return NULL;
	ArenaChunk *c = malloc(total);
	if (!c) return NULL;
	*c = (ArenaChunk){ .size = size };
	if (n > CHUNK_SIZE && a->chunks) { /* a large object: keep filling the current chunk */
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		c->next = a->chunks;
		a->chunks = c;
	}
	return c;
}

void *arena_alloc(Arena *a, size_t n)
{
	if (__builtin_add_overflow(n, ALIGN - 1, &n)) return NULL;
	n &= ~(size_t)(ALIGN - 1);
	if (n > a->max || a->used > a->max - n) return NULL;
	ArenaChunk *c = a->chunks;
	if (!c || c->size - c->used < n) {
		c = arena_grow(a, n);
		if (!c) return NULL;
	}
	void *p = c->data + c->used;
	c->used += n;
	a->used += n;
	memset(p, 0, n);
	return p;
}

void *arena_array(Arena *a, size_t n, size_t size)
{
	size_t total;
	if (__builtin_mul_overflow(n, size, &total)) return NULL;
	return arena_alloc(a, total);
}

char *arena_str(Arena *a, Str s)
{
	char *p = arena_alloc(a, s.n + 1);
	if (p && s.n) memcpy(p, s.p, s.n);
	return p;
}

char *arena_strdup(Arena *a, const char *s)
{
	return arena_str(a, str_of(s));
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
	if (p) vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}

int arena_defer(Arena *a, void (*fn)(void *p), void *p)
{
	ArenaDefer *d = arena_alloc(a, sizeof *d);
	if (!d) return -ENOMEM;
	*d = (ArenaDefer){ .next = a->defers, .fn = fn, .p = p };
	a->defers = d;
	return 0;
}
