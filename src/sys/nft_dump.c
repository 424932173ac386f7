/* nft_dump.c: lists of what the kernel has. */
#include "sys/nft_impl.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "base/time.h"
#include "sys/fd.h"

enum { TRIES = 20, USERDATA_COMMENT = 0 };

/* ---- asking ---- */

/* Moment: whether all messages of a dump are of one. The kernel does not flag all kinds of dumps, but numbers all their messages. */
typedef struct Moment {
	bool begun, interrupted;
	uint16_t generation;
} Moment;

static void judge_moment(const NftMessage *m, Moment *t)
{
	if (m->flags & NLM_F_DUMP_INTR) t->interrupted = true;
	if (m->type == NLMSG_ERROR || m->type == NLMSG_DONE) return;
	if (t->begun && t->generation != m->generation) t->interrupted = true;
	t->begun = true;
	t->generation = m->generation;
}

/* Judges one datagram of answers to seq. 1: it is the last one, 0: more to come. */
static int judge_answers(Str rest, uint32_t seq, Moment *t)
{
	NftMessage m;
	int r;
	while ((r = nft_take_message(&rest, &m)) > 0) {
		if (m.seq != seq) continue;
		judge_moment(&m, t);
		if (m.type != NLMSG_ERROR && m.type != NLMSG_DONE) continue;
		r = nft_answer_error(&m);
		return r < 0 ? r : 1;
	}
	return r;
}

/* Sends what q holds and puts the answers one after the other to `to`. -EINTR: something changed meanwhile. */
static int ask(int sock, const NftBatch *q, Buf *to)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int64_t deadline = time_monotonic() + INT64_C(1000000000) * NFT_TIMEOUT_S;
	Moment moment = { 0 };
	if (buf_failed(&q->b)) return -ENOMEM;
	if (q->fault) return -EINVAL;
	nft_drain(sock);
	if (retry_eintr(sendto(sock, q->b.p, q->b.n, 0, (struct sockaddr *)&kernel, sizeof kernel)) < 0) return -errno;
	for (;;) {
		char *p = buf_reserve(to, NFT_ANSWER_MAX);
		if (!p) return -EFBIG;
		ssize_t n = nft_receive(sock, p, NFT_ANSWER_MAX, deadline);
		if (n < 0) return (int)n;
		int r = judge_answers((Str){ p, (size_t)n }, q->base, &moment);
		/* each datagram begins where messages do */
		memset(p + n, 0, NLMSG_ALIGN((size_t)n) - (size_t)n);
		buf_advance(to, NLMSG_ALIGN((size_t)n));
		if (r < 0) return r;
		if (r > 0) return moment.interrupted ? -EINTR : 0;
	}
}

static int ask_generation(int sock, uint32_t *ret)
{
	AUTO_NFT_BATCH q = NFT_BATCH_INIT(1024);
	AUTO_BUF answers = BUF_INIT(2 * NFT_ANSWER_MAX);
	nft_request(&q, NFT_MSG_GETGEN, NLM_F_ACK, 0);
	int r = ask(sock, &q, &answers);
	if (r < 0) return r;
	NftMessage m;
	Str rest = { answers.p, answers.n };
	while (nft_take_message(&rest, &m) > 0) {
		if (!nft_is(&m, NFT_MSG_NEWGEN) || m.seq != q.base) continue;
		*ret = nft_attr_be32(m.attrs, NFTA_GEN_ID);
		return 0;
	}
	return -EBADMSG;
}

/* Asks until nothing changes meanwhile. A transaction moves elements in the kernel's tables before it has a number and after it has taken it: a
 * list would lack some although all its messages are of one generation. So none is being made at the beginning, nor at the end. (One that is refused
 * in between goes unseen.) */
static int dump(int sock, const NftBatch *q, Buf *answers)
{
	int r = -EINTR;
	for (int i = 0; i < TRIES && r == -EINTR; i++) {
		uint32_t generation = 0;
		buf_reset(answers);
		r = ask_generation(sock, &generation);
		if (r >= 0) r = nft_hold(sock, generation);
		if (r >= 0) r = ask(sock, q, answers);
		if (r >= 0) r = nft_hold(sock, generation);
	}
	return r == -EINTR ? -EAGAIN : r;
}

