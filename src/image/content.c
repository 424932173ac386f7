/* content.c: blobs that are there, and files that are being made. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "image/store_impl.h"

int content_open(const ImageStore *s, const Digest *d, uint64_t *ret_size, Err *e)
{
	char path[STORE_PATH_MAX], text[DIGEST_TEXT_MAX];
	struct stat st;
	store_blob_path(d, path);
	AUTO_FD int fd = openat(s->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) return err_sys(e, errno, "open %s in the store %s", digest_format(d, text), s->path);
	if (ret_size) *ret_size = (uint64_t)st.st_size;
	return take_fd(fd);
}

static int layer_open(const ImageStore *s, const Digest *diff_id, const char *file, Err *e)
{
	char path[STORE_PATH_MAX], full[STORE_PATH_MAX + 8], text[DIGEST_TEXT_MAX];
	store_layer_path(diff_id, path);
	snprintf(full, sizeof full, "%s/%s", path, file);
	AUTO_FD int fd = openat(s->root, full, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) return err_sys(e, errno, "open the %s of layer %s in the store %s", file, digest_format(diff_id, text), s->path);
	return take_fd(fd);
}

int layer_open_tar(const ImageStore *s, const Digest *diff_id, uint64_t *ret_size, Err *e)
{
	struct stat st;
	AUTO_FD int fd = layer_open(s, diff_id, "tar", e);
	if (fd < 0) return fd;
	if (fstat(fd, &st) < 0) return err_sys(e, errno, "stat the tar of a layer");
	if (ret_size) *ret_size = (uint64_t)st.st_size;
	return take_fd(fd);
}

int layer_open_index(const ImageStore *s, const Digest *diff_id, Err *e)
{
	return layer_open(s, diff_id, "index", e);
}

int layer_of_blob(const ImageStore *s, const Digest *blob, Digest *ret_diff_id, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(s->db, "SELECT diff_id FROM forms WHERE blob = ?", DB_ARGS(DB_DIGEST(blob)), &rows, e);
	if (r <= 0) return r;
	r = store_row_digest(&rows, 0, ret_diff_id, e);
	return r < 0 ? r : 1;
}

int content_has(const ImageStore *s, const Digest *d, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	return db_get(s->db, "SELECT 1 FROM contents WHERE digest = ?", DB_ARGS(DB_DIGEST(d)), &rows, e);
}

int content_read(const ImageStore *s, const Digest *d, size_t max, Arena *a, char **ret, size_t *ret_n, Err *e)
{
	char text[DIGEST_TEXT_MAX], *p;
	uint64_t size;
	Digest found;
	AUTO_FD int fd = content_open(s, d, &size, e);
	if (fd < 0) return fd;
	digest_format(d, text);
	if (size > max) return err_set(e, ERR_RESOURCE, EFBIG, "%s: %ju bytes, %zu are allowed here", text, (uintmax_t)size, max);
	AUTO_BUF b = BUF_INIT(max);
	int r = fd_read_all(fd, &b);
	if (r < 0) return err_sys(e, r, "read %s", text);
	if ((r = digest_of(d->algorithm, buf_str(&b), b.n, &found)) < 0) return err_sys(e, r, "hash %s", text);
	if (!digest_equal(&found, d))
		return err_set(e, ERR_STATE, EUCLEAN,
			       "%s in the store %s has other bytes than its digest says: `skep image check --repair` fetches it again",
			       text, s->path);
	if (!(p = arena_str(a, (Str){ buf_str(&b), b.n }))) return err_sys(e, ENOMEM, "read %s", text);
	*ret = p;
	*ret_n = b.n;
	return 0;
}

/* ---- the second name of a tar ---- */

#define SECOND_NAME "name-" /* and the pid of who is at it */

/* The paths of a layer's tar and of its name in blobs/, whose directory is made. */
static int tar_paths(const ImageStore *s, const Digest *diff_id, char tar[static STORE_PATH_MAX + 8], char blob[static STORE_PATH_MAX],
		     Err *e)
{
	store_layer_path(diff_id, tar);
	memcpy(tar + strlen(tar), "/tar", sizeof "/tar");
	store_blob_path(diff_id, blob);
	char *slash = strrchr(blob, '/');
	*slash = 0;
	if (mkdirat(s->root, blob, 0700) < 0 && errno != EEXIST) return err_sys(e, errno, "create %s/%s", s->path, blob);
	*slash = '/';
	return 0;
}

