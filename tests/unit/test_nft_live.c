/* test_nft_live.c: what nft.h says, against the kernel in network namespaces of the test's own, and against the nft program, which has to show what
 * was meant. */
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/time.h"
#include "child.h"
#include "nft_sample.h"
#include "sys/fd.h"
#include "sys/netlink.h"

enum { BATCH_MAX = 8 << 20, OUTPUT_MAX = 1 << 20, MANY = 10000 };
#define NFT "/usr/sbin/nft"
#define IP "/usr/sbin/ip"

/* ---- programs ---- */

static int there(const char *program)
{
	if (access(program, X_OK) == 0) return 1;
	print_message("skipped: no %s\n", program);
	return 0;
}

/* Runs argv with input at its stdin; what it prints goes to out. Its exit status. */
static int run(const char *const *argv, const char *input, Buf *out)
{
	AUTO_FD int in = fd_memory_file("input", input, strlen(input));
	int ends[2], status = -1;
	if (in < 0 || pipe2(ends, O_CLOEXEC) < 0) return -1;
	lseek(in, 0, SEEK_SET);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (dup2(in, 0) < 0 || dup2(ends[1], 1) < 0 || dup2(ends[1], 2) < 0) _exit(126);
		execv(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	fd_close(ends[1]);
	bool all = fd_read_all(ends[0], out) == 0;
	fd_close(ends[0]);
	if (!all || pid < 0 || waitpid(pid, &status, 0) < 0) return -1;
	if (status) fprintf(stderr, "%s %s: %s\n", argv[0], argv[1], buf_str(out));
	return status;
}

#define RUN(...) \
	({ \
		AUTO_BUF _out = BUF_INIT(OUTPUT_MAX); \
		run((const char *const[]){ __VA_ARGS__, NULL }, "", &_out); \
	})

static int namespace_fd(void)
{
	AUTO_FD int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return ioctl(sock, SIOCGSKNS);
}

/* A new namespace to be in, and a socket of nf_tables in it: CHILD_SKIP when there is none. */
static int fresh(int *sock)
{
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	NftTables l;
	if (unshare(CLONE_NEWNET) < 0) {
		print_message("skipped: no network namespace may be made\n");
		return CHILD_SKIP;
	}
	*sock = nft_open(&e);
	if (*sock >= 0 && nft_list_tables(*sock, &a, &l, &e) == 0) return 0;
	print_message("skipped: %s\n", e.msg);
	return CHILD_SKIP;
}

/* ---- the sample, as nft shows it ---- */

static const char *const shown[] = {
	"table inet skep {",
	"comment \"managed by skep\"",
	"map ports {",
	"type inet_proto . inet_service : ipv4_addr . inet_service",
	"comment \"published\"",
	"6 . 8080 comment \"web\" : 10.88.0.2 . 80,",
	"6 . 8443 : 10.88.0.2 . 443 }",
	"map ports6 {",
	"type inet_proto . inet_service : ipv6_addr . inet_service",
	"elements = { 17 . 53 : fd88:: . 5353 }",
	"set sources {",
	"type ipv4_addr",
	"flags interval",
	"elements = { 10.88.0.0/16 }",
	"set sources6 {",
	"elements = { fd88::/64 }",
	"set bridges {",
	"type ifname",
	"elements = { \"in0\" }",
	"map between {",
	"type ifname . ifname : verdict",
	"\"out0\" . \"in0\" : jump inwards",
	"\"in0\" . \"out0\" : accept",
	"set direct {",
	"type ipv4_addr . inet_proto . inet_service",
	"size 65536",
	"elements = { 10.88.0.7 . 6 . 80 }",
	"set allowed {",
	"type ipv4_addr . inet_service",
	"flags interval",
	"elements = { 10.88.0.0/24 . 1000-2000 }",
	"map marks {",
	"type mark : ipv4_addr",
	"elements = { 0x00001234 : 10.88.0.7 }",
	"set seen {",
	"type ipv4_addr",
	"size 128",
	"flags dynamic,timeout",
	"timeout 10s",
	"chain prerouting {",
	"type nat hook prerouting priority -100; policy accept;",
	"fib daddr type 2 dnat ip to meta l4proto . th dport map @ports comment \"published ports\"",
	"fib daddr type 2 dnat ip6 to meta l4proto . th dport map @ports6",
	"chain postrouting {",
	"type nat hook postrouting priority 100; policy accept;",
	"ip saddr @sources oifname != @bridges counter packets 0 bytes 0 masquerade fully-random",
	"ip6 saddr @sources6 masquerade",
	"chain forward {",
	"type filter hook forward priority 0; policy drop;",
	"ct state 0x2,0x4 accept",
	"ct status 0x20 accept",
	"iifname . oifname vmap @between",
	"chain raw {",
	"comment \"past the host\"",
	"type filter hook prerouting priority -300; policy accept;",
	"ip daddr . meta l4proto . th dport @direct drop",
	"chain inwards {",
	"oifname \"in0\" meta l4proto 6 counter packets 0 bytes 0 reject with tcp reset comment \"not published\"",
	"reject",
};

static int shows(const char *text, const char *const *lines, size_t n)
{
	const char *at = text;
	for (size_t i = 0; i < n; i++) {
		const char *found = strstr(at, lines[i]);
		if (!found) {
			fprintf(stderr, "not shown, or not here: %s\n%s\n", lines[i], text);
			return 0;
		}
		at = found;
	}
	return 1;
}

static int sample_is_shown(void)
{
	static const char *const list[] = { NFT, "-n", "list", "table", "inet", "skep", NULL };
	static const char *const load[] = { NFT, "-f", "-", NULL };
	Err e = ERR_INIT;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	AUTO_BUF ours = BUF_INIT(OUTPUT_MAX), theirs = BUF_INIT(OUTPUT_MAX), none = BUF_INIT(OUTPUT_MAX);
	AUTO_FD int sock = -1;
	if (!there(NFT)) return CHILD_SKIP;
	int r = fresh(&sock);
	if (r) return r;
	sample_fill(&b, "in0", "out0");
	NEED_OK(nft_commit(&b, sock, &e));
	NEED_OK(nft_commit(&b, sock, &e)); /* it begins by taking itself away, and a batch stays as it was */
	NEED(run(list, "", &ours) == 0);
	NEED(shows(buf_str(&ours), shown, ARRAY_LEN(shown)));
	/* nft makes the same of what it has shown */
	NEED(unshare(CLONE_NEWNET) == 0);
	NEED(run(load, buf_str(&ours), &none) == 0);
	NEED(run(list, "", &theirs) == 0);
	NEED(streq(buf_str(&ours), buf_str(&theirs)));
	return 0;
}

static void nft_shows_what_was_meant(void **state)
{
	(void)state;
	need_root();
	in_child(sample_is_shown);
}

/* ---- every other expression ---- */

static const NftChain filter = { .name = "all", .type = "filter", .hook = NFT_PREROUTING, .priority = 10 };

static void put_loads(NftBatch *b)
{
	static const uint8_t network[4] = { 10, 0, 0, 0 }, mask[4] = { 255, 0, 0, 0 };
	static const uint16_t ports[2] = { 0x0004, 0xff04 }; /* 1024 and 1279 on the wire */
	nft_rule(b, &sample, "all", NULL);
	nft_is_family(b, NFT_R(0), NFT_IP);
	nft_field(b, NFT_FIELD_IP_DADDR, NFT_R(0));
	nft_mask(b, NFT_R(0), mask, NULL, sizeof mask);
	nft_cmp(b, NFT_R(0), NFT_CMP_NEQ, network, sizeof network);
	nft_limit(b, 10, 60, 5, false);
	nft_verdict(b, (NftVerdict){ NFT_RETURN, NULL });

	nft_rule(b, &sample, "all", NULL);
	nft_is_proto(b, NFT_R(0), IPPROTO_UDP);
	nft_field(b, NFT_FIELD_TH_SPORT, NFT_R(0));
	nft_range(b, NFT_R(0), NFT_RANGE_NEQ, &ports[0], &ports[1], sizeof ports[0]);
	nft_notrack(b);

	nft_rule(b, &sample, "all", NULL);
	nft_ct_of(b, NFT_CT_DST_IP, 0, NFT_R(0));
	nft_lookup(b, NFT_R(0), "seen", true);
	nft_ct(b, NFT_CT_DIRECTION, NFT_R(0));
	nft_cmp(b, NFT_R(0), NFT_CMP_EQ, "\1", 1);
	nft_verdict(b, (NftVerdict){ NFT_GOTO, "inwards" });

	nft_rule(b, &sample, "all", NULL);
	nft_fib(b, NFT_FIB_RESULT_OIF, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF, NFT_R(0));
	nft_cmp(b, NFT_R(0), NFT_CMP_EQ, &(uint32_t){ 0 }, sizeof(uint32_t));
	nft_verdict(b, (NftVerdict){ NFT_CONTINUE, NULL });
}

static void put_marks(NftBatch *b)
{
	const uint32_t mark = 0x77;
	nft_rule(b, &sample, "all", &(NftRule){ .place = NFT_INSERT });
	nft_load(b, NFT_R(0), &mark, sizeof mark);
	nft_meta_set(b, NFT_META_MARK, NFT_R(0));
	nft_rule(b, &sample, "all", NULL);
	nft_meta(b, NFT_META_MARK, NFT_R(0));
	nft_ct_set(b, NFT_CT_MARK, NFT_R(0));
	nft_rule(b, &sample, "all", NULL);
	nft_is_family(b, NFT_R(0), NFT_IP);
	nft_field(b, NFT_FIELD_IP_SADDR, NFT_R(0));
	nft_dynset(b, NFT_DYNSET_OP_UPDATE, "seen", NFT_R(0), 0, 5000);
}

static void put_nats(NftBatch *b)
{
	static const uint8_t address[4] = { 192, 0, 2, 9 };
	const uint16_t port = htons(3128);
	nft_rule(b, &sample, "postrouting", NULL);
	nft_is_family(b, NFT_R(0), NFT_IP);
	nft_load(b, NFT_R(0), address, sizeof address);
	nft_nat(b, &(NftNat){ .type = NFT_NAT_SNAT, .family = NFT_IP, .address = NFT_R(0), .flags = NFT_NAT_PERSISTENT });
	nft_rule(b, &sample, "prerouting", NULL);
	nft_is_proto(b, NFT_R(0), IPPROTO_TCP);
	nft_load(b, NFT_R(0), &port, sizeof port);
	nft_redirect(b, NFT_R(0), 0);
}

static void put_ports(NftBatch *b)
{
	const uint16_t port = htons(5353);
	nft_rule(b, &sample, "all", NULL);
	nft_is_proto(b, NFT_R(0), IPPROTO_UDP);
	nft_load(b, NFT_R(0), &port, sizeof port);
	nft_port_set(b, NFT_FIELD_TH_DPORT, IPPROTO_UDP, NFT_R(0));
	nft_rule(b, &sample, "all", NULL);
	nft_is_proto(b, NFT_R(0), IPPROTO_TCP);
	nft_load(b, NFT_R(0), &port, sizeof port);
	nft_port_set(b, NFT_FIELD_TH_SPORT, IPPROTO_TCP, NFT_R(0));
}

static const char *const others_shown[] = {
	"redirect to :3128",
	"snat ip to 192.0.2.9 persistent",
	"chain all {",
	"meta mark set 0x00000077",
	"ip daddr != 10.0.0.0/8 limit rate 10/minute return",
	"udp sport != 1024-1279 notrack",
	"ct original ip daddr != @seen ct direction 1 goto inwards",
	"oif 0 continue",
	"ct mark set meta mark",
	"update @seen { ip saddr timeout 5s }",
	"udp dport set 5353",
	"tcp sport set 5353",
};

static int others_are_shown(void)
{
	static const char *const list[] = { NFT, "-n", "list", "table", "inet", "skep", NULL };
	Err e = ERR_INIT;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	AUTO_FD int sock = -1;
	if (!there(NFT)) return CHILD_SKIP;
	int r = fresh(&sock);
	if (r) return r;
	sample_fill(&b, "in0", "out0");
	nft_chain_add(&b, &sample, &filter);
	put_loads(&b);
	put_marks(&b);
	put_nats(&b);
	put_ports(&b);
	NEED_OK(nft_commit(&b, sock, &e));
	NEED(run(list, "", &out) == 0);
	NEED(shows(buf_str(&out), others_shown, ARRAY_LEN(others_shown)));
	return 0;
}

static void nft_shows_the_other_expressions(void **state)
{
	(void)state;
	need_root();
	in_child(others_are_shown);
}

/* ---- what is there ---- */

static int lists_of_the_sample(int sock)
{
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(8 << 20);
	NftTables tables;
	NftChains chains;
	NftRules rules;
	NEED_OK(nft_list_tables(sock, &a, &tables, &e));
	NEED(tables.n == 1 && tables.items[0].family == NFT_INET && streq(tables.items[0].name, "skep"));
	NEED(streq(tables.items[0].comment, "managed by skep") && tables.items[0].handle);
	NEED_OK(nft_list_chains(sock, &a, &chains, &e));
	NEED(chains.n == 5);
	const NftChainInfo *c = &chains.items[2], *raw = &chains.items[3], *plain = &chains.items[4];
	NEED(c->base && c->drop && streq(c->name, "forward") && streq(c->type, "filter") && c->hook == NFT_FORWARD && c->priority == 0);
	NEED(raw->base && !raw->drop && raw->priority == -300 && streq(raw->comment, "past the host") && streq(raw->table, "skep"));
	NEED(!plain->base && !plain->type && streq(plain->name, "inwards"));
	NEED_OK(nft_list_rules(sock, &sample, "prerouting", &a, &rules, &e));
	NEED(rules.n == 2 && streq(rules.items[0].comment, "published ports") && !rules.items[1].comment);
	NEED(rules.items[0].handle && rules.items[1].handle > rules.items[0].handle);
	NEED_OK(nft_list_rules(sock, &sample, "nowhere", &a, &rules, &e));
	NEED(rules.n == 0);
	return 0;
}

static int elements_of_the_sample(int sock)
{
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(8 << 20);
	NftElements l;
	NEED_OK(nft_list_elements(sock, &sample, "ports", &a, &l, &e));
	NEED(l.n == 2);
	const NftElementInfo *web = &l.items[l.items[0].comment ? 0 : 1];
	NEED(web->key.n == 8 && memcmp(web->key.p, "\6\0\0\0\x1f\x90\0\0", 8) == 0 && streq(web->comment, "web"));
	NEED(web->data.n == 8 && memcmp(web->data.p, "\x0a\x58\0\2\0\x50\0\0", 8) == 0 && !web->has_verdict);
	NEED_OK(nft_list_elements(sock, &sample, "sources", &a, &l, &e));
	NEED(l.n == 2);
	const NftElementInfo *end = &l.items[l.items[0].flags ? 0 : 1];
	NEED(end->flags == NFT_SET_ELEM_INTERVAL_END && end->key.n == 4 && memcmp(end->key.p, "\x0a\x59\0\0", 4) == 0);
	NEED_OK(nft_list_elements(sock, &sample, "allowed", &a, &l, &e));
	NEED(l.n == 1 && l.items[0].last.n == 8 && memcmp(l.items[0].last.p, "\x0a\x58\0\xff\x07\xd0\0\0", 8) == 0);
	NEED_OK(nft_list_elements(sock, &sample, "between", &a, &l, &e));
	NEED(l.n == 2 && l.items[0].has_verdict && l.items[1].has_verdict);
	const NftVerdict *jump = &l.items[l.items[0].verdict.code == NFT_JUMP ? 0 : 1].verdict;
	NEED(jump->code == NFT_JUMP && streq(jump->chain, "inwards"));
	NEED(nft_list_elements(sock, &sample, "nothing", &a, &l, &e) == -ENOENT && strstr(e.msg, "list elements of nf_tables"));
	return 0;
}

static int lists_are_right(void)
{
	Err e = ERR_INIT;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	AUTO_FD int sock = -1;
	int r = fresh(&sock);
	if (r) return r;
	sample_fill(&b, "in0", "out0");
	NEED_OK(nft_commit(&b, sock, &e));
	NEED(lists_of_the_sample(sock) == 0);
	NEED(elements_of_the_sample(sock) == 0);
	return 0;
}

static void what_is_there_is_listed(void **state)
{
	(void)state;
	need_root();
	in_child(lists_are_right);
}

/* Adds a second half and takes it away again, TIMES times; ends with one half there. */
static int change_halves(int sock)
{
	enum { TIMES = 30 };
	Err e = ERR_INIT;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	for (int i = 0; i < 2 * TIMES; i++) {
		nft_batch_reset(&b);
		nft_elements(&b, i % 2 ? NFT_DELETE : NFT_CREATE, &sample, "ports");
		for (unsigned k = 0; k < 2000; k++)
			sample_port(&b, (uint16_t)(40000 + k), k, 80, NULL);
		NEED_OK(nft_commit(&b, sock, &e));
	}
	return 0;
}

/* One list while somebody changes things: of one moment, or -EAGAIN. */
static int list_is_whole(int sock)
{
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(8 << 20);
	NftElements l = { 0 };
	int r = nft_list_elements(sock, &sample, "ports", &a, &l, &e);
	if (r < 0 && r != -EAGAIN) fprintf(stderr, "%s\n", e.msg);
	if (r == 0 && l.n != 2000 && l.n != 4000) fprintf(stderr, "%zu elements\n", l.n);
	return r == -EAGAIN || (r == 0 && (l.n == 2000 || l.n == 4000));
}

static int lists_are_of_one_moment(void)
{
	Err e = ERR_INIT;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	AUTO_FD int sock = -1;
	int status = -1, lists = 0, r = fresh(&sock);
	if (r) return r;
	nft_table_add(&b, &sample, 0, NULL);
	nft_set_add(&b, &sample,
		    &(NftSet){ .name = "ports",
			       .key = { NFT_TYPE_PROTO, NFT_TYPE_PORT },
			       .data = { NFT_TYPE_IPV4, NFT_TYPE_PORT },
			       .size = 8192 }); /* so that the kernel's table need not grow */
	nft_elements(&b, NFT_CREATE, &sample, "ports");
	for (unsigned k = 0; k < 2000; k++)
		sample_port(&b, (uint16_t)(10000 + k), k, 80, NULL);
	NEED_OK(nft_commit(&b, sock, &e));
	AUTO_FD int other = nft_open(&e);
	pid_t pid = fork();
	NEED(pid >= 0);
	if (pid == 0) _exit(change_halves(other));
	for (pid_t ended = 0; !ended; lists++) {
		ended = waitpid(pid, &status, WNOHANG);
		NEED(list_is_whole(sock));
	}
	NEED(status == 0 && lists > 1);
	return 0;
}

static void lists_are_whole_while_others_write(void **state)
{
	(void)state;
	need_root();
	in_child(lists_are_of_one_moment);
}

/* ---- every family ---- */

static const struct {
	NftTable table;
	NftChain chain;
	const char *shown;
} families[] = {
	{ { NFT_IP, "f4" },
	  { .name = "c", .type = "route", .hook = NFT_OUTPUT, .priority = -150 },
	  "type route hook output priority -150; policy accept;" },
	{ { NFT_IP6, "f6" },
	  { .name = "c", .type = "nat", .hook = NFT_OUTPUT, .priority = -100 },
	  "type nat hook output priority -100; policy accept;" },
	{ { NFT_BRIDGE, "fb" },
	  { .name = "c", .type = "filter", .hook = NFT_FORWARD, .priority = -200, .drop = true },
	  "type filter hook forward priority -200; policy drop;" },
	{ { NFT_NETDEV, "fd" },
	  { .name = "c", .type = "filter", .hook = NFT_NETDEV_INGRESS, .priority = 7, .device = "lo" },
	  "type filter hook ingress device \"lo\" priority 7; policy accept;" },
	{ { NFT_INET, "fi" },
	  { .name = "c", .type = "filter", .hook = NFT_INET_INGRESS, .priority = 0, .device = "lo" },
	  "type filter hook ingress device \"lo\" priority 0; policy accept;" },
};

static int one_family(int sock, size_t i)
{
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	const NftTable *t = &families[i].table;
	const NftChain *want = &families[i].chain;
	const char *list[] = { NFT, "-n", "list", "table", nft_family(t->family), t->name, NULL };
	NftChains l;
	nft_table_add(&b, t, 0, NULL);
	nft_chain_add(&b, t, want);
	NEED_OK(nft_commit(&b, sock, &e));
	NEED(run(list, "", &out) == 0);
	NEED(shows(buf_str(&out), &families[i].shown, 1));
	NEED_OK(nft_list_chains(sock, &a, &l, &e));
	NEED(l.n == 1 && l.items[0].family == t->family && streq(l.items[0].table, t->name));
	const NftChainInfo *c = &l.items[0];
	NEED(c->base && c->hook == want->hook && c->priority == want->priority && c->drop == want->drop && streq(c->type, want->type));
	NEED(want->device ? c->device && streq(c->device, want->device) : !c->device);
	nft_batch_reset(&b);
	nft_table_destroy(&b, t);
	NEED_OK(nft_commit(&b, sock, &e));
	return 0;
}

static int all_families(void)
{
	AUTO_FD int sock = -1;
	if (!there(NFT)) return CHILD_SKIP;
	int r = fresh(&sock);
	if (r) return r;
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		NEED(one_family(sock, i) == 0);
	return 0;
}

static void chains_of_every_family(void **state)
{
	(void)state;
	need_root();
	in_child(all_families);
}

/* ---- deleting ---- */

static int things_go(void)
{
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(8 << 20);
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	NftRules rules;
	NftElements l;
	NftTables tables;
	AUTO_FD int sock = -1;
	int r = fresh(&sock);
	if (r) return r;
	sample_fill(&b, "in0", "out0");
	NEED_OK(nft_commit(&b, sock, &e));
	NEED_OK(nft_list_rules(sock, &sample, "forward", &a, &rules, &e));
	NEED(rules.n == 3);
	uint64_t second = rules.items[1].handle, third = rules.items[2].handle;
	nft_batch_reset(&b);
	nft_rule_delete(&b, &sample, "forward", second);
	nft_rule(&b, &sample, "forward", &(NftRule){ .place = NFT_REPLACE, .handle = third, .comment = "other" });
	nft_counter(&b);
	nft_rule(&b, &sample, "forward", &(NftRule){ .place = NFT_INSERT, .handle = third, .comment = "before" });
	nft_counter(&b);
	nft_chain_flush(&b, &sample, "raw");
	nft_chain_delete(&b, &sample, "raw");
	nft_set_delete(&b, &sample, "direct");
	nft_set_flush(&b, &sample, "ports");
	NEED_OK(nft_commit(&b, sock, &e));
	NEED_OK(nft_list_rules(sock, &sample, "forward", &a, &rules, &e));
	NEED(rules.n == 3 && streq(rules.items[1].comment, "before") && streq(rules.items[2].comment, "other"));
	NEED_OK(nft_list_elements(sock, &sample, "ports", &a, &l, &e));
	NEED(l.n == 0);
	nft_batch_reset(&b);
	nft_table_delete(&b, &sample);
	NEED_OK(nft_commit(&b, sock, &e));
	NEED_OK(nft_list_tables(sock, &a, &tables, &e));
	NEED(tables.n == 0);
	return 0;
}

static void what_is_deleted_is_gone(void **state)
{
	(void)state;
	need_root();
	in_child(things_go);
}

/* ---- refusals ---- */

static int refusals(void)
{
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(8 << 20);
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	NftTables tables;
	uint32_t before, after;
	AUTO_FD int sock = -1;
	int r = fresh(&sock);
	if (r) return r;
	NEED_OK(nft_commit(&b, sock, &e)); /* an empty one */
	nft_table_delete(&b, &sample);
	NEED(nft_commit(&b, sock, &e) == -ENOENT);
	NEED(starts_with(e.msg, "delete table inet skep: no such file or directory"));
	nft_batch_reset(&b);
	sample_fill(&b, "in0", "out0");
	nft_label(&b, "publish port 8443 of \"db\"");
	nft_elements(&b, NFT_CREATE, &sample, "ports");
	sample_port(&b, 9000, 1, 1, NULL);
	sample_port(&b, 8443, 1, 1, NULL);
	nft_label(&b, "behind");
	nft_chain_delete(&b, &sample, "nowhere");
	NEED(nft_commit(&b, sock, &e) == -EEXIST);
	NEED(starts_with(
		e.msg, "publish port 8443 of \"db\": add element to set ports of table inet skep, element 0600000020fb0000: file exists"));
	NEED_OK(nft_list_tables(sock, &a, &tables, &e)); /* nothing of it, and no answers left over */
	NEED(tables.n == 0);
	NEED_OK(nft_generation(sock, &before, &e));
	nft_batch_reset(&b);
	nft_expect(&b, before);
	sample_fill(&b, "in0", "out0");
	NEED_OK(nft_commit(&b, sock, &e));
	NEED(nft_commit(&b, sock, &e) == -ERESTART && starts_with(e.msg, "commit changes of nf_tables"));
	NEED_OK(nft_generation(sock, &after, &e));
	NEED(after == before + 1);
	nft_batch_reset(&b);
	nft_elements(&b, NFT_DELETE, &sample, "ports"); /* more refusals than the socket holds */
	for (unsigned i = 0; i < MANY; i++)
		sample_port(&b, (uint16_t)i, 1, 1, NULL);
	for (unsigned i = 0; i < MANY; i++)
		nft_chain_delete(&b, &sample, "nowhere");
	NEED(nft_commit(&b, sock, &e) == -ENOENT && starts_with(e.msg, "delete element of set ports of table inet skep, element 06000000"));
	NEED_OK(nft_list_tables(sock, &a, &tables, &e));
	return 0;
}

static int without_rights(void)
{
	Err e = ERR_INIT;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	AUTO_FD int sock = -1;
	int r = fresh(&sock);
	if (r) return r;
	nft_table_add(&b, &sample, 0, NULL);
	NEED(setuid(65534) == 0);
	AUTO_FD int mine = nft_open(&e);
	NEED(nft_commit(&b, mine, &e) == -EPERM);
	return 0;
}

static void refusals_name_what_was_refused(void **state)
{
	(void)state;
	need_root();
	in_child(refusals);
	in_child(without_rights);
}

/* ---- traffic ---- */

/* Three namespaces: the host's, in which this one is, a container's and somebody's outside. */
typedef struct World {
	int host, inside, outside;
} World;

static int write_proc(const char *path, const char *text)
{
	return fd_write_file(AT_FDCWD, path, text);
}

static int make_pair(const char *here, const char *address, const char *there, const char *there_address, int netns)
{
	Err e = ERR_INIT;
	AUTO_FD int home = namespace_fd();
	NetDevice d = { .key = there };
	NEED(RUN(IP, "link", "add", here, "type", "veth", "peer", "name", there) == 0);
	NEED_OK(netdev_move(&d, netns, &e));
	NEED(RUN(IP, "address", "add", address, "dev", here) == 0);
	NEED_OK(netdev_up(here, &e));
	NEED(setns(netns, CLONE_NEWNET) == 0);
	NEED(RUN(IP, "address", "add", there_address, "dev", there) == 0);
	NEED_OK(netdev_up(there, &e));
	NEED(setns(home, CLONE_NEWNET) == 0);
	return 0;
}

static int make_world(World *w)
{
	w->host = namespace_fd();
	NEED(unshare(CLONE_NEWNET) == 0 && (w->inside = namespace_fd()) >= 0);
	NEED(unshare(CLONE_NEWNET) == 0 && (w->outside = namespace_fd()) >= 0);
	NEED(setns(w->host, CLONE_NEWNET) == 0);
	NEED(make_pair("in0", "10.88.0.1/16", "eth0", "10.88.0.2/16", w->inside) == 0);
	NEED(make_pair("out0", "192.0.2.1/24", "eth1", "192.0.2.2/24", w->outside) == 0);
	if (write_proc("/proc/sys/net/ipv4/ip_forward", "1") < 0) return CHILD_SKIP;
	NEED(setns(w->inside, CLONE_NEWNET) == 0);
	NEED(RUN(IP, "route", "add", "default", "via", "10.88.0.1") == 0);
	NEED(setns(w->outside, CLONE_NEWNET) == 0);
	NEED(RUN(IP, "route", "add", "10.88.0.0/16", "via", "192.0.2.1") == 0);
	NEED(setns(w->host, CLONE_NEWNET) == 0);
	return 0;
}

static struct sockaddr_in at(const char *address, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	(void)inet_pton(AF_INET, address, &a.sin_addr);
	return a;
}

static int listener(int netns, uint16_t port)
{
	if (setns(netns, CLONE_NEWNET) < 0) return -errno;
	AUTO_FD int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = at("0.0.0.0", port);
	if (bind(sock, (struct sockaddr *)&a, sizeof a) < 0 || listen(sock, 4) < 0) return -errno;
	return take_fd(sock);
}

/* Connects from a namespace, waiting 5 s at most. 0 or -errno. */
static int try_connect(int netns, const char *address, uint16_t port)
{
	if (setns(netns, CLONE_NEWNET) < 0) return -errno;
	AUTO_FD int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in a = at(address, port);
	struct pollfd p = { .fd = sock, .events = POLLOUT };
	int error = 0;
	socklen_t n = sizeof error;
	if (connect(sock, (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS) return -errno;
	if (poll(&p, 1, 5000) != 1) return -ETIMEDOUT;
	return getsockopt(sock, SOL_SOCKET, SO_ERROR, &error, &n) < 0 ? -errno : -error;
}

/* Who has connected to the listener. */
static int comes_from(int sock, const char *address)
{
	struct sockaddr_in from = { 0 };
	socklen_t n = sizeof from;
	AUTO_FD int peer = accept(sock, (struct sockaddr *)&from, &n);
	char text[INET_ADDRSTRLEN];
	return peer >= 0 && inet_ntop(AF_INET, &from.sin_addr, text, sizeof text) && streq(text, address);
}

static int traffic(void)
{
	Err e = ERR_INIT;
	World w;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	AUTO_FD int sock = -1;
	if (!there(IP)) return CHILD_SKIP;
	int r = fresh(&sock);
	if (r) return r;
	r = make_world(&w);
	if (r) return r;
	AUTO_FD int web = listener(w.inside, 80), other = listener(w.inside, 81), far = listener(w.outside, 7000);
	NEED(web >= 0 && other >= 0 && far >= 0);
	NEED(try_connect(w.outside, "192.0.2.1", 8080) == -ECONNREFUSED); /* nobody's */
	sample_fill(&b, "in0", "out0");
	NEED_OK(nft_commit(&b, sock, &e)); /* the socket's namespace is the host's, ours is another now */
	NEED(try_connect(w.outside, "192.0.2.1", 8080) == 0);
	NEED(comes_from(web, "192.0.2.2"));
	NEED(try_connect(w.outside, "192.0.2.1", 8081) == -ECONNREFUSED);
	NEED(try_connect(w.outside, "10.88.0.2", 81) == -ECONNREFUSED); /* around the publishing: jump inwards, tcp reset */
	NEED(try_connect(w.inside, "192.0.2.2", 7000) == 0);
	NEED(comes_from(far, "192.0.2.1")); /* masquerade */
	nft_batch_reset(&b);
	nft_elements(&b, NFT_ADD, &sample, "ports");
	sample_port(&b, 8081, 0x0a580002, 81, NULL);
	nft_elements(&b, NFT_DELETE, &sample, "ports");
	sample_port(&b, 8080, 0x0a580002, 80, "web");
	NEED_OK(nft_commit(&b, sock, &e));
	NEED(try_connect(w.outside, "192.0.2.1", 8081) == 0);
	NEED(comes_from(other, "192.0.2.2"));
	NEED(try_connect(w.outside, "192.0.2.1", 8080) == -ECONNREFUSED);
	return 0;
}

static void published_ports_are_reached(void **state)
{
	(void)state;
	need_root();
	in_child(traffic);
}

/* ---- what others change ---- */

typedef struct Seen {
	NftEvent events[64];
	size_t n;
} Seen;

static int see(const NftEvent *ev, void *data)
{
	Seen *s = data;
	if (s->n < ARRAY_LEN(s->events)) s->events[s->n] = *ev;
	s->n++;
	return 0;
}

static bool seen(const Seen *s, NftEventKind kind, const char *name)
{
	for (size_t i = 0; i < s->n && i < ARRAY_LEN(s->events); i++) {
		const NftEvent *ev = &s->events[i];
		if (ev->kind == kind && streq(ev->table, "skep") && streq(ev->name, name) && ev->family == NFT_INET) return true;
	}
	return false;
}

static int events(void)
{
	Err e = ERR_INIT;
	uint32_t port, generation;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	AUTO_FD int sock = -1;
	if (!there(NFT)) return CHILD_SKIP;
	int r = fresh(&sock);
	if (r) return r;
	AUTO_FD int watch = nft_watch_open(&e);
	NEED(watch >= 0 && nft_port(sock, &port) == 0 && port);
	Seen mine = { 0 }, theirs = { 0 };
	NEED(nft_watch_read(watch, see, &mine) == 0 && mine.n == 0);
	nft_table_add(&b, &sample, 0, NULL);
	nft_chain_add(&b, &sample, &(NftChain){ .name = "c" });
	nft_rule(&b, &sample, "c", NULL);
	nft_counter(&b);
	NEED_OK(nft_commit(&b, sock, &e));
	NEED(poll(&(struct pollfd){ .fd = watch, .events = POLLIN }, 1, 5000) == 1);
	NEED(nft_watch_read(watch, see, &mine) == 0 && mine.n == 4);
	NEED(seen(&mine, NFT_TABLE_NEW, "") && seen(&mine, NFT_CHAIN_NEW, "c") && seen(&mine, NFT_RULE_NEW, "c"));
	NEED_OK(nft_generation(sock, &generation, &e));
	const NftEvent *last = &mine.events[3];
	NEED(last->kind == NFT_GENERATION && last->generation == generation && last->pid && last->port == port);
	NEED(mine.events[2].handle);
	NEED(RUN(NFT, "flush", "ruleset") == 0);
	NEED(nft_watch_read(watch, see, &theirs) == 0);
	NEED(seen(&theirs, NFT_RULE_GONE, "c") && seen(&theirs, NFT_CHAIN_GONE, "c") && seen(&theirs, NFT_TABLE_GONE, ""));
	last = &theirs.events[theirs.n - 1];
	NEED(last->kind == NFT_GENERATION && streq(last->program, "nft") && last->port != port && last->generation == generation + 1);
	return 0;
}

static int events_are_lost(void)
{
	static const int small = 4096, large = 1 << 20;
	Err e = ERR_INIT;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	AUTO_FD int sock = -1;
	int r = fresh(&sock);
	if (r) return r;
	AUTO_FD int watch = nft_watch_open(&e);
	NEED(watch >= 0 && setsockopt(watch, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
	Seen s = { 0 };
	sample_fill(&b, "in0", "out0");
	for (int i = 0; i < 20; i++)
		NEED_OK(nft_commit(&b, sock, &e));
	NEED(nft_watch_read(watch, see, &s) == -ENOBUFS);
	NEED(setsockopt(watch, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof large) == 0);
	nft_batch_reset(&b);
	nft_table_delete(&b, &sample);
	NEED_OK(nft_commit(&b, sock, &e));
	s.n = 0;
	NEED(nft_watch_read(watch, see, &s) == 0); /* whole again */
	NEED(seen(&s, NFT_TABLE_GONE, "") && seen(&s, NFT_SET_GONE, "ports") && seen(&s, NFT_CHAIN_GONE, "raw"));
	return 0;
}

static void changes_of_others_are_seen(void **state)
{
	(void)state;
	need_root();
	in_child(events);
	in_child(events_are_lost);
}

/* ---- speed ---- */

static int by_value(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void many_ports(NftBatch *b, NftVerb verb)
{
	nft_elements(b, verb, &sample, "ports");
	for (unsigned i = 0; i < MANY; i++)
		sample_port(b, (uint16_t)(20000 + i), 0x0a580000 + i, 80, NULL);
}

static int one_port(NftBatch *b, int sock, Err *e)
{
	enum { TIMES = 1001 };
	static int64_t add[TIMES], take_away[TIMES];
	for (int i = 0; i < 2 * TIMES; i++) {
		int64_t from = time_monotonic();
		nft_batch_reset(b);
		nft_elements(b, i % 2 ? NFT_DELETE : NFT_CREATE, &sample, "ports");
		sample_port(b, 19999, 0x0a580000, 80, NULL);
		int r = nft_commit(b, sock, e);
		if (r < 0) return r;
		(i % 2 ? take_away : add)[i / 2] = time_monotonic() - from;
	}
	qsort(add, TIMES, sizeof *add, by_value);
	qsort(take_away, TIMES, sizeof *take_away, by_value);
	print_message("one element in a map of %d: added in %.1f us, deleted in %.1f us (medians)\n", MANY, (double)add[TIMES / 2] / 1e3,
		      (double)take_away[TIMES / 2] / 1e3);
	return add[TIMES / 2] < 5000000 ? 0 : -ETIME;
}

static double cpu_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int speed(void)
{
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(16 << 20);
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	NftElements l;
	AUTO_FD int sock = -1;
	int r = fresh(&sock);
	if (r) return r;
	sample_fill(&b, "in0", "out0");
	nft_set_flush(&b, &sample, "ports");
	NEED_OK(nft_commit(&b, sock, &e));
	int64_t t0 = time_monotonic();
	nft_batch_reset(&b);
	many_ports(&b, NFT_CREATE);
	int64_t t1 = time_monotonic();
	double cpu = cpu_ms();
	NEED_OK(nft_commit(&b, sock, &e));
	cpu = cpu_ms() - cpu;
	int64_t t2 = time_monotonic();
	NEED_OK(nft_list_elements(sock, &sample, "ports", &a, &l, &e));
	int64_t t3 = time_monotonic();
	NEED(l.n == MANY);
	print_message(
		"%d elements in one transaction of %zu bytes: encoded in %.1f ms, committed in %.1f ms (%.1f ms of CPU), listed in %.1f ms\n",
		MANY, b.b.n, (double)(t1 - t0) / 1e6, (double)(t2 - t1) / 1e6, cpu, (double)(t3 - t2) / 1e6);
	NEED_OK(one_port(&b, sock, &e));
	t0 = time_monotonic();
	nft_batch_reset(&b);
	many_ports(&b, NFT_DELETE);
	NEED_OK(nft_commit(&b, sock, &e));
	t1 = time_monotonic();
	print_message("%d elements deleted in %.1f ms\n", MANY, (double)(t1 - t0) / 1e6);
	NEED(t2 - t0 < INT64_C(60000000000));
	return 0;
}

static void ten_thousand_ports_are_one_transaction(void **state)
{
	(void)state;
	need_root();
	in_child(speed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nft_shows_what_was_meant),       cmocka_unit_test(nft_shows_the_other_expressions),
		cmocka_unit_test(what_is_there_is_listed),        cmocka_unit_test(lists_are_whole_while_others_write),
		cmocka_unit_test(chains_of_every_family),         cmocka_unit_test(what_is_deleted_is_gone),
		cmocka_unit_test(refusals_name_what_was_refused), cmocka_unit_test(published_ports_are_reached),
		cmocka_unit_test(changes_of_others_are_seen),     cmocka_unit_test(ten_thousand_ports_are_one_transaction),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
