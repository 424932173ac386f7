/* log_reader.c: see log_reader.h. */
#include "engine/log_reader.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/duration.h"
#include "engine/log_json.h"

enum { READ_SIZE = 64 << 10, RECORD_MAX = 32 << 20, BLOCK = 64 << 10 };

/* ---- records ---- */

/* 1: one; 0: its end is not there; -EBADMSG: nothing can be read from here on. */
static int take_record(LogReader *r)
{
	size_t n = r->buf.n - r->used;
	if (!n) return 0;
	char *p = r->buf.p + r->used;
	if (!r->json) {
		ssize_t used = log_frame_get(p, n, &r->entry);
		if (used > 0) r->used += (size_t)used;
		return used < 0 ? (int)used : used > 0;
	}
	for (char *end; n && (end = memchr(p, '\n', n)); p = r->buf.p + r->used, n = r->buf.n - r->used) {
		size_t length = (size_t)(end - p);
		r->used += length + 1;
		if (log_json_decode(p, length, &r->entry) >= 0) return 1;
	}
	return 0;
}

/* More of the first file behind what there is: the bytes, 0 at its end. */
static ssize_t fill(LogReader *r)
{
	buf_consume(&r->buf, r->used);
	r->used = 0;
	char *to = buf_reserve(&r->buf, READ_SIZE);
	if (!to) return buf_failed(&r->buf) ? -EBADMSG : -ENOMEM;
	ssize_t n = log_part_read(&r->files.parts[0], to, READ_SIZE);
	if (n > 0) buf_advance(&r->buf, (size_t)n);
	return n;
}

/* What is no whole record is read again when there is more, or never: it may be cut off meanwhile. */
static void leave_rest(LogReader *r)
{
	log_part_back(&r->files.parts[0], r->buf.n - r->used);
	buf_reset(&r->buf);
	r->used = 0;
}

static void next_part(LogReader *r)
{
	leave_rest(r);
	r->skip = 0;
	log_files_drop(&r->files);
}

/* At the end of the first file, for now. 1: go on; 0: there is no more. */
static int at_end(LogReader *r)
{
	leave_rest(r);
	if (r->files.n > 1) {
		next_part(r);
		return 1;
	}
	return log_files_grow(&r->files); /* with another one behind it the first has got its last line before: it is looked at once more */
}

/* The next record as it is: 1, 0. */
static int next_record(LogReader *r)
{
	for (;;) {
		if (!r->files.n) {
			int g = log_files_grow(&r->files);
			if (g <= 0) return g;
		}
		int x = take_record(r);
		if (x > 0) return 1;
		ssize_t n = x < 0 ? 0 : fill(r);
		if (n > 0) continue;
		if (n < 0 && n != -EBADMSG) return (int)n;
		if ((x = at_end(r)) <= 0) return x;
	}
}

int log_reader_next(LogReader *r, const LogEntry **ret, Err *e)
{
	int x = 0;
	while (!r->ended && (x = next_record(r)) > 0) {
		const LogEntry *entry = &r->entry;
		if (r->skip > 0) {
			r->skip--;
			continue;
		}
		if (r->since && entry->line.time < r->since) continue;
		if (r->until && entry->line.time > r->until) {
			r->ended = true;
			break;
		}
		*ret = entry;
		return 1;
	}
	return x < 0 ? err_sys(e, -x, "read the log") : 0;
}

/* ---- the last lines ---- */

/* Where the last `need` lines of a plain file begin; *need is what is missing. */
static int find_lines(LogPart *p, int64_t size, int64_t *need, int64_t *ret)
{
	AUTO_FREE char *block = malloc(BLOCK);
	int64_t end = size, seen = 0;
	if (!block) return -ENOMEM;
	while (end > 0) {
		size_t n = end < BLOCK ? (size_t)end : BLOCK;
		ssize_t k = retry_eintr(pread(p->fd, block, n, end - (int64_t)n));
		if (k != (ssize_t)n) return k < 0 ? -errno : -EIO;
		for (const char *nl; n && (nl = memrchr(block, '\n', n)); n = (size_t)(nl - block))
			if (seen++ == *need) {
				*ret = end - k + (nl - block) + 1;
				*need = 0;
				return 0;
			}
		end -= k;
	}
	*need -= seen;
	*ret = 0;
	return 0;
}

