/* rtnl_read.c: devices, addresses and routes as the kernel lists them; see rtnl.h. */
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <sys/socket.h>

#include "sys/rtnl_impl.h"

/* ---- messages ---- */

/* A name of the kernel's: at most size - 1 bytes, NUL or not. */
static void take_name(const void *attrs, size_t n, uint16_t type, char *to, size_t size)
{
	size_t k = 0;
	const char *p = nl_find(attrs, n, type, &k);
	size_t len = p ? strnlen(p, k < size - 1 ? k : size - 1) : 0;
	if (len) memcpy(to, p, len);
	to[len] = 0;
}

/* 4, 6; 0: neither. */
static uint8_t family_of(uint8_t af)
{
	return af == AF_INET ? 4 : af == AF_INET6 ? 6 : 0;
}

static unsigned bits_of(uint8_t family)
{
	return ip_bits(&(IpAddress){ .family = family });
}

/* One of another family is none. */
static IpAddress take_ip(const void *attrs, size_t n, uint16_t type, uint8_t family)
{
	size_t k = 0;
	const void *p = nl_find(attrs, n, type, &k);
	IpAddress ip = p ? ip_from_bytes((Str){ p, k }) : (IpAddress){ 0 };
	return ip.family == family ? ip : (IpAddress){ 0 };
}

static int take_alias(const void *attrs, size_t n, Arena *a, RtLink *ret)
{
	size_t k = 0;
	const char *p = a ? nl_find(attrs, n, IFLA_IFALIAS, &k) : NULL;
	if (!p) return 0;
	ret->alias = arena_str(a, (Str){ p, strnlen(p, k < RT_ALIAS_MAX ? k : RT_ALIAS_MAX) });
	return ret->alias ? 0 : -ENOMEM;
}

int rtnl_parse_link(const struct nlmsghdr *h, Arena *alias, RtLink *ret)
{
	struct ifinfomsg m;
	size_t n, k = 0;
	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof m)) return 0;
	memcpy(&m, NLMSG_DATA(h), sizeof m);
	if (m.ifi_index <= 0) return 0;
	const void *attrs = nl_attrs(h, sizeof m, &n);
	RtLink l = { .index = m.ifi_index, .flags = m.ifi_flags, .peer_netns = -1 };
	take_name(attrs, n, IFLA_IFNAME, l.name, sizeof l.name);
	if (!*l.name) return 0;
	l.master = (int)nl_u32(attrs, n, IFLA_MASTER);
	l.mtu = nl_u32(attrs, n, IFLA_MTU);
	l.group = nl_u32(attrs, n, IFLA_GROUP);
	int link = (int)nl_u32(attrs, n, IFLA_LINK);
	if (link != l.index || nl_find(attrs, n, IFLA_LINK_NETNSID, &k)) l.peer = link;
	if (nl_find(attrs, n, IFLA_LINK_NETNSID, &k)) l.peer_netns = (int)nl_u32(attrs, n, IFLA_LINK_NETNSID);
	const void *mac = nl_find(attrs, n, IFLA_ADDRESS, &k);
	l.has_mac = mac && k == RT_MAC_LEN && m.ifi_type == ARPHRD_ETHER;
	if (l.has_mac) memcpy(l.mac, mac, RT_MAC_LEN);
	const void *info = nl_find(attrs, n, IFLA_LINKINFO, &k);
	if (info) take_name(info, k, IFLA_INFO_KIND, l.kind, sizeof l.kind);
	int r = take_alias(attrs, n, alias, &l);
	if (r < 0) return r;
	*ret = l;
	return 1;
}

int rtnl_parse_address(const struct nlmsghdr *h, RtAddress *ret)
{
	struct ifaddrmsg m;
	size_t n, k = 0;
	if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof m)) return 0;
	memcpy(&m, NLMSG_DATA(h), sizeof m);
	uint8_t family = family_of(m.ifa_family);
	if (!family || m.ifa_prefixlen > bits_of(family) || !m.ifa_index || m.ifa_index > INT32_MAX) return 0;
	const void *attrs = nl_attrs(h, sizeof m, &n);
	RtAddress a = { .index = (int)m.ifa_index, .prefix = m.ifa_prefixlen, .scope = (RtScope)m.ifa_scope, .flags = m.ifa_flags };
	if (nl_find(attrs, n, IFA_FLAGS, &k)) a.flags = nl_u32(attrs, n, IFA_FLAGS);
	a.detect = family == 6 && !(a.flags & IFA_F_NODAD);
	IpAddress local = take_ip(attrs, n, IFA_LOCAL, family), address = take_ip(attrs, n, IFA_ADDRESS, family);
	a.ip = local.family ? local : address; /* IPv6 tells a local one only beside a peer */
	if (local.family && address.family && !ip_equal(&local, &address)) a.peer = address;
	a.broadcast = take_ip(attrs, n, IFA_BROADCAST, family);
	if (!a.ip.family) return 0;
	*ret = a;
	return 1;
}

