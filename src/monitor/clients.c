/* clients.c: the connections of a monitor. None can hold it up: what a client does not take is kept for it up to OUT_MAX bytes, and
 * then the container waits for it up to a grace time, and then it loses output, which it is told. */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/time.h"
#include "monitor/monitor_impl.h"
#include "monitor/network_hold.h"

enum { OUT_MAX = 1 << 20, ROOM_FOR_ANSWERS = 256 << 10, GRACE_MS = 2000, LAST_WORDS_MS = 1000 };

/* ---- sending ---- */

static void client_close(Client *c)
{
	if (c->gone) return;
	c->gone = true;
	if (c->m->promiser == c) monitor_promise(c->m, NULL, NULL);
	if (c->m->keeper == c) c->m->keeper = NULL;
	loop_fd_remove(&c->watch);
	c->fd = fd_close(c->fd);
	buf_done(&c->out);
}

static void update_watch(Client *c)
{
	(void)!loop_fd_events(&c->watch, EPOLLIN | (c->out.n ? EPOLLOUT : 0));
}

/* Sends what waits. */
static void flush(Client *c)
{
	while (!c->gone && c->out.n) {
		uint32_t n;
		memcpy(&n, c->out.p, sizeof n);
		ssize_t sent = retry_eintr(send(c->fd, c->out.p + sizeof n, n, MSG_DONTWAIT | MSG_NOSIGNAL));
		if (sent < 0 && errno == EAGAIN) return;
		if (sent < 0) {
			client_close(c);
			return;
		}
		buf_consume(&c->out, sizeof n + n);
	}
}

static void queue(Client *c, WireKind kind, int value, int more, const void *data, size_t n)
{
	WireHead h = { .kind = kind, .value = value, .more = more };
	uint32_t size = (uint32_t)(sizeof h + n);
	buf_put(&c->out, &size, sizeof size);
	buf_put(&c->out, &h, sizeof h);
	if (n) buf_put(&c->out, data, n);
}

void client_tell(Client *c, WireKind kind, int value, int more, const void *data, size_t n)
{
	if (c->gone) return;
	if (!c->out.n) {
		int r = wire_send(c->fd, kind, value, more, data, n, NULL, 0);
		if (r >= 0) return;
		if (r != -EAGAIN) {
			client_close(c);
			return;
		}
	}
	queue(c, kind, value, more, data, n);
	if (buf_failed(&c->out))
		client_close(c);
	else
		update_watch(c);
}

void client_tell_error(Client *c, const Err *e)
{
	client_tell(c, WIRE_ERROR, (int)e->code, e->errnum, e->msg, strlen(e->msg));
}

static void tell_dropped(Client *c)
{
	uint64_t n = c->dropped;
	if (!n || c->out.n > OUT_MAX / 2) return;
	c->dropped = 0;
	c->stalled = 0;
	client_tell(c, WIRE_DROPPED, n > INT32_MAX ? INT32_MAX : (int)n, 0, NULL, 0);
}

/* ---- output ---- */

static bool is_late(const Client *c)
{
	return c->stalled && time_monotonic() - c->stalled > GRACE_MS * INT64_C(1000000);
}

bool clients_are_full(const Monitor *m)
{
	for (const Client *c = m->clients; c; c = c->next)
		if (!c->gone && c->streams && c->out.n > OUT_MAX && !is_late(c)) return true;
	return false;
}

void clients_output(Monitor *m, LogStream stream, const char *p, size_t n)
{
	unsigned want = stream == LOG_STDERR ? WIRE_ERR : WIRE_OUT;
	for (Client *c = m->clients; c; c = c->next) {
		if (c->gone || !(c->streams & want)) continue;
		if (c->out.n > OUT_MAX && is_late(c)) {
			c->dropped += n;
			m->state.dropped += n;
			continue;
		}
		tell_dropped(c);
		client_tell(c, stream == LOG_STDERR ? WIRE_STDERR : WIRE_STDOUT, 0, 0, p, n);
		if (c->out.n > OUT_MAX && !c->stalled) c->stalled = time_monotonic();
	}
}

