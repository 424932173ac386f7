/* sweep.c: taking away what is doomed.
 *
 * A file of a gigabyte takes the kernel half a second to free. Nobody waits for that: the names go at once, and a process that holds the files open is
 * left behind to let go of them. A directory tree moves to ingest/ and is removed by the same process; if that is killed, the next one who puts something into
 * the store, or takes something away, leaves another process behind for it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/store_impl.h"
#include "sys/tree_remove.h"

enum { SWEEP_MAX = 4096, SWEEP_ARENA = 16 << 20, HELD_MAX = 128, LARGE = 4 << 20 };

typedef struct Sweep {
	ImageStore *s;
	int held[HELD_MAX]; /* large files whose names are gone */
	size_t n;
	bool trees; /* there are some in ingest/ */
} Sweep;

static int unlink_file(Sweep *w, int dir, const char *name)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 0 : -errno;
	int fd = S_ISREG(st.st_mode) && st.st_size >= LARGE && w->n < HELD_MAX ? openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (fd >= 0) w->held[w->n++] = fd;
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* The tar's name in blobs/ (store_name_tar), unless it is a blob's own. */
static int unlink_name(Sweep *w, const char *path, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	const char *hex = path + strlen("layers/");
	const char *algorithm = digest_algorithm_name(strlen(hex) == 2 * digest_size(DIGEST_SHA512) ? DIGEST_SHA512 : DIGEST_SHA256);
	char blob[STORE_PATH_MAX];
	snprintf(blob, sizeof blob, "%s:%s", algorithm, hex);
	int r = db_get(w->s->db, "SELECT 1 FROM contents WHERE digest = ?", DB_ARGS(db_text(blob)), &rows, e);
	if (r) return r < 0 ? r : 0;
	snprintf(blob, sizeof blob, "blobs/%s/%s", algorithm, hex);
	if ((r = unlink_file(w, w->s->root, blob)) < 0) return err_sys(e, r, "remove %s/%s", w->s->path, blob);
	return 0;
}

