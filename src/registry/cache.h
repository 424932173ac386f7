/* cache.h: the least recently used go first: bytes by key, up to a number of bytes.
 *
 * Invariants
 *  - The sum of all keys, values and their headers never exceeds max. A value above max / 8 is not kept.
 *  - A value that was got stays until the next call that is not cache_get.
 *  - One thread. A key is any bytes.
 */
#pragma once

#include "base/str.h"

typedef struct CacheEntry CacheEntry;

typedef struct Cache {
	CacheEntry **buckets;
	size_t n_buckets, n, bytes, max;
	CacheEntry *newest, *oldest;
	uint64_t hits, misses;
} Cache;

#define CACHE_INIT(max_bytes) ((Cache){ .max = (max_bytes) })

void cache_done(Cache *c);

/* cache_get: true when there is one; *ret is a view. It becomes the newest. */
bool cache_get(Cache *c, Str key, Str *ret);

/* cache_put: copies value (in two parts) in place of an older one. No memory: it is not kept. */
void cache_put(Cache *c, Str key, Str head, Str tail);

void cache_drop(Cache *c, Str key);

/* cache_drop_prefix: all whose key begins so; an empty prefix: everything. */
void cache_drop_prefix(Cache *c, Str prefix);
