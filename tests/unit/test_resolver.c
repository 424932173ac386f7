/* test_resolver.c: the resolver with real sockets on the loopback of a fresh network namespace, with servers of the test's own behind it. All of it, askers
 * and servers, runs on one loop. */
#include "alloc.h"
#include "base/time.h"
#include "child.h"
#include "link/resolver.h"
#include "net/dns.h"
#include "sys/fd.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { MS = 1000000, TRY_MS = 100, SERVERS = 3, MESSAGE = 65535 };

/* How a server of the test behaves. */
typedef enum {
	ANSWERS,
	SILENT,
	FAILS,
	REFUSES,
	DENIES,
	TRUNCATES,
	WRONG_ID,
	WRONG_QUESTION,
	WRONG_SOURCE,
	WRONG_THEN_RIGHT,
	BARE_FORMERR,
	CLOSED
} Mode;

typedef struct Server {
	struct Scene *s;
	Mode mode;
	int udp, tcp, other, conn;
	LoopFd watch, tcp_watch, conn_watch;
	unsigned asked, tcp_asked, conn_n;
	uint8_t query[2048], conn_in[2048];
	size_t query_n;
	struct sockaddr_in from;
} Server;

typedef struct Scene {
	Loop l;
	LoopTimer guard, pause;
	Names *names;
	Resolver *r;
	NamesMember *me;
	ResolverClient *c;
	ResolverAddress servers[SERVERS], at;
	Server server[SERVERS];
	int udp, tcp, ask;
	LoopFd ask_watch;
	size_t tcp_reply; /* bytes that a server adds to its answer over TCP */
} Scene;

static int fresh_loopback(void)
{
	struct ifreq up = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	if (unshare(CLONE_NEWNET) < 0) return -errno;
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &up) == 0 ? 0 : -errno;
}

static struct sockaddr_in loopback(unsigned last, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + last) };
}

static int bound(int type, struct sockaddr_in *at)
{
	const int yes = 1;
	socklen_t n = sizeof *at;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 || bind(fd, (struct sockaddr *)at, sizeof *at) < 0)
		return -1;
	if (type == SOCK_STREAM && listen(fd, 64) < 0) return -1;
	return getsockname(fd, (struct sockaddr *)at, &n) == 0 ? fd : -1;
}

static int connected(const Scene *s, int type)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	return fd >= 0 && connect(fd, &s->at.sa, sizeof s->at.v4) == 0 ? fd : -1;
}

/* ---- servers ---- */

/* The answer to a query: the same with QR, RA and a code; one A record when there is nothing wrong. */
static size_t server_answer(const Server *v, uint8_t *p, size_t n)
{
	static const uint8_t record[] = "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4";
	static const uint8_t codes[] = {
		[FAILS] = DNS_SERVFAIL, [REFUSES] = DNS_REFUSED, [DENIES] = DNS_NXDOMAIN, [BARE_FORMERR] = DNS_FORMERR, [CLOSED] = 0
	};
	p[2] |= (uint8_t)(0x80 | (v->mode == TRUNCATES ? 2 : 0));
	p[3] = (uint8_t)(0x80 | codes[v->mode]);
	for (size_t i = DNS_HEADER; p[i]; i += 1 + (size_t)p[i]) /* the case is not kept */
		for (size_t j = 1; j <= p[i]; j++)
			p[i + j] |= 0x20;
	if (v->mode == WRONG_ID) p[1] ^= 1;
	if (v->mode == WRONG_QUESTION) p[DNS_HEADER + 1] ^= 1;
	if (v->mode == BARE_FORMERR) p[5] = p[11] = 0;
	if (v->mode == BARE_FORMERR) return DNS_HEADER;
	if (codes[v->mode] || v->mode == TRUNCATES || p[11]) return n;
	p[7] = 1;
	memcpy(p + n, record, sizeof record - 1);
	return n + sizeof record - 1;
}

static void server_send(Server *v, int fd)
{
	uint8_t p[4096];
	memcpy(p, v->query, v->query_n);
	const size_t n = server_answer(v, p, v->query_n);
	(void)!sendto(fd, p, n, MSG_DONTWAIT, (struct sockaddr *)&v->from, sizeof v->from);
}

static void server_ready(void *arg, uint32_t events)
{
	Server *v = arg;
	socklen_t from_n = sizeof v->from;
	(void)events;
	ssize_t n = recvfrom(v->udp, v->query, sizeof v->query, MSG_DONTWAIT, (struct sockaddr *)&v->from, &from_n);
	if (n < 0) return;
	v->query_n = (size_t)n;
	v->asked++;
	if (v->mode == SILENT) return;
	if (v->mode == WRONG_THEN_RIGHT) {
		v->mode = WRONG_ID;
		server_send(v, v->udp);
		v->mode = WRONG_QUESTION;
		server_send(v, v->udp);
		(void)!sendto(v->udp, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&v->from, sizeof v->from);
		v->mode = ANSWERS;
		server_send(v, v->other);
	}
	server_send(v, v->mode == WRONG_SOURCE ? v->other : v->udp);
}

