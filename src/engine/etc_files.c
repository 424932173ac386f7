/* etc_files.c: see etc_files.h. The formats: hosts(5), resolv.conf(5). */
#include "engine/etc_files.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/fnv.h"

enum { FILE_MAX = 1 << 20, SERVERS_MAX = 32, WORDS_MAX = 64, SUM_MAX = 16, SUM_LENGTH = 11 };

#define HOST_GATEWAY "host-gateway"

/* ---- addresses ---- */

/* AF_INET, AF_INET6, or 0 when it is no address. [brackets] may stand around IPv6, a zone behind it. */
static int family_of(Str s)
{
	char text[INET6_ADDRSTRLEN + 1];
	unsigned char bytes[16];
	Str address, zone;
	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') s = (Str){ s.p + 1, s.n - 2 };
	bool zoned = str_cut(s, '%', &address, &zone);
	if (!address.n || address.n >= sizeof text || (zoned && !zone.n)) return 0;
	memcpy(text, address.p, address.n);
	text[address.n] = 0;
	if (inet_pton(AF_INET6, text, bytes) == 1) return AF_INET6;
	return !zoned && inet_pton(AF_INET, text, bytes) == 1 ? AF_INET : 0;
}

static bool is_loopback(Str s)
{
	return str_starts(s, "127.") || str_eq(s, "::1") || str_starts(s, "::ffff:127.");
}

/* ---- --add-host ---- */

static bool split_host(const char *text, Str *name, Str *address)
{
	size_t n = strcspn(text, ":=");
	*name = (Str){ text, n };
	*address = str_trim(str_of(text[n] ? text + n + 1 : ""));
	if (address->n > 2 && address->p[0] == '[' && address->p[address->n - 1] == ']') *address = (Str){ address->p + 1, address->n - 2 };
	return n && text[n];
}

static bool is_word(Str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '#' || s.p[i] == 0x7f) return false;
	return s.n;
}

int extra_host_check(const char *text, Err *e)
{
	Str name, address;
	if (!split_host(text, &name, &address) || !is_word(name))
		return err_set(e, ERR_CONFIG, EINVAL, "bad format for add-host: \"%.200s\"", text);
	if (str_eq(address, HOST_GATEWAY) || family_of(address)) return 0;
	return err_set(e, ERR_CONFIG, EINVAL, "invalid IP address in add-host: \"%.*s\"", (int)address.n, address.p);
}

static int put_extra_host(const EtcFiles *f, const char *text, Buf *out, Err *e)
{
	Str name, address;
	int r = extra_host_check(text, e);
	if (r < 0) return r;
	split_host(text, &name, &address);
	if (!str_eq(address, HOST_GATEWAY)) {
		if (f->ipv6 || family_of(address) == AF_INET)
			buf_printf(out, "%.*s\t%.*s\n", (int)address.n, address.p, (int)name.n, name.p);
		return 0;
	}
	if (!f->gateways.n) return err_set(e, ERR_CONFIG, EINVAL, "unable to derive the IP value for " HOST_GATEWAY);
	for (size_t i = 0; i < f->gateways.n; i++)
		buf_printf(out, "%s\t%.*s\n", f->gateways.items[i], (int)name.n, name.p);
	return 0;
}

/* ---- hosts ---- */

bool etc_ipv6(const HostConfig *h, Machine *m)
{
	static const char *const switches[] = { "net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.lo.disable_ipv6",
						"net.ipv6.conf.default.disable_ipv6" };
	for (size_t i = 0; i < ARRAY_LEN(switches); i++) {
		const char *v = str_map_get(&h->sysctls, switches[i]);
		if (v && streq(v, "1")) return false;
	}
	return machine_has(m, MACHINE_IPV6);
}

static bool is_host_network(const EtcFiles *f)
{
	return f->host->network_mode && streq(f->host->network_mode, "host");
}

static int read_host_file(const EtcFiles *f, const char *name, Arena *a, const char **ret)
{
	char *text = NULL;
	size_t n = 0;
	Err e = ERR_INIT;
	const char *path = name[0] == '/' ? name : arena_printf(a, "%s/%s", f->host_etc ? f->host_etc : ETC_FILES_HOST, name);
	if (!path) return -ENOMEM;
	int r = fd_read_file(AT_FDCWD, path, FILE_MAX, a, &text, &n, &e);
	*ret = r < 0 ? "" : text; /* a host without one has no names to give */
	return 0;
}

