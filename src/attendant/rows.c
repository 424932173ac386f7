/* rows.c: see rows.h. Which names there are: moby, daemon/container_operations.go (buildEndpointDNSNames). */
#include "attendant/rows.h"

#include <arpa/inet.h>
#include <net/if.h>

#include "engine/attachment.h"
#include "engine/etc_files.h"
#include "engine/networking.h"
#include "link/redirect.h"

enum { NAMES_PORT = 53 };

typedef struct Rows {
	Engine *g;
	RowsRuns *runs;
	const void *arg;
	Networks all;
	Arena *a;
	Record c;
	NamesNetwork *networks;
	size_t networks_n;
	NamesLink *links;
	size_t links_n;
	bool has_links; /* also to those that have no address now */
} Rows;

/* ---- addresses ---- */

static NamesAddress names_address(const Attachment *p)
{
	const IpPrefix *v4 = &p->addresses[0], *v6 = &p->addresses[1];
	NamesAddress n = { .has_v4 = v4->address.family, .has_v6 = v6->address.family };
	if (n.has_v4) memcpy(n.v4, v4->address.bytes, sizeof n.v4);
	if (n.has_v6) memcpy(n.v6, v6->address.bytes, sizeof n.v6);
	n.v4_bits = n.has_v4 ? v4->length : 0;
	n.v6_bits = n.has_v6 ? v6->length : 0;
	return n;
}

/* ---- names ---- */

static void add_name(const char **names, size_t *n, const char *name)
{
	if (!name || !names_name_ok(name)) return;
	for (size_t i = 0; i < *n; i++)
		if (streq(names[i], name)) return;
	names[(*n)++] = name;
}

static int add_network(Rows *w, const Attachment *p, Err *e)
{
	const EndpointRequest *q = p->request;
	const char **names = arena_array(w->a, q->aliases.n + 3, sizeof *names), *id = arena_str(w->a, (Str){ w->c.id, RECORD_SHORT_ID });
	size_t n = 0;
	if (!names || !id) return err_sys(e, ENOMEM, "names of a container");
	add_name(names, &n, w->c.name);
	for (size_t i = 0; i < q->aliases.n; i++)
		add_name(names, &n, q->aliases.items[i]);
	add_name(names, &n, id);
	add_name(names, &n, w->c.config.hostname);
	w->networks[w->networks_n++] = (NamesNetwork){ .id = p->network.id,
						       .name = names_name_ok(p->network.name) ? p->network.name : p->network.id,
						       .address = names_address(p),
						       .names = names,
						       .names_n = n };
	return 0;
}

/* "container[:alias]" */
static int add_link(Rows *w, const Attachment *p, const char *link, Err *e)
{
	Str name, alias;
	Record other;
	Err gone = ERR_INIT;
	if (!str_cut(str_of(link), ':', &name, &alias)) name = alias = str_of(link);
	const char *text = arena_str(w->a, alias), *of = arena_str(w->a, name);
	if (!text || !of) return err_sys(e, ENOMEM, "names of a container");
	w->has_links = true;
	if (!names_name_ok(text) || w->links_n >= NAMES_LINKS_MAX) return 0;
	int r = record_find(w->g, of, w->a, &other, &gone);
	if (r < 0 || !w->runs(w->arg, other.id)) return 0; /* it has no address then */
	Attachment theirs = *p;
	if ((r = attachment_load(&w->all, other.id, &theirs, e)) < 0) return r;
	const NamesAddress address = names_address(&theirs);
	if (address.has_v4 || address.has_v6) w->links[w->links_n++] = (NamesLink){ text, address };
	return 0;
}

/* ---- networks ---- */

static int add_attachment(Rows *w, const EndpointRequest *q, bool *internal, Err *e)
{
	AttachmentList l;
	Err gone = ERR_INIT;
	int r = attachments_find(&w->all, &(EndpointRequestList){ (EndpointRequest *)(uintptr_t)q, 1 }, w->a, &l, &gone);
	if (r == -ENOENT || (r >= 0 && !l.n)) return 0; /* a network that was removed; one without addresses */
	if (r < 0) {
		*e = gone;
		return r;
	}
	Attachment *p = &l.items[0];
	if ((r = attachment_load(&w->all, w->c.id, p, e)) < 0) return r;
	if (!p->addresses[0].address.family && !p->addresses[1].address.family) return 0;
	*internal &= p->network.internal;
	if (!network_is_user(&p->network)) return 0;
	r = add_network(w, p, e);
	for (size_t i = 0; r >= 0 && i < q->links.n; i++)
		r = add_link(w, p, q->links.items[i], e);
	return r;
}

/* ---- servers ---- */

/* "fe80::1%eth0": of this host. */
static bool parse_server(const char *text, ResolverAddress *ret)
{
	Str address, zone;
	IpAddress ip;
	char name[IF_NAMESIZE] = "";
	const bool zoned = str_cut(str_of(text), '%', &address, &zone);
	if (ip_parse(zoned ? address : str_of(text), &ip) < 0) return false;
	*ret = (ResolverAddress){ 0 };
	if (ip.family == 4) {
		ret->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(NAMES_PORT) };
		memcpy(&ret->v4.sin_addr, ip.bytes, sizeof ret->v4.sin_addr);
		return true;
	}
	ret->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(NAMES_PORT) };
	memcpy(&ret->v6.sin6_addr, ip.bytes, sizeof ret->v6.sin6_addr);
	if (zoned && zone.n < sizeof name) {
		memcpy(name, zone.p, zone.n);
		ret->v6.sin6_scope_id = if_nametoindex(name);
	}
	return true;
}

/* A loopback address of --dns is the container's own, where nobody is asked from here; one of the host's file is the host's. */
static int add_servers(Rows *w, Document *ret, Err *e)
{
	const EtcFiles f = { .host = &w->c.host, .ipv6 = true, .resolver = REDIRECT_ADDRESS };
	StrList l;
	int r = etc_servers(&f, w->a, &l, &ret->ndots_set, e);
	for (size_t i = 0; r >= 0 && i < l.n && ret->servers_n < RESOLVER_SERVERS_MAX; i++) {
		IpAddress ip;
		if (w->c.host.dns.n && ip_parse(str_of(l.items[i]), &ip) >= 0 && ip_is_loopback(&ip)) continue;
		if (parse_server(l.items[i], &ret->servers[ret->servers_n])) ret->servers_n++;
	}
	return r;
}

int rows_document(Engine *g, const char *id, RowsRuns *runs, const void *arg, Arena *a, Document *ret, bool *ret_links, Err *e)
{
	Rows w = { .g = g, .runs = runs, .arg = arg, .all = networking_networks(g), .a = a };
	int r = record_find(g, id, a, &w.c, e);
	if (r < 0) return r;
	bool internal = true;
	*ret = (Document){ 0 };
	w.networks = arena_array(a, w.c.networks.n + 1, sizeof *w.networks);
	w.links = arena_array(a, NAMES_LINKS_MAX, sizeof *w.links);
	if (!w.networks || !w.links) return err_sys(e, ENOMEM, "names of a container");
	for (size_t i = 0; r >= 0 && i < w.c.networks.n; i++)
		r = add_attachment(&w, &w.c.networks.items[i], &internal, e);
	if (r < 0 || (r = add_servers(&w, ret, e)) < 0) return r;
	ret->container = (NamesContainer){ .id = w.c.id,
					   .networks = w.networks,
					   .networks_n = w.networks_n,
					   .links = w.links,
					   .links_n = w.links_n,
					   .internal = internal };
	*ret_links = w.has_links;
	return 0;
}
