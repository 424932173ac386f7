/* test_network.c: rows of networks, addresses and ports: who gets what, and what is said when nobody can. */
#include "check.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/store_impl.h"
#include "network/ports.h"

enum { CONTAINERS = 32, CHILDREN = 8, PER_CHILD = 25, MEMORY_MAX = 16 << 20 };

typedef struct World {
	char dir[32], path[64];
	Db *db;
	Arena arena;
	Err e;
	char ended[CONTAINERS]; /* by the last digits of the id */
	Networks all;
} World;

static int number_of(const char *id)
{
	return (int)strtol(id + NETWORK_ID_LENGTH - 4, NULL, 10);
}

static int runs(void *arg, const char *container, Err *e)
{
	const World *w = arg;
	(void)e;
	int n = number_of(container);
	return n >= CONTAINERS || !w->ended[n];
}

/* What the host has: the first of docker's pools, and a default route. */
static int routes(void *arg, Arena *a, IpPrefixList *ret, Err *e)
{
	(void)arg;
	(void)e;
	*ret = (IpPrefixList){ .items = arena_array(a, 2, sizeof *ret->items), .n = 2 };
	assert_int_equal(ip_prefix_parse(STR("172.17.5.0/24"), &ret->items[0]), 0);
	assert_int_equal(ip_prefix_parse(STR("0.0.0.0/0"), &ret->items[1]), 0);
	return 0;
}

static const char *container(int n)
{
	static char ids[4][NETWORK_ID_LENGTH + 1];
	static int turn;
	char *id = ids[turn++ % 4];
	snprintf(id, NETWORK_ID_LENGTH + 1, "c%059d%04d", 0, n);
	return id;
}

static void add_containers(World *w, int from, int n)
{
	for (int i = from; i < from + n; i++) {
		char name[16];
		snprintf(name, sizeof name, "box%d", i);
		assert_int_equal(db_run(w->db,
					"INSERT INTO containers(id, name, created, config, host, mounts) VALUES(?, ?, 0, '', '', '')",
					DB_ARGS(db_text(container(i)), db_text(name)), &w->e),
				 1);
	}
}

static int setup(void **state)
{
	World *w = calloc(1, sizeof *w);
	snprintf(w->dir, sizeof w->dir, "/tmp/test-network-XXXXXX");
	if (!mkdtemp(w->dir)) return -1;
	snprintf(w->path, sizeof w->path, "%s/db", w->dir);
	w->arena = (Arena)ARENA_INIT(MEMORY_MAX);
	w->all = (Networks){ .routes = routes, .runs = runs, .arg = w };
	if (db_open(w->path, &image_schema, DB_CREATE, &w->db, &w->e) < 0) return -1;
	w->all.db = w->db;
	*state = w;
	add_containers(w, 0, CONTAINERS);
	return 0;
}

static int teardown(void **state)
{
	World *w = *state;
	char command[96];
	static const char *const files[] = { "", "-wal", "-shm", "-index" };
	db_close(w->db);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(command, sizeof command, "%s%s", w->path, files[i]);
		(void)!unlink(command);
	}
	arena_done(&w->arena);
	int r = rmdir(w->dir);
	free(w);
	return r;
}

static Network made(World *w, Network want)
{
	Network n;
	if (!want.ipv6) want.ipv4 = true;
	w->e = (Err)ERR_INIT;
	if (network_create(&w->all, &want, &w->arena, &n, &w->e) < 0) fail_msg("%s: %s", want.name, w->e.msg);
	return n;
}

static void refused(World *w, Network want, int code, const char *message)
{
	Network n;
	w->e = (Err)ERR_INIT;
	want.ipv4 |= !want.ipv6;
	assert_int_equal(network_create(&w->all, &want, &w->arena, &n, &w->e), -code);
	if (!strstr(w->e.msg, message)) fail_msg("\"%s\", not \"%s\"", w->e.msg, message);
}

/* ---- networks ---- */

