/* foreground.c: see foreground.h. */
#include "runtime/foreground.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/notify_socket.h"
#include "sys/proc.h"
#include "sys/pty.h"

enum { CHUNK = 16384 };

typedef struct Relay {
	Launch *l;
	int signals;
	TtyMode tty;
	Buf to_pty; /* typed, not yet taken by the terminal */
	bool stdin_open, pty_open;
} Relay;

/* Signals whose default the kernel raises for our own faults, or that speak of our own children and terminal, are not passed on. */
static void wanted_signals(sigset_t *set)
{
	static const int own[] = { SIGCHLD, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPIPE, SIGURG, SIGTTOU, SIGTTIN };
	memset(set, 0xff, sizeof *set); /* musl's sigfillset leaves 34 out, the first real-time signal to everybody else */
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (own[i] != SIGCHLD) sigdelset(set, own[i]);
}

void foreground_block_signals(void)
{
	sigset_t set;
	wanted_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int take_signal(Relay *r)
{
	struct signalfd_siginfo s;
	if (read(r->signals, &s, sizeof s) != (ssize_t)sizeof s) return 0;
	int n = (int)s.ssi_signo;
	if (n == SIGCHLD) return 0;
	if (n == SIGWINCH) return r->l->pty >= 0 ? pty_copy_size(0, r->l->pty) : 0;
	int x = pid_send(r->l->pidfd, n);
	return x == -ESRCH ? 0 : x;
}

/* From the terminal to our output. False when nothing more will come. */
static bool relay_out(int pty)
{
	char chunk[CHUNK];
	ssize_t n = retry_eintr(read(pty, chunk, sizeof chunk));
	if (n <= 0) return n < 0 && errno == EAGAIN;
	return fd_write_all(1, chunk, (size_t)n) == 0;
}

static void relay_in(Relay *r)
{
	char chunk[1024];
	ssize_t n = retry_eintr(read(0, chunk, sizeof chunk));
	if (n > 0) {
		buf_put(&r->to_pty, chunk, (size_t)n);
	} else if (n == 0 || errno != EAGAIN) {
		r->stdin_open = false;
	}
}

static void flush_to_pty(Relay *r)
{
	ssize_t n = retry_eintr(write(r->l->pty, r->to_pty.p, r->to_pty.n));
	if (n > 0) buf_consume(&r->to_pty, (size_t)n);
	if (n < 0 && errno != EAGAIN) buf_reset(&r->to_pty);
}

/* What the program wrote last may still be in the terminal when it is gone. */
static void drain_pty(Relay *r)
{
	while (r->pty_open) {
		struct pollfd p = { r->l->pty, POLLIN, 0 };
		if (poll(&p, 1, 0) <= 0 || !(p.revents & (POLLIN | POLLHUP)) || !relay_out(r->l->pty)) return;
	}
}

static int relay_once(Relay *r, bool *exited)
{
	Launch *l = r->l;
	bool room = r->to_pty.n < r->to_pty.max / 2;
	struct pollfd p[5] = {
		{ l->pidfd, POLLIN, 0 },
		{ r->signals, POLLIN, 0 },
		{ r->pty_open ? l->pty : -1, (short)(POLLIN | (r->to_pty.n ? POLLOUT : 0)), 0 },
		{ r->pty_open && r->stdin_open && room ? 0 : -1, POLLIN, 0 },
		{ l->notify_dir ? l->notify_fd : -1, POLLIN, 0 },
	};
	if (poll(p, ARRAY_LEN(p), -1) < 0) return errno == EINTR ? 0 : -errno;
	if (p[1].revents) (void)!take_signal(r);
	if (p[2].revents & POLLOUT) flush_to_pty(r);
	if (p[2].revents & (POLLIN | POLLHUP | POLLERR) && !relay_out(l->pty)) r->pty_open = false;
	if (p[3].revents) relay_in(r);
	if (p[4].revents) (void)!notify_socket_forward(l->container, l->notify_fd, l->pid);
	*exited = p[0].revents;
	return 0;
}

int foreground_attend(Launch *l, int *ret_status, Err *e)
{
	Relay r = { .l = l, .tty = TTY_MODE_INIT, .to_pty = BUF_INIT(65536), .stdin_open = true, .pty_open = l->pty >= 0 };
	sigset_t set;
	int x = 0, status = 0;
	wanted_signals(&set);
	AUTO_FD int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0) return err_sys(e, errno, "signalfd");
	r.signals = signals;
	if (l->pty >= 0) {
		fcntl(l->pty, F_SETFL, O_RDWR | O_NONBLOCK);
		if (isatty(0)) {
			(void)!pty_copy_size(0, l->pty);
			(void)!tty_raw(0, false, &r.tty);
		}
	}
	for (bool exited = false; !exited && x >= 0;)
		x = relay_once(&r, &exited);
	if (l->pty >= 0) drain_pty(&r);
	tty_restore(&r.tty);
	buf_done(&r.to_pty);
	if (x < 0) return err_sys(e, x, "attend the container");
	if ((x = pid_wait(l->pidfd, &status)) < 0) return err_sys(e, x, "wait for the container");
	l->pid = 0; /* reaped: nobody may signal that number any more */
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}