static bool same_file(int dir, const char *a, const char *b)
{
	struct stat x, y;
	return fstatat(dir, a, &x, AT_SYMLINK_NOFOLLOW) == 0 && fstatat(dir, b, &y, AT_SYMLINK_NOFOLLOW) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

int store_tar_named(const ImageStore *s, const Digest *diff_id, Err *e)
{
	char tar[STORE_PATH_MAX + 8], blob[STORE_PATH_MAX];
	int r = tar_paths(s, diff_id, tar, blob, e);
	return r < 0 ? r : same_file(s->root, tar, blob);
}

/* In place of another file of that name, without a moment in which there is none. */
static int replace_name(const ImageStore *s, const char *tar, const char *blob)
{
	char name[INGEST_NAME_MAX];
	snprintf(name, sizeof name, SECOND_NAME "%d", (int)getpid());
	if (unlinkat(s->ingest, name, 0) < 0 && errno != ENOENT) return -errno;
	if (linkat(s->root, tar, s->ingest, name, 0) < 0) return -errno;
	int r = renameat(s->ingest, name, s->root, blob) < 0 ? -errno : 0;
	(void)unlinkat(s->ingest, name, 0); /* rename(2) leaves it when somebody else has given the tar that name meanwhile */
	return r == -ENOENT ? 0 : r;        /* swept by who took us for dead: once more */
}

int store_name_tar(const ImageStore *s, const Digest *diff_id, Err *e)
{
	enum { TRIES = 100 };
	char tar[STORE_PATH_MAX + 8], blob[STORE_PATH_MAX];
	int r = tar_paths(s, diff_id, tar, blob, e);
	if (r < 0) return r;
	if (linkat(s->root, tar, s->root, blob, 0) == 0) return 1;
	r = -errno;
	if (r == -EEXIST && (r = content_has(s, diff_id, e))) return r < 0 ? r : 0; /* a blob of its own */
	if (r == 0 && same_file(s->root, tar, blob)) return 0;
	/* whoever puts another tar in place looks after it: the name is the last one's in the end */
	for (int i = 0; r == 0 && i < TRIES && !same_file(s->root, tar, blob); i++)
		r = replace_name(s, tar, blob);
	switch (r) {
	case 0:
		return 1;
	case -ENOENT:
	case -EPERM: /* of a file system without links */
	case -EOPNOTSUPP:
	case -EMLINK:
	case -EXDEV:
		return 0;
	default:
		return err_sys(e, r, "link %s/%s", s->path, blob);
	}
}

/* ---- ingest ---- */

/* Locked, and still the file of that name: whoever held it may have put it in place meanwhile. */
static int lock_file(const ImageStore *s, const char *name, int fd)
{
	struct stat mine, there;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) return -errno;
	if (fstat(fd, &mine) < 0) return -errno;
	if (fstatat(s->ingest, name, &there, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? -ESTALE : -errno;
	return mine.st_ino == there.st_ino && mine.st_dev == there.st_dev ? 0 : -ESTALE;
}

int ingest_open(const ImageStore *s, const char *name, Ingest *ret, Err *e)
{
	enum { TRIES = 100 };
	if (strlen(name) >= INGEST_NAME_MAX || strchr(name, '/')) return err_sys(e, ENAMETOOLONG, "ingest/%s", name);
	for (int i = 0; i < TRIES; i++) {
		AUTO_FD int fd = openat(s->ingest, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0) return err_sys(e, errno, "create %s/ingest/%s", s->path, name);
		int r = lock_file(s, name, fd);
		if (r == -ESTALE) continue;
		if (r == -EWOULDBLOCK) return err_sys(e, EWOULDBLOCK, "%s/ingest/%s is in the works", s->path, name);
		if (r < 0) return err_sys(e, r, "lock %s/ingest/%s", s->path, name);
		*ret = INGEST_NONE;
		memcpy(ret->name, name, strlen(name) + 1);
		ret->fd = take_fd(fd);
		return 0;
	}
	return err_sys(e, EWOULDBLOCK, "%s/ingest/%s is in the works", s->path, name);
}

int ingest_new(const ImageStore *s, Ingest *ret, Err *e)
{
	enum { TRIES = 8 };
	uint64_t random[2];
	char name[INGEST_NAME_MAX];
	for (int i = 1;; i++) {
		if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return err_sys(e, errno, "getrandom");
		snprintf(name, sizeof name, "new-%016jx%016jx", (uintmax_t)random[0], (uintmax_t)random[1]);
		Err taken = ERR_INIT;
		int r = ingest_open(s, name, ret, &taken);
		if (r == -EWOULDBLOCK && i < TRIES) continue; /* ingest_sweep was faster than our lock */
		if (r < 0) *e = taken;
		return r;
	}
}

void ingest_keep(Ingest *i)
{
	i->fd = fd_close(i->fd);
}

void ingest_drop(const ImageStore *s, Ingest *i)
{
	if (i->fd < 0) return;
	unlinkat(s->ingest, i->name, 0);
	i->fd = fd_close(i->fd);
}

/* Nobody is removing it: its lock is to be had. */
static bool is_left(const ImageStore *s, const char *name)
{
	AUTO_FD int fd = openat(s->ingest, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* Of a process that is not there any more. */
static bool is_second_name_left(const char *name)
{
	int pid;
	return starts_with(name, SECOND_NAME) && str_to_int(str_of(name + sizeof SECOND_NAME - 1), &pid) == 0 && pid > 0 &&
	       kill(pid, 0) < 0 && errno == ESRCH;
}

int ingest_sweep_files(const ImageStore *s, bool *ret_trees, Err *e)
{
	int n = 0;
	*ret_trees = false;
	int dir = openat(s->root, "ingest", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = dir < 0 ? NULL : fdopendir(dir);
	if (!d) {
		fd_close(dir);
		return err_sys(e, errno, "read %s/ingest", s->path);
	}
	for (const struct dirent *i; (i = readdir(d));) {
		if (starts_with(i->d_name, INGEST_REMOVED)) *ret_trees |= is_left(s, i->d_name);
		if (is_second_name_left(i->d_name) && unlinkat(s->ingest, i->d_name, 0) == 0) n++;
		if (!starts_with(i->d_name, "new-")) continue;
		AUTO_FD int fd = openat(s->ingest, i->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(s->ingest, i->d_name, 0) == 0) n++;
	}
	closedir(d);
	return n;
}

int ingest_sweep(ImageStore *s, Err *e)
{
	bool trees = false;
	int r = ingest_sweep_files(s, &trees, e);
	if (trees) sweep_trees(s);
	return r;
}
