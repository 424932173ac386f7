/* cgroup_oom.c: hearing of out-of-memory kills. v1 signals an eventfd registered for memory.oom_control, v2 changes
 * memory.events. An eventfd is told from an inotify descriptor by the layout, so no state is kept beside the descriptor. */
#include "sys/cgroup_impl.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

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

int cgroup_oom_watch(const Cgroup *cg, short *ret_events, Err *e)
{
	const char *v1 = cgroup_path_v1(cg, "memory"), *v2 = cgroup_path_v2(cg);
	if (!v1 && !v2) return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP, "no memory cgroup to watch");
	*ret_events = POLLIN;
	return v1 ? watch_v1(v1, e) : watch_v2(v2, e);
}

/* How many kills since *seen; the first call with *seen 0 counts all. */
static int count_kills(const char *dir, const char *file, uint64_t *seen)
{
	uint64_t now;
	int r = cgroup_key_u64(dir, file, "oom_kill", &now);
	if (r < 0) return r;
	uint64_t news = now > *seen ? now - *seen : 0;
	*seen = now;
	return news > INT32_MAX ? INT32_MAX : (int)news;
}

int cgroup_oom_take(const Cgroup *cg, int fd, uint64_t *seen)
{
	char drop[4096] __attribute__((aligned(8)));
	const char *v1 = cgroup_path_v1(cg, "memory"), *v2 = cgroup_path_v2(cg);
	ssize_t n = retry_eintr(read(fd, drop, sizeof drop));
	if (n < 0 && errno != EAGAIN) return -errno;
	if (v2 && !v1) {
		int r = count_kills(v2, "memory.events", seen);
		return r == -ENOENT || r == -ENODEV ? 0 : r;
	}
	if (n < 0 || !v1) return 0;
	int r = count_kills(v1, "memory.oom_control", seen);
	/* The eventfd also fires when the group goes away. Before Linux 4.13 there was no counter: each event is one. */
	return r == -ENODATA ? 1 : r == -ENOENT || r == -ENODEV ? 0 : r;
}
