/* storage.c: see storage.h. */
#include "registry/storage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/fd.h"

enum { INFO_MAX = NAME_MAX_LENGTH + 16, INFO_NAME_MAX = SESSION_LENGTH + 6 };

static int open_directory(int at, const char *name, Err *e)
{
	if (mkdirat(at, name, 0755) < 0 && errno != EEXIST) return err_sys(e, errno, "make the directory %s", name);
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open the directory %s", name) : fd;
}

static int open_parts(Storage *s, const char *path, Err *e)
{
	s->root = open_directory(AT_FDCWD, path, e);
	if (s->root < 0) return s->root;
	s->lock = openat(s->root, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock < 0) return err_sys(e, errno, "open %s/lock", path);
	if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? err_set(e, ERR_STATE, EBUSY, "%s: in use by another registry process", path)
					    : err_sys(e, errno, "lock %s/lock", path);
	s->uploads = open_directory(s->root, "uploads", e);
	if (s->uploads < 0) return s->uploads;
	AUTO_FD int blobs = open_directory(s->root, "blobs", e);
	if (blobs < 0) return blobs;
	for (int a = DIGEST_SHA256; a <= DIGEST_SHA512; a++) {
		s->blobs[a] = open_directory(blobs, digest_algorithm_name((uint8_t)a), e);
		if (s->blobs[a] < 0) return s->blobs[a];
	}
	return fsync(blobs) < 0 || fsync(s->root) < 0 ? err_sys(e, errno, "sync %s", path) : 0;
}

