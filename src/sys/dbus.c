/* dbus.c: see dbus.h. */
#include "sys/dbus.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/time.h"

enum { HEADER = 16, FIELDS_MAX = 64 << 10 };
enum { FIELD_PATH = 1, FIELD_INTERFACE, FIELD_MEMBER, FIELD_ERROR, FIELD_REPLY, FIELD_DESTINATION, FIELD_SENDER, FIELD_SIGNATURE };

static const char byte_order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B';

/* ---- writing ---- */

void dbus_align(Buf *b, size_t to)
{
	static const char zeros[8];
	buf_put(b, zeros, (to - b->n % to) % to);
}

void dbus_put_byte(Buf *b, uint8_t v)
{
	buf_putc(b, (char)v);
}

void dbus_put_u32(Buf *b, uint32_t v)
{
	dbus_align(b, sizeof v);
	buf_put(b, &v, sizeof v);
}

void dbus_put_bool(Buf *b, bool v)
{
	dbus_put_u32(b, v);
}

void dbus_put_u64(Buf *b, uint64_t v)
{
	dbus_align(b, sizeof v);
	buf_put(b, &v, sizeof v);
}

void dbus_put_double(Buf *b, double v)
{
	dbus_align(b, sizeof v);
	buf_put(b, &v, sizeof v);
}

void dbus_put_string(Buf *b, const char *s)
{
	size_t n = strlen(s);
	dbus_put_u32(b, (uint32_t)n);
	buf_put(b, s, n + 1);
}

void dbus_put_signature(Buf *b, const char *s)
{
	size_t n = strlen(s);
	dbus_put_byte(b, (uint8_t)n);
	buf_put(b, s, n + 1);
}

DBusArray dbus_open_array(Buf *b, size_t align)
{
	dbus_align(b, 4);
	DBusArray a = { .length_at = b->n };
	dbus_put_u32(b, 0);
	dbus_align(b, align); /* not counted in the length */
	a.start = b->n;
	return a;
}

void dbus_close_array(Buf *b, DBusArray a)
{
	if (buf_failed(b)) return;
	uint32_t n = (uint32_t)(b->n - a.start);
	memcpy(b->p + a.length_at, &n, sizeof n);
}

/* ---- reading ---- */

static const uint8_t *get(DBusReader *r, size_t align, size_t n)
{
	size_t at = (r->at + align - 1) / align * align;
	if (r->failed || at > r->n || n > r->n - at) {
		r->failed = true;
		return NULL;
	}
	r->at = at + n;
	return r->p + at;
}

uint8_t dbus_get_byte(DBusReader *r)
{
	const uint8_t *p = get(r, 1, 1);
	return p ? *p : 0;
}

uint32_t dbus_get_u32(DBusReader *r)
{
	uint32_t v = 0;
	const uint8_t *p = get(r, sizeof v, sizeof v);
	if (p) memcpy(&v, p, sizeof v);
	return v;
}

uint64_t dbus_get_u64(DBusReader *r)
{
	uint64_t v = 0;
	const uint8_t *p = get(r, sizeof v, sizeof v);
	if (p) memcpy(&v, p, sizeof v);
	return v;
}

static const char *get_text(DBusReader *r, size_t n)
{
	const uint8_t *p = n < DBUS_MESSAGE_MAX ? get(r, 1, n + 1) : NULL;
	if (!p || p[n] || memchr(p, 0, n)) {
		r->failed = true;
		return "";
	}
	return (const char *)p;
}

const char *dbus_get_string(DBusReader *r)
{
	return get_text(r, dbus_get_u32(r));
}

const char *dbus_get_signature(DBusReader *r)
{
	return get_text(r, dbus_get_byte(r));
}

static size_t fixed_size(char type)
{
	switch (type) {
	case 'y':
		return 1;
	case 'n':
	case 'q':
		return 2;
	case 'b':
	case 'i':
	case 'u':
	case 'h':
		return 4;
	case 'x':
	case 't':
	case 'd':
		return 8;
	default:
		return 0;
	}
}

static size_t alignment(char type)
{
	if (type == '(' || type == '{') return 8;
	if (type == 'g' || type == 'v') return 1;
	size_t n = fixed_size(type);
	return n ? n : 4;
}

/* Behind one complete type; NULL when it is none. */
static const char *type_end(const char *s, int depth)
{
	if (depth > DBUS_NESTING_MAX || !*s) return NULL;
	if (*s == 'a') return type_end(s + 1, depth + 1);
	if (*s == '(' || *s == '{') {
		char close = *s == '(' ? ')' : '}';
		for (s++; s && *s != close;)
			s = type_end(s, depth + 1);
		return s ? s + 1 : NULL;
	}
	return fixed_size(*s) || strchr("sogv", *s) ? s + 1 : NULL;
}

