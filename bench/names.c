/* names.c: how many lookups the resolver of containers answers, and how long one waits. See README.md.
 *
 * names [-n LOOKUPS] [-w UNDER-WAY] [-m CONTAINERS] [-f FLOODS] [-p] [-t]
 *   -n  lookups (400000)        -w  queries that the asker has under way (1)     -m  containers with names on the network (1000)
 *   -f  other containers that flood the resolver meanwhile with names that nobody answers    -t  over one TCP connection
 *   -p  the floods are known names, without a pause between them, over 16 TCP connections each
 *
 * The resolver runs in a child, in a fresh network namespace whose loopback all use. One line: lookups per second; median, 99th and 99.9th
 * percentile and maximum of the time of one lookup, µs; CPU of the resolver for a lookup, µs. With floods: what they sent meanwhile, much of which waits in their sockets.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asker.h"
#include "link/resolver.h"

enum { FLOODS_MAX = 16, WINDOW_MAX = 256 };

typedef struct Options {
	unsigned lookups, window, members, floods;
	bool tcp, pipelines;
} Options;

static void must(bool ok, const char *what)
{
	if (ok) return;
	perror(what);
	exit(1);
}

static int bound(int type, struct sockaddr_in *at)
{
	socklen_t n = sizeof *at;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	must(fd >= 0 && bind(fd, (struct sockaddr *)at, sizeof *at) == 0 && (type == SOCK_DGRAM || listen(fd, 16) == 0), "bind");
	must(getsockname(fd, (struct sockaddr *)at, &n) == 0, "getsockname");
	return fd;
}

static int connected(const struct sockaddr_in *at, int type)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	must(fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof *at) == 0, "connect");
	return fd;
}

static NamesMember *add(Names *names, unsigned i)
{
	char id[16];
	Err e = ERR_INIT;
	NamesMember *m = NULL;
	snprintf(id, sizeof id, "c%u", i);
	const char *const all[] = { id, "everybody" };
	const NamesNetwork n = { "n", "mynet", { .v4 = { 10, 1, (uint8_t)(i >> 8), (uint8_t)i }, .has_v4 = true, .v4_bits = 16 }, all, 2 };
	must(names_add(names, &(NamesContainer){ .id = id, .networks = &n, .networks_n = 1 }, &m, &e) == 0, e.msg);
	return m;
}

static void serve(const Options *o, const int *udp, const int *tcp, int silent)
{
	Loop l;
	Names *names = NULL;
	Resolver *r;
	ResolverClient *c;
	ResolverAddress server;
	Err e = ERR_INIT;
	socklen_t n = sizeof server;
	must(getsockname(silent, &server.sa, &n) == 0 && loop_init(&l) == 0 && names_new(&names, &e) == 0, "start");
	must(resolver_new(&l, names, NULL, &r, &e) == 0, e.msg);
	for (unsigned i = 0; i < o->members; i++) {
		ResolverPolicy p = { .member = add(names, i), .servers = &server, .servers_n = 1 };
		if (i <= o->floods) must(resolver_add(r, &p, udp[i], tcp[i], &c, &e) == 0, e.msg);
	}
	must(loop_run(&l) == 0, "loop");
}

static void flood(const struct sockaddr_in *at, unsigned *count)
{
	uint8_t q[ASKER_QUERY_MAX];
	const int fd = connected(at, SOCK_DGRAM);
	for (uint16_t i = 0;; i++) {
		const size_t n = asker_query(q, i, "nobody.example.com");
		*count += send(fd, q, n, 0) > 0;
		while (recv(fd, q, sizeof q, MSG_DONTWAIT) > 0)
			;
	}
}

/* Sends as much as fits, drops what comes. */
static void flood_pipelines(const struct sockaddr_in *at, unsigned *count)
{
	uint8_t q[2 + ASKER_QUERY_MAX], many[32 * 32], drop[1 << 14];
	size_t all = 0;
	int fds[16];
	const size_t n = asker_query(q + 2, 1, "c1");
	asker_put16(q, n);
	for (int i = 0; i < 32; i++, all += n + 2)
		memcpy(many + all, q, n + 2);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = connected(at, SOCK_STREAM);
	for (;;) {
		for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
			for (ssize_t sent = 0, k; sent<(ssize_t)all; sent += k> 0 ? k : 0) {
				k = send(fds[i], many + sent, all - (size_t)sent, MSG_DONTWAIT | MSG_NOSIGNAL);
				while (recv(fds[i], drop, sizeof drop, MSG_DONTWAIT) > 0)
					;
			}
			*count += 32;
		}
	}
}

