/* cgroup_oom.c: hearing of out-of-memory kills. v1 signals an eventfd registered for memory.oom_control, v2 changes
 * memory.events. The kernel's count of kills is what is told; the signals only say when to look. They do not say it well:
 *
 * - v1 signals before it looks for a victim, so the count may follow the signal; and it signals every group below the one
 *   that ran out, of which only one loses a process. A signal without a kill is therefore remembered for a while.
 * - v2 delays changes that follow one another by up to 10 ms, in which the group may end. So the count is read at every take.
 */
#include "sys/cgroup_impl.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/time.h"

enum { COUNT_WAIT_NS = 1000000000, REMOVAL_WAIT_MS = 100 };

static int watch_v1(const char *dir, Err *e)
{
	char path[CGROUP_PATH_MAX], line[64];
	int r = cgroup_file(path, dir, "memory.oom_control");
	if (r < 0) return err_sys(e, r, "watch %s", dir);
	AUTO_FD int control = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (control < 0) return err_sys(e, errno, "open %s", path);
	AUTO_FD int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0) return err_sys(e, errno, "eventfd");
	snprintf(line, sizeof line, "%d %d", event, control);
	r = cgroup_write(dir, "cgroup.event_control", line, e); /* the kernel keeps its own reference to the control file */
	return r < 0 ? r : take_fd(event);
}

static int watch_v2(const char *dir, Err *e)
{
	char path[CGROUP_PATH_MAX];
	int r = cgroup_file(path, dir, "memory.events");
	if (r < 0) return err_sys(e, r, "watch %s", dir);
	AUTO_FD int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0) return err_sys(e, errno, "inotify");
	if (inotify_add_watch(fd, path, IN_MODIFY) < 0) return err_sys(e, errno, "watch %s", path);
	return take_fd(fd);
}

int cgroup_oom_watch(const Cgroup *cg, OomWatch *ret, Err *e)
{
	const char *v1 = cgroup_path_v1(cg, "memory"), *dir = v1 ? v1 : cgroup_path_v2(cg);
	OomWatch w = { .fd = -1, .dir = dir, .v1 = v1 != NULL };
	if (!dir) return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP, "no memory cgroup to watch");
	/* Read before the registration: a kill between the two is news. */
	int r = cgroup_key_u64(dir, v1 ? "memory.oom_control" : "memory.events", "oom_kill", &w.kills);
	if (r < 0) return err_sys(e, r, "read the out-of-memory kills of %s", dir);
	w.fd = v1 ? watch_v1(dir, e) : watch_v2(dir, e);
	if (w.fd < 0) return w.fd;
	*ret = w;
	return 0;
}

void oom_watch_done(OomWatch *w)
{
	w->fd = fd_close(w->fd);
}

bool cgroup_oom_owes(const OomWatch *w)
{
	return w->signals > 0;
}

/* What was signalled since the last call: on v1 the number of signals, on v2 nothing that counts. */
static uint64_t drain(const OomWatch *w)
{
	char changes[4096] __attribute__((aligned(8)));
	uint64_t n = 0;
	if (w->v1) return retry_eintr(read(w->fd, &n, sizeof n)) == sizeof n ? n : 0;
	while (retry_eintr(read(w->fd, changes, sizeof changes)) > 0)
		;
	return 0;
}

/* The group went away, and its count with it, which on v1 the signals outlive. The last one is that of the removal, some
 * milliseconds after it; any other that no kill was found for ended the container. */
static int last_words(OomWatch *w)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	if (w->v1 && poll(&p, 1, REMOVAL_WAIT_MS) > 0) w->signals += drain(w);
	int kills = w->v1 && w->signals > 1;
	*w = (OomWatch){ .fd = w->fd, .dir = NULL };
	return kills;
}

int cgroup_oom_take(OomWatch *w)
{
	uint64_t now, disabled = 0, signals = drain(w);
	if (!w->dir) return 0;
	if (signals > 0) w->owed_until = time_monotonic() + COUNT_WAIT_NS;
	w->signals += signals;
	int r = cgroup_key_u64(w->dir, w->v1 ? "memory.oom_control" : "memory.events", "oom_kill", &now);
	if (r == -ENOENT || r == -ENODEV) return last_words(w);
	if (r < 0) return r;
	uint64_t news = now > w->kills ? now - w->kills : 0;
	w->kills = now;
	if (news == 0 && w->signals > 0) { /* with the killer disabled, processes wait: the signal is all that happens */
		if (cgroup_key_u64(w->dir, "memory.oom_control", "oom_kill_disable", &disabled) == 0 && disabled) news = w->signals;
	}
	w->signals -= news < w->signals ? news : w->signals;
	if (time_monotonic() >= w->owed_until) w->signals = 0;
	return news > INT32_MAX ? INT32_MAX : (int)news;
}
