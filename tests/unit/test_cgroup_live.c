/* test_cgroup_live.c: a control group on this machine's kernel, from plan to removal. Needs root and a writable cgroup file system
 * and skips without; everything is made below /skep-test-<pid> and removed in the end. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "check.h"
#include "sys/cgroup_impl.h"

enum { WAIT_MS = 10000 };

static char top[64]; /* "/skep-test-<pid>" */
static const char *skip_reason;

typedef struct Box {
	Arena arena;
	Cgroup cg;
	Err e;
	char path[96];
} Box;

static void plan_at(Box *b, const char *path)
{
	CgroupRequest req = { .path = path, .id = "box", .driver = CGROUP_FS };
	if (cgroup_plan(&req, &b->arena, &b->cg, &b->e) < 0) fail_msg("%s", b->e.msg);
}

static int start(void **state)
{
	static Box b;
	static unsigned count;
	b = (Box){ .arena = ARENA_INIT(4 << 20) };
	*state = &b;
	if (skip_reason) return 0;
	snprintf(b.path, sizeof b.path, "%s/%u", top, count++);
	plan_at(&b, b.path);
	return 0;
}

static int finish(void **state)
{
	Box *b = *state;
	int r = 0;
	if (!skip_reason) {
		plan_at(b, b->path); /* all hierarchies again, whatever the test dropped */
		if (cgroup_signal(&b->cg, SIGKILL, &b->e) < 0) r = -1;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (cgroup_remove(&b->cg, WAIT_MS, &b->e) < 0) r = -1;
	}
	arena_done(&b->arena);
	return r;
}

#define NEEDS_KERNEL() \
	do { \
		if (!skip_reason) break; \
		print_message("skipped: %s\n", skip_reason); \
		skip(); \
	} while (0)
/* Only one hierarchy of v1 is looked at in such a test. */
#define NEEDS_V1(b, controller) \
	do { \
		NEEDS_KERNEL(); \
		if (cgroup_path_v1(&(b)->cg, controller)) break; \
		print_message("skipped: no v1 %s controller here\n", controller); \
		skip(); \
	} while (0)
