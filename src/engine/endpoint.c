/* endpoint.c: see endpoint.h. */
#include "engine/endpoint.h"

#include "base/ip.h"
#include "network/network.h"

enum { MAC_BYTES = 6 };

#define A(json_name, k, field) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(EndpointAddresses, field) \
	}
BIND_TABLE(endpoint_addresses_table, "addresses", EndpointAddresses, A("IPv4Address", BIND_STRING, ip), A("IPv6Address", BIND_STRING, ip6),
	   A("LinkLocalIPs", BIND_STRINGS, link_local));
#undef A

#define E(json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(EndpointRequest, field), ##__VA_ARGS__ \
	}
#define ASKED \
	E("IPAMConfig", BIND_POINTER, addresses, .sub = &endpoint_addresses_table), E("Links", BIND_STRINGS, links), \
		E("Aliases", BIND_STRINGS, aliases), E("MacAddress", BIND_STRING, mac_address), E("DriverOpts", BIND_MAP, driver_options), \
		E("GwPriority", BIND_I32, gateway_priority)
BIND_TABLE(endpoint_request_table, "endpoint", EndpointRequest, ASKED);
BIND_TABLE(endpoint_row_table, "endpoint", EndpointRequest, E("Network", BIND_STRING, network, .flags = BIND_REQUIRED), ASKED);
#undef ASKED
#undef E

/* ---- checks ---- */

static int bad_address(const EndpointRequest *q, const char *what, const char *text, Err *e)
{
	return err_set(e, ERR_CONFIG, EINVAL, "invalid config for network %.128s: invalid endpoint settings:\ninvalid %s address: %.64s",
		       q->network, what, text);
}

static bool is_family(const char *text, int family)
{
	IpAddress a;
	return ip_parse(str_of(text), &a) >= 0 && a.family == family;
}

static int check_addresses(const EndpointRequest *q, Err *e)
{
	static const char only_own[] = "user specified IP address is supported on user defined networks only";
	const EndpointAddresses *a = q->addresses;
	if (!a) return 0;
	if (a->link_local.n)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "network %.128s: link-local addresses of one's own (--link-local-ip %.64s) are not supported", q->network,
			       a->link_local.items[0]);
	if (!a->ip && !a->ip6) return 0;
	if (streq(q->network, "none") || streq(q->network, "host"))
		return err_set(
			e, ERR_CONFIG, EINVAL,
			"invalid config for network %.128s: invalid endpoint settings:\n* %s\n* user specified IP address is supported only when "
			"connecting to networks with user configured subnets",
			q->network, only_own);
	if (network_is_predefined(q->network))
		return err_set(e, ERR_CONFIG, EINVAL, "invalid config for network %.128s: invalid endpoint settings:\n%s", q->network,
			       only_own);
	if (a->ip && !is_family(a->ip, 4)) return bad_address(q, "IPv4", a->ip, e);
	return a->ip6 && !is_family(a->ip6, 6) ? bad_address(q, "IPv6", a->ip6, e) : 0;
}

/* "92:d0:c6:0a:29:33", "92-d0-c6-0a-29-33", "92d0.c60a.2933". */
static bool parse_mac(const char *text, uint8_t mac[static MAC_BYTES])
{
	size_t digits = 0;
	uint8_t all[MAC_BYTES] = { 0 };
	for (const char *c = text; *c; c++) {
		int value = *c >= '0' && *c <= '9'   ? *c - '0'
			    : *c >= 'a' && *c <= 'f' ? *c - 'a' + 10
			    : *c >= 'A' && *c <= 'F' ? *c - 'A' + 10
						     : -1;
		if (value < 0 && strchr(":-.", *c) && digits % 2 == 0) continue;
		if (value < 0 || digits == 2 * sizeof all) return false;
		all[digits / 2] = (uint8_t)(all[digits / 2] << 4 | value);
		digits++;
	}
	memcpy(mac, all, sizeof all);
	return digits == 2 * sizeof all && !(all[0] & 1);
}

int endpoint_mac(const EndpointRequest *q, uint8_t mac[static MAC_BYTES], Err *e)
{
	if (!q->mac_address || !*q->mac_address) return 0;
	if (parse_mac(q->mac_address, mac)) return 1;
	return err_set(e, ERR_CONFIG, EINVAL,
		       "network %.128s: \"%.64s\" is no hardware address that a device can have (six bytes, no group address)", q->network,
		       q->mac_address);
}

int endpoint_check(const EndpointRequest *q, Err *e)
{
	uint8_t mac[MAC_BYTES];
	int r = check_addresses(q, e);
	return r < 0 || (r = endpoint_mac(q, mac, e)) < 0 ? r : 0;
}

/* ---- all of a container ---- */

static int check_alone(const char *network, Err *e)
{
	if (streq(network, "host"))
		return err_set(e, ERR_CONFIG, EINVAL, "container cannot be disconnected from host network or connected to host network");
	if (!streq(network, "none")) return 0;
	return err_set(e, ERR_CONFIG, EINVAL,
		       "container cannot be connected to multiple networks with one of the networks in private (none) mode");
}

int endpoints_plan(const char *mode, const EndpointRequestList *asked, Arena *a, EndpointRequestList *ret, Err *e)
{
	*ret = (EndpointRequestList){ 0 };
	if (starts_with(mode, "container:") || starts_with(mode, "ns:")) {
		if (!asked->n) return 0;
		return err_set(e, ERR_CONFIG, EINVAL,
			       "conflicting options: cannot attach the container to networks of its own and to the network of %.128s",
			       mode);
	}
	ret->n = asked->n ? asked->n : 1;
	ret->items = arena_array(a, ret->n, sizeof *ret->items);
	if (!ret->items) return err_sys(e, ENOMEM, "networks of a container");
	ret->items[0] = (EndpointRequest){ .network = mode };
	for (size_t i = 0; i < asked->n; i++) {
		ret->items[i] = asked->items[i];
		if (streq(ret->items[i].network, "default")) ret->items[i].network = "bridge";
		int r = endpoint_check(&ret->items[i], e);
		if (r >= 0 && asked->n > 1) r = check_alone(ret->items[i].network, e);
		if (r < 0) return r;
	}
	return 0;
}
