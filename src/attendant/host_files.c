/* host_files.c: the host's name servers: when its resolv.conf is another one, or the one that systemd-resolved keeps, all containers may ask others. */
#include <limits.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "attendant/attendant_impl.h"
#include "base/duration.h"
#include "base/time.h"
#include "sys/fd.h"

#define SETTLED (50 * DURATION_MILLISECOND)
#define FILE_NAME "resolv.conf" /* also the end of stub-resolv.conf */

static void tell_all(void *arg)
{
	registrations_tell(arg, NULL);
}

static void readable(void *arg, uint32_t events)
{
	Attendant *t = arg;
	_Alignas(struct inotify_event) char some[4096];
	ssize_t n;
	(void)events;
	while ((n = read(t->notify, some, sizeof some)) > 0) {
		const struct inotify_event *ev;
		for (ssize_t at = 0; at < n; at += (ssize_t)(sizeof *ev + ev->len)) {
			ev = (const void *)(some + at);
			if ((ev->mask & IN_Q_OVERFLOW) || (ev->len && ends_with(ev->name, FILE_NAME)))
				loop_timer_set(&t->loop, &t->files, time_monotonic() + SETTLED, tell_all, t);
		}
	}
}

/* The directories, for files are replaced: the host's own, systemd-resolved's, and where the link leads. */
static void watch_directories(int fd)
{
	const uint32_t mask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ONLYDIR;
	char real[PATH_MAX];
	(void)inotify_add_watch(fd, "/etc", mask);
	(void)inotify_add_watch(fd, "/run/systemd/resolve", mask);
	if (!realpath("/etc/" FILE_NAME, real)) return;
	*strrchr(real, '/') = 0;
	if (*real) (void)inotify_add_watch(fd, real, mask);
}

void host_files_init(Attendant *t)
{
	t->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (t->notify < 0) return; /* names are read anew with each change then */
	watch_directories(t->notify);
	if (loop_fd_add(&t->loop, &t->notified, t->notify, EPOLLIN, readable, t) < 0) t->notify = fd_close(t->notify);
}

void host_files_done(Attendant *t)
{
	loop_timer_cancel(&t->files);
	loop_fd_remove(&t->notified);
	t->notify = fd_close(t->notify);
}
