/* transfer_client.c: see transfer_client.h. */
#include "image/transfer_client.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "sys/fd.h"
#include "sys/proc.h"

enum { WORKER_FD = 3, PATH_ROOM = 4096, WHAT_MAX = 240, ARENA_MAX_BYTES = 1 << 20, STOP_MS = 2000 };

/* Pending: a request under way. */
typedef struct Pending {
	uint64_t id;
	TransferFn *fn;
	void *arg;
	struct Pending *next;
	char what[WHAT_MAX]; /* for the message when the worker dies */
} Pending;

struct TransferClient {
	int sock, pidfd;
	uint64_t last_id;
	Pending *pending;
	size_t n_pending;
	char *text; /* TRANSFER_MESSAGE_MAX + 1 */
};

/* ---- start and stop ---- */

static int open_program(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* find_program: beside the running program, then where it is installed. Returns an O_PATH descriptor. */
static int find_program(const TransferOptions *o, Err *e)
{
	char path[PATH_ROOM];
	if (o->program) {
		int fd = open_program(o->program);
		return fd < 0 ? err_sys(e, fd, "open %s", o->program) : fd;
	}
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "skep-transfer");
	while (n > 0 && path[n - 1] != '/')
		n--;
	if (n > 0) {
		memcpy(path + n, "skep-transfer", sizeof "skep-transfer");
		int fd = open_program(path);
		if (fd >= 0) return fd;
	}
	int fd = open_program(SKEP_LIBEXEC_DIR "/skep-transfer");
	if (fd < 0) return err_sys(e, fd, "find skep-transfer beside this program or in %s", SKEP_LIBEXEC_DIR);
	return fd;
}

/* What the worker may know of our environment: proxies, authorities, the resolver's options. LD_PRELOAD and the like stay here. */
static bool passes(const char *entry)
{
	static const char *const names[] = { "http_proxy=",  "https_proxy=", "all_proxy=",    "no_proxy=",      "HTTP_PROXY=",
					     "HTTPS_PROXY=", "ALL_PROXY=",   "NO_PROXY=",     "SSL_CERT_FILE=", "SSL_CERT_DIR=",
					     "RES_OPTIONS=", "LOCALDOMAIN=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (starts_with(entry, names[i])) return true;
	return false;
}

static char **worker_environment(Arena *a)
{
	size_t n = 0, at = 0;
	while (environ && environ[n])
		n++;
	char **env = arena_array(a, n + 1, sizeof *env);
	if (!env) return NULL;
	for (size_t i = 0; i < n; i++)
		if (passes(environ[i])) env[at++] = environ[i];
	return env;
}

/* worker_exec: in the child. Only calls that are safe after fork in a program with threads. */
static NORETURN void worker_exec(int program, int sock, char *const argv[], char *const env[])
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int null = open("/dev/null", O_RDWR); /* kept open on 0 and 1; stderr is ours */
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0) _exit(126);
	if (program == WORKER_FD) program = fcntl(program, F_DUPFD_CLOEXEC, WORKER_FD + 1); /* its number is wanted */
	if (sock == WORKER_FD ? fcntl(sock, F_SETFD, 0) < 0 : dup2(sock, WORKER_FD) < 0) _exit(126);
	(void)syscall(SYS_close_range, (unsigned)WORKER_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC); /* ours are close-on-exec from birth */
	(void)syscall(SYS_execveat, program, "", argv, env, AT_EMPTY_PATH);
	_exit(127);
}