static void test_predefined(void **state)
{
	World *w = *state;
	NetworkList l;
	Network n;
	assert_int_equal(network_list(&w->all, &w->arena, &l, &w->e), 0);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.items[0].name, "bridge");
	assert_string_equal(l.items[2].driver, "null");
	assert_string_equal(l.items[0].pools.items[0].subnet, "172.18.0.0/16"); /* the host has a route to a part of 172.17.0.0/16 */
	assert_int_equal(network_find(&w->all, l.items[1].id, &w->arena, &n, &w->e), 0);
	assert_string_equal(n.name, "host");
	assert_int_equal(network_remove(&w->all, &n, &w->e), -EPERM);
	assert_int_equal(network_find(&w->all, "nosuch", &w->arena, &n, &w->e), -ENOENT);
	assert_non_null(strstr(w->e.msg, "network nosuch not found"));
	refused(w, (Network){ .name = "bridge" }, EPERM, "operation is not permitted on predefined bridge network");
	refused(w, (Network){ .name = "default" }, EPERM, "operation is not permitted on predefined default network");
	refused(w, (Network){ .name = " " }, EINVAL, "invalid name: name is empty");
	refused(w, (Network){ .name = "a\nb" }, EINVAL, "invalid network name");
	refused(w, (Network){ .name = "h", .driver = "host" }, EPERM, "only one instance of \"host\" network is allowed");
	refused(w, (Network){ .name = "x", .driver = "nosuch" }, ENOTSUP, "plugin \"nosuch\" not found");
}

static void test_rows(void **state)
{
	World *w = *state;
	StrPair options[] = { { NETWORK_MTU, "1400" }, { NETWORK_ICC, "false" }, { "foo", "bar" } }, labels[] = { { "a", "b" } };
	char device[NETWORK_DEVICE_MAX], expected[NETWORK_DEVICE_MAX], id[NETWORK_ID_LENGTH + 1], prefix[8];
	Network n = made(w, (Network){ .name = "first", .internal = true, .options = { options, 3 }, .labels = { labels, 1 } }), found;
	snprintf(prefix, sizeof prefix, "%.6s", n.id);
	assert_int_equal(network_find(&w->all, prefix, &w->arena, &found, &w->e), 0);
	assert_string_equal(found.id, n.id);
	assert_true(found.internal && found.ipv4 && !found.ipv6 && !found.attachable);
	assert_string_equal(str_map_get(&found.options, "foo"), "bar");
	assert_string_equal(str_map_get(&found.labels, "a"), "b");
	assert_int_equal(network_option_int(&found, NETWORK_MTU, 1500), 1400);
	assert_false(network_option_bool(&found, NETWORK_ICC, true));
	assert_true(network_option_bool(&found, NETWORK_MASQUERADE, true));
	snprintf(expected, sizeof expected, "br-%.12s", n.id);
	assert_string_equal(network_device(&found, device), expected);
	assert_int_equal(strlen(network_endpoint_id(&found, container(1), id)), NETWORK_ID_LENGTH);
	refused(w, (Network){ .name = "first" }, EEXIST, "network with name first already exists");
	assert_int_equal(network_remove(&w->all, &found, &w->e), 0);
	assert_int_equal(network_remove(&w->all, &found, &w->e), -ENOENT);
}

static void test_options_are_checked(void **state)
{
	static const StrPair bad[] = { { NETWORK_MTU, "abc" },          { NETWORK_MTU, "67" },
				       { NETWORK_ICC, "maybe" },        { NETWORK_GATEWAY_MODE4, "foo" },
				       { NETWORK_BRIDGE_NAME, "a/b" },  { NETWORK_BRIDGE_NAME, "sixteen-bytes-xx" },
				       { NETWORK_HOST_BINDING, "::1" }, { NETWORK_PREFIX, "twelve-bytes" } };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		StrPair one = bad[i];
		refused(*state, (Network){ .name = "n", .options = { &one, 1 } }, EINVAL, one.key);
	}
}

