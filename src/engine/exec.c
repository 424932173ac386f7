/* exec.c: see exec.h. */
#include "engine/exec.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/control.h"
#include "engine/owner_ids.h"
#include "engine/start.h"

enum { REQUEST_MAX = 16 << 20 };

/* Streams: ours and theirs; -1: none. */
typedef struct Streams {
	int ours[3], theirs[3];
} Streams;

static void streams_done(Streams *s)
{
	for (size_t i = 0; i < 3; i++) {
		fd_close(s->ours[i]);
		fd_close(s->theirs[i]);
	}
}

static int open_streams(const ExecStreams *want, const IdMaps *maps, Streams *s, Err *e)
{
	uint32_t uid, gid;
	int r = owner_of_root(maps, &uid, &gid);
	if (r < 0) return err_sys(e, r, "exec");
	for (int i = 0; i < 3; i++) {
		int p[2];
		if (want->detach || (i == 0 && !want->interactive)) {
			s->theirs[i] = open("/dev/null", (i ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
			if (s->theirs[i] < 0) return err_sys(e, errno, "open /dev/null");
			continue;
		}
		if (pipe2(p, O_CLOEXEC) < 0) return err_sys(e, errno, "make a pipe");
		s->theirs[i] = p[i ? 1 : 0];
		s->ours[i] = p[i ? 0 : 1];
		if (maps->uids.n && fchown(p[0], uid, gid) < 0) return err_sys(e, errno, "make a pipe");
	}
	return 0;
}

static int write_request(const MonitorExec *x, Err *e)
{
	AUTO_BUF b = BUF_INIT(REQUEST_MAX);
	JsonWriter w = JSON_WRITER(&b);
	bind_encode(&monitor_exec_table, x, &w);
	if (buf_failed(&b)) return err_set(e, ERR_RESOURCE, EFBIG, "exec: the command is larger than %d bytes", REQUEST_MAX);
	int fd = fd_memory_file("exec", b.p, b.n);
	return fd < 0 ? err_sys(e, -fd, "exec: hand over the command") : fd;
}

static int check_running(Engine *g, const Record *c, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	RunState s;
	int r = engine_state(g, c, &a, &s, e);
	if (r < 0) return r;
	if (s.status == RUN_RESTARTING)
		return err_set(e, ERR_STATE, EBUSY, "Container %s is restarting, wait until the container is running", c->id);
	if (s.status != RUN_RUNNING) return err_set(e, ERR_STATE, EINVAL, "container %s is not running", c->id);
	if (engine_is_paused(g, c) > 0)
		return err_set(e, ERR_STATE, EINVAL, "Container %s is paused, unpause the container before exec", c->name);
	return 0;
}

/* The master of the terminal comes with the news of the start. */
static int await_start(int sock, int *ret_master, Err *e)
{
	static char data[WIRE_DATA_MAX];
	WireHead h;
	size_t n = 0, n_fds = 0;
	int fds[WIRE_FDS_MAX];
	int r = wire_receive(sock, &h, data, &n, fds, &n_fds);
	if (r <= 0) return err_set(e, ERR_INTERNAL, EIO, "exec: the container's monitor ended before it had started the program");
	if (h.kind == WIRE_STARTED && n_fds) *ret_master = fds[0];
	for (size_t i = h.kind == WIRE_STARTED; i < n_fds; i++)
		fd_close(fds[i]);
	return h.kind == WIRE_STARTED ? 0 : wire_error(&h, data, n, e);
}

/* What has ended meanwhile is the better reason. */
static int explain(Engine *g, const Record *c, int r, Err *e)
{
	Err why = ERR_INIT;
	int now = check_running(g, c, &why);
	if (now >= 0) return r;
	*e = why;
	return now;
}

int engine_exec(Engine *g, const Record *c, const MonitorExec *x, const ExecStreams *s, int *ret_status, AttachEnd *ret_end, Err *e)
{
	AUTO(streams_done) Streams io = { { -1, -1, -1 }, { -1, -1, -1 } };
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	IdMaps maps;
	int master = -1, r = check_running(g, c, e);
	*ret_status = 0;
	*ret_end = ATTACH_EXITED;
	if (r < 0 || (r = userns_maps(&c->host, &a, &maps, e)) < 0) return r;
	if (!x->tty && (r = open_streams(s, &maps, &io, e)) < 0) return r;
	AUTO_FD int request = write_request(x, e);
	if (request < 0) return request;
	AUTO_FD int sock = monitor_connect(g, c->id);
	if (sock < 0) {
		err_sys(e, -sock, "reach the monitor of container %s", c->name);
		return explain(g, c, sock, e);
	}
	const int fds[WIRE_EXEC_FDS] = { request, io.theirs[0], io.theirs[1], io.theirs[2] };
	r = wire_send(sock, WIRE_EXEC, x->tty ? WIRE_TTY : 0, 0, NULL, 0, fds, x->tty ? 1 : WIRE_EXEC_FDS);
	if (r < 0) return err_sys(e, -r, "ask the container's monitor");
	for (size_t i = 0; i < 3; i++)
		io.theirs[i] = fd_close(io.theirs[i]);
	if ((r = await_start(sock, &master, e)) < 0) return explain(g, c, r, e);
	if (s->detach) {
		fd_close(master);
		return 0;
	}
	const AttachOptions o = { .tty = x->tty, .input = s->interactive, .keys = s->keys };
	if (x->tty) return attach_terminal(sock, master, &o, ret_status, ret_end, e);
	return attach_pipes(sock, take_fd(io.ours[0]), take_fd(io.ours[1]), take_fd(io.ours[2]), &o, ret_status, ret_end, e);
}