static int start_worker(TransferClient *c, const TransferOptions *o, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	char *argv[] = { (char[]){ "skep-transfer" }, (char[]){ "--protocol=1" }, o->offline ? (char[]){ "--offline" } : NULL, NULL };
	AUTO_FD int program = find_program(o, e);
	if (program < 0) return program;
	int pair[2];
	char **env = worker_environment(&a);
	if (!env) return err_set(e, ERR_RESOURCE, ENOMEM, "start skep-transfer: out of memory");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return err_sys(e, errno, "start skep-transfer: socketpair");
	AUTO_FD int ours = pair[0];
	AUTO_FD int theirs = pair[1];
	if (theirs < WORKER_FD || program < WORKER_FD) /* a caller without standard streams */
		return err_set(e, ERR_STATE, EBADF, "start skep-transfer: standard input, output and error must be open");
	pid_t pid = fork();
	if (pid < 0) return err_sys(e, errno, "start skep-transfer: fork");
	if (pid == 0) worker_exec(program, theirs, argv, env);
	int pidfd = pid_open(pid); /* it is our child and not reaped yet: the pid is its own */
	if (pidfd < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return err_sys(e, pidfd, "start skep-transfer: pidfd_open");
	}
	c->sock = take_fd(ours);
	c->pidfd = pidfd;
	return 0;
}

int transfer_start(const TransferOptions *o, TransferClient **ret, Err *e)
{
	AUTO_TRANSFER TransferClient *c = calloc(1, sizeof *c);
	if (!c) return err_set(e, ERR_RESOURCE, ENOMEM, "start skep-transfer: out of memory");
	c->sock = c->pidfd = -1;
	c->text = malloc(TRANSFER_MESSAGE_MAX + 1);
	if (!c->text) return err_set(e, ERR_RESOURCE, ENOMEM, "start skep-transfer: out of memory");
	int r = start_worker(c, o, e);
	if (r < 0) return r;
	*ret = take(c);
	return 0;
}

/* reap: how the worker ended, as text. It is killed when it does not end by itself: its socket is closed. */
static void reap(TransferClient *c, char *how, size_t size)
{
	int status = 0;
	c->sock = fd_close(c->sock);
	snprintf(how, size, "is gone");
	if (c->pidfd < 0) return;
	if (pid_wait_exit(c->pidfd, STOP_MS) < 0) (void)!pid_send(c->pidfd, SIGKILL);
	if (pid_wait(c->pidfd, &status) >= 0) {
		if (WIFSIGNALED(status))
			snprintf(how, size, "was killed by %s", signal_name(WTERMSIG(status)) ?: "a signal");
		else if (WEXITSTATUS(status) == 127)
			snprintf(how, size, "could not be executed");
		else
			snprintf(how, size, "ended with status %d", WEXITSTATUS(status));
	}
	c->pidfd = fd_close(c->pidfd);
}

void transfer_stop(TransferClient *c)
{
	char how[64];
	if (!c) return;
	reap(c, how, sizeof how);
	while (c->pending) {
		Pending *p = c->pending;
		c->pending = p->next;
		free(p);
	}
	free(c->text);
	free(c);
}

void auto_transfer(TransferClient **c)
{
	transfer_stop(*c);
}

/* ---- requests ---- */

static void describe(Pending *p, const TransferRequest *r)
{
	const char *object = r->digest ?: r->reference ?: "";
	const char *name = r->repository ?: r->endpoints.n ? r->endpoints.items[0].url : "";
	snprintf(p->what, sizeof p->what, "%s%s%s%s%.120s", bind_name(transfer_op_names, r->op) ?: "request", *name ? " " : "", name,
		 *object ? " " : "", object);
}

/* The roles in the order of their numbers; fds in the same. Returns how many. */
static size_t collect_fds(const TransferFds *from, int *roles, int *fds)
{
	const int have[] = { from ? from->body : 0, from ? from->tar : 0, from ? from->index : 0, from ? from->input : 0 };
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(have); i++) {
		if (have[i] <= 0) continue;
		roles[n] = (int)i + TRANSFER_BODY;
		fds[n++] = have[i];
	}
	return n;
}

static int gone(Err *e)
{
	return err_set(e, ERR_IO, EPIPE, "skep-transfer has ended; start it again");
}

