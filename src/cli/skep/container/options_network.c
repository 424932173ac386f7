/* options_network.c: --network and what is asked of the networks: --ip, --ip6, --mac-address, --network-alias, --link-local-ip. */
#include <ctype.h>

#include "cli/skep/container/options_impl.h"

/* ---- hardware addresses ---- */

/* Groups of digits hexadecimal digits, separated by sep: "92:d0:c6:0a:29:33", "92d0.c60a.2933". */
static bool is_mac(Str s, char sep, size_t digits)
{
	Str rest = s, group;
	size_t bytes = 0;
	while (str_next(&rest, sep, &group)) {
		if (group.n != digits) return false;
		for (size_t i = 0; i < group.n; i++)
			if (!isxdigit((unsigned char)group.p[i])) return false;
		bytes += digits / 2;
	}
	return bytes == 6 || bytes == 8 || bytes == 20;
}

bool mac_is_valid(const char *text)
{
	Str s = str_trim(str_of(text));
	return is_mac(s, ':', 2) || is_mac(s, '-', 2) || is_mac(s, '.', 4);
}

static int bad_mac(const char *text, Err *e)
{
	return err_set(e, ERR_USAGE, EINVAL, "%.*s is not a valid mac address", SHOWN, text);
}

/* ---- one --network ---- */

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* "name=x,alias=y" is told from a name by a "=" between two words. */
static bool is_long(const char *text)
{
	for (const char *p = strchr(text, '='); p; p = strchr(p + 1, '='))
		if (p > text && is_word(p[-1]) && is_word(p[1])) return true;
	return false;
}

static char *trimmed(Arena *a, Str s)
{
	return arena_str(a, str_trim(s));
}

static int take_driver_option(const char *text, Arena *a, StrMap *to, Err *e)
{
	Str key, value;
	if (!str_cut(str_of(text), '=', &key, &value) || !key.n)
		return err_set(e, ERR_USAGE, EINVAL, "invalid key value pair format in driver options");
	return str_map_set(to, trimmed(a, key), trimmed(a, value), a) < 0 ? no_memory(e) : 0;
}

static int take_priority(const char *text, int32_t *ret, Err *e)
{
	int64_t n = 0;
	int r = number_parse(str_of(text), &n);
	if (r >= 0 && n != (int32_t)n) r = -ERANGE;
	if (r < 0) return err_set(e, ERR_USAGE, EINVAL, "invalid gw-priority (%.*s): %s", SHOWN, text, number_error(r));
	*ret = (int32_t)n;
	return 0;
}

static int take_field(const char *key, const char *value, Arena *a, EndpointRequest *to, EndpointAddresses *addresses, Err *e)
{
	if (streq(key, "driver-opt")) return take_driver_option(value, a, &to->driver_options, e);
	if (streq(key, "gw-priority")) return take_priority(value, &to->gateway_priority, e);
	if (streq(key, "alias")) return str_list_add(&to->aliases, value, a) < 0 ? no_memory(e) : 0;
	if (streq(key, "link-local-ip")) return str_list_add(&addresses->link_local, value, a) < 0 ? no_memory(e) : 0;
	if (streq(key, "name"))
		to->network = value;
	else if (streq(key, "ip"))
		addresses->ip = value;
	else if (streq(key, "ip6"))
		addresses->ip6 = value;
	else if (streq(key, "mac-address"))
		to->mac_address = value;
	else
		return err_set(e, ERR_USAGE, EINVAL, "invalid field key %.*s", SHOWN, key);
	return 0;
}

