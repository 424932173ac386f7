/* cgroup_freeze.c: stopping and continuing everything in a control group. */
#include "sys/cgroup_impl.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/time.h"

static const int64_t freeze_time = INT64_C(10) * 1000000000;

/* Where the freezer is: the v1 hierarchy, or the v2 directory when there is none. */
static const char *freezer_path(const Cgroup *cg, bool *ret_v2)
{
	const char *path = cgroup_path_v1(cg, "freezer");
	*ret_v2 = !path;
	return path ? path : cgroup_path_v2(cg);
}

static int no_freezer(Err *e)
{
	return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP, "cannot toggle freezer: cgroups not configured for container");
}

/* ---- v1 ---- */

static int thaw_v1(const char *dir, Err *e)
{
	return cgroup_write(dir, "freezer.state", "THAWED", e);
}

/* A v1 group can stay FREEZING while new processes appear in it: the request is repeated, and now and then withdrawn for a
 * moment, which lets a fork in progress finish. */
static int freeze_v1(const char *dir, Err *e)
{
	enum { REST_EVERY = 50 };
	int64_t deadline = time_monotonic() + freeze_time, step = 0;
	for (int i = 1;; i++) {
		char state[32];
		int r = cgroup_write(dir, "freezer.state", "FROZEN", e);
		if (r < 0) return r;
		ssize_t n = cgroup_get(dir, "freezer.state", state, sizeof state);
		if (n < 0) return err_sys(e, (int)n, "read %s/freezer.state", dir);
		if (streq(state, "FROZEN")) return 0;
		if (i % REST_EVERY == 0) (void)!cgroup_put(dir, "freezer.state", "THAWED");
		if (!cgroup_nap(deadline, &step)) break;
	}
	(void)!cgroup_put(dir, "freezer.state", "THAWED"); /* never leave it half frozen */
	return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "unable to freeze %s", dir);
}

static int is_frozen_v1(const char *dir)
{
	char state[32], self[8];
	ssize_t n = cgroup_get(dir, "freezer.state", state, sizeof state);
	if (n < 0) return n == -ENOENT || n == -ENODEV ? 0 : (int)n;
	if (streq(state, "THAWED")) return 0;
	/* frozen only because a group above is: not our container's state */
	return cgroup_get(dir, "freezer.self_freezing", self, sizeof self) > 0 && streq(self, "0") ? 0 : 1;
}

/* ---- v2 ---- */

/* cgroup.events wakes pollers when "frozen" changes. */
static int wait_v2(const char *dir, bool frozen, Err *e)
{
	char path[CGROUP_PATH_MAX], text[256];
	int64_t deadline = time_monotonic() + freeze_time;
	int r = cgroup_file(path, dir, "cgroup.events");
	AUTO_FD int fd = r < 0 ? r : openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return err_sys(e, r < 0 ? r : errno, "open %s/cgroup.events", dir);
	for (;;) {
		ssize_t n = retry_eintr(pread(fd, text, sizeof text - 1, 0));
		if (n < 0) return err_sys(e, errno, "read %s", path);
		text[n] = 0;
		const char *at = strstr(text, "frozen ");
		if (!at) return 0; /* the kernel does not tell: it has taken the request */
		if ((at[7] == '1') == frozen) return 0;
		int64_t left = deadline - time_monotonic();
		if (left <= 0) return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "timeout waiting for %s to %s", dir, frozen ? "freeze" : "thaw");
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		if (poll(&p, 1, (int)(left / 1000000) + 1) < 0 && errno != EINTR) return err_sys(e, errno, "wait for %s", path);
	}
}

static int set_v2(const char *dir, bool frozen, Err *e)
{
	int r = cgroup_put(dir, "cgroup.freeze", frozen ? "1" : "0");
	if (r == -ENOENT && !frozen) return 0; /* no freezer: nothing can be frozen */
	if (r == -ENOENT) return no_freezer(e);
	if (r < 0) return cgroup_write_error(dir, "cgroup.freeze", frozen ? "1" : "0", r, e);
	if (!frozen) return 0;
	r = wait_v2(dir, frozen, e);
	if (r < 0) (void)!cgroup_put(dir, "cgroup.freeze", "0");
	return r;
}

/* ---- both ---- */

int cgroup_freeze(const Cgroup *cg, bool frozen, Err *e)
{
	bool v2;
	const char *dir = freezer_path(cg, &v2);
	if (!dir) return no_freezer(e);
	if (v2) return set_v2(dir, frozen, e);
	return frozen ? freeze_v1(dir, e) : thaw_v1(dir, e);
}

int cgroup_is_frozen(const Cgroup *cg)
{
	bool v2;
	char state[8];
	const char *dir = freezer_path(cg, &v2);
	if (!dir) return 0;
	if (!v2) return is_frozen_v1(dir);
	ssize_t n = cgroup_get(dir, "cgroup.freeze", state, sizeof state);
	if (n < 0) return n == -ENOENT || n == -ENODEV ? 0 : (int)n;
	return streq(state, "1");
}