typedef int ParseFn(const void *p, size_t n, Arena *a, void *ret);

static int list(int sock, const NftBatch *q, ParseFn *parse, Arena *a, void *ret, const char *what, Err *e)
{
	AUTO_BUF answers = BUF_INIT(NFT_DUMP_MAX);
	int r = dump(sock, q, &answers);
	if (r >= 0) r = parse(answers.p, answers.n, a, ret);
	return r < 0 ? err_sys(e, r, "list %s of nf_tables", what) : 0;
}

/* ---- parsing ---- */

/* The number of messages of a type in [p, p + n); -EBADMSG. */
static ssize_t count_messages(Str rest, uint16_t type)
{
	NftMessage m;
	int r;
	ssize_t n = 0;
	while ((r = nft_take_message(&rest, &m)) > 0)
		n += nft_is(&m, type);
	return r < 0 ? r : n;
}

/* Parse functions for one message: item is zeroed. -EBADMSG, -ENOMEM. */
typedef int ItemFn(const NftMessage *m, Arena *a, void *item);

static int parse_all(Str all, uint16_t type, ItemFn *fn, size_t size, Arena *a, ObjList *ret)
{
	NftMessage m;
	ssize_t n = count_messages(all, type);
	if (n < 0) return (int)n;
	ObjList l = { .items = arena_array(a, (size_t)n + 1, size) };
	if (!l.items) return -ENOMEM;
	while (nft_take_message(&all, &m) > 0) {
		if (!nft_is(&m, type)) continue;
		int r = fn(&m, a, (char *)l.items + size * l.n);
		if (r < 0) return r;
		l.n++;
	}
	*ret = l;
	return 0;
}

static int copy_text(Str s, Arena *a, const char **ret)
{
	*ret = s.p ? arena_str(a, s) : NULL;
	return s.p && !*ret ? -ENOMEM : 0;
}

/* A name that must be there. */
static int copy_name(Str attrs, uint16_t type, Arena *a, const char **ret)
{
	Str s = nft_attr_text(attrs, type);
	if (!s.n || s.n >= NFT_NAME_MAXLEN) return -EBADMSG;
	return copy_text(s, a, ret);
}

/* The comment in user data that nft wrote, or this module. What others keep there is none. */
static int copy_comment(Str userdata, Arena *a, const char **ret)
{
	while (userdata.n >= 2) {
		size_t n = (uint8_t)userdata.p[1];
		if (n > userdata.n - 2) break;
		if (userdata.p[0] == USERDATA_COMMENT && n && !userdata.p[n + 1])
			return copy_text((Str){ userdata.p + 2, strnlen(userdata.p + 2, n) }, a, ret);
		userdata = (Str){ userdata.p + 2 + n, userdata.n - 2 - n };
	}
	return 0;
}

static int parse_table(const NftMessage *m, Arena *a, void *item)
{
	NftTableInfo *t = item;
	t->family = m->family;
	t->flags = nft_attr_be32(m->attrs, NFTA_TABLE_FLAGS);
	t->handle = nft_attr_be64(m->attrs, NFTA_TABLE_HANDLE);
	int r = copy_name(m->attrs, NFTA_TABLE_NAME, a, &t->name);
	return r < 0 ? r : copy_comment(nft_attr(m->attrs, NFTA_TABLE_USERDATA), a, &t->comment);
}

static int parse_base(Str attrs, Arena *a, NftChainInfo *c)
{
	Str hook = nft_attr(attrs, NFTA_CHAIN_HOOK);
	if (!hook.p) return 0;
	c->base = true;
	c->drop = nft_attr(attrs, NFTA_CHAIN_POLICY).p && nft_attr_be32(attrs, NFTA_CHAIN_POLICY) == NFT_DROP;
	c->hook = nft_attr_be32(hook, NFTA_HOOK_HOOKNUM);
	c->priority = (int32_t)nft_attr_be32(hook, NFTA_HOOK_PRIORITY);
	int r = copy_name(attrs, NFTA_CHAIN_TYPE, a, &c->type);
	return r < 0 ? r : copy_text(nft_attr_text(hook, NFTA_HOOK_DEV), a, &c->device);
}

