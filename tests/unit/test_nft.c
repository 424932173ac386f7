/* test_nft.c: what nft.h writes, byte for byte; what it does with answers that no kernel would give; and without memory. What the kernel makes
 * of it all: test_nft_live.c. */

/* The reading of answers is static: that part is compiled into the test. */
#include "sys/nft_batch.c"

#include "alloc.h"
#include "check.h"
#include "nft_sample.h"

enum { BATCH_MAX = 8 << 20, MANY = 10000 };

/* ---- writing ---- */

static const char encoded[] =
	/* NFNL_MSG_BATCH_BEGIN, number -1; res_id: NFNL_SUBSYS_NFTABLES */
	"14000000 1000 0100 ffffffff 00000000 00 00 000a"
	/* NFT_MSG_NEWTABLE, create, number 0; inet */
	"34000000 000a 0104 00000000 00000000 01 00 0000"
	/* name, flags, user data: comment */
	"0800 0100 74626c00"
	"0800 0200 00000000"
	"1000 0600 000a 6120636f6d6d656e7400"
	/* NFT_MSG_NEWRULE, create, append; table, chain */
	"4c000000 060a 010c 01000000 00000000 01 00 0000"
	"0800 0100 74626c00"
	"0600 0200 63000000"
	/* a list of expressions, nested; one, nested; its name; what it says, nested: a key, a register */
	"2800 0480"
	"2400 0180"
	"0900 0100 6d65746100000000"
	"1400 0280"
	"0800 0200 00000010"
	"0800 0100 00000008";

static void messages_are_as_they_should(void **state)
{
	(void)state;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	AUTO_BUF have = BUF_INIT(BATCH_MAX), want = BUF_INIT(BATCH_MAX);
	const NftTable t = { NFT_INET, "tbl" };
	b.base = UINT32_MAX; /* messages are numbered from it */
	nft_table_add(&b, &t, 0, "a comment");
	nft_rule(&b, &t, "c", NULL);
	nft_meta(&b, NFT_META_L4PROTO, NFT_R(0));
	nft_close(&b);
	for (size_t i = 0; i < b.b.n; i++)
		buf_printf(&have, "%02x", (uint8_t)b.b.p[i]);
	for (const char *p = encoded; *p; p++)
		if (*p != ' ') buf_putc(&want, *p);
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) print_message("the digits are those of a little endian machine\n");
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) skip();
	assert_string_equal(buf_str(&have), buf_str(&want));
}

static void values_are_padded_by_field(void **state)
{
	(void)state;
	NftValue v = { 0 }, first = { 0 }, last = { 0 };
	nft_value_add_proto(&v, 6);
	nft_value_add_port(&v, 0x1234);
	assert_int_equal(v.n, 6);
	assert_memory_equal(v.p, "\6\0\0\0\x12\x34\0\0", 8);
	nft_value_add_ifname(&v, "fifteen-bytes-x");
	assert_int_equal(v.n, 24);
	assert_false(v.too_big);
	nft_value_add_ifname(&v, "sixteen-bytes-xx");
	assert_true(v.too_big);
	v = (NftValue){ 0 };
	for (int i = 0; i < 4; i++)
		nft_value_add_ifname(&v, "e");
	assert_false(v.too_big);
	nft_value_add_proto(&v, 6);
	assert_true(v.too_big);
	static const struct {
		unsigned bits;
		const char *first, *last;
	} prefixes[] = {
		{ 0, "\0\0\0\0", "\xff\xff\xff\xff" },          { 1, "\x80\0\0\0", "\xff\xff\xff\xff" },
		{ 12, "\xac\x10\0\0", "\xac\x1f\xff\xff" },     { 31, "\xac\x1f\x7f\x02", "\xac\x1f\x7f\x03" },
		{ 32, "\xac\x1f\x7f\x03", "\xac\x1f\x7f\x03" },
	};
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		first = last = (NftValue){ 0 };
		nft_value_add_prefix(&first, &last, "\xac\x1f\x7f\x03", 4, prefixes[i].bits);
		assert_memory_equal(first.p, prefixes[i].first, 4);
		assert_memory_equal(last.p, prefixes[i].last, 4);
	}
	nft_value_add_prefix(&first, &last, "\xac\x1f\x7f\x03", 4, 33);
	assert_true(first.too_big && last.too_big);
}

