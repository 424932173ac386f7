/* check_files.c: files that no row leads to, and what nobody works on any more. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "image/check_impl.h"
#include "sys/tree_remove.h"

enum { STALE_SECONDS = 7 * 24 * 3600, PATH_ROOM = STORE_PATH_MAX + 260 };

typedef int EntryFn(Check *c, const char *dir, const char *name, Err *e);

static int each_entry(Check *c, const char *dir, EntryFn *fn, Err *e)
{
	int fd = openat(c->store->root, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) return 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		fd_close(fd);
		return err_sys(e, errno, "read %s/%s", c->store->path, dir);
	}
	int r = 0;
	for (const struct dirent *i; r >= 0 && (i = readdir(d));)
		if (!streq(i->d_name, ".") && !streq(i->d_name, "..")) r = fn(c, dir, i->d_name, e);
	closedir(d);
	return r;
}

static int has_row(Check *c, const char *sql, const Digest *d, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	return db_get(c->store->db, sql, DB_ARGS(DB_DIGEST(d)), &rows, e);
}

/* Taken away by the sweep that follows. */
static int stray(Check *c, const Digest *d, const char *path, Err *e)
{
	int r = c->req->repair ? db_run(c->store->db, "INSERT OR IGNORE INTO doomed VALUES(?)", DB_ARGS(db_text(path)), e) : 0;
	if (r >= 0)
		check_report(c, FINDING_FILE_STRAY, d, path, c->req->repair ? REPAIR_DONE : REPAIR_NONE, "nothing in the books leads to it",
			     NULL);
	return r;
}

static int check_blob_file(Check *c, const char *dir, const char *name, Err *e)
{
	char path[PATH_ROOM];
	Digest d;
	struct stat st;
	snprintf(path, sizeof path, "%s/%s", dir, name);
	if (digest_parse_hex(digest_algorithm_value(str_of(dir + strlen("blobs/"))), str_of(name), &d) < 0 ||
	    fstatat(c->store->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode)) {
		check_report(c, FINDING_FILE_FOREIGN, NULL, path, REPAIR_NONE, "is not of this store's making", NULL);
		return 0;
	}
	/* the second name of a layer's tar (store_name_tar) has no row of its own */
	int r = has_row(c, "SELECT 1 FROM contents WHERE digest = ?1 UNION ALL SELECT 1 FROM layers WHERE diff_id = ?1", &d, e);
	return r ? r : stray(c, &d, path, e);
}

static bool only_ours(Check *c, const char *path)
{
	int fd = openat(c->store->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool ours = d;
	if (!d) fd_close(fd);
	for (const struct dirent *i; d && (i = readdir(d));)
		ours = ours && (streq(i->d_name, ".") || streq(i->d_name, "..") || streq(i->d_name, "tar") || streq(i->d_name, "index"));
	if (d) closedir(d);
	return ours;
}

static int check_layer_file(Check *c, const char *dir, const char *name, Err *e)
{
	char path[PATH_ROOM];
	Digest d;
	snprintf(path, sizeof path, "%s/%s", dir, name);
	uint8_t algorithm = strlen(name) == 2 * digest_size(DIGEST_SHA512) ? DIGEST_SHA512 : DIGEST_SHA256;
	if (digest_parse_hex(algorithm, str_of(name), &d) < 0 || !only_ours(c, path)) {
		check_report(c, FINDING_FILE_FOREIGN, NULL, path, REPAIR_NONE, "is not of this store's making", NULL);
		return 0;
	}
	int r = has_row(c, "SELECT 1 FROM layers WHERE diff_id = ?", &d, e);
	return r ? r : stray(c, &d, path, e);
}

/* Merged indexes and trees: files and directories. */
static int check_form(Check *c, const char *dir, const char *name, Err *e)
{
	char path[PATH_ROOM];
	Digest d;
	AUTO_DB_ROWS rows = { 0 };
	snprintf(path, sizeof path, "%s/%s", dir, name);
	if (digest_parse_hex(DIGEST_SHA256, str_of(name), &d) < 0) {
		check_report(c, FINDING_FILE_FOREIGN, NULL, path, REPAIR_NONE, "is not of this store's making", NULL);
		return 0;
	}
	int r = db_get(c->store->db, "SELECT 1 FROM snapshots WHERE kind = ? AND chain_id = ?", DB_ARGS(db_text(dir), DB_DIGEST(&d)), &rows,
		       e);
	db_rows_done(&rows);
	return r ? r : stray(c, &d, path, e);
}

/* What is resumed by name keeps a week; files of ingest_new, and trees that were to be removed, nobody ever opens again. */
static int check_ingest(Check *c, const char *dir, const char *name, Err *e)
{
	char path[PATH_ROOM];
	struct stat st;
	AUTO_FD int fd = openat(c->store->ingest, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0) return 0; /* in the works, or gone */
	bool dropped = starts_with(name, "new-") || starts_with(name, INGEST_REMOVED);
	if (!dropped && st.st_mtime > time(NULL) - STALE_SECONDS) return 0;
	snprintf(path, sizeof path, "%s/%s", dir, name);
	Err why = ERR_INIT;
	Repair repair = REPAIR_NONE;
	if (c->req->repair) {
		int r = S_ISDIR(st.st_mode) ? tree_remove(c->store->ingest, name) : unlinkat(c->store->ingest, name, 0) < 0 ? -errno : 0;
		repair = r < 0 ? REPAIR_FAILED : REPAIR_DONE;
		if (r < 0) err_sys(&why, -r, "remove");
	}
	check_report(c, FINDING_INGEST_STALE, NULL, path, repair, "nobody works on it", &why);
	return 0;
}

int check_files(Check *c, Err *e)
{
	/* nobody is between putting a file in place and writing its row */
	AUTO_FD int lock = store_lock(c->store, LOCK_EX, e);
	if (lock < 0) return lock;
	int r = each_entry(c, "blobs/sha256", check_blob_file, e);
	if (r >= 0) r = each_entry(c, "blobs/sha512", check_blob_file, e);
	if (r >= 0) r = each_entry(c, "layers", check_layer_file, e);
	if (r >= 0) r = each_entry(c, "merged", check_form, e);
	if (r >= 0) r = each_entry(c, "trees", check_form, e);
	if (r >= 0) r = each_entry(c, "ingest", check_ingest, e);
	lock = fd_close(lock);
	return r >= 0 && c->req->repair ? store_sweep(c->store, e) : r;
}