int etc_hosts_text(const EtcFiles *f, Buf *out, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(2 * FILE_MAX);
	const char *host = "";
	if (is_host_network(f)) {
		if (read_host_file(f, "hosts", &a, &host) < 0) return err_sys(e, ENOMEM, "/etc/hosts");
		buf_puts(out, host);
		if (*host && !ends_with(host, "\n")) buf_putc(out, '\n');
	}
	if (!*host) buf_puts(out, "127.0.0.1\tlocalhost\n");
	if (!*host && f->ipv6)
		buf_puts(out, "::1\tlocalhost ip6-localhost ip6-loopback\n"
			      "fe00::\tip6-localnet\n"
			      "ff00::\tip6-mcastprefix\n"
			      "ff02::1\tip6-allnodes\n"
			      "ff02::2\tip6-allrouters\n");
	for (size_t i = 0; i < f->host->extra_hosts.n; i++) {
		int r = put_extra_host(f, f->host->extra_hosts.items[i], out, e);
		if (r < 0) return r;
	}
	for (size_t i = 0; i < f->addresses.n; i++)
		buf_printf(out, "%s\t%s\n", f->addresses.items[i].address, f->addresses.items[i].names);
	return buf_failed(out) ? err_sys(e, EFBIG, "/etc/hosts") : 0;
}

/* ---- resolv.conf ---- */

/* ResolvConf: a file taken apart; views of its text. */
typedef struct ResolvConf {
	const char *path;
	Str servers[SERVERS_MAX], search[WORDS_MAX], options[WORDS_MAX], other[WORDS_MAX];
	size_t n_servers, n_search, n_options, n_other;
	bool defaults;     /* none was left that could be used */
	const char *ndots; /* where its option ndots is from: "host", "override", "internal"; NULL: there is none */
} ResolvConf;

static bool next_word(Str *rest, Str *word)
{
	size_t at = 0;
	while (at < rest->n && (rest->p[at] == ' ' || rest->p[at] == '\t' || rest->p[at] == '\r'))
		at++;
	size_t from = at;
	while (at < rest->n && rest->p[at] != ' ' && rest->p[at] != '\t' && rest->p[at] != '\r')
		at++;
	*word = (Str){ rest->p + from, at - from };
	*rest = (Str){ rest->p + at, rest->n - at };
	return word->n;
}

static void put_words(Str rest, Str *list, size_t *n)
{
	Str word;
	while (next_word(&rest, &word))
		if (*n < WORDS_MAX) list[(*n)++] = word;
}

static void parse_line(Str line, ResolvConf *rc)
{
	Str rest = line, key, word;
	if (!next_word(&rest, &key) || key.p[0] == '#' || key.p[0] == ';') return;
	if (str_eq(key, "nameserver")) {
		if (next_word(&rest, &word) && family_of(word) && rc->n_servers < SERVERS_MAX) rc->servers[rc->n_servers++] = word;
	} else if (str_eq(key, "search") || str_eq(key, "domain")) {
		rc->n_search = 0; /* the last one counts */
		put_words(rest, rc->search, &rc->n_search);
	} else if (str_eq(key, "options")) {
		put_words(rest, rc->options, &rc->n_options);
	} else if (rc->n_other < WORDS_MAX) {
		rc->other[rc->n_other++] = str_trim(line);
	}
}

static void parse_resolv(const char *text, const char *path, ResolvConf *rc)
{
	Str rest = str_of(text), line;
	*rc = (ResolvConf){ .path = path };
	while (str_next(&rest, '\n', &line))
		parse_line(line, rc);
}

static bool is_stub(const ResolvConf *rc)
{
	return rc->n_servers == 1 && str_eq(rc->servers[0], "127.0.0.53");
}

/* The host's file; where that names a resolver that only the host can reach, the one that knows the real servers. */
static int read_resolv(const EtcFiles *f, Arena *a, ResolvConf *rc)
{
	const char *text, *resolved = f->host_resolved ? f->host_resolved : "/run/systemd/resolve/resolv.conf";
	if (read_host_file(f, "resolv.conf", a, &text) < 0) return -ENOMEM;
	parse_resolv(text, "/etc/resolv.conf", rc);
	if (is_host_network(f) || !is_stub(rc)) return 0;
	if (read_host_file(f, resolved, a, &text) < 0) return -ENOMEM;
	if (*text) parse_resolv(text, resolved, rc);
	return 0;
}

static void override(const StrList *from, Str *list, size_t *n, size_t max)
{
	if (!from->n) return;
	*n = 0;
	for (size_t i = 0; i < from->n && *n < max; i++)
		if (!streq(from->items[i], ".")) list[(*n)++] = str_of(from->items[i]); /* a search for "." is none */
}

