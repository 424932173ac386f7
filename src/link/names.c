/* names.c: one hash table of keys {network, kind, text or address}. A key has a ring of the members' entries, and where the next answer begins. */
#include "link/names.h"

#include <assert.h>
#include <sys/random.h>

#include "base/fnv.h"

enum { BUCKETS_FIRST = 256 };
typedef enum { BY_NAME, BY_V4, BY_V6, BY_CONTAINER, BY_NETWORK } Kind;

typedef struct Key Key;
typedef struct Entry Entry;
typedef struct Place Place;

/* What a member has on a network. */
struct Place {
	NamesMember *member;
	Key *network;
	NamesAddress address;
	Entry *entries; /* the names, then the addresses: a run inside the member's */
	size_t entries_n;
};

struct Entry {
	Key *key;
	Place *place;
	Entry *prev, *next; /* the ring */
};

struct Key {
	Key *chain;
	Key *network; /* NULL for a container's or a network's own */
	uint32_t hash;
	uint8_t kind;
	Entry *last;     /* added last */
	Entry *head[2];  /* where the next answer begins, for A and AAAA: clients ask for both in turn */
	size_t count[2]; /* addresses of either family in the ring */
	union {
		NamesMember *member; /* BY_CONTAINER */
		size_t users;        /* BY_NETWORK */
	};
	const char *label; /* BY_NETWORK: its name, in lower case, behind the text */
	size_t label_n, n;
	char text[];
};

typedef struct Link {
	NamesAddress address;
	size_t n;
	char text[NAMES_LENGTH_MAX + 1];
} Link;

struct NamesMember {
	Key *key;
	bool internal;
	size_t places_n, links_n, entries_n;
	Place *places;
	Link *links;
	Entry *entries;
};

struct Names {
	uint32_t seed;
	size_t keys_n, buckets_n, members_n;
	Key **buckets;
};

/* ---- the table of keys ---- */

static uint32_t hash_of(const Names *t, Kind kind, const Key *network, const void *text, size_t n)
{
	const struct {
		uint32_t seed, kind, network;
	} front = { t->seed, kind, network ? network->hash : 0 };
	return fnv_add(fnv_add(FNV_INIT, &front, sizeof front), text, n);
}

static Key *key_find_hash(const Names *t, uint32_t hash, Kind kind, const Key *network, const void *text, size_t n)
{
	for (Key *k = t->buckets[hash & (t->buckets_n - 1)]; k; k = k->chain)
		if (k->hash == hash && k->kind == kind && k->network == network && k->n == n && memcmp(k->text, text, n) == 0) return k;
	return NULL;
}

static Key *key_find(const Names *t, Kind kind, const Key *network, const void *text, size_t n)
{
	return key_find_hash(t, hash_of(t, kind, network, text, n), kind, network, text, n);
}

/* Without memory for a larger one the table goes on with longer chains. */
static void grow(Names *t)
{
	const size_t n = t->buckets_n * 2;
	Key **buckets = calloc(n, sizeof *buckets);
	if (!buckets) return;
	for (size_t i = 0; i < t->buckets_n; i++) {
		for (Key *k = t->buckets[i], *next; k; k = next) {
			next = k->chain;
			k->chain = buckets[k->hash & (n - 1)];
			buckets[k->hash & (n - 1)] = k;
		}
	}
	free(t->buckets);
	t->buckets = buckets;
	t->buckets_n = n;
}

static char ascii_lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static void copy_lower(char *to, const char *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = ascii_lower(from[i]);
}

static Key *key_make(Names *t, Kind kind, Key *network, const char *text, size_t n, Str label)
{
	if (t->keys_n >= t->buckets_n) grow(t);
	Key *k = calloc(1, sizeof *k + n + 1 + label.n + 1);
	if (!k) return NULL;
	k->kind = (uint8_t)kind;
	k->network = network;
	k->hash = hash_of(t, kind, network, text, n);
	k->n = n;
	memcpy(k->text, text, n);
	copy_lower(k->text + n + 1, label.p, label.n);
	k->label = k->text + n + 1;
	k->label_n = label.n;
	Key **bucket = &t->buckets[k->hash & (t->buckets_n - 1)];
	k->chain = *bucket;
	*bucket = k;
	t->keys_n++;
	return k;
}

static void key_drop(Names *t, Key *k)
{
	Key **at = &t->buckets[k->hash & (t->buckets_n - 1)];
	while (*at != k)
		at = &(*at)->chain;
	*at = k->chain;
	t->keys_n--;
	free(k);
}

