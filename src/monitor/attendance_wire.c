/* attendance_wire.c: messages to and from the attendant, and what a command says. */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/time.h"
#include "monitor/attendance.h"
#include "sys/fd.h"

int attendance_send(int sock, AttendanceKind kind, Str data, const int *fds, size_t n_fds, const Err *e)
{
	AttendanceHead head = { .kind = kind, .code = e ? (int32_t)e->code : 0, .errnum = e ? e->errnum : 0 };
	const struct iovec parts[2] = { { &head, sizeof head }, { (void *)(uintptr_t)data.p, data.n } };
	ssize_t r = fd_send_parts(sock, parts, data.n ? 2 : 1, fds, n_fds);
	return r < 0 ? (int)r : 0;
}

int attendance_receive(int sock, AttendanceMessage *ret)
{
	const struct iovec parts[2] = { { &ret->head, sizeof ret->head }, { ret->data, sizeof ret->data } };
	ssize_t n = fd_recv_parts(sock, parts, 2, ret->fds, ATTENDANCE_SOCKETS, &ret->n_fds);
	if (n <= 0) return n == -ECONNRESET ? 0 : (int)n;
	if ((size_t)n < sizeof ret->head) {
		while (ret->n_fds > 0)
			fd_close(ret->fds[--ret->n_fds]);
		return -EPROTO;
	}
	ret->n = (size_t)n - sizeof ret->head;
	return 1;
}

static int answer_error(const AttendanceMessage *m, Err *e)
{
	const ErrCode code = m->head.code > 0 && m->head.code < ERR_COUNT ? (ErrCode)m->head.code : ERR_INTERNAL;
	const int n = (int)(m->n < ERR_MESSAGE_MAX ? m->n : ERR_MESSAGE_MAX - 1);
	return err_set(e, code, m->head.errnum > 0 ? m->head.errnum : EIO, "%.*s", n, m->data);
}

/* The end before the answer: whoever listens next has read the rows as they are now. */
static int wait_answer(int sock, int timeout_ms, Err *e)
{
	AttendanceMessage m;
	struct pollfd p = { .fd = sock, .events = POLLIN };
	const int64_t until = time_monotonic() + timeout_ms * INT64_C(1000000);
	for (;;) {
		const int64_t left = (until - time_monotonic()) / 1000000;
		int r = poll(&p, 1, left > 0 ? (int)left : 0);
		if (r < 0 && errno == EINTR) continue;
		if (r < 0) return err_sys(e, errno, "wait for the attendant of networks");
		if (r == 0)
			return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "the attendant of networks does not answer: names may be out of date");
		if ((r = attendance_receive(sock, &m)) < 0) return err_sys(e, -r, "hear the attendant of networks");
		while (r > 0 && m.n_fds > 0)
			fd_close(m.fds[--m.n_fds]);
		return r > 0 && m.head.kind == ATTENDANCE_ERROR ? answer_error(&m, e) : 0;
	}
}

int attendance_changed(const char *run_root, const char *id, int timeout_ms, Err *e)
{
	AUTO_FD int dir = open(run_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) return errno == ENOENT ? 0 : err_sys(e, errno, "open %s", run_root);
	AUTO_FD int sock = fd_connect_unix(dir, ATTENDANCE_SOCKET, SOCK_SEQPACKET);
	if (sock == -ENOENT || sock == -ECONNREFUSED) return 0;
	if (sock < 0) return err_sys(e, -sock, "connect to the attendant of networks");
	int r = attendance_send(sock, ATTENDANCE_CHANGED, id ? str_of(id) : (Str){ 0 }, NULL, 0, NULL);
	if (r == -EPIPE || r == -ECONNRESET) return 0;
	return r < 0 ? err_sys(e, -r, "tell the attendant of networks") : wait_answer(sock, timeout_ms, e);
}
