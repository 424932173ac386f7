/* usage.c: see usage.h. */
#include "engine/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/root_size.h"

enum { DEPTH_MAX = 128 };

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

/* Of a file with several names each counts for its part. */
static int64_t tree_usage(int at, const char *name, int depth)
{
	struct dirent *entry;
	struct stat st;
	int64_t sum = 0;
	int fd = depth > DEPTH_MAX ? -1 : openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(closedirp) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		fd_close(fd);
		return 0;
	}
	while ((entry = readdir(d))) {
		if (streq(entry->d_name, ".") || streq(entry->d_name, "..")) continue;
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
		if (S_ISDIR(st.st_mode))
			sum += tree_usage(fd, entry->d_name, depth + 1);
		else if (S_ISREG(st.st_mode) && st.st_nlink)
			sum += (int64_t)st.st_size / (int64_t)st.st_nlink;
	}
	return sum;
}

static int usage(Engine *g, const Record *c, Arena *a, int64_t *ret_own, int64_t *ret_all, Err *e)
{
	Image image = { 0 };
	char id[DIGEST_TEXT_MAX];
	AUTO_FD int dir = record_dir(g, c->id, e);
	if (dir < 0) return dir;
	AUTO_FD int writable = root_writable(c, dir, e); /* with a limit it is a disk of its own */
	if (writable < 0) return writable;
	if (c->image_id.algorithm) {
		int r = image_find(g->store, digest_format(&c->image_id, id), a, &image, e);
		if (r < 0) return r;
	}
	*ret_own = tree_usage(writable, "upper", 0);
	*ret_all = image.size + *ret_own;
	return 0;
}

int container_usage(Engine *g, const Record *c, Arena *a, int64_t *ret_own, int64_t *ret_all, Err *e)
{
	Err why = ERR_INIT;
	int r = usage(g, c, a, ret_own, ret_all, &why);
	if (r == -ENOENT) *ret_own = *ret_all = r = 0;
	if (r < 0) *e = why;
	return r;
}

int64_t volume_usage(const Engine *g, const char *name)
{
	char path[512];
	snprintf(path, sizeof path, "volumes/%s/_data", name);
	return tree_usage(g->root_dir, path, 0);
}