/* The first of several ways: its device, its gateway. */
static void take_nexthop(const void *p, size_t n, uint8_t family, RtRoute *r)
{
	struct rtnexthop first;
	if (n < sizeof first) return;
	memcpy(&first, p, sizeof first);
	if (first.rtnh_len < sizeof first || first.rtnh_len > n) return;
	if (first.rtnh_ifindex > 0) r->index = first.rtnh_ifindex;
	r->via = take_ip((const char *)p + sizeof first, first.rtnh_len - sizeof first, RTA_GATEWAY, family);
	r->onlink = first.rtnh_flags & RTNH_F_ONLINK;
}

static bool leads_from_here(const struct rtmsg *m, uint32_t table)
{
	bool type = m->rtm_type == RT_UNICAST || (m->rtm_type >= RT_BLACKHOLE && m->rtm_type <= RT_THROW);
	return type && table != RT_TABLE_LOCAL && !(m->rtm_flags & RTM_F_CLONED);
}

int rtnl_parse_route(const struct nlmsghdr *h, RtRoute *ret)
{
	struct rtmsg m;
	size_t n, k = 0;
	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof m)) return 0;
	memcpy(&m, NLMSG_DATA(h), sizeof m);
	const void *attrs = nl_attrs(h, sizeof m, &n);
	uint8_t family = family_of(m.rtm_family);
	uint32_t table = nl_find(attrs, n, RTA_TABLE, &k) ? nl_u32(attrs, n, RTA_TABLE) : m.rtm_table;
	if (!family || m.rtm_dst_len > bits_of(family) || !leads_from_here(&m, table)) return 0;
	RtRoute r = { .type = (RtRouteType)m.rtm_type, .prefix = m.rtm_dst_len, .table = table, .onlink = m.rtm_flags & RTNH_F_ONLINK };
	r.to = take_ip(attrs, n, RTA_DST, family);
	if (!r.to.family && r.prefix) return 0;
	r.to.family = family;
	r.via = take_ip(attrs, n, RTA_GATEWAY, family);
	r.source = take_ip(attrs, n, RTA_PREFSRC, family);
	r.metric = nl_u32(attrs, n, RTA_PRIORITY);
	uint32_t index = nl_u32(attrs, n, RTA_OIF);
	r.index = index > INT32_MAX ? 0 : (int)index;
	const void *ways = nl_find(attrs, n, RTA_MULTIPATH, &k);
	if (ways) take_nexthop(ways, k, family, &r);
	const void *metrics = nl_find(attrs, n, RTA_METRICS, &k);
	if (metrics) r.mtu = nl_u32(metrics, k, RTAX_MTU);
	*ret = r;
	return 1;
}

/* ---- lists ---- */

typedef struct Listing {
	Buf items;
	Arena *a;
	int index; /* addresses of that device only; 0: all */
} Listing;

static int keep(Listing *l, const void *item, size_t size)
{
	if (l->items.n + size > l->items.max) return -E2BIG;
	buf_put(&l->items, item, size);
	return buf_failed(&l->items) ? -ENOMEM : 0;
}

static int take_link(const struct nlmsghdr *h, void *data)
{
	Listing *l = data;
	RtLink link;
	int r = rtnl_parse_link(h, l->a, &link);
	return r > 0 ? keep(l, &link, sizeof link) : r;
}

static int take_address(const struct nlmsghdr *h, void *data)
{
	Listing *l = data;
	RtAddress address;
	int r = rtnl_parse_address(h, &address);
	return r > 0 && (!l->index || l->index == address.index) ? keep(l, &address, sizeof address) : r;
}

static int take_route(const struct nlmsghdr *h, void *data)
{
	RtRoute route;
	int r = rtnl_parse_route(h, &route);
	return r > 0 ? keep(data, &route, sizeof route) : r;
}

typedef struct ListKind {
	const char *what;
	uint16_t type;
	NlAnswerFn *fn;
	size_t head, size, most; /* bytes of a request's fixed part, and of an item; items */
} ListKind;

/* The items end up in the arena. */
static int read_list(int sock, const ListKind *kind, Listing *l, void **ret, size_t *ret_n, Err *e)
{
	static const char head[sizeof(struct ifinfomsg)]; /* the longest one; all zeros is every family, every device */
	int r = NL_INTERRUPTED;
	l->items = BUF_INIT(kind->size * kind->most);
	for (int i = 0; i < RT_TRIES && r == NL_INTERRUPTED; i++) {
		AUTO_BUF q = BUF_INIT(256);
		nl_end(&q, nl_begin(&q, kind->type, NLM_F_DUMP, head, kind->head));
		buf_reset(&l->items);
		r = nl_talk(sock, &q, kind->fn, l, kind->what, e);
	}
	if (r == NL_INTERRUPTED) return err_set(e, ERR_STATE, EAGAIN, "%s: they change faster than they can be read", kind->what);
	if (r < 0) return r;
	*ret_n = l->items.n / kind->size;
	*ret = arena_array(l->a, *ret_n + 1, kind->size);
	if (!*ret) return err_sys(e, ENOMEM, "%s", kind->what);
	if (l->items.n) memcpy(*ret, l->items.p, l->items.n);
	return 0;
}