static int take_fields(const char *text, Arena *a, EndpointRequest *to, EndpointAddresses *addresses, Err *e)
{
	StrList fields;
	int r = csv_parse(text, a, &fields, e);
	for (size_t i = 0; r >= 0 && i < fields.n; i++) {
		char *field = arena_strdup(a, fields.items[i]);
		if (!field) return no_memory(e);
		for (char *c = field; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		Str key, value;
		if (!str_cut(str_of(field), '=', &key, &value) || !key.n)
			return err_set(e, ERR_USAGE, EINVAL, "invalid field %.*s", SHOWN, fields.items[i]);
		const char *name = trimmed(a, key), *trimmed_value = trimmed(a, value);
		if (!name || !trimmed_value) return no_memory(e);
		r = take_field(name, trimmed_value, a, to, addresses, e);
	}
	if (r >= 0 && !*to->network) return err_set(e, ERR_USAGE, EINVAL, "network name/id is not specified");
	return r;
}

int network_parse(const char *text, Arena *a, EndpointRequest *ret, Err *e)
{
	EndpointAddresses *addresses = arena_alloc(a, sizeof *addresses);
	*ret = (EndpointRequest){ .network = text, .addresses = addresses };
	if (!addresses) return no_memory(e);
	if (!is_long(text)) return 0;
	ret->network = "";
	return take_fields(text, a, ret, addresses, e);
}

int check_network(const char *text, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(CHECK_ARENA_MAX);
	EndpointRequest ignored;
	return network_parse(text, &a, &ignored, e);
}

/* ---- with the options for the first network ---- */

static bool is_user_defined(const char *network)
{
	static const char *const others[] = { "default", "bridge", "host", "none" };
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (streq(network, others[i])) return false;
	return !starts_with(network, "container:") && !starts_with(network, "ns:");
}

static const char *text_of(const OptionParse *p, const char *option)
{
	const char *text = option_value(p->in, option);
	return text && *text ? text : NULL;
}

static int conflict(const OptionParse *p, const char *option, const char *what)
{
	return err_set(p->e, ERR_USAGE, EINVAL, "conflicting options: cannot specify both --%s and per-network %s", option, what);
}

static int merge_list(const OptionParse *p, const char *option, const char *what, StrList *to)
{
	const StrList *given = option_list(p->in, option);
	if (given->n && to->n) return conflict(p, option, what);
	if (given->n) *to = *given;
	return 0;
}

static int merge_text(const OptionParse *p, const char *option, const char *what, const char **to)
{
	const char *given = text_of(p, option);
	if (given && *to) return conflict(p, option, what);
	if (given) *to = given;
	return 0;
}

static int merge_options(const OptionParse *p, EndpointRequest *to)
{
	EndpointAddresses *addresses = arena_alloc(p->arena, sizeof *addresses);
	if (!addresses) return no_memory(p->e);
	*addresses = *to->addresses;
	to->addresses = addresses;
	int r = merge_list(p, "network-alias", "alias", &to->aliases);
	if (r >= 0) r = merge_text(p, "ip", "IPv4 address", &addresses->ip);
	if (r >= 0) r = merge_text(p, "ip6", "IPv6 address", &addresses->ip6);
	if (r >= 0) r = merge_text(p, "mac-address", "MAC address", &to->mac_address);
	if (r >= 0) r = merge_list(p, "link-local-ip", "link-local IP addresses", &addresses->link_local);
	if (is_user_defined(to->network)) to->links = *option_list(p->in, "link");
	return r;
}

static int check_endpoint(const EndpointRequest *n, Err *e)
{
	if (!str_trim(str_of(n->network)).n) return err_set(e, ERR_USAGE, EINVAL, "no name set for network");
	if (n->aliases.n && !is_user_defined(n->network))
		return err_set(e, ERR_USAGE, EINVAL, "network-scoped aliases are only supported for user-defined networks");
	return n->mac_address && !mac_is_valid(n->mac_address) ? bad_mac(n->mac_address, e) : 0;
}

static bool has_addresses(const EndpointRequest *n)
{
	return n->addresses->ip || n->addresses->ip6 || n->addresses->link_local.n;
}

static bool asks_nothing(const EndpointRequest *n)
{
	return !has_addresses(n) && !n->links.n && !n->aliases.n && !n->mac_address && !n->driver_options.n && !n->gateway_priority;
}

/* No network twice, and no mixture of kinds. */
static int check_networks(const EndpointRequestList *l, Err *e)
{
	bool own = false, others = false;
	for (size_t i = 0; i < l->n; i++) {
		own |= is_user_defined(l->items[i].network);
		others |= !is_user_defined(l->items[i].network);
		for (size_t k = 0; k < i; k++)
			if (streq(l->items[k].network, l->items[i].network))
				return err_set(e, ERR_USAGE, EINVAL, "network \"%.*s\" is specified multiple times", SHOWN,
					       l->items[i].network);
	}
	if (own && others)
		return err_set(e, ERR_USAGE, EINVAL,
			       "conflicting options: cannot attach both user-defined and non-user-defined network-modes");
	return 0;
}

/* All that were named, or the standard one; what the options say is for the first. */
static int parse_networks(const OptionParse *p, EndpointRequestList *ret)
{
	const StrList *given = option_list(p->in, "network");
	ret->n = given->n ? given->n : 1;
	ret->items = arena_array(p->arena, ret->n, sizeof *ret->items);
	if (!ret->items) return no_memory(p->e);
	for (size_t i = 0; i < ret->n; i++) {
		int r = network_parse(given->n ? given->items[i] : "default", p->arena, &ret->items[i], p->e);
		if (r >= 0 && i == 0) r = merge_options(p, &ret->items[i]);
		if (r >= 0) r = check_endpoint(&ret->items[i], p->e);
		if (r < 0) return r;
	}
	return check_networks(ret, p->e);
}

int options_network(const OptionParse *p)
{
	EndpointRequestList l = { 0 };
	int r = parse_networks(p, &l);
	if (r < 0) return r;
	p->to->host.network_mode = l.items[0].network;
	if (l.n > 1 || !asks_nothing(&l.items[0])) p->to->endpoints = l;
	for (size_t i = 0; i < l.n; i++)
		if (!has_addresses(&l.items[i])) l.items[i].addresses = NULL;
	return 0;
}

/* As early as docker looks at it, before anything else of the command line. */
int options_mac(const OptionParse *p)
{
	const char *mac = text_of(p, "mac-address");
	return mac && !mac_is_valid(mac) ? bad_mac(mac, p->e) : 0;
}
