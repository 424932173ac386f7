/* fuzz_http1_response.c: a response, its first byte choosing the request's method and the size of the pieces. */
#include "fuzz.h"
#include "net/http1.h"

typedef struct Outcome {
	int status;
	ssize_t end;
	uint64_t hash;
} Outcome;

static void read_body(const Http1Response *q, Str s, size_t step, Outcome *o)
{
	Http1Body b;
	size_t at = 0;
	http1_body_init(&b, q->framing, q->length);
	while (at < s.n && !http1_body_ended(&b)) {
		Str piece;
		ssize_t k = http1_body_read(&b, s.p + at, s.n - at < step ? s.n - at : step, &piece);
		if (k < 0) {
			o->end = -1;
			return;
		}
		assert(k > 0);
		for (size_t i = 0; i < piece.n; i++)
			o->hash = (o->hash ^ (unsigned char)piece.p[i]) * UINT64_C(0x100000001b3);
		at += (size_t)k;
	}
	o->end = http1_body_ended(&b) ? (ssize_t)at : -2;
	if (q->framing == HTTP1_TO_CLOSE) assert(at == s.n && !q->keep_alive);
}

static Outcome read_response(Str s, Str method, size_t step)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	Outcome o = { 0 };
	Http1Response q;
	Err e = ERR_INIT;
	size_t at = 0;
	ssize_t n = 0;
	for (size_t seen = 0; n == 0 && seen < s.n;) {
		seen = s.n - seen < step ? s.n : seen + step;
		n = http1_head_find(s.p, seen, &at);
	}
	o.end = n;
	if (n <= 0) return o;
	o.status = http1_response_parse((Str){ s.p, (size_t)n }, method, 32, &a, &q, &e);
	if (o.status < 0) {
		assert(o.status == -EBADMSG && *e.msg);
		return o;
	}
	assert(q.status >= 100 && q.status <= 599 && http_is_value(q.reason));
	if (!http_status_has_body(q.status) || str_eq(method, "HEAD")) assert(q.framing == HTTP1_NONE);
	read_body(&q, (Str){ s.p + n, s.n - (size_t)n }, step, &o);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const methods[] = { "GET", "HEAD", "CONNECT", "POST" };
	if (!n) return 0;
	AUTO_FREE char *text = fuzz_copy(data + 1, n - 1);
	Str s = { text, n - 1 }, method = str_of(methods[data[0] % ARRAY_LEN(methods)]);
	Outcome whole = read_response(s, method, SIZE_MAX / 2), bytes = read_response(s, method, 1),
		pieces = read_response(s, method, 1 + data[0] / 4);
	assert(whole.status == bytes.status && whole.end == bytes.end && whole.hash == bytes.hash);
	assert(whole.status == pieces.status && whole.end == pieces.end && whole.hash == pieces.hash);
	return 0;
}
