/* test_rtnl_live.c: networks as containers have them, made by sys/rtnl.h in network namespaces of the test's own; iproute2 and packets judge. */
#include "sys/rtnl.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/time.h"
#include "child.h"
#include "sys/fd.h"
#include "sys/netlink.h"
#include "sys/netns.h"
#include "sys/sysctl.h"

enum { IP_OUTPUT_MAX = 1 << 18, PORT = 4321 };

static IpAddress ip(const char *s)
{
	IpAddress r = { 0 };
	int x = ip_parse(str_of(s), &r);
	(void)x; /* seen by the test that goes on with none */
	return r;
}

/* ---- iproute2 ---- */

/* What `ip ARG…` prints in this namespace; "" and a note where there is no such program. */
static const char *ip_says(Buf *out, char *const argv[])
{
	int fds[2];
	buf_reset(out);
	if (pipe2(fds, O_CLOEXEC) < 0) return "";
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(fds[1]);
	int status = 0, r = fd_read_all(fds[0], out);
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || r < 0 || status) fprintf(stderr, "ip: status %d\n", status);
	return buf_str(out);
}
#define IP(out, ...) ip_says(out, (char *const[]){ (char[]){ "ip" }, (char[]){ "-d" }, (char[]){ "-j" }, __VA_ARGS__, NULL })
#define A(s) \
	(char[]) \
	{ \
		s \
	}

static bool have_ip(void)
{
	return access("/usr/sbin/ip", X_OK) == 0 || access("/sbin/ip", X_OK) == 0 || access("/usr/bin/ip", X_OK) == 0;
}

/* All of them in what ip printed, or it is shown. */
#define NEED_IN(text, ...) \
	do { \
		const char *wanted_[] = { __VA_ARGS__ }, *text_ = have_ip() ? (text) : ""; \
		for (size_t i_ = 0; have_ip() && i_ < ARRAY_LEN(wanted_); i_++) \
			if (!strstr(text_, wanted_[i_])) { \
				fprintf(stderr, "%s:%d: no %s in %s\n", __FILE__, __LINE__, wanted_[i_], text_); \
				return 1; \
			} \
	} while (0)

/* ---- packets ---- */

static int udp_at(int netns, const char *address)
{
	IpAddress a = ip(address);
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	memcpy(&v4.sin_addr, a.bytes, 4);
	memcpy(&v6.sin6_addr, a.bytes, 16);
	bool six = a.family == 6;
	int home = -1, size = 4 << 20;
	if (netns >= 0 && netns_enter(netns, &home) < 0) return -1;
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(fd, six ? (void *)&v6 : (void *)&v4, six ? sizeof v6 : sizeof v4) < 0) fd = fd_close(fd);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) fd = fd_close(fd);
	if (netns >= 0 && netns_return(home) < 0) return -1;
	return fd;
}

static int send_to(int fd, const char *address, const void *p, size_t n)
{
	IpAddress a = ip(address);
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	memcpy(&v4.sin_addr, a.bytes, 4);
	memcpy(&v6.sin6_addr, a.bytes, 16);
	return (int)sendto(fd, p, n, MSG_DONTWAIT, a.family == 6 ? (void *)&v6 : (void *)&v4, a.family == 6 ? sizeof v6 : sizeof v4);
}

/* A datagram from the one to the other, and back; tried again for tries * 20 ms: a link opens a moment after it is up. */
static bool exchange(int from, const char *to_address, int to, const char *from_address, int tries)
{
	char word[8];
	for (int i = 0; i < tries; i++) {
		struct pollfd p = { .fd = to, .events = POLLIN }, back = { .fd = from, .events = POLLIN };
		if (send_to(from, to_address, "ping", 4) < 0 || poll(&p, 1, 20) != 1) continue;
		if (recv(to, word, sizeof word, 0) != 4 || send_to(to, from_address, "pong", 4) < 0 || poll(&back, 1, 20) != 1) continue;
		if (recv(from, word, sizeof word, 0) == 4) return true;
	}
	return false;
}

/* ---- a bridge, and containers at it ---- */

static const uint8_t bridge_mac[] = { 2, 0x42, 1, 2, 3, 4 }, web_mac[] = { 2, 0x42, 10, 88, 0, 2 };

static int make_bridge(int sock, int *ret, Err *e)
{
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	RtDevice d = { .name = "skep0", .alias = "network web", .mac = bridge_mac, .mtu = 1400, .up = true };
	rtnl_bridge_add(&b, "bridge skep0", &d);
	int r = rtnl_send(sock, &b, e);
	if (r < 0) return r;
	*ret = rtnl_index(sock, "skep0");
	rtnl_address_add(&b, "address of skep0",
			 &(RtAddress){ .index = *ret, .ip = ip("10.88.0.1"), .prefix = 24, .broadcast = ip("10.88.0.255") });
	rtnl_address_add(&b, "address of skep0", &(RtAddress){ .index = *ret, .ip = ip("fd88::1"), .prefix = 64 });
	return rtnl_send(sock, &b, e);
}

