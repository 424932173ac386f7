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
