/* netlink_message.c: see netlink_message.h. */
#include "sys/netlink_message.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/time.h"
#include "sys/fd.h"

int nl_open(int protocol)
{
	static const int on = 1;
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	struct timeval tv = { .tv_sec = NL_TIMEOUT_S };
	AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0) return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) < 0) return -errno;
	if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on) < 0) return -errno; /* texts with errors */
	if (setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) < 0) return -errno;
	return take_fd(fd);
}

/* ---- writing ---- */

void nl_align(Buf *b)
{
	static const char zeros[NLMSG_ALIGNTO];
	buf_put(b, zeros, NLMSG_ALIGN(b->n) - b->n);
}

size_t nl_begin(Buf *b, uint16_t type, uint16_t flags, const void *fixed, size_t n)
{
	size_t at = b->n;
	struct nlmsghdr h = { .nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) };
	buf_put(b, &h, sizeof h);
	buf_put(b, fixed, n);
	nl_align(b);
	return at;
}

void nl_end(Buf *b, size_t message)
{
	uint32_t n = (uint32_t)(b->n - message);
	if (!buf_failed(b)) memcpy(b->p + message + offsetof(struct nlmsghdr, nlmsg_len), &n, sizeof n);
}

void nl_put(Buf *b, uint16_t type, const void *p, size_t n)
{
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + n), .nla_type = type };
	if (n > UINT16_MAX - NLA_HDRLEN) {
		b->failed = true;
		return;
	}
	buf_put(b, &a, sizeof a);
	if (n) buf_put(b, p, n);
	nl_align(b);
}

void nl_put_u16(Buf *b, uint16_t type, uint16_t v)
{
	nl_put(b, type, &v, sizeof v);
}

void nl_put_u32(Buf *b, uint16_t type, uint32_t v)
{
	nl_put(b, type, &v, sizeof v);
}

void nl_put_str(Buf *b, uint16_t type, const char *s)
{
	nl_put(b, type, s, strlen(s) + 1);
}

size_t nl_nest(Buf *b, uint16_t type)
{
	size_t at = b->n;
	nl_put(b, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void nl_nest_end(Buf *b, size_t nest)
{
	size_t n = b->n - nest;
	if (n > UINT16_MAX) b->failed = true;
	if (buf_failed(b)) return;
	uint16_t length = (uint16_t)n;
	memcpy(b->p + nest + offsetof(struct nlattr, nla_len), &length, sizeof length);
}

/* ---- reading ---- */

const void *nl_find(const void *p, size_t n, uint16_t type, size_t *ret_n)
{
	const char *at = p;
	while (n >= sizeof(struct nlattr)) {
		struct nlattr a;
		memcpy(&a, at, sizeof a);
		if (a.nla_len < sizeof a || a.nla_len > n) return NULL;
		if ((a.nla_type & NLA_TYPE_MASK) == type) {
			*ret_n = a.nla_len - sizeof a;
			return at + sizeof a;
		}
		size_t step = NLA_ALIGN(a.nla_len);
		if (step >= n) return NULL;
		at += step;
		n -= step;
	}
	return NULL;
}

const void *nl_attrs(const struct nlmsghdr *h, size_t fixed, size_t *ret_n)
{
	size_t skip = NLMSG_SPACE(fixed);
	*ret_n = h->nlmsg_len > skip ? h->nlmsg_len - skip : 0;
	return (const char *)h + (h->nlmsg_len > skip ? skip : 0);
}

uint32_t nl_u32(const void *attrs, size_t n, uint16_t type)
{
	size_t k = 0;
	uint32_t v = 0;
	const void *p = nl_find(attrs, n, type, &k);
	if (p && k >= sizeof v) memcpy(&v, p, sizeof v);
	return v;
}

int nl_ack(const struct nlmsghdr *h, const char *what, Err *e)
{
	struct nlmsgerr m;
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof m)) return err_sys(e, EBADMSG, "%s: short answer", what);
	memcpy(&m, NLMSG_DATA(h), sizeof m);
	if (!m.error) return 0;
	int r = err_sys(e, m.error, "%s", what);
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS)) return r;
	size_t skip = sizeof m.error + (h->nlmsg_flags & NLM_F_CAPPED ? sizeof m.msg : m.msg.nlmsg_len), n = 0;
	size_t room = h->nlmsg_len - NLMSG_HDRLEN;
	skip = NLMSG_ALIGN(skip);
	if (skip >= room) return r;
	const char *text = nl_find((const char *)NLMSG_DATA(h) + skip, room - skip, NLMSGERR_ATTR_MSG, &n);
	size_t at = strlen(e->msg);
	if (text && n) snprintf(e->msg + at, sizeof e->msg - at, " (%.*s)", (int)strnlen(text, n), text);
	return r;
}

