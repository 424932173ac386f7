/* server.h: HTTP/1.1 and HTTP/2 server on the event loop: TCP and unix sockets, TLS, streams both ways, hijacking.
 *
 * The life of an exchange
 *  - handle() is called once a request's head is there. Until http_finish() or the abort the HttpExchange and all strings
 *    got from it are valid; the handler may return and go on later, from any callback of the same loop.
 *  - The client may go at any time before http_finish(). Then the body function is called with an error (when it had
 *    not seen the end), then the function of http_on_abort(); when they have returned, the exchange is gone. A handler that
 *    goes on after handle() has returned must set one of the two, or it will use what was freed.
 *  - A client that has shut down its sending side while it waits for an answer counts as gone (but not on a hijacked connection): TCP
 *    cannot tell the two apart, and a handler that waits for an event must learn of it.
 *  - No function here calls handle(), an abort or a drain function of the caller's own exchange before the caller has returned to
 *    the loop. So a sequence of calls is safe whatever the client does meanwhile; calls on a broken connection do nothing.
 *
 * Bodies are pushed, with back-pressure: http_body_pause() stops reading from the client, http_write() tells how much
 * waits for it. An idle connection keeps no buffer; one that streams keeps what is queued.
 *
 * One thread: everything runs in callbacks of the server's loop.
 */
#pragma once

#include <sys/socket.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "sys/loop.h"

typedef struct HttpServer HttpServer;
typedef struct HttpExchange HttpExchange;
typedef struct HttpStream HttpStream;
typedef struct TlsContext TlsContext;

enum {
	HTTP_WRITE_HIGH = 256 << 10, /* above this many queued bytes a handler should stop writing … */
	HTTP_WRITE_LOW = 64 << 10,   /* … and is called again (http_on_drain) when this many are left */
	HTTP_WRITE_MAX = 16 << 20,   /* the ceiling of the queue: -ENOBUFS, and the exchange is aborted */
	HTTP_DRAIN_MAX = 256 << 10,  /* a body nobody asked for: so much is read and dropped before the connection is closed */
	HTTP_ARENA_MAX = 8 << 20,    /* of an exchange */
	HTTP_FIELDS_MAX = 128,       /* header fields of a request: 431 */
};

typedef struct HttpServerOptions {
	const char *server_name;  /* "Server" field; NULL: none. Copied. */
	size_t max_header;        /* bytes of a request head; 0: 32 KiB. Beyond it: 431 */
	unsigned max_connections; /* 0: 10000; beyond it clients wait in the listen queue */
	int64_t header_timeout;   /* ns from the first byte (or the TLS handshake) to the end of the head; 0: 20 s */
	int64_t idle_timeout;     /* ns between two requests of a connection; 0: 120 s */
	int64_t body_timeout;     /* ns without progress while a body is wanted or written to the client; 0: 60 s */
	TlsContext *tls;          /* of TCP listeners; borrowed; NULL: plain. Unix sockets are always plain. */
	void (*handle)(void *arg, HttpExchange *x);
	void (*stopped)(void *arg); /* after http_server_stop(): the last connection is gone. May free the server. May be NULL. */
	void *arg;
} HttpServerOptions;

/* http_server_new: *o is copied. -ENOMEM. From then on the process ignores SIGPIPE, unless it handles it. */
int http_server_new(Loop *l, const HttpServerOptions *o, HttpServer **ret, Err *e) MUST_USE;

/* http_server_listen: "127.0.0.1:5000", "[::1]:5000", ":5000" (all of v6 and v4), "0.0.0.0:0", "localhost:5000" or "unix:/path". Names other than
 * localhost are not resolved. Port 0: the kernel chooses. A left-over unix socket that nobody listens on is replaced. May be called again for more. */
int http_server_listen(HttpServer *s, const char *address, Err *e) MUST_USE;

/* http_server_listen_fd: a listening stream socket, such as a service manager passes; owned from now on, also on failure. */
int http_server_listen_fd(HttpServer *s, int fd, Err *e) MUST_USE;

/* http_server_adopt: serves a connected stream socket (plain) whose first n bytes were already read. Owns fd, also on failure. */
int http_server_adopt(HttpServer *s, int fd, const void *early, size_t n) MUST_USE;

/* http_server_port: of the first TCP listener, 0 when there is none. */
int http_server_port(const HttpServer *s);
/* http_server_set_tls: of connections from now on, in the place of the one that the server has; borrowed. */
void http_server_set_tls(HttpServer *s, TlsContext *tls);

unsigned http_server_connections(const HttpServer *s);