static int furnish(int netns, const char *four, const char *six, Err *e)
{
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	AUTO_FD int sock = -1;
	int r = rtnl_open_in(netns, &sock, e);
	if (r < 0) return r;
	int index = rtnl_index(sock, "eth0");
	rtnl_link_set(&b, "eth0", index, &(RtChange){ .up = RT_UP });
	rtnl_address_add(&b, "address", &(RtAddress){ .index = index, .ip = ip(four), .prefix = 24, .broadcast = ip("10.88.0.255") });
	rtnl_address_add(&b, "address", &(RtAddress){ .index = index, .ip = ip(six), .prefix = 64 });
	rtnl_route_add(&b, "default route", &(RtRoute){ .to = { .family = 4 }, .via = ip("10.88.0.1"), .index = index, .metric = 7 });
	rtnl_route_add(&b, "default route", &(RtRoute){ .to = { .family = 6 }, .via = ip("fd88::1"), .index = index });
	return rtnl_send(sock, &b, e);
}

typedef struct Net {
	int sock, bridge, a, b; /* the host's socket, the index of the bridge, the namespaces of two containers */
} Net;

static int make_net(Net *n, bool isolated, Err *e)
{
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	int r = rtnl_open(&n->sock, e);
	if (r >= 0) r = make_bridge(n->sock, &n->bridge, e);
	if (r >= 0) r = netns_new(&n->a, e);
	if (r >= 0) r = netns_new(&n->b, e);
	if (r < 0) return r;
	RtDevice one = { .name = "vethA", .alias = "container a", .master = n->bridge, .mtu = 1400, .isolated = isolated, .up = true };
	RtDevice two = { .name = "vethB", .master = n->bridge, .isolated = isolated, .hairpin = isolated, .group = 5, .up = true };
	rtnl_veth_add(&b, "veth of a", &one, &(RtDevice){ .name = "eth0", .mac = web_mac, .mtu = 1400 }, n->a);
	rtnl_veth_add(&b, "veth of b", &two, &(RtDevice){ .name = "eth0" }, n->b);
	r = rtnl_send(n->sock, &b, e);
	if (r >= 0) r = furnish(n->a, "10.88.0.2", "fd88::2", e);
	return r < 0 ? r : furnish(n->b, "10.88.0.3", "fd88::3", e);
}

static int bridge_and_containers(void)
{
	Err e = ERR_INIT;
	Net n;
	AUTO_BUF out = BUF_INIT(IP_OUTPUT_MAX);
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED_OK(make_net(&n, false, &e));
	NEED_IN(IP(&out, A("link"), A("show"), A("skep0")), "\"ifname\":\"skep0\"", "\"mtu\":1400", "\"ifalias\":\"network web\"",
		"\"address\":\"02:42:01:02:03:04\"", "\"info_kind\":\"bridge\"", "\"vlan_filtering\":0", "\"mcast_snooping\":1", "\"UP\"");
	NEED_IN(IP(&out, A("link"), A("show"), A("vethA")), "\"master\":\"skep0\"", "\"ifalias\":\"container a\"", "\"mtu\":1400",
		"\"info_kind\":\"veth\"", "\"isolated\":false", "\"hairpin\":false", "\"operstate\":\"UP\"", "\"link_netnsid\":0");
	NEED_IN(IP(&out, A("link"), A("show"), A("vethB")), "\"group\":\"5\"", "\"mtu\":1500", "\"link_netnsid\":1");
	NEED_IN(IP(&out, A("addr"), A("show"), A("skep0")), "\"local\":\"10.88.0.1\",\"prefixlen\":24,\"broadcast\":\"10.88.0.255\"",
		"\"local\":\"fd88::1\",\"prefixlen\":64", "\"nodad\":true");
	int home = -1;
	NEED(netns_enter(n.a, &home) == 0);
	NEED_IN(IP(&out, A("link"), A("show"), A("lo")), "\"LOOPBACK\",\"UP\"");
	NEED_IN(IP(&out, A("link"), A("show"), A("eth0")), "\"mtu\":1400", "\"address\":\"02:42:0a:58:00:02\"", "\"info_kind\":\"veth\"",
		"\"UP\"");
	NEED_IN(IP(&out, A("addr"), A("show"), A("eth0")), "\"local\":\"10.88.0.2\",\"prefixlen\":24",
		"\"local\":\"fd88::2\",\"prefixlen\":64");
	NEED_IN(IP(&out, A("route"), A("show"), A("default")), "\"gateway\":\"10.88.0.1\",\"dev\":\"eth0\"", "\"metric\":7",
		"\"protocol\":\"static\"");
	NEED_IN(IP(&out, A("-6"), A("route"), A("show"), A("default")), "\"gateway\":\"fd88::1\",\"dev\":\"eth0\"");
	NEED(netns_return(home) == 0);
	AUTO_FD int host = udp_at(-1, "10.88.0.1"), a = udp_at(n.a, "10.88.0.2"), b = udp_at(n.b, "10.88.0.3");
	AUTO_FD int host6 = udp_at(-1, "fd88::1"), a6 = udp_at(n.a, "fd88::2"), b6 = udp_at(n.b, "fd88::3");
	NEED(host >= 0 && a >= 0 && b >= 0 && host6 >= 0 && a6 >= 0 && b6 >= 0);
	NEED(exchange(a, "10.88.0.3", b, "10.88.0.2", 250));
	NEED(exchange(a, "10.88.0.1", host, "10.88.0.2", 250));
	NEED(exchange(a6, "fd88::3", b6, "fd88::2", 250));
	NEED(exchange(b6, "fd88::1", host6, "fd88::3", 250));
	return 0;
}

