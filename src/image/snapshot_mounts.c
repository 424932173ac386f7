/* snapshot_mounts.c: which images users have mounted, and whether they still are. See snapshot.h. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/snapshot_impl.h"
#include "sys/mount_id.h"

enum { MOUNTS_MAX = 65536 };

static int my_namespace(int64_t *ret)
{
	struct stat st;
	if (stat("/proc/self/ns/mnt", &st) < 0) return -errno;
	*ret = (int64_t)st.st_ino;
	return 0;
}

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

/* Is any process in that mount namespace? */
static bool namespace_lives(int64_t inode)
{
	struct dirent *entry;
	AUTO(closedirp) DIR *d = opendir("/proc");
	while (d && (entry = readdir(d))) {
		char path[300];
		struct stat st;
		if (!isdigit((unsigned char)entry->d_name[0])) continue;
		snprintf(path, sizeof path, "/proc/%s/ns/mnt", entry->d_name);
		if (stat(path, &st) == 0 && (int64_t)st.st_ino == inode) return true;
	}
	return d == NULL;
}

int mount_add(ImageStore *s, const Digest *manifest, const char *path, Err *e)
{
	char boot[BOOT_ID_MAX];
	int64_t ns = 0;
	uint64_t id = 0;
	int r = store_boot_id(boot);
	if (r < 0 || (r = mount_id(AT_FDCWD, path, true, &id)) < 0 || (r = my_namespace(&ns)) < 0)
		return err_sys(e, r, "look at the mount %s", path);
	r = db_run(s->db, "INSERT OR REPLACE INTO mounts(path, namespace, boot, mount_id, manifest) VALUES(?, ?, ?, ?, ?)",
		   DB_ARGS(db_text(path), db_int(ns), db_text(boot), db_int((int64_t)id), DB_DIGEST(manifest)), e);
	return r == -EBUSY ? err_set(e, ERR_NOT_FOUND, ENOENT, "mount at %s: the image is gone", path) : r < 0 ? r : 0;
}

int mount_forget(ImageStore *s, const char *path, Err *e)
{
	int64_t ns = 0;
	int r = my_namespace(&ns);
	if (r < 0) return err_sys(e, r, "look at /proc/self/ns/mnt");
	r = db_run(s->db, "DELETE FROM mounts WHERE path = ? AND namespace = ?", DB_ARGS(db_text(path), db_int(ns)), e);
	return r < 0 ? r : 0;
}

/* Row: one of the table, and what came of it. */
typedef struct Row {
	ImageMount mount;
	int64_t ns, id;
	bool alive;
} Row;

static int read_rows(ImageStore *s, Arena *a, Row **ret, size_t *ret_n, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	size_t n = 0;
	int r = db_get(s->db, "SELECT count(*) FROM mounts", DB_NONE, &rows, e);
	size_t max = r > 0 ? (size_t)db_row_int(&rows, 0) : 0;
	db_rows_done(&rows);
	if (r < 0) return r;
	Row *items = max <= MOUNTS_MAX ? arena_array(a, max + 1, sizeof *items) : NULL;
	if (!items) return err_sys(e, ENOMEM, "read the mounts");
	if (max) r = db_query(s->db, "SELECT path, namespace, mount_id, manifest FROM mounts ORDER BY path", DB_NONE, &rows, e);
	while (max && r >= 0 && n < max && (r = db_next(&rows, e)) > 0) {
		Row *row = &items[n];
		row->ns = db_row_int(&rows, 1);
		row->id = db_row_int(&rows, 2);
		if ((r = store_row_digest(&rows, 3, &row->mount.manifest, e)) < 0) return r;
		if (db_row_dup(&rows, 0, a, &row->mount.path) < 0) return err_sys(e, ENOMEM, "read the mounts");
		n++;
	}
	*ret = items;
	*ret_n = n;
	return r < 0 ? r : 0;
}

static void judge(Row *row, int64_t ns)
{
	uint64_t id = 0;
	row->mount.here = row->ns == ns;
	row->alive =
		row->mount.here ? mount_id(AT_FDCWD, row->mount.path, true, &id) == 0 && (int64_t)id == row->id : namespace_lives(row->ns);
}

int mount_list(ImageStore *s, Arena *a, ImageMountList *ret, Err *e)
{
	char boot[BOOT_ID_MAX];
	int64_t ns = 0;
	Row *rows = NULL;
	size_t n = 0;
	int r = store_boot_id(boot);
	if (r < 0 || (r = my_namespace(&ns)) < 0) return err_sys(e, r, "read /proc");
	AUTO_DB_ROWS any = { 0 };
	if ((r = db_get(s->db, "SELECT 1 FROM mounts", DB_NONE, &any, e)) < 0) return r;
	db_rows_done(&any);
	*ret = (ImageMountList){ 0 };
	if (r == 0) return 0;
	if ((r = db_run(s->db, "DELETE FROM mounts WHERE boot <> ?", DB_ARGS(db_text(boot)), e)) < 0) return r;
	if ((r = read_rows(s, a, &rows, &n, e)) < 0) return r;
	if (!(ret->items = arena_array(a, n + 1, sizeof *ret->items))) return err_sys(e, ENOMEM, "read the mounts");
	for (size_t i = 0; i < n; i++) {
		judge(&rows[i], ns);
		if (rows[i].alive)
			ret->items[ret->n++] = rows[i].mount;
		else if ((r = db_run(s->db, "DELETE FROM mounts WHERE path = ? AND namespace = ? AND mount_id = ?",
				     DB_ARGS(db_text(rows[i].mount.path), db_int(rows[i].ns), db_int(rows[i].id)), e)) < 0)
			return r;
	}
	return 0;
}
