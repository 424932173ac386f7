/* masks.c: linux.maskedPaths and linux.readonlyPaths.
 *
 * A mask is the runtime's own object, never one found by a name inside the container (CVE-2025-31133): the host's null device,
 * opened before the root was entered, for files, and one empty read-only tmpfs, shared by all masked directories.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/launch.h"
#include "sys/path.h"

#ifndef SYS_open_tree_attr
#define SYS_open_tree_attr 467
#endif

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

/* The tree to put over a path. The first masked directory gets the tmpfs itself, which stays open in *tmpfs; later ones get clones of it.
 * *ret_owned: the caller closes it. */
static int mask_source(Launch *l, bool dir, int *tmpfs, bool *ret_owned)
{
	static const char *const options[] = { "source=tmpfs", "nr_inodes=2", "mode=755", NULL };
	*ret_owned = !dir || *tmpfs >= 0;
	if (!dir) return mount_clone(l->null, "", false);
	if (*tmpfs >= 0) return mount_clone(*tmpfs, "", false);
	*tmpfs = mount_new("tmpfs", options, MOUNT_ATTR_RDONLY);
	return *tmpfs;
}

static int mask(Launch *l, int root, const char *path, int *tmpfs, Err *e)
{
	struct stat st;
	bool owned;
	AUTO_FD int target = path_open(root, path, O_PATH, 0);
	if (is_nothing(target)) return 0;
	if (target < 0 || fstat(target, &st) < 0) return err_sys(e, target < 0 ? target : errno, "mask %s", path);
	int source = mask_source(l, S_ISDIR(st.st_mode), tmpfs, &owned);
	if (source < 0) return err_sys(e, source, "mask %s", path);
	int r = mount_attach(source, target);
	if (owned) fd_close(source);
	return r < 0 ? err_sys(e, r, "mask %s", path) : 0;
}

/* One call where the kernel has it (6.15), else two. */
static int clone_readonly(int fd)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	long both = syscall(SYS_open_tree_attr, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr);
	if (both >= 0) return (int)both;
	if (errno != ENOSYS) return -errno;
	AUTO_FD int tree = mount_clone(fd, "", true);
	if (tree < 0) return tree;
	int r = mount_attr(tree, MOUNT_ATTR_RDONLY, 0, 0, true);
	return r < 0 ? r : take_fd(tree);
}

static int make_readonly(int root, const char *path, Err *e)
{
	AUTO_FD int target = path_open(root, path, O_PATH, 0);
	if (is_nothing(target)) return 0;
	if (target < 0) return err_sys(e, target, "make %s read-only", path);
	AUTO_FD int tree = clone_readonly(target);
	if (tree < 0) return err_sys(e, tree, "make %s read-only", path);
	int r = mount_attach(tree, target);
	return r < 0 ? err_sys(e, r, "make %s read-only", path) : 0;
}

int masks_apply(Launch *l, int root, Err *e)
{
	AUTO_FD int tmpfs = -1;
	const StrList *masked = &l->spec->lnx->masked_paths, *readonly = &l->spec->lnx->readonly_paths;
	for (size_t i = 0; i < readonly->n; i++) {
		int r = make_readonly(root, readonly->items[i], e);
		if (r < 0) return r;
	}
	for (size_t i = 0; i < masked->n; i++) {
		int r = is_listed_before(masked, i) ? 0 : mask(l, root, masked->items[i], &tmpfs, e);
		if (r < 0) return r;
	}
	return 0;
}
