/* http2.c: HTTP/2 on a connection (RFC 9113): exchanges are streams of one nghttp2 session, which frames, compresses and checks; the bytes
 * are moved by conn.c. The only user of nghttp2. See server_impl.h.
 *
 * Memory a client can make us hold: STREAMS_MAX heads of max_header, and STASH_TOTAL + CONN_WINDOW bytes of bodies that wait for their
 * handlers. Up to STASH_TOTAL the connection's window is given back at once, so that a paused stream does not stop its neighbours. A stream's
 * own window is as much as would be dropped for it, so that a client can always send that and see the response; it grows to
 * BODY_WINDOW when the body is wanted.
 */
#include <nghttp2/nghttp2.h>
#include <unistd.h>

#include "net/server_impl.h"

enum { STREAMS_MAX = 128, BODY_WINDOW = 1 << 20, CONN_WINDOW = 4 << 20, STASH_TOTAL = 4 << 20, STASH_MAX = 2 << 20, FIELD_OVERHEAD = 32 };

struct Http2 {
	nghttp2_session *session;
	int64_t moved;            /* when something other than bookkeeping last happened: pings do not keep a connection alive */
	size_t stashed, withheld; /* bytes in stashes; of these, not given back to the connection's window */
	bool leaving;
};

static void note_move(HttpConn *c)
{
	c->h2->moved = loop_now(c->server->loop);
}

static HttpExchange *find_exchange(nghttp2_session *session, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(session, stream);
}

static void resume(HttpExchange *x)
{
	/* fails when nothing is deferred, or the stream has ended: then there is nothing to resume */
	nghttp2_session_resume_data(x->conn->h2->session, x->stream);
}

/* ---- output ---- */