/* The elements that stand in a batch, as a kernel would tell them. */
static NftElements elements_of(const NftBatch *b, Arena *a)
{
	NftElements l = { 0 };
	assert_int_equal(nft_parse_elements(b->b.p, b->b.n, a, &l), 0);
	return l;
}

static void intervals_end_behind_their_last(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	sample_prefix(&b, "sources", "\x0a\x01\xff\xff", 4, 16);
	sample_prefix(&b, "sources", "\xff\xff\xff\xff", 4, 8);
	nft_close(&b);
	NftElements l = elements_of(&b, &a);
	assert_int_equal(l.n, 3);
	assert_memory_equal(l.items[0].key.p, "\x0a\x01\0\0", 4);
	assert_int_equal(l.items[0].flags, 0);
	assert_memory_equal(l.items[1].key.p, "\x0a\x02\0\0", 4);
	assert_int_equal(l.items[1].flags, NFT_SET_ELEM_INTERVAL_END);
	assert_memory_equal(l.items[2].key.p, "\xff\0\0\0", 4); /* up to the last address: no end */
}

static void long_lists_are_split(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(16 << 20);
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	nft_elements(&b, NFT_CREATE, &sample, "ports");
	for (unsigned i = 0; i < MANY; i++)
		sample_port(&b, (uint16_t)i, i, 80, NULL);
	nft_close(&b);
	assert_null(b.fault);
	assert_true(b.messages > 1 && b.messages < 10);
	Str rest = { b.b.p, b.b.n };
	NftMessage m;
	size_t n = 0;
	for (; nft_take_message(&rest, &m) > 0;) {
		if (!nft_is(&m, NFT_MSG_NEWSETELEM)) continue;
		n++;
		assert_int_equal(m.flags, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
		assert_int_equal(m.family, NFT_INET);
		assert_true(str_eq(nft_attr_text(m.attrs, NFTA_SET_ELEM_LIST_TABLE), "skep"));
		assert_true(str_eq(nft_attr_text(m.attrs, NFTA_SET_ELEM_LIST_SET), "ports"));
	}
	assert_int_equal(n, b.messages);
	NftElements l = elements_of(&b, &a);
	assert_int_equal(l.n, MANY);
	assert_memory_equal(l.items[MANY - 1].key.p, "\6\0\0\0\x27\x0f\0\0", 8);
	assert_memory_equal(l.items[MANY - 1].data.p, "\0\0\x27\x0f\0\x50\0\0", 8);
}

/* ---- what cannot be said ---- */

#define FAULT(says, ...) \
	do { \
		AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX); \
		Err e = ERR_INIT; \
		__VA_ARGS__; \
		assert_int_equal(nft_commit(&b, -1, &e), -EINVAL); \
		if (!strstr(e.msg, says)) fail_msg("\"%s\" lacks \"%s\"", e.msg, says); \
	} while (0)

static void faults_fail_the_batch(void **state)
{
	(void)state;
	static char comment[NFT_COMMENT_MAX + 2], huge[70000], name[300];
	memset(comment, 'c', sizeof comment - 1);
	memset(huge, 'h', sizeof huge - 1);
	memset(name, 'n', sizeof name - 1);
	NftValue key = { 0 };
	nft_value_add_proto(&key, 6);
	const NftElement el = { .key = &key };
	FAULT("a comment is too long", nft_table_add(&b, &sample, 0, comment));
	FAULT("longer than 64 KiB", nft_chain_delete(&b, &sample, huge));
	FAULT("an expression without a rule", nft_counter(&b));
	FAULT("an expression without a rule", nft_rule(&b, &sample, "c", NULL); nft_table_delete(&b, &sample); nft_counter(&b));
	FAULT("an element without a set", nft_element(&b, &el));
	FAULT("an element without a set", nft_table_delete(&b, &sample); nft_element(&b, &el));
	FAULT("a jump without a chain", nft_rule(&b, &sample, "c", NULL); nft_verdict(&b, (NftVerdict){ .code = NFT_JUMP }));
	FAULT("a set of an unknown type", nft_set_add(&b, &sample, &(NftSet){ .name = "s", .key = { 3 } }));
	FAULT("a set of an unknown type", nft_set_add(&b, &sample, &(NftSet){ .name = "s" }));
	FAULT("the comment of a set", nft_set_add(&b, &sample, &(NftSet){ .name = "s", .key = { NFT_TYPE_IPV4 }, .comment = comment }));
	FAULT("behind the beginning", nft_table_delete(&b, &sample); nft_expect(&b, 1));
	FAULT("an interface's name", nft_rule(&b, &sample, "c", NULL);
	      nft_is_ifname(&b, NFT_R(0), NFT_META_IIFNAME, NFT_CMP_EQ, "sixteen-bytes-xx"));
	FAULT("a list is longer", nft_rule(&b, &sample, "c", NULL); for (int i = 0; i < 4000; i++) nft_counter(&b);
	      nft_table_delete(&b, &sample));
	key.too_big = true;
	FAULT("a value is too long", nft_elements(&b, NFT_ADD, &sample, "s"); nft_element(&b, &el));
	key.too_big = false;
	FAULT("a name is too long", nft_elements(&b, NFT_ADD, &sample, name); for (int i = 0; i < 10000; i++) nft_element(&b, &el));
}

