/* sync.c: see sync.h. */
#include "runtime/sync.h"

#include <sys/socket.h>
#include <unistd.h>

int sync_pair(int ret[static 2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0 ? -errno : 0;
}

static int sync_put(int sock, SyncMessage *m, const char *text, int fd)
{
	size_t n = text ? strnlen(text, sizeof m->text - 1) : 0;
	if (n) memcpy(m->text, text, n);
	m->text[n] = 0;
	return fd_send(sock, m, offsetof(SyncMessage, text) + n + 1, &fd, fd >= 0 ? 1 : 0);
}

int sync_send(int sock, SyncKind kind, int value, const char *text, int fd)
{
	SyncMessage m = { .kind = kind, .value = value };
	return sync_put(sock, &m, text, fd);
}

int sync_send_error(int sock, const Err *e)
{
	SyncMessage m = { .kind = SYNC_ERROR, .value = (int)e->code, .errnum = e->errnum };
	return sync_put(sock, &m, e->msg, -1);
}

int sync_receive(int sock, SyncMessage *ret, int *ret_fd)
{
	int fd = -1;
	size_t nfds = 0;
	ssize_t n = fd_recv(sock, ret, sizeof *ret, &fd, 1, &nfds);
	/* the other side left something unread and is gone: that is told once, before what it had still sent */
	if (n == -ECONNRESET) n = fd_recv(sock, ret, sizeof *ret, &fd, 1, &nfds);
	if (ret_fd) *ret_fd = nfds ? fd : -1;
	if (n < 0) return n == -ECONNRESET ? 0 : (int)n;
	if (n == 0) return 0;
	if ((size_t)n <= offsetof(SyncMessage, text)) {
		if (nfds) fd_close(fd);
		return -EPROTO;
	}
	((char *)ret)[n - 1] = 0;
	if (!ret_fd && nfds) fd_close(fd);
	return 1;
}

int sync_send_fds(int sock, SyncKind kind, const int *fds, size_t n)
{
	SyncMessage m = { .kind = kind };
	return fd_send(sock, &m, offsetof(SyncMessage, text) + 1, fds, n);
}

int sync_receive_fds(int sock, SyncKind kind, int *fds, size_t max, size_t *ret_n)
{
	SyncMessage m;
	*ret_n = 0;
	ssize_t n = fd_recv(sock, &m, sizeof m, fds, max, ret_n);
	if (n < 0) return (int)n;
	return n == 0 ? -EPIPE : m.kind == kind ? 0 : -EPROTO;
}

int sync_send_data(int sock, SyncMessage *head, void *p, size_t n)
{
	struct iovec iov[] = { { head, offsetof(SyncMessage, text) }, { p, n } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov) };
	ssize_t k = retry_eintr(sendmsg(sock, &m, MSG_NOSIGNAL));
	return k < 0 ? -errno : 0;
}

ssize_t sync_receive_data(int sock, SyncMessage *head, void *p, size_t max)
{
	uint32_t kind = head->kind;
	struct iovec iov[] = { { head, offsetof(SyncMessage, text) }, { p, max } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = ARRAY_LEN(iov) };
	ssize_t n = retry_eintr(recvmsg(sock, &m, 0));
	if (n <= 0) return n < 0 && errno != ECONNRESET ? -errno : -EPIPE;
	if ((size_t)n < offsetof(SyncMessage, text) || m.msg_flags & MSG_TRUNC || head->kind != kind) return -EPROTO;
	return n - (ssize_t)offsetof(SyncMessage, text);
}

int sync_ask(int sock, SyncKind kind, int value, const char *text, int fd)
{
	SyncMessage m;
	int r = sync_send(sock, kind, value, text, fd);
	if (r < 0) return r;
	r = sync_receive(sock, &m, NULL);
	if (r < 0) return r;
	return r == 1 && m.kind == SYNC_GO ? 0 : -EPIPE;
}

int sync_error(const SyncMessage *m, Err *e)
{
	return err_set(e, (ErrCode)m->value, m->errnum, "%s", m->text);
}
