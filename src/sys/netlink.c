/* netlink.c: see netlink.h. */
#include "sys/netlink.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "sys/fd.h"
#include "sys/netlink_message.h"
#include "sys/netns.h"

enum {
	REQUEST_MAX = 512,
	LINKS_MAX = 4096,
	ADDRESSES_MAX = 1024,
};

BIND_TABLE(netdev_table, "network device", NetDevice, { .name = "name", .kind = BIND_STRING, .offset = offsetof(NetDevice, name) });

/* ---- names ---- */

bool netdev_name_ok(const char *name)
{
	size_t n = strlen(name);
	if (!n || n >= IFNAMSIZ || streq(name, ".") || streq(name, "..")) return false;
	for (const char *p = name; *p; p++)
		if (*p == '/' || *p == ':' || (unsigned char)*p <= ' ' || *p == 0x7f) return false;
	return true;
}

static const char *new_name(const NetDevice *d)
{
	return d->name && *d->name ? d->name : d->key;
}

/* "eth%d": the kernel picks the number. Any other "%" would be an error of its later on. */
static bool is_template(const char *name)
{
	const char *p = strchr(name, '%');
	return p && p[1] == 'd' && !strchr(p + 1, '%');
}

int netdev_check(const NetDevices *l, Err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *from = l->items[i].key, *to = new_name(&l->items[i]);
		if (!netdev_name_ok(from)) return err_set(e, ERR_CONFIG, EINVAL, "invalid network device name \"%.64s\"", from);
		if (!netdev_name_ok(to) || (strchr(to, '%') && !is_template(to)))
			return err_set(e, ERR_CONFIG, EINVAL, "invalid network device name \"%.64s\"", to);
		for (size_t k = 0; k < i && !is_template(to); k++)
			if (streq(to, new_name(&l->items[k])))
				return err_set(e, ERR_CONFIG, EINVAL, "network devices \"%s\" and \"%s\" would both be named \"%s\"",
					       l->items[k].key, from, to);
	}
	return 0;
}

/* ---- by ioctl ---- */

int netdev_lo_up_by(int sock, Err *e)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK };
	return ioctl(sock, SIOCSIFFLAGS, &r) < 0 ? err_sys(e, errno, "bring the loopback device up") : 0;
}

int netdev_lo_up(Err *e)
{
	AUTO_FD int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return sock < 0 ? err_sys(e, errno, "socket for the loopback device") : netdev_lo_up_by(sock, e);
}

static int name_request(struct ifreq *r, const char *name)
{
	*r = (struct ifreq){ 0 };
	if (!netdev_name_ok(name)) return -EINVAL;
	memcpy(r->ifr_name, name, strlen(name) + 1);
	return 0;
}

int netdev_up(const char *name, Err *e)
{
	struct ifreq r;
	AUTO_FD int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0) return err_sys(e, errno, "socket for network device %.15s", name);
	int x = name_request(&r, name);
	if (x >= 0 && ioctl(sock, SIOCGIFFLAGS, &r) < 0) x = -errno;
	r.ifr_flags |= IFF_UP;
	if (x >= 0 && ioctl(sock, SIOCSIFFLAGS, &r) < 0) x = -errno;
	return x < 0 ? err_sys(e, x, "bring network device %.15s up", name) : 0;
}

int netdev_index_by(int sock, const char *name)
{
	struct ifreq r;
	int x = name_request(&r, name);
	if (x < 0) return x;
	return ioctl(sock, SIOCGIFINDEX, &r) < 0 ? -errno : r.ifr_ifindex;
}

int netdev_index(const char *name)
{
	AUTO_FD int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return sock < 0 ? -errno : netdev_index_by(sock, name);
}

/* ---- sockets ---- */

static int route_socket_in(int netns)
{
	int home = -1, r = netns_enter(netns, &home);
	if (r < 0) return r;
	AUTO_FD int fd = nl_open(NETLINK_ROUTE);
	r = netns_return(home);
	return r < 0 ? r : take_fd(fd);
}

/* ---- links ---- */

typedef struct Links {
	NetdevStats *items; /* room for LINKS_MAX */
	int *index;
	size_t n;
} Links;

