/* netlink.c: see netlink.h. */
#include "sys/netlink.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/time.h"
#include "sys/fd.h"

enum {
	REQUEST_MAX = 512,
	ANSWER_MAX = 32768, /* the kernel fills dumps up to this */
	TIMEOUT_S = 5,
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

int netdev_lo_up(Err *e)
{
	AUTO_FD int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0) return err_sys(e, errno, "socket for the loopback device");
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK };
	return ioctl(sock, SIOCSIFFLAGS, &r) < 0 ? err_sys(e, errno, "bring the loopback device up") : 0;
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

int netdev_index(const char *name)
{
	struct ifreq r;
	AUTO_FD int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0) return -errno;
	int x = name_request(&r, name);
	if (x < 0) return x;
	return ioctl(sock, SIOCGIFINDEX, &r) < 0 ? -errno : r.ifr_ifindex;
}

/* ---- messages ---- */

typedef struct Request {
	struct nlmsghdr h;
	char body[REQUEST_MAX];
} Request;

typedef int AnswerFn(const struct nlmsghdr *h, void *data);

static int nl_socket(void)
{
	static const int on = 1;
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	struct timeval tv = { .tv_sec = TIMEOUT_S };
	AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0) return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) < 0) return -errno;
	if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on) < 0) return -errno; /* texts with errors */
	return take_fd(fd);
}

/* A socket that lives in netns. The way back is a descriptor of the own namespace, got from a socket: no procfs needed. */
static int nl_socket_in(int netns)
{
	AUTO_FD int here = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (here < 0) return -errno;
	AUTO_FD int home = ioctl(here, SIOCGSKNS);
	if (home < 0) return -errno;
	if (setns(netns, CLONE_NEWNET) < 0) return -errno;
	int fd = nl_socket();
	if (setns(home, CLONE_NEWNET) < 0) {
		int r = -errno;
		fd_close(fd);
		return r;
	}
	return fd;
}

static void request_init(Request *q, uint16_t type, uint16_t flags, const void *head, size_t n)
{
	*q = (Request){
		.h = { .nlmsg_len = (uint32_t)NLMSG_LENGTH(n), .nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) }
	};
	memcpy(q->body, head, n);
}

/* Requests here are short and of known size: one that does not fit is a fault of this file. */
static void request_attr(Request *q, uint16_t type, const void *p, size_t n)
{
	size_t at = NLMSG_ALIGN(q->h.nlmsg_len);
	if (at + RTA_SPACE(n) > sizeof *q) abort();
	struct rtattr a = { .rta_len = (unsigned short)RTA_LENGTH(n), .rta_type = type };
	memcpy((char *)q + at, &a, sizeof a);
	memcpy((char *)q + at + RTA_LENGTH(0), p, n);
	q->h.nlmsg_len = (uint32_t)(at + RTA_LENGTH(n));
}

/* The attribute of that type among those in [p, p + n), NULL; *ret_n its payload's size. Never looks beyond n. */
static const void *attr_find(const void *p, size_t n, uint16_t type, size_t *ret_n)
{
	const char *at = p;
	while (n >= sizeof(struct rtattr)) {
		struct rtattr a;
		memcpy(&a, at, sizeof a);
		if (a.rta_len < sizeof a || a.rta_len > n) return NULL;
		if ((a.rta_type & NLA_TYPE_MASK) == type) {
			*ret_n = a.rta_len - RTA_LENGTH(0);
			return at + RTA_LENGTH(0);
		}
		size_t step = RTA_ALIGN(a.rta_len);
		if (step >= n) return NULL;
		at += step;
		n -= step;
	}
	return NULL;
}

/* Attributes of a message whose fixed part has `fixed` bytes; NULL and 0 when it is too short. */
static const void *message_attrs(const struct nlmsghdr *h, size_t fixed, size_t *ret_n)
{
	size_t skip = NLMSG_SPACE(fixed);
	*ret_n = h->nlmsg_len > skip ? h->nlmsg_len - skip : 0;
	return (const char *)h + (h->nlmsg_len > skip ? skip : 0);
}

static uint32_t attr_u32(const void *attrs, size_t n, uint16_t type)
{
	size_t k = 0;
	uint32_t v = 0;
	const void *p = attr_find(attrs, n, type, &k);
	if (p && k >= sizeof v) memcpy(&v, p, sizeof v);
	return v;
}

