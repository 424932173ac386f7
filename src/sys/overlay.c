/* overlay.c: see overlay.h. */
#include "sys/overlay.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/fd.h"
#include "sys/mount.h"

enum { OPTIONS_MAX = 4096, NAME_MAX_LOWER = 24, KERNEL_MESSAGE = 256, BOOT_ID = 64 };

static int check(const OverlayOptions *o, Err *e)
{
	if (o->n >= (o->writable < 0 ? 2 : 1) && o->n + !!o->below <= OVERLAY_LOWER_MAX) return 0;
	return err_set(e, ERR_CONFIG, EINVAL, "mount overlay: %zu layers: overlayfs takes %d to %d", o->n, o->writable < 0 ? 2 : 1,
		       OVERLAY_LOWER_MAX);
}

/* ---- volatile ---- */

#define MARK "work/work/incompat/volatile"
#define NOTE "volatile" /* which boot the mark is of */

static int boot_id(char text[static BOOT_ID], Err *e)
{
	ssize_t n = fd_read_small(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text, BOOT_ID);
	return n < 0 ? err_sys(e, (int)n, "read which boot this is") : 0;
}

static bool is_marked(int writable)
{
	return faccessat(writable, MARK, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Before the mount: what is still marked is told, where the kernel would only say that something is invalid. */
static int begin_volatile(const OverlayOptions *o, Err *e)
{
	char boot[BOOT_ID];
	if (o->writable < 0) return 0;
	if (is_marked(o->writable))
		return err_set(e, ERR_STATE, EBUSY,
			       "mount overlay: its upper directory is, or was, mounted volatile, and was not settled since");
	if (!o->is_volatile) return 0;
	int r = boot_id(boot, e);
	return r < 0 ? r : fd_replace_file(o->writable, NOTE, boot, strlen(boot), 0600, false, e);
}

static int remove_mark(int writable)
{
	static const struct {
		const char *path;
		int flags;
	} parts[] = { { MARK "/dirty", 0 }, { MARK, AT_REMOVEDIR }, { "work/work/incompat", AT_REMOVEDIR } };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (unlinkat(writable, parts[i].path, parts[i].flags) < 0 && errno != ENOENT) return -errno;
	return 0;
}

int overlay_settle(int writable, Err *e)
{
	char now[BOOT_ID], then[BOOT_ID];
	if (!is_marked(writable)) return 0;
	int r = boot_id(now, e);
	if (r < 0) return r;
	if (fd_read_small(writable, NOTE, then, sizeof then) < 0 || !streq(now, then))
		return err_set(e, ERR_STATE, ESTALE,
			       "the changes of a volatile overlay are lost: the machine has been started anew since it was mounted");
	r = remove_mark(writable);
	return r < 0 ? err_sys(e, -r, "remove the mark of a volatile overlay") : 0;
}

/* ---- by descriptor ---- */

static int set_dir(int context, const char *key, int dir, const char *name)
{
	AUTO_FD int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || fsconfig(context, FSCONFIG_SET_FD, key, NULL, fd) < 0 ? -errno : 0;
}

static int configure(int context, const OverlayOptions *o)
{
	if (fsconfig(context, FSCONFIG_SET_STRING, "source", o->source ? o->source : "overlay", 0) < 0) return -errno;
	for (size_t i = o->n; i > 0; i--) /* overlayfs counts from the top */
		if (fsconfig(context, FSCONFIG_SET_FD, "lowerdir+", NULL, o->lower[i - 1]) < 0) return -errno;
	if (o->below && fsconfig(context, FSCONFIG_SET_FD, "lowerdir+", NULL, *o->below) < 0) return -errno;
	int r = o->writable < 0 ? 0 : set_dir(context, "upperdir", o->writable, "upper");
	if (r >= 0 && o->writable >= 0) r = set_dir(context, "workdir", o->writable, "work");
	if (r < 0) return r;
	if (o->is_volatile && o->writable >= 0 && fsconfig(context, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0) return -errno;
	if (o->user_xattrs && fsconfig(context, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0) return -errno;
	if (o->writable < 0 && fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0) return -errno;
	return fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ? -errno : 0;
}

static int fail(int context, int r, Err *e)
{
	char said[KERNEL_MESSAGE];
	ssize_t n = read(context, said, sizeof said - 1);
	said[n > 0 ? n : 0] = 0;
	said[strcspn(said, "\n")] = 0;
	return said[0] ? err_sys(e, -r, "mount overlay: %s", said) : err_sys(e, -r, "mount overlay");
}

/* -EOPNOTSUPP (before Linux 6.5), -EINVAL, or -EBADF for descriptors without a file behind them, when the kernel does not know this way. */
static int mount_by_fd(const OverlayOptions *o, Err *e)
{
	AUTO_FD int context = fsopen("overlay", FSOPEN_CLOEXEC);
	if (context < 0) return err_sys(e, errno, "mount overlay");
	int r = configure(context, o);
	if (r < 0) return fail(context, r, e);
	int fd = fsmount(context, FSMOUNT_CLOEXEC, o->writable < 0 ? MOUNT_ATTR_RDONLY : 0);
	return fd < 0 ? err_sys(e, errno, "mount overlay") : fd;
}

/* ---- by name ---- */

/* Plain directories, as mounts that can be attached; -1: none. */
typedef struct Copies {
	int writable, below;
} Copies;

static void copies_done(Copies *c)
{
	fd_close(c->writable);
	fd_close(c->below);
}

/* Made before the fork: the child's namespace has no claim on mounts of this one. */
static int copy_plain(int dir, int *ret)
{
	*ret = mount_clone(dir, "", false);
	/* itself attached nowhere: the child takes it as it is */
	if (*ret == -EINVAL) *ret = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	return *ret < 0 ? *ret : 0;
}

/* attach: to the new directory name of the current one. */
static int attach(int mount, const char *name)
{
	if (mkdir(name, 0700) < 0) return -errno;
	AUTO_FD int at = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return at < 0 ? -errno : mount_attach(mount, at);
}

/* An empty file system as the current directory, in a mount namespace that nobody else sees. */
static int make_room(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return -errno;
	AUTO_FD int room = mount_new("tmpfs", (const char *const[]){ "mode=0700", NULL }, 0);
	AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (room < 0 || root < 0) return room < 0 ? room : -errno;
	int r = mount_attach(room, root);
	return r < 0 ? r : fchdir(room) < 0 ? -errno : 0;
}

/* The names are the layers' numbers: 500 of them fit a page, which is what mount(2) takes. */
static int attach_layers(const OverlayOptions *o, Buf *options)
{
	buf_puts(options, "lowerdir=");
	for (size_t i = o->n; i > 0; i--) {
		char name[NAME_MAX_LOWER];
		snprintf(name, sizeof name, "%zu", i);
		int r = attach(o->lower[i - 1], name);
		if (r < 0) return r;
		buf_printf(options, i < o->n ? ":%s" : "%s", name);
	}
	return 0;
}

static int mount_named(const OverlayOptions *o, const Copies *c)
{
	AUTO_BUF options = BUF_INIT(OPTIONS_MAX);
	int r = make_room();
	if (r < 0 || (r = attach_layers(o, &options)) < 0) return r;
	if (c->below >= 0) {
		if ((r = attach(c->below, "0")) < 0) return r;
		buf_puts(&options, ":0");
	}
	if (c->writable >= 0) {
		if ((r = attach(c->writable, "w")) < 0) return r;
		buf_puts(&options, ",upperdir=w/upper,workdir=w/work");
		if (o->is_volatile) buf_puts(&options, ",volatile");
	}
	if (o->user_xattrs) buf_puts(&options, ",userxattr");
	if (buf_failed(&options)) return -E2BIG;
	if (mkdir("m", 0700) < 0) return -errno;
	if (mount(o->source ? o->source : "overlay", "m", "overlay", c->writable < 0 ? MS_RDONLY : 0, buf_str(&options)) < 0) return -errno;
	return mount_clone(AT_FDCWD, "m", false);
}

static _Noreturn void child(const OverlayOptions *o, const Copies *c, int sock)
{
	int mount = mount_named(o, c);
	int r = fd_send(sock, &mount, sizeof mount, &mount, mount < 0 ? 0 : 1);
	_exit(r < 0);
}

static int mount_by_name(const OverlayOptions *o, Err *e)
{
	int sock[2], result = -EIO, mount = -1;
	size_t n = 0;
	AUTO(copies_done) Copies copies = { -1, -1 };
	int r = o->writable < 0 ? 0 : copy_plain(o->writable, &copies.writable);
	if (r < 0) return err_sys(e, -r, "mount overlay: its writable directory");
	if (o->below && (r = copy_plain(*o->below, &copies.below)) < 0) return err_sys(e, -r, "mount overlay: the directory below");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0) return err_sys(e, errno, "mount overlay");
	AUTO_FD int mine = sock[0], theirs = sock[1];
	pid_t pid = fork();
	if (pid < 0) return err_sys(e, errno, "mount overlay: fork");
	if (!pid) child(o, &copies, theirs);
	theirs = fd_close(theirs);
	ssize_t got = fd_recv(mine, &result, sizeof result, &mount, 1, &n);
	(void)!waitpid(pid, NULL, 0);
	if (got == sizeof result && result >= 0 && n == 1) return mount;
	return err_sys(e, got == sizeof result && result < 0 ? -result : EIO, "mount overlay");
}

static int begin(const OverlayOptions *o, Err *e)
{
	int r = check(o, e);
	return r < 0 ? r : begin_volatile(o, e);
}

int overlay_mount_by_name(const OverlayOptions *o, Err *e)
{
	int r = begin(o, e);
	return r < 0 ? r : mount_by_name(o, e);
}

int overlay_mount(const OverlayOptions *o, Err *e)
{
	Err why = ERR_INIT;
	int r = begin(o, e);
	if (r < 0) return r;
	int mount = mount_by_fd(o, &why);
	if (mount >= 0) return mount;
	if (mount == -EINVAL || mount == -EBADF || mount == -EOPNOTSUPP) {
		if (o->is_volatile && o->writable >= 0) (void)!remove_mark(o->writable); /* it had none before */
		return mount_by_name(o, e);
	}
	*e = why;
	return mount;
}