static int list(int sock, const ListKind *kind, int index, Arena *a, ObjList *ret, Err *e)
{
	Listing l = { .a = a, .index = index };
	ObjList all = { 0 };
	int r = read_list(sock, kind, &l, &all.items, &all.n, e);
	buf_done(&l.items);
	if (r >= 0) *ret = all;
	return r;
}

static const ListKind links_kind = {
	"list network devices", RTM_GETLINK, take_link, sizeof(struct ifinfomsg), sizeof(RtLink), RT_LINKS_MAX
};
static const ListKind addresses_kind = { "list addresses",         RTM_GETADDR,       take_address,
					 sizeof(struct ifaddrmsg), sizeof(RtAddress), RT_ADDRESSES_MAX };
static const ListKind routes_kind = { "list routes", RTM_GETROUTE, take_route, sizeof(struct rtmsg), sizeof(RtRoute), RT_ROUTES_MAX };

int rtnl_links(int sock, Arena *a, RtLinks *ret, Err *e)
{
	ObjList l;
	int r = list(sock, &links_kind, 0, a, &l, e);
	if (r >= 0) *ret = (RtLinks){ l.items, l.n };
	return r;
}

int rtnl_addresses(int sock, int index, Arena *a, RtAddresses *ret, Err *e)
{
	ObjList l;
	int r = list(sock, &addresses_kind, index, a, &l, e);
	if (r >= 0) *ret = (RtAddresses){ l.items, l.n };
	return r;
}

int rtnl_routes(int sock, Arena *a, RtRoutes *ret, Err *e)
{
	ObjList l;
	int r = list(sock, &routes_kind, 0, a, &l, e);
	if (r >= 0) *ret = (RtRoutes){ l.items, l.n };
	return r;
}

/* ---- one ---- */

typedef struct One {
	Arena *a;
	RtLink link;
	bool found;
} One;

static int take_one(const struct nlmsghdr *h, void *data)
{
	One *one = data;
	int r = rtnl_parse_link(h, one->a, &one->link);
	one->found |= r > 0;
	return r;
}

int rtnl_link(int sock, int index, Arena *a, RtLink *ret, Err *e)
{
	const struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	One one = { .a = a };
	AUTO_BUF q = BUF_INIT(256);
	nl_end(&q, nl_begin(&q, RTM_GETLINK, NLM_F_ACK, &head, sizeof head));
	int r = nl_talk(sock, &q, take_one, &one, "ask for a network device", e);
	if (r < 0) return r;
	if (!one.found) return err_sys(e, ENODEV, "ask for a network device");
	*ret = one.link;
	return 0;
}

typedef struct Best {
	uint8_t family;
	RtRoute route; /* type 0: none yet */
} Best;

static int take_default(const struct nlmsghdr *h, void *data)
{
	Best *best = data;
	RtRoute r;
	int x = rtnl_parse_route(h, &r);
	if (x <= 0) return x;
	if (r.prefix || r.to.family != best->family || r.type != RT_UNICAST || r.table != RT_TABLE_MAIN || !r.index) return 0;
	if (!best->route.type || r.metric < best->route.metric) best->route = r;
	return 0;
}

/* Like a list, but of a length that nobody needs to bound. */
static int find_default(int sock, Best *best, Err *e)
{
	const struct rtmsg head = { .rtm_family = best->family == 6 ? AF_INET6 : AF_INET };
	int r = NL_INTERRUPTED;
	for (int i = 0; i < RT_TRIES && r == NL_INTERRUPTED; i++) {
		AUTO_BUF q = BUF_INIT(256);
		nl_end(&q, nl_begin(&q, RTM_GETROUTE, NLM_F_DUMP, &head, sizeof head));
		best->route = (RtRoute){ 0 };
		r = nl_talk(sock, &q, take_default, best, "find the default route", e);
	}
	return r == NL_INTERRUPTED ? err_set(e, ERR_STATE, EAGAIN, "find the default route: routes change faster than they can be read")
				   : r;
}

int rtnl_default_route(int sock, uint8_t family, RtRoute *ret, Err *e)
{
	Best best = { .family = family };
	RtLink link;
	int r = find_default(sock, &best, e);
	if (r < 0) return r;
	if (!best.route.type) return err_sys(e, ENETUNREACH, "find the default route");
	if (!best.route.mtu) {
		if ((r = rtnl_link(sock, best.route.index, NULL, &link, e)) < 0) return r;
		best.route.mtu = link.mtu;
	}
	*ret = best.route;
	return 0;
}
