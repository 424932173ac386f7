/* network.h: the networks of one state directory, as rows of skep.db; what of them stands in the kernel is made when a container needs it.
 *
 * Invariants
 *  - "bridge", "host" and "none" are always there, with the first call that looks: nobody can make or remove networks of these names.
 *  - Subnets of networks of one driver that bridges (bridge) never overlap; names are unique.
 *  - A network in which a running container has an address cannot be removed; neither one that others have their configuration from. A container that does
 *    not run may be connected to one that is not there: that it cannot be started is said then.
 */
#pragma once

#include "network/pool.h"
#include "store/db.h"

enum { NETWORK_ID_LENGTH = 64, NETWORK_SHORT_ID = 12, NETWORK_DEVICE_MAX = 16 };

typedef struct Network {
	const char *id; /* 64 hexadecimal digits */
	const char *name;
	const char *driver; /* bridge, host, null, macvlan, ipvlan */
	const char *scope;  /* local, global: shown, and nothing else; NULL: local */
	int64_t created;    /* ns since 1970 */
	bool ipv4, ipv6;
	bool internal, attachable;
	bool ingress;            /* of a cluster: refused */
	bool config_only;        /* a configuration for others: no container can be connected */
	const char *config_from; /* the name of one whose subnets, options and labels it has; NULL */
	StrMap ipam_options, options, labels;
	IpamConfigList pools; /* as asked for, and those that were chosen */
} Network;
typedef LIST_OF(Network) NetworkList;

typedef struct Networks {
	Db *db;
	/* the destinations that the host has routes to: asked when a subnet is chosen, which overlaps with none of them; NULL: no matter */
	int (*routes)(void *arg, Arena *a, IpPrefixList *ret, Err *e);
	/* is there a device of that name on the host? asked when the default bridge is named; NULL: no matter */
	int (*device)(void *arg, const char *name, Err *e);
	/* takes what the kernel has of a network away, before its row goes: who is killed in between leaves a network that can be removed again; NULL: nothing */
	int (*drop)(void *arg, const Network *n, Err *e);
	/* ends what may be left of a container that runs no more, in the kernel too, before somebody else gets what it has; -EBUSY: it is being started after all; NULL: nothing */
	int (*end)(void *arg, const char *container, Err *e);
	/* does the container run? asked only when what it has in a network is wanted by somebody else; < 0: an error */
	int (*runs)(void *arg, const char *container, Err *e);
	void *arg;
} Networks;

/* network_create: of *want, whose id and created are not looked at; NULL or "" as driver is bridge. Subnets are chosen where none are given. -EEXIST,
 * -EINVAL, -EPERM, -ENOTSUP, -ENOSPC in docker's words. */
int network_create(const Networks *all, const Network *want, Arena *a, Network *ret, Err *e) MUST_USE;
/* network_find: by name, id or the beginning of an id. -ENOENT "network x not found"; -EINVAL: several begin so. */
int network_find(const Networks *all, const char *name, Arena *a, Network *ret, Err *e) MUST_USE;
/* network_list: by name. */
int network_list(const Networks *all, Arena *a, NetworkList *ret, Err *e) MUST_USE;
/* network_remove: -EPERM: predefined; -EBUSY: in use, with the endpoints. */
int network_remove(const Networks *all, const Network *n, Err *e) MUST_USE;

bool network_is_predefined(const char *name);
/* network_is_user: docker's user-defined ones: names, aliases and addresses can be asked of them. */
bool network_is_user(const Network *n);
const char *network_scope(const Network *n);
/* network_device: of a bridge's interface on the host: the option com.docker.network.bridge.name, or br- and the short id. */
const char *network_device(const Network *n, char name[static NETWORK_DEVICE_MAX]);
/* network_option_bool, network_option_int: of a driver's option that was checked when the network was made; fallback: not given. */
bool network_option_bool(const Network *n, const char *key, bool fallback);
int network_option_int(const Network *n, const char *key, int fallback);

/* network_endpoint_id: of a container's connection to it: the digits of both ids, added. */
const char *network_endpoint_id(const Network *n, const char *container, char id[static NETWORK_ID_LENGTH + 1]);

#define NETWORK_BRIDGE_NAME "com.docker.network.bridge.name"
#define NETWORK_MTU "com.docker.network.driver.mtu"
#define NETWORK_ICC "com.docker.network.bridge.enable_icc"
#define NETWORK_MASQUERADE "com.docker.network.bridge.enable_ip_masquerade"
#define NETWORK_HOST_BINDING "com.docker.network.bridge.host_binding_ipv4"
#define NETWORK_GATEWAY_MODE4 "com.docker.network.bridge.gateway_mode_ipv4"
#define NETWORK_GATEWAY_MODE6 "com.docker.network.bridge.gateway_mode_ipv6"
#define NETWORK_INHIBIT4 "com.docker.network.bridge.inhibit_ipv4"
/* Ours: "host": the host's own forward rules decide who reaches published ports; "open": they let them through, as with docker. */
#define NETWORK_PUBLISH "publish-policy"
#define NETWORK_PREFIX "com.docker.network.container_iface_prefix"
