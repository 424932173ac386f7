/* output.c: standard streams of a command. */
#include <fcntl.h>
#include <poll.h>

#include "cli/command.h"
#include "sys/fd.h"

int print_buf(const Buf *b, Err *e)
{
	if (buf_failed(b)) return err_sys(e, ENOMEM, "output");
	int r = fd_write_all(1, buf_str(b), b->n);
	return r < 0 ? err_sys(e, r, "write to standard output") : 0;
}

int standard_streams_open(void)
{
	struct pollfd p[3] = { { 0, 0, 0 }, { 1, 0, 0 }, { 2, 0, 0 } };
	if (poll(p, 3, 0) <= 0) return 0;
	for (int fd = 0; fd <= 2; fd++)
		if (p[fd].revents & POLLNVAL && open("/dev/null", O_RDWR | O_NOCTTY) != fd) return -EBADF;
	return 0;
}
