/* exec.c: another process in the container.
 *
 * Each exec is made and attended by a helper: a fork of the monitor, which reads the container's files, waits for its parts and grows, while the
 * monitor does none of that. The helper has the client's connection for itself: it tells the start and the end, resizes the terminal, and stays when
 * the client leaves.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "monitor/event_log.h"
#include "monitor/exec_request.h"
#include "monitor/monitor_impl.h"
#include "oci/passwd.h"
#include "sys/path.h"
#include "sys/proc.h"
#include "sys/pty.h"

enum { ARENA_MAX = 64 << 20, REQUEST_MAX = 16 << 20, COMMAND_TEXT_MAX = 512 };

typedef struct Exec {
	Monitor *m;
	int client; /* -1: gone */
	Arena arena;
	MonitorExec request;
	Container container;
	OciSpec spec;
	OciProcess process;
	ContainerProcess started;
	char text[COMMAND_TEXT_MAX]; /* the command, for events */
	int64_t deadline;            /* CLOCK_MONOTONIC; 0: none */
} Exec;

/* ---- the process, from the container's own ---- */

static size_t without(const char **items, size_t n, const char *name)
{
	size_t kept = 0, length = strlen(name);
	for (size_t i = 0; i < n; i++)
		if (strncmp(items[i], name, length) != 0 || items[i][length] != '=') items[kept++] = items[i];
	return kept;
}

static int merge_env(Exec *x)
{
	const StrList *own = &x->spec.process->env, *add = &x->request.env;
	const char **items = arena_array(&x->arena, own->n + add->n + 2, sizeof *items);
	size_t n = 0;
	if (!items) return -ENOMEM;
	for (size_t i = 0; i < own->n; i++)
		if (x->request.tty || !starts_with(own->items[i], "TERM=") || x->spec.process->terminal == false)
			items[n++] = own->items[i];
	if (x->request.tty) items[n++] = "TERM=xterm";
	for (size_t i = 0; i < add->n; i++) {
		if (strchr(add->items[i], '='))
			items[n++] = add->items[i]; /* of one name the last holds: identity_environment() */
		else
			n = without(items, n, add->items[i]); /* it is set nowhere */
	}
	x->process.env = (StrList){ items, n };
	return 0;
}

static int find_user(Exec *x, Err *e)
{
	PasswdUser u;
	char path[64];
	if (!x->request.user || !*x->request.user) return 0;
	snprintf(path, sizeof path, "/proc/%lld/root", (long long)x->container.state.pid);
	AUTO_FD int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0) return err_sys(e, errno, "open the container's root");
	int r = passwd_find_user(root, x->request.user, NULL, &x->arena, &u, e);
	if (r < 0) return r;
	x->process.user.uid = u.uid;
	x->process.user.gid = u.gid;
	x->process.user.additional_gids = u.groups;
	return 0;
}

static int all_capabilities(Exec *x, StrList *ret)
{
	uint64_t have = cap_get_bounding();
	ret->n = 0;
	ret->items = arena_array(&x->arena, 65, sizeof *ret->items);
	for (int i = 0; ret->items && i <= cap_last(); i++)
		if (have & CAP_BIT(i) && cap_name(i)) ret->items[ret->n++] = cap_name(i);
	return ret->items ? 0 : -ENOMEM;
}

/* A user other than root has the capabilities only as far as a program may gain them. */
static int set_capabilities(Exec *x)
{
	Capabilities *c = arena_alloc(&x->arena, sizeof *c);
	if (!c) return -ENOMEM;
	if (x->request.privileged) {
		if (all_capabilities(x, &c->bounding) < 0) return -ENOMEM;
	} else if (x->spec.process->capabilities) {
		c->bounding = x->spec.process->capabilities->bounding;
	}
	if (x->process.user.uid == 0) c->permitted = c->effective = c->bounding;
	x->process.capabilities = c;
	return 0;
}

static int make_process(Exec *x, Err *e)
{
	int r = container_spec(&x->container, &x->spec, e);
	if (r < 0) return r;
	x->process = *x->spec.process;
	x->process.args = x->request.args;
	x->process.terminal = x->request.tty;
	x->process.console_size = NULL;
	if (x->request.tty && x->request.rows) {
		x->process.console_size = arena_alloc(&x->arena, sizeof *x->process.console_size);
		if (!x->process.console_size) return err_sys(e, ENOMEM, "exec");
		*x->process.console_size = (OciConsoleSize){ .height = x->request.rows, .width = x->request.columns };
	}
	if (x->request.working_dir && *x->request.working_dir) x->process.cwd = x->request.working_dir;
	if (x->process.cwd[0] != '/') return err_set(e, ERR_CONFIG, EINVAL, "exec failed: Cwd must be an absolute path");
	if (x->request.privileged) {
		x->spec.lnx->seccomp = NULL;
		x->process.no_new_privileges = false;
		x->process.apparmor_profile = x->process.selinux_label = NULL;
	}
	if ((r = find_user(x, e)) < 0) return r;
	if ((r = merge_env(x)) < 0 || (r = set_capabilities(x)) < 0) return err_sys(e, -r, "exec");
	return oci_process_check(&x->process, e);
}

