/* network_rules.c: see network_rules.h. */
#include "engine/network_rules.h"

#include <stdio.h>
#include <unistd.h>

#include "engine/networking.h"
#include "link/host_firewall.h"

enum { BATCH_MAX = 16 << 20, SMALL_BATCH = 1 << 16, TRIES = 16, DEVICE_ROOM = NETWORK_DEVICE_MAX };

/* ---- add ---- */

static void put_networks(NftBatch *b, const AttachmentList *l)
{
	for (size_t i = 0; i < l->n; i++) {
		char device[DEVICE_ROOM];
		RulesNetwork n;
		attachment_rules(&l->items[i], network_device(&l->items[i].network, device), &n);
		rules_network(b, NFT_ADD, &n);
	}
}

/* ---- what the host passes on for containers alone ---- */

/* Where others have forward rules, these say what else is passed on. */
static int put_closed(NftBatch *b, const Engine *g, int sock, Arena *a, Err *e)
{
	const bool noted[] = { networking_forwards_for_containers(g, 4), networking_forwards_for_containers(g, 6) };
	int r = noted[0] || noted[1] ? host_firewall_is_there(sock, a, e) : 1;
	for (int i = 0; r == 0 && i < 2; i++)
		if (noted[i]) rules_close(b, NFT_ADD, i ? 6 : 4);
	return r < 0 ? r : 0;
}

int networking_close(const Engine *g, int sock, Arena *a, Err *e)
{
	int r = host_firewall_is_there(sock, a, e);
	for (int family = 4; r >= 0 && family <= 6; family += 2) {
		AUTO_NFT_BATCH b = NFT_BATCH_INIT(SMALL_BATCH);
		Err ignored = ERR_INIT;
		if (!networking_forwards_for_containers(g, family)) continue;
		rules_close(&b, r ? NFT_DELETE : NFT_ADD, family);
		(void)!nft_commit(&b, sock, &ignored); /* it may be gone, and so may be the table */
	}
	return r < 0 ? r : 0;
}

/* ---- add, all of it ---- */

/* Somebody else's table may be closed to others (an owner of its own): what he drops he drops then, which is no reason not to start. */
static void open_hosts(int sock, Arena *a)
{
	Err ignored = ERR_INIT;
	(void)!host_firewall_open(sock, a, &ignored);
}

/* The table is made with the first network after a boot, or after somebody has taken it away: nobody else does the same at that moment. */
static int add_all(const Engine *g, int sock, const AttachmentList *l, const RulesPort *ports, size_t n_ports, Arena *a, Err *e)
{
	int r = -ERESTART;
	for (int i = 0; r == -ERESTART && i < TRIES; i++) {
		AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
		uint32_t generation;
		*e = (Err)ERR_INIT;
		if ((r = nft_generation(sock, &generation, e)) < 0 || (r = rules_stand(sock, a, e)) < 0) return r;
		const bool stood = r;
		if (!stood) nft_expect(&b, generation);
		if (!stood) rules_make(&b);
		if ((r = put_closed(&b, g, sock, a, e)) < 0) return r;
		put_networks(&b, l);
		if (n_ports) rules_ports(&b, NFT_ADD, ports, n_ports);
		r = nft_commit(&b, sock, e);
		if (r >= 0) open_hosts(sock, a);
	}
	return r < 0 ? r : 0;
}

int network_rules_add(Engine *g, const AttachmentList *l, const RulesPort *ports, size_t n_ports, Arena *a, Err *e)
{
	AUTO_FD int sock = nft_open(e);
	if (sock < 0) return sock;
	int r = networking_note_forwards(g, l, e);
	if (r >= 0) r = add_all(g, sock, l, ports, n_ports, a, e);
	if (r == -EEXIST) { /* of a container whose monitor was killed: its port is this one's now */
		*e = (Err)ERR_INIT;
		for (size_t i = 0; i < n_ports; i++)
			rules_forget(sock, &ports[i]);
		r = add_all(g, sock, l, ports, n_ports, a, e);
	}
	if (r == -EEXIST) { /* of a network that was removed by somebody who was killed */
		*e = (Err)ERR_INIT;
		r = networking_heal(g, true, a, NULL, e);
		if (r >= 0) r = add_all(g, sock, l, ports, n_ports, a, e);
	}
	if (r >= 0) r = networking_forward(l, e);
	return r < 0 ? err_wrap(e, "network rules") : 0;
}