static int parse_chain(const NftMessage *m, Arena *a, void *item)
{
	NftChainInfo *c = item;
	c->family = m->family;
	c->handle = nft_attr_be64(m->attrs, NFTA_CHAIN_HANDLE);
	int r = copy_name(m->attrs, NFTA_CHAIN_TABLE, a, &c->table);
	if (r >= 0) r = copy_name(m->attrs, NFTA_CHAIN_NAME, a, &c->name);
	if (r >= 0) r = copy_comment(nft_attr(m->attrs, NFTA_CHAIN_USERDATA), a, &c->comment);
	return r < 0 ? r : parse_base(m->attrs, a, c);
}

static int parse_rule(const NftMessage *m, Arena *a, void *item)
{
	NftRuleInfo *l = item;
	l->handle = nft_attr_be64(m->attrs, NFTA_RULE_HANDLE);
	if (!l->handle) return -EBADMSG;
	return copy_comment(nft_attr(m->attrs, NFTA_RULE_USERDATA), a, &l->comment);
}

int nft_parse_tables(const void *p, size_t n, Arena *a, NftTables *ret)
{
	ObjList l;
	int r = parse_all((Str){ p, n }, NFT_MSG_NEWTABLE, parse_table, sizeof *ret->items, a, &l);
	if (r >= 0) *ret = (NftTables){ l.items, l.n };
	return r;
}

int nft_parse_chains(const void *p, size_t n, Arena *a, NftChains *ret)
{
	ObjList l;
	int r = parse_all((Str){ p, n }, NFT_MSG_NEWCHAIN, parse_chain, sizeof *ret->items, a, &l);
	if (r >= 0) *ret = (NftChains){ l.items, l.n };
	return r;
}

int nft_parse_rules(const void *p, size_t n, Arena *a, NftRules *ret)
{
	ObjList l;
	int r = parse_all((Str){ p, n }, NFT_MSG_NEWRULE, parse_rule, sizeof *ret->items, a, &l);
	if (r >= 0) *ret = (NftRules){ l.items, l.n };
	return r;
}

/* ---- elements ---- */

static int copy_value(Str s, Arena *a, Str *ret)
{
	if (!s.p) return 0;
	if (!s.n || s.n > NFT_DATA_VALUE_MAXLEN) return -EBADMSG;
	char *p = arena_str(a, s);
	if (!p) return -ENOMEM;
	*ret = (Str){ p, s.n };
	return 0;
}

static int parse_data(Str data, Arena *a, NftElementInfo *el)
{
	Str verdict = nft_attr(data, NFTA_DATA_VERDICT);
	if (!verdict.p) return copy_value(nft_attr(data, NFTA_DATA_VALUE), a, &el->data);
	if (nft_attr(verdict, NFTA_VERDICT_CODE).n != sizeof(uint32_t)) return -EBADMSG;
	el->has_verdict = true;
	el->verdict.code = (int32_t)nft_attr_be32(verdict, NFTA_VERDICT_CODE);
	if (el->verdict.code != NFT_JUMP && el->verdict.code != NFT_GOTO) return 0;
	return copy_name(verdict, NFTA_VERDICT_CHAIN, a, &el->verdict.chain);
}

static int parse_element(Str item, Arena *a, NftElementInfo *el)
{
	el->flags = nft_attr_be32(item, NFTA_SET_ELEM_FLAGS);
	el->timeout = nft_attr_be64(item, NFTA_SET_ELEM_TIMEOUT);
	el->expires = nft_attr_be64(item, NFTA_SET_ELEM_EXPIRATION);
	int r = copy_value(nft_attr2(item, NFTA_SET_ELEM_KEY, NFTA_DATA_VALUE), a, &el->key);
	if (r >= 0 && !el->key.p && !(el->flags & NFT_SET_ELEM_CATCHALL)) r = -EBADMSG;
	if (r >= 0) r = copy_value(nft_attr2(item, NFTA_SET_ELEM_KEY_END, NFTA_DATA_VALUE), a, &el->last);
	if (r >= 0) r = parse_data(nft_attr(item, NFTA_SET_ELEM_DATA), a, el);
	return r < 0 ? r : copy_comment(nft_attr(item, NFTA_SET_ELEM_USERDATA), a, &el->comment);
}

