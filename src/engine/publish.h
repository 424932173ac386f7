/* publish.h: the ports of the host that lead to a container: which were asked for, which it gets, and the sockets that keep others from them.
 *
 * A published port is a row (network/ports.h), a socket that is bound and listens (nobody connects to it: what comes is led to the container before), and an
 * element of the rules (link/rules.h). Rows come first, then sockets, then elements; the monitor keeps the sockets, and takes the elements away at the end.
 */
#pragma once

#include "engine/record.h"
#include "network/ports.h"

typedef struct Publishing {
	PublishedPort *ports; /* with the addresses and numbers that they have got */
	int *sockets;         /* of each */
	size_t n;
} Publishing;

/* PublishWay: what the published ports of a container can lead to: addresses of which families; the host's address for those that name none (family 0: all). */
typedef struct PublishWay {
	bool ipv4, ipv6;
	IpAddress host;
} PublishWay;

/* publish_reserve: in the caller's transaction. -EADDRINUSE with docker's words. The sockets are the caller's, also after an
 * error: publishing_done closes them. */
int publish_reserve(const Networks *all, const Record *c, const PublishWay *way, Arena *a, Publishing *ret, Err *e) MUST_USE;
void publishing_done(Publishing *p);
