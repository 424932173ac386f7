/* rtnl.h: what networks of containers need of NETLINK_ROUTE: devices, addresses, routes, limits of traffic; made in batches, and listed.
 *
 * Invariants
 *  - A request is checked while it is added (names, lengths, ranges); the first that is wrong fails the batch, and nothing of it is sent.
 *  - A socket acts in the network namespace in which it was opened, wherever its user goes later. Indexes are those of that namespace.
 *  - What the kernel says is bounded and checked before use; every wait ends after five seconds.
 * Names: at most 15 bytes, as netdev_name_ok() wants them, and no "%": the kernel chooses no names here. Nothing here keeps descriptors: those of
 * namespaces need to be open until the batch is sent.
 *
 * Measured (veth into a bridge, peer in a namespace just made, address, route): `./dev bench network`.
 */
#pragma once

#include "base/arena.h"
#include "base/bind.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"

/* rtnl_open: a socket for this namespace, *ret close-on-exec. rtnl_open_in: for that of the descriptor netns, entered meanwhile: single-threaded
 * callers only. rtnl_index: the index (> 0) of a device in the socket's namespace, by one ioctl; -ENODEV. */
int rtnl_open(int *ret, Err *e) MUST_USE;
int rtnl_open_in(int netns, int *ret, Err *e) MUST_USE;
int rtnl_index(int sock, const char *name) MUST_USE;

/* ---- batches ----
 * Requests are collected and sent in one sendmsg(2). The kernel does them one after the other, in their order, before that call returns. It does
 * not stop at one that fails: those behind it are done or fail by themselves, and nothing is undone. So after a failure the caller takes away
 * what may be there (drops the namespace, deletes the device), or, after a batch without dependences, goes on. Only the last request asks for an
 * acknowledgement: success costs two system calls, whatever the number.
 */
enum {
	RT_BATCH_BYTES = 1 << 16, /* a batch of more bytes or requests is not sent: -E2BIG */
	RT_BATCH_REQUESTS = 128,
};

typedef struct RtRequests {
	Buf out;    /* messages */
	Buf labels; /* of each a label and, of those that make something, what kind of thing: two strings with their NULs */
	size_t n;
} RtRequests;
typedef struct RtBatch {
	RtRequests first, after; /* after: what is only done when all of first was */
	Err bad;                 /* of the first request that is wrong */
} RtBatch;

#define RT_REQUESTS_INIT \
	{ \
		.out = BUF_INIT(RT_BATCH_BYTES), .labels = BUF_INIT(RT_BATCH_BYTES) \
	}
#define RT_BATCH_INIT ((RtBatch){ .first = RT_REQUESTS_INIT, .after = RT_REQUESTS_INIT })
void rtnl_batch_done(RtBatch *b);
#define AUTO_RT_BATCH AUTO(rtnl_batch_done) RtBatch

/* rtnl_send: sends the requests of b and empties it, for the next ones. The error is that of the first that failed; its message begins with the
 * label the request was added with, and ends with the kernel's own words: "bridge skep0: file exists", "route of web: invalid argument (Nexthop has
 * invalid gateway)". -EOPNOTSUPP: "macvlan of web: this kernel has no macvlan" (its module is missing). -ETIMEDOUT: nothing is known. An empty
 * batch succeeds. */
int rtnl_send(int sock, RtBatch *b, Err *e) MUST_USE;

/* ---- devices ----
 * label: of every function that adds a request; what it is for, in words for the user ("bridge skep0"). It is copied.
 */
enum { RT_MAC_LEN = 6, RT_NAME_MAX = 16, RT_ALIAS_MAX = 255 };

typedef struct RtDevice {
	const char *name;
	const char *alias;  /* a label for people and for finding one's own again (`ip link` shows it); NULL: none */
	const uint8_t *mac; /* RT_MAC_LEN bytes; NULL: a random one */
	uint32_t mtu;       /* bytes; 0: as the kernel has it */
	uint32_t group;     /* for rtnl_group_delete; 0: none */
	int master;         /* index of the bridge it becomes a port of; 0: none */
	bool hairpin;       /* port of a bridge: frames may leave by the port they came by */
	bool isolated;      /* port of a bridge: not to other isolated ports */
	bool up;
} RtDevice;
/* Where netns is a descriptor, and not -1 for the socket's own namespace, the device is made in there at once, under its name. It then has neither
 * alias nor master nor what belongs to these (-EINVAL): they need a socket of that namespace. An alias, hairpin and isolated the kernel takes from no
 * request that makes a device: they are set, by the name, with a second sendmsg(2), and only when the whole batch has succeeded: else a device
 * of somebody else that has the name would get them. -EEXIST: the name is taken. */

