/* idmap.c: see idmap.h. */
#include "sys/idmap.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "sys/path.h"
#include "sys/proc.h"

enum {
	MAP_TEXT_MAX = IDMAP_MAX * 33 + 1, /* three numbers of ten digits, two blanks, a newline */
	HELPER_TIMEOUT_MS = 10000,
};

#define ROW(key, field) \
	{ \
		.name = (key), .kind = BIND_U32, .offset = offsetof(IdMapping, field), .flags = BIND_REQUIRED | BIND_ALWAYS \
	}
BIND_TABLE(idmap_table, "id mapping", IdMapping, ROW("containerID", container_id), ROW("hostID", host_id), ROW("size", size));

static bool overlaps(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return a < (uint64_t)b + b_size && b < (uint64_t)a + a_size;
}

int idmap_check(const IdMappings *m, const char *what, Err *e)
{
	if (m->n > IDMAP_MAX) return err_set(e, ERR_CONFIG, EINVAL, "%s: %zu entries, the kernel takes %d at most", what, m->n, IDMAP_MAX);
	for (size_t i = 0; i < m->n; i++) {
		const IdMapping *a = &m->items[i];
		if (!a->size) return err_set(e, ERR_CONFIG, EINVAL, "%s[%zu]: size is 0", what, i);
		/* the last id, 2^32 - 1, means "none" and cannot be mapped */
		if ((uint64_t)a->container_id + a->size > UINT32_MAX || (uint64_t)a->host_id + a->size > UINT32_MAX)
			return err_set(e, ERR_CONFIG, EINVAL, "%s[%zu]: %u %u %u goes beyond the highest id, %u", what, i, a->container_id,
				       a->host_id, a->size, UINT32_MAX - 1);
		for (size_t k = 0; k < i; k++) {
			const IdMapping *b = &m->items[k];
			if (overlaps(a->container_id, a->size, b->container_id, b->size))
				return err_set(e, ERR_CONFIG, EINVAL, "%s[%zu]: container ids overlap those of entry %zu", what, i, k);
			if (overlaps(a->host_id, a->size, b->host_id, b->size))
				return err_set(e, ERR_CONFIG, EINVAL, "%s[%zu]: host ids overlap those of entry %zu", what, i, k);
		}
	}
	return 0;
}

void idmap_format(const IdMappings *m, Buf *out)
{
	for (size_t i = 0; i < m->n; i++)
		buf_printf(out, "%u %u %u\n", m->items[i].container_id, m->items[i].host_id, m->items[i].size);
}

int idmap_to_host(const IdMappings *m, uint32_t id, uint32_t *ret)
{
	for (size_t i = 0; i < m->n; i++) {
		const IdMapping *a = &m->items[i];
		if (id < a->container_id || id - a->container_id >= a->size) continue;
		*ret = a->host_id + (id - a->container_id);
		return 0;
	}
	return -ENOENT;
}

int idmap_to_container(const IdMappings *m, uint32_t id, uint32_t *ret)
{
	for (size_t i = 0; i < m->n; i++) {
		const IdMapping *a = &m->items[i];
		if (id < a->host_id || id - a->host_id >= a->size) continue;
		*ret = a->container_id + (id - a->host_id);
		return 0;
	}
	return -ENOENT;
}

bool idmap_equal(const IdMappings *a, const IdMappings *b)
{
	return a->n == b->n && (!a->n || memcmp(a->items, b->items, a->n * sizeof *a->items) == 0);
}

/* ---- reading ---- */

/* Numbers with blanks around them, three a line. */
static int parse_line(Str line, IdMapping *ret)
{
	uint32_t *const to[] = { &ret->container_id, &ret->host_id, &ret->size };
	for (size_t i = 0; i < ARRAY_LEN(to); i++) {
		Str number;
		str_cut(str_trim(line), ' ', &number, &line);
		if (str_to_u32(number, to[i]) < 0) return -EINVAL;
	}
	return str_trim(line).n ? -EINVAL : 0;
}

