/* options_port.c: --publish and --expose. */
#include <ctype.h>

#include "cli/skep/container/options_impl.h"

enum { PORT_MAX = UINT16_MAX };

typedef struct PortRange {
	uint32_t first, last;
} PortRange;

/* ---- one --publish ---- */

/* "80", "8000-8010". The reason, in Go's words, is in *e. */
static int parse_port(Str s, uint32_t *ret, Err *e)
{
	uint64_t n = 0;
	int r = str_to_u64(s, &n);
	if (r >= 0 && n > PORT_MAX) r = -ERANGE;
	if (r < 0)
		return err_set(e, ERR_USAGE, EINVAL, "strconv.ParseUint: parsing \"%.*s\": %s", (int)(s.n > SHOWN ? SHOWN : s.n), s.p,
			       number_error(r));
	*ret = (uint32_t)n;
	return 0;
}

static int parse_range(Str s, PortRange *ret, Err *e)
{
	Str first, last, more;
	if (!s.n) return err_set(e, ERR_USAGE, EINVAL, "Empty string specified for ports.");
	bool range = str_cut(s, '-', &first, &last);
	if (range) str_cut(last, '-', &last, &more);
	int r = parse_port(first, &ret->first, e);
	if (r >= 0 && range) r = parse_port(last, &ret->last, e);
	if (r < 0) return r;
	if (!range) ret->last = ret->first;
	if (ret->last < ret->first)
		return err_set(e, ERR_USAGE, EINVAL, "Invalid range specified for the Port: %.*s", (int)(s.n > SHOWN ? SHOWN : s.n), s.p);
	return 0;
}

static int bad(const char *what, Str s, Err *e)
{
	return err_set(e, ERR_USAGE, EINVAL, "%s: %.*s", what, (int)(s.n > SHOWN ? SHOWN : s.n), s.p);
}

/* "[ip:][host:]container": the last two colons count, what is before them is the address. */
static void split_parts(Str s, Str *ip, Str *host, Str *container)
{
	Str *to[] = { container, host };
	*ip = *host = (Str){ s.p, 0 };
	for (size_t i = 0; i < ARRAY_LEN(to); i++) {
		size_t n = s.n;
		while (n && s.p[n - 1] != ':')
			n--;
		*to[i] = (Str){ s.p + n, s.n - n };
		if (!n) return;
		s.n = n - 1;
	}
	*ip = s;
}

/* The address of this machine, without the brackets that IPv6 needs here. */
static int parse_ip(Str *ip, Err *e)
{
	int n = (int)(ip->n > SHOWN ? SHOWN : ip->n);
	const char *end = ip->n ? memchr(ip->p, ']', ip->n) : NULL, *why = NULL;
	if (ip->n && *ip->p == '[')
		why = !end ? "missing ']' in address" : end + 1 != ip->p + ip->n ? "missing port in address" : NULL;
	else if (memchr(ip->p, ':', ip->n))
		why = "too many colons in address";
	if (why) return err_set(e, ERR_USAGE, EINVAL, "Invalid ip address %.*s: address %.*s:: %s", n, ip->p, n, ip->p, why);
	if (ip->n && *ip->p == '[') *ip = (Str){ ip->p + 1, (size_t)(end - ip->p) - 1 };
	return ip->n && !ip_is_valid(*ip) ? bad("Invalid ip address", *ip, e) : 0;
}

/* The protocol behind the slash, in small letters; tcp without one. NULL: none of those there are. */
static const char *parse_protocol(Str protocol)
{
	static const char *const names[] = { "tcp", "udp", "sctp" };
	if (!protocol.n) return names[0];
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (protocol.n == strlen(names[i]) && strncasecmp(protocol.p, names[i], protocol.n) == 0) return names[i];
	return NULL;
}

static int add_mapping(PortMappings *l, const PortMapping *m, Arena *a, Err *e)
{
	if (!m->port || !m->ip || !m->host) return no_memory(e);
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 4;
		PortMapping *items = arena_array(a, room, sizeof *items);
		if (!items) return no_memory(e);
		if (l->n) memcpy(items, l->items, l->n * sizeof *items);
		l->items = items;
		l->room = room;
	}
	l->items[l->n++] = *m;
	return 0;
}