/* http_server_stop: listeners are closed now, idle connections too, the others when their exchanges have ended, however long that
 * takes: who cannot wait sets a timer and calls http_server_free(). */
void http_server_stop(HttpServer *s);
/* http_server_free: what is left is aborted (the abort functions are called). NULL is fine. Not from a callback of an exchange. */
void http_server_free(HttpServer *s);

/* ---- request ---- */

const char *http_method(const HttpExchange *x);
/* http_target: as the client wrote it: "/v2/a%2Fb/tags/list?n=3". */
const char *http_target(const HttpExchange *x);
/* http_path: the path, decoded once ("%2F" becomes "/": compare http_target() when that matters). It starts with "/" (or is
 * "*" for OPTIONS). Refused with 400 before handle(): a malformed escape, "%00", and "." or ".." as a segment, also encoded.
 * Empty segments ("//") are kept. */
const char *http_path(const HttpExchange *x);
/* http_query: the first value of a query parameter, decoded ("+" is a blank), "" when it has none, NULL when it is absent (or the arena is full).
 * http_query_at: its value number `at`, from 0. A malformed escape or "%00" in the query was refused with 400. */
const char *http_query(HttpExchange *x, const char *name);
const char *http_query_at(HttpExchange *x, const char *name, size_t at);
/* http_query_string: raw, without "?"; "" when there is none. */
const char *http_query_string(const HttpExchange *x);
/* http_header: the value of a field, NULL when absent. The name's case does not matter. Of a repeated field the values are joined with ", "
 * (RFC 9110 5.3; "; " for Cookie). Host of HTTP/2 is its :authority. */
const char *http_header(HttpExchange *x, const char *name);
/* http_body_length: bytes of the request body; -1: not known before its end; 0: none. */
int64_t http_body_length(const HttpExchange *x);
/* http_version: 10, 11 or 20. */
int http_version(const HttpExchange *x);
/* http_arena: lives as long as the exchange; its cleanups run after the response was sent. */
Arena *http_arena(HttpExchange *x);
bool http_is_tls(const HttpExchange *x);
/* http_peer: "192.0.2.1:4711", "[2001:db8::1]:4711" or "unix". */
const char *http_peer(HttpExchange *x);
/* http_peer_cert_name: the common name of the verified client certificate, NULL without one. */
const char *http_peer_cert_name(HttpExchange *x);
/* http_peer_creds: who connected to the unix socket (SO_PEERCRED). -EOPNOTSUPP on TCP. */
int http_peer_creds(const HttpExchange *x, struct ucred *ret) MUST_USE;

/* http_set_data, http_data: a pointer of the handler's own. */
void http_set_data(HttpExchange *x, void *data);
void *http_data(const HttpExchange *x);

/* ---- request body ---- */

/* HttpBodyFn: a piece of the body. end: the last call (n may be 0). error: 0, or why there will be no more: -ECONNRESET
 * (client gone), -EBADMSG (malformed), -ETIMEDOUT; then the exchange ends, and replies are lost. Return 0 to go on, a negative number when the rest is
 * not wanted: it is treated as a body nobody asked for. */
typedef int HttpBodyFn(void *arg, HttpExchange *x, const void *p, size_t n, bool end, int error);

/* http_body: asks for the body, once, in handle() or later; answers "Expect: 100-continue". fn is called from the loop, also when there is no
 * body (n 0, end). Until it is asked for, the body is not read; when it never was, it is dropped after http_finish(): up
 * to HTTP_DRAIN_MAX, then the connection is closed. */
void http_body(HttpExchange *x, HttpBodyFn *fn, void *arg);
/* http_body_room: fn returns where the next bytes of the body are wanted, and sets how many at most (not 0); NULL: nowhere in particular. A body
 * of known length over HTTP/1.1 is read straight to that place, and p of HttpBodyFn is then that place, in the same turn; else p is elsewhere,
 * and there may be more. To be called after http_body, whose arg it gets. */
typedef void *HttpRoomFn(void *arg, size_t *ret_n);
void http_body_room(HttpExchange *x, HttpRoomFn *fn);
/* http_body_pause: no call of fn until http_body_resume(), except for an error. Allowed within fn. */
void http_body_pause(HttpExchange *x);
void http_body_resume(HttpExchange *x);

/* ---- response ---- */

/* http_reply: starts the response; status 200 to 599. Before the first byte of the body was written it may be called again: fields set so far
 * are dropped. */
void http_reply(HttpExchange *x, int status);
/* http_reply_header: adds a field. Name and value are copied. A name that is no token, a value with CR, LF or NUL, more than 64 fields, or a field the server
 * sets itself (Content-Length, Transfer-Encoding, Connection, Date, Server) is a bug of the caller: 0 or -EINVAL, and the exchange answers 500. */
