/* test_link.c: what passes between containers, the host and others, and what does not: bridges and rules in namespaces that stand for them.
 *
 *   outside ----- host ----- bridge a: a1, a2
 *                      ----- bridge b: b1
 *                      ----- bridge i (internal): i1
 */
#include "child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>

#include "link/bridge.h"
#include "link/rules.h"
#include "sys/fd.h"
#include "sys/netns.h"
#include "sys/sysctl.h"

enum { PORT = 80, BATCH_MAX = 1 << 20, PASSES_MS = 2000, DROPPED_MS = 150 };
enum { A1, A2, B1, I1, CONTAINERS, OUTSIDE = CONTAINERS, HOST, PLACES };

static const char *const address4[] = { "10.1.0.2", "10.1.0.3", "10.2.0.2", "10.3.0.2", "192.0.2.2", "192.0.2.1" };
static const char *const address6[] = { "fd01::2", "fd01::3", "fd02::2", "fd03::2", "2001:db8::2", "2001:db8::1" };

typedef struct World {
	Err e;
	int sock, nft;
	int places[PLACES];    /* namespaces */
	int listeners[PLACES]; /* TCP, on port 80 of each, both families */
	int bridges[3];
	bool closed; /* a1 and a2 are not to reach each other */
} World;

static IpAddress ip(const char *text)
{
	IpAddress a = { 0 };
	(void)!ip_parse(str_of(text), &a);
	return a;
}

static IpPrefix prefix(const char *text)
{
	IpPrefix p = { 0 };
	(void)!ip_prefix_parse(str_of(text), &p);
	return p;
}

/* ---- the world ---- */

static int socket_in(int netns)
{
	int home;
	if (netns_enter(netns, &home) < 0) return -1;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return netns_return(home) < 0 ? -1 : fd;
}

static int listen_in(int netns)
{
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	int fd = socket_in(netns), off = 0;
	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0 || bind(fd, (const void *)&any, sizeof any) < 0 ||
	    listen(fd, 16) < 0)
		return -1;
	return fd;
}

static int make_bridges(World *w)
{
	static const struct {
		const char *device, *id, *gateway4, *gateway6;
	} all[] = { { "br-a", "aa", "10.1.0.1/24", "fd01::1/64" },
		    { "br-b", "bb", "10.2.0.1/24", "fd02::1/64" },
		    { "br-i", "ii", "10.3.0.1/24", "fd03::1/64" } };
	Err e = ERR_INIT;
	AUTO_NFT_BATCH rules = NFT_BATCH_INIT(BATCH_MAX);
	rules_make(&rules);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		Bridge b = { .device = all[i].device,
			     .network = all[i].id,
			     .addresses = { prefix(all[i].gateway4), prefix(all[i].gateway6) },
			     .localnet = true };
		RulesNetwork n = { .device = all[i].device, .internal = i == 2, .closed = w->closed && i == 0 };
		for (size_t k = 0; k < 2; k++) {
			n.subnets[k] = ip_prefix_mask(&b.addresses[k]);
			n.masquerade[k] = i != 2;
		}
		bridge_mac(&b.addresses[0].address, b.mac);
		NEED_OK(bridge_make(w->sock, &b, &w->bridges[i], &e));
		rules_network(&rules, NFT_ADD, &n);
	}
	NEED_OK(nft_commit(&rules, w->nft, &e));
	return 0;
}

static int make_container(World *w, int i)
{
	static const int bridge_of[CONTAINERS] = { 0, 0, 1, 2 };
	static const char *const gateways[][2] = { { "10.1.0.1", "fd01::1" }, { "10.2.0.1", "fd02::1" } };
	const int b = bridge_of[i];
	Err e = ERR_INIT;
	BridgePort p = { .name = "eth0", .bridge = w->bridges[b], .hairpin = true, .isolated = w->closed && b == 0 };
	NEED_OK(netns_new(&w->places[i], &e));
	p.addresses[0] = (IpPrefix){ ip(address4[i]), 24 };
	p.addresses[1] = (IpPrefix){ ip(address6[i]), 64 };
	for (size_t k = 0; k < 2 && b < 2; k++)
		p.gateways[k] = ip(gateways[b][k]);
	bridge_mac(&p.addresses[0].address, p.mac);
	NEED_OK(bridge_connect(w->sock, w->places[i], &p, &(int){ 0 }, &e));
	return 0;
}

