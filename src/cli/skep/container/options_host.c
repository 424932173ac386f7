/* options_host.c: addresses and names: --dns, --dns-search, --add-host, --link. */
#include <arpa/inet.h>
#include <ctype.h>

#include "cli/skep/container/options_impl.h"

enum { DOMAIN_MAX = 254 };

/* ip_parse: the address as Go writes it. -EINVAL. */
static int ip_parse(Str text, char ret[static INET6_ADDRSTRLEN])
{
	struct in_addr v4;
	struct in6_addr v6;
	char copy[INET6_ADDRSTRLEN];
	Str s = str_trim(text);
	if (!s.n || s.n >= sizeof copy) return -EINVAL;
	memcpy(copy, s.p, s.n);
	copy[s.n] = 0;
	if (inet_pton(AF_INET, copy, &v4) == 1) return inet_ntop(AF_INET, &v4, ret, INET6_ADDRSTRLEN) ? 0 : -EINVAL;
	if (inet_pton(AF_INET6, copy, &v6) != 1) return -EINVAL;
	if (IN6_IS_ADDR_V4MAPPED(&v6)) return inet_ntop(AF_INET, &v6.s6_addr[12], ret, INET6_ADDRSTRLEN) ? 0 : -EINVAL;
	return inet_ntop(AF_INET6, &v6, ret, INET6_ADDRSTRLEN) ? 0 : -EINVAL;
}

bool ip_is_valid(Str text)
{
	char ignored[INET6_ADDRSTRLEN];
	return str_trim(text).n == text.n && ip_parse(text, ignored) == 0;
}

int check_ip(const char *text, Err *e)
{
	char ignored[INET6_ADDRSTRLEN];
	if (ip_parse(str_of(text), ignored) == 0) return 0;
	return err_set(e, ERR_USAGE, EINVAL, "IP address is not correctly formatted: %.*s", SHOWN, text);
}

/* ---- search domains ---- */

static bool is_label(Str s)
{
	if (!s.n || !isalnum((unsigned char)s.p[0]) || !isalnum((unsigned char)s.p[s.n - 1])) return false;
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '-') return false;
	return true;
}

static bool has_letter(Str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (isalpha((unsigned char)s.p[i])) return true;
	return false;
}

/* The name without blanks around it and the dot at its end; "." alone stays. */
static Str domain_of(const char *text)
{
	Str s = str_of(text);
	while (s.n && *s.p == ' ')
		s = (Str){ s.p + 1, s.n - 1 };
	while (s.n && isspace((unsigned char)s.p[s.n - 1]))
		s.n--;
	if (s.n > 1 && s.p[s.n - 1] == '.') s.n--;
	return s;
}

int check_dns_search(const char *text, Err *e)
{
	Str name = domain_of(text), rest = name, label;
	bool good = has_letter(name) && name.n <= DOMAIN_MAX;
	if (str_eq(name, ".")) return 0;
	while (good && str_next(&rest, '.', &label))
		good = is_label(label);
	return good ? 0 : err_set(e, ERR_USAGE, EINVAL, "%.*s is not a valid domain", SHOWN, text);
}

/* ---- hosts ---- */

/* "name=address" or "name:address"; the address may stand in brackets. */
static int split_host(const char *text, Str *name, Str *address, Err *e)
{
	bool cut = str_cut(str_of(text), '=', name, address) || str_cut(str_of(text), ':', name, address);
	if (!cut || !name->n || memchr(name->p, ':', name->n))
		return err_set(e, ERR_USAGE, EINVAL, "bad format for add-host: \"%.*s\"", SHOWN, text);
	if (str_eq(*address, "host-gateway")) return 0;
	if (address->n > 2 && address->p[0] == '[' && address->p[address->n - 1] == ']') *address = (Str){ address->p + 1, address->n - 2 };
	char ignored[INET6_ADDRSTRLEN];
	if (ip_parse(*address, ignored) == 0) return 0;
	return err_set(e, ERR_USAGE, EINVAL, "invalid IP address in add-host: \"%.*s\"", (int)(address->n > SHOWN ? SHOWN : address->n),
		       address->p);
}

int check_extra_host(const char *text, Err *e)
{
	Str name, address;
	return split_host(text, &name, &address, e);
}

/* "container[:alias]" */
int check_link(const char *text, Err *e)
{
	const char *colon = strchr(text, ':');
	if (!*text) return err_set(e, ERR_USAGE, EINVAL, "empty string specified for links");
	if (colon && strchr(colon + 1, ':')) return err_set(e, ERR_USAGE, EINVAL, "bad format for links: %.*s", SHOWN, text);
	return 0;
}

/* ---- all of it ---- */

static int take_servers(const OptionParse *p)
{
	const StrList *given = option_list(p->in, "dns");
	for (size_t i = 0; i < given->n; i++) {
		char address[INET6_ADDRSTRLEN];
		int r = ip_parse(str_of(given->items[i]), address);
		if (r >= 0) r = str_list_add(&p->to->host.dns, arena_strdup(p->arena, address), p->arena);
		if (r >= 0 && (starts_with(address, "127.") || streq(address, "::1")))
			r = str_list_add(&p->to->warnings, arena_printf(p->arena, "Localhost DNS (%s) may fail in containers.", address),
					 p->arena);
		if (r < 0) return no_memory(p->e);
	}
	return 0;
}

static int take_hosts(const OptionParse *p)
{
	const StrList *given = option_list(p->in, "add-host");
	for (size_t i = 0; i < given->n; i++) {
		Str name, address;
		int r = split_host(given->items[i], &name, &address, p->e);
		if (r < 0) return r;
		const char *host = arena_printf(p->arena, "%.*s:%.*s", (int)name.n, name.p, (int)address.n, address.p);
		if (str_list_add(&p->to->host.extra_hosts, host, p->arena) < 0) return no_memory(p->e);
	}
	return 0;
}

int options_hosts(const OptionParse *p)
{
	HostConfig *h = &p->to->host;
	const StrList *search = option_list(p->in, "dns-search");
	int r = take_servers(p);
	for (size_t i = 0; r >= 0 && i < search->n; i++)
		if (str_list_add(&h->dns_search, arena_str(p->arena, domain_of(search->items[i])), p->arena) < 0) r = no_memory(p->e);
	h->dns_options = *option_list(p->in, "dns-option");
	h->links = *option_list(p->in, "link");
	return r < 0 ? r : take_hosts(p);
}