static void test_subnets(void **state)
{
	World *w = *state;
	IpamConfig c[] = { { .subnet = "10.1.0.0/16", .range = "10.1.5.0/24" }, { .subnet = "10.2.0.0/24" } };
	StrPair own[] = { { "router", "10.10.0.1" } };
	IpamConfig overlapping = { .subnet = "10.1.2.0/24" }, host_part = { .subnet = "10.1.2.3/24" },
		   nonsense = { .subnet = "10.300.2.0/24" }, none = { .gateway = "10.9.0.1" },
		   outside = { .subnet = "10.9.0.0/24", .gateway = "10.8.0.1" },
		   range_outside = { .subnet = "10.9.0.0/24", .range = "10.8.0.0/24" },
		   taken = { .subnet = "10.10.0.0/24", .gateway = "10.10.0.1", .reserved = { own, 1 } }, six = { .subnet = "fd00::/64" };
	(void)made(w, (Network){ .name = "r1", .pools = { c, 1 } });
	refused(w, (Network){ .name = "n", .pools = { &overlapping, 1 } }, EADDRINUSE,
		"Pool overlaps with other one on this address space");
	refused(w, (Network){ .name = "n", .pools = { &host_part, 1 } }, EINVAL, "invalid subnet 10.1.2.3/24: it should be 10.1.2.0/24");
	refused(w, (Network){ .name = "n", .pools = { &nonsense, 1 } }, EINVAL, "invalid CIDR block notation");
	refused(w, (Network){ .name = "n", .pools = { &none, 1 } }, EINVAL, "must have a corresponding subnet");
	refused(w, (Network){ .name = "n", .pools = { &outside, 1 } }, EINVAL, "invalid gateway 10.8.0.1: parent subnet is 10.9.0.0/24");
	refused(w, (Network){ .name = "n", .pools = { &range_outside, 1 } }, EINVAL, "invalid ip-range 10.8.0.0/24: parent subnet is");
	refused(w, (Network){ .name = "n", .pools = { &taken, 1 } }, EINVAL, "(router:10.10.0.1): Address already in use");
	refused(w, (Network){ .name = "n", .pools = { &six, 1 } }, EINVAL, "IPv6 is not enabled");
	c[0] = (IpamConfig){ .subnet = "10.3.0.0/24" };
	refused(w, (Network){ .name = "n", .pools = { c, 2 } }, EINVAL, "bridge driver doesn't support multiple subnets");
	c[1].subnet = "10.3.0.0/25";
	refused(w, (Network){ .name = "n", .pools = { c, 2 } }, EINVAL, "overlap");
}

static void test_chosen_subnets(void **state)
{
	World *w = *state;
	char name[16];
	Network n;
	for (int i = 0; i < 29; i++) { /* one of the 30 has the default bridge: 172.17.0.0/16 has the host */
		snprintf(name, sizeof name, "n%d", i);
		n = made(w, (Network){ .name = name });
		if (i == 0) assert_string_equal(n.pools.items[0].gateway, "172.19.0.1");
		if (i == 13) assert_string_equal(n.pools.items[0].subnet, "192.168.0.0/20");
	}
	refused(w, (Network){ .name = "n" }, ENOSPC, "all predefined address pools have been fully subnetted");
	n = made(w, (Network){ .name = "six", .ipv6 = true });
	assert_int_equal(n.pools.n, 1);
	assert_memory_equal(n.pools.items[0].subnet, "fd", 2);
	assert_true(ends_with(n.pools.items[0].gateway, "::1"));
}

static void test_configurations(void **state)
{
	World *w = *state;
	IpamConfig c = { .subnet = "10.5.0.0/24" };
	StrPair options[] = { { NETWORK_MTU, "1400" } }, its[] = { { "a", "its" }, { "b", "its" } }, own[] = { { "a", "own" } };
	Network from = made(w, (Network){ .name = "conf",
					  .config_only = true,
					  .pools = { &c, 1 },
					  .options = { options, ARRAY_LEN(options) },
					  .labels = { its, ARRAY_LEN(its) } });
	assert_string_equal(from.driver, "null");
	Network n = made(w, (Network){ .name = "user", .config_from = "conf", .labels = { own, ARRAY_LEN(own) } });
	assert_string_equal(n.pools.items[0].subnet, "10.5.0.0/24");
	assert_string_equal(str_map_get(&n.options, NETWORK_MTU), "1400");
	assert_string_equal(str_map_get(&n.labels, "a"), "own");
	assert_string_equal(str_map_get(&n.labels, "b"), "its");
	refused(w, (Network){ .name = "n", .config_from = "user" }, ENOENT, "configuration network \"user\" does not exist");
	refused(w, (Network){ .name = "n", .config_from = "conf", .pools = { &c, 1 } }, EPERM,
		"user specified configurations are not supported");
	refused(w, (Network){ .name = "n", .config_from = "conf", .ipv6 = true }, EPERM, "user specified configurations are not supported");
	refused(w, (Network){ .name = "n", .config_from = "conf", .options = { options, 1 } }, EPERM,
		"network driver options are not supported");
	refused(w, (Network){ .name = "n", .config_only = true, .config_from = "conf" }, EPERM, "cannot depend on another");
	refused(w, (Network){ .name = "n", .config_only = true, .internal = true }, EPERM, "can only contain network specific fields");
	assert_int_equal(network_remove(&w->all, &from, &w->e), -EBUSY);
	assert_string_equal(w->e.msg, "error while removing network: configuration network \"conf\" is in use");
	assert_int_equal(network_remove(&w->all, &n, &w->e), 0);
	assert_int_equal(network_remove(&w->all, &from, &w->e), 0);
}

