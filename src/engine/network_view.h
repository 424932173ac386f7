/* network_view.h: a network as docker's API shows it. */
#pragma once

#include "engine/attachment.h"
#include "engine/networking.h"

/* NetworkEndpoint: a running container's connection to a network. */
typedef struct NetworkEndpoint {
	const char *container, *name; /* its id and name */
	IpPrefix addresses[2];        /* of IPv4 and IPv6, with the length of the subnet; family 0: none */
	uint8_t mac[RT_MAC_LEN];      /* where it has one of these */
} NetworkEndpoint;
typedef LIST_OF(NetworkEndpoint) NetworkEndpointList;

/* network_endpoints: those of the containers that run, by their ids. network_is_used: is there one? */
int network_endpoints(Engine *g, const Network *n, Arena *a, NetworkEndpointList *ret, Err *e) MUST_USE;
int network_is_used(Engine *g, const Network *n, Arena *a, Err *e) MUST_USE;
/* network_view_json: the answer to GET /networks/{id}. */
int network_view_json(Engine *g, const Network *n, Arena *a, JsonWriter *w, Err *e) MUST_USE;