static int take_link(const struct nlmsghdr *h, void *data)
{
	Links *l = data;
	struct ifinfomsg m;
	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof m)) return 0;
	memcpy(&m, NLMSG_DATA(h), sizeof m);
	if (m.ifi_type == ARPHRD_LOOPBACK) return 0;
	if (l->n == LINKS_MAX) return -E2BIG;
	size_t n, k;
	const void *attrs = nl_attrs(h, sizeof m, &n);
	NetdevStats *s = &l->items[l->n];
	*s = (NetdevStats){ 0 };
	const char *name = nl_find(attrs, n, IFLA_IFNAME, &k);
	if (!name || !k || k > sizeof s->name) return 0;
	memcpy(s->name, name, strnlen(name, k < sizeof s->name ? k : sizeof s->name - 1));
	struct rtnl_link_stats64 c = { 0 };
	const void *counters = nl_find(attrs, n, IFLA_STATS64, &k);
	if (counters) memcpy(&c, counters, k < sizeof c ? k : sizeof c);
	s->rx_bytes = c.rx_bytes, s->rx_packets = c.rx_packets, s->rx_errors = c.rx_errors, s->rx_dropped = c.rx_dropped;
	s->tx_bytes = c.tx_bytes, s->tx_packets = c.tx_packets, s->tx_errors = c.tx_errors, s->tx_dropped = c.tx_dropped;
	l->index[l->n++] = m.ifi_index;
	return 0;
}

static int list_links(int sock, Arena *a, Links *ret, Err *e)
{
	AUTO_BUF q = BUF_INIT(REQUEST_MAX);
	struct ifinfomsg m = { .ifi_family = AF_UNSPEC };
	*ret = (Links){ .items = arena_array(a, LINKS_MAX, sizeof *ret->items), .index = arena_array(a, LINKS_MAX, sizeof *ret->index) };
	if (!ret->items || !ret->index) return err_sys(e, ENOMEM, "list network devices");
	size_t at = nl_begin(&q, RTM_GETLINK, NLM_F_DUMP, &m, sizeof m);
	nl_end(&q, at);
	return nl_talk(sock, &q, take_link, ret, "list network devices", e);
}

static int stats_from(int sock, Arena *a, NetdevStatsList *ret, Err *e)
{
	AUTO_ARENA scratch = ARENA_INIT(1 << 20);
	Links l;
	int r = list_links(sock, &scratch, &l, e);
	if (r < 0) return r;
	ret->n = l.n;
	ret->items = arena_array(a, l.n + 1, sizeof *ret->items);
	if (!ret->items) return err_sys(e, ENOMEM, "network statistics");
	memcpy(ret->items, l.items, l.n * sizeof *l.items);
	return 0;
}

int netdev_stats(Arena *a, NetdevStatsList *ret, Err *e)
{
	AUTO_FD int sock = nl_open(NETLINK_ROUTE);
	return sock < 0 ? err_sys(e, sock, "netlink socket") : stats_from(sock, a, ret, e);
}

int netdev_stats_of(int netns, Arena *a, NetdevStatsList *ret, Err *e)
{
	AUTO_FD int sock = route_socket_in(netns);
	return sock < 0 ? err_sys(e, sock, "netlink socket in the container's network namespace") : stats_from(sock, a, ret, e);
}

void netdev_stats_write(const NetdevStatsList *l, JsonWriter *w)
{
	json_begin_array(w);
	for (size_t i = 0; i < l->n; i++) {
		const NetdevStats *s = &l->items[i];
		json_begin_object(w);
		json_put_string(w, "Name", s->name);
		json_put_uint(w, "RxBytes", s->rx_bytes);
		json_put_uint(w, "RxPackets", s->rx_packets);
		json_put_uint(w, "RxErrors", s->rx_errors);
		json_put_uint(w, "RxDropped", s->rx_dropped);
		json_put_uint(w, "TxBytes", s->tx_bytes);
		json_put_uint(w, "TxPackets", s->tx_packets);
		json_put_uint(w, "TxErrors", s->tx_errors);
		json_put_uint(w, "TxDropped", s->tx_dropped);
		json_end_object(w);
	}
	json_end_array(w);
}