/* ---- ports ---- */

int network_rules_ports(const AttachmentList *l, const Publishing *ports, Arena *a, RulesPort **ret, Err *e)
{
	*ret = arena_array(a, ports->n + 1, sizeof **ret);
	if (!*ret) return err_sys(e, ENOMEM, "publish ports");
	for (size_t i = 0; i < ports->n; i++) {
		const PublishedPort *p = &ports->ports[i];
		const size_t family = p->host.family == 6;
		const Attachment *way = attachments_way(l, family);
		if (!way) return err_set(e, ERR_INTERNAL, ENOENT, "publish ports: the container has no way out");
		(*ret)[i] = (RulesPort){ .direct = attachment_reach(way, family) == RULES_PORTS,
					 .host = p->host,
					 .to = way->addresses[family].address,
					 .host_port = p->host_port,
					 .port = p->port,
					 .protocol = p->protocol };
	}
	return 0;
}

/* ---- the host's firewall ---- */

int networking_firewall(Engine *g, const Record *c, char name[static HOST_FIREWALL_NAME_MAX], Err *e)
{
	const Networks all = networking_networks(g);
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	AttachmentList l;
	bool asks = false;
	int r = attachments_find(&all, &c->networks, &a, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++) {
		RulesNetwork n;
		attachment_rules(&l.items[i], "", &n);
		asks |= !n.lenient && !n.internal;
	}
	if (r < 0 || !asks) return r;
	AUTO_FD int sock = nft_open(e);
	return sock < 0 ? sock : host_firewall_decides(sock, &a, name, e);
}

/* ---- drop ---- */

/* As if a container had the first addresses: what is said of the network does not depend on whose they are. */
static int describe(const Network *n, Arena *a, Attachment *ret, Err *e)
{
	static const EndpointRequest none;
	*ret = (Attachment){ .request = &none, .network = *n };
	int r = pools_parse(&n->pools, a, &ret->pools, e);
	for (size_t i = 0; r >= 0 && i < ret->pools.n; i++) {
		const Pool *p = &ret->pools.items[i];
		const size_t family = p->subnet.address.family == 6;
		if (ret->addresses[family].address.family) continue;
		ret->addresses[family] = p->subnet;
		ret->gateways[family] = pool_gateway(p);
	}
	return r;
}

int networking_drop(const Network *n, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	AUTO_FD int sock = -1, nft = -1;
	Attachment p;
	RulesNetwork rules;
	char device[DEVICE_ROOM];
	if (!streq(n->driver, "bridge") || n->config_only) return 0;
	Err why = ERR_INIT;
	int r = describe(n, &a, &p, e);
	if (r < 0 || (r = rtnl_open(&sock, e)) < 0) return r;
	r = bridge_remove(sock, network_device(n, device), n->id, &why);
	if (r < 0 && r != -EEXIST) { /* another's device of that name stays */
		*e = why;
		return r;
	}
	if ((nft = nft_open(e)) < 0) return nft;
	attachment_rules(&p, device, &rules);
	rules_forget_network(nft, &rules);
	return 0;
}

/* ---- heal ---- */

typedef struct Whole {
	Engine *g;
	Networks all;
	Arena *a;
	AttachmentList networks; /* of which somebody has an address */
	RulesPort *ports;
	size_t n_ports;
} Whole;

static int add_network(Whole *w, const Attachment *p)
{
	for (size_t i = 0; i < w->networks.n; i++)
		if (streq(w->networks.items[i].network.id, p->network.id)) return 0;
	w->networks.items[w->networks.n++] = *p;
	return 1;
}

