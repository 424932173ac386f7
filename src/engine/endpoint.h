/* endpoint.h: what a container asks of its networks: docker's EndpointSettings, of ContainerCreate's NetworkingConfig. */
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

extern const BindTable endpoint_addresses_table;
extern const BindTable endpoint_request_table; /* as in a map of docker's, where the network's name is the key */
extern const BindTable endpoint_row_table;     /* as in a container's record: with the name */

/* endpoints_plan: all networks that a container of that mode is to be connected to, checked: what was asked for, or the one that the mode names. The strings are borrowed. -EINVAL with docker's words. */
int endpoints_plan(const char *mode, const EndpointRequestList *asked, Arena *a, EndpointRequestList *ret, Err *e) MUST_USE;
/* endpoint_check: one of them, by what can be said without the network's row. */
int endpoint_check(const EndpointRequest *q, Err *e) MUST_USE;
/* endpoint_mac: the hardware address that was asked for, into mac; 0: none was; 1. -EINVAL. */
int endpoint_mac(const EndpointRequest *q, uint8_t mac[static 6], Err *e) MUST_USE;