/* host.n is 0 when no port of this machine was named. One port there with a range here: any of the range. */
static int add_range(PortMappings *l, Str ip, PortRange inside, Str host, PortRange outside, const char *protocol, Arena *a, Err *e)
{
	const char *address = arena_str(a, ip);
	bool any = inside.first == inside.last && outside.first != outside.last;
	int r = 0;
	for (uint32_t i = 0; r >= 0 && i <= inside.last - inside.first; i++) {
		PortMapping m = { arena_printf(a, "%u/%s", inside.first + i, protocol), address, "" };
		if (host.n && any) m.host = arena_printf(a, "%u-%u", outside.first, outside.last);
		if (host.n && !any) m.host = arena_printf(a, "%u", outside.first + i);
		r = add_mapping(l, &m, a, e);
	}
	return r;
}

static int parse_spec(Str s, Arena *a, PortMappings *ret, Err *e)
{
	Str ip, host, container, port, name;
	PortRange inside, outside = { 0 };
	Err why = ERR_INIT;
	split_parts(s, &ip, &host, &container);
	str_cut(container, '/', &port, &name);
	int r = parse_ip(&ip, e);
	if (r < 0) return r;
	if (!port.n) return err_set(e, ERR_USAGE, EINVAL, "No port specified: %.*s<empty>", (int)(s.n > SHOWN ? SHOWN : s.n), s.p);
	if (parse_range(port, &inside, &why) < 0) return bad("Invalid containerPort", port, e);
	if (host.n && parse_range(host, &outside, &why) < 0) return bad("Invalid hostPort", host, e);
	if (host.n && inside.first != inside.last && inside.last - inside.first != outside.last - outside.first)
		return err_set(e, ERR_USAGE, EINVAL, "Invalid ranges specified for container and host Ports: %.*s and %.*s",
			       (int)(port.n > SHOWN ? SHOWN : port.n), port.p, (int)(host.n > SHOWN ? SHOWN : host.n), host.p);
	const char *protocol = parse_protocol(name);
	if (!protocol) return bad("Invalid proto", name, e);
	return add_range(ret, ip, inside, host, outside, protocol, a, e);
}

/* "published=8080,target=80,protocol=tcp" in the short form; NULL with e set. */
static const char *short_form(const char *text, Arena *a, Err *e)
{
	StrMap fields = { 0 };
	Str rest = str_of(text), field, key, value;
	while (str_next(&rest, ',', &field)) {
		if (!str_cut(field, '=', &key, &value) || !key.n) {
			err_set(e, ERR_USAGE, EINVAL, "invalid publish opts format (should be name=value but got '%.*s')",
				(int)(field.n > SHOWN ? SHOWN : field.n), field.p);
			return NULL;
		}
		if (str_map_set(&fields, arena_str(a, key), arena_str(a, value), a) < 0) {
			(void)!no_memory(e);
			return NULL;
		}
	}
	const char *published = str_map_get(&fields, "published"), *target = str_map_get(&fields, "target");
	const char *protocol = str_map_get(&fields, "protocol");
	const char *s = arena_printf(a, "%s:%s/%s", published ? published : "", target ? target : "", protocol ? protocol : "tcp");
	if (!s) (void)!no_memory(e);
	return s;
}

int port_parse(const char *text, Arena *a, PortMappings *ret, Err *e)
{
	if (strchr(text, '=')) text = short_form(text, a, e);
	return text ? parse_spec(str_of(text), a, ret, e) : -EINVAL;
}

/* ---- --expose: "80", "80-90/udp" ---- */

static int take_exposed(const OptionParse *p, const char *text, PortMappings *to)
{
	Str port, protocol;
	PortRange range = { 0 };
	int r = 0;
	Err why = ERR_INIT;
	if (strchr(text, ':')) return err_set(p->e, ERR_USAGE, EINVAL, "invalid port format for --expose: %.*s", SHOWN, text);
	str_cut(str_of(text), '/', &port, &protocol);
	if (parse_range(port, &range, &why) < 0)
		return err_set(p->e, ERR_USAGE, EINVAL, "invalid range format for --expose: %.*s, error: %s", SHOWN, text, why.msg);
	for (uint32_t i = range.first; r >= 0 && i <= range.last; i++) {
		PortMapping m = { .ip = "", .host = "" };
		m.port = protocol.n ? arena_printf(p->arena, "%u/%s", i, protocol.p) : arena_printf(p->arena, "%u/tcp", i);
		r = add_mapping(to, &m, p->arena, p->e);
	}
	return r;
}