/* The loopback of the host is not the container's, and an address of IPv6 is of use only with it. */
static void filter_servers(const EtcFiles *f, ResolvConf *rc)
{
	static const char *const defaults[] = { "8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844" };
	size_t n = 0;
	for (size_t i = 0; i < rc->n_servers; i++)
		if (!is_loopback(rc->servers[i]) && (f->ipv6 || family_of(rc->servers[i]) == AF_INET)) rc->servers[n++] = rc->servers[i];
	rc->n_servers = n;
	if (n) return;
	rc->defaults = true;
	for (size_t i = 0; i < (f->ipv6 ? 4 : 2); i++)
		rc->servers[rc->n_servers++] = str_of(defaults[i]);
}

/* That resolver knows names of one label: a client asks it first. */
static void find_ndots(const EtcFiles *f, ResolvConf *rc)
{
	for (size_t i = 0; i < rc->n_options; i++)
		if (str_starts(rc->options[i], "ndots:")) rc->ndots = f->host->dns_options.n ? "override" : "host";
	if (rc->ndots || !f->resolver || rc->n_options >= WORDS_MAX) return;
	rc->options[rc->n_options++] = STR("ndots:0");
	rc->ndots = "internal";
}

static int find_resolv(const EtcFiles *f, Arena *a, ResolvConf *rc)
{
	int r = read_resolv(f, a, rc);
	if (r < 0) return r;
	override(&f->host->dns, rc->servers, &rc->n_servers, SERVERS_MAX);
	override(&f->host->dns_search, rc->search, &rc->n_search, WORDS_MAX);
	override(&f->host->dns_options, rc->options, &rc->n_options, WORDS_MAX);
	find_ndots(f, rc);
	/* the resolver of a network asks from the host, and needs no others where that has none */
	if (!is_host_network(f) && !f->host->dns.n && !f->resolver) filter_servers(f, rc);
	return 0;
}

static void put_list(Buf *out, const char *key, const Str *list, size_t n)
{
	if (n) buf_puts(out, key);
	for (size_t i = 0; i < n; i++)
		buf_printf(out, " %.*s", (int)list[i].n, list[i].p);
	if (n) buf_putc(out, '\n');
}

static void put_origin(const EtcFiles *f, const ResolvConf *rc, Buf *out)
{
	const HostConfig *h = f->host;
	const char *network = is_host_network(f) ? "" : f->resolver ? " (internal resolver)" : " (legacy)";
	buf_printf(out, "\n# Based on host file: '%s'%s\n", rc->path, network);
	if (rc->defaults) buf_puts(out, "# Used default nameservers.\n");
	if (f->resolver && !rc->n_servers) buf_puts(out, "# NO EXTERNAL NAMESERVERS DEFINED\n");
	for (size_t i = 0; f->resolver && i < rc->n_servers; i++) /* host(…): asked from there */
		buf_printf(out, h->dns.n ? "%s%.*s%s" : "%shost(%.*s)%s", i ? " " : "# ExtServers: [", (int)rc->servers[i].n,
			   rc->servers[i].p, i + 1 < rc->n_servers ? "" : "]\n");
	buf_printf(out, "# Overrides: [%s%s%s%s%s]\n", h->dns.n ? "nameservers" : "", h->dns.n && h->dns_search.n ? " " : "",
		   h->dns_search.n ? "search" : "", (h->dns.n || h->dns_search.n) && h->dns_options.n ? " " : "",
		   h->dns_options.n ? "options" : "");
	if (f->resolver && rc->ndots) buf_printf(out, "# Option ndots from: %s\n", rc->ndots);
}

int etc_resolv_text(const EtcFiles *f, Buf *out, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(4 * FILE_MAX);
	ResolvConf *rc = arena_alloc(&a, sizeof *rc);
	if (!rc || find_resolv(f, &a, rc) < 0) return err_sys(e, ENOMEM, "/etc/resolv.conf");
	buf_puts(out, "# Generated by Skep. A container that changes this file keeps it as it is.\n\n");
	if (f->resolver) buf_printf(out, "nameserver %s\n", f->resolver);
	for (size_t i = 0; !f->resolver && i < rc->n_servers; i++)
		buf_printf(out, "nameserver %.*s\n", (int)rc->servers[i].n, rc->servers[i].p);
	put_list(out, "search", rc->search, rc->n_search);
	put_list(out, "options", rc->options, rc->n_options);
	for (size_t i = 0; i < rc->n_other; i++)
		buf_printf(out, "%.*s\n", (int)rc->other[i].n, rc->other[i].p);
	put_origin(f, rc, out);
	return buf_failed(out) ? err_sys(e, EFBIG, "/etc/resolv.conf") : 0;
}

