/* ports_text.c: see ports_text.h. Which ports make a range is docker's (cli, command/formatter/container.go: DisplayablePorts). */
#include "cli/skep/ports_text.h"

#include <netinet/in.h>
#include <stdlib.h>

enum { TEXT_MAX = 4 << 20 };

typedef struct Shown {
	const PublishedPort *published; /* NULL: exposed alone */
	uint32_t port;
	uint8_t protocol;
} Shown;

typedef struct Group {
	const Shown *of; /* protocol and address */
	uint32_t first, last;
} Group;

const char *port_address_text(const PublishedPort *p, char text[static PORT_ADDRESS_MAX])
{
	char host[IP_TEXT_MAX];
	snprintf(text, PORT_ADDRESS_MAX, p->host.family == 6 ? "[%s]:%u" : "%s:%u", ip_format(&p->host, host), p->host_port);
	return text;
}

static int parse_exposed(const char *text, uint32_t *port, uint8_t *protocol)
{
	Str number, name;
	bool named = str_cut(str_of(text), '/', &number, &name);
	*protocol = named && str_eq(name, "udp") ? IPPROTO_UDP : named && str_eq(name, "sctp") ? IPPROTO_SCTP : IPPROTO_TCP;
	return str_to_u32(number, port);
}

/* ---- one container's ---- */

static int order(const void *x, const void *y)
{
	const Shown *a = x, *b = y;
	if (a->port != b->port) return a->port < b->port ? -1 : 1;
	if (!a->published != !b->published) return a->published ? 1 : -1;
	if (a->published) {
		if (a->published->host.family != b->published->host.family)
			return a->published->host.family < b->published->host.family ? -1 : 1;
		int r = ip_compare(&a->published->host, &b->published->host);
		if (r) return r;
		if (a->published->host_port != b->published->host_port) return a->published->host_port < b->published->host_port ? -1 : 1;
	}
	return (a->protocol > b->protocol) - (a->protocol < b->protocol);
}

static int collect(const Record *c, const OwnedPortList *all, Arena *a, Shown **ret, size_t *ret_n)
{
	size_t n = 0;
	Shown *l = arena_array(a, all->n + c->config.exposed_ports.n + 1, sizeof *l);
	if (!l) return -ENOMEM;
	for (size_t i = 0; i < all->n; i++)
		if (streq(all->items[i].container, c->id))
			l[n++] = (Shown){ &all->items[i].port, all->items[i].port.port, all->items[i].port.protocol };
	for (size_t i = 0; i < c->config.exposed_ports.n; i++) {
		Shown s = { 0 };
		bool known = false;
		if (parse_exposed(c->config.exposed_ports.items[i], &s.port, &s.protocol) < 0) continue;
		for (size_t k = 0; k < n; k++)
			known |= l[k].port == s.port && l[k].protocol == s.protocol;
		if (!known) l[n++] = s;
	}
	if (n) qsort(l, n, sizeof *l, order);
	*ret = l;
	*ret_n = n;
	return 0;
}

/* ---- in words ---- */

static bool same_key(const Shown *a, const Shown *b)
{
	if (a->protocol != b->protocol || !a->published != !b->published) return false;
	return !a->published || ip_equal(&a->published->host, &b->published->host);
}

static void put_group(Buf *b, const Group *g)
{
	char range[24], host[IP_TEXT_MAX];
	snprintf(range, sizeof range, g->first == g->last ? "%u" : "%u-%u", g->first, g->last);
	if (b->n) buf_puts(b, ", ");
	if (g->of->published) {
		const IpAddress *at = &g->of->published->host;
		buf_printf(b, at->family == 6 ? "[%s]:%s->" : "%s:%s->", ip_format(at, host), range);
	}
	buf_printf(b, "%s/%s", range, port_protocol(g->of->protocol));
}

static void put_mapping(Buf *b, const Shown *s)
{
	char text[PORT_ADDRESS_MAX];
	if (b->n) buf_puts(b, ", ");
	buf_printf(b, "%s->%u/%s", port_address_text(s->published, text), s->port, port_protocol(s->protocol));
}

static Group *group_of(Group *groups, size_t n, const Shown *s)
{
	for (size_t i = 0; i < n; i++)
		if (same_key(groups[i].of, s)) return &groups[i];
	return NULL;
}

const char *ports_text(const Record *c, const OwnedPortList *all, Arena *a)
{
	AUTO_BUF b = BUF_INIT(TEXT_MAX);
	Shown *l;
	size_t n, n_groups = 0;
	if (collect(c, all, a, &l, &n) < 0) return NULL;
	if (!n) return "";
	Group *groups = arena_array(a, n, sizeof *groups);
	if (!groups) return NULL;
	for (size_t i = 0; i < n; i++) {
		if (l[i].published && l[i].published->host_port != l[i].port) continue;
		Group *g = group_of(groups, n_groups, &l[i]);
		if (g && g->last + 1 == l[i].port) {
			g->last++;
			continue;
		}
		if (g)
			put_group(&b, g);
		else
			g = &groups[n_groups++];
		*g = (Group){ &l[i], l[i].port, l[i].port };
	}
	for (size_t i = 0; i < n_groups; i++)
		put_group(&b, &groups[i]);
	for (size_t i = 0; i < n; i++)
		if (l[i].published && l[i].published->host_port != l[i].port) put_mapping(&b, &l[i]);
	return buf_failed(&b) ? NULL : arena_strdup(a, buf_str(&b));
}

/* ---- filters ---- */

int port_matches(const Record *c, const OwnedPortList *all, bool published, Str value, Err *e)
{
	Str range, name, low, high;
	uint32_t first, last;
	bool named = str_cut(value, '/', &range, &name), is_range = str_cut(range, '-', &low, &high);
	const char *wanted = !named ? "tcp" : str_eq(name, "udp") ? "udp" : str_eq(name, "sctp") ? "sctp" : "tcp";
	if (str_to_u32(low, &first) < 0 || (is_range && str_to_u32(high, &last) < 0))
		return err_set(
			e, ERR_USAGE, EINVAL,
			"invalid filter '%s=%.*s': a port, a range of ports, or these with a protocol are wanted (80, 80-90, 80/udp)",
			published ? "publish" : "expose", (int)value.n, value.p);
	if (!is_range) last = first;
	for (size_t i = 0; i < all->n; i++) {
		const PublishedPort *p = &all->items[i].port;
		const uint32_t port = published ? p->host_port : p->port;
		if (streq(all->items[i].container, c->id) && port >= first && port <= last && streq(port_protocol(p->protocol), wanted))
			return 1;
	}
	for (size_t i = 0; !published && i < c->config.exposed_ports.n; i++) {
		uint32_t port;
		uint8_t protocol;
		if (parse_exposed(c->config.exposed_ports.items[i], &port, &protocol) >= 0 && port >= first && port <= last &&
		    streq(port_protocol(protocol), wanted))
			return 1;
	}
	return 0;
}
