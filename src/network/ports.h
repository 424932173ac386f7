/* ports.h: the ports of the host that containers publish: who has which.
 *
 * Invariants
 *  - A row is a port that a running container has; as with addresses (ipam.h) it goes with its end, or when somebody else wants it.
 *  - 0.0.0.0 and each other IPv4 address exclude each other, and so do :: and each IPv6 address; IPv4 and IPv6 do not.
 *  - A row says nothing of programs that are no containers: who publishes binds the port, too.
 */
#pragma once

#include "network/ipam.h"

typedef struct PublishedPort {
	IpAddress host; /* of the host's addresses; 0.0.0.0 or ::: all of that family */
	uint16_t host_port, port;
	uint8_t protocol; /* IPPROTO_TCP, _UDP, _SCTP */
} PublishedPort;

typedef struct OwnedPort {
	const char *container;
	PublishedPort port;
} OwnedPort;
typedef LIST_OF(OwnedPort) OwnedPortList;

/* port_reserve: p for the container. -EADDRINUSE 'Bind for 0.0.0.0:80 failed: port is already allocated: by "web" (3f2a…)'. */
int port_reserve(const Networks *all, const PublishedPort *p, const char *container, Err *e) MUST_USE;
/* port_free: the smallest port from first to last that nobody has on p->host and that protocol, into p->host_port. -ENOSPC. */
int port_free(const Networks *all, PublishedPort *p, uint16_t first, uint16_t last, Err *e) MUST_USE;
/* ports_of: what a container has, also one that has ended without a word; NULL: all. In the order of containers, then of their ports. */
int ports_of(const Networks *all, const char *container, Arena *a, OwnedPortList *ret, Err *e) MUST_USE;
/* ports_leave: those of one family (4, 6). */
int ports_leave(const Networks *all, const char *container, int family, Err *e) MUST_USE;
/* port_protocol: "tcp", "udp", "sctp". */
const char *port_protocol(uint8_t protocol);
