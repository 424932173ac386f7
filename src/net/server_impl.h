/* server_impl.h: between the files of the server: connections, exchanges, and what differs by protocol.
 *
 * A connection does its work in conn_run(), and only there: reading, parsing, calling handlers, writing. What handlers call only changes
 * state and asks for another run (conn_wake). So an exchange or a connection is freed at one place, never below a caller who still
 * holds it. Input is read into the server's one buffer and looked at in place (conn->view); only what is left at the end of a
 * run is copied to the connection. That keeps an idle connection at the size of its struct.
 */
#pragma once

#include "base/buf.h"
#include "net/http1.h"
#include "net/server.h"
#include "net/tls.h"

enum { HTTP_SCRATCH = 128 << 10, HTTP_REPLY_FIELDS_MAX = 64, HTTP_OUT_FILL = 128 << 10 };
enum { HTTP_CONN_MAGIC = 0x48436f6e, HTTP_EXCHANGE_MAGIC = 0x48457863, HTTP_SERVER_MAGIC = 0x48537276 };

typedef struct HttpConn HttpConn;
typedef struct Http2 Http2;

/* HttpQueue: bytes that leave at the front. */
typedef struct HttpQueue {
	Buf b;
	size_t at;
} HttpQueue;

static inline size_t http_queue_size(const HttpQueue *q)
{
	return q->b.n - q->at;
}
void http_queue_take(HttpQueue *q, size_t n); /* drops the first n bytes; frees an empty queue's memory */

/* HttpWire: how an exchange's response gets on the wire; one for each protocol. */
typedef struct HttpWire {
	void (*head)(HttpExchange *x, bool end); /* the response head; end: no body follows */
	void (*data)(HttpExchange *x, const void *p, size_t n);
	void (*end)(HttpExchange *x);    /* after the last data */
	void (*reset)(HttpExchange *x);  /* a broken response, visibly */
	void (*go_on)(HttpExchange *x);  /* 100 Continue */
	void (*wanted)(HttpExchange *x); /* the body is wanted, or wanted again */
	size_t (*queued)(const HttpExchange *x);
} HttpWire;

extern const HttpWire http1_wire, http2_wire;

struct HttpExchange {
	uint32_t magic;
	HttpConn *conn;
	const HttpWire *wire;
	HttpExchange *prev, *next;
	Arena arena;
	int version;
	/* the request */
	const char *method, *target, *path, *query, *peer;
	HttpFields fields;
	Str host;
	int64_t body_length;
	/* its body */
	HttpBodyFn *body_fn;
	HttpRoomFn *room_fn;
	void *body_arg;
	bool body_asked, body_paused, body_ended; /* ended: fn has seen the end */
	bool expect, received;                    /* 100-continue is owed; something of the body came */
	/* the response */
	int status, file;
	HttpFields reply;
	int64_t length, written, file_at, file_left;
	bool is_head, no_body, chunked, bad, head_sent, finished, gone, above, file_sent;
	void (*drain_fn)(void *arg, HttpExchange *x);
	void (*abort_fn)(void *arg, HttpExchange *x);
	void *drain_arg, *abort_arg, *data;
	/* HTTP/2: its stream, what waits to be framed, what came and was not wanted yet */
	int32_t stream;
	HttpQueue out;
	Buf stash;
	size_t head_size, dropped, unconsumed;
	bool expects, end_sent; /* no body before leave is given; all of the response is framed */
	bool stash_ended, too_large, started;
};

struct HttpStream {
	HttpConn *conn;
	const HttpStreamFns *fns;
	void *arg;
	bool paused, ended, shut, shut_done, above, told;
};

typedef enum { CONN_HANDSHAKE, CONN_NEW, CONN_HTTP1, CONN_HTTP2, CONN_STREAM, CONN_LINGER } HttpConnMode;