int idmap_parse(Str text, Arena *a, IdMappings *ret)
{
	Str line;
	IdMappings l = { .items = arena_array(a, IDMAP_MAX, sizeof *l.items) };
	if (!l.items) return -ENOMEM;
	while (str_next(&text, '\n', &line)) {
		if (!str_trim(line).n) continue;
		if (l.n == IDMAP_MAX || parse_line(line, &l.items[l.n++]) < 0) return -EINVAL;
	}
	*ret = l;
	return 0;
}

static int read_map(pid_t pid, const char *file, Arena *a, IdMappings *ret, Err *e)
{
	char path[48], *text;
	size_t n;
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	int r = fd_read_file(AT_FDCWD, path, MAP_TEXT_MAX, a, &text, &n, e);
	if (r < 0) return r;
	r = idmap_parse((Str){ text, n }, a, ret);
	return r < 0 ? err_sys(e, r, "read %s", path) : 0;
}

int idmap_read(pid_t pid, Arena *a, IdMaps *ret, Err *e)
{
	IdMaps m;
	int r = read_map(pid, "uid_map", a, &m.uids, e);
	if (r < 0 || (r = read_map(pid, "gid_map", a, &m.gids, e)) < 0) return r;
	*ret = m;
	return 0;
}

/* ---- writing ---- */

/* One of the two maps of a process. */
typedef struct Map {
	const char *file;   /* "uid_map" */
	const char *helper; /* "newuidmap" */
	const IdMappings *ids;
	uint32_t own; /* the caller's own id */
} Map;

static int proc_write(int proc_pid, const char *file, const char *text, size_t n)
{
	AUTO_FD int fd = path_open_beneath(proc_pid, file, O_WRONLY);
	if (fd < 0) return fd;
	int r = path_is_fs(fd, PROC_SUPER_MAGIC);
	if (r < 0) return r;
	ssize_t k = retry_eintr(write(fd, text, n));
	return k < 0 ? -errno : (size_t)k == n ? 0 : -EIO;
}

/* What the helper says on its stderr, up to its end of file, within the deadline. */
static int helper_listen(int fd, Buf *said)
{
	int64_t deadline = time_monotonic() + INT64_C(1000000) * HELPER_TIMEOUT_MS;
	char chunk[512];
	for (;;) {
		int64_t left = (deadline - time_monotonic()) / 1000000;
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int r = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (r < 0 && errno == EINTR) continue;
		if (r <= 0) return r < 0 ? -errno : -ETIMEDOUT;
		ssize_t n = read(fd, chunk, sizeof chunk);
		if (n < 0 && errno == EINTR) continue;
		if (n <= 0) return (int)n;
		buf_put(said, chunk, (size_t)n);
	}
}

