/* fuzz_http1_request.c: requests one behind the other, cut at every step the first byte asks for: what is accepted must be the same
 * as in one piece, and no rule that keeps two parsers in agreement may be broken. */
#include "fuzz.h"
#include "net/http1.h"
#include "net/url.h"

static uint64_t hash(uint64_t h, Str s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(0x100000001b3);
	return (h ^ s.n) * UINT64_C(0x100000001b3);
}

static void check_request(const Http1Request *q, Str head)
{
	size_t at = 0, hosts = 0, lengths = 0, codings = 0;
	assert(http_is_token(q->method) && q->target.n && q->fields.n <= q->fields.max);
	while (http_fields_find(&q->fields, STR("host"), &at))
		hosts++;
	for (at = 0; http_fields_find(&q->fields, STR("content-length"), &at);)
		lengths++;
	for (at = 0; http_fields_find(&q->fields, STR("transfer-encoding"), &at);)
		codings++;
	assert(hosts <= 1 && lengths + codings <= 1 && (hosts == 1 || q->minor == 0));
	assert((q->framing == HTTP1_CHUNKED) == (codings == 1) && (q->framing != HTTP1_LENGTH || (lengths == 1 && q->length > 0)));
	for (size_t i = 0; i < q->fields.n; i++) {
		const HttpField *f = &q->fields.items[i];
		assert(http_is_token(f->name) && http_is_value(f->value));
		assert(f->name.p >= head.p && f->value.p + f->value.n <= head.p + head.n);
	}
}

/* Where the body's end is, and what it was. step: at most so many bytes at once. */
static ssize_t read_body(const Http1Request *q, Str s, size_t step, uint64_t *h)
{
	Http1Body b;
	size_t at = 0, total = 0;
	http1_body_init(&b, q->framing, q->length);
	while (at < s.n && !http1_body_ended(&b)) {
		Str piece;
		ssize_t k = http1_body_read(&b, s.p + at, s.n - at < step ? s.n - at : step, &piece);
		if (k < 0) return -1;
		assert(k > 0 && piece.n <= (size_t)k && (!piece.n || (piece.p >= s.p + at && piece.p + piece.n <= s.p + at + k)));
		for (size_t i = 0; i < piece.n; i++)
			*h = hash(*h, (Str){ piece.p + i, 1 });
		total += piece.n;
		at += (size_t)k;
	}
	*h = hash(*h, (Str){ "", 0 }) + total;
	return http1_body_ended(&b) ? (ssize_t)at : -1;
}

static ssize_t find_head(Str s, size_t step)
{
	size_t at = 0;
	ssize_t n = 0;
	for (size_t seen = 0; n == 0 && seen < s.n;) {
		seen = s.n - seen < step ? s.n : seen + step;
		n = http1_head_find(s.p, seen, &at);
	}
	return n;
}

static uint64_t read_all(Str s, size_t step)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	while (s.n) {
		AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
		Http1Request q;
		Err e = ERR_INIT;
		ssize_t n = find_head(s, step);
		if (n <= 0) return h + (n < 0);
		Str head = { s.p, (size_t)n };
		int r = http1_request_parse(head, 32, &a, &q, &e);
		if (r) {
			assert(r >= 400 && r <= 505 && r != 500 && *e.msg);
			return h + (uint64_t)r;
		}
		check_request(&q, head);
		h = hash(hash(h, q.method), q.target);
		s = (Str){ s.p + n, s.n - (size_t)n };
		n = read_body(&q, s, step, &h);
		if (n < 0) return h;
		s = (Str){ s.p + n, s.n - (size_t)n };
	}
	return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!n) return 0;
	AUTO_FREE char *text = fuzz_copy(data + 1, n - 1);
	Str s = { text, n - 1 };
	uint64_t whole = read_all(s, SIZE_MAX / 2);
	assert(whole == read_all(s, 1));
	assert(whole == read_all(s, 1 + data[0] % 64));
	return 0;
}
