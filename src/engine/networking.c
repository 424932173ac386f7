/* networking.c: see networking.h. */
#include "engine/networking.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/network_rules.h"
#include "engine/start.h"
#include "link/redirect.h"
#include "monitor/network_hold.h"
#include "sys/fd.h"
#include "sys/netns.h"
#include "sys/sysctl.h"

#define ENDED "ended" /* directory: files named by the containers that have ended */

enum { LOCK_PAUSE_NS = 2000000, LOCK_TRIES = 5000, PATH_ROOM = 4096, STATE_ARENA = 1 << 20, FAMILIES = 2 };

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
		ret->items[ret->n++] = (IpPrefix){ l.items[i].to, l.items[i].prefix };
	return 0;
}

static int device(void *arg, const char *name, Err *e)
{
	AUTO_FD int sock = -1;
	(void)arg;
	int r = rtnl_open(&sock, e);
	if (r < 0) return r;
	r = rtnl_index(sock, name);
	return r == -ENODEV ? 0 : r < 0 ? err_sys(e, -r, "look for device %s", name) : 1;
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

static void forget_rules(Engine *g, const char *container);

/* Its monitor was killed, or the machine: processes of it may still answer at its addresses. */
static int end(void *arg, const char *container, Err *e)
{
	Engine *g = arg;
	Err gone = ERR_INIT;
	AUTO_FD int dir = record_dir(g, container, &gone);
	AUTO_FD int lock = dir < 0 ? -1 : record_lock(g, container, dir, 0, &gone);
	if (dir == -ENOENT || lock == -ENOENT) return 0;
	if (dir < 0 || lock < 0) return err_set(e, ERR_STATE, EBUSY, "container %.12s is being started", container);
	forget_rules(g, container);
	return engine_end_remains(g, container, e);
}

Networks networking_networks(Engine *g)
{
	return (Networks){ .db = g->db, .routes = routes, .device = device, .end = end, .runs = runs, .arg = g };
}

/* ---- what is reserved ---- */

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

static PublishWay way_of(const AttachmentList *l)
{
	PublishWay w = { 0 };
	for (size_t i = 0; i < l->n; i++) {
		const Attachment *p = &l->items[i];
		w.ipv6 |= p->is_default[1];
		if (!p->is_default[0]) continue;
		const char *host = str_map_get(&p->network.options, NETWORK_HOST_BINDING);
		w.ipv4 = true;
		if (host) (void)!ip_parse(str_of(host), &w.host);
	}
	return w;
}

void networking_forget(Engine *g, const char *container)
{
	if (!networking_is_going(g, container)) forget_rules(g, container);
}

/* Of a monitor that was killed while it ended. */
static void forget_going(const Engine *g, const char *id)
{
	char name[NETWORK_GOING_MAX], path[PATH_ROOM];
	snprintf(name, sizeof name, NETWORK_GOING, id);
	snprintf(path, sizeof path, "%s/" ENDED "/%s", g->run_root, name);
	(void)!unlink(path);
}

bool networking_is_going(const Engine *g, const char *id)
{
	char name[NETWORK_GOING_MAX], path[2][PATH_ROOM];
	snprintf(name, sizeof name, NETWORK_GOING, id);
	snprintf(path[0], sizeof path[0], "%s/" ENDED "/%s", g->run_root, name);
	snprintf(path[1], sizeof path[1], "%s/" ENDED "/%s", g->run_root, id);
	return access(path[0], F_OK) == 0 || access(path[1], F_OK) == 0;
}

static int reserve(Engine *g, const Networks *all, const Record *c, AttachmentList *l, Arena *a, Publishing *ports, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	networking_forget(g, c->id);
	forget_going(g, c->id);
	int r = db_begin(all->db, DB_WRITE, &tx, e);
	if (r >= 0) r = release_ended(g, e);
	if (r >= 0) r = ipam_release(all, c->id, e); /* of its last run, which nobody told the end of */
	for (size_t i = 0; r >= 0 && i < l->n; i++)
		r = attachment_reserve(all, c->id, &l->items[i], e);
	if (r < 0) return r;
	attachments_route(l);
	const PublishWay way = way_of(l);
	r = publish_reserve(all, c, &way, a, ports, e);
	return r < 0 ? r : db_commit(&tx, e);
}

/* ---- what is made ---- */

static const char *const forward_keys[FAMILIES] = { "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding" };

static int forwards(int proc, size_t family, Err *e)
{
	char now[8];
	int r = (int)sysctl_read(proc, forward_keys[family], now, sizeof now, e);
	return r < 0 ? r : !streq(now, "0");
}

static bool needs_family(const AttachmentList *l, size_t family)
{
	bool ipv6 = false;
	for (size_t i = 0; i < l->n; i++)
		ipv6 |= l->items[i].network.ipv6;
	return !family || ipv6;
}

/* With the boot's id: a run root that outlives it says nothing of the next one. */
static int note(const Engine *g, int family, Err *e)
{
	char name[32], boot[BOOT_ID_SIZE];
	int r = boot_id(boot);
	if (r < 0) return err_sys(e, -r, "read the id of this boot");
	snprintf(name, sizeof name, NETWORKING_FORWARDS, family);
	AUTO_FD int dir = open(g->run_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? err_sys(e, errno, "open %s", g->run_root) : fd_remake_file(dir, name, boot, strlen(boot), 0600, e);
}

bool networking_forwards_for_containers(const Engine *g, int family)
{
	AUTO_ARENA a = ARENA_INIT(65536);
	Err ignored = ERR_INIT;
	char path[PATH_ROOM], boot[BOOT_ID_SIZE], *text;
	size_t n;
	snprintf(path, sizeof path, "%s/" NETWORKING_FORWARDS, g->run_root, family);
	return fd_read_file(AT_FDCWD, path, 4096, &a, &text, &n, &ignored) >= 0 && boot_id(boot) >= 0 && streq(text, boot);
}

int networking_note_forwards(const Engine *g, const AttachmentList *l, Err *e)
{
	AUTO_FD int proc = sysctl_open_proc(e);
	if (proc < 0) return proc;
	for (size_t i = 0; i < FAMILIES; i++) {
		int r = needs_family(l, i) ? forwards(proc, i, e) : 1;
		if (r < 0) return r;
		if (r) continue;
		if ((r = note(g, i ? 6 : 4, e)) < 0) return r;
	}
	return 0;
}

int networking_forward(const AttachmentList *l, Err *e)
{
	AUTO_FD int proc = sysctl_open_proc(e);
	if (proc < 0) return proc;
	for (size_t i = 0; i < FAMILIES; i++) {
		int r = needs_family(l, i) ? forwards(proc, i, e) : 1;
		if (r == 0) r = sysctl_write(proc, forward_keys[i], "1", e);
		if (r < 0) return r;
	}
	return 0;
}

int networking_join(int sock, int netns, const Attachment *p, Arena *a, int *ret_index, Err *e)
{
	char device[NETWORK_DEVICE_MAX];
	Bridge bridge;
	BridgePort port;
	StrMap parameters;
	int index;
	attachment_bridge(p, network_device(&p->network, device), &bridge);
	int r = bridge_make(sock, &bridge, &index, e);
	if (r < 0 || (r = attachment_sysctls(p, a, &parameters, e)) < 0) return r;
	attachment_port(p, index, &port);
	if ((r = bridge_connect(sock, netns, &port, ret_index, e)) < 0 || !parameters.n) return r;
	AUTO_FD int proc = sysctl_open_proc(e);
	return proc < 0 ? proc : sysctl_write_in(netns, proc, &parameters, e);
}

bool networking_has_names(const AttachmentList *l)
{
	bool any = false;
	for (size_t i = 0; i < l->n; i++)
		any |= network_is_user(&l->items[i].network);
	return any;
}

static int make(Engine *g, const AttachmentList *l, int userns, Arena *a, Networking *n, Err *e)
{
	AUTO_FD int sock = -1;
	int index, r = rtnl_open(&sock, e);
	n->devices.items = arena_array(a, l->n + 1, sizeof *n->devices.items);
	if (r < 0) return r;
	if (!n->devices.items) return err_sys(e, ENOMEM, "networks of a container");
	if ((r = userns < 0 ? netns_new(&n->netns, e) : netns_new_in(userns, &n->netns, e)) < 0) return r;
	for (size_t i = 0; r >= 0 && i < l->n; i++)
		if ((r = networking_join(sock, n->netns, &l->items[i], a, &index, e)) >= 0)
			n->devices.items[n->devices.n++] = (uint32_t)index;
	if (r >= 0 && networking_has_names(l)) r = redirect_names(n->netns, &n->names[0], &n->names[1], e);
	if (r < 0 || (r = network_rules_ports(l, &n->ports, a, &n->rules, e)) < 0) return r;
	return network_rules_add(g, l, n->rules, n->ports.n, a, e);
}

/* ---- what others write down of it ---- */

static const char *text_of(const IpAddress *at, Arena *a)
{
	char text[IP_TEXT_MAX];
	return arena_strdup(a, ip_format(at, text));
}

static int describe(const AttachmentList *l, Arena *a, Networking *n, Err *e)
{
	const char **gateways = arena_array(a, FAMILIES + 1, sizeof *gateways);
	n->addresses.items = arena_array(a, FAMILIES * l->n + 1, sizeof *n->addresses.items);
	if (!gateways || !n->addresses.items) return err_sys(e, ENOMEM, "networks of a container");
	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; k < FAMILIES; k++) {
			const Attachment *p = &l->items[i];
			if (p->addresses[k].address.family &&
			    !(n->addresses.items[n->addresses.n++] = text_of(&p->addresses[k].address, a)))
				return err_sys(e, ENOMEM, "networks of a container");
			if (p->is_default[k] && !(gateways[n->gateways.n++] = text_of(&p->gateways[k], a)))
				return err_sys(e, ENOMEM, "networks of a container");
		}
	n->gateways.items = gateways;
	return 0;
}

static int make_ended(const Engine *g, Arena *a, const char **ret, Err *e)
{
	*ret = arena_printf(a, "%s/" ENDED, g->run_root);
	if (!*ret) return err_sys(e, ENOMEM, "start a container");
	return mkdir(*ret, 0700) < 0 && errno != EEXIST ? err_sys(e, errno, "make %s", *ret) : 0;
}

/* ---- start and end ---- */

void networking_done(Networking *n)
{
	n->netns = fd_close(n->netns);
	n->names[0] = fd_close(n->names[0]);
	n->names[1] = fd_close(n->names[1]);
	n->lock = fd_close(n->lock);
	publishing_done(&n->ports);
}

static void forget_rules(Engine *g, const char *container)
{
	AUTO_ARENA a = ARENA_INIT(STATE_ARENA);
	Err ignored = ERR_INIT;
	const Networks all = { .db = g->db };
	OwnedPortList ports;
	if (ports_of(&all, container, &a, &ports, &ignored) < 0 || !ports.n) return;
	AUTO_FD int sock = nft_open(&ignored);
	for (size_t i = 0; sock >= 0 && i < ports.n; i++) {
		const PublishedPort *p = &ports.items[i].port;
		rules_forget(sock,
			     &(RulesPort){
				     .host = p->host, .to = p->host, .host_port = p->host_port, .port = p->port, .protocol = p->protocol });
	}
}

void networking_release(Engine *g, const char *container)
{
	Err ignored = ERR_INIT;
	AUTO_DB_TX tx = { 0 }; /* or somebody could get one of its ports before its rules have gone, and lose his */
	if (db_begin(g->db, DB_WRITE, &tx, &ignored) < 0) return;
	forget_rules(g, container);
	if (ipam_release(&(Networks){ .db = g->db }, container, &ignored) < 0)
		return; /* who wants one of them looks whether it still runs */
	(void)!db_commit(&tx, &ignored);
}

int networking_lock(int dir, const char *name, Err *e)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };
	AUTO_FD int fd = openat(dir, "network", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) return err_sys(e, errno, "container %s: open the lock of its networks", name);
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK) return err_sys(e, errno, "container %s: lock its networks", name);
		if (i == LOCK_TRIES)
			return err_set(e, ERR_STATE, EBUSY, "container %s: its networks are being changed by another command: try again",
				       name);
		nanosleep(&pause, NULL);
	}
	return take_fd(fd);
}

