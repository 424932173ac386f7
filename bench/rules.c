/* rules.c: what published ports cost in the kernel's tables alone: what `./dev bench networks` runs. See README.md.
 *
 * rules [PORTS]: in a network namespace of its own. Prints, tab separated: step, median, minimum, 90th percentile (µs).
 */
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "asker.h"
#include "base/str.h"
#include "link/rules.h"

enum { PORTS = 10000, PORTS_MAX = 60000, FIRST = 1024, LOADS = 21, SINGLE = 201, BATCH_MAX = 32 << 20 };
enum { LOAD, ADD, TAKE, UNLOAD, STEPS };

typedef struct Bench {
	int sock;
	size_t n; /* ports; one more stands behind them */
	RulesPort *ports;
	int64_t took[STEPS][SINGLE];
} Bench;

static void must(int r, const Err *e)
{
	if (r >= 0) return;
	fprintf(stderr, "rules: %s\n", e->msg);
	exit(1);
}

/* From the first message to the kernel's answer. */
static void change(Bench *b, int step, size_t run, NftVerb verb, const RulesPort *ports, size_t n)
{
	Err e = ERR_INIT;
	AUTO_NFT_BATCH q = NFT_BATCH_INIT(BATCH_MAX);
	const int64_t from = asker_now();
	rules_ports(&q, verb, ports, n);
	must(nft_commit(&q, b->sock, &e), &e);
	b->took[step][run] = asker_now() - from;
}

static void print(Bench *b, const char *name, int step, size_t n)
{
	int64_t *t = b->took[step];
	qsort(t, n, sizeof *t, asker_order);
	printf("%s\t%.1f\t%.1f\t%.1f\n", name, (double)t[n / 2] / 1e3, (double)t[0] / 1e3, (double)t[n * 9 / 10] / 1e3);
}

static void prepare(Bench *b)
{
	Err e = ERR_INIT;
	AUTO_NFT_BATCH q = NFT_BATCH_INIT(BATCH_MAX);
	const IpAddress host = { .family = 4 }, to = { 4, { 172, 17, 0, 2 } };
	b->ports = calloc(b->n + 1, sizeof *b->ports);
	if (!b->ports) exit(1);
	for (size_t i = 0; i <= b->n; i++)
		b->ports[i] = (RulesPort){
			.host = host, .to = to, .host_port = (uint16_t)(FIRST + i), .port = (uint16_t)(FIRST + i), .protocol = IPPROTO_TCP
		};
	must(b->sock = nft_open(&e), &e);
	rules_make(&q);
	must(nft_commit(&q, b->sock, &e), &e);
}

int main(int argc, char **argv)
{
	static Bench b = { .n = PORTS };
	uint32_t n = PORTS;
	if (argc > 2 || (argc == 2 && (str_to_u32(str_of(argv[1]), &n) < 0 || !n || n > PORTS_MAX))) return 2;
	b.n = n;
	if (unshare(CLONE_NEWNET) < 0) {
		perror("rules: a network namespace");
		return 1;
	}
	prepare(&b);
	for (size_t i = 0; i < LOADS; i++) {
		change(&b, LOAD, i, NFT_ADD, b.ports, b.n);
		if (i + 1 < LOADS) change(&b, UNLOAD, i, NFT_DELETE, b.ports, b.n);
	}
	for (size_t i = 0; i < SINGLE; i++) {
		change(&b, ADD, i, NFT_ADD, b.ports + b.n, 1);
		change(&b, TAKE, i, NFT_DELETE, b.ports + b.n, 1);
	}
	print(&b, "load", LOAD, LOADS);
	print(&b, "unload", UNLOAD, LOADS - 1);
	print(&b, "add", ADD, SINGLE);
	print(&b, "take", TAKE, SINGLE);
	return 0;
}
