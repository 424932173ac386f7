/* volume_hold.c: see volume_hold.h. */
#include "monitor/volume_hold.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "monitor/run_state.h"
#include "sys/mount.h"
#include "sys/path.h"

enum { LOCK_MS = 20000, LOCK_POLL_NS = 2000000, PATH_ROOM = 320, OPTIONS_ARENA = 1 << 16 };

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

/* ---- users ---- */

static int open_users(int root_dir, const char *name, bool make)
{
	char path[PATH_ROOM];
	snprintf(path, sizeof path, "volumes/%s/users", name);
	if (make && mkdirat(root_dir, path, 0700) < 0 && errno != EEXIST) return -errno;
	int fd = openat(root_dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* Mounting may take as long as a server does not answer: nobody waits for ever. */
static int lock_users(int users, Err *e)
{
	for (int64_t until = time_monotonic() + LOCK_MS * INT64_C(1000000); flock(users, LOCK_EX | LOCK_NB) < 0;) {
		if (errno != EWOULDBLOCK || time_monotonic() > until) return err_sys(e, errno, "lock the volume");
		const struct timespec t = { .tv_nsec = LOCK_POLL_NS };
		nanosleep(&t, NULL);
	}
	return 0;
}

static bool is_attended(int root_dir, const char *container)
{
	char path[PATH_ROOM];
	snprintf(path, sizeof path, "containers/%s", container);
	AUTO_FD int dir = openat(root_dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return dir >= 0 && run_is_locked(dir) != 0;
}

/* Those that count, but for one; with sweep the others' files are taken away. */
static int count_users(int root_dir, int users, const char *but, bool sweep)
{
	struct dirent *entry;
	int fd = openat(users, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
	AUTO(closedirp) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) return -errno;
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.' || (but && streq(entry->d_name, but))) continue;
		if (is_attended(root_dir, entry->d_name))
			n++;
		else if (sweep)
			(void)!unlinkat(users, entry->d_name, 0);
	}
	return n;
}

/* ---- the mount ---- */

/* Data: _data of a volume. */
typedef struct Data {
	int fd;       /* what is seen there: its directory, or what is mounted on it */
	bool mounted; /* this */
} Data;

static void data_done(Data *d)
{
	d->fd = fd_close(d->fd);
}
#define AUTO_DATA AUTO(data_done) Data

static int open_data(int root_dir, const char *name, Data *ret)
{
	char path[PATH_ROOM];
	snprintf(path, sizeof path, "volumes/%s", name);
	AUTO_FD int dir = openat(root_dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0) return -errno;
	int fd = path_open_beneath(dir, "_data", O_PATH | O_DIRECTORY);
	bool mounted = fd == -EXDEV;
	if (mounted && (fd = openat(dir, "_data", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) < 0) return -errno;
	if (fd < 0) return fd;
	*ret = (Data){ fd, mounted };
	return 0;
}

static int unmount(int root_dir, const char *name)
{
	for (;;) {
		char path[40];
		AUTO_DATA data = { .fd = -1 };
		int r = open_data(root_dir, name, &data);
		if (r < 0 || !data.mounted) return r == -ENOENT ? 0 : r;
		snprintf(path, sizeof path, "/proc/self/fd/%d", data.fd);
		if (umount2(path, MNT_DETACH) < 0) return -errno;
	}
}

static int bind_device(const VolumeDevice *d, const MountOptions *o, int target)
{
	AUTO_FD int tree = mount_clone(AT_FDCWD, d->device, o->flags & MS_REC);
	if (tree < 0) return tree;
	int r = mount_bind_flags(tree, o, false);
	return r < 0 ? r : mount_attach(tree, target);
}

static int mount_device(const VolumeDevice *d, int target, const char *path, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(OPTIONS_ARENA);
	MountOptions o;
	Str rest = str_of(d->options ? d->options : ""), word;
	StrList words = { 0 };
	while (rest.n && str_next(&rest, ',', &word))
		if (str_list_add(&words, arena_str(&a, word), &a) < 0) return err_sys(e, ENOMEM, "mount a volume");
	int r = mount_options_parse(&words, &a, &o, e);
	if (r < 0) return r;
	r = o.flags & MS_BIND ? bind_device(d, &o, target) : mount_at(d->device, target, d->type, o.flags, o.data);
	if (r >= 0) return 0;
	bool secret = strstr(o.data, "password=") != NULL;
	return err_sys(e, r, "error while mounting volume '%s': failed to mount local volume: mount %s:%s, flags: 0x%lx, data: %s", path,
		       d->device, path, o.flags, secret ? "…" : o.data);
}

/* ---- all together ---- */

static int make_user(int users, const char *container, Err *e)
{
	AUTO_FD int fd = openat(users, container, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? err_sys(e, errno, "note who has the volume") : 0;
}

int volume_hold(int root_dir, const char *name, const char *container, const VolumeDevice *d, const char *path, Err *e)
{
	AUTO_FD int users = open_users(root_dir, name, true);
	if (users < 0) return err_sys(e, -users, "volume %s", name);
	int r = lock_users(users, e);
	if (r < 0 || (r = make_user(users, container, e)) < 0) return err_wrap(e, "volume %s", name);
	int others = count_users(root_dir, users, container, true);
	if (others == 0 && (r = unmount(root_dir, name)) < 0) err_sys(e, -r, "unmount volume %s", name);
	AUTO_DATA data = { .fd = -1 };
	if (r >= 0 && (r = open_data(root_dir, name, &data)) < 0) err_sys(e, -r, "open %s", path);
	if (r >= 0 && !data.mounted) r = mount_device(d, data.fd, path, e);
	if (r < 0) (void)!unlinkat(users, container, 0);
	return r < 0 ? r : 0;
}

int volume_release(int root_dir, const char *name, const char *container, Err *e)
{
	AUTO_FD int users = open_users(root_dir, name, false);
	if (users == -ENOENT) return 0;
	if (users < 0) return err_sys(e, -users, "volume %s", name);
	int r = lock_users(users, e);
	if (r < 0) return err_wrap(e, "volume %s", name);
	if (container && unlinkat(users, container, 0) < 0 && errno != ENOENT) return err_sys(e, errno, "volume %s", name);
	int others = count_users(root_dir, users, NULL, true);
	if (others) return container && others > 0 ? 0 : err_sys(e, others < 0 ? -others : EBUSY, "volume %s", name);
	r = unmount(root_dir, name);
	return r < 0 ? err_sys(e, -r, "unmount volume %s", name) : 0;
}

int volume_holders(int root_dir, const char *name)
{
	AUTO_FD int users = open_users(root_dir, name, false);
	int n = users < 0 ? 0 : count_users(root_dir, users, NULL, false);
	return n < 0 ? 0 : n;
}
