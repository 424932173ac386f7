/* run_state.c: see run_state.h. */
#include "monitor/run_state.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"

#define ROW(T, json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(T, field), ##__VA_ARGS__ \
	}

const BindName run_status_names[] = {
	{ "created", RUN_CREATED }, { "running", RUN_RUNNING }, { "restarting", RUN_RESTARTING },
	{ "exited", RUN_EXITED },   { "dead", RUN_DEAD },       { 0 },
};

BIND_TABLE(health_result_table, "result", HealthResult, ROW(HealthResult, "start", BIND_I64, start),
	   ROW(HealthResult, "end", BIND_I64, end), ROW(HealthResult, "exitCode", BIND_I32, exit_code),
	   ROW(HealthResult, "output", BIND_STRING, output));
BIND_TABLE(run_health_table, "health", RunHealth, ROW(RunHealth, "status", BIND_STRING, status),
	   ROW(RunHealth, "failingStreak", BIND_I32, failing_streak), ROW(RunHealth, "log", BIND_LIST, log, .sub = &health_result_table));

#define S(json_name, k, field, ...) ROW(RunState, json_name, k, field, ##__VA_ARGS__)
BIND_TABLE(run_state_table, "state", RunState, S("status", BIND_ENUM, status, .sub = run_status_names, .flags = BIND_REQUIRED),
	   S("pid", BIND_I64, pid), S("startTime", BIND_U64, start_time), S("startedAt", BIND_I64, started_at),
	   S("finishedAt", BIND_I64, finished_at), S("exitCode", BIND_I32, exit_code), S("error", BIND_STRING, error),
	   S("oomKilled", BIND_BOOL, oom_killed), S("stoppedByUser", BIND_BOOL, stopped_by_user),
	   S("restartCount", BIND_I32, restart_count), S("backoff", BIND_I64, backoff), S("boot", BIND_STRING, boot),
	   S("health", BIND_POINTER, health, .sub = &run_health_table), S("dropped", BIND_U64, dropped),
	   S("logDropped", BIND_U64, log_dropped));
#undef S

enum { BLOCK = 4096, READS = 3 };

static int read_once(int dir, bool last, Arena *a, RunState *ret, Err *e)
{
	char *text;
	size_t n;
	int r = fd_read_file(dir, "state.json", RUN_STATE_MAX, a, &text, &n, e);
	if (r == -ENOENT) {
		*ret = (RunState){ .status = RUN_CREATED };
		return 1;
	}
	if (r < 0) return r;
	Err damaged = ERR_INIT;
	if (bind_parse(&run_state_table, text, n, ret, "state.json", a, &damaged) >= 0) return 1;
	if (last) *ret = (RunState){ .status = RUN_EXITED, .exit_code = 255, .error = "what became of it was lost in a power cut" };
	return last;
}

int run_state_read(int dir, Arena *a, RunState *ret, Err *e)
{
	int r = 0;
	for (int i = 1; r == 0; i++)
		r = read_once(dir, i == READS, a, ret, e);
	return r < 0 ? r : 0;
}

/* The disk is full, and what has ended must not be told to run: over the old text, in the block that it has. Who reads in that moment finds no
 * JSON, and reads again. */
static int write_over(int dir, const Buf *b)
{
	char text[BLOCK];
	struct stat st;
	AUTO_FD int fd = openat(dir, "state.json", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0) return -errno;
	if (b->n > BLOCK || st.st_size > BLOCK || st.st_blocks * 512 < BLOCK) return -ENOSPC;
	size_t n = (size_t)st.st_size > b->n ? (size_t)st.st_size : b->n;
	memset(text, ' ', sizeof text);
	memcpy(text, b->p, b->n);
	return pwrite(fd, text, n, 0) == (ssize_t)n ? 0 : -EIO;
}

int run_state_write(int dir, const RunState *s, bool durable, Err *e)
{
	AUTO_BUF b = BUF_INIT(RUN_STATE_MAX);
	JsonWriter w = JSON_WRITER(&b);
	bind_encode(&run_state_table, s, &w);
	if (buf_failed(&b)) return err_sys(e, ENOMEM, "write the container's state");
	int r = fd_replace_file(dir, "state.json", b.p, b.n, 0600, durable ? REPLACE_DURABLE : REPLACE_LAZY, e);
	return r == -ENOSPC || r == -EDQUOT ? (write_over(dir, &b) < 0 ? r : 0) : r;
}

/* It was made with the directory: nobody makes one in what is being removed. */
static int open_lock(int dir)
{
	int fd = openat(dir, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static struct flock whole_file(void)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
}

int run_lock(int dir, Err *e)
{
	struct flock l = whole_file();
	AUTO_FD int fd = open_lock(dir);
	if (fd < 0) return err_sys(e, -fd, "open the container's lock");
	if (fcntl(fd, F_OFD_SETLK, &l) < 0)
		return errno == EAGAIN || errno == EACCES ? err_set(e, ERR_STATE, EBUSY, "another command is at work on it")
							  : err_sys(e, errno, "lock the container");
	return take_fd(fd);
}

/* Polling: the kernel tells nobody that such a lock is free but who waits for it without a deadline. */
int run_lock_wait(int dir, int timeout_ms, Err *e)
{
	int64_t until = time_monotonic() + (int64_t)timeout_ms * 1000000;
	for (long pause = 100000;; pause = pause < 10000000 ? pause * 2 : pause) {
		Err why = ERR_INIT;
		int fd = run_lock(dir, &why);
		if (fd < 0 && (fd != -EBUSY || time_monotonic() >= until)) *e = why;
		if (fd != -EBUSY || time_monotonic() >= until) return fd;
		const struct timespec t = { .tv_nsec = pause };
		nanosleep(&t, NULL);
	}
}

int run_is_locked(int dir)
{
	struct flock l = whole_file();
	AUTO_FD int fd = openat(dir, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) return errno == ENOENT ? 0 : -errno;
	if (fcntl(fd, F_OFD_GETLK, &l) < 0) return -errno;
	return l.l_type != F_UNLCK;
}

int boot_id(char text[static BOOT_ID_SIZE])
{
	ssize_t n = fd_read_small(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text, BOOT_ID_SIZE);
	return n < 0 ? (int)n : 0;
}

int run_state_load(int dir, Arena *a, RunState *ret, bool *ret_lost, Err *e)
{
	*ret_lost = false;
	for (int attempt = 0;; attempt++) {
		int r = run_state_read(dir, a, ret, e);
		if (r < 0 || (ret->status != RUN_RUNNING && ret->status != RUN_RESTARTING)) return r;
		if ((r = run_is_locked(dir)) < 0) return err_sys(e, -r, "look at the container's lock");
		*ret_lost = r > 0 && ret->status == RUN_RUNNING && ret->error; /* somebody is just ending what is left of it */
		if (r > 0) return 0;
		if (attempt == 1) break; /* read again: it may have ended, and told, between the two looks */
	}
	*ret_lost = true;
	return 0;
}
