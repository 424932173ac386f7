/* tree_extract.c: see tree_extract.h. The child: confined, then the indexes are read and merged, and the tree is made. */
#include "image/tree_extract.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/tree_make.h"
#include "sys/cap.h"
#include "sys/fd.h"
#include "sys/landlock.h"
#include "sys/mount.h"

/* What the child tells: one write, smaller than a pipe's atomic size. */
typedef struct Outcome {
	int result;
	TreeStats stats;
	Err e;
} Outcome;

/* ---- confinement ---- */

/* A mount of the directory, and a mount namespace that nobody else sees. Cloned first: the new namespace has no claim on mounts of the old. */
static int leave(int dir)
{
	AUTO_FD int top = mount_clone(dir, "", false);
	if (top < 0) return top;
	int r = mount_attr(top, 0, 0, MS_PRIVATE,
			   false); /* as a clone of a shared mount, as systemd has them, it could not become the root */
	if (r < 0) return r;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return -errno;
	return take_fd(top);
}

/* The mount top becomes the root, and all others go. */
static int change_root(int top)
{
	AUTO_FD int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old < 0) return -errno;
	int r = mount_attach(top, old);
	if (r < 0) return r;
	if (fchdir(top) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) return -errno;
	return 0;
}

/* Files of other owners, with any mode, device nodes and attributes; of trusted attributes only CAP_SYS_ADMIN can make any. */
static int drop_capabilities(bool trusted)
{
	enum { CHOWN = 0, DAC_OVERRIDE = 1, FOWNER = 3, FSETID = 4, SYS_ADMIN = 21, MKNOD = 27, SETFCAP = 31 };
	uint64_t keep = CAP_BIT(CHOWN) | CAP_BIT(DAC_OVERRIDE) | CAP_BIT(FOWNER) | CAP_BIT(FSETID) | CAP_BIT(MKNOD) | CAP_BIT(SETFCAP);
	if (trusted) keep |= CAP_BIT(SYS_ADMIN);
	keep &= cap_get_permitted();
	CapSets sets = { .effective = keep, .permitted = keep };
	return cap_set(&sets);
}

static bool has_trusted(ErofsTree *t)
{
	ErofsNode *root = erofs_tree_root(t);
	for (const ErofsNode *node = root; node; node = erofs_node_walk(root, node, true)) {
		ErofsStat st;
		erofs_node_stat(t, node, &st);
		for (size_t i = 0; i < st.n_xattrs; i++) {
			char name[EROFS_XATTR_NAME_SIZE];
			Str value;
			erofs_node_xattr(node, i, name, &value);
			if (starts_with(name, "trusted.")) return true;
		}
	}
	return false;
}

/* Whoever has one id only can give files to nobody else. */
static bool has_one_id(void)
{
	char map[256];
	unsigned inside, outside, count;
	if (fd_read_small(AT_FDCWD, "/proc/self/uid_map", map, sizeof map) < 0) return true;
	if (strchr(map, '\n')) return false;
	return sscanf(map, "%u %u %u", &inside, &outside, &count) == 3 && count == 1; // NOLINT(cert-err34-c): the kernel's own text
}

/* In the namespace of its own, or by Landlock. *ret_top: the directory, as it is called there; the caller's to close. */
static int confine(int dir, int *ret_top, Err *e)
{
	int top = leave(dir);
	int r = top < 0 ? top : change_root(top);
	fd_close(top);
	if (r == -EPERM && top < 0) {
		char path[FD_PATH_MAX];
		snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
		const LandlockRule rule = { .path = path, .access = LANDLOCK_READ | LANDLOCK_WRITE };
		if ((r = landlock_restrict(&rule, 1, false, e)) < 0) return r;
		*ret_top = dir;
		return 0;
	}
	if (r >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) r = -errno;
	if (r >= 0 && (*ret_top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) r = -errno;
	return r < 0 ? err_sys(e, r, "confine the extraction") : 0;
}

/* ---- the child ---- */

static void free_trees(ErofsTree **trees, size_t n)
{
	for (size_t i = 0; i < n; i++)
		erofs_tree_free(trees[i]);
	free(trees);
}

static int load_merged(const TreeSource *from, ErofsTree **ret, Err *e)
{
	ErofsTree **trees = calloc(from->n + 1, sizeof(ErofsTree *));
	if (!trees) return err_sys(e, ENOMEM, "make a tree");
	uint64_t left = EROFS_PARTS_MEMORY;
	int r = 0;
	for (size_t i = 0; i < from->n && r >= 0; i++)
		if ((r = erofs_load_part(from->indexes[i], &left, &trees[i], e)) < 0) r = err_wrap(e, "index of layer %zu", i + 1);
	if (r >= 0) r = erofs_merge(trees, from->n, NULL, ret, e);
	free_trees(trees, from->n);
	return r;
}

static int extract(const TreeSource *from, int dir, TreeStats *stats, Err *e)
{
	AUTO_EROFS_TREE *t = NULL;
	int top = -1;
	stats->squashed = geteuid() != 0 || has_one_id();
	int r = confine(dir, &top, e);
	if (r < 0 || (r = load_merged(from, &t, e)) < 0) return r;
	if ((r = drop_capabilities(has_trusted(t))) < 0) return err_sys(e, r, "confine the extraction: capabilities");
	if ((r = tree_make(t, from->tars, from->n, top, stats, e)) < 0) return r;
	return syncfs(top) < 0 ? err_sys(e, errno, "write the tree to the disk") : 0;
}

static _Noreturn void child(const TreeSource *from, int dir, int to)
{
	Outcome o = { .e = ERR_INIT };
	o.result = extract(from, dir, &o.stats, &o.e);
	_exit(fd_write_all(to, &o, sizeof o) < 0);
}

int tree_extract(const TreeSource *from, int dir, TreeStats *ret, Err *e)
{
	int ends[2];
	Outcome o;
	if (pipe2(ends, O_CLOEXEC) < 0) return err_sys(e, errno, "make a tree");
	AUTO_FD int mine = ends[0], theirs = ends[1];
	pid_t pid = fork();
	if (pid < 0) return err_sys(e, errno, "make a tree: fork");
	if (!pid) child(from, dir, theirs);
	theirs = fd_close(theirs);
	ssize_t n = retry_eintr(read(mine, &o, sizeof o));
	(void)!retry_eintr(waitpid(pid, NULL, 0));
	if (n != sizeof o) return err_set(e, ERR_INTERNAL, EIO, "make a tree: the process died");
	o.e.msg[sizeof o.e.msg - 1] = 0;
	if (o.result < 0) return err_set(e, o.e.code < ERR_COUNT ? o.e.code : ERR_INTERNAL, -o.result, "%s", o.e.msg);
	*ret = o.stats;
	return 0;
}
