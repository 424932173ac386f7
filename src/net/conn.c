/* conn.c: a connection: what is read and written when, its deadlines and its end. See server_impl.h. */
#include <assert.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/server_impl.h"
#include "sys/fd.h"

enum { PASSES_PER_RUN = 16, LINGER_MAX = 16 << 20, SENDFILE_MAX = 1 << 20, FILES_PER_RUN = 4 };
static const int64_t linger_time = INT64_C(2000000000);
#define NEVER INT64_MAX

void http_queue_take(HttpQueue *q, size_t n)
{
	q->at += n;
	if (q->at == q->b.n) {
		buf_done(&q->b);
		q->at = 0;
	} else if (q->at > q->b.n / 2) {
		buf_consume(&q->b, q->at);
		q->at = 0;
	}
}

/* ---- the end ---- */

void conn_break(HttpConn *c, int error)
{
	if (!c->broken) c->broken = error;
	conn_wake(c);
}

void conn_close_soon(HttpConn *c, bool linger)
{
	c->closing = true;
	c->linger |= linger;
	conn_wake(c);
}

void conn_destroy(HttpConn *c)
{
	HttpServer *s = c->server;
	assert(c->magic == HTTP_CONN_MAGIC && !c->running);
	if (!c->broken) c->broken = -ECONNRESET;
	c->running = true; /* what is called now cannot wake it */
	while (c->exchanges)
		exchange_abort(c->exchanges, c->broken);
	if (c->mode == CONN_STREAM) stream_closed(c);
	loop_defer_cancel(&c->turn);
	loop_timer_cancel(&c->timer);
	loop_fd_remove(&c->watch);
	http2_free(c->h2);
	tls_free(c->tls);
	fd_close(c->fd);
	buf_done(&c->out.b);
	buf_done(&c->in);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next) c->next->prev = c->prev;
	c->magic = 0;
	free(c);
	server_conn_gone(s);
}

/* ---- input ---- */

void conn_take_view(HttpConn *c, size_t n)
{
	c->view.p += n;
	c->view.n -= n;
}

static ssize_t read_some(HttpConn *c, void *p, size_t n)
{
	if (c->tls) return tls_read(c->tls, p, n);
	ssize_t k = TEMP_FAILURE_RETRY(recv(c->fd, p, n, 0));
	return k < 0 ? -errno : k;
}

/* Reads behind what is left of the view. False: nothing came, for now or for ever. */
static bool fill_view(HttpConn *c)
{
	char *to = c->server->scratch;
	size_t room = HTTP_SCRATCH;
	if (!c->readable || c->eof) return false;
	if (!c->view.n) {
		buf_done(&c->in);
		if (c->mode == CONN_HTTP1) to = http1_place(c, to, &room);
	} else { /* an unfinished head: the parser has a ceiling for it */
		if (!c->in.n) {
			buf_put(&c->in, c->view.p, c->view.n);
		} else if (c->view.n < c->in.n) {
			buf_consume(&c->in, c->in.n - c->view.n);
		}
		room = 4096;
		to = buf_reserve(&c->in, room);
		if (!to) {
			conn_break(c, -ENOMEM);
			return false;
		}
		c->view.p = c->in.p;
	}
	ssize_t n = read_some(c, to, room);
	if (n > 0) {
		if (c->view.n)
			buf_advance(&c->in, (size_t)n);
		else
			c->view.p = to;
		c->view.n += (size_t)n;
		if (!c->tls && (size_t)n < room) c->readable = false; /* the socket is empty; epoll tells when it is not */
		c->progress = loop_now(c->server->loop);
		return true;
	}
	if (n == -EAGAIN)
		c->readable = false;
	else if (n == 0)
		c->eof = true;
	else
		conn_break(c, (int)n);
	return false;
}

/* Moves what is left of the view where it survives the run. */
static void keep_view(HttpConn *c)
{
	if (!c->view.n) {
		buf_done(&c->in);
	} else if (c->in.n) {
		buf_consume(&c->in, c->in.n - c->view.n);
	} else {
		buf_put(&c->in, c->view.p, c->view.n);
	}
	if (buf_failed(&c->in)) conn_break(c, -ENOMEM);
	c->view = (Str){ 0 };
}

