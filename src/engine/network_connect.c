/* network_connect.c: see network_connect.h. */
#include "engine/network_connect.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/etc_files.h"
#include "engine/network_rules.h"
#include "engine/start.h"
#include "link/redirect.h"
#include "monitor/attendance.h"
#include "monitor/event_log.h"
#include "sys/proc.h"

enum { FAMILIES = 2, DEVICES_MAX = 4096, HOSTS_MAX = 1 << 20, ATTENDANT_MS = 5000 };

/* Change: one connect or disconnect under way. */
typedef struct Change {
	Engine *g;
	Networks all;
	Arena *a;
	Record c; /* as it is within the transaction */
	RunState state;
	bool running;
	int dir, lock, netns, inside; /* of the container; a socket in its namespace; -1 */
	AttachmentList before;        /* what it has, while it runs */
} Change;

static void change_done(Change *x)
{
	x->dir = fd_close(x->dir);
	x->lock = fd_close(x->lock);
	x->netns = fd_close(x->netns);
	x->inside = fd_close(x->inside);
}

void network_event(const Engine *g, const Network *n, const char *action, const char *container)
{
	Err ignored = ERR_INIT;
	StrPair items[] = { { "container", container }, { "name", n->name }, { "type", n->driver } };
	const size_t skip = container ? 0 : 1;
	(void)!event_append(
		g->root_dir,
		&(Event){ .type = "network", .action = action, .id = n->id, .attributes = { items + skip, ARRAY_LEN(items) - skip } }, NULL,
		&ignored);
}

/* ---- what is there ---- */

/* The namespace of its init, and no other process's that got the number meanwhile. */
static int open_netns(Change *x, Err *e)
{
	char path[64];
	uint64_t started;
	snprintf(path, sizeof path, "/proc/%lld/ns/net", (long long)x->state.pid);
	x->netns = open(path, O_RDONLY | O_CLOEXEC);
	bool same = x->netns >= 0 && proc_start_time((pid_t)x->state.pid, &started) >= 0 && started == x->state.start_time;
	if (!same) return err_set(e, ERR_STATE, ESRCH, "container %s is ending", x->c.name);
	return rtnl_open_in(x->netns, &x->inside, e);
}

static int load(Change *x, Err *e)
{
	x->before = (AttachmentList){ .items = arena_array(x->a, x->c.networks.n + 2, sizeof *x->before.items) };
	if (!x->before.items) return err_sys(e, ENOMEM, "networks of a container");
	for (size_t i = 0; x->running && i < x->c.networks.n; i++) {
		Attachment *p = &x->before.items[x->before.n];
		Err gone = ERR_INIT;
		int r = attachment_find(&x->all, &x->c.networks.items[i], (unsigned)i, x->a, p, &gone);
		if (r == -ENOENT) continue;
		if (r < 0) {
			*e = gone;
			return r;
		}
		if ((r = attachment_load(&x->all, x->c.id, p, e)) < 0) return r;
		x->before.n++;
	}
	attachments_route(&x->before);
	return 0;
}

static int open_change(Change *x, Engine *g, const Record *c, Arena *a, Err *e)
{
	*x = (Change){ .g = g, .all = networking_networks(g), .a = a, .dir = -1, .lock = -1, .netns = -1, .inside = -1 };
	x->dir = record_dir(g, c->id, e);
	if (x->dir < 0) return x->dir;
	x->lock = networking_lock(x->dir, c->name, e);
	if (x->lock < 0) return x->lock;
	int r = engine_state(g, c, a, &x->state, e);
	if (r < 0 || (r = record_find(g, c->id, a, &x->c, e)) < 0) return r;
	x->running = x->state.status == RUN_RUNNING && x->state.pid > 0;
	return x->running ? open_netns(x, e) : 0;
}

static int check_mode(const Record *c, Err *e)
{
	const char *mode = c->host.network_mode;
	if (networking_is_own(mode)) return 0;
	if (streq(mode, "host"))
		return err_set(e, ERR_STATE, EINVAL, "cannot connect container %s: it has the network of the host (--network host)",
			       c->name);
	if (streq(mode, "none"))
		return err_set(e, ERR_STATE, EINVAL,
			       "container cannot be connected to multiple networks with one of the networks in private (none) mode");
	return err_set(e, ERR_STATE, EINVAL,
		       "container sharing network namespace with another container or host cannot be connected to any other network");
}

