/* log_sink.c: see log_sink.h. */
#include "monitor/log_sink.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "monitor/log_frame.h"
#include "monitor/log_lines.h"
#include "sys/fd.h"

/* FULL: so much waits here before a blocking log is full; the buffer has room for all that one read of the container can become besides. */
enum { MESSAGE_MAX = 65536, FULL = 256 << 10, SOCKET_BUFFER = 64 << 10, OPEN_MS = 15000 };
enum { WAITING_MAX = FULL + (2 << 20), HELPER_DIR = 3, HELPER_SOCKET = 4 };

/* Shared with the driver's process: read and written atomically. */
typedef struct Shared {
	uint64_t lost;  /* bytes of output that the driver could not keep */
	uint64_t taken; /* that it was given, these included */
} Shared;

static void add(uint64_t *to, uint64_t n)
{
	__atomic_fetch_add(to, n, __ATOMIC_RELEASE);
}

static uint64_t get(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

struct LogSink {
	const LogDriverType *type;
	LogDriver *driver; /* called by us; NULL with a process */
	LogLines lines;
	uint64_t lost;
	bool failing; /* a call of the driver failed since the last flush */
	/* of the process */
	pid_t pid;
	int sock;
	bool non_blocking, was_full, is_dead;
	bool dropping[2]; /* the rest of a line whose beginning was lost */
	int64_t max;      /* bytes that may wait */
	Buf waiting;      /* frames */
	Shared *shared;
	uint64_t told;  /* of shared->lost */
	uint64_t given; /* bytes of output, to the process */
	LoopFd watch;
	LoopFn *room;
	void *arg;
};

/* ---- the driver's process ---- */

typedef struct Helper {
	const LogDriverType *type;
	LogDriver *driver;
	Shared *shared;
} Helper;

/* What the opening gave: the first message from the process. */
typedef struct Opened {
	int r;
	Err e;
} Opened;

static void take_message(Helper *h, const char *p, size_t n)
{
	static LogEntry entry;
	size_t bytes = 0;
	int r = 0;
	while (n) {
		ssize_t used = log_frame_get(p, n, &entry);
		if (used <= 0) break;
		bytes += entry.line.text.n;
		if (h->type->put(h->driver, &entry.line) < 0) r = -EIO;
		p += used;
		n -= (size_t)used;
	}
	if (h->type->flush(h->driver) < 0 || r < 0) add(&h->shared->lost, bytes);
	add(&h->shared->taken, bytes);
}

static void reap(Helper *h)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (h->type->exited) h->type->exited(h->driver, pid, status);
}

static void nothing(int number)
{
}

/* The end of a child interrupts the waiting alone. */
static void hear_children(sigset_t *unblocked)
{
	sigset_t set;
	struct sigaction on_child = { .sa_handler = nothing };
	sigaction(SIGCHLD, &on_child, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_SETMASK, &set, NULL);
	*unblocked = set;
	sigdelset(unblocked, SIGCHLD);
}

/* Nothing else of the monitor is open here: its lock least of all. */
static int keep_descriptors(int dir, int sock)
{
	int d = fcntl(dir, F_DUPFD_CLOEXEC, HELPER_SOCKET + 1), s = fcntl(sock, F_DUPFD_CLOEXEC, HELPER_SOCKET + 1);
	if (d < 0 || s < 0 || dup3(d, HELPER_DIR, O_CLOEXEC) < 0 || dup3(s, HELPER_SOCKET, O_CLOEXEC) < 0) return -errno;
	return syscall(SYS_close_range, HELPER_SOCKET + 1, ~0U, 0) < 0 ? -errno : 0;
}

static _Noreturn void help(const LogTarget *target, const LogDriverType *type, int sock, Shared *shared)
{
	static char message[MESSAGE_MAX];
	static Opened opened = { .e = { .code = ERR_NONE } };
	LogTarget t = *target;
	Helper h = { .type = type, .shared = shared };
	sigset_t unblocked;
	(void)!prctl(PR_SET_NAME, "skep-log");
	hear_children(&unblocked);
	opened.r = keep_descriptors(t.dir, sock);
	t.dir = HELPER_DIR;
	if (opened.r < 0)
		err_sys(&opened.e, -opened.r, "start the log's process");
	else
		opened.r = type->open(&t, &h.driver, &opened.e);
	if (send(HELPER_SOCKET, &opened, sizeof opened, MSG_NOSIGNAL) < 0 || opened.r < 0) _exit(1);
	for (;;) {
		struct pollfd p = { HELPER_SOCKET, POLLIN, 0 };
		reap(&h);
		if (ppoll(&p, 1, NULL, &unblocked) < 0) continue;
		ssize_t n = retry_eintr(recv(HELPER_SOCKET, message, sizeof message, 0));
		if (n <= 0) break;
		take_message(&h, message, (size_t)n);
	}
	type->close(h.driver);
	_exit(0);
}

