/* server.c: listeners, the table of connections, start and end. See server.h. */
#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/time.h"
#include "net/server_impl.h"
#include "sys/fd.h"

enum { BACKLOG = 1024, ACCEPTS_PER_TURN = 64, UNSENT_MAX = 256 << 10, NS_PER_S = 1000000000 };
static const int64_t accept_pause = 100 * 1000000; /* when descriptors have run out */

struct HttpListener {
	HttpListener *next;
	HttpServer *server;
	int fd;
	bool is_unix;
	char *path; /* of a unix socket that was made here: removed at the end */
	dev_t dev;
	ino_t ino;
	LoopFd watch;
};

/* sendfile(2) and OpenSSL's writes know no MSG_NOSIGNAL: a client that goes away must not end the program. */
static void ignore_broken_pipes(void)
{
	struct sigaction now;
	if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) signal(SIGPIPE, SIG_IGN);
}

int http_server_new(Loop *l, const HttpServerOptions *o, HttpServer **ret, Err *e)
{
	AUTO_FREE HttpServer *s = malloc(sizeof *s);
	AUTO_FREE char *name = o->server_name ? strdup(o->server_name) : NULL;
	if (!s || (o->server_name && !name)) return err_set(e, ERR_RESOURCE, ENOMEM, "make an HTTP server: no memory");
	if (name && !http_is_value(str_of(name)))
		return err_set(e, ERR_USAGE, EINVAL, "make an HTTP server: its name has a control character");
	assert(o->handle);
	ignore_broken_pipes();
	memset(s, 0, offsetof(HttpServer, scratch));
	s->magic = HTTP_SERVER_MAGIC;
	s->loop = l;
	s->o = *o;
	s->name = take(name);
	s->date_at = -1;
	s->accepting = true;
	if (!s->o.max_header) s->o.max_header = 32 << 10;
	if (!s->o.max_connections) s->o.max_connections = 10000;
	if (!s->o.header_timeout) s->o.header_timeout = INT64_C(20) * NS_PER_S;
	if (!s->o.idle_timeout) s->o.idle_timeout = INT64_C(120) * NS_PER_S;
	if (!s->o.body_timeout) s->o.body_timeout = INT64_C(60) * NS_PER_S;
	*ret = take(s);
	return 0;
}

const char *server_date(HttpServer *s)
{
	int64_t now = time_now() / NS_PER_S;
	if (now != s->date_at) {
		http_date(now, s->date);
		s->date_at = now;
	}
	return s->date;
}

/* ---- accepting ---- */

static void set_accepting(HttpServer *s, bool on)
{
	if (s->accepting == on) return;
	s->accepting = on;
	for (HttpListener *at = s->listeners; at; at = at->next)
		if (loop_fd_events(&at->watch, on ? EPOLLIN : 0) < 0) s->accepting = false;
}

static void accept_again(void *arg)
{
	HttpServer *s = arg;
	if (!s->stopping && s->conns_n < s->o.max_connections) set_accepting(s, true);
}

static void accept_one(HttpListener *from, int fd)
{
	HttpServer *s = from->server;
	static const int on = 1;
	if (!from->is_unix) (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	/* without memory for it this client is hung up on */
	if (conn_new(s, fd, from->is_unix, from->is_unix ? NULL : s->o.tls, NULL, 0) < 0) return;
}

static void listener_ready(void *arg, uint32_t events)
{
	HttpListener *from = arg;
	HttpServer *s = from->server;
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		if (s->conns_n >= s->o.max_connections) {
			set_accepting(s, false);
			return;
		}
		int fd = accept4(from->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			accept_one(from, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			set_accepting(s, false);
			loop_timer_set(s->loop, &s->retry, loop_now(s->loop) + accept_pause, accept_again, s);
			return;
		}
		if (errno == EAGAIN) return; /* others are of a client that has gone already */
	}
}

/* ---- listening ---- */

static int add_listener(HttpServer *s, int fd, bool is_unix, const char *path, const char *address, Err *e)
{
	AUTO_FD int own = fd;
	AUTO_FREE HttpListener *new = calloc(1, sizeof *new);
	AUTO_FREE char *copy = path ? strdup(path) : NULL;
	struct stat st = { 0 };
	if (!new || (path && !copy)) return err_set(e, ERR_RESOURCE, ENOMEM, "listen on %s: no memory", address);
	if (path && lstat(path, &st) < 0) return err_sys(e, errno, "listen on %s", address);
	*new = (HttpListener){ .server = s, .fd = fd, .is_unix = is_unix, .dev = st.st_dev, .ino = st.st_ino };
	int r = loop_fd_add(s->loop, &new->watch, fd, EPOLLIN, listener_ready, new);
	if (r < 0) return err_sys(e, -r, "listen on %s", address);
	if (!s->accepting) r = loop_fd_events(&new->watch, 0);
	if (r < 0) { /* cannot be: it was just added */
		loop_fd_remove(&new->watch);
		return err_sys(e, -r, "listen on %s", address);
	}
	new->path = take(copy);
	HttpListener **at = &s->listeners;
	while (*at)
		at = &(*at)->next;
	*at = take(new);
	take_fd(own);
	return 0;
}

/* A socket file nobody listens on is in the way of its successor; anything else is somebody's. */
static void remove_stale(const char *path)
{
	struct stat st;
	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode)) return;
	AUTO_FD int fd = fd_connect_unix(AT_FDCWD, path, SOCK_STREAM);
	if (fd == -ECONNREFUSED) (void)unlink(path);
}

