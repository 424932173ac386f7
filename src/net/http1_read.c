/* http1_read.c: see http1.h. */
#include "net/http1.h"

#include "net/url.h"

enum { METHOD_MAX = 32 };

ssize_t http1_head_find(const char *p, size_t n, size_t *at)
{
	while (*at < n) {
		const char *lf = memchr(p + *at, '\n', n - *at);
		if (!lf) break;
		size_t i = (size_t)(lf - p);
		if (i == 0 || p[i - 1] != '\r') return -EBADMSG;
		*at = i + 1;
		if (i == 1 || p[i - 2] == '\n') return (ssize_t)i + 1;
	}
	*at = n;
	return 0;
}

/* Takes a line off the head, without its CRLF. */
static bool take_line(Str *head, Str *line)
{
	if (!head->n || !str_cut(*head, '\n', line, head)) return false;
	if (!line->n || line->p[line->n - 1] != '\r') return false;
	line->n--;
	return true;
}

static int refuse(Err *e, int status, const char *why)
{
	(void)err_set(e, status == 501 ? ERR_UNSUPPORTED : ERR_USAGE, EBADMSG, "HTTP message refused: %s", why);
	return status;
}

/* What decides how a message is framed and whether the connection lives on. */
typedef struct Framing {
	bool has_length, has_coding, close, keep;
	int64_t length;
	size_t hosts;
	Str host;
} Framing;

static int read_special(HttpField f, Framing *m, Err *e)
{
	uint64_t n;
	if (http_same(f.name, STR("content-length"))) {
		if (m->has_length) return refuse(e, 400, "more than one Content-Length");
		if (str_to_u64(f.value, &n) < 0 || n > INT64_MAX) return refuse(e, 400, "Content-Length is not a number");
		m->has_length = true;
		m->length = (int64_t)n;
	} else if (http_same(f.name, STR("transfer-encoding"))) {
		if (m->has_coding) return refuse(e, 400, "more than one Transfer-Encoding");
		if (!http_same(f.value, STR("chunked"))) return refuse(e, 501, "only the transfer coding \"chunked\" is supported");
		m->has_coding = true;
	} else if (http_same(f.name, STR("connection"))) {
		m->close |= http_list_has(f.value, "close");
		m->keep |= http_list_has(f.value, "keep-alive");
	} else if (http_same(f.name, STR("host"))) {
		m->host = f.value;
		m->hosts++;
	}
	return 0;
}

/* The fields up to the empty line (RFC 9112 5). 0 or a status. */
static int read_fields(Str head, HttpFields *fields, Framing *m, Arena *a, Err *e)
{
	Str line;
	while (take_line(&head, &line)) {
		HttpField f;
		if (!line.n) return head.n ? refuse(e, 400, "bytes behind the head") : 0;
		if (line.p[0] == ' ' || line.p[0] == '\t') return refuse(e, 400, "a folded line");
		if (!str_cut(line, ':', &f.name, &f.value)) return refuse(e, 400, "a field without a colon");
		if (!http_is_token(f.name)) return refuse(e, 400, "the name of a field is not a token");
		f.value = http_trim(f.value);
		if (!http_is_value(f.value)) return refuse(e, 400, "a control character in the value of a field");
		int r = read_special(f, m, e);
		if (r) return r;
		r = http_fields_add(fields, a, f.name, f.value);
		if (r == -E2BIG) return refuse(e, 431, "too many fields");
		if (r < 0) return refuse(e, 500, "no memory");
	}
	return refuse(e, 400, "the head does not end in an empty line");
}