static int put_message(TransferClient *c, const TransferRequest *req, const int *fds, size_t n, Err *e)
{
	AUTO_BUF b = BUF_INIT(2 * TRANSFER_MESSAGE_MAX);
	int r = transfer_message(&transfer_request_table, req, &b, e);
	if (r < 0) return r;
	r = fd_send(c->sock, b.p, b.n, fds, n);
	explicit_bzero(b.p, b.n); /* passwords */
	if (r == -EPIPE || r == -ECONNRESET) return gone(e);
	return r < 0 ? err_sys(e, r, "send a request to skep-transfer") : 0;
}

int transfer_send(TransferClient *c, TransferRequest *req, const TransferFds *fds, TransferFn *fn, void *arg, uint64_t *ret_id, Err *e)
{
	int roles[TRANSFER_FDS_MAX], passed[TRANSFER_FDS_MAX];
	if (c->sock < 0) return gone(e);
	if (c->n_pending >= TRANSFER_REQUESTS_MAX)
		return err_set(e, ERR_RESOURCE, EAGAIN, "skep-transfer: more than %d requests under way", (int)TRANSFER_REQUESTS_MAX);
	AUTO_FREE Pending *p = calloc(1, sizeof *p);
	if (!p) return err_set(e, ERR_RESOURCE, ENOMEM, "skep-transfer: out of memory");
	size_t n = collect_fds(fds, roles, passed);
	req->id = p->id = ++c->last_id;
	req->fds = (IntList){ .items = roles, .n = n };
	p->fn = fn;
	p->arg = arg;
	describe(p, req);
	int r = put_message(c, req, passed, n, e);
	req->fds = (IntList){ 0 };
	if (r < 0) return err_wrap(e, "%s", p->what);
	if (ret_id) *ret_id = p->id;
	p->next = c->pending;
	c->pending = take(p);
	c->n_pending++;
	return 0;
}

int transfer_cancel(TransferClient *c, uint64_t id)
{
	Err e = ERR_INIT;
	if (c->sock < 0) return 0; /* all have failed */
	return put_message(c, &(TransferRequest){ .id = ++c->last_id, .op = TRANSFER_CANCEL, .cancel = id }, NULL, 0, &e);
}

/* ---- events ---- */

int transfer_fd(const TransferClient *c)
{
	return c->sock;
}

size_t transfer_pending(const TransferClient *c)
{
	return c->n_pending;
}

/* The place that points to the request with that id. */
static Pending **find(TransferClient *c, uint64_t id)
{
	Pending **at = &c->pending;
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void forget(TransferClient *c, uint64_t id)
{
	Pending *p = *find(c, id);
	if (!p) return;
	p->fn = NULL;
}

static void finish(TransferClient *c, Pending **at, const TransferEvent *ev)
{
	AUTO_FREE Pending *p = *at;
	*at = p->next;
	c->n_pending--;
	if (p->fn) p->fn(p->arg, ev);
}

/* lose: the worker is gone or talks nonsense: everything under way has failed. */
static int lose(TransferClient *c, const char *why, Err *e)
{
	char how[64], message[512];
	size_t lost = c->n_pending;
	if (why && c->pidfd >= 0) (void)!pid_send(c->pidfd, SIGKILL);
	reap(c, how, sizeof how);
	err_set(e, ERR_IO, EPIPE, "skep-transfer %s%s%zu request%s lost%s%s", why ?: how, lost ? ", " : ", no ", lost,
		lost == 1 ? " is" : "s are", lost ? ", the last: " : "", lost ? c->pending->what : "");
	while (c->pending) {
		snprintf(message, sizeof message, "%s: skep-transfer %s", c->pending->what, why ?: how);
		finish(c, &c->pending,
		       &(TransferEvent){
			       .id = c->pending->id, .kind = TRANSFER_FAILED, .code = "IO", .errnum = EPIPE, .message = message });
	}
	return -EPIPE;
}

/* take_event: one message. 1, 0 when there is none now, or a negative errno. */
static int take_event(TransferClient *c, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX_BYTES);
	TransferEvent ev;
	size_t n_fds = 0;
	struct pollfd p = { .fd = c->sock, .events = POLLIN };
	int r = (int)retry_eintr(poll(&p, 1, 0));
	if (r < 0) return err_sys(e, errno, "wait for skep-transfer");
	if (r == 0) return 0;
	ssize_t n = fd_recv(c->sock, c->text, TRANSFER_MESSAGE_MAX, NULL, 0, &n_fds);
	if (n <= 0) return lose(c, n == -EMSGSIZE ? "sent a message that is too long" : NULL, e);
	c->text[n] = 0;
	Err bad = ERR_INIT;
	if (transfer_event_parse(c->text, (size_t)n, &ev, &a, &bad) < 0) return lose(c, bad.msg, e);
	Pending **at = find(c, ev.id);
	if (!*at) return 1; /* cancelled twice, or so */
	if (ev.kind == TRANSFER_DONE || ev.kind == TRANSFER_FAILED)
		finish(c, at, &ev);
	else if ((*at)->fn)
		(*at)->fn((*at)->arg, &ev);
	return 1;
}

