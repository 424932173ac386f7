/* nft_message.c: messages and attributes, written and read; see nft_impl.h. */
#include "sys/nft_impl.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/time.h"
#include "sys/fd.h"

static const char zeros[NLA_ALIGNTO];

/* ---- writing ---- */

void nft_fault(NftBatch *b, const char *fault)
{
	if (!b->fault && !buf_failed(&b->b)) b->fault = fault; /* what does not fit looks wrong as well */
}

/* Ends the list that is open, if any, then the message. */
void nft_close(NftBatch *b)
{
	if (buf_failed(&b->b) || !b->last) return;
	if (b->list) nft_close_nest(b, b->list);
	b->list = 0;
	struct nlmsghdr *h = (void *)(b->b.p + b->last);
	h->nlmsg_len = (uint32_t)(b->b.n - b->last);
}

static void put_header(NftBatch *b, uint16_t type, uint16_t flags, uint8_t family, uint16_t res_id)
{
	struct {
		struct nlmsghdr h;
		struct nfgenmsg g;
	} m = { .h = { .nlmsg_len = sizeof m,
		       .nlmsg_type = type,
		       .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
		       .nlmsg_seq = b->base + b->messages },
		.g = { .nfgen_family = family, .version = NFNETLINK_V0, .res_id = res_id } };
	buf_put(&b->b, &m, sizeof m);
}

void nft_begin(NftBatch *b)
{
	if (!b->base) b->base = (uint32_t)(time_monotonic() >> 10) | 1;
	put_header(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, htons(NFNL_SUBSYS_NFTABLES));
	if (!b->generation) return;
	nft_put_be32(b, NFNL_BATCH_GENID, b->generation);
	struct nlmsghdr *h = (void *)b->b.p;
	if (!buf_failed(&b->b)) h->nlmsg_len = (uint32_t)b->b.n;
}

void nft_message(NftBatch *b, uint16_t type, uint16_t flags, uint8_t family)
{
	if (!b->b.n) nft_begin(b);
	nft_close(b);
	b->messages++;
	b->last = b->b.n;
	b->list = 0;
	put_header(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, family, 0);
}

void nft_table_message(NftBatch *b, uint16_t type, uint16_t flags, const NftTable *t, uint16_t name_type, const char *name)
{
	nft_message(b, type, flags, t->family);
	nft_put_text(b, NFTA_TABLE_NAME, t->name); /* the first attribute in all of them */
	nft_put_text(b, name_type, name);
}

void nft_request(NftBatch *b, uint16_t type, uint16_t flags, uint8_t family)
{
	nft_batch_reset(b);
	b->base = (uint32_t)(time_monotonic() >> 10) | 1;
	put_header(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, family, 0);
}

void nft_put(NftBatch *b, uint16_t type, const void *p, size_t n)
{
	if (n > UINT16_MAX - NLA_HDRLEN) {
		nft_fault(b, "something is longer than 64 KiB");
		return;
	}
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + n), .nla_type = type };
	char *to = buf_reserve(&b->b, NLA_HDRLEN + NLA_ALIGN(n));
	if (!to) return;
	memcpy(to, &a, sizeof a);
	if (n) memcpy(to + NLA_HDRLEN, p, n);
	memcpy(to + NLA_HDRLEN + n, zeros, NLA_ALIGN(n) - n);
	buf_advance(&b->b, NLA_HDRLEN + NLA_ALIGN(n));
}

void nft_put_u8(NftBatch *b, uint16_t type, uint8_t v)
{
	nft_put(b, type, &v, sizeof v);
}

void nft_put_be32(NftBatch *b, uint16_t type, uint32_t v)
{
	v = htobe32(v);
	nft_put(b, type, &v, sizeof v);
}

void nft_put_be64(NftBatch *b, uint16_t type, uint64_t v)
{
	v = htobe64(v);
	nft_put(b, type, &v, sizeof v);
}

void nft_put_text(NftBatch *b, uint16_t type, const char *s)
{
	if (s) nft_put(b, type, s, strlen(s) + 1);
}

