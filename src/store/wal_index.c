/* wal_index.c: see wal_index.h. The layout is that of sqlite.org/walformat.html, "WAL-Index Format", the numbers in the machine's order. */
#include "store/wal_index.h"

#include <endian.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/fd.h"
#include "sys/mount_id.h"

#include "base/fnv.h"

enum {
	REGION = 32768, /* what SQLite asks for, one after the other */
	REGIONS_MAX = 4096,
	PAGE = 4096,
	LOCKS_AT = 120, /* a byte for each of SQLITE_SHM_NLOCK locks, and one that every connection holds shared */
	LIVES_AT = LOCKS_AT + SQLITE_SHM_NLOCK,
	STAMP_AT = 132, /* "reserved": not written, not read by SQLite, gone when somebody else truncates the file */
	WAL_HEADER = 32,
	WAL_FRAME = 24, /* before each page */
};

/* Of the index, its header: the first of two copies. */
typedef struct Header {
	uint32_t version, unused, change;
	uint8_t initialized, big_endian;
	uint16_t page_size; /* 1: 65536 */
	uint32_t last_frame, pages;
	uint32_t checksum[2]; /* of the last frame, over all before it */
	uint32_t salt[2];     /* as they stand in the WAL */
	uint32_t own_checksum[2];
} Header;

_Static_assert(sizeof(Header) == 48, "as SQLite has it");

typedef struct WalIndex WalIndex;
struct WalIndex {
	WalIndex *next;
	sqlite3_file *file;
	char *path;     /* of the database */
	int fd;         /* of the index; -1: not yet open */
	uint32_t stamp; /* that it ought to have; 0: it cannot be told */
	unsigned n;
	void **regions;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static WalIndex *all;
static sqlite3_io_methods methods;
static const sqlite3_io_methods *replaced;

static WalIndex *find(const sqlite3_file *file)
{
	pthread_mutex_lock(&mutex);
	WalIndex *w = all;
	while (w->file != file)
		w = w->next;
	pthread_mutex_unlock(&mutex);
	return w;
}

/* ---- locks ---- */

static int lock(int fd, short type, off_t at, off_t n)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = n };
	return fcntl(fd, F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

static int change_lock(sqlite3_file *file, int at, int n, int flags)
{
	short type = flags & SQLITE_SHM_UNLOCK ? F_UNLCK : flags & SQLITE_SHM_SHARED ? F_RDLCK : F_WRLCK;
	int r = lock(find(file)->fd, type, LOCKS_AT + at, n);
	return r < 0 ? (type == F_UNLCK ? SQLITE_IOERR_SHMLOCK : SQLITE_BUSY) : SQLITE_OK;
}

static void barrier(sqlite3_file *file)
{
	(void)file;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- whether what is there may stay ---- */

/* Of this boot, this mount, these two files. */
static uint32_t stamp_of(int index, int wal)
{
	char boot[64] = "";
	struct stat a, b;
	uint64_t mount = 0;
	if (fd_read_small(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof boot) < 0 || fstat(index, &a) < 0 ||
	    fstat(wal, &b) < 0 || mount_id(index, "", true, &mount) < 0)
		return 0;
	uint32_t h = fnv_add(FNV_INIT, boot, strlen(boot));
	h = fnv_add(h, &mount, sizeof mount);
	h = fnv_add(h, &a.st_dev, sizeof a.st_dev);
	h = fnv_add(h, &a.st_ino, sizeof a.st_ino);
	h = fnv_add(h, &b.st_ino, sizeof b.st_ino);
	return h ? h : 1;
}

static bool read_at(int fd, void *p, size_t n, uint64_t at)
{
	return retry_eintr(pread(fd, p, n, (off_t)at)) == (ssize_t)n;
}

/* The last frame that the index knows is the one that stands there. */
static bool has_last_frame(const Header *h, int wal)
{
	uint8_t head[WAL_HEADER], frame[WAL_FRAME];
	uint64_t page = h->page_size == 1 ? 65536 : h->page_size;
	if (!h->last_frame) return true;
	if (!read_at(wal, head, sizeof head, 0) || memcmp(head + 16, h->salt, sizeof h->salt) != 0) return false;
	if (!read_at(wal, frame, sizeof frame, WAL_HEADER + (h->last_frame - 1) * (WAL_FRAME + page))) return false;
	const uint32_t sum[2] = { htobe32(h->checksum[0]), htobe32(h->checksum[1]) };
	return memcmp(frame + 8, h->salt, sizeof h->salt) == 0 && memcmp(frame + 16, sum, sizeof sum) == 0;
}

static int open_wal(const WalIndex *w)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s-wal", w->path);
	return n < 0 || (size_t)n >= sizeof path ? -1 : openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
}

static bool may_stay(const WalIndex *w, int wal)
{
	Header h;
	uint32_t stamp;
	return w->stamp && read_at(w->fd, &stamp, sizeof stamp, STAMP_AT) && stamp == w->stamp && read_at(w->fd, &h, sizeof h, 0) &&
	       has_last_frame(&h, wal);
}

/* By everybody: from here on the index is in use, with what it says, or empty. */
static void put_stamp(const WalIndex *w)
{
	memcpy((uint8_t *)w->regions[0] + STAMP_AT, &w->stamp, sizeof w->stamp);
}

/* ---- the file ---- */

/* Who finds nobody else there decides about what is left of them. */
static int join(WalIndex *w)
{
	AUTO_FD int wal = open_wal(w);
	w->stamp = wal < 0 ? 0 : stamp_of(w->fd, wal);
	int r = lock(w->fd, F_WRLCK, LIVES_AT, 1);
	if (r >= 0) {
		if (!may_stay(w, wal) && ftruncate(w->fd, 0) < 0) return SQLITE_IOERR_SHMOPEN;
	} else if (r != -EAGAIN && r != -EACCES) {
		return SQLITE_IOERR_SHMLOCK;
	}
	return lock(w->fd, F_RDLCK, LIVES_AT, 1) < 0 ? SQLITE_BUSY : SQLITE_OK;
}

static int open_index(WalIndex *w)
{
	char path[4096];
	if (w->fd >= 0) return SQLITE_OK;
	int n = snprintf(path, sizeof path, "%s-shm", w->path);
	if (n < 0 || (size_t)n >= sizeof path) return SQLITE_CANTOPEN;
	w->fd = openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
	if (w->fd < 0) return SQLITE_CANTOPEN;
	int rc = join(w);
	if (rc != SQLITE_OK) w->fd = fd_close(w->fd);
	return rc;
}

/* All of it has its place on the disk: writing into a mapping must never find that full. */
static int extend(const WalIndex *w, off_t size)
{
	static const char zeros[PAGE];
	struct stat st;
	if (fstat(w->fd, &st) < 0) return SQLITE_IOERR_SHMSIZE;
	if (fallocate(w->fd, 0, 0, size) == 0) return SQLITE_OK;
	if (errno != EOPNOTSUPP) return SQLITE_IOERR_SHMSIZE;
	for (off_t at = st.st_size; at < size;) {
		ssize_t n = retry_eintr(pwrite(w->fd, zeros, size - at < PAGE ? (size_t)(size - at) : PAGE, at));
		if (n <= 0) return SQLITE_IOERR_SHMSIZE;
		at += n;
	}
	return SQLITE_OK;
}

static int map_more(WalIndex *w, unsigned i, int may_extend)
{
	struct stat st;
	off_t size = (off_t)(i + 1) * REGION;
	if (fstat(w->fd, &st) < 0) return SQLITE_IOERR_SHMSIZE;
	if (st.st_size < size) {
		if (!may_extend) return SQLITE_OK;
		int rc = extend(w, size);
		if (rc != SQLITE_OK) return rc;
	}
	void **regions = reallocarray(w->regions, i + 1, sizeof *regions);
	if (!regions) return SQLITE_IOERR_NOMEM;
	w->regions = regions;
	while (w->n <= i) {
		void *p = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, (off_t)w->n * REGION);
		if (p == MAP_FAILED) return SQLITE_IOERR_SHMMAP;
		w->regions[w->n++] = p;
		if (w->n == 1) put_stamp(w);
	}
	return SQLITE_OK;
}

