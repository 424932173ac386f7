/* store.c: opening the store, its lock, leases, and taking away what is doomed. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/catalog.h"
#include "image/store_impl.h"
#include "sys/proc.h"

enum { STORE_ARENA_MAX = 1 << 20 };

static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

void store_blob_path(const Digest *d, char path[static STORE_PATH_MAX])
{
	char hex[DIGEST_HEX_MAX];
	snprintf(path, STORE_PATH_MAX, "blobs/%s/%s", digest_algorithm_name(d->algorithm), digest_hex(d, hex));
}

void store_layer_path(const Digest *d, char path[static STORE_PATH_MAX])
{
	char hex[DIGEST_HEX_MAX];
	snprintf(path, STORE_PATH_MAX, "layers/%s", digest_hex(d, hex));
}

int store_row_digest(const DbRows *rows, int column, Digest *ret, Err *e)
{
	*ret = (Digest){ 0 };
	if (db_row_null(rows, column)) return 0;
	int r = digest_parse(db_row_str(rows, column), ret);
	return r < 0 ? err_set(e, ERR_STATE, EUCLEAN, "skep.db: \"%.80s\" is no digest", db_row_text(rows, column)) : 0;
}

/* ---- opening ---- */

static int make_parents(const char *path, Err *e)
{
	AUTO_FREE char *p = strdup(path);
	if (!p) return err_sys(e, ENOMEM, "%s", path);
	for (char *at = p + 1; *at; at++) {
		if (*at != '/') continue;
		*at = 0;
		if (mkdir(p, 0755) < 0 && errno != EEXIST) return err_sys(e, errno, "create %s", p);
		*at = '/';
	}
	return mkdir(p, 0700) < 0 && errno != EEXIST ? err_sys(e, errno, "create %s", path) : 0;
}

static int open_dir(int at, const char *name, const char *root, int *ret, Err *e)
{
	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST) return err_sys(e, errno, "create %s/%s", root, name);
	*ret = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret < 0 ? err_sys(e, errno, "open %s/%s", root, name) : 0;
}