/* ---- all of it ---- */

/* By port, as text, in which order Go writes maps. */
static int mapping_order(const void *a, const void *b)
{
	return strcmp(((const PortMapping *)a)->port, ((const PortMapping *)b)->port);
}

/* Of two with one port the first given comes first. */
static int binding_order(const void *a, const void *b)
{
	const PortMapping *const *x = a, *const *y = b;
	int r = strcmp((*x)->port, (*y)->port);
	return r ? r : (*x > *y) - (*x < *y);
}

static int list_exposed(const OptionParse *p, PortMappings *all)
{
	if (all->n) qsort(all->items, all->n, sizeof *all->items, mapping_order);
	for (size_t i = 0; i < all->n; i++) {
		if (i && streq(all->items[i].port, all->items[i - 1].port)) continue;
		if (str_list_add(&p->to->config.exposed_ports, all->items[i].port, p->arena) < 0) return no_memory(p->e);
	}
	return 0;
}

static JsonValue json_text(const char *s)
{
	return (JsonValue){ .type = JSON_STRING, .n = (uint32_t)strlen(s), .s = s };
}

/* {"HostIp": …, "HostPort": …} */
static int make_binding(const PortMapping *m, Arena *a, JsonValue *ret)
{
	JsonMember *members = arena_array(a, 2, sizeof *members);
	if (!members) return -ENOMEM;
	members[0] = (JsonMember){ .key = "HostIp", .value = json_text(m->ip) };
	members[1] = (JsonMember){ .key = "HostPort", .value = json_text(m->host) };
	*ret = (JsonValue){ .type = JSON_OBJECT, .n = 2, .members = members };
	return 0;
}

static const JsonValue *make_bindings(const PortMapping **sorted, size_t n, Arena *a)
{
	JsonValue *map = arena_alloc(a, sizeof *map), *items = arena_array(a, n + 1, sizeof *items);
	JsonMember *members = arena_array(a, n + 1, sizeof *members);
	if (!map || !items || !members) return NULL;
	*map = (JsonValue){ .type = JSON_OBJECT, .members = members };
	for (size_t i = 0; i < n; i++) {
		if (make_binding(sorted[i], a, &items[i]) < 0) return NULL;
		if (!i || !streq(sorted[i]->port, sorted[i - 1]->port))
			members[map->n++] = (JsonMember){ .key = sorted[i]->port, .value = { .type = JSON_ARRAY, .items = &items[i] } };
		members[map->n - 1].value.n++;
	}
	return map;
}

static int list_bindings(const OptionParse *p, const PortMappings *l)
{
	const PortMapping **sorted = arena_array(p->arena, l->n + 1, sizeof *sorted);
	if (!sorted) return no_memory(p->e);
	for (size_t i = 0; i < l->n; i++)
		sorted[i] = &l->items[i];
	if (l->n) qsort(sorted, l->n, sizeof *sorted, binding_order);
	p->to->host.port_bindings = make_bindings(sorted, l->n, p->arena);
	return p->to->host.port_bindings ? 0 : no_memory(p->e);
}

int options_ports(const OptionParse *p)
{
	const StrList *published = option_list(p->in, "publish"), *exposed = option_list(p->in, "expose");
	PortMappings bound = { 0 }, all = { 0 };
	int r = 0;
	for (size_t i = 0; r >= 0 && i < published->n; i++)
		r = port_parse(published->items[i], p->arena, &bound, p->e);
	for (size_t i = 0; r >= 0 && i < bound.n; i++)
		r = add_mapping(&all, &bound.items[i], p->arena, p->e);
	for (size_t i = 0; r >= 0 && i < exposed->n; i++)
		r = take_exposed(p, exposed->items[i], &all);
	if (r >= 0) r = list_exposed(p, &all);
	return r < 0 ? r : list_bindings(p, &bound);
}
