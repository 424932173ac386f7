/* networking.c: see networking.h. */
#include "engine/networking.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/start.h"
#include "link/bridge.h"
#include "link/rules.h"
#include "sys/netns.h"
#include "sys/sysctl.h"

#define ENDED "ended" /* directory: files named by the containers that have ended */

enum { BATCH_MAX = 1 << 20, TRIES = 16, STATE_ARENA = 1 << 20 };

bool networking_is_own(const char *mode)
{
	return mode && *mode && !streq(mode, "none") && !streq(mode, "host") && !starts_with(mode, "container:") &&
	       !starts_with(mode, "ns:");
}

/* ---- what network/ asks ---- */

static int routes(void *arg, Arena *a, IpPrefixList *ret, Err *e)
{
	AUTO_FD int sock = -1;
	RtRoutes l;
	(void)arg;
	int r = rtnl_open(&sock, e);
	if (r < 0 || (r = rtnl_routes(sock, a, &l, e)) < 0) return r;
	*ret = (IpPrefixList){ .items = arena_array(a, l.n + 1, sizeof *ret->items) };
	if (!ret->items) return err_sys(e, ENOMEM, "list routes");
	for (size_t i = 0; i < l.n; i++)
		ret->items[ret->n++] =
			(IpPrefix){ l.items[i].to, l.items[i].prefix };
	return 0;
}

static int runs(void *arg, const char *container, Err *e)
{
	Engine *g = arg;
	AUTO_ARENA a = ARENA_INIT(STATE_ARENA);
	RunState state;
	bool lost;
	Err gone = ERR_INIT;
	AUTO_FD int dir = record_dir(g, container, &gone);
	if (dir == -ENOENT) return 0;
	if (dir < 0) {
		*e = gone;
		return dir;
	}
	int r = run_is_locked(dir); /* by its monitor, or by who is just starting it */
	if (r != 0) return r < 0 ? err_sys(e, -r, "look at the lock of container %.12s", container) : 1;
	r = run_state_load(dir, &a, &state, &lost, e);
	return r < 0 ? r : state.status == RUN_RUNNING && !lost;
}

Networks networking_networks(Engine *g)
{
	return (Networks){ .db = g->db, .routes = routes, .runs = runs, .arg = g };
}

/* ---- addresses ---- */

typedef struct Endpoint {
	Network network;
	PoolList pools;
	IpPrefix addresses[2]; /* of IPv4 and IPv6; family 0: none */
	IpAddress gateways[2];
} Endpoint;

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

/* Of those whose monitors say that they have ended. Within a transaction: who starts again takes his mark away in one, too, before he reserves. */
static int release_ended(Engine *g, Err *e)
{
	struct dirent *entry;
	int r = 0, fd = open(g->run_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	    below = fd < 0 ? -1 : openat(fd, ENDED, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd_close(fd);
	if (below < 0) return 0;
	AUTO(closedirp) DIR *d = fdopendir(below);
	while (d && r >= 0 && (entry = readdir(d))) {
		if (strlen(entry->d_name) != RECORD_ID_LENGTH) continue;
		r = ipam_release(&(Networks){ .db = g->db }, entry->d_name, e);
		if (r >= 0) (void)!unlinkat(below, entry->d_name, 0);
	}
	return r;
}

static int reserve_addresses(const Networks *all, const Record *c, Endpoint *p, Err *e)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < 2; i++) {
		const IpAddress any = { 0 };
		const Pool *pool = NULL;
		if (!(i ? p->network.ipv6 : p->network.ipv4)) continue;
		r = ipam_reserve(all, &p->network, &p->pools, i ? 6 : 4, c->id, &any, &p->addresses[i].address, &pool, e);
		if (r < 0) break;
		p->addresses[i].length = pool->subnet.length;
		p->gateways[i] = pool_gateway(pool);
	}
	return r;
}

static int reserve(Engine *g, const Networks *all, const Record *c, Endpoint *p, Arena *a, Publishing *ports, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	int r = db_begin(all->db, DB_WRITE, &tx, e);
	if (r >= 0) r = release_ended(g, e);
	if (r >= 0) r = ipam_release(all, c->id, e); /* of its last run, which nobody told the end of */
	if (r >= 0) r = reserve_addresses(all, c, p, e);
	if (r >= 0) r = publish_reserve(all, c, p->network.ipv4, p->network.ipv6, a, ports, e);
	return r < 0 ? r : db_commit(&tx, e);
}

/* ---- the host's part ---- */

static void describe(const Endpoint *p, const char *device, Bridge *bridge, RulesNetwork *rules)
{
	const bool masquerade = network_option_bool(&p->network, NETWORK_MASQUERADE, true);
	*bridge = (Bridge){ .device = device,
			    .network = p->network.id,
			    .mtu = (uint32_t)network_option_int(&p->network, NETWORK_MTU, 0),
			    .localnet = !p->network.internal };
	*rules = (RulesNetwork){ .device = device,
				 .internal = p->network.internal,
				 .closed = !network_option_bool(&p->network, NETWORK_ICC, true) };
	for (size_t i = 0; i < 2; i++) {
		if (!p->addresses[i].address.family) continue;
		bridge->addresses[i] = (IpPrefix){ p->gateways[i], p->addresses[i].length };
		rules->subnets[i] = ip_prefix_mask(&p->addresses[i]);
		rules->masquerade[i] = masquerade && !p->network.internal;
	}
}