/* Calls for each element of all messages; a NULL: counts only. The number, or what went wrong. */
static ssize_t each_element(Str all, Arena *a, NftElementInfo *items)
{
	NftMessage m;
	int r;
	ssize_t n = 0;
	while ((r = nft_take_message(&all, &m)) > 0) {
		if (!nft_is(&m, NFT_MSG_NEWSETELEM)) continue;
		Str rest = nft_attr(m.attrs, NFTA_SET_ELEM_LIST_ELEMENTS), item;
		uint16_t type;
		while ((r = nft_take_attr(&rest, &type, &item)) > 0) {
			if (items) r = parse_element(item, a, &items[n]);
			if (r < 0) return r;
			n++;
		}
		if (r < 0) return r;
	}
	return r < 0 ? r : n;
}

int nft_parse_elements(const void *p, size_t n, Arena *a, NftElements *ret)
{
	Str all = { p, n };
	ssize_t count = each_element(all, a, NULL);
	if (count < 0) return (int)count;
	NftElementInfo *items = arena_array(a, (size_t)count + 1, sizeof *items);
	if (!items) return -ENOMEM;
	count = each_element(all, a, items);
	if (count < 0) return (int)count;
	*ret = (NftElements){ items, (size_t)count };
	return 0;
}

/* ---- lists ---- */

static int tables_fn(const void *p, size_t n, Arena *a, void *ret)
{
	return nft_parse_tables(p, n, a, ret);
}

int nft_list_tables(int sock, Arena *a, NftTables *ret, Err *e)
{
	AUTO_NFT_BATCH q = NFT_BATCH_INIT(1024);
	nft_request(&q, NFT_MSG_GETTABLE, NLM_F_DUMP, 0);
	return list(sock, &q, tables_fn, a, ret, "tables", e);
}

static int chains_fn(const void *p, size_t n, Arena *a, void *ret)
{
	return nft_parse_chains(p, n, a, ret);
}

int nft_list_chains(int sock, Arena *a, NftChains *ret, Err *e)
{
	AUTO_NFT_BATCH q = NFT_BATCH_INIT(1024);
	nft_request(&q, NFT_MSG_GETCHAIN, NLM_F_DUMP, 0);
	return list(sock, &q, chains_fn, a, ret, "chains", e);
}

static int rules_fn(const void *p, size_t n, Arena *a, void *ret)
{
	return nft_parse_rules(p, n, a, ret);
}

static void end_request(NftBatch *q)
{
	struct nlmsghdr *h = (void *)q->b.p;
	if (!buf_failed(&q->b)) h->nlmsg_len = (uint32_t)q->b.n;
}

int nft_list_rules(int sock, const NftTable *t, const char *chain, Arena *a, NftRules *ret, Err *e)
{
	AUTO_NFT_BATCH q = NFT_BATCH_INIT(1024);
	nft_request(&q, NFT_MSG_GETRULE, NLM_F_DUMP, t->family);
	nft_put_text(&q, NFTA_RULE_TABLE, t->name);
	nft_put_text(&q, NFTA_RULE_CHAIN, chain);
	end_request(&q);
	return list(sock, &q, rules_fn, a, ret, "rules", e);
}

static int elements_fn(const void *p, size_t n, Arena *a, void *ret)
{
	return nft_parse_elements(p, n, a, ret);
}

int nft_list_elements(int sock, const NftTable *t, const char *set, Arena *a, NftElements *ret, Err *e)
{
	AUTO_NFT_BATCH q = NFT_BATCH_INIT(1024);
	nft_request(&q, NFT_MSG_GETSETELEM, NLM_F_DUMP, t->family);
	nft_put_text(&q, NFTA_SET_ELEM_LIST_TABLE, t->name);
	nft_put_text(&q, NFTA_SET_ELEM_LIST_SET, set);
	end_request(&q);
	return list(sock, &q, elements_fn, a, ret, "elements", e);
}

int nft_generation(int sock, uint32_t *ret, Err *e)
{
	int r = ask_generation(sock, ret);
	return r < 0 ? err_sys(e, r, "ask for the generation of nf_tables") : 0;
}