/* The error of an acknowledgement, 0 for none; the kernel's own words behind the message. */
static int ack_error(const struct nlmsghdr *h, const char *what, Err *e)
{
	struct nlmsgerr m;
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof m)) return err_sys(e, EBADMSG, "%s: short answer", what);
	memcpy(&m, NLMSG_DATA(h), sizeof m);
	if (!m.error) return 0;
	int r = err_sys(e, m.error, "%s", what);
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS)) return r;
	size_t skip = sizeof m.error + (h->nlmsg_flags & NLM_F_CAPPED ? sizeof m.msg : m.msg.nlmsg_len), n = 0;
	size_t room = h->nlmsg_len - NLMSG_HDRLEN;
	skip = NLMSG_ALIGN(skip);
	if (skip >= room) return r;
	const char *text = attr_find((const char *)NLMSG_DATA(h) + skip, room - skip, NLMSGERR_ATTR_MSG, &n);
	size_t at = strlen(e->msg);
	if (text && n) snprintf(e->msg + at, sizeof e->msg - at, " (%.*s)", (int)strnlen(text, n), text);
	return r;
}

/* One datagram of answers. 1: the last one, 0: more to come. */
static int take_answers(const char *p, size_t n, uint32_t seq, AnswerFn *fn, void *data, const char *what, Err *e)
{
	while (n >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *h = (const void *)p;
		if (h->nlmsg_len < sizeof *h || h->nlmsg_len > n) return err_sys(e, EBADMSG, "%s: malformed answer", what);
		if (h->nlmsg_seq == seq) {
			if (h->nlmsg_type == NLMSG_ERROR) {
				int r = ack_error(h, what, e);
				return r < 0 ? r : 1;
			}
			if (h->nlmsg_type == NLMSG_DONE) return 1;
			int r = fn ? fn(h, data) : 0;
			if (r < 0) return err_sys(e, r, "%s", what);
		}
		size_t step = NLMSG_ALIGN(h->nlmsg_len);
		if (step >= n) break;
		p += step;
		n -= step;
	}
	return 0;
}

/* Sends q and hands its answers to fn (may be NULL) up to the acknowledgement or the end of the dump. */
static int nl_talk(int sock, Request *q, AnswerFn *fn, void *data, const char *what, Err *e)
{
	_Alignas(struct nlmsghdr) char answer[ANSWER_MAX];
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int64_t deadline = time_monotonic() + INT64_C(1000000000) * TIMEOUT_S;
	q->h.nlmsg_seq = (uint32_t)deadline;
	ssize_t n = retry_eintr(sendto(sock, q, q->h.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel));
	if (n < 0) return err_sys(e, errno, "%s", what);
	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t from_n = sizeof from;
		n = recvfrom(sock, answer, sizeof answer, MSG_TRUNC, (struct sockaddr *)&from, &from_n);
		int r = n < 0 ? -errno : 0;
		if ((r == -EINTR || r == 0) && time_monotonic() > deadline) r = -EAGAIN;
		if (r == -EINTR || (r == 0 && from.nl_pid != 0)) continue; /* only the kernel is believed */
		if (r < 0) return err_sys(e, r == -EAGAIN ? ETIMEDOUT : r, "%s: no answer", what);
		if ((size_t)n > sizeof answer) return err_sys(e, EMSGSIZE, "%s", what);
		r = take_answers(answer, (size_t)n, q->h.nlmsg_seq, fn, data, what, e);
		if (r) return r < 0 ? r : 0;
	}
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
	const void *attrs = message_attrs(h, sizeof m, &n);
	NetdevStats *s = &l->items[l->n];
	*s = (NetdevStats){ 0 };
	const char *name = attr_find(attrs, n, IFLA_IFNAME, &k);
	if (!name || !k || k > sizeof s->name) return 0;
	memcpy(s->name, name, strnlen(name, k < sizeof s->name ? k : sizeof s->name - 1));
	struct rtnl_link_stats64 c = { 0 };
	const void *counters = attr_find(attrs, n, IFLA_STATS64, &k);
	if (counters) memcpy(&c, counters, k < sizeof c ? k : sizeof c);
	s->rx_bytes = c.rx_bytes, s->rx_packets = c.rx_packets, s->rx_errors = c.rx_errors, s->rx_dropped = c.rx_dropped;
	s->tx_bytes = c.tx_bytes, s->tx_packets = c.tx_packets, s->tx_errors = c.tx_errors, s->tx_dropped = c.tx_dropped;
	l->index[l->n++] = m.ifi_index;
	return 0;
}

