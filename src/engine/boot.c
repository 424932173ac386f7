/* boot.c: see boot.h. */
#include "engine/boot.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/mounts.h"
#include "engine/start.h"
#include "sys/tree_remove.h"

enum { PATH_ROOM = 4096 };

/* What ran when the machine went down runs again; "always" also what its user had stopped, as docker has it. */
bool engine_should_boot(const Record *c, const RunState *before)
{
	const char *policy = c->host.restart_policy.name ? c->host.restart_policy.name : "no";
	if (before->status == RUN_CREATED) return false;
	if (streq(policy, "always")) return true;
	if (streq(policy, "unless-stopped")) return !before->stopped_by_user;
	return streq(policy, "on-failure") && !before->stopped_by_user && before->exit_code != 0;
}

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

static int has_row(Engine *g, const char *id, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	return db_get(g->db, "SELECT 1 FROM containers WHERE id = ?", DB_ARGS(db_text(id)), &rows, e);
}

/* The directory of a container that is being made has an owner who is alive: it is seconds old. */
static bool is_old(int dir, const char *name)
{
	struct stat st;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && now.tv_sec - st.st_mtim.tv_sec > 60;
}

/* A monitor's socket stands as long as there is something of the run. */
static int sweep_runs(Engine *g, Err *e)
{
	char path[PATH_ROOM];
	struct dirent *entry;
	snprintf(path, sizeof path, "%s/monitors", g->run_root);
	AUTO(closedirp) DIR *d = opendir(path);
	if (!d) return err_sys(e, errno, "read %s", path);
	while ((entry = readdir(d))) {
		if (strlen(entry->d_name) != RECORD_ID_LENGTH) continue;
		int r = has_row(g, entry->d_name, e); /* then engine_state sees to it */
		if (r < 0) return r;
		AUTO_FD int sock = r ? -1 : monitor_connect(g, entry->d_name);
		if (sock == -ECONNREFUSED && (r = engine_end_remains(g, entry->d_name, e)) < 0) return r;
	}
	return 0;
}

static int sweep_directories(Engine *g, Err *e)
{
	struct dirent *entry;
	AUTO_FD int at = openat(g->root_dir, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = at < 0 ? -1 : openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(closedirp) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) return err_sys(e, errno, "read %s/containers", g->root);
	while ((entry = readdir(d))) {
		if (strlen(entry->d_name) != RECORD_ID_LENGTH || !is_old(at, entry->d_name)) continue;
		int r = has_row(g, entry->d_name, e);
		if (r < 0) return r;
		if (!r && (r = tree_remove(at, entry->d_name)) < 0 && r != -ENOENT)
			return err_sys(e, -r, "remove %s/containers/%s", g->root, entry->d_name);
	}
	return 0;
}

int engine_sweep(Engine *g, Err *e)
{
	const Volumes v = engine_volumes(g);
	int r = sweep_directories(g, e);
	if (r >= 0) r = volume_sweep(&v, e);
	return r < 0 ? r : sweep_runs(g, e);
}
