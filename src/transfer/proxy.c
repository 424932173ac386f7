/* proxy.c: see proxy.h. */
#include "transfer/proxy.h"

#include <arpa/inet.h>
#include <curl/curl.h>

#include "base/str.h"

/* ---- the environment ---- */

static const char *variable(const char *capitals, const char *small)
{
	const char *text = getenv(capitals);
	if (!text || !*text) text = getenv(small);
	return text && *text ? text : NULL;
}

void proxy_settings(ProxySettings *ret)
{
	*ret = (ProxySettings){ variable("HTTP_PROXY", "http_proxy"), variable("HTTPS_PROXY", "https_proxy"),
				variable("ALL_PROXY", "all_proxy"), variable("NO_PROXY", "no_proxy") };
}

/* ---- what goes without ---- */

typedef struct Address {
	int family; /* 0: it is a name */
	uint8_t bytes[16];
} Address;

static Address address_of(Str text)
{
	char s[INET6_ADDRSTRLEN];
	Address a = { 0 };
	if (text.n >= sizeof s || memchr(text.p, 0, text.n)) return a;
	memcpy(s, text.p, text.n);
	s[text.n] = 0;
	if (inet_pton(AF_INET, s, a.bytes) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, s, a.bytes) == 1)
		a.family = AF_INET6;
	return a;
}

static unsigned bits_of(const Address *a)
{
	return a->family == AF_INET ? 32 : 128;
}

static bool same_bits(const Address *a, const Address *b, unsigned n)
{
	if (a->family != b->family) return false;
	if (memcmp(a->bytes, b->bytes, n / 8) != 0) return false;
	return n % 8 == 0 || (a->bytes[n / 8] ^ b->bytes[n / 8]) >> (8 - n % 8) == 0;
}

static bool is_loopback(const char *host, const Address *a)
{
	static const Address v4 = { AF_INET, { 127 } }, v6 = { AF_INET6, { [15] = 1 } };
	return strcasecmp(host, "localhost") == 0 || same_bits(a, &v4, 8) || same_bits(a, &v6, 128);
}

/* "host:80", "[::1]:80", "[::1]" without what is not the host; false: it is for another port. */
static bool take_port(Str *entry, unsigned port)
{
	Str head, tail;
	uint32_t wanted = 0;
	if (entry->n && entry->p[0] == '[') {
		if (!str_cut((Str){ entry->p + 1, entry->n - 1 }, ']', &head, &tail)) return false;
		if (tail.n && tail.p[0] != ':') return false;
		*entry = head;
		return !tail.n || (str_to_u32((Str){ tail.p + 1, tail.n - 1 }, &wanted) == 0 && wanted == port);
	}
	if (!str_cut(*entry, ':', &head, &tail) || memchr(tail.p, ':', tail.n)) return true;
	*entry = head;
	return str_to_u32(tail, &wanted) == 0 && wanted == port;
}

static bool ends_like(Str host, Str tail)
{
	return host.n >= tail.n && strncasecmp(host.p + host.n - tail.n, tail.p, tail.n) == 0;
}

static bool is_named(Str entry, Str host)
{
	if (str_starts(entry, "*.")) entry = (Str){ entry.p + 1, entry.n - 1 };
	if (entry.n && entry.p[entry.n - 1] == '.') entry.n--;
	if (!entry.n) return false;
	if (entry.p[0] == '.') return host.n > entry.n && ends_like(host, entry);
	return ends_like(host, entry) && (host.n == entry.n || host.p[host.n - entry.n - 1] == '.');
}

static bool is_excepted(Str entry, const char *host, const Address *address, unsigned port)
{
	Str network, length;
	uint32_t bits;
	if (str_eq(entry, "*")) return true;
	if (str_cut(entry, '/', &network, &length)) {
		Address a = address_of(network);
		return a.family && str_to_u32(length, &bits) == 0 && bits <= bits_of(&a) && same_bits(&a, address, bits);
	}
	if (!take_port(&entry, port)) return false;
	Address a = address_of(entry);
	if (a.family || address->family) return same_bits(&a, address, a.family ? bits_of(&a) : 0);
	return is_named(entry, str_of(host));
}

