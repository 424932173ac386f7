/* stdio.c: the container's streams: from its pipes or terminal to the log and to the clients, and from a client to its input. */
#include <fcntl.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/time.h"
#include "monitor/monitor_impl.h"
#include "sys/pty.h"

enum { INPUT_MAX = 256 << 10, READS_A_TURN = 8, GRACE_MS = 2000 };

static char chunk[WIRE_DATA_MAX]; /* touched only by containers that say something */

/* ---- output ---- */

/* For those who look while it runs; not at each byte. */
static void count_loss(Monitor *m, uint64_t n)
{
	if (!n) return;
	m->state.log_dropped += n;
	if (time_monotonic() - m->log_loss_saved < DURATION_SECOND) return;
	m->log_loss_saved = time_monotonic();
	(void)!monitor_save(m);
}

static void pass_on(Monitor *m, LogStream stream, const char *p, size_t n)
{
	log_sink_write(m->sink, stream, time_now(), p, n);
	count_loss(m, log_sink_lost(m->sink));
	if (n) clients_output(m, stream, p, n);
}

static void close_output(Output *o)
{
	loop_fd_remove(&o->watch);
	if (o->m->process.pty < 0) fd_close(o->fd);
	o->fd = -1;
}

/* One read. False when there is nothing more now. */
static bool read_once(Output *o)
{
	ssize_t n = retry_eintr(read(o->fd, chunk, sizeof chunk));
	if (n > 0) {
		pass_on(o->m, o->stream, chunk, (size_t)n);
		return (size_t)n == sizeof chunk;
	}
	/* a terminal whose other side is closed fails with EIO */
	if (n == 0 || errno != EAGAIN) close_output(o);
	return false;
}

static void resume_late(void *arg)
{
	stdio_resume(arg);
}

/* Nothing is read until the log has room again, and the slowest client has caught up; for him GRACE_MS at most, then he loses output instead of the
 * container time. */
static void pause_outputs(Monitor *m)
{
	for (size_t i = 0; i < ARRAY_LEN(m->output); i++) {
		Output *o = &m->output[i];
		if (o->fd < 0 || o->paused) continue;
		o->paused = loop_fd_events(&o->watch, 0) >= 0;
	}
	loop_timer_set(&m->loop, &m->resume, loop_now(&m->loop) + GRACE_MS * INT64_C(1000000), resume_late, m);
}

void stdio_resume(Monitor *m)
{
	loop_timer_cancel(&m->resume);
	for (size_t i = 0; i < ARRAY_LEN(m->output); i++) {
		Output *o = &m->output[i];
		if (o->fd < 0 || !o->paused) continue;
		o->paused = loop_fd_events(&o->watch, EPOLLIN) < 0;
	}
}

static void output_ready(void *arg, uint32_t events)
{
	Output *o = arg;
	for (int i = 0; i < READS_A_TURN && o->fd >= 0; i++) {
		if (clients_are_full(o->m) || log_sink_is_full(o->m->sink)) {
			pause_outputs(o->m);
			return;
		}
		if (!read_once(o)) return;
	}
}

/* ---- input ---- */

/* Those who had to wait with their input. */
static void hear_clients(const Monitor *m)
{
	for (Client *c = m->clients; c; c = c->next)
		if (!c->gone) (void)!loop_fd_events(&c->watch, EPOLLIN | (c->out.n ? EPOLLOUT : 0));
}

static void close_input(Input *in)
{
	Monitor *m = in->m;
	loop_fd_remove(&in->watch);
	if (m->process.pty < 0) fd_close(in->fd);
	in->fd = -1;
	buf_done(&in->pending);
	hear_clients(m); /* what they have to say besides */
}

static void write_input(Input *in)
{
	while (in->pending.n) {
		ssize_t n = retry_eintr(write(in->fd, in->pending.p, in->pending.n));
		if (n < 0 && errno == EAGAIN) return;
		if (n < 0) {
			close_input(in);
			return;
		}
		buf_consume(&in->pending, (size_t)n);
	}
	if (in->ending) {
		close_input(in);
		return;
	}
	loop_fd_remove(&in->watch);
	hear_clients(in->m);
}

static void input_ready(void *arg, uint32_t events)
{
	write_input(arg);
}

