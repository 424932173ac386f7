/* health.c: the container's health check: a program in it, an HTTP request or a TCP connection to it, again and again.
 *
 * A program is run by a helper (exec.c), which ends it in time. HTTP and TCP are asked from here: the socket is made in the container's network
 * namespace, nothing is started. Defaults and rules are docker's.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/time.h"
#include "monitor/monitor_impl.h"
#include "sys/proc.h"

#define INTERVAL (30 * DURATION_SECOND)
#define START_INTERVAL (5 * DURATION_SECOND)
#define TIMEOUT (30 * DURATION_SECOND)
enum { RETRIES = 3, REQUEST_MAX = 2048, HOST_MAX = 256, PORT_HTTP = 80, TIMED_OUT = -1 };

typedef struct Target {
	struct sockaddr_storage address;
	socklen_t size;
	char request[REQUEST_MAX]; /* "": TCP alone */
} Target;

struct Health {
	Monitor *m;
	LoopTimer next, deadline;
	LoopExit exit; /* of a program's helper */
	int pidfd;
	pid_t pid;
	int output; /* the read end of its output; or the socket */
	LoopFd watch;
	bool connected; /* the socket's request has been sent */
	Buf text;
	RunHealth state;
	HealthResult results[HEALTH_RESULTS];
	char kept[HEALTH_RESULTS][HEALTH_OUTPUT_MAX + 1];
	int64_t began; /* of this probe, ns since 1970 */
};

static int64_t or_default(int64_t ns, int64_t otherwise)
{
	return ns > 0 ? ns : otherwise;
}

static bool is_starting(const Health *h)
{
	return streq(h->state.status, "starting") && time_now() - h->m->state.started_at < h->m->config.health->start_period;
}

static void probe(void *arg);

static void plan_next(Health *h)
{
	const Healthcheck *c = h->m->config.health;
	int64_t wait =
		is_starting(h) && c->start_period ? or_default(c->start_interval, START_INTERVAL) : or_default(c->interval, INTERVAL);
	loop_timer_set(&h->m->loop, &h->next, time_monotonic() + wait, probe, h);
}

/* ---- what came of a probe ---- */

static void keep(Health *h, int status, const char *text)
{
	size_t n = h->state.log.n;
	if (n == HEALTH_RESULTS) {
		memmove(&h->results[0], &h->results[1], (HEALTH_RESULTS - 1) * sizeof h->results[0]);
		memmove(&h->kept[0], &h->kept[1], (HEALTH_RESULTS - 1) * sizeof h->kept[0]);
		for (size_t i = 0; i < HEALTH_RESULTS - 1; i++)
			h->results[i].output = h->kept[i];
		n--;
	}
	snprintf(h->kept[n], sizeof h->kept[n], "%s", text);
	h->results[n] = (HealthResult){ .start = h->began, .end = time_now(), .exit_code = status, .output = h->kept[n] };
	h->state.log.items = h->results;
	h->state.log.n = n + 1;
}

static void act_on_failure(Health *h)
{
	const char *what = h->m->config.health_on_failure;
	Err ignored = ERR_INIT;
	if (!what || streq(what, "none")) return;
	if (streq(what, "restart")) h->m->restart_once = true;
	if (streq(what, "stop"))
		(void)!monitor_stop(h->m, WIRE_DEFAULT, 0, &ignored);
	else if (h->m->process.pidfd >= 0)
		(void)!pid_send(h->m->process.pidfd, SIGKILL);
}

/* A frozen container answers nobody, and is not ill. */
static bool is_frozen(const Health *h)
{
	return cgroup_is_frozen(&h->m->container.state.cgroup) == 1;
}

static void judge(Health *h, int status, const char *text)
{
	const Healthcheck *c = h->m->config.health;
	const char *before = h->state.status;
	if (status && is_frozen(h)) {
		plan_next(h);
		return;
	}
	keep(h, status, text);
	if (status == 0) {
		h->state.failing_streak = 0;
		h->state.status = "healthy";
	} else if (!is_starting(h)) {
		h->state.failing_streak++;
		if (h->state.failing_streak >= (c->retries > 0 ? c->retries : RETRIES)) h->state.status = "unhealthy";
	}
	(void)!monitor_save(h->m);
	bool changed = !streq(before, h->state.status);
	if (changed)
		monitor_event(h->m, streq(h->state.status, "healthy") ? "health_status: healthy" : "health_status: unhealthy", NULL, NULL);
	if (changed && streq(h->state.status, "unhealthy")) act_on_failure(h);
	plan_next(h);
}

static void end_probe(Health *h)
{
	loop_timer_cancel(&h->deadline);
	loop_fd_remove(&h->watch);
	loop_exit_remove(&h->exit);
	h->output = fd_close(h->output);
	h->pidfd = fd_close(h->pidfd);
	h->pid = 0;
}