static ssize_t read_file(HttpExchange *x, uint8_t *to, size_t room)
{
	size_t n = x->file_left < (int64_t)room ? (size_t)x->file_left : room;
	ssize_t k = TEMP_FAILURE_RETRY(pread(x->file, to, n, x->file_at));
	if (k <= 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* also when the file is shorter than was promised */
	exchange_file_moved(x, k);
	return k;
}

/* nghttp2 asks for the next piece of a response body. */
static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room, uint32_t *flags, nghttp2_data_source *source,
			 void *arg)
{
	HttpExchange *x = source->ptr;
	size_t n = http_queue_size(&x->out);
	(void)session;
	(void)stream;
	note_move(arg);
	if (n) {
		if (n > room) n = room;
		memcpy(to, x->out.b.p + x->out.at, n);
		http_queue_take(&x->out, n);
	} else if (x->file_left) {
		ssize_t k = read_file(x, to, room);
		if (k < 0) return k;
		n = (size_t)k;
	} else if (!x->finished) {
		return NGHTTP2_ERR_DEFERRED;
	}
	if (x->finished && !x->file_left && !http_queue_size(&x->out)) *flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static nghttp2_nv pair(Str name, Str value)
{
	return (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name.p, .namelen = name.n, .value = (uint8_t *)(uintptr_t)value.p, .valuelen = value.n
	};
}

/* Fields that speak about an HTTP/1 connection (RFC 9113 8.2.2). */
static bool is_of_connection(Str name)
{
	return http_same(name, STR("keep-alive")) || http_same(name, STR("proxy-connection")) || http_same(name, STR("upgrade"));
}

/* Field names are lower case here (RFC 9113 8.2.1). They are copies of ours, so that is done in place. */
static void lower(Str name)
{
	char *p = (char *)(uintptr_t)name.p;
	for (size_t i = 0; i < name.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z') p[i] = (char)(p[i] + 32);
}

static void reset(HttpExchange *x)
{
	x->file_left = 0;
	if (nghttp2_submit_rst_stream(x->conn->h2->session, NGHTTP2_FLAG_NONE, x->stream, NGHTTP2_INTERNAL_ERROR) < 0)
		conn_break(x->conn, -ENOMEM);
}

static void head(HttpExchange *x, bool end)
{
	HttpServer *s = x->conn->server;
	nghttp2_nv fields[HTTP_REPLY_FIELDS_MAX + 4];
	char status[12], length[24];
	size_t n = 0;
	int k = snprintf(status, sizeof status, "%d", x->status);
	fields[n++] = pair(STR(":status"), (Str){ status, (size_t)k });
	fields[n++] = pair(STR("date"), (Str){ server_date(s), HTTP_DATE_LEN });
	if (s->name) fields[n++] = pair(STR("server"), str_of(s->name));
	for (size_t i = 0; i < x->reply.n; i++) {
		const HttpField *f = &x->reply.items[i];
		lower(f->name);
		if (!is_of_connection(f->name)) fields[n++] = pair(f->name, f->value);
	}
	k = snprintf(length, sizeof length, "%lld", (long long)x->length);
	if (x->length >= 0 && x->status != 204) fields[n++] = pair(STR("content-length"), (Str){ length, (size_t)k });
	nghttp2_data_provider body = { .source.ptr = x, .read_callback = read_body };
	if (nghttp2_submit_response(x->conn->h2->session, x->stream, fields, n, end ? NULL : &body) < 0) reset(x);
}

static void data(HttpExchange *x, const void *p, size_t n)
{
	if (!http_queue_size(&x->out)) note_move(x->conn);
	buf_put(&x->out.b, p, n);
	if (buf_failed(&x->out.b)) reset(x);
	resume(x);
}

static void go_on(HttpExchange *x)
{
	nghttp2_nv status = pair(STR(":status"), STR("100"));
	if (nghttp2_submit_headers(x->conn->h2->session, NGHTTP2_FLAG_NONE, x->stream, NULL, &status, 1, NULL) < 0)
		conn_break(x->conn, -ENOMEM);
}

static void wanted(HttpExchange *x)
{
	note_move(x->conn);
	if (x->stash_ended) return;
	if (nghttp2_session_set_local_window_size(x->conn->h2->session, NGHTTP2_FLAG_NONE, x->stream, BODY_WINDOW) < 0)
		conn_break(x->conn, -ENOMEM);
}

static size_t queued(const HttpExchange *x)
{
	return http_queue_size(&x->out);
}

const HttpWire http2_wire = { head, data, resume, reset, go_on, wanted, queued };

bool http2_fill(HttpConn *c)
{
	nghttp2_session *session = c->h2->session;
	while (http_queue_size(&c->out) < HTTP_OUT_FILL) {
		const uint8_t *p;
		ssize_t n = nghttp2_session_mem_send(session, &p);
		if (n < 0) conn_break(c, n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO);
		if (n > 0) buf_put(&c->out.b, p, (size_t)n);
		if (n > 0) continue;
		if (!c->closing && !nghttp2_session_want_read(session) && !nghttp2_session_want_write(session)) conn_close_soon(c, true);
		return false;
	}
	return true;
}

/* ---- input: nghttp2's callbacks ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	HttpConn *c = arg;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
	HttpExchange *x = exchange_new(c, &http2_wire, 20);
	if (!x) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	x->stream = frame->hd.stream_id;
	x->method = x->path = x->query = "";
	x->fields.max = HTTP_FIELDS_MAX;
	x->stash = BUF_INIT(STASH_MAX);
	note_move(c);
	return nghttp2_session_set_stream_user_data(session, x->stream, x);
}

static int add_field(HttpExchange *x, Str name, Str value)
{
	name.p = arena_str(&x->arena, name);
	value.p = arena_str(&x->arena, value);
	if (!name.p || !value.p) return -ENOMEM;
	if (str_eq(name, ":method")) x->method = value.p;
	if (str_eq(name, ":path")) x->target = value.p;
	if (str_eq(name, ":authority") || (str_eq(name, "host") && !x->host.p)) x->host = value;
	if (name.p[0] == ':') return 0;
	return http_fields_add(&x->fields, &x->arena, name, value);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_n, const uint8_t *value,
		     size_t value_n, uint8_t flags, void *arg)
{
	HttpConn *c = arg;
	HttpExchange *x = find_exchange(session, frame->hd.stream_id);
	(void)flags;
	if (!x || x->started) return 0; /* trailers: checked by nghttp2, used by nobody */
	x->head_size += name_n + value_n + FIELD_OVERHEAD;
	if (x->head_size > c->server->o.max_header) x->too_large = true;
	if (x->too_large) return 0;
	int r = add_field(x, (Str){ (const char *)name, name_n }, (Str){ (const char *)value, value_n });
	if (r == -E2BIG) x->too_large = true;
	return r == -ENOMEM ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

/* The length announced, -1 when there is none: nghttp2 has made sure that it is a number, and holds the client to it. */
static int64_t announced_length(const HttpExchange *x)
{
	size_t at = 0;
	int64_t n;
	const HttpField *f = http_fields_find(&x->fields, STR("content-length"), &at);
	return f && str_to_i64(f->value, &n) == 0 ? n : -1;
}

static void begin(HttpExchange *x, bool ended)
{
	size_t at = 0;
	const HttpField *expect = http_fields_find(&x->fields, STR("expect"), &at);
	int status = 0;
	x->stash_ended = ended;
	x->body_length = ended ? 0 : announced_length(x);
	x->expect = x->expects = expect && !ended && http_same(expect->value, STR("100-continue"));
	if (x->too_large)
		status = 431;
	else if (!x->target || !http_is_host(x->host))
		status = 400;
	else
		status = exchange_set_target(x, str_of(x->target), &x->conn->server->err);
	if (status)
		exchange_refuse(x, status);
	else
		exchange_start(x);
}

/* Bytes of a body wait for their handler … */
static void stash(HttpExchange *x, const uint8_t *p, size_t n)
{
	Http2 *h = x->conn->h2;
	buf_put(&x->stash, p, n);
	if (buf_failed(&x->stash)) {
		conn_break(x->conn, -ENOMEM);
		return;
	}
	h->stashed += n;
	if (h->stashed <= STASH_TOTAL)
		nghttp2_session_consume_connection(h->session, n);
	else
		h->withheld += n;
}

/* … and have been taken, or thrown away. */
static void unstash(HttpConn *c, size_t n)
{
	Http2 *h = c->h2;
	size_t back = n < h->withheld ? n : h->withheld;
	h->stashed -= n;
	h->withheld -= back;
	if (back) nghttp2_session_consume_connection(h->session, back);
}

/* What has come of a body goes to its handler, when it is ready for it. */
static void deliver(HttpExchange *x)
{
	while (x->body_fn && !x->body_paused && !x->body_ended) {
		if (x->stash.n) {
			AUTO_BUF piece = x->stash;
			x->stash = BUF_INIT(STASH_MAX);
			size_t n = piece.n;
			unstash(x->conn, n);
			(void)exchange_deliver(x, piece.p, n, false);
			nghttp2_session_consume_stream(x->conn->h2->session, x->stream, n);
		} else if (x->stash_ended) {
			(void)exchange_deliver(x, NULL, 0, true);
		} else {
			return;
		}
	}
}

/* The response was complete before its request: what is left of that is not wanted (RFC 9113 8.1). */
static int cut_short(HttpExchange *x)
{
	int r = nghttp2_submit_rst_stream(x->conn->h2->session, NGHTTP2_FLAG_NONE, x->stream, NGHTTP2_NO_ERROR);
	return r < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* A little of it is read all the same: some clients forget the response when their stream is reset. */
static int drop_data(HttpExchange *x, size_t n)
{
	x->dropped += n;
	if (x->dropped <= HTTP_DRAIN_MAX) return nghttp2_session_consume_stream(x->conn->h2->session, x->stream, n);
	return x->end_sent ? cut_short(x) : 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *p, size_t n, void *arg)
{
	HttpExchange *x = find_exchange(session, stream);
	(void)flags;
	bool wait = x && !x->finished && (x->body_fn ? x->body_paused || x->stash.n : !x->body_asked);
	if (wait) {
		x->received = true;
		stash(x, p, n);
		return 0;
	}
	nghttp2_session_consume_connection(session, n);
	if (!x) return 0;
	if (x->finished) return drop_data(x, n);
	if (x->body_asked && !x->body_fn) { /* its window stays used up: the client stops */
		x->unconsumed += n;
		return 0;
	}
	note_move(arg);
	(void)exchange_deliver(x, p, n, false);
	nghttp2_session_consume_stream(session, stream, n);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	(void)arg;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
	HttpExchange *x = find_exchange(session, frame->hd.stream_id);
	if (!x) return 0;
	if (!x->started) {
		begin(x, ended);
	} else if (ended) {
		x->stash_ended = true;
	}
	if (ended) deliver(x);
	return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	(void)arg;
	if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
	HttpExchange *x = find_exchange(session, frame->hd.stream_id);
	if (!x || x->stash_ended) return 0;
	x->end_sent = true;
	size_t held = x->stash.n + x->unconsumed;
	unstash(x->conn, x->stash.n);
	buf_done(&x->stash);
	x->dropped += held;
	if ((x->expects && !x->received) || x->dropped > HTTP_DRAIN_MAX || x->body_length > HTTP_DRAIN_MAX) return cut_short(x);
	return nghttp2_session_consume_stream(session, x->stream, held);
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
	HttpExchange *x = find_exchange(session, stream);
	(void)error;
	if (!x) return 0;
	note_move(arg);
	nghttp2_session_set_stream_user_data(session, stream, NULL);
	unstash(x->conn, x->stash.n);
	buf_done(&x->stash);
	exchange_abort(x, -ECONNRESET);
	return 0;
}

/* ---- the session ---- */

static int make_session(nghttp2_session **ret, HttpConn *c)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	if (nghttp2_session_callbacks_new(&callbacks)) return -ENOMEM;
	if (nghttp2_option_new(&option)) {
		nghttp2_session_callbacks_del(callbacks);
		return -ENOMEM;
	}
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_option_set_no_auto_window_update(option, 1);
	int r = nghttp2_session_server_new2(ret, callbacks, c, option);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return r ? -ENOMEM : 0;
}

int http2_begin(HttpConn *c)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP_DRAIN_MAX },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)c->server->o.max_header },
	};
	c->h2 = calloc(1, sizeof *c->h2);
	if (!c->h2) return -ENOMEM;
	int r = make_session(&c->h2->session, c);
	if (r < 0) return r;
	c->mode = CONN_HTTP2;
	note_move(c);
	if (nghttp2_submit_settings(c->h2->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) < 0) return -ENOMEM;
	if (nghttp2_session_set_local_window_size(c->h2->session, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW) < 0) return -ENOMEM;
	if (c->server->stopping) http2_goaway(c);
	return 0;
}