static void server_conn_ready(void *arg, uint32_t events)
{
	static uint8_t out[MESSAGE + 2];
	Server *v = arg;
	(void)events;
	ssize_t n = recv(v->conn, v->conn_in + v->conn_n, sizeof v->conn_in - v->conn_n, MSG_DONTWAIT);
	if (n > 0) v->conn_n += (unsigned)n;
	if (n > 0 && (v->conn_n < 2 || v->conn_n < 2u + dns_id(v->conn_in))) return;
	if (n > 0) {
		v->tcp_asked++;
		if (v->mode == SILENT) return;
		size_t size = v->conn_n - 2;
		memcpy(out + 2, v->conn_in + 2, size);
		size = server_answer(v, out + 2, size) + v->s->tcp_reply;
		dns_set_id(out, (uint16_t)size);
		(void)!send(v->conn, out, size + 2, MSG_NOSIGNAL);
	}
	loop_fd_remove(&v->conn_watch);
	v->conn = fd_close(v->conn);
}

static void server_accept(void *arg, uint32_t events)
{
	Server *v = arg;
	(void)events;
	loop_fd_remove(&v->conn_watch);
	fd_close(v->conn);
	v->conn = accept4(v->tcp, NULL, NULL, SOCK_CLOEXEC);
	v->conn_n = 0;
	(void)!loop_fd_add(&v->s->l, &v->conn_watch, v->conn, EPOLLIN, server_conn_ready, v);
}

static int server_start(Scene *s, size_t i)
{
	Server *v = &s->server[i];
	struct sockaddr_in at = loopback(50 + (unsigned)i, 0), other = loopback(40, 0);
	*v = (Server){ .s = s, .conn = -1 };
	NEED((v->udp = bound(SOCK_DGRAM, &at)) >= 0 && (v->tcp = bound(SOCK_STREAM, &at)) >= 0 &&
	     (v->other = bound(SOCK_DGRAM, &other)) >= 0);
	s->servers[i].v4 = at;
	NEED(loop_fd_add(&s->l, &v->watch, v->udp, EPOLLIN, server_ready, v) == 0 &&
	     loop_fd_add(&s->l, &v->tcp_watch, v->tcp, EPOLLIN, server_accept, v) == 0);
	return 0;
}

/* ---- the scene ---- */

static void too_late(void *arg)
{
	loop_stop(&((Scene *)arg)->l, 99);
}

static void stop(void *arg)
{
	loop_stop(&((Scene *)arg)->l, 7);
}

static void stop_fd(void *arg, uint32_t events)
{
	(void)events;
	loop_stop(&((Scene *)arg)->l, 0);
}

static int add_member(Scene *s, const char *id, uint8_t last, bool internal, NamesMember **ret)
{
	Err e = ERR_INIT;
	const char *const names[] = { id, "everybody" };
	const NamesNetwork n = { "n1", "mynet", { .v4 = { 10, 7, 0, last }, .has_v4 = true, .v4_bits = 16 }, names, 2 };
	NEED_OK(names_add(s->names, &(NamesContainer){ id, &n, 1, NULL, 0, internal }, ret, &e));
	return 0;
}

static int start(Scene *s, const ResolverLimits *limits)
{
	ResolverLimits l = limits ? *limits : (ResolverLimits){ 0 };
	Err e = ERR_INIT;
	struct sockaddr_in at = loopback(11, 0);
	memset(s, 0, sizeof *s);
	NEED(fresh_loopback() == 0);
	if (!l.try_ns) l.try_ns = TRY_MS * MS;
	NEED(loop_init(&s->l) == 0);
	loop_timer_set(&s->l, &s->guard, time_monotonic() + INT64_C(20000) * MS, too_late, s);
	NEED_OK(names_new(&s->names, &e));
	NEED(add_member(s, "Web", 2, false, &s->me) == 0);
	NEED_OK(resolver_new(&s->l, s->names, &l, &s->r, &e));
	for (size_t i = 0; i < SERVERS; i++)
		NEED(server_start(s, i) == 0);
	NEED((s->udp = bound(SOCK_DGRAM, &at)) >= 0 && (s->tcp = bound(SOCK_STREAM, &at)) >= 0);
	NEED(fcntl(s->tcp, F_SETFL, 0) == 0); /* not to be relied upon */
	s->at.v4 = at;
	NEED_OK(resolver_add(s->r, &(ResolverPolicy){ .member = s->me, .servers = s->servers, .servers_n = SERVERS }, s->udp, s->tcp, &s->c,
			     &e));
	NEED((s->ask = connected(s, SOCK_DGRAM)) >= 0);
	NEED(loop_fd_add(&s->l, &s->ask_watch, s->ask, EPOLLIN, stop_fd, s) == 0);
	return 0;
}

static int finish(Scene *s)
{
	NEED(resolver_pending(s->r) == 0);
	resolver_free(s->r);
	names_free(s->names);
	loop_done(&s->l);
	return 0;
}

