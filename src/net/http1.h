/* http1.h: HTTP/1.1 messages on the wire (RFC 9112): heads parsed and written, bodies unframed piece by piece.
 *
 * No I/O and no state but what the caller passes, so any protocol loop can use it, on either side. Strict, because a message that two
 * parsers take differently is how requests are smuggled. Refused: lines that end in a bare LF, a bare CR, folded lines, blanks before a
 * colon, Content-Length together with Transfer-Encoding, a repeated or signed Content-Length, any coding but a single
 * "chunked", a missing or second Host, control characters.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "net/http.h"

/* http1_head_find: the length of the head at p, its empty line included; 0: more is needed; -EBADMSG: a line ends in a bare LF. *at starts
 * at 0 and remembers how far it looked. */
ssize_t http1_head_find(const char *p, size_t n, size_t *at) MUST_USE;

typedef enum { HTTP1_NONE, HTTP1_LENGTH, HTTP1_CHUNKED, HTTP1_TO_CLOSE } Http1Framing;

typedef struct Http1Request {
	Str method, target, host; /* host: "" for HTTP/1.0 without one */
	int minor;                /* of HTTP/1.minor: 0 or 1 */
	HttpFields fields;
	Http1Framing framing;
	int64_t length; /* of HTTP1_LENGTH */
	bool keep_alive, expect_continue;
} Http1Request;

/* http1_request_parse: a whole head, which must outlive *ret. 0, or the status to answer with (400, 417, 431, 501, 505), and e then says why;
 * 500 when the arena is full. */
int http1_request_parse(Str head, size_t max_fields, Arena *a, Http1Request *ret, Err *e) MUST_USE;

typedef struct Http1Response {
	int minor, status;
	Str reason;
	HttpFields fields;
	Http1Framing framing;
	int64_t length;
	bool keep_alive;
} Http1Response;

/* http1_response_parse: the answer to a request of that method. -EBADMSG with e, -ENOMEM. */
int http1_response_parse(Str head, Str method, size_t max_fields, Arena *a, Http1Response *ret, Err *e) MUST_USE;

/* A body being read. */
enum { HTTP1_EXTENSIONS_MAX = 16 << 10, HTTP1_TRAILERS_MAX = 16 << 10 };

typedef struct Http1Body {
	Http1Framing framing;
	int state;
	uint64_t left;            /* of the body or chunk */
	uint32_t digits, skipped; /* of a chunk's size; bytes of extensions and trailers */
} Http1Body;

void http1_body_init(Http1Body *b, Http1Framing framing, int64_t length);
bool http1_body_ended(const Http1Body *b);
/* http1_body_read: takes framing and at most one piece of data from p; how many bytes it took. *ret is the piece, within p, and may be empty. To be
 * called while there are bytes and the body has not ended; extensions and trailers are checked and dropped. -EBADMSG. */
ssize_t http1_body_read(Http1Body *b, const char *p, size_t n, Str *ret) MUST_USE;

/* Writing. Names and values must have been checked (http_is_token, http_is_value). */
void http1_put_request(Buf *b, Str method, Str target);
void http1_put_status(Buf *b, int status);
void http1_put_field(Buf *b, Str name, Str value);
void http1_put_length(Buf *b, int64_t n);
void http1_put_chunk(Buf *b, const void *p, size_t n); /* n > 0 */
void http1_put_last_chunk(Buf *b);