/* ---- to the process ---- */

/* A message's worth of whole frames at the beginning. */
static size_t next_message(const Buf *b)
{
	size_t n = 0;
	while (b->n - n >= LOG_FRAME_HEAD) {
		ssize_t size = log_frame_size_by_head(b->p + n);
		if (size < 0 || n + (size_t)size > b->n || (n && n + (size_t)size > MESSAGE_MAX)) break;
		n += (size_t)size;
	}
	return n;
}

/* Bytes of output in frames. */
static uint64_t text_in(const char *p, size_t n)
{
	uint64_t bytes = 0;
	while (n >= LOG_FRAME_OVERHEAD) {
		size_t size = (size_t)log_frame_size_by_head(p);
		bytes += log_frame_text(p);
		p += size;
		n -= size;
	}
	return bytes;
}

/* The process is gone, or will be: what it has not taken is lost. */
static void give_up(LogSink *s)
{
	if (s->is_dead) return;
	s->is_dead = true;
	loop_fd_remove(&s->watch);
	s->lost += text_in(s->waiting.p, s->waiting.n) + s->given - get(&s->shared->taken);
	buf_reset(&s->waiting);
}

static void send_waiting(LogSink *s)
{
	size_t n;
	while ((n = next_message(&s->waiting)) > 0) {
		ssize_t sent = retry_eintr(send(s->sock, s->waiting.p, n, MSG_DONTWAIT | MSG_NOSIGNAL));
		if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) return;
		if (sent < 0) {
			give_up(s);
			return;
		}
		s->given += text_in(s->waiting.p, n);
		buf_consume(&s->waiting, n);
	}
}

static void writable(void *arg, uint32_t events)
{
	LogSink *s = arg;
	send_waiting(s);
	if (!s->is_dead && !s->waiting.n) (void)!loop_fd_events(&s->watch, 0);
	if (s->was_full && !log_sink_is_full(s)) {
		s->was_full = false;
		s->room(s->arg);
	}
}

static void queue_line(LogSink *s, const LogLine *line)
{
	bool *dropping = &s->dropping[line->stream - 1];
	if (line->piece <= 1) *dropping = false;
	if (s->non_blocking && s->waiting.n && (int64_t)(s->waiting.n + line->text.n + LOG_FRAME_OVERHEAD) > s->max) *dropping = true;
	if (!*dropping && !s->is_dead) log_frame_put(&s->waiting, line, NULL);
	if (*dropping || s->is_dead || buf_failed(&s->waiting)) s->lost += line->text.n;
	s->waiting.failed = false;
}

/* ---- both ---- */

static void take_line(void *arg, const LogLine *line)
{
	LogSink *s = arg;
	if (!s->driver && s->pid)
		queue_line(s, line);
	else if (s->type->put(s->driver, line) < 0)
		s->failing = true;
}

void log_sink_write(LogSink *s, LogStream stream, int64_t time, const char *p, size_t n)
{
	if (log_lines_feed(&s->lines, stream, time, p, n, take_line, s) < 0) s->failing = true;
	if (!s->pid) {
		if (s->type->flush(s->driver) < 0) s->failing = true;
	} else if (!s->is_dead) {
		send_waiting(s);
		if (s->waiting.n && !s->is_dead) (void)!loop_fd_events(&s->watch, EPOLLOUT);
		s->was_full |= log_sink_is_full(s);
	}
	if (s->failing) s->lost += n;
	s->failing = false;
}

bool log_sink_is_full(const LogSink *s)
{
	return s->pid && !s->non_blocking && !s->is_dead && s->waiting.n > FULL;
}

uint64_t log_sink_lost(LogSink *s)
{
	uint64_t n = s->lost, by_helper = s->shared ? get(&s->shared->lost) : 0;
	n += by_helper - s->told;
	s->told = by_helper;
	s->lost = 0;
	return n;
}