static double us(int64_t ns)
{
	return (double)ns / 1e3;
}

static double cpu(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e6 + (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

static void measure(const Options *o)
{
	struct sockaddr_in at[FLOODS_MAX + 1], quiet = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int udp[FLOODS_MAX + 1], tcp[FLOODS_MAX + 1];
	pid_t flooders[FLOODS_MAX];
	unsigned *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	Asker asker = { .members = o->members, .lookups = o->lookups, .window = o->window, .tcp = o->tcp };
	int64_t *took = asker.took = calloc(o->lookups, sizeof *took);
	must(took && count != MAP_FAILED, "memory");
	for (unsigned i = 0; i <= o->floods; i++) {
		at[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 10 + i) };
		udp[i] = bound(SOCK_DGRAM, &at[i]);
		tcp[i] = bound(SOCK_STREAM, &at[i]);
	}
	const int silent = bound(SOCK_DGRAM, &quiet);
	const pid_t server = fork();
	if (server == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (server == 0) serve(o, udp, tcp, silent);
	for (unsigned i = 0; i < o->floods; i++) {
		flooders[i] = fork();
		if (flooders[i] == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (flooders[i] == 0 && o->pipelines) flood_pipelines(&at[i + 1], count + 1 + i);
		if (flooders[i] == 0) flood(&at[i + 1], count + 1 + i);
	}
	const int fd = connected(&at[0], o->tcp ? SOCK_STREAM : SOCK_DGRAM);
	const struct timeval second = { .tv_sec = 1 };
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) == 0, "setsockopt");
	const double seconds = asker_run(&asker, fd);
	must(seconds >= 0, "answer");
	struct rusage u;
	unsigned flooded = 0;
	for (unsigned i = 0; i < o->floods; i++) {
		kill(flooders[i], SIGKILL);
		waitpid(flooders[i], NULL, 0);
		flooded += count[1 + i];
	}
	kill(server, SIGKILL);
	must(wait4(server, NULL, 0, &u) == server, "wait4");
	const unsigned n = o->lookups - asker.lost;
	printf("%.0f/s  median %.1f  p99 %.1f  p99.9 %.1f  max %.1f  cpu %.2f  lost %u", n / seconds, us(took[n / 2]),
	       us(took[n * 99ul / 100]), us(took[n * 999ul / 1000]), us(took[n - 1]), cpu(&u) / o->lookups, asker.lost);
	if (o->floods) printf("  flood %.0f/s", flooded / seconds);
	printf("  rss %ld KiB\n", u.ru_maxrss);
}

static unsigned number(const char *s, unsigned most)
{
	uint32_t v = 0;
	if (str_to_u32(str_of(s), &v) < 0 || v > most) {
		fprintf(stderr, "names: not a number up to %u: %s\n", most, s);
		exit(2);
	}
	return v;
}

int main(int argc, char **argv)
{
	Options o = { .lookups = 400000, .window = 1, .members = 1000 };
	struct ifreq up = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	for (int c; (c = getopt(argc, argv, "n:w:m:f:pt")) != -1;) {
		if (c == 'n')
			o.lookups = number(optarg, 100000000);
		else if (c == 'w')
			o.window = number(optarg, WINDOW_MAX);
		else if (c == 'm')
			o.members = number(optarg, 16384);
		else if (c == 'f')
			o.floods = number(optarg, FLOODS_MAX);
		else if (c == 'p')
			o.pipelines = true;
		else if (c == 't')
			o.tcp = true;
		else
			return 2;
	}
	must(o.lookups && o.window && o.members > o.floods, "options");
	must(unshare(CLONE_NEWNET) == 0, "a network namespace");
	must(ioctl(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), SIOCSIFFLAGS, &up) == 0, "lo");
	measure(&o);
	return 0;
}