static void ceilings_hold(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(1000);
	sample_fill(&b, "in0", "out0");
	assert_int_equal(nft_commit(&b, -1, &e), -E2BIG);
	assert_true(b.b.n <= 1000);
	nft_batch_reset(&b);
	nft_table_add(&b, &sample, 0, NULL);
	assert_int_equal(nft_commit(&b, -1, &e), -EBADF); /* it would be sent */
	nft_batch_reset(&b);
	assert_int_equal(nft_commit(&b, -1, &e), 0); /* nothing to be sent */
}

/* ---- answers ---- */

typedef struct Answer {
	struct nlmsghdr h;
	struct nlmsgerr m;
	struct nlattr a;
	char text[12];
	struct nlattr offset;
	uint32_t at;
} Answer;

static Answer answer_to(const NftBatch *b, uint32_t number, int error)
{
	Answer x = { .h = { .nlmsg_len = sizeof x,
			    .nlmsg_type = NLMSG_ERROR,
			    .nlmsg_flags = NLM_F_ACK_TLVS | NLM_F_CAPPED,
			    .nlmsg_seq = b->base + number },
		     .m = { .error = error },
		     .a = { .nla_len = sizeof x.a + sizeof x.text, .nla_type = NLMSGERR_ATTR_MSG },
		     .text = "just so",
		     .offset = { .nla_len = sizeof x.offset + sizeof x.at, .nla_type = NLMSGERR_ATTR_OFFS } };
	return x;
}

static Answers judge(const NftBatch *b, const Answer *x, Err *e)
{
	NftMessage m;
	Answers a = { 0 };
	Str rest = { (const char *)x, x->h.nlmsg_len };
	assert_int_equal(nft_take_message(&rest, &m), 1);
	take_answer(b, &m, &a, e);
	return a;
}

static void refusals_are_told_with_their_label(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	nft_table_add(&b, &sample, 0, NULL);
	nft_label(&b, "second of %d", 3);
	nft_elements(&b, NFT_ADD, &sample, "ports");
	sample_port(&b, 80, 1, 80, NULL);
	sample_port(&b, 81, 1, 81, NULL);
	uint32_t inside = (uint32_t)(b.b.n - b.last - 4);
	nft_label(&b, "third");
	nft_chain_delete(&b, &sample, "c");
	nft_close(&b);
	assert_int_equal(b.messages, 3);
	Answer x = answer_to(&b, 1, -EEXIST);
	assert_int_equal(judge(&b, &x, &e).error, -EEXIST);
	assert_string_equal(e.msg, "add table inet skep: file exists (just so)");
	x = answer_to(&b, 2, -ENOENT);
	x.at = inside;
	assert_true(judge(&b, &x, &e).refused);
	assert_string_equal(
		e.msg,
		"second of 3: add element to set ports of table inet skep, element 0600000000510000: no such file or directory (just so)");
	x.at = UINT32_MAX;
	judge(&b, &x, &e);
	assert_string_equal(e.msg,
			    "second of 3: add element to set ports of table inet skep, element: no such file or directory (just so)");
	x = answer_to(&b, 3, -EBUSY);
	judge(&b, &x, &e);
	assert_string_equal(e.msg, "third: delete chain c of table inet skep: device or resource busy (just so)");
	x = answer_to(&b, 0, -EPERM);
	judge(&b, &x, &e);
	assert_string_equal(e.msg, "commit changes of nf_tables: operation not permitted (just so)");
}