int storage_open(const char *path, Storage *ret, Err *e)
{
	Storage s = { .root = -1, .uploads = -1, .lock = -1, .blobs = { -1, -1, -1 } };
	int r = open_parts(&s, path, e);
	if (r < 0) {
		storage_close(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void storage_close(Storage *s)
{
	for (size_t i = 0; i < ARRAY_LEN(s->blobs); i++)
		s->blobs[i] = fd_close(s->blobs[i]);
	s->uploads = fd_close(s->uploads);
	s->root = fd_close(s->root);
	s->lock = fd_close(s->lock);
}

/* ---- blobs ---- */

int storage_blob_directory(const Storage *s, const Digest *d)
{
	return s->blobs[d->algorithm];
}

int storage_blob_open(const Storage *s, const Digest *d, uint64_t *ret_size)
{
	char name[DIGEST_HEX_MAX];
	struct stat st;
	AUTO_FD int fd = openat(s->blobs[d->algorithm], digest_hex(d, name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0) return -errno;
	if (ret_size) *ret_size = (uint64_t)st.st_size;
	return take_fd(fd);
}

int storage_blob_remove(const Storage *s, const Digest *d)
{
	char name[DIGEST_HEX_MAX];
	return unlinkat(s->blobs[d->algorithm], digest_hex(d, name), 0) < 0 ? -errno : 0;
}

int storage_blob_hold(const Storage *s, const Digest *d)
{
	char name[DIGEST_HEX_MAX];
	int fd = openat(s->blobs[d->algorithm], digest_hex(d, name), O_PATH | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int storage_blob_publish(const Storage *s, const char *session, const Digest *d)
{
	char name[DIGEST_HEX_MAX], info[INFO_NAME_MAX];
	/* what stands there already has the same bytes; a damaged one is healed */
	if (renameat(s->uploads, session, s->blobs[d->algorithm], digest_hex(d, name)) < 0) return -errno;
	snprintf(info, sizeof info, "%s.info", session);
	unlinkat(s->uploads, info, 0);
	return 0;
}

/* ---- uploads ---- */

int storage_upload_create(const Storage *s, const char *session, const char *repository, uint8_t algorithm)
{
	char name[INFO_NAME_MAX], text[INFO_MAX];
	snprintf(name, sizeof name, "%s.info", session);
	int n = snprintf(text, sizeof text, "%s\n%s\n", repository, digest_algorithm_name(algorithm));
	if (n < 0 || (size_t)n >= sizeof text) return -ENAMETOOLONG;
	/* not synced: after a power cut the session is as unknown as its bytes */
	AUTO_FD int info = openat(s->uploads, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (info < 0) return -errno;
	int r = fd_write_all(info, text, (size_t)n);
	int fd = r < 0 ? -1 : openat(s->uploads, session, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (r >= 0 && fd < 0) r = -errno;
	if (r < 0) unlinkat(s->uploads, name, 0);
	return r < 0 ? r : fd;
}

int storage_upload_open(const Storage *s, const char *session)
{
	int fd = openat(s->uploads, session, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int storage_upload_info(const Storage *s, const char *session, char ret_repository[static NAME_MAX_LENGTH + 1], uint8_t *ret_algorithm,
			uint64_t *ret_size)
{
	char name[INFO_NAME_MAX], text[INFO_MAX];
	struct stat st;
	Str repository, algorithm;
	snprintf(name, sizeof name, "%s.info", session);
	ssize_t n = fd_read_small(s->uploads, name, text, sizeof text);
	if (n < 0) return (int)n;
	if (fstatat(s->uploads, session, &st, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
	if (!str_cut((Str){ text, (size_t)n }, '\n', &repository, &algorithm) || !name_valid(repository)) return -ENOENT;
	uint8_t value = digest_algorithm_value(algorithm);
	if (!value) return -ENOENT;
	memcpy(ret_repository, repository.p, repository.n);
	ret_repository[repository.n] = 0;
	*ret_algorithm = value;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

void storage_upload_remove(const Storage *s, const char *session)
{
	char name[INFO_NAME_MAX];
	snprintf(name, sizeof name, "%s.info", session);
	unlinkat(s->uploads, name, 0);
	unlinkat(s->uploads, session, 0);
}

/* ---- what is there ---- */

/* A second descriptor of the directory, so that two readers do not share a position. */
static DIR *open_list(int fd)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	if (!d) fd_close(again);
	return d;
}

static int64_t changed_at(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

int storage_each_blob(const Storage *s, StorageBlobFn *fn, void *arg)
{
	bool more = true;
	for (int a = DIGEST_SHA256; a <= DIGEST_SHA512 && more; a++) {
		DIR *d = open_list(s->blobs[a]);
		if (!d) return -errno;
		for (struct dirent *entry; more && (entry = readdir(d));) {
			Digest digest;
			struct stat st;
			if (digest_parse_hex((uint8_t)a, str_of(entry->d_name), &digest) < 0) continue;
			if (fstatat(s->blobs[a], entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
			more = fn(arg, &digest, (uint64_t)st.st_size, changed_at(&st));
		}
		closedir(d);
	}
	return 0;
}

int storage_each_upload(const Storage *s, StorageUploadFn *fn, void *arg)
{
	DIR *d = open_list(s->uploads);
	if (!d) return -errno;
	bool more = true;
	for (struct dirent *entry; more && (entry = readdir(d));) {
		char session[SESSION_LENGTH + 1];
		struct stat st;
		Str name = str_of(entry->d_name);
		/* by either of the two files, so that half a session goes as well */
		if (ends_with(entry->d_name, ".info")) name.n -= 5;
		if (!session_valid(name) || fstatat(s->uploads, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
		memcpy(session, name.p, SESSION_LENGTH);
		session[SESSION_LENGTH] = 0;
		if (name.n != strlen(entry->d_name)) {
			struct stat data;
			if (fstatat(s->uploads, session, &data, AT_SYMLINK_NOFOLLOW) == 0) continue;
		}
		more = fn(arg, session, changed_at(&st));
	}
	closedir(d);
	return 0;
}

int storage_token_key(const Storage *s, TokenKey *ret, Err *e)
{
	AUTO_FD int fd = openat(s->root, "token.key", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		ssize_t n = TEMP_FAILURE_RETRY(read(fd, ret->bytes, sizeof ret->bytes));
		if (n == (ssize_t)sizeof ret->bytes) return 0;
		return err_set(e, ERR_CONFIG, EINVAL, "token.key: %d bytes are expected; without the file a new one is made",
			       TOKEN_KEY_BYTES);
	}
	if (errno != ENOENT) return err_sys(e, errno, "open token.key");
	if (TEMP_FAILURE_RETRY(getrandom(ret->bytes, sizeof ret->bytes, 0)) != (ssize_t)sizeof ret->bytes)
		return err_sys(e, EIO, "make a token key");
	return fd_replace_file(s->root, "token.key", ret->bytes, sizeof ret->bytes, 0600, REPLACE_DURABLE, e);
}
