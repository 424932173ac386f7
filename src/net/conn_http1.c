/* conn_http1.c: HTTP/1 on a connection: one exchange at a time, requests that were sent ahead wait. See server_impl.h. */
#include <unistd.h>

#include "net/server_impl.h"

/* ---- output ---- */

static bool needs_close(const HttpExchange *x)
{
	const HttpConn *c = x->conn;
	if (!c->keep_alive || c->server->stopping) return true;
	if (http1_body_ended(&c->body) || x->body_fn) return false;
	/* a body nobody wants: it is read when that is cheap, and not when the client waits for leave to send it */
	return (x->expect && !x->received) || x->body_length > HTTP_DRAIN_MAX;
}

static void put_head(HttpExchange *x, Buf *b)
{
	HttpServer *s = x->conn->server;
	http1_put_status(b, x->status);
	buf_put(b, "Date: ", 6);
	buf_put(b, server_date(s), HTTP_DATE_LEN);
	buf_put(b, "\r\n", 2);
	if (s->name) http1_put_field(b, STR("Server"), str_of(s->name));
	for (size_t i = 0; i < x->reply.n; i++)
		http1_put_field(b, x->reply.items[i].name, x->reply.items[i].value);
}

static void head(HttpExchange *x, bool end)
{
	HttpConn *c = x->conn;
	Buf *b = &c->out.b;
	if (needs_close(x)) c->keep_alive = false;
	put_head(x, b);
	if (x->length >= 0 && x->status != 204) {
		http1_put_length(b, x->length);
	} else if (!x->no_body && x->version == 11) {
		x->chunked = true;
		buf_puts(b, "Transfer-Encoding: chunked\r\n");
	} else if (!x->no_body) {
		c->keep_alive = false;
	}
	if (!c->keep_alive)
		buf_puts(b, "Connection: close\r\n");
	else if (x->version == 10)
		buf_puts(b, "Connection: keep-alive\r\n");
	buf_put(b, "\r\n", 2);
}

static void data(HttpExchange *x, const void *p, size_t n)
{
	Buf *b = &x->conn->out.b;
	if (x->chunked && x->file_left) {
		buf_printf(b, "%llx\r\n", (unsigned long long)x->file_left); /* the file is one chunk */
	} else if (x->chunked) {
		http1_put_chunk(b, p, n);
	} else if (n) {
		buf_put(b, p, n);
	}
}

static void end(HttpExchange *x)
{
	(void)x; /* http1_run goes on when the file is sent, too */
}

static void reset(HttpExchange *x)
{
	conn_close_soon(x->conn, false);
	x->file_left = 0;
	x->bad = true;
}

static void go_on(HttpExchange *x)
{
	buf_puts(&x->conn->out.b, "HTTP/1.1 100 Continue\r\n\r\n");
}

static void wanted(HttpExchange *x)
{
	(void)x; /* http1_run delivers */
}

static size_t queued(const HttpExchange *x)
{
	return http_queue_size(&x->conn->out);
}

const HttpWire http1_wire = { head, data, end, reset, go_on, wanted, queued };

bool http1_fill(HttpConn *c)
{
	HttpExchange *x = c->exchanges;
	if (!x || !x->file_left) return false;
	if (http_queue_size(&c->out) >= HTTP_OUT_FILL / 2) return true;
	size_t n = x->file_left < HTTP_OUT_FILL ? (size_t)x->file_left : HTTP_OUT_FILL;
	char *to = buf_reserve(&c->out.b, n);
	ssize_t k = to ? TEMP_FAILURE_RETRY(pread(x->file, to, n, x->file_at)) : -1;
	if (k <= 0) {
		conn_break(c, -EIO); /* also when the file is shorter than was promised */
		return false;
	}
	buf_advance(&c->out.b, (size_t)k);
	exchange_file_moved(x, k);
	return x->file_left;
}

/* ---- input ---- */

static void refuse(HttpConn *c, HttpExchange *x, int status)
{
	c->keep_alive = false;
	http1_body_init(&c->body, HTTP1_NONE, 0);
	exchange_refuse(x, status);
	conn_close_soon(c, true);
}

static HttpExchange *new_exchange(HttpConn *c)
{
	HttpExchange *x = exchange_new(c, &http1_wire, 11);
	if (!x) {
		conn_break(c, -ENOMEM);
		return NULL;
	}
	x->method = x->target = x->path = x->query = "";
	return x;
}

static int parse(HttpExchange *x, Str text, Http1Request *q)
{
	HttpConn *c = x->conn;
	char *copy = arena_str(&x->arena, text);
	if (!copy) return 500;
	int r = http1_request_parse((Str){ copy, text.n }, HTTP_FIELDS_MAX, &x->arena, q, &c->server->err);
	if (r) return r;
	x->version = 10 + q->minor;
	x->fields = q->fields;
	x->host = q->host;
	x->expect = q->expect_continue;
	x->body_length = q->framing == HTTP1_CHUNKED ? -1 : q->framing == HTTP1_LENGTH ? q->length : 0;
	char *method = arena_str(&x->arena, q->method);
	if (!method) return 500;
	x->method = method;
	return exchange_set_target(x, q->target, &c->server->err);
}