/* ---- output ---- */

static ssize_t write_some(HttpConn *c, const void *p, size_t n)
{
	if (c->tls) return tls_write(c->tls, p, n);
	ssize_t k = TEMP_FAILURE_RETRY(send(c->fd, p, n, MSG_NOSIGNAL));
	return k < 0 ? -errno : k;
}

/* True when a write of n (or -errno) has moved something. */
static bool wrote(HttpConn *c, ssize_t n)
{
	c->blocked = n == -EAGAIN;
	if (n < 0 && !c->blocked)
		conn_break(c, (int)n);
	else
		c->progress = loop_now(c->server->loop); /* blocked: what waits now may wait as long as anything */
	return n > 0;
}

static void flush_queue(HttpConn *c)
{
	while (http_queue_size(&c->out) && !c->blocked && !c->broken) {
		ssize_t n = write_some(c, c->out.b.p + c->out.at, http_queue_size(&c->out));
		if (!wrote(c, n)) return;
		http_queue_take(&c->out, (size_t)n);
	}
}

/* The file of an HTTP/1 exchange on a plain socket. */
static void flush_file(HttpConn *c)
{
	HttpExchange *x = c->exchanges;
	if (c->tls || c->mode != CONN_HTTP1) return;
	for (int i = 0; x && x->file_left && !http_queue_size(&c->out) && !c->blocked && !c->broken; i++) {
		if (i == FILES_PER_RUN) {
			c->yield = true; /* others first */
			return;
		}
		off_t at = x->file_at;
		ssize_t n = sendfile(c->fd, x->file, &at, x->file_left < SENDFILE_MAX ? (size_t)x->file_left : SENDFILE_MAX);
		if (n < 0 && errno == EINTR) continue;
		if (n == 0) conn_break(c, -EIO); /* the file is shorter than was promised */
		if (!wrote(c, n < 0 ? -errno : n)) return;
		exchange_file_moved(x, n);
	}
}

static void conn_flush(HttpConn *c)
{
	bool more = false;
	if (c->broken) return;
	if (c->mode == CONN_HTTP2) more = http2_fill(c);
	if (c->mode == CONN_HTTP1 && c->tls) more = http1_fill(c);
	flush_queue(c);
	flush_file(c);
	if (buf_failed(&c->out.b)) conn_break(c, -ENOBUFS);
	if (more && !http_queue_size(&c->out)) c->again = true;
	for (HttpExchange *x = c->exchanges, *next; x; x = next) {
		next = x->next;
		exchange_check_drain(x);
	}
	if (c->mode == CONN_STREAM) stream_flushed(c);
}

/* ---- deadlines ---- */

static void timer_fired(void *arg);

static void set_deadline(HttpConn *c, int64_t at)
{
	c->deadline = at;
	if (at == NEVER || (c->armed && c->armed <= at)) return; /* it fires early, and looks again */
	c->armed = at;
	loop_timer_set(c->server->loop, &c->timer, at, timer_fired, c);
}

bool conn_is_idle(const HttpConn *c)
{
	return !c->exchanges && !http_queue_size(&c->out) && (c->mode == CONN_HTTP1 || c->mode == CONN_HTTP2 || c->mode == CONN_NEW) &&
	       !c->in.n && (c->mode != CONN_HTTP1 || http1_body_ended(&c->body));
}

static int64_t find_deadline(const HttpConn *c)
{
	const HttpServerOptions *o = &c->server->o;
	if (http_queue_size(&c->out) || (c->blocked && c->exchanges && c->exchanges->file_left)) return c->progress + o->body_timeout;
	switch (c->mode) {
	case CONN_HANDSHAKE:
	case CONN_NEW:
		return c->since + o->header_timeout;
	case CONN_LINGER:
		return c->since + linger_time;
	case CONN_STREAM:
		return NEVER;
	case CONN_HTTP2:
		return http2_deadline(c);
	default:
		break;
	}
	if (c->exchanges) return http1_wants_read(c) ? c->progress + o->body_timeout : NEVER;
	if (!http1_body_ended(&c->body)) return c->since + o->body_timeout; /* dropping a body, limited in bytes and time */
	return c->in.n ? c->since + o->header_timeout : c->progress + o->idle_timeout;
}