int names_new(Names **ret, Err *e)
{
	Names *t = calloc(1, sizeof *t);
	Key **buckets = calloc(BUCKETS_FIRST, sizeof *buckets);
	if (!t || !buckets || getrandom(&t->seed, sizeof t->seed, 0) != (ssize_t)sizeof t->seed) {
		const int failed = t && buckets ? errno : ENOMEM;
		free(buckets);
		free(t);
		return err_sys(e, failed, "make the table of names");
	}
	t->buckets = buckets;
	t->buckets_n = BUCKETS_FIRST;
	*ret = t;
	return 0;
}

/* ---- entries ---- */

static bool has_family(const Place *p, int family)
{
	return family ? p->address.has_v6 : p->address.has_v4;
}

static void ring_add(Key *k, Entry *x)
{
	if (k->last) {
		x->prev = k->last;
		x->next = k->last->next;
		x->prev->next = x->next->prev = x;
	} else {
		x->prev = x->next = k->head[0] = k->head[1] = x;
	}
	k->last = x;
	x->key = k;
	for (int family = 0; family < 2; family++)
		k->count[family] += has_family(x->place, family);
}

static void ring_remove(Names *t, Entry *x)
{
	Key *k = x->key;
	if (x->next == x) {
		key_drop(t, k);
		return;
	}
	x->prev->next = x->next;
	x->next->prev = x->prev;
	if (k->last == x) k->last = x->prev;
	for (int family = 0; family < 2; family++) {
		if (k->head[family] == x) k->head[family] = x->next;
		k->count[family] -= has_family(x->place, family);
	}
}

/* A name that this place has already is the last one of its ring. */
static int entry_add(Names *t, Place *p, Kind kind, const char *text, size_t n)
{
	Key *k = key_find(t, kind, p->network, text, n);
	if (k && k->last->place == p) return 0;
	if (!k) k = key_make(t, kind, p->network, text, n, STR(""));
	if (!k) return -ENOMEM;
	Entry *x = &p->entries[p->entries_n++];
	x->place = p;
	ring_add(k, x);
	return 0;
}

static void place_drop(Names *t, Place *p)
{
	for (size_t i = 0; i < p->entries_n; i++)
		ring_remove(t, &p->entries[i]);
	p->entries_n = 0;
	if (p->network && !--p->network->users) key_drop(t, p->network);
	p->network = NULL;
}

static void member_free(Names *t, NamesMember *m)
{
	for (size_t i = 0; i < m->places_n; i++)
		place_drop(t, &m->places[i]);
	if (m->key) key_drop(t, m->key);
	free(m->places);
	free(m->links);
	free(m->entries);
	free(m);
}

void names_remove(Names *t, NamesMember *m)
{
	if (!m) return;
	t->members_n--;
	member_free(t, m);
}

void names_free(Names *t)
{
	if (!t) return;
	for (size_t i = 0; i < t->buckets_n; i++) {
		for (Key *k = t->buckets[i]; k;) {
			NamesMember *m = k->kind == BY_CONTAINER ? k->member : NULL;
			if (m) names_remove(t, m);
			k = m ? t->buckets[i] : k->chain;
		}
	}
	assert(t->keys_n == 0 && t->members_n == 0);
	free(t->buckets);
	free(t);
}

/* ---- adding ---- */

/* As DNS has them: labels of 1 to 63 printable bytes, 253 in all. */
bool names_name_ok(const char *s)
{
	size_t label = 0;
	const char *p = s;
	for (; *p; p++) {
		if (p - s >= NAMES_LENGTH_MAX) return false;
		if (*p == '.') {
			if (!label) return false;
			label = 0;
			continue;
		}
		if (*p <= ' ' || *p >= 0x7f || ++label > 63) return false;
	}
	return label > 0;
}

static int check_network(const NamesContainer *c, const NamesNetwork *n, Err *e)
{
	const NamesAddress *a = &n->address;
	if (!*n->id || strlen(n->id) > NAMES_LENGTH_MAX)
		return err_set(e, ERR_CONFIG, EINVAL, "container %s: a network without an id", c->id);
	if (!names_name_ok(n->name)) return err_set(e, ERR_CONFIG, EINVAL, "network name '%s' is no name of DNS", n->name);
	if (a->v4_bits > 32 || a->v6_bits > 128)
		return err_set(e, ERR_CONFIG, EINVAL, "container %s: no such prefix on network %s", c->id, n->name);
	if (!n->names_n || n->names_n > NAMES_MAX)
		return err_set(e, ERR_CONFIG, n->names_n ? E2BIG : EINVAL, "container %s has %zu names on network %s: 1 to %d are possible",
			       c->id, n->names_n, n->name, NAMES_MAX);
	for (size_t i = 0; i < n->names_n; i++)
		if (!names_name_ok(n->names[i])) return err_set(e, ERR_CONFIG, EINVAL, "'%s' is no name of DNS", n->names[i]);
	return 0;
}