int http_reply_header(HttpExchange *x, const char *name, const char *value);
int http_reply_headerf(HttpExchange *x, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* http_reply_length: how many bytes will be written; else chunked, HTTP/2 data, or up to the end of the connection for HTTP/1.0. For HEAD and 304
 * what the length would be. */
void http_reply_length(HttpExchange *x, int64_t n);
/* http_reply_begin: sends the head now, although nothing of the body was written yet (a stream that may stay silent). */
void http_reply_begin(HttpExchange *x);

/* http_write: queues a copy. Returns the bytes queued for the client (stop above HTTP_WRITE_HIGH, go on in http_on_drain), -EPIPE when the connection
 * is broken, -EBUSY while a file is being sent, -ENOBUFS. For HEAD, 204 and 304 it drops everything. Errors may be ignored: they abort the exchange. */
int http_write(HttpExchange *x, const void *p, size_t n);
/* http_on_drain: fn is called from the loop each time the queue falls to HTTP_WRITE_LOW or less after it was above, and when a file was sent. */
void http_on_drain(HttpExchange *x, void (*fn)(void *arg, HttpExchange *x), void *arg);
/* http_send_file: n bytes of a regular file from off follow what was written; sendfile(2) where possible. Owns fd. A file
 * that turns out shorter breaks the response visibly (connection closed, HTTP/2 RST_STREAM). Call http_reply_length before. */
void http_send_file(HttpExchange *x, int fd, int64_t off, int64_t n);
/* http_finish: the response is complete; x is the server's again. Fewer bytes than http_reply_length() break it visibly. */
void http_finish(HttpExchange *x);
/* http_abort: gives the response up, visibly for the client when its head was sent (else 500). x is the server's again. */
void http_abort(HttpExchange *x);
/* http_on_abort: fn is called when the client has gone before http_finish(); not after that or http_abort(). */
void http_on_abort(HttpExchange *x, void (*fn)(void *arg, HttpExchange *x), void *arg);

/* http_reply_text: status, type, length, body and http_finish in one. content_type NULL: none. */
void http_reply_text(HttpExchange *x, int status, const char *content_type, const void *p, size_t n);
/* http_error: a plain text response with the message of e and the status of its code; finishes. */
void http_error(HttpExchange *x, const Err *e);
const char *http_status_text(int status);

/* ---- hijacking: HTTP/1.1 only ---- */

/* The connection becomes a stream of bytes both ways, plain or TLS alike. Callbacks come from the loop. */
typedef struct HttpStreamFns {
	/* n bytes arrived; n 0: the client sends no more (it may still read). */
	void (*data)(void *arg, HttpStream *s, const void *p, size_t n);
	/* the queue fell to HTTP_WRITE_LOW or less after it was above; may be NULL */
	void (*drain)(void *arg, HttpStream *s);
	/* the connection is broken (-errno); s is gone after the call. Not called after http_stream_close(). */
	void (*closed)(void *arg, HttpStream *s, int error);
} HttpStreamFns;

/* http_hijack: sends "HTTP/1.1 status", with "Connection: Upgrade" and "Upgrade: upgrade" when upgrade is not NULL, and the fields set by
 * http_reply_header() since http_reply(); then the exchange is over (x is gone, as after http_finish) and *ret takes its
 * place. What the client sent behind its head is the stream's first data, called from the loop. A request with a body announced (Content-Length above 0 or
 * chunked) is refused: -EBUSY; so is HTTP/2: -EOPNOTSUPP. x is still the caller's then. */
int http_hijack(HttpExchange *x, int status, const char *upgrade, const HttpStreamFns *fns, void *arg, HttpStream **ret) MUST_USE;
/* http_stream_write: queues a copy; the bytes queued, -EPIPE or -ENOBUFS (closed() follows). */
int http_stream_write(HttpStream *s, const void *p, size_t n);
void http_stream_pause(HttpStream *s);
void http_stream_resume(HttpStream *s);
/* http_stream_shutdown: after what is queued, the client sees the end; it may go on sending. */
void http_stream_shutdown(HttpStream *s);
/* http_stream_close: sends what is queued, then closes; no callback any more. */
void http_stream_close(HttpStream *s);
/* http_stream_take_fd: hands the socket over, plain connections only (-EOPNOTSUPP with TLS), once all that was queued, the head included, is
 * sent (-EAGAIN before that: try in drain, which is called for it). Bytes already read are moved to *early. s is gone on success. */
int http_stream_take_fd(HttpStream *s, Buf *early, int *ret_fd) MUST_USE;