/* The end of a list may carry the error that ended it. */
static int done_error(const struct nlmsghdr *h, const char *what, Err *e)
{
	int error = 0;
	if (h->nlmsg_len >= NLMSG_LENGTH(sizeof error)) memcpy(&error, NLMSG_DATA(h), sizeof error);
	return error < 0 && error > -4096 ? err_sys(e, -error, "%s", what) : NL_LAST;
}

static int take_answer(const struct nlmsghdr *h, NlAnswerFn *fn, void *data, const char *what, Err *e)
{
	if (h->nlmsg_type == NLMSG_ERROR) {
		int r = nl_ack(h, what, e);
		return r < 0 ? r : NL_LAST;
	}
	int interrupted = h->nlmsg_flags & NLM_F_DUMP_INTR ? NL_INTERRUPTED : 0;
	if (h->nlmsg_type == NLMSG_DONE) {
		int r = done_error(h, what, e);
		return r < 0 ? r : r | interrupted;
	}
	int r = fn ? fn(h, data) : 0;
	return r < 0 ? err_sys(e, r, "%s", what) : interrupted;
}

int nl_answers(const char *p, size_t n, uint32_t seq, NlAnswerFn *fn, void *data, const char *what, Err *e)
{
	int bits = 0;
	while (n >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *h = (const void *)p;
		if (h->nlmsg_len < sizeof *h || h->nlmsg_len > n) return err_sys(e, EBADMSG, "%s: malformed answer", what);
		int r = h->nlmsg_seq == seq ? take_answer(h, fn, data, what, e) : 0;
		if (r < 0) return r;
		bits |= r;
		size_t step = NLMSG_ALIGN(h->nlmsg_len);
		if (bits & NL_LAST || step >= n) break;
		p += step;
		n -= step;
	}
	return bits;
}

int64_t nl_deadline(void)
{
	return time_monotonic() + INT64_C(1000000000) * NL_TIMEOUT_S;
}

ssize_t nl_receive(int sock, char answer[static NL_ANSWER_MAX], int64_t deadline, const char *what, Err *e)
{
	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t from_n = sizeof from;
		ssize_t n = recvfrom(sock, answer, NL_ANSWER_MAX, MSG_TRUNC, (struct sockaddr *)&from, &from_n);
		int r = n < 0 ? -errno : 0;
		if ((r == -EINTR || r == 0) && time_monotonic() > deadline) r = -EAGAIN;
		if (r == -EINTR || (r == 0 && from.nl_pid != 0)) continue; /* only the kernel is believed */
		if (r < 0) return err_sys(e, r == -EAGAIN ? ETIMEDOUT : r, "%s: no answer", what);
		return n > NL_ANSWER_MAX ? err_sys(e, EMSGSIZE, "%s", what) : n;
	}
}

int nl_talk(int sock, Buf *q, NlAnswerFn *fn, void *data, const char *what, Err *e)
{
	_Alignas(struct nlmsghdr) char answer[NL_ANSWER_MAX];
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int64_t deadline = nl_deadline();
	uint32_t seq = (uint32_t)deadline;
	if (buf_failed(q)) return err_sys(e, ENOMEM, "%s", what);
	memcpy(q->p + offsetof(struct nlmsghdr, nlmsg_seq), &seq, sizeof seq);
	ssize_t n = retry_eintr(sendto(sock, q->p, q->n, 0, (struct sockaddr *)&kernel, sizeof kernel));
	if (n < 0) return err_sys(e, errno, "%s", what);
	for (int bits = 0;;) {
		n = nl_receive(sock, answer, deadline, what, e);
		int r = n < 0 ? (int)n : nl_answers(answer, (size_t)n, seq, fn, data, what, e);
		if (r < 0) return r;
		bits |= r;
		if (r & NL_LAST) return bits & NL_INTERRUPTED;
	}
}
