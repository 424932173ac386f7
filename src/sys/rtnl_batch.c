/* rtnl_batch.c: sockets, and requests collected, sent and answered; see rtnl.h. */
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "base/time.h"
#include "sys/fd.h"
#include "sys/netlink.h"
#include "sys/netns.h"
#include "sys/rtnl_impl.h"

int rtnl_open(int *ret, Err *e)
{
	int fd = nl_open(NETLINK_ROUTE);
	if (fd < 0) return err_sys(e, fd, "netlink socket");
	*ret = fd;
	return 0;
}

int rtnl_open_in(int netns, int *ret, Err *e)
{
	int home = -1, r = netns_enter(netns, &home);
	if (r < 0) return err_sys(e, r, "enter a network namespace for a netlink socket");
	AUTO_FD int fd = -1;
	r = rtnl_open(&fd, e);
	int back = netns_return(home);
	if (back < 0) return err_sys(e, back, "return to the own network namespace");
	if (r >= 0) *ret = take_fd(fd);
	return r;
}

int rtnl_index(int sock, const char *name)
{
	return netdev_index_by(sock, name);
}

/* ---- collecting ---- */

static void requests_done(RtRequests *q)
{
	buf_done(&q->out);
	buf_done(&q->labels);
}

void rtnl_batch_done(RtBatch *b)
{
	requests_done(&b->first);
	requests_done(&b->after);
}

static void requests_reset(RtRequests *q)
{
	buf_reset(&q->out);
	buf_reset(&q->labels);
	q->n = 0;
}

void rtnl_bad(RtBatch *b, const char *label, const char *why)
{
	if (b->bad.code == ERR_NONE) err_set(&b->bad, ERR_CONFIG, EINVAL, "%s: %s", label, why);
}

size_t rtnl_begin(RtRequests *q, const char *label, const char *kind, uint16_t type, uint16_t flags, const void *fixed, size_t n)
{
	buf_puts(&q->labels, label);
	buf_putc(&q->labels, 0);
	buf_puts(&q->labels, kind ? kind : "");
	buf_putc(&q->labels, 0);
	q->n++;
	return nl_begin(&q->out, type, flags, fixed, n);
}

void rtnl_end(RtRequests *q, size_t request)
{
	nl_end(&q->out, request);
}

/* The label of request i, and its kind. */
static const char *label_of(const RtRequests *q, size_t i, const char **ret_kind)
{
	const char *p = q->labels.p;
	for (size_t k = 0; k < 2 * i; k++)
		p += strlen(p) + 1;
	*ret_kind = p + strlen(p) + 1;
	return p;
}

/* ---- sending ---- */

/* Numbers from first on; the last request alone asks for an acknowledgement: errors are told in any case. */
static void number(RtRequests *q, uint32_t first)
{
	uint32_t seq = first;
	for (size_t at = 0; at < q->out.n; seq++) {
		struct nlmsghdr h;
		memcpy(&h, q->out.p + at, sizeof h);
		h.nlmsg_seq = seq;
		if (at + h.nlmsg_len == q->out.n) h.nlmsg_flags |= NLM_F_ACK;
		memcpy(q->out.p + at, &h, sizeof h);
		at += h.nlmsg_len;
	}
}

/* A module that is missing has as many errors as there are tables of them. */
static int explain(const struct nlmsghdr *h, const char *label, const char *kind, Err *e)
{
	int r = nl_ack(h, label, e);
	bool unknown = r == -EOPNOTSUPP && (strcasestr(e->msg, "unknown device type") || !strchr(e->msg + strlen(label), '('));
	if (*kind && (unknown || (r == -ENOENT && strstr(e->msg, "qdisc kind is unknown"))))
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP, "%s: this kernel has no %s", label, kind);
	return r;
}

int rtnl_take_acks(const RtRequests *q, uint32_t first, const char *p, size_t n, size_t *failed, Err *e)
{
	while (n >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *h = (const void *)p;
		if (h->nlmsg_len < sizeof *h || h->nlmsg_len > n)
			return err_set(e, ERR_IO, EBADMSG, "requests to the network: malformed answer");
		size_t i = (uint32_t)(h->nlmsg_seq - first);
		if (h->nlmsg_type == NLMSG_ERROR && i < q->n) {
			Err why = ERR_INIT;
			const char *kind, *label = label_of(q, i, &kind);
			if (explain(h, label, kind, &why) < 0 && *failed == SIZE_MAX) {
				*failed = i;
				*e = why;
			}
			if (i == q->n - 1) return 1;
		}
		size_t step = NLMSG_ALIGN(h->nlmsg_len);
		if (step >= n) break;
		p += step;
		n -= step;
	}
	return 0;
}

static int send_numbered(int sock, const RtRequests *q, uint32_t first, Err *e)
{
	_Alignas(struct nlmsghdr) char answer[NL_ANSWER_MAX];
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct iovec part = { q->out.p, q->out.n };
	const struct msghdr m = { .msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = &part, .msg_iovlen = 1 };
	int64_t deadline = nl_deadline();
	size_t failed = SIZE_MAX;
	if (retry_eintr(sendmsg(sock, &m, 0)) < 0) return err_sys(e, errno, "requests to the network");
	for (int r = 0; !r;) {
		Err why = ERR_INIT;
		ssize_t n = nl_receive(sock, answer, deadline, "requests to the network", &why);
		if (n < 0 && failed == SIZE_MAX) *e = why;
		if (n < 0) return -e->errnum;
		r = rtnl_take_acks(q, first, answer, (size_t)n, &failed, e);
		if (r < 0) return r;
	}
	return failed == SIZE_MAX ? 0 : -e->errnum;
}

static int send_requests(int sock, RtRequests *q, Err *e)
{
	uint32_t first = (uint32_t)time_monotonic();
	if (!q->n) return 0;
	number(q, first);
	return send_numbered(sock, q, first, e);
}

static int check_size(const RtRequests *q, Err *e)
{
	if (q->n > RT_BATCH_REQUESTS)
		return err_set(e, ERR_RESOURCE, E2BIG, "more than %d requests to the network at once", RT_BATCH_REQUESTS);
	if (!buf_failed(&q->out) && !buf_failed(&q->labels)) return 0;
	return err_set(e, ERR_RESOURCE, E2BIG, "requests to the network: more than %d bytes, or no memory", RT_BATCH_BYTES);
}

int rtnl_send(int sock, RtBatch *b, Err *e)
{
	int r = 0;
	if (b->bad.code != ERR_NONE) {
		*e = b->bad;
		r = -e->errnum;
	}
	if (r >= 0) r = check_size(&b->first, e);
	if (r >= 0) r = check_size(&b->after, e);
	if (r >= 0) r = send_requests(sock, &b->first, e);
	if (r >= 0) r = send_requests(sock, &b->after, e);
	requests_reset(&b->first);
	requests_reset(&b->after);
	b->bad = ERR_INIT;
	return r;
}