static void finish(Health *h, int status)
{
	end_probe(h);
	judge(h, status, buf_str(&h->text));
	buf_done(&h->text);
}

static void fail(Health *h, const char *what, int errnum)
{
	buf_reset(&h->text);
	buf_printf(&h->text, "%s: %s", what, err_text(errnum));
	finish(h, 1);
}

static void too_late(void *arg)
{
	Health *h = arg;
	char took[DURATION_TEXT_MAX];
	duration_format(or_default(h->m->config.health->timeout, TIMEOUT), took);
	buf_reset(&h->text);
	buf_printf(&h->text, "Health check exceeded timeout (%s)", took);
	if (h->pidfd >= 0) (void)!pid_send(h->pidfd, SIGKILL); /* its helper ended the program a moment before */
	finish(h, TIMED_OUT);
}

/* ---- a program ---- */

static void read_output(Health *h)
{
	char data[4096];
	ssize_t n = retry_eintr(read(h->output, data, sizeof data));
	size_t room = h->text.max - h->text.n;
	if (n > 0 && room > 1) buf_put(&h->text, data, (size_t)n < room - 1 ? (size_t)n : room - 1);
	if (n == 0) loop_fd_remove(&h->watch);
}

static void output_ready(void *arg, uint32_t events)
{
	read_output(arg);
}

static void program_ended(void *arg, const siginfo_t *info)
{
	Health *h = arg;
	read_output(h);
	if (info->si_code == CLD_EXITED)
		finish(h, info->si_status);
	else
		too_late(h);
}

static int run_program(Health *h, const StrList *args)
{
	int p[2];
	int64_t timeout = or_default(h->m->config.health->timeout, TIMEOUT);
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0) return -errno;
	AUTO_FD int theirs = p[1];
	h->output = p[0];
	pid_t pid = exec_probe(h->m, args, theirs, timeout);
	if (pid < 0) return (int)pid;
	h->pid = pid;
	h->pidfd = pid_open(pid);
	int r = h->pidfd < 0 ? h->pidfd : loop_exit_add(&h->m->loop, &h->exit, h->pidfd, program_ended, h);
	if (r >= 0) r = loop_fd_add(&h->m->loop, &h->watch, h->output, EPOLLIN, output_ready, h);
	return r;
}

/* ---- HTTP and TCP ---- */

static int parse_address(Str host, uint16_t port, Target *t)
{
	char text[HOST_MAX];
	struct sockaddr_in *v4 = (struct sockaddr_in *)&t->address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&t->address;
	if (!host.n || host.n >= sizeof text) return -EINVAL;
	snprintf(text, sizeof text, "%.*s", (int)host.n, host.p);
	if (streq(text, "localhost")) snprintf(text, sizeof text, "127.0.0.1");
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		t->size = sizeof *v4;
		return 0;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) return -EINVAL;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	t->size = sizeof *v6;
	return 0;
}

/* "host:port", "[::1]:port"; the port may be missing where there is a default. */
static int parse_host(Str text, uint32_t port, Target *t)
{
	Str host = text, rest = { NULL, 0 };
	if (text.n && text.p[0] == '[') {
		if (!str_cut((Str){ text.p + 1, text.n - 1 }, ']', &host, &rest)) return -EINVAL;
		if (rest.n && rest.p[0] != ':') return -EINVAL;
		rest = rest.n ? (Str){ rest.p + 1, rest.n - 1 } : rest;
	} else {
		str_cut(text, ':', &host, &rest);
	}
	if (rest.n && str_to_u32(rest, &port) < 0) return -EINVAL;
	return !port || port > UINT16_MAX ? -EINVAL : parse_address(host, (uint16_t)port, t);
}

static int parse_target(const StrList *test, Target *t)
{
	*t = (Target){ 0 };
	if (test->n != 2) return -EINVAL;
	if (streq(test->items[0], "TCP")) return parse_host(str_of(test->items[1]), 0, t);
	if (!starts_with(test->items[1], "http://")) return -EINVAL;
	Str rest = str_of(test->items[1] + strlen("http://")), host, path;
	bool has_path = str_cut(rest, '/', &host, &path);
	if (!has_path) path = (Str){ "", 0 };
	int n = snprintf(t->request, sizeof t->request,
			 "GET /%.*s HTTP/1.0\r\nHost: %.*s\r\nUser-Agent: skep-health\r\nConnection: close\r\n\r\n", (int)path.n, path.p,
			 (int)host.n, host.p);
	if (n < 0 || (size_t)n >= sizeof t->request || memchr(path.p, ' ', path.n) || memchr(path.p, '\r', path.n)) return -EINVAL;
	return parse_host(host, PORT_HTTP, t);
}

