/* publish.c: see publish.h. */
#include "engine/publish.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST = 32768, LAST = 60999, EPHEMERAL_TRIES = 4096, PORTS_MAX = 65536, FAMILIES = 2 };

typedef struct PublishRun {
	const Networks *all;
	const Record *c;
	bool families[FAMILIES];
	IpAddress host;
	Arena *a;
	Publishing *to;
} PublishRun;

void publishing_done(Publishing *p)
{
	for (size_t i = 0; i < p->n; i++)
		p->sockets[i] = fd_close(p->sockets[i]);
	p->n = 0;
}

/* ---- sockets ---- */

/* -EADDRINUSE. It listens: of two sockets that may share an address the kernel refuses the second only then. They may, so that connections of a server that has
 * just ended do not keep its port for a minute. */
static int bind_port(const PublishedPort *p)
{
	const int type = p->protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM, on = 1;
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at = { 0 };
	const bool six = p->host.family == 6;
	AUTO_FD int fd = socket(six ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, p->protocol);
	if (fd < 0) return -errno;
	if (six) {
		at.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(p->host_port) };
		memcpy(&at.v6.sin6_addr, p->host.bytes, 16);
		if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) return -errno;
	} else {
		at.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(p->host_port) };
		memcpy(&at.v4.sin_addr, p->host.bytes, 4);
	}
	if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) return -errno;
	if (bind(fd, &at.sa, six ? sizeof at.v6 : sizeof at.v4) < 0) return -errno;
	if (p->protocol != IPPROTO_UDP && listen(fd, 0) < 0) return -errno;
	return take_fd(fd);
}

static int cannot_bind(const PublishedPort *p, int r, Err *e)
{
	char host[IP_TEXT_MAX];
	const bool six = p->host.family == 6;
	const char *why = r == -EADDRINUSE ? ": a program of this machine has it" : "";
	err_sys(e, -r, "failed to bind host port %s%s%s:%u/%s%s", six ? "[" : "", ip_format(&p->host, host), six ? "]" : "", p->host_port,
		port_protocol(p->protocol), why);
	return r;
}

static int add(PublishRun *x, const PublishedPort *p, int socket)
{
	x->to->ports[x->to->n] = *p;
	x->to->sockets[x->to->n++] = socket;
	return 0;
}

/* ---- one port ---- */

static int publish_exact(PublishRun *x, const PublishedPort *p, Err *e)
{
	int r = port_reserve(x->all, p, x->c->id, e);
	if (r < 0) return r;
	int fd = bind_port(p);
	return fd < 0 ? cannot_bind(p, fd, e) : add(x, p, fd);
}

/* Any of a range that neither a container has nor another program: the first of them. */
static int publish_any(PublishRun *x, PublishedPort *p, uint16_t first, uint16_t last, Err *e)
{
	int fd = -EADDRINUSE;
	for (int i = 0; i < EPHEMERAL_TRIES; i++) {
		int r = port_free(x->all, p, first, last, e);
		if (r < 0) return r;
		fd = bind_port(p);
		if (fd != -EADDRINUSE || p->host_port == last) break;
		first = (uint16_t)(p->host_port + 1);
	}
	if (fd < 0) return cannot_bind(p, fd, e);
	int r = port_reserve(x->all, p, x->c->id, e);
	if (r < 0) {
		fd_close(fd);
		return r;
	}
	return add(x, p, fd);
}

static int parse_range(const char *text, uint16_t *first, uint16_t *last)
{
	Str a, b;
	uint32_t x, y;
	bool range = str_cut(str_of(text), '-', &a, &b);
	if (str_to_u32(a, &x) < 0 || (range && str_to_u32(b, &y) < 0)) return -EINVAL;
	if (!range) y = x;
	if (x > UINT16_MAX || y > UINT16_MAX || y < x) return -EINVAL;
	*first = (uint16_t)x;
	*last = (uint16_t)y;
	return 0;
}

static int publish_one(PublishRun *x, PublishedPort p, const char *host_port, Err *e)
{
	uint16_t first = FIRST, last = LAST;
	if (*host_port && parse_range(host_port, &first, &last) < 0)
		return err_set(e, ERR_CONFIG, EINVAL, "invalid host port: %.64s", host_port);
	if (*host_port && !first) first = FIRST, last = LAST; /* 0: any */
	if (first != last) return publish_any(x, &p, first, last, e);
	p.host_port = first;
	return publish_exact(x, &p, e);
}