static int open_dirs(ImageStore *s, Err *e)
{
	s->root = openat(AT_FDCWD, s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = s->root < 0 && errno == ENOENT ? make_parents(s->path, e) : 0;
	if (r < 0) return r;
	if (s->root < 0) s->root = openat(AT_FDCWD, s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->root < 0) return err_sys(e, errno, "open the state directory %s", s->path);
	if ((r = open_dir(s->root, "ingest", s->path, &s->ingest, e)) < 0) return r;
	if ((r = open_dir(s->root, "blobs", s->path, &s->blobs, e)) < 0) return r;
	if ((r = open_dir(s->root, "layers", s->path, &s->layers, e)) < 0) return r;
	struct stat st;
	if (fstatat(s->root, "oci-layout", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size == sizeof layout - 1) return 0;
	store_reserve_take(s);
	return fd_replace_file(s->root, "oci-layout", layout, sizeof layout - 1, 0644, REPLACE_DURABLE, e);
}

/* Is there work that a killed process or a power cut has left? */
static int has_left_overs(ImageStore *s, Err *e)
{
	char file[INDEX_FILE_MAX];
	AUTO_DB_ROWS rows = { 0 };
	store_index_file(s, file);
	int r = db_get(s->db, "SELECT EXISTS(SELECT 1 FROM doomed), names <> written OR file <> ? FROM generation", DB_ARGS(db_text(file)),
		       &rows, e);
	if (r < 0) return r;
	return (db_row_int(&rows, 0) ? 1 : 0) | (db_row_int(&rows, 1) ? 2 : 0);
}

static int open_all(ImageStore *s, const char *root, Err *e)
{
	s->path = arena_strdup(&s->arena, root);
	char *path = arena_printf(&s->arena, "%s/skep.db", root);
	if (!s->path || !path) return err_sys(e, ENOMEM, "open the store %s", root);
	int r = open_dirs(s, e);
	if (r < 0) return r;
	r = db_open(path, &image_schema, DB_CREATE, &s->db, e);
	if (r == -ENOSPC && store_reserve_give(s)) {
		*e = ERR_INIT;
		r = db_open(path, &image_schema, DB_CREATE, &s->db, e); /* SQLite writes its index of the WAL */
		store_reserve_take(s);
	}
	if (r < 0) return r;
	int left = r = has_left_overs(s, e);
	if (left & 1 && r >= 0) r = store_sweep(s, e);
	if (left & 2 && r >= 0) r = store_write_index(s, e);
	return r < 0 ? r : 0;
}

int image_store_open(const char *root, ImageStore **ret, Err *e)
{
	AUTO_IMAGE_STORE *s = calloc(1, sizeof *s);
	if (!s) return err_sys(e, ENOMEM, "open the store %s", root);
	*s = (ImageStore){ .root = -1, .ingest = -1, .blobs = -1, .layers = -1, .arena = ARENA_INIT(STORE_ARENA_MAX) };
	int r = open_all(s, root, e);
	if (r < 0) return r;
	*ret = take(s);
	return 0;
}

void image_store_close(ImageStore *s)
{
	if (!s) return;
	Err ignored = ERR_INIT;
	if (s->lease) (void)!db_run(s->db, "DELETE FROM leases WHERE id = ?", DB_ARGS(db_int(s->lease)), &ignored);
	db_close(s->db);
	fd_close(s->ingest);
	fd_close(s->blobs);
	fd_close(s->layers);
	fd_close(s->root);
	arena_done(&s->arena);
	free(s);
}

void auto_image_store(ImageStore **s)
{
	image_store_close(*s);
}

int store_lock(const ImageStore *s, int how, Err *e)
{
	AUTO_FD int fd = openat(s->root, "store.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || retry_eintr(flock(fd, how)) < 0) return err_sys(e, errno, "lock %s/store.lock", s->path);
	return take_fd(fd);
}

/* ---- leases ---- */

int store_boot_id(char text[static BOOT_ID_MAX])
{
	ssize_t n = fd_read_small(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text, BOOT_ID_MAX);
	return n < 0 ? (int)n : 0;
}

static int make_lease(ImageStore *s, Err *e)
{
	char boot[BOOT_ID_MAX];
	uint64_t start = 0;
	int r = store_boot_id(boot);
	if (r < 0 || (r = proc_start_time(getpid(), &start)) < 0) return err_sys(e, r, "read /proc");
	r = db_run(s->db, "INSERT INTO leases(pid, start_time, boot) VALUES(?, ?, ?)",
		   DB_ARGS(db_int(getpid()), db_int((int64_t)start), db_text(boot)), e);
	if (r < 0) return r;
	s->lease = db_last_id(s->db);
	return 0;
}

static int lease(ImageStore *s, const char *exists, const Digest *d, size_t n, bool *ret, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	int r = db_begin(s->db, DB_WRITE, &tx, e);
	bool fresh = !s->lease;
	if (r >= 0 && fresh) r = make_lease(s, e);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		AUTO_DB_ROWS rows = { 0 };
		r = db_run(s->db, "INSERT OR IGNORE INTO lease_items VALUES(?, ?)", DB_ARGS(db_int(s->lease), DB_DIGEST(&d[i])), e);
		if (r >= 0) r = db_get(s->db, exists, DB_ARGS(DB_DIGEST(&d[i])), &rows, e);
		if (r >= 0) ret[i] = r > 0;
	}
	if (r >= 0) r = db_commit(&tx, e);
	if (r < 0 && fresh) s->lease = 0;
	/* whoever begins to work on contents tidies up after those who were killed at it */
	if (r >= 0 && fresh) r = ingest_sweep(s, e);
	return r < 0 ? r : 0;
}

int lease_contents(ImageStore *s, const Digest *d, size_t n, bool *ret, Err *e)
{
	return lease(s, "SELECT 1 FROM contents WHERE digest = ?", d, n, ret, e);
}

int lease_layers(ImageStore *s, const Digest *diff_ids, size_t n, bool *ret, Err *e)
{
	return lease(s, "SELECT 1 FROM layers WHERE diff_id = ?", diff_ids, n, ret, e);
}