int etc_servers(const EtcFiles *f, Arena *a, StrList *ret, bool *ret_ndots, Err *e)
{
	AUTO_ARENA own = ARENA_INIT(4 * FILE_MAX);
	ResolvConf *rc = arena_alloc(&own, sizeof *rc);
	const char **items = arena_array(a, SERVERS_MAX + 1, sizeof *items);
	if (!rc || !items || find_resolv(f, &own, rc) < 0) return err_sys(e, ENOMEM, "/etc/resolv.conf");
	for (size_t i = 0; i < rc->n_servers; i++)
		if (!(items[i] = arena_str(a, rc->servers[i]))) return err_sys(e, ENOMEM, "/etc/resolv.conf");
	*ret = (StrList){ items, rc->n_servers };
	*ret_ndots = rc->ndots && !streq(rc->ndots, "internal");
	return 0;
}

int dns_check(const HostConfig *h, Err *e)
{
	for (size_t i = 0; i < h->dns.n; i++)
		if (!family_of(str_of(h->dns.items[i])))
			return err_set(e, ERR_CONFIG, EINVAL, "%.128s is not an ip address", h->dns.items[i]);
	for (size_t i = 0; i < h->dns_search.n; i++)
		if (!is_word(str_of(h->dns_search.items[i])))
			return err_set(e, ERR_CONFIG, EINVAL, "%.255s is not a valid domain", h->dns_search.items[i]);
	for (size_t i = 0; i < h->dns_options.n; i++)
		if (!is_word(str_of(h->dns_options.items[i])))
			return err_set(e, ERR_CONFIG, EINVAL, "invalid DNS option: \"%.128s\"", h->dns_options.items[i]);
	return 0;
}

/* ---- writing ---- */

static int replace(int dir, const char *name, const Buf *text, Err *e)
{
	return fd_remake_file(dir, name, text->p, text->n, 0644, e);
}

/* Of a text, before which it stands in the file: where the two do not agree somebody has changed the file. */
static void put_sum(Str text, char sum[static SUM_MAX])
{
	/* against changes, not against enemies, who may change what they can write anyway */
	snprintf(sum, SUM_MAX, "# %08" PRIx32 "\n", fnv_add(FNV_INIT, text.p, text.n));
}

static bool was_changed(int dir)
{
	AUTO_ARENA a = ARENA_INIT(4 * FILE_MAX);
	char *text, sum[SUM_MAX];
	size_t n;
	Err e = ERR_INIT;
	if (fd_read_file(dir, "resolv.conf", FILE_MAX + SUM_MAX, &a, &text, &n, &e) < 0) return e.errnum != ENOENT;
	put_sum((Str){ text + SUM_LENGTH, n > SUM_LENGTH ? n - SUM_LENGTH : 0 }, sum);
	return n < SUM_LENGTH || memcmp(text, sum, SUM_LENGTH) != 0;
}

/* 1: text is what is to be written; 0: somebody has changed the file. */
static int make_resolv(int dir, const EtcFiles *f, Buf *file, Err *e)
{
	AUTO_BUF text = BUF_INIT(FILE_MAX);
	char sum[SUM_MAX];
	if (was_changed(dir)) return 0;
	int r = etc_resolv_text(f, &text, e);
	if (r < 0) return r;
	put_sum((Str){ text.p, text.n }, sum);
	buf_puts(file, sum);
	buf_put(file, text.p, text.n);
	return buf_failed(file) ? err_sys(e, EFBIG, "/etc/resolv.conf") : 1;
}

static int write_resolv(int dir, const EtcFiles *f, Err *e)
{
	AUTO_BUF file = BUF_INIT(FILE_MAX + SUM_MAX);
	int r = make_resolv(dir, f, &file, e);
	return r <= 0 ? r : replace(dir, "resolv.conf", &file, e);
}

int etc_resolv_rewrite(int dir, const EtcFiles *f, Err *e)
{
	AUTO_BUF file = BUF_INIT(FILE_MAX + SUM_MAX);
	int r = make_resolv(dir, f, &file, e);
	if (r <= 0) return r;
	AUTO_FD int fd = openat(dir, "resolv.conf", O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
	r = fd < 0 ? -errno : fd_write_all(fd, file.p, file.n);
	return r < 0 ? err_sys(e, -r, "write /etc/resolv.conf") : 0;
}

int etc_files_write(int dir, const EtcFiles *f, Err *e)
{
	AUTO_BUF hosts = BUF_INIT(2 * FILE_MAX), name = BUF_INIT(4096);
	int r = etc_hosts_text(f, &hosts, e);
	if (r < 0) return r;
	buf_printf(&name, "%s\n", f->hostname);
	if (buf_failed(&name)) return err_sys(e, EFBIG, "/etc/hostname");
	if ((r = replace(dir, "hosts", &hosts, e)) < 0 || (r = replace(dir, "hostname", &name, e)) < 0) return r;
	return write_resolv(dir, f, e);
}