static void skip_one(DBusReader *r, const char **signature, int depth);

static void skip_array(DBusReader *r, const char **signature, int depth)
{
	const char *item = *signature, *end = type_end(item, depth);
	size_t n = dbus_get_u32(r);
	if (!end || !get(r, alignment(*item), 0) || n > r->n - r->at) {
		r->failed = true;
		return;
	}
	r->at += n; /* the items need not be looked at */
	*signature = end;
}

static void skip_one(DBusReader *r, const char **signature, int depth)
{
	char type = **signature;
	if (!type || depth > DBUS_NESTING_MAX) {
		r->failed = true;
		return;
	}
	++*signature;
	if (fixed_size(type)) {
		(void)get(r, fixed_size(type), fixed_size(type));
	} else if (type == 's' || type == 'o') {
		(void)dbus_get_string(r);
	} else if (type == 'g') {
		(void)dbus_get_signature(r);
	} else if (type == 'v') {
		const char *inner = dbus_get_signature(r);
		skip_one(r, &inner, depth + 1);
		if (*inner) r->failed = true; /* a variant holds one type */
	} else if (type == 'a') {
		skip_array(r, signature, depth + 1);
	} else if (type == '(' || type == '{') {
		char close = type == '(' ? ')' : '}';
		(void)get(r, 8, 0);
		while (!r->failed && **signature != close)
			skip_one(r, signature, depth + 1);
		if (!r->failed) ++*signature;
	} else {
		r->failed = true;
	}
}

void dbus_skip(DBusReader *r, const char **signature)
{
	skip_one(r, signature, 0);
}

ssize_t dbus_size(const uint8_t head[static 16])
{
	uint32_t body, fields;
	if (head[0] != (uint8_t)byte_order || head[3] != 1) return -EPROTO;
	memcpy(&body, head + 4, sizeof body);
	memcpy(&fields, head + 12, sizeof fields);
	if (fields > FIELDS_MAX || body > DBUS_MESSAGE_MAX) return -EMSGSIZE;
	size_t n = HEADER + ((size_t)fields + 7) / 8 * 8 + body;
	return n <= DBUS_MESSAGE_MAX ? (ssize_t)n : -EMSGSIZE;
}

static void parse_field(DBusReader *r, uint8_t code, const char *signature, DBusMessage *m)
{
	const char **to = NULL;
	switch (code) {
	case FIELD_PATH:
		to = &m->path;
		break;
	case FIELD_INTERFACE:
		to = &m->interface;
		break;
	case FIELD_MEMBER:
		to = &m->member;
		break;
	case FIELD_ERROR:
		to = &m->error;
		break;
	case FIELD_SENDER:
		to = &m->sender;
		break;
	default:
		break;
	}
	if (to && (streq(signature, "s") || streq(signature, "o"))) {
		*to = dbus_get_string(r);
	} else if (code == FIELD_REPLY && streq(signature, "u")) {
		m->reply_to = dbus_get_u32(r);
	} else if (code == FIELD_SIGNATURE && streq(signature, "g")) {
		m->signature = dbus_get_signature(r);
	} else {
		dbus_skip(r, &signature);
		if (*signature) r->failed = true;
	}
}

int dbus_parse(const uint8_t *p, size_t n, DBusMessage *ret)
{
	uint32_t fields;
	if (n < HEADER || dbus_size(p) != (ssize_t)n) return -EPROTO;
	*ret = (DBusMessage){ .type = p[1], .path = "", .interface = "", .member = "", .error = "", .sender = "", .signature = "" };
	memcpy(&ret->serial, p + 8, sizeof ret->serial);
	memcpy(&fields, p + 12, sizeof fields);
	DBusReader r = { .p = p, .n = HEADER + fields, .at = HEADER };
	while (!r.failed && r.at < r.n) {
		if (!get(&r, 8, 0)) break;
		uint8_t code = dbus_get_byte(&r);
		const char *signature = dbus_get_signature(&r);
		parse_field(&r, code, signature, ret);
	}
	if (r.failed) return -EPROTO;
	size_t start = HEADER + ((size_t)fields + 7) / 8 * 8;
	ret->body = (DBusReader){ .p = p + start, .n = n - start };
	return 0;
}

/* ---- the socket ---- */

static int timed_out(Err *e)
{
	return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "D-Bus: no answer in time");
}

static int wait_for(DBus *b, short events, Err *e)
{
	for (;;) {
		int64_t left = b->deadline - time_monotonic();
		if (left <= 0) return timed_out(e);
		struct pollfd p = { .fd = b->fd, .events = events };
		int r = poll(&p, 1, (int)(left / 1000000) + 1);
		if (r > 0) return 0;
		if (r < 0 && errno != EINTR) return err_sys(e, errno, "D-Bus");
	}
}