/* up or down, nothing else changed */
static int link_set(int sock, int index, bool up, const char *what, Err *e)
{
	AUTO_BUF q = BUF_INIT(REQUEST_MAX);
	struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = up ? IFF_UP : 0, .ifi_change = IFF_UP };
	size_t at = nl_begin(&q, RTM_NEWLINK, NLM_F_ACK, &m, sizeof m);
	nl_end(&q, at);
	return nl_talk(sock, &q, NULL, NULL, what, e);
}

/* ---- moving a device ---- */

typedef struct Address {
	uint8_t family, prefix;
	uint32_t flags, priority;
	uint8_t n, has_local, has_broadcast; /* n: bytes of an address, 4 or 16 */
	uint8_t address[16], local[16], broadcast[16];
} Address;

typedef struct Addresses {
	int index;
	Address *items; /* room for ADDRESSES_MAX */
	size_t n;
} Addresses;

static bool take_bytes(const void *attrs, size_t n, uint16_t type, size_t want, uint8_t to[static 16])
{
	size_t k = 0;
	const void *p = nl_find(attrs, n, type, &k);
	if (p && k == want) memcpy(to, p, want);
	return p && k == want;
}

static int take_address(const struct nlmsghdr *h, void *data)
{
	/* of the flags, those that somebody chose: the others are the kernel's */
	enum { KEPT = IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN };
	Addresses *l = data;
	struct ifaddrmsg m;
	if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof m)) return 0;
	memcpy(&m, NLMSG_DATA(h), sizeof m);
	if ((int)m.ifa_index != l->index || m.ifa_scope != RT_SCOPE_UNIVERSE || (m.ifa_family != AF_INET && m.ifa_family != AF_INET6))
		return 0;
	size_t n;
	const void *attrs = nl_attrs(h, sizeof m, &n);
	uint32_t flags = m.ifa_flags | nl_u32(attrs, n, IFA_FLAGS);
	if (!(flags & IFA_F_PERMANENT)) return 0;
	if (l->n == ADDRESSES_MAX) return -E2BIG;
	Address a = { .family = m.ifa_family, .prefix = m.ifa_prefixlen, .flags = flags & KEPT, .n = m.ifa_family == AF_INET ? 4 : 16 };
	a.priority = nl_u32(attrs, n, IFA_RT_PRIORITY);
	a.has_local = take_bytes(attrs, n, IFA_LOCAL, a.n, a.local);
	a.has_broadcast = take_bytes(attrs, n, IFA_BROADCAST, a.n, a.broadcast);
	if (take_bytes(attrs, n, IFA_ADDRESS, a.n, a.address)) l->items[l->n++] = a;
	return 0;
}

static int list_addresses(int sock, Addresses *l, Err *e)
{
	AUTO_BUF q = BUF_INIT(REQUEST_MAX);
	struct ifaddrmsg m = { .ifa_family = AF_UNSPEC };
	size_t at = nl_begin(&q, RTM_GETADDR, NLM_F_DUMP, &m, sizeof m);
	nl_end(&q, at);
	return nl_talk(sock, &q, take_address, l, "list addresses", e);
}

static int add_address(int sock, int index, const Address *a, Err *e)
{
	AUTO_BUF q = BUF_INIT(REQUEST_MAX);
	struct ifaddrmsg m = {
		.ifa_family = a->family, .ifa_prefixlen = a->prefix, .ifa_scope = RT_SCOPE_UNIVERSE, .ifa_index = (uint32_t)index
	};
	size_t at = nl_begin(&q, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &m, sizeof m);
	nl_put(&q, IFA_ADDRESS, a->address, a->n);
	/* IPv4 always tells its local address, IPv6 only when a peer stands in IFA_ADDRESS */
	if (a->has_local) nl_put(&q, IFA_LOCAL, a->local, a->n);
	if (a->has_broadcast) nl_put(&q, IFA_BROADCAST, a->broadcast, a->n);
	if (a->flags) nl_put(&q, IFA_FLAGS, &a->flags, sizeof a->flags);
	if (a->priority) nl_put(&q, IFA_RT_PRIORITY, &a->priority, sizeof a->priority);
	nl_end(&q, at);
	return nl_talk(sock, &q, NULL, NULL, "set an address again", e);
}

