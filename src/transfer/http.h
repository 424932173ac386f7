/* http.h: HTTP requests, one at a time per thread. The only wrapper of libcurl.
 *
 * Rules
 *  - Redirects are followed here, not by libcurl: at most tuning.redirects; never from https to http; the Authorization header and the
 *    client certificate go to the origin (scheme, host, port) of the first URL alone, and once left, not back. Methods with a body follow 307
 *    and 308 only.
 *  - Only the body of a 2xx answer reaches the sink, at most `limit` bytes of it. Of others the first 16 KiB are kept, for messages.
 *  - No URL may carry a name or password. Headers of an answer: at most 64 KiB together.
 *  - A transfer ends when it stalls (tuning.stall_ms), when the job is cancelled, or at its deadline.
 *  - Proxies come from the environment (proxy.h). What is secret goes to none in clear, and with a body to no other origin.
 */
#pragma once

#include "base/arena.h"
#include "image/transfer_wire.h"
#include "transfer/job.h"

/* http_new: connections are kept and reused, names and TLS sessions shared, by all threads. */
int http_new(Http **ret, Err *e) MUST_USE;
void http_free(Http *h);

typedef enum {
	HTTP_AUTHENTICATE, /* WWW-Authenticate, several joined by ", " */
	HTTP_CONTENT_LENGTH,
	HTTP_CONTENT_RANGE,
	HTTP_CONTENT_TYPE,
	HTTP_DIGEST,  /* Docker-Content-Digest */
	HTTP_FILTERS, /* OCI-Filters-Applied */
	HTTP_LINK,
	HTTP_LOCATION,
	HTTP_MIN_CHUNK, /* OCI-Chunk-Min-Length */
	HTTP_RANGE,
	HTTP_RETRY_AFTER,
	HTTP_SUBJECT, /* OCI-Subject */
	HTTP_WARNING,
	HTTP_HEADER_COUNT,
} HttpHeader;

enum { HTTP_ERROR_BODY_MAX = 16 << 10 };

typedef struct HttpResponse {
	uint32_t status;
	const char *headers[HTTP_HEADER_COUNT]; /* NULL when absent; the last of several, but for HTTP_AUTHENTICATE */
	const char *url;                        /* that answered */
	Buf error;                              /* the beginning of the body of an answer that is not 2xx */
	uint64_t received;                      /* bytes given to the sink */
	bool retry;                             /* of a failure: may go better another time */
	Arena arena;
} HttpResponse;

#define HTTP_RESPONSE_INIT ((HttpResponse){ .arena = ARENA_INIT(256 << 10), .error = BUF_INIT(HTTP_ERROR_BODY_MAX) })
void http_response_done(HttpResponse *r);
#define AUTO_HTTP_RESPONSE AUTO(http_response_done) HttpResponse

/* HttpSink: n more bytes of a 2xx body, whose status and headers are complete by then. 0, or a negative errno that ends the transfer. */
typedef int HttpSink(void *arg, const HttpResponse *r, const void *p, size_t n, Err *e);

typedef struct HttpRequest {
	const char *method, *url;
	const TransferEndpoint *endpoint; /* TLS settings; NULL: the defaults */
	const char *authorization;        /* value of the header; NULL: none */
	const char *headers[6];           /* "Name: value" */
	const char *body;                 /* bytes to send; or body_fd from body_offset on */
	int body_fd;
	uint64_t body_offset, body_size;
	bool has_body;
	bool blob;                /* HTTP/1.1, a connection of its own */
	bool secret, secret_body; /* authorization, body: holds a credential of somebody */
	HttpSink *sink;           /* NULL: a 2xx body is dropped */
	void *arg;
	uint64_t limit; /* bytes of a 2xx body */
	/* sent: bytes of the body that were sent so far; may be NULL */
	void (*sent)(void *arg, uint64_t n);
} HttpRequest;

/* http_send: one request with its redirects. 0: answered, whatever the status. Otherwise a negative errno, and ret->retry. ret is started
 * anew. */
int http_send(Job *j, const HttpRequest *req, HttpResponse *ret, Err *e) MUST_USE;

/* http_retry_status: is this status one that may go away? 408, 429, 5xx but 501 and 505. */
bool http_retry_status(uint32_t status);
/* http_same_origin: scheme, host and port of two URLs. */
bool http_same_origin(const char *a, const char *b);
/* http_resolve: a reference (Location, Link) against the URL that gave it, absolute, in a. NULL: no URL, or not http(s). */
const char *http_resolve(Arena *a, const char *base, const char *reference);
/* http_query: url with "name=value" (value percent-encoded) behind its query; NULL without memory. */
const char *http_query(Arena *a, const char *url, const char *name, const char *value);

/* http_refusal: what an answer says as an error: "what: 404 not found: MANIFEST_UNKNOWN: …". Returns its negative errno; j->error_code is set. */
int http_refusal(Job *j, const HttpResponse *r, const char *what, Err *e);