static int send_all(DBus *b, const char *p, size_t n, Err *e)
{
	while (n) {
		ssize_t k = send(b->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k >= 0) {
			p += k;
			n -= (size_t)k;
			continue;
		}
		if (errno == EINTR) continue;
		if (errno != EAGAIN) return err_sys(e, errno, "D-Bus: send");
		int r = wait_for(b, POLLOUT, e);
		if (r < 0) return r;
	}
	return 0;
}

/* Reads what there is, at least one byte. */
static int receive_some(DBus *b, Err *e)
{
	int r = wait_for(b, POLLIN, e);
	if (r < 0) return r;
	char chunk[8192];
	ssize_t k = recv(b->fd, chunk, sizeof chunk, MSG_DONTWAIT);
	if (k < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
	if (k < 0) return err_sys(e, errno, "D-Bus: receive");
	if (k == 0) return err_set(e, ERR_IO, ECONNRESET, "D-Bus: the peer closed the connection");
	buf_put(&b->in, chunk, (size_t)k);
	return buf_failed(&b->in) ? err_set(e, ERR_IO, EMSGSIZE, "D-Bus: too much data") : 0;
}

static int receive(DBus *b, DBusMessage *ret, Err *e)
{
	buf_consume(&b->in, b->taken);
	b->taken = 0;
	for (;;) {
		ssize_t size = b->in.n >= HEADER ? dbus_size((const uint8_t *)b->in.p) : 0;
		if (size < 0) return err_set(e, ERR_IO, EPROTO, "D-Bus: malformed or oversized message");
		if (size && b->in.n >= (size_t)size) {
			b->taken = (size_t)size;
			if (dbus_parse((const uint8_t *)b->in.p, (size_t)size, ret) < 0)
				return err_set(e, ERR_IO, EPROTO, "D-Bus: malformed message");
			return 0;
		}
		int r = receive_some(b, e);
		if (r < 0) return r;
	}
}

/* ---- starting ---- */

/* One line of the authentication, without CR LF. */
static int receive_line(DBus *b, char *to, size_t size, Err *e)
{
	for (;;) {
		const char *end = b->in.n ? memmem(b->in.p, b->in.n, "\r\n", 2) : NULL;
		if (end) {
			size_t n = (size_t)(end - b->in.p);
			if (n >= size) return err_set(e, ERR_IO, EPROTO, "D-Bus: authentication: line too long");
			memcpy(to, b->in.p, n);
			to[n] = 0;
			buf_consume(&b->in, n + 2);
			return 0;
		}
		if (b->in.n >= size) return err_set(e, ERR_IO, EPROTO, "D-Bus: authentication: line too long");
		int r = receive_some(b, e);
		if (r < 0) return r;
	}
}

static int authenticate(DBus *b, uid_t uid, Err *e)
{
	char id[16], line[512];
	AUTO_BUF out = BUF_INIT(256);
	snprintf(id, sizeof id, "%u", uid);
	buf_putc(&out, 0);
	buf_puts(&out, "AUTH EXTERNAL ");
	for (const char *p = id; *p; p++)
		buf_printf(&out, "%02x", *p);
	buf_puts(&out, "\r\nBEGIN\r\n"); /* not waiting for OK saves a round trip; after a refusal the peer hangs up */
	int r = send_all(b, buf_str(&out), out.n, e);
	if (r >= 0) r = receive_line(b, line, sizeof line, e);
	if (r < 0) return r;
	if (!starts_with(line, "OK "))
		return err_set(e, ERR_PERMISSION, EACCES, "D-Bus: authentication refused for uid %u: %.64s", uid, line);
	return 0;
}

void dbus_done(DBus *b)
{
	if (b->fd >= 0) fd_close(b->fd);
	b->fd = -1;
	buf_done(&b->in);
}

int dbus_start(DBus *b, int fd, bool hello, uid_t uid, int64_t deadline, Err *e)
{
	static const DBusCall call = { "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", NULL };
	*b = (DBus){ .fd = fd, .in = BUF_INIT(DBUS_MESSAGE_MAX + 8192), .deadline = deadline };
	int r = authenticate(b, uid, e);
	if (r >= 0 && hello) r = dbus_call(b, &call, NULL, NULL, e);
	if (r < 0) dbus_done(b);
	return r;
}

/* One "key=value" of an address, with %XX undone. */
static bool address_value(Str address, const char *key, char *to, size_t size)
{
	Str rest = address, item, name, value;
	while (str_next(&rest, ',', &item)) {
		if (!str_cut(item, '=', &name, &value) || !str_eq(name, key)) continue;
		size_t n = 0;
		for (size_t i = 0; i < value.n && n + 1 < size; i++) {
			uint64_t byte;
			if (value.p[i] == '%' && i + 2 < value.n && str_to_u64_base((Str){ value.p + i + 1, 2 }, 16, &byte) >= 0 && byte) {
				to[n++] = (char)byte;
				i += 2;
			} else {
				to[n++] = value.p[i];
			}
		}
		to[n] = 0;
		return n > 0;
	}
	return false;
}

static int connect_one(Str address)
{
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
	Str kind, rest;
	if (!str_cut(address, ':', &kind, &rest) || !str_eq(kind, "unix")) return -EPROTONOSUPPORT;
	if (address_value(rest, "path", path, sizeof path)) return fd_connect_unix(AT_FDCWD, path, SOCK_STREAM);
	if (!address_value(rest, "abstract", path, sizeof path - 1)) return -EPROTONOSUPPORT;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	memcpy(sa.sun_path + 1, path, strlen(path));
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) return -errno;
	if (connect(fd, (struct sockaddr *)&sa, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(path))) < 0) return -errno;
	return take_fd(fd);
}