static void conn_run(HttpConn *c);

static void timer_fired(void *arg)
{
	HttpConn *c = arg;
	c->armed = 0;
	if (c->deadline == NEVER) return;
	if (c->deadline > loop_now(c->server->loop)) {
		set_deadline(c, c->deadline);
		return;
	}
	bool stuck = http_queue_size(&c->out) > 0;
	if (c->mode == CONN_HTTP1 && !stuck)
		http1_expire(c);
	else if (c->mode == CONN_HTTP2 && !stuck && !c->exchanges && !c->closing)
		http2_goaway(c);
	else
		conn_break(c, -ETIMEDOUT);
	conn_run(c);
}

/* ---- the run ---- */

static bool wants_read(const HttpConn *c)
{
	if (c->eof || c->broken) return false;
	switch (c->mode) {
	case CONN_HTTP1:
		return !c->closing && http1_wants_read(c);
	case CONN_STREAM:
		return !c->stream.paused && !c->closing;
	case CONN_HTTP2:
		return !c->closing;
	default:
		return true;
	}
}

static void watch_again(HttpConn *c)
{
	uint32_t events = 0;
	bool unsent = http_queue_size(&c->out) || (c->mode == CONN_HTTP1 && c->exchanges && c->exchanges->file_left);
	if (wants_read(c))
		events |= EPOLLIN;
	else if (!c->eof && !c->hangup_seen)
		events |= EPOLLRDHUP;
	if (unsent || (c->tls && tls_wants_write(c->tls))) events |= EPOLLOUT;
	/* EPOLLERR and EPOLLHUP come with any event; urgent data is not expected from anybody */
	int r = loop_fd_events(&c->watch, events ? events : EPOLLPRI);
	if (r < 0) conn_break(c, r);
}

static void run_handshake(HttpConn *c)
{
	int r = tls_handshake(c->tls);
	if (r == -EAGAIN) {
		c->readable = false;
		return;
	}
	if (r == 0 && tls_is_h2(c->tls)) r = http2_begin(c);
	if (r < 0)
		conn_break(c, r);
	else if (c->mode == CONN_HANDSHAKE)
		c->mode = CONN_NEW;
	c->readable = true;
}

/* HTTP/1 or HTTP/2 with prior knowledge (RFC 9113 3.3): the first bytes tell. */
static void run_new(HttpConn *c)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	size_t n = c->view.n < sizeof preface - 1 ? c->view.n : sizeof preface - 1;
	if (!n) return;
	if (memcmp(c->view.p, preface, n) != 0) {
		c->mode = CONN_HTTP1;
		http1_body_init(&c->body, HTTP1_NONE, 0);
	} else if (n == sizeof preface - 1) {
		int r = http2_begin(c);
		if (r < 0) conn_break(c, r);
	}
}

static void run_linger(HttpConn *c)
{
	c->dropped += (int64_t)c->view.n;
	conn_take_view(c, c->view.n);
	if (c->eof || c->dropped > LINGER_MAX) conn_break(c, -ECONNRESET);
}

static void run_mode(HttpConn *c)
{
	if (c->mode == CONN_HANDSHAKE && !c->broken) run_handshake(c);
	if (c->mode == CONN_NEW && !c->broken) run_new(c);
	if (c->mode == CONN_HTTP1 && !c->broken) http1_run(c);
	if (c->mode == CONN_HTTP2 && !c->broken) http2_run(c);
	if (c->mode == CONN_STREAM && !c->broken) stream_run(c);
	if (c->mode == CONN_LINGER && !c->broken) run_linger(c);
}

/* All is sent on a connection that is to be closed. */
static void end_closing(HttpConn *c)
{
	if (c->tls) tls_goodbye(c->tls);
	if (c->linger && !c->eof && shutdown(c->fd, SHUT_WR) == 0) {
		c->mode = CONN_LINGER; /* closing with unread input would make the kernel take back what the client has not read */
		c->closing = false;
		c->readable = true;
		c->dropped = 0;
		c->since = loop_now(c->server->loop);
		conn_wake(c);
		return;
	}
	conn_break(c, -ECONNRESET);
}

