/* endpoint.c: see endpoint.h. */
#include "engine/endpoint.h"

#define A(json_name, k, field) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(EndpointAddresses, field) \
	}
BIND_TABLE(endpoint_addresses_table, "addresses", EndpointAddresses, A("IPv4Address", BIND_STRING, ip), A("IPv6Address", BIND_STRING, ip6),
	   A("LinkLocalIPs", BIND_STRINGS, link_local));
#undef A

/* In a map of docker's the network's name is the key. */
#define E(json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(EndpointRequest, field), ##__VA_ARGS__ \
	}
BIND_TABLE(endpoint_request_table, "endpoint", EndpointRequest, E("IPAMConfig", BIND_POINTER, addresses, .sub = &endpoint_addresses_table),
	   E("Links", BIND_STRINGS, links), E("Aliases", BIND_STRINGS, aliases), E("MacAddress", BIND_STRING, mac_address),
	   E("DriverOpts", BIND_MAP, driver_options), E("GwPriority", BIND_I32, gateway_priority));
#undef E

static int no_network(const char *option, const char *value, Err *e)
{
	return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
		       "--%s %.128s: that belongs to a network of one's own, which come with a later version: leave it out", option, value);
}

static int check_one(const EndpointRequest *q, Err *e)
{
	const EndpointAddresses *a = q->addresses;
	if (a && (a->ip || a->ip6))
		return err_set(
			e, ERR_CONFIG, EINVAL,
			"invalid config for network %.128s: invalid endpoint settings: user specified IP address is supported on user "
			"defined networks only",
			q->network);
	if (a && a->link_local.n) return no_network("link-local-ip", a->link_local.items[0], e);
	if (q->mac_address) return no_network("mac-address", q->mac_address, e);
	if (q->driver_options.n) return no_network("network", "driver-opt=…", e);
	return 0;
}

int endpoints_check(const EndpointRequestList *l, Err *e)
{
	if (l->n > 1) return no_network("network", l->items[1].network, e);
	return l->n ? check_one(&l->items[0], e) : 0;
}