int dbus_connect(DBus *b, const char *address, bool hello, uid_t uid, int64_t deadline, Err *e)
{
	Str rest = str_of(address), one;
	int fd = -EINVAL;
	while (fd < 0 && str_next(&rest, ';', &one))
		fd = connect_one(one);
	if (fd < 0) return err_sys(e, fd, "D-Bus: connect to %s", address);
	int r = dbus_start(b, fd, hello, uid, deadline, e);
	return r < 0 ? err_wrap(e, "%s", address) : 0;
}

/* ---- calls ---- */

static void put_field(Buf *b, uint8_t code, const char *type, const char *value)
{
	if (!value) return;
	dbus_align(b, 8);
	dbus_put_byte(b, code);
	dbus_put_signature(b, type);
	if (*type == 'g')
		dbus_put_signature(b, value);
	else
		dbus_put_string(b, value);
}

static int send_call(DBus *b, const DBusCall *c, const Buf *body, Err *e)
{
	AUTO_BUF m = BUF_INIT(DBUS_MESSAGE_MAX);
	size_t n = body ? body->n : 0;
	dbus_put_byte(&m, (uint8_t)byte_order);
	dbus_put_byte(&m, DBUS_CALL);
	dbus_put_byte(&m, 0);
	dbus_put_byte(&m, 1);
	dbus_put_u32(&m, (uint32_t)n);
	dbus_put_u32(&m, ++b->serial);
	DBusArray fields = dbus_open_array(&m, 8);
	put_field(&m, FIELD_PATH, "o", c->path);
	put_field(&m, FIELD_DESTINATION, "s", c->destination);
	put_field(&m, FIELD_INTERFACE, "s", c->interface);
	put_field(&m, FIELD_MEMBER, "s", c->member);
	if (n) put_field(&m, FIELD_SIGNATURE, "g", c->signature);
	dbus_close_array(&m, fields);
	dbus_align(&m, 8);
	if (n) buf_put(&m, body->p, n);
	if (buf_failed(&m) || (body && buf_failed(body)))
		return err_set(e, ERR_RESOURCE, EMSGSIZE, "D-Bus: %s: message too large", c->member);
	return send_all(b, buf_str(&m), m.n, e);
}

static int remote_error(const DBusCall *c, DBusMessage *m, Err *e)
{
	DBusReader body = m->body;
	const char *text = m->signature[0] == 's' ? dbus_get_string(&body) : "";
	return err_set(e, ERR_IO, EREMOTEIO, "%s: %s%s%s", c->member, m->error, *text ? ": " : "", text);
}

int dbus_call(DBus *b, const DBusCall *c, const Buf *body, DBusMessage *ret, Err *e)
{
	DBusMessage m = { 0 };
	int r = send_call(b, c, body, e);
	while (r >= 0) {
		r = receive(b, &m, e);
		if (r < 0) break;
		if ((m.type != DBUS_RETURN && m.type != DBUS_ERROR) || m.reply_to != b->serial) continue;
		if (ret) *ret = m;
		return m.type == DBUS_ERROR ? remote_error(c, &m, e) : 0;
	}
	if (ret) *ret = (DBusMessage){ .error = "" };
	return err_wrap(e, "%s", c->member);
}

int dbus_wait(DBus *b, DBusMatch *match, void *p, Err *e)
{
	DBusMessage m;
	for (;;) {
		int r = receive(b, &m, e);
		if (r < 0) return r;
		if (match(&m, p)) return 0;
	}
}
