/* attach.c: see attach.h.
 *
 * One poll loop over a source of output (the monitor's connection, a terminal, pipes), our input, our signals and our slow outputs. Nothing in it
 * blocks but the wait itself, so a user who does not read never holds up the container, and loses nothing: see spill.h.
 */
#include "engine/attach.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "engine/spill.h"
#include "sys/pty.h"

enum { IN_MAX = 16384, AFTER_EXIT_MS = 100 };

typedef struct Attach {
	const AttachOptions *o;
	int sock;        /* the connection; -1: ended */
	int master;      /* of a terminal that is relayed here; -1 */
	int to, from[2]; /* pipes that are relayed here; -1 */
	int signals;
	TtyMode mode;
	Spill out, err;
	char in[IN_MAX]; /* read, not sent yet */
	size_t in_at, in_n;
	size_t matched; /* of the detach keys */
	bool input, input_ended, exited, detached;
	int status;
} Attach;

/* ---- detach keys ---- */

static int parse_key(Str key, char *ret)
{
	if (key.n == 1) {
		*ret = key.p[0];
		return 0;
	}
	if (key.n != 6 || memcmp(key.p, "ctrl-", 5) != 0) return -EINVAL;
	char c = key.p[5];
	if (c >= 'a' && c <= 'z')
		*ret = (char)(c - 'a' + 1);
	else if (c == '@')
		*ret = 0;
	else if (c == '[' || c == '\\' || c == ']' || c == '^' || c == '_')
		*ret = (char)(c - '@');
	else
		return -EINVAL;
	return 0;
}

int detach_keys_parse(const char *text, DetachKeys *ret, Err *e)
{
	Str rest = str_of(text && *text ? text : "ctrl-p,ctrl-q"), key;
	DetachKeys k = { .n = 0 };
	while (str_next(&rest, ',', &key))
		if (k.n == DETACH_KEYS_MAX || parse_key(key, &k.keys[k.n++]) < 0)
			return err_set(e, ERR_USAGE, EINVAL, "invalid detach keys (%.64s): Unknown character: '%.*s'", text, (int)key.n,
				       key.p);
	*ret = k;
	return 0;
}

/* Takes the keys out of a[0..*n). True when all of them came, one after the other. What only began like them is handed on. */
static bool find_keys(Attach *x, const char *p, size_t n)
{
	const DetachKeys *k = &x->o->keys;
	x->in_at = x->in_n = 0;
	for (size_t i = 0; i < n; i++) {
		if (k->n && p[i] == k->keys[x->matched]) {
			if (++x->matched == k->n) return true;
			continue;
		}
		for (size_t j = 0; j < x->matched; j++)
			x->in[x->in_n++] = k->keys[j];
		x->matched = k->n && p[i] == k->keys[0];
		if (x->matched) {
			if (k->n == 1) return true;
			continue;
		}
		x->in[x->in_n++] = p[i];
	}
	return false;
}

/* ---- input ---- */

static void end_input(Attach *x)
{
	x->input = false;
	x->input_ended = true;
	x->to = fd_close(x->to);
}

static void read_input(Attach *x)
{
	char data[IN_MAX - DETACH_KEYS_MAX];
	ssize_t n = retry_eintr(read(0, data, sizeof data));
	if (n < 0 && errno == EAGAIN) return;
	if (n <= 0) {
		x->input = false;
		if (x->to >= 0)
			end_input(x);
		else if (x->master < 0)
			x->input_ended = true;
		return;
	}
	if (x->o->tty) {
		x->detached = find_keys(x, data, (size_t)n);
		return;
	}
	memcpy(x->in, data, (size_t)n);
	x->in_at = 0;
	x->in_n = (size_t)n;
}

static void send_input(Attach *x)
{
	ssize_t n = 0;
	if (x->in_at < x->in_n) {
		const char *p = x->in + x->in_at;
		size_t k = x->in_n - x->in_at;
		if (x->master >= 0 || x->to >= 0) {
			n = retry_eintr(write(x->master >= 0 ? x->master : x->to, p, k < PIPE_BUF ? k : PIPE_BUF));
			if (n < 0 && errno != EAGAIN) {
				x->in_at = x->in_n;
				end_input(x);
				return;
			}
		} else {
			int r = wire_send(x->sock, WIRE_STDIN, 0, 0, p, k, NULL, 0);
			n = r >= 0 ? (ssize_t)k : -1;
			if (r < 0 && r != -EAGAIN) x->input = false;
		}
		if (n > 0) x->in_at += (size_t)n;
		return;
	}
	if (x->input_ended && x->master < 0 && x->to < 0 && x->o->input) {
		if (wire_send(x->sock, WIRE_STDIN, 0, 0, NULL, 0, NULL, 0) != -EAGAIN) x->input_ended = false;
	}
}

/* ---- output ---- */

