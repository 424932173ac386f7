/* networking.h: what a container has of networks while it runs.
 *
 * A start reserves addresses (network/ipam.h), makes what of the network is not there, and the container's namespace with its device in it: that is handed to the
 * monitor, which gives it to the container. At its end nothing is to be removed but the rows: the devices go with the namespace.
 */
#pragma once

#include "engine/etc_files.h"
#include "engine/record.h"
#include "engine/publish.h"

typedef struct Networking {
	int netns;                       /* -1: the container makes its own, or has another's */
	const char *address4, *address6; /* as text; NULL: none */
	const char *gateway;
	Publishing ports;
	const struct RulesPort *rules; /* of the ports */
	const char *ended; /* the directory where its monitor tells that it has ended; NULL: it has nothing to give back */
} Networking;
#define NETWORKING_NONE ((Networking){ .netns = -1 })

/* networking_is_own: does that mode name a network, with addresses: not none, host, container:… or ns:…? */
bool networking_is_own(const char *mode);
/* networking_start: -ENOENT "failed to set up container networking: network x not found", and what making it gave. The caller calls networking_done. Single-threaded callers only. */
int networking_start(Engine *g, const Record *c, Arena *a, Networking *ret, Err *e) MUST_USE;
void networking_done(Networking *n);
/* networking_release: of a container that has lost its monitor: what it had is free. */
void networking_release(Engine *g, const char *container);
/* networking_networks: for calls of network/; the engine is borrowed. */
Networks networking_networks(Engine *g);