/* As they are now that nobody else changes them. */
static int read_networks(Engine *g, const Record *c, Arena *a, EndpointRequestList *ret, Err *e)
{
	Record now;
	int r = record_find(g, c->id, a, &now, e);
	if (r >= 0) *ret = now.networks;
	return r;
}

int networking_start(Engine *g, const Record *c, int dir, int userns, Arena *a, Networking *ret, Err *e)
{
	const Networks all = networking_networks(g);
	AttachmentList l;
	EndpointRequestList networks;
	*ret = NETWORKING_NONE;
	if (!networking_is_own(c->host.network_mode)) return 0;
	ret->lock = networking_lock(dir, c->name, e);
	if (ret->lock < 0) return ret->lock;
	int r = read_networks(g, c, a, &networks, e);
	if (r >= 0) r = attachments_find(&all, &networks, a, &l, e);
	if (r >= 0) r = make_ended(g, a, &ret->ended, e);
	if (r >= 0) r = reserve(g, &all, c, &l, a, &ret->ports, e);
	if (r >= 0) {
		ret->held = true;
		r = make(g, &l, userns, a, ret, e);
	}
	if (r >= 0) r = describe(&l, a, ret, e);
	return r < 0 ? err_wrap(e, "failed to set up container networking") : 0;
}