static int isolated_ports(void)
{
	Err e = ERR_INIT;
	Net n;
	AUTO_BUF out = BUF_INIT(IP_OUTPUT_MAX);
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED_OK(make_net(&n, true, &e));
	NEED_IN(IP(&out, A("link"), A("show"), A("vethB")), "\"isolated\":true", "\"hairpin\":true", "\"ifname\":\"vethB\"");
	AUTO_FD int host = udp_at(-1, "10.88.0.1"), a = udp_at(n.a, "10.88.0.2"), b = udp_at(n.b, "10.88.0.3");
	NEED(exchange(a, "10.88.0.1", host, "10.88.0.2", 250));
	NEED(exchange(b, "10.88.0.1", host, "10.88.0.3", 250));
	NEED(!exchange(a, "10.88.0.3", b, "10.88.0.2", 10));
	return 0;
}

static void containers_reach_each_other(void **state)
{
	(void)state;
	need_root();
	in_child(bridge_and_containers);
	in_child(isolated_ports);
}

/* ---- lists ---- */

static const RtLink *link_named(const RtLinks *l, const char *name)
{
	static const RtLink none = { .peer_netns = -9 };
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i].name, name)) return &l->items[i];
	return &none;
}

static int links_are_listed(void)
{
	Err e = ERR_INIT;
	Net n;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	RtLinks links;
	RtLink one;
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED_OK(make_net(&n, false, &e));
	NEED_OK(rtnl_links(n.sock, &a, &links, &e));
	const RtLink *l = link_named(&links, "skep0");
	NEED(l->index == n.bridge && streq(l->kind, "bridge") && l->mtu == 1400 && streq(l->alias, "network web"));
	NEED(!l->peer && l->has_mac && memcmp(l->mac, bridge_mac, 6) == 0 && l->flags & IFF_UP);
	l = link_named(&links, "vethA");
	NEED(streq(l->kind, "veth") && l->master == n.bridge && l->peer > 1 && l->peer_netns == 0);
	l = link_named(&links, "vethB");
	NEED(l->group == 5 && !l->alias && l->peer_netns == 1);
	l = link_named(&links, "lo");
	NEED(l->index == 1 && !l->peer && !*l->kind && !l->has_mac && l->peer_netns == -1);
	NEED_OK(rtnl_link(n.sock, n.bridge, &a, &one, &e));
	NEED(streq(one.name, "skep0") && streq(one.alias, "network web"));
	NEED(rtnl_link(n.sock, 12345, &a, &one, &e) == -ENODEV);
	return 0;
}

static const RtAddress *address_of(const RtAddresses *l, const char *text)
{
	static const RtAddress none;
	char have[IP_TEXT_MAX];
	for (size_t i = 0; i < l->n; i++)
		if (streq(ip_format(&l->items[i].ip, have), text)) return &l->items[i];
	return &none;
}

static int addresses_are_listed(void)
{
	Err e = ERR_INIT;
	Net n;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	RtAddresses l;
	char text[IP_TEXT_MAX];
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED_OK(make_net(&n, false, &e));
	NEED_OK(netdev_lo_up_by(n.sock, &e));
	NEED_OK(rtnl_addresses(n.sock, n.bridge, &a, &l, &e));
	const RtAddress *x = address_of(&l, "10.88.0.1");
	NEED(x->index == n.bridge && !x->peer.family && x->prefix == 24 && x->scope == RT_GLOBAL);
	NEED(streq(ip_format(&x->broadcast, text), "10.88.0.255"));
	x = address_of(&l, "fd88::1");
	NEED(x->index == n.bridge && x->prefix == 64 && !x->detect);
	NEED(!address_of(&l, "127.0.0.1")->index);
	NEED_OK(rtnl_addresses(n.sock, 0, &a, &l, &e));
	x = address_of(&l, "127.0.0.1");
	NEED(x->index == 1 && x->scope == RT_HOST && x->prefix == 8);
	return 0;
}

