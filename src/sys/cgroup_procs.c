/* cgroup_procs.c: the processes of a control group: listing them and sending them signals. */
#include "sys/cgroup_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/time.h"

enum { DEPTH_MAX = 64, PIDS_MAX = 4 << 20, BATCH = 128, PATIENT_ROUNDS = 4 };

/* ---- walking ---- */

static void auto_dir(DIR **d)
{
	if (*d) closedir(*d);
}

static int walk(char path[static CGROUP_PATH_MAX], size_t n, int depth, CgroupVisit *fn, void *p)
{
	if (depth > DEPTH_MAX) return -ELOOP;
	AUTO_FD int fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) return -errno;
	AUTO(auto_dir) DIR *d = fdopendir(fd);
	if (!d) return -ENOMEM;
	(void)take_fd(fd);
	for (const struct dirent *at; (at = readdir(d));) {
		if (at->d_type != DT_DIR || streq(at->d_name, ".") || streq(at->d_name, "..")) continue;
		size_t len = strlen(at->d_name);
		if (n + len + 2 > CGROUP_PATH_MAX) return -ENAMETOOLONG;
		path[n] = '/';
		memcpy(path + n + 1, at->d_name, len + 1);
		int r = walk(path, n + 1 + len, depth + 1, fn, p);
		path[n] = 0;
		if (r && r != -ENOENT) return r; /* a group may vanish while we look */
	}
	return fn(path, p);
}

int cgroup_walk(const char *path, CgroupVisit *fn, void *p)
{
	char at[CGROUP_PATH_MAX];
	size_t n = strlen(path);
	if (n >= sizeof at) return -ENAMETOOLONG;
	memcpy(at, path, n + 1);
	return walk(at, n, 0, fn, p);
}

/* ---- listing ---- */

typedef struct Pids {
	Arena *a;
	U32List *list;
	size_t cap;
} Pids;

static int pids_add(Pids *p, uint32_t pid)
{
	if (p->list->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 32;
		uint32_t *items = arena_array(p->a, cap, sizeof *items);
		if (!items) return -ENOMEM;
		if (p->list->n) memcpy(items, p->list->items, p->list->n * sizeof *items);
		p->list->items = items;
		p->cap = cap;
	}
	p->list->items[p->list->n++] = pid;
	return 0;
}

/* A threaded group of v2 refuses cgroup.procs: its threads are listed instead. */
static int open_pids(const char *dir, Buf *b)
{
	static const char *const names[] = { "cgroup.procs", "cgroup.threads" };
	int r = 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[CGROUP_PATH_MAX];
		r = cgroup_file(path, dir, names[i]);
		if (r < 0) return r;
		AUTO_FD int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0) return -errno;
		r = fd_read_all(fd, b);
		if (r != -EOPNOTSUPP) return r;
	}
	return r;
}

static int visit_pids(const char *dir, void *p)
{
	AUTO_BUF b = BUF_INIT(PIDS_MAX);
	int r = open_pids(dir, &b);
	if (r == -ENODEV) return 0; /* removed while we read */
	if (r < 0) return r;
	Str rest = { b.p, b.n }, line;
	while (str_next(&rest, '\n', &line)) {
		uint32_t pid;
		if (str_to_u32(line, &pid) < 0 || !pid) continue; /* 0: a process of a pid namespace we cannot see */
		r = pids_add(p, pid);
		if (r < 0) return r;
	}
	return 0;
}

int cgroup_dir_pids(const char *path, Arena *a, U32List *list)
{
	Pids p = { .a = a, .list = list, .cap = list->n };
	return cgroup_walk(path, visit_pids, &p);
}

int cgroup_pids(const Cgroup *cg, Arena *a, U32List *ret, Err *e)
{
	U32List list = { 0 };
	const char *path = cgroup_path_processes(cg);
	int r = path ? cgroup_dir_pids(path, a, &list) : 0;
	if (r < 0 && r != -ENOENT) return err_sys(e, r, "list the processes of %s", path);
	*ret = list;
	return 0;
}

/* ---- signals ---- */

static bool list_has(const U32List *l, uint32_t pid)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i] == pid) return true;
	return false;
}

/* Sends to the processes pids[0..n) that are surely still those of the group: each is held by a pidfd while the group is
 * read again, and nobody else can take a pid that is held by a live process. Returns how many were signalled. */
static int signal_batch(const char *path, const uint32_t *pids, size_t n, int signal, Arena *a)
{
	int fds[BATCH], sent = 0;
	pid_t self = getpid();
	for (size_t i = 0; i < n; i++)
		fds[i] = pids[i] <= 1 || (pid_t)pids[i] == self ? -1 : (int)syscall(SYS_pidfd_open, (pid_t)pids[i], 0);
	U32List still = { 0 };
	int r = cgroup_dir_pids(path, a, &still);
	for (size_t i = 0; i < n; i++) {
		if (fds[i] >= 0 && r >= 0 && list_has(&still, pids[i]) && syscall(SYS_pidfd_send_signal, fds[i], signal, NULL, 0) == 0)
			sent++;
		fd_close(fds[i]);
	}
	return r < 0 ? r : sent;
}

/* One round over all. Returns how many processes are in the group (those that must not be signalled left out). */
static int signal_round(const char *path, int signal)
{
	AUTO_ARENA a = ARENA_INIT(32 << 20);
	U32List pids = { 0 };
	int r = cgroup_dir_pids(path, &a, &pids);
	if (r < 0) return r == -ENOENT ? 0 : r;
	size_t count = 0;
	for (size_t i = 0; i < pids.n; i++)
		count += pids.items[i] > 1 && (pid_t)pids.items[i] != getpid();
	for (size_t i = 0; i < pids.n && r >= 0; i += BATCH)
		r = signal_batch(path, pids.items + i, pids.n - i < BATCH ? pids.n - i : BATCH, signal, &a);
	if (r < 0 && r != -ENOENT) return r;
	return (int)count;
}

/* Kills until nobody is left. What forks faster than we kill is frozen first from some round on. */
static int kill_all(const Cgroup *cg, const char *path, Err *e)
{
	int64_t deadline = time_monotonic() + INT64_C(10) * 1000000000, step = 0;
	for (int round = 0;; round++) {
		Err ignored = ERR_INIT;
		bool froze = round >= PATIENT_ROUNDS && cgroup_freeze(cg, true, &ignored) >= 0;
		int left = signal_round(path, SIGKILL);
		if (froze || round == 0) (void)!cgroup_freeze(cg, false, &ignored); /* paused processes die when they run */
		if (left < 0) return err_sys(e, left, "kill the processes of %s", path);
		if (left == 0) return 0;
		if (!cgroup_nap(deadline, &step))
			return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "%d processes of %s do not end after SIGKILL", left, path);
	}
}

int cgroup_signal(const Cgroup *cg, int signal, Err *e)
{
	const char *path = cgroup_path_processes(cg);
	if (!path) return 0;
	if (signal != SIGKILL) {
		int r = signal_round(path, signal);
		return r < 0 ? err_sys(e, r, "send signal %d to the processes of %s", signal, path) : 0;
	}
	const char *v2 = cgroup_path_v2(cg);
	int r = v2 ? cgroup_put(v2, "cgroup.kill", "1") : -ENOENT;
	if (r >= 0 && cg->layout == CGROUP_V2) return 0;
	return kill_all(cg, path, e);
}
