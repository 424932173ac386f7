/* wire.c: what a registry's figures are held against: a server that does nothing but move bytes, and clients that cost little. See README.md.
 *
 * wire serve PORT DIR             one thread for each connection: GET of a manifest answers with a text of MANIFEST bytes, GET of a blob sends DIR/blob
 *                                 by sendfile, PUT receives DIR/blob and syncs it, POST names a place to PUT. Nothing is hashed, looked up or checked.
 * wire push HOST:PORT REPOSITORY DIGEST FILE   a session and one PUT, by sendfile
 * wire pull HOST:PORT PATH        GET; the body is dropped in the kernel, uncopied
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, PIECE = 256 << 10, MANIFEST = 600, AT_ONCE = 1 << 20 };

typedef struct Peer {
	int fd;
	size_t n, taken; /* bytes in head; of these, the head itself */
	char head[HEAD_MAX + 1];
} Peer;

static int dir;
static const int on = 1;

static void die(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* The next head on the connection, as a string; what was read behind it stays for take_body. False: the peer has gone. */
static bool read_head(Peer *p)
{
	char *end;
	p->n -= p->taken;
	memmove(p->head, p->head + p->taken, p->n);
	p->head[p->n] = 0;
	while (!(end = strstr(p->head, "\r\n\r\n"))) {
		ssize_t n = p->n < HEAD_MAX ? recv(p->fd, p->head + p->n, HEAD_MAX - p->n, 0) : 0;
		if (n <= 0) return false;
		p->n += (size_t)n;
		p->head[p->n] = 0;
	}
	p->taken = (size_t)(end - p->head) + 4;
	end[2] = 0;
	return true;
}

static long long length(const Peer *p)
{
	const char *field = strcasestr(p->head, "\r\nContent-Length:");
	return field ? strtoll(field + 17, NULL, 10) : 0;
}

/* What of the body came along with the head. */
static size_t take_early(Peer *p, long long most, const char **ret)
{
	size_t n = p->n - p->taken;
	if ((long long)n > most) n = (size_t)most;
	*ret = p->head + p->taken;
	p->taken += n;
	return n;
}

static bool send_text(int fd, const char *text, size_t n)
{
	return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static bool send_file(int fd, int file, off_t n)
{
	for (off_t at = 0; at < n;)
		if (sendfile(fd, file, &at, (size_t)(n - at)) <= 0) return false;
	return true;
}

/* ---- the server ---- */

static bool answer_get(Peer *p)
{
	static const char filler[MANIFEST];
	char text[200 + MANIFEST];
	struct stat st = { .st_size = MANIFEST };
	bool is_blob = strstr(p->head, "/blobs/");
	int file = is_blob ? openat(dir, "blob", O_RDONLY | O_CLOEXEC) : -1;
	if (is_blob && (file < 0 || fstat(file, &st) < 0)) die("blob");
	int n = snprintf(text, 200, "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n", (long long)st.st_size);
	if (!is_blob) memcpy(text + n, filler, MANIFEST);
	bool sent = send_text(p->fd, text, (size_t)n + (is_blob ? 0 : MANIFEST)) && (!is_blob || send_file(p->fd, file, st.st_size));
	if (file >= 0) close(file);
	return sent;
}

static void receive_blob(Peer *p, int file)
{
	const char *early;
	long long left = length(p);
	size_t n = take_early(p, left, &early);
	char *piece = malloc(PIECE);
	if (!piece || write(file, early, n) != (ssize_t)n) die("write");
	for (left -= (long long)n; left; left -= (long long)n) {
		ssize_t k = recv(p->fd, piece, left < PIECE ? (size_t)left : PIECE, 0);
		if (k <= 0) die("receive");
		n = (size_t)k;
		if (write(file, piece, n) != k) die("write");
	}
	free(piece);
}

static bool answer_put(Peer *p)
{
	static const char text[] = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
	char name[32];
	snprintf(name, sizeof name, "%d", p->fd);
	int file = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (file < 0) die("create");
	receive_blob(p, file);
	int old = openat(dir, "blob", O_PATH | O_CLOEXEC); /* its pages are given back after the answer */
	if (fdatasync(file) < 0 || renameat(dir, name, dir, "blob") < 0) die("keep");
	close(file);
	bool sent = send_text(p->fd, text, sizeof text - 1);
	if (old >= 0) close(old);
	return sent;
}

static bool answer_post(Peer *p)
{
	static const char text[] = "HTTP/1.1 202 Accepted\r\nLocation: /v2/x/blobs/uploads/x\r\nContent-Length: 0\r\n\r\n";
	return send_text(p->fd, text, sizeof text - 1);
}

static void *answer(void *arg)
{
	Peer *p = arg;
	bool well = true;
	while (well && read_head(p))
		well = *p->head == 'G' ? answer_get(p) : p->head[1] == 'U' ? answer_put(p) : answer_post(p);
	close(p->fd);
	free(p);
	return NULL;
}

static void serve(int port)
{
	struct sockaddr_in a = loopback(port);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) die("socket");
	if (bind(s, (struct sockaddr *)&a, sizeof a) < 0 || listen(s, 1024) < 0) die("listen");
	for (;;) {
		pthread_t thread;
		Peer *p = calloc(1, sizeof *p);
		if (!p) die("memory");
		p->fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);
		if (p->fd < 0) die("accept");
		setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		if (pthread_create(&thread, NULL, answer, p) != 0) die("thread");
		pthread_detach(thread);
	}
}