static int add_container(Whole *w, const Record *c, const OwnedPortList *ports, Err *e)
{
	AttachmentList l;
	Publishing own = { 0 };
	RulesPort *rules;
	size_t n = 0;
	for (size_t i = 0; i < ports->n; i++)
		n += streq(ports->items[i].container, c->id);
	own.ports = arena_array(w->a, n + 1, sizeof *own.ports);
	if (!own.ports) return err_sys(e, ENOMEM, "network rules");
	int r = attachments_find(&w->all, &c->networks, w->a, &l, e);
	if (r == -ENOENT) return 0; /* of a network that was removed: it is about to end */
	for (size_t i = 0; r >= 0 && i < l.n; i++)
		r = attachment_load(&w->all, c->id, &l.items[i], e);
	if (r < 0) return r;
	attachments_route(&l);
	for (size_t i = 0; i < l.n; i++)
		if (l.items[i].addresses[0].address.family || l.items[i].addresses[1].address.family) add_network(w, &l.items[i]);
	for (size_t i = 0; i < ports->n; i++)
		if (streq(ports->items[i].container, c->id) && attachments_way(&l, ports->items[i].port.host.family == 6))
			own.ports[own.n++] = ports->items[i].port;
	if ((r = network_rules_ports(&l, &own, w->a, &rules, e)) < 0) return r;
	if (own.n) memcpy(w->ports + w->n_ports, rules, own.n * sizeof *rules);
	w->n_ports += own.n;
	return 0;
}

/* What the database says. It is no single look at it: whoever changes it meanwhile changes the rules after that, and so makes us begin again. */
static int collect(Whole *w, RecordList *running, Err *e)
{
	RecordList l;
	OwnedPortList ports;
	NetworkList networks;
	int r = record_list(w->g, w->a, &l, e);
	if (r < 0 || (r = ports_of(&w->all, NULL, w->a, &ports, e)) < 0 || (r = network_list(&w->all, w->a, &networks, e)) < 0) return r;
	w->ports = arena_array(w->a, ports.n + 1, sizeof *w->ports);
	w->networks.items = arena_array(w->a, networks.n + 1, sizeof *w->networks.items);
	running->items = arena_array(w->a, l.n + 1, sizeof *running->items);
	running->n = 0;
	if (!w->ports || !w->networks.items || !running->items) return err_sys(e, ENOMEM, "network rules");
	for (size_t i = 0; i < l.n; i++) {
		if ((r = w->all.runs(w->all.arg, l.items[i].id, e)) < 0) return r;
		if (!r || networking_is_going(w->g, l.items[i].id)) continue;
		if ((r = add_container(w, &l.items[i], &ports, e)) < 0) return r;
		running->items[running->n++] = l.items[i];
	}
	return 0;
}

/* The database is read behind the generation: a container whose rows are not seen adds its rules later. A table that stands is added to: engines of other state directories have theirs in it, too. */
static int make_again(Whole *w, int sock, bool anew, uint32_t *ret, RecordList *running, Err *e)
{
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	uint32_t generation;
	int r = nft_generation(sock, &generation, e);
	if (r < 0 || (r = collect(w, running, e)) < 0 || (r = anew ? 0 : rules_stand(sock, w->a, e)) < 0) return r;
	nft_expect(&b, generation);
	if (!r) rules_make(&b);
	if ((r = put_closed(&b, w->g, sock, w->a, e)) < 0) return r;
	put_networks(&b, &w->networks);
	if (w->n_ports) rules_ports(&b, NFT_ADD, w->ports, w->n_ports);
	*ret = generation + 1;
	return nft_commit(&b, sock, e);
}

/* 1: one of them has ended since it was seen. Its monitor may have found nothing to take away, as the table was not there. */
static int any_ended(const Whole *w, const RecordList *running, Err *e)
{
	for (size_t i = 0; i < running->n; i++) {
		int r = w->all.runs(w->all.arg, running->items[i].id, e);
		if (r < 0) return r;
		if (!r || networking_is_going(w->g, running->items[i].id)) return 1;
	}
	return 0;
}

int networking_heal(Engine *g, bool anew, Arena *a, uint32_t *ret_generation, Err *e)
{
	RecordList running = { 0 };
	uint32_t generation = 0;
	AUTO_FD int sock = nft_open(e);
	int r = sock < 0 ? sock : -ERESTART;
	for (int i = 0; (r == -ERESTART || r == -EEXIST) && i < TRIES; i++) {
		Whole w = { .g = g, .all = networking_networks(g), .a = a };
		anew |= r == -EEXIST; /* ports lead to somebody who has them no more */
		*e = (Err)ERR_INIT;
		r = make_again(&w, sock, anew, &generation, &running, e);
		if (r >= 0 && (r = any_ended(&w, &running, e)) > 0) r = -EEXIST;
	}
	if (r >= 0) open_hosts(sock, a);
	if (r < 0) return err_wrap(e, "network rules");
	if (ret_generation) *ret_generation = generation;
	return 0;
}
