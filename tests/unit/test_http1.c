/* test_http1.c: what is accepted and what is refused on the wire, whole and in pieces; both sides. */
#include "check.h"
#include "net/http1.h"

#define HOST "Host: a\r\n"

/* The status that a request gets: 0 when it is accepted, -1 when its head does not end. */
static int judge(const char *text, Http1Request *q, Arena *a)
{
	size_t at = 0;
	Err e = ERR_INIT;
	ssize_t n = http1_head_find(text, strlen(text), &at);
	if (n < 0) return 400;
	if (n == 0) return -1;
	int r = http1_request_parse((Str){ text, (size_t)n }, 8, a, q, &e);
	if (r) assert_true(e.code != ERR_NONE && *e.msg);
	return r;
}

typedef struct Case {
	const char *text;
	int status;
} Case;

static const Case requests[] = {
	{ "GET / HTTP/1.1\r\n" HOST "\r\n", 0 },
	{ "GET / HTTP/1.0\r\n\r\n", 0 },
	{ "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0 },
	{ "GET http://a/x HTTP/1.1\r\n" HOST "\r\n", 0 },
	{ "GET /x?y HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", 0 },
	{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0 },
	{ "GET / HTTP/1.1\r\n" HOST "X: \t a b \t \r\n\r\n", 0 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", 0 },
	{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n", 0 },
	/* not complete */
	{ "GET / HTTP/1.1\r\n" HOST, -1 },
	{ "GET / HTTP/1.1\r\n" HOST "\r", -1 },
	{ "", -1 },
	/* the request line */
	{ "GET / HTTP/1.1\n" HOST "\r\n", 400 },
	{ "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400 }, /* the server takes one off before */
	{ "GET  / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET /  HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ " GET / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET /\r HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET /a b HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET / HTTP/1.1 \r\n" HOST "\r\n", 400 },
	{ "GET /\r\n\r\n", 400 },
	{ "GET / http/1.1\r\n" HOST "\r\n", 400 },
	{ "G(T / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GETGETGETGETGETGETGETGETGETGETGETG / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET / HTTP/1.2\r\n" HOST "\r\n", 505 },
	{ "GET / HTTP/2.0\r\n" HOST "\r\n", 505 },
	{ "GET / HTTP/1.11\r\n" HOST "\r\n", 400 },
	{ "GET / HTTP/0.9\r\n" HOST "\r\n", 505 },
	/* fields */
	{ "GET / HTTP/1.1\r\n" HOST "X : 1\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST " X: 1\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "X: 1\r\n 2\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "X: 1\r\n\t2\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "X\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST ": 1\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "X: a\nY: b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "X: 1\r\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST "A:1\r\nA:1\r\nA:1\r\nA:1\r\nA:1\r\nA:1\r\nA:1\r\nA:1\r\n\r\n", 431 },
	/* who is meant */
	{ "GET / HTTP/1.1\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a, b:1:2\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n", 400 },
	/* where the body ends */
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 5 5\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775808\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content_Length: 5\r\n\r\n", 0 }, /* another field */
	{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n", 501 },
	{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501 },
	{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", 501 },
	{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 501 },
	{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b"
	  "chunked\r\n\r\n",
	  400 },
	{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n", 400 },
	{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: 200-ok\r\n\r\n", 417 },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n", 0 },
};

static void test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		Http1Request q;
		int status = judge(requests[i].text, &q, &a);
		if (status != requests[i].status) fail_msg("%d, not %d:\n%s", status, requests[i].status, requests[i].text);
	}
}

static void test_request_parts(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Http1Request q;
	const char *v;
	(void)state;
	assert_int_equal(
		judge("PUT /v2/?a=b HTTP/1.1\r\nHost: r:5000\r\nAccept: x\r\naccept:  y\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\nrest",
		      &q, &a),
		0);
	assert_true(str_eq(q.method, "PUT") && str_eq(q.target, "/v2/?a=b") && str_eq(q.host, "r:5000"));
	assert_int_equal(q.framing, HTTP1_LENGTH);
	assert_int_equal(q.length, 7);
	assert_true(q.keep_alive && q.expect_continue);
	assert_int_equal(http_fields_get(&q.fields, STR("ACCEPT"), ", ", &a, &v), 0);
	assert_string_equal(v, "x, y");
	assert_int_equal(http_fields_get(&q.fields, STR("none"), ", ", &a, &v), -ENOENT);
}

static void test_keep_alive(void **state)
{
	static const struct {
		const char *text;
		bool keep;
	} cases[] = {
		{ "GET / HTTP/1.1\r\n" HOST "\r\n", true },
		{ "GET / HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		Http1Request q;
		assert_int_equal(judge(cases[i].text, &q, &a), 0);
		assert_int_equal(q.keep_alive, cases[i].keep);
	}
}

/* A NUL ends a C string, so it is tested apart. */
static void test_nul(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", target[] = "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n";
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Http1Request q;
	Err e = ERR_INIT;
	(void)state;
	assert_int_equal(http1_request_parse((Str){ text, sizeof text - 1 }, 8, &a, &q, &e), 400);
	assert_int_equal(http1_request_parse((Str){ target, sizeof target - 1 }, 8, &a, &q, &e), 400);
}

static void test_head_in_pieces(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
	const size_t end = sizeof text - 1 - 4;
	size_t at = 0;
	(void)state;
	for (size_t n = 0; n < end; n++)
		assert_int_equal(http1_head_find(text, n, &at), 0);
	assert_int_equal(http1_head_find(text, end, &at), end);
}

/* The body that comes out when at most step bytes go in at once; NULL when it is refused, or does not end. *ret_taken: how far it went. */
static char *unframe(const char *p, size_t n, size_t step, Http1Framing framing, int64_t length, size_t *ret_taken)
{
	AUTO_BUF out = BUF_INIT(1 << 20);
	Http1Body b;
	size_t at = 0;
	http1_body_init(&b, framing, length);
	while (at < n && !http1_body_ended(&b)) {
		Str piece;
		ssize_t k = http1_body_read(&b, p + at, n - at < step ? n - at : step, &piece);
		if (k < 0) return NULL;
		assert_true(k > 0 && piece.n <= (size_t)k);
		buf_put(&out, piece.p, piece.n);
		at += (size_t)k;
	}
	*ret_taken = at;
	if (!http1_body_ended(&b) && framing != HTTP1_TO_CLOSE) return NULL;
	return buf_take(&out);
}

static void test_chunks(void **state)
{
	static const struct {
		const char *text, *body; /* body NULL: refused */
	} cases[] = {
		{ "0\r\n\r\n", "" },
		{ "3\r\nabc\r\n0\r\n\r\n", "abc" },
		{ "003\r\nabc\r\n00\r\n\r\n", "abc" },
		{ "A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n", "0123456789abcdefghij" },
		{ "1;x=y\r\na\r\n0;z\r\n\r\n", "a" },
		{ "1;x=\"a;b\"\r\na\r\n0\r\n\r\n", "a" },
		{ "1\r\na\r\n0\r\nTrailer: x\r\nB:\r\n\r\n", "a" },
		{ "1\na\n0\n\n", NULL },
		{ "1\r\na\n0\r\n\r\n", NULL },
		{ "1\r\na\r0\r\n\r\n", NULL },
		{ "1\r\nab\r\n0\r\n\r\n", NULL },
		{ "\r\n\r\n", NULL },
		{ ";x\r\n\r\n", NULL },
		{ " 1\r\na\r\n0\r\n\r\n", NULL },
		{ "1 \r\na\r\n0\r\n\r\n", NULL },
		{ "0x1\r\na\r\n0\r\n\r\n", NULL },
		{ "+1\r\na\r\n0\r\n\r\n", NULL },
		{ "-1\r\na\r\n0\r\n\r\n", NULL },
		{ "g\r\n\r\n", NULL },
		{ "8000000000000000\r\na", NULL },
		{ "10000000000000000\r\na", NULL },
		{ "00000000000000001\r\na\r\n0\r\n\r\n", NULL },
		{ "1;x\ny\r\na\r\n0\r\n\r\n", NULL },
		{ "1;x\ry\r\na\r\n0\r\n\r\n", NULL },
		{ "0\r\n X: folded\r\n\r\n", NULL },
		{ "0\r\nno colon\r\n\r\n", NULL },
		{ "0\r\nX: a\nY: b\r\n\r\n", NULL },
		{ "0\r\n\n", NULL },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = strlen(cases[i].text), taken = 0;
		for (size_t step = 1; step <= n; step++) {
			AUTO_FREE char *body = unframe(cases[i].text, n, step, HTTP1_CHUNKED, -1, &taken);
			if (!body != !cases[i].body || (body && !streq(body, cases[i].body))) fail_msg("step %zu: %s", step, cases[i].text);
			if (body) assert_int_equal(taken, n);
		}
	}
}

/* Extensions and trailers are dropped, but not for ever. */
static void test_chunk_ceilings(void **state)
{
	AUTO_BUF b = BUF_INIT(1 << 20);
	size_t taken;
	(void)state;
	for (int i = 0; i < HTTP1_EXTENSIONS_MAX; i++)
		buf_puts(&b, "1;xx\r\na\r\n");
	AUTO_FREE char *body = unframe(b.p, b.n, b.n, HTTP1_CHUNKED, -1, &taken);
	assert_null(body);
	buf_reset(&b);
	buf_puts(&b, "0\r\n");
	for (int i = 0; i < HTTP1_TRAILERS_MAX; i++)
		buf_puts(&b, "T:x\r\n");
	AUTO_FREE char *second = unframe(b.p, b.n, b.n, HTTP1_CHUNKED, -1, &taken);
	assert_null(second);
}

static void test_lengths(void **state)
{
	size_t taken;
	(void)state;
	AUTO_FREE char *some = unframe("abcdef", 6, 2, HTTP1_LENGTH, 4, &taken);
	assert_string_equal(some, "abcd");
	assert_int_equal(taken, 4);
	AUTO_FREE char *none = unframe("abc", 3, 3, HTTP1_NONE, 0, &taken);
	assert_string_equal(none, "");
	assert_int_equal(taken, 0);
	AUTO_FREE char *rest = unframe("abc", 3, 1, HTTP1_TO_CLOSE, 0, &taken);
	assert_string_equal(rest, "abc");
}

static void test_responses(void **state)
{
	static const struct {
		const char *text, *method;
		int status; /* 0: refused */
		Http1Framing framing;
		bool keep;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", 200, HTTP1_LENGTH, true },
		{ "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n", "HEAD", 200, HTTP1_NONE, true },
		{ "HTTP/1.1 200 \r\n\r\n", "GET", 200, HTTP1_TO_CLOSE, false },
		{ "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", "GET", 204, HTTP1_NONE, true },
		{ "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", 304, HTTP1_NONE, true },
		{ "HTTP/1.1 101 Switching Protocols\r\n\r\n", "GET", 101, HTTP1_NONE, true },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", "GET", 200, HTTP1_CHUNKED, false },
		{ "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n", "GET", 404, HTTP1_NONE, false },
		{ "HTTP/1.1 200 OK\r\n\r\n", "CONNECT", 200, HTTP1_NONE, true },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "GET", 0, 0, 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", "GET", 0, 0, 0 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "GET", 0, 0, 0 },
		{ "HTTP/1.1 099 OK\r\n\r\n", "GET", 0, 0, 0 },
		{ "HTTP/1.1 600 OK\r\n\r\n", "GET", 0, 0, 0 },
		{ "HTTP/1.1 2000 OK\r\n\r\n", "GET", 0, 0, 0 },
		{ "HTTP/1.1 20 OK\r\n\r\n", "GET", 0, 0, 0 },
		{ "HTTP/2.0 200 OK\r\n\r\n", "GET", 0, 0, 0 },
		{ "HTTP/1.1 200 O\rK\r\n\r\n", "GET", 0, 0, 0 },
		{ "ICY 200 OK\r\n\r\n", "GET", 0, 0, 0 },
		{ "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "GET", 0, 0, 0 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		Http1Response q = { 0 };
		Err e = ERR_INIT;
		int r = http1_response_parse(str_of(cases[i].text), str_of(cases[i].method), 8, &a, &q, &e);
		if ((r == 0) != (cases[i].status != 0)) fail_msg("%d: %s", r, cases[i].text);
		if (r < 0) {
			assert_int_equal(r, -EBADMSG);
			continue;
		}
		assert_int_equal(q.status, cases[i].status);
		if (q.framing != cases[i].framing || q.keep_alive != cases[i].keep)
			fail_msg("framing %d, keep %d: %s", (int)q.framing, q.keep_alive, cases[i].text);
	}
}

/* What is written is what is read. */
static void test_written(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_BUF b = BUF_INIT(1 << 20);
	Http1Request q;
	size_t taken;
	(void)state;
	http1_put_request(&b, STR("POST"), STR("/x"));
	http1_put_field(&b, STR("Host"), STR("h"));
	http1_put_length(&b, 3);
	buf_puts(&b, "\r\n");
	assert_int_equal(judge(buf_str(&b), &q, &a), 0);
	assert_int_equal(q.length, 3);
	buf_reset(&b);
	http1_put_status(&b, 404);
	assert_string_equal(buf_str(&b), "HTTP/1.1 404 Not Found\r\n");
	buf_reset(&b);
	http1_put_chunk(&b, "0123456789abcdef", 16);
	http1_put_chunk(&b, "x", 1);
	http1_put_last_chunk(&b);
	AUTO_FREE char *body = unframe(b.p, b.n, 3, HTTP1_CHUNKED, -1, &taken);
	assert_string_equal(body, "0123456789abcdefx");
}

static void test_texts(void **state)
{
	char date[HTTP_DATE_LEN + 1];
	(void)state;
	http_date(784111777, date);
	assert_string_equal(date, "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_string_equal(http_status_text(200), "OK");
	assert_string_equal(http_status_text(299), "");
	assert_true(http_is_token(STR("Content-Type")) && !http_is_token(STR("")) && !http_is_token(STR("a b")) &&
		    !http_is_token(STR("a:")));
	assert_true(http_is_value(STR("a\tb \xff")) && !http_is_value(STR("a\n")));
	assert_true(http_list_has(STR("a, Close ,b"), "close") && !http_list_has(STR("closed"), "close"));
	for (unsigned c = 0; c < 256; c++) {
		char text = (char)c;
		bool token = c && (strchr("!#$%&'*+-.^_`|~", text) || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
				   (c >= 'A' && c <= 'Z'));
		assert_int_equal(http_is_token((Str){ &text, 1 }), token);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),       cmocka_unit_test(test_request_parts),
		cmocka_unit_test(test_keep_alive),     cmocka_unit_test(test_nul),
		cmocka_unit_test(test_head_in_pieces), cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_chunk_ceilings), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_responses),      cmocka_unit_test(test_written),
		cmocka_unit_test(test_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
