/* arena.h: memory that lives as long as one request or command.
 *
 * Invariants
 *  - Everything allocated is freed at once by arena_done(); cleanups registered with arena_defer() run then,
 *    last registered first.
 *  - The arena never holds more than its ceiling; beyond it, allocations return NULL.
 *  - Memory is zeroed.
 */
#pragma once

#include "base/defs.h"
#include "base/str.h"

typedef struct ArenaChunk ArenaChunk;
typedef struct ArenaDefer ArenaDefer;

typedef struct Arena {
	ArenaChunk *chunks;
	ArenaDefer *defers;
	size_t used, max;
} Arena;

#define ARENA_INIT(max_bytes) ((Arena){ .max = (max_bytes) })

void arena_done(Arena *a);
#define AUTO_ARENA AUTO(arena_done) Arena

/* arena_alloc: n zeroed bytes, aligned for any object; NULL when the ceiling or the machine has no more. */
void *arena_alloc(Arena *a, size_t n) MUST_USE;
/* arena_array: n objects of a size, overflow checked. */
void *arena_array(Arena *a, size_t n, size_t size) MUST_USE;
char *arena_strdup(Arena *a, const char *s) MUST_USE;
char *arena_str(Arena *a, Str s) MUST_USE;
char *arena_printf(Arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_USE;

/* arena_defer: fn(p) runs in arena_done(). 0 or -ENOMEM (fn has not run then). */
int arena_defer(Arena *a, void (*fn)(void *p), void *p) MUST_USE;