static int unlink_layer(Sweep *w, const char *path)
{
	static const char *const files[] = { "tar", "index" };
	AUTO_FD int dir = openat(w->s->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0) return errno == ENOENT ? 0 : -errno;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		int r = unlink_file(w, dir, files[i]);
		if (r < 0) return r;
	}
	return unlinkat(w->s->root, path, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

/* No name is taken: what has been moved there is on its way out, and a chain's tree is made again only after it. */
int store_set_aside(ImageStore *s, const char *path, char name[static SET_ASIDE_MAX])
{
	for (unsigned i = 0;; i++) {
		snprintf(name, SET_ASIDE_MAX, INGEST_REMOVED "%s-%u", strrchr(path, '/') + 1, i);
		int r = fd_rename_new(s->root, path, s->ingest, name);
		if (r != -EEXIST) return r;
	}
}

static int move_tree(Sweep *w, const char *path)
{
	char name[SET_ASIDE_MAX];
	w->trees = true;
	int r = store_set_aside(w->s, path, name);
	return r == -ENOENT ? 0 : r;
}

/* A path of ours is "blobs/<algorithm>/<hex>", "layers/<hex>", "merged/<hex>", "trees/<hex>", "containers/<id>" or "volumes/<name>". */
static int take_away(Sweep *w, const char *path)
{
	if (starts_with(path, "layers/")) return unlink_layer(w, path);
	if (starts_with(path, "trees/") || starts_with(path, "containers/") || starts_with(path, "volumes/")) return move_tree(w, path);
	return unlink_file(w, w->s->root, path);
}

/* One that has a row was put in place after all; a blob may also be a layer's tar, by its second name. */
static int sweep_one(Sweep *w, const char *path, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	ImageStore *s = w->s;
	int r = db_get(s->db,
		       "SELECT 1 FROM contents WHERE 'blobs/' || replace(digest, ':', '/') = ?1 UNION ALL "
		       "SELECT 1 FROM layers WHERE 'blobs/' || replace(diff_id, ':', '/') = ?1 UNION ALL "
		       "SELECT 1 FROM layers WHERE 'layers/' || substr(diff_id, instr(diff_id, ':') + 1) = ?1 UNION ALL "
		       "SELECT 1 FROM containers WHERE 'containers/' || id = ?1 UNION ALL "
		       "SELECT 1 FROM volumes WHERE 'volumes/' || name = ?1 UNION ALL "
		       "SELECT 1 FROM snapshots WHERE kind || '/' || substr(chain_id, instr(chain_id, ':') + 1) = ?1",
		       DB_ARGS(db_text(path)), &rows, e);
	db_rows_done(&rows);
	if (r == 0 && starts_with(path, "layers/") && (r = unlink_name(w, path, e)) < 0) return r;
	if (r == 0 && (r = take_away(w, path)) < 0) return err_sys(e, r, "remove %s/%s", s->path, path);
	return r < 0 ? r : db_run(s->db, "DELETE FROM doomed WHERE path = ?", DB_ARGS(db_text(path)), e);
}

/* ---- the process that is left behind ---- */

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

static void remove_trees(const ImageStore *s)
{
	struct dirent *entry;
	int fd = openat(s->ingest, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(closedirp) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	while (d && (entry = readdir(d))) {
		if (!starts_with(entry->d_name, INGEST_REMOVED)) continue;
		AUTO_FD int lock = openat(s->ingest, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		/* two at one tree would trip over each other */
		if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0) (void)!tree_remove(s->ingest, entry->d_name);
	}
}

static void let_go(Sweep *w)
{
	while (w->n)
		fd_close(w->held[--w->n]);
}

/* All but what this process is for: nobody must wait for it who reads our output or wants a lock of ours. */
static void close_others(Sweep *w)
{
	int keep[HELD_MAX + 1];
	memcpy(keep, w->held, w->n * sizeof *keep);
	keep[w->n] = w->s->ingest;
	fd_close_all_but(3, keep, w->n + 1);
}

/* Of a child that ends at once: the caller has nothing to reap. */
static _Noreturn void behind(Sweep *w)
{
	if (fork() != 0) _exit(0);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; null >= 0 && i < 3; i++)
		(void)!dup3(null, i, 0);
	close_others(w);
	setsid();
	if (w->trees) remove_trees(w->s);
	_exit(0); /* the last descriptors of the held files close: now they are freed */
}

static void leave_behind(Sweep *w)
{
	if (!w->n && !w->trees) return;
	pid_t pid = fork();
	if (!pid) behind(w);
	if (pid > 0) (void)!retry_eintr(waitpid(pid, NULL, 0));
	let_go(w);
}

void sweep_trees(ImageStore *s)
{
	Sweep w = { .s = s, .trees = true };
	leave_behind(&w);
}

static int read_doomed(ImageStore *s, Arena *a, const char ***ret, size_t *ret_n, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	const char **paths = arena_array(a, SWEEP_MAX, sizeof *paths);
	size_t n = 0;
	int r = paths ? db_query(s->db, "SELECT path FROM doomed LIMIT 4096", DB_NONE, &rows, e) : err_sys(e, ENOMEM, "sweep the store");
	while (r >= 0 && n < SWEEP_MAX && (r = db_next(&rows, e)) > 0)
		if (db_row_dup(&rows, 0, a, &paths[n++]) < 0) r = err_sys(e, ENOMEM, "sweep the store");
	*ret = paths;
	*ret_n = n;
	return r < 0 ? r : 0;
}

int store_sweep(ImageStore *s, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(SWEEP_ARENA);
	AUTO(let_go) Sweep w = { .s = s };
	const char **paths;
	size_t n;
	AUTO_FD int lock = store_lock(s, LOCK_EX, e);
	if (lock < 0) return lock;
	int r = read_doomed(s, &a, &paths, &n, e);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = sweep_one(&w, paths[i], e);
	lock = fd_close(lock);
	bool trees = false;
	if (r >= 0) r = ingest_sweep_files(s, &trees, e);
	w.trees |= trees;
	leave_behind(&w);
	return r < 0 ? r : 0;
}