/* A socket of the container's network: this thread goes there and comes back. */
static int container_socket(const Monitor *m, int family)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/ns/net", m->process.pid);
	AUTO_FD int theirs = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_FD int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (theirs < 0 || ours < 0) return -errno;
	if (setns(theirs, CLONE_NEWNET) < 0) return -errno;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r = fd < 0 ? -errno : fd;
	if (setns(ours, CLONE_NEWNET) < 0) abort(); /* nothing may go on in the container's network */
	return r;
}

/* "HTTP/1.1 200 …": from 200 to 399 it is well. */
static void judge_answer(Health *h)
{
	uint32_t code = 0;
	Str text = { buf_str(&h->text), h->text.n }, version, rest = { NULL, 0 }, number;
	if (str_starts(text, "HTTP/") && str_cut(text, ' ', &version, &rest))
		str_cut(rest, ' ', &number, &rest);
	else
		number = (Str){ NULL, 0 };
	if (number.n && str_to_u32(number, &code) < 0) code = 0;
	char *line = memchr(h->text.p ? h->text.p : "", '\r', h->text.n);
	if (line) {
		h->text.n = (size_t)(line - h->text.p);
		*line = 0;
	}
	finish(h, code >= 200 && code < 400 ? 0 : 1);
}

static void socket_ready(void *arg, uint32_t events)
{
	Health *h = arg;
	Target t;
	int error = 0;
	socklen_t size = sizeof error;
	if (h->connected) {
		size_t before = h->text.n;
		read_output(h);
		if (h->text.n == before || memchr(h->text.p, '\n', h->text.n)) judge_answer(h);
		return;
	}
	if (getsockopt(h->output, SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
	if (error) {
		fail(h, "connect", error);
		return;
	}
	h->connected = true;
	if (parse_target(&h->m->config.health->test, &t) < 0 || !t.request[0]) {
		finish(h, 0);
		return;
	}
	if (send(h->output, t.request, strlen(t.request), MSG_NOSIGNAL) < 0)
		fail(h, "send", errno);
	else
		(void)!loop_fd_events(&h->watch, EPOLLIN);
}

static int ask(Health *h, const StrList *test)
{
	Target t;
	int r = parse_target(test, &t);
	if (r < 0) return r;
	h->output = container_socket(h->m, t.address.ss_family);
	if (h->output < 0) return h->output;
	h->connected = false;
	if (connect(h->output, (const struct sockaddr *)&t.address, t.size) < 0 && errno != EINPROGRESS) return -errno;
	return loop_fd_add(&h->m->loop, &h->watch, h->output, EPOLLOUT, socket_ready, h);
}

/* ---- begin and end ---- */

static void probe(void *arg)
{
	Health *h = arg;
	const StrList *test = &h->m->config.health->test;
	static const char *shell[] = { "/bin/sh", "-c", NULL, NULL };
	StrList args = { test->items + 1, test->n - 1 };
	if (is_frozen(h)) {
		plan_next(h);
		return;
	}
	h->text = BUF_INIT(HEALTH_OUTPUT_MAX);
	h->began = time_now();
	loop_timer_set(&h->m->loop, &h->deadline,
		       time_monotonic() + or_default(h->m->config.health->timeout, TIMEOUT) + DURATION_SECOND / 10, too_late, h);
	int r;
	if (streq(test->items[0], "HTTP") || streq(test->items[0], "TCP")) {
		r = ask(h, test);
	} else {
		if (streq(test->items[0], "CMD-SHELL")) {
			shell[2] = test->items[1];
			args = (StrList){ shell, 3 };
		}
		r = run_program(h, &args);
	}
	if (r < 0) fail(h, "health check", -r);
}

pid_t health_helper(const Monitor *m)
{
	return m->health ? m->health->pid : 0;
}

static bool is_wanted(const Healthcheck *c)
{
	return c && c->test.n > 1 && !streq(c->test.items[0], "NONE");
}

int health_open(Monitor *m, Err *e)
{
	m->state.health = NULL;
	if (!is_wanted(m->config.health)) return 0;
	Health *h = calloc(1, sizeof *h);
	if (!h) return err_sys(e, ENOMEM, "health check");
	*h = (Health){ .m = m, .pidfd = -1, .output = -1, .state = { .status = "starting" } };
	m->health = h;
	m->state.health = &h->state;
	return 0;
}

void health_start(Monitor *m)
{
	if (m->health) plan_next(m->health);
}

void health_stop(Monitor *m)
{
	Health *h = m->health;
	if (!h) return;
	loop_timer_cancel(&h->next);
	if (h->pidfd >= 0) (void)!pid_send(h->pidfd, SIGKILL);
	end_probe(h);
	buf_done(&h->text);
	/* its state stays: it is written once more */
}
