/* pool.c: see pool.h. */
#include "network/pool.h"

#include <sys/random.h>

enum { RESERVED_MAX = 1024, RANDOM_TRIES = 64, ULA_LENGTH = 64 };

#define C(json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(IpamConfig, field), ##__VA_ARGS__ \
	}
BIND_TABLE(ipam_config_table, "IPAM configuration", IpamConfig, C("Subnet", BIND_STRING, subnet), C("IPRange", BIND_STRING, range),
	   C("Gateway", BIND_STRING, gateway), C("AuxiliaryAddresses", BIND_MAP, reserved));
#undef C

/* ---- what was asked for ---- */

static int invalid(const char *what, const char *text, const char *why, Err *e)
{
	return err_set(e, ERR_CONFIG, EINVAL, "invalid network config: invalid %s %.64s: %s", what, text, why);
}

static int parse_prefix(const char *what, const char *text, IpPrefix *ret, Err *e)
{
	char right[IP_PREFIX_TEXT_MAX], why[IP_PREFIX_TEXT_MAX + 24];
	IpPrefix p;
	if (ip_prefix_parse(str_of(text), &p) < 0) return invalid(what, text, "invalid CIDR block notation", e);
	*ret = ip_prefix_mask(&p);
	if (ip_equal(&ret->address, &p.address)) return 0;
	snprintf(why, sizeof why, "it should be %s", ip_prefix_format(ret, right));
	return invalid(what, text, why, e);
}

static int parse_inside(const Pool *p, const char *what, const char *text, IpAddress *ret, Err *e)
{
	char subnet[IP_PREFIX_TEXT_MAX], why[IP_PREFIX_TEXT_MAX + 24];
	if (ip_parse(str_of(text), ret) < 0) return invalid(what, text, "invalid address", e);
	if (ip_prefix_contains(&p->subnet, ret)) return 0;
	snprintf(why, sizeof why, "parent subnet is %s", ip_prefix_format(&p->subnet, subnet));
	return invalid(what, text, why, e);
}

static int parse_range(Pool *p, const char *text, Err *e)
{
	char subnet[IP_PREFIX_TEXT_MAX], why[IP_PREFIX_TEXT_MAX + 24];
	p->range = p->subnet;
	if (!text || !*text) return 0;
	int r = parse_prefix("ip-range", text, &p->range, e);
	if (r < 0 || ip_prefix_covers(&p->subnet, &p->range)) return r;
	snprintf(why, sizeof why, "parent subnet is %s", ip_prefix_format(&p->subnet, subnet));
	return invalid("ip-range", text, why, e);
}

static bool has(const IpAddressList *l, const IpAddress *a)
{
	for (size_t i = 0; i < l->n; i++)
		if (ip_equal(&l->items[i], a)) return true;
	return false;
}

static int parse_reserved(Pool *p, const StrMap *m, Arena *a, Err *e)
{
	p->reserved.items = arena_array(a, m->n + 1, sizeof *p->reserved.items);
	if (!p->reserved.items) return err_sys(e, ENOMEM, "read a network");
	if (m->n > RESERVED_MAX)
		return err_set(e, ERR_CONFIG, E2BIG, "invalid network config: more than %d auxiliary addresses", RESERVED_MAX);
	for (size_t i = 0; i < m->n; i++) {
		IpAddress x;
		int r = parse_inside(p, "auxiliary address", m->items[i].value, &x, e);
		if (r < 0) return r;
		if (ip_equal(&x, &p->gateway) || has(&p->reserved, &x))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "failed to allocate secondary ip address (%.64s:%.64s): Address already in use", m->items[i].key,
				       m->items[i].value);
		p->reserved.items[p->reserved.n++] = x;
	}
	return 0;
}

int pool_parse(const IpamConfig *c, Arena *a, Pool *ret, Err *e)
{
	Pool p = { 0 };
	if (!c->subnet || !*c->subnet)
		return err_set(e, ERR_CONFIG, EINVAL, "invalid network config: every ip-range or gateway must have a corresponding subnet");
	int r = parse_prefix("subnet", c->subnet, &p.subnet, e);
	if (r >= 0) r = parse_range(&p, c->range, e);
	if (r >= 0 && c->gateway && *c->gateway) r = parse_inside(&p, "gateway", c->gateway, &p.gateway, e);
	if (r < 0 || (r = parse_reserved(&p, &c->reserved, a, e)) < 0) return r;
	*ret = p;
	return 0;
}

