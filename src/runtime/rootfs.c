/* rootfs.c: from the bundle's root directory to the container's "/".
 *
 * The root is one detached tree, made from the directory once; it is attached over that directory in the container's own
 * mount namespace, filled by descriptor, and then becomes "/" by pivot_root.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/launch.h"
#include "sys/path.h"

static unsigned long propagation_flag(int p)
{
	switch (p) {
	case OCI_SHARED:
	case OCI_RSHARED:
		return MS_SHARED;
	case OCI_PRIVATE:
	case OCI_RPRIVATE:
		return MS_PRIVATE;
	case OCI_UNBINDABLE:
	case OCI_RUNBINDABLE:
		return MS_UNBINDABLE;
	case OCI_SLAVE:
	case OCI_RSLAVE:
		return MS_SLAVE;
	default:
		return 0;
	}
}

static bool has_mount_namespace(const Launch *l)
{
	return oci_namespace(l->spec, CLONE_NEWNS) != NULL;
}

/* A mount that is made already can be attached anywhere: over "/" where the way to its directory is closed to the container's root, who is nobody
 * on the host. That is covered for ".", not for absolute paths: these begin at the root that the process has. */
static int go_to_root(const Launch *l, const char *rootfs)
{
	if (chdir(rootfs) == 0) return 0;
	if (errno != EACCES || !l->root_mount || !oci_namespace(l->spec, CLONE_NEWUSER)) return -errno;
	return chdir("/") < 0 ? -errno : 0;
}

