/* nft_batch.c: transactions: sending them, and finding out what was wrong with one. */
#include "sys/nft_impl.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "base/time.h"
#include "sys/fd.h"
#include "sys/netlink_message.h"

/* An acknowledgement is 36 bytes and some words: small buffers, for each is cleared at each use. */
enum { DEFAULT_SEND = 64 << 10, KEY_SHOWN = 24, ACK_MAX = 2048 };

/* ---- the batch ---- */

void nft_batch_done(NftBatch *b)
{
	if (!b) return;
	buf_done(&b->b);
	buf_done(&b->labels);
	nft_batch_reset(b);
}

void nft_batch_reset(NftBatch *b)
{
	Buf messages = b->b, labels = b->labels;
	buf_reset(&messages);
	buf_reset(&labels);
	*b = (NftBatch){ .b = messages, .labels = labels };
}

void nft_label(NftBatch *b, const char *fmt, ...)
{
	char text[256];
	uint32_t next = b->messages + 1;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_put(&b->labels, &next, sizeof next);
	buf_put(&b->labels, text, strlen(text) + 1);
	/* what follows begins a message: elements under another label are none of the one before */
	nft_close(b);
	b->list = 0;
}

void nft_expect(NftBatch *b, uint32_t generation)
{
	if (b->b.n) nft_fault(b, "nft_expect behind the beginning");
	b->generation = generation;
}

/* The label of message number i, NULL. */
static const char *label_of(const NftBatch *b, uint32_t i)
{
	const char *found = NULL;
	for (size_t at = 0; at < b->labels.n;) {
		uint32_t first;
		memcpy(&first, b->labels.p + at, sizeof first);
		if (first > i) break;
		found = b->labels.p + at + sizeof first;
		at += sizeof first + strlen(found) + 1;
	}
	return found;
}

/* ---- what was refused ---- */

const char *nft_family(uint8_t family)
{
	static const char *const names[] = {
		[NFT_INET] = "inet", [NFT_IP] = "ip", [NFT_ARP] = "arp", [NFT_NETDEV] = "netdev", [NFT_BRIDGE] = "bridge", [NFT_IP6] = "ip6"
	};
	return family < ARRAY_LEN(names) && names[family] ? names[family] : "?";
}

/* Attributes with the name of what a message is about; the table's is the first of all. */
static const struct {
	const char *text;
	uint16_t name;
} kinds[NFT_MSG_MAX] = {
	[NFT_MSG_NEWTABLE] = { "add table", 0 },
	[NFT_MSG_DELTABLE] = { "delete table", 0 },
	[NFT_MSG_NEWCHAIN] = { "add chain", NFTA_CHAIN_NAME },
	[NFT_MSG_DELCHAIN] = { "delete chain", NFTA_CHAIN_NAME },
	[NFT_MSG_NEWRULE] = { "add rule to chain", NFTA_RULE_CHAIN },
	[NFT_MSG_DELRULE] = { "delete rule of chain", NFTA_RULE_CHAIN },
	[NFT_MSG_NEWSET] = { "add set", NFTA_SET_NAME },
	[NFT_MSG_DELSET] = { "delete set", NFTA_SET_NAME },
	[NFT_MSG_NEWSETELEM] = { "add element to set", NFTA_SET_ELEM_LIST_SET },
	[NFT_MSG_DELSETELEM] = { "delete element of set", NFTA_SET_ELEM_LIST_SET },
};

/* The key of the element in which the kernel found fault, `at` bytes behind the beginning of its message: " 0a000001". */
static void describe_element(const NftMessage *m, uint32_t at, Buf *to)
{
	Str list = nft_attr(m->attrs, NFTA_SET_ELEM_LIST_ELEMENTS), item;
	const char *begin = m->body.p - sizeof(struct nlmsghdr);
	uint16_t type;
	while (nft_take_attr(&list, &type, &item) > 0) {
		size_t from = (size_t)(item.p - begin) - NLA_HDRLEN;
		if (at < from || at >= from + NLA_HDRLEN + item.n) continue;
		Str key = nft_attr2(item, NFTA_SET_ELEM_KEY, NFTA_DATA_VALUE);
		buf_putc(to, ' ');
		for (size_t i = 0; i < key.n && i < KEY_SHOWN; i++)
			buf_printf(to, "%02x", (unsigned char)key.p[i]);
		return;
	}
}