static int list_links(int sock, Arena *a, Links *ret, Err *e)
{
	Request q;
	struct ifinfomsg m = { .ifi_family = AF_UNSPEC };
	*ret = (Links){ .items = arena_array(a, LINKS_MAX, sizeof *ret->items), .index = arena_array(a, LINKS_MAX, sizeof *ret->index) };
	if (!ret->items || !ret->index) return err_sys(e, ENOMEM, "list network devices");
	request_init(&q, RTM_GETLINK, NLM_F_DUMP, &m, sizeof m);
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
	AUTO_FD int sock = nl_socket();
	return sock < 0 ? err_sys(e, sock, "netlink socket") : stats_from(sock, a, ret, e);
}

int netdev_stats_of(int netns, Arena *a, NetdevStatsList *ret, Err *e)
{
	AUTO_FD int sock = nl_socket_in(netns);
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
	Request q;
	struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = up ? IFF_UP : 0, .ifi_change = IFF_UP };
	request_init(&q, RTM_NEWLINK, NLM_F_ACK, &m, sizeof m);
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
	const void *p = attr_find(attrs, n, type, &k);
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
	const void *attrs = message_attrs(h, sizeof m, &n);
	uint32_t flags = m.ifa_flags | attr_u32(attrs, n, IFA_FLAGS);
	if (!(flags & IFA_F_PERMANENT)) return 0;
	if (l->n == ADDRESSES_MAX) return -E2BIG;
	Address a = { .family = m.ifa_family, .prefix = m.ifa_prefixlen, .flags = flags & KEPT, .n = m.ifa_family == AF_INET ? 4 : 16 };
	a.priority = attr_u32(attrs, n, IFA_RT_PRIORITY);
	a.has_local = take_bytes(attrs, n, IFA_LOCAL, a.n, a.local);
	a.has_broadcast = take_bytes(attrs, n, IFA_BROADCAST, a.n, a.broadcast);
	if (take_bytes(attrs, n, IFA_ADDRESS, a.n, a.address)) l->items[l->n++] = a;
	return 0;
}

static int list_addresses(int sock, Addresses *l, Err *e)
{
	Request q;
	struct ifaddrmsg m = { .ifa_family = AF_UNSPEC };
	request_init(&q, RTM_GETADDR, NLM_F_DUMP, &m, sizeof m);
	return nl_talk(sock, &q, take_address, l, "list addresses", e);
}

static int add_address(int sock, int index, const Address *a, Err *e)
{
	Request q;
	struct ifaddrmsg m = {
		.ifa_family = a->family, .ifa_prefixlen = a->prefix, .ifa_scope = RT_SCOPE_UNIVERSE, .ifa_index = (uint32_t)index
	};
	request_init(&q, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &m, sizeof m);
	request_attr(&q, IFA_ADDRESS, a->address, a->n);
	/* IPv4 always tells its local address, IPv6 only when a peer stands in IFA_ADDRESS */
	if (a->has_local) request_attr(&q, IFA_LOCAL, a->local, a->n);
	if (a->has_broadcast) request_attr(&q, IFA_BROADCAST, a->broadcast, a->n);
	if (a->flags) request_attr(&q, IFA_FLAGS, &a->flags, sizeof a->flags);
	if (a->priority) request_attr(&q, IFA_RT_PRIORITY, &a->priority, sizeof a->priority);
	return nl_talk(sock, &q, NULL, NULL, "set an address again", e);
}

static int move_link(int sock, int index, const char *name, int netns, Err *e)
{
	Request q;
	struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	uint32_t target = (uint32_t)netns;
	request_init(&q, RTM_NEWLINK, NLM_F_ACK, &m, sizeof m);
	request_attr(&q, IFLA_NET_NS_FD, &target, sizeof target);
	request_attr(&q, IFLA_IFNAME, name, strlen(name) + 1);
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
	AUTO_FD int here = nl_socket();
	if (here < 0) return err_sys(e, here, "netlink socket");
	AUTO_FD int there = nl_socket_in(netns);
	if (there < 0) return err_sys(e, there, "netlink socket in the container's network namespace");
	r = move(d, here, there, netns, &a, e);
	return r < 0 ? err_wrap(e, "network device %s", d->key) : 0;
}