/* Attaches the root over its own directory; the working directory is in it afterwards. */
static int attach_root(Launch *l, Err *e)
{
	const char *rootfs = l->container->state.rootfs;
	int p = l->spec->lnx->rootfs_propagation;
	/* nothing mounted from here on reaches the host; what the host mounts still comes in unless the root is private */
	unsigned long flag = p == OCI_PRIVATE || p == OCI_RPRIVATE ? MS_PRIVATE : MS_SLAVE;
	if (mount(NULL, "/", NULL, MS_REC | flag, NULL) < 0) {
		const char *why = errno == EINVAL ? " (/ is no mount: no container can be started from a chroot)" : "";
		return err_sys(e, errno, "error preparing rootfs: make / a slave mount%s", why);
	}
	int r = go_to_root(l, rootfs);
	if (r < 0) return err_sys(e, r, "error preparing rootfs: chdir %s", rootfs);
	AUTO_FD int root = l->root_mount ? fcntl(l->root_mount, F_DUPFD_CLOEXEC, 3) : mount_clone(AT_FDCWD, ".", true);
	if (root < 0) return err_sys(e, l->root_mount ? errno : -root, "error preparing rootfs: clone the mount of %s", rootfs);
	if (flag == MS_PRIVATE) {
		r = mount_attr(root, 0, 0, MS_PRIVATE, true);
		if (r < 0) return err_sys(e, r, "error preparing rootfs: make it private");
	}
	if (move_mount(root, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(e, errno, "error preparing rootfs: attach %s", rootfs);
	if (fchdir(root) < 0) return err_sys(e, errno, "error preparing rootfs: enter %s", rootfs);
	return take_fd(root);
}

int rootfs_build(Launch *l, int *ret_root, Err *e)
{
	AUTO_FD int root = -1;
	int r;
	if (has_mount_namespace(l)) {
		root = attach_root(l, e);
		if (root < 0) return root;
		if ((r = masks_open(l, e)) < 0) return r;
	} else {
		root = openat(AT_FDCWD, l->container->state.rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (root < 0) return err_sys(e, errno, "error preparing rootfs: open %s", l->container->state.rootfs);
		if (fchdir(root) < 0) return err_sys(e, errno, "error preparing rootfs: enter %s", l->container->state.rootfs);
	}
	if ((r = mounts_make(l, root, e)) < 0) return r;
	if ((r = devices_make(l, root, e)) < 0) return r;
	if (l->process && l->process->terminal && (r = terminal_make(l, root, e)) < 0) return r;
	if (l->process && !streq(l->process->cwd, "/")) {
		AUTO_FD int cwd = path_make_dir(root, l->process->cwd, 0755);
		/* a read-only or unmapped root may refuse: the chdir later tells whether it matters */
		if (cwd < 0 && cwd != -EROFS && cwd != -EACCES && cwd != -EPERM && cwd != -EOVERFLOW)
			return err_sys(e, cwd, "create process.cwd %s", l->process->cwd);
	}
	*ret_root = take_fd(root);
	return 0;
}

/* For roots that pivot_root refuses (the initial ramfs): move the tree over "/". The host's proc and sysfs must not stay
 * visible below: a user namespace made inside could mount its own then. */
static int move_root(int root, Err *e)
{
	static const char *const hidden[] = { "/proc", "/sys" };
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		if (mount(NULL, hidden[i], NULL, MS_PRIVATE | MS_REC, NULL) < 0 && errno != EINVAL && errno != ENOENT)
			return err_sys(e, errno, "no-pivot: %s", hidden[i]);
		while (umount2(hidden[i], MNT_DETACH) == 0)
			;
		if (errno != EINVAL && errno != ENOENT) {
			if (mount("tmpfs", hidden[i], "tmpfs", 0, NULL) < 0) return err_sys(e, errno, "no-pivot: cover %s", hidden[i]);
		}
	}
	if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0) return err_sys(e, errno, "no-pivot: move the root");
	return 0;
}

int rootfs_enter(Launch *l, int root, Err *e)
{
	if (fchdir(root) < 0) return err_sys(e, errno, "enter the root");
	if (has_mount_namespace(l) && !l->no_pivot) {
		if (syscall(SYS_pivot_root, ".", ".") < 0) return err_sys(e, errno, "pivot_root (on an initial ramfs, --no-pivot helps)");
		/* the old root now lies over the new one, under the same name */
		if (umount2(".", MNT_DETACH) < 0) return err_sys(e, errno, "unmount the old root");
	} else {
		int r = has_mount_namespace(l) ? move_root(root, e) : 0;
		if (r < 0) return r;
		if (fchdir(root) < 0 || chroot(".") < 0) return err_sys(e, errno, "chroot");
	}
	if (chdir("/") < 0) return err_sys(e, errno, "chdir /");
	return 0;
}

/* Late: what must not hinder the mounts and the hooks. */
int rootfs_seal(Launch *l, int root, Err *e)
{
	int r;
	for (size_t i = 0; i < l->mounts.n; i++) {
		const LaunchMount *m = &l->mounts.items[i];
		if (!streq(m->destination, "/dev") || !(m->options.flags & MS_RDONLY) || m->options.flags & MS_BIND) continue;
		AUTO_FD int dev = path_open(root, "/dev", O_PATH | O_DIRECTORY, 0);
		if (dev < 0 || (r = mount_attr(dev, MOUNT_ATTR_RDONLY, 0, 0, false)) < 0)
			return err_sys(e, dev < 0 ? dev : r, "make /dev read-only");
	}
	if (!has_mount_namespace(l)) return 0;
	if (l->spec->root->readonly && (r = mount_attr(root, MOUNT_ATTR_RDONLY, 0, 0, false)) < 0)
		return err_sys(e, r, "make the root read-only");
	unsigned long flag = propagation_flag(l->spec->lnx->rootfs_propagation);
	if (flag && flag != MS_PRIVATE && (r = mount_attr(root, 0, 0, flag, false)) < 0)
		return err_sys(e, r, "set linux.rootfsPropagation");
	return masks_apply(l, root, e);
}

int rootfs_unmount(const Container *c, const OciSpec *s)
{
	AUTO_FD int root = openat(AT_FDCWD, c->state.rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0) return -errno;
	for (size_t i = s->mounts.n; i > 0; i--) {
		char path[40];
		AUTO_FD int fd = path_open(root, s->mounts.items[i - 1].destination, O_PATH, 0);
		if (fd < 0) continue;
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		int r = umount2(path, MNT_DETACH); /* EINVAL: not a mount point any more */
		(void)r;
	}
	return 0;
}
