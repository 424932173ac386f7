/* flow.c: connections, bytes and lookups, for bench/networks: it runs in containers and on the host, so it is one static program.
 *
 * flow serve PORT                           SERVERS processes that accept: a connection's first byte says what it is for: 'e': the byte is sent back, and
 *                                           that is all; 's': what comes is dropped in the kernel, and counted; the count is the answer
 * flow latency HOST PORT TIMES              connect, one byte there and back, one after the other: median, 99th percentile, minimum, µs
 * flow rate HOST PORT SECONDS CLIENTS       the same, by so many processes at once: connections per second
 * flow send HOST PORT SECONDS               Gbit/s that arrive
 * flow names NAME LOOKUPS ASKERS WINDOW     asks the name server of /etc/resolv.conf, by ASKERS processes with WINDOW queries under way each: lookups
 *                                           per second, median, 99th percentile (µs), lost ones
 * flow healed HOST PORT COMMAND…            executes the command; ms from the last connection that came through until one does again
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asker.h"

enum {
	SERVERS = 4,
	CLIENTS_MAX = 64,
	PIECE = 128 << 10,
	LOOKUPS_MAX = 10000000,
	HEAL_WAIT = 2 /* ms */,
	HEAL_MAX = 60 /* s */,
	HEAL_CALM = 2 /* s */
};

typedef struct Shared { /* by all processes of one measurement */
	unsigned counts[CLIENTS_MAX], lost[CLIENTS_MAX];
	int64_t took[];
} Shared;

static const int on = 1;
static char piece[PIECE];

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "flow: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned number(const char *s)
{
	char *end;
	const unsigned long v = strtoul(s, &end, 10);
	if (*end || end == s || v > LOOKUPS_MAX) {
		fprintf(stderr, "flow: not a number up to %d: %s\n", LOOKUPS_MAX, s);
		exit(2);
	}
	return (unsigned)v;
}

static struct sockaddr_in address(const char *host, unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1) die(host);
	return a;
}

static Shared *share(size_t n)
{
	Shared *s = mmap(NULL, sizeof *s + n * sizeof *s->took, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED) die("memory");
	return s;
}

static bool send_all(int fd, const void *p, size_t n)
{
	for (ssize_t k; n; n -= (size_t)k, p = (const char *)p + k)
		if ((k = send(fd, p, n, MSG_NOSIGNAL)) <= 0) return false;
	return true;
}

/* ---- the server ---- */

static void sink(int fd)
{
	uint64_t all = 0;
	for (ssize_t n; (n = recv(fd, piece, sizeof piece, MSG_TRUNC)) > 0;)
		all += (uint64_t)n;
	(void)!send_all(fd, &all, sizeof all);
}

static _Noreturn void answer(int s)
{
	for (;;) {
		char what = 0;
		const int fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) continue;
		if (recv(fd, &what, 1, 0) == 1) {
			if (what == 's') sink(fd);
			if (what == 'e') (void)!send_all(fd, &what, 1);
		}
		close(fd);
	}
}

static void serve(unsigned port)
{
	const struct sockaddr_in a = address("0.0.0.0", port);
	const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) die("socket");
	if (bind(s, (const struct sockaddr *)&a, sizeof a) < 0 || listen(s, 1024) < 0) die("listen");
	for (int i = 1; i < SERVERS; i++)
		if (fork() == 0) answer(s);
	answer(s);
}

/* ---- clients ---- */

static int connected(const struct sockaddr_in *a)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) die("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, (const struct sockaddr *)a, sizeof *a) < 0) die("connect");
	return fd;
}

/* It ends with a reset: no side keeps a port waiting for what is late. */
static void exchange(const struct sockaddr_in *a)
{
	const struct linger reset = { .l_onoff = 1 };
	char byte = 'e';
	const int fd = connected(a);
	if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1) die("exchange");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(fd);
}

static double us(int64_t ns)
{
	return (double)ns / 1e3;
}

static void latency(const struct sockaddr_in *a, unsigned times)
{
	Shared *s = share(times);
	for (unsigned i = 0; i < times; i++) {
		const int64_t from = asker_now();
		exchange(a);
		s->took[i] = asker_now() - from;
	}
	qsort(s->took, times, sizeof *s->took, asker_order);
	printf("%.2f %.2f %.2f\n", us(s->took[times / 2]), us(s->took[times * 99ul / 100]), us(s->took[0]));
}

static void await_all(unsigned n)
{
	for (int status; n; n--)
		if (wait(&status) < 0 || status) exit(1); /* it has said why */
}

static void rate(const struct sockaddr_in *a, unsigned seconds, unsigned clients)
{
	Shared *s = share(0);
	unsigned all = 0;
	const int64_t until = asker_now() + seconds * INT64_C(1000000000);
	for (unsigned i = 0; i < clients; i++) {
		if (fork()) continue;
		for (; asker_now() < until; s->counts[i]++)
			exchange(a);
		exit(0);
	}
	await_all(clients);
	for (unsigned i = 0; i < clients; i++)
		all += s->counts[i];
	printf("%.0f\n", (double)all / seconds);
}

