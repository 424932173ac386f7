/* hooks.c: hooks of the specification (config.md, "POSIX-platform Hooks"): in order, state on stdin, output kept for the error. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "runtime/launch.h"
#include "sys/proc.h"

enum { OUTPUT_KEPT = 400 };

typedef struct HookRun {
	const OciHook *hook;
	int in, out, err; /* our ends */
	const char *state;
	size_t state_n, sent;
	Buf text_out, text_err;
	int64_t deadline; /* ns, 0: none */
} HookRun;

static void hook_child(const OciHook *h, char *const *env, const int fds[3]) NORETURN;
static void hook_child(const OciHook *h, char *const *env, const int fds[3])
{
	static const char *const none[] = { NULL };
	const char *const *args = h->args.n ? h->args.items : (const char *const[]){ h->path, NULL };
	sigset_t all;
	sigemptyset(&all);
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0) _exit(127);
	if (fd_cloexec_from(3) < 0) _exit(127);
	sigprocmask(SIG_SETMASK, &all, NULL);
	char *const *hook_env = h->env.n ? (char *const *)(uintptr_t)h->env.items : env ? env : (char *const *)(uintptr_t)none;
	execve(h->path, (char *const *)(uintptr_t)args, hook_env);
	dprintf(2, "exec %s: %s", h->path, err_text(errno));
	_exit(127);
}

/* Keeps the beginning, reads the rest away. Returns false at the end. */
static bool drain(int fd, Buf *b)
{
	char chunk[1024];
	ssize_t n = retry_eintr(read(fd, chunk, sizeof chunk));
	if (n <= 0) return n < 0 && errno == EAGAIN;
	size_t room = b->max - b->n;
	buf_put(b, chunk, (size_t)n < room ? (size_t)n : room);
	return true;
}

static void feed(HookRun *h)
{
	ssize_t n = retry_eintr(write(h->in, h->state + h->sent, h->state_n - h->sent));
	if (n > 0) h->sent += (size_t)n;
	if ((n < 0 && errno != EAGAIN) || h->sent == h->state_n) h->in = fd_close(h->in); /* a hook need not read its stdin */
}

/* Until the hook has exited; its children may keep the pipes open longer, nobody waits for them. -ETIMEDOUT. */
static int hook_attend(HookRun *h, int pidfd)
{
	for (;;) {
		struct pollfd p[4] = { { pidfd, POLLIN, 0 }, { h->in, POLLOUT, 0 }, { h->out, POLLIN, 0 }, { h->err, POLLIN, 0 } };
		int timeout = -1;
		if (h->deadline) {
			int64_t left = h->deadline - time_monotonic();
			if (left <= 0) return -ETIMEDOUT;
			timeout = (int)(left / 1000000) + 1;
		}
		if (poll(p, 4, timeout) < 0 && errno != EINTR) return -errno;
		if (p[1].revents) feed(h);
		if (p[2].revents && !drain(h->out, &h->text_out)) h->out = fd_close(h->out);
		if (p[3].revents && !drain(h->err, &h->text_err)) h->err = fd_close(h->err);
		if (p[0].revents && !p[2].revents && !p[3].revents) return 0;
	}
}

static int hook_verdict(const HookRun *h, int status, Err *e)
{
	char what[64];
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
	if (WIFEXITED(status))
		snprintf(what, sizeof what, "exit status %d", WEXITSTATUS(status));
	else if (WTERMSIG(status) == SIGSYS)
		snprintf(what, sizeof what, "signal: bad system call");
	else
		snprintf(what, sizeof what, "signal: %s", signal_name(WTERMSIG(status)));
	return err_set(e, ERR_IO, EIO, "%s, stdout: %s, stderr: %s", what, buf_str(&h->text_out), buf_str(&h->text_err));
}

static int hook_start(HookRun *h, char *const *env, pid_t *ret_pid, Err *e)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 }, r = 0;
	pid_t pid = -1;
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || (pid = fork()) < 0) r = -errno;
	if (pid == 0) hook_child(h->hook, env, (int[3]){ in[0], out[1], err[1] });
	fd_close(in[0]);
	fd_close(out[1]);
	fd_close(err[1]);
	h->in = in[1];
	h->out = out[0];
	h->err = err[0];
	if (r < 0) return err_sys(e, r, "start hook %s", h->hook->path);
	fcntl(h->in, F_SETFL, O_NONBLOCK);
	fcntl(h->out, F_SETFL, O_NONBLOCK);
	fcntl(h->err, F_SETFL, O_NONBLOCK);
	*ret_pid = pid;
	return 0;
}

static void hook_done(HookRun *h)
{
	fd_close(h->in);
	fd_close(h->out);
	fd_close(h->err);
	buf_done(&h->text_out);
	buf_done(&h->text_err);
}

static int hook_run(const OciHook *hook, const char *state, size_t state_n, char *const *env, Err *e)
{
	AUTO(hook_done)
	HookRun h = { .hook = hook,
		      .in = -1,
		      .out = -1,
		      .err = -1,
		      .state = state,
		      .state_n = state_n,
		      .text_out = BUF_INIT(OUTPUT_KEPT),
		      .text_err = BUF_INIT(OUTPUT_KEPT) };
	pid_t pid = -1;
	int status = 0, r = hook_start(&h, env, &pid, e);
	if (r < 0) return r;
	if (hook->timeout.set) h.deadline = time_monotonic() + hook->timeout.v * 1000000000;
	AUTO_FD int pidfd = pid_open(pid);
	r = pidfd < 0 ? pidfd : hook_attend(&h, pidfd);
	if (r < 0) kill(pid, SIGKILL); /* our own child, not yet waited for: the pid is still its */
	if (retry_eintr(waitpid(pid, &status, 0)) < 0) return err_sys(e, errno, "wait for hook %s", hook->path);
	if (r == -ETIMEDOUT) return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "hook ran past specified timeout of %.1fs", (double)hook->timeout.v);
	if (r < 0) return err_sys(e, r, "wait for hook %s", hook->path);
	return hook_verdict(&h, status, e);
}

int hooks_run(const char *kind, const OciHookList *hooks, const Container *c, ContainerStatus status, pid_t pid, char *const *env, Err *e)
{
	if (!hooks->n) return 0;
	Container now = *c;
	now.state.pid = pid;
	AUTO_BUF state = BUF_INIT(OCI_SPEC_MAX);
	JsonWriter w = JSON_WRITER(&state);
	container_state_write(&now, status, false, &w);
	if (buf_failed(&state)) return err_sys(e, ENOMEM, "state for hooks");
	void (*old)(int) = signal(SIGPIPE, SIG_IGN);
	int r = 0;
	for (size_t i = 0; r >= 0 && i < hooks->n; i++) {
		r = hook_run(&hooks->items[i], state.p, state.n, env, e);
		if (r < 0) r = err_wrap(e, "error running %s hook #%zu", kind, i);
	}
	signal(SIGPIPE, old);
	return r;
}