size_t nft_open_nest(NftBatch *b, uint16_t type)
{
	size_t at = b->b.n;
	nft_put(b, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void nft_close_nest(NftBatch *b, size_t nest)
{
	if (buf_failed(&b->b)) return;
	size_t n = b->b.n - nest;
	if (n > UINT16_MAX) {
		nft_fault(b, "a list is longer than 64 KiB");
		return;
	}
	struct nlattr *a = (void *)(b->b.p + nest);
	a->nla_len = (uint16_t)n;
}

void nft_put_data(NftBatch *b, uint16_t type, const void *p, size_t n)
{
	size_t nest = nft_open_nest(b, type);
	nft_put(b, NFTA_DATA_VALUE, p, n);
	nft_close_nest(b, nest);
}

void nft_put_verdict(NftBatch *b, uint16_t type, const NftVerdict *v)
{
	bool jumps = v->code == NFT_JUMP || v->code == NFT_GOTO;
	if (jumps && !v->chain) nft_fault(b, "a jump without a chain");
	size_t nest = nft_open_nest(b, type), inner = nft_open_nest(b, NFTA_DATA_VERDICT);
	nft_put_be32(b, NFTA_VERDICT_CODE, (uint32_t)v->code);
	if (jumps) nft_put_text(b, NFTA_VERDICT_CHAIN, v->chain);
	nft_close_nest(b, inner);
	nft_close_nest(b, nest);
}

void nft_put_comment(NftBatch *b, uint16_t type, uint8_t entry, const char *comment)
{
	uint8_t tlv[2 + NFT_COMMENT_MAX + 1] = { entry };
	if (!comment) return;
	size_t n = strlen(comment) + 1;
	if (n > sizeof tlv - 2) {
		nft_fault(b, "a comment is too long");
		return;
	}
	tlv[1] = (uint8_t)n;
	memcpy(tlv + 2, comment, n);
	nft_put(b, type, tlv, n + 2);
}

/* ---- reading ---- */

int nft_take_message(Str *rest, NftMessage *m)
{
	struct nlmsghdr h;
	if (!rest->n) return 0;
	if (rest->n < sizeof h) return -EBADMSG;
	memcpy(&h, rest->p, sizeof h);
	if (h.nlmsg_len < sizeof h || h.nlmsg_len > rest->n) return -EBADMSG;
	*m = (NftMessage){ .type = h.nlmsg_type, .flags = h.nlmsg_flags, .seq = h.nlmsg_seq, .port = h.nlmsg_pid };
	m->body = (Str){ rest->p + sizeof h, h.nlmsg_len - sizeof h };
	if (h.nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES) {
		struct nfgenmsg g;
		if (m->body.n < sizeof g) return -EBADMSG;
		memcpy(&g, m->body.p, sizeof g);
		m->family = g.nfgen_family;
		m->generation = ntohs(g.res_id);
		m->attrs = (Str){ m->body.p + sizeof g, m->body.n - sizeof g };
	}
	size_t step = NLMSG_ALIGN(h.nlmsg_len);
	if (step > rest->n) step = rest->n;
	*rest = (Str){ rest->p + step, rest->n - step };
	return 1;
}

bool nft_is(const NftMessage *m, uint16_t type)
{
	return m->type == (NFNL_SUBSYS_NFTABLES << 8 | type);
}

int nft_take_attr(Str *rest, uint16_t *type, Str *payload)
{
	struct nlattr a;
	if (!rest->n) return 0;
	if (rest->n < sizeof a) return -EBADMSG;
	memcpy(&a, rest->p, sizeof a);
	if (a.nla_len < sizeof a || a.nla_len > rest->n) return -EBADMSG;
	*type = a.nla_type & NLA_TYPE_MASK;
	*payload = (Str){ rest->p + NLA_HDRLEN, a.nla_len - NLA_HDRLEN };
	size_t step = NLA_ALIGN(a.nla_len);
	if (step > rest->n) step = rest->n;
	*rest = (Str){ rest->p + step, rest->n - step };
	return 1;
}

Str nft_attr(Str attrs, uint16_t type)
{
	uint16_t have;
	Str payload;
	while (nft_take_attr(&attrs, &have, &payload) > 0)
		if (have == type) return payload;
	return (Str){ NULL, 0 };
}

Str nft_attr2(Str attrs, uint16_t outer, uint16_t inner)
{
	return nft_attr(nft_attr(attrs, outer), inner);
}

uint32_t nft_attr_be32(Str attrs, uint16_t type)
{
	uint32_t v = 0;
	Str s = nft_attr(attrs, type);
	if (s.n == sizeof v) memcpy(&v, s.p, sizeof v);
	return be32toh(v);
}

uint64_t nft_attr_be64(Str attrs, uint16_t type)
{
	uint64_t v = 0;
	Str s = nft_attr(attrs, type);
	if (s.n == sizeof v) memcpy(&v, s.p, sizeof v);
	return be64toh(v);
}

Str nft_attr_text(Str attrs, uint16_t type)
{
	Str s = nft_attr(attrs, type);
	const char *end = s.n ? memchr(s.p, 0, s.n) : NULL;
	return end ? (Str){ s.p, (size_t)(end - s.p) } : (Str){ NULL, 0 };
}

int nft_answer_error(const NftMessage *m)
{
	int r;
	if (m->body.n < sizeof r) return m->type == NLMSG_DONE ? 0 : -EBADMSG;
	memcpy(&r, m->body.p, sizeof r);
	return r > 0 || r < -4095 ? -EBADMSG : r;
}

Str nft_answer_attrs(const NftMessage *m)
{
	struct nlmsgerr x;
	if (!(m->flags & NLM_F_ACK_TLVS) || m->body.n < sizeof x) return (Str){ NULL, 0 };
	memcpy(&x, m->body.p, sizeof x);
	size_t skip = sizeof x.error + (m->flags & NLM_F_CAPPED ? sizeof x.msg : NLMSG_ALIGN((size_t)x.msg.nlmsg_len));
	return skip < m->body.n ? (Str){ m->body.p + skip, m->body.n - skip } : (Str){ NULL, 0 };
}

/* ---- sockets ---- */

ssize_t nft_receive(int sock, void *p, size_t n, int64_t deadline)
{
	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t from_n = sizeof from;
		ssize_t got = recvfrom(sock, p, n, MSG_TRUNC | MSG_DONTWAIT, (struct sockaddr *)&from, &from_n);
		if (got >= 0 && from.nl_pid == 0) return (size_t)got > n ? -EMSGSIZE : got;
		if (got >= 0 || errno == EINTR) continue; /* only the kernel is believed */
		if (errno != EAGAIN || !deadline) return -errno;
		int64_t left = deadline - time_monotonic();
		if (left <= 0) return -ETIMEDOUT;
		struct pollfd wait = { .fd = sock, .events = POLLIN };
		if (poll(&wait, 1, (int)(left / 1000000) + 1) < 0 && errno != EINTR) return -errno;
	}
}

void nft_drain(int sock)
{
	char stale[64]; /* what does not fit is gone as well */
	for (ssize_t n = 0; n >= 0 || n == -ENOBUFS || n == -EMSGSIZE;)
		n = nft_receive(sock, stale, sizeof stale, 0);
}
