/* begin.h: what who starts a container hands to its monitor. A monitor is executed early and waits for this, so that both work at the same time. */
#pragma once

#include "base/arena.h"
#include "monitor/wire.h"

/* The descriptors of a monitor's sockets to who starts it: that of a client, whose requests so far are heard before the start, and the one over which
 * this comes, after them; that of the lock when it becomes the command that starts its container again. */
enum { MONITOR_CONTROL = 3, MONITOR_BEGIN, MONITOR_LOCK };

typedef struct MonitorBegin {
	const char *dir; /* the container's directory */
	int root;        /* the root as a detached mount */
	int lock;        /* the container's lock */
	int config;      /* a MonitorConfig (monitor/config.h) */
	int spec;        /* the container's config.json */
	int layers;      /* what the root has from its image, a mount of its own; -1: none that others could have, too */
	int netns;       /* the network namespace, with all that it has; -1: made with the container, or what the configuration says */
	int userns;      /* its owner: the user namespace with the mappings of config.json; -1: likewise */
	int names[2];    /* sockets in the network namespace that are asked for names, UDP and TCP; -1: none */
	int *sources;    /* of the mounts that the configuration names */
	size_t n_sources;
	int *ports; /* sockets that keep others from its published ports */
	size_t n_ports;
} MonitorBegin;
#define MONITOR_BEGIN_NONE \
	((MonitorBegin){ .root = -1, .lock = -1, .config = -1, .spec = -1, .layers = -1, .netns = -1, .userns = -1, .names = { -1, -1 } })

/* begin_send: copies go; what b has stays the caller's. begin_receive: waits; 1, or 0 when nobody wants a monitor any more. The descriptors are the
 * caller's, also after an error; the rest lives in the arena. */
int begin_send(int sock, const MonitorBegin *b, Err *e) MUST_USE;
int begin_receive(int sock, Arena *a, MonitorBegin *ret, Err *e) MUST_USE;
