/* netlink.h: the few requests to the kernel's routing sockets that a runtime needs.
 *
 * Names: a network device is at most 15 bytes, without "/", ":" or blanks, neither "." nor "..". All of it acts in the network
 * namespace of the caller unless a descriptor of another one is given. Answers are bounded and awaited 5 s at most.
 */
#pragma once

#include "base/bind.h"

/* NetDevice: mirrors an entry of `linux.netDevices`. */
typedef struct NetDevice {
	const char *key;  /* name in the runtime's namespace */
	const char *name; /* name in the container, may hold one "%d"; NULL or "": the same */
} NetDevice;
typedef LIST_OF(NetDevice) NetDevices; /* BIND_OBJMAP */

extern const BindTable netdev_table;

bool netdev_name_ok(const char *name);
/* netdev_check: both names are possible ones, no two devices get one name. */
int netdev_check(const NetDevices *l, Err *e) MUST_USE;

/* netdev_lo_up: brings the loopback device of this namespace up, in three system calls. */
int netdev_lo_up(Err *e) MUST_USE;
/* netdev_up: the same for any device, by ioctl. netdev_index: its index (> 0), -ENODEV. */
int netdev_up(const char *name, Err *e) MUST_USE;
int netdev_index(const char *name) MUST_USE;
/* The same in the namespace in which sock (of any kind) was opened. */
int netdev_lo_up_by(int sock, Err *e) MUST_USE;
int netdev_index_by(int sock, const char *name) MUST_USE;

/* netdev_move: moves a device of this namespace to netns and renames it there in the same step; then sets its permanent addresses
 * of global scope again and brings it up (config-linux.md, "Network Devices"). Enters netns for the second half and comes
 * back: single-threaded callers only. */
int netdev_move(const NetDevice *d, int netns, Err *e) MUST_USE;

typedef struct NetdevStats {
	char name[16];
	uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
	uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
} NetdevStats;
typedef LIST_OF(NetdevStats) NetdevStatsList;

/* netdev_stats: every device of this namespace but loopback, as the namespace sees it (received is received); at most 4096. */
int netdev_stats(Arena *a, NetdevStatsList *ret, Err *e) MUST_USE;
/* netdev_stats_of: the same for the namespace of netns, entered for the opening of a socket: single-threaded callers only. */
int netdev_stats_of(int netns, Arena *a, NetdevStatsList *ret, Err *e) MUST_USE;
/* netdev_stats_write: the array that `events --stats` prints as "network_interfaces". */
void netdev_stats_write(const NetdevStatsList *l, JsonWriter *w);