static int map(sqlite3_file *file, int i, int size, int may_extend, void volatile **ret)
{
	WalIndex *w = find(file);
	*ret = NULL;
	if (size != REGION || i < 0 || i >= REGIONS_MAX) return SQLITE_IOERR_SHMMAP;
	int rc = open_index(w);
	if (rc == SQLITE_OK && w->n <= (unsigned)i) rc = map_more(w, (unsigned)i, may_extend);
	if (rc == SQLITE_OK && w->n > (unsigned)i) *ret = w->regions[i];
	return rc;
}

static void let_go(WalIndex *w)
{
	while (w->n)
		munmap(w->regions[--w->n], REGION);
	free(w->regions);
	w->regions = NULL;
	w->fd = fd_close(w->fd); /* and its locks */
}

static int unmap(sqlite3_file *file, int delete)
{
	WalIndex *w = find(file);
	char path[4096];
	if (delete &&snprintf(path, sizeof path, "%s-shm", w->path) < (int)sizeof path) unlinkat(AT_FDCWD, path, 0);
	let_go(w);
	return SQLITE_OK;
}

static int close_file(sqlite3_file *file)
{
	WalIndex *w = find(file), **at = &all;
	pthread_mutex_lock(&mutex);
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	pthread_mutex_unlock(&mutex);
	let_go(w);
	free(w->path);
	free(w);
	return replaced->xClose(file);
}

/* ---- */

static bool take_over(const sqlite3_io_methods *theirs)
{
	pthread_mutex_lock(&mutex);
	if (!replaced && theirs->iVersion >= 2 && theirs->xShmMap) {
		methods = *theirs;
		methods.xShmMap = map;
		methods.xShmLock = change_lock;
		methods.xShmBarrier = barrier;
		methods.xShmUnmap = unmap;
		methods.xClose = close_file;
		replaced = theirs;
	}
	bool ok = replaced == theirs;
	pthread_mutex_unlock(&mutex);
	return ok;
}

int wal_index_keep(sqlite3 *sqlite, const char *path)
{
	sqlite3_file *file = NULL;
	if (sqlite3_file_control(sqlite, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || !file || !file->pMethods) return -EIO;
	if (!take_over(file->pMethods)) return 0; /* some other file system's locks: SQLite's own way */
	WalIndex *w = calloc(1, sizeof *w);
	char *name = strdup(path);
	if (!w || !name) {
		free(w);
		free(name);
		return -ENOMEM;
	}
	*w = (WalIndex){ .file = file, .path = name, .fd = -1 };
	pthread_mutex_lock(&mutex);
	w->next = all;
	all = w;
	pthread_mutex_unlock(&mutex);
	file->pMethods = &methods;
	return 0;
}