/* A host beside ours. It has routes to the containers' subnets through us: what it must not use. */
static int make_outside(World *w)
{
	Err e = ERR_INIT;
	AUTO_RT_BATCH here = RT_BATCH_INIT, there = RT_BATCH_INIT;
	AUTO_FD int inside = -1;
	static const char *const subnets[][2] = { { "10.1.0.0", "192.0.2.1" }, { "fd01::", "2001:db8::1" } };
	NEED_OK(netns_new(&w->places[OUTSIDE], &e));
	rtnl_veth_add(&here, "way out", &(RtDevice){ .name = "out", .up = true }, &(RtDevice){ .name = "eth0" }, w->places[OUTSIDE]);
	NEED_OK(rtnl_send(w->sock, &here, &e));
	NEED_OK(rtnl_open_in(w->places[OUTSIDE], &inside, &e));
	for (int k = 0; k < 2; k++) {
		const char *const *of = k ? address6 : address4;
		RtAddress own = { .index = rtnl_index(w->sock, "out"), .prefix = k ? 64 : 24 },
			  other = { .index = rtnl_index(inside, "eth0"), .prefix = own.prefix };
		RtRoute route = { .prefix = own.prefix, .index = other.index };
		own.ip = ip(of[HOST]);
		other.ip = ip(of[OUTSIDE]);
		route.to = ip(subnets[k][0]);
		route.via = ip(subnets[k][1]);
		rtnl_address_add(&here, "address", &own);
		rtnl_address_add(&there, "address", &other);
		if (!k) rtnl_link_set(&there, "eth0", other.index, &(RtChange){ .up = RT_UP });
		rtnl_route_add(&there, "route", &route);
	}
	NEED_OK(rtnl_send(w->sock, &here, &e));
	NEED_OK(rtnl_send(inside, &there, &e));
	return 0;
}

static int make_world(World *w)
{
	Err e = ERR_INIT;
	NEED(unshare(CLONE_NEWNET) == 0);
	AUTO_FD int proc = sysctl_open_proc(&e);
	NEED_OK(proc);
	NEED_OK(sysctl_write(proc, "net/ipv4/ip_forward", "1", &e));
	NEED_OK(sysctl_write(proc, "net/ipv6/conf/all/forwarding", "1", &e));
	NEED((w->places[HOST] = netns_own()) >= 0);
	NEED_OK(rtnl_open(&w->sock, &e));
	NEED((w->nft = nft_open(&e)) >= 0);
	AUTO_RT_BATCH up = RT_BATCH_INIT;
	rtnl_link_set(&up, "lo", 1, &(RtChange){ .up = RT_UP });
	NEED_OK(rtnl_send(w->sock, &up, &e));
	if (make_bridges(w) || make_outside(w)) return 1;
	for (int i = 0; i < CONTAINERS; i++)
		if (make_container(w, i)) return 1;
	for (int i = 0; i < PLACES; i++)
		NEED((w->listeners[i] = listen_in(w->places[i])) >= 0);
	return 0;
}

/* ---- who reaches whom ---- */

static void to_v6(const IpAddress *a, uint16_t port, struct sockaddr_in6 *ret)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	*ret = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
	if (a->family == 6) {
		memcpy(&ret->sin6_addr, a->bytes, 16);
		return;
	}
	memcpy(&ret->sin6_addr, mapped, sizeof mapped);
	memcpy((uint8_t *)&ret->sin6_addr + sizeof mapped, a->bytes, 4);
}

static bool ready(int fd, short events, int ms)
{
	struct pollfd p = { fd, events, 0 };
	return poll(&p, 1, ms) == 1;
}

/* Who is at the other end of the next connection, as text; "": nobody connects. */
static void who_came(int listener, char text[static IP_TEXT_MAX])
{
	struct sockaddr_in6 peer;
	socklen_t n = sizeof peer;
	text[0] = 0;
	AUTO_FD int fd = ready(listener, POLLIN, PASSES_MS) ? accept(listener, (void *)&peer, &n) : -1;
	if (fd < 0) return;
	char raw[INET6_ADDRSTRLEN];
	IpAddress a;
	inet_ntop(AF_INET6, &peer.sin6_addr, raw, sizeof raw);
	if (ip_parse(str_of(raw), &a) == 0) ip_format(&a, text);
}

/* 0, or why not: ETIMEDOUT for what is dropped. */
static int try(const World *w, int from, const char *address, uint16_t port, int ms)
{
	struct sockaddr_in6 to;
	IpAddress a = ip(address);
	int error = 0;
	socklen_t n = sizeof error;
	to_v6(&a, port, &to);
	AUTO_FD int fd = socket_in(w->places[from]);
	if (fd < 0) return EIO;
	if (connect(fd, (const void *)&to, sizeof to) == 0) return 0;
	if (errno != EINPROGRESS) return errno;
	if (!ready(fd, POLLOUT, ms)) return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 ? errno : error;
}