int transfer_dispatch(TransferClient *c, int timeout_ms, Err *e)
{
	int events = 0;
	if (c->sock < 0) return gone(e);
	struct pollfd p = { .fd = c->sock, .events = POLLIN };
	int r = poll(&p, 1, timeout_ms);
	if (r < 0 && errno != EINTR) return err_sys(e, errno, "wait for skep-transfer");
	for (; r > 0 && events < 64; events++) {
		r = take_event(c, e);
		if (r < 0) return r;
		if (r == 0 || c->sock < 0) break;
	}
	return events;
}

/* ---- one at a time ---- */

typedef struct Call {
	TransferFn *fn;
	void *arg;
	Arena *arena;
	bool ended;
	int r;
	TransferEvent ev;
	Err *e;
} Call;

static int keep_string(Arena *a, const char **s)
{
	if (!*s) return 0;
	*s = arena_strdup(a, *s);
	return *s ? 0 : -ENOMEM;
}

static int keep_event(Arena *a, TransferEvent *ev)
{
	const char **const strings[] = { &ev->content_type, &ev->digest,   &ev->diff_id,       &ev->subject,
					 &ev->warning,      &ev->location, &ev->identity_token };
	int r = 0;
	for (size_t i = 0; i < ARRAY_LEN(strings) && r == 0; i++)
		r = keep_string(a, strings[i]);
	return r;
}

static void call_event(void *arg, const TransferEvent *ev)
{
	Call *call = arg;
	if (ev->kind == TRANSFER_PROGRESS || ev->kind == TRANSFER_LOCATION) {
		if (call->fn) call->fn(call->arg, ev);
		return;
	}
	call->ended = true;
	if (ev->kind == TRANSFER_FAILED) {
		call->r = transfer_event_error(ev, call->e);
		return;
	}
	call->ev = *ev;
	if (keep_event(call->arena, &call->ev) < 0) call->r = err_set(call->e, ERR_RESOURCE, ENOMEM, "skep-transfer: out of memory");
}

int transfer_call(TransferClient *c, TransferRequest *req, const TransferFds *fds, TransferFn *fn, void *arg, Arena *a, TransferEvent *ret,
		  Err *e)
{
	Call call = { .fn = fn, .arg = arg, .arena = a, .e = e };
	Err lost = ERR_INIT; /* when the worker dies, the request's own failure is the one to tell */
	int r = transfer_send(c, req, fds, call_event, &call, NULL, e);
	if (r < 0) return r;
	while (!call.ended) {
		r = transfer_dispatch(c, -1, &lost);
		if (r < 0 && !call.ended) { /* poll itself failed: nobody calls back into this frame any more */
			forget(c, req->id);
			*e = lost;
			return r;
		}
	}
	if (call.r >= 0 && ret) *ret = call.ev;
	return call.r;
}