static void writable(Client *c)
{
	bool was_full = c->out.n > OUT_MAX;
	flush(c);
	if (c->gone) return;
	if (c->out.n <= OUT_MAX) {
		c->stalled = 0;
		tell_dropped(c);
	}
	if (!c->gone) update_watch(c);
	if (was_full && c->out.n <= OUT_MAX / 2) stdio_resume(c->m);
}

/* ---- requests ---- */

static void answer(Client *c, int r, const Err *e)
{
	if (r < 0)
		client_tell_error(c, e);
	else
		client_tell(c, WIRE_OK, 0, 0, NULL, 0);
}

static int keep(Client *c, Err *e)
{
	if (c->m->promiser)
		return err_set(
			e, ERR_STATE, EBUSY,
			"container %s was run with --rm by a command that stays with it, and would be removed: it cannot be restarted",
			c->m->config.name);
	c->m->keeper = c;
	return 0;
}

static void attach(Client *c, int streams)
{
	c->streams = (unsigned)streams & (WIRE_OUT | WIRE_ERR);
	if (streams & WIRE_PROMISE_REMOVE) monitor_promise(c->m, c, NULL);
	client_tell(c, WIRE_OK, 0, 0, NULL, 0);
}

static void change_restart(Client *c, int max, const char *data, size_t n)
{
	Monitor *m = c->m;
	Err e = ERR_INIT;
	char *name = arena_str(&m->arena, (Str){ data, n });
	if (!name) {
		client_tell_error(c, (err_sys(&e, ENOMEM, "restart policy"), &e));
		return;
	}
	m->config.restart = name;
	m->config.restart_max = max;
	answer(c, 0, &e);
}

static void rename_container(Client *c, const char *data, size_t n)
{
	Monitor *m = c->m;
	Err e = ERR_INIT;
	int r = 0;
	char *name = arena_str(&m->arena, (Str){ data, n });
	if (!name) {
		r = err_sys(&e, ENOMEM, "rename");
	} else {
		m->config.name = name;
		for (size_t i = 0; i < m->config.attributes.n; i++)
			if (streq(m->config.attributes.items[i].key, "name")) m->config.attributes.items[i].value = name;
	}
	answer(c, r, &e);
}

/* False: no further messages now. */
static bool take_request(Client *c, const WireHead *h, const char *data, size_t n, int *fds, size_t n_fds)
{
	Monitor *m = c->m;
	Err e = ERR_INIT;
	switch (h->kind) {
	case WIRE_ATTACH:
		attach(c, h->value);
		break;
	case WIRE_STDIN:
		stdio_input(m, data, n);
		return m->input.pending.n < WIRE_DATA_MAX;
	case WIRE_RESIZE:
		stdio_resize(m, (unsigned)h->value >> 16, (unsigned)h->value & 0xffff);
		break;
	case WIRE_SIGNAL:
		answer(c, monitor_signal(m, h->value, &e), &e);
		break;
	case WIRE_STOP:
		c->stops = true;
		if (monitor_stop(m, h->value, h->more, &e) < 0) {
			c->stops = false;
			client_tell_error(c, &e);
		}
		break;
	case WIRE_WAIT:
		c->waits = true;
		c->waits_for_good = h->value;
		break;
	case WIRE_EXEC:
		exec_start(m, c, h, data, n, fds, n_fds);
		break;
	case WIRE_RESTART:
		change_restart(c, h->value, data, n);
		break;
	case WIRE_RENAME:
		rename_container(c, data, n);
		break;
	case WIRE_KEEP:
		answer(c, keep(c, &e), &e);
		break;
	case WIRE_UNPUBLISH:
		m->n_ports = network_hold_unpublish(&m->config, m->ports, m->n_ports, h->value);
		answer(c, 0, &e);
		break;
	case WIRE_DEVICE:
		answer(c, monitor_device(m, h->value, &e), &e);
		break;
	case WIRE_NAMES:
		answer(c, monitor_names(m, fds, n_fds, &e), &e);
		break;
	case WIRE_REMOVED:
		monitor_promise(m, NULL, arena_str(&m->arena, (Str){ data, n }));
		break;
	default:
		err_set(&e, ERR_UNSUPPORTED, ENOSYS, "the monitor does not know request %u: it is of another version", h->kind);
		client_tell_error(c, &e);
	}
	return true;
}