/* ---- the helper ---- */

static void event(Exec *x, const char *action, int status)
{
	char text[COMMAND_TEXT_MAX + 32], code[16];
	if (x->request.quiet) return;
	const StrMap *own = &x->m->config.attributes;
	StrPair *items = arena_array(&x->arena, own->n + 2, sizeof *items);
	if (!items) return;
	memcpy(items, own->items, own->n * sizeof *items);
	size_t n = own->n;
	items[n++] = (StrPair){ "execID", x->request.id ? x->request.id : "" };
	if (status >= 0) {
		snprintf(code, sizeof code, "%d", status);
		items[n++] = (StrPair){ "exitCode", code };
	}
	StrMap attributes = { items, n };
	str_map_sort(&attributes);
	if (status >= 0)
		snprintf(text, sizeof text, "%s", action);
	else
		snprintf(text, sizeof text, "%s: %s", action, x->text);
	Err ignored = ERR_INIT;
	(void)!event_append(x->m->root_dir,
			    &(Event){ .type = "container", .action = text, .id = x->m->config.id, .attributes = attributes }, NULL,
			    &ignored);
}

static void describe(Exec *x)
{
	AUTO_BUF b = BUF_INIT(COMMAND_TEXT_MAX);
	for (size_t i = 0; i < x->request.args.n; i++)
		buf_printf(&b, i ? " %s" : "%s", x->request.args.items[i]);
	snprintf(x->text, sizeof x->text, "%s", buf_str(&b));
}

static void leave_client(Exec *x)
{
	x->client = fd_close(x->client);
}

static void hear_client(Exec *x)
{
	static char data[WIRE_DATA_MAX];
	WireHead h;
	size_t n, n_fds = 0;
	int fds[WIRE_FDS_MAX];
	int r = wire_receive(x->client, &h, data, &n, fds, &n_fds);
	for (size_t i = 0; r > 0 && i < n_fds; i++)
		fd_close(fds[i]);
	if (r <= 0)
		leave_client(x);
	else if (h.kind == WIRE_RESIZE && x->started.pty >= 0)
		(void)!pty_set_size(x->started.pty, (unsigned)h.value >> 16, (unsigned)h.value & 0xffff);
	else if (h.kind == WIRE_SIGNAL)
		(void)!pid_send(x->started.pidfd, h.value);
}

/* Nobody reads the terminal any more: the program must not wait for that. */
static void discard(int pty)
{
	static char data[WIRE_DATA_MAX];
	(void)!read(pty, data, sizeof data);
}

/* ms, for poll. */
static int time_left(const Exec *x)
{
	if (!x->deadline) return -1;
	int64_t left = (x->deadline - time_monotonic()) / 1000000;
	return left < 0 ? 0 : (int)left + 1;
}

static _Noreturn void end_late(Exec *x)
{
	(void)!pid_send(x->started.pidfd, SIGKILL);
	(void)!pid_wait_exit(x->started.pidfd, 1000);
	raise(SIGALRM);
	_exit(255);
}

static int attend(Exec *x)
{
	int status = 0;
	for (;;) {
		struct pollfd p[3] = { { x->started.pidfd, POLLIN, 0 },
				       { x->client, POLLIN, 0 },
				       { x->client < 0 ? x->started.pty : -1, POLLIN, 0 } };
		int n = poll(p, ARRAY_LEN(p), time_left(x));
		if (n < 0 && errno != EINTR) break;
		if (n == 0 && x->deadline) end_late(x);
		if (p[1].revents && x->client >= 0) hear_client(x);
		if (p[2].revents & POLLIN) discard(x->started.pty);
		if (p[2].revents & (POLLHUP | POLLERR)) x->started.pty = fd_close(x->started.pty);
		if (p[0].revents) break;
	}
	if (pid_wait(x->started.pidfd, &status) < 0) return 255;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int start(Exec *x, const int *streams, Err *e)
{
	int r = container_load(&x->m->rt, x->m->config.id, &x->arena, &x->container, e);
	if (r < 0) return r;
	if ((r = make_process(x, e)) < 0) return r;
	const ExecOptions o = { .process = &x->process, .spec = &x->spec, .stdio = x->request.tty ? NULL : streams };
	event(x, "exec_create", -1);
	event(x, "exec_start", -1);
	return container_exec_spawn(&x->container, &o, &x->started, e);
}

/* The fork of a monitor becomes a helper. Of the monitor's descriptors it has only those of keep: with its lock, its socket or the ends of the
 * container's pipes it would pass for the monitor when that is killed. */
static void become_helper(int *keep, size_t n)
{
	sigset_t none;
	fd_close_all_but(3, keep, n);
	(void)!prctl(PR_SET_NAME, "skep-exec");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, SIG_DFL);
	(void)!fd_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "0"); /* the monitor is spared, what it starts is not */
}