/* rtnl_bridge_add: no VLAN filter, multicast snooping and forwarding of link-local groups as the kernel has them. */
void rtnl_bridge_add(RtBatch *b, const char *label, const RtDevice *d);
/* rtnl_dummy_add: a device that leads nowhere: the parent of internal macvlan networks. */
void rtnl_dummy_add(RtBatch *b, const char *label, const RtDevice *d);
/* rtnl_veth_add: a pair; the peer is made in netns, without master and alias, and down: the kernel makes it before the other end. Whoever gives it
 * its addresses brings it up in the same batch. */
void rtnl_veth_add(RtBatch *b, const char *label, const RtDevice *d, const RtDevice *peer, int netns);

typedef enum { RT_MACVLAN_PRIVATE = 1, RT_MACVLAN_VEPA = 2, RT_MACVLAN_BRIDGE = 4, RT_MACVLAN_PASSTHRU = 8 } RtMacvlanMode;
typedef enum { RT_IPVLAN_L2, RT_IPVLAN_L3, RT_IPVLAN_L3S } RtIpvlanMode;
typedef enum { RT_IPVLAN_BRIDGE, RT_IPVLAN_PRIVATE, RT_IPVLAN_VEPA } RtIpvlanFlag;
/* rtnl_macvlan_add, rtnl_ipvlan_add, rtnl_vlan_add: over the device parent (an index of the socket's namespace). An ipvlan has the MAC of its parent:
 * d->mac is refused. vlan: 1 to 4094 (802.1Q). */
void rtnl_macvlan_add(RtBatch *b, const char *label, const RtDevice *d, int netns, int parent, RtMacvlanMode mode);
void rtnl_ipvlan_add(RtBatch *b, const char *label, const RtDevice *d, int netns, int parent, RtIpvlanMode mode, RtIpvlanFlag flag);
void rtnl_vlan_add(RtBatch *b, const char *label, const RtDevice *d, int parent, uint16_t vlan);

typedef enum { RT_KEEP, RT_UP, RT_DOWN } RtUp;
enum { RT_NO_MASTER = -1 };
typedef struct RtChange { /* what is 0, NULL or not set stays as it is */
	RtUp up;
	const char *name;  /* since Linux 6.2 also of one that is up */
	const char *alias; /* "": none any more */
	const uint8_t *mac;
	uint32_t mtu;
	int master; /* RT_NO_MASTER: of none */
	OptUint txqlen, group;
} RtChange;
void rtnl_link_set(RtBatch *b, const char *label, int index, const RtChange *c);

/* rtnl_link_delete: waits for the end of an RCU grace period, some 20 ms: whoever can drops the namespace of one end instead. rtnl_group_delete: all
 * devices of a group (not 0) with one such wait; -ENODEV: there is none. */
void rtnl_link_delete(RtBatch *b, const char *label, int index);
void rtnl_group_delete(RtBatch *b, const char *label, uint32_t group);

/* ---- addresses and routes ---- */

typedef enum { RT_GLOBAL = 0, RT_SITE = 200, RT_LINK = 253, RT_HOST = 254 } RtScope;
typedef struct RtAddress {
	int index; /* of the device */
	IpAddress ip;
	uint8_t prefix;
	RtScope scope;
	IpAddress broadcast; /* of IPv4; none: none */
	IpAddress peer;      /* when read: the other end's, where it is not ip */
	bool detect;         /* an IPv6 address is not used before duplicates were looked for (a second); without, at once */
	uint32_t flags;      /* when read: IFA_F_… */
} RtAddress;
/* rtnl_address_add: -EEXIST. rtnl_address_delete: by ip, prefix and device; -EADDRNOTAVAIL. */
void rtnl_address_add(RtBatch *b, const char *label, const RtAddress *a);
void rtnl_address_delete(RtBatch *b, const char *label, const RtAddress *a);