static void test_scopes(void **state)
{
	World *w = *state;
	Network n = made(w, (Network){ .name = "wide", .scope = "global" }), found;
	assert_int_equal(network_find(&w->all, n.id, &w->arena, &found, &w->e), 0);
	assert_string_equal(found.scope, "global");
	refused(w, (Network){ .name = "n", .scope = "swarm" }, EPERM, "cannot create a swarm scoped network when swarm is not active");
	refused(w, (Network){ .name = "n", .scope = "moon" }, EINVAL, "invalid scope \"moon\"");
	refused(w, (Network){ .name = "n", .ingress = true }, EPERM, "Ingress network can only be global scope network");
	refused(w, (Network){ .name = "n", .driver = "overlay" }, ENOTSUP, "This node is not a swarm manager");
}

static void test_bridges_are_of_one_network(void **state)
{
	World *w = *state;
	StrPair own[] = { { NETWORK_BRIDGE_NAME, "mine0" } }, taken[] = { { NETWORK_BRIDGE_NAME, "skep0" } };
	(void)made(w, (Network){ .name = "first", .options = { own, 1 } });
	refused(w, (Network){ .name = "second", .options = { own, 1 } }, EEXIST, "networks have same bridge name");
	refused(w, (Network){ .name = "third", .options = { taken, 1 } }, EEXIST, "(skep0)");
}

/* ---- addresses ---- */

static PoolList pools_of(World *w, const Network *n)
{
	PoolList l;
	assert_int_equal(pools_parse(&n->pools, &w->arena, &l, &w->e), 0);
	return l;
}

static int reserve(World *w, const Network *n, int family, int who, const char *want, char text[static IP_TEXT_MAX])
{
	IpAddress address = { 0 }, got;
	const Pool *pool;
	PoolList l = pools_of(w, n);
	w->e = (Err)ERR_INIT;
	text[0] = 0;
	if (want) assert_int_equal(ip_parse(str_of(want), &address), 0);
	int r = ipam_reserve(&w->all, n, &l, family, container(who), &address, &got, &pool, &w->e);
	if (r >= 0) ip_format(&got, text);
	return r;
}

