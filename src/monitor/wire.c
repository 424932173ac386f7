/* wire.c: see wire.h. */
#include "monitor/wire.h"

int wire_send(int sock, WireKind kind, int value, int more, const void *data, size_t n, const int *fds, size_t n_fds)
{
	WireHead h = { .kind = kind, .value = value, .more = more };
	const struct iovec parts[2] = { { &h, sizeof h }, { (void *)(uintptr_t)data, n } };
	ssize_t r = fd_send_parts(sock, parts, n ? 2 : 1, fds, n_fds);
	return r < 0 ? (int)r : 0;
}

int wire_receive(int sock, WireHead *ret, char *data, size_t *ret_n, int fds[static WIRE_FDS_MAX], size_t *ret_fds)
{
	const struct iovec parts[2] = { { ret, sizeof *ret }, { data, WIRE_DATA_MAX } };
	ssize_t n = fd_recv_parts(sock, parts, 2, fds, WIRE_FDS_MAX, ret_fds);
	if (n == -ECONNRESET) n = fd_recv_parts(sock, parts, 2, fds, WIRE_FDS_MAX, ret_fds);
	if (n <= 0) return n == -ECONNRESET ? 0 : (int)n;
	if ((size_t)n < sizeof *ret) {
		while (*ret_fds > 0)
			fd_close(fds[--*ret_fds]);
		return -EPROTO;
	}
	*ret_n = (size_t)n - sizeof *ret;
	return 1;
}

int wire_send_error(int sock, const Err *e)
{
	return wire_send(sock, WIRE_ERROR, (int)e->code, e->errnum, e->msg, strlen(e->msg), NULL, 0);
}

int wire_error(const WireHead *h, const char *data, size_t n, Err *e)
{
	ErrCode code = h->value > 0 && h->value < ERR_COUNT ? (ErrCode)h->value : ERR_INTERNAL;
	return err_set(e, code, h->more > 0 ? h->more : EIO, "%.*s", (int)(n < ERR_MESSAGE_MAX ? n : ERR_MESSAGE_MAX - 1), data);
}