#define OK(b, call) \
	do { \
		if ((call) < 0) fail_msg("%s: %s", #call, (b)->e.msg); \
	} while (0)

static void expect_file(const char *dir, const char *file, const char *want)
{
	char text[256];
	if (!dir) return;
	if (cgroup_get(dir, file, text, sizeof text) < 0) fail_msg("%s/%s: %s", dir, file, strerror(errno));
	assert_string_equal(text, want);
}

static bool exists(const char *path)
{
	return faccessat(AT_FDCWD, path, F_OK, 0) == 0;
}

static void expect_gone(const Cgroup *cg)
{
	for (size_t i = 0; i < cg->hierarchies.n; i++)
		if (exists(cg->hierarchies.items[i].path)) fail_msg("%s is still there", cg->hierarchies.items[i].path);
}

/* A child in the group that runs fn; its first byte on the pipe says that it is in. */
static pid_t enter(Box *b, void (*fn)(void))
{
	int fds[CGROUP_JOIN_MAX], ready[2];
	size_t n;
	char c;
	OK(b, cgroup_open_join(&b->cg, true, fds, &n, &b->e));
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (cgroup_join_self(fds, n) < 0 || write(ready[1], "x", 1) != 1) _exit(1);
		fn();
		_exit(0);
	}
	assert_true(pid > 0);
	close(ready[1]);
	while (n)
		close(fds[--n]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void rest(void)
{
	for (;;)
		pause();
}

static int end_of(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* ---- tests ---- */

static void limits_arrive_in_the_files(void **state)
{
	Box *b = *state;
	NEEDS_KERNEL();
	CgroupResources r = {
		.memory = { .limit = { true, 64 << 20 }, .reservation = { true, 32 << 20 } },
		.cpu = { .shares = { true, 512 }, .quota = { true, 50000 }, .period = { true, 200000 }, .cpus = "0" },
		.pids_limit = { true, 77 },
	};
	OK(b, cgroup_create(&b->cg, &r, &b->e));
	OK(b, cgroup_apply(&b->cg, &r, false, &b->e));
	if (b->cg.layout == CGROUP_V2) {
		const char *dir = cgroup_path_v2(&b->cg);
		expect_file(dir, "memory.max", "67108864");
		expect_file(dir, "cpu.max", "50000 200000");
		expect_file(dir, "pids.max", "77");
	} else {
		expect_file(cgroup_path_v1(&b->cg, "memory"), "memory.limit_in_bytes", "67108864");
		expect_file(cgroup_path_v1(&b->cg, "memory"), "memory.soft_limit_in_bytes", "33554432");
		expect_file(cgroup_path_v1(&b->cg, "cpu"), "cpu.cfs_quota_us", "50000");
		expect_file(cgroup_path_v1(&b->cg, "cpu"), "cpu.cfs_period_us", "200000");
		expect_file(cgroup_path_v1(&b->cg, "cpu"), "cpu.shares", "512");
		expect_file(cgroup_path_v1(&b->cg, "cpuset"), "cpuset.cpus", "0");
		expect_file(cgroup_path_v1(&b->cg, "pids"), "pids.max", "77");
	}
	CgroupResources more = { .memory = { .limit = { true, 128 << 20 } }, .cpu.quota = { true, 20000 }, .pids_limit = { true, -1 } };
	OK(b, cgroup_apply(&b->cg, &more, true, &b->e));
	expect_file(cgroup_path_v1(&b->cg, "cpu"), "cpu.cfs_period_us", "200000");
	expect_file(cgroup_path_v1(&b->cg, "pids"), "pids.max", "max");
	OK(b, cgroup_remove(&b->cg, 0, &b->e));
	expect_gone(&b->cg);
}

static void a_child_enters_every_hierarchy(void **state)
{
	Box *b = *state;
	char file[64], text[8192];
	NEEDS_KERNEL();
	OK(b, cgroup_create(&b->cg, NULL, &b->e));
	pid_t pid = enter(b, rest);
	snprintf(file, sizeof file, "/proc/%d/cgroup", pid);
	assert_true(fd_read_small(AT_FDCWD, file, text, sizeof text) > 0);
	Str lines = str_of(text), line;
	size_t in = 0;
	while (str_next(&lines, '\n', &line)) {
		size_t n = strlen(b->path);
		in += line.n >= n && memcmp(line.p + line.n - n, b->path, n) == 0;
	}
	assert_int_equal(in, b->cg.hierarchies.n);
	U32List pids;
	OK(b, cgroup_pids(&b->cg, &b->arena, &pids, &b->e));
	assert_int_equal(pids.n, 1);
	assert_int_equal(pids.items[0], pid);
	assert_true(cgroup_is_busy(&b->cg));
	OK(b, cgroup_signal(&b->cg, SIGTERM, &b->e));
	assert_int_equal(WTERMSIG(end_of(pid)), SIGTERM);
	assert_false(cgroup_is_busy(&b->cg));
}

static void a_group_in_use_is_refused_and_left(void **state)
{
	Box *b = *state;
	NEEDS_KERNEL();
	OK(b, cgroup_create(&b->cg, NULL, &b->e));
	pid_t pid = enter(b, rest);
	assert_int_equal(cgroup_create(&b->cg, NULL, &b->e), -EBUSY);
	assert_non_null(strstr(b->e.msg, "container's cgroup is not empty"));
	OK(b, cgroup_signal(&b->cg, SIGKILL, &b->e));
	end_of(pid);
	for (size_t i = 0; i < b->cg.hierarchies.n; i++)
		assert_true(exists(b->cg.hierarchies.items[i].path));
	OK(b, cgroup_create(&b->cg, NULL, &b->e)); /* empty again: taken as it is */
	OK(b, cgroup_freeze(&b->cg, true, &b->e));
	assert_int_equal(cgroup_create(&b->cg, NULL, &b->e), -EBUSY);
	assert_non_null(strstr(b->e.msg, "container's cgroup unexpectedly frozen"));
	OK(b, cgroup_freeze(&b->cg, false, &b->e));
}

static void a_failed_creation_leaves_nothing(void **state)
{
	Box *b = *state;
	char parent[128];
	NEEDS_V1(b, "cpuset");
	snprintf(parent, sizeof parent, "%s/deep", b->path);
	char *path = arena_printf(&b->arena, "%s/er/x", parent);
	plan_at(b, path);
	CgroupResources r = { .cpu.cpus = "4095" };
	assert_true(cgroup_create(&b->cg, &r, &b->e) < 0);
	assert_non_null(strstr(b->e.msg, "write \"4095\" to "));
	plan_at(b, b->path);
	expect_gone(&b->cg);
}

/* The state letter of a process, once it is `want` or after a while. */
static char state_of(pid_t pid, char want)
{
	char file[64], text[512];
	int64_t deadline = time_monotonic() + INT64_C(2) * 1000000000, step = 0;
	snprintf(file, sizeof file, "/proc/%d/stat", pid);
	do {
		if (fd_read_small(AT_FDCWD, file, text, sizeof text) <= 0) return 0;
		const char *p = strrchr(text, ')');
		if (p && p[2] == want) return want;
	} while (cgroup_nap(deadline, &step));
	return strrchr(text, ')')[2];
}

static void spin(void)
{
	for (volatile unsigned i = 0;; i++)
		;
}

static void a_frozen_group_stands_still(void **state)
{
	Box *b = *state;
	NEEDS_KERNEL();
	OK(b, cgroup_create(&b->cg, NULL, &b->e));
	pid_t pid = enter(b, spin);
	assert_int_equal(cgroup_is_frozen(&b->cg), 0);
	OK(b, cgroup_freeze(&b->cg, true, &b->e));
	assert_int_equal(cgroup_is_frozen(&b->cg), 1);
	assert_int_not_equal(state_of(pid, 'D'), 'R');
	OK(b, cgroup_freeze(&b->cg, false, &b->e));
	assert_int_equal(cgroup_is_frozen(&b->cg), 0);
	assert_int_equal(state_of(pid, 'R'), 'R');
	OK(b, cgroup_freeze(&b->cg, true, &b->e));
	OK(b, cgroup_signal(&b->cg, SIGKILL, &b->e)); /* paused processes die too */
	assert_int_equal(WTERMSIG(end_of(pid)), SIGKILL);
}

/* Everyone forks and goes on: a small storm that keeps moving. */
static void storm(void)
{
	for (;;) {
		pid_t pid = fork();
		if (pid == 0) continue;
		if (pid > 0 && fork() == 0) _exit(0);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

static void a_kill_outruns_forks(void **state)
{
	Box *b = *state;
	NEEDS_KERNEL();
	CgroupResources r = { .pids_limit = { true, 100 } };
	OK(b, cgroup_create(&b->cg, &r, &b->e));
	OK(b, cgroup_apply(&b->cg, &r, false, &b->e));
	pid_t pid = enter(b, storm);
	uint64_t n = 0;
	int64_t deadline = time_monotonic() + INT64_C(2) * 1000000000, step = 0;
	const char *dir = b->cg.layout == CGROUP_V2 ? cgroup_path_v2(&b->cg) : cgroup_path_v1(&b->cg, "pids");
	while (cgroup_get_u64(dir, "pids.current", &n) == 0 && n < 30)
		if (!cgroup_nap(deadline, &step)) break;
	assert_true(n >= 30);
	OK(b, cgroup_signal(&b->cg, SIGKILL, &b->e));
	end_of(pid);
	OK(b, cgroup_remove(&b->cg, WAIT_MS, &b->e));
	expect_gone(&b->cg);
}

static void groups_made_below_go_too(void **state)
{
	Box *b = *state;
	NEEDS_KERNEL();
	OK(b, cgroup_create(&b->cg, NULL, &b->e));
	const char *dir = cgroup_path_processes(&b->cg);
	char *sub = arena_printf(&b->arena, "%s/a", dir), *deep = arena_printf(&b->arena, "%s/a/b", dir);
	assert_int_equal(mkdir(sub, 0755), 0);
	assert_int_equal(mkdir(deep, 0755), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (cgroup_put(deep, "cgroup.procs", "0") < 0) _exit(1);
		rest();
	}
	U32List pids = { 0 };
	int64_t deadline = time_monotonic() + INT64_C(2) * 1000000000, step = 0;
	while (!pids.n && cgroup_nap(deadline, &step))
		OK(b, cgroup_pids(&b->cg, &b->arena, &pids, &b->e));
	assert_int_equal(pids.n, 1);
	assert_int_equal(cgroup_remove(&b->cg, 0, &b->e), -EBUSY);
	OK(b, cgroup_signal(&b->cg, SIGKILL, &b->e));
	end_of(pid);
	OK(b, cgroup_remove(&b->cg, WAIT_MS, &b->e));
	expect_gone(&b->cg);
	OK(b, cgroup_remove(&b->cg, 0, &b->e)); /* nothing there is success */
}

static void open_devices(void)
{
	bool null_open = open("/dev/null", O_RDWR | O_CLOEXEC) >= 0, full_open = open("/dev/full", O_RDONLY | O_CLOEXEC) >= 0;
	_exit(null_open && !full_open && errno == EPERM ? 42 : 1);
}

static void only_allowed_devices_open(void **state)
{
	Box *b = *state;
	NEEDS_KERNEL();
	CgroupDeviceRule rules[] = { { .allow = false, .access = "rwm" },
				     { .allow = true, .type = "c", .major = { true, 1 }, .minor = { true, 3 }, .access = "rw" } };
	CgroupResources r = { .devices = { rules, 2 } };
	OK(b, cgroup_create(&b->cg, &r, &b->e));
	OK(b, cgroup_apply(&b->cg, &r, false, &b->e));
	assert_int_equal(WEXITSTATUS(end_of(enter(b, open_devices))), 42);
	OK(b, cgroup_apply(&b->cg, &r, true, &b->e)); /* the same again changes nothing */
	assert_int_equal(WEXITSTATUS(end_of(enter(b, open_devices))), 42);
}

/* The device program of v2 also works in the v2 tree of a hybrid layout: tried there alone. */
static void the_device_program_is_replaced(void **state)
{
	Box *b = *state;
	NEEDS_KERNEL();
	if (!cgroup_path_v2(&b->cg)) {
		print_message("skipped: no v2 tree here\n");
		skip();
	}
	OK(b, cgroup_create(&b->cg, NULL, &b->e));
	CgroupDeviceRule rules[] = { { .allow = false },
				     { .allow = true, .type = "c", .major = { true, 1 }, .minor = { true, 3 }, .access = "rw" } };
	CgroupDeviceRule none = { .allow = false };
	CgroupResources r = { .devices = { rules, 2 } }, closed = { .devices = { &none, 1 } };
	int k = cgroup_device_v2(cgroup_path_v2(&b->cg), &closed, &b->e);
	if (k == -EPERM || k == -ENOSYS || k == -EINVAL) {
		print_message("skipped: %s\n", b->e.msg);
		skip();
	}
	OK(b, k);
	OK(b, cgroup_device_v2(cgroup_path_v2(&b->cg), &r, &b->e)); /* in place of the first: both together would refuse */
	assert_int_equal(WEXITSTATUS(end_of(enter(b, open_devices))), 42);
}

static void eat(void)
{
	for (;;) {
		void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED) _exit(1);
		memset(p, 1, 1 << 20);
	}
}

/* A group of 16 MiB; *w hears of what happens in it. */
static void watched(Box *b, bool killer_disabled, OomWatch *w)
{
	CgroupResources r = { .memory = { .limit = { true, 16 << 20 }, .swap = { true, 16 << 20 } } };
	if (killer_disabled) r.memory.disable_oom_killer = (OptBool){ true, true };
	OK(b, cgroup_create(&b->cg, &r, &b->e));
	OK(b, cgroup_apply(&b->cg, &r, false, &b->e));
	OK(b, cgroup_oom_watch(&b->cg, w, &b->e));
	assert_int_equal(cgroup_oom_take(w), 0);
	assert_false(cgroup_oom_owes(w));
}

/* Waits as a caller does, until there are kills. */
static int kills_heard(OomWatch *w)
{
	int64_t deadline = time_monotonic() + WAIT_MS * INT64_C(1000000);
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	int kills = 0;
	while (kills == 0 && time_monotonic() < deadline)
		if (poll(&p, 1, cgroup_oom_owes(w) ? OOM_RECHECK_MS : WAIT_MS) >= 0) kills = cgroup_oom_take(w);
	return kills;
}

static void an_oom_kill_is_heard(void **state)
{
	Box *b = *state;
	NEEDS_KERNEL();
	AUTO_OOM_WATCH w = OOM_WATCH_INIT;
	watched(b, false, &w);
	pid_t pid = enter(b, eat);
	assert_int_equal(kills_heard(&w), 1);
	assert_int_equal(WTERMSIG(end_of(pid)), SIGKILL);
	assert_int_equal(cgroup_oom_take(&w), 0);
	AUTO_OOM_WATCH late = OOM_WATCH_INIT;
	OK(b, cgroup_oom_watch(&b->cg, &late, &b->e));
	assert_int_equal(cgroup_oom_take(&late), 0);
}

/* v1 signals before it kills, v2 up to 10 ms after it: neither the one nor the other loses a kill. */
static void an_oom_kill_is_told_without_its_signal(void **state)
{
	Box *b = *state;
	NEEDS_KERNEL();
	AUTO_OOM_WATCH w = OOM_WATCH_INIT;
	watched(b, false, &w);
	assert_int_equal(WTERMSIG(end_of(enter(b, eat))), SIGKILL);
	char drop[4096] __attribute__((aligned(8)));
	(void)!read(w.fd, drop, sizeof drop);
	assert_int_equal(cgroup_oom_take(&w), 1);
}

static void a_signal_without_a_kill_is_owed(void **state)
{
	Box *b = *state;
	NEEDS_V1(b, "memory");
	AUTO_OOM_WATCH w = OOM_WATCH_INIT;
	watched(b, false, &w);
	assert_int_equal(eventfd_write(w.fd, 1), 0); /* as the kernel does, and then looks for a victim */
	assert_int_equal(cgroup_oom_take(&w), 0);
	assert_true(cgroup_oom_owes(&w));
	assert_int_equal(WTERMSIG(end_of(enter(b, eat))), SIGKILL);
	assert_int_equal(cgroup_oom_take(&w), 1);
	w.owed_until = 0; /* much later: it was for another group's process */
	assert_int_equal(cgroup_oom_take(&w), 0);
	assert_false(cgroup_oom_owes(&w));
}

static void an_oom_without_a_killer_is_heard(void **state)
{
	Box *b = *state;
	NEEDS_V1(b, "memory");
	AUTO_OOM_WATCH w = OOM_WATCH_INIT;
	watched(b, true, &w);
	pid_t pid = enter(b, eat);
	assert_true(kills_heard(&w) > 0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
}

static void the_kill_that_ended_a_removed_group_is_told(void **state)
{
	Box *b = *state;
	NEEDS_V1(b, "memory");
	AUTO_OOM_WATCH w = OOM_WATCH_INIT, quiet = OOM_WATCH_INIT;
	watched(b, false, &w);
	assert_int_equal(WTERMSIG(end_of(enter(b, eat))), SIGKILL);
	OK(b, cgroup_remove(&b->cg, WAIT_MS, &b->e));
	assert_int_equal(cgroup_oom_take(&w), 1);
	assert_int_equal(cgroup_oom_take(&w), 0);
	watched(b, false, &quiet);
	OK(b, cgroup_remove(&b->cg, WAIT_MS, &b->e));
	assert_int_equal(cgroup_oom_take(&quiet), 0);
	assert_int_equal(cgroup_oom_take(&quiet), 0);
}

static void hold_20_mib(void)
{
	char *p = mmap(NULL, 20 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED || mlock(p, 20 << 20) < 0) _exit(1);
	kill(getpid(), SIGSTOP);
	rest();
}

static void a_limit_below_usage_says_so(void **state)
{
	Box *b = *state;
	int status;
	NEEDS_V1(b, "memory");
	OK(b, cgroup_create(&b->cg, NULL, &b->e));
	pid_t pid = enter(b, hold_20_mib);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	if (!WIFSTOPPED(status)) {
		print_message("skipped: no memory may be locked here\n");
		skip();
	}
	CgroupResources r = { .memory.limit = { true, 4 << 20 } };
	assert_int_equal(cgroup_apply(&b->cg, &r, true, &b->e), -EBUSY);
	assert_non_null(strstr(b->e.msg, "memory limit 4194304 is too low: usage is "));
}

static void statistics_are_told(void **state)
{
	Box *b = *state;
	NEEDS_KERNEL();
	CgroupResources r = { .pids_limit = { true, 33 }, .memory.limit = { true, 64 << 20 } };
	OK(b, cgroup_create(&b->cg, &r, &b->e));
	OK(b, cgroup_apply(&b->cg, &r, false, &b->e));
	enter(b, rest);
	AUTO_BUF out = BUF_INIT(1 << 20);
	JsonWriter w = JSON_WRITER(&out);
	OK(b, cgroup_stats_write(&b->cg, &w, &b->e));
	JsonValue v;
	OK(b, json_parse(out.p, out.n, &b->arena, &v, &b->e));
	const JsonValue *pids = json_get(&v, "pids"), *memory = json_get(&v, "memory");
	assert_int_equal(json_get(pids, "current")->i, 1);
	assert_int_equal(json_get(pids, "limit")->i, 33);
	assert_int_equal(json_get(json_get(memory, "usage"), "limit")->i, 64 << 20);
	assert_true(json_get(memory, "raw")->n > 10);
	assert_non_null(json_get(json_get(json_get(&v, "cpu"), "usage"), "kernel"));
}

static void an_exec_finds_where_the_init_is(void **state)
{
	Box *b = *state;
	struct stat want, got;
	NEEDS_KERNEL();
	OK(b, cgroup_create(&b->cg, NULL, &b->e));
	const char *dir = cgroup_path_v2(&b->cg);
	if (!dir) {
		print_message("skipped: no v2 tree here\n");
		skip();
	}
	pid_t pid = enter(b, rest);
	char *sub = arena_printf(&b->arena, "%s/leaf", dir), text[CGROUP_NUMBER_MAX];
	assert_int_equal(mkdir(sub, 0755), 0);
	assert_int_equal(cgroup_put(sub, "cgroup.procs", cgroup_number(text, pid)), 0);
	AUTO_FD int fd = cgroup_open_v2_of(&b->cg, pid);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &got), 0);
	assert_int_equal(stat(sub, &want), 0);
	assert_int_equal(got.st_ino, want.st_ino);
	assert_int_equal(cgroup_open_v2_of(&b->cg, getpid()), -ENOENT); /* somewhere else */
}

/* The v2 directory is given away with the files that the kernel lists, and nothing else: on files that stand for them. */
static void only_delegatable_files_change_hands(void **state)
{
	Box *b = *state;
	enum { SOMEBODY = 54321 };
	static const char *const files[] = { "cgroup.procs", "cgroup.subtree_control", "memory.max" };
	char dir[] = "/tmp/skep-delegate-XXXXXX";
	struct stat st;
	uid_t owners[4] = { 0 };
	NEEDS_KERNEL();
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < 3; i++)
		close(open(arena_printf(&b->arena, "%s/%s", dir, files[i]), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	CgroupHierarchy h = { .name = "", .mount = dir, .path = dir };
	Cgroup cg = { .layout = CGROUP_V2, .driver = CGROUP_FS, .hierarchies = { &h, 1 } };
	int r = cgroup_delegate(&cg, SOMEBODY, (gid_t)-1, &b->e);
	owners[3] = stat(dir, &st) == 0 ? st.st_uid : 0;
	for (size_t i = 0; i < 3; i++) {
		char *path = arena_printf(&b->arena, "%s/%s", dir, files[i]);
		owners[i] = stat(path, &st) == 0 ? st.st_uid : 0;
		unlink(path);
	}
	rmdir(dir);
	OK(b, r);
	assert_int_equal(owners[0], SOMEBODY);
	assert_int_equal(owners[1], SOMEBODY);
	assert_int_equal(owners[2], 0);
	assert_int_equal(owners[3], SOMEBODY);
	assert_int_equal(st.st_gid, 0);
}

/* ---- the group of tests ---- */

static int begin(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	static Err e;
	Cgroup cg;
	snprintf(top, sizeof top, "/skep-test-%d", getpid());
	CgroupRequest req = { .path = top, .id = "box", .driver = CGROUP_FS };
	if (geteuid() != 0)
		skip_reason = "only root can make control groups here";
	else if (cgroup_plan(&req, &a, &cg, &e) < 0 || cgroup_create(&cg, NULL, &e) < 0)
		skip_reason = e.msg;
	return 0;
}

static int end(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e;
	Cgroup cg;
	CgroupRequest req = { .path = top, .id = "box", .driver = CGROUP_FS };
	if (skip_reason || cgroup_plan(&req, &a, &cg, &e) < 0) return 0;
	return cgroup_remove(&cg, WAIT_MS, &e);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, start, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(limits_arrive_in_the_files),
		CASE(a_child_enters_every_hierarchy),
		CASE(a_group_in_use_is_refused_and_left),
		CASE(a_failed_creation_leaves_nothing),
		CASE(a_frozen_group_stands_still),
		CASE(a_kill_outruns_forks),
		CASE(groups_made_below_go_too),
		CASE(only_allowed_devices_open),
		CASE(the_device_program_is_replaced),
		CASE(an_oom_kill_is_heard),
		CASE(an_oom_kill_is_told_without_its_signal),
		CASE(a_signal_without_a_kill_is_owed),
		CASE(an_oom_without_a_killer_is_heard),
		CASE(the_kill_that_ended_a_removed_group_is_told),
		CASE(a_limit_below_usage_says_so),
		CASE(statistics_are_told),
		CASE(an_exec_finds_where_the_init_is),
		CASE(only_delegatable_files_change_hands),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