/* The helper's whole life. */
static _Noreturn void help(Exec *x, const int *streams)
{
	Err e = ERR_INIT;
	int keep[] = { x->client, x->m->root_dir, streams[0], streams[1], streams[2] };
	become_helper(keep, ARRAY_LEN(keep));
	if (fcntl(x->client, F_SETFL, O_RDWR) < 0) _exit(1);
	describe(x);
	if (start(x, streams, &e) < 0) {
		(void)!wire_send_error(x->client, &e);
		_exit(1);
	}
	for (size_t i = 0; i < 3; i++)
		fd_close(streams[i]);
	if (wire_send(x->client, WIRE_STARTED, (int)x->started.pid, 0, NULL, 0, &x->started.pty, x->started.pty >= 0) < 0) leave_client(x);
	int status = attend(x);
	event(x, "exec_die", status);
	if (x->client >= 0) (void)!wire_send(x->client, WIRE_EXITED, status, 0, NULL, 0, NULL, 0);
	_exit(0);
}

static int read_request(Exec *x, int fd, Err *e)
{
	char *text;
	size_t n;
	AUTO_BUF b = BUF_INIT(REQUEST_MAX);
	int r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : fd_read_all(fd, &b);
	if (r < 0) return err_sys(e, -r, "read the exec's request");
	n = b.n;
	text = arena_str(&x->arena, (Str){ b.p, b.n });
	if (!text) return err_sys(e, ENOMEM, "exec");
	return bind_parse(&monitor_exec_table, text, n, &x->request, "exec", &x->arena, e);
}

void exec_start(Monitor *m, Client *c, const WireHead *h, const char *data, size_t n, int *fds, size_t n_fds)
{
	Err e = ERR_INIT;
	if (m->ended || m->process.pidfd < 0) {
		err_set(&e, ERR_STATE, EINVAL, "container %s is not running", m->config.id);
		client_tell_error(c, &e);
		return;
	}
	if (n_fds != (h->value & WIRE_TTY ? 1 : WIRE_EXEC_FDS)) {
		err_set(&e, ERR_INTERNAL, EPROTO, "exec: a descriptor is missing");
		client_tell_error(c, &e);
		return;
	}
	pid_t pid = fork();
	if (pid < 0) {
		err_sys(&e, errno, "exec: fork");
		client_tell_error(c, &e);
		return;
	}
	if (!pid) {
		static Exec x;
		int streams[3] = { -1, -1, -1 };
		x = (Exec){ .m = m, .client = c->fd, .arena = ARENA_INIT(ARENA_MAX), .started = { .pidfd = -1, .pty = -1 } };
		if (read_request(&x, fds[0], &e) < 0) {
			(void)!wire_send_error(x.client, &e);
			_exit(1);
		}
		for (size_t i = 1; i < n_fds; i++)
			streams[i - 1] = fds[i];
		help(&x, streams);
	}
	client_forget(c);
}

pid_t exec_probe(Monitor *m, const StrList *args, int out, int64_t timeout)
{
	pid_t pid = fork();
	if (pid) return pid < 0 ? -errno : pid;
	static Exec x;
	Err e = ERR_INIT;
	become_helper(&(int){ out }, 1);
	x = (Exec){ .m = m,
		    .client = -1,
		    .arena = ARENA_INIT(ARENA_MAX),
		    .request = { .args = *args, .quiet = true },
		    .started = { .pidfd = -1, .pty = -1 },
		    .deadline = time_monotonic() + timeout };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const int streams[3] = { null, out, out };
	if (start(&x, streams, &e) < 0) {
		(void)!fd_write_all(out, e.msg, strlen(e.msg));
		_exit(e.code == ERR_NO_COMMAND ? 127 : 126);
	}
	_exit(attend(&x));
}