static int check(const Names *t, const NamesContainer *c, Err *e)
{
	if (!*c->id || strlen(c->id) > NAMES_LENGTH_MAX) return err_set(e, ERR_CONFIG, EINVAL, "a container without an id");
	if (names_member(t, c->id)) return err_set(e, ERR_EXISTS, EEXIST, "container %s has its names already", c->id);
	if (c->networks_n > NAMES_NETWORKS_MAX)
		return err_set(e, ERR_CONFIG, E2BIG, "container %s is on %zu networks: %d are possible", c->id, c->networks_n,
			       NAMES_NETWORKS_MAX);
	if (c->links_n > NAMES_LINKS_MAX)
		return err_set(e, ERR_CONFIG, E2BIG, "container %s has %zu links: %d are possible", c->id, c->links_n, NAMES_LINKS_MAX);
	if (t->members_n >= NAMES_MEMBERS_MAX)
		return err_set(e, ERR_RESOURCE, E2BIG, "%d containers have names: no more are possible", NAMES_MEMBERS_MAX);
	for (size_t i = 0; i < c->networks_n; i++) {
		int r = check_network(c, &c->networks[i], e);
		if (r < 0) return r;
		for (size_t j = 0; j < i; j++)
			if (streq(c->networks[i].id, c->networks[j].id))
				return err_set(e, ERR_CONFIG, EINVAL, "container %s is on network %s twice", c->id, c->networks[i].name);
	}
	for (size_t i = 0; i < c->links_n; i++)
		if (!names_name_ok(c->links[i].name)) return err_set(e, ERR_CONFIG, EINVAL, "'%s' is no name of DNS", c->links[i].name);
	return 0;
}

static int place_fill(Names *t, Place *p, const NamesNetwork *n)
{
	const size_t id_n = strlen(n->id);
	Key *network = key_find(t, BY_NETWORK, NULL, n->id, id_n);
	if (!network) network = key_make(t, BY_NETWORK, NULL, n->id, id_n, str_of(n->name));
	if (!network) return -ENOMEM;
	network->users++;
	p->network = network;
	p->address = n->address;
	for (size_t i = 0; i < n->names_n; i++) {
		char text[NAMES_LENGTH_MAX];
		const size_t text_n = strlen(n->names[i]);
		copy_lower(text, n->names[i], text_n);
		int r = entry_add(t, p, BY_NAME, text, text_n);
		if (r < 0) return r;
	}
	int r = n->address.has_v4 ? entry_add(t, p, BY_V4, (const char *)n->address.v4, 4) : 0;
	if (r == 0 && n->address.has_v6) r = entry_add(t, p, BY_V6, (const char *)n->address.v6, 16);
	return r;
}

static NamesMember *member_make(const NamesContainer *c)
{
	size_t entries = 0;
	for (size_t i = 0; i < c->networks_n; i++)
		entries += c->networks[i].names_n + 2;
	NamesMember *m = calloc(1, sizeof *m);
	if (!m) return NULL;
	m->places = calloc(c->networks_n + 1, sizeof *m->places);
	m->links = calloc(c->links_n + 1, sizeof *m->links);
	m->entries = calloc(entries + 1, sizeof *m->entries);
	if (m->places && m->links && m->entries) return m;
	free(m->places);
	free(m->links);
	free(m->entries);
	free(m);
	return NULL;
}

static int member_fill(Names *t, NamesMember *m, const NamesContainer *c)
{
	m->key = key_make(t, BY_CONTAINER, NULL, c->id, strlen(c->id), STR(""));
	if (!m->key) return -ENOMEM;
	m->key->member = m;
	m->internal = c->internal;
	Entry *entries = m->entries;
	for (size_t i = 0; i < c->networks_n; i++) {
		Place *p = &m->places[m->places_n++];
		p->member = m;
		p->entries = entries;
		int r = place_fill(t, p, &c->networks[i]);
		if (r < 0) return r;
		entries += p->entries_n;
	}
	for (size_t i = 0; i < c->links_n; i++) {
		Link *link = &m->links[m->links_n++];
		link->n = strlen(c->links[i].name);
		copy_lower(link->text, c->links[i].name, link->n);
		link->address = c->links[i].address;
	}
	return 0;
}

