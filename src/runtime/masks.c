/* masks.c: linux.maskedPaths and linux.readonlyPaths.
 *
 * A mask is the runtime's own object, never one found by a name inside the container (CVE-2025-31133): the host's null device,
 * opened before the root was entered, for files, and one empty read-only tmpfs, shared by all masked directories.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/launch.h"
#include "sys/path.h"

static bool is_listed_before(const StrList *l, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (streq(l->items[k], l->items[i])) return true;
	return false;
}

/* Absent, not a directory on the way, or a loop: then there is nothing to protect. */
static bool is_nothing(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EACCES;
}

typedef struct MaskSource {
	int fd; /* a tree of our own: once attached, the next ones are clones of it */
	bool attached;
} MaskSource;

static int attach_mask(MaskSource *m, int target, FdBin *bin)
{
	if (!m->attached) {
		int r = mount_attach(m->fd, target);
		m->attached = r == 0;
		return r;
	}
	int copy = mount_clone(m->fd, "", false);
	fd_bin_add(bin, copy);
	return copy < 0 ? copy : mount_attach(copy, target);
}

static int make_empty_dir(MaskSource *m)
{
	static const char *const options[] = { "source=tmpfs", "mode=755", NULL };
	if (m->fd < 0) m->fd = mount_new("tmpfs", options, MOUNT_ATTR_RDONLY);
	return m->fd < 0 ? m->fd : 0;
}

static int mask(int root, const char *path, MaskSource *file, MaskSource *dir, FdBin *bin, Err *e)
{
	struct stat st;
	int target = path_open(root, path, O_PATH, 0);
	fd_bin_add(bin, target);
	if (is_nothing(target)) return 0;
	if (target < 0 || fstat(target, &st) < 0) return err_sys(e, target < 0 ? target : errno, "mask %s", path);
	int r = S_ISDIR(st.st_mode) ? make_empty_dir(dir) : 0;
	if (r >= 0) r = attach_mask(S_ISDIR(st.st_mode) ? dir : file, target, bin);
	return r < 0 ? err_sys(e, r, "mask %s", path) : 0;
}

int masks_open(Launch *l, Err *e)
{
	struct stat st;
	if (!l->spec->lnx->masked_paths.n) return 0;
	l->null = mount_clone(AT_FDCWD, "/dev/null", false);
	if (l->null < 0 || fstat(l->null, &st) < 0) return err_sys(e, l->null < 0 ? l->null : errno, "open /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ERR_SECURITY, ENODEV, "/dev/null is not the null device");
	return 0;
}

static int make_readonly(int root, const char *path, FdBin *bin, Err *e)
{
	int target = path_open(root, path, O_PATH, 0);
	if (is_nothing(target)) return 0;
	if (target < 0) return err_sys(e, target, "make %s read-only", path);
	fd_bin_add(bin, target);
	int tree = mount_clone_attr(target, "", true, MOUNT_ATTR_RDONLY, 0);
	if (tree < 0) return err_sys(e, tree, "make %s read-only", path);
	fd_bin_add(bin, tree);
	int r = mount_attach(tree, target);
	return r < 0 ? err_sys(e, r, "make %s read-only", path) : 0;
}

int masks_apply(Launch *l, int root, Err *e)
{
	AUTO_FD_BIN bin = { .n = 0 };
	MaskSource file = { .fd = l->null }, dir = { .fd = -1 };
	const StrList *masked = &l->spec->lnx->masked_paths, *readonly = &l->spec->lnx->readonly_paths;
	for (size_t i = 0; i < readonly->n; i++) {
		int r = make_readonly(root, readonly->items[i], &bin, e);
		if (r < 0) return r;
	}
	int r = 0;
	for (size_t i = 0; r >= 0 && i < masked->n; i++)
		if (!is_listed_before(masked, i)) r = mask(root, masked->items[i], &file, &dir, &bin, e);
	fd_bin_add(&bin, dir.fd);
	fd_bin_add(&bin, l->null);
	l->null = -1;
	return r;
}