static int give_routes(const Net *n, Err *e)
{
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	rtnl_route_add(&b, "r", &(RtRoute){ .to = ip("172.30.0.0"), .prefix = 16, .index = n->bridge });
	rtnl_route_add(&b, "r", &(RtRoute){ .to = ip("172.31.0.0"), .prefix = 16, .type = RT_BLACKHOLE });
	rtnl_route_add(&b, "r", &(RtRoute){ .to = ip("fd99::"), .prefix = 48, .type = RT_UNREACHABLE, .metric = 9, .table = 1000 });
	rtnl_route_add(&b, "r", &(RtRoute){ .to = { .family = 4 }, .via = ip("10.88.0.2"), .metric = 20 });
	rtnl_route_add(
		&b, "r",
		&(RtRoute){ .to = { .family = 4 }, .via = ip("10.99.0.2"), .index = n->bridge, .onlink = true, .metric = 10, .mtu = 1280 });
	return rtnl_send(n->sock, &b, e);
}

static int default_routes(void)
{
	Err e = ERR_INIT;
	Net n;
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	RtRoute best;
	char text[IP_TEXT_MAX];
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED_OK(make_net(&n, false, &e));
	NEED(rtnl_default_route(n.sock, 4, &best, &e) == -ENETUNREACH);
	NEED_OK(give_routes(&n, &e));
	NEED_OK(rtnl_default_route(n.sock, 4, &best, &e));
	NEED(streq(ip_format(&best.via, text), "10.99.0.2") && best.index == n.bridge && best.mtu == 1280 && best.metric == 10 &&
	     best.onlink);
	rtnl_route_delete(&b, "r", &best);
	NEED_OK(rtnl_send(n.sock, &b, &e));
	NEED_OK(rtnl_default_route(n.sock, 4, &best, &e));
	NEED(streq(ip_format(&best.via, text), "10.88.0.2") && best.mtu == 1400); /* the device's */
	NEED(rtnl_default_route(n.sock, 6, &best, &e) == -ENETUNREACH);
	return 0;
}

static const RtRoute *route_to(const RtRoutes *l, const char *text)
{
	static const RtRoute none;
	char have[IP_TEXT_MAX];
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].prefix && streq(ip_format(&l->items[i].to, have), text)) return &l->items[i];
	return &none;
}

static size_t overlaps(const RtRoutes *l, const char *subnet, uint8_t prefix)
{
	const IpPrefix wanted = { ip(subnet), prefix };
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++)
		n += l->items[i].prefix && ip_prefix_overlaps(&wanted, &(IpPrefix){ l->items[i].to, l->items[i].prefix });
	return n;
}

static int routes_are_listed(void)
{
	Err e = ERR_INIT;
	Net n;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	RtRoutes l;
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED_OK(make_net(&n, false, &e));
	NEED_OK(give_routes(&n, &e));
	NEED_OK(rtnl_routes(n.sock, &a, &l, &e));
	NEED(overlaps(&l, "172.31.128.0", 20) == 1 && overlaps(&l, "172.29.0.0", 16) == 0 && overlaps(&l, "172.28.0.0", 14) == 2);
	const RtRoute *r = route_to(&l, "10.88.0.0");
	NEED(r->prefix == 24 && r->index == n.bridge && !r->via.family && r->table == 254);
	NEED(route_to(&l, "172.31.0.0")->type == RT_BLACKHOLE);
	r = route_to(&l, "fd99::");
	NEED(r->type == RT_UNREACHABLE && r->table == 1000 && r->metric == 9 && r->prefix == 48);
	NEED(!route_to(&l, "10.88.0.255")->type && !route_to(&l, "10.88.0.1")->type);
	rtnl_route_delete(&b, "r", &(RtRoute){ .to = ip("172.31.0.0"), .prefix = 16, .type = RT_BLACKHOLE });
	rtnl_route_delete(&b, "route that is not there", &(RtRoute){ .to = ip("172.28.0.0"), .prefix = 16 });
	NEED(rtnl_send(n.sock, &b, &e) == -ESRCH && starts_with(e.msg, "route that is not there: "));
	NEED_OK(rtnl_routes(n.sock, &a, &l, &e));
	NEED(!route_to(&l, "172.31.0.0")->type);
	return 0;
}

/* Devices come and go until the pipe closes. */
static int come_and_go(int alive)
{
	Err e = ERR_INIT;
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	AUTO_FD int sock = -1;
	struct pollfd p = { .fd = alive };
	int r = rtnl_open(&sock, &e);
	while (r >= 0 && poll(&p, 1, 0) == 0) {
		for (int i = 0; i < 4; i++) {
			char name[RT_NAME_MAX];
			snprintf(name, sizeof name, "gone%d", i);
			rtnl_bridge_add(&b, "coming", &(RtDevice){ .name = name, .group = 4 });
		}
		rtnl_group_delete(&b, "going", 4);
		r = rtnl_send(sock, &b, &e);
	}
	return r < 0;
}