static int move_link(int sock, int index, const char *name, int netns, Err *e)
{
	AUTO_BUF q = BUF_INIT(REQUEST_MAX);
	struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	uint32_t target = (uint32_t)netns;
	size_t at = nl_begin(&q, RTM_NEWLINK, NLM_F_ACK, &m, sizeof m);
	nl_put(&q, IFLA_NET_NS_FD, &target, sizeof target);
	nl_put(&q, IFLA_IFNAME, name, strlen(name) + 1);
	nl_end(&q, at);
	return nl_talk(sock, &q, NULL, NULL, "move to the container's network namespace", e);
}

static bool links_have(const Links *l, int index)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->index[i] == index) return true;
	return false;
}

/* Index of the device that came: by its name, or, when the kernel chose the name, the one that was not there before. */
static int find_arrived(int sock, const char *name, const Links *before, Arena *a, Err *e)
{
	Links now;
	int r = list_links(sock, a, &now, e);
	if (r < 0) return r;
	size_t prefix = strcspn(name, "%");
	for (size_t i = 0; i < now.n; i++) {
		const char *have = now.items[i].name;
		bool match = is_template(name) ? strncmp(have, name, prefix) == 0 && !links_have(before, now.index[i]) : streq(have, name);
		if (match) return now.index[i];
	}
	return err_sys(e, ENODEV, "find \"%s\" in the container's network namespace", name);
}

static int settle(int there, const char *name, const Links *before, const Addresses *l, Arena *a, Err *e)
{
	int index = find_arrived(there, name, before, a, e);
	if (index < 0) return index;
	for (size_t i = 0; i < l->n; i++) {
		int r = add_address(there, index, &l->items[i], e);
		if (r < 0) return r;
	}
	return link_set(there, index, true, "bring up in the container's network namespace", e);
}

static bool links_have_name(const Links *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i].name, name)) return true;
	return false;
}

/* The kernel renames after it has moved: a name that is taken would be told too late, with the device already gone. */
static int look_before(int there, const char *name, Links *before, Arena *a, Err *e)
{
	int r = list_links(there, a, before, e);
	if (r < 0 || is_template(name)) return r;
	if (!streq(name, "lo") && !links_have_name(before, name)) return 0;
	return err_set(e, ERR_EXISTS, EEXIST, "the container's network namespace already has a device \"%s\"", name);
}

static int move(const NetDevice *d, int here, int there, int netns, Arena *a, Err *e)
{
	const char *name = new_name(d);
	Links before;
	int index = netdev_index(d->key);
	if (index < 0) return err_sys(e, index, "find in the runtime's network namespace");
	Addresses l = { .index = index, .items = arena_array(a, ADDRESSES_MAX, sizeof *l.items) };
	if (!l.items) return err_sys(e, ENOMEM, "list addresses");
	int r = look_before(there, name, &before, a, e);
	if (r >= 0) r = list_addresses(here, &l, e); /* before it goes down: that flushes the IPv6 ones */
	if (r >= 0) r = link_set(here, index, false, "set down", e);
	if (r >= 0) r = move_link(here, index, name, netns, e);
	return r < 0 ? r : settle(there, name, &before, &l, a, e);
}

int netdev_move(const NetDevice *d, int netns, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(2 << 20);
	const NetDevices one = { .items = (NetDevice *)(uintptr_t)d, .n = 1 };
	int r = netdev_check(&one, e);
	if (r < 0) return r;
	AUTO_FD int here = nl_open(NETLINK_ROUTE);
	if (here < 0) return err_sys(e, here, "netlink socket");
	AUTO_FD int there = route_socket_in(netns);
	if (there < 0) return err_sys(e, there, "netlink socket in the container's network namespace");
	r = move(d, here, there, netns, &a, e);
	return r < 0 ? err_wrap(e, "network device %s", d->key) : 0;
}
