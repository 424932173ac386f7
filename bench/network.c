/* network.c: how long a container's network takes, by steps: what `./dev bench network` runs.
 *
 * network [RUNS]: all of it in a network namespace of its own, with a bridge in it. RUNS networks are attached one after the other and stay, as on
 * a machine where containers start; then all are dropped, and then a few one by one: a namespace made while the kernel takes another one away waits
 * for it. Prints, tab separated: step, median, minimum, 90th percentile (microseconds).
 */
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/str.h"
#include "base/time.h"
#include "link/redirect.h"
#include "sys/fd.h"
#include "sys/netns.h"
#include "sys/rtnl.h"

enum { RUNS = 200, RUNS_MAX = 800, WARM_UP = 5, SINGLE = 20 }; /* a bridge has 1,023 ports; a process, 1,024 descriptors */
enum { NETNS, VETH, ALIAS, SOCKET, FURNISH, NAMES, ATTACH, CLOSE, GONE, STEPS };
static const char *const names[STEPS] = {
	[NETNS] = "namespace with loopback up",
	[VETH] = "veth pair, into the bridge and the namespace",
	[ALIAS] = "its alias",
	[SOCKET] = "socket in the namespace, index of the device",
	[FURNISH] = "up, address, default route",
	[NAMES] = "sockets and rules for its names",
	[ATTACH] = "in all, without alias and names",
	[CLOSE] = "close of the last descriptor",
	[GONE] = "until the kernel has taken a single one away",
};

typedef struct Bench {
	int sock, bridge;
	size_t runs;
	int *netns;
	int64_t *took[STEPS]; /* of each run, nanoseconds */
} Bench;

static int make_bridge(Bench *b, Err *e)
{
	AUTO_RT_BATCH q = RT_BATCH_INIT;
	const IpAddress gateway = { 4, { 10, 88, 0, 1 } };
	int r;
	if ((r = rtnl_open(&b->sock, e)) < 0) return r;
	rtnl_bridge_add(&q, "bridge", &(RtDevice){ .name = "skep0", .up = true });
	if ((r = rtnl_send(b->sock, &q, e)) < 0) return r;
	b->bridge = rtnl_index(b->sock, "skep0");
	rtnl_address_add(&q, "address of the bridge", &(RtAddress){ .index = b->bridge, .ip = gateway, .prefix = 16 });
	return rtnl_send(b->sock, &q, e);
}

typedef struct Name {
	char text[32]; /* enough for any number; those there are fit a device */
} Name;

static Name name_of(size_t i)
{
	Name n;
	snprintf(n.text, sizeof n.text, "veth%zu", i);
	return n;
}

static int make_veth(Bench *b, size_t i, Err *e)
{
	AUTO_RT_BATCH q = RT_BATCH_INIT;
	Name n = name_of(i);
	rtnl_veth_add(&q, "veth", &(RtDevice){ .name = n.text, .master = b->bridge, .up = true }, &(RtDevice){ .name = "eth0" },
		      b->netns[i]);
	return rtnl_send(b->sock, &q, e);
}

static int set_alias(Bench *b, size_t i, Err *e)
{
	AUTO_RT_BATCH q = RT_BATCH_INIT;
	rtnl_link_set(&q, "alias", rtnl_index(b->sock, name_of(i).text), &(RtChange){ .alias = "container 0123456789ab" });
	return rtnl_send(b->sock, &q, e);
}

static int furnish(int sock, int index, Err *e)
{
	AUTO_RT_BATCH q = RT_BATCH_INIT;
	const IpAddress own = { 4, { 10, 88, 0, 2 } }, gateway = { 4, { 10, 88, 0, 1 } };
	rtnl_link_set(&q, "eth0", index, &(RtChange){ .up = RT_UP });
	rtnl_address_add(&q, "address", &(RtAddress){ .index = index, .ip = own, .prefix = 16 });
	rtnl_route_add(&q, "default route", &(RtRoute){ .to = { .family = 4 }, .via = gateway, .index = index });
	return rtnl_send(sock, &q, e);
}

