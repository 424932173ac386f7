/* network_options.c: see network_options.h. */
#include "cli/skep/network_options.h"

enum { SHOWN = 128 };

static int bad_subnet(const char *text, Err *e)
{
	return err_set(e, ERR_USAGE, EINVAL, "invalid subnet: invalid CIDR address: %.*s", SHOWN, text);
}

/* 1, 0: is data, an address or a prefix, in the subnet? Nonsense is in none. */
static int lies_in(const char *subnet, const char *data, Err *e)
{
	IpPrefix in, p;
	if (ip_prefix_parse(str_of(subnet), &in) < 0) return bad_subnet(subnet, e);
	in = ip_prefix_mask(&in);
	if (strchr(data, '/')) {
		if (ip_prefix_parse(str_of(data), &p) < 0) return err_set(e, ERR_USAGE, EINVAL, "invalid CIDR address: %.*s", SHOWN, data);
	} else if (ip_parse(str_of(data), &p.address) < 0) {
		return 0;
	}
	return ip_prefix_contains(&in, &p.address);
}

static int take_subnets(const StrList *subnets, IpamConfigList *to, Err *e)
{
	for (size_t i = 0; i < subnets->n; i++) {
		for (size_t k = 0; k < i; k++) {
			int one = lies_in(subnets->items[i], subnets->items[k], e),
			    other = one < 0 ? one : lies_in(subnets->items[k], subnets->items[i], e);
			if (one < 0 || other < 0) return one < 0 ? one : other;
			if (one || other)
				return err_set(e, ERR_USAGE, EINVAL, "multiple overlapping subnet configuration is not supported");
		}
		to->items[to->n++] = (IpamConfig){ .subnet = subnets->items[i] };
	}
	return 0;
}

static int take_range(IpamConfigList *to, const char *range, Err *e)
{
	bool match = false;
	IpPrefix ignored;
	for (size_t i = 0; i < to->n; i++) {
		IpamConfig *c = &to->items[i];
		int r = lies_in(c->subnet, range, e);
		if (r >= 0 && ip_prefix_parse(str_of(range), &ignored) < 0)
			r = err_set(e, ERR_USAGE, EINVAL, "invalid CIDR address: %.*s", SHOWN, range);
		if (r < 0) return r;
		if (!r) continue;
		if (c->range)
			return err_set(e, ERR_USAGE, EINVAL, "cannot configure multiple ranges (%.*s, %.*s) on the same subnet (%.*s)",
				       SHOWN, range, SHOWN, c->range, SHOWN, c->subnet);
		c->range = range;
		match = true;
	}
	return match ? 0 : err_set(e, ERR_USAGE, EINVAL, "no matching subnet for range %.*s", SHOWN, range);
}

static int take_gateway(IpamConfigList *to, const char *gateway, Err *e)
{
	bool match = false;
	for (size_t i = 0; i < to->n; i++) {
		IpamConfig *c = &to->items[i];
		int r = lies_in(c->subnet, gateway, e);
		if (r < 0) return r;
		if (!r) continue;
		if (c->gateway)
			return err_set(e, ERR_USAGE, EINVAL, "cannot configure multiple gateways (%.*s, %.*s) for the same subnet (%.*s)",
				       SHOWN, gateway, SHOWN, c->gateway, SHOWN, c->subnet);
		c->gateway = gateway;
		match = true;
	}
	return match ? 0 : err_set(e, ERR_USAGE, EINVAL, "no matching subnet for gateway %.*s", SHOWN, gateway);
}

static int take_reserved(IpamConfigList *to, const StrPair *p, Arena *a, Err *e)
{
	bool match = false;
	for (size_t i = 0; i < to->n; i++) {
		IpamConfig *c = &to->items[i];
		int r = lies_in(c->subnet, p->value, e);
		if (r < 0) return r;
		if (!r) continue;
		if (str_map_set(&c->reserved, p->key, p->value, a) < 0) return err_sys(e, ENOMEM, "network create");
		match = true;
	}
	return match ? 0 : err_set(e, ERR_USAGE, EINVAL, "no matching subnet for aux-address %.*s", SHOWN, p->value);
}

int network_subnets(const SubnetOptions *o, Arena *a, IpamConfigList *ret, Err *e)
{
	IpamConfigList l = { .items = arena_array(a, o->subnets->n + 1, sizeof *l.items) };
	if (!l.items) return err_sys(e, ENOMEM, "network create");
	if (o->subnets->n < o->ranges->n || o->subnets->n < o->gateways->n)
		return err_set(e, ERR_USAGE, EINVAL, "every ip-range or gateway must have a corresponding subnet");
	int r = take_subnets(o->subnets, &l, e);
	for (size_t i = 0; r >= 0 && i < o->ranges->n; i++)
		r = take_range(&l, o->ranges->items[i], e);
	for (size_t i = 0; r >= 0 && i < o->gateways->n; i++)
		r = take_gateway(&l, o->gateways->items[i], e);
	for (size_t i = 0; r >= 0 && i < o->reserved->n; i++)
		r = take_reserved(&l, &o->reserved->items[i], a, e);
	if (r < 0) return r;
	*ret = l;
	return 0;
}
