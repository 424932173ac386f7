/* stream.c: connections taken over by their handler. See server.h. */
#include <assert.h>
#include <sys/socket.h>

#include "net/server_impl.h"
#include "sys/fd.h"

static void put_head(HttpExchange *x, int status, const char *upgrade)
{
	HttpServer *s = x->conn->server;
	Buf *b = &x->conn->out.b;
	http1_put_status(b, status);
	if (upgrade) {
		http1_put_field(b, STR("Connection"), STR("Upgrade"));
		http1_put_field(b, STR("Upgrade"), str_of(upgrade));
	}
	if (s->name) http1_put_field(b, STR("Server"), str_of(s->name));
	for (size_t i = 0; i < x->reply.n; i++)
		http1_put_field(b, x->reply.items[i].name, x->reply.items[i].value);
	buf_put(b, "\r\n", 2);
}

int http_hijack(HttpExchange *x, int status, const char *upgrade, const HttpStreamFns *fns, void *arg, HttpStream **ret)
{
	HttpConn *c = x->conn;
	assert(fns->data && fns->closed && !x->finished && (!upgrade || http_is_token(str_of(upgrade))));
	if (x->gone || c->broken) return -EPIPE;
	if (c->mode != CONN_HTTP1) return -EOPNOTSUPP;
	if (x->head_sent || x->body_length != 0) return -EBUSY;
	if (x->bad) return -EINVAL;
	put_head(x, status, upgrade);
	if (buf_failed(&c->out.b)) return -ENOMEM;
	x->finished = true;
	x->body_fn = NULL;
	c->mode = CONN_STREAM;
	c->stream = (HttpStream){ .conn = c, .fns = fns, .arg = arg, .above = true };
	conn_wake(c);
	*ret = &c->stream;
	return 0;
}

static bool is_live(const HttpStream *s)
{
	return s->fns && !s->conn->broken && !s->conn->closing;
}

int http_stream_write(HttpStream *s, const void *p, size_t n)
{
	HttpConn *c = s->conn;
	size_t queued = http_queue_size(&c->out);
	if (!is_live(s) || s->shut) return -EPIPE;
	if (n > HTTP_WRITE_MAX || queued > HTTP_WRITE_MAX - n) {
		conn_break(c, -ENOBUFS);
		return -ENOBUFS;
	}
	buf_put(&c->out.b, p, n);
	queued = http_queue_size(&c->out);
	if (queued > HTTP_WRITE_LOW) s->above = true;
	conn_wake(c);
	return (int)queued;
}

void http_stream_pause(HttpStream *s)
{
	s->paused = true;
}

void http_stream_resume(HttpStream *s)
{
	s->paused = false;
	conn_wake(s->conn);
}

void http_stream_shutdown(HttpStream *s)
{
	s->shut = true;
	conn_wake(s->conn);
}

void http_stream_close(HttpStream *s)
{
	s->fns = NULL;
	conn_close_soon(s->conn, true);
}

int http_stream_take_fd(HttpStream *s, Buf *early, int *ret_fd)
{
	HttpConn *c = s->conn;
	if (c->tls) return -EOPNOTSUPP;
	if (!is_live(s)) return -EPIPE;
	if (http_queue_size(&c->out)) return -EAGAIN;
	const Str rest = c->running ? c->view : (Str){ c->in.p, c->in.n };
	buf_put(early, rest.p, rest.n);
	if (buf_failed(early)) return -ENOMEM;
	loop_fd_remove(&c->watch);
	*ret_fd = take_fd(c->fd);
	s->fns = NULL;
	conn_break(c, -EPIPE);
	return 0;
}

/* Input. */
void stream_run(HttpConn *c)
{
	HttpStream *s = &c->stream;
	while (c->exchanges)
		exchange_free(c->exchanges);
	if (!is_live(s)) {
		conn_take_view(c, c->view.n);
		return;
	}
	if (s->paused) return;
	if (c->view.n) {
		const Str piece = c->view;
		conn_take_view(c, c->view.n);
		s->fns->data(s->arg, s, piece.p, piece.n);
	}
	if (c->eof && !s->ended && is_live(s) && !s->paused) {
		s->ended = true;
		s->fns->data(s->arg, s, NULL, 0);
	}
}

/* Output, after some of it was sent. */
void stream_flushed(HttpConn *c)
{
	HttpStream *s = &c->stream;
	if (c->broken) return;
	if (is_live(s) && s->above && http_queue_size(&c->out) <= HTTP_WRITE_LOW) {
		/* the first call says that the head is sent, so that the socket can be taken over */
		if (http_queue_size(&c->out) && !s->told) return;
		s->above = false;
		s->told = true;
		if (s->fns->drain) s->fns->drain(s->arg, s);
	}
	if (c->broken || !s->shut || s->shut_done || http_queue_size(&c->out)) return;
	s->shut_done = true;
	if (c->tls)
		tls_goodbye(c->tls);
	else
		(void)shutdown(c->fd, SHUT_WR);
}

void stream_closed(HttpConn *c)
{
	const HttpStreamFns *fns = c->stream.fns;
	c->stream.fns = NULL;
	if (fns) fns->closed(c->stream.arg, &c->stream, c->broken);
}