void stdio_input(Monitor *m, const char *p, size_t n)
{
	Input *in = &m->input;
	if (in->fd < 0) return;
	if (!n) {
		if (!m->config.stdin_once || m->process.pty >= 0) return;
		in->ending = true;
	}
	buf_put(&in->pending, p, n);
	in->pending.failed = false; /* clients are not read while it is full */
	write_input(in);
	if (in->fd >= 0 && in->pending.n && !in->watch.loop)
		if (loop_fd_add(&m->loop, &in->watch, in->fd, EPOLLOUT, input_ready, in) < 0) close_input(in);
}

void stdio_resize(Monitor *m, unsigned rows, unsigned columns)
{
	if (m->process.pty >= 0) (void)!pty_set_size(m->process.pty, rows, columns);
}

/* ---- begin and end ---- */

/* A pipe: ours does not block. */
static int make_pipe(const Monitor *m, int *ours, int *theirs, bool we_read, Err *e)
{
	int p[2];
	if (pipe2(p, O_CLOEXEC) < 0) return err_sys(e, errno, "make a pipe");
	*ours = p[we_read ? 0 : 1];
	*theirs = p[we_read ? 1 : 0];
	if ((m->config.uid || m->config.gid) && fchown(*theirs, m->config.uid, m->config.gid) < 0) return err_sys(e, errno, "make a pipe");
	return fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? err_sys(e, errno, "make a pipe") : 0;
}

static int open_log(Monitor *m, Err *e)
{
	const MonitorLog *l = &m->config.log;
	const LogTarget target = { .dir = m->dir,
				   .id = m->config.id,
				   .name = m->config.name,
				   .image = str_map_get(&m->config.attributes, "image"),
				   .options = &l->options,
				   .fields = &l->fields,
				   .tag = l->tag ? l->tag : "",
				   .packer = &l->packer };
	const LogKind *kind = log_kind_find(l->driver);
	if (!kind) return err_set(e, ERR_CONFIG, EINVAL, "unknown log driver \"%s\"", l->driver);
	int r = log_sink_open(&target, log_driver_find(kind), &m->loop, resume_late, m, &m->sink, e);
	return r < 0 ? log_option_failure(e) : 0;
}

int stdio_open(Monitor *m, int ret_child[static 3], Err *e)
{
	int r = open_log(m, e);
	if (r < 0) return r;
	m->input = (Input){ .m = m, .fd = -1, .pending = BUF_INIT(INPUT_MAX + WIRE_DATA_MAX) };
	for (int i = 0; i < 2; i++)
		m->output[i] = (Output){ .m = m, .fd = -1, .stream = i ? LOG_STDERR : LOG_STDOUT };
	if (m->config.tty) return 0;
	for (int i = 0; i < 2; i++)
		if ((r = make_pipe(m, &m->output[i].fd, &ret_child[1 + i], true, e)) < 0) return r;
	if (m->config.open_stdin) return make_pipe(m, &m->input.fd, &ret_child[0], false, e);
	ret_child[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return ret_child[0] < 0 ? err_sys(e, errno, "open /dev/null") : 0;
}

int stdio_attend(Monitor *m, Err *e)
{
	if (m->process.pty >= 0) {
		if (fcntl(m->process.pty, F_SETFL, O_RDWR | O_NONBLOCK) < 0) return err_sys(e, errno, "attend the terminal");
		m->output[0].fd = m->process.pty;
		if (m->config.open_stdin) m->input.fd = m->process.pty;
	}
	for (size_t i = 0; i < ARRAY_LEN(m->output); i++) {
		Output *o = &m->output[i];
		int r = o->fd < 0 ? 0 : loop_fd_add(&m->loop, &o->watch, o->fd, EPOLLIN, output_ready, o);
		if (r < 0) return err_sys(e, -r, "attend the container's output");
	}
	return 0;
}

void stdio_drain(Monitor *m)
{
	if (!m->sink) return;
	loop_timer_cancel(&m->resume);
	for (size_t i = 0; i < ARRAY_LEN(m->output); i++) {
		Output *o = &m->output[i];
		/* what is in the pipe; a process that was left outside (no pid namespace) may hold its other end for long */
		for (size_t k = 0; o->fd >= 0 && k < 64 && read_once(o); k++)
			;
		if (o->fd >= 0 && fcntl(o->fd, F_GETFL) >= 0) (void)!read_once(o);
		if (o->fd >= 0) close_output(o);
		pass_on(m, o->stream, NULL, 0);
	}
	if (m->input.fd >= 0) close_input(&m->input);
	m->process.pty = fd_close(m->process.pty);
	m->state.log_dropped += log_sink_close(m->sink);
	m->sink = NULL;
}
