/* notify_socket.c: see notify_socket.h. */
#include "runtime/notify_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MESSAGE_MAX = 4096 };

static int bind_datagram(const Container *c)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int n = snprintf(sa.sun_path, sizeof sa.sun_path, "/proc/self/fd/%d/notify/notify.sock", c->dir);
	if (n >= (int)sizeof sa.sun_path) return -ENAMETOOLONG;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) return -errno;
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0) return -errno;
	/* any user inside may report; the directory above is the runtime's own */
	if (fchmodat(c->dir, "notify/notify.sock", 0777, 0) < 0) return -errno;
	return take_fd(fd);
}

static int add_mount(Container *c, OciSpec *s, const char *source)
{
	static const char *const options[] = { "bind", "nosuid", "noexec", "nodev", "ro", NULL };
	OciMount *items = arena_array(c->arena, s->mounts.n + 1, sizeof *items);
	const char **own = arena_array(c->arena, ARRAY_LEN(options), sizeof *own);
	if (!items || !own) return -ENOMEM;
	memcpy(own, options, sizeof options);
	if (s->mounts.n) memcpy(items, s->mounts.items, s->mounts.n * sizeof *items);
	items[s->mounts.n] = (OciMount){ .destination = "/run/notify", .source = source, .options = { own, ARRAY_LEN(options) - 1 } };
	s->mounts.items = items;
	s->mounts.n++;
	return 0;
}

static int add_variable(Container *c, OciProcess *p)
{
	const char **items = arena_array(c->arena, p->env.n + 2, sizeof *items);
	if (!items) return -ENOMEM;
	size_t n = 0;
	for (size_t i = 0; i < p->env.n; i++)
		if (!starts_with(p->env.items[i], "NOTIFY_SOCKET=")) items[n++] = p->env.items[i];
	items[n++] = "NOTIFY_SOCKET=/run/notify/notify.sock";
	p->env = (StrList){ items, n };
	return 0;
}

int notify_socket_plan(Container *c, Launch *l, OciSpec *s, Err *e)
{
	const char *host = getenv("NOTIFY_SOCKET");
	if (!host || !*host || !s->process) return 0;
	char *dir = arena_printf(c->arena, "%s/%s/notify", c->rt->root, c->state.id);
	if (!dir || mkdirat(c->dir, "notify", 0755) < 0) return err_sys(e, dir ? errno : ENOMEM, "create the notify socket's directory");
	l->notify_fd = bind_datagram(c);
	if (l->notify_fd < 0) return err_sys(e, l->notify_fd, "create the notify socket");
	l->notify_dir = dir;
	if (add_mount(c, s, dir) < 0 || add_variable(c, s->process) < 0) return err_sys(e, ENOMEM, "notify socket");
	return 0;
}

int notify_socket_open(const Container *c)
{
	if (faccessat(c->dir, "notify/notify.sock", F_OK, 0) < 0) return -ENOENT;
	if (unlinkat(c->dir, "notify/notify.sock", 0) < 0) return -errno;
	return bind_datagram(c);
}

static int send_to_manager(const char *text, size_t n)
{
	const char *host = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	if (!host || !*host || strlen(host) >= sizeof sa.sun_path) return -ENOENT;
	memcpy(sa.sun_path, host, strlen(host));
	if (host[0] == '@') sa.sun_path[0] = 0;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) return -errno;
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(host));
	return sendto(fd, text, n, MSG_NOSIGNAL, (struct sockaddr *)&sa, len) < 0 ? -errno : 0;
}

static bool says_ready(const char *text)
{
	return starts_with(text, "READY=1") || strstr(text, "\nREADY=1") != NULL;
}

int notify_socket_forward(const Container *c, int fd, pid_t pid)
{
	char text[MESSAGE_MAX + 1], main_pid[64];
	ssize_t n = recv(fd, text, MESSAGE_MAX, MSG_DONTWAIT);
	if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	text[n] = 0;
	(void)c;
	int r = send_to_manager(text, (size_t)n);
	if (r < 0 || !says_ready(text)) return r < 0 ? r : 0;
	int k = snprintf(main_pid, sizeof main_pid, "MAINPID=%d\n", pid);
	r = send_to_manager(main_pid, (size_t)k);
	return r < 0 ? r : 1;
}

int notify_socket_serve(const Container *c, int fd, int pidfd, bool until_ready, Err *e)
{
	for (;;) {
		struct pollfd p[2] = { { fd, POLLIN, 0 }, { pidfd, POLLIN, 0 } };
		if (poll(p, 2, -1) < 0 && errno != EINTR) return err_sys(e, errno, "wait for the container's readiness");
		if (p[0].revents) {
			int r = notify_socket_forward(c, fd, (pid_t)c->state.pid);
			if (r < 0) return err_sys(e, r, "forward to NOTIFY_SOCKET");
			if (r == 1 && until_ready) return 0;
			continue;
		}
		if (p[1].revents) return 0;
	}
}
