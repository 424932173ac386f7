/* attach_tool.c: how long a container's network takes, by steps: what `./dev bench network` runs.
 *
 * attach_tool [RUNS]: all of it in a network namespace of its own, with a bridge in it. Prints, tab separated: step, median, minimum, 90th
 * percentile (microseconds).
 */
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/str.h"
#include "base/time.h"
#include "sys/fd.h"
#include "sys/netns.h"
#include "sys/rtnl.h"

enum { RUNS = 200, RUNS_MAX = 10000, WARM_UP = 5 };
enum { NETNS, VETH, ALIAS, SOCKET, FURNISH, ATTACH, CLOSE, GONE, STEPS };
static const char *const names[STEPS] = {
	[NETNS] = "namespace with loopback up",
	[VETH] = "veth pair, into the bridge and the namespace",
	[ALIAS] = "its alias",
	[SOCKET] = "socket in the namespace, index of the device",
	[FURNISH] = "up, address, default route",
	[ATTACH] = "in all, without the alias",
	[CLOSE] = "close of the last descriptor",
	[GONE] = "until the kernel has taken the devices away",
};

typedef struct Bench {
	int sock, bridge;
	size_t runs;
	int64_t *took[STEPS]; /* of each run, nanoseconds */
} Bench;

static int make_bridge(Bench *b, Err *e)
{
	AUTO_RT_BATCH q = RT_BATCH_INIT;
	RtIp gateway;
	int r = rtnl_ip_parse("10.88.0.1", &gateway);
	if (r < 0 || (r = rtnl_open(&b->sock, e)) < 0) return r;
	rtnl_bridge_add(&q, "bridge", &(RtDevice){ .name = "skep0", .up = true });
	if ((r = rtnl_send(b->sock, &q, e)) < 0) return r;
	b->bridge = rtnl_index(b->sock, "skep0");
	rtnl_address_add(&q, "address of the bridge", &(RtAddress){ .index = b->bridge, .ip = gateway, .prefix = 16 });
	return rtnl_send(b->sock, &q, e);
}

static int make_veth(Bench *b, int netns, Err *e)
{
	AUTO_RT_BATCH q = RT_BATCH_INIT;
	rtnl_veth_add(&q, "veth", &(RtDevice){ .name = "veth1", .master = b->bridge, .up = true }, &(RtDevice){ .name = "eth0" }, netns);
	return rtnl_send(b->sock, &q, e);
}

static int set_alias(Bench *b, Err *e)
{
	AUTO_RT_BATCH q = RT_BATCH_INIT;
	rtnl_link_set(&q, "alias", rtnl_index(b->sock, "veth1"), &(RtChange){ .alias = "container 0123456789ab" });
	return rtnl_send(b->sock, &q, e);
}

static int furnish(int sock, int index, Err *e)
{
	AUTO_RT_BATCH q = RT_BATCH_INIT;
	const RtIp own = { 4, { 10, 88, 0, 2 } }, gateway = { 4, { 10, 88, 0, 1 } };
	rtnl_link_set(&q, "eth0", index, &(RtChange){ .up = RT_UP });
	rtnl_address_add(&q, "address", &(RtAddress){ .index = index, .ip = own, .prefix = 16 });
	rtnl_route_add(&q, "default route", &(RtRoute){ .to = { .n = 4 }, .via = gateway, .index = index });
	return rtnl_send(sock, &q, e);
}

/* t: when each step ended; t[0]: the beginning of the first. */
static int attach(Bench *b, int *netns, int64_t t[static STEPS], Err *e)
{
	AUTO_FD int there = -1;
	t[0] = time_monotonic();
	int r = netns_new(netns, e);
	t[1] = time_monotonic();
	if (r >= 0) r = make_veth(b, *netns, e);
	t[2] = time_monotonic();
	if (r >= 0) r = set_alias(b, e);
	t[3] = time_monotonic();
	if (r >= 0) r = rtnl_open_in(*netns, &there, e);
	int index = r < 0 ? r : rtnl_index(there, "eth0");
	t[4] = time_monotonic();
	if (r >= 0) r = furnish(there, index, e);
	t[5] = time_monotonic();
	return r;
}

static int run(Bench *b, size_t i, Err *e)
{
	int netns = -1;
	int64_t t[STEPS], now;
	int r = attach(b, &netns, t, e);
	if (r < 0) return r;
	for (int s = NETNS; s <= FURNISH; s++)
		b->took[s][i] = t[s + 1] - t[s];
	b->took[ATTACH][i] = t[5] - t[0] - b->took[ALIAS][i];
	now = time_monotonic();
	fd_close(netns);
	b->took[CLOSE][i] = time_monotonic() - now;
	while (rtnl_index(b->sock, "veth1") > 0) /* asked, not told: half a microsecond each */
		usleep(50);
	b->took[GONE][i] = time_monotonic() - now;
	return 0;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static int bench(Bench *b, Err *e)
{
	int r = unshare(CLONE_NEWNET) < 0 ? err_sys(e, errno, "make a network namespace") : make_bridge(b, e);
	for (size_t i = 0; r >= 0 && i < b->runs + WARM_UP; i++)
		r = run(b, i < WARM_UP ? 0 : i - WARM_UP, e);
	for (int s = 0; r >= 0 && s < STEPS; s++) {
		int64_t *t = b->took[s];
		qsort(t, b->runs, sizeof *t, by_size);
		printf("%s\t%.1f\t%.1f\t%.1f\n", names[s], (double)t[b->runs / 2] / 1e3, (double)t[0] / 1e3,
		       (double)t[b->runs * 9 / 10] / 1e3);
	}
	return r;
}

int main(int argc, char **argv)
{
	Err e = ERR_INIT;
	uint64_t runs = RUNS;
	if (argc > 1 && (str_to_u64(str_of(argv[1]), &runs) < 0 || !runs || runs > RUNS_MAX)) return 2;
	Bench b = { .sock = -1, .runs = runs };
	int64_t *all = calloc(runs, STEPS * sizeof *all);
	if (!all) return 1;
	for (size_t s = 0; s < STEPS; s++)
		b.took[s] = all + s * runs;
	prctl(PR_SET_TIMERSLACK, 1UL);
	int r = bench(&b, &e);
	if (r < 0) fprintf(stderr, "attach_tool: %s\n", e.msg);
	fd_close(b.sock);
	free(all);
	return r < 0;
}
