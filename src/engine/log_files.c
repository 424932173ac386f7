/* log_files.c: see log_files.h. */
#include "engine/log_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"

enum { TRIES = 1000, PARTS_MAX = 4096 };

static void part_close(LogPart *p)
{
	gzip_reader_free(p->gzip);
	p->gzip = NULL;
	p->fd = fd_close(p->fd);
}

/* ---- one place ---- */

static int read_comment(int fd, LogPart *ret)
{
	char head[GZIP_HEAD_MAX], comment[GZIP_COMMENT_MAX + 1];
	ssize_t n = retry_eintr(pread(fd, head, sizeof head, 0));
	if (n < 0) return -errno;
	if (gzip_comment(head, (size_t)n, comment) < 0) comment[0] = 0;
	snprintf(ret->comment, sizeof ret->comment, "%.*s", LOG_FILE_COMMENT_MAX - 1, comment);
	return 0;
}

/* What is the i-th file at the moment: 1, 0 when there is none. The plain one counts where there are both. */
static int open_place(const LogFiles *f, int64_t i, LogPart *ret)
{
	char name[LOG_FILE_PATH_MAX];
	*ret = (LogPart){ .fd = -1 };
	for (int packed = 0; packed <= (i > 0); packed++) {
		log_file_name(f->name, i, packed, name);
		ret->fd = openat(f->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (ret->fd < 0 && errno == ENOENT) continue;
		if (ret->fd < 0) return -errno;
		ret->packed = packed;
		int r = packed ? read_comment(ret->fd, ret) : 0;
		if (r < 0) part_close(ret);
		return r < 0 ? r : 1;
	}
	return 0;
}

/* The same file, in whichever form. */
static bool same(const LogPart *a, const LogPart *b)
{
	struct stat x, y;
	char comment[LOG_FILE_COMMENT_MAX];
	if (a->packed && b->packed && *a->comment) return streq(a->comment, b->comment);
	if (fstat(a->fd, &x) < 0 || fstat(b->fd, &y) < 0) return false;
	if (a->packed == b->packed) return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
	log_file_comment(a->packed ? &y : &x, comment);
	return streq(comment, a->packed ? a->comment : b->comment);
}

/* Where it is, from the place `from` on upwards; -ENOENT: it is not kept any more. */
static int64_t place_of(const LogFiles *f, const LogPart *p, int64_t from)
{
	for (int64_t i = from; i <= f->max_file; i++) {
		LogPart at;
		int r = open_place(f, i, &at);
		if (r < 0) return r;
		bool found = r && same(p, &at);
		part_close(&at);
		if (found) return i;
	}
	return -ENOENT;
}

/* ---- neighbours ---- */

static int add(LogFiles *f, const LogPart *p, bool in_front)
{
	if (f->n == PARTS_MAX) return -EMFILE;
	if (f->n == f->room) {
		size_t room = f->room ? 2 * f->room : 8;
		LogPart *parts = reallocarray(f->parts, room, sizeof *parts);
		if (!parts) return -ENOMEM;
		f->parts = parts;
		f->room = room;
	}
	if (in_front) memmove(f->parts + 1, f->parts, f->n * sizeof *f->parts);
	f->parts[in_front ? 0 : f->n] = *p;
	f->n++;
	return 1;
}

/* The file before the first one, which was at place *at or below: 1, its place in *at; 0: there is none. What is found may be a newer one, which has been
 * moved to here while ours was moved on: ours tells, by where it is afterwards. */
static int grow_back(LogFiles *f, int64_t *at)
{
	const LogPart *first = &f->parts[0];
	int64_t place = place_of(f, first, *at);
	for (int64_t i = place + 1; place >= 0 && i <= f->max_file; i++) {
		LogPart p;
		int r = open_place(f, i, &p);
		if (r < 0) return r;
		if (!r) continue;
		place = place_of(f, first, place);
		if (place >= 0 && place < i) {
			*at = i;
			if ((r = add(f, &p, true)) < 0) part_close(&p);
			return r;
		}
		part_close(&p);
		i = place;
	}
	return place < 0 && place != -ENOENT ? (int)place : 0; /* when ours is not kept any more, none before it is */
}

/* All that there are, whichever is found first. */
static int open_all(LogFiles *f)
{
	int64_t at = 0;
	int r = 0;
	for (; !f->n && at <= f->max_file; at++) {
		LogPart p;
		if ((r = open_place(f, at, &p)) < 0) return r;
		if (r && (r = add(f, &p, true)) < 0) part_close(&p);
		if (r < 0) return r;
	}
	if (!f->n) return 0;
	for (at--, r = 1; r > 0;)
		r = grow_back(f, &at);
	return r;
}

/* The first file below place i that there is: 1, its place in *at; 0: none. */
static int open_below(const LogFiles *f, int64_t i, int64_t *at, LogPart *ret)
{
	int r = 0;
	for (*at = i - 1; *at >= 0; --*at)
		if ((r = open_place(f, *at, ret)) != 0) return r;
	return 0;
}

static bool is_empty(const LogFiles *f, int64_t from, int64_t to)
{
	for (int64_t i = from; i < to; i++) {
		LogPart p;
		if (open_place(f, i, &p) != 0) {
			part_close(&p);
			return false;
		}
	}
	return true;
}

/* The last one is not kept any more: all that there are came after it. */
static int take_all(LogFiles *f)
{
	LogFiles all;
	int r = log_files_open(&all, f->dir, f->name, f->max_file);
	bool any = all.n > 0;
	while (r >= 0 && all.n) {
		if ((r = add(f, &all.parts[0], false)) < 0) break;
		all.parts[0] = (LogPart){ .fd = -1 }; /* is ours now */
		log_files_drop(&all);
	}
	log_files_done(&all);
	return r < 0 ? r : any;
}

/* 1: added; 0: there is none; -EAGAIN: the files were moved meanwhile. */
static int try_grow(LogFiles *f)
{
	LogPart *last = &f->parts[f->n - 1], next;
	int64_t below, i = place_of(f, last, 0);
	if (i == 0) return 0;
	if (i < 0) return i == -ENOENT ? take_all(f) : (int)i;
	int r = open_below(f, i, &below, &next);
	if (r <= 0) return r;
	/* in this order: as long as ours is where it was, what follows it is below */
	r = !is_empty(f, below + 1, i) || place_of(f, last, i) != i ? -EAGAIN : add(f, &next, false);
	if (r < 0) part_close(&next);
	return r;
}

/* The usual case at little cost: the last one is the one that is written. */
static bool is_current(const LogFiles *f, const LogPart *p)
{
	struct stat x, y;
	return !p->packed && fstatat(f->dir, f->name, &x, AT_SYMLINK_NOFOLLOW) == 0 && fstat(p->fd, &y) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

int log_files_grow(LogFiles *f)
{
	int r = -EAGAIN;
	if (!f->n) {
		r = open_all(f);
		return r < 0 ? r : f->n > 0;
	}
	if (is_current(f, &f->parts[f->n - 1])) return 0;
	for (int i = 0; r == -EAGAIN && i < TRIES; i++)
		r = try_grow(f);
	return r == -EAGAIN ? 0 : r;
}

int log_files_open(LogFiles *f, int dir, const char *name, int64_t max_file)
{
	*f = (LogFiles){ .dir = dir, .max_file = max_file };
	snprintf(f->name, sizeof f->name, "%s", name);
	return open_all(f);
}

void log_files_drop(LogFiles *f)
{
	part_close(&f->parts[0]);
	f->n--;
	memmove(f->parts, f->parts + 1, f->n * sizeof *f->parts);
}

void log_files_done(LogFiles *f)
{
	while (f->n)
		log_files_drop(f);
	free(f->parts);
	f->parts = NULL;
}

/* ---- reading ---- */

ssize_t log_part_read(LogPart *p, void *to, size_t n)
{
	if (p->packed && !p->gzip) {
		int r = gzip_reader_new(p->fd, &p->gzip);
		if (r < 0) return r;
	}
	if (p->gzip) return gzip_read(p->gzip, to, n);
	ssize_t k = retry_eintr(pread(p->fd, to, n, p->at));
	if (k < 0) return -errno;
	struct stat st;
	if (k == 0 && fstat(p->fd, &st) == 0 && st.st_size < p->at) p->at = st.st_size; /* somebody has cut it */
	p->at += k;
	return k;
}

void log_part_back(LogPart *p, size_t n)
{
	if (!p->packed) p->at -= (int64_t)n;
}

int log_part_rewind(LogPart *p)
{
	p->at = 0;
	gzip_reader_free(p->gzip);
	p->gzip = NULL;
	return p->packed && lseek(p->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

int64_t log_part_changed(const LogPart *p)
{
	struct stat st;
	if (fstat(p->fd, &st) < 0) return INT64_MAX;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}