static void strange_answers_are_none(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	nft_table_add(&b, &sample, 0, NULL);
	nft_table_add(&b, &sample, 0, NULL);
	nft_close(&b);
	Answer x = answer_to(&b, 1, 0);
	assert_false(judge(&b, &x, &e).acknowledged); /* not of the last one */
	x = answer_to(&b, 2, 0);
	assert_true(judge(&b, &x, &e).acknowledged);
	x = answer_to(&b, 3, -EPERM); /* of a message that was not sent */
	assert_false(judge(&b, &x, &e).refused);
	x = answer_to(&b, UINT32_MAX, -EPERM);
	assert_false(judge(&b, &x, &e).refused);
	x = answer_to(&b, 2, 5);
	assert_int_equal(judge(&b, &x, &e).error, -EBADMSG);
	x = answer_to(&b, 2, INT32_MIN);
	assert_int_equal(judge(&b, &x, &e).error, -EBADMSG);
	x = answer_to(&b, 2, -EPERM);
	x.h.nlmsg_flags = NLM_F_ACK_TLVS; /* says that the request follows, and how long it is: a lie */
	x.m.msg.nlmsg_len = 0xfffffff0;
	assert_int_equal(judge(&b, &x, &e).error, -EPERM);
	x = answer_to(&b, 2, -EPERM);
	x.a.nla_len = 3; /* would loop for ever */
	assert_int_equal(judge(&b, &x, &e).error, -EPERM);
	memset(x.text, 'x', sizeof x.text); /* no NUL */
	assert_int_equal(judge(&b, &x, &e).error, -EPERM);
	x.h.nlmsg_len = sizeof x.h + 3; /* an error without its number */
	assert_int_equal(judge(&b, &x, &e).error, -EBADMSG);
	NftMessage m;
	x.h.nlmsg_len = sizeof x.h - 1;
	Str rest = { (const char *)&x, sizeof x };
	assert_int_equal(nft_take_message(&rest, &m), -EBADMSG);
	x.h.nlmsg_len = sizeof x + 1;
	assert_int_equal(nft_take_message(&rest, &m), -EBADMSG);
	x.h.nlmsg_len = sizeof x.h + 3;
	x.h.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8; /* without nfgenmsg */
	assert_int_equal(nft_take_message(&rest, &m), -EBADMSG);
}

static void attributes_stay_in_their_message(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
		int result;
		size_t left;
	} cases[] = {
		{ "", 0, 0, 0 },
		{ "\4\0\1", 3, -EBADMSG, 3 },
		{ "\3\0\1\0", 4, -EBADMSG, 4 },
		{ "\0\0\1\0", 4, -EBADMSG, 4 },
		{ "\5\0\1\0", 4, -EBADMSG, 4 },
		{ "\xff\xff\1\0xxxx", 8, -EBADMSG, 8 },
		{ "\4\0\1\x80\4\0\2\0", 8, 1, 4 },
		{ "\5\0\1\0x", 5, 1, 0 }, /* the last one's padding may be missing */
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Str rest = { cases[i].bytes, cases[i].n }, payload;
		uint16_t type = 0;
		assert_int_equal(nft_take_attr(&rest, &type, &payload), cases[i].result);
		assert_int_equal(rest.n, cases[i].left);
		if (cases[i].result > 0) assert_int_equal(type, 1);
	}
	const Str two = { "\5\0\1\0x\0\0\0\6\0\2\0yz\0\0", 16 };
	assert_int_equal(nft_attr(two, 2).n, 2);
	assert_null(nft_attr(two, 3).p);
	assert_null(nft_attr_text(two, 2).p); /* no NUL */
	assert_int_equal(nft_attr_be32(two, 2), 0);
	assert_null(nft_attr((Str){ two.p, 13 }, 2).p);
}

/* ---- lists ---- */