void client_receive(Client *c)
{
	static char data[WIRE_DATA_MAX];
	while (!c->gone) {
		WireHead h;
		size_t n = 0, n_fds = 0;
		int fds[WIRE_FDS_MAX];
		int r = wire_receive(c->fd, &h, data, &n, fds, &n_fds);
		if (r == -EAGAIN) return;
		if (r <= 0) {
			client_close(c);
			return;
		}
		bool more = take_request(c, &h, data, n, fds, n_fds);
		for (size_t i = 0; i < n_fds; i++)
			fd_close(fds[i]);
		if (!more && !c->gone) {
			/* its input has to wait: write_input() wakes it */
			(void)!loop_fd_events(&c->watch, c->out.n ? EPOLLOUT : 0);
			return;
		}
	}
}

/* ---- the list ---- */

static void sweep(Monitor *m)
{
	for (Client **at = &m->clients; *at;) {
		Client *c = *at;
		if (!c->gone) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		free(c);
	}
}

static void ready(void *arg, uint32_t events)
{
	Client *c = arg;
	Monitor *m = c->m;
	if (events & EPOLLOUT) writable(c);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) client_receive(c);
	sweep(m);
	if (!clients_are_full(m)) stdio_resume(m);
}

int client_add(Monitor *m, int fd, Client **ret)
{
	Client *c = calloc(1, sizeof *c);
	if (!c) {
		fd_close(fd);
		return -ENOMEM;
	}
	*c = (Client){ .m = m, .fd = fd, .out = BUF_INIT(OUT_MAX + 2 * WIRE_DATA_MAX + ROOM_FOR_ANSWERS) };
	int r = fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0 ? -errno : loop_fd_add(&m->loop, &c->watch, fd, EPOLLIN, ready, c);
	if (r < 0) {
		fd_close(fd);
		free(c);
		return r;
	}
	c->next = m->clients;
	m->clients = c;
	if (ret) *ret = c;
	return 0;
}

static void accept_one(void *arg, uint32_t events)
{
	Monitor *m = arg;
	int fd = accept4(m->listen, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0) (void)!client_add(m, fd, NULL);
}

int clients_listen(Monitor *m, Err *e)
{
	AUTO_FD int dir = openat(AT_FDCWD, m->config.sockets, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) return err_sys(e, errno, "open %s", m->config.sockets);
	(void)!unlinkat(dir, m->config.id, 0); /* of a monitor that was killed: we hold the lock */
	m->listen = fd_listen_unix(dir, m->config.id, SOCK_SEQPACKET, 0600);
	if (m->listen < 0) return err_sys(e, -m->listen, "listen on %s/%s", m->config.sockets, m->config.id);
	int r = loop_fd_add(&m->loop, &m->listening, m->listen, EPOLLIN, accept_one, m);
	return r < 0 ? err_sys(e, -r, "listen on %s/%s", m->config.sockets, m->config.id) : 0;
}

void clients_tell_all(Monitor *m, WireKind kind, int value, int more, bool for_good)
{
	for (Client *c = m->clients; c; c = c->next) {
		tell_dropped(c);
		if (kind == WIRE_GONE && c == m->promiser) continue; /* may have gone: what it said before is not read yet */
		if (c->stops && kind == WIRE_GONE) client_tell(c, WIRE_OK, 0, 0, NULL, 0);
		if (c->waits && !(kind == WIRE_EXITED && c->waits_for_good && !for_good)) client_tell(c, kind, value, more, NULL, 0);
	}
}

void client_forget(Client *c)
{
	client_close(c);
}

void clients_unlisten(Monitor *m)
{
	if (m->listen < 0) return;
	loop_fd_remove(&m->listening);
	m->listen = fd_close(m->listen);
	AUTO_FD int dir = openat(AT_FDCWD, m->config.sockets, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) (void)!unlinkat(dir, m->config.id, 0);
}

void clients_close(Monitor *m)
{
	int64_t until = time_monotonic() + LAST_WORDS_MS * INT64_C(1000000);
	for (Client *c = m->clients; c; c = c->next) {
		while (!c->gone && c->out.n && time_monotonic() < until) {
			struct pollfd p = { c->fd, POLLOUT, 0 };
			if (poll(&p, 1, (int)((until - time_monotonic()) / 1000000)) <= 0) break;
			flush(c);
		}
		client_close(c);
	}
	sweep(m);
}
