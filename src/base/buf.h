/* buf.h: a growable byte buffer with a ceiling.
 *
 * Invariants
 *  - p[n] is always 0 once p is not NULL, so buf_str() is a C string at any time.
 *  - n never exceeds max; what would go over it sets `failed` and is dropped whole. Writers need not check
 *    every call: they check buf_failed() once, at the end.
 *  - Ownership: the Buf owns p until buf_take().
 */
#pragma once

#include "base/str.h"

typedef struct Buf {
	char *p;
	size_t n, cap, max;
	bool failed;
} Buf;

/* BUF_INIT(max): an empty buffer that never holds more than max bytes. */
#define BUF_INIT(max_bytes) ((Buf){ .max = (max_bytes) })

void buf_done(Buf *b);
#define AUTO_BUF AUTO(buf_done) Buf

/* Adding. All of them do nothing once the buffer has failed. */
void buf_put(Buf *b, const void *p, size_t n);
void buf_puts(Buf *b, const char *s);
void buf_putc(Buf *b, char c);
void buf_printf(Buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* buf_quote: s in quotes, as Go's %q. */
void buf_quote(Buf *b, Str s);

/* buf_reserve: room for n more bytes at p + n. Returns NULL (and fails the buffer) when that is too much.
 * Add what was written to b->n with buf_advance(). */
char *buf_reserve(Buf *b, size_t n) MUST_USE;
void buf_advance(Buf *b, size_t n);

/* buf_reset: empty again, memory and ceiling kept. */
void buf_reset(Buf *b);

/* buf_consume: drops the first n bytes. */
void buf_consume(Buf *b, size_t n);

static inline bool buf_failed(const Buf *b)
{
	return b->failed;
}

/* buf_str: the content as a C string, never NULL; valid until the next call on b. */
const char *buf_str(const Buf *b);

/* buf_take: moves the content out as a malloc'ed C string; NULL when the buffer has failed. */
char *buf_take(Buf *b) MUST_USE;