static void describe_message(const NftMessage *m, uint32_t at, Buf *to)
{
	unsigned type = m->type & 0xff;
	bool elements = nft_is(m, NFT_MSG_NEWSETELEM) || nft_is(m, NFT_MSG_DELSETELEM);
	if (type >= NFT_MSG_MAX || !kinds[type].text) return;
	Str table = nft_attr_text(m->attrs, NFTA_TABLE_NAME), name = nft_attr_text(m->attrs, kinds[type].name);
	buf_puts(to, kinds[type].text);
	if (kinds[type].name) buf_printf(to, " %.*s of table", (int)name.n, name.n ? name.p : "");
	buf_printf(to, " %s %.*s", nft_family(m->family), (int)table.n, table.n ? table.p : "");
	if (elements && at) {
		buf_puts(to, ", element");
		describe_element(m, at, to);
	}
}

/* The number-th message of the batch, 1 the first behind the beginning. */
static bool find_message(const NftBatch *b, uint32_t number, NftMessage *m)
{
	Str rest = { b->b.p, b->b.n };
	for (uint32_t i = 0; nft_take_message(&rest, m) > 0; i++)
		if (i == number) return true;
	return false;
}

/* Says what the answer m refuses. */
static int refuse(const NftBatch *b, const NftMessage *m, int error, Err *e)
{
	AUTO_BUF what = BUF_INIT(ERR_MESSAGE_MAX);
	NftMessage refused;
	uint32_t number = m->seq - b->base, at = 0;
	Str attrs = nft_answer_attrs(m), where = nft_attr(attrs, NLMSGERR_ATTR_OFFS), words = nft_attr_text(attrs, NLMSGERR_ATTR_MSG);
	if (where.n == sizeof at) memcpy(&at, where.p, sizeof at);
	const char *label = number ? label_of(b, number) : NULL;
	if (label) buf_printf(&what, "%s: ", label);
	if (number && number <= b->messages && find_message(b, number, &refused))
		describe_message(&refused, at, &what);
	else
		buf_puts(&what, "commit changes of nf_tables");
	int r = err_sys(e, error, "%s", buf_str(&what));
	size_t n = strlen(e->msg);
	if (words.n) snprintf(e->msg + n, sizeof e->msg - n, " (%.*s)", (int)words.n, words.p);
	return r;
}

/* ---- sending ---- */

int nft_open(Err *e)
{
	int fd = nl_open(NETLINK_NETFILTER);
	return fd < 0 ? err_sys(e, fd, "netlink socket for nf_tables") : fd;
}

int nft_port(int sock, uint32_t *ret)
{
	struct sockaddr_nl sa = { 0 };
	socklen_t n = sizeof sa;
	if (getsockname(sock, (struct sockaddr *)&sa, &n) < 0) return -errno;
	*ret = sa.nl_pid;
	return 0;
}

/* The kernel takes a message only when the socket's buffer has room for all of it and 32 bytes; it doubles what it is told. A refusal shows in
 * sendmsg. */
static void make_room(int sock, size_t n)
{
	int want = (int)(n > INT32_MAX / 2 ? INT32_MAX / 2 : n);
	if (n < DEFAULT_SEND) return;
	if (setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof want) < 0)
		(void)setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &want, sizeof want);
}

static int send_all(int sock, const Buf *b, Err *e)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct iovec part = { .iov_base = b->p, .iov_len = b->n };
	struct msghdr m = { .msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = &part, .msg_iovlen = 1 };
	make_room(sock, b->n);
	nft_drain(sock);
	ssize_t sent = retry_eintr(sendmsg(sock, &m, 0));
	if (sent < 0) return err_sys(e, errno, "send %zu bytes to nf_tables", b->n);
	return (size_t)sent == b->n ? 0 : err_sys(e, EIO, "send %zu bytes to nf_tables: %zd sent", b->n, sent);
}

/* Answers stand in the order of their messages, behind a refusal of the beginning, which is one of the whole. The kernel tells every message that
 * it refuses, so there may be more of them than the socket holds; the first ones are there, and the first one counts. */