static void test_addresses(void **state)
{
	World *w = *state;
	char text[IP_TEXT_MAX];
	IpAddress four, six;
	IpamConfig c[] = { { .subnet = "10.1.0.0/16", .range = "10.1.5.0/24" }, { .subnet = "fd00:9::/64" } };
	Network n = made(w, (Network){ .name = "n", .ipv4 = true, .ipv6 = true, .pools = { c, 2 } });
	static const struct {
		int family, who;
		const char *want, *got;
	} steps[] = { { 4, 1, NULL, "10.1.5.1" }, /* the gateway has 10.1.5.0 */
		      { 4, 2, NULL, "10.1.5.2" },      { 6, 1, NULL, "fd00:9::2" },      { 4, 3, "10.1.5.3", "10.1.5.3" },
		      { 4, 4, NULL, "10.1.5.4" },      { 4, 5, "10.1.0.1", "10.1.0.1" }, { 6, 2, NULL, "fd00:9::3" },
		      { 4, 1, "10.1.5.1", "10.1.5.1" } };
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		assert_int_equal(reserve(w, &n, steps[i].family, steps[i].who, steps[i].want, text), 0);
		assert_string_equal(text, steps[i].got);
	}
	assert_int_equal(reserve(w, &n, 4, 6, "10.1.5.0", text), -EADDRINUSE);
	assert_int_equal(reserve(w, &n, 4, 6, "10.1.5.1", text), -EADDRINUSE);
	assert_int_equal(reserve(w, &n, 4, 6, "10.1.0.0", text), -EADDRINUSE);
	assert_int_equal(reserve(w, &n, 4, 6, "10.9.0.1", text), -EINVAL);
	assert_non_null(strstr(w->e.msg, "no configured subnet or ip-range contain the IP address 10.9.0.1"));
	assert_int_equal(ipam_of(&w->all, n.id, container(1), &four, &six, &w->e), 0);
	assert_string_equal(ip_format(&four, text), "10.1.5.1");
	assert_string_equal(ip_format(&six, text), "fd00:9::2");
	assert_int_equal(network_remove(&w->all, &n, &w->e), -EBUSY);
	assert_non_null(strstr(w->e.msg, "network n has active endpoints (name:\"box1\" id:\""));
	assert_int_equal(ipam_release(&w->all, container(2), &w->e), 0);
	assert_int_equal(reserve(w, &n, 4, 7, NULL, text), 0);
	assert_string_equal(text, "10.1.5.2");
	w->ended[3] = 1; /* and no mark told of it: its address is had when it is wanted */
	assert_int_equal(reserve(w, &n, 4, 8, "10.1.5.3", text), 0);
	memset(w->ended, 1, sizeof w->ended);
	assert_int_equal(network_remove(&w->all, &n, &w->e), 0);
}

static void test_small_pools(void **state)
{
	static const struct {
		const char *subnet, *first;
		int n;
	} cases[] = { { "10.0.0.0/30", "10.0.0.2", 1 },
		      { "10.0.1.0/31", "10.0.1.1", 1 },
		      { "10.0.2.0/32", NULL, 0 },
		      { "10.0.3.0/29", "10.0.3.2", 5 },
		      { "fd00::/126", "fd00::2", 2 }, /* ::0 is the routers', ::1 the gateway's */
		      { "255.255.255.252/30", "255.255.255.254", 1 } };
	World *w = *state;
	char text[IP_TEXT_MAX], name[16];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		IpamConfig c = { .subnet = cases[i].subnet };
		const int family = strchr(cases[i].subnet, ':') ? 6 : 4;
		snprintf(name, sizeof name, "n%zu", i);
		Network n = made(w, (Network){ .name = name, .ipv4 = family == 4, .ipv6 = family == 6, .pools = { &c, 1 } });
		memset(w->ended, 0, sizeof w->ended);
		for (int k = 0; k < cases[i].n; k++) {
			assert_int_equal(reserve(w, &n, family, k, NULL, text), 0);
			if (k == 0) assert_string_equal(text, cases[i].first);
		}
		assert_int_equal(reserve(w, &n, family, 30, NULL, text), -ENOSPC);
		assert_non_null(strstr(w->e.msg, "on this network's address pools: n"));
		if (!cases[i].n) continue;
		w->ended[0] = 1; /* lost: nobody left a mark */
		assert_int_equal(reserve(w, &n, family, 30, NULL, text), 0);
		assert_string_equal(text, cases[i].first);
	}
}

/* Each child reserves with a database handle of its own. */
static void reserve_many(World *w, const Network *n, int child)
{
	Db *db = NULL;
	Err e = ERR_INIT;
	if (db_open(w->path, &image_schema, 0, &db, &e) < 0) _exit(1);
	Networks all = w->all;
	all.db = db;
	for (int i = 0; i < PER_CHILD; i++) {
		AUTO_DB_TX tx = { 0 };
		AUTO_ARENA a = ARENA_INIT(MEMORY_MAX);
		PoolList l;
		const Pool *pool;
		IpAddress got;
		if (db_begin(db, DB_WRITE, &tx, &e) < 0 || pools_parse(&n->pools, &a, &l, &e) < 0 ||
		    ipam_reserve(&all, n, &l, 4, container(1000 + child * PER_CHILD + i), &(IpAddress){ 0 }, &got, &pool, &e) < 0 ||
		    db_commit(&tx, &e) < 0)
			_exit(2);
	}
	db_close(db);
	_exit(0);
}