static int lists_while_devices_come_and_go(void)
{
	enum { STAY = 60, LISTS = 100 }; /* more than one datagram's worth */
	Err e = ERR_INIT;
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	AUTO_FD int sock = -1;
	int alive[2], status = 0, taken = 0;
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED_OK(rtnl_open(&sock, &e));
	for (int i = 0; i < STAY; i++) {
		char name[RT_NAME_MAX];
		snprintf(name, sizeof name, "stay%d", i);
		rtnl_bridge_add(&b, "staying", &(RtDevice){ .name = name });
	}
	NEED_OK(rtnl_send(sock, &b, &e));
	NEED(pipe2(alive, O_CLOEXEC) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(alive[1]);
		_exit(come_and_go(alive[0]));
	}
	for (int i = 0; i < LISTS; i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		RtLinks l;
		int r = rtnl_links(sock, &a, &l, &e), stayed = 0;
		NEED(r == 0 || r == -EAGAIN);
		for (size_t k = 0; r == 0 && k < l.n; k++)
			stayed += starts_with(l.items[k].name, "stay");
		NEED(r < 0 || stayed == STAY);
		taken += r == 0;
	}
	close(alive[1]);
	NEED(waitpid(pid, &status, 0) == pid && status == 0);
	NEED(taken > 0);
	return 0;
}

static void lists_are_what_was_made(void **state)
{
	(void)state;
	need_root();
	in_child(links_are_listed);
	in_child(addresses_are_listed);
	in_child(default_routes);
	in_child(routes_are_listed);
	in_child(lists_while_devices_come_and_go);
}

/* ---- changes, and what goes wrong ---- */

static int changes(void)
{
	Err e = ERR_INIT;
	Net n;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	RtLink l;
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED_OK(make_net(&n, false, &e));
	int index = rtnl_index(n.sock, "vethB");
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, 9 };
	rtnl_link_set(&b, "change", index,
		      &(RtChange){ .up = RT_DOWN,
				   .name = "other",
				   .mtu = 1300,
				   .mac = mac,
				   .master = RT_NO_MASTER,
				   .alias = "said",
				   .txqlen = { true, 77 },
				   .group = { true, 9 } });
	NEED_OK(rtnl_send(n.sock, &b, &e));
	NEED_OK(rtnl_link(n.sock, index, &a, &l, &e));
	NEED(streq(l.name, "other") && l.mtu == 1300 && memcmp(l.mac, mac, 6) == 0 && !l.master && streq(l.alias, "said") && l.group == 9);
	NEED(!(l.flags & IFF_UP));
	rtnl_link_set(&b, "change", index, &(RtChange){ .up = RT_UP, .alias = "", .master = n.bridge });
	rtnl_address_delete(&b, "address", &(RtAddress){ .index = n.bridge, .ip = ip("10.88.0.1"), .prefix = 24 });
	rtnl_address_delete(&b, "address", &(RtAddress){ .index = n.bridge, .ip = ip("fd88::1"), .prefix = 64 });
	NEED_OK(rtnl_send(n.sock, &b, &e));
	NEED_OK(rtnl_link(n.sock, index, &a, &l, &e));
	NEED(!l.alias && l.master == n.bridge && l.flags & IFF_UP && l.mtu == 1300);
	RtAddresses addresses;
	NEED_OK(rtnl_addresses(n.sock, n.bridge, &a, &addresses, &e));
	for (size_t i = 0; i < addresses.n; i++)
		NEED(addresses.items[i].scope == RT_LINK); /* IPv6's own */
	/* a group at once; the other devices stay */
	rtnl_link_set(&b, "group", rtnl_index(n.sock, "vethA"), &(RtChange){ .group = { true, 9 } });
	rtnl_group_delete(&b, "devices of the network", 9);
	NEED_OK(rtnl_send(n.sock, &b, &e));
	NEED(rtnl_index(n.sock, "vethA") == -ENODEV && rtnl_index(n.sock, "other") == -ENODEV && rtnl_index(n.sock, "skep0") == n.bridge);
	rtnl_group_delete(&b, "none", 9);
	NEED(rtnl_send(n.sock, &b, &e) == -ENODEV);
	rtnl_link_delete(&b, "bridge", n.bridge);
	NEED_OK(rtnl_send(n.sock, &b, &e));
	NEED(rtnl_index(n.sock, "skep0") == -ENODEV);
	return 0;
}