typedef struct Answers {
	bool acknowledged, refused, lost;
	int error;
} Answers;

static int take_answer(const NftBatch *b, const NftMessage *m, Answers *a, Err *e)
{
	if (m->type != NLMSG_ERROR || m->seq - b->base > b->messages) return 0;
	int r = nft_answer_error(m);
	if (r == 0 && m->seq - b->base == b->messages) a->acknowledged = true;
	if (r == 0 || a->refused) return 0;
	a->refused = true;
	a->error = refuse(b, m, r, e);
	return 0;
}

/* The kernel has answered by the time that sendmsg returns: behind a refusal or a loss nothing is waited for. */
static int await(const NftBatch *b, int sock, Err *e)
{
	char answer[ACK_MAX];
	Answers a = { 0 };
	int64_t deadline = time_monotonic() + INT64_C(1000000000) * NFT_TIMEOUT_S;
	for (;;) {
		bool enough = a.acknowledged || a.refused || a.lost;
		ssize_t n = nft_receive(sock, answer, sizeof answer, enough ? 0 : deadline);
		if (n == -ENOBUFS) a.lost = true;
		if (n == -ENOBUFS) continue;
		if (n == -EAGAIN) break;
		if (n < 0) return err_sys(e, (int)n, "answer of nf_tables");
		NftMessage m;
		int r;
		Str rest = { answer, (size_t)n };
		while ((r = nft_take_message(&rest, &m)) > 0)
			(void)take_answer(b, &m, &a, e);
		if (r < 0) return err_sys(e, r, "answer of nf_tables");
	}
	if (a.refused) return a.error;
	return a.acknowledged ? 0 : err_sys(e, ENOBUFS, "answer of nf_tables");
}

static void put_end(NftBatch *b)
{
	struct {
		struct nlmsghdr h;
		struct nfgenmsg g;
	} end = { .h = { .nlmsg_len = sizeof end,
			 .nlmsg_type = NFNL_MSG_BATCH_END,
			 .nlmsg_flags = NLM_F_REQUEST,
			 .nlmsg_seq = b->base + b->messages + 1 },
		  .g = { .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES) } };
	buf_put(&b->b, &end, sizeof end);
}

int nft_commit(NftBatch *b, int sock, Err *e)
{
	nft_close(b);
	b->list = 0;
	if (b->fault) return err_set(e, ERR_CONFIG, EINVAL, "change of nf_tables: %s", b->fault);
	if (!b->messages && !buf_failed(&b->b)) return 0;
	size_t n = b->b.n;
	if (!buf_failed(&b->labels)) put_end(b);
	if (buf_failed(&b->b) || buf_failed(&b->labels))
		return err_set(e, ERR_RESOURCE, E2BIG, "change of nf_tables: more than %zu bytes, or no memory", b->b.max);
	/* one acknowledgement, of the last message: before Linux 6.10 the end of a batch has none */
	struct nlmsghdr *last = (void *)(b->b.p + b->last);
	last->nlmsg_flags |= NLM_F_ACK;
	int r = send_all(sock, &b->b, e);
	if (r >= 0) r = await(b, sock, e);
	last->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
	b->b.n = n;
	return r;
}

/* A batch of nothing: it waits for its turn like any other, and changes no generation. No answer is a success. */
int nft_hold(int sock, uint32_t generation)
{
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(256);
	char answer[ACK_MAX];
	NftMessage m;
	Err e = ERR_INIT;
	nft_expect(&b, generation);
	nft_begin(&b);
	put_end(&b);
	if (buf_failed(&b.b)) return -ENOMEM;
	int r = send_all(sock, &b.b, &e);
	if (r < 0) return r;
	ssize_t n = nft_receive(sock, answer, sizeof answer, 0);
	if (n == -EAGAIN) return 0;
	if (n < 0) return (int)n;
	Str rest = { answer, (size_t)n };
	r = nft_take_message(&rest, &m);
	if (r > 0) r = m.type == NLMSG_ERROR ? nft_answer_error(&m) : -EBADMSG;
	return r == -ERESTART ? -EINTR : r;
}