static size_t make_query(uint8_t *to, uint16_t id, const char *name, uint16_t type, uint16_t edns)
{
	dns_set_id(to, id);
	memcpy(to + 2, "\1\0\0\1\0\0\0\0\0", 9);
	to[11] = edns > 0;
	const int n = dns_name_wire(str_of(name), to + DNS_HEADER);
	uint8_t *p = to + DNS_HEADER + n;
	memcpy(p, (const uint8_t[]){ (uint8_t)(type >> 8), (uint8_t)type, 0, 1 }, 4);
	if (!edns) return (size_t)(p + 4 - to);
	memcpy(p + 4, (const uint8_t[]){ 0, 0, DNS_OPT, (uint8_t)(edns >> 8), (uint8_t)edns, 0, 0, 0, 0, 0, 0 }, 11);
	return (size_t)(p + 15 - to);
}

/* Asks over UDP and waits. The length of the answer; -1: none came. */
static ssize_t ask_bytes(Scene *s, const uint8_t *query, size_t n, uint8_t *to)
{
	if (send(s->ask, query, n, 0) != (ssize_t)n || loop_run(&s->l) != 0) return -1;
	return recv(s->ask, to, MESSAGE, MSG_DONTWAIT);
}

/* Lets the loop turn for a while: for what should not come. */
static void wait_ms(Scene *s, int ms)
{
	loop_timer_set(&s->l, &s->pause, time_monotonic() + (int64_t)ms * MS, stop, s);
	while (loop_run(&s->l) == 0)
		;
}

typedef struct Answer {
	uint8_t p[MESSAGE];
	size_t n;
	unsigned code, records;
	bool truncated;
} Answer;

static int read_answer(Answer *a, ssize_t n, uint16_t id)
{
	NEED(n >= DNS_HEADER && dns_id(a->p) == id && a->p[2] & 0x80 && a->p[3] & 0x80);
	a->n = (size_t)n;
	a->code = a->p[3] & 15;
	a->records = dns_id(a->p + 6);
	a->truncated = a->p[2] & 2;
	return 0;
}

static int ask(Scene *s, const char *name, uint16_t type, uint16_t edns, Answer *a)
{
	uint8_t q[512];
	const uint16_t id = (uint16_t)(strlen(name) * 259 + type);
	const size_t n = make_query(q, id, name, type, edns);
	NEED(read_answer(a, ask_bytes(s, q, n, a->p), id) == 0);
	if (a->p[5]) NEED(memcmp(a->p + DNS_HEADER, q + DNS_HEADER, strlen(name) + 6) == 0); /* in its case */
	return 0;
}

static unsigned asked(const Scene *s)
{
	return s->server[0].asked * 100 + s->server[1].asked * 10 + s->server[2].asked;
}

static int tcp_read(Scene *s, int fd, Answer *a, uint16_t id)
{
	LoopFd w = { 0 };
	size_t have = 0, want = 2;
	static uint8_t in[MESSAGE + 2];
	NEED(loop_fd_add(&s->l, &w, fd, EPOLLIN, stop_fd, s) == 0);
	while (have < want) {
		NEED(loop_run(&s->l) == 0);
		const ssize_t n = recv(fd, in + have, want - have, MSG_DONTWAIT);
		if (n <= 0) loop_fd_remove(&w);
		NEED(n > 0);
		have += (size_t)n;
		if (have == 2) want = 2u + dns_id(in);
	}
	loop_fd_remove(&w);
	memcpy(a->p, in + 2, have - 2);
	return read_answer(a, (ssize_t)have - 2, id);
}

static size_t tcp_query(uint8_t *to, uint16_t id, const char *name, uint16_t type)
{
	const size_t n = make_query(to + 2, id, name, type, 0);
	dns_set_id(to, (uint16_t)n);
	return n + 2;
}

/* Is the connection over, without a word? */
static int tcp_ends(Scene *s, int fd)
{
	char c;
	LoopFd w = { 0 };
	NEED(loop_fd_add(&s->l, &w, fd, EPOLLIN | EPOLLRDHUP, stop_fd, s) == 0);
	NEED(loop_run(&s->l) == 0);
	loop_fd_remove(&w);
	const ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);
	NEED(n == 0 || (n < 0 && errno == ECONNRESET));
	return 0;
}

/* ---- what is known ---- */

static int known_names(void)
{
	static Answer a;
	Scene s;
	NEED(start(&s, NULL) == 0);
	NEED(ask(&s, "wEb", DNS_A, 0, &a) == 0 && a.code == 0 && a.records == 1 && a.n == 12 + 9 + 16);
	NEED(memcmp(a.p + a.n - 10, "\0\0\2\x58\0\4\x0a\7\0\2", 10) == 0);
	NEED(ask(&s, "web.MYNET", DNS_A, 1232, &a) == 0 && a.code == 0 && a.records == 1 && a.p[11] == 1);
	NEED(ask(&s, "web", DNS_AAAA, 0, &a) == 0 && a.code == 0 && a.records == 0);
	NEED(ask(&s, "web", DNS_MX, 0, &a) == 0 && a.code == 0 && a.records == 0);
	NEED(ask(&s, "2.0.7.10.in-addr.arpa", DNS_PTR, 0, &a) == 0 && a.code == 0 && a.records == 1);
	NEED(memcmp(a.p + a.n - 11, "\3web\5mynet", 11) == 0);
	NEED(ask(&s, "99.9.7.10.in-addr.arpa", DNS_PTR, 0, &a) == 0 && a.code == DNS_NXDOMAIN);
	NEED(asked(&s) == 0);
	NEED(ask(&s, "99.9.8.10.in-addr.arpa", DNS_PTR, 0, &a) == 0 && a.code == 0);
	NEED(ask(&s, "web", 16, 0, &a) == 0 && a.code == 0); /* TXT: elsewhere, as docker has it */
	NEED(asked(&s) == 200);
	return finish(&s);
}

