/* exchange.c: requests and responses as handlers see them, for both versions of HTTP. See server.h. */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "net/server_impl.h"
#include "net/url.h"
#include "sys/fd.h"

enum { VALUE_MAX = 64 << 10 };

HttpExchange *exchange_new(HttpConn *c, const HttpWire *wire, int version)
{
	HttpExchange *x = calloc(1, sizeof *x);
	if (!x) return NULL;
	*x = (HttpExchange){ .magic = HTTP_EXCHANGE_MAGIC, .conn = c, .wire = wire, .version = version, .file = -1, .length = -1 };
	x->arena = ARENA_INIT(HTTP_ARENA_MAX);
	x->reply.max = HTTP_REPLY_FIELDS_MAX;
	x->out.b = BUF_INIT(HTTP_WRITE_MAX);
	x->next = c->exchanges;
	if (x->next) x->next->prev = x;
	c->exchanges = x;
	return x;
}

void exchange_free(HttpExchange *x)
{
	assert(x->magic == HTTP_EXCHANGE_MAGIC);
	if (x->prev)
		x->prev->next = x->next;
	else
		x->conn->exchanges = x->next;
	if (x->next) x->next->prev = x->prev;
	fd_close(x->file);
	buf_done(&x->out.b);
	buf_done(&x->stash);
	arena_done(&x->arena);
	x->magic = 0;
	free(x);
}

void exchange_abort(HttpExchange *x, int error)
{
	bool tell = x->started && !x->finished;
	x->gone = true;
	if (tell && x->body_fn && !x->body_ended) {
		x->body_ended = true;
		(void)x->body_fn(x->body_arg, x, NULL, 0, true, error);
	}
	if (tell && x->abort_fn && !x->finished) x->abort_fn(x->abort_arg, x);
	exchange_free(x);
}

bool exchange_is_sent(const HttpExchange *x)
{
	return x->finished && !x->file_left;
}

void exchange_file_moved(HttpExchange *x, int64_t n)
{
	x->file_at += n;
	x->file_left -= n;
	if (x->file_left) return;
	x->file_sent = true;
	if (x->chunked) buf_put(&x->conn->out.b, "\r\n", 2);
	conn_wake(x->conn);
}

/* ---- the request ---- */

/* Path and query of origin-form, absolute-form or "*" (RFC 9112 3.2). */
static int split_target(HttpExchange *x, Str target, Str *path, Str *query, Err *e)
{
	Url u;
	if (str_eq(target, "*") && streq(x->method, "OPTIONS")) {
		*path = target;
	} else if (target.n && target.p[0] == '/') {
		(void)str_cut(target, '?', path, query);
	} else if (url_parse(target, &u, e) == 0 && u.has_authority && u.host.n && url_default_port(u.scheme)) {
		*path = u.path.n ? u.path : STR("/");
		*query = u.query;
		x->host = (Str){ u.host.p - u.is_ipv6, (size_t)(u.path.p - u.host.p) + u.is_ipv6 };
	} else {
		return 400;
	}
	return 0;
}

int exchange_set_target(HttpExchange *x, Str target, Err *e)
{
	Str path = { 0 }, query = { 0 };
	char *decoded;
	x->is_head = streq(x->method, "HEAD");
	if (streq(x->method, "CONNECT")) return 501;
	if (memchr(target.p, '#', target.n)) return 400;
	int r = split_target(x, target, &path, &query, e);
	if (r) return r;
	if (url_check(path) < 0 || url_check(query) < 0) return 400;
	if (url_decode(path, false, &x->arena, &decoded) < 0) return 500;
	if (url_has_dots(decoded)) return 400;
	x->path = decoded;
	x->target = arena_str(&x->arena, target);
	x->query = arena_str(&x->arena, query);
	return x->target && x->query ? 0 : 500;
}

void exchange_start(HttpExchange *x)
{
	HttpServer *s = x->conn->server;
	x->started = true;
	s->o.handle(s->o.arg, x);
}

void exchange_refuse(HttpExchange *x, int status)
{
	const char *text = http_status_text(status);
	x->started = true;
	http_reply_text(x, status, "text/plain; charset=utf-8", text, strlen(text));
}

int exchange_deliver(HttpExchange *x, const void *p, size_t n, bool end)
{
	x->received = true;
	x->body_ended = end;
	int r = x->body_fn(x->body_arg, x, p, n, end, 0);
	if (r < 0) x->body_fn = NULL;
	return x->body_fn != NULL;
}

const char *http_method(const HttpExchange *x)
{
	return x->method;
}

const char *http_target(const HttpExchange *x)
{
	return x->target;
}

const char *http_path(const HttpExchange *x)
{
	return x->path;
}

const char *http_query_string(const HttpExchange *x)
{
	return x->query;
}