/* The table is made with the first network after a boot, or after somebody has taken it away: nobody else does the same at that moment. */
static int add_rules(const RulesNetwork *n, const RulesPort *ports, size_t n_ports, Arena *a, Err *e)
{
	AUTO_FD int sock = nft_open(e);
	int r = sock < 0 ? sock : -ERESTART;
	for (int i = 0; r == -ERESTART && i < TRIES; i++) {
		AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
		uint32_t generation;
		*e = (Err)ERR_INIT;
		if ((r = nft_generation(sock, &generation, e)) < 0 || (r = rules_stand(sock, a, e)) < 0) return r;
		if (!r) nft_expect(&b, generation);
		if (!r) rules_make(&b);
		rules_network(&b, NFT_ADD, n);
		if (n_ports) rules_ports(&b, NFT_ADD, ports, n_ports);
		r = nft_commit(&b, sock, e);
	}
	return r < 0 ? err_wrap(e, "network rules") : 0;
}

static int forward(bool ipv6, Err *e)
{
	AUTO_FD int proc = sysctl_open_proc(e);
	if (proc < 0) return proc;
	int r = sysctl_write(proc, "net/ipv4/ip_forward", "1", e);
	if (r >= 0 && ipv6) r = sysctl_write(proc, "net/ipv6/conf/all/forwarding", "1", e);
	return r;
}

/* ---- the container's part ---- */

static int connect_container(int sock, int netns, int bridge, const Endpoint *p, Err *e)
{
	BridgePort port = { .name = "eth0",
			    .bridge = bridge,
			    .mtu = (uint32_t)network_option_int(&p->network, NETWORK_MTU, 0),
			    .hairpin = true,
			    .isolated = !network_option_bool(&p->network, NETWORK_ICC, true) };
	for (size_t i = 0; i < 2; i++) {
		port.addresses[i] = p->addresses[i];
		if (!p->network.internal && p->addresses[i].address.family) port.gateways[i] = p->gateways[i];
	}
	bridge_mac(&port.addresses[port.addresses[0].address.family ? 0 : 1].address, port.mac);
	return bridge_connect(sock, netns, &port, e);
}

static const char *text_of(const IpAddress *at, Arena *a)
{
	char text[IP_TEXT_MAX];
	return at->family ? arena_strdup(a, ip_format(at, text)) : NULL;
}

static RulesPort *rules_of(const Endpoint *p, const Publishing *l, Arena *a)
{
	RulesPort *ports = arena_array(a, l->n + 1, sizeof *ports);
	for (size_t i = 0; ports && i < l->n; i++)
		ports[i] = (RulesPort){ .host = l->ports[i].host,
					.to = p->addresses[l->ports[i].host.family == 6].address,
					.host_port = l->ports[i].host_port,
					.port = l->ports[i].port,
					.protocol = l->ports[i].protocol };
	return ports;
}

static int make(const Endpoint *p, Arena *a, Networking *ret, Err *e)
{
	const RulesPort *ports = rules_of(p, &ret->ports, a);
	char device[NETWORK_DEVICE_MAX];
	AUTO_FD int sock = -1, netns = -1;
	Bridge bridge;
	RulesNetwork rules;
	int index, r = rtnl_open(&sock, e);
	if (!ports) return err_sys(e, ENOMEM, "publish ports");
	describe(p, network_device(&p->network, device), &bridge, &rules);
	if (r < 0 || (r = bridge_make(sock, &bridge, &index, e)) < 0) return r;
	if ((r = netns_new(&netns, e)) < 0 || (r = connect_container(sock, netns, index, p, e)) < 0) return r;
	if ((r = add_rules(&rules, ports, ret->ports.n, a, e)) < 0 || (r = forward(p->network.ipv6, e)) < 0) return r;
	ret->netns = take_fd(netns);
	ret->rules = ports;
	ret->address4 = text_of(&p->addresses[0].address, a);
	ret->address6 = text_of(&p->addresses[1].address, a);
	ret->gateway = text_of(&p->gateways[0], a);
	return 0;
}

static int make_ended(const Engine *g, Arena *a, const char **ret, Err *e)
{
	*ret = arena_printf(a, "%s/" ENDED, g->run_root);
	if (!*ret) return err_sys(e, ENOMEM, "start a container");
	return mkdir(*ret, 0700) < 0 && errno != EEXIST ? err_sys(e, errno, "make %s", *ret) : 0;
}

void networking_done(Networking *n)
{
	n->netns = fd_close(n->netns);
	publishing_done(&n->ports);
}

void networking_release(Engine *g, const char *container)
{
	Err ignored = ERR_INIT;
	(void)!ipam_release(&(Networks){ .db = g->db }, container, &ignored); /* who wants one of them looks whether it still runs */
}

int networking_start(Engine *g, const Record *c, Arena *a, Networking *ret, Err *e)
{
	const Networks all = networking_networks(g);
	Endpoint p = { 0 };
	const char *ended = NULL;
	*ret = NETWORKING_NONE;
	if (!networking_is_own(c->host.network_mode)) return 0;
	int r = network_find(&all, c->host.network_mode, a, &p.network, e);
	if (r >= 0 && !streq(p.network.driver, "bridge"))
		r = err_set(e, ERR_UNSUPPORTED, ENOTSUP, "network %s: containers cannot be connected to networks of driver %s yet",
			    p.network.name, p.network.driver);
	if (r >= 0) r = pools_parse(&p.network.pools, a, &p.pools, e);
	if (r >= 0) r = make_ended(g, a, &ended, e);
	if (r >= 0) r = reserve(g, &all, c, &p, a, &ret->ports, e);
	if (r >= 0) r = make(&p, a, ret, e);
	ret->ended = ended;
	return r < 0 ? err_wrap(e, "failed to set up container networking") : 0;
}