static int take_message(Attach *x, const WireHead *h, const char *data, size_t n, Err *e)
{
	switch (h->kind) {
	case WIRE_STDOUT:
		return spill_put(&x->out, data, n);
	case WIRE_STDERR:
		return spill_put(&x->err, data, n);
	case WIRE_EXITED:
		x->exited = true;
		x->status = h->value;
		return 0;
	case WIRE_DROPPED:
		dprintf(2, "skep: %d bytes of output were dropped: this client was stopped or too slow; the log has them\n", h->value);
		return 0;
	case WIRE_ERROR:
		if (x->o->forward_signals) return 0; /* a signal that came too late */
		return wire_error(h, data, n, e);
	default:
		return 0;
	}
}

static int hear(Attach *x, Err *e)
{
	static char data[WIRE_DATA_MAX];
	WireHead h;
	size_t n = 0, n_fds = 0;
	int fds[WIRE_FDS_MAX];
	int r = wire_receive(x->sock, &h, data, &n, fds, &n_fds);
	if (r == -EAGAIN) return 0;
	for (size_t i = 0; r > 0 && i < n_fds; i++)
		fd_close(fds[i]);
	if (r <= 0) {
		x->sock = -1;
		return 0;
	}
	r = take_message(x, &h, data, n, e);
	return r == -ENOSPC ? err_sys(e, ENOSPC, "keep output that nobody reads") : r;
}

static int relay(int *from, Spill *to, Err *e)
{
	static char data[WIRE_DATA_MAX];
	ssize_t n = retry_eintr(read(*from, data, sizeof data));
	if (n > 0) {
		int r = spill_put(to, data, (size_t)n);
		return r < 0 ? err_sys(e, -r, "keep output that nobody reads") : 0;
	}
	if (n == 0 || errno != EAGAIN) *from = fd_close(*from);
	return 0;
}

/* ---- signals ---- */

static void wanted(sigset_t *set)
{
	static const int own[] = { SIGCHLD, SIGSEGV, SIGBUS, SIGFPE,  SIGILL,  SIGABRT, SIGTRAP,
				   SIGSYS,  SIGPIPE, SIGURG, SIGTTOU, SIGTTIN, SIGTSTP, SIGCONT };
	sigfillset(set);
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		sigdelset(set, own[i]);
}

