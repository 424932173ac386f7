/* logs.c: see logs.h. */
#include "engine/logs.h"

#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/time.h"
#include "engine/control.h"
#include "engine/start.h"

enum { STATE_ARENA = 1 << 20 };

typedef struct Following {
	int sock; /* to the monitor, which tells the end; -1: the run has ended, or is not followed */
	int64_t until;
	int leaver;
	bool left; /* nobody wants more */
} Following;

/* A connection that has asked for the end of the run that is under way; -1 when none is. */
static int follow_run(Engine *g, const Record *c, int *ret, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(STATE_ARENA);
	RunState s;
	*ret = -1;
	int r = engine_state(g, c, &a, &s, e);
	if (r < 0 || s.status != RUN_RUNNING) return r;
	AUTO_FD int sock = monitor_connect(g, c->id);
	if (sock < 0) return 0; /* it has just ended */
	if (wire_send(sock, WIRE_WAIT, 0, 0, NULL, 0, NULL, 0) >= 0) *ret = take_fd(sock);
	return 0;
}

/* The monitor says so when everything of the run is in the log. */
static void hear_end(Following *f)
{
	static char data[WIRE_DATA_MAX];
	WireHead h;
	size_t n = 0, n_fds = 0;
	int fds[WIRE_FDS_MAX];
	int r = wire_receive(f->sock, &h, data, &n, fds, &n_fds);
	while (r > 0 && n_fds > 0)
		fd_close(fds[--n_fds]);
	if (r <= 0 || h.kind == WIRE_EXITED) f->sock = fd_close(f->sock);
}

static int patience(const Following *f)
{
	if (!f->until) return -1;
	int64_t left = (f->until - time_now()) / 1000000 + 1;
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* Until there may be more, or no more will come. */
static int await(LogReader *r, Following *f, Err *e)
{
	struct pollfd p[] = { { r->notify, POLLIN, 0 }, { f->sock, POLLIN, 0 }, { f->leaver, 0, 0 } };
	int n = poll(p, ARRAY_LEN(p), patience(f));
	if (n < 0 && errno != EINTR) return err_sys(e, errno, "wait for the log");
	if (n == 0) f->sock = fd_close(f->sock);
	if (n > 0 && p[0].revents) log_reader_heard(r);
	if (n > 0 && p[1].revents) hear_end(f);
	f->left = n > 0 && p[2].revents;
	return 0;
}

static int give_all(LogReader *r, const LogsSink *to, Err *e)
{
	const LogEntry *entry;
	int x;
	while ((x = log_reader_next(r, &entry, e)) > 0)
		if ((x = to->line(to->arg, entry, e)) < 0) return x;
	return x < 0 ? x : to->idle(to->arg, e);
}

static int give(LogReader *r, Following *f, const LogsSink *to, Err *e)
{
	for (bool more = true; more;) {
		more = f->sock >= 0; /* once it is known that all is written, one more look is the last */
		int x = give_all(r, to, e);
		if (x < 0 || !more || r->ended) return x;
		if ((x = await(r, f, e)) < 0 || f->left) return x;
	}
	return 0;
}

int engine_logs(Engine *g, const Record *c, const LogsOptions *o, const LogsSink *to, Err *e)
{
	AUTO_LOG_READER *r = NULL;
	Following f = { .sock = -1, .until = o->until, .leaver = o->leaver };
	AUTO_FD int dir = record_dir(g, c->id, e);
	if (dir < 0) return dir;
	const LogReadOptions read = { .dir = dir,
				      .id = c->id,
				      .driver = c->host.log_config.type,
				      .options = &c->host.log_config.options,
				      .since = o->since,
				      .until = o->until,
				      .tail = o->tail,
				      .notify = o->follow };
	int x = o->follow ? follow_run(g, c, &f.sock, e) : 0;
	if (x >= 0 && (x = log_reader_open(&read, &r, e)) >= 0) x = give(r, &f, to, e);
	fd_close(f.sock);
	return x;
}
