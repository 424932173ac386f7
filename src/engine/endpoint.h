/* endpoint.h: what a container asks of one of its networks: docker's EndpointSettings, of ContainerCreate's NetworkingConfig. */
#pragma once

#include "base/bind.h"

typedef struct EndpointAddresses {
	const char *ip, *ip6; /* NULL: any */
	StrList link_local;
} EndpointAddresses;

typedef struct EndpointRequest {
	const char *network; /* its name or id; "default" */
	const EndpointAddresses *addresses;
	StrList links;   /* "container[:alias]" */
	StrList aliases; /* further names of the container there */
	const char *mac_address;
	StrMap driver_options;
	int32_t gateway_priority; /* the network with the highest gives the default route */
} EndpointRequest;
typedef LIST_OF(EndpointRequest) EndpointRequestList;

extern const BindTable endpoint_request_table;

/* endpoints_check: until there are networks, nothing can be asked of them. */
int endpoints_check(const EndpointRequestList *l, Err *e) MUST_USE;
