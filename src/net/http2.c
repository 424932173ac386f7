/* http2.c: HTTP/2. */
#include "net/server_impl.h"
int http2_begin(HttpConn *c)
{
	(void)c;
	return -EPROTO;
}
void http2_run(HttpConn *c)
{
	(void)c;
}
bool http2_fill(HttpConn *c)
{
	(void)c;
	return false;
}
void http2_goaway(HttpConn *c)
{
	(void)c;
}
bool http2_is_waiting(const HttpConn *c)
{
	(void)c;
	return false;
}
void http2_free(Http2 *h)
{
	(void)h;
}