/* Without an address on all of the host's: of each family that the container has. Both get one number. */
static int publish_binding(PublishRun *x, uint16_t port, uint8_t protocol, const char *ip, const char *host_port, Err *e)
{
	char number[8];
	PublishedPort p = { .port = port, .protocol = protocol };
	if (*ip) {
		if (ip_parse(str_of(ip), &p.host) < 0) return err_set(e, ERR_CONFIG, EINVAL, "invalid host address: %.64s", ip);
		if (!x->families[p.host.family == 6])
			return err_set(e, ERR_CONFIG, EINVAL, "cannot publish on %.64s: the container's network has no IPv%d", ip,
				       p.host.family);
		return publish_one(x, p, host_port, e);
	}
	for (size_t i = 0; i < FAMILIES; i++) {
		if (!x->families[i]) continue;
		p.host = x->host.family == (i ? 6 : 4) ? x->host : (IpAddress){ .family = i ? 6 : 4 };
		int r = publish_one(x, p, host_port, e);
		if (r < 0) return r;
		snprintf(number, sizeof number, "%u", x->to->ports[x->to->n - 1].host_port);
		host_port = number;
	}
	return 0;
}

/* ---- all ---- */

static int parse_port(const char *text, uint16_t *port, uint8_t *protocol)
{
	Str number, name;
	uint32_t n;
	bool named = str_cut(str_of(text), '/', &number, &name);
	if (str_to_u32(number, &n) < 0 || !n || n > UINT16_MAX) return -EINVAL;
	*port = (uint16_t)n;
	*protocol = named && str_eq(name, "udp") ? IPPROTO_UDP : named && str_eq(name, "sctp") ? IPPROTO_SCTP : IPPROTO_TCP;
	return 0;
}

static const char *text_in(const JsonValue *binding, const char *key)
{
	const JsonValue *v = json_get(binding, key);
	return v && v->type == JSON_STRING ? v->s : "";
}

static int publish_bindings(PublishRun *x, Err *e)
{
	const JsonValue *all = x->c->host.port_bindings;
	for (size_t i = 0; all && all->type == JSON_OBJECT && i < all->n; i++) {
		const JsonValue *list = &all->members[i].value;
		uint16_t port;
		uint8_t protocol;
		if (parse_port(all->members[i].key, &port, &protocol) < 0)
			return err_set(e, ERR_CONFIG, EINVAL, "invalid port: %.64s", all->members[i].key);
		for (size_t k = 0; list->type == JSON_ARRAY && k < list->n; k++) {
			const JsonValue *binding = &list->items[k];
			int r = publish_binding(x, port, protocol, text_in(binding, "HostIp"), text_in(binding, "HostPort"), e);
			if (r < 0) return r;
		}
	}
	return 0;
}

static bool is_bound(const Record *c, const char *port)
{
	return c->host.port_bindings && json_get(c->host.port_bindings, port);
}

/* -P: the exposed ones that nothing else was said of. */
static int publish_exposed(PublishRun *x, Err *e)
{
	const StrList *l = &x->c->config.exposed_ports;
	int r = 0;
	for (size_t i = 0; r >= 0 && x->c->host.publish_all_ports && i < l->n; i++) {
		uint16_t port;
		uint8_t protocol;
		if (is_bound(x->c, l->items[i]) || parse_port(l->items[i], &port, &protocol) < 0) continue;
		r = publish_binding(x, port, protocol, "", "", e);
	}
	return r;
}

static size_t count(const Record *c)
{
	const JsonValue *all = c->host.port_bindings;
	size_t n = c->host.publish_all_ports ? c->config.exposed_ports.n : 0;
	for (size_t i = 0; all && all->type == JSON_OBJECT && i < all->n; i++)
		n += all->members[i].value.type == JSON_ARRAY ? all->members[i].value.n : 0;
	return n * FAMILIES;
}

int publish_reserve(const Networks *all, const Record *c, const PublishWay *way, Arena *a, Publishing *ret, Err *e)
{
	PublishRun x = { .all = all, .c = c, .families = { way->ipv4, way->ipv6 }, .host = way->host, .a = a, .to = ret };
	size_t n = count(c);
	*ret = (Publishing){ 0 };
	if (!n || (!way->ipv4 && !way->ipv6)) return 0; /* as with docker, where nothing leads to the container */
	if (n > PORTS_MAX) return err_set(e, ERR_CONFIG, E2BIG, "more than %d published ports", PORTS_MAX);
	ret->ports = arena_array(a, n, sizeof *ret->ports);
	ret->sockets = arena_array(a, n, sizeof *ret->sockets);
	if (!ret->ports || !ret->sockets) return err_sys(e, ENOMEM, "publish ports");
	int r = publish_bindings(&x, e);
	return r < 0 ? r : publish_exposed(&x, e);
}
