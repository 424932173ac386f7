/* engine.c: see engine.h. */
#include "engine/engine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_dirs(const char *path, Err *e)
{
	char copy[4096];
	snprintf(copy, sizeof copy, "%s", path);
	for (char *at = copy + 1; *at; at++) {
		if (*at != '/') continue;
		*at = 0;
		if (mkdir(copy, 0711) < 0 && errno != EEXIST) return err_sys(e, errno, "make %s", copy);
		*at = '/';
	}
	return mkdir(copy, 0700) < 0 && errno != EEXIST ? err_sys(e, errno, "make %s", copy) : 0;
}

static int make_below(int dir, const char *base, const char *name, Err *e)
{
	if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST) return err_sys(e, errno, "make %s/%s", base, name);
	return 0;
}

static int open_run(Engine *g, Err *e)
{
	AUTO_FD int dir = openat(AT_FDCWD, g->run_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;
	if (dir < 0 && errno == ENOENT) {
		if ((r = make_dirs(g->run_root, e)) < 0) return r;
		dir = openat(AT_FDCWD, g->run_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (dir < 0) return err_sys(e, errno, "open %s", g->run_root);
	if ((r = make_below(dir, g->run_root, "runtime", e)) < 0) return r;
	return make_below(dir, g->run_root, "monitors", e);
}

int engine_open(const char *root, const char *run_root, Engine *ret, Err *e)
{
	*ret = (Engine){ .root = root, .run_root = run_root, .root_dir = -1 };
	int r = image_store_open(root, &ret->store, e);
	if (r < 0) return r;
	ret->db = ret->store->db;
	ret->root_dir = openat(AT_FDCWD, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->root_dir < 0) r = err_sys(e, errno, "open %s", root);
	if (r >= 0) r = make_below(ret->root_dir, root, "containers", e);
	if (r >= 0) r = open_run(ret, e);
	if (r < 0) engine_close(ret);
	return r;
}

void engine_close(Engine *g)
{
	image_store_close(g->store);
	g->store = NULL;
	g->root_dir = fd_close(g->root_dir);
}