void attach_block_signals(void)
{
	sigset_t set;
	wanted(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void tell_size(Attach *x)
{
	struct winsize w;
	if (ioctl(0, TIOCGWINSZ, &w) < 0 && ioctl(1, TIOCGWINSZ, &w) < 0) return;
	if (x->master >= 0)
		(void)!pty_set_size(x->master, w.ws_row, w.ws_col);
	else if (x->sock >= 0)
		(void)!wire_send(x->sock, WIRE_RESIZE, w.ws_row << 16 | w.ws_col, 0, NULL, 0, NULL, 0);
}

static void take_signal(Attach *x)
{
	struct signalfd_siginfo s;
	if (read(x->signals, &s, sizeof s) != (ssize_t)sizeof s) return;
	if (s.ssi_signo == SIGWINCH) {
		if (x->o->tty) tell_size(x);
		return;
	}
	if (x->o->forward_signals && x->sock >= 0) (void)!wire_send(x->sock, WIRE_SIGNAL, (int)s.ssi_signo, 0, NULL, 0, NULL, 0);
}

static int watch_signals(Attach *x, Err *e)
{
	sigset_t set;
	signal(SIGPIPE, SIG_IGN);
	if (x->o->forward_signals)
		wanted(&set);
	else
		sigemptyset(&set);
	if (x->o->tty) sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	x->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return x->signals < 0 ? err_sys(e, errno, "watch signals") : 0;
}

/* ---- the loop ---- */

static bool is_done(const Attach *x)
{
	if (x->detached) return true;
	if (x->exited && x->master < 0 && x->from[0] < 0 && x->from[1] < 0) return true;
	return x->sock < 0 && x->master < 0 && x->from[0] < 0 && x->from[1] < 0;
}

enum { AT_SOCK, AT_STDIN, AT_SINK, AT_SIGNALS, AT_FIRST, AT_SECOND, AT_OUT, AT_ERR, AT_COUNT };

/* Where our input goes; -1 when there is none to send. */
static int busy_sink(const Attach *x)
{
	bool owes_end = x->input_ended && x->o->input && x->master < 0 && x->to < 0;
	if (x->in_at == x->in_n && !owes_end) return -1;
	return x->master >= 0 ? x->master : x->to >= 0 ? x->to : x->sock;
}

static void fill_poll(const Attach *x, struct pollfd p[static AT_COUNT])
{
	p[AT_SOCK] = (struct pollfd){ x->sock, POLLIN, 0 };
	p[AT_STDIN] = (struct pollfd){ x->input && x->in_at == x->in_n ? 0 : -1, POLLIN, 0 };
	p[AT_SINK] = (struct pollfd){ busy_sink(x), POLLOUT, 0 };
	p[AT_SIGNALS] = (struct pollfd){ x->signals, POLLIN, 0 };
	p[AT_FIRST] = (struct pollfd){ x->master >= 0 ? x->master : x->from[0], POLLIN, 0 };
	p[AT_SECOND] = (struct pollfd){ x->from[1], POLLIN, 0 };
	p[AT_OUT] = (struct pollfd){ spill_waits(&x->out) ? x->out.out : -1, POLLOUT, 0 };
	p[AT_ERR] = (struct pollfd){ spill_waits(&x->err) ? x->err.out : -1, POLLOUT, 0 };
}

static void close_sources(Attach *x)
{
	x->master = fd_close(x->master);
	x->from[0] = fd_close(x->from[0]);
	x->from[1] = fd_close(x->from[1]);
}

static int take_output(Attach *x, const struct pollfd p[static AT_COUNT], Err *e)
{
	int r = p[AT_SOCK].revents ? hear(x, e) : 0;
	if (r >= 0 && p[AT_FIRST].revents) r = relay(x->master >= 0 ? &x->master : &x->from[0], &x->out, e);
	if (r >= 0 && p[AT_SECOND].revents) r = relay(&x->from[1], &x->err, e);
	return r;
}

static int turn(Attach *x, Err *e)
{
	struct pollfd p[AT_COUNT];
	fill_poll(x, p);
	/* what is left in the streams comes at once; a process that it left behind may hold them open for long */
	bool last = x->exited && (x->master >= 0 || x->from[0] >= 0 || x->from[1] >= 0);
	int n = poll(p, AT_COUNT, last ? AFTER_EXIT_MS : -1);
	if (n < 0) return errno == EINTR ? 0 : err_sys(e, errno, "wait for the container");
	if (n == 0) close_sources(x);
	int r = n ? take_output(x, p, e) : 0;
	if (p[AT_STDIN].revents) read_input(x);
	if (p[AT_SINK].revents) send_input(x);
	if (p[AT_SIGNALS].revents) take_signal(x);
	if (p[AT_OUT].revents) spill_write(&x->out);
	if (p[AT_ERR].revents) spill_write(&x->err);
	return r;
}

static int run(Attach *x, int *ret_status, AttachEnd *ret_end, Err *e)
{
	int r = watch_signals(x, e);
	if (r < 0) return r;
	spill_init(&x->out, 1);
	spill_init(&x->err, 2);
	x->mode = TTY_MODE_INIT;
	if (x->o->tty) {
		tell_size(x);
		if (x->o->input && isatty(0)) (void)!tty_raw(0, true, &x->mode);
	}
	while (r >= 0 && !is_done(x))
		r = turn(x, e);
	tty_restore(&x->mode);
	if (!x->detached) {
		spill_flush(&x->out);
		spill_flush(&x->err);
	}
	spill_done(&x->out);
	spill_done(&x->err);
	fd_close(x->signals);
	fd_close(x->to);
	close_sources(x);
	*ret_status = x->status;
	*ret_end = x->detached ? ATTACH_DETACHED : x->exited ? ATTACH_EXITED : ATTACH_LOST;
	return r;
}

static int no_wait(int fd, Err *e)
{
	int flags = fd < 0 ? 0 : fcntl(fd, F_GETFL);
	if (fd < 0 || (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) >= 0)) return 0;
	return err_sys(e, errno, "attach");
}

int attach_run(int sock, const AttachOptions *o, int *ret_status, AttachEnd *ret_end, Err *e)
{
	Attach x = { .o = o, .sock = sock, .master = -1, .to = -1, .from = { -1, -1 }, .signals = -1, .input = o->input };
	int r = no_wait(sock, e);
	return r < 0 ? r : run(&x, ret_status, ret_end, e);
}

int attach_terminal(int sock, int master, const AttachOptions *o, int *ret_status, AttachEnd *ret_end, Err *e)
{
	Attach x = { .o = o, .sock = sock, .master = master, .to = -1, .from = { -1, -1 }, .signals = -1, .input = o->input };
	int r = no_wait(sock, e);
	if (r >= 0) r = no_wait(master, e);
	return r < 0 ? r : run(&x, ret_status, ret_end, e);
}

int attach_pipes(int sock, int in, int out, int err, const AttachOptions *o, int *ret_status, AttachEnd *ret_end, Err *e)
{
	Attach x = { .o = o, .sock = sock, .master = -1, .to = in, .from = { out, err }, .signals = -1, .input = o->input && in >= 0 };
	int r = no_wait(sock, e);
	if (r >= 0) r = no_wait(in, e);
	if (r >= 0) r = no_wait(out, e);
	if (r >= 0) r = no_wait(err, e);
	return r < 0 ? r : run(&x, ret_status, ret_end, e);
}