static int no_allocation(void)
{
	static Answer a;
	Scene s;
	NEED(start(&s, NULL) == 0);
	const unsigned long before = allocations;
	for (int i = 0; i < 200; i++) {
		NEED(ask(&s, "web", DNS_A, 1232, &a) == 0 && a.records == 1);
		if (i % 10 == 0) NEED(ask(&s, "example.com", DNS_A, 0, &a) == 0 && a.records == 1);
	}
	NEED(allocations == before);
	return finish(&s);
}

static int many_addresses(void)
{
	static Answer a;
	Scene s;
	uint8_t q[64];
	NamesMember *m;
	char id[8];
	NEED(start(&s, NULL) == 0);
	for (uint8_t i = 0; i < 100; i++) {
		snprintf(id, sizeof id, "m%u", i);
		NEED(add_member(&s, id, (uint8_t)(10 + i), false, &m) == 0);
	}
	NEED(ask(&s, "everybody", DNS_A, 0, &a) == 0 && a.truncated && a.records == 30 && a.n <= 512);
	NEED(ask(&s, "everybody", DNS_A, 4096, &a) == 0 && !a.truncated && a.records == 101);
	NEED(ask(&s, "everybody", DNS_A, 65535, &a) == 0 && !a.truncated && a.records == 101);
	AUTO_FD int fd = connected(&s, SOCK_STREAM);
	const size_t n = tcp_query(q, 7, "everybody", DNS_A);
	NEED(send(fd, q, n, 0) == (ssize_t)n && tcp_read(&s, fd, &a, 7) == 0 && !a.truncated && a.records == 101);
	fd = fd_close(fd);
	return finish(&s);
}

static int internal_and_ndots(void)
{
	static Answer a;
	Scene s;
	Err e = ERR_INIT;
	NamesMember *inside;
	NEED(start(&s, NULL) == 0);
	NEED(ask(&s, "single", DNS_A, 0, &a) == 0 && a.code == 0 && a.records == 1 && asked(&s) == 100);
	ResolverPolicy p = { .member = s.me, .servers = s.servers, .servers_n = SERVERS, .ndots_set = true };
	NEED_OK(resolver_change(s.c, &p, &e));
	NEED(ask(&s, "single", DNS_A, 0, &a) == 0 && a.code == 0 && a.records == 0 && asked(&s) == 100);
	NEED(ask(&s, "single", DNS_MX, 0, &a) == 0 && asked(&s) == 200);
	NEED(ask(&s, "two.labels", DNS_A, 0, &a) == 0 && a.records == 1 && asked(&s) == 300);
	NEED(add_member(&s, "inside", 9, true, &inside) == 0);
	p = (ResolverPolicy){ .member = inside, .servers = s.servers, .servers_n = SERVERS };
	NEED_OK(resolver_change(s.c, &p, &e));
	NEED(ask(&s, "example.com", DNS_A, 0, &a) == 0 && a.code == DNS_SERVFAIL);
	NEED(ask(&s, "web", DNS_A, 0, &a) == 0 && a.code == 0 && a.records == 1);
	NEED(ask(&s, "1.1.1.1.in-addr.arpa", DNS_PTR, 0, &a) == 0 && a.code == DNS_SERVFAIL);
	p = (ResolverPolicy){ .member = s.me };
	NEED_OK(resolver_change(s.c, &p, &e));
	NEED(ask(&s, "example.com", DNS_A, 1232, &a) == 0 && a.code == DNS_SERVFAIL && a.p[11] == 1);
	NEED(asked(&s) == 300);
	s.servers[1].v4.sin_port = 0;
	p = (ResolverPolicy){ .member = s.me, .servers = s.servers, .servers_n = 2 };
	NEED(resolver_change(s.c, &p, &e) == -EINVAL && *e.msg);
	return finish(&s);
}

static int wrong_packets(void)
{
	static Answer a;
	static uint8_t q[RESOLVER_QUERY_MAX + 100];
	Scene s;
	NEED(start(&s, NULL) == 0);
	size_t n = make_query(q, 9, "web", DNS_A, 0);
	q[2] = 0x81; /* a reply: no answer, nor to what is shorter than a header */
	NEED(send(s.ask, q, n, 0) > 0 && send(s.ask, q, 11, 0) > 0 && send(s.ask, q, 0, 0) == 0);
	q[2] = 0x10;
	NEED(read_answer(&a, ask_bytes(&s, q, n, a.p), 9) == 0 && a.code == DNS_NOTIMP);
	q[2] = 1;
	q[5] = 2;
	NEED(read_answer(&a, ask_bytes(&s, q, n, a.p), 9) == 0 && a.code == DNS_FORMERR);
	q[5] = 1;
	NEED(read_answer(&a, ask_bytes(&s, q, n - 1, a.p), 9) == 0 && a.code == DNS_FORMERR && a.n == DNS_HEADER);
	NEED(read_answer(&a, ask_bytes(&s, q, sizeof q, a.p), 9) == 0 && a.code == DNS_FORMERR);
	n = make_query(q, 9, "example.com", DNS_AXFR, 0);
	NEED(read_answer(&a, ask_bytes(&s, q, n, a.p), 9) == 0 && a.code == DNS_REFUSED);
	n = make_query(q, 9, "example.com", DNS_A, 512);
	q[n - 5] = 1;
	NEED(read_answer(&a, ask_bytes(&s, q, n, a.p), 9) == 0 && a.code == 0 && a.records == 0 && a.p[a.n - 6] == 1);
	NEED(asked(&s) == 0 && resolver_counts(s.r)->dropped == 3);
	return finish(&s);
}

