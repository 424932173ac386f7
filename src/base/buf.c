/* buf.c: see buf.h. */
#include "base/buf.h"

#include <stdarg.h>

void buf_done(Buf *b)
{
	if (!b) return;
	free(b->p);
	*b = (Buf){ .max = b->max };
}

void buf_quote(Buf *b, Str s)
{
	static const char from[] = "\a\b\f\n\r\t\v\"\\", into[] = "abfnrtv\"\\";
	buf_putc(b, '"');
	for (size_t i = 0, k; i < s.n; i += k ? k : 1) {
		unsigned char c = (unsigned char)s.p[i];
		const char *at = c ? strchr(from, c) : NULL;
		k = c < 0x80 ? 1 : str_utf8((Str){ s.p + i, s.n - i });
		if (at)
			buf_printf(b, "\\%c", into[at - from]);
		else if (!k || c < 0x20 || c == 0x7f)
			buf_printf(b, "\\x%02x", c);
		else
			buf_put(b, s.p + i, k);
	}
	buf_putc(b, '"');
}

char *buf_reserve(Buf *b, size_t n)
{
	if (b->failed) return NULL;
	if (n > b->max || b->n > b->max - n) {
		b->failed = true;
		return NULL;
	}
	size_t need = b->n + n + 1;
	if (need > b->cap) {
		size_t cap = b->cap ? b->cap : 128;
		while (cap < need)
			cap *= 2;
		char *p = realloc(b->p, cap);
		if (!p) {
			b->failed = true;
			return NULL;
		}
		b->p = p;
		b->cap = cap;
		b->p[b->n] = 0;
	}
	return b->p + b->n;
}

void buf_advance(Buf *b, size_t n)
{
	b->n += n;
	b->p[b->n] = 0;
}

void buf_put(Buf *b, const void *p, size_t n)
{
	char *to = buf_reserve(b, n);
	if (!to) return;
	if (n) memcpy(to, p, n);
	buf_advance(b, n);
}

void buf_puts(Buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_putc(Buf *b, char c)
{
	buf_put(b, &c, 1);
}

void buf_printf(Buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	size_t room = b->failed ? 0 : b->cap - b->n;
	int n = vsnprintf(room ? b->p + b->n : NULL, room, fmt, ap);
	va_end(ap);
	if (n < 0) b->failed = true;
	char *to = buf_reserve(b, (size_t)n);
	if (to) {
		if ((size_t)n >= room) vsnprintf(to, (size_t)n + 1, fmt, again);
		buf_advance(b, (size_t)n);
	} else if (room) {
		b->p[b->n] = 0;
	}
	va_end(again);
}

void buf_reset(Buf *b)
{
	b->n = 0;
	b->failed = false;
	if (b->p) b->p[0] = 0;
}

void buf_consume(Buf *b, size_t n)
{
	if (!n) return;
	memmove(b->p, b->p + n, b->n - n + 1);
	b->n -= n;
}

const char *buf_str(const Buf *b)
{
	return b->p ? b->p : "";
}

char *buf_take(Buf *b)
{
	if (b->failed) return NULL;
	if (!b->p && !buf_reserve(b, 0)) return NULL;
	char *p = b->p;
	b->p = NULL;
	b->n = b->cap = 0;
	return p;
}