const char *http_query_at(HttpExchange *x, const char *name, size_t at)
{
	const char *value;
	return url_query_get(str_of(x->query), name, at, &x->arena, &value) < 0 ? NULL : value;
}

const char *http_query(HttpExchange *x, const char *name)
{
	return http_query_at(x, name, 0);
}

const char *http_header(HttpExchange *x, const char *name)
{
	const char *value;
	Str s = str_of(name);
	if (http_same(s, STR("host"))) return x->host.p ? arena_str(&x->arena, x->host) : NULL;
	if (http_fields_get(&x->fields, s, http_same(s, STR("cookie")) ? "; " : ", ", &x->arena, &value) < 0) return NULL;
	return value;
}

int64_t http_body_length(const HttpExchange *x)
{
	return x->body_length;
}

int http_version(const HttpExchange *x)
{
	return x->version;
}

Arena *http_arena(HttpExchange *x)
{
	return &x->arena;
}

bool http_is_tls(const HttpExchange *x)
{
	return x->conn->tls;
}

const char *http_peer(HttpExchange *x)
{
	union {
		struct sockaddr_storage any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = { 0 };
	socklen_t n = sizeof a;
	char text[INET6_ADDRSTRLEN];
	if (x->peer) return x->peer;
	if (x->conn->is_unix || getpeername(x->conn->fd, (struct sockaddr *)&a.any, &n) < 0) {
		x->peer = x->conn->is_unix ? "unix" : "";
	} else if (a.any.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr)) { /* a v4 client of a socket for both */
		(void)inet_ntop(AF_INET, &a.v6.sin6_addr.s6_addr[12], text, sizeof text);
		x->peer = arena_printf(&x->arena, "%s:%u", text, ntohs(a.v6.sin6_port));
	} else if (a.any.ss_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &a.v6.sin6_addr, text, sizeof text);
		x->peer = arena_printf(&x->arena, "[%s]:%u", text, ntohs(a.v6.sin6_port));
	} else if (a.any.ss_family == AF_INET) {
		(void)inet_ntop(AF_INET, &a.v4.sin_addr, text, sizeof text);
		x->peer = arena_printf(&x->arena, "%s:%u", text, ntohs(a.v4.sin_port));
	}
	return x->peer ? x->peer : "";
}

const char *http_peer_cert_name(HttpExchange *x)
{
	return x->conn->tls ? tls_peer_name(x->conn->tls) : NULL;
}

int http_peer_creds(const HttpExchange *x, struct ucred *ret)
{
	struct ucred creds;
	socklen_t n = sizeof creds;
	if (!x->conn->is_unix) return -EOPNOTSUPP;
	if (getsockopt(x->conn->fd, SOL_SOCKET, SO_PEERCRED, &creds, &n) < 0) return -errno;
	*ret = creds;
	return 0;
}

void http_set_data(HttpExchange *x, void *data)
{
	x->data = data;
}

void *http_data(const HttpExchange *x)
{
	return x->data;
}

/* ---- the body ---- */

void http_body(HttpExchange *x, HttpBodyFn *fn, void *arg)
{
	if (x->gone || x->finished || x->body_asked) return;
	x->body_asked = true;
	x->body_fn = fn;
	x->body_arg = arg;
	if (x->expect && !x->received && !x->head_sent) x->wire->go_on(x);
	x->expect = false;
	x->wire->wanted(x);
	x->conn->progress = loop_now(x->conn->server->loop);
	conn_wake(x->conn);
}

void http_body_room(HttpExchange *x, HttpRoomFn *fn)
{
	x->room_fn = fn;
}

void http_body_pause(HttpExchange *x)
{
	x->body_paused = true;
}

void http_body_resume(HttpExchange *x)
{
	if (!x->body_paused || x->gone) return;
	x->body_paused = false;
	x->wire->wanted(x);
	x->conn->progress = loop_now(x->conn->server->loop);
	conn_wake(x->conn);
}

/* ---- the response ---- */

void http_reply(HttpExchange *x, int status)
{
	assert(status >= 200 && status <= 599);
	if (x->head_sent) return;
	x->status = status;
	x->reply.n = 0;
	x->length = -1;
}