/* From a place to an address it is reached that place `at` listens at, which sees `as` (NULL: no matter). */
static int passes(const World *w, int from, const char *address, uint16_t port, int at, const char *as)
{
	char seen[IP_TEXT_MAX];
	int error = try(w, from, address, port, PASSES_MS);
	if (error) fprintf(stderr, "from %s to %s port %u: %s\n", address4[from], address, port, strerror(error));
	NEED(!error);
	who_came(w->listeners[at], seen);
	if (as && !streq(seen, as)) fprintf(stderr, "from %s to %s port %u: seen as %s, not %s\n", address4[from], address, port, seen, as);
	NEED(seen[0] && (!as || streq(seen, as)));
	return 0;
}

static int is_dropped(const World *w, int from, const char *address, uint16_t port)
{
	int error = try(w, from, address, port, DROPPED_MS);
	if (!error) fprintf(stderr, "%s reaches %s port %u\n", address4[from], address, port);
	NEED(error == ETIMEDOUT || error == ENETUNREACH || error == EHOSTUNREACH);
	return 0;
}

static int publish(World *w, NftVerb verb, const char *host, uint16_t host_port, const char *to)
{
	Err e = ERR_INIT;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	const RulesPort p = { .host = ip(host), .to = ip(to), .host_port = host_port, .port = PORT, .protocol = IPPROTO_TCP };
	rules_ports(&b, verb, &p, 1);
	NEED_OK(nft_commit(&b, w->nft, &e));
	return 0;
}

/* ---- the tests ---- */

static int within_and_between(void)
{
	World w = { 0 };
	if (make_world(&w)) return 1;
	for (int k = 0; k < 2; k++) {
		const char *const *of = k ? address6 : address4;
		if (passes(&w, A1, of[A2], PORT, A2, of[A1]) || passes(&w, A2, of[A1], PORT, A1, of[A2])) return 1;
		if (passes(&w, HOST, of[A1], PORT, A1, NULL)) return 1;
		if (passes(&w, A1, of[OUTSIDE], PORT, OUTSIDE, of[HOST])) return 1; /* masqueraded */
		if (is_dropped(&w, A1, of[B1], PORT) || is_dropped(&w, B1, of[A1], PORT)) return 1;
		if (is_dropped(&w, OUTSIDE, of[A1], PORT)) return 1; /* it has a route, and no right */
		if (is_dropped(&w, I1, of[OUTSIDE], PORT) || is_dropped(&w, A1, of[I1], PORT) || is_dropped(&w, I1, of[A1], PORT)) return 1;
	}
	return 0;
}

static int closed_networks(void)
{
	World w = { .closed = true };
	if (make_world(&w)) return 1;
	for (int k = 0; k < 2; k++) {
		const char *const *of = k ? address6 : address4;
		if (is_dropped(&w, A1, of[A2], PORT) || passes(&w, A1, of[OUTSIDE], PORT, OUTSIDE, of[HOST])) return 1;
	}
	return 0;
}

static int published_ports(void)
{
	World w = { 0 };
	if (make_world(&w)) return 1;
	for (int k = 0; k < 2; k++) {
		const char *const *of = k ? address6 : address4;
		NEED(try(&w, OUTSIDE, of[HOST], 8080, PASSES_MS) == ECONNREFUSED);
		if (publish(&w, NFT_ADD, k ? "::" : "0.0.0.0", 8080, of[A1])) return 1;
		if (passes(&w, OUTSIDE, of[HOST], 8080, A1, of[OUTSIDE])) return 1; /* who asks is seen */
		if (passes(&w, HOST, of[HOST], 8080, A1, NULL)) return 1;
		if (passes(&w, B1, of[HOST], 8080, A1, NULL)) return 1; /* published for all, also for other networks */
		if (passes(&w, A2, of[HOST], 8080, A1, NULL)) return 1; /* for its own */
		if (passes(&w, A1, of[HOST], 8080, A1, NULL)) return 1; /* and for itself */
		if (is_dropped(&w, I1, of[HOST], 8080)) return 1;
		if (is_dropped(&w, OUTSIDE, of[A1], PORT)) return 1;
		if (publish(&w, NFT_DELETE, k ? "::" : "0.0.0.0", 8080, of[A1])) return 1;
		NEED(try(&w, OUTSIDE, of[HOST], 8080, PASSES_MS) == ECONNREFUSED);
	}
	return 0;
}

static int loopback_ports(void)
{
	World w = { 0 };
	if (make_world(&w) || publish(&w, NFT_ADD, "127.0.0.1", 8081, address4[A1])) return 1;
	if (passes(&w, HOST, "127.0.0.1", 8081, A1, "10.1.0.1")) return 1;
	NEED(try(&w, HOST, "127.0.0.2", 8081, PASSES_MS) == ECONNREFUSED);
	NEED(try(&w, OUTSIDE, address4[HOST], 8081, PASSES_MS) == ECONNREFUSED);
	if (publish(&w, NFT_ADD, "0.0.0.0", 8082, address4[A1]) || passes(&w, HOST, "127.0.0.1", 8082, A1, NULL)) return 1;
	/* one address before all */
	if (publish(&w, NFT_ADD, "127.0.0.1", 8082, address4[A2]) || passes(&w, HOST, "127.0.0.1", 8082, A2, NULL)) return 1;
	return passes(&w, OUTSIDE, address4[HOST], 8082, A1, address4[OUTSIDE]);
}