static void check_end(HttpConn *c)
{
	bool unsent = http_queue_size(&c->out) || (c->exchanges && c->exchanges->file_left);
	if (c->broken) return;
	if (c->closing && !unsent && c->mode != CONN_LINGER) {
		end_closing(c);
	} else if ((c->eof || c->hangup) && !c->closing && c->mode != CONN_STREAM) {
		/* The client is gone, or sends no more and so cannot be told from one that is gone. What is complete is still sent. */
		bool complete = c->exchanges ? c->exchanges->finished : unsent;
		c->keep_alive = false;
		if (c->mode != CONN_HTTP1 || !complete)
			conn_break(c, -ECONNRESET);
		else
			c->closing = !c->exchanges;
	}
}

static void conn_run(HttpConn *c)
{
	assert(c->magic == HTTP_CONN_MAGIC && !c->running);
	c->running = true;
	c->yield = false;
	c->view = (Str){ c->in.p, c->in.n };
	for (int passes = 0; !c->broken; passes++) {
		c->again = false;
		run_mode(c);
		conn_flush(c);
		if (passes == PASSES_PER_RUN) c->yield = true; /* more to do, after the others */
		if (c->broken || c->yield) break;
		if (c->again) continue;
		if (!wants_read(c) || !(fill_view(c) || c->eof)) break;
	}
	keep_view(c);
	check_end(c);
	if (!c->broken) watch_again(c);
	c->running = false;
	if (c->broken) {
		conn_destroy(c);
		return;
	}
	set_deadline(c, find_deadline(c));
	if (c->again || c->yield) conn_wake(c);
}

static void turn_came(void *arg)
{
	conn_run(arg);
}

void conn_wake(HttpConn *c)
{
	if (c->running)
		c->again = true;
	else
		loop_defer(c->server->loop, &c->turn, turn_came, c);
}

static void socket_ready(void *arg, uint32_t events)
{
	HttpConn *c = arg;
	if (events & EPOLLOUT) c->blocked = false;
	if (events & EPOLLIN || (c->tls && events & EPOLLOUT)) c->readable = true;
	if (events & EPOLLPRI) conn_break(c, -EPROTO);
	if (events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN)) {
		conn_break(c, -ECONNRESET);
	} else if (events & EPOLLRDHUP) {
		/* the client's end is behind a body that is still to be read: it will be found there */
		c->hangup_seen = true;
		c->hangup = c->mode != CONN_STREAM && (c->mode != CONN_HTTP1 || http1_body_ended(&c->body));
	}
	conn_run(c);
}

int conn_new(HttpServer *s, int fd, bool is_unix, TlsContext *tls, const void *early, size_t n)
{
	AUTO_FD int own = fd;
	AUTO_FREE HttpConn *c = calloc(1, sizeof *c);
	if (!c) return -ENOMEM;
	int64_t now = loop_now(s->loop);
	*c = (HttpConn){
		.magic = HTTP_CONN_MAGIC, .server = s, .fd = fd, .is_unix = is_unix, .mode = CONN_NEW, .readable = true, .keep_alive = true
	};
	c->since = c->progress = now;
	c->deadline = NEVER;
	c->out.b = BUF_INIT((size_t)HTTP_WRITE_MAX + (1 << 20));
	c->in = BUF_INIT(s->o.max_header + HTTP_SCRATCH + 4096);
	buf_put(&c->in, early, n);
	if (buf_failed(&c->in)) return -ENOMEM;
	int r = tls ? tls_accept(tls, fd, &c->tls) : 0;
	if (r == 0 && tls) c->mode = CONN_HANDSHAKE;
	if (r == 0) r = loop_fd_add(s->loop, &c->watch, fd, EPOLLIN, socket_ready, c);
	if (r < 0) {
		tls_free(c->tls);
		buf_done(&c->in);
		return r;
	}
	take_fd(own);
	c->next = s->conns;
	if (c->next) c->next->prev = c;
	s->conns = c;
	s->conns_n++;
	set_deadline(c, find_deadline(c));
	if (n) conn_wake(c);
	(void)take(c);
	return 0;
}