static void test_many_at_once(void **state)
{
	World *w = *state;
	pid_t pids[CHILDREN];
	AUTO_DB_ROWS rows = { 0 };
	Network n = made(w, (Network){ .name = "n" });
	add_containers(w, 1000, CHILDREN * PER_CHILD);
	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		if (pids[i] == 0) reserve_many(w, &n, i);
	}
	for (int i = 0; i < CHILDREN; i++) {
		int status;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(
		db_get(w->db, "SELECT count(*), count(DISTINCT container), hex(max(address)) FROM addresses", DB_NONE, &rows, &w->e), 1);
	assert_int_equal(db_row_int(&rows, 0), CHILDREN * PER_CHILD);
	assert_int_equal(db_row_int(&rows, 1), CHILDREN * PER_CHILD);
	assert_string_equal(db_row_text(&rows, 2), "AC1300C9"); /* 172.19.0.201: none is left out */
}

/* ---- ports ---- */

static int publish(World *w, int who, const char *host, uint16_t port, uint8_t protocol)
{
	PublishedPort p = { .host_port = port, .port = 80, .protocol = protocol };
	w->e = (Err)ERR_INIT;
	assert_int_equal(ip_parse(str_of(host), &p.host), 0);
	return port_reserve(&w->all, &p, container(who), &w->e);
}

static void test_ports(void **state)
{
	World *w = *state;
	PublishedPort p = { .host = { .family = 4 }, .protocol = IPPROTO_TCP };
	assert_int_equal(publish(w, 1, "0.0.0.0", 8080, IPPROTO_TCP), 0);
	assert_int_equal(publish(w, 1, "::", 8080, IPPROTO_TCP), 0);
	assert_int_equal(publish(w, 1, "0.0.0.0", 8080, IPPROTO_TCP), 0);
	assert_int_equal(publish(w, 2, "0.0.0.0", 8080, IPPROTO_UDP), 0);
	assert_int_equal(publish(w, 2, "0.0.0.0", 8080, IPPROTO_TCP), -EADDRINUSE);
	assert_string_equal(w->e.msg, "Bind for 0.0.0.0:8080 failed: port is already allocated: by \"box1\" (c00000000000)");
	assert_int_equal(publish(w, 2, "127.0.0.1", 8080, IPPROTO_TCP), -EADDRINUSE);
	assert_int_equal(publish(w, 2, "::1", 8080, IPPROTO_TCP), -EADDRINUSE);
	assert_non_null(strstr(w->e.msg, "Bind for [::1]:8080 failed"));
	assert_int_equal(publish(w, 2, "127.0.0.1", 8081, IPPROTO_TCP), 0);
	assert_int_equal(publish(w, 3, "127.0.0.2", 8081, IPPROTO_TCP), 0);
	assert_int_equal(publish(w, 3, "0.0.0.0", 8081, IPPROTO_TCP), -EADDRINUSE);
	w->ended[1] = 1;
	assert_int_equal(publish(w, 2, "127.0.0.1", 8080, IPPROTO_TCP), 0);
	assert_int_equal(port_free(&w->all, &p, 8080, 8090, &w->e), 0);
	assert_int_equal(p.host_port, 8082);
	assert_int_equal(port_free(&w->all, &p, 8080, 8081, &w->e), -ENOSPC);
	assert_int_equal(ipam_release(&w->all, container(2), &w->e), 0);
	assert_int_equal(port_free(&w->all, &p, 8080, 8090, &w->e), 0);
	assert_int_equal(p.host_port, 8080);
}

int main(void)
{
#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { WITH_WORLD(test_predefined),
					    WITH_WORLD(test_rows),
					    WITH_WORLD(test_options_are_checked),
					    WITH_WORLD(test_subnets),
					    WITH_WORLD(test_chosen_subnets),
					    WITH_WORLD(test_configurations),
					    WITH_WORLD(test_scopes),
					    WITH_WORLD(test_bridges_are_of_one_network),
					    WITH_WORLD(test_addresses),
					    WITH_WORLD(test_small_pools),
					    WITH_WORLD(test_many_at_once),
					    WITH_WORLD(test_ports) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