static int listen_unix(HttpServer *s, const char *path, const char *address, Err *e)
{
	remove_stale(path);
	AUTO_FD int fd = fd_listen_unix(AT_FDCWD, path, SOCK_STREAM | SOCK_NONBLOCK, 0660);
	if (fd < 0) return err_sys(e, -fd, "listen on %s", address);
	if (listen(fd, BACKLOG) < 0) return err_sys(e, errno, "listen on %s", address);
	return add_listener(s, take_fd(fd), true, path, address, e);
}

typedef union SocketAddress {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
} SocketAddress;

static int read_address(const char *address, SocketAddress *ret, bool *ret_both, Err *e)
{
	const char *colon = strrchr(address, ':');
	Str host = { address, colon ? (size_t)(colon - address) : 0 };
	uint32_t port;
	char text[INET6_ADDRSTRLEN] = "";
	SocketAddress a = { .v4 = { .sin_family = AF_INET } };
	if (!colon || str_to_u32(str_of(colon + 1), &port) < 0 || port > 65535)
		return err_set(e, ERR_USAGE, EINVAL, "listen on %s: expected HOST:PORT or unix:PATH", address);
	bool v6 = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	*ret_both = host.n == 0;
	if (v6) host = (Str){ host.p + 1, host.n - 2 };
	if (host.n == 0) {
		v6 = true;
		host = STR("::");
	}
	if (str_eq(host, "localhost")) host = STR("127.0.0.1");
	if (host.n < sizeof text) memcpy(text, host.p, host.n);
	if (v6) {
		a.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	} else {
		a.v4.sin_port = htons((uint16_t)port);
	}
	if (inet_pton(v6 ? AF_INET6 : AF_INET, text, v6 ? (void *)&a.v6.sin6_addr : (void *)&a.v4.sin_addr) != 1)
		return err_set(e, ERR_USAGE, EINVAL, "listen on %s: the host must be an address, [v6 address], localhost or empty",
			       address);
	*ret = a;
	return 0;
}

static bool is_loopback(const SocketAddress *a)
{
	if (a->any.sa_family == AF_INET6) return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
	return ntohl(a->v4.sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
}

/* Connections inherit this. By itself the kernel takes megabytes of a file into the queue of each, and what a client of the same machine then reads
 * has left the processor's cache. */
static void limit_queues(int fd, const SocketAddress *a)
{
	static const int max = UNSENT_MAX;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &max, sizeof max);
	/* what was sent and not acknowledged as well: no distance is to be bridged */
	if (is_loopback(a)) (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &max, sizeof max);
}

static int open_tcp(const SocketAddress *a, bool both, int *ret)
{
	const int on = 1, only = !both;
	const bool v6 = a->any.sa_family == AF_INET6;
	AUTO_FD int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) return -errno;
	if (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) < 0) return -errno;
	if (bind(fd, &a->any, v6 ? sizeof a->v6 : sizeof a->v4) < 0) return -errno;
	limit_queues(fd, a);
	if (listen(fd, BACKLOG) < 0) return -errno;
	*ret = take_fd(fd);
	return 0;
}