struct HttpConn {
	uint32_t magic;
	HttpServer *server;
	HttpConn *prev, *next;
	int fd;
	HttpConnMode mode;
	int broken;                    /* negative errno: to be destroyed at the end of the run */
	bool running, again, yield;    /* in a run; one more pass; the rest in the next turn */
	bool readable, blocked;        /* worth a read; not worth a write */
	bool eof, hangup, hangup_seen; /* read to the end; gone, as far as can be told; said so once */
	bool closing, linger;          /* to be closed once out is sent; after that, wait for the client's end */
	bool keep_alive, crlf_seen, is_unix;
	Tls *tls;
	LoopFd watch;
	LoopTimer timer;
	LoopDefer turn;
	int64_t deadline, armed, since, progress; /* since: this mode or request; progress: last byte either way */
	HttpQueue out;
	Buf in;   /* read and not consumed, between runs */
	Str view; /* the same while running, within in or the server's buffer */
	HttpExchange *exchanges;
	/* HTTP/1 */
	Http1Body body;
	size_t head_at;
	int64_t dropped; /* bytes of a body that nobody asked for */
	Http2 *h2;
	HttpStream stream;
};

typedef struct HttpListener HttpListener;

struct HttpServer {
	uint32_t magic;
	Loop *loop;
	HttpServerOptions o;
	char *name;
	HttpListener *listeners;
	HttpConn *conns;
	unsigned conns_n;
	bool stopping, accepting, freeing;
	LoopTimer retry;
	LoopDefer stopped;
	int64_t date_at;
	char date[HTTP_DATE_LEN + 1];
	Err err; /* of the request that is being parsed */
	char scratch[HTTP_SCRATCH];
};

/* server.c */
const char *server_date(HttpServer *s);
void server_conn_gone(HttpServer *s); /* after a connection was unlinked and freed */

/* conn.c */
int conn_new(HttpServer *s, int fd, bool is_unix, TlsContext *tls, const void *early, size_t n) MUST_USE; /* owns fd */
void conn_wake(HttpConn *c);
void conn_break(HttpConn *c, int error);
void conn_close_soon(HttpConn *c, bool linger);
void conn_destroy(HttpConn *c);
void conn_take_view(HttpConn *c, size_t n);
bool conn_is_idle(const HttpConn *c);

/* conn_http1.c, http2.c, stream.c: run handles c->view; wants_read: more input is wanted. */
void http1_run(HttpConn *c);
bool http1_wants_read(const HttpConn *c);
char *http1_place(const HttpConn *c, char *otherwise, size_t *room); /* where the next bytes are wanted, and how many */
void http1_expire(HttpConn *c);
bool http1_fill(HttpConn *c); /* tops up out from a file, where sendfile(2) cannot; true: there is more */
int http2_begin(HttpConn *c) MUST_USE;
void http2_run(HttpConn *c);
bool http2_fill(HttpConn *c); /* tops up out; true: there may be more */
void http2_goaway(HttpConn *c);
int64_t http2_deadline(const HttpConn *c);
void http2_free(Http2 *h);
void stream_run(HttpConn *c);
void stream_flushed(HttpConn *c);
void stream_closed(HttpConn *c);

/* exchange.c */
HttpExchange *exchange_new(HttpConn *c, const HttpWire *wire, int version);
int exchange_set_target(HttpExchange *x, Str target, Err *e) MUST_USE; /* 0 or the status to answer with */
void exchange_start(HttpExchange *x);
void exchange_refuse(HttpExchange *x, int status);                        /* instead of handle() */
int exchange_deliver(HttpExchange *x, const void *p, size_t n, bool end); /* a piece of the body; false: not wanted any more */
void exchange_check_drain(HttpExchange *x);
void exchange_abort(HttpExchange *x, int error); /* calls back unless finished; frees */
void exchange_free(HttpExchange *x);
void exchange_file_moved(HttpExchange *x, int64_t n); /* bytes of its file went out */
bool exchange_is_sent(const HttpExchange *x);         /* finished, and its file too */