static int helper_spawn(const char *path, char **argv, int err_fd, pid_t *ret)
{
	static const char env[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *envp[] = { (char *)(uintptr_t)env, NULL };
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);
	if (r) return -r;
	r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	if (!r) r = posix_spawn_file_actions_adddup2(&actions, 0, 1);
	if (!r) r = posix_spawn_file_actions_adddup2(&actions, err_fd, 2);
	if (!r) r = posix_spawn(ret, path, &actions, NULL, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int helper_run(const char *path, char **argv, Err *e)
{
	int ends[2];
	pid_t child = 0;
	if (pipe2(ends, O_CLOEXEC) < 0) return err_sys(e, errno, "pipe for %s", path);
	AUTO_FD int from = ends[0];
	int r = helper_spawn(path, argv, ends[1], &child);
	fd_close(ends[1]);
	if (r < 0) return err_sys(e, r, "start %s", path);
	AUTO_BUF said = BUF_INIT(2048);
	int heard = helper_listen(from, &said);
	if (heard < 0) kill(child, SIGKILL);
	int status = 0;
	if (retry_eintr(waitpid(child, &status, 0)) < 0) return err_sys(e, errno, "wait for %s", path);
	if (heard < 0) return err_sys(e, heard, "%s", path);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
	Str text = str_trim(str_of(buf_str(&said)));
	return err_set(e, ERR_PERMISSION, EPERM, "%s failed: %.*s", path, text.n ? (int)text.n : 10, text.n ? text.p : "no message");
}

/* The helpers are set-user-ID programs of the system: never looked for along the caller's PATH. */
static const char *helper_find(const char *name, Arena *a)
{
	static const char *const dirs[] = { "/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/run/wrappers/bin" };
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		char *path = arena_printf(a, "%s/%s", dirs[i], name);
		if (path && access(path, X_OK) == 0) return path;
	}
	return NULL;
}

static int map_by_helper(const Map *m, pid_t pid, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(256 * 1024);
	const char *path = helper_find(m->helper, &a);
	if (!path)
		return err_set(
			e, ERR_PERMISSION, EPERM,
			"write %s: operation not permitted, and %s is not installed (Debian and Fedora: package uidmap, shadow-utils)",
			m->file, m->helper);
	char **argv = arena_array(&a, m->ids->n * 3 + 3, sizeof *argv);
	if (!argv) return err_sys(e, ENOMEM, "%s", m->helper);
	size_t n = 0;
	argv[n++] = arena_strdup(&a, m->helper);
	argv[n++] = arena_printf(&a, "%d", (int)pid);
	for (size_t i = 0; i < m->ids->n; i++) {
		argv[n++] = arena_printf(&a, "%u", m->ids->items[i].container_id);
		argv[n++] = arena_printf(&a, "%u", m->ids->items[i].host_id);
		argv[n++] = arena_printf(&a, "%u", m->ids->items[i].size);
	}
	for (size_t i = 0; i < n; i++)
		if (!argv[i]) return err_sys(e, ENOMEM, "%s", m->helper);
	return helper_run(path, argv, e);
}

static int deny(int proc_pid, Err *e)
{
	int r = proc_write(proc_pid, "setgroups", "deny", 4);
	return r < 0 ? err_sys(e, r, "write \"deny\" to setgroups") : 0;
}

static int map_write(const Map *m, int proc_pid, pid_t pid, bool deny_setgroups, bool is_gid, Err *e)
{
	if (!m->ids->n) return 0;
	AUTO_BUF text = BUF_INIT(MAP_TEXT_MAX);
	idmap_format(m->ids, &text);
	if (buf_failed(&text)) return err_sys(e, ENOMEM, "%s", m->file);
	int r = proc_write(proc_pid, m->file, text.p, text.n);
	if (r >= 0) return 0;
	if (r == -EACCES) return err_sys(e, r, "write %s (a process that is not dumpable can only be mapped by root)", m->file);
	if (r != -EPERM) return err_sys(e, r, "write %s", m->file);
	bool own = m->ids->n == 1 && m->ids->items[0].size == 1 && m->ids->items[0].host_id == m->own;
	if (is_gid && own && !deny_setgroups) { /* what an unprivileged writer must do first: user_namespaces(7) */
		r = deny(proc_pid, e);
		if (r < 0) return r;
		r = proc_write(proc_pid, m->file, text.p, text.n);
		if (r >= 0) return 0;
	}
	return map_by_helper(m, pid, e);
}

int idmap_write(int proc_pid, pid_t pid, const IdMappings *uids, const IdMappings *gids, bool deny_setgroups, Err *e)
{
	AUTO_FD int own = -1;
	if (proc_pid < 0) {
		char path[32];
		snprintf(path, sizeof path, "/proc/%d", (int)pid);
		proc_pid = own = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (own < 0) return err_sys(e, errno, "open %s", path);
	}
	int r = deny_setgroups ? deny(proc_pid, e) : 0;
	if (r < 0) return r;
	Map uid_map = { .file = "uid_map", .helper = "newuidmap", .ids = uids, .own = geteuid() };
	Map gid_map = { .file = "gid_map", .helper = "newgidmap", .ids = gids, .own = getegid() };
	r = map_write(&uid_map, proc_pid, pid, deny_setgroups, false, e);
	return r < 0 ? r : map_write(&gid_map, proc_pid, pid, deny_setgroups, true, e);
}

/* ---- a namespace to keep ---- */

/* A child that sits in a new user namespace until *ret_hold, the write end of a pipe, is closed. Returns its pid. */
static pid_t userns_child(int *ret_hold, int *ret_pidfd)
{
	int ends[2], pidfd = -1;
	if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_PIDFD, .exit_signal = SIGCHLD, .pidfd = (uint64_t)(uintptr_t)&pidfd };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (pid == 0) {
		char c;
		close(ends[1]);
		ssize_t n = retry_eintr(read(ends[0], &c, 1));
		_exit(n < 0);
	}
	int r = -errno;
	fd_close(ends[0]);
	if (pid < 0) {
		fd_close(ends[1]);
		return r;
	}
	*ret_hold = ends[1];
	*ret_pidfd = pidfd;
	return pid;
}