int http_server_listen(HttpServer *s, const char *address, Err *e)
{
	SocketAddress a;
	bool both = false;
	int fd = -1;
	if (starts_with(address, "unix:")) return listen_unix(s, address + strlen("unix:"), address, e);
	int r = read_address(address, &a, &both, e);
	if (r < 0) return r;
	r = open_tcp(&a, both, &fd);
	if (r == -EAFNOSUPPORT && both) { /* a kernel without v6 */
		const in_port_t port = a.v6.sin6_port;
		a = (SocketAddress){ .v4 = { .sin_family = AF_INET, .sin_port = port } };
		r = open_tcp(&a, false, &fd);
	}
	if (r < 0) return err_sys(e, -r, "listen on %s", address);
	return add_listener(s, fd, false, NULL, address, e);
}

int http_server_listen_fd(HttpServer *s, int fd, Err *e)
{
	AUTO_FD int own = fd;
	SocketAddress a = { 0 };
	socklen_t n = sizeof a, k = sizeof(int);
	int listens = 0;
	if (getsockname(fd, &a.any, &n) < 0 || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &k) < 0)
		return err_sys(e, errno, "listen on descriptor %d", fd);
	if (!listens) return err_set(e, ERR_USAGE, EINVAL, "listen on descriptor %d: it is not a listening socket", fd);
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(e, errno, "listen on descriptor %d", fd);
	return add_listener(s, take_fd(own), a.any.sa_family == AF_UNIX, NULL, "a descriptor", e);
}

int http_server_adopt(HttpServer *s, int fd, const void *early, size_t n)
{
	AUTO_FD int own = fd;
	SocketAddress a = { 0 };
	socklen_t k = sizeof a;
	if (getsockname(fd, &a.any, &k) < 0) return -errno;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
	return conn_new(s, take_fd(own), a.any.sa_family == AF_UNIX, NULL, early, n);
}

int http_server_port(const HttpServer *s)
{
	for (const HttpListener *at = s->listeners; at; at = at->next) {
		SocketAddress a = { 0 };
		socklen_t n = sizeof a;
		if (getsockname(at->fd, &a.any, &n) < 0) continue;
		if (a.any.sa_family == AF_INET6) return ntohs(a.v6.sin6_port);
		if (a.any.sa_family == AF_INET) return ntohs(a.v4.sin_port);
	}
	return 0;
}

void http_server_set_tls(HttpServer *s, TlsContext *tls)
{
	s->o.tls = tls;
}

unsigned http_server_connections(const HttpServer *s)
{
	return s->conns_n;
}

/* ---- the end ---- */

static void close_listeners(HttpServer *s)
{
	for (HttpListener *at = s->listeners, *next; at; at = next) {
		struct stat st;
		next = at->next;
		loop_fd_remove(&at->watch);
		/* only the socket that was made here: a successor may have replaced it */
		if (at->path && lstat(at->path, &st) == 0 && st.st_dev == at->dev && st.st_ino == at->ino) (void)unlink(at->path);
		fd_close(at->fd);
		free(at->path);
		free(at);
	}
	s->listeners = NULL;
	loop_timer_cancel(&s->retry);
}

static void stopped(void *arg)
{
	HttpServer *s = arg;
	if (s->o.stopped) s->o.stopped(s->o.arg);
}

void server_conn_gone(HttpServer *s)
{
	s->conns_n--;
	if (s->freeing) return;
	if (s->stopping && !s->conns_n)
		loop_defer(s->loop, &s->stopped, stopped, s);
	else if (!s->stopping && !s->accepting)
		accept_again(s);
}

void http_server_stop(HttpServer *s)
{
	if (s->stopping) return;
	s->stopping = true;
	close_listeners(s);
	for (HttpConn *c = s->conns; c; c = c->next) {
		if (c->mode == CONN_HTTP2)
			http2_goaway(c);
		else if (conn_is_idle(c))
			conn_close_soon(c, false);
	}
	if (!s->conns_n) loop_defer(s->loop, &s->stopped, stopped, s);
}

void http_server_free(HttpServer *s)
{
	if (!s) return;
	assert(s->magic == HTTP_SERVER_MAGIC);
	s->freeing = s->stopping = true;
	close_listeners(s);
	while (s->conns)
		conn_destroy(s->conns);
	loop_defer_cancel(&s->stopped);
	s->magic = 0;
	free(s->name);
	free(s);
}