void log_sink_exited(LogSink *s, pid_t pid, int status)
{
	if (s->pid && pid == s->pid)
		give_up(s);
	else if (!s->pid && s->type->exited)
		s->type->exited(s->driver, pid, status);
}

/* ---- begin and end ---- */

static int await_opened(LogSink *s, Err *e)
{
	static Opened opened;
	struct pollfd p = { s->sock, POLLIN, 0 };
	if (poll(&p, 1, OPEN_MS) <= 0) return err_set(e, ERR_INTERNAL, ETIMEDOUT, "log driver %s: nobody answers", s->type->kind->name);
	ssize_t n = retry_eintr(recv(s->sock, &opened, sizeof opened, 0));
	if (n != sizeof opened) return err_set(e, ERR_INTERNAL, ECHILD, "the process of log driver %s has ended", s->type->kind->name);
	if (opened.r < 0) *e = opened.e;
	return opened.r;
}

static int start_process(LogSink *s, const LogTarget *t, Err *e)
{
	int pair[2], size = SOCKET_BUFFER;
	s->shared = mmap(NULL, sizeof *s->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->shared == MAP_FAILED) {
		s->shared = NULL;
		return err_sys(e, errno, "start the log's process");
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return err_sys(e, errno, "start the log's process");
	s->sock = pair[0];
	AUTO_FD int theirs = pair[1];
	(void)!setsockopt(s->sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	pid_t pid = fork();
	if (pid < 0) return err_sys(e, errno, "start the log's process: fork");
	if (!pid) help(t, s->type, theirs, s->shared);
	s->pid = pid;
	fd_close(take_fd(theirs));
	return await_opened(s, e);
}

int log_sink_open(const LogTarget *t, const LogDriverType *type, Loop *loop, LoopFn *room, void *arg, LogSink **ret, Err *e)
{
	LogMode mode;
	int r = log_mode_parse(t->options, &mode, e);
	LogSink *s = r < 0 ? NULL : calloc(1, sizeof *s);
	if (r < 0) return r;
	if (!s) return err_sys(e, ENOMEM, "open the log");
	*s = (LogSink){ .type = type, .sock = -1, .non_blocking = mode.non_blocking, .max = mode.buffer, .room = room, .arg = arg };
	s->waiting = BUF_INIT(s->non_blocking ? (size_t)mode.buffer + MESSAGE_MAX : WAITING_MAX);
	log_lines_init(&s->lines);
	if (type != &log_none && (type->kind->waits || mode.non_blocking)) {
		r = start_process(s, t, e);
		if (r >= 0 && (r = loop_fd_add(loop, &s->watch, s->sock, 0, writable, s)) < 0) err_sys(e, -r, "attend the log's process");
	} else {
		r = type->open(t, &s->driver, e);
	}
	if (r < 0) {
		if (!s->pid) s->type = NULL; /* there is nothing to close */
		(void)log_sink_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

static int left_ms(int64_t until)
{
	int64_t left = (until - time_monotonic()) / 1000000;
	return left > 0 ? (int)left : 0;
}

/* Until it has taken everything and is gone. */
static void end_process(LogSink *s)
{
	int64_t until = time_monotonic() + LOG_CLOSE_MS * INT64_C(1000000);
	struct pollfd p = { s->sock, POLLOUT, 0 };
	send_waiting(s);
	while (!s->is_dead && s->waiting.n && poll(&p, 1, left_ms(until)) > 0)
		send_waiting(s);
	loop_fd_remove(&s->watch);
	(void)!shutdown(s->sock, SHUT_WR);
	p.events = POLLIN;
	if (!s->is_dead && poll(&p, 1, left_ms(until)) <= 0) kill(s->pid, SIGKILL);
	(void)!retry_eintr(waitpid(s->pid, NULL, 0));
	give_up(s);
}

uint64_t log_sink_close(LogSink *s)
{
	if (!s) return 0;
	if (s->pid > 0)
		end_process(s);
	else if (s->type)
		s->type->close(s->driver);
	s->sock = fd_close(s->sock);
	uint64_t lost = log_sink_lost(s);
	if (s->shared) munmap(s->shared, sizeof *s->shared);
	log_lines_done(&s->lines);
	buf_done(&s->waiting);
	free(s);
	return lost;
}
