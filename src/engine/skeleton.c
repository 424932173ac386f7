/* skeleton.c: see skeleton.h. */
#include "engine/skeleton.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/diff.h"

static const char *const dirs[] = { "dev", "etc", "proc", "sys" };
static const char *const files[] = { "etc/hostname", "etc/hosts", "etc/resolv.conf" };

/* Whatever of it is there already; the link comes last. */
static int fill(int dir)
{
	if (fchmod(dir, 0755) < 0) return -errno;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if ((mkdirat(dir, dirs[i], 0755) < 0 && errno != EEXIST) || fchmodat(dir, dirs[i], 0755, 0) < 0) return -errno;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		AUTO_FD int fd = openat(dir, files[i], O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (fd < 0 || fchmod(fd, 0644) < 0) return -errno;
	}
	return symlinkat(MTAB_TARGET, dir, MTAB_PATH) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_it(const Engine *g)
{
	int fd = openat(g->root_dir, "skeleton", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int skeleton_open(const Engine *g)
{
	AUTO_FD int fd = open_it(g);
	if (fd >= 0 && faccessat(fd, MTAB_PATH, F_OK, AT_SYMLINK_NOFOLLOW) == 0) return take_fd(fd);
	if (fd == -ENOENT && (mkdirat(g->root_dir, "skeleton", 0755) == 0 || errno == EEXIST)) fd = open_it(g);
	int r = fd < 0 ? fd : fill(fd);
	return r < 0 ? r : take_fd(fd);
}
