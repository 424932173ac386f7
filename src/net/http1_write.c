/* http1_write.c: see http1.h. */
#include "net/http1.h"

void http1_put_request(Buf *b, Str method, Str target)
{
	buf_put(b, method.p, method.n);
	buf_putc(b, ' ');
	buf_put(b, target.p, target.n);
	buf_puts(b, " HTTP/1.1\r\n");
}

void http1_put_status(Buf *b, int status)
{
	char digits[4] = { (char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10), (char)('0' + status % 10), ' ' };
	buf_put(b, "HTTP/1.1 ", 9);
	buf_put(b, digits, sizeof digits); /* the blank stays without a reason (RFC 9112 4) */
	buf_puts(b, http_status_text(status));
	buf_put(b, "\r\n", 2);
}

void http1_put_field(Buf *b, Str name, Str value)
{
	buf_put(b, name.p, name.n);
	buf_put(b, ": ", 2);
	buf_put(b, value.p, value.n);
	buf_put(b, "\r\n", 2);
}

void http1_put_length(Buf *b, int64_t n)
{
	buf_printf(b, "Content-Length: %lld\r\n", (long long)n);
}

void http1_put_chunk(Buf *b, const void *p, size_t n)
{
	buf_printf(b, "%zx\r\n", n);
	buf_put(b, p, n);
	buf_put(b, "\r\n", 2);
}

void http1_put_last_chunk(Buf *b)
{
	buf_put(b, "0\r\n\r\n", 5);
}