static int failures(void)
{
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	AUTO_FD int sock = -1;
	RtLink l;
	int bridge;
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED_OK(rtnl_open(&sock, &e));
	NEED_OK(rtnl_send(sock, &b, &e)); /* nothing to do */
	NEED_OK(make_bridge(sock, &bridge, &e));
	/* the second fails, the third is done all the same; the alias of the one that was there is not touched */
	rtnl_bridge_add(&b, "bridge one", &(RtDevice){ .name = "one" });
	rtnl_bridge_add(&b, "bridge skep0", &(RtDevice){ .name = "skep0", .alias = "stolen" });
	rtnl_bridge_add(&b, "bridge two", &(RtDevice){ .name = "two" });
	rtnl_link_delete(&b, "no such", 4000);
	NEED(rtnl_send(sock, &b, &e) == -EEXIST && streq(e.msg, "bridge skep0: file exists"));
	NEED(e.code == ERR_EXISTS && rtnl_index(sock, "one") > 0 && rtnl_index(sock, "two") > 0);
	NEED_OK(rtnl_link(sock, bridge, &a, &l, &e));
	NEED(streq(l.alias, "network web"));
	/* the kernel's own words */
	rtnl_route_add(&b, "route of web", &(RtRoute){ .to = { .family = 4 }, .via = ip("192.168.77.1") });
	NEED(rtnl_send(sock, &b, &e) == -ENETUNREACH && streq(e.msg, "route of web: network is unreachable (Nexthop has invalid gateway)"));
	/* nothing of a batch with a wrong request is sent; the batch is empty again */
	rtnl_bridge_add(&b, "bridge three", &(RtDevice){ .name = "three" });
	rtnl_bridge_add(&b, "bridge x", &(RtDevice){ .name = "veth%d" });
	NEED(rtnl_send(sock, &b, &e) == -EINVAL && streq(e.msg, "bridge x: not a possible name of a network device"));
	NEED(rtnl_index(sock, "three") == -ENODEV);
	for (int i = 0; i <= RT_BATCH_REQUESTS; i++)
		rtnl_link_delete(&b, "many", 4000 + i);
	NEED(rtnl_send(sock, &b, &e) == -E2BIG);
	for (int i = 0; i < RT_BATCH_REQUESTS; i++) /* as many errors as can be */
		rtnl_link_delete(&b, i ? "many" : "first", 4000 + i);
	NEED(rtnl_send(sock, &b, &e) == -ENODEV && starts_with(e.msg, "first: "));
	rtnl_bridge_add(&b, "bridge three", &(RtDevice){ .name = "three" });
	NEED_OK(rtnl_send(sock, &b, &e));
	return 0;
}

/* Made, or told that this kernel has none: never anything else. */
static bool made_or_missing(int sock, const char *kind, const char *name, const Err *e, int r)
{
	char missing[64];
	snprintf(missing, sizeof missing, "%s: this kernel has no %s", kind, kind);
	fprintf(stderr, "%s: %s\n", kind, r < 0 ? e->msg : "made");
	return r < 0 ? r == -EOPNOTSUPP && e->code == ERR_UNSUPPORTED && streq(e->msg, missing) : rtnl_index(sock, name) > 0;
}

static int kinds(void)
{
	Err e = ERR_INIT;
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	AUTO_FD int sock = -1;
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED_OK(rtnl_open(&sock, &e));
	rtnl_veth_add(&b, "veth", &(RtDevice){ .name = "p0", .up = true }, &(RtDevice){ .name = "p1" }, -1);
	NEED_OK(rtnl_send(sock, &b, &e));
	rtnl_link_set(&b, "up", rtnl_index(sock, "p1"), &(RtChange){ .up = RT_UP });
	NEED_OK(rtnl_send(sock, &b, &e));
	int parent = rtnl_index(sock, "p0");
	rtnl_dummy_add(&b, "dummy", &(RtDevice){ .name = "d0", .up = true });
	NEED(made_or_missing(sock, "dummy", "d0", &e, rtnl_send(sock, &b, &e)));
	rtnl_vlan_add(&b, "vlan", &(RtDevice){ .name = "p0.10", .up = true }, parent, 10);
	NEED(made_or_missing(sock, "vlan", "p0.10", &e, rtnl_send(sock, &b, &e)));
	rtnl_ipvlan_add(&b, "ipvlan", &(RtDevice){ .name = "i0" }, -1, parent, RT_IPVLAN_L3S, RT_IPVLAN_PRIVATE);
	NEED(made_or_missing(sock, "ipvlan", "i0", &e, rtnl_send(sock, &b, &e)));
	return 0;
}

static void failures_have_names(void **state)
{
	(void)state;
	need_root();
	in_child(changes);
	in_child(failures);
	in_child(kinds);
}

/* ---- macvlan ---- */

static int give(int netns, const char *four, Err *e)
{
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	AUTO_FD int sock = -1;
	int r = rtnl_open_in(netns, &sock, e);
	if (r < 0) return r;
	rtnl_address_add(&b, "address", &(RtAddress){ .index = rtnl_index(sock, "eth0"), .ip = ip(four), .prefix = 24 });
	return rtnl_send(sock, &b, e);
}

