/* syslog_target.c: see syslog_target.h. */
#include "monitor/syslog_target.h"

#include <sys/socket.h>
#include <sys/stat.h>

enum { NAME_MAX_BYTES = 256, FACILITIES = 24, FACILITY_DAEMON = 3 };

/* "host:port", "[::1]:port", and each without a port. */
static int parse_host(Str s, SyslogTarget *t, Err *e)
{
	Str host = s, port = { "514", 3 };
	const char *colon = memrchr(s.p, ':', s.n);
	if (s.n && s.p[0] == '[') {
		const char *end = memchr(s.p, ']', s.n);
		if (!end) return err_set(e, ERR_CONFIG, EINVAL, "missing ']' in address");
		host = (Str){ s.p + 1, (size_t)(end - s.p) - 1 };
		if (end + 1 < s.p + s.n && end[1] == ':') port = (Str){ end + 2, s.n - (size_t)(end + 2 - s.p) };
	} else if (colon) {
		host = (Str){ s.p, (size_t)(colon - s.p) };
		port = (Str){ colon + 1, s.n - host.n - 1 };
		if (memchr(host.p, ':', host.n)) return err_set(e, ERR_CONFIG, EINVAL, "too many colons in address");
	}
	if (host.n >= NAME_MAX_BYTES || port.n >= sizeof t->port) return err_set(e, ERR_CONFIG, EINVAL, "the address is too long");
	snprintf(t->host, sizeof t->host, "%.*s", (int)host.n, host.p);
	snprintf(t->port, sizeof t->port, "%.*s", (int)port.n, port.p);
	return 0;
}

static int parse_address(const char *text, SyslogTarget *t, Err *e)
{
	static const struct {
		const char *scheme;
		int type;
		bool local;
	} schemes[] = { { "udp://", SOCK_DGRAM, false },
			{ "tcp://", SOCK_STREAM, false },
			{ "unix://", SOCK_STREAM, true },
			{ "unixgram://", SOCK_DGRAM, true } };
	struct stat st;
	if (!text || !*text) {
		t->local = true;
		return 0;
	}
	if (starts_with(text, "tcp+tls://"))
		return err_set(
			e, ERR_UNSUPPORTED, ENOTSUP,
			"syslog-address tcp+tls: the monitor of a container speaks no TLS: let a syslog daemon of this machine forward");
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		if (!starts_with(text, schemes[i].scheme)) continue;
		const char *rest = text + strlen(schemes[i].scheme);
		t->type = schemes[i].type;
		t->local = schemes[i].local;
		if (!t->local) return parse_host((Str){ rest, strcspn(rest, "/") }, t, e);
		size_t n = strlen(rest);
		if (n >= sizeof t->host) return err_set(e, ERR_CONFIG, EINVAL, "the address is too long");
		memcpy(t->host, rest, n + 1);
		return stat(rest, &st) < 0 ? err_sys(e, errno, "stat %s", rest) : 0;
	}
	return err_set(e, ERR_CONFIG, EINVAL, "unsupported scheme: '%.*s'", (int)strcspn(text, ":"), text);
}

static int parse_facility(const char *text, int *ret, Err *e)
{
	static const char *const names[FACILITIES] = { "kern",   "user",   "mail",     "daemon", "auth",   "syslog", "lpr",    "news",
						       "uucp",   "cron",   "authpriv", "ftp",    NULL,     NULL,     NULL,     NULL,
						       "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7" };
	int n;
	*ret = FACILITY_DAEMON;
	if (!text || !*text) return 0;
	for (int i = 0; i < FACILITIES; i++)
		if (names[i] && streq(names[i], text)) {
			*ret = i;
			return 0;
		}
	if (str_to_int(str_of(text), &n) < 0 || n < 0 || n >= FACILITIES) return err_set(e, ERR_CONFIG, EINVAL, "invalid syslog facility");
	*ret = n;
	return 0;
}

static int parse_format(const char *text, SyslogFormat *ret, Err *e)
{
	static const char *const names[] = { "", "rfc3164", "rfc5424", "rfc5424micro" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(text ? text : "", names[i])) {
			*ret = (SyslogFormat)i;
			return 0;
		}
	return err_set(e, ERR_CONFIG, EINVAL, "Invalid syslog format");
}

int syslog_target_parse(const StrMap *o, SyslogTarget *t, Err *e)
{
	*t = (SyslogTarget){ 0 };
	for (size_t i = 0; i < o->n; i++)
		if (starts_with(o->items[i].key, "syslog-tls-"))
			return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "%s: the monitor of a container speaks no TLS", o->items[i].key);
	int r = parse_address(str_map_get(o, "syslog-address"), t, e);
	if (r < 0 || (r = parse_facility(str_map_get(o, "syslog-facility"), &t->facility, e)) < 0) return r;
	return parse_format(str_map_get(o, "syslog-format"), &t->format, e);
}