static int userns_open(pid_t pid, const IdMappings *uids, const IdMappings *gids, Err *e)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/%d", (int)pid);
	AUTO_FD int dir = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0) return err_sys(e, errno, "open %s", path);
	int r = path_is_fs(dir, PROC_SUPER_MAGIC);
	if (r < 0) return err_sys(e, r, "%s is not on procfs", path);
	r = idmap_write(dir, pid, uids, gids, false, e);
	if (r < 0) return r;
	int fd = openat(dir, "ns/user", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open %s/ns/user", path) : fd;
}

int idmap_userns_fd(const IdMappings *uids, const IdMappings *gids, Err *e)
{
	AUTO_FD int pidfd = -1;
	int hold = -1, status = 0;
	pid_t pid = userns_child(&hold, &pidfd);
	if (pid < 0) return err_sys(e, pid, "create a user namespace for an id mapping");
	int fd = userns_open(pid, uids, gids, e);
	fd_close(hold);
	int r = pid_wait(pidfd, &status);
	if (r < 0 && r != -ECHILD && fd >= 0) { /* ECHILD: SIGCHLD is ignored, nothing to reap */
		fd_close(fd);
		return err_sys(e, r, "wait for the child of a user namespace");
	}
	return fd < 0 ? err_wrap(e, "user namespace for an id mapping") : fd;
}

/* ---- the maps of a namespace ---- */

static _Noreturn void sit_in(int userns, int sock)
{
	unsigned char c = setns(userns, CLONE_NEWUSER) < 0 ? (unsigned char)errno : 0;
	if (retry_eintr(write(sock, &c, 1)) == 1) (void)!retry_eintr(read(sock, &c, 1)); /* until the other end is closed */
	_exit(0);
}

int idmap_of_userns(int fd, Arena *a, IdMaps *ret, Err *e)
{
	int ends[2], status;
	unsigned char why = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) return err_sys(e, errno, "look at a user namespace");
	AUTO_FD int ours = ends[0], theirs = ends[1];
	pid_t pid = fork();
	if (pid < 0) return err_sys(e, errno, "look at a user namespace");
	if (pid == 0) {
		fd_close(ours);
		sit_in(fd, theirs);
	}
	theirs = fd_close(theirs);
	ssize_t n = retry_eintr(read(ours, &why, 1));
	int r = n != 1 ? err_sys(e, EIO, "look at a user namespace") : why ? err_sys(e, why, "join the user namespace") : 0;
	if (r >= 0) r = idmap_read(pid, a, ret, e);
	ours = fd_close(ours);
	if (retry_eintr(waitpid(pid, &status, 0)) < 0 && errno != ECHILD && r >= 0) r = err_sys(e, errno, "look at a user namespace");
	return r;
}