/* What all parsers say of it. The copy has no byte behind it: sanitizers see reads beyond. */
static void parse_all_ways(const char *p, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	AUTO_FREE char *copy = malloc(n ? n : 1);
	NftTables tables;
	NftChains chains;
	NftRules rules;
	NftElements elements;
	assert_non_null(copy);
	if (n) memcpy(copy, p, n);
	const int results[] = { nft_parse_tables(copy, n, &a, &tables), nft_parse_chains(copy, n, &a, &chains),
				nft_parse_rules(copy, n, &a, &rules), nft_parse_elements(copy, n, &a, &elements) };
	for (size_t i = 0; i < ARRAY_LEN(results); i++)
		assert_true(results[i] == 0 || results[i] == -EBADMSG || results[i] == -ENOMEM);
}

static void cut_and_changed_messages_are_survived(void **state)
{
	(void)state;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	nft_table_add(&b, &sample, 0, "comment");
	nft_chain_add(&b, &sample, &(NftChain){ .name = "c", .type = "filter", .device = "d", .comment = "c" });
	sample_names(&b, "in0", "out0");
	nft_elements(&b, NFT_ADD, &sample, "ports");
	sample_port(&b, 80, 1, 80, "web");
	nft_close(&b);
	for (size_t n = 0; n <= b.b.n; n++)
		parse_all_ways(b.b.p, n);
	static const uint8_t values[] = { 0, 1, 3, 4, 0x7f, 0x80, 0xff };
	for (size_t i = 0; i < b.b.n; i++) {
		char was = b.b.p[i];
		for (size_t k = 0; k < ARRAY_LEN(values); k++) {
			b.b.p[i] = (char)values[k];
			parse_all_ways(b.b.p, b.b.n);
		}
		b.b.p[i] = was;
	}
}

static int count(const NftEvent *ev, void *data)
{
	size_t *n = data;
	assert_true(ev->kind == NFT_GENERATION || streq(ev->table, "skep"));
	++*n;
	return *n == 3 ? -ECANCELED : 0;
}

static void events_are_read_up_to_what_is_no_event(void **state)
{
	(void)state;
	size_t n = 0;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	nft_table_add(&b, &sample, 0, NULL);
	nft_chain_delete(&b, &sample, "c");
	nft_close(&b);
	assert_int_equal(nft_watch_parse(b.b.p, b.b.n, count, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(nft_watch_parse(b.b.p, b.b.n, count, &n), -ECANCELED);
	n = 0;
	assert_int_equal(nft_watch_parse(b.b.p, b.b.n - 1, count, &n), -EBADMSG);
	static char name[300];
	memset(name, 'n', sizeof name - 1);
	nft_chain_delete(&b, &(NftTable){ NFT_IP, name }, "c");
	nft_close(&b);
	n = 0;
	assert_int_equal(nft_watch_parse(b.b.p, b.b.n, count, &n), -EBADMSG);
	assert_int_equal(n, 2);
}

/* ---- without memory ---- */

static int build_and_read(void)
{
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	NftElements l;
	NftChains chains;
	sample_fill(&b, "in0", "out0");
	int r = nft_commit(&b, -1, &e);
	if (r != -EBADF) return r;
	r = nft_parse_elements(b.b.p, b.b.n, &a, &l);
	return r < 0 ? r : nft_parse_chains(b.b.p, b.b.n, &a, &chains);
}

static void lack_of_memory_is_told(void **state)
{
	(void)state;
	unsigned long before = allocations;
	assert_int_equal(build_and_read(), 0);
	unsigned long all = allocations - before;
	assert_true(all > 3 && all < 60); /* a batch grows by doubling, an arena by chunks */
	for (unsigned long i = 1; i <= all; i++) {
		allocation_to_fail = i;
		int r = build_and_read();
		allocation_to_fail = 0;
		assert_true(r == -E2BIG || r == -ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_as_they_should),
		cmocka_unit_test(values_are_padded_by_field),
		cmocka_unit_test(intervals_end_behind_their_last),
		cmocka_unit_test(long_lists_are_split),
		cmocka_unit_test(faults_fail_the_batch),
		cmocka_unit_test(ceilings_hold),
		cmocka_unit_test(refusals_are_told_with_their_label),
		cmocka_unit_test(strange_answers_are_none),
		cmocka_unit_test(attributes_stay_in_their_message),
		cmocka_unit_test(cut_and_changed_messages_are_survived),
		cmocka_unit_test(events_are_read_up_to_what_is_no_event),
		cmocka_unit_test(lack_of_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