/* ---- what is asked elsewhere ---- */

static int forwarded(void)
{
	static Answer a;
	Scene s;
	unsigned same_id = 0, same_port = 0;
	uint16_t port = 0;
	NEED(start(&s, NULL) == 0);
	for (int i = 0; i < 20; i++) {
		NEED(ask(&s, "www.Example.COM", DNS_A, 0, &a) == 0 && a.code == 0 && a.records == 1);
		NEED(memcmp(a.p + a.n - 4, "\1\2\3\4", 4) == 0);
		NEED(memcmp(s.server[0].query + 2, "\1\0\0\1\0\0\0\0\0\0\3www\7Example\3COM", 26) == 0); /* as it was asked */
		same_id += dns_id(s.server[0].query) == dns_id(a.p);
		same_port += s.server[0].from.sin_port == port;
		port = s.server[0].from.sin_port;
	}
	NEED(same_id < 3 && same_port < 3 && asked(&s) == 2000);
	NEED(ask(&s, "www.example.com", DNS_A, 1400, &a) == 0 && s.server[0].query[11] == 1);
	NEED(memcmp(s.server[0].query + s.server[0].query_n - 8, "\x05\x78", 2) == 0 && a.n == s.server[0].query_n);
	return finish(&s);
}

static int next_server(void)
{
	static const struct {
		Mode first, second, third;
		unsigned code, asked;
	} rows[] = {
		{ FAILS, ANSWERS, ANSWERS, 0, 110 },
		{ REFUSES, ANSWERS, ANSWERS, 0, 110 },
		{ SILENT, FAILS, ANSWERS, 0, 111 },
		{ DENIES, ANSWERS, ANSWERS, DNS_NXDOMAIN, 100 },
		{ BARE_FORMERR, ANSWERS, ANSWERS, DNS_FORMERR, 100 },
		{ FAILS, REFUSES, FAILS, DNS_SERVFAIL, 111 },
		{ SILENT, SILENT, SILENT, DNS_SERVFAIL, 111 },
		{ SILENT, SILENT, ANSWERS, 0, 111 },
		{ CLOSED, ANSWERS, ANSWERS, 0, 10 },
	};
	static Answer a;
	Scene s;
	NEED(start(&s, NULL) == 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		s.server[0].mode = rows[i].first;
		s.server[1].mode = rows[i].second;
		s.server[2].mode = rows[i].third;
		s.server[0].asked = s.server[1].asked = s.server[2].asked = 0;
		if (rows[i].first == CLOSED) {
			loop_fd_remove(&s.server[0].watch);
			s.server[0].udp = fd_close(s.server[0].udp);
		}
		const int64_t from = time_monotonic();
		NEED(ask(&s, "www.example.com", DNS_A, 0, &a) == 0);
		if (a.code != rows[i].code || asked(&s) != rows[i].asked)
			fprintf(stderr, "row %zu: code %u, asked %u\n", i, a.code, asked(&s));
		NEED(a.code == rows[i].code && asked(&s) == rows[i].asked);
		const unsigned waits = (rows[i].first == SILENT) + (rows[i].second == SILENT) + (rows[i].third == SILENT && a.code);
		NEED(time_monotonic() - from >= (int64_t)waits * TRY_MS * MS);
	}
	NEED(resolver_counts(s.r)->timeouts == 6);
	return finish(&s);
}

static int spoofed(void)
{
	static const Mode modes[] = { WRONG_ID, WRONG_QUESTION, WRONG_SOURCE };
	static Answer a;
	Scene s;
	NEED(start(&s, NULL) == 0);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		s.server[0].mode = s.server[1].mode = s.server[2].mode = modes[i];
		NEED(ask(&s, "www.example.com", DNS_A, 0, &a) == 0 && a.code == DNS_SERVFAIL && a.records == 0);
	}
	NEED(asked(&s) == 333 && resolver_counts(s.r)->timeouts == 9);
	NEED(resolver_counts(s.r)->wrong_replies == 6); /* the kernel keeps those of another source away */
	s.server[0].mode = WRONG_THEN_RIGHT;
	NEED(ask(&s, "www.example.com", DNS_A, 0, &a) == 0 && a.code == 0 && a.records == 1);
	NEED(resolver_counts(s.r)->wrong_replies == 9 && asked(&s) == 433);
	return finish(&s);
}