static int macvlans(void)
{
	Err e = ERR_INIT;
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	AUTO_BUF out = BUF_INIT(IP_OUTPUT_MAX);
	AUTO_FD int sock = -1, one = -1, two = -1, three = -1;
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED_OK(rtnl_open(&sock, &e));
	NEED_OK(netns_new(&one, &e));
	NEED_OK(netns_new(&two, &e));
	NEED_OK(netns_new(&three, &e));
	rtnl_veth_add(&b, "veth", &(RtDevice){ .name = "p0", .up = true }, &(RtDevice){ .name = "p1" }, -1);
	NEED_OK(rtnl_send(sock, &b, &e));
	rtnl_link_set(&b, "up", rtnl_index(sock, "p1"), &(RtChange){ .up = RT_UP });
	NEED_OK(rtnl_send(sock, &b, &e));
	int parent = rtnl_index(sock, "p0");
	RtDevice d = { .name = "eth0", .mac = web_mac, .mtu = 1300, .up = true }, plain = { .name = "eth0", .up = true };
	rtnl_macvlan_add(&b, "macvlan", &d, one, parent, RT_MACVLAN_BRIDGE);
	rtnl_macvlan_add(&b, "macvlan", &plain, two, parent, RT_MACVLAN_BRIDGE);
	rtnl_macvlan_add(&b, "macvlan", &plain, three, parent, RT_MACVLAN_PRIVATE);
	int r = rtnl_send(sock, &b, &e);
	if (r == -EOPNOTSUPP && streq(e.msg, "macvlan: this kernel has no macvlan")) return CHILD_SKIP;
	NEED_OK(r);
	NEED(rtnl_index(sock, "eth0") == -ENODEV); /* never in this namespace */
	NEED_OK(give(one, "10.77.0.1", &e));
	NEED_OK(give(two, "10.77.0.2", &e));
	NEED_OK(give(three, "10.77.0.3", &e));
	AUTO_FD int s1 = udp_at(one, "10.77.0.1"), s2 = udp_at(two, "10.77.0.2"), s3 = udp_at(three, "10.77.0.3");
	NEED(exchange(s1, "10.77.0.2", s2, "10.77.0.1", 250));
	NEED(!exchange(s1, "10.77.0.3", s3, "10.77.0.1", 10));
	int home = -1;
	NEED(netns_enter(one, &home) == 0);
	NEED_IN(IP(&out, A("link"), A("show"), A("eth0")), "\"info_kind\":\"macvlan\"", "\"mode\":\"bridge\"", "\"mtu\":1300",
		"\"address\":\"02:42:0a:58:00:02\"", "\"UP\"");
	NEED(netns_return(home) == 0);
	/* passthru has its parent for itself */
	rtnl_macvlan_add(&b, "macvlan of p1", &plain, one, rtnl_index(sock, "p0"), RT_MACVLAN_PASSTHRU);
	NEED(rtnl_send(sock, &b, &e) < 0 && starts_with(e.msg, "macvlan of p1: "));
	rtnl_macvlan_add(&b, "vepa", &(RtDevice){ .name = "v0" }, -1, rtnl_index(sock, "p1"), RT_MACVLAN_VEPA);
	NEED_OK(rtnl_send(sock, &b, &e));
	return 0;
}

static void macvlans_work(void **state)
{
	(void)state;
	need_root();
	in_child(macvlans);
}

/* ---- limits ---- */

/* Bytes per second that arrive when a third of a second long as much is sent as goes; without those that were under way. */
static double throughput(int from, int to, const char *to_address)
{
	static char data[1000], sink[2000];
	double arrived = 0;
	while (recv(to, sink, sizeof sink, MSG_DONTWAIT) > 0)
		continue;
	int64_t begin = time_monotonic(), now = begin;
	for (; now < begin + INT64_C(333000000); now = time_monotonic()) {
		for (int i = 0; i < 16; i++)
			send_to(from, to_address, data, sizeof data);
		for (ssize_t n; (n = recv(to, sink, sizeof sink, MSG_DONTWAIT)) > 0;)
			arrived += (double)n;
	}
	return arrived / ((double)(now - begin) / 1e9);
}

/* Payload for a rate that counts headers; the bucket is full at the beginning, and a busy machine sends less. */
static bool near(double have, double rate, double burst)
{
	return have > rate / 3 && have < rate * 1.1 + burst * 3;
}