int pools_parse(const IpamConfigList *l, Arena *a, PoolList *ret, Err *e)
{
	PoolList pools = { .items = arena_array(a, l->n + 1, sizeof *pools.items) };
	if (!pools.items) return err_sys(e, ENOMEM, "read a network");
	for (; pools.n < l->n; pools.n++) {
		int r = pool_parse(&l->items[pools.n], a, &pools.items[pools.n], e);
		for (size_t i = 0; r >= 0 && i < pools.n; i++)
			if (ip_prefix_overlaps(&pools.items[i].subnet, &pools.items[pools.n].subnet))
				r = err_set(e, ERR_CONFIG, EINVAL,
					    "invalid network config: subnets %.64s and %.64s overlap: give each address one subnet",
					    l->items[i].subnet, l->items[pools.n].subnet);
		if (r < 0) return r;
	}
	*ret = pools;
	return 0;
}

/* ---- what nobody asked for ---- */

static bool is_free(const IpPrefix *p, const IpPrefixList *taken)
{
	for (size_t i = 0; i < taken->n; i++)
		if (ip_prefix_overlaps(p, &taken->items[i])) return false;
	return true;
}

static int found(const IpPrefix *p, Arena *a, IpamConfig *ret, Err *e)
{
	char subnet[IP_PREFIX_TEXT_MAX], gateway[IP_TEXT_MAX];
	IpAddress first;
	if (!ip_add(&p->address, 1, &first)) return err_set(e, ERR_INTERNAL, ERANGE, "no first address");
	*ret = (IpamConfig){ .subnet = arena_strdup(a, ip_prefix_format(p, subnet)),
			     .gateway = arena_strdup(a, ip_format(&first, gateway)) };
	return ret->subnet && ret->gateway ? 0 : err_sys(e, ENOMEM, "choose a subnet");
}

static int choose4(const IpPrefixList *taken, Arena *a, IpamConfig *ret, Err *e)
{
	for (unsigned i = 17; i <= 31; i++) {
		const IpPrefix p = { { 4, { 172, (uint8_t)i } }, 16 };
		if (is_free(&p, taken)) return found(&p, a, ret, e);
	}
	for (unsigned i = 0; i < 256; i += 16) {
		const IpPrefix p = { { 4, { 192, 168, (uint8_t)i } }, 20 };
		if (is_free(&p, taken)) return found(&p, a, ret, e);
	}
	return err_set(e, ERR_RESOURCE, ENOSPC,
		       "all predefined address pools have been fully subnetted: choose one with --subnet, or remove a network");
}

static int choose6(const IpPrefixList *taken, Arena *a, IpamConfig *ret, Err *e)
{
	for (int i = 0; i < RANDOM_TRIES; i++) {
		IpPrefix p = { { .family = 6 }, ULA_LENGTH };
		if (getrandom(p.address.bytes, ULA_LENGTH / 8, 0) != ULA_LENGTH / 8) return err_sys(e, errno, "choose a subnet");
		p.address.bytes[0] = 0xfd;
		if (is_free(&p, taken)) return found(&p, a, ret, e);
	}
	return err_set(e, ERR_RESOURCE, ENOSPC, "no IPv6 subnet is free: choose one with --subnet");
}

int pool_choose(int family, const IpPrefixList *taken, Arena *a, IpamConfig *ret, Err *e)
{
	return family == 4 ? choose4(taken, a, ret, e) : choose6(taken, a, ret, e);
}

/* ---- addresses of one ---- */

static bool is_edge(const Pool *p, const IpAddress *at)
{
	if (ip_bits(at) - p->subnet.length < 2) return false;
	IpAddress last = ip_prefix_last(&p->subnet);
	return ip_equal(at, &p->subnet.address) || (at->family == 4 && ip_equal(at, &last));
}

bool pool_is_usable(const Pool *p, const IpAddress *gateway, const IpAddress *at)
{
	return ip_prefix_contains(&p->subnet, at) && !is_edge(p, at) && !ip_equal(at, gateway) && !has(&p->reserved, at);
}

bool pool_skip(const Pool *p, const IpAddress *gateway, IpAddress *at)
{
	IpAddress first = ip_prefix_first(&p->range);
	if (ip_compare(at, &first) < 0) *at = first;
	while (ip_prefix_contains(&p->range, at)) {
		if (pool_is_usable(p, gateway, at)) return true;
		if (!ip_add(at, 1, at)) return false;
	}
	return false;
}

IpAddress pool_gateway(const Pool *p)
{
	const IpAddress none = { 0 };
	IpAddress at = ip_prefix_first(&p->range);
	if (p->gateway.family) return p->gateway;
	return pool_skip(p, &none, &at) ? at : none;
}