static int truncated(void)
{
	static Answer a;
	Scene s;
	uint8_t q[64];
	NEED(start(&s, NULL) == 0);
	s.server[0].mode = TRUNCATES;
	NEED(ask(&s, "www.example.com", DNS_A, 0, &a) == 0 && a.truncated && a.records == 0 && asked(&s) == 100);
	s.server[0].mode = ANSWERS;
	s.tcp_reply = 60000;
	AUTO_FD int fd = connected(&s, SOCK_STREAM);
	const size_t n = tcp_query(q, 77, "www.Example.com", DNS_A);
	NEED(send(fd, q, n, 0) == (ssize_t)n && tcp_read(&s, fd, &a, 77) == 0);
	NEED(!a.truncated && a.records == 1 && a.n > 60000 && s.server[0].tcp_asked == 1 && asked(&s) == 100);
	NEED(memcmp(a.p + DNS_HEADER, q + 14, 21) == 0);
	s.server[0].mode = SILENT;
	s.server[1].mode = FAILS;
	NEED(send(fd, q, n, 0) == (ssize_t)n && tcp_read(&s, fd, &a, 77) == 0 && a.records == 1 && s.server[2].tcp_asked == 1);
	s.server[2].mode = SILENT;
	s.tcp_reply = 0;
	NEED(send(fd, q, n, 0) == (ssize_t)n && tcp_read(&s, fd, &a, 77) == 0 && a.code == DNS_SERVFAIL);
	return finish(&s);
}

/* ---- connections ---- */

static int pipelined(void)
{
	static Answer a;
	uint8_t q[8192];
	Scene s;
	size_t n = 0;
	NEED(start(&s, NULL) == 0);
	AUTO_FD int fd = connected(&s, SOCK_STREAM);
	for (uint16_t i = 0; i < 100; i++)
		n += tcp_query(q + n, i, i % 3 == 1 ? "www.example.com" : "web", DNS_A);
	NEED(send(fd, q, n, 0) == (ssize_t)n && shutdown(fd, SHUT_WR) == 0);
	for (uint16_t i = 0; i < 100; i++)
		NEED(tcp_read(&s, fd, &a, i) == 0 && a.records == 1);
	NEED(s.server[0].tcp_asked == 33);
	NEED(tcp_ends(&s, fd) == 0 && resolver_connections(s.r) == 0);
	return finish(&s);
}

static int slow_connections(void)
{
	static Answer a;
	uint8_t q[64];
	Scene s;
	NEED(start(&s, &(ResolverLimits){ .tcp_ns = 1000 * MS, .try_ns = 1100 * MS }) == 0);
	AUTO_FD int idle = connected(&s, SOCK_STREAM), slow = connected(&s, SOCK_STREAM), bad = connected(&s, SOCK_STREAM);
	const int64_t from = time_monotonic();
	const size_t n = tcp_query(q, 5, "web", DNS_A);
	NEED(send(bad, "\xff\xff", 2, 0) == 2 && tcp_ends(&s, bad) == 0);
	for (size_t i = 0; i + 1 < n && i < 15; i++) { /* byte by byte does not help */
		NEED(send(slow, q + i, 1, MSG_NOSIGNAL) == 1);
		wait_ms(&s, 10);
	}
	NEED(resolver_connections(s.r) == 2);
	NEED(tcp_ends(&s, idle) == 0 && tcp_ends(&s, slow) == 0);
	NEED(time_monotonic() - from >= 1000 * MS && resolver_connections(s.r) == 0);
	/* one that works may stay longer */
	AUTO_FD int fd = connected(&s, SOCK_STREAM);
	for (int i = 0; i < 6; i++) {
		NEED(send(fd, q, n, 0) == (ssize_t)n && tcp_read(&s, fd, &a, 5) == 0 && a.records == 1);
		wait_ms(&s, 200);
	}
	s.server[0].mode = SILENT; /* a server's time is not the client's */
	const size_t far = tcp_query(q, 6, "www.example.com", DNS_A);
	NEED(send(fd, q, far, 0) == (ssize_t)far && tcp_read(&s, fd, &a, 6) == 0 && a.records == 1);
	return finish(&s);
}

/* A client that asks and never reads: what is kept for it is one answer, and not for long. */
static int unread_answers(void)
{
	uint8_t q[64];
	Scene s;
	const int small = 4096;
	NEED(start(&s, &(ResolverLimits){ .tcp_ns = 200 * MS }) == 0);
	s.tcp_reply = 60000;
	AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	NEED(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0 && connect(fd, &s.at.sa, sizeof s.at.v4) == 0);
	const size_t n = tcp_query(q, 5, "www.example.com", DNS_A);
	for (int i = 0; i < 200; i++)
		NEED(send(fd, q, n, MSG_NOSIGNAL) == (ssize_t)n);
	const int64_t until = time_monotonic() + INT64_C(10000) * MS;
	do
		wait_ms(&s, 50);
	while (resolver_connections(s.r) && time_monotonic() < until);
	NEED(resolver_connections(s.r) == 0 && s.server[0].tcp_asked < 200);
	return finish(&s);
}