/* Networks that a container has from its making on, or never. */
static int check_target(const char *network, Err *e)
{
	if (streq(network, "host"))
		return err_set(e, ERR_STATE, EINVAL,
			       "cannot connect container to host network - container must be created in host network mode");
	if (!streq(network, "none")) return 0;
	return err_set(e, ERR_STATE, EINVAL,
		       "container cannot be connected to multiple networks with one of the networks in private (none) mode");
}

static size_t place_of(const EndpointRequestList *l, const char *name, const char *given)
{
	size_t i = 0;
	while (i < l->n && !streq(l->items[i].network, name) && !streq(l->items[i].network, given))
		i++;
	return i;
}

/* ---- its hosts file ---- */

/* In place: the container has this very file. Lines of gone addresses go, those of new ones come. */
static int edit_hosts(const Change *x, const Attachment *gone, const Attachment *added, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(2 * HOSTS_MAX);
	AUTO_BUF b = BUF_INIT(HOSTS_MAX);
	char *text, address[IP_TEXT_MAX];
	size_t n;
	int r = fd_read_file(x->dir, "hosts", HOSTS_MAX, &a, &text, &n, e);
	if (r < 0) return r;
	Str rest = { text, n }, line;
	while (str_next(&rest, '\n', &line)) {
		bool keep = true;
		for (size_t i = 0; gone && i < FAMILIES; i++) {
			if (!gone->addresses[i].address.family) continue;
			Str own = str_of(ip_format(&gone->addresses[i].address, address));
			keep &= !(line.n > own.n && memcmp(line.p, own.p, own.n) == 0 && line.p[own.n] == '\t');
		}
		if (keep && (line.n || rest.n)) buf_printf(&b, "%.*s\n", (int)line.n, line.p);
	}
	for (size_t i = 0; added && i < FAMILIES; i++)
		if (added->addresses[i].address.family)
			buf_printf(&b, "%s\t%s\n", ip_format(&added->addresses[i].address, address), x->c.config.hostname);
	if (buf_failed(&b)) return err_sys(e, EFBIG, "/etc/hosts of container %s", x->c.name);
	AUTO_FD int file = openat(x->dir, "hosts", O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
	if (file < 0) return err_sys(e, errno, "write /etc/hosts of container %s", x->c.name);
	r = fd_write_all(file, b.p, b.n);
	return r < 0 ? err_sys(e, -r, "write /etc/hosts of container %s", x->c.name) : 0;
}

/* ---- routes ---- */

static int index_of(const Change *x, const Attachment *p, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	RtAddresses l;
	int r = rtnl_addresses(x->inside, 0, &a, &l, e);
	if (r < 0) return r;
	for (size_t i = 0; i < l.n; i++)
		for (size_t k = 0; k < FAMILIES; k++)
			if (p->addresses[k].address.family && ip_equal(&l.items[i].ip, &p->addresses[k].address)) return l.items[i].index;
	return 0;
}

static RtRoute route_by(const Attachment *p, size_t family)
{
	return (RtRoute){ .to = { .family = p->gateways[family].family }, .via = p->gateways[family] };
}

/* From the way out that was to the one that is; a route that goes with its device is not removed. */
static int change_route(const Change *x, const Attachment *from, const Attachment *to, size_t family, Err *e)
{
	if (from == to || (from && to && from->request == to->request)) return 0;
	if (from) {
		AUTO_RT_BATCH batch = RT_BATCH_INIT;
		Err ignored = ERR_INIT;
		RtRoute r = route_by(from, family);
		rtnl_route_delete(&batch, "default route", &r);
		(void)!rtnl_send(x->inside, &batch, &ignored);
	}
	if (!to) return 0;
	AUTO_RT_BATCH batch = RT_BATCH_INIT;
	RtRoute r = route_by(to, family);
	rtnl_route_add(&batch, "default route", &r);
	int done = rtnl_send(x->inside, &batch, e);
	return done == -EEXIST ? 0 : done;
}

/* ---- devices ---- */

/* The device goes in a process of its own: it takes the kernel 20 ms, for which nobody waits. Before that nothing goes through it any more. */
static int remove_device(const Change *x, int index, Err *e)
{
	AUTO_RT_BATCH batch = RT_BATCH_INIT;
	char name[RT_NAME_MAX];
	snprintf(name, sizeof name, "gone%d", index % 1000000); /* its own is free for the next one */
	rtnl_link_set(&batch, "device of the container", index, &(RtChange){ .up = RT_DOWN });
	rtnl_link_set(&batch, "device of the container", index, &(RtChange){ .name = name });
	int r = rtnl_send(x->inside, &batch, e);
	if (r < 0) return r == -ENODEV ? 0 : r;
	pid_t pid = fork();
	if (pid < 0) return err_sys(e, errno, "disconnect a container");
	if (pid > 0) return 0;
	AUTO_RT_BATCH last = RT_BATCH_INIT;
	rtnl_link_delete(&last, "device of the container", index);
	_exit(rtnl_send(x->inside, &last, e) < 0);
}

/* ---- published ports ---- */

/* They lead where the way out is now; where there is none any more, nowhere: others can have them. */
static int lead_ports(const Change *x, const Attachment *from, const AttachmentList *after, size_t family, Err *e)
{
	const Attachment *to = attachments_way(after, family);
	OwnedPortList l;
	Publishing own = { 0 };
	RulesPort *rules;
	if (!from || (to && from->request == to->request)) return 0;
	int r = ports_of(&x->all, x->c.id, x->a, &l, e);
	if (r < 0) return r;
	own.ports = arena_array(x->a, l.n + 1, sizeof *own.ports);
	if (!own.ports) return err_sys(e, ENOMEM, "published ports");
	for (size_t i = 0; i < l.n; i++)
		if ((l.items[i].port.host.family == 6) == (family == 1)) own.ports[own.n++] = l.items[i].port;
	if (!own.n) return 0;
	if (!to || attachment_reach(to, family) == RULES_PORTS || attachment_reach(from, family) == RULES_PORTS) {
		/* the rows first: who makes rules anew goes by them */
		if ((r = ports_leave(&x->all, x->c.id, family ? 6 : 4, e)) < 0) return r;
		AUTO_FD int sock = monitor_connect(x->g, x->c.id);
		if (sock < 0) return err_sys(e, -sock, "reach the monitor of container %s", x->c.name);
		return monitor_ask(sock, WIRE_UNPUBLISH, family ? 6 : 4, 0, NULL, e);
	}
	if ((r = network_rules_ports(after, &own, x->a, &rules, e)) < 0) return r;
	AUTO_FD int nft = nft_open(e);
	for (size_t i = 0; nft >= 0 && i < own.n; i++)
		rules_forget(nft, &rules[i]);
	return nft < 0 ? nft : network_rules_add(x->g, after, rules, own.n, x->a, e);
}

/* ---- connect ---- */

static int name_device(const Change *x, const EndpointRequest *q, Attachment *p, Err *e)
{
	for (unsigned i = 0; i < DEVICES_MAX; i++) {
		int r = attachment_find(&x->all, q, i, x->a, p, e);
		if (r < 0) return r;
		if (!x->running || rtnl_index(x->inside, p->device) == -ENODEV) return 0;
	}
	return err_set(e, ERR_STATE, EEXIST, "container %s has a device of that name already: %s", x->c.name, p->device);
}

/* The rows. */
static int reserve(Change *x, Attachment *p, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	int r = db_begin(x->all.db, DB_WRITE, &tx, e);
	if (r < 0 || (r = record_find(x->g, x->c.id, x->a, &x->c, e)) < 0 || (r = load(x, e)) < 0) return r;
	if (place_of(&x->c.networks, p->network.name, p->network.id) < x->c.networks.n)
		return err_set(e, ERR_STATE, EEXIST, "endpoint with name %s already exists in network %s", x->c.name, p->network.name);
	EndpointRequest *items = arena_array(x->a, x->c.networks.n + 1, sizeof *items), *own = arena_alloc(x->a, sizeof *own);
	if (!items || !own) return err_sys(e, ENOMEM, "connect a container");
	*own = *p->request;
	own->network = p->network.name;
	p->request = own;
	if (x->c.networks.n) memcpy(items, x->c.networks.items, x->c.networks.n * sizeof *items);
	items[x->c.networks.n] = *own;
	x->c.networks = (EndpointRequestList){ items, x->c.networks.n + 1 };
	if (x->running && (r = attachment_reserve(&x->all, x->c.id, p, e)) < 0) return r;
	if ((r = record_set_networks(x->g, x->c.id, &x->c.networks, e)) < 0) return r;
	return db_commit(&tx, e);
}

/* Its monitor takes it out of its bridge at the end. */
static int tell_device(const Change *x, int index, Err *e)
{
	AUTO_FD int sock = monitor_connect(x->g, x->c.id);
	return sock < 0 ? err_sys(e, -sock, "reach the monitor of container %s", x->c.name)
			: monitor_ask(sock, WIRE_DEVICE, index, 0, NULL, e);
}

/* What the kernel and the container's files get. */
static int plug_in(Change *x, Attachment *p, Err *e)
{
	AUTO_FD int sock = -1;
	AttachmentList after = { .items = arena_array(x->a, x->before.n + 1, sizeof *after.items) };
	if (!after.items) return err_sys(e, ENOMEM, "connect a container");
	memcpy(after.items, x->before.items, x->before.n * sizeof *after.items);
	after.n = x->before.n;
	after.items[after.n++] = *p;
	attachments_route(&after);
	Attachment *own = &after.items[after.n - 1], quiet = *own;
	quiet.is_default[0] = quiet.is_default[1] = false;
	int index, r = rtnl_open(&sock, e);
	if (r >= 0) r = networking_join(sock, x->netns, &quiet, x->a, &index, e);
	if (r >= 0) r = tell_device(x, index, e);
	for (size_t i = 0; r >= 0 && i < FAMILIES; i++)
		r = change_route(x, attachments_way(&x->before, i), attachments_way(&after, i), i, e);
	if (r >= 0) r = network_rules_add(x->g, &(AttachmentList){ own, 1 }, NULL, 0, x->a, e);
	for (size_t i = 0; r >= 0 && i < FAMILIES; i++)
		r = lead_ports(x, attachments_way(&x->before, i), &after, i, e);
	return r < 0 ? r : edit_hosts(x, NULL, own, e);
}

static int undo(Change *x, const Attachment *p)
{
	Err ignored = ERR_INIT;
	int index = index_of(x, p, &ignored);
	if (index > 0) (void)!remove_device(x, index, &ignored);
	x->c.networks.n--;
	(void)!record_set_networks(x->g, x->c.id, &x->c.networks, &ignored);
	return ipam_leave(&x->all, p->network.id, x->c.id, &ignored);
}

/* A container that had no names to ask for gets the sockets that are asked, and its monitor has them; its resolv.conf names the resolver then. */
static int give_names(Change *x, Err *e)
{
	Machine machine;
	AUTO_FD int udp = -1, tcp = -1;
	int r = redirect_names(x->netns, &udp, &tcp, e);
	if (r < 0) return r;
	AUTO_FD int sock = monitor_connect(x->g, x->c.id);
	if (sock < 0) return err_sys(e, -sock, "reach the monitor of container %s", x->c.name);
	if ((r = wire_send(sock, WIRE_NAMES, 0, 0, NULL, 0, (const int[]){ udp, tcp }, 2)) < 0)
		return err_sys(e, -r, "ask the container's monitor");
	if ((r = monitor_await(sock, e)) < 0) return r;
	machine_init(&machine, x->a);
	const EtcFiles f = {
		.host = &x->c.host, .hostname = x->c.config.hostname, .ipv6 = etc_ipv6(&x->c.host, &machine), .resolver = REDIRECT_ADDRESS
	};
	return etc_resolv_rewrite(x->dir, &f, e);
}

static int answer_names(Change *x, Err *e)
{
	int r = networking_has_names(&x->before) ? 0 : give_names(x, e);
	return r < 0 ? r : attendance_changed(x->g->run_root, x->c.id, ATTENDANT_MS, e);
}

int networking_connect(Engine *g, const Record *c, const EndpointRequest *q, Arena *a, Err *e)
{
	AUTO(change_done) Change x = { .dir = -1, .lock = -1, .netns = -1, .inside = -1 };
	Attachment p;
	int r = check_mode(c, e);
	if (r < 0 || (r = check_target(q->network, e)) < 0 || (r = endpoint_check(q, e)) < 0 || (r = open_change(&x, g, c, a, e)) < 0)
		return r;
	if ((r = name_device(&x, q, &p, e)) < 0 || (r = reserve(&x, &p, e)) < 0) return r;
	if (x.running && (r = plug_in(&x, &p, e)) < 0) {
		(void)!undo(&x, &p);
		return err_wrap(e, "connect container %s to network %s", c->name, p.network.name);
	}
	network_event(g, &p.network, "connect", c->id);
	return x.running && network_is_user(&p.network) ? answer_names(&x, e) : 0;
}

/* ---- disconnect ---- */

static int not_connected(const Record *c, const char *network, Err *e)
{
	return err_set(e, ERR_STATE, EINVAL, "container %s is not connected to network %s", c->id, network);
}

static int forget(Change *x, const Network *n, const char *given, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	int r = db_begin(x->all.db, DB_WRITE, &tx, e);
	if (r < 0 || (r = record_find(x->g, x->c.id, x->a, &x->c, e)) < 0) return r;
	EndpointRequestList *l = &x->c.networks;
	const size_t at = place_of(l, n->name, given);
	if (at == l->n) return not_connected(&x->c, n->name, e);
	EndpointRequest *items = arena_array(x->a, l->n, sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "disconnect a container");
	memcpy(items, l->items, at * sizeof *items);
	memcpy(items + at, l->items + at + 1, (l->n - at - 1) * sizeof *items);
	*l = (EndpointRequestList){ items, l->n - 1 };
	if (n->id && (r = ipam_leave(&x->all, n->id, x->c.id, e)) < 0) return r;
	if ((r = record_set_networks(x->g, x->c.id, l, e)) < 0) return r;
	return db_commit(&tx, e);
}

static int plug_out(Change *x, const char *network, Err *e)
{
	AttachmentList after = { .items = arena_array(x->a, x->before.n + 1, sizeof *after.items) };
	const Attachment *gone = NULL;
	int index, r = 0;
	if (!after.items) return err_sys(e, ENOMEM, "disconnect a container");
	for (size_t i = 0; i < x->before.n; i++)
		if (streq(x->before.items[i].network.name, network))
			gone = &x->before.items[i];
		else
			after.items[after.n++] = x->before.items[i];
	if (!gone) return 0;
	attachments_route(&after);
	if ((index = index_of(x, gone, e)) < 0) return index;
	if (index > 0) r = remove_device(x, index, e);
	for (size_t i = 0; r >= 0 && i < FAMILIES; i++) {
		r = change_route(x, gone->is_default[i] ? gone : attachments_way(&after, i), attachments_way(&after, i), i, e);
		if (r >= 0 && gone->is_default[i]) r = lead_ports(x, gone, &after, i, e);
	}
	if (r < 0) return r;
	Err unread = ERR_INIT; /* of what the container has made of its file */
	(void)!edit_hosts(x, gone, NULL, &unread);
	return 0;
}

int networking_disconnect(Engine *g, const Record *c, const char *network, bool force, Arena *a, Err *e)
{
	AUTO(change_done) Change x = { .dir = -1, .lock = -1, .netns = -1, .inside = -1 };
	Network n = { 0 };
	Err gone = ERR_INIT;
	int r = open_change(&x, g, c, a, e);
	if (r < 0) return r;
	r = network_find(&x.all, network, a, &n, &gone);
	if (r == -ENOENT && force && place_of(&c->networks, network, network) < c->networks.n) {
		n = (Network){ .name = network };
	} else if (r < 0) {
		*e = gone;
		return r;
	}
	if (place_of(&c->networks, n.name, network) == c->networks.n) return not_connected(c, n.name, e);
	if (streq(n.name, "host"))
		return err_set(e, ERR_STATE, EINVAL, "container cannot be disconnected from host network or connected to host network");
	/* the device first: who gets the address next must be alone with it. Who was killed in between does it again */
	if ((r = load(&x, e)) < 0) return r;
	if (x.running && (r = plug_out(&x, n.name, e)) < 0) return err_wrap(e, "disconnect container %s from network %s", c->name, n.name);
	if ((r = forget(&x, &n, network, e)) < 0) return r;
	if (n.id) network_event(g, &n, "disconnect", c->id);
	return x.running ? attendance_changed(g->run_root, c->id, ATTENDANT_MS, e) : 0;
}
