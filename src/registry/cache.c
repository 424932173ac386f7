/* cache.c: see cache.h. A hash table with chains, doubled when full; entries are in a list by age as well. */
#include "registry/cache.h"

enum { FIRST_BUCKETS = 256 };

struct CacheEntry {
	CacheEntry *chain, *newer, *older;
	uint64_t hash;
	size_t key_n, value_n;
	char bytes[]; /* key, then value */
};

/* FNV-1a. Keys are names of what exists here, which nobody can make up in numbers without pushing it. */
static uint64_t hash_of(Str key)
{
	uint64_t h = 0xcbf29ce484222325;
	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (uint8_t)key.p[i]) * 0x100000001b3;
	return h;
}

static size_t cost(const CacheEntry *e)
{
	return sizeof *e + e->key_n + e->value_n;
}

static bool is_key(const CacheEntry *e, uint64_t hash, Str key)
{
	return e->hash == hash && e->key_n == key.n && memcmp(e->bytes, key.p, key.n) == 0;
}

static CacheEntry **slot(const Cache *c, uint64_t hash, Str key)
{
	CacheEntry **at = &c->buckets[hash & (c->n_buckets - 1)];
	while (*at && !is_key(*at, hash, key))
		at = &(*at)->chain;
	return at;
}

static void unlink_age(Cache *c, CacheEntry *e)
{
	*(e->newer ? &e->newer->older : &c->newest) = e->older;
	*(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void link_newest(Cache *c, CacheEntry *e)
{
	e->newer = NULL;
	e->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = e;
	c->newest = e;
}

static void remove_at(Cache *c, CacheEntry **at)
{
	CacheEntry *e = *at;
	*at = e->chain;
	unlink_age(c, e);
	c->bytes -= cost(e);
	c->n--;
	free(e);
}

static void remove_entry(Cache *c, CacheEntry *e)
{
	remove_at(c, slot(c, e->hash, (Str){ e->bytes, e->key_n }));
}

void cache_done(Cache *c)
{
	while (c->oldest)
		remove_entry(c, c->oldest);
	free(c->buckets);
	c->buckets = NULL;
}

bool cache_get(Cache *c, Str key, Str *ret)
{
	CacheEntry *e = c->n ? *slot(c, hash_of(key), key) : NULL;
	if (!e) {
		c->misses++;
		return false;
	}
	c->hits++;
	if (c->newest != e) {
		unlink_age(c, e);
		link_newest(c, e);
	}
	*ret = (Str){ e->bytes + e->key_n, e->value_n };
	return true;
}

static bool grow(Cache *c)
{
	size_t n = c->n_buckets ? 2 * c->n_buckets : FIRST_BUCKETS;
	CacheEntry **buckets = calloc(n, sizeof(CacheEntry *));
	if (!buckets) return c->n_buckets > 0;
	for (CacheEntry *e = c->newest; e; e = e->older) {
		e->chain = buckets[e->hash & (n - 1)];
		buckets[e->hash & (n - 1)] = e;
	}
	free(c->buckets);
	c->buckets = buckets;
	c->n_buckets = n;
	return true;
}

void cache_put(Cache *c, Str key, Str head, Str tail)
{
	size_t value_n = head.n + tail.n, bytes = sizeof(CacheEntry) + key.n + value_n;
	cache_drop(c, key);
	if (bytes > c->max / 8) return;
	if (c->n >= c->n_buckets && !grow(c)) return;
	while (c->oldest && c->bytes + bytes > c->max)
		remove_entry(c, c->oldest);
	CacheEntry *e = malloc(bytes);
	if (!e) return;
	*e = (CacheEntry){ .hash = hash_of(key), .key_n = key.n, .value_n = value_n };
	memcpy(e->bytes, key.p, key.n);
	if (head.n) memcpy(e->bytes + key.n, head.p, head.n);
	if (tail.n) memcpy(e->bytes + key.n + head.n, tail.p, tail.n);
	CacheEntry **bucket = &c->buckets[e->hash & (c->n_buckets - 1)];
	e->chain = *bucket;
	*bucket = e;
	link_newest(c, e);
	c->bytes += bytes;
	c->n++;
}

void cache_drop(Cache *c, Str key)
{
	if (!c->n) return;
	CacheEntry **at = slot(c, hash_of(key), key);
	if (*at) remove_at(c, at);
}

void cache_drop_prefix(Cache *c, Str prefix)
{
	for (CacheEntry *e = c->newest, *older; e; e = older) {
		older = e->older;
		if (e->key_n >= prefix.n && (!prefix.n || memcmp(e->bytes, prefix.p, prefix.n) == 0)) remove_entry(c, e);
	}
}