int names_add(Names *t, const NamesContainer *c, NamesMember **ret, Err *e)
{
	int r = check(t, c, e);
	if (r < 0) return r;
	NamesMember *m = member_make(c);
	r = m ? member_fill(t, m, c) : -ENOMEM;
	if (r < 0) {
		if (m) member_free(t, m);
		return err_sys(e, -r, "keep the names of container %s", c->id);
	}
	t->members_n++;
	*ret = m;
	return 0;
}

NamesMember *names_member(const Names *t, const char *id)
{
	const Key *k = key_find(t, BY_CONTAINER, NULL, id, strlen(id));
	return k ? k->member : NULL;
}

bool names_internal(const NamesMember *m)
{
	return m->internal;
}

const char *names_id(const NamesMember *m)
{
	return m->key->text;
}

/* ---- finding ---- */

/* The addresses of a ring, and the next answer begins one further. */
static size_t take_ring(Key *k, int family, uint8_t *to, size_t max)
{
	const size_t size = family ? 16 : 4, total = k->count[family];
	Entry *x = k->head[family];
	if (!total) return 0;
	while (!has_family(x->place, family))
		x = x->next;
	k->head[family] = x->next;
	for (size_t n = 0; n < total && n < max; x = x->next) {
		if (!has_family(x->place, family)) continue;
		memcpy(to + size * n++, family ? x->place->address.v6 : x->place->address.v4, size);
	}
	return total;
}

static const Link *find_link(const NamesMember *m, Str name)
{
	for (size_t i = 0; i < m->links_n; i++)
		if (m->links[i].n == name.n && memcmp(m->links[i].text, name.p, name.n) == 0) return &m->links[i];
	return NULL;
}

static size_t take_link(const Link *link, int family, uint8_t *to, size_t max)
{
	const NamesAddress *a = &link->address;
	if (!(family ? a->has_v6 : a->has_v4)) return 0;
	if (max) memcpy(to, family ? a->v6 : a->v4, family ? 16 : 4);
	return 1;
}

/* "a.b.c" as "a.b" on a network c, then as "a" on a network "b.c". */
static Key *find_qualified(const Names *t, const NamesMember *m, Str name, const Link **ret_link)
{
	for (size_t dot = name.n; dot-- > 1;) {
		if (name.p[dot] != '.') continue;
		const Str front = { name.p, dot }, label = { name.p + dot + 1, name.n - dot - 1 };
		for (size_t i = 0; i < m->places_n; i++) {
			const Key *network = m->places[i].network;
			if (network->label_n != label.n || memcmp(network->label, label.p, label.n) != 0) continue;
			*ret_link = find_link(m, front);
			Key *k = *ret_link ? NULL : key_find(t, BY_NAME, network, front.p, front.n);
			if (k || *ret_link) return k;
		}
	}
	return NULL;
}

bool names_find(Names *t, const NamesMember *asker, Str name, size_t address_n, uint8_t *to, size_t max, size_t *ret_n)
{
	const int family = address_n == 16;
	Key *k = NULL;
	assert(address_n == 4 || address_n == 16);
	if (!name.n || name.n > NAMES_LENGTH_MAX) return false;
	const Link *link = find_link(asker, name);
	for (size_t i = 0; !link && !k && i < asker->places_n; i++)
		k = key_find(t, BY_NAME, asker->places[i].network, name.p, name.n);
	if (!link && !k) k = find_qualified(t, asker, name, &link);
	if (!link && !k) return false;
	*ret_n = link ? take_link(link, family, to, max) : take_ring(k, family, to, max);
	return true;
}

bool names_find_address(Names *t, const NamesMember *asker, const uint8_t *address, size_t address_n, char to[static NAMES_REVERSE_MAX])
{
	assert(address_n == 4 || address_n == 16);
	for (size_t i = 0; i < asker->places_n; i++) {
		const Key *network = asker->places[i].network,
			  *k = key_find(t, address_n == 4 ? BY_V4 : BY_V6, network, address, address_n);
		if (!k) continue;
		snprintf(to, NAMES_REVERSE_MAX, "%s.%s", k->last->place->entries[0].key->text, network->label);
		return true;
	}
	return false;
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	const unsigned whole = bits / 8, rest = bits % 8;
	if (memcmp(a, b, whole) != 0) return false;
	return !rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

bool names_is_near(const NamesMember *asker, const uint8_t *address, size_t address_n)
{
	for (size_t i = 0; i < asker->places_n; i++) {
		const NamesAddress *a = &asker->places[i].address;
		if (address_n == 4 && a->has_v4 && a->v4_bits && same_prefix(a->v4, address, a->v4_bits)) return true;
		if (address_n == 16 && a->has_v6 && a->v6_bits && same_prefix(a->v6, address, a->v6_bits)) return true;
	}
	return false;
}