static int limits(void)
{
	enum { RATE = 1000000, BURST = 20000 };
	Err e = ERR_INIT;
	Net n;
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	AUTO_FD int inside = -1;
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED_OK(make_net(&n, false, &e));
	NEED_OK(rtnl_open_in(n.a, &inside, &e));
	AUTO_FD int host = udp_at(-1, "10.88.0.1"), a = udp_at(n.a, "10.88.0.2");
	NEED(exchange(a, "10.88.0.1", host, "10.88.0.2", 250));
	double free_run = throughput(host, a, "10.88.0.2");
	rtnl_tbf_set(&b, "limit", rtnl_index(n.sock, "vethA"), &(RtTbf){ .rate = RATE, .burst = BURST, .latency_ms = 20 });
	int r = rtnl_send(n.sock, &b, &e);
	if (r == -EOPNOTSUPP && streq(e.msg, "limit: this kernel has no tbf")) return CHILD_SKIP;
	NEED_OK(r);
	rtnl_tbf_set(&b, "limit", rtnl_index(inside, "eth0"), &(RtTbf){ .rate = 2 * RATE });
	NEED_OK(rtnl_send(inside, &b, &e));
	double received = throughput(host, a, "10.88.0.2"), sent = throughput(a, host, "10.88.0.1");
	fprintf(stderr, "MB/s: free %.2f, receiving at 1 %.2f, sending at 2 %.2f\n", free_run / 1e6, received / 1e6, sent / 1e6);
	NEED(free_run > 4 * RATE && near(received, RATE, BURST) && near(sent, 2 * RATE, 65536));
	rtnl_tbf_delete(&b, "limit", rtnl_index(n.sock, "vethA"));
	NEED_OK(rtnl_send(n.sock, &b, &e));
	NEED(throughput(host, a, "10.88.0.2") > 4 * RATE);
	rtnl_tbf_delete(&b, "limit", rtnl_index(n.sock, "vethA"));
	NEED(rtnl_send(n.sock, &b, &e) == -EINVAL);
	return 0;
}

static int limits_as_tc_reads_them(void)
{
	Err e = ERR_INIT;
	Net n;
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	AUTO_BUF out = BUF_INIT(IP_OUTPUT_MAX);
	if (unshare(CLONE_NEWNET) < 0) return CHILD_SKIP;
	NEED_OK(make_net(&n, false, &e));
	rtnl_tbf_set(&b, "limit", rtnl_index(n.sock, "vethA"), &(RtTbf){ .rate = 1 });
	rtnl_tbf_set(&b, "limit", rtnl_index(n.sock, "vethA"), &(RtTbf){ .rate = 1000000, .burst = 20000, .latency_ms = 20 }); /* instead */
	rtnl_tbf_set(&b, "limit", rtnl_index(n.sock, "vethB"), &(RtTbf){ .rate = UINT64_C(12500000000) }); /* 100 Gbit/s: beyond 32 bits */
	int r = rtnl_send(n.sock, &b, &e);
	if (r == -EOPNOTSUPP && streq(e.msg, "limit: this kernel has no tbf")) return CHILD_SKIP;
	NEED_OK(r);
	char *const tc[] = { A("tc"), A("-j"), A("qdisc"), A("show"), NULL };
	NEED_IN(ip_says(&out, tc), "\"rate\":1000000,\"burst\":20000,\"lat\":20000", "\"rate\":12500000000", "\"kind\":\"tbf\"");
	return 0;
}

static void buckets_limit(void **state)
{
	(void)state;
	need_root();
	in_child(limits);
	in_child(limits_as_tc_reads_them);
}

/* ---- namespaces and their parameters ---- */

static ino_t own_namespace(void)
{
	struct stat st = { 0 };
	AUTO_FD int fd = netns_own();
	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static int parameters(void)
{
	Err e = ERR_INIT;
	char value[32];
	ino_t before = own_namespace();
	AUTO_FD int netns = -1, proc = sysctl_open_proc(&e), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int r = netns_new(&netns, &e);
	if (r == -EPERM) return CHILD_SKIP;
	NEED_OK(r);
	struct stat st;
	NEED(before && own_namespace() == before && fstat(netns, &st) == 0 && st.st_ino != before);
	StrPair pairs[] = { { "net.ipv4.ip_forward", "1" },
			    { "net/ipv6/conf/lo/disable_ipv6", "1" },
			    { "net/ipv4/conf/lo/route_localnet", "1" } };
	NEED_OK(sysctl_write_in(netns, proc, &(StrMap){ pairs, 3 }, &e));
	NEED(own_namespace() == before);
	StrPair bad[] = { { "net.ipv4.nope", "1" } }, worse[] = { { "net/ipv4/../../kernel/hostname", "x" } };
	NEED(sysctl_write_in(netns, proc, &(StrMap){ bad, 1 }, &e) == -ENOENT && strstr(e.msg, "sysctl net.ipv4.nope"));
	NEED(sysctl_write_in(netns, proc, &(StrMap){ worse, 1 }, &e) < 0);
	NEED(sysctl_write_in(null, proc, &(StrMap){ pairs, 1 }, &e) == -EINVAL);
	NEED(own_namespace() == before);
	NEED(setns(netns, CLONE_NEWNET) == 0);
	for (size_t i = 0; i < 3; i++)
		NEED(sysctl_read(proc, pairs[i].key, value, sizeof value, &e) == 1 && streq(value, "1"));
	return 0;
}

static void namespaces_have_parameters(void **state)
{
	(void)state;
	need_root();
	in_child(parameters);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(containers_reach_each_other),
		cmocka_unit_test(lists_are_what_was_made),
		cmocka_unit_test(failures_have_names),
		cmocka_unit_test(macvlans_work),
		cmocka_unit_test(buckets_limit),
		cmocka_unit_test(namespaces_have_parameters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
