/* bridge.h: networks of the driver bridge in the kernel: the bridge, and what connects a container to it.
 *
 * Invariants
 *  - A bridge that is made here has an alias that names its network; one of that name without it is somebody else's and is never touched.
 *  - What a container has is one pair of devices whose end lies in its namespace: it goes when the last descriptor of that does. Nothing is removed by name.
 */
#pragma once

#include "base/ip.h"
#include "sys/rtnl.h"

typedef struct Bridge {
	const char *device;    /* the bridge's name */
	const char *network;   /* the id of its network, for the alias */
	IpPrefix addresses[2]; /* its own, in the subnets: the gateways; family 0: none */
	uint8_t mac
		[RT_MAC_LEN]; /* its own, or it would be that of one of its ports, and change with them; zeroes: that of the kernel's choice */
	uint32_t mtu;         /* 0: as the kernel has it */
	bool localnet;        /* 127.0.0.1 of the host reaches what is published (route_localnet) */
} Bridge;

/* bridge_make: makes it where it is not there. *ret: its index. -EEXIST: a device of that name is not this network's. bridge_remove: of this network; 0 also when
 * it is gone. sock: rtnl_open. */
int bridge_make(int sock, const Bridge *b, int *ret, Err *e) MUST_USE;
int bridge_remove(int sock, const char *device, const char *network, Err *e) MUST_USE;

typedef struct BridgePort {
	const char *name; /* in the container: "eth0" */
	int bridge;       /* index */
	uint8_t mac[RT_MAC_LEN];
	uint32_t mtu;
	IpPrefix addresses[2]; /* with the length of the subnet; family 0: none */
	IpAddress gateways[2]; /* default routes; family 0: none */
	bool hairpin, isolated;
} BridgePort;

/* bridge_connect: a pair of devices with its end in netns, addresses and routes; up. Three sendmsg(2). Single-threaded callers only. After an error the caller drops the
 * namespace, and nothing is left. *ret_index: of the host's end. */
int bridge_connect(int sock, int netns, const BridgePort *p, int *ret_index, Err *e) MUST_USE;
/* bridge_leave: nothing reaches the container any more over the device with that index (what bridge_connect gave), and it reaches nothing. The kernel takes a namespace away some time
 * after its last process: until then it would answer for whoever has its address next. A device that is gone already is no error. */
void bridge_leave(int sock, int index);
/* bridge_mac: a MAC of one's own for an address: 02:42 and the last four bytes, as docker had it. */
void bridge_mac(const IpAddress *a, uint8_t mac[static RT_MAC_LEN]);