static int too_many_connections(void)
{
	static Answer a;
	uint8_t q[64];
	Scene s;
	int fds[RESOLVER_TCP_PER_CLIENT + 1];
	NEED(start(&s, NULL) == 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		NEED((fds[i] = connected(&s, SOCK_STREAM)) >= 0);
	NEED(tcp_ends(&s, fds[RESOLVER_TCP_PER_CLIENT]) == 0);
	NEED(resolver_connections(s.r) == RESOLVER_TCP_PER_CLIENT);
	const size_t n = tcp_query(q, 5, "web", DNS_A);
	for (size_t i = 0; i < RESOLVER_TCP_PER_CLIENT; i++)
		NEED(send(fds[i], q, n, 0) == (ssize_t)n && tcp_read(&s, fds[i], &a, 5) == 0 && a.records == 1);
	NEED(ask(&s, "web", DNS_A, 0, &a) == 0 && a.records == 1);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fd_close(fds[i]);
	return finish(&s);
}

/* ---- floods ---- */

typedef struct Other {
	ResolverClient *c;
	ResolverAddress at;
	int udp, ask;
	NamesMember *m;
} Other;

static int add_other(Scene *s, Other *o, uint8_t last)
{
	Err e = ERR_INIT;
	char id[16];
	struct sockaddr_in at = loopback(100u + last, 0);
	snprintf(id, sizeof id, "other%u", last);
	NEED(add_member(s, id, last, false, &o->m) == 0 && (o->udp = bound(SOCK_DGRAM, &at)) >= 0);
	NEED_OK(resolver_add(s->r, &(ResolverPolicy){ .member = o->m, .servers = s->servers, .servers_n = SERVERS }, o->udp, -1, &o->c,
			     &e));
	NEED((o->ask = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) >= 0 && connect(o->ask, (struct sockaddr *)&at, sizeof at) == 0);
	return 0;
}

/* n queries for names that nobody answers; the number of those that were refused at once. */
static int flood(Scene *s, int fd, int n)
{
	uint8_t q[64], a[512];
	int refused = 0;
	const uint64_t all = resolver_counts(s->r)->queries + (uint64_t)n;
	for (int i = 0; i < n; i++) {
		const size_t size = make_query(q, (uint16_t)i, "www.example.com", DNS_A, 0);
		if (send(fd, q, size, 0) < 0) return -1;
		if (i % 16 == 15) wait_ms(s, 2);
	}
	while (resolver_counts(s->r)->queries < all)
		wait_ms(s, 1);
	while (recv(fd, a, sizeof a, MSG_DONTWAIT) > 0)
		refused += (a[3] & 15) == DNS_SERVFAIL;
	return refused;
}

static int floods(void)
{
	static Answer a;
	Scene s;
	Other o[3];
	NEED(start(&s, &(ResolverLimits){ .try_ns = INT64_C(60000) * MS, .pending = 256 }) == 0);
	s.server[0].mode = SILENT;
	for (uint8_t i = 0; i < 3; i++)
		NEED(add_other(&s, &o[i], (uint8_t)(20 + i)) == 0);
	NEED(flood(&s, o[0].ask, 150) == 50 && resolver_pending(s.r) == 100);
	const int second = flood(&s, o[1].ask, 150); /* as much as it leaves: 78 of 156 */
	NEED(second == 150 - 78 && resolver_pending(s.r) == 178);
	NEED(flood(&s, o[2].ask, 150) == 150 - 39 && resolver_pending(s.r) == 217);
	/* who is on the same loop has its names, and is forwarded for */
	NEED(ask(&s, "web", DNS_A, 0, &a) == 0 && a.records == 1);
	s.server[0].mode = ANSWERS;
	NEED(ask(&s, "www.example.com", DNS_A, 0, &a) == 0 && a.records == 1 && a.code == 0);
	for (size_t i = 0; i < 3; i++)
		resolver_remove(o[i].c);
	NEED(resolver_pending(s.r) == 0);
	return finish(&s);
}

/* What is taken away is gone at once: no answer, no use of what was freed; and its slots are there again. */
static int taken_away(void)
{
	static Answer a;
	Scene s;
	Err e = ERR_INIT;
	uint8_t q[64];
	NEED(start(&s, NULL) == 0);
	for (size_t i = 0; i < SERVERS; i++)
		s.server[i].mode = SILENT;
	AUTO_FD int fd = connected(&s, SOCK_STREAM);
	const size_t n = tcp_query(q, 5, "www.example.com", DNS_A);
	NEED(send(fd, q, n, 0) == (ssize_t)n && send(s.ask, q + 2, n - 2, 0) > 0);
	while (resolver_pending(s.r) < 2)
		wait_ms(&s, 1);
	ResolverPolicy p = { .member = s.me, .servers = s.servers, .servers_n = SERVERS, .ndots_set = true };
	NEED_OK(resolver_change(s.c, &p, &e)); /* the same servers: they go on */
	NEED(resolver_pending(s.r) == 2 && resolver_connections(s.r) == 1);
	p.servers_n = 1;
	NEED_OK(resolver_change(s.c, &p, &e));
	NEED(resolver_pending(s.r) == 0 && resolver_connections(s.r) == 0 && tcp_ends(&s, fd) == 0);
	NEED(send(s.ask, q + 2, n - 2, 0) > 0);
	while (resolver_pending(s.r) < 1)
		wait_ms(&s, 1);
	resolver_remove(s.c);
	wait_ms(&s, 4 * TRY_MS);
	NEED(recv(s.ask, a.p, sizeof a.p, MSG_DONTWAIT) < 0 && errno == EAGAIN && resolver_pending(s.r) == 0);
	NEED_OK(resolver_add(s.r, &p, s.udp, s.tcp, &s.c, &e));
	NEED(ask(&s, "web", DNS_A, 0, &a) == 0 && a.records == 1);
	resolver_remove(NULL);
	return finish(&s);
}

/* Each allocation fails in turn: there is a reason, nothing is kept, and the next try works. */
static int without_memory(void)
{
	static Answer a;
	Scene s;
	int failed = 0;
	Resolver *r = NULL;
	ResolverClient *c = NULL;
	struct sockaddr_in at = loopback(30, 0);
	NEED(start(&s, NULL) == 0);
	AUTO_FD int udp = bound(SOCK_DGRAM, &at), tcp = bound(SOCK_STREAM, &at);
	const ResolverPolicy p = { .member = s.me, .servers = s.servers, .servers_n = 1 };
	for (unsigned long i = 1; !c; i++) {
		Err e = ERR_INIT;
		allocation_to_fail = i;
		int done = resolver_new(&s.l, s.names, NULL, &r, &e);
		if (done == 0) done = resolver_add(r, &p, udp, tcp, &c, &e);
		allocation_to_fail = 0;
		NEED(done == 0 || (done == -ENOMEM && *e.msg && !c));
		failed += done < 0;
		if (done < 0) resolver_free(r);
		if (done < 0) r = NULL;
	}
	NEED(failed == 4);
	resolver_free(r);
	/* a TCP reply without memory for it is as good as none: the next server */
	uint8_t q[64];
	AUTO_FD int fd = connected(&s, SOCK_STREAM);
	const size_t n = tcp_query(q, 8, "www.example.com", DNS_A);
	allocation_to_fail = 1;
	NEED(send(fd, q, n, 0) == (ssize_t)n && tcp_read(&s, fd, &a, 8) == 0 && a.records == 1);
	NEED(allocation_to_fail == 0 && s.server[1].tcp_asked == 1);
	fd = fd_close(fd);
	return finish(&s);
}

/* ipv6 servers, and one that cannot be reached at all. */
static int other_servers(void)
{
	static Answer a;
	Scene s;
	Err e = ERR_INIT;
	NEED(start(&s, NULL) == 0);
	const ResolverAddress servers[] = {
		{ .v4 = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0x01010101) } },
		{ .v6 = { .sin6_family = AF_INET6, .sin6_port = htons(53), .sin6_addr = IN6ADDR_LOOPBACK_INIT } },
		s.servers[2]
	};
	ResolverPolicy p = { .member = s.me, .servers = servers, .servers_n = 3 };
	NEED_OK(resolver_change(s.c, &p, &e));
	NEED(ask(&s, "www.example.com", DNS_A, 0, &a) == 0 && a.records == 1 && asked(&s) == 1);
	p.servers_n = 1;
	NEED_OK(resolver_change(s.c, &p, &e));
	NEED(ask(&s, "www.example.com", DNS_A, 0, &a) == 0 && a.code == DNS_SERVFAIL && resolver_counts(s.r)->timeouts == 0);
	AUTO_FD int fd = connected(&s, SOCK_STREAM);
	uint8_t q[1024];
	size_t n = 0;
	for (uint16_t i = 0; i < 20; i++) /* answered while they are asked for */
		n += tcp_query(q + n, i, "www.example.com", DNS_A);
	NEED(send(fd, q, n, 0) == (ssize_t)n);
	for (uint16_t i = 0; i < 20; i++)
		NEED(tcp_read(&s, fd, &a, i) == 0 && a.code == DNS_SERVFAIL);
	return finish(&s);
}