static int attach(Bench *b, size_t i, Err *e)
{
	AUTO_FD int there = -1, udp = -1, tcp = -1;
	int64_t t[STEPS] = { time_monotonic() };
	int r = netns_new(&b->netns[i], e);
	t[1] = time_monotonic();
	if (r >= 0) r = make_veth(b, i, e);
	t[2] = time_monotonic();
	if (r >= 0) r = set_alias(b, i, e);
	t[3] = time_monotonic();
	if (r >= 0) r = rtnl_open_in(b->netns[i], &there, e);
	int index = r < 0 ? r : rtnl_index(there, "eth0");
	t[4] = time_monotonic();
	if (r >= 0) r = furnish(there, index, e);
	t[5] = time_monotonic();
	if (r >= 0) r = redirect_names(b->netns[i], &udp, &tcp, e);
	t[6] = time_monotonic();
	for (int s = NETNS; s <= NAMES; s++)
		b->took[s][i] = t[s + 1] - t[s];
	b->took[ATTACH][i] = t[5] - t[0] - b->took[ALIAS][i];
	return r;
}

static void drop(Bench *b, size_t i)
{
	int64_t from = time_monotonic();
	b->netns[i] = fd_close(b->netns[i]);
	b->took[CLOSE][i] = time_monotonic() - from;
}

/* Asked, not told: half a microsecond each. */
static int64_t wait_until_gone(const Bench *b, size_t i, int64_t from)
{
	while (rtnl_index(b->sock, name_of(i).text) > 0)
		usleep(50);
	return time_monotonic() - from;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void report(const char *name, int64_t *t, size_t n)
{
	qsort(t, n, sizeof *t, by_size);
	printf("%s\t%.1f\t%.1f\t%.1f\n", name, (double)t[n / 2] / 1e3, (double)t[0] / 1e3, (double)t[n * 9 / 10] / 1e3);
}

static int singles(Bench *b, size_t n, Err *e)
{
	int r = 0;
	for (size_t i = 0; i < n && r >= 0; i++) {
		r = attach(b, 0, e);
		int64_t from = time_monotonic();
		drop(b, 0);
		b->took[GONE][i] = wait_until_gone(b, 0, from);
	}
	return r;
}

static int bench(Bench *b, Err *e)
{
	int r = unshare(CLONE_NEWNET) < 0 ? err_sys(e, errno, "make a network namespace") : make_bridge(b, e);
	if (r >= 0) r = singles(b, b->runs < WARM_UP ? b->runs : WARM_UP, e);
	if (r < 0) return r;
	sleep(1); /* for the kernel to be done with these */
	for (size_t i = 0; i < b->runs && r >= 0; i++)
		r = attach(b, i, e);
	int64_t from = time_monotonic(), all = 0;
	for (size_t i = 0; i < b->runs; i++)
		drop(b, i);
	for (size_t i = 0; i < b->runs && r >= 0; i++)
		all = wait_until_gone(b, i, from);
	for (int s = 0; s <= CLOSE && r >= 0; s++)
		report(names[s], b->took[s], b->runs);
	size_t few = b->runs < SINGLE ? b->runs : SINGLE;
	if (r < 0 || (r = singles(b, few, e)) < 0) return r;
	report(names[GONE], b->took[GONE], few);
	printf("until all %zu are gone, each\t%.1f\t\t\n", b->runs, (double)all / (double)b->runs / 1e3);
	return r;
}

int main(int argc, char **argv)
{
	Err e = ERR_INIT;
	uint64_t runs = RUNS;
	if (argc > 1 && (str_to_u64(str_of(argv[1]), &runs) < 0 || !runs || runs > RUNS_MAX)) return 2;
	Bench b = { .sock = -1, .runs = runs };
	int64_t *all = calloc(runs, STEPS * sizeof *all);
	b.netns = malloc(runs * sizeof *b.netns);
	if (!all || !b.netns) return 1;
	memset(b.netns, 0xff, runs * sizeof *b.netns); /* -1 each */
	for (size_t s = 0; s < STEPS; s++)
		b.took[s] = all + s * runs;
	prctl(PR_SET_TIMERSLACK, 1UL);
	int r = bench(&b, &e);
	if (r < 0) fprintf(stderr, "network: %s\n", e.msg);
	fd_close(b.sock);
	free(all);
	free(b.netns);
	return r < 0;
}