static void send_bytes(const struct sockaddr_in *a, unsigned seconds)
{
	uint64_t all = 0;
	const int fd = connected(a);
	if (!send_all(fd, "s", 1)) die("send");
	const int64_t from = asker_now(), until = from + seconds * INT64_C(1000000000);
	while (asker_now() < until)
		if (!send_all(fd, piece, sizeof piece)) die("send");
	shutdown(fd, SHUT_WR);
	if (recv(fd, &all, sizeof all, MSG_WAITALL) != sizeof all) die("the count of what arrived");
	printf("%.3f\n", (double)all * 8 / (double)(asker_now() - from));
}

/* ---- names ---- */

static struct sockaddr_in name_server(void)
{
	char line[256], host[64] = "";
	FILE *f = fopen("/etc/resolv.conf", "re");
	if (!f) die("/etc/resolv.conf");
	while (!*host && fgets(line, sizeof line, f))
		if (sscanf(line, "nameserver %63s", host) != 1) *host = 0;
	fclose(f);
	return address(host, 53);
}

static void ask(const char *name, unsigned lookups, unsigned askers, unsigned window)
{
	const struct sockaddr_in a = name_server();
	const struct timeval second = { .tv_sec = 1 };
	const size_t n = (size_t)lookups * askers;
	Shared *s = share(n);
	unsigned lost = 0;
	const int64_t from = asker_now();
	for (unsigned i = 0; i < askers; i++) {
		if (fork()) continue;
		Asker asker = { .name = name, .lookups = lookups, .window = window, .took = s->took + (size_t)i * lookups };
		const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) < 0) die("socket");
		if (connect(fd, (const struct sockaddr *)&a, sizeof a) < 0) die("connect");
		if (asker_run(&asker, fd) < 0) die("not the answer");
		s->lost[i] = asker.lost;
		exit(0);
	}
	await_all(askers);
	const double seconds = (double)(asker_now() - from) / 1e9;
	for (unsigned i = 0; i < askers; i++)
		lost += s->lost[i];
	qsort(s->took, n, sizeof *s->took, asker_order); /* lost ones are 0, at the head */
	const size_t known = n - lost;
	printf("%.0f %.2f %.2f %u\n", (double)known / seconds, us(s->took[lost + known / 2]), us(s->took[lost + known * 99 / 100]), lost);
}

/* ---- healing ---- */

/* Does a byte come back within a moment? Without rules the host's own socket may take the connection, and say nothing. */
static bool comes_through(const struct sockaddr_in *a)
{
	const struct linger reset = { .l_onoff = 1 };
	char byte = 'e';
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	if (fd < 0) die("socket");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	(void)!connect(fd, (const struct sockaddr *)a, sizeof *a);
	bool well = poll(&p, 1, HEAL_WAIT) == 1 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1;
	p.events = POLLIN;
	well = well && poll(&p, 1, HEAL_WAIT) == 1 && recv(fd, &byte, 1, 0) == 1;
	close(fd);
	return well;
}

static void healed(const struct sockaddr_in *a, char **command)
{
	const int64_t begin = asker_now();
	int64_t last = begin, now = begin;
	int status;
	bool out = false, ended = false;
	const pid_t pid = fork();
	if (pid == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	while (now - begin < HEAL_MAX * INT64_C(1000000000)) {
		const bool well = comes_through(a);
		now = asker_now();
		if (well && out) break;
		out |= !well;
		if (well) last = now;
		if (!ended && waitpid(pid, &status, WNOHANG) == pid) {
			if (status) die(command[0]);
			ended = true;
		}
		if (!out && now - begin > HEAL_CALM * INT64_C(1000000000)) break; /* nobody has noticed it */
	}
	printf("%.1f\n", out ? (double)(now - last) / 1e6 : 0);
}

static int usage(void)
{
	fprintf(stderr, "usage: flow serve PORT | latency HOST PORT TIMES | rate HOST PORT SECONDS CLIENTS | send HOST PORT SECONDS | "
			"names NAME LOOKUPS ASKERS WINDOW | healed HOST PORT COMMAND…\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[1] : "";
	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(mode, "serve") && argc == 3) serve(number(argv[2]));
	if (!strcmp(mode, "names") && argc == 6 && number(argv[4]) <= CLIENTS_MAX) {
		ask(argv[2], number(argv[3]), number(argv[4]), number(argv[5]));
		return 0;
	}
	if (argc < 5) return usage();
	const struct sockaddr_in a = address(argv[2], number(argv[3]));
	if (!strcmp(mode, "latency") && argc == 5)
		latency(&a, number(argv[4]));
	else if (!strcmp(mode, "rate") && argc == 6 && number(argv[5]) <= CLIENTS_MAX)
		rate(&a, number(argv[4]), number(argv[5]));
	else if (!strcmp(mode, "send") && argc == 5)
		send_bytes(&a, number(argv[4]));
	else if (!strcmp(mode, "healed"))
		healed(&a, argv + 4);
	else
		return usage();
	return 0;
}
