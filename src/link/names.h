/* names.h: who has which name and address on which network, for the resolver that containers ask.
 *
 * A member is a container that is registered. It has an address or two and names on each of its networks, and links: names that only it knows.
 * What a member may ask for is what docker lets it (moby, daemon/libnetwork: Sandbox.ResolveName, Network.ResolveName, Network.ResolveIP):
 *  - names of its own networks only, its own names among them, without regard to case;
 *  - first the whole name on each of its networks in their order, then "name.network", the shortest network name first; its links before
 *    the names of others. The first network that knows the name answers alone;
 *  - a name that several members have on a network gives the addresses of all, beginning at another with each lookup (docker shuffles them);
 *  - a name that is there, but has no address of that family, is known and has none (NODATA);
 *  - an address gives "name.network", of the first name of its member there (in lower case; docker keeps it as it was given).
 *
 * Invariants
 *  - Ownership: the table owns its members; what names_add() is given is copied. The caller removes a member before he frees the table, or does not care.
 *  - Memory: a member is bounded by NAMES_NETWORKS_MAX, NAMES_MAX and NAMES_LINKS_MAX; at most NAMES_MEMBERS_MAX of them.
 *  - Adding and removing take time by the number of names of the member (and rarely of all: the table grows), a lookup by the number of networks of who asks. Lookups allocate nothing.
 *  - No I/O, no globals; the hash is seeded.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum {
	NAMES_NETWORKS_MAX = 32, /* of a member */
	NAMES_MAX = 64,          /* of a member on one network */
	NAMES_LINKS_MAX = 64,    /* of a member */
	NAMES_LENGTH_MAX = 253,  /* of a name, bytes as text: what 255 on the wire hold */
	NAMES_MEMBERS_MAX = 16384,
	NAMES_REVERSE_MAX = 2 * NAMES_LENGTH_MAX + 2,
};

typedef struct Names Names;
typedef struct NamesMember NamesMember;

/* Addresses are in the network's order; bits: of the prefix of the subnet, 0 when there is no address of that family. */
typedef struct NamesAddress {
	uint8_t v4[4], v6[16];
	bool has_v4, has_v6;
	uint8_t v4_bits, v6_bits;
} NamesAddress;

typedef struct NamesNetwork {
	const char *id, *name;
	NamesAddress address;
	const char *const *names; /* the first is what its addresses are called; a name twice counts once */
	size_t names_n;
} NamesNetwork;

typedef struct NamesLink {
	const char *name;
	NamesAddress address; /* the bits are not looked at */
} NamesLink;

typedef struct NamesContainer {
	const char *id;
	const NamesNetwork *networks;
	size_t networks_n;
	const NamesLink *links;
	size_t links_n;
	bool internal; /* all its networks are: nothing it asks may leave them */
} NamesContainer;

int names_new(Names **ret, Err *e) MUST_USE;
void names_free(Names *t);

/* names_name_ok: can DNS carry it: labels of 1 to 63 printable bytes, NAMES_LENGTH_MAX in all? */
bool names_name_ok(const char *name);

/* names_add: -EINVAL for a name that DNS cannot carry, -E2BIG beyond a limit, -EEXIST for a container that is there, -ENOMEM. Nothing has changed then. A
 * network that is known keeps the name it came with. names_remove: NULL is nothing. */
int names_add(Names *t, const NamesContainer *c, NamesMember **ret, Err *e) MUST_USE;
void names_remove(Names *t, NamesMember *m);
/* names_member: the member with the id of a container, or NULL. */
NamesMember *names_member(const Names *t, const char *id);
bool names_internal(const NamesMember *m);
const char *names_id(const NamesMember *m);

/* names_find: the addresses that name (lower case, without the last dot, as dns_name_text() writes it) has for a member, of 4 or 16 bytes each: at most
 * max of them into to, *ret_n their number, also of those for which there was no room. False: nobody has this name. */
bool names_find(Names *t, const NamesMember *asker, Str name, size_t address_n, uint8_t *to, size_t max, size_t *ret_n) MUST_USE;
/* names_find_address: what an address is called, as text. False: it is nobody's. */
bool names_find_address(Names *t, const NamesMember *asker, const uint8_t *address, size_t address_n,
			char to[static NAMES_REVERSE_MAX]) MUST_USE;
/* names_is_near: is this an address of one of the asker's own subnets? */
bool names_is_near(const NamesMember *asker, const uint8_t *address, size_t address_n);