void http2_run(HttpConn *c)
{
	if (c->view.n && !c->closing) {
		ssize_t n = nghttp2_session_mem_recv(c->h2->session, (const uint8_t *)c->view.p, c->view.n);
		if (n < 0) conn_break(c, n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO);
	}
	conn_take_view(c, c->view.n);
	for (HttpExchange *x = c->exchanges, *next; x && !c->broken; x = next) {
		next = x->next;
		deliver(x);
	}
}

void http2_goaway(HttpConn *c)
{
	nghttp2_session *session = c->h2->session;
	if (c->h2->leaving) return;
	c->h2->leaving = true;
	int32_t last = nghttp2_session_get_last_proc_stream_id(session);
	if (nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) < 0) conn_break(c, -ENOMEM);
	conn_wake(c);
}

static bool is_waiting(const HttpExchange *x)
{
	bool for_body = x->body_fn && !x->body_paused && !x->body_ended && !x->stash_ended;
	bool dropping = x->finished && !x->stash_ended;
	return !x->started || for_body || dropping || http_queue_size(&x->out) || x->file_left;
}

int64_t http2_deadline(const HttpConn *c)
{
	const HttpServerOptions *o = &c->server->o;
	for (const HttpExchange *x = c->exchanges; x; x = x->next)
		if (is_waiting(x)) return c->h2->moved + (x->started ? o->body_timeout : o->header_timeout);
	return c->exchanges ? INT64_MAX : c->h2->moved + o->idle_timeout;
}

void http2_free(Http2 *h)
{
	if (!h) return;
	nghttp2_session_del(h->session);
	free(h);
}
