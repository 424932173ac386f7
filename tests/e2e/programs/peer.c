/* peer: who answers, and whom does it see?
 *
 * peer serve NAME PORT…: answers each TCP connection and each datagram to these ports, IPv4 and IPv6, with "NAME ADDRESS PORT": of the one who asks. Says "ready".
 * peer ask tcp|udp ADDRESS PORT MILLISECONDS [BYTES]: prints the answer; or "silence" (3), "refused" (4) or the error (1). BYTES: so many are sent, not fragmented
 * on the way. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORTS_MAX = 64, BACKLOG = 64, TEXT = 256, MESSAGE_MAX = 65536, RESEND_MS = 100, SILENCE = 3, REFUSED = 4 };

typedef union Address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage any;
} Address;

static _Noreturn void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- serve ---- */

static int listen_on(int type, unsigned short port)
{
	const int on = 1, off = 0;
	Address at = { .v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) } };
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) < 0 || bind(fd, &at.sa, sizeof at.v6) < 0 ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
		die("listen");
	return fd;
}

static size_t answer(const char *name, const Address *who, char text[static TEXT])
{
	char host[INET6_ADDRSTRLEN];
	inet_ntop(AF_INET6, &who->v6.sin6_addr, host, sizeof host);
	return (size_t)snprintf(text, TEXT, "%s %s %u\n", name, strncmp(host, "::ffff:", 7) ? host : host + 7, ntohs(who->v6.sin6_port));
}

static void answer_stream(int fd, const char *name)
{
	char text[TEXT];
	Address who;
	socklen_t size = sizeof who;
	int conn = accept(fd, &who.sa, &size);
	if (conn < 0) return;
	size_t n = answer(name, &who, text);
	(void)!send(conn, text, n, MSG_NOSIGNAL);
	shutdown(conn, SHUT_WR);
	close(conn);
}

/* By the address that was asked. */
static void answer_datagram(int fd, const char *name)
{
	static char message[MESSAGE_MAX];
	char text[TEXT];
	union {
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control;
	Address who;
	struct iovec part = { message, sizeof message };
	struct msghdr m = { .msg_name = &who,
			    .msg_namelen = sizeof who,
			    .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof control };
	if (recvmsg(fd, &m, 0) < 0) return;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c) ((struct in6_pktinfo *)(void *)CMSG_DATA(c))->ipi6_ifindex = 0;
	part = (struct iovec){ text, answer(name, &who, text) };
	sendmsg(fd, &m, 0);
}

static int serve(const char *name, char **ports)
{
	struct pollfd fds[2 * PORTS_MAX];
	nfds_t n = 0;
	for (; *ports && n < 2 * PORTS_MAX; ports++)
		for (int i = 0; i < 2; i++)
			fds[n++] = (struct pollfd){ .fd = listen_on(i ? SOCK_DGRAM : SOCK_STREAM, (unsigned short)atoi(*ports)),
						    .events = POLLIN };
	puts("ready");
	fflush(stdout);
	while (poll(fds, n, -1) >= 0)
		for (nfds_t i = 0; i < n; i++)
			if (fds[i].revents) (i & 1 ? answer_datagram : answer_stream)(fds[i].fd, name);
	die("poll");
}

/* ---- ask ---- */

static long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int result(int error)
{
	if (error == ETIMEDOUT) return puts("silence"), SILENCE;
	if (error == ECONNREFUSED || error == ECONNRESET) return puts("refused"), REFUSED;
	printf("%s\n", strerror(error));
	return 1;
}

/* A datagram is sent again until there is an answer: whether a way is there is asked, not whether it loses something. */
static int await(int fd, short events, long until, const char *again, size_t n)
{
	for (;;) {
		long left = until - now_ms();
		struct pollfd p = { .fd = fd, .events = events };
		int r = poll(&p, 1, (int)(left < 0 ? 0 : again && left > RESEND_MS ? RESEND_MS : left));
		if (r > 0) return 0;
		if (left <= 0) return ETIMEDOUT;
		if (again && send(fd, again, n, 0) < 0) return errno;
	}
}

static int ask(int type, const char *address, const char *port, long until, size_t bytes)
{
	static char message[MESSAGE_MAX];
	const int dont_fragment = IP_PMTUDISC_DO;
	char text[TEXT];
	int error = 0;
	socklen_t size = sizeof error;
	Address to = { 0 };
	const int six = !!strchr(address, ':');
	to.sa.sa_family = six ? AF_INET6 : AF_INET;
	*(six ? &to.v6.sin6_port : &to.v4.sin_port) = htons((unsigned short)atoi(port));
	if (inet_pton(to.sa.sa_family, address, six ? (void *)&to.v6.sin6_addr : &to.v4.sin_addr) != 1) return puts("no address"), 1;
	int fd = socket(to.sa.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) die("socket");
	if (bytes)
		setsockopt(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &dont_fragment,
			   sizeof dont_fragment);
	if (connect(fd, &to.sa, six ? sizeof to.v6 : sizeof to.v4) < 0 && errno != EINPROGRESS) return result(errno);
	if (type == SOCK_STREAM && (error = await(fd, POLLOUT, until, NULL, 0))) return result(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error) return result(error);
	if (bytes > sizeof message) bytes = sizeof message;
	if (type == SOCK_DGRAM && send(fd, message, bytes ? bytes : 1, 0) < 0) return result(errno);
	if ((error = await(fd, POLLIN, until, type == SOCK_DGRAM ? message : NULL, bytes ? bytes : 1))) return result(error);
	ssize_t n = recv(fd, text, sizeof text, 0);
	if (n <= 0) return result(n ? errno : ECONNRESET);
	fwrite(text, 1, (size_t)n, stdout);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "serve")) return serve(argv[2], argv + 3);
	if (argc < 6 || strcmp(argv[1], "ask"))
		return puts("usage: peer serve NAME PORT… | ask tcp|udp ADDRESS PORT MILLISECONDS [BYTES]"), 2;
	return ask(strcmp(argv[2], "udp") ? SOCK_STREAM : SOCK_DGRAM, argv[3], argv[4], now_ms() + atol(argv[5]),
		   argc > 6 ? (size_t)atol(argv[6]) : 0);
}