bool proxy_is_excepted(const char *list, const char *host, unsigned port)
{
	const Address address = address_of(str_of(host));
	if (is_loopback(host, &address)) return true;
	while (list && *list) {
		size_t n = strcspn(list, ", \t\n");
		if (n && is_excepted((Str){ list, n }, host, &address, port)) return true;
		list += n + (list[n] != 0);
	}
	return false;
}

/* ---- the proxy ---- */

typedef struct ProxyKind {
	const char *scheme, *for_curl;
	unsigned port;
} ProxyKind;

static const ProxyKind kinds[] = { { "http", "http", 80 },         { "https", "https", 443 },    { "socks5", "socks5h", 1080 },
				   { "socks5h", "socks5h", 1080 }, { "socks4", "socks4", 1080 }, { "socks4a", "socks4a", 1080 } };

static const ProxyKind *kind_of(Str scheme)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strlen(kinds[i].scheme) == scheme.n && strncasecmp(kinds[i].scheme, scheme.p, scheme.n) == 0) return &kinds[i];
	return NULL;
}

/* The pieces of "[USER:PASSWORD@]HOST[:PORT][/]" with a scheme that is libcurl's. */
static const char *rebuild(const ProxyKind *kind, const char *rest, Arena *a)
{
	char *host = NULL, *port = NULL;
	const char *text = NULL;
	size_t n = strcspn(rest, "/?#"), user = n;
	while (user && rest[user - 1] != '@')
		user--;
	AUTO_FREE char *plain = NULL;
	CURLU *u = curl_url();
	/* as http: whatever the scheme, the rest looks the same */
	if (u && (!rest[n] || (rest[n] == '/' && !rest[n + 1])) && asprintf(&plain, "http://%.*s", (int)n, rest) >= 0 &&
	    curl_url_set(u, CURLUPART_URL, plain, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		if (curl_url_get(u, CURLUPART_PORT, &port, 0) == CURLUE_OK)
			text = arena_printf(a, "%s://%.*s%s:%s", kind->for_curl, (int)user, rest, host, port);
		else
			text = arena_printf(a, "%s://%.*s%s:%u", kind->for_curl, (int)user, rest, host, kind->port);
	}
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return text;
}

static int make(const char *name, const char *value, Arena *a, const char **ret, Err *e)
{
	const char *rest = strstr(value, "://");
	const ProxyKind *kind = rest ? kind_of((Str){ value, (size_t)(rest - value) }) : &kinds[0];
	rest = rest ? rest + 3 : value;
	*ret = kind ? rebuild(kind, rest, a) : NULL;
	if (*ret) return 0;
	return err_set(e, ERR_CONFIG, EINVAL,
		       "%s in the environment is no proxy: expected [http|https|socks5://][USER:PASSWORD@]HOST[:PORT]", name);
}

static bool host_and_port(const char *url, Arena *a, const char **ret_host, unsigned *ret_port)
{
	char *host = NULL, *port = NULL;
	uint32_t number = 0;
	CURLU *u = curl_url();
	*ret_host = NULL;
	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK && str_to_u32(str_of(port), &number) == 0) {
		Str bare = str_of(host);
		if (bare.n > 2 && bare.p[0] == '[') bare = (Str){ bare.p + 1, bare.n - 2 };
		if (bare.n && bare.p[bare.n - 1] == '.') bare.n--;
		*ret_host = arena_str(a, bare);
		*ret_port = number;
	}
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return *ret_host;
}

int proxy_for(const ProxySettings *s, const char *url, Arena *a, const char **ret, Err *e)
{
	bool tls = starts_with(url, "https://");
	const char *own = tls ? s->https : s->http, *host;
	unsigned port;
	*ret = NULL;
	if (!own && !s->all) return 0;
	if (!host_and_port(url, a, &host, &port)) return 0; /* libcurl will say what is wrong with it */
	if (proxy_is_excepted(s->none, host, port)) return 0;
	return make(!own ? "ALL_PROXY" : tls ? "HTTPS_PROXY" : "HTTP_PROXY", own ?: s->all, a, ret, e);
}

const char *proxy_name(const char *proxy, Arena *a)
{
	const char *rest = strstr(proxy, "://") + 3, *at = strrchr(rest, '@');
	return at ? arena_printf(a, "%.*s%s", (int)(rest - proxy), proxy, at + 1) : proxy;
}