/* A container has root in its namespace: what it sends to 127.0.0.1 by way of the bridge does not arrive at the host. */
static int hosts_loopback_is_kept(void)
{
	World w = { 0 };
	Err e = ERR_INIT;
	AUTO_FD int inside = -1;
	AUTO_RT_BATCH b = RT_BATCH_INIT;
	RtRoute route = { .prefix = 32, .onlink = true };
	if (make_world(&w)) return 1;
	NEED_OK(rtnl_open_in(w.places[A1], &inside, &e));
	route.index = rtnl_index(inside, "eth0");
	route.to = ip("127.0.0.9");
	route.via = ip("10.1.0.1");
	StrPair open[] = { { "net/ipv4/conf/eth0/route_localnet", "1" }, { "net/ipv4/conf/all/route_localnet", "1" } };
	AUTO_FD int proc = sysctl_open_proc(&e);
	NEED_OK(proc);
	NEED_OK(sysctl_write_in(w.places[A1], proc, &(StrMap){ open, ARRAY_LEN(open) }, &e));
	RtAddress own = { .index = 1, .prefix = 8 };
	own.ip = ip("127.0.0.1");
	rtnl_address_delete(&b, "loopback", &own); /* so that 127.0.0.0/8 is nothing local there */
	rtnl_route_add(&b, "route", &route);
	NEED_OK(rtnl_send(inside, &b, &e));
	return is_dropped(&w, A1, "127.0.0.9", PORT);
}

static int bridges_belong_to_networks(void)
{
	Err e = ERR_INIT;
	AUTO_FD int sock = -1;
	int index, again;
	Bridge b = { .device = "br-x", .network = "xx", .addresses = { prefix("10.9.0.1/24") } };
	bridge_mac(&b.addresses[0].address, b.mac);
	NEED(unshare(CLONE_NEWNET) == 0);
	NEED_OK(rtnl_open(&sock, &e));
	NEED_OK(bridge_make(sock, &b, &index, &e));
	NEED_OK(bridge_make(sock, &b, &again, &e));
	NEED(index == again && rtnl_index(sock, "br-x") == index);
	b.network = "yy";
	NEED(bridge_make(sock, &b, &again, &e) == -EEXIST);
	NEED(strstr(e.msg, "bridge br-x: a device of that name is there that is not this network's"));
	NEED(bridge_remove(sock, "br-x", "yy", &e) == -EEXIST);
	NEED_OK(bridge_remove(sock, "br-x", "xx", &e));
	NEED(rtnl_index(sock, "br-x") == -ENODEV);
	NEED_OK(bridge_remove(sock, "br-x", "xx", &e));
	return 0;
}

static int tables_of_versions(void)
{
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(BATCH_MAX);
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX), other = NFT_BATCH_INIT(BATCH_MAX);
	NEED(unshare(CLONE_NEWNET) == 0);
	AUTO_FD int nft = nft_open(&e);
	NEED_OK(nft);
	NEED(rules_stand(nft, &a, &e) == 0);
	nft_table_add(&other, &(NftTable){ NFT_INET, RULES_TABLE }, 0, "of an older version");
	NEED_OK(nft_commit(&other, nft, &e));
	NEED(rules_stand(nft, &a, &e) == 0);
	rules_make(&b);
	NEED_OK(nft_commit(&b, nft, &e));
	NEED(rules_stand(nft, &a, &e) == 1);
	NEED_OK(nft_commit(&b, nft, &e)); /* made anew */
	NEED(rules_stand(nft, &a, &e) == 1);
	return 0;
}

#define TEST(f) \
	static void test_##f(void **state) \
	{ \
		(void)state; \
		need_root(); \
		in_child(f); \
	}
TEST(within_and_between)
TEST(closed_networks)
TEST(published_ports)
TEST(loopback_ports)
TEST(hosts_loopback_is_kept)
TEST(bridges_belong_to_networks)
TEST(tables_of_versions)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_within_and_between),     cmocka_unit_test(test_closed_networks),
		cmocka_unit_test(test_published_ports),        cmocka_unit_test(test_loopback_ports),
		cmocka_unit_test(test_hosts_loopback_is_kept), cmocka_unit_test(test_bridges_belong_to_networks),
		cmocka_unit_test(test_tables_of_versions)
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