typedef enum { RT_UNICAST = 1, RT_BLACKHOLE = 6, RT_UNREACHABLE = 7, RT_PROHIBIT = 8, RT_THROW = 9 } RtRouteType;
typedef struct RtRoute {
	RtRouteType type; /* 0 in a request: RT_UNICAST */
	IpAddress to;     /* with the family also of a default route, whose prefix is 0 */
	uint8_t prefix;
	IpAddress via;    /* the gateway; none: on the link */
	IpAddress source; /* address that is preferred; none: the kernel picks */
	int index;        /* of the device; 0: the kernel finds it by the gateway. When read, that of the first of several ways */
	uint32_t metric, mtu, table; /* table 0 in a request: the main one */
	bool onlink;                 /* the gateway is on the link, whatever the addresses say */
} RtRoute;
/* rtnl_route_add: -EEXIST. rtnl_route_delete: -ESRCH. */
void rtnl_route_add(RtBatch *b, const char *label, const RtRoute *r);
void rtnl_route_delete(RtBatch *b, const char *label, const RtRoute *r);

/* ---- limits ----
 * A token bucket at the root of a device limits what leaves it: on the host's end of a veth pair what the container receives, on the container's
 * end what it sends. */
typedef struct RtTbf {
	uint64_t rate;       /* bytes per second, with the headers of layer 2; not 0 */
	uint32_t burst;      /* bytes that may go at once; 0: 20 ms of the rate, 64 KiB at least */
	uint32_t latency_ms; /* how long a packet may wait before others are dropped; 0: 50 */
} RtTbf;
/* rtnl_tbf_set: in place of what the device had. rtnl_tbf_delete: -EINVAL: it has no such limit. */
void rtnl_tbf_set(RtBatch *b, const char *label, int index, const RtTbf *t);
void rtnl_tbf_delete(RtBatch *b, const char *label, int index);

/* ---- lists ----
 * Lists lie in the arena. One that changed while it was read is read again, RT_TRIES times, then -EAGAIN; one that is longer than its bound is
 * -E2BIG. */
enum { RT_TRIES = 32, RT_LINKS_MAX = 16384, RT_ADDRESSES_MAX = 16384, RT_ROUTES_MAX = 65536 };

typedef struct RtLink {
	int index, master; /* master 0: none */
	char name[RT_NAME_MAX];
	char kind[RT_NAME_MAX];     /* "bridge", "veth", …; "" of hardware */
	uint32_t mtu, flags, group; /* flags: IFF_UP, IFF_RUNNING, … */
	bool has_mac;
	uint8_t mac[RT_MAC_LEN];
	int peer;          /* index of the other end of a veth, or of the parent; 0: none */
	int peer_netns;    /* the kernel's number of the namespace in which that is; -1: this one */
	const char *alias; /* NULL: none */
} RtLink;
typedef LIST_OF(RtLink) RtLinks;
typedef LIST_OF(RtAddress) RtAddresses;
typedef LIST_OF(RtRoute) RtRoutes;

int rtnl_links(int sock, Arena *a, RtLinks *ret, Err *e) MUST_USE;
/* rtnl_link: the one device; a: for its alias, NULL: without. -ENODEV. */
int rtnl_link(int sock, int index, Arena *a, RtLink *ret, Err *e) MUST_USE;
/* rtnl_addresses: of the device index, 0: of all. */
int rtnl_addresses(int sock, int index, Arena *a, RtAddresses *ret, Err *e) MUST_USE;
/* rtnl_routes: of both families and all tables, but for the local one and those of multicast: where a packet may go from here. */
int rtnl_routes(int sock, Arena *a, RtRoutes *ret, Err *e) MUST_USE;
/* rtnl_default_route: of the main table, with the lowest metric. ret->mtu is that of the route or else of its device.
 * -ENETUNREACH: there is none. */
int rtnl_default_route(int sock, uint8_t family, RtRoute *ret, Err *e) MUST_USE;