/* ---- the clients ---- */

static Peer *ask(const char *address)
{
	const char *port = strrchr(address, ':');
	struct sockaddr_in a = loopback(port ? (int)strtol(port + 1, NULL, 10) : 0);
	Peer *p = calloc(1, sizeof *p);
	if (!p) die("memory");
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&a, sizeof a) < 0) die(address);
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return p;
}

/* The answer's head; another status than expected is the end. */
static void expect(Peer *p, const char *status)
{
	if (read_head(p) && !strncmp(p->head + 9, status, 3)) return;
	fprintf(stderr, "wire: expected status %s: %.200s\n", status, p->head);
	exit(1);
}

/* The path of the Location, which may be a URL. */
static const char *location(const Peer *p)
{
	static char path[HEAD_MAX];
	const char *field = strcasestr(p->head, "\r\nLocation: "), *url = field ? field + 12 : "";
	if (!strncmp(url, "http://", 7)) url = strchr(url + 7, '/');
	snprintf(path, sizeof path, "%.*s", url ? (int)strcspn(url, "\r") : 0, url ? url : "");
	return path;
}

static void push(const char *address, const char *repository, const char *digest, const char *name)
{
	char text[HEAD_MAX];
	struct stat st;
	int file = open(name, O_RDONLY | O_CLOEXEC);
	if (file < 0 || fstat(file, &st) < 0) die(name);
	Peer *p = ask(address);
	int n = snprintf(text, sizeof text, "POST /v2/%s/blobs/uploads/ HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", repository,
			 address);
	if (!send_text(p->fd, text, (size_t)n)) die("send");
	expect(p, "202");
	const char *path = location(p);
	n = snprintf(text, sizeof text, "PUT %s%cdigest=%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %lld\r\n\r\n", path,
		     strchr(path, '?') ? '&' : '?', digest, address, (long long)st.st_size);
	if (n >= (int)sizeof text || !send_text(p->fd, text, (size_t)n) || !send_file(p->fd, file, st.st_size)) die("send");
	expect(p, "201");
}

static void pull(const char *address, const char *path)
{
	static char text[AT_ONCE];
	const char *early;
	Peer *p = ask(address);
	int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, address);
	if (!send_text(p->fd, text, (size_t)n)) die("send");
	expect(p, "200");
	for (long long left = length(p) - (long long)take_early(p, length(p), &early); left;) {
		ssize_t k = recv(p->fd, text, left < AT_ONCE ? (size_t)left : AT_ONCE, MSG_TRUNC);
		if (k <= 0) die("receive");
		left -= k;
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	if (!strcmp(mode, "serve") && argc == 4) {
		dir = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0) die(argv[3]);
		serve((int)strtol(argv[2], NULL, 10));
	} else if (!strcmp(mode, "push") && argc == 6) {
		push(argv[2], argv[3], argv[4], argv[5]);
	} else if (!strcmp(mode, "pull") && argc == 4) {
		pull(argv[2], argv[3]);
	} else {
		fprintf(stderr, "usage: wire serve PORT DIR | push HOST:PORT REPOSITORY DIGEST FILE | pull HOST:PORT PATH\n");
		return 2;
	}
	return 0;
}