static bool is_servers_own(Str name)
{
	static const char *const names[] = { "content-length", "transfer-encoding", "connection", "date", "server" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (http_same(name, str_of(names[i]))) return true;
	return false;
}

int http_reply_header(HttpExchange *x, const char *name, const char *value)
{
	Str n = str_of(name), v = str_of(value);
	if (x->head_sent || x->gone) return 0;
	if (http_is_token(n) && http_is_value(v) && v.n <= VALUE_MAX && !is_servers_own(n)) {
		char *name_copy = arena_str(&x->arena, n), *value_copy = arena_str(&x->arena, v);
		if (name_copy && value_copy && http_fields_add(&x->reply, &x->arena, str_of(name_copy), str_of(value_copy)) == 0) return 0;
	}
	x->bad = true;
	return -EINVAL;
}

int http_reply_headerf(HttpExchange *x, const char *name, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	AUTO_FREE char *own = n < 0 ? NULL : text;
	if (!own) x->bad = true;
	return own ? http_reply_header(x, name, own) : -EINVAL;
}

void http_reply_length(HttpExchange *x, int64_t n)
{
	assert(n >= 0);
	if (!x->head_sent) x->length = n;
}

static void send_head(HttpExchange *x, bool end)
{
	if (x->head_sent) return;
	if (!x->status) x->status = 200;
	if (x->bad) { /* the handler's mistake must not become the client's riddle */
		x->status = 500;
		x->reply.n = 0;
		x->length = 0;
		x->no_body = true;
	}
	x->no_body |= x->is_head || !http_status_has_body(x->status);
	if (x->length < 0 && end && !x->no_body) x->length = 0;
	x->head_sent = true;
	x->wire->head(x, end || x->no_body);
}

void http_reply_begin(HttpExchange *x)
{
	if (x->gone || x->finished) return;
	send_head(x, false);
	conn_wake(x->conn);
}

/* The response cannot be completed: seen by the client as soon as what was queued is sent. */
static void break_response(HttpExchange *x)
{
	x->wire->reset(x);
	conn_wake(x->conn);
}

int http_write(HttpExchange *x, const void *p, size_t n)
{
	if (x->gone || x->finished || x->conn->broken) return -EPIPE;
	if (x->file_left) return -EBUSY;
	send_head(x, false);
	if (n > HTTP_WRITE_MAX || x->wire->queued(x) > HTTP_WRITE_MAX - n) {
		break_response(x);
		return -ENOBUFS;
	}
	x->written += (int64_t)n;
	if (!x->no_body && x->length >= 0 && x->written > x->length) {
		break_response(x);
		return -EPIPE;
	}
	if (n && !x->no_body) x->wire->data(x, p, n);
	conn_wake(x->conn);
	size_t queued = x->wire->queued(x);
	if (queued > HTTP_WRITE_LOW) x->above = true;
	return (int)queued;
}

void http_on_drain(HttpExchange *x, void (*fn)(void *arg, HttpExchange *x), void *arg)
{
	x->drain_fn = fn;
	x->drain_arg = arg;
}

void exchange_check_drain(HttpExchange *x)
{
	bool low = x->above && x->wire->queued(x) <= HTTP_WRITE_LOW;
	bool sent = x->file_sent && x->wire->queued(x) == 0;
	if (x->finished || x->gone || x->conn->broken || !(low || sent)) return;
	x->above = x->file_sent = false;
	if (x->drain_fn) x->drain_fn(x->drain_arg, x);
}

void http_send_file(HttpExchange *x, int fd, int64_t off, int64_t n)
{
	AUTO_FD int own = fd;
	if (x->gone || x->finished || n < 0 || off < 0) return;
	send_head(x, false);
	x->written += n;
	if (x->no_body || !n) {
		x->file_sent = true;
	} else if (x->file_left || (x->length >= 0 && x->written > x->length)) {
		break_response(x);
	} else {
		fd_close(x->file);
		x->file = take_fd(own);
		x->file_at = off;
		x->file_left = n;
		x->wire->data(x, NULL, 0);
	}
	conn_wake(x->conn);
}

void http_finish(HttpExchange *x)
{
	assert(x->magic == HTTP_EXCHANGE_MAGIC && !x->finished);
	if (!x->gone) send_head(x, true);
	x->finished = true;
	x->body_fn = NULL;
	if (x->gone) return;
	if (!x->no_body && x->length >= 0 && x->written != x->length)
		x->wire->reset(x);
	else
		x->wire->end(x);
	conn_wake(x->conn);
}

void http_abort(HttpExchange *x)
{
	assert(!x->finished);
	if (!x->gone && !x->head_sent) {
		exchange_refuse(x, 500);
		return;
	}
	x->finished = true;
	x->body_fn = NULL;
	if (!x->gone) break_response(x);
}

void http_on_abort(HttpExchange *x, void (*fn)(void *arg, HttpExchange *x), void *arg)
{
	x->abort_fn = fn;
	x->abort_arg = arg;
}

void http_reply_text(HttpExchange *x, int status, const char *content_type, const void *p, size_t n)
{
	http_reply(x, status);
	if (content_type) (void)http_reply_header(x, "Content-Type", content_type);
	http_reply_length(x, (int64_t)n);
	(void)http_write(x, p, n);
	http_finish(x);
}

void http_error(HttpExchange *x, const Err *e)
{
	const char *line = arena_printf(&x->arena, "%s\n", e->msg), *text = line ? line : "";
	http_reply_text(x, err_http_status(e->code), "text/plain; charset=utf-8", text, strlen(text));
}
