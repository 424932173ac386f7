/* base64.c: see base64.h. */
#include "base/base64.h"

#include <limits.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(Buf *b, const void *p, size_t n)
{
	const unsigned char *from = p;
	if (n > SIZE_MAX / 2) n = SIZE_MAX / 2; /* fails in buf_reserve */
	size_t size = (n + 2) / 3 * 4;
	char *to = buf_reserve(b, size);
	if (!to) return;
	for (; n; from += 3) {
		size_t k = n < 3 ? n : 3;
		uint32_t bits = (uint32_t)from[0] << 16 | (k > 1 ? (uint32_t)from[1] << 8 : 0) | (k > 2 ? from[2] : 0);
		*to++ = alphabet[bits >> 18];
		*to++ = alphabet[bits >> 12 & 63];
		*to++ = k > 1 ? alphabet[bits >> 6 & 63] : '=';
		*to++ = k > 2 ? alphabet[bits & 63] : '=';
		n -= k;
	}
	buf_advance(b, size);
}

static size_t padding(Str s)
{
	return s.n && s.p[s.n - 1] == '=' ? s.p[s.n - 2] == '=' ? 2 : 1 : 0;
}

ssize_t base64_decoded_size(Str s)
{
	if (s.n % 4 || s.n > SSIZE_MAX) return -EINVAL;
	return (ssize_t)(s.n / 4 * 3 - padding(s));
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z') return c - 'A';
	if (c >= 'a' && c <= 'z') return c - 'a' + 26;
	if (c >= '0' && c <= '9') return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes into to, which has room for size bytes. */
static int decode_groups(Str digits, size_t size, char *to)
{
	for (size_t i = 0; i < digits.n; i += 4) {
		uint32_t bits = 0;
		for (size_t k = 0; k < 4; k++) {
			int v = i + k < digits.n ? value_of(digits.p[i + k]) : 0;
			if (v < 0) return -EINVAL;
			bits = bits << 6 | (uint32_t)v;
		}
		size_t n = size < 3 ? size : 3;
		for (size_t k = 0; k < n; k++)
			*to++ = (char)(bits >> (16 - 8 * k));
		size -= n;
		if (n < 3 && bits << (8 + 8 * n)) return -EINVAL; /* bits that no byte uses */
	}
	return 0;
}

int base64_decode(Str s, Buf *b)
{
	ssize_t size = base64_decoded_size(s);
	if (size < 0) return (int)size;
	char *to = buf_reserve(b, (size_t)size);
	if (!to) return -EFBIG;
	int r = decode_groups((Str){ s.p, s.n - padding(s) }, (size_t)size, to);
	buf_advance(b, r < 0 ? 0 : (size_t)size);
	return r;
}

/* ---- for URLs ---- */

void base64url_encode(Buf *b, const void *p, size_t n)
{
	size_t from = b->n;
	base64_encode(b, p, n);
	if (buf_failed(b)) return;
	while (b->n > from && b->p[b->n - 1] == '=')
		b->n--;
	if (b->p) b->p[b->n] = 0;
	for (size_t i = from; i < b->n; i++)
		b->p[i] = b->p[i] == '+' ? '-' : b->p[i] == '/' ? '_' : b->p[i];
}

int base64url_decode(Str s, Buf *b)
{
	AUTO_BUF plain = BUF_INIT(s.n + 4);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '+' || s.p[i] == '/' || s.p[i] == '=') return -EINVAL;
		buf_putc(&plain, s.p[i] == '-' ? '+' : s.p[i] == '_' ? '/' : s.p[i]);
	}
	while (plain.n % 4)
		buf_putc(&plain, '=');
	return buf_failed(&plain) ? -ENOMEM : base64_decode((Str){ plain.p, plain.n }, b);
}