/* "HTTP/1.0" or "HTTP/1.1" (RFC 9112 2.3). 0 or a status. */
static int read_version(Str s, int *minor, Err *e)
{
	if (s.n != 8 || !str_starts(s, "HTTP/") || s.p[6] != '.') return refuse(e, 400, "no HTTP version in the first line");
	if (s.p[5] != '1' || (s.p[7] != '0' && s.p[7] != '1')) return refuse(e, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
	*minor = s.p[7] - '0';
	return 0;
}

static int read_request_line(Str line, Http1Request *q, Err *e)
{
	Str rest;
	if (!str_cut(line, ' ', &q->method, &rest) || !http_is_token(q->method) || q->method.n > METHOD_MAX)
		return refuse(e, 400, "the request line does not start with a method");
	if (!str_cut(rest, ' ', &q->target, &rest) || !q->target.n) return refuse(e, 400, "the request line has no target");
	for (size_t i = 0; i < q->target.n; i++)
		if ((unsigned char)q->target.p[i] <= ' ' || q->target.p[i] == 127)
			return refuse(e, 400, "a control character in the target");
	return read_version(rest, &q->minor, e);
}

static int frame_request(Http1Request *q, const Framing *m, Err *e)
{
	if (m->hosts > 1) return refuse(e, 400, "more than one Host");
	if (!m->hosts && q->minor == 1) return refuse(e, 400, "no Host");
	if (!http_is_host(m->host)) return refuse(e, 400, "Host is not a host name with or without a port");
	if (m->has_coding && m->has_length) return refuse(e, 400, "both Content-Length and Transfer-Encoding");
	if (m->has_coding && q->minor == 0) return refuse(e, 400, "Transfer-Encoding in HTTP/1.0");
	q->host = m->host;
	q->framing = m->has_coding ? HTTP1_CHUNKED : m->has_length && m->length ? HTTP1_LENGTH : HTTP1_NONE;
	q->length = m->length;
	q->keep_alive = !m->close && (q->minor == 1 || m->keep);
	return 0;
}

static int read_expectation(Http1Request *q, Err *e)
{
	size_t at = 0;
	const HttpField *f = http_fields_find(&q->fields, STR("expect"), &at);
	if (!f || q->minor == 0) return 0; /* RFC 9110 10.1.1: ignored in HTTP/1.0 */
	if (!http_same(f->value, STR("100-continue")) || http_fields_find(&q->fields, STR("expect"), &at))
		return refuse(e, 417, "the only expectation that can be met is 100-continue");
	q->expect_continue = q->framing != HTTP1_NONE;
	return 0;
}

int http1_request_parse(Str head, size_t max_fields, Arena *a, Http1Request *ret, Err *e)
{
	Http1Request q = { .fields.max = max_fields };
	Framing m = { 0 };
	Str line;
	if (!take_line(&head, &line)) return refuse(e, 400, "no request line");
	int r = read_request_line(line, &q, e);
	if (!r) r = read_fields(head, &q.fields, &m, a, e);
	if (!r) r = frame_request(&q, &m, e);
	if (!r) r = read_expectation(&q, e);
	if (!r) *ret = q;
	return r;
}

static int read_status_line(Str line, Http1Response *q, Err *e)
{
	Str version, rest, code;
	uint32_t status;
	if (!str_cut(line, ' ', &version, &rest)) return refuse(e, 400, "no status line");
	int r = read_version(version, &q->minor, e);
	if (r) return r;
	(void)str_cut(rest, ' ', &code, &q->reason); /* the blank behind the code is often missing */
	if (code.n != 3 || str_to_u32(code, &status) < 0 || status < 100 || status > 599)
		return refuse(e, 400, "the status is not 100 to 599");
	if (!http_is_value(q->reason)) return refuse(e, 400, "a control character in the reason");
	q->status = (int)status;
	return 0;
}

int http1_response_parse(Str head, Str method, size_t max_fields, Arena *a, Http1Response *ret, Err *e)
{
	Http1Response q = { .fields.max = max_fields };
	Framing m = { 0 };
	Str line;
	if (!take_line(&head, &line)) return -refuse(e, EBADMSG, "no status line");
	int r = read_status_line(line, &q, e);
	if (!r) r = read_fields(head, &q.fields, &m, a, e);
	if (!r && m.has_coding && m.has_length) r = refuse(e, 400, "both Content-Length and Transfer-Encoding");
	if (!r && m.has_coding && q.minor == 0) r = refuse(e, 400, "Transfer-Encoding in HTTP/1.0");
	if (r) return r == 500 ? -ENOMEM : -EBADMSG;
	bool none = !http_status_has_body(q.status) || str_eq(method, "HEAD") || (str_eq(method, "CONNECT") && q.status < 300);
	q.framing = none            ? HTTP1_NONE
		    : m.has_coding  ? HTTP1_CHUNKED
		    : !m.has_length ? HTTP1_TO_CLOSE
		    : m.length      ? HTTP1_LENGTH
				    : HTTP1_NONE;
	q.length = m.length;
	q.keep_alive = !m.close && (q.minor == 1 || m.keep) && q.framing != HTTP1_TO_CLOSE;
	*ret = q;
	return 0;
}

/* Bodies (RFC 9112 6.3, 7.1). */

enum {
	BODY_DATA,
	BODY_SIZE,
	BODY_EXTENSION,
	BODY_SIZE_LF,
	BODY_DATA_CR,
	BODY_DATA_LF,
	BODY_TRAILER, /* at the start of a line */
	BODY_TRAILER_NAME,
	BODY_TRAILER_VALUE,
	BODY_TRAILER_LF,
	BODY_LAST_LF,
	BODY_ENDED,
};

void http1_body_init(Http1Body *b, Http1Framing framing, int64_t length)
{
	*b = (Http1Body){ .framing = framing, .state = framing == HTTP1_CHUNKED ? BODY_SIZE : BODY_DATA };
	if (framing == HTTP1_LENGTH) b->left = (uint64_t)length;
	if (framing == HTTP1_TO_CLOSE) b->left = UINT64_MAX;
	if (!b->left && framing != HTTP1_CHUNKED) b->state = BODY_ENDED;
}

bool http1_body_ended(const Http1Body *b)
{
	return b->state == BODY_ENDED;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	if (c >= 'a' && c <= 'f') return c - 'a' + 10;
	if (c >= 'A' && c <= 'F') return c - 'A' + 10;
	return -1;
}

static int read_size(Http1Body *b, char c)
{
	int v = hex(c);
	if (v >= 0) {
		if (b->digits++ >= 16 || b->left > (uint64_t)INT64_MAX >> 4) return -EBADMSG;
		b->left = b->left << 4 | (uint64_t)v;
		return BODY_SIZE;
	}
	if (!b->digits) return -EBADMSG;
	return c == '\r' ? BODY_SIZE_LF : c == ';' ? BODY_EXTENSION : -EBADMSG;
}

/* A byte of a chunk extension or a trailer; `end` is where its CR leads. */
static int skip_byte(Http1Body *b, char c, int end, uint32_t max)
{
	if (c == '\r') return end;
	if (++b->skipped > max || !http_is_value((Str){ &c, 1 })) return -EBADMSG;
	return b->state;
}

/* One byte of framing: the next state or -EBADMSG. */
static int step(Http1Body *b, char c)
{
	switch (b->state) {
	case BODY_SIZE:
		return read_size(b, c);
	case BODY_EXTENSION:
		return skip_byte(b, c, BODY_SIZE_LF, HTTP1_EXTENSIONS_MAX);
	case BODY_SIZE_LF:
		if (c != '\n') return -EBADMSG;
		b->digits = 0;
		if (!b->left) b->skipped = 0;
		return b->left ? BODY_DATA : BODY_TRAILER;
	case BODY_DATA_CR:
		return c == '\r' ? BODY_DATA_LF : -EBADMSG;
	case BODY_DATA_LF:
		return c == '\n' ? BODY_SIZE : -EBADMSG;
	case BODY_TRAILER:
		if (c == '\r') return BODY_LAST_LF;
		b->skipped++;
		return http_is_token((Str){ &c, 1 }) ? BODY_TRAILER_NAME : -EBADMSG;
	case BODY_TRAILER_NAME:
		if (++b->skipped > HTTP1_TRAILERS_MAX) return -EBADMSG;
		return c == ':' ? BODY_TRAILER_VALUE : http_is_token((Str){ &c, 1 }) ? BODY_TRAILER_NAME : -EBADMSG;
	case BODY_TRAILER_VALUE:
		return skip_byte(b, c, BODY_TRAILER_LF, HTTP1_TRAILERS_MAX);
	case BODY_TRAILER_LF:
		return c == '\n' ? BODY_TRAILER : -EBADMSG;
	default: /* BODY_LAST_LF */
		return c == '\n' ? BODY_ENDED : -EBADMSG;
	}
}

ssize_t http1_body_read(Http1Body *b, const char *p, size_t n, Str *ret)
{
	size_t i = 0;
	*ret = (Str){ p, 0 };
	while (i < n && b->state != BODY_DATA && b->state != BODY_ENDED) {
		int next = step(b, p[i++]);
		if (next < 0) return next;
		b->state = next;
	}
	if (b->state != BODY_DATA || i == n) return (ssize_t)i;
	size_t k = n - i < b->left ? n - i : (size_t)b->left;
	*ret = (Str){ p + i, k };
	if (b->framing != HTTP1_TO_CLOSE) b->left -= k;
	if (!b->left) b->state = b->framing == HTTP1_CHUNKED ? BODY_DATA_CR : BODY_ENDED;
	return (ssize_t)(i + k);
}