/* The same of frames. */
static int find_frames(LogPart *p, int64_t size, int64_t *need, int64_t *ret)
{
	char tail[LOG_FRAME_TAIL];
	int64_t at;
	int r = log_frames_end(p->fd, size, &at);
	if (r < 0) return r;
	while (at > 0 && *need > 0) {
		ssize_t n = retry_eintr(pread(p->fd, tail, sizeof tail, at - LOG_FRAME_TAIL));
		ssize_t frame = n == sizeof tail ? log_frame_size_by_tail(tail) : -EBADMSG;
		if (frame < 0 || frame > at) break;
		at -= frame;
		--*need;
	}
	*ret = at;
	return 0;
}

static int find_in_plain(LogReader *r, LogPart *p, int64_t *need)
{
	struct stat st;
	if (fstat(p->fd, &st) < 0) return -errno;
	return r->json ? find_lines(p, st.st_size, need, &p->at) : find_frames(p, st.st_size, need, &p->at);
}

/* A compressed file is read twice: its records are counted first. */
static int find_in_packed(LogReader *r, LogPart *p, int64_t *need)
{
	LogReader count = { .json = r->json, .files = { .parts = p, .n = 1 }, .buf = BUF_INIT(RECORD_MAX) };
	int64_t n = 0;
	ssize_t k = 0;
	int x = 0;
	while ((x = take_record(&count)) >= 0) {
		n += x;
		if (!x && (k = fill(&count)) <= 0) break;
	}
	buf_done(&count.buf);
	if (k < 0 && k != -EBADMSG) return (int)k;
	r->skip = n > *need ? n - *need : 0;
	*need = n > *need ? 0 : *need - n;
	return log_part_rewind(p);
}

static int seek_tail(LogReader *r, int64_t tail)
{
	LogFiles *f = &r->files;
	size_t i = f->n;
	int x = 0;
	if (!i) return 0;
	do {
		LogPart *p = &f->parts[--i];
		r->skip = 0;
		x = p->packed ? find_in_packed(r, p, &tail) : find_in_plain(r, p, &tail);
	} while (x >= 0 && i && tail);
	for (; i > 0; i--)
		log_files_drop(f);
	return x;
}

/* ---- opening ---- */

static int watch(LogReader *r, int dir, Err *e)
{
	char path[32];
	r->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (r->notify < 0) return err_sys(e, errno, "watch the log");
	snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
	if (inotify_add_watch(r->notify, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) return err_sys(e, errno, "watch the log");
	return 0;
}

void log_reader_heard(LogReader *r)
{
	char events[4096];
	while (retry_eintr(read(r->notify, events, sizeof events)) > 0)
		;
}

/* Files that were written last before `since` hold nothing of it; the kernel's clock for that is a little behind ours. */
static void pass_over(LogReader *r)
{
	while (r->since && r->files.n > 1 && log_part_changed(&r->files.parts[0]) < r->since - DURATION_SECOND)
		log_files_drop(&r->files);
}

static int open_files(LogReader *r, const LogReadOptions *o, Err *e)
{
	LogFile f;
	char name[LOG_FILE_NAME_MAX];
	const LogKind *t = log_kind_find(o->driver);
	if (t != &log_kind_json_file && t != &log_kind_local)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "configured logging driver does not support reading");
	log_file_init(&f, t);
	int x = log_file_options(&f, o->options, e);
	if (x < 0) return x;
	r->json = t == &log_kind_json_file;
	snprintf(name, sizeof name, "%s%s", r->json ? o->id : "", r->json ? "-json.log" : LOG_LOCAL_NAME);
	if (o->notify && (x = watch(r, o->dir, e)) < 0) return x;
	x = log_files_open(&r->files, o->dir, name, f.max_file);
	if (x >= 0 && o->tail >= 0) x = seek_tail(r, o->tail);
	if (x < 0) return err_sys(e, -x, "open the log");
	if (o->tail < 0) pass_over(r);
	return 0;
}

int log_reader_open(const LogReadOptions *o, LogReader **ret, Err *e)
{
	AUTO_LOG_READER *r = calloc(1, sizeof *r);
	if (!r) return err_sys(e, ENOMEM, "open the log");
	*r = (LogReader){ .since = o->since, .until = o->until, .notify = -1, .buf = BUF_INIT(RECORD_MAX) };
	int x = open_files(r, o, e);
	if (x >= 0) *ret = take(r);
	return x;
}

void log_reader_free(LogReader **r)
{
	if (!*r) return;
	log_files_done(&(*r)->files);
	buf_done(&(*r)->buf);
	fd_close((*r)->notify);
	free(*r);
}
