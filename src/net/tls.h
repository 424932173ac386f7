/* tls.h: TLS 1.2 and 1.3 on a non-blocking socket. The only user of OpenSSL's SSL.
 *
 * Of several certificates the first that is for the name the client asks for (SNI) is shown; the first of all to who asks for none, or for one that is
 * in none. Calls return -EAGAIN when the socket has to become readable (or, tls_wants_write,
 * writable) first. Nothing here blocks or prints; OpenSSL's error queue is emptied by each call.
 */
#pragma once

#include "base/err.h"

typedef struct TlsContext TlsContext;
typedef struct Tls Tls;

/* TlsCertificate: PEM files; cert holds the chain. */
typedef struct TlsCertificate {
	const char *cert, *key;
} TlsCertificate;

typedef struct TlsServerOptions {
	const TlsCertificate *certificates;
	size_t n;              /* at least 1 */
	const char *client_ca; /* PEM file: clients need a certificate of these; NULL: none is asked for */
	bool client_optional;  /* with client_ca: a client may come without one, but not with a wrong one */
} TlsServerOptions;

/* tls_server_new: TLS 1.2 or later, ALPN "h2" and "http/1.1". */
int tls_server_new(const TlsServerOptions *o, TlsContext **ret, Err *e) MUST_USE;
/* tls_context_free: connections that use it keep it alive. */
void tls_context_free(TlsContext *c);

/* tls_accept: the server's side of a connection on fd, which stays the caller's. -ENOMEM. */
int tls_accept(TlsContext *c, int fd, Tls **ret) MUST_USE;
void tls_free(Tls *t);

/* tls_handshake: 0 when done, -EAGAIN, -EPROTO, -ECONNRESET. */
int tls_handshake(Tls *t) MUST_USE;
/* tls_read: bytes, 0 when the peer has said goodbye, -EAGAIN, -ECONNRESET. tls_write: bytes, -EAGAIN (repeat with the same or more bytes), -EPIPE. */
ssize_t tls_read(Tls *t, void *p, size_t n) MUST_USE;
ssize_t tls_write(Tls *t, const void *p, size_t n) MUST_USE;
/* tls_goodbye: sends close_notify if that is possible now. */
void tls_goodbye(Tls *t);
/* tls_wants_write: the last -EAGAIN of a read or handshake waits for the socket to be writable. */
bool tls_wants_write(const Tls *t);
/* tls_is_h2: ALPN chose HTTP/2. */
bool tls_is_h2(const Tls *t);
/* tls_peer_name: the common name of the peer's verified certificate, NULL without one. Lives as long as t. */
const char *tls_peer_name(Tls *t);