#define CHILD_TEST(name) \
	static void test_##name(void **state) \
	{ \
		(void)state; \
		need_root(); \
		in_child(name); \
	}
CHILD_TEST(known_names)
CHILD_TEST(no_allocation)
CHILD_TEST(many_addresses)
CHILD_TEST(internal_and_ndots)
CHILD_TEST(wrong_packets)
CHILD_TEST(forwarded)
CHILD_TEST(next_server)
CHILD_TEST(spoofed)
CHILD_TEST(truncated)
CHILD_TEST(pipelined)
CHILD_TEST(slow_connections)
CHILD_TEST(unread_answers)
CHILD_TEST(too_many_connections)
CHILD_TEST(floods)
CHILD_TEST(taken_away)
CHILD_TEST(other_servers)
CHILD_TEST(without_memory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_names),
		cmocka_unit_test(test_no_allocation),
		cmocka_unit_test(test_many_addresses),
		cmocka_unit_test(test_internal_and_ndots),
		cmocka_unit_test(test_wrong_packets),
		cmocka_unit_test(test_forwarded),
		cmocka_unit_test(test_next_server),
		cmocka_unit_test(test_spoofed),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_slow_connections),
		cmocka_unit_test(test_unread_answers),
		cmocka_unit_test(test_too_many_connections),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_taken_away),
		cmocka_unit_test(test_other_servers),
		cmocka_unit_test(test_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