static void begin(HttpConn *c, size_t n)
{
	Http1Request q = { 0 };
	HttpExchange *x = new_exchange(c);
	if (!x) return;
	int r = parse(x, (Str){ c->view.p, n }, &q);
	conn_take_view(c, n);
	c->head_at = 0;
	c->crlf_seen = false;
	c->since = 0;
	if (r) {
		refuse(c, x, r);
		return;
	}
	c->keep_alive = q.keep_alive;
	c->dropped = 0;
	http1_body_init(&c->body, q.framing, q.length);
	exchange_start(x);
}

static void refuse_head(HttpConn *c, int status)
{
	HttpExchange *x = new_exchange(c);
	if (!x) return;
	conn_take_view(c, c->view.n);
	refuse(c, x, status);
}

/* True when a request was begun or refused. */
static bool read_head(HttpConn *c)
{
	size_t max = c->server->o.max_header;
	if (!c->view.n || http_queue_size(&c->out) > HTTP_WRITE_LOW) return false;
	if (!c->crlf_seen && c->view.p[0] == '\r') { /* RFC 9112 2.2: one empty line before a request */
		if (c->view.n < 2) return false;
		c->crlf_seen = true;
		if (c->view.p[1] == '\n') conn_take_view(c, 2);
		if (!c->view.n) return false;
	}
	if (!c->since) c->since = loop_now(c->server->loop);
	ssize_t n = http1_head_find(c->view.p, c->view.n < max ? c->view.n : max, &c->head_at);
	if (n > 0)
		begin(c, (size_t)n);
	else if (n < 0 || c->view.n >= max)
		refuse_head(c, n < 0 ? 400 : 431);
	return n || c->view.n >= max;
}

static void deliver(HttpConn *c, HttpExchange *x)
{
	while (x->body_fn && !x->body_paused && !x->body_ended && !c->broken && !c->closing) {
		Str piece = { 0 };
		if (http1_body_ended(&c->body)) {
			(void)exchange_deliver(x, NULL, 0, true);
			return;
		}
		if (!c->view.n) return;
		ssize_t n = http1_body_read(&c->body, c->view.p, c->view.n, &piece);
		if (n < 0) {
			conn_break(c, (int)n);
			return;
		}
		conn_take_view(c, (size_t)n);
		bool ended = http1_body_ended(&c->body);
		if (piece.n || ended) (void)exchange_deliver(x, piece.p, piece.n, ended);
	}
}

/* What is left of a body after its response. */
static void drop_body(HttpConn *c)
{
	while (c->view.n && !http1_body_ended(&c->body)) {
		Str piece;
		ssize_t n = http1_body_read(&c->body, c->view.p, c->view.n, &piece);
		if (n < 0) {
			conn_close_soon(c, true);
			return;
		}
		c->dropped += n;
		conn_take_view(c, (size_t)n);
		if (c->dropped > HTTP_DRAIN_MAX) {
			conn_close_soon(c, true);
			return;
		}
	}
}

static void end_exchange(HttpConn *c, HttpExchange *x)
{
	bool expected = x->expect;
	if (x->chunked && !x->bad) http1_put_last_chunk(&c->out.b);
	exchange_free(x);
	c->since = 0;
	c->progress = loop_now(c->server->loop);
	if (!http1_body_ended(&c->body)) c->since = c->progress;
	if (!c->keep_alive || c->server->stopping) conn_close_soon(c, expected || !http1_body_ended(&c->body) || c->view.n || c->readable);
}

void http1_run(HttpConn *c)
{
	while (!c->broken && c->mode == CONN_HTTP1) {
		HttpExchange *x = c->exchanges;
		if (x) {
			deliver(c, x);
			if (c->mode != CONN_HTTP1 || !exchange_is_sent(x)) return;
			end_exchange(c, x);
		} else if (c->closing) {
			return;
		} else if (!http1_body_ended(&c->body)) {
			drop_body(c);
			if (!http1_body_ended(&c->body)) return;
			c->since = 0;
		} else if (!read_head(c)) {
			return;
		}
	}
}

bool http1_wants_read(const HttpConn *c)
{
	const HttpExchange *x = c->exchanges;
	if (!x) return http_queue_size(&c->out) <= HTTP_WRITE_LOW;
	return x->body_fn && !x->body_paused && !x->body_ended && !http1_body_ended(&c->body);
}

/* Chunks have their framing in between, which is not for the handler. */
char *http1_place(const HttpConn *c, char *otherwise, size_t *room)
{
	const HttpExchange *x = c->exchanges;
	if (!x || !x->room_fn || !http1_wants_read(c) || c->body.framing != HTTP1_LENGTH) return otherwise;
	char *to = x->room_fn(x->body_arg, room);
	if (to && *room > c->body.left) *room = (size_t)c->body.left;
	return to ? to : otherwise;
}

void http1_expire(HttpConn *c)
{
	if (c->exchanges || !http1_body_ended(&c->body) || !c->in.n) {
		conn_break(c, -ETIMEDOUT);
		return;
	}
	c->view = (Str){ 0 };
	buf_done(&c->in);
	refuse_head(c, 408);
}
